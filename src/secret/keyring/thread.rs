//! The keyring's thread: the keyring crates block, and hold a connection that can go stale.
//!
//! Decides when that connection is renewed, and drops what nobody waits for any more. Never joined: a keyring that hangs
//! must not keep the process from ending.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use keyring_core::{CredentialStore, Error};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{Asked, Item, Secret, platform};
use crate::secret::wipe_stack;

/// After this long without work the connection to the keyring is closed.
const IDLE: Duration = Duration::from_secs(30);

/// What the thread is asked to do.
pub(super) enum Work {
    Get(Item),
    Set { item: Item, label: String, secret: Secret },
    Delete(Item),
}

/// What came of it.
pub(super) enum Done {
    Secret(Secret),
    Nothing,
    /// There was no item to do it with.
    NoEntry,
}

/// One call, on its way to the thread.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) asked: Asked,
    /// After this nobody waits any more.
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<keyring_core::Result<Done>>,
}

/// The thread: does one job after the other until the senders are gone.
pub(super) fn serve(jobs: &mpsc::Receiver<Job>, open: impl Fn() -> keyring_core::Result<Arc<CredentialStore>>) {
    let mut store = None;
    loop {
        let job = match jobs.recv_timeout(IDLE) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                store = None;
                match jobs.recv() {
                    Ok(job) => job,
                    Err(mpsc::RecvError) => return,
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // A keyring that hung has let a queue grow; what nobody waits for is not done, least of all written.
        if job.reply.is_closed() || Instant::now() >= job.deadline {
            continue;
        }
        let done = {
            let _quiet = platform::no_dialogs(job.asked);
            attempt(&mut store, &open, &job.work)
        };
        // The service's answer was deciphered there.
        wipe_stack();
        let _ = job.reply.send(done);
    }
}

/// Does the work, once more with a new connection where the old one is stale: after the service was restarted, every call
/// on the old session fails (`facts/crates.md`, P12 and P13).
fn attempt(
    store: &mut Option<Arc<CredentialStore>>,
    open: impl Fn() -> keyring_core::Result<Arc<CredentialStore>>,
    work: &Work,
) -> keyring_core::Result<Done> {
    if let Some(held) = store {
        match perform(held, work) {
            Err(Error::PlatformFailure(_)) => *store = None,
            other => return other,
        }
    }
    perform(store.insert(open()?), work)
}

fn perform(store: &Arc<CredentialStore>, work: &Work) -> keyring_core::Result<Done> {
    match work {
        Work::Get(item) => Ok(Done::Secret(Zeroizing::new(find(store, item, None)?.get_secret()?))),
        Work::Set { item, label, secret } => {
            find(store, item, Some(label))?.set_secret(secret)?;
            Ok(Done::Nothing)
        }
        Work::Delete(item) => {
            find(store, item, None)?.delete_credential()?;
            Ok(Done::Nothing)
        }
    }
}

/// `keyring`'s entry, on a store that we hold ourselves.
fn find(store: &Arc<CredentialStore>, item: &Item, label: Option<&str>) -> keyring_core::Result<keyring::Entry> {
    let inner = match item {
        Item::Named { service, username } => {
            let label: HashMap<&str, &str> = label.map(|label| ("label", label)).into_iter().collect();
            store.build(service, username, platform::takes_labels().then_some(&label))?
        }
        Item::With(attributes) => {
            let attributes = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut found = store.search(&attributes)?;
            match (found.pop(), found.is_empty()) {
                (Some(only), true) => only,
                (Some(_), false) => return Err(Error::Ambiguous(found)),
                (None, _) => return Err(Error::NoEntry),
            }
        }
    };
    Ok(keyring::Entry { inner })
}

#[cfg(test)]
mod tests {
    use std::{any::Any, cell::Cell, sync::Mutex};

    use keyring_core::api::CredentialStoreApi;

    use super::*;

    #[test]
    fn what_waited_too_long_is_not_done() {
        let (stand_in, hold) = StandIn::new();
        let (jobs, queue) = mpsc::channel();
        let send = |name: &str, deadline: Instant| {
            let (reply, answer) = oneshot::channel();
            let item = Item::named("keypulse", name);
            jobs.send(Job { work: Work::Delete(item), asked: Asked::ByPerson, deadline, reply }).unwrap();
            answer
        };
        let later = Instant::now() + Duration::from_secs(600);
        let first = send("first", later);
        let late = send("late", Instant::now());
        drop(send("given up", later));
        let last = send("last", later);
        drop(jobs);
        for _ in 0..2 {
            hold.send(()).unwrap();
        }
        let store = Arc::clone(&stand_in);
        serve(&queue, || Ok(Arc::clone(&store) as Arc<CredentialStore>));
        assert!(first.blocking_recv().unwrap().is_err());
        assert!(late.blocking_recv().is_err(), "dropped unanswered");
        assert!(last.blocking_recv().unwrap().is_err());
        assert_eq!(*stand_in.asked_for.lock().unwrap(), ["first", "last"]);
    }

    #[test]
    fn a_stale_connection_is_renewed_once_per_call() {
        let opened = Cell::new(0);
        let mut store = None;
        let mut call = || {
            let (stand_in, hold) = StandIn::new();
            (0..9).for_each(|_| hold.send(()).unwrap());
            let open = || {
                opened.set(opened.get() + 1);
                Ok(Arc::clone(&stand_in) as Arc<CredentialStore>)
            };
            let failed = attempt(&mut store, open, &Work::Get(Item::named("keypulse", "stale")));
            assert!(matches!(failed, Err(Error::PlatformFailure(_))));
            opened.get()
        };
        assert_eq!([call(), call(), call()], [1, 2, 3]);
    }

    /// A store in which every call waits for a word from the test and then fails; for "stale" as after a restart.
    struct StandIn {
        hold: Mutex<mpsc::Receiver<()>>,
        asked_for: Mutex<Vec<String>>,
    }

    impl StandIn {
        fn new() -> (Arc<Self>, mpsc::Sender<()>) {
            let (go_on, hold) = mpsc::channel();
            (Arc::new(Self { hold: Mutex::new(hold), asked_for: Mutex::default() }), go_on)
        }
    }

    impl CredentialStoreApi for StandIn {
        fn vendor(&self) -> String {
            "a stand-in".to_owned()
        }

        fn id(&self) -> String {
            "a stand-in".to_owned()
        }

        fn build(
            &self,
            _: &str,
            user: &str,
            _: Option<&HashMap<&str, &str>>,
        ) -> keyring_core::Result<keyring_core::Entry> {
            self.hold.lock().unwrap().recv_timeout(Duration::from_secs(30)).unwrap();
            self.asked_for.lock().unwrap().push(user.to_owned());
            Err(if user == "stale" { Error::PlatformFailure("no session".into()) } else { Error::NoEntry })
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }
}
