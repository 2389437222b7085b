//! Passwords in plain text in another program's configuration file.
//!
//! Decides that such a file is as fit to hold a password as one of ours: the same owner, the same mode. How the file is read
//! is the business of `config`, which knows other programs' files and hands the reader in. Never writes such a file.

use std::{fmt, path::PathBuf};

use zeroize::Zeroizing;

use super::Unavailable;

/// Where in which program's file the password stands.
#[derive(Clone)]
pub struct ProgramEntry {
    /// The program, as `secret.program.name` has it: "offlineimap".
    pub name: &'static str,
    /// The file that holds the password.
    pub file: PathBuf,
    /// Which of its passwords, in the words of that program: the name of an account or a repository.
    pub entry: String,
    /// How that program's files are read.
    pub find: Find,
}

/// Takes the text of a file and the name of an entry.
pub type Find = fn(&str, &str) -> Result<Zeroizing<String>, EntryError>;

/// Why a file gave no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryError {
    /// The file cannot be understood; the line, from 1, and why.
    Unparsable(usize, String),
    /// No entry has this name.
    Missing,
    /// The entry has no password in plain text.
    NotPlain,
    /// More than one entry has this name, with different passwords.
    Several,
}

impl ProgramEntry {
    /// The password in the text of its file.
    pub(super) fn password_in(&self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
        let Self { name, file, entry, find } = self;
        let shown = file.display();
        // Comments in another encoding do not matter; a password in one is not found.
        let text = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
        let password = find(&text, entry).map_err(|error| {
            Unavailable::new(match error {
                EntryError::Unparsable(line, why) => {
                    format!("{shown} cannot be read as {name} does: line {line}: {why}")
                }
                EntryError::Missing => format!("{shown} has no entry {entry} any more; `keypulse discover` looks anew"),
                EntryError::NotPlain => {
                    format!("the entry {entry} of {shown} holds no password any more; `keypulse discover` looks anew")
                }
                EntryError::Several => format!("several entries {entry} of {shown} have passwords, and not the same"),
            })
        })?;
        Ok(Zeroizing::new(password.as_bytes().to_vec()))
    }
}

/// The reader follows from the name.
impl PartialEq for ProgramEntry {
    fn eq(&self, other: &Self) -> bool {
        (self.name, &self.file, &self.entry) == (other.name, &other.file, &other.entry)
    }
}
impl Eq for ProgramEntry {}

impl fmt::Debug for ProgramEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, file, entry, find: _ } = self;
        f.debug_struct("ProgramEntry").field("name", name).field("file", file).field("entry", entry).finish()
    }
}
