//! What the metrics count, from the attempts on disk, so that counters go on over restarts and stand there without a daemon.
//!
//! Attempts that are too old are deleted; what they counted is kept in `meta`, or a counter would fall.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Store, StoreError, write::json};
use crate::health::{
    evidence::{Finding, Service},
    tally::Tally,
};

/// The row of `meta` with what deleted attempts had counted.
const DELETED: &str = "attempts-deleted";

impl Store {
    /// All attempts ever made with this state.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn tally(&self) -> Result<Tally, StoreError> {
        let query = "SELECT value FROM meta WHERE key = ?";
        let text = self.connection.query_row(query, [DELETED], |row| row.get::<_, String>(0)).optional();
        let text = text.map_err(|source| self.sqlite(source))?;
        let mut tally = text.map(|text| self.parse::<Tally>(&text)).transpose()?.unwrap_or_default();
        count(&self.connection, &mut tally, i64::MAX).map_err(|source| self.sqlite(source))?;
        Ok(tally)
    }
}

/// Keeps the count of the attempts before `old`, which are about to be deleted.
pub(super) fn keep_count(transaction: &Transaction<'_>, old: i64) -> rusqlite::Result<()> {
    let query = "SELECT value FROM meta WHERE key = ?";
    let text = transaction.query_row(query, [DELETED], |row| row.get::<_, String>(0)).optional()?;
    let mut tally = text.and_then(|text| serde_json::from_str::<Tally>(&text).ok()).unwrap_or_default();
    if count(transaction, &mut tally, old)? == 0 {
        return Ok(());
    }
    transaction.execute("REPLACE INTO meta VALUES (?, ?)", params![DELETED, json(&tally)?]).map(drop)
}

/// Adds the attempts before `end`; how many kinds there were.
fn count(connection: &Connection, tally: &mut Tally, end: i64) -> rusqlite::Result<usize> {
    let query = "SELECT service, finding, cause, took_ms, count(*) FROM attempts WHERE at < ? GROUP BY 1, 2, 3, 4";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([end])?;
    let mut kinds = 0;
    while let Some(row) = rows.next()? {
        let (service, finding, cause): (String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (took, times): (Option<i64>, i64) = (row.get(3)?, row.get(4)?);
        kinds += 1;
        // Words of a later version are passed over.
        let Some(service) = Service::ALL.into_iter().find(|it| it.as_str() == service) else { continue };
        let Some(finding) = Finding::of(&finding, cause.as_deref()) else { continue };
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        tally.add(service, finding, took.map(number).map(Duration::from_millis), number(times));
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{
        event::{AttemptRow, Record},
        evidence::{Cause, Outcome},
        login::Why,
        name::{Address, CredentialName, Digest},
        schedule::{Anchor, Timestamp},
    };

    fn attempt(id: u64, at: i64, service: Service, finding: Finding) -> Record {
        let took = (finding != Finding::Inconclusive(Cause::Offline)).then_some(Duration::from_millis(180));
        Record::Attempt(AttemptRow {
            id,
            at: Timestamp::from_millis(at),
            account: Address::new("jane@me.com").unwrap(),
            credential: CredentialName::new("mutt").unwrap(),
            service,
            why: Why::Routine,
            secret: Digest([1; 32]),
            round: id,
            outcome: Outcome { finding, code: None, detail: None, took },
        })
    }

    #[test]
    fn counters_do_not_fall_when_old_attempts_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        let day = 24 * 60 * 60 * 1000;
        let offline = Finding::Inconclusive(Cause::Offline);
        let records = [
            attempt(1, 0, Service::Imap, Finding::Accepted),
            attempt(2, day, Service::Smtp, Finding::Rejected),
            attempt(3, 500 * day, Service::Imap, Finding::Accepted),
            attempt(4, 500 * day, Service::Imap, offline),
        ];
        let anchor = Anchor { boot: None, since_boot_ms: 5, wall_ms: 7, at: Timestamp::from_millis(9) };
        store.commit(&records, &anchor).unwrap();
        let before = store.tally().unwrap();
        assert_eq!(before.times(Service::Imap, Finding::Accepted), 2);
        assert_eq!(before.times(Service::Imap, offline), 1);
        assert_eq!((before.durations.imap.count, before.durations.smtp.sum_ms), (2, 180));
        for _ in 0..2 {
            store.tidy(Timestamp::from_millis(500 * day)).unwrap();
            let after = store.tally().unwrap();
            let times = |tally: &Tally| {
                [(Service::Imap, Finding::Accepted), (Service::Smtp, Finding::Rejected), (Service::Imap, offline)]
                    .map(|(service, finding)| tally.times(service, finding))
            };
            assert_eq!(times(&after), times(&before));
            assert_eq!(after.durations, before.durations);
        }
        let left = store.connection.query_row("SELECT count(*) FROM attempts", [], |row| row.get::<_, i64>(0));
        assert_eq!(left.unwrap(), 2);
    }
}
