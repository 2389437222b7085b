//! What happened, read back: changes of health, attempts, and the rulings behind them.
//!
//! Reads only. Beside a daemon these see what it committed last.

use rusqlite::{Row, ToSql, params_from_iter, types::Type};

use super::{Store, StoreError};
use crate::health::{
    credential::Transition,
    evidence::{Finding, Outcome, Service},
    login::Why,
    name::{Address, CredentialName},
    ruling::Ruling,
    schedule::Timestamp,
};

/// An attempt as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastLogin {
    /// Its number.
    pub id: u64,
    /// When it ended.
    pub at: Timestamp,
    /// Which credential was asked.
    pub credential: CredentialName,
    /// The tag of the secret that was sent; `None` where schema 1 did not keep it.
    pub secret: Option<String>,
    /// The round that it belonged to; likewise.
    pub round: Option<u64>,
    /// Where.
    pub service: Service,
    /// What for.
    pub why: Why,
    /// How it ended.
    pub outcome: Outcome,
}

/// The schema that first had rulings.
pub(super) const WITH_RULINGS: usize = 2;

impl Store {
    /// Changes of health, the newest first: of these credentials (all, if there are none), not before `since`, at most `limit`.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn transitions(
        &self,
        names: &[CredentialName],
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Transition>, StoreError> {
        let of = one_of("credential", names.len());
        let query = format!("SELECT transition FROM transitions WHERE {of} AND at >= ? ORDER BY id DESC LIMIT ?");
        let since = since.map_or(i64::MIN, Timestamp::as_millis);
        let mut values = texts(names);
        values.extend([Box::new(since) as Box<dyn ToSql>, Box::new(limit)]);
        self.select(&query, values, |row| row.get::<_, String>(0))?.iter().map(|text| self.parse(text)).collect()
    }

    /// The names of all credentials that ever changed.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn names_of_the_past(&self) -> Result<Vec<String>, StoreError> {
        self.select("SELECT DISTINCT credential FROM transitions ORDER BY credential", Vec::new(), |row| row.get(0))
    }

    /// Attempts with any of these credentials, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn attempts(&self, names: &[CredentialName], limit: u32) -> Result<Vec<PastLogin>, StoreError> {
        let of = one_of("credential", names.len());
        let columns = "id, at, credential, service, why, finding, cause, code, detail, took_ms";
        let later = if self.version()? < WITH_RULINGS { "NULL, NULL" } else { "secret, round" };
        let query = format!("SELECT {columns}, {later} FROM attempts WHERE {of} ORDER BY at DESC, id DESC LIMIT ?");
        let mut values = texts(names);
        values.push(Box::new(limit));
        self.select(&query, values, past_login)
    }

    /// What was decided about a secret, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn rulings(&self, account: &Address, secret: &str, limit: u32) -> Result<Vec<Ruling>, StoreError> {
        if self.version()? < WITH_RULINGS {
            return Ok(Vec::new());
        }
        let query = "SELECT ruling FROM rulings WHERE account = ? AND secret = ? ORDER BY id DESC LIMIT ?";
        let values: Vec<Box<dyn ToSql>> = vec![Box::new(account.key()), Box::new(secret.to_owned()), Box::new(limit)];
        self.select(query, values, |row| row.get::<_, String>(0))?.iter().map(|text| self.parse(text)).collect()
    }

    fn select<T>(
        &self,
        query: &str,
        values: Vec<Box<dyn ToSql>>,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || {
            let mut statement = self.connection.prepare(query)?;
            let rows = statement.query_map(params_from_iter(values), |row| read(row))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        rows().map_err(|source| self.sqlite(source))
    }
}

/// A condition for one of `count` values; true where there are none.
fn one_of(column: &str, count: usize) -> String {
    if count == 0 { "true".to_owned() } else { format!("{column} IN ({})", vec!["?"; count].join(", ")) }
}

fn texts(names: &[CredentialName]) -> Vec<Box<dyn ToSql>> {
    names.iter().map(|name| Box::new(name.to_string()) as Box<dyn ToSql>).collect()
}

fn past_login(row: &Row<'_>) -> rusqlite::Result<PastLogin> {
    let foreign = |column, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("{what} is not known").into())
    };
    let credential: String = row.get(2)?;
    let (service, why): (String, String) = (row.get(3)?, row.get(4)?);
    let (finding, cause): (String, Option<String>) = (row.get(5)?, row.get(6)?);
    let finding = Finding::of(&finding, cause.as_deref()).ok_or_else(|| foreign(5, &finding))?;
    let took: Option<i64> = row.get(9)?;
    let took = took.map(|millis| std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
    Ok(PastLogin {
        id: unsigned(row.get(0)?),
        at: Timestamp::from_millis(row.get(1)?),
        credential: CredentialName::new(&credential).map_err(|_| foreign(2, &credential))?,
        secret: row.get(10)?,
        round: row.get::<_, Option<i64>>(11)?.map(unsigned),
        service: Service::ALL
            .into_iter()
            .find(|known| known.as_str() == service)
            .ok_or_else(|| foreign(3, &service))?,
        why: serde_json::from_str(&why).map_err(|_| foreign(4, &why))?,
        outcome: Outcome { finding, code: row.get(7)?, detail: row.get(8)?, took },
    })
}

/// The other way round than `number`.
fn unsigned(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{
        credential::Health,
        event::{AttemptRow, Record},
        evidence::Cause,
        name::Digest,
        ruling::Rule,
        schedule::Anchor,
    };

    const SECRET: Digest = Digest([0xab; 32]);

    fn name(text: &str) -> CredentialName {
        CredentialName::new(text).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn store(directory: &std::path::Path, records: &[Record]) -> Store {
        let mut store = Store::open(directory).unwrap();
        let anchor = Anchor { boot: None, since_boot_ms: 0, wall_ms: 0, at: at(0) };
        store.commit(records, &anchor).unwrap();
        store
    }

    fn transition(id: u64, credential: &str) -> Record {
        Record::Transition(Transition {
            id,
            at: at(i64::try_from(id).unwrap() * 10),
            account: Address::new("John@iCloud.com").unwrap(),
            credential: name(credential),
            from: Health::Healthy,
            to: Health::Suspect,
            reason: "refused by imap".into(),
            cause: None,
            presumed: false,
        })
    }

    #[test]
    fn changes_come_newest_first_and_as_many_as_are_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let records = [transition(1, "mutt"), transition(2, "nas"), transition(3, "mutt"), transition(4, "mbsync")];
        let store = store(directory.path(), &records);
        let ids = |names: &[&str], since: Option<i64>, limit| -> Vec<u64> {
            let names: Vec<_> = names.iter().map(|text| name(text)).collect();
            store.transitions(&names, since.map(at), limit).unwrap().iter().map(|it| it.id).collect()
        };
        assert_eq!(ids(&[], None, 10), [4, 3, 2, 1]);
        assert_eq!(ids(&[], None, 2), [4, 3]);
        assert_eq!(ids(&[], Some(20), 10), [4, 3, 2], "the moment itself is within");
        assert_eq!(ids(&["mutt"], None, 10), [3, 1]);
        assert_eq!(ids(&["mutt", "nas"], Some(11), 10), [3, 2]);
        assert_eq!(ids(&["aerc"], None, 10), [0; 0]);
        assert_eq!(store.names_of_the_past().unwrap(), ["mbsync", "mutt", "nas"]);
    }

    #[test]
    fn attempts_and_rulings_come_back_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let account = Address::new("John@iCloud.com").unwrap();
        let outcome = |finding| Outcome {
            finding,
            code: Some("535 5.7.8".into()),
            detail: Some("no".into()),
            took: Some(std::time::Duration::from_millis(180)),
        };
        let findings = [Finding::Accepted, Finding::Rejected, Finding::Inconclusive(Cause::TimedOut)];
        let attempt = |(finding, id): (Finding, u64)| {
            Record::Attempt(AttemptRow {
                id,
                at: at(50),
                account: account.clone(),
                credential: name("mutt"),
                secret: SECRET,
                round: 7,
                service: Service::Smtp,
                why: Why::Canary(Service::Imap),
                outcome: outcome(finding),
            })
        };
        let ruling = Ruling {
            at: at(51),
            account: account.clone(),
            credential: name("mutt"),
            secret: SECRET.tag(),
            round: None,
            rule: Rule::RationUsedUp { until: at(99) },
        };
        let mut records: Vec<Record> = findings.into_iter().zip(8..).map(attempt).collect();
        records.push(Record::Ruling(ruling.clone()));
        let store = store(directory.path(), &records);
        let attempts = store.attempts(&[name("mutt")], 10).unwrap();
        assert_eq!(attempts.iter().map(|it| it.id).collect::<Vec<_>>(), [10, 9, 8]);
        assert_eq!(attempts.iter().rev().map(|it| it.outcome.finding).collect::<Vec<_>>(), findings);
        let expected = PastLogin {
            id: 9,
            at: at(50),
            credential: name("mutt"),
            secret: Some("abababab".into()),
            round: Some(7),
            service: Service::Smtp,
            why: Why::Canary(Service::Imap),
            outcome: outcome(Finding::Rejected),
        };
        assert_eq!(attempts[1], expected);
        assert!(store.attempts(&[name("nas")], 10).unwrap().is_empty());
        assert_eq!(store.attempts(&[name("mutt")], 1).unwrap().len(), 1);
        assert_eq!(store.rulings(&account, "abababab", 10).unwrap(), [ruling]);
        assert!(store.rulings(&account, "cdcdcdcd", 10).unwrap().is_empty());
    }
}
