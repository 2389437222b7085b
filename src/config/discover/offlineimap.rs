//! OfflineIMAP's `~/.offlineimaprc` (offlineimap.conf in its documentation).
//!
//! Python's INI dialect with `%(key)s` in values. `remotepasseval` is Python: it is not run, and understood only where it does
//! nothing but run a command.

use std::path::Path;

use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place, Text},
    ini::{self, Section},
    python,
};

pub(super) fn roots(place: &Place) -> Roots {
    vec![vec![place.config_home.join("offlineimap/config"), place.home.join(".offlineimaprc")]]
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let sections = ini::python(&text).map_err(|(line, why)| Fault::new(path, line, why))?;
    let defaults = sections.iter().find(|section| section.name == "DEFAULT");
    let mut entries = Vec::new();
    for section in &sections {
        let Some(name) = section.name.strip_prefix("Repository ") else { continue };
        let values = Values { section, defaults, path };
        let kind = values.get("type")?.map(|(kind, _)| kind.to_string());
        if !kind.is_some_and(|kind| matches!(kind.as_str(), "IMAP" | "Gmail")) {
            continue;
        }
        let host = values.get("remotehost")?;
        let user = values.get("remoteuser")?;
        let at = host.as_ref().map_or(section.line, |(_, line)| *line);
        let (secret, line) = if let Some((code, line)) = values.get("remotepasseval")? {
            let why = || Secret::Unknown("from Python code (remotepasseval), which is not run".to_owned());
            (python::command(&code).map_or_else(why, Secret::Command), line)
        } else if let Some((password, line)) = values.get("remotepass")? {
            (Secret::Plain(password), line)
        } else if let Some((file, line)) = values.get("remotepassfile")? {
            (Secret::File(disk.place.expand(&file)), line)
        } else {
            (Secret::Netrc("from ~/.netrc, or asked for when OfflineIMAP runs".to_owned()), at)
        };
        entries.push(Entry {
            name: name.trim().to_owned(),
            file: path.to_owned(),
            line,
            service: Use::Imap,
            host: host.map(|(host, _)| host.to_string()),
            username: user.map(|(user, _)| user.to_string()),
            beside: None,
            secret,
        });
    }
    Ok(entries)
}

/// A section over the defaults.
struct Values<'a> {
    section: &'a Section,
    defaults: Option<&'a Section>,
    path: &'a Path,
}

impl Values<'_> {
    /// A value with its line, what stands in `%(…)s` filled in.
    fn get(&self, name: &str) -> Result<Option<(Text, usize)>, Fault> {
        let Some(key) = self.section.key(name).or_else(|| self.defaults?.key(name)) else { return Ok(None) };
        let value = self.filled(&key.value, 0, &mut 0).map_err(|why| Fault::new(self.path, key.line, why))?;
        Ok(Some((value, key.line)))
    }

    /// `%(key)s` is another value, `%%` a percent sign (configparser's BasicInterpolation; ten levels as there).
    fn filled(&self, text: &str, depth: usize, taken: &mut usize) -> Result<Text, &'static str> {
        const DEEPEST: usize = 10;
        /// The longest value that can come of it: each level could double it.
        const LONGEST: usize = 1 << 16;
        /// How many are filled in, even if nothing comes of it: each level could have many of the next.
        const MOST: usize = 200;
        if depth > DEEPEST {
            return Err("values refer to each other in a circle");
        }
        let mut filled: Text = Zeroizing::new(String::with_capacity(text.len()));
        let mut rest = text;
        while let Some((plain, after)) = rest.split_once('%') {
            filled.push_str(plain);
            if let Some(after) = after.strip_prefix('%') {
                filled.push('%');
                rest = after;
            } else if let Some((name, after)) = after.strip_prefix('(').and_then(|inner| inner.split_once(")s")) {
                let name = name.to_lowercase();
                let other = self.section.key(&name).or_else(|| self.defaults?.key(&name));
                let other = other.ok_or("a value refers to one that is not there")?;
                *taken += 1;
                if *taken > MOST {
                    return Err("more than 200 values within a value");
                }
                filled.push_str(&self.filled(&other.value, depth + 1, taken)?);
                rest = after;
            } else {
                return Err("a % that is neither %% nor %(name)s");
            }
            if filled.len() > LONGEST {
                return Err("a value is longer than 64 KiB");
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn repositories_with_every_kind_of_password() {
        let text = "[general]
accounts = iCloud

[DEFAULT]
host = imap.mail.me.com

[Account iCloud]
localrepository = Local
remoterepository = Remote

[Repository Local]
type = Maildir
localfolders = ~/Mail

[Repository Remote]
type = IMAP
remotehost = %(host)s
remoteuser = johnappleseed
remotepasseval = subprocess.check_output([\"pass\", \"show\", \"icloud\"]).decode().splitlines()[0]

[Repository R]
type: IMAP
remotehost: %(host)s
remoteuser: jane@me.com
remotepass: ab%%cd

[Repository F]
type = IMAP
remotehost = imap.mail.me.com
remoteuser = jane
remotepassfile = ~/.pw

[Repository E]
type = IMAP
remotehost = imap.mail.me.com
remoteusereval = get_user()
remotepasseval = get_pass(\"icloud\")

[Repository N]
type = IMAP
remotehost =
    imap.mail.me.com
remoteuser = jim
";
        assert_eq!(
            found(read, text),
            [
                "19 Remote imap imap.mail.me.com johnappleseed command pass|show|icloud",
                "25 R imap imap.mail.me.com jane@me.com plain ab%cd",
                "31 F imap imap.mail.me.com jane file /home/me/.pw",
                "37 E imap imap.mail.me.com - unknown from Python code (remotepasseval), which is not run",
                "41 N imap \nimap.mail.me.com jim unknown from ~/.netrc, or asked for when OfflineIMAP runs",
            ]
        );
        assert_eq!(
            found(read, "[Repository R]\ntype=IMAP\nremotehost=%(a)s\na=%(remotehost)s\n"),
            ["3: values refer to each other in a circle"]
        );
        assert_eq!(
            found(read, "[Repository R]\ntype=IMAP\nremotepass=50%\n"),
            ["3: a % that is neither %% nor %(name)s"]
        );
    }
}
