//! KMail's accounts: the files of its IMAP resources and `mailtransports`, both of KConfig, in the configuration directory
//! (`imapresource.kcfg` of kdepim-runtime, `mailtransport.kcfg` of kmailtransport).
//!
//! The passwords are in KDE's wallet: of a resource as the entry with its file's name in the folder `imap`, of a transport as
//! the entry with its number in the folder `mailtransports`. Where the wallet is open to the Secret Service, or QtKeychain
//! uses another keyring, the item has the folder as `server` and the entry as `user`, so that it can be watched; these files
//! say whose it is. Elsewhere it is asked for.

use std::{fs, path::Path};

use super::{
    Entry, Program, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    icloud, ini,
    keyring::{Attributes, Owned},
};

const WALLET: &str = "in KDE's wallet, which is not seen here";

/// The wallet's folders.
const RESOURCES: &str = "imap";
const TRANSPORTS: &str = "mailtransports";

/// More than anybody has.
const MOST_FILES: usize = 300;

pub(super) fn roots(place: &Place) -> Roots {
    let directory = &place.config_home;
    let mut resources: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|it| it.path())
        .filter(|path| is_resource(path))
        .take(MOST_FILES)
        .collect();
    resources.sort();
    if resources.is_empty() {
        resources.push(directory.join("akonadi_imap_resource_0rc"));
    }
    resources.into_iter().chain([directory.join(TRANSPORTS)]).map(|path| vec![path]).collect()
}

fn is_resource(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("akonadi_imap_resource_") && name.ends_with("rc"))
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let sections = ini::glib(&text).map_err(|(line, why)| Fault::new(path, line, why))?;
    let mut entries = Vec::new();
    for section in &sections {
        // `Host[$i]=…`: a value that the administrator has fixed.
        let key = |name: &str| section.key(name).or_else(|| section.key(&format!("{name}[$i]")));
        let text = |name: &str| key(name).map(|key| key.value.to_string()).filter(|value| !value.is_empty());
        let (name, service, host, user) = if section.name == "network" {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (name, Use::Imap, "imapserver", "username")
        } else if let Some(number) = section.name.strip_prefix("Transport ") {
            if text("auth").as_deref() != Some("true") {
                continue;
            }
            (number.to_owned(), Use::Smtp, "host", "user")
        } else {
            continue;
        };
        let Some(host) = key(host) else { continue };
        let why =
            if key("password").is_some() { "in this file, scrambled, which hides it from nobody" } else { WALLET };
        entries.push(Entry {
            name,
            file: path.to_owned(),
            line: host.line,
            service,
            // Old files have the port behind it.
            host: host.value.split(':').next().map(str::to_owned),
            username: text(user),
            beside: None,
            secret: Secret::Unknown(why.to_owned()),
        });
    }
    Ok(entries)
}

/// Whether an item of the keyring is one of KMail's.
pub(super) fn is_item(item: &Attributes) -> bool {
    item.get("server").is_some_and(|server| [RESOURCES, TRANSPORTS].contains(&server.as_str()))
}

/// The accounts at iCloud.
pub(super) fn accounts(disk: &mut Disk, place: &Place) -> Vec<Owned> {
    let files = roots(place).into_iter().flatten().filter(|file| file.exists());
    // What cannot be read was said when the files were searched.
    let entries: Vec<Entry> = files.filter_map(|file| read(disk, &file).ok()).flatten().collect();
    let owned = entries.into_iter().filter_map(|Entry { name, file, line, service, host, username, .. }| {
        let host = host?.trim().to_lowercase();
        let folder = if service == Use::Imap { RESOURCES } else { TRANSPORTS };
        let item = [("server".to_owned(), folder.to_owned()), ("user".to_owned(), name)].into();
        icloud::is_host(&host).then_some(Owned {
            program: Program::Kmail,
            item,
            file,
            line,
            service,
            host,
            user: username,
        })
    });
    owned.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::{super::tests::found, *};

    pub(in super::super) const IMAP: &str = "[cache]
IntervalCheckTime=5
TrashCollection=12

[network]
Authentication=7
ImapPort=993
ImapServer=imap.mail.me.com
Safety=SSL
SubscriptionEnabled=true
UserName=johnappleseed

[siever]
SieveSupport=false
";
    pub(in super::super) const TRANSPORTS: &str = "[$Version]
update_info=mailtransports.upd:initial-kmail-migration

[General]
default-transport=1284061349

[Transport 1284061349]
auth=true
encryption=TLS
host=smtp.mail.me.com
id=1284061349
name=iCloud
port=587
storepass=true
user=johnappleseed@icloud.com

[Transport 5]
auth=true
host[$i]=smtp.mail.me.com
password=☺☻
user=jane@me.com

[Transport 6]
host=smtp.example.org
";

    #[test]
    fn resources_and_transports() {
        // The tests' file is called `file`.
        assert_eq!(found(read, IMAP), [format!("8 file imap imap.mail.me.com johnappleseed unknown {WALLET}")]);
        assert_eq!(
            found(read, TRANSPORTS),
            [
                format!("10 1284061349 smtp smtp.mail.me.com johnappleseed@icloud.com unknown {WALLET}"),
                "19 5 smtp smtp.mail.me.com jane@me.com unknown in this file, scrambled, which hides it from nobody"
                    .into(),
            ]
        );
        assert_eq!(found(read, "[network]\nImapServer\n"), ["2: neither a key nor a section"]);
    }
}
