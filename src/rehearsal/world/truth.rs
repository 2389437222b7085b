//! What is true of a household at a moment: which passwords Apple takes, what its servers are doing, where the machine is.
//!
//! Answers the engine as the outside would. Never knows what the engine makes of it.

use std::{collections::VecDeque, time::Duration};

use crate::{
    health::{
        event::{Handover, Order},
        evidence::{Cause, Finding, Outcome, PerService, Service, Services},
        name::{CredentialName, Digest, Fingerprint},
        schedule::{DAY, Timestamp},
    },
    rehearsal::stage::Outside,
};

use super::{
    fate::{Network, Outage, Trouble},
    fortune::Fortune,
    household::{Household, Place},
    score::Hindrance,
};

/// A password that a person made, or thought to have made.
#[derive(Clone, Copy, Debug)]
pub struct Secret {
    /// The account it was made for.
    pub account: usize,
    /// When Apple stopped taking it.
    pub died_at: Option<Timestamp>,
    /// When keypulse read it first with nothing in the way.
    pub read_at: Option<Timestamp>,
    /// It was refused while it lived.
    pub slandered: bool,
    /// When keypulse saw it accepted first.
    pub accepted_at: Option<Timestamp>,
}

/// The truth.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Where passwords are kept.
    pub places: Vec<Place>,
    /// All passwords there ever were, by number.
    pub secrets: Vec<Secret>,
    /// The password in each place.
    pub holds: Vec<usize>,
    /// What is wrong at Apple's.
    pub outages: Vec<Outage>,
    /// Where the machine is.
    pub network: Network,
    /// The keyring is locked.
    pub locked: bool,
    /// How far keypulse's time line is ahead of the true one, in milliseconds, because of clocks that were wrong: since when
    /// on keypulse's line, in order.
    ahead: Vec<(Timestamp, i64)>,
    /// Services that answered `unavailable` and have accepted nobody since.
    pub unwell: Services,
    /// Attempts answered.
    pub asked: u64,
    /// keypulse's own time, as of the latest look.
    pub own_now: Timestamp,
    /// Rejected logins of the last 24 hours, by account, on keypulse's time line.
    refusals: Vec<VecDeque<Timestamp>>,
    /// The most that any account had in 24 hours.
    pub worst_day: usize,
    /// What was read last for each place.
    read: Vec<usize>,
    fortune: Fortune,
}

impl Truth {
    /// All is well, and nobody was asked yet.
    #[must_use]
    pub fn new(household: &Household) -> Self {
        let account_of = |secret: usize| household.places.iter().find(|place| place.secret == secret);
        let secrets = (0..household.secrets).map(|secret| Secret {
            account: account_of(secret).map_or(0, |place| place.account),
            died_at: None,
            read_at: None,
            slandered: false,
            accepted_at: None,
        });
        let holds: Vec<usize> = household.places.iter().map(|place| place.secret).collect();
        Self {
            places: household.places.clone(),
            secrets: secrets.collect(),
            read: holds.clone(),
            holds,
            outages: Vec::new(),
            network: Network::Open,
            locked: false,
            ahead: vec![(Timestamp::default(), 0)],
            unwell: Services::NONE,
            asked: 0,
            own_now: Timestamp::default(),
            refusals: vec![VecDeque::new(); household.accounts],
            worst_day: 0,
            fortune: Fortune::new(household.seed ^ 0x7247),
        }
    }

    /// True time for a time on keypulse's own line.
    #[must_use]
    pub fn true_time(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis() - self.ahead_ms())
    }

    /// True time for a time on keypulse's own line that may lie before its latest shift.
    #[must_use]
    pub fn was_true_time(&self, own: Timestamp) -> Timestamp {
        let shift = self.ahead.iter().rev().find(|(since, _)| *since <= own);
        Timestamp::from_millis(own.as_millis() - shift.map_or(0, |(_, ahead)| *ahead))
    }

    /// A time on keypulse's own line for a true one.
    #[must_use]
    pub fn own_time(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.as_millis() + self.ahead_ms())
    }

    fn ahead_ms(&self) -> i64 {
        self.ahead.last().map_or(0, |(_, ahead)| *ahead)
    }

    /// From `own` on keypulse's line on, the true time is `at`.
    pub fn shift(&mut self, own: Timestamp, at: Timestamp) {
        self.ahead.push((own, own.as_millis() - at.as_millis()));
    }

    /// Whether Apple takes this password, when it is well.
    #[must_use]
    pub fn lives(&self, secret: usize) -> bool {
        self.secrets.get(secret).is_some_and(|secret| secret.died_at.is_none())
    }

    /// Whether some place holds this password.
    #[must_use]
    pub fn is_held(&self, secret: usize) -> bool {
        self.holds.contains(&secret)
    }

    /// The services that this password is used with.
    #[must_use]
    pub fn services_of(&self, secret: usize) -> Services {
        let held = self.places.iter().zip(&self.holds).filter(|(_, held)| **held == secret);
        held.fold(Services::NONE, |all, (place, _)| all.union(place.services))
    }

    /// Whether anything stands between keypulse and a plain answer, save sleep and a missing network.
    #[must_use]
    pub fn is_hindered(&self) -> bool {
        let network = matches!(self.network, Network::Portal | Network::NoSubmission);
        network || self.locked || !self.outages.is_empty() || !self.unwell.is_empty()
    }

    /// What stands between keypulse and a verdict on this password, save sleep and a missing network.
    #[must_use]
    pub fn hindrance(&self, secret: usize) -> Option<Hindrance> {
        let used = self.services_of(secret);
        let account = self.secrets.get(secret).map(|secret| secret.account);
        let silent = |outage: &&Outage| outage.account.is_none() || outage.account == account;
        let of = |kind: fn(Trouble) -> bool| self.outages.iter().filter(move |outage| kind(outage.trouble));
        let silence = of(|trouble| matches!(trouble, Trouble::Silent(_))).filter(silent).map(|outage| outage.services);
        let unwell = of(|trouble| trouble == Trouble::Unavailable).map(|outage| outage.services);
        let deaf = match self.network {
            Network::NoSubmission => Services { imap: false, smtp: true },
            Network::Open | Network::Absent | Network::Portal => Services::NONE,
        };
        let silence = silence.fold(deaf, Services::union);
        let found = [
            (self.network == Network::Portal, Hindrance::Portal),
            (self.locked, Hindrance::Keyring),
            (used.without(silence).is_empty(), Hindrance::Silence),
            (!unwell.fold(self.unwell, Services::union).and(used).is_empty(), Hindrance::Unavailable),
            (of(|trouble| matches!(trouble, Trouble::Refuses(_))).count() > 0, Hindrance::Storm),
        ];
        found.into_iter().filter_map(|(so, hindrance)| so.then_some(hindrance)).max()
    }

    /// How many logins of the account were rejected in the last 24 hours of keypulse's own time, as of the latest.
    #[must_use]
    pub fn spent_today(&self, account: usize) -> usize {
        let of_account = self.refusals.get(account);
        of_account.map_or(0, |all| all.iter().filter(|at| self.own_now.since(**at) < DAY).count())
    }

    /// A new password for `account`. Its number.
    pub fn new_secret(&mut self, account: usize, died_at: Option<Timestamp>) -> usize {
        self.secrets.push(Secret { account, died_at, read_at: None, slandered: false, accepted_at: None });
        self.secrets.len() - 1
    }

    /// The place of this name.
    fn place(name: &CredentialName) -> usize {
        name.as_str().parse().unwrap_or(usize::MAX)
    }

    fn answer(&mut self, secret: usize, service: Service) -> (Finding, u64) {
        match self.network {
            Network::Absent => return (Finding::Inconclusive(Cause::Offline), 5),
            Network::Portal => return (Finding::Inconclusive(Cause::CaptivePortal), 120),
            Network::NoSubmission if service == Service::Smtp => {
                return (Finding::Inconclusive(Cause::TimedOut), 30_000);
            }
            Network::NoSubmission | Network::Open => {}
        }
        let Some(state) = self.secrets.get(secret).copied() else { return (Finding::Rejected, 300) };
        let hits = |outage: &&Outage| {
            outage.services.has(service) && outage.account.is_none_or(|account| account == state.account)
        };
        let rank = |outage: &&Outage| match outage.trouble {
            Trouble::Silent(_) => 0,
            Trouble::Unavailable => 1,
            Trouble::Refuses(_) => 2,
        };
        let trouble = self.outages.iter().filter(hits).min_by_key(rank).map(|outage| outage.trouble);
        match trouble {
            Some(Trouble::Silent(Cause::TimedOut)) => (Finding::Inconclusive(Cause::TimedOut), 30_000),
            Some(Trouble::Silent(cause)) => (Finding::Inconclusive(cause), 400),
            Some(Trouble::Unavailable) => {
                *self.unwell.of_mut(service) = true;
                (Finding::Inconclusive(Cause::Unavailable), 700)
            }
            Some(Trouble::Refuses(share)) if self.fortune.chance(share) => (Finding::Rejected, 600),
            Some(Trouble::Refuses(_)) | None if state.died_at.is_none() => (Finding::Accepted, 400),
            Some(Trouble::Refuses(_)) | None => (Finding::Rejected, 600),
        }
    }
}

impl Outside for Truth {
    fn secret(&mut self, credential: &CredentialName, now: Timestamp) -> Result<Fingerprint, (Cause, String)> {
        if self.locked {
            return Err((Cause::SecretUnavailable, "the keyring is locked".to_owned()));
        }
        self.own_now = now;
        let (place, now) = (Self::place(credential), self.true_time(now));
        let secret = self.holds.get(place).copied().unwrap_or_default();
        if let Some(read) = self.read.get_mut(place) {
            *read = secret;
        }
        let unhindered = self.network == Network::Open && !self.is_hindered();
        if let Some(secret) = self.secrets.get_mut(secret).filter(|_| unhindered) {
            secret.read_at.get_or_insert(now);
        }
        Ok(fingerprint(secret))
    }

    fn login(&mut self, credential: &CredentialName, service: Service, now: Timestamp) -> Outcome {
        let secret = self.read.get(Self::place(credential)).copied().unwrap_or_default();
        let (finding, ms) = self.answer(secret, service);
        self.asked += 1;
        let began = self.true_time(now);
        let ends = now + Duration::from_millis(ms);
        match (finding, self.secrets.get_mut(secret)) {
            (Finding::Accepted, Some(state)) => {
                state.accepted_at.get_or_insert(began);
                *self.unwell.of_mut(service) = false;
            }
            (Finding::Rejected, Some(state)) => {
                state.slandered |= state.died_at.is_none();
                if let Some(day) = self.refusals.get_mut(state.account) {
                    while day.front().is_some_and(|at| ends.since(*at) >= DAY) {
                        day.pop_front();
                    }
                    day.push_back(ends);
                    self.worst_day = self.worst_day.max(day.len());
                }
            }
            (Finding::Accepted | Finding::Rejected | Finding::Inconclusive(_), _) => {}
        }
        Outcome { finding, code: None, detail: None, took: Some(Duration::from_millis(ms)) }
    }

    fn deliver(&mut self, _: &Order, _: Timestamp) -> Handover {
        Handover::Done(None)
    }
}

/// The fingerprint of a password, by its number.
#[must_use]
pub fn fingerprint(secret: usize) -> Fingerprint {
    let digest = |tag: u8| {
        let mut bytes = [tag; 32];
        let number = u64::try_from(secret).unwrap_or(u64::MAX).to_le_bytes();
        bytes.iter_mut().zip(number).for_each(|(byte, part)| *byte = part);
        Digest(bytes)
    };
    Fingerprint { secret: digest(0), pairs: PerService { imap: digest(1), smtp: digest(2) } }
}

/// The number of the password that this is the fingerprint of.
#[must_use]
pub fn number(fingerprint: Fingerprint) -> usize {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(fingerprint.secret.0).for_each(|(byte, part)| *byte = part);
    usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}
