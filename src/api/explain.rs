//! The chain behind a verdict, schema 1: `explain --json` and `GET /v1/explain`.
//!
//! Decides names and form of its fields, nothing else. Absent values are null, never left out. Adding a field is free.

use serde::{Deserialize, Serialize};

use super::{
    Time,
    document::{CredentialDocument, DaemonDocument, IdleWatchDocument, IncidentDocument, ServiceDocument},
};
use crate::health::{
    evidence::Service,
    login::Why,
    name::{Address, CredentialName},
};

/// The whole document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainDocument {
    /// [`super::document::SCHEMA`].
    pub schema: u32,
    /// When it was made.
    pub generated_at: Time,
    /// The daemon that made it; null where there was none.
    pub daemon: Option<DaemonDocument>,
    /// Those asked for, with the credentials asked for.
    pub accounts: Vec<ExplainedAccount>,
}

/// One Apple Account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedAccount {
    /// Its iCloud Mail address.
    pub address: Address,
    /// Rejected (or not yet answered) logins in the last 24 hours.
    pub failed_logins_24h: u32,
    /// How many there may be.
    pub failed_login_limit: u32,
    /// How many are left for a person's checks and new passwords.
    pub failed_logins_left: u32,
    /// How many of those keypulse may spend by itself.
    pub failed_logins_left_automatic: u32,
    /// When the next automatic login is allowed again; null while it is.
    pub ration_frees_at: Option<Time>,
    /// The open incident.
    pub incident: Option<IncidentDocument>,
    /// The connection that `watch.idle` holds open; null while there is none.
    #[serde(default)]
    pub idle_watch: Option<IdleWatchDocument>,
    /// In the order of the configuration.
    pub credentials: Vec<ExplainedCredential>,
}

/// One credential: as in the status document, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedCredential {
    /// As in the status document.
    #[serde(flatten)]
    pub credential: CredentialDocument,
    /// Tells the password from others of the account, without telling it; null while it was never read.
    pub password: Option<String>,
    /// Other credentials that hold the same password.
    pub shared_with: Vec<CredentialName>,
    /// The decision that made the health what it is.
    pub why: DecisionDocument,
    /// What would change it, in words.
    pub change: String,
    /// What the next check is for; null where none is planned.
    pub next_check_for: Option<String>,
    /// When the outage guard lets go at the latest; null while it does not hold.
    pub held_until: Option<Time>,
    /// Until when the refusing service of a degraded one is left alone.
    pub rests_until: Option<Time>,
    /// The rounds that led here, the oldest first.
    pub evidence: Vec<RoundDocument>,
    /// There is more before those.
    pub evidence_cut: bool,
}

/// What was decided, by which rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionDocument {
    /// The rule's name; null where none was kept.
    pub rule: Option<String>,
    /// Which part of the rules it belongs to.
    pub part: Option<String>,
    /// In words.
    pub text: String,
}

/// One round, or a decision without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundDocument {
    /// When it ended.
    pub at: Time,
    /// Which credential was asked.
    pub credential: CredentialName,
    /// Its number; null for a decision without a round, and for attempts of before numbers were kept.
    pub round: Option<u64>,
    /// What it was for.
    pub purpose: Option<Why>,
    /// In words.
    pub purpose_text: Option<String>,
    /// The logins, in their order.
    pub attempts: Vec<ServiceDocument>,
    /// `alive`, `degraded`, `refused-strong`, `refused-weak` or `inconclusive`; null without a round.
    pub assessment: Option<String>,
    /// Services whose refusal counted.
    pub counted: Vec<Service>,
    /// Counted refusals so far, this round included.
    pub refusals: u32,
    /// Who else was accepted meanwhile.
    pub corroborated_by: Option<WitnessDocument>,
    /// Why the refusal could be Apple's trouble: `another-account`, `imap-unavailable` or `smtp-unavailable`.
    pub guard: Option<String>,
    /// Another password of the account leads, and this one waits.
    pub waits_for_leader: bool,
    /// What was decided; null for attempts of before decisions were kept.
    pub decision: Option<DecisionDocument>,
}

/// An acceptance of another password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessDocument {
    /// Whose.
    pub account: Address,
    /// Which credential holds it.
    pub credential: Option<CredentialName>,
    /// Where.
    pub service: Service,
    /// When.
    pub at: Time,
}
