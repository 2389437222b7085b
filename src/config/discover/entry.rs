//! A login as it stands in a file, and the password that may stand with it.
//!
//! Decides what of it may be shown, and that a password is read again by the name of its entry. The one place where a password
//! of another program's file is held, and only until it is handed on or dropped.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{
    Login, Program, Use, Way,
    disk::{Disk, Fault, Place},
    icloud, netrc,
    program::Read,
};
use crate::{
    config::excerpt::has_app_password,
    secret::{EntryError, ProgramEntry, Source},
};

/// A login in a file, with the password if it stands there. For any server; which are iCloud's is decided later.
pub(super) struct Entry {
    /// What it is called in its program's words; unique in the file, where the program wants it so.
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) service: Use,
    pub(super) host: Option<String>,
    pub(super) username: Option<String>,
    /// An address that stands beside it, such as the sender's.
    pub(super) beside: Option<String>,
    pub(super) secret: Secret,
}

/// How an entry gets its password. No `Debug`: it may hold it.
#[derive(Clone)]
pub(super) enum Secret {
    /// It stands there.
    Plain(Zeroizing<String>),
    /// The first line of a file.
    File(PathBuf),
    Command(Vec<String>),
    Keyring(Source),
    /// From `~/.netrc`, if it is there; else unknown.
    Netrc(String),
    Unknown(String),
}

impl Entry {
    /// The login, if it is one at iCloud. The password is dropped here.
    pub(super) fn login(self, program: Program, disk: &mut Disk) -> Option<Login> {
        let Self { name, file, line, service, host, username, beside, secret } = self;
        let tidy = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let host = host.and_then(tidy).map(|host| host.trim_end_matches('.').to_lowercase());
        let username = username.and_then(tidy);
        if !icloud::is_login(host.as_deref(), username.as_deref()) {
            return None;
        }
        let way = match secret {
            Secret::Plain(password) => in_plain_text(program, &file, &name, &password, disk),
            Secret::File(path) => Way::Plain(Source::File(path)),
            Secret::Command(words) if holds_password(&words) => {
                Way::Unknown("a command that holds the password itself; better keep it in the keyring".to_owned())
            }
            Secret::Command(mut words) => {
                // No shell reads it, and nobody has a program called `~`.
                if let Some(program) = words.first_mut().filter(|program| program.starts_with("~/")) {
                    *program = disk.place.expand(program).to_string_lossy().into_owned();
                }
                Way::Command(words)
            }
            Secret::Keyring(source) => Way::Keyring(source),
            Secret::Netrc(why) => in_netrc(host.as_deref(), username.as_deref(), disk).unwrap_or(Way::Unknown(why)),
            Secret::Unknown(why) => Way::Unknown(why),
        };
        let address = icloud::address(username.as_deref(), beside.as_deref());
        Some(Login { program, file: Some(file), line: Some(line), service, host, username, address, way })
    }
}

/// Whether a command prints a password that stands in it. It must get neither into the configuration nor onto a screen.
fn holds_password(words: &[String]) -> bool {
    let text = match words {
        [sh, c, text] if sh == "sh" && c == "-c" => text.trim_start(),
        _ => words.first().map_or("", String::as_str),
    };
    let program = text.split_whitespace().next().unwrap_or_default();
    matches!(program.rsplit('/').next(), Some("echo" | "printf")) || words.iter().any(|word| has_app_password(word))
}

fn in_netrc(host: Option<&str>, username: Option<&str>, disk: &mut Disk) -> Option<Way> {
    let Entry { name, file, secret, .. } = netrc::of_login(disk, host, username)?;
    let Secret::Plain(password) = secret else { return None };
    Some(in_plain_text(Program::Netrc, &file, &name, &password, disk))
}

/// The password as a source, if the file alone tells it by its entry's name: that is how it is going to be read.
fn in_plain_text(program: Program, file: &Path, entry: &str, password: &Zeroizing<String>, disk: &mut Disk) -> Way {
    let readable = program.plain_text().filter(|(_, find)| {
        disk.open(file).is_some_and(|text| find(&text, entry).is_ok_and(|found| found == *password))
    });
    match readable {
        Some((name, find)) => {
            let (file, entry) = (file.to_owned(), entry.to_owned());
            Way::Plain(Source::Program(ProgramEntry { name, file, entry, find }))
        }
        None => Way::Unknown("plain text that stands there more than once, or is put together".to_owned()),
    }
}

/// The password of an entry in a text.
pub(super) fn find(read: Read, text: &str, entry: &str) -> Result<Zeroizing<String>, EntryError> {
    let place = Place::nowhere();
    let entries = read(&mut Disk::only(&place, text), Path::new(""))
        .map_err(|Fault { line, why, .. }| EntryError::Unparsable(line, why))?;
    let mut found = false;
    let mut password: Option<Zeroizing<String>> = None;
    for entry in entries.into_iter().filter(|it| it.name == entry) {
        found = true;
        let Secret::Plain(plain) = entry.secret else { continue };
        // Bytes that are no text: not the password any more.
        if plain.contains('\u{fffd}') {
            continue;
        }
        if password.as_ref().is_some_and(|other| *other != plain) {
            return Err(EntryError::Several);
        }
        password = Some(plain);
    }
    password.ok_or(if found { EntryError::NotPlain } else { EntryError::Missing })
}
