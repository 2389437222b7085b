//! What both servers know: accounts, faults, open sessions, logins seen. Pure data; `world.rs` guards it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    Idling,
    account::Account,
    door::Door,
    fault::Fault,
    login::{Answer, LoginSeen, Pair},
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

/// Everything the servers know.
pub(super) struct State {
    pub(super) revocation_ends_sessions: Option<Farewell>,
    pub(super) latency: Duration,
    pub(super) idle: Idling,
    pub(super) accounts: Vec<Account>,
    pub(super) faults: PerService<Option<Fault>>,
    pub(super) doors: PerService<Door>,
    pub(super) logins: VecDeque<LoginSeen>,
    pub(super) taken: PerService<u64>,
    pub(super) open: PerService<u64>,
    pub(super) sessions: BTreeMap<u64, Session>,
}

/// A connection that is logged in.
pub(super) struct Session {
    pub(super) address: String,
    pub(super) password: String,
    pub(super) farewell: Option<Farewell>,
    /// It is in IDLE.
    pub(super) idles: bool,
    /// The commands since the login.
    pub(super) commands: Vec<String>,
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
    /// How long the judging takes.
    pub(super) latency: Duration,
}

impl State {
    pub(super) fn find(&self, address: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.address.eq_ignore_ascii_case(address))
    }

    pub(super) fn account(&mut self, address: &str) -> &mut Account {
        let at = self.accounts.iter().position(|account| account.address.eq_ignore_ascii_case(address));
        let at = at.unwrap_or_else(|| {
            self.accounts.push(Account::new(address));
            self.accounts.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed in the lines above")]
        &mut self.accounts[at]
    }

    pub(super) fn end_sessions_of(&mut self, address: &str, dead: impl Fn(&str) -> bool) {
        if let Some(farewell) = self.revocation_ends_sessions {
            self.end_sessions(address, farewell, dead);
        }
    }

    pub(super) fn end_sessions(&mut self, address: &str, farewell: Farewell, ends: impl Fn(&str) -> bool) {
        for session in self.sessions.values_mut() {
            if session.address.eq_ignore_ascii_case(address) && ends(&session.password) {
                session.farewell = Some(farewell);
            }
        }
    }

    /// What to think of a pair; `of_service` is the fault of the connection.
    pub(super) fn judge(&self, service: Service, pair: &Pair, of_service: Option<&Fault>) -> Judgement {
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

    /// Remembers a login; an accepted one makes its connection a session.
    pub(super) fn note(&mut self, seen: LoginSeen, password: String) {
        if let Some(address) = &seen.account {
            match seen.answer {
                Answer::Accepted => {
                    let session = Session {
                        address: address.clone(),
                        password,
                        farewell: None,
                        idles: false,
                        commands: Vec::new(),
                    };
                    self.sessions.insert(seen.connection, session);
                }
                Answer::Rejected => self.account(address).failed_logins += 1,
                Answer::Otherwise => {}
            }
        }
        if self.logins.len() == LOGINS_KEPT {
            self.logins.pop_front();
        }
        self.logins.push_back(seen);
    }
}
