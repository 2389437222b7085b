//! iCloud logins in the configuration of other programs: which login, in which file and line, and how the program gets its
//! password.
//!
//! One file per program, each written from that program's own documentation. Reads files and nothing else: runs nothing that
//! it finds, connects to nothing, changes nothing, and keeps no password. The same parsers read a password that stands in
//! such a file in plain text (`secret.program`), when it is asked for.

mod aerc;
mod disk;
mod entry;
mod evolution;
mod git;
mod goa;
mod goimapnotify;
mod himalaya;
mod icloud;
mod ini;
mod keyring;
mod kmail;
mod mbsync;
mod msmtp;
mod mutt;
mod netrc;
pub mod offers;
mod offlineimap;
mod program;
mod python;
mod shell;
mod thunderbird;
mod url;
mod vdirsyncer;

use std::path::PathBuf;

use self::{
    disk::{Disk, Fault},
    entry::{Entry, Secret},
    program::{Files, Roots},
};
pub use self::{
    disk::{Place, Trouble},
    icloud::same_mailbox,
    keyring::Attributes,
    program::{Program, Use},
};
use crate::{health::name::Address, secret::Source};

/// How a program gets the password of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a command, as the program runs it.
    Command(Vec<String>),
    /// In plain text in a file; the source reads it there.
    Plain(Source),
    /// From an item of the keyring.
    Keyring(Source),
    /// keypulse cannot tell, or cannot read it; holds why, as a phrase for people.
    Unknown(String),
}

/// A login that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whose it is.
    pub program: Program,
    /// The file, where it is one.
    pub file: Option<PathBuf>,
    /// The line in it, from 1: of the password where there is one, else of the login.
    pub line: Option<usize>,
    /// What it is for.
    pub service: Use,
    /// The server; not known where the program asks a command for it.
    pub host: Option<String>,
    /// The user name; not known where the program asks a command for it.
    pub username: Option<String>,
    /// The iCloud Mail address of the account, as far as it can be told.
    pub address: Option<Address>,
    /// How the program gets the password.
    pub way: Way,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// In the order of the programs, then as they stand in the files.
    pub logins: Vec<Login>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// The files that were looked for, whether or not they are there.
    pub looked: Vec<PathBuf>,
}

/// Reads the files of every program.
#[must_use]
pub fn discover(place: &Place) -> Discovery {
    let mut disk = Disk::of(place);
    let mut logins = Vec::new();
    for program in Program::ALL {
        let Some(Files { roots, read }) = program.files(place) else { continue };
        disk.looked.extend(roots.iter().flatten().cloned());
        // A link to nothing is there, too: that it cannot be read is worth a word.
        let there = |paths: Vec<PathBuf>| paths.into_iter().find(|path| path.symlink_metadata().is_ok());
        for root in roots.into_iter().filter_map(there) {
            match read(&mut disk, &root) {
                Ok(entries) => logins.extend(entries.into_iter().filter_map(|entry| entry.login(program, &mut disk))),
                Err(fault) => disk.trouble(fault),
            }
        }
    }
    // Said with the programs that take it from there.
    let taken: Vec<Source> =
        logins.iter().filter(|it| it.program != Program::Netrc).filter_map(|it| it.way.source()).collect();
    logins.retain(|it| it.program != Program::Netrc || it.way.source().is_none_or(|source| !taken.contains(&source)));
    icloud::settle(&mut logins);
    let Disk { troubles, looked, .. } = disk;
    Discovery { logins, troubles, looked }
}

impl Discovery {
    /// Adds the logins among the items of the keyring, told by their attributes; `program` says of which keyring.
    pub fn add_keyring(&mut self, items: &[Attributes], program: Program, place: &Place) {
        let mut disk = Disk::of(place);
        let found = keyring::logins(items, program, &mut disk, place);
        // Now it is known how KMail gets the password.
        let again = |login: &Login| found.iter().any(|it| (&it.file, it.line) == (&login.file, login.line));
        self.logins.retain(|login| login.program != Program::Kmail || !again(login));
        self.logins.extend(found);
        self.troubles.extend(disk.troubles);
        icloud::settle(&mut self.logins);
    }

    /// The logins whose password comes from this source.
    pub fn using<'a>(&'a self, source: &'a Source) -> impl Iterator<Item = &'a Login> {
        self.logins.iter().filter(|login| login.way.source().is_some_and(|it| offers::same_source(&it, source)))
    }
}

impl Way {
    /// The word in JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Plain(_) => "plain",
            Self::Keyring(_) => "keyring",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The source that keypulse can read; none where the password has to be asked for.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Command(words) => Some(Source::Command(words.clone())),
            Self::Plain(source) | Self::Keyring(source) => Some(source.clone()),
            Self::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
