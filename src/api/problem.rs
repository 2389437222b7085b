//! Errors as the socket tells them: problem details (RFC 9457).

use std::fmt;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::{PastError, RationUsedUp, SnoozeError, Time, UnknownName};

/// One error. `type` is always `about:blank` (RFC 9457, section 4.2.1): `code` tells programs which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The phrase of the HTTP status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong and what to do.
    #[serde(default)]
    pub detail: String,
    /// Which problem, in one word: one of [`Problem`]'s constants.
    #[serde(default)]
    pub code: String,
    /// With [`Problem::RATION_USED_UP`]: when the next login is allowed, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frees_at: Option<Time>,
}

impl Problem {
    /// No credential has this name.
    pub const UNKNOWN_NAME: &str = "unknown-name";
    /// No such path.
    pub const UNKNOWN_PATH: &str = "unknown-path";
    /// The path is there, but not with this method.
    pub const WRONG_METHOD: &str = "wrong-method";
    /// The request cannot be understood.
    pub const BAD_REQUEST: &str = "bad-request";
    /// More headers or body than allowed.
    pub const TOO_LARGE: &str = "too-large";
    /// The request did not arrive in time.
    pub const TOO_SLOW: &str = "too-slow";
    /// The client is neither the daemon's user nor root.
    pub const NOT_YOURS: &str = "not-yours";
    /// The new configuration was refused; the old one stays.
    pub const INVALID_CONFIGURATION: &str = "invalid-configuration";
    /// The account had too many failed logins.
    pub const RATION_USED_UP: &str = "ration-used-up";
    /// No incident stands that could be snoozed.
    pub const NOTHING_TO_SNOOZE: &str = "nothing-to-snooze";
    /// No such reservation.
    pub const UNKNOWN_RESERVATION: &str = "unknown-reservation";
    /// The daemon's loop does not answer.
    pub const NO_ANSWER: &str = "no-answer";
    /// The state on disk cannot be written: nothing that changes it can be done now.
    pub const UNWRITABLE: &str = "state-unwritable";
    /// The state on disk cannot be read.
    pub const UNREADABLE: &str = "state-unreadable";
    /// Too many event streams are open.
    pub const TOO_MANY_STREAMS: &str = "too-many-streams";

    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.into(),
            frees_at: None,
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Self::BAD_REQUEST, detail)
    }

    pub(super) fn unknown_name(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Self::UNKNOWN_NAME, detail)
    }

    pub(super) fn unreadable(why: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Self::UNREADABLE, why)
    }

    pub(super) fn no_answer() -> Self {
        let detail = "the daemon's main loop does not answer; it may be stopping. Try again, or restart it";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Self::NO_ANSWER, detail)
    }
}

impl From<UnknownName> for Problem {
    fn from(unknown: UnknownName) -> Self {
        Self::unknown_name(unknown.to_string())
    }
}

impl From<SnoozeError> for Problem {
    fn from(error: SnoozeError) -> Self {
        match error {
            SnoozeError::Unknown(unknown) => unknown.into(),
            SnoozeError::NothingStands(_) => {
                Self::new(StatusCode::CONFLICT, Self::NOTHING_TO_SNOOZE, error.to_string())
            }
        }
    }
}

impl From<PastError> for Problem {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Unknown(unknown) => unknown.into(),
            PastError::State(why) => {
                let detail = format!("the daemon failed to {why}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, Self::UNREADABLE, detail)
            }
        }
    }
}

impl From<RationUsedUp> for Problem {
    fn from(used_up: RationUsedUp) -> Self {
        let when = used_up.frees_at.map_or("once the logins being made are answered".into(), |at| format!("at {at}"));
        let detail = format!(
            "this account had as many failed logins in 24 hours as `limits.failed_logins_per_account` allows; the next \
             one is allowed {when}"
        );
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, Self::RATION_USED_UP, detail);
        Self { frees_at: used_up.frees_at, ..problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() { write!(f, "{} ({})", self.title, self.status) } else { f.write_str(&self.detail) }
    }
}
