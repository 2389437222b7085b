//! What a command needs to make a login of its own, beside the daemon's loop: `add` asks the servers itself.
//!
//! Decides nothing and sends nothing. The ration is asked through the socket where a daemon runs, else through [`Heart`].
//!
//! [`Heart`]: super::Heart

use std::collections::BTreeMap;

use super::{Paths, RunError, opening::load_key};
use crate::{
    api::Time,
    config::{Account, Config},
    health::{
        evidence::{PerService, Service},
        name::{CredentialName, Digest, Fingerprint},
    },
    host::clock::Clock,
    probe::Target,
    secret::AppPassword,
    store::{Store, StoreError},
};

/// Whom to ask, and as whom, for one login of `account`.
#[must_use]
pub fn target(config: &Config, account: &Account, service: Service) -> Target {
    Target {
        service,
        server: config.servers.of(service).clone(),
        username: account.usernames.of(service).clone(),
        other_names: other_names(account),
        timeout: config.timeout,
    }
}

/// A password that the state calls dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Since when it has been refused.
    pub since: Time,
    /// Now, on the same wall clock.
    pub now: Time,
    /// It was accepted before.
    pub revoked: bool,
}

/// Whether the state calls this password of `account` dead: then it is latched, and not sent again but by a named `check`
/// (`verdicts.md`, part 6). Looks beside a running daemon; locks and writes nothing but a digest key where there is none.
///
/// # Errors
/// Where there is a state and it cannot be used.
pub fn known_dead(paths: &Paths, account: &Account, password: &AppPassword) -> Result<Option<Dead>, RunError> {
    let store = match Store::look(&paths.state) {
        Ok(store) => store,
        Err(StoreError::Absent) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let key = load_key(paths)?;
    store.is_of(key.mark())?;
    let fingerprint = key.fingerprint(password, &account.usernames);
    let clock = Clock::resume(store.anchor()?.as_ref());
    let memory = store.memory()?;
    let logins = memory.accounts.get(&account.address.key()).map_or(&[][..], |stored| &stored.logins);
    let dead = logins.iter().find(|login| login.fingerprint == fingerprint && login.verdict().is_some());
    Ok(dead.and_then(|login| {
        let time = |at| Time::new(at, clock.offset_ms());
        let since = time(login.verdict()?.first_refused_at);
        Some(Dead { since, now: time(clock.now()), revoked: login.ever_accepted() })
    }))
}

/// What keypulse knows this password by, as `account` uses it. Makes the digest key where there is none.
///
/// # Errors
/// Where the key cannot be used.
pub fn fingerprint(paths: &Paths, account: &Account, password: &AppPassword) -> Result<Fingerprint, RunError> {
    Ok(load_key(paths)?.fingerprint(password, &account.usernames))
}

/// What the password was known by that this credential held when it was last read; `None` where it never was.
///
/// # Errors
/// Where there is a state and it cannot be used.
pub fn last_read(paths: &Paths, account: &Account, name: &CredentialName) -> Result<Option<Fingerprint>, RunError> {
    let memory = match Store::look(&paths.state) {
        Ok(store) => store.memory()?,
        Err(StoreError::Absent) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stored = memory.accounts.get(&account.address.key());
    let credential = stored.and_then(|stored| stored.credentials.iter().find(|credential| credential.name == *name));
    Ok(credential.and_then(|credential| credential.secret))
}

/// What the state remembers of a credential's password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The secret it held when it was last read.
    pub secret: Option<Digest>,
    /// The first login with this credential.
    pub first_at: Option<Time>,
    /// The first login with the secret it holds: when it was changed, or a little later.
    pub changed_at: Option<Time>,
}

/// What the state remembers of each credential, beside what the status tells. Empty where there is none.
///
/// # Errors
/// Where there is a state and it cannot be used.
pub fn remembered(config: &Config, paths: &Paths) -> Result<BTreeMap<CredentialName, Remembered>, StoreError> {
    let store = match Store::look(&paths.state) {
        Ok(store) => store,
        Err(StoreError::Absent) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let clock = Clock::resume(store.anchor()?.as_ref());
    let time = |at| Time::new(at, clock.offset_ms());
    let (memory, credentials, secrets) = (store.memory()?, store.first_of_credentials()?, store.first_of_secrets()?);
    let all = config.accounts.iter().flat_map(|account| account.credentials.iter().map(move |it| (account, it)));
    let remembered = all.map(|(account, credential)| {
        let stored = memory.accounts.get(&account.address.key());
        let stored = stored.and_then(|stored| stored.credentials.iter().find(|it| it.name == credential.name));
        let secret = stored.and_then(|stored| stored.secret).map(|fingerprint| fingerprint.secret);
        let remembered = Remembered {
            secret,
            first_at: credentials.of(&account.address, credential.name.as_str()).map(time),
            changed_at: secret.and_then(|secret| secrets.of(&account.address, &secret.tag())).map(time),
        };
        (credential.name.clone(), remembered)
    });
    Ok(remembered.collect())
}

/// Names that a server's text may repeat, and nobody shall read there.
pub(super) fn other_names(account: &Account) -> Vec<String> {
    let address = &account.address;
    let PerService { imap, smtp } = account.usernames.clone();
    vec![address.to_string(), address.local_part().to_owned(), imap, smtp]
}
