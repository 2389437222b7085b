//! What the engine shows of itself: plain values for the status document, the table and the messages.

use std::time::Duration;

use super::{
    credential::{Health, Overall},
    evidence::{Finding, Service},
    incident::Incident,
    name::{Address, CredentialName},
    schedule::Timestamp,
    watch::Standing,
};

/// One Apple Account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// Its iCloud Mail address.
    pub address: Address,
    /// Rejected (or not yet answered) logins in the last 24 hours.
    pub failed_logins_24h: u32,
    /// How many there may be.
    pub failed_login_limit: u32,
    /// When the next automatic login is allowed again; `None` while it is.
    pub ration_frees_at: Option<Timestamp>,
    /// The open incident.
    pub incident: Option<Incident>,
    /// The connection that stands open for it.
    pub watch: Option<Standing>,
    /// Its credentials, in the order of the configuration.
    pub credentials: Vec<CredentialStatus>,
}

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialStatus {
    /// Its name.
    pub name: CredentialName,
    /// The program, as people call it.
    pub app: Option<String>,
    /// What keypulse believes, judged at reading time.
    pub health: Health,
    /// Concluded from its siblings, not asked itself.
    pub presumed: bool,
    /// Since when it has this health.
    pub since: Option<Timestamp>,
    /// Latest acceptance of the present secret, by any service.
    pub last_accepted_at: Option<Timestamp>,
    /// Latest attempt, whatever it found.
    pub last_checked_at: Option<Timestamp>,
    /// When it is asked next; `None` if it is not (latched, source unread, being asked now, paused, no network).
    pub next_check_at: Option<Timestamp>,
    /// Why the secret could not be read: present only while it cannot.
    pub unreadable: Option<String>,
    /// Latest attempt on each configured service, IMAP first; services never asked are left out.
    pub services: Vec<ServiceStatus>,
}

/// The latest attempt on one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Which.
    pub service: Service,
    /// What it found.
    pub finding: Finding,
    /// The response code, or the reply code with its enhanced code.
    pub code: Option<String>,
    /// The server's words, or ours where no connection was made.
    pub detail: Option<String>,
    /// When it ended.
    pub at: Timestamp,
    /// From the first connect to the verdict.
    pub took: Option<Duration>,
}

/// The worst of `credentials`; `Unknown` where there are none.
pub fn overall<'a>(credentials: impl IntoIterator<Item = &'a CredentialStatus>) -> Overall {
    credentials.into_iter().map(|credential| credential.health.overall()).max().unwrap_or(Overall::Unknown)
}
