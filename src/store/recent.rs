//! The latest attempts, for `report`.

use super::{Store, StoreError};
use crate::health::schedule::Timestamp;

/// An attempt of the past: what it was for and how it ended, without the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// When it ended.
    pub at: Timestamp,
    /// Which credential.
    pub credential: String,
    /// `imap` or `smtp`.
    pub service: String,
    /// What for, as JSON.
    pub why: String,
    /// What it found.
    pub finding: String,
    /// Why that proves nothing.
    pub cause: Option<String>,
    /// The response code, or the reply code.
    pub code: Option<String>,
    /// In milliseconds, from the first connect to the verdict.
    pub took_ms: Option<i64>,
}

impl Store {
    /// The latest attempts, newest first.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn recent_attempts(&self, limit: u32) -> Result<Vec<PastAttempt>, StoreError> {
        let query = "SELECT at, credential, service, why, finding, cause, code, took_ms FROM attempts
            ORDER BY id DESC LIMIT ?";
        let rows = || {
            let mut statement = self.connection.prepare(query)?;
            let rows = statement.query_map([limit], |row| {
                Ok(PastAttempt {
                    at: Timestamp::from_millis(row.get(0)?),
                    credential: row.get(1)?,
                    service: row.get(2)?,
                    why: row.get(3)?,
                    finding: row.get(4)?,
                    cause: row.get(5)?,
                    code: row.get(6)?,
                    took_ms: row.get(7)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        rows().map_err(|source| self.sqlite(source))
    }
}
