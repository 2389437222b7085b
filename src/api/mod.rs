//! What keypulse tells other programs: the status document and the two ends of the local socket.
//!
//! This page holds the messages between the socket and the daemon's loop. The loop owns all state; the server owns none and
//! decides nothing: it turns a request into a [`Request`] and the reply into HTTP. Never touches a secret, a clock of its own
//! or the network.

pub mod client;
pub mod document;
pub mod events;
pub mod explain;
pub mod history;
pub mod metrics;
pub mod problem;
mod routes;
#[cfg(test)]
pub(crate) mod sample;
pub mod server;
pub mod socket;
pub mod spare;
pub mod time;
pub mod trouble;
pub mod unknown;

pub use client::{Checked, Client, ClientError};
pub use document::{AccountDocument, DaemonDocument, DaemonInfo, EmailDocument, ProgramDocument, StatusDocument};
pub use events::{IncidentEvent, IncidentMessage, StreamEvent, TransitionDocument, Words};
pub use explain::ExplainDocument;
pub use history::{HistoryQuery, PastError, Since};
pub use problem::Problem;
pub use server::{Limits, serve};
pub use socket::{BindError, Listener, bind};
pub use time::Time;
pub use trouble::{Trouble, TroubleKind};
pub use unknown::UnknownName;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, oneshot};

use crate::health::{
    name::{Address, CredentialName},
    tally::Tally,
};

/// The longest wait that `POST /v1/check` takes.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The wait of `POST /v1/check` where none is asked for.
pub const USUAL_WAIT: Duration = Duration::from_secs(60);

/// What the socket asks of the daemon's loop. Each is answered through its `reply`; a reply that cannot be sent any more
/// belongs to a client that went away, which is no error. A reply that is dropped means that it cannot be done now: the
/// status then says why, in `troubles`.
#[derive(Debug)]
pub enum Request {
    /// The status document, of `names` only where there are any.
    Status {
        /// Which credentials; none means all.
        names: Vec<CredentialName>,
        /// At once.
        reply: oneshot::Sender<Result<StatusDocument, UnknownName>>,
    },
    /// A round now, of `names` or of all that are not latched.
    Check {
        /// Which credentials; none means all that are not latched.
        names: Vec<CredentialName>,
        /// How long the client waits. The server itself gives up then and answers with a `Status` of the same names, so the
        /// loop need not watch the time.
        wait: Duration,
        /// When the rounds are done: the document of `names`. At once for an unknown name; nothing is started then.
        reply: oneshot::Sender<Result<StatusDocument, UnknownName>>,
    },
    /// The stream of events from now on.
    Subscribe {
        /// At once. The channel should hold more than one step of the loop can send, or every reader seems too slow.
        reply: oneshot::Sender<broadcast::Receiver<StreamEvent>>,
    },
    /// Say nothing of an incident for a while.
    Snooze {
        /// A credential's name or an account's address.
        target: String,
        /// How long.
        length: Duration,
        /// At once.
        reply: oneshot::Sender<Result<StatusDocument, SnoozeError>>,
    },
    /// … and do again.
    Unsnooze {
        /// A credential's name or an account's address.
        target: String,
        /// At once.
        reply: oneshot::Sender<Result<StatusDocument, UnknownName>>,
    },
    /// Do nothing by yourself.
    Pause {
        /// How long; until `Resume` where it is not said.
        length: Option<Duration>,
        /// At once.
        reply: oneshot::Sender<StatusDocument>,
    },
    /// … and do again.
    Resume {
        /// At once.
        reply: oneshot::Sender<StatusDocument>,
    },
    /// Changes of health.
    History {
        /// Which.
        query: HistoryQuery,
        /// At once: the newest first.
        reply: oneshot::Sender<Result<Vec<TransitionDocument>, PastError>>,
    },
    /// The chain behind verdicts.
    Explain {
        /// A credential's name or an account's address; everything without.
        target: Option<String>,
        /// At once.
        reply: oneshot::Sender<Result<Box<ExplainDocument>, PastError>>,
    },
    /// Read the configuration again.
    Reload {
        /// The new status, or why the new configuration was refused and the old one stays.
        reply: oneshot::Sender<Result<StatusDocument, String>>,
    },
    /// May another program make one login for `account`? The account need not be configured yet.
    Reserve {
        /// Whose ration.
        account: Address,
        /// At once.
        reply: oneshot::Sender<Result<Reservation, RationUsedUp>>,
    },
    /// How a reserved login ended. One that is never settled stays counted.
    Settle {
        /// From [`Reservation`].
        id: u64,
        /// Whether the server refused the login; anything else gives the reservation back.
        rejected: bool,
        /// At once.
        reply: oneshot::Sender<Result<(), UnknownReservation>>,
    },
    /// What the metrics count.
    Tally {
        /// At once, or why it cannot be read.
        reply: oneshot::Sender<Result<Tally, String>>,
    },
    /// Does the loop turn?
    Ping {
        /// At once.
        reply: oneshot::Sender<()>,
    },
}

/// Why nothing was snoozed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnoozeError {
    /// Neither a credential nor an account is called so.
    Unknown(UnknownName),
    /// Nothing stands that people are told of.
    NothingStands(Address),
}

impl fmt::Display for SnoozeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown) => unknown.fmt(f),
            Self::NothingStands(account) => {
                write!(f, "there is nothing to snooze: keypulse has no message about {account} at present")
            }
        }
    }
}
impl std::error::Error for SnoozeError {}

/// One login that may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// To settle it with.
    pub id: u64,
    /// How many more may be reserved after it.
    pub left: u32,
}

/// The account had too many failed logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RationUsedUp {
    /// When the next login is allowed; `None` where that is not known, because logins are still being made.
    pub frees_at: Option<Time>,
}

/// No such reservation: settled before, or by another daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownReservation;
