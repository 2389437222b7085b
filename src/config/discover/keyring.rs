//! iCloud logins among the items of the keyring, told by their attributes.
//!
//! Knows the attributes of secret-tool's examples, of GNOME's network passwords (`server`, `user`, `protocol`), of Geary
//! (`host`, `login`, `proto`), of KeePassXC (`URL`, `UserName`), of msmtp (`host`, `service`, `user`): all of them name the
//! server. Two programs do not, so that their items say nothing without a file of the program itself: Evolution's carry the
//! name of a file alone (`e-source-uid`), KMail's have a folder of KDE's wallet where others have the server (`server` is
//! `imap` or `mailtransports`, `user` the name of an entry). Pure but for those files. Sees no password.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Login, Program, Use, Way,
    disk::{Disk, Place},
    evolution, icloud, kmail, url,
};
use crate::secret::Source;

/// A login that a program's own file tells, and the attributes of the item that has its password.
pub(super) struct Owned {
    pub(super) program: Program,
    pub(super) item: Attributes,
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) service: Use,
    pub(super) host: String,
    pub(super) user: Option<String>,
}

/// What an item of the keyring is known by.
pub type Attributes = BTreeMap<String, String>;

/// The logins among the items. Those of Evolution and KMail are told by their files, which are read.
pub(super) fn logins(items: &[Attributes], program: Program, disk: &mut Disk, place: &Place) -> Vec<Login> {
    let any = |is_it: &dyn Fn(&Attributes) -> bool| items.iter().any(is_it);
    let mut owned = Vec::new();
    if any(&|item| item.contains_key(evolution::ATTRIBUTE)) {
        owned.extend(evolution::accounts(disk, place));
    }
    if any(&kmail::is_item) {
        owned.extend(kmail::accounts(disk, place));
    }
    items
        .iter()
        .flat_map(|item| of_server(item, items, program).into_iter().chain(of_owner(item, items, &owned)))
        .collect()
}

fn of_server(item: &Attributes, items: &[Attributes], program: Program) -> Option<Login> {
    let one_of = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, item.get(*name)?)));
    let (server, value) = one_of(&["server", "host", "hostname", "URL"])?;
    let host = url::parse(value).map_or_else(|| value.to_lowercase(), |url| url.host);
    if !icloud::is_host(&host) {
        return None;
    }
    let user = one_of(&["user", "username", "login", "account", "UserName"]);
    let kind = one_of(&["protocol", "proto", "service"]);
    let service = use_of(&host, kind.map(|(_, kind)| kind.as_str()).unwrap_or_default());
    let username = user.map(|(_, user)| user.clone());
    let narrow = [Some(server), user.map(|(name, _)| name), kind.map(|(name, _)| name)];
    let narrow = narrow.map(Option::unwrap_or_default);
    let way = if program == Program::Keychain {
        Way::Unknown("in the Keychain, as another program's internet password".to_owned())
    } else {
        own_attributes(item, items, &narrow).map_or_else(several, |it| Way::Keyring(Source::Attributes(it)))
    };
    let address = icloud::address(username.as_deref(), None);
    Some(Login { program, file: None, line: None, service, host: Some(host), username, address, way })
}

/// What a login is for, by what its server is called; `kind` is a protocol or a port.
pub(super) fn use_of(host: &str, kind: &str) -> Use {
    let kind = kind.to_lowercase();
    if kind.starts_with("smtp") || host.starts_with("smtp.") || host.contains("-smtp.") {
        Use::Smtp
    } else if host.contains("caldav") {
        Use::Caldav
    } else if host.contains("contacts") || host.contains("carddav") {
        Use::Carddav
    } else {
        Use::Imap
    }
}

/// The attributes that no other item has together: those that say the login, or all.
fn own_attributes(item: &Attributes, items: &[Attributes], narrow: &[&str]) -> Option<Attributes> {
    let some = |wanted: &dyn Fn(&str) -> bool| -> Attributes {
        item.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let matching = |attributes: &Attributes| {
        items.iter().filter(|item| attributes.iter().all(|(name, value)| item.get(name) == Some(value))).count()
    };
    [some(&|name| narrow.contains(&name)), some(&|name| name != "xdg:schema"), some(&|_| true)]
        .into_iter()
        .find(|attributes| matching(attributes) == 1)
}

/// The item names the program's file; the file names the server.
fn of_owner(item: &Attributes, items: &[Attributes], owned: &[Owned]) -> Vec<Login> {
    owned
        .iter()
        .filter(|owned| owned.item.iter().all(|(name, value)| item.get(name) == Some(value)))
        .map(|Owned { program, item: narrow, file, line, service, host, user }| {
            let names: Vec<&str> = narrow.keys().map(String::as_str).collect();
            Login {
                program: *program,
                file: Some(file.clone()),
                line: Some(*line),
                service: *service,
                host: Some(host.clone()),
                username: user.clone(),
                address: icloud::address(user.as_deref(), None),
                way: own_attributes(item, items, &names)
                    .map_or_else(several, |it| Way::Keyring(Source::Attributes(it))),
            }
        })
        .collect()
}

fn several() -> Way {
    Way::Unknown("several items of the keyring have the same attributes".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn item(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(items: &[&[(&str, &str)]], expected: &[&str]) {
        let items: Vec<_> = items.iter().map(|pairs| item(pairs)).collect();
        let place = Place::nowhere();
        let logins = logins(&items, Program::SecretService, &mut Disk::of(&place), &place);
        let told = logins.iter().map(|login| {
            let how = match &login.way {
                Way::Keyring(Source::Attributes(attributes)) => {
                    attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
                }
                Way::Unknown(why) => why.clone(),
                other @ (Way::Command(_) | Way::Plain(_) | Way::Keyring(_)) => format!("{other:?}"),
            };
            let host = login.host.as_deref().unwrap_or_default();
            format!("{} {host} {} {how}", login.service.as_str(), login.username.as_deref().unwrap_or("-"))
        });
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_convention_is_known() {
        check(
            &[
                &[
                    ("xdg:schema", "org.gnome.Geary"),
                    ("host", "imap.mail.me.com"),
                    ("login", "john"),
                    ("proto", "IMAP"),
                ],
                &[("host", "smtp.mail.me.com"), ("service", "smtp"), ("user", "john@me.com")],
                &[("server", "imap.mail.me.com"), ("user", "jane"), ("protocol", "imap"), ("port", "993")],
                &[("server", "https://caldav.icloud.com/"), ("username", "j@gmail.com")],
                &[("server", "imap.example.org"), ("user", "jane")],
                &[("service", "keypulse"), ("username", "mutt")],
            ],
            &[
                "imap imap.mail.me.com john host=imap.mail.me.com,login=john,proto=IMAP",
                "smtp smtp.mail.me.com john@me.com host=smtp.mail.me.com,service=smtp,user=john@me.com",
                "imap imap.mail.me.com jane protocol=imap,server=imap.mail.me.com,user=jane",
                "caldav caldav.icloud.com j@gmail.com server=https://caldav.icloud.com/,username=j@gmail.com",
            ],
        );
    }

    #[test]
    fn exactly_one_item_must_match() {
        check(
            &[
                &[("server", "imap.mail.me.com"), ("user", "john"), ("port", "993")],
                &[("server", "imap.mail.me.com"), ("user", "john"), ("port", "143")],
                &[("server", "imap.mail.me.com"), ("user", "jane")],
                &[("server", "imap.mail.me.com"), ("user", "jane")],
            ],
            &[
                "imap imap.mail.me.com john port=993,server=imap.mail.me.com,user=john",
                "imap imap.mail.me.com john port=143,server=imap.mail.me.com,user=john",
                "imap imap.mail.me.com jane several items of the keyring have the same attributes",
                "imap imap.mail.me.com jane several items of the keyring have the same attributes",
            ],
        );
    }

    #[test]
    fn evolutions_items_are_told_by_its_files() {
        let home = tempfile::tempdir().unwrap();
        let sources = home.path().join(".config/evolution/sources");
        fs::create_dir_all(&sources).unwrap();
        fs::write(
            sources.join("4f2a.source"),
            "[Data Source]\nDisplayName=iCloud\nEnabled=true\n\n[Mail Account]\nBackendName=imapx\n\n[Authentication]\n\
             Host=imap.mail.me.com\nMethod=PLAIN\nPort=993\nUser=johnappleseed\n",
        )
        .unwrap();
        fs::write(
            sources.join("other.source"),
            "[Mail Account]\nBackendName=imapx\n[Authentication]\nHost=imap.example.org\n",
        )
        .unwrap();
        let place = Place::below(home.path());
        let items = [item(&[("e-source-uid", "4f2a"), ("xdg:schema", "org.gnome.Evolution.Data.Source")])];
        let logins = logins(&items, Program::SecretService, &mut Disk::of(&place), &place);
        assert_eq!(logins.len(), 1);
        assert_eq!(
            (logins[0].line, logins[0].username.as_deref(), logins[0].service),
            (Some(9), Some("johnappleseed"), Use::Imap)
        );
        let attributes = item(&[("e-source-uid", "4f2a")]);
        assert_eq!(logins[0].way, Way::Keyring(Source::Attributes(attributes)));
    }

    /// As QtKeychain stores them, and as KDE's wallet shows its entries to the Secret Service.
    #[test]
    fn kmails_items_are_told_by_its_files() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join(".config");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("akonadi_imap_resource_0rc"), kmail::tests::IMAP).unwrap();
        fs::write(config.join("mailtransports"), kmail::tests::TRANSPORTS).unwrap();
        let place = Place::below(home.path());
        let kept = |server, user| item(&[("server", server), ("user", user), ("type", "plaintext")]);
        let items = [
            kept("imap", "akonadi_imap_resource_0rc"),
            kept("imap", "akonadi_imap_resource_7rc"),
            kept("imap", "custom_sieve_akonadi_imap_resource_0rc"),
            kept("mailtransports", "1284061349"),
            kept("mailtransports", "99"),
        ];
        let told: Vec<_> = logins(&items, Program::SecretService, &mut Disk::of(&place), &place)
            .into_iter()
            .map(|it| (it.program, it.service, it.username.unwrap(), it.way))
            .collect();
        let way = |server, user| Way::Keyring(Source::Attributes(item(&[("server", server), ("user", user)])));
        assert_eq!(
            told,
            [
                (Program::Kmail, Use::Imap, "johnappleseed".into(), way("imap", "akonadi_imap_resource_0rc")),
                (Program::Kmail, Use::Smtp, "johnappleseed@icloud.com".into(), way("mailtransports", "1284061349")),
            ]
        );
    }
}
