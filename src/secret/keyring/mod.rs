//! Passwords in the system's keyring: the Secret Service on Linux, the Keychain on macOS.
//!
//! Decides how long the keyring may take and what its errors mean. The keyring crates block, so they live on one thread of
//! their own, which starts with the first read; what waits there too long is dropped unread. In the background a locked
//! keyring is left locked. Never prints an error of the keyring crates with `Debug`: some carry the secret.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod platform;
mod thread;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use keyring_core::Error;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use self::thread::{Done, Job, Work};
use super::{AppPassword, Asked, KeyringState, Limits, Unavailable};

type Secret = Zeroizing<Vec<u8>>;

/// One item of the keyring.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// What keypulse itself writes.
    Named { service: String, username: String },
    /// Another program's, by its attributes.
    With(BTreeMap<String, String>),
}

impl Item {
    pub(super) fn named(service: &str, username: &str) -> Self {
        Self::Named { service: service.to_owned(), username: username.to_owned() }
    }

    pub(super) fn with(attributes: &BTreeMap<String, String>) -> Self {
        Self::With(attributes.clone())
    }

    /// What the Secret Service knows it by (`facts/crates.md`, P14).
    #[cfg(target_os = "linux")]
    fn attributes(&self) -> std::collections::HashMap<&str, &str> {
        match self {
            Self::Named { service, username } => {
                [("service", service.as_str()), ("username", username.as_str())].into()
            }
            Self::With(attributes) => attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}

/// What the keyring shows of its items to everybody: never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The attributes of each item.
    pub items: Vec<BTreeMap<String, String>>,
    /// There may be more in what is locked.
    pub part_is_locked: bool,
}

/// Lists the items without asking for anything to be unlocked.
pub(super) async fn list(limits: &Limits) -> Result<Listing, Unavailable> {
    platform::list(limits).await
}

/// The keyring. Its thread starts with the first read.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    /// To the thread, once it runs.
    sender: Mutex<Option<mpsc::Sender<Job>>>,
}

impl Keyring {
    pub(super) async fn get(&self, item: Item, asked: Asked, limits: &Limits) -> Result<Secret, Unavailable> {
        match platform::make_ready(&item, platform::For::Reading, asked, limits).await? {
            Ready::Yes => {}
            Ready::NothingThere { part_is_locked: false } => return Err(nothing_there()),
            Ready::NothingThere { part_is_locked: true } => {
                return Err(Unavailable::new(
                    "the keyring has no such item in what is unlocked, and a part of it is locked",
                ));
            }
        }
        match self.run(Work::Get(item), asked, limits.keyring).await? {
            Done::Secret(secret) => Ok(secret),
            Done::Nothing | Done::NoEntry => Err(nothing_there()),
        }
    }

    /// Unlocks what a write needs.
    pub(super) async fn open(&self, item: &Item, limits: &Limits) -> Result<(), Unavailable> {
        platform::make_ready(item, platform::For::Writing, Asked::ByPerson, limits).await.map(|_| ())
    }

    pub(super) async fn set(
        &self,
        item: Item,
        label: &str,
        password: &AppPassword,
        limits: &Limits,
    ) -> Result<(), Unavailable> {
        platform::make_ready(&item, platform::For::Writing, Asked::ByPerson, limits).await?;
        let secret = password.expose(|text| Zeroizing::new(text.as_bytes().to_vec()));
        let work = Work::Set { item, label: label.to_owned(), secret };
        self.run(work, Asked::ByPerson, limits.dialog).await.map(|_| ())
    }

    /// `false` where there was none.
    pub(super) async fn delete(&self, item: Item, limits: &Limits) -> Result<bool, Unavailable> {
        match platform::make_ready(&item, platform::For::Reading, Asked::ByPerson, limits).await? {
            Ready::NothingThere { .. } => Ok(false),
            Ready::Yes => match self.run(Work::Delete(item), Asked::ByPerson, limits.dialog).await? {
                Done::Nothing => Ok(true),
                Done::NoEntry | Done::Secret(_) => Ok(false),
            },
        }
    }

    /// Hands work to the thread and waits for its answer, at most for `limit`.
    async fn run(&self, work: Work, asked: Asked, limit: Duration) -> Result<Done, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + limit;
        self.hand_over(Job { work, asked, deadline, reply })?;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(Error::NoEntry))) => Ok(Done::NoEntry),
            Ok(Ok(Err(error))) => Err(explain(&error)),
            Ok(Err(_)) => Err(Unavailable::new("the keyring's thread ended unexpectedly")),
            Err(_) => Err(no_answer(limit)),
        }
    }

    fn hand_over(&self, mut job: Job) -> Result<(), Unavailable> {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = sender.as_ref() {
            match running.send(job) {
                Ok(()) => return Ok(()),
                // A panic in a keyring crate ended it: start another.
                Err(mpsc::SendError(returned)) => job = returned,
            }
        }
        let (queue, jobs) = mpsc::channel();
        std::thread::Builder::new()
            .name("keyring".to_owned())
            .spawn(move || thread::serve(&jobs, platform::open))
            .map_err(|error| Unavailable::new(format!("no thread could be started for the keyring: {error}")))?;
        let sent = queue.send(job).map_err(|_| Unavailable::new("the keyring's thread ended unexpectedly"));
        *sender = Some(queue);
        sent
    }
}

/// Whether the keyring can be used, without a dialog.
pub(super) async fn state(limits: &Limits) -> Result<KeyringState, Unavailable> {
    tokio::time::timeout(limits.keyring, platform::state()).await.map_err(|_| no_answer(limits.keyring))?
}

/// What a look at the keyring found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(target_os = "macos", expect(dead_code, reason = "the Keychain finds out at the call"))]
enum Ready {
    /// The crate can do its work without a dialog.
    Yes,
    /// No item matches, so there is no work.
    NothingThere {
        /// It may still be in what is locked.
        part_is_locked: bool,
    },
}

fn nothing_there() -> Unavailable {
    Unavailable::new(
        "the keyring has no such item; store the password with `keypulse add`, or correct the configuration",
    )
}

fn several() -> Unavailable {
    Unavailable::new("several items of the keyring match; name more attributes, or delete those that are not needed")
}

fn locked() -> Unavailable {
    Unavailable::new("the keyring is locked; unlock it, or run `keypulse check`, which asks")
}

fn no_answer(limit: Duration) -> Unavailable {
    let within = limit.as_secs_f32();
    Unavailable::new(format!("the keyring did not answer within {within} s; it hangs, or shows a dialog of its own"))
}

/// An error of the keyring crates in words.
fn explain(error: &Error) -> Unavailable {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "keyring-core's list is open; the rest cannot come from these calls"
    )]
    match error {
        Error::NoEntry => nothing_there(),
        Error::Ambiguous(_) => several(),
        Error::NoStorageAccess(_) => locked(),
        Error::PlatformFailure(source) => platform::explain_failure(source.as_ref()),
        Error::NotSupportedByStore(_) => Unavailable::new("this system's keyring cannot do that"),
        _ => Unavailable::new("the keyring gave something that is no password"),
    }
}
