//! An account's credentials together: what happened to them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{name::CredentialName, schedule::Timestamp};

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
