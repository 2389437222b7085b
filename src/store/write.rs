//! The engine's records as rows.

use rusqlite::{Transaction, params};
use serde::Serialize;

use crate::health::{
    event::{AccountRow, AttemptRow, Record},
    evidence::Cause,
    name::Address,
    schedule::Timestamp,
};

pub(super) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|source| rusqlite::Error::ToSqlConversionFailure(Box::new(source)))
}

/// SQLite's integers are signed; our numbers start at one and never come near the limit.
pub(super) fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

pub(super) fn write(transaction: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
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
            outcome.finding.cause().map(Cause::as_str),
            outcome.code,
            outcome.detail,
            took,
            row.secret.tag(),
            number(row.round),
        ])
        .map(drop)
}
