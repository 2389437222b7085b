//! One Apple Account: its credentials, the secrets behind them, and the round that is under way.
//!
//! Holds what belongs together and answers questions about it; decides nothing about life and death.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    credential::Health,
    evidence::{Cause, Outcome, PerService, Round, Service, Services},
    incident::IncidentFile,
    login::{Login, Memory, State, Why},
    name::{Address, CredentialName, Fingerprint},
    outbox::{Delivery, Outbox},
    ruling::{Judged, Rule, Ruling},
    schedule::{Policy, Timestamp},
};

/// What the configuration says of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSetup {
    /// Its name.
    pub name: CredentialName,
    /// The program, as people call it.
    pub app: Option<String>,
    /// Where it is used; never empty.
    pub services: Services,
}

/// One place where a secret is used.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What the configuration says.
    pub setup: CredentialSetup,
    /// What outlives the process.
    pub memory: CredentialMemory,
    /// When its source is read next, and its secret asked if that is due.
    pub next_at: Timestamp,
    /// Inconclusive reads in a row.
    pub failed_reads: u32,
    /// The person asks for a round: the requests that wait for it.
    pub requests: Vec<u64>,
    /// One of them named it: it is tried even if it is known to be dead.
    pub named: bool,
    /// Its source was read since the process started.
    pub read: bool,
}

/// What is remembered of a credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialMemory {
    /// Its name.
    pub name: CredentialName,
    /// The secret it held when it was last read.
    pub secret: Option<Fingerprint>,
    /// Why it cannot be read at present.
    pub unreadable: Option<Unreadable>,
    /// The health last recorded.
    pub health: Health,
    /// Since when.
    pub since: Timestamp,
}

/// A secret that cannot be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unreadable {
    /// `secret-unavailable` or `secret-malformed`.
    pub cause: Cause,
    /// In words.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last tried.
    pub at: Timestamp,
}

/// A service that refuses while the other accepts is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// Refusals in a row.
    pub step: u32,
    /// When one credential asks it again.
    pub until: Timestamp,
}

/// The siblings are asked one by one whether they are dead, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Poll {
    /// The leader's first refusal: a sibling's refusal before it says nothing.
    pub first_refused_at: Timestamp,
    /// The leader's latest refusal: a sibling's acceptance before it says nothing.
    pub refused_at: Timestamp,
    /// The leader.
    pub leader: Fingerprint,
    /// Services that refused it.
    pub refused: Services,
}

/// What outlives the process, beside credentials, secrets, ration and incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountMemory {
    /// Services that rest.
    pub resting: PerService<Option<Rest>>,
    /// When a service last answered `unavailable`.
    pub unavailable_at: PerService<Option<Timestamp>>,
    /// Whether siblings are being asked.
    pub poll: Option<Poll>,
    /// The latest re-test of a dead pair.
    pub last_retest_at: Option<Timestamp>,
}

/// One Apple Account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its iCloud Mail address.
    pub address: Address,
    /// In the order of the configuration.
    pub credentials: Vec<Credential>,
    /// Every secret seen, those in use and those of before.
    pub logins: Vec<Login>,
    /// What outlives the process.
    pub memory: AccountMemory,
    /// The open incident.
    pub incident: Option<IncidentFile>,
    /// Incidents that are over and whose last messages are still to go out.
    pub closed: Vec<IncidentFile>,
    /// The messages of both.
    pub outbox: Outbox,
    /// Incidents and messages as they are on disk.
    pub recorded: (Vec<IncidentFile>, Vec<Delivery>),
    /// It is in the configuration; else it only stays until its last message went out.
    pub configured: bool,
    /// The round under way: at most one per account.
    pub flight: Option<Flight>,
    /// The login that a message is being sent with: no round begins meanwhile.
    pub lent: Option<u64>,
    /// Requests under way, and which secret was asked where for them: credentials that share one share its answer.
    pub asked_for: Vec<(u64, Fingerprint, Service)>,
    /// What was decided in this step, for the disk.
    pub rulings: Vec<Ruling>,
    /// Something to be remembered changed in this step.
    pub dirty: bool,
    /// Something changed in this step, if only for as long as the process lives.
    pub stirred: bool,
    /// When it was last gone through as a whole ([`Engine::handle`](super::engine::Engine::handle)).
    pub reviewed_at: Timestamp,
    /// When it wants something, as it was left by the latest step that changed it.
    pub wants: Wants,
}

/// When an account wants something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// A round that a person waits for.
    pub asked: bool,
    /// A round, as soon as none is under way.
    pub round_at: Option<Timestamp>,
    /// A message to be handed over.
    pub message_at: Option<Timestamp>,
    /// People to be reminded.
    pub reminder_at: Option<Timestamp>,
}

/// A round under way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// Its number.
    pub round: u64,
    /// Whose secret is read.
    pub credential: CredentialName,
    /// What for.
    pub why: Why,
    /// The secret that it was started for, if for one.
    pub target: Option<Fingerprint>,
    /// When it started.
    pub started_at: Timestamp,
    /// The requests that are answered when it ends.
    pub requests: Vec<u64>,
    /// One of them named the credential.
    pub named: bool,
    /// The attempts, once the secret is read.
    pub asking: Option<Asking>,
}

/// The attempts of a round.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The secret.
    pub login: Fingerprint,
    /// Services that accepted it before this round.
    pub accepting: Services,
    /// Still to be asked, in turn.
    pub queue: VecDeque<Service>,
    /// The first conclusive answer ends the round.
    pub one_answer: bool,
    /// What was said so far.
    pub said: Round,
    /// Refusals of this round. They enter the secret's memory with the judgement: a process that dies in between must not
    /// remember that a service refused last and forget that it is to be judged, or nothing would ever count as evidence.
    pub refusals: Vec<(Service, Outcome, Timestamp)>,
    /// The attempt under way.
    pub attempt: Option<(u64, Service)>,
}

impl Account {
    /// The secret with this fingerprint.
    #[must_use]
    pub fn login(&self, fingerprint: Fingerprint) -> Option<&Login> {
        self.logins.iter().find(|login| login.fingerprint == fingerprint)
    }

    /// The secret with this fingerprint, to change.
    pub fn login_mut(&mut self, fingerprint: Fingerprint) -> Option<&mut Login> {
        self.logins.iter_mut().find(|login| login.fingerprint == fingerprint)
    }

    /// The credential of this name.
    pub fn credential_mut(&mut self, name: &CredentialName) -> Option<&mut Credential> {
        self.credentials.iter_mut().find(|credential| credential.setup.name == *name)
    }

    /// The secret that a credential held when it was last read.
    #[must_use]
    pub fn login_of(&self, credential: &Credential) -> Option<&Login> {
        self.login(credential.memory.secret?)
    }

    /// The credentials that hold this secret.
    pub fn holders(&self, fingerprint: Fingerprint) -> impl Iterator<Item = &Credential> {
        self.credentials.iter().filter(move |credential| credential.memory.secret == Some(fingerprint))
    }

    /// The secrets in use: held by at least one credential.
    pub fn in_use(&self) -> impl Iterator<Item = &Login> {
        self.logins.iter().filter(|login| self.holders(login.fingerprint).next().is_some())
    }

    /// The secrets in use, by fingerprint.
    #[must_use]
    pub fn fingerprints_in_use(&self) -> Vec<Fingerprint> {
        self.in_use().map(|login| login.fingerprint).collect()
    }

    /// Writes down by which rule it was decided about a secret.
    pub fn rule(
        &mut self,
        fingerprint: Fingerprint,
        round: Option<(CredentialName, Judged)>,
        rule: Rule,
        at: Timestamp,
    ) {
        let holder = || Some(self.holders(fingerprint).next()?.setup.name.clone());
        let (asked, round) = round.unzip();
        let Some(credential) = asked.or_else(holder) else { return };
        let (account, secret) = (self.address.clone(), fingerprint.secret.tag());
        self.rulings.push(Ruling { at, account, credential, secret, round, rule });
    }

    /// All services that some credential uses this secret with.
    #[must_use]
    pub fn services_of(&self, fingerprint: Fingerprint) -> Services {
        self.holders(fingerprint).fold(Services::NONE, |all, credential| all.union(credential.setup.services))
    }

    /// The secret that leads: the one that alone is confirmed.
    #[must_use]
    pub fn leader(&self) -> Option<&Login> {
        let leads = |login: &&Login| login.leads() && self.holders(login.fingerprint).next().is_some();
        self.logins.iter().find(leads)
    }

    /// Services that rest at `now`.
    #[must_use]
    pub fn resting(&self, now: Timestamp) -> Services {
        let rests = |rest: &Option<Rest>| rest.is_some_and(|rest| rest.until > now);
        Services { imap: rests(&self.memory.resting.imap), smtp: rests(&self.memory.resting.smtp) }
    }

    /// A service refused (again) while the other accepted: it rests, ever longer.
    pub fn let_rest(&mut self, service: Service, policy: &Policy, now: Timestamp) {
        let rest = self.memory.resting.of_mut(service);
        let step = match rest {
            Some(rest) if rest.until > now => return, // a person asked meanwhile: the rest goes on as it was
            Some(rest) => rest.step + 1,
            None => 0,
        };
        *rest = Some(Rest { step, until: now + policy.rest(step) });
    }

    /// Whether any secret of the account was accepted after `since`.
    #[must_use]
    pub fn accepted_after(&self, since: Timestamp) -> bool {
        self.in_use().any(|login| login.last_accepted_at().is_some_and(|at| at > since))
    }

    /// The health of a credential at `now`: as the last round left it, unless its secret cannot be read or that is long ago.
    #[must_use]
    pub fn health_at(&self, credential: &Credential, policy: &Policy, now: Timestamp) -> Health {
        let login = self.login_of(credential);
        let health = login.map_or(Health::Unknown, |login| login.health(credential.setup.services));
        let judged_at = login.and_then(|login| login.last_conclusive_at);
        let old = judged_at.is_some_and(|at| now.since(at) >= policy.stale_after);
        let memory = &credential.memory;
        let waited = match memory.health {
            Health::Stale => true,
            Health::Unknown => now.since(memory.since) >= policy.stale_after,
            // Another secret was just put in its place: this one has not waited yet.
            Health::Healthy
            | Health::Degraded
            | Health::Suspect
            | Health::Revoked
            | Health::Rejected
            | Health::Unreadable => false,
        };
        match health {
            Health::Healthy | Health::Degraded | Health::Unknown if memory.unreadable.is_some() => Health::Unreadable,
            Health::Healthy | Health::Degraded if old => Health::Stale,
            // Never judged: stale once it has waited for as long.
            Health::Unknown if judged_at.is_none() && waited => Health::Stale,
            Health::Healthy
            | Health::Degraded
            | Health::Unknown
            | Health::Suspect
            | Health::Revoked
            | Health::Rejected
            | Health::Unreadable
            | Health::Stale => health,
        }
    }

    /// Whether a secret of this account is alive or being doubted on one of `services`: a reason to think of an outage. A
    /// living one that the service used to take and refuses since `lately`, while the other takes it, is the best of reasons.
    #[must_use]
    pub fn could_witness(&self, services: Services, lately: Timestamp) -> bool {
        let took = |login: &Login| {
            let turned = |memory: &Memory| {
                memory.last_accepted_at.is_some() && memory.refused_since.is_some_and(|since| since > lately)
            };
            let turned = Services { imap: turned(&login.services.imap), smtp: turned(&login.services.smtp) };
            login.accepting().union(turned)
        };
        self.in_use().any(|login| match &login.state {
            State::Alive { .. } => !took(login).and(services).is_empty(),
            State::Doubted(suspicion) => login.ever_accepted() && !suspicion.evidence.and(services).is_empty(),
            State::New | State::Dead(_) => false,
        })
    }
}
