//! `~/.netrc`: names and passwords by server, for curl, fetchmail, msmtp, OfflineIMAP, vdirsyncer and others (netrc(5), curl's
//! CURLOPT_NETRC(3), "FILE FORMAT").
//!
//! Pairs of words across lines. Decides which words are keywords, and which entry a program takes that looks here for its
//! password. A password that begins with `#` is one: comments stand where a keyword would.

use std::path::Path;

use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret,
    disk::{Disk, Fault, Place},
    keyring::use_of,
};

pub(super) fn roots(place: &Place) -> Roots {
    vec![vec![place.home.join(".netrc")]]
}

/// More than anybody has.
const MOST: usize = 1000;

/// A machine.
#[derive(Default)]
struct Machine {
    host: Option<String>,
    login: Option<String>,
    port: String,
    password: Option<(Zeroizing<String>, usize)>,
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let (mut entries, mut machine) = (Vec::new(), Machine::default());
    let mut words = Words::of(&text);
    while let Some((word, line)) = words.keyword().map_err(|line| fault(path, line))? {
        if entries.len() == MOST {
            return Err(Fault::new(path, line, "more than 1000 machines"));
        }
        match word.as_str() {
            "default" => entries.extend(std::mem::take(&mut machine).entry(path)),
            "macdef" => words.skip_macro(),
            keyword @ ("machine" | "login" | "password" | "account" | "port") => {
                let Some((value, line)) = words.value().map_err(|line| fault(path, line))? else { break };
                match keyword {
                    "machine" => {
                        entries.extend(std::mem::take(&mut machine).entry(path));
                        machine.host = Some(value.to_string());
                    }
                    "login" => machine.login = Some(value.to_string()),
                    "password" => machine.password = Some((value, line)),
                    "port" => value.as_str().clone_into(&mut machine.port),
                    _ => {}
                }
            }
            // Not known to everybody; neither is what follows it.
            _ => {}
        }
    }
    entries.extend(machine.entry(path));
    Ok(entries)
}

fn fault(path: &Path, line: usize) -> Fault {
    Fault::new(path, line, "a quote is not closed")
}

impl Machine {
    fn entry(self, file: &Path) -> Option<Entry> {
        let Self { host, login, port, password } = self;
        let (host, (password, line)) = (host?, password?);
        Some(Entry {
            name: login.as_ref().map_or_else(|| host.clone(), |login| format!("{host} {login}")),
            file: file.to_owned(),
            line,
            service: use_of(&host.to_lowercase(), &port),
            host: Some(host),
            username: login,
            beside: None,
            secret: Secret::Plain(password),
        })
    }
}

/// The entry that a program takes for its login: the first of the server that has this name, or no other.
pub(super) fn of_login(disk: &mut Disk, host: Option<&str>, username: Option<&str>) -> Option<Entry> {
    let path = disk.place.home.join(".netrc");
    // What cannot be read is said where the file is searched for itself.
    let entries = path.exists().then(|| read(disk, &path).ok())??;
    entries.into_iter().find(|entry| {
        let same = |one: &Option<String>, other: &str| one.as_ref().is_some_and(|one| one.eq_ignore_ascii_case(other));
        host.is_some_and(|host| same(&entry.host, host))
            && username.is_none_or(|name| entry.username.is_none() || entry.username.as_deref() == Some(name))
    })
}

/// The words of the file, one after the other.
struct Words<'text> {
    rest: &'text str,
    line: usize,
}

type Word = (Zeroizing<String>, usize);

impl<'text> Words<'text> {
    const fn of(text: &'text str) -> Self {
        Self { rest: text, line: 1 }
    }

    /// The next word where a keyword stands.
    fn keyword(&mut self) -> Result<Option<Word>, usize> {
        self.skip_space();
        while self.rest.starts_with('#') {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            self.skip_space();
        }
        self.value()
    }

    /// The next word, perhaps in quotes; with its line.
    fn value(&mut self) -> Result<Option<Word>, usize> {
        self.skip_space();
        let line = self.line;
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let word = self.take(self.rest.find(char::is_whitespace).unwrap_or(self.rest.len()));
            return Ok((!word.is_empty()).then(|| (Zeroizing::new(word.to_owned()), line)));
        };
        let mut word = Zeroizing::new(String::with_capacity(quoted.len().min(1024)));
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.take(at + 2);
                    return Ok(Some((word, line)));
                }
                '\n' => break,
                '\\' => word.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 'r')) => '\r',
                    Some((_, 't')) => '\t',
                    Some((_, other)) => other,
                    None => break,
                }),
                plain => word.push(plain),
            }
        }
        Err(line)
    }

    /// A macro ends with an empty line.
    fn skip_macro(&mut self) {
        let end = self.rest.find("\n\n").map_or(self.rest.len(), |at| at + 2);
        self.take(end);
    }

    fn skip_space(&mut self) {
        self.take(self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len()));
    }

    fn take(&mut self, length: usize) -> &'text str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn machines_on_one_line_and_on_many() {
        let text = "# Mail
machine imap.mail.me.com login johnappleseed password abcd-efgh-ijkl-mnop
machine smtp.mail.me.com
	login johnappleseed@icloud.com   # behind it, too
	password \"with \\\"space\\\"\"

machine p42-caldav.icloud.com login jane account none password #hash
macdef init
machine nonsense login password
password x

machine localhost port smtp login jane@me.com password secret
machine imap.mail.me.com password nameless
machine imap.example.org login nobody
default login anonymous password user@site
";
        assert_eq!(
            found(read, text),
            [
                "2 imap.mail.me.com johnappleseed imap imap.mail.me.com johnappleseed plain abcd-efgh-ijkl-mnop",
                "5 smtp.mail.me.com johnappleseed@icloud.com smtp smtp.mail.me.com johnappleseed@icloud.com plain with \"space\"",
                "7 p42-caldav.icloud.com jane caldav p42-caldav.icloud.com jane plain #hash",
                "12 localhost jane@me.com smtp localhost jane@me.com plain secret",
                "13 imap.mail.me.com imap imap.mail.me.com - plain nameless",
            ]
        );
        assert_eq!(found(read, "machine a\nlogin \"b\npassword c"), ["2: a quote is not closed"]);
        assert_eq!(found(read, "machine imap.mail.me.com login a password"), Vec::<String>::new());
    }

    /// The whole way: through the file of a program that holds no password.
    #[test]
    fn programs_without_a_password_take_it_from_there() {
        use super::super::{Program, Source, Way, discover};
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        put(".msmtprc", "account a\nhost smtp.mail.me.com\nauth on\nuser jane@me.com\n");
        put(
            ".netrc",
            "machine smtp.mail.me.com login jane@me.com password a\nmachine imap.mail.me.com login jane password b\n",
        );
        let found = discover(&Place::below(home.path()));
        let told: Vec<_> = found
            .logins
            .iter()
            .map(|login| {
                let Way::Plain(Source::Program(it)) = &login.way else { panic!("{login:?}") };
                (login.program, it.name, it.entry.as_str())
            })
            .collect();
        assert_eq!(
            told,
            [
                (Program::Msmtp, "netrc", "smtp.mail.me.com jane@me.com"),
                (Program::Netrc, "netrc", "imap.mail.me.com jane"),
            ]
        );
    }
}
