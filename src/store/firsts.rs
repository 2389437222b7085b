//! When something was seen for the first time, for `list`.

use std::collections::BTreeMap;

use super::{Store, StoreError};
use crate::health::{name::Address, schedule::Timestamp};

/// The first attempts that are still remembered, by account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firsts {
    rows: BTreeMap<(String, String), Timestamp>,
}

impl Firsts {
    /// With what `word` names, which is a credential's name or a secret's tag.
    #[must_use]
    pub fn of(&self, account: &Address, word: &str) -> Option<Timestamp> {
        self.rows.get(&(account.key(), word.to_owned())).copied()
    }
}

impl Store {
    /// The first attempt with each credential.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn first_of_credentials(&self) -> Result<Firsts, StoreError> {
        self.firsts("SELECT account, credential, min(at) FROM attempts GROUP BY account, credential")
    }

    /// The first attempt with each secret, by its tag. None where they were stored before secrets were told apart.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn first_of_secrets(&self) -> Result<Firsts, StoreError> {
        if self.version()? < super::past::WITH_RULINGS {
            return Ok(Firsts::default());
        }
        self.firsts("SELECT account, secret, min(at) FROM attempts WHERE secret IS NOT NULL GROUP BY account, secret")
    }

    fn firsts(&self, query: &str) -> Result<Firsts, StoreError> {
        let rows = || {
            let mut statement = self.connection.prepare(query)?;
            let rows =
                statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), Timestamp::from_millis(row.get(2)?))))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        Ok(Firsts { rows: rows().map_err(|source| self.sqlite(source))? })
    }
}
