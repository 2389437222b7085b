//! The state behind both services: accounts, their live passwords, faults, and what was seen.
//!
//! [`World`] is the handle through which a test or a demonstration changes Apple's mind and asks what the clients did. All
//! of it takes effect at once. It never tells a password but the one it has just made, and shows none in `Debug`.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{net::TcpStream, sync::watch};

use super::{
    Options,
    account::{Account, ImapNames},
    door::Door,
    fault::Fault,
    login::{Answer, LoginSeen, Mechanism, Pair},
};
use crate::health::evidence::{PerService, Service};

/// How many logins are remembered; older ones are forgotten.
const LOGINS_KEPT: usize = 10_000;

/// How an open session is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// IMAP untagged `BYE` (RFC 3501 §7.1.5), SMTP `421` (RFC 5321 §3.8), then the end.
    Bye,
    /// The end without a word and without close_notify.
    Cut,
}

/// A handle on the simulated world. Cheap to clone; all clones are the same world.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

struct State {
    revocation_ends_sessions: Option<Farewell>,
    latency: Duration,
    accounts: Vec<Account>,
    faults: PerService<Option<Fault>>,
    doors: PerService<Door>,
    logins: VecDeque<LoginSeen>,
    taken: PerService<u64>,
    open: PerService<u64>,
    sessions: BTreeMap<u64, Session>,
}

/// A connection that is logged in.
struct Session {
    address: String,
    password: String,
    farewell: Option<Farewell>,
}

impl World {
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let state = State {
            revocation_ends_sessions: options.revocation_ends_sessions,
            latency: options.latency,
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
    /// If the port cannot be bound again, because something else took it in the instant between.
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

    /// Waits until `predicate` holds. It is asked at once and after every change. Has no time limit: set one around it.
    pub async fn until(&self, predicate: impl Fn(&Self) -> bool) {
        let mut changes = self.inner.changes.subscribe();
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
        let mut changes = self.inner.changes.subscribe();
        loop {
            let next = std::future::poll_fn(|context| self.lock().doors.of(service).poll_accept(context));
            let accepted = tokio::select! {
                accepted = next => accepted?,
                // The door may have been opened or shut.
                _ = changes.changed() => continue,
            };
            let (id, fault) = self.change(|state| {
                *state.taken.of_mut(service) += 1;
                *state.open.of_mut(service) += 1;
                (state.taken.imap + state.taken.smtp, state.faults.of(service).clone())
            });
            return Ok((accepted, Connection { world: self.clone(), service, id, fault, auth_commands: 0 }));
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.inner.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
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

impl State {
    fn find(&self, address: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.address.eq_ignore_ascii_case(address))
    }

    fn account(&mut self, address: &str) -> &mut Account {
        let at = self.accounts.iter().position(|account| account.address.eq_ignore_ascii_case(address));
        let at = at.unwrap_or_else(|| {
            self.accounts.push(Account::new(address));
            self.accounts.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed in the lines above")]
        &mut self.accounts[at]
    }

    fn end_sessions_of(&mut self, address: &str, dead: impl Fn(&str) -> bool) {
        if let Some(farewell) = self.revocation_ends_sessions {
            self.end_sessions(address, farewell, dead);
        }
    }

    fn end_sessions(&mut self, address: &str, farewell: Farewell, ends: impl Fn(&str) -> bool) {
        for session in self.sessions.values_mut() {
            if session.address.eq_ignore_ascii_case(address) && ends(&session.password) {
                session.farewell = Some(farewell);
            }
        }
    }
}

/// One connection as the world knows it, for as long as it is open.
pub(super) struct Connection {
    world: World,
    service: Service,
    id: u64,
    /// The fault of the service when the connection was taken.
    pub(super) fault: Option<Fault>,
    auth_commands: u32,
}

/// What the world thinks of a pair.
pub(super) struct Judgement {
    /// The address of the account meant.
    pub(super) account: Option<String>,
    /// Whether the pair is right.
    pub(super) valid: bool,
    /// Whether it shall be taken: differs from `valid` under a fault.
    pub(super) taken: bool,
    /// The fault that holds for this login.
    pub(super) fault: Option<Fault>,
    latency: Duration,
}

impl Connection {
    /// Whether this very fault holds for the connection.
    pub(super) fn suffers(&self, fault: &Fault) -> bool {
        self.fault.as_ref() == Some(fault)
    }

    /// Judges a pair, after the time that takes.
    pub(super) async fn judge(&mut self, pair: &Pair) -> Judgement {
        self.auth_commands = self.auth_commands.saturating_add(1);
        let judgement = self.world.lock().judge(self.service, pair, self.fault.as_ref());
        if !judgement.latency.is_zero() {
            tokio::time::sleep(judgement.latency).await;
        }
        judgement
    }

    /// Remembers a login and its answer; an accepted one makes this connection a session.
    pub(super) fn note(
        &self,
        mechanism: Mechanism,
        encrypted: bool,
        pair: Pair,
        judgement: &Judgement,
        answer: Answer,
    ) {
        self.world.change(|state| {
            if let Some(address) = &judgement.account {
                if answer == Answer::Rejected {
                    state.account(address).failed_logins += 1;
                }
                if answer == Answer::Accepted {
                    let session = Session { address: address.clone(), password: pair.password, farewell: None };
                    state.sessions.insert(self.id, session);
                }
            }
            if state.logins.len() == LOGINS_KEPT {
                state.logins.pop_front();
            }
            state.logins.push_back(LoginSeen {
                at: SystemTime::now(),
                service: self.service,
                connection: self.id,
                mechanism,
                encrypted,
                username: pair.username,
                account: judgement.account.clone(),
                valid: judgement.valid,
                answer,
                auth_commands: self.auth_commands,
            });
        });
    }

    /// Remembers a login command that is one too many, or comes where none is taken.
    pub(super) fn note_unanswered(&mut self, mechanism: Mechanism, encrypted: bool, pair: Pair) {
        self.auth_commands = self.auth_commands.saturating_add(1);
        let judgement = self.world.lock().judge(self.service, &pair, None);
        self.note(mechanism, encrypted, pair, &judgement, Answer::Otherwise);
    }

    /// Waits until this session is to end.
    pub(super) async fn dismissed(&self) -> Farewell {
        let mut changes = self.world.inner.changes.subscribe();
        loop {
            if let Some(farewell) = self.world.lock().sessions.get(&self.id).and_then(|session| session.farewell) {
                return farewell;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.world.change(|state| {
            *state.open.of_mut(self.service) -= 1;
            state.sessions.remove(&self.id);
        });
    }
}

impl State {
    fn judge(&self, service: Service, pair: &Pair, of_service: Option<&Fault>) -> Judgement {
        let account = self
            .find(&pair.username)
            .or_else(|| self.accounts.iter().find(|account| account.is_meant_by(&pair.username)));
        let valid = account.is_some_and(|account| {
            account.takes(service, &pair.username) && account.passwords.contains(&pair.password)
        });
        let of_account = account.and_then(|account| account.faults.of(service).as_ref());
        let fault = of_account.or(of_service);
        let taken = match fault {
            Some(Fault::RejectValid) => false,
            Some(Fault::AcceptDead) => account.is_some_and(|account| account.takes(service, &pair.username)),
            Some(_) | None => valid,
        };
        let address = account.map(|account| account.address.clone());
        Judgement { account: address, valid, taken, fault: fault.cloned(), latency: self.latency }
    }
}
