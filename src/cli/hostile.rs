//! A damaged state: rows from a fuzzer, or from a property test, in place of what keypulse wrote, and bytes of the file changed.
//!
//! Shows the status made from it in every format, and the history, and lets an engine go on from it, as the daemon would.
//! Whatever there is may be refused; nothing may panic, hang, or move a terminal. Exists for tests and for `fuzz/` only.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, types::Value};

use super::{chronicle, context::seen, exit::chain, line, style::printable, table};
use crate::{
    api::{StatusDocument, TransitionDocument, history::HistoryQuery, metrics},
    config::{self, Config},
    daemon::{Paths, Stored, stored_tally},
    health::{
        alert,
        event::{Memory, Setup},
        evidence::{Cause, Finding, Outcome, Service},
        name::{CredentialName, Fingerprint},
        outbox::Channel,
        schedule::Timestamp,
    },
    host::markup,
    rehearsal::stage::{Outside, Stage},
    store::{Store, StoreError},
};

/// Between two rows, and between two columns. JSON has neither.
const ROW: u8 = 0x1e;
const COLUMN: u8 = 0x1f;
/// The database in the state directory.
const FILE: &str = "keypulse.sqlite";
/// Rows beyond this are left out.
const ROWS: usize = 64;
/// How long the engine goes on.
const GOES_ON: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// The time line's now: 2026-11-22T20:00:00Z, as in the seeds.
const NOW: Timestamp = Timestamp::from_millis(1_795_377_600_000);

/// The configuration that looks at the state.
pub const CONFIGURATION: &str = r#"
[[account]]
address = "johnappleseed@icloud.com"
[[account.credential]]
name = "thunderbird"
app = "Thunderbird"
[[account.credential]]
name = "nas"
[[account.credential]]
name = "mutt"
services = ["imap"]
[[account]]
address = "jane@me.com"
[[account.credential]]
name = "phone"
"#;

/// Looks at states, each in turn in the same directory.
pub struct Examiner {
    config: Config,
    paths: Paths,
    empty: Vec<u8>,
}

impl Examiner {
    /// Works in `directory`, which is its own.
    ///
    /// # Panics
    /// Where it cannot.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        let (config, state) = (directory.join("config.toml"), directory.join("state"));
        drop(Store::open(&state).map(|store| store.path().to_owned()).map_err(|error| panic!("{error}")));
        let empty = fs::read(state.join(FILE)).unwrap_or_default();
        assert!(!empty.is_empty(), "no database in {}", state.display());
        let parsed = config::parse(CONFIGURATION, &config);
        let Ok(parsed) = parsed else { panic!("{parsed:?}") };
        Self { config: parsed, paths: Paths { config, state }, empty }
    }

    /// A state of this form: the number of changed bytes, each as place (three bytes, the lowest first) and value; then rows,
    /// each a table and its columns. Says whether there was anything to show.
    ///
    /// # Panics
    /// Where something of it moves a terminal; with whatever panics.
    #[must_use]
    pub fn examine(&self, bytes: &[u8]) -> bool {
        self.write(bytes);
        let shown = match Stored::look(&self.config, &self.paths) {
            Ok(stored) => {
                show(&stored.document());
                match stored.past().history(&HistoryQuery { names: Vec::new(), since: None, limit: 100 }) {
                    Ok(changes) => show_changes(&changes),
                    Err(error) => harmless(&printable(&format!("{error:?}"))),
                }
                true
            }
            Err(error) => {
                refused(&error);
                false
            }
        };
        match stored_tally(&self.paths) {
            Ok(tally) if shown => {
                if let Ok(stored) = Stored::look(&self.config, &self.paths) {
                    harmless(&metrics::render(&stored.document(), &tally));
                }
            }
            Ok(_) => {}
            Err(error) => refused(&error),
        }
        match Store::open(&self.paths.state).and_then(|mut store| {
            store.tidy(NOW)?;
            store.memory()
        }) {
            Ok(memory) => go_on(self.setup(), memory),
            Err(error) => refused(&error),
        }
        shown
    }

    fn setup(&self) -> Setup {
        let mut setup = crate::daemon::setup(&self.config);
        setup.channels = vec![Channel::Desktop, Channel::Hook];
        setup
    }

    fn write(&self, bytes: &[u8]) {
        let file = self.paths.state.join(FILE);
        for left in ["keypulse.sqlite-wal", "keypulse.sqlite-shm"] {
            let _ = fs::remove_file(self.paths.state.join(left));
        }
        let (count, rest) = bytes.split_first().unwrap_or((&0, &[]));
        let (changes, rows) = rest.split_at(rest.len().min(usize::from(*count) * 4));
        let written = fs::write(&file, &self.empty).map_err(|error| error.to_string());
        let written = written.and_then(|()| insert(&file, rows).map_err(|error| error.to_string()));
        assert_eq!(written, Ok(()));
        if !changes.is_empty() {
            let mut content = fs::read(&file).unwrap_or_default();
            for change in changes.chunks_exact(4) {
                let [low, middle, high, value] = change else { continue };
                let place = u32::from_le_bytes([*low, *middle, *high, 0]) as usize % content.len().max(1);
                if let Some(byte) = content.get_mut(place) {
                    *byte = *value;
                }
            }
            assert!(fs::write(&file, content).is_ok());
        }
    }
}

/// Puts rows into their tables; those that SQLite does not take are left out.
fn insert(file: &PathBuf, rows: &[u8]) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "synchronous", "off")?;
    let transaction = connection.transaction()?;
    for row in rows.split(|byte| *byte == ROW).take(ROWS) {
        let mut columns = row.split(|byte| *byte == COLUMN);
        let table = String::from_utf8_lossy(columns.next().unwrap_or_default()).into_owned();
        let types: Vec<String> = transaction
            .prepare("SELECT type FROM pragma_table_info(?)")?
            .query_map([&table], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if types.is_empty() || table.starts_with("sqlite_") {
            continue;
        }
        // A text is given as bytes, so that it may be none.
        let places: Vec<_> = types.iter().map(|kind| if kind == "TEXT" { "CAST(? AS TEXT)" } else { "?" }).collect();
        let values = types.iter().map(|kind| match (columns.next(), kind.as_str()) {
            (None | Some([0]), _) => Value::Null,
            (Some(bytes), "INTEGER") => {
                String::from_utf8_lossy(bytes).parse().map_or_else(|_| Value::Blob(bytes.to_vec()), Value::Integer)
            }
            (Some(bytes), _) => Value::Blob(bytes.to_vec()),
        });
        let query = format!("INSERT OR REPLACE INTO {table} VALUES ({})", places.join(", "));
        let _ = transaction.execute(&query, rusqlite::params_from_iter(values));
    }
    transaction.commit()
}

/// Why the state cannot be used, as a command says it.
fn refused(error: &StoreError) {
    harmless(&chain(error));
}

fn show(document: &StatusDocument) {
    for width in [1, 24, 40, 80, 120] {
        harmless(&seen(document, width, false, table::render));
        harmless(&seen(document, width, false, line::oneline));
        harmless(&seen(document, width, false, line::waybar));
    }
    harmless(&seen(document, 80, true, table::render).replace('\u{1b}', ""));
    let json = serde_json::to_string(document);
    let Ok(json) = json else { panic!("{json:?}") };
    let read = serde_json::from_str::<StatusDocument>(&json);
    assert!(read.as_ref().is_ok_and(|read| read == document), "{read:?}\n{json}");
}

fn show_changes(changes: &[TransitionDocument]) {
    let Some(now) = changes.first().map(|change| change.at) else { return };
    let look = table::Look { now, width: 80, colour: false, local: &|at| at.to_string() };
    let columns = chronicle::Columns::of(changes, &look);
    for change in changes {
        harmless(&chronicle::change(change, columns, &look).join("\n"));
    }
}

/// Nothing that a terminal obeys, and nothing that turns the writing around.
#[track_caller]
fn harmless(text: &str) {
    let harmful = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(u32::from(*c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff)
    };
    let found: Vec<char> = text.chars().filter(harmful).collect();
    assert!(found.is_empty(), "{found:?} in {text:?}");
}

/// Answers whatever is asked, each time something else.
struct Moody {
    fingerprints: Vec<Fingerprint>,
    turn: usize,
}

impl Outside for Moody {
    fn secret(&mut self, _: &CredentialName, _: Timestamp) -> Result<Fingerprint, (Cause, String)> {
        self.turn += 1;
        let at = self.turn % (self.fingerprints.len() + 1);
        self.fingerprints.get(at).copied().ok_or((Cause::SecretUnavailable, "it is locked".to_owned()))
    }

    fn login(&mut self, _: &CredentialName, _: Service, _: Timestamp) -> Outcome {
        self.turn += 1;
        let finding = match self.turn % 5 {
            0 => Finding::Accepted,
            1 | 2 => Finding::Rejected,
            3 => Finding::Inconclusive(Cause::Unavailable),
            _ => Finding::Inconclusive(Cause::ConnectionLost),
        };
        Outcome { finding, code: None, detail: None, took: None }
    }
}

/// The daemon goes on from this state.
fn go_on(setup: Setup, memory: Memory) {
    let logins = memory.accounts.values().flat_map(|account| &account.logins);
    let outside = Moody { fingerprints: logins.map(|login| login.fingerprint).collect(), turn: 0 };
    let mut stage = Stage::with_memory(setup, memory, outside, 1, NOW);
    stage.run(GOES_ON);
    show(&StatusDocument::build(&stage.status(), None, stage.now(), 0));
    for told in &stage.log.told {
        let account = &told.order.account;
        let Some(incident) = &account.incident else { continue };
        let local = |at: Timestamp| at.as_millis().to_string();
        for words in [alert::message, alert::letter] {
            let message = words(told.order.delivery.tidings, &account.address, incident, &account.credentials, &local);
            harmless(&markup::title(&message.title));
            harmless(&markup::body(&message.body));
        }
    }
}

#[cfg(test)]
mod tests;
