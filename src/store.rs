//! What outlives the process: SQLite in the state directory.
//!
//! Every step of the engine is committed here before anybody outside sees it. Secrets are not here: pairs are keyed digests,
//! and the key lies beside the database. One process at a time holds the state: [`Store::open`] takes a lock.

mod error;
mod firsts;
mod loss;
mod past;
mod sound;
mod tally;
mod write;

pub use error::StoreError;
pub use loss::Loss;
pub use past::PastLogin;
pub use sound::Soundness;

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use serde::de::DeserializeOwned;

use self::write::{json, write};
use crate::{
    health::{
        event::{Memory, Record, StoredAccount},
        ration::Spent,
        schedule::{Anchor, DAY, Timestamp},
    },
    place,
};

/// The file in the state directory.
const FILE: &str = "keypulse.sqlite";
/// The file whose lock says that a process holds the state.
const LOCK: &str = "lock";
/// Attempts and transitions older than this are deleted.
const KEPT: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 60 * 60);

/// Migrations, in order. `user_version` counts those applied; one that was released is never changed.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE accounts (address TEXT PRIMARY KEY, memory TEXT NOT NULL) STRICT;
    CREATE TABLE credentials (
        account TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, memory TEXT NOT NULL,
        PRIMARY KEY (account, name)) STRICT;
    -- One row per secret of an account: keyed digests of the secret and of its pairs with the user names.
    CREATE TABLE pairs (
        account TEXT NOT NULL, secret BLOB NOT NULL, imap BLOB NOT NULL, smtp BLOB NOT NULL, memory TEXT NOT NULL,
        PRIMARY KEY (account, secret, imap, smtp)) STRICT;
    -- Failed logins, and logins not answered yet.
    CREATE TABLE ration (id INTEGER PRIMARY KEY, account TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, account TEXT NOT NULL, credential TEXT NOT NULL,
        service TEXT NOT NULL, why TEXT NOT NULL, finding TEXT NOT NULL, cause TEXT, code TEXT, detail TEXT,
        took_ms INTEGER) STRICT;
    CREATE INDEX attempts_by_credential ON attempts (credential, at);
    CREATE TABLE transitions (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, account TEXT NOT NULL, credential TEXT NOT NULL,
        transition TEXT NOT NULL) STRICT;
    CREATE TABLE incidents (
        id INTEGER PRIMARY KEY, account TEXT NOT NULL, resolved_at INTEGER, file TEXT NOT NULL) STRICT;
    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY, account TEXT NOT NULL, incident INTEGER NOT NULL, channel TEXT NOT NULL,
        settled INTEGER NOT NULL, delivery TEXT NOT NULL) STRICT;
",
    // Which secret an attempt sent (null: stored before this) and in which round, and by which rule it was decided.
    "
    ALTER TABLE attempts ADD COLUMN secret TEXT;
    ALTER TABLE attempts ADD COLUMN round INTEGER;
    CREATE TABLE rulings (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, account TEXT NOT NULL, secret TEXT NOT NULL, ruling TEXT NOT NULL
    ) STRICT;
    CREATE INDEX rulings_by_secret ON rulings (account, secret);
",
];

/// The state on disk.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Held until the process ends. `None` where the state is only read.
    _lock: Option<fs::File>,
}

impl Store {
    /// Opens the state in `directory` for this process alone; makes it (0700, files 0600) if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Held`] where another process has it, others where it cannot be used.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = hold(directory)?;
        loss::finish(directory)?;
        let path = directory.join(FILE);
        loss::refuse_emptied(&path, directory)?;
        private(&path)?; // so that SQLite, and its -wal and -shm files, take over the mode
        let mut store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Some(lock))?;
        store.prepare().map_err(|source| store.sqlite(source))?;
        store.migrate()?;
        store.refuse_damaged()?;
        Ok(store)
    }

    /// Opens the state in `directory` to look at it, beside the process that holds it.
    ///
    /// # Errors
    /// [`StoreError::Absent`] where there is none, others where it cannot be used.
    pub fn look(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Err(StoreError::Absent);
        }
        loss::refuse_emptied(&path, directory)?;
        let mut store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, None)?;
        let version = store.version().or_else(|error| {
            store.connection = frozen(&store.path).ok_or(error)?;
            store.version()
        });
        match version? {
            0 => Err(StoreError::Absent),
            found if found > MIGRATIONS.len() => Err(StoreError::Newer { path: store.path.clone(), found }),
            _ => Ok(store),
        }
    }

    /// The database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn connect(path: PathBuf, flags: OpenFlags, lock: Option<fs::File>) -> Result<Self, StoreError> {
        match Connection::open_with_flags(&path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX) {
            Ok(connection) => Ok(Self { connection, path, _lock: lock }),
            Err(source) => Err(StoreError::Sqlite { path, source }),
        }
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "journal_mode", "wal")?;
        // A failed login must not be forgotten, whatever happens to the machine.
        self.connection.pragma_update(None, "synchronous", "full")?;
        self.connection.pragma_update(None, "cache_size", -256)?;
        self.connection.busy_timeout(std::time::Duration::from_secs(5))
    }

    fn version(&self) -> Result<usize, StoreError> {
        let version = self.connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        version.map(|version| usize::try_from(version).unwrap_or(usize::MAX)).map_err(|source| self.sqlite(source))
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let found = self.version()?;
        let Some(missing) = MIGRATIONS.get(found..) else {
            return Err(StoreError::Newer { path: self.path.clone(), found });
        };
        for (done, migration) in (found..).zip(missing) {
            let apply = |connection: &mut Connection| {
                let transaction = connection.transaction()?;
                transaction.execute_batch(migration)?;
                transaction.pragma_update(None, "user_version", i64::try_from(done + 1).unwrap_or(i64::MAX))?;
                transaction.commit()
            };
            apply(&mut self.connection).map_err(|source| self.sqlite(source))?;
        }
        Ok(())
    }

    /// Writes what an engine's step decided, all or nothing.
    ///
    /// # Errors
    /// Where it cannot be written. Then nothing of the step may be carried out.
    pub fn commit<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a Record>,
        anchor: &Anchor,
    ) -> Result<(), StoreError> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            records.into_iter().try_for_each(|record| write(&transaction, record))?;
            transaction.execute("REPLACE INTO meta VALUES ('anchor', ?)", [json(anchor)?])?;
            transaction.commit()
        };
        write(&mut self.connection).map_err(|source| self.sqlite(source))
    }

    /// Where the time line stood at the last commit.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn anchor(&self) -> Result<Option<Anchor>, StoreError> {
        self.meta("anchor")
    }

    fn meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let query = "SELECT value FROM meta WHERE key = ?";
        let text = self.connection.query_row(query, [key], |row| row.get::<_, String>(0)).optional();
        text.map_err(|source| self.sqlite(source))?.map(|text| self.parse(&text)).transpose()
    }

    /// All that the engine remembers.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn memory(&self) -> Result<Memory, StoreError> {
        let paused_until = self.meta("paused_until")?;
        let mail = self.meta("mail")?;
        let lost_at = self.loss()?.map(|loss| loss.at);
        let mut memory = Memory { last_id: self.last_id()?, paused_until, mail, lost_at, ..Memory::default() };
        for (address, text) in self.rows("SELECT address, memory FROM accounts")? {
            memory.accounts.entry(address).or_default().memory = self.parse(&text)?;
        }
        self.each(&mut memory, "SELECT account, memory FROM credentials ORDER BY position", |account, row| {
            account.credentials.push(row);
        })?;
        self.each(&mut memory, "SELECT account, memory FROM pairs ORDER BY rowid", |account, row| {
            account.logins.push(row);
        })?;
        self.each(
            &mut memory,
            "SELECT account, json_object('id', id, 'at', at) FROM ration",
            |account, row: Spent| {
                account.spent.push(row);
            },
        )?;
        // Incidents that are over count as long as one of their messages is still to go out.
        let incidents = "SELECT account, file FROM incidents WHERE resolved_at IS NULL OR EXISTS (
            SELECT 1 FROM deliveries WHERE incident = incidents.id AND NOT settled) ORDER BY id";
        self.each(&mut memory, incidents, |account, row| account.incidents.push(row))?;
        let deliveries = "SELECT account, delivery FROM deliveries WHERE incident IN (
            SELECT id FROM incidents WHERE resolved_at IS NULL
            UNION SELECT incident FROM deliveries WHERE NOT settled) ORDER BY id";
        self.each(&mut memory, deliveries, |account, row| account.deliveries.push(row))?;
        Ok(memory)
    }

    /// Deletes what is older than anybody asks for.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn tidy(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let tidy = |connection: &mut Connection| {
            let (old, spent) = ((now - KEPT).as_millis(), (now - DAY - DAY).as_millis());
            let transaction = connection.transaction()?;
            tally::keep_count(&transaction, old)?;
            transaction.execute("DELETE FROM attempts WHERE at < ?", [old])?;
            transaction.execute("DELETE FROM transitions WHERE at < ?", [old])?;
            transaction.execute("DELETE FROM rulings WHERE at < ?", [old])?;
            transaction.execute("DELETE FROM ration WHERE at < ?", [spent])?;
            let over = "DELETE FROM incidents WHERE resolved_at < ?";
            transaction.execute(over, [old])?;
            transaction.execute("DELETE FROM deliveries WHERE incident NOT IN (SELECT id FROM incidents)", [])?;
            transaction.commit()
        };
        tidy(&mut self.connection).map_err(|source| self.sqlite(source))
    }

    fn last_id(&self) -> Result<u64, StoreError> {
        let query = "SELECT max(
            (SELECT ifnull(max(id), 0) FROM attempts), (SELECT ifnull(max(id), 0) FROM transitions),
            (SELECT ifnull(max(id), 0) FROM incidents), (SELECT ifnull(max(id), 0) FROM deliveries),
            (SELECT ifnull(max(id), 0) FROM ration))";
        let id = self.connection.query_row(query, [], |row| row.get::<_, i64>(0));
        id.map(|id| u64::try_from(id).unwrap_or(0)).map_err(|source| self.sqlite(source))
    }

    /// Adds each parsed row of a query for (account, JSON) to its account.
    fn each<T: DeserializeOwned>(
        &self,
        memory: &mut Memory,
        query: &str,
        add: impl Fn(&mut StoredAccount, T),
    ) -> Result<(), StoreError> {
        for (account, text) in self.rows(query)? {
            add(memory.accounts.entry(account).or_default(), self.parse(&text)?);
        }
        Ok(())
    }

    fn rows(&self, query: &str) -> Result<Vec<(String, String)>, StoreError> {
        let rows = || {
            let mut statement = self.connection.prepare(query)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        rows().map_err(|source| self.sqlite(source))
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|source| StoreError::Row { path: self.path.clone(), source })
    }

    fn sqlite(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), source }
    }
}

/// Makes the state directory where there is none, and takes its lock.
fn hold(directory: &Path) -> Result<fs::File, StoreError> {
    place::directory(directory).map_err(|source| StoreError::File { path: directory.to_owned(), source })?;
    let path = directory.join(LOCK);
    let lock = private(&path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Held { directory: directory.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}

/// The database where nothing can be made beside it, as SQLite would like: on a read-only or a full disk. Only where nobody can
/// be at work on it, and nothing waits in its log.
fn frozen(path: &Path) -> Option<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return None;
    }
    let encoded = path.as_os_str().as_bytes().iter().map(|byte| match byte {
        b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    });
    let uri = format!("file:{}?immutable=1", encoded.collect::<String>());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags).ok()
}

/// A file for the person alone, made where there is none.
fn private(path: &Path) -> Result<fs::File, StoreError> {
    let opened = place::open(path, fs::OpenOptions::new().create(true).truncate(false).write(true));
    opened.map_err(|source| StoreError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
