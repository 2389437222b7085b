//! One secret's health, and how it moves.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    name::{Address, CredentialName},
    schedule::Timestamp,
};

/// What keypulse believes of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The last conclusive round: alive.
    Healthy,
    /// Alive, but one service refuses.
    Degraded,
    /// Was accepted before, now refused; being confirmed.
    Suspect,
    /// Was accepted before, refusal confirmed.
    Revoked,
    /// This secret was never accepted.
    Rejected,
    /// The secret cannot be read, or is malformed.
    Unreadable,
    /// No conclusive round for `stale_after`.
    Stale,
    /// Never a conclusive round.
    Unknown,
}

impl Health {
    /// Every health, in the order of the status document's counts.
    pub const ALL: [Self; 8] = [
        Self::Healthy,
        Self::Degraded,
        Self::Suspect,
        Self::Revoked,
        Self::Rejected,
        Self::Unreadable,
        Self::Stale,
        Self::Unknown,
    ];

    /// The word used in JSON, logs, metrics and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Suspect => "suspect",
            Self::Revoked => "revoked",
            Self::Rejected => "rejected",
            Self::Unreadable => "unreadable",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
        }
    }

    /// What it does to the overall state.
    #[must_use]
    pub const fn overall(self) -> Overall {
        match self {
            Self::Healthy => Overall::Ok,
            Self::Degraded | Self::Suspect | Self::Unreadable | Self::Stale | Self::Unknown => Overall::Warning,
            Self::Revoked | Self::Rejected => Overall::Critical,
        }
    }

    /// Whether programs should stop knocking with it.
    #[must_use]
    pub const fn is_dead(self) -> bool {
        match self {
            Self::Revoked | Self::Rejected => true,
            Self::Healthy | Self::Degraded | Self::Suspect | Self::Unreadable | Self::Stale | Self::Unknown => false,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The worst of all credentials. `Unknown` means that nothing can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// All are healthy. Exit code 0.
    Ok,
    /// At least one is neither healthy nor dead. Exit code 1.
    Warning,
    /// At least one is revoked or rejected. Exit code 2.
    Critical,
    /// No credentials. Exit code 3.
    Unknown,
}

impl Overall {
    /// The word used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// A change of health, as kept in the history; or, with `from` and `to` the same, of the cause behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Grows by one with each.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub account: Address,
    /// Which.
    pub credential: CredentialName,
    /// From.
    pub from: Health,
    /// To.
    pub to: Health,
    /// In words for the log and `explain`: "refused by imap and smtp", "accepted by imap".
    pub reason: String,
    /// The cause of the account's incident at that moment, if there is one.
    pub cause: Option<super::incident::IncidentCause>,
    /// Concluded from its siblings, not asked itself.
    pub presumed: bool,
}

impl Transition {
    /// Whether the health changed, and not only the cause.
    #[must_use]
    pub fn is_change_of_health(&self) -> bool {
        self.from != self.to
    }
}
