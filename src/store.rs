//! What outlives the process: SQLite in the state directory.
//!
//! Every step of the engine is committed here before anybody outside sees it. Secrets are not here: pairs are keyed digests,
//! and the key lies beside the database. One process at a time holds the state: [`Store::open`] takes a lock.

mod firsts;
mod past;
mod sound;
mod tally;

pub use past::PastLogin;
pub use sound::Soundness;

use std::{
    error, fmt, fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    health::{
        event::{AccountRow, AttemptRow, Memory, Record, StoredAccount},
        name::Address,
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

/// Why the state cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// Another process holds it.
    Held {
        /// The state directory.
        directory: PathBuf,
    },
    /// There is none yet. Only where it is read without being created.
    Absent,
    /// A file or directory could not be made, opened or locked.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite says no.
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It was written by a later version.
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: usize,
    },
    /// A row does not say what this version expects.
    Row {
        /// The database.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { directory } => write!(
                f,
                "use the state in {}: another keypulse is using it (see `keypulse status`; stop it, or give this one a \
                 state directory of its own with KEYPULSE_STATE_DIR)",
                directory.display()
            ),
            Self::Absent => f.write_str("read the state: there is none yet"),
            Self::File { path, .. } => write!(f, "open {}", path.display()),
            Self::Sqlite { path, .. } => write!(f, "use the database {}", path.display()),
            Self::Newer { path, found } => write!(
                f,
                "use the database {}: it was written by a later version of keypulse (schema {found}, this one knows {}); \
                 install that version, or move the file away to start afresh",
                path.display(),
                MIGRATIONS.len()
            ),
            Self::Row { path, .. } => write!(f, "understand a row of the database {}", path.display()),
        }
    }
}

impl error::Error for StoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Held { .. } | Self::Absent | Self::Newer { .. } => None,
            Self::File { source, .. } => Some(source),
            Self::Sqlite { source, .. } => Some(source),
            Self::Row { source, .. } => Some(source),
        }
    }
}

impl Store {
    /// Opens the state in `directory` for this process alone; makes it (0700, files 0600) if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Held`] where another process has it, others where it cannot be used.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::File { path, source }
        };
        place::directory(directory).map_err(file(directory))?;
        let lock_path = directory.join(LOCK);
        let private = |path: &Path| {
            place::open(path, fs::OpenOptions::new().create(true).truncate(false).write(true)).map_err(file(path))
        };
        let lock = private(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StoreError::Held { directory: directory.to_owned() }),
            Err(fs::TryLockError::Error(source)) => return Err(StoreError::File { path: lock_path, source }),
        }
        let path = directory.join(FILE);
        drop(private(&path)?); // so that SQLite, and its -wal and -shm files, take over the mode
        let mut store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Some(lock))?;
        store.prepare().map_err(|source| store.sqlite(source))?;
        store.migrate()?;
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
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, None)?;
        match store.version()? {
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
        let mut memory = Memory { last_id: self.last_id()?, paused_until, mail, ..Memory::default() };
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

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|source| rusqlite::Error::ToSqlConversionFailure(Box::new(source)))
}

/// SQLite's integers are signed; our numbers start at one and never come near the limit.
fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn write(transaction: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::Account(row) => write_account(transaction, row),
        Record::Attempt(row) => write_attempt(transaction, row),
        Record::Spent { account, spent } => {
            let row = params![number(spent.id), account.key(), spent.at.as_millis()];
            transaction.prepare_cached("REPLACE INTO ration VALUES (?, ?, ?)")?.execute(row).map(drop)
        }
        Record::GivenBack { id } => {
            transaction.prepare_cached("DELETE FROM ration WHERE id = ?")?.execute([number(*id)]).map(drop)
        }
        Record::Transition(transition) => {
            let id = number(transition.id);
            let at = transition.at.as_millis();
            let (account, name) = (transition.account.key(), transition.credential.as_str());
            let row = params![id, at, account, name, json(transition)?];
            transaction.prepare_cached("REPLACE INTO transitions VALUES (?, ?, ?, ?, ?)")?.execute(row).map(drop)
        }
        Record::Ruling(ruling) => {
            let row = params![ruling.at.as_millis(), ruling.account.key(), ruling.secret, json(ruling)?];
            transaction.prepare_cached("INSERT INTO rulings VALUES (NULL, ?, ?, ?, ?)")?.execute(row).map(drop)
        }
        Record::Pause { until: Some(until) } => {
            transaction.execute("REPLACE INTO meta VALUES ('paused_until', ?)", [json(until)?]).map(drop)
        }
        Record::Pause { until: None } => {
            transaction.execute("DELETE FROM meta WHERE key = 'paused_until'", []).map(drop)
        }
        Record::Mail { trouble: Some(trouble) } => {
            transaction.execute("REPLACE INTO meta VALUES ('mail', ?)", [json(trouble)?]).map(drop)
        }
        Record::Mail { trouble: None } => transaction.execute("DELETE FROM meta WHERE key = 'mail'", []).map(drop),
        Record::Incident { account, file } => {
            let resolved_at = file.incident.resolved_at.map(Timestamp::as_millis);
            let row = params![number(file.incident.id), account.key(), resolved_at, json(file)?];
            transaction.prepare_cached("REPLACE INTO incidents VALUES (?, ?, ?, ?)")?.execute(row).map(drop)
        }
        Record::Delivery { account, delivery } => {
            let (id, incident) = (number(delivery.id), number(delivery.incident));
            let settled = delivery.state.is_settled();
            let row = params![id, account.key(), incident, delivery.channel.as_str(), settled, json(delivery)?];
            transaction.prepare_cached("REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?, ?)")?.execute(row).map(drop)
        }
    }
}

fn write_account(transaction: &Transaction<'_>, row: &AccountRow) -> rusqlite::Result<()> {
    let account = row.address.key();
    transaction.execute("REPLACE INTO accounts VALUES (?, ?)", params![account, json(&row.memory)?])?;
    transaction.execute("DELETE FROM credentials WHERE account = ?", [&account])?;
    let mut statement = transaction.prepare_cached("INSERT INTO credentials VALUES (?, ?, ?, ?)")?;
    for (position, credential) in (0_i64..).zip(&row.credentials) {
        statement.execute(params![account, credential.name.as_str(), position, json(credential)?])?;
    }
    transaction.execute("DELETE FROM pairs WHERE account = ?", [&account])?;
    let mut statement = transaction.prepare_cached("INSERT INTO pairs VALUES (?, ?, ?, ?, ?)")?;
    for login in &row.logins {
        let digests = (login.fingerprint.secret.0, login.fingerprint.pairs.imap.0, login.fingerprint.pairs.smtp.0);
        statement.execute(params![account, digests.0, digests.1, digests.2, json(login)?])?;
    }
    Ok(())
}

fn write_attempt(transaction: &Transaction<'_>, row: &AttemptRow) -> rusqlite::Result<()> {
    let outcome = &row.outcome;
    let took = outcome.took.map(|took| i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    let why = json(&row.why)?;
    transaction
        .prepare_cached("REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            number(row.id),
            row.at.as_millis(),
            Address::key(&row.account),
            row.credential.as_str(),
            row.service.as_str(),
            why,
            outcome.finding.as_str(),
            outcome.finding.cause().map(crate::health::evidence::Cause::as_str),
            outcome.code,
            outcome.detail,
            took,
            row.secret.tag(),
            number(row.round),
        ])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn anchor() -> Anchor {
        Anchor { boot: None, since_boot_ms: 5, wall_ms: 7, at: Timestamp::from_millis(9) }
    }

    #[test]
    fn a_second_process_is_refused_and_told_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Store::open(directory.path()).unwrap();
        let error = Store::open(directory.path()).unwrap_err();
        assert!(matches!(error, StoreError::Held { .. }));
        assert!(error.to_string().contains("another keypulse"), "{error}");
    }

    #[test]
    fn files_are_made_private() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("deep/state");
        let mut store = Store::open(&state).unwrap();
        store.commit(&[], &anchor()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        for entry in fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_database_of_a_later_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        store.connection.pragma_update(None, "user_version", 99).unwrap();
        drop(store);
        assert!(matches!(Store::open(directory.path()).unwrap_err(), StoreError::Newer { found: 99, .. }));
        assert!(matches!(Store::look(directory.path()).unwrap_err(), StoreError::Newer { found: 99, .. }));
    }

    #[test]
    fn what_is_committed_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let account = Address::new("John@iCloud.com").unwrap();
        let spent = Spent { id: 3, at: Timestamp::from_millis(40) };
        {
            let mut store = Store::open(directory.path()).unwrap();
            let records = [
                Record::Spent { account: account.clone(), spent },
                Record::Spent { account: account.clone(), spent: Spent { id: 4, at: Timestamp::from_millis(41) } },
                Record::GivenBack { id: 4 },
            ];
            store.commit(&records, &anchor()).unwrap();
        }
        let store = Store::open(directory.path()).unwrap();
        let memory = store.memory().unwrap();
        assert_eq!(memory.accounts["john@icloud.com"].spent, [spent]);
        assert_eq!(memory.last_id, 3);
        assert_eq!(store.anchor().unwrap(), Some(anchor()));
    }

    /// What the first released schema held, as its code wrote it.
    #[test]
    fn a_database_of_schema_1_is_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        {
            let connection = Connection::open(directory.path().join(FILE)).unwrap();
            connection.execute_batch(MIGRATIONS[0]).unwrap();
            connection.pragma_update(None, "user_version", 1).unwrap();
            let attempt = r#"INSERT INTO attempts VALUES (7, 1000, 'john@icloud.com', 'mutt', 'imap', '"routine"',
                'inconclusive', 'offline', NULL, 'no route', NULL)"#;
            connection.execute_batch(attempt).unwrap();
        }
        assert!(matches!(Store::look(directory.path()), Ok(store) if store.version().unwrap() == 1));
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.version().unwrap(), MIGRATIONS.len());
        assert_eq!(store.memory().unwrap().last_id, 7);
        let query = "SELECT detail, secret, round FROM attempts";
        let row = store.connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let row: (String, Option<String>, Option<i64>) = row.unwrap();
        assert_eq!(row, ("no route".to_owned(), None, None));
    }

    #[test]
    fn no_state_is_told_from_a_broken_one() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Store::look(directory.path()).unwrap_err(), StoreError::Absent));
        fs::write(directory.path().join(FILE), "this is not a database, not at all, by no means").unwrap();
        assert!(matches!(Store::open(directory.path()).unwrap_err(), StoreError::Sqlite { .. }));
    }
}
