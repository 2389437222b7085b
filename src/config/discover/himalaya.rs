//! Himalaya's `config.toml` (its `config.sample.toml`), in the forms of its versions.
//!
//! Version 1: `backend.host`, `backend.login`, `backend.auth.cmd`, and the same below `message.send.backend`. Before:
//! `imap-host`, `imap-login`, `imap-auth` and so on, with dashes or dots. After: `imap.server`, a name or a URL, and
//! `imap.sasl.plain.username` with `.password.command`, where another mechanism can stand for `plain`.

use std::path::Path;

use toml_edit::{Document, Item, TableLike};
use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    shell,
};
use crate::secret::Source;

/// What Himalaya's items in the keyring have as service.
const KEYRING: &str = "himalaya-cli";

pub(super) fn roots(place: &Place) -> Roots {
    if let Some(paths) = place.variable("HIMALAYA_CONFIG") {
        return std::env::split_paths(&paths).map(|path| vec![path]).collect();
    }
    let (home, config) = (&place.home, &place.config_home);
    vec![vec![
        config.join("himalaya/config.toml"),
        home.join(".config/himalaya/config.toml"),
        home.join("Library/Application Support/himalaya/config.toml"),
        home.join(".himalayarc"),
    ]]
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let document = Document::parse(text.as_str()).map_err(|error| {
        // The error itself would quote the line.
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(&text);
        Fault::new(path, before.matches('\n').count() + 1, "no TOML")
    })?;
    let root = document.as_table();
    let Some(accounts) = root.get("accounts").and_then(Item::as_table_like) else { return Ok(Vec::new()) };
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let mut entries = Vec::new();
    for (name, account) in accounts.iter() {
        let Some(account) = account.as_table_like() else { continue };
        let email = child(account, "email").and_then(Item::as_str);
        for (service, word, prefixes) in
            [(Use::Imap, "imap", ["backend", "imap"]), (Use::Smtp, "smtp", ["message.send.backend", "smtp"])]
        {
            let Some(found) = prefixes.iter().find_map(|prefix| Settings::below(account, prefix, word)) else {
                continue;
            };
            let user = found.text(&["login", "username", "user"]).or_else(|| found.sasl_name()).or(email);
            let (secret, at) = found.secret();
            entries.push(Entry {
                name: format!("{name} {word}"),
                file: path.to_owned(),
                line: lines.partition_point(|newline| *newline < at.unwrap_or(0)) + 1,
                service,
                host: found.text(&["host", "server"]).map(bare).map(str::to_owned),
                username: user.map(str::to_owned),
                beside: email.map(str::to_owned),
                secret,
            });
        }
    }
    Ok(entries)
}

/// The settings of one service: a table, or the keys of the account that begin with its name.
struct Settings<'a> {
    table: &'a dyn TableLike,
    prefix: Option<&'a str>,
}

impl<'a> Settings<'a> {
    fn below(account: &'a dyn TableLike, prefix: &'a str, service: &str) -> Option<Self> {
        let table = prefix.split('.').try_fold(account, |table, key| child(table, key)?.as_table_like());
        if let Some(table) = table {
            let settings = Self { table, prefix: None };
            let kind = child(table, "type").and_then(Item::as_str);
            return (kind.is_none_or(|kind| kind == service)
                && settings.get("host").or(settings.get("server")).is_some())
            .then_some(settings);
        }
        let settings = Self { table: account, prefix: Some(prefix) };
        settings.get("host").is_some().then_some(settings)
    }

    fn get(&self, key: &str) -> Option<&'a Item> {
        match self.prefix {
            Some(prefix) => self.table.get(&format!("{prefix}-{key}")),
            None => child(self.table, key),
        }
    }

    fn text(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.get(key)?.as_str())
    }

    /// The user name below the mechanism.
    fn sasl_name(&self) -> Option<&'a str> {
        let mechanisms = self.get("sasl")?.as_table_like()?;
        mechanisms.iter().find_map(|(_, mechanism)| {
            let mechanism = mechanism.as_table_like()?;
            ["username", "authcid"].iter().find_map(|key| child(mechanism, key)?.as_str())
        })
    }

    /// The password, and where it stands.
    fn secret(&self) -> (Secret, Option<usize>) {
        let at = |item: &Item| item.span().map(|span| span.start);
        let host = self.get("host").or_else(|| self.get("server")).and_then(at);
        let places = ["auth", "passwd", "password", "sasl"];
        for item in places.iter().filter_map(|key| self.get(key)) {
            let kind = item.as_table_like().and_then(|table| child(table, "type")).and_then(Item::as_str);
            let mechanism = |name: &str| item.as_table_like().is_some_and(|table| child(table, name).is_some());
            if kind.is_some_and(|kind| kind.starts_with("oauth")) || mechanism("oauthbearer") || mechanism("xoauth2") {
                return (Secret::Unknown("a token, not a password".to_owned()), host);
            }
            if let Some((secret, item)) = within(item, 0) {
                return (secret, at(item).or(host));
            }
        }
        (Secret::Unknown("asked for by Himalaya".to_owned()), host)
    }
}

/// The server's name alone: `imaps://imap.mail.me.com:993` has more.
fn bare(server: &str) -> &str {
    let name = server.rsplit_once("://").map_or(server, |(_, name)| name).trim_end_matches('/');
    name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(name, |(name, _)| name)
}

/// `raw`, `cmd`, `command` or `keyring`, a few tables deep.
fn within(item: &Item, depth: usize) -> Option<(Secret, &Item)> {
    let table = item.as_table_like()?;
    for (key, item) in table.iter() {
        let secret = match (key, item.as_str()) {
            ("raw", Some(text)) => Some(Secret::Plain(Zeroizing::new(text.to_owned()))),
            ("cmd" | "command", Some(text)) => shell::command(text).map(Secret::Command),
            ("cmd" | "command", None) => item.as_array().and_then(|words| {
                let words: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
                words.filter(|words| !words.is_empty()).map(Secret::Command)
            }),
            ("keyring", Some(name)) => {
                Some(Secret::Keyring(Source::Keyring { service: KEYRING.to_owned(), username: name.to_owned() }))
            }
            _ => None,
        };
        if let Some(secret) = secret {
            return Some((secret, item));
        }
    }
    if depth >= 4 {
        return None;
    }
    table.iter().find_map(|(_, item)| within(item, depth + 1))
}

fn child<'a>(table: &'a dyn TableLike, key: &str) -> Option<&'a Item> {
    table.get(key)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn the_forms_of_all_versions() {
        let text = r#"
[accounts.icloud]
default = true
email = "johnappleseed@icloud.com"

backend.type = "imap"
backend.host = "imap.mail.me.com"
backend.port = 993
backend.login = "johnappleseed"
backend.encryption.type = "tls"
backend.auth.type = "password"
backend.auth.cmd = "pass show icloud"

message.send.backend.type = "smtp"
message.send.backend.host = "smtp.mail.me.com"
message.send.backend.login = "johnappleseed@icloud.com"
message.send.backend.auth.type = "password"
message.send.backend.auth.keyring = "icloud-smtp"

[accounts.old]
email = "jane@me.com"
backend = "imap"
imap-host = "imap.mail.me.com"
imap-login = "jane"
imap-auth = { type = "passwd", passwd = { raw = "abcd-efgh-ijkl-mnop" } }
sender = "smtp"
smtp-host = "smtp.mail.me.com"
smtp-login = "jane@me.com"
smtp-passwd.cmd = "cat ~/.pw"

[accounts.new]
email = "jim@mac.com"
imap.server = "imaps://imap.mail.me.com:993"
imap.sasl.plain.username = "jim"
imap.sasl.plain.password.command = ["pass", "show", "jim"]
smtp.server = "smtp.mail.me.com:587"
smtp.starttls = true
[accounts.new.smtp.sasl.login]
username = "jim@mac.com"
password.raw = "qrst-uvwx-yzab-cdef"

[accounts.token]
imap.server = "imap.mail.me.com"
imap.sasl.xoauth2.username = "joe@mac.com"
imap.sasl.xoauth2.token.raw = "***"
smtp.server = "smtp://smtp.mail.me.com"
smtp.sasl.plain.authcid = "joe@mac.com"
smtp.sasl.plain.passwd.command = "pass show joe"

[accounts.files]
email = "x@icloud.com"
backend.type = "maildir"
"#;
        assert_eq!(
            found(read, text),
            [
                "12 icloud imap imap imap.mail.me.com johnappleseed command pass|show|icloud",
                "18 icloud smtp smtp smtp.mail.me.com johnappleseed@icloud.com keyring Keyring { service: \"himalaya-cli\", \
                 username: \"icloud-smtp\" }",
                "25 old imap imap imap.mail.me.com jane plain abcd-efgh-ijkl-mnop",
                "29 old smtp smtp smtp.mail.me.com jane@me.com command sh|-c|cat ~/.pw",
                "35 new imap imap imap.mail.me.com jim command pass|show|jim",
                "40 new smtp smtp smtp.mail.me.com jim@mac.com plain qrst-uvwx-yzab-cdef",
                "43 token imap imap imap.mail.me.com joe@mac.com unknown a token, not a password",
                "48 token smtp smtp smtp.mail.me.com joe@mac.com command pass|show|joe",
            ]
        );
        assert_eq!(found(read, "a = 1\nb = \n"), ["2: no TOML"]);
    }
}
