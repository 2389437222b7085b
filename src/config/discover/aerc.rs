//! aerc's `accounts.conf` (aerc-accounts(5), aerc-imap(5), aerc-smtp(5)).
//!
//! A section per account. A password in a URL goes before the command.

use std::path::Path;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    ini, shell, url,
};

pub(super) fn roots(place: &Place) -> Roots {
    vec![vec![place.config_home.join("aerc/accounts.conf")]]
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let sections = ini::go(&text).map_err(|(line, why)| Fault::new(path, line, why))?;
    let ways = [("source", Use::Imap, "imap"), ("outgoing", Use::Smtp, "smtp")];
    Ok(sections
        .iter()
        .flat_map(|section| ways.map(|(key, service, scheme)| (section, key, service, scheme)))
        .filter_map(|(section, key, service, scheme)| {
            let transport = section.key(key)?;
            let url = url::parse(&transport.value)?;
            if !url.scheme.starts_with(scheme) {
                return None;
            }
            let command = section.key(&format!("{key}-cred-cmd"));
            let (secret, line) = if url.scheme.contains("oauth") || url.scheme.contains("xoauth2") {
                (Secret::Unknown("a token, not a password".to_owned()), transport.line)
            } else if let Some(password) = url.password {
                (Secret::Plain(password), transport.line)
            } else if let Some((words, line)) = command.and_then(|it| Some((shell::command(&it.value)?, it.line))) {
                (Secret::Command(words), line)
            } else {
                (Secret::Unknown("asked for when aerc runs".to_owned()), transport.line)
            };
            Some(Entry {
                name: format!("{} {key}", section.name),
                file: path.to_owned(),
                line,
                service,
                host: Some(url.host),
                username: url.user,
                beside: section.value("from").map(str::to_owned),
                secret,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn both_directions_of_each_account() {
        let text = "[Personal]
source            = imaps://johnappleseed@imap.mail.me.com:993
source-cred-cmd   = pass show icloud/aerc
outgoing          = smtp+plain://johnappleseed%40icloud.com@smtp.mail.me.com:587
outgoing-cred-cmd = secret-tool lookup host smtp.mail.me.com | tr -d '\\n'
default           = INBOX
from              = John Appleseed <johnappleseed@icloud.com>

[Old]
source = imaps://jane%40me.com:abcd-efgh-ijkl-mnop@imap.mail.me.com
source-cred-cmd = true
outgoing = /usr/bin/msmtp

[Local]
source = maildir://~/mail
";
        assert_eq!(
            found(read, text),
            [
                "3 Personal source imap imap.mail.me.com johnappleseed command pass|show|icloud/aerc",
                "5 Personal outgoing smtp smtp.mail.me.com johnappleseed@icloud.com command sh|-c|secret-tool lookup host \
                 smtp.mail.me.com | tr -d '\\n'",
                "10 Old source imap imap.mail.me.com jane@me.com plain abcd-efgh-ijkl-mnop",
            ]
        );
        assert_eq!(found(read, "[Personal\n"), ["1: a section's bracket is not closed"]);
    }
}
