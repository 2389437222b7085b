//! iCloud logins among the items of the keyring, told by their attributes.
//!
//! Knows the attributes of secret-tool's examples, of GNOME's network passwords (`server`, `user`, `protocol`), of Geary
//! (`host`, `login`, `proto`), of KeePassXC (`URL`, `UserName`), of msmtp (`host`, `service`, `user`), and Evolution's, which names one of its own files. Pure but
//! for those files. Sees no password.

use std::collections::BTreeMap;

use super::{
    Login, Program, Use, Way,
    disk::{Disk, Place},
    evolution::{self, Account},
    icloud, url,
};
use crate::secret::Source;

/// What an item of the keyring is known by.
pub type Attributes = BTreeMap<String, String>;

/// The logins among the items. Those of Evolution are told by its files, which are read.
pub(super) fn logins(items: &[Attributes], program: Program, disk: &mut Disk, place: &Place) -> Vec<Login> {
    let wanted = items.iter().any(|item| item.contains_key(evolution::ATTRIBUTE));
    let evolution = if wanted { evolution::accounts(disk, place) } else { Vec::new() };
    items
        .iter()
        .flat_map(|item| of_server(item, items, program).into_iter().chain(of_evolution(item, &evolution)))
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
    } else if let Some(attributes) = own_attributes(item, items, &narrow) {
        Way::Keyring(Source::Attributes(attributes))
    } else {
        Way::Unknown("several items of the keyring have the same attributes".to_owned())
    };
    let address = icloud::address(username.as_deref(), None);
    Some(Login { program, file: None, line: None, service, host: Some(host), username, address, way })
}

fn use_of(host: &str, kind: &str) -> Use {
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

/// Evolution's items name its file; the file names the server.
fn of_evolution(item: &Attributes, accounts: &[Account]) -> Vec<Login> {
    let Some(id) = item.get(evolution::ATTRIBUTE) else { return Vec::new() };
    accounts
        .iter()
        .filter(|account| account.id == *id)
        .map(|account| {
            let Account { id, file, line, service, host, user } = account.clone();
            let address = icloud::address(user.as_deref(), None);
            let attributes = [(evolution::ATTRIBUTE.to_owned(), id)].into();
            Login {
                program: Program::SecretService,
                file: Some(file),
                line: Some(line),
                service,
                host: Some(host),
                username: user,
                address,
                way: Way::Keyring(Source::Attributes(attributes)),
            }
        })
        .collect()
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
}
