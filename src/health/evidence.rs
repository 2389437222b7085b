//! What one login said, and what one round of logins means.
//!
//! Decides the nine-cell table of a round. Contains no networking code and never looks at a server's words: those become
//! a [`Finding`] in `classify.rs`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A service that takes logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// IMAP4rev1 (RFC 3501).
    Imap,
    /// Message submission (RFC 6409) with SMTP AUTH (RFC 4954).
    Smtp,
}

impl Service {
    /// Both services, in the order in which a round asks them.
    pub const ALL: [Self; 2] = [Self::Imap, Self::Smtp];

    /// The name used in JSON, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Imap => Self::Smtp,
            Self::Smtp => Self::Imap,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One `T` per service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PerService<T> {
    /// For IMAP.
    pub imap: T,
    /// For SMTP.
    pub smtp: T,
}

impl<T> PerService<T> {
    /// The one of `service`.
    pub const fn of(&self, service: Service) -> &T {
        match service {
            Service::Imap => &self.imap,
            Service::Smtp => &self.smtp,
        }
    }

    /// The one of `service`, to change.
    pub const fn of_mut(&mut self, service: Service) -> &mut T {
        match service {
            Service::Imap => &mut self.imap,
            Service::Smtp => &mut self.smtp,
        }
    }
}

/// A set of services. Never empty where it comes from the configuration.
pub type Services = PerService<bool>;

impl Services {
    /// IMAP and SMTP.
    pub const BOTH: Self = Self { imap: true, smtp: true };
    /// Neither.
    pub const NONE: Self = Self { imap: false, smtp: false };

    /// Just `service`.
    #[must_use]
    pub const fn only(service: Service) -> Self {
        match service {
            Service::Imap => Self { imap: true, smtp: false },
            Service::Smtp => Self { imap: false, smtp: true },
        }
    }

    /// The members, IMAP first.
    pub fn iter(self) -> impl Iterator<Item = Service> {
        Service::ALL.into_iter().filter(move |service| *self.of(*service))
    }

    /// Whether `service` is a member.
    #[must_use]
    pub const fn has(self, service: Service) -> bool {
        *self.of(service)
    }

    /// Members of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { imap: self.imap || other.imap, smtp: self.smtp || other.smtp }
    }

    /// Members of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { imap: self.imap && other.imap, smtp: self.smtp && other.smtp }
    }

    /// Members of this that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self { imap: self.imap && !other.imap, smtp: self.smtp && !other.smtp }
    }

    /// Whether there is no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.imap && !self.smtp
    }
}

/// Why an attempt proved nothing. The names are those of JSON, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The secret could not be read; no connection was made.
    SecretUnavailable,
    /// The secret is not of the app-specific shape; it was never sent.
    SecretMalformed,
    /// No route, no network, or name resolution failed.
    Offline,
    /// Connection refused, or reset before TLS.
    Unreachable,
    /// No answer within the time limit, at any stage.
    TimedOut,
    /// The port speaks HTTP or plain text where TLS was due.
    CaptivePortal,
    /// Handshake or certificate failed; credentials were not sent.
    TlsFailed,
    /// STARTTLS is missing or refused; credentials were not sent.
    TlsNotOffered,
    /// A temporary refusal.
    Unavailable,
    /// A temporary refusal that speaks of too many or too fast.
    Throttled,
    /// End of file or reset after TCP was up, before the reply.
    ConnectionLost,
    /// A refusal that says something other than "wrong pair".
    RefusedOtherwise,
    /// Something that is not the protocol.
    ProtocolViolation,
}

impl Cause {
    /// Every cause, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::SecretUnavailable,
        Self::SecretMalformed,
        Self::Offline,
        Self::Unreachable,
        Self::TimedOut,
        Self::CaptivePortal,
        Self::TlsFailed,
        Self::TlsNotOffered,
        Self::Unavailable,
        Self::Throttled,
        Self::ConnectionLost,
        Self::RefusedOtherwise,
        Self::ProtocolViolation,
    ];

    /// The name used in JSON, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretUnavailable => "secret-unavailable",
            Self::SecretMalformed => "secret-malformed",
            Self::Offline => "offline",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::CaptivePortal => "captive-portal",
            Self::TlsFailed => "tls-failed",
            Self::TlsNotOffered => "tls-not-offered",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::ConnectionLost => "connection-lost",
            Self::RefusedOtherwise => "refused-otherwise",
            Self::ProtocolViolation => "protocol-violation",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one attempt found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The server took the pair.
    Accepted,
    /// The server refused the pair, in so many words.
    Rejected,
    /// Everything else.
    Inconclusive(Cause),
}

impl Finding {
    /// `accepted`, `rejected` or `inconclusive`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Inconclusive(_) => "inconclusive",
        }
    }

    /// The finding of these two words; `None` where there is no such.
    #[must_use]
    pub fn of(finding: &str, cause: Option<&str>) -> Option<Self> {
        let inconclusive = Cause::ALL.into_iter().map(Self::Inconclusive);
        let mut all = [Self::Accepted, Self::Rejected].into_iter().chain(inconclusive);
        all.find(|it| it.as_str() == finding && it.cause().map(Cause::as_str) == cause)
    }

    /// The cause, where there is one.
    #[must_use]
    pub const fn cause(self) -> Option<Cause> {
        match self {
            Self::Accepted | Self::Rejected => None,
            Self::Inconclusive(cause) => Some(cause),
        }
    }

    /// Whether it is an answer on the pair.
    #[must_use]
    pub const fn is_conclusive(self) -> bool {
        match self {
            Self::Accepted | Self::Rejected => true,
            Self::Inconclusive(_) => false,
        }
    }
}

/// One attempt's finding with the server's own words, made fit to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it found.
    pub finding: Finding,
    /// The response code (RFC 5530), or the reply code with its enhanced status code (RFC 3463).
    pub code: Option<String>,
    /// The server's or our own words: at most 200 characters, printable, without user names and secrets.
    pub detail: Option<String>,
    /// From the first connect to the verdict; `None` where no connection was made.
    pub took: Option<Duration>,
}

impl Outcome {
    /// An attempt that ended before any connection.
    #[must_use]
    pub fn unasked(cause: Cause, detail: impl Into<String>) -> Self {
        Self { finding: Finding::Inconclusive(cause), code: None, detail: Some(detail.into()), took: None }
    }
}

/// What the services said in one round; `None` where a service was not asked.
pub type Round = PerService<Option<Finding>>;

/// What one round means for the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// At least one service accepted. `refusing` names the one that did not, if any.
    Alive {
        /// The service that refuses while the other accepts.
        refusing: Option<Service>,
    },
    /// No service accepted and at least one refused; `strong` if two did.
    Refused {
        /// Both services refused in this round.
        strong: bool,
    },
    /// No service gave an answer on the pair.
    Inconclusive,
}

/// The nine cells. One acceptance is proof of life; a refusal alone is weak.
#[must_use]
pub fn assess(round: &Round) -> Assessment {
    let accepted = |finding: Option<Finding>| finding == Some(Finding::Accepted);
    let rejected = |finding: Option<Finding>| finding == Some(Finding::Rejected);
    if accepted(round.imap) || accepted(round.smtp) {
        let refusing = Service::ALL.into_iter().find(|service| rejected(*round.of(*service)));
        Assessment::Alive { refusing }
    } else if rejected(round.imap) || rejected(round.smtp) {
        Assessment::Refused { strong: rejected(round.imap) && rejected(round.smtp) }
    } else {
        Assessment::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<Finding> = Some(Finding::Accepted);
    const R: Option<Finding> = Some(Finding::Rejected);
    const I: Option<Finding> = Some(Finding::Inconclusive(Cause::TimedOut));

    #[track_caller]
    fn check(imap: Option<Finding>, smtp: Option<Finding>, expected: Assessment) {
        assert_eq!(assess(&Round { imap, smtp }), expected, "imap {imap:?}, smtp {smtp:?}");
    }

    #[test]
    fn the_nine_cells() {
        let alive = Assessment::Alive { refusing: None };
        check(A, A, alive);
        check(A, R, Assessment::Alive { refusing: Some(Service::Smtp) });
        check(A, I, alive);
        check(R, A, Assessment::Alive { refusing: Some(Service::Imap) });
        check(R, R, Assessment::Refused { strong: true });
        check(R, I, Assessment::Refused { strong: false });
        check(I, A, alive);
        check(I, R, Assessment::Refused { strong: false });
        check(I, I, Assessment::Inconclusive);
    }

    #[test]
    fn one_service_asked_is_weak() {
        check(None, R, Assessment::Refused { strong: false });
        check(R, None, Assessment::Refused { strong: false });
        check(A, None, Assessment::Alive { refusing: None });
        check(None, I, Assessment::Inconclusive);
        check(None, None, Assessment::Inconclusive);
    }

    #[test]
    fn causes_are_named_as_serde_names_them() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
    }
}
