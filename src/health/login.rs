//! One secret as one account uses it: what the services said of it, and what that makes it.
//!
//! Holds the facts and the small moves. Which move is due is decided in `verdict.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    credential::Health,
    evidence::{Finding, Outcome, PerService, Service, Services},
    name::Fingerprint,
    schedule::Timestamp,
};

/// One secret of one account. Latch and history belong to it, not to the credentials that hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Login {
    /// The secret and its pairs.
    pub fingerprint: Fingerprint,
    /// What each service said.
    pub services: PerService<Memory>,
    /// What that makes it.
    pub state: State,
    /// Since when it is in that state (a change of the refusing service does not count).
    pub since: Timestamp,
    /// The latest round that proved something.
    pub last_conclusive_at: Option<Timestamp>,
    /// Inconclusive rounds in a row.
    pub inconclusive: u32,
    /// What it is to be asked beside the routine.
    pub due: Option<Due>,
}

/// What one service said of the pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The first acceptance ever.
    pub first_accepted_at: Option<Timestamp>,
    /// The latest acceptance.
    pub last_accepted_at: Option<Timestamp>,
    /// The latest refusal.
    pub last_rejected_at: Option<Timestamp>,
    /// The first refusal since the latest acceptance.
    #[serde(default)]
    pub refused_since: Option<Timestamp>,
    /// The latest attempt, whatever it found.
    pub latest: Option<Attempted>,
}

/// One attempt that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempted {
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}

/// What the answers make of a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never a conclusive round.
    New,
    /// The last conclusive round: alive; perhaps one service refuses.
    Alive {
        /// The service that refuses while the other accepts.
        refusing: Option<Service>,
    },
    /// Refused, being confirmed: `suspect`, or `rejected` where it was never accepted.
    Doubted(Suspicion),
    /// Refusal confirmed: `revoked`, or `rejected` where it was never accepted. Latched.
    Dead(Verdict),
}

/// A refusal on the way to a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspicion {
    /// Start of the first refused round.
    pub first_at: Timestamp,
    /// Services whose refusals count.
    pub evidence: Services,
    /// Services that refused and count.
    pub refused: Services,
    /// Two services refused, and count, in the first round.
    pub strong: bool,
    /// Refused rounds that count, the first included.
    pub counted: u32,
    /// Start of the second counted refusal.
    pub second_at: Option<Timestamp>,
    /// Start of the latest counted refusal.
    pub last_at: Timestamp,
    /// The service that the next confirmation asks first.
    pub turn: Service,
    /// It alone of its account is confirmed; the others wait for it.
    pub leads: bool,
    /// A verdict was due and the outage guard held it back.
    pub held: bool,
}

/// A confirmed refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Start of the first refused round.
    pub first_refused_at: Timestamp,
    /// Concluded from its siblings.
    pub presumed: bool,
    /// Another secret was accepted between the first refusal and the last.
    pub corroborated: bool,
    /// It is re-tested sooner than others: it was the leader, and nothing corroborated the verdict.
    pub soon: bool,
    /// Re-tests made since.
    pub retests: u32,
}

/// A round that is due beside the routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Not before this.
    pub at: Timestamp,
    /// What for.
    pub why: Why,
}

/// What a round is for. Decides whom it asks, what it may spend and what its answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The interval, the start of the daemon, the network's return.
    Routine,
    /// A secret or user name not seen before, or changed.
    Changed,
    /// The person asks.
    Person,
    /// The round before proved nothing.
    Again,
    /// A refusal is to be confirmed.
    Confirm,
    /// Another secret is suspect: does this service still take anybody?
    Canary(Service),
    /// The account's leader was refused twice: is this one dead, too?
    Sibling(Service),
    /// A dead pair, after a long while.
    Retest,
}

impl Verdict {
    /// The leader's verdict, shared by a sibling that was refused, too.
    #[must_use]
    pub const fn shared(first_refused_at: Timestamp) -> Self {
        Self { first_refused_at, presumed: false, corroborated: false, soon: false, retests: 0 }
    }

    /// Concluded from its siblings, without a login of its own.
    #[must_use]
    pub const fn presumed(at: Timestamp) -> Self {
        Self { first_refused_at: at, presumed: true, corroborated: false, soon: false, retests: 0 }
    }
}

impl Login {
    /// A secret seen for the first time.
    #[must_use]
    pub fn new(fingerprint: Fingerprint, now: Timestamp) -> Self {
        Self {
            fingerprint,
            services: PerService::default(),
            state: State::New,
            since: now,
            last_conclusive_at: None,
            inconclusive: 0,
            due: None,
        }
    }

    /// Whether any service ever took it.
    #[must_use]
    pub fn ever_accepted(&self) -> bool {
        self.first_accepted_at().is_some()
    }

    /// The first acceptance by any service.
    #[must_use]
    pub fn first_accepted_at(&self) -> Option<Timestamp> {
        [self.services.imap.first_accepted_at, self.services.smtp.first_accepted_at].into_iter().flatten().min()
    }

    /// The latest acceptance by any service.
    #[must_use]
    pub fn last_accepted_at(&self) -> Option<Timestamp> {
        self.services.imap.last_accepted_at.max(self.services.smtp.last_accepted_at)
    }

    /// The latest refusal by any service.
    #[must_use]
    pub fn last_rejected_at(&self) -> Option<Timestamp> {
        self.services.imap.last_rejected_at.max(self.services.smtp.last_rejected_at)
    }

    /// The latest attempt on any service.
    #[must_use]
    pub fn last_checked_at(&self) -> Option<Timestamp> {
        Service::ALL.into_iter().filter_map(|service| self.services.of(service).latest.as_ref()).map(|l| l.at).max()
    }

    /// Services whose latest conclusive answer on this pair was an acceptance.
    #[must_use]
    pub fn accepting(&self) -> Services {
        let accepts =
            |memory: &Memory| memory.last_accepted_at.is_some() && memory.last_accepted_at > memory.last_rejected_at;
        Services { imap: accepts(&self.services.imap), smtp: accepts(&self.services.smtp) }
    }

    /// Services whose latest conclusive answer on this pair was a refusal.
    #[must_use]
    pub fn refusing(&self) -> Services {
        let refuses = |memory: &Memory| memory.last_rejected_at > memory.last_accepted_at;
        Services { imap: refuses(&self.services.imap), smtp: refuses(&self.services.smtp) }
    }

    /// What a credential with this secret that uses `services` is.
    #[must_use]
    pub fn health(&self, services: Services) -> Health {
        match &self.state {
            State::New => Health::Unknown,
            State::Alive { refusing: Some(service) } if services.has(*service) => Health::Degraded,
            State::Alive { .. } => Health::Healthy,
            State::Doubted(_) if self.ever_accepted() => Health::Suspect,
            State::Dead(_) if self.ever_accepted() => Health::Revoked,
            State::Doubted(_) | State::Dead(_) => Health::Rejected,
        }
    }

    /// The suspicion, while there is one.
    #[must_use]
    pub const fn suspicion(&self) -> Option<&Suspicion> {
        match &self.state {
            State::Doubted(suspicion) => Some(suspicion),
            State::New | State::Alive { .. } | State::Dead(_) => None,
        }
    }

    /// The suspicion, to change.
    pub const fn suspicion_mut(&mut self) -> Option<&mut Suspicion> {
        match &mut self.state {
            State::Doubted(suspicion) => Some(suspicion),
            State::New | State::Alive { .. } | State::Dead(_) => None,
        }
    }

    /// The verdict, where it is dead.
    #[must_use]
    pub const fn verdict(&self) -> Option<&Verdict> {
        match &self.state {
            State::Dead(verdict) => Some(verdict),
            State::New | State::Alive { .. } | State::Doubted(_) => None,
        }
    }

    /// Whether it leads its account.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.suspicion().is_some_and(|suspicion| suspicion.leads)
    }

    /// Whether it is alive.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        matches!(self.state, State::Alive { .. })
    }

    /// Moves to `state`; what was due before is no longer.
    pub fn become_(&mut self, state: State, now: Timestamp) {
        let same = std::mem::discriminant(&self.state) == std::mem::discriminant(&state);
        self.since = if same { self.since } else { now };
        self.state = state;
        self.due = None;
    }

    /// Writes down what `service` said.
    pub fn remember(&mut self, service: Service, outcome: Outcome, now: Timestamp) {
        let memory = self.services.of_mut(service);
        match outcome.finding {
            Finding::Accepted => {
                memory.first_accepted_at.get_or_insert(now);
                memory.last_accepted_at = Some(now);
                memory.refused_since = None;
            }
            Finding::Rejected => {
                memory.last_rejected_at = Some(now);
                memory.refused_since.get_or_insert(now);
            }
            Finding::Inconclusive(_) => {}
        }
        memory.latest = Some(Attempted { at: now, outcome });
    }

    /// Whether a conclusive round ended within `window` before `now`.
    #[must_use]
    pub fn was_judged_within(&self, window: Duration, now: Timestamp) -> bool {
        self.last_conclusive_at.is_some_and(|at| now.since(at) < window)
    }
}
