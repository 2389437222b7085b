//! goimapnotify's configuration: YAML, or JSON as before; one account, a list, or a list below `configurations`.
//!
//! `passwordCMD` is run by a shell and goes before `password`. Names of keys have no case.

use std::{fs, path::Path};

use saphyr_parser::{Event, Parser, StrInput};
use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place, Text},
    shell,
};

pub(super) fn roots(place: &Place) -> Roots {
    let config = &place.config_home;
    let mut paths = vec![
        config.join("goimapnotify/goimapnotify.yaml"),
        config.join("goimapnotify/goimapnotify.conf"),
        config.join("imapnotify.conf"),
    ];
    // systemd's template takes every name below these.
    for directory in ["goimapnotify", "imapnotify"] {
        let names = fs::read_dir(config.join(directory)).into_iter().flatten().take(MOST_FILES).flatten();
        let mut found: Vec<_> = names
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension().is_some_and(|it| ["conf", "json", "yaml", "yml"].iter().any(|known| it == *known))
            })
            .filter(|path| !paths.contains(path))
            .collect();
        found.sort();
        paths.extend(found);
    }
    paths.into_iter().map(|path| vec![path]).collect()
}

/// More than anybody has accounts.
const MOST_FILES: usize = 100;

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let accounts = accounts(&text).map_err(|line| Fault::new(path, line, "neither YAML nor JSON"))?;
    let mut entries = Vec::new();
    for (number, account) in (1..).zip(accounts) {
        let value = |name: &str| account.iter().find(|key| key.name == name && !key.value.is_empty());
        let text = |name: &str| value(name).map(|key| key.value.to_string());
        let Some(at) = value("host").or_else(|| value("hostcmd")) else { continue };
        let command = value("passwordcmd").and_then(|key| Some((shell::command(&key.value)?, key.line)));
        let token = value("xoauth2").is_some_and(|key| key.value.as_str() == "true");
        let (secret, line) = if token {
            (Secret::Unknown("a token, not a password".to_owned()), at.line)
        } else if let Some((words, line)) = command {
            (Secret::Command(words), line)
        } else if let Some(key) = value("password") {
            (Secret::Plain(key.value.clone()), key.line)
        } else {
            (Secret::Unknown("it has none".to_owned()), at.line)
        };
        entries.push(Entry {
            name: text("alias").or_else(|| text("username")).unwrap_or_else(|| number.to_string()),
            file: path.to_owned(),
            line,
            service: Use::Imap,
            host: text("host"),
            username: text("username"),
            beside: None,
            secret,
        });
    }
    Ok(entries)
}

struct Key {
    /// In lower case.
    name: String,
    value: Text,
    line: usize,
}

/// How deep a file may nest.
const DEEPEST: usize = 32;

/// The mappings that may be accounts: that of the file, or those of a list of it. An error is the line.
fn accounts(text: &str) -> Result<Vec<Vec<Key>>, usize> {
    /// What an event is inside of.
    enum Inside {
        List,
        /// Which account it is, and the key whose value comes next.
        Mapping(usize, Option<(String, usize)>),
    }
    let mut accounts: Vec<Vec<Key>> = Vec::new();
    let mut way: Vec<Inside> = Vec::new();
    for event in Parser::new(StrInput::new(text)) {
        let (event, span) = event.map_err(|error| error.marker().line().max(1))?;
        let line = span.start.line().max(1);
        match event {
            Event::Scalar(value, ..) => {
                if let Some(Inside::Mapping(account, key)) = way.last_mut() {
                    match (key.take(), accounts.get_mut(*account)) {
                        (None, _) => *key = Some((value.to_lowercase(), line)),
                        (Some((name, line)), Some(account)) => {
                            account.push(Key { name, value: Zeroizing::new(value.into_owned()), line });
                        }
                        (Some(_), None) => {}
                    }
                }
            }
            Event::MappingStart(..) => {
                way.push(Inside::Mapping(accounts.len(), None));
                accounts.push(Vec::new());
            }
            Event::SequenceStart(..) => way.push(Inside::List),
            Event::MappingEnd | Event::SequenceEnd => {
                way.pop();
                // It was the value of a key, or a key that is no text.
                if let Some(Inside::Mapping(_, key)) = way.last_mut() {
                    *key = None;
                }
            }
            // What it stands for was seen where it is named.
            Event::Alias(_) => {
                if let Some(Inside::Mapping(_, key)) = way.last_mut() {
                    *key = None;
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
        if way.len() > DEEPEST {
            return Err(line);
        }
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn yaml_with_several_accounts() {
        let text = r#"# one of each
configurations:
    -
        host: imap.mail.me.com   # Apple
        port: 993
        tls: true
        tlsOptions:
            rejectUnauthorized: true
        username: johnappleseed
        alias: iCloud
        passwordCMD: 'pass show icloud | head -n1'
        boxes:
            -
                mailbox: INBOX
                onNewMail: 'mbsync icloud'
    - host: imap.mail.me.com
      username: "jane@me.com"
      password: "abcd-efgh-ijkl-mnop"
    - host: imap.example.org
      username: x
      passwordCmd: pass x
"#;
        assert_eq!(
            found(read, text),
            [
                "11 iCloud imap imap.mail.me.com johnappleseed command sh|-c|pass show icloud | head -n1",
                "18 jane@me.com imap imap.mail.me.com jane@me.com plain abcd-efgh-ijkl-mnop",
                "21 x imap imap.example.org x command pass|x",
            ]
        );
    }

    #[test]
    fn json_as_before() {
        let text = "{\n  \"host\": \"imap.mail.me.com\",\n  \"port\": 993,\n  \"tlsOptions\": { \"rejectUnauthorized\": true },\n\
            \x20 \"username\": \"john\",\n  \"passwordCmd\": \"pass show \\\"i c\\\"\",\n  \"boxes\": [\"INBOX\"]\n}\n";
        assert_eq!(found(read, text), ["6 john imap imap.mail.me.com john command pass|show|i c"]);
        let list = format!("[{text},{}]", text.replace("passwordCmd", "password"));
        assert_eq!(found(read, &list).len(), 2);
        assert_eq!(found(read, "a: [b\n"), ["2: neither YAML nor JSON"]);
    }
}
