//! `git send-email`: `sendemail.*` in `~/.gitconfig` and what it includes (git-config(1), "CONFIGURATION FILE";
//! git-send-email(1)).
//!
//! Conditional includes are read whatever their condition. Without `smtpPass`, git asks its credential helpers, which are
//! programs that are not run.

use std::{collections::BTreeMap, path::Path};

use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place, Text},
};

pub(super) fn roots(place: &Place) -> Roots {
    if let Some(path) = place.variable("GIT_CONFIG_GLOBAL") {
        return vec![vec![path.into()]];
    }
    let paths = place.system("/etc/gitconfig").into_iter();
    let paths = paths.chain([place.config_home.join("git/config"), place.home.join(".gitconfig")]);
    paths.map(|path| vec![path]).collect()
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let mut identities = BTreeMap::new();
    take(disk, &text, path, &mut identities)?;
    let common = identities.remove("").unwrap_or_default();
    let mut entries: Vec<Entry> = Vec::new();
    // An identity stands over what holds for all.
    for (name, own) in [(String::new(), common.clone())].into_iter().chain(identities) {
        let key = |key: &str| own.get(key).or_else(|| common.get(key));
        let text = |name: &str| key(name).map(|set| set.value.to_string());
        // A path is a program that sends.
        let Some(host) = key("smtpserver").filter(|set| !set.value.starts_with('/')) else { continue };
        let (secret, set) = match key("smtppass") {
            Some(set) => (Secret::Plain(set.value.clone()), set),
            None => (Secret::Unknown("from git's credential helpers, or asked for".to_owned()), host),
        };
        // An identity that changes nothing about the login.
        if entries.iter().any(|old| (&old.file, old.line) == (&set.file, set.line) && old.username == text("smtpuser"))
        {
            continue;
        }
        // The password of all, used by an identity, is the entry of all.
        let name = if own.contains_key("smtppass") { name } else { String::new() };
        entries.push(Entry {
            name: if name.is_empty() { "sendemail".to_owned() } else { format!("sendemail.{name}") },
            file: set.file.clone(),
            line: set.line,
            service: Use::Smtp,
            host: Some(host.value.to_string()),
            username: text("smtpuser"),
            beside: text("from"),
            secret,
        });
    }
    // A file of nothing but a password, which another one includes.
    if entries.is_empty()
        && let Some(set) = common.get("smtppass")
    {
        entries.push(Entry {
            name: "sendemail".to_owned(),
            file: set.file.clone(),
            line: set.line,
            service: Use::Smtp,
            host: None,
            username: None,
            beside: None,
            secret: Secret::Plain(set.value.clone()),
        });
    }
    Ok(entries)
}

/// More than anybody has. Each is compared with the others.
const MOST_IDENTITIES: usize = 1000;

/// A value and where it stands.
#[derive(Clone)]
struct Set {
    value: Text,
    file: std::path::PathBuf,
    line: usize,
}

/// By identity (empty: for all) and key in lower case.
type Identities = BTreeMap<String, BTreeMap<String, Set>>;

fn take(disk: &mut Disk, text: &str, path: &Path, identities: &mut Identities) -> Result<(), Fault> {
    let (mut section, mut sub) = (String::new(), None::<String>);
    let mut lines = (1..).zip(text.lines());
    while let Some((line, content)) = lines.next() {
        let wrong = |why: &str| Fault::new(path, line, why);
        let mut content = content.trim();
        if let Some(rest) = content.strip_prefix('[') {
            let (header, after) = header(rest).ok_or_else(|| wrong("a section's bracket is not closed"))?;
            (section, sub) = header;
            content = after.trim();
        }
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let (name, value) = content.split_once('=').map_or((content, None), |(name, value)| (name, Some(value)));
        let name = name.trim().to_lowercase();
        let mut whole: Text = Zeroizing::new(value.unwrap_or("true").to_owned());
        let value = loop {
            if let Some(value) = unquoted(&whole).map_err(wrong)? {
                break value;
            }
            whole.pop();
            let Some((_, next)) = lines.next() else { return Err(wrong("nothing follows the backslash")) };
            whole.push_str(next);
        };
        match (section.as_str(), sub.as_deref(), name.as_str()) {
            ("include", None, "path") | ("includeif", Some(_), "path") => {
                let file = path.parent().unwrap_or(Path::new("/")).join(disk.place.expand(&value));
                // git passes over what is not there.
                if file.exists() {
                    disk.included(&file, path, line, |disk, text| take(disk, text, &file, identities))
                        .unwrap_or(Ok(()))?;
                }
            }
            ("sendemail", sub, name) if identities.len() < MOST_IDENTITIES => {
                let identity = identities.entry(sub.unwrap_or_default().to_owned()).or_default();
                identity.insert(name.to_owned(), Set { value, file: path.to_owned(), line });
            }
            _ => {}
        }
    }
    Ok(())
}

type Header = (String, Option<String>);

/// `section]`, `section "sub"]`, and what follows.
fn header(text: &str) -> Option<(Header, &str)> {
    let end = text.find(|c: char| c == ']' || c == '"' || c.is_whitespace())?;
    let (section, rest) = text.split_at(end);
    // Old: `[section.sub]`.
    let (section, old_sub) = section.split_once('.').map_or((section, None), |(s, sub)| (s, Some(sub.to_lowercase())));
    let section = section.to_lowercase();
    let rest = rest.trim_start();
    if let Some(after) = rest.strip_prefix(']') {
        return Some(((section, old_sub), after));
    }
    let mut sub = String::new();
    let mut characters = rest.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => sub.push(characters.next()?),
            c => sub.push(c),
        }
    }
    let after = characters.as_str().trim_start().strip_prefix(']')?;
    Some(((section, Some(sub)), after))
}

/// A value without quotes, escapes and comments; none where it goes on in the next line.
fn unquoted(text: &str) -> Result<Option<Text>, &'static str> {
    let mut value: Text = Zeroizing::new(String::with_capacity(text.len()));
    // Spaces count only where something follows them, or in quotes.
    let (mut quoted, mut kept) = (false, 0);
    let mut characters = text.trim_start().chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            '\\' => match characters.next() {
                None => return Ok(None),
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(_) => return Err("a backslash before something that needs none"),
            },
            plain => value.push(plain),
        }
        if quoted || !character.is_whitespace() {
            kept = value.len();
        }
    }
    if quoted {
        return Err("a quote is not closed");
    }
    value.truncate(kept);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::tests::found, *};

    #[test]
    fn sendemail_with_identities() {
        let text = "[user]\n\tname = John\n[sendemail]\n\tsmtpServer = smtp.mail.me.com ; why\n\tsmtpUser = john@icloud.com\n\
                    \tsmtpEncryption = tls\n[sendemail \"work\"]\n\tsmtpserver = smtp.example.org\n\tsmtpuser = \"w # x\"\n\
                    \tsmtppass = a\\\\b\\\"c\n[sendemail \"jane\"] smtpUser = jane@me.com\n\tsmtpPass = \"abcd-\\\nefgh\"\n\
                    [sendemail \"mta\"]\n\tsmtpserver = /usr/bin/msmtp\n";
        assert_eq!(
            found(read, text),
            [
                "4 sendemail smtp smtp.mail.me.com john@icloud.com unknown from git's credential helpers, or asked for",
                "12 sendemail.jane smtp smtp.mail.me.com jane@me.com plain abcd-efgh",
                "10 sendemail.work smtp smtp.example.org w # x plain a\\b\"c",
            ]
        );
        assert_eq!(found(read, "[a\nb = 1\n"), ["1: a section's bracket is not closed"]);
        assert_eq!(found(read, "[a]\nb = \"1\n"), ["2: a quote is not closed"]);
    }

    #[test]
    fn includes_are_followed_and_loops_are_said() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join(".gitconfig");
        fs::write(&root, "[include]\npath = ~/mail.inc\n[includeIf \"gitdir:~/x/\"]\npath = gone\n").unwrap();
        let included =
            "[sendemail]\nsmtpserver=smtp.mail.me.com\nsmtpuser=john@me.com\nsmtppass=pw\n[include]\npath=mail.inc\n";
        fs::write(home.path().join("mail.inc"), included).unwrap();
        let place = Place::below(home.path());
        let mut disk = Disk::of(&place);
        let entries = read(&mut disk, &root).unwrap();
        assert_eq!((entries[0].file.file_name().unwrap().to_str(), entries[0].line), (Some("mail.inc"), 4));
        assert_eq!(disk.troubles.len(), 1);
        assert!(disk.troubles[0].why.ends_with("mail.inc, which includes this file"), "{:?}", disk.troubles);
    }
}
