//! A database that is damaged: put aside, never deleted, and begun anew with a note of it.
//!
//! Decides what counts as damage, and how the new database takes the old one's place so that no crash in between makes it look
//! as if there had never been one. What a loss means for the ration is the engine's business.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use serde::{Deserialize, Serialize};

use super::{FILE, Store, StoreError, hold, private, write::json};
use crate::health::{name::Digest, schedule::Timestamp};

/// The new database until it takes its place.
const NEW: &str = "keypulse.sqlite.new";
/// Beside the digest key lies a database: the key is made after it.
const KEY: &str = "digest.key";
/// The row of `meta` that tells of the latest loss.
const LOSS: &str = "loss";
/// The row of `meta` with the mark of the key.
const MARK: &str = "key";
/// SQLite's own files beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// Damage of the same second gets another number.
const MOST: u32 = 100;

/// A database was damaged, and begun anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// When it was found out, which is when the new one begins.
    pub at: Timestamp,
    /// Where the old one lies.
    pub kept_as: PathBuf,
    /// What was wrong with it.
    pub why: String,
}

impl StoreError {
    /// Whether the database is damaged, so that trying again is no use.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Row { .. } => true,
            Self::Sqlite { source, .. } => is_damage(source),
            Self::Held { .. } | Self::Absent | Self::File { .. } | Self::Newer { .. } => false,
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "both lists are long and open; what is not named here is no damage")]
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            // SQLITE_ERROR: our statements fit our schema, so it is not our schema that is there.
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => true,
            _ => false,
        },
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}

impl Store {
    /// Puts the damaged database in `directory` aside and opens a new one, which remembers nothing but that.
    ///
    /// # Errors
    /// As [`Store::open`]. Then the next start finds the damaged one again.
    pub fn replace(directory: &Path, why: &str, at: Timestamp) -> Result<(Self, Loss), StoreError> {
        let lock = hold(directory)?;
        let loss = Loss { at, kept_as: free_name(directory, at), why: why.to_owned() };
        make(directory, &loss)?;
        swap(directory, &loss).map_err(|source| StoreError::File { path: directory.join(FILE), source })?;
        drop(lock);
        Ok((Self::open(directory)?, loss))
    }

    /// The latest loss, if there ever was one.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn loss(&self) -> Result<Option<Loss>, StoreError> {
        self.meta(LOSS)
    }

    /// Holds the state to the key that its digests were made with, of which it notes the mark.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where that was another one: no password that it remembers would be known again, and all that is
    /// known of them, verdicts and refusals, would be forgotten without a word.
    pub fn belong_to(&mut self, mark: Digest) -> Result<(), StoreError> {
        if self.is_of(mark)? {
            return Ok(());
        }
        let note = |connection: &Connection| {
            connection.execute("INSERT INTO meta VALUES (?, ?)", params![MARK, json(&mark.tag())?]).map(drop)
        };
        note(&self.connection).map_err(|source| self.sqlite(source))
    }

    /// Whether it was made with the key of that mark; `false` where it has noted none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it was made with another.
    pub fn is_of(&self, mark: Digest) -> Result<bool, StoreError> {
        match self.meta::<String>(MARK)? {
            Some(noted) if noted == mark.tag() => Ok(true),
            Some(_) => Err(StoreError::Damaged {
                path: self.path.clone(),
                what: format!("{KEY} beside it, by which it knew passwords again, is gone or another one"),
            }),
            None => Ok(false),
        }
    }

    /// Whether the key is gone that was there.
    pub(super) fn lacks_key(&self) -> Result<bool, StoreError> {
        Ok(self.meta::<String>(MARK)?.is_some() && !self.path.with_file_name(KEY).exists())
    }

    /// Has SQLite look through the whole file: a damaged page would otherwise be met by a login's result one day.
    pub(super) fn refuse_damaged(&self) -> Result<(), StoreError> {
        match self.damage(1)?.pop() {
            Some(what) => Err(StoreError::Damaged { path: self.path.clone(), what: plain(&what) }),
            None => Ok(()),
        }
    }
}

/// SQLite's words on damage name what it found in the file, which can be anything.
fn plain(what: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    what.chars().map(plain).take(100).collect::<String>().trim().to_owned()
}

/// SQLite takes an empty file for a new database. One beside a key was not empty before.
pub(super) fn refuse_emptied(path: &Path, directory: &Path) -> Result<(), StoreError> {
    let emptied = fs::metadata(path).is_ok_and(|file| file.len() == 0) && directory.join(KEY).exists();
    if emptied {
        return Err(StoreError::Damaged { path: path.to_owned(), what: "the file is empty".to_owned() });
    }
    Ok(())
}

/// Finishes what a crash cut off: the old database is out of its place, and the new one not in it.
pub(super) fn finish(directory: &Path) -> Result<(), StoreError> {
    let (path, new) = (directory.join(FILE), directory.join(NEW));
    if path.exists() || !new.exists() {
        return Ok(());
    }
    let store = Store::connect(new, OpenFlags::SQLITE_OPEN_READ_ONLY, None)?;
    let loss = store.loss()?;
    drop(store);
    match loss {
        Some(loss) => swap(directory, &loss).map_err(|source| StoreError::File { path, source }),
        None => Ok(()),
    }
}

/// The new database under its first name, whole and on the disk. It has no files beside it yet.
fn make(directory: &Path, loss: &Loss) -> Result<(), StoreError> {
    let path = directory.join(NEW);
    for file in [path.clone(), directory.join(format!("{NEW}-journal"))] {
        match fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::File { path: file, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    private(&path)?;
    let mut store = Store::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, None)?;
    store.migrate()?;
    let note = |connection: &Connection| {
        connection.execute("REPLACE INTO meta VALUES (?, ?)", params![LOSS, json(loss)?]).map(drop)
    };
    note(&store.connection).map_err(|source| store.sqlite(source))
}

/// Old out, new in. Each step may have been done before.
fn swap(directory: &Path, loss: &Loss) -> io::Result<()> {
    let moved = |from: PathBuf, to: PathBuf| match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    moved(directory.join(FILE), loss.kept_as.clone())?;
    // Out of the way before the new one comes: SQLite would read them as its.
    for beside in BESIDE {
        let mut kept = loss.kept_as.clone().into_os_string();
        kept.push(beside);
        moved(directory.join(format!("{FILE}{beside}")), kept.into())?;
    }
    fs::rename(directory.join(NEW), directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

fn free_name(directory: &Path, at: Timestamp) -> PathBuf {
    let name = |number: u32| {
        let more = if number == 0 { String::new() } else { format!("-{number}") };
        directory.join(format!("{FILE}.damaged-{}{more}", at.as_millis() / 1000))
    };
    (0..MOST).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{
        event::Record,
        name::Address,
        ration::Spent,
        schedule::{Anchor, Timestamp},
    };

    const AT: Timestamp = Timestamp::from_millis(1_795_377_600_000);

    /// A state with something in it, long enough to have several pages.
    fn filled(directory: &Path) {
        let mut store = Store::open(directory).unwrap();
        let account = Address::new("jane@me.com").unwrap();
        let spent = |id| Record::Spent { account: account.clone(), spent: Spent { id, at: AT } };
        let records: Vec<Record> = (1..2000).map(spent).collect();
        let anchor = Anchor { boot: None, since_boot_ms: 5, wall_ms: 7, at: AT };
        store.commit(&records, &anchor).unwrap();
        drop(store);
        fs::write(directory.join(KEY), "k").unwrap();
    }

    fn opened(directory: &Path) -> Result<usize, StoreError> {
        let store = Store::open(directory)?;
        Ok(store.memory()?.accounts.values().map(|account| account.spent.len()).sum())
    }

    #[test]
    fn every_kind_of_damage_is_seen() {
        for (what, spoil) in [
            ("emptied", (|bytes| bytes.clear()) as fn(&mut Vec<u8>)),
            ("cut in the header", |bytes| bytes.truncate(50)),
            ("cut to a page", |bytes| bytes.truncate(4096)),
            ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
            ("another file", |bytes| *bytes = b"this is not a database, not at all, by no means".to_vec()),
            ("zeros", |bytes| bytes.fill(0)),
            ("a page overwritten", |bytes| bytes[4096 * 3..4096 * 5].fill(0xff)),
            ("the last page overwritten", |bytes| {
                let from = bytes.len() - 4096;
                bytes[from..].fill(0x55);
            }),
        ] {
            let directory = tempfile::tempdir().unwrap();
            filled(directory.path());
            assert_eq!(opened(directory.path()).unwrap(), 1999);
            let path = directory.path().join(FILE);
            let mut bytes = fs::read(&path).unwrap();
            assert!(bytes.len() > 8 * 4096, "{}", bytes.len());
            spoil(&mut bytes);
            fs::write(&path, &bytes).unwrap();
            let error = opened(directory.path()).unwrap_err();
            assert!(error.is_damage(), "{what}: {error:?}");
            let (store, loss) = Store::replace(directory.path(), &error.to_string(), AT).unwrap();
            assert_eq!(fs::read(&loss.kept_as).unwrap(), bytes, "{what}: kept as it was");
            assert_eq!((store.loss().unwrap(), store.memory().unwrap().lost_at), (Some(loss), Some(AT)), "{what}");
            drop(store);
            assert_eq!(opened(directory.path()).unwrap(), 0, "{what}: and stays so");
        }
    }

    #[test]
    fn a_crash_between_old_and_new_makes_no_state_that_never_was() {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        let loss = Loss { at: AT, kept_as: free_name(directory.path(), AT), why: "a test".to_owned() };
        make(directory.path(), &loss).unwrap();
        fs::rename(directory.path().join(FILE), &loss.kept_as).unwrap();
        fs::write(directory.path().join("keypulse.sqlite-wal"), "left behind").unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.loss().unwrap(), Some(loss));
        assert!(!directory.path().join(NEW).exists());
    }

    #[test]
    fn what_may_pass_is_no_damage() {
        let directory = tempfile::tempdir().unwrap();
        let _held = Store::open(directory.path()).unwrap();
        assert!(!Store::open(directory.path()).unwrap_err().is_damage());
        for code in [rusqlite::ffi::SQLITE_FULL, rusqlite::ffi::SQLITE_READONLY, rusqlite::ffi::SQLITE_IOERR] {
            let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            assert!(!StoreError::Sqlite { path: PathBuf::new(), source }.is_damage(), "{code}");
        }
    }
}
