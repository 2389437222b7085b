//! An account's credentials together: what happened to them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    name::{CredentialName, Fingerprint},
    schedule::{Policy, Timestamp},
};

/// What most likely happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentCause {
    /// Two or more secrets died together: the main password was changed.
    MainPasswordReset,
    /// One died while a sibling lives.
    SingleRevocation,
    /// One died and nothing tells which of the two it was.
    ResetOrRevoked,
    /// Secrets that were never accepted.
    NeverAccepted,
    /// One service refuses for a day while the other accepts.
    ServiceRefused,
    /// No answer on a secret for a day.
    CannotCheck,
    /// The outage guard holds a verdict back. Shown in the status, never told.
    ProviderOutageSuspected,
}

impl IncidentCause {
    /// The word used in JSON, hooks and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MainPasswordReset => "main-password-reset",
            Self::SingleRevocation => "single-revocation",
            Self::ResetOrRevoked => "reset-or-revoked",
            Self::NeverAccepted => "never-accepted",
            Self::ServiceRefused => "service-refused",
            Self::CannotCheck => "cannot-check",
            Self::ProviderOutageSuspected => "provider-outage-suspected",
        }
    }

    /// Whether it is told once and never reminded of: nothing died.
    #[must_use]
    pub const fn is_told_once(self) -> bool {
        match self {
            Self::ServiceRefused | Self::CannotCheck | Self::ProviderOutageSuspected => true,
            Self::MainPasswordReset | Self::ResetOrRevoked | Self::SingleRevocation | Self::NeverAccepted => false,
        }
    }

    /// Whether its opening message is critical; the others are normal.
    #[must_use]
    pub const fn is_critical(self) -> bool {
        match self {
            Self::MainPasswordReset | Self::ResetOrRevoked => true,
            Self::SingleRevocation
            | Self::NeverAccepted
            | Self::ServiceRefused
            | Self::CannotCheck
            | Self::ProviderOutageSuspected => false,
        }
    }
}

impl fmt::Display for IncidentCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to one account, told once. At most one is open per account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Grows by one with each.
    pub id: u64,
    /// What most likely happened.
    pub cause: IncidentCause,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// When people were first told, on any channel.
    pub notified_at: Option<Timestamp>,
    /// The latest acceptance of an affected pair before it, and the first refusal (or failure to read).
    pub began_between: (Option<Timestamp>, Timestamp),
    /// The affected credentials, in the order of the configuration.
    pub credentials: Vec<CredentialName>,
    /// Not told again before this.
    pub snoozed_until: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// It ended because an affected pair itself was accepted again: a false alarm, or Apple's doing.
    pub withdrawn: bool,
}

/// An incident with what keypulse keeps beside what it tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentFile {
    /// What is told.
    pub incident: Incident,
    /// The secrets that died in it. One that is accepted again is taken out.
    pub secrets: Vec<Fingerprint>,
    /// Its credentials that work again.
    pub repaired: Vec<CredentialName>,
    /// The newest refusal of one of its secrets: acceptances before it say nothing about the cause.
    pub newest_refusal_at: Timestamp,
    /// When it is told again.
    pub remind_at: Option<Timestamp>,
}

impl IncidentFile {
    /// A message of it went out.
    pub fn told(&mut self, policy: &Policy, now: Timestamp) {
        self.incident.notified_at.get_or_insert(now);
        if self.remind_at.is_none() && !self.incident.cause.is_told_once() {
            self.remind_at = policy.remind_every.map(|every| now + every);
        }
    }

    /// A snooze is over before its time: reminders follow as they would without one.
    pub fn wake(&mut self, policy: &Policy, now: Timestamp) {
        self.incident.snoozed_until = None;
        let reminded = !self.incident.cause.is_told_once() && self.incident.notified_at.is_some();
        self.remind_at = policy.remind_every.filter(|_| reminded).map(|every| now + every);
    }
}

/// What the cause of an incident is judged by. Counts secrets, never credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// Secrets of the incident that were accepted before it.
    pub revoked: usize,
    /// A pair older than the incident was accepted after the newest refusal.
    pub old_pair_lives: bool,
}

impl Signs {
    /// What most likely happened (`verdicts.md`, part 5).
    #[must_use]
    pub const fn cause(self) -> IncidentCause {
        match (self.revoked, self.old_pair_lives) {
            (0, _) => IncidentCause::NeverAccepted,
            (_, true) => IncidentCause::SingleRevocation,
            (2.., false) => IncidentCause::MainPasswordReset,
            (1, false) => IncidentCause::ResetOrRevoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(revoked: usize, old_pair_lives: bool, expected: IncidentCause) {
        assert_eq!(Signs { revoked, old_pair_lives }.cause(), expected);
    }

    #[test]
    fn the_cause_follows_from_who_died_and_who_lives() {
        check(0, false, IncidentCause::NeverAccepted);
        check(0, true, IncidentCause::NeverAccepted);
        check(1, false, IncidentCause::ResetOrRevoked);
        check(1, true, IncidentCause::SingleRevocation);
        check(2, false, IncidentCause::MainPasswordReset);
        check(25, false, IncidentCause::MainPasswordReset);
        check(2, true, IncidentCause::SingleRevocation);
    }
}
