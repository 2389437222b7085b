//! GNOME Online Accounts' `accounts.conf`: a key file of GLib, a section per account.
//!
//! The passwords are in the keyring in a form of its own (several in one item): they are asked for.

use std::path::Path;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    ini, url,
};

const WHY: &str = "in the keyring, in a form that is GNOME's own";

pub(super) fn roots(place: &Place) -> Roots {
    vec![vec![place.config_home.join("goa-1.0/accounts.conf")]]
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let sections = ini::glib(&text).map_err(|(line, why)| Fault::new(path, line, why))?;
    let mut entries = Vec::new();
    for section in &sections {
        let text = |name: &str| section.value(name).map(str::to_owned).filter(|value| !value.is_empty());
        let identity = || text("identity").or_else(|| text("presentationidentity"));
        let logins = match section.value("provider") {
            Some("imap_smtp") => vec![
                (Use::Imap, "imaphost", text("imaphost"), text("imapusername")),
                (Use::Smtp, "smtphost", text("smtphost"), text("smtpusername")),
            ],
            // The same account under "WebDAV": each service with an address of its own, or one for all.
            Some("webdav") => [("caldavuri", Use::Caldav), ("carddavuri", Use::Carddav), ("uri", Use::Caldav)]
                .into_iter()
                .map(|(key, service)| {
                    (service, key, text(key).and_then(|uri| Some(url::parse(&uri)?.host)), identity())
                })
                .collect(),
            Some(_) | None => continue,
        };
        for (service, key, host, username) in logins {
            let Some((key, host)) = section.key(key).zip(host) else { continue };
            entries.push(Entry {
                name: section.name.clone(),
                file: path.to_owned(),
                line: key.line,
                service,
                host: Some(host),
                username: username.or_else(identity),
                beside: text("emailaddress"),
                secret: Secret::Unknown(WHY.to_owned()),
            });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn accounts_of_mail_and_of_dav() {
        let text = "[Account account_1700000000_0]\nProvider=imap_smtp\nIdentity=johnappleseed@icloud.com\n\
            PresentationIdentity=johnappleseed@icloud.com\nEnabled=true\nEmailAddress=johnappleseed@icloud.com\nName=John\n\
            ImapHost=imap.mail.me.com\nImapUserName=johnappleseed\nImapUseSsl=true\nSmtpHost=smtp.mail.me.com\nSmtpUseAuth=true\n\
            SmtpUserName=johnappleseed@icloud.com\nSmtpUseTls=true\n\n[Account account_1700000000_1]\nProvider=webdav\n\
            Identity=john@gmail.com\nCalDavUri=https://caldav.icloud.com\nCardDavUri=https://contacts.icloud.com\n\n\
            [Account account_1700000000_2]\nProvider=google\nIdentity=x@gmail.com\n";
        assert_eq!(
            found(read, text),
            [
                format!("8 Account account_1700000000_0 imap imap.mail.me.com johnappleseed unknown {WHY}"),
                format!("11 Account account_1700000000_0 smtp smtp.mail.me.com johnappleseed@icloud.com unknown {WHY}"),
                format!("19 Account account_1700000000_1 caldav caldav.icloud.com john@gmail.com unknown {WHY}"),
                format!("20 Account account_1700000000_1 carddav contacts.icloud.com john@gmail.com unknown {WHY}"),
            ]
        );
    }
}
