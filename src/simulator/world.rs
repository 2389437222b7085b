//! The state behind both services: accounts, their live passwords, faults, and what was seen.
//!
//! [`World`] is the handle through which a test or a demonstration changes Apple's mind and asks what the clients did. All
//! of it takes effect at once. It never tells a password but the one it has just made, and shows none in `Debug`.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpStream, sync::watch};

use super::{
    Options,
    account::ImapNames,
    connection::Connection,
    door::Door,
    fault::Fault,
    login::LoginSeen,
    state::{Farewell, State},
};
use crate::health::evidence::{PerService, Service};

/// A handle on the simulated world. Cheap to clone; all clones are the same world.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl World {
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let state = State {
            revocation_ends_sessions: options.revocation_ends_sessions,
            latency: options.latency,
            idle: options.idle,
            accounts: Vec::new(),
            faults: PerService::default(),
            doors: PerService { imap: Door::open()?, smtp: Door::open()? },
            logins: VecDeque::new(),
            taken: PerService::default(),
            open: PerService::default(),
            sessions: BTreeMap::new(),
        };
        Ok(Self { inner: Arc::new(Inner { state: Mutex::new(state), changes: watch::Sender::new(0) }) })
    }

    /// Adds an Apple Account with its iCloud Mail address and no app-specific password. Nothing happens if it is there.
    pub fn add_account(&self, address: &str) {
        self.change(|state| {
            state.account(address);
        });
    }

    /// Which forms of the user name IMAP takes for this account (fact 5.3). Default: both. Adds an unknown account.
    pub fn set_imap_names(&self, address: &str, names: ImapNames) {
        self.change(|state| state.account(address).imap_names = names);
    }

    /// Makes an app-specific password, as the person does at account.apple.com. Adds an unknown account.
    ///
    /// # Panics
    /// If the account has 25 already (fact 1.2): revoke one first.
    #[track_caller]
    pub fn new_password(&self, address: &str) -> String {
        let password = super::account::random_password();
        self.set_password(address, &password);
        password
    }

    /// Makes `password` a live one of the account, beside those it has. It is taken exactly as it is here: whether iCloud
    /// takes it without dashes is contested (fact 6.2). Adds an unknown account.
    ///
    /// # Panics
    /// If the account has 25 already (fact 1.2): revoke one first.
    #[track_caller]
    pub fn set_password(&self, address: &str, password: &str) {
        let added = self.change(|state| state.account(address).add_password(password));
        assert!(added, "{address} has 25 app-specific passwords already: revoke one first");
    }

    /// The number of live passwords of an account.
    pub fn live_passwords(&self, address: &str) -> usize {
        self.lock().find(address).map_or(0, |account| account.passwords.len())
    }

    /// Changes the main password: every app-specific password of the account dies (fact 1.1).
    pub fn reset_main_password(&self, address: &str) {
        self.change(|state| {
            let dead = std::mem::take(&mut state.account(address).passwords);
            state.end_sessions_of(address, |password| dead.iter().any(|each| each == password));
        });
    }

    /// Revokes one app-specific password (fact 1.2).
    pub fn revoke(&self, address: &str, password: &str) {
        self.change(|state| {
            state.account(address).passwords.retain(|each| each != password);
            state.end_sessions_of(address, |each| each == password);
        });
    }

    /// Ends every open session of an account. What a revocation does to them by itself is an option, because nobody
    /// knows (fact 8.2).
    pub fn disconnect(&self, address: &str, farewell: Farewell) {
        self.change(|state| state.end_sessions(address, farewell, |_| true));
    }

    /// Lets something go wrong with a service, or nothing any more. It holds for connections taken from now on; those
    /// that hang go on hanging.
    ///
    /// # Panics
    /// If the port cannot be bound a second time: no descriptors are left.
    pub fn set_fault(&self, service: Service, fault: Option<Fault>) {
        let bound = self.change(|state| {
            let refuse = fault == Some(Fault::ConnectionRefused);
            *state.faults.of_mut(service) = fault;
            state.doors.of_mut(service).refuse(refuse)
        });
        if let Err(error) = bound {
            panic!("the port of the simulated {service} could not be bound again: {error}");
        }
    }

    /// Lets something go wrong for one account only, from the login on; it goes before the fault of the service. It holds
    /// for logins from now on, over connections that are already open, too. Adds an unknown account.
    ///
    /// # Panics
    /// If the fault strikes before the account is known ([`Fault::knows_account`]).
    pub fn set_account_fault(&self, address: &str, service: Service, fault: Option<Fault>) {
        assert!(
            fault.as_ref().is_none_or(Fault::knows_account),
            "{fault:?} strikes before the server knows the account: set it for the whole service"
        );
        self.change(|state| *state.account(address).faults.of_mut(service) = fault);
    }

    /// The logins seen, oldest first: the last 10,000.
    pub fn logins(&self) -> Vec<LoginSeen> {
        self.lock().logins.iter().cloned().collect()
    }

    /// How many logins of the account were refused as a wrong pair, on both services together, under whatever form of its
    /// name: what Apple would count against it (fact 1.10).
    pub fn failed_logins(&self, address: &str) -> usize {
        self.lock().find(address).map_or(0, |account| account.failed_logins)
    }

    /// How many connections the service has taken since the start.
    pub fn connections(&self, service: Service) -> u64 {
        *self.lock().taken.of(service)
    }

    /// How many connections are open now.
    pub fn open_connections(&self, service: Service) -> u64 {
        *self.lock().open.of(service)
    }

    /// How many connections are logged in as this account now.
    pub fn open_sessions(&self, address: &str) -> usize {
        self.lock().sessions.values().filter(|session| session.address.eq_ignore_ascii_case(address)).count()
    }

    /// The sessions of this account that are in IDLE now, each with its commands since the login.
    pub fn idling(&self, address: &str) -> Vec<Vec<String>> {
        let state = self.lock();
        let of = state.sessions.values().filter(|session| session.address.eq_ignore_ascii_case(address));
        of.filter(|session| session.idles).map(|session| session.commands.clone()).collect()
    }

    /// Waits until `predicate` holds. It is asked at once and after every change. Has no time limit: set one around it.
    pub async fn until(&self, predicate: impl Fn(&Self) -> bool) {
        let mut changes = self.subscribe();
        while !predicate(self) {
            // The sender lives in `self`: there is always a next change to wait for.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The servers' side.
impl World {
    pub(super) fn address(&self, service: Service) -> SocketAddr {
        self.lock().doors.of(service).address()
    }

    /// Closes both ports for good.
    pub(super) fn close(&self) {
        self.change(|state| Service::ALL.map(|service| state.doors.of_mut(service).close()));
    }

    /// The next connection of a service, with the fault that holds for it.
    pub(super) async fn accept(&self, service: Service) -> io::Result<(TcpStream, Connection)> {
        let mut changes = self.subscribe();
        loop {
            let next = std::future::poll_fn(|context| self.lock().doors.of(service).poll_accept(context));
            let accepted = tokio::select! {
                accepted = next => accepted?,
                // The door may have been opened or shut.
                _ = changes.changed() => continue,
            };
            return Ok((accepted, Connection::new(self.clone(), service)));
        }
    }

    /// Tells of every change from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.inner.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let accounts: Vec<_> = state.accounts.iter().map(|a| (&a.address, a.passwords.len())).collect();
        f.debug_struct("World")
            .field("live_passwords", &accounts)
            .field("faults", &state.faults)
            .field("open", &state.open)
            .field("logins", &state.logins.len())
            .finish_non_exhaustive()
    }
}
