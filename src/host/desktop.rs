//! The desktop channel: one notification per incident, replaced in place, withdrawn when it is over.
//!
//! A task of its own talks to the notification service, so that a missing, slow or dying one never holds the daemon.
//! It retries nothing by itself: it says what became of each order and when a service appeared, and the daemon, which
//! remembers on disk what is still to be told, orders again. Never words a message and never decides when one is due.

#[cfg(target_os = "linux")]
mod bus;
#[cfg(target_os = "linux")]
mod icon;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;

use std::{fmt, str::FromStr, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::health::alert::Message;

/// How long a notification service may take for an answer.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How long closing everything may take: somebody waits for the process to end.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a notification offers to do. The key is what programs see of it (`contract.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Takes the new passwords, in a terminal.
    Replace,
    /// Opens Apple's page in the browser: carried out here.
    OpenAccount,
    /// Silences the incident for a day.
    Snooze,
}

impl Offer {
    /// All, for passwords that are dead.
    pub const ALL: &'static [Self] = &[Self::Replace, Self::OpenAccount, Self::Snooze];

    /// The action's key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::OpenAccount => "open-account",
            Self::Snooze => "snooze",
        }
    }

    /// What people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Replace => "Replace…",
            Self::OpenAccount => "Open Apple Account",
            Self::Snooze => "Snooze 1 day",
        }
    }

    /// The offer with this key.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|offer| offer.key() == key)
    }
}

/// One incident's notification as it shall stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose notification it is: there is at most one of each.
    pub incident: u64,
    /// The words.
    pub message: Message,
    /// What it offers, where the service knows actions.
    pub offers: &'static [Offer],
    /// Without a sound: put back, not news.
    pub silent: bool,
    /// Where it stood when an earlier run of keypulse last showed it.
    pub replaces: Option<ShownAs>,
}

/// Which notification on which service: enough to replace it after a restart of keypulse, and never somebody else's.
///
/// As text, for the store: `BUS OWNER ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownAs {
    /// The service's number for it.
    pub id: u32,
    /// The unique name of the service on the bus. The bus never gives one twice.
    pub owner: String,
    /// The GUID of the bus. A new session has a new one.
    pub bus: String,
}

impl fmt::Display for ShownAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.bus, self.owner, self.id)
    }
}

impl FromStr for ShownAs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not of the form BUS OWNER ID";
        let mut words = text.split(' ');
        let (Some(bus), Some(owner), Some(id), None) = (words.next(), words.next(), words.next(), words.next()) else {
            return Err(wrong);
        };
        let id = id.parse().map_err(|_| wrong)?;
        Ok(Self { id, owner: owner.to_owned(), bus: bus.to_owned() })
    }
}

/// What became of orders, and what happens on the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesktopEvent {
    /// The incident's notification stands.
    Shown {
        /// Which.
        incident: u64,
        /// Where: to be stored.
        shown_as: ShownAs,
    },
    /// It could not be shown. It may still come, where a service was only slow: then `Shown` follows.
    Failed {
        /// Which.
        incident: u64,
        /// Why, as a phrase that fits after "failed to show the notification: ".
        reason: String,
    },
    /// A notification service is there, or the session's bus is (which may start one): time to order again what failed.
    Appeared,
    /// The notification service, or the bus with it, is gone. `Lost` follows for each notification that stood there.
    Vanished,
    /// The person closed it: it is not put back.
    ClosedByPerson {
        /// Which.
        incident: u64,
    },
    /// It went away with its service.
    Lost {
        /// Which.
        incident: u64,
    },
    /// The person chose what was offered. [`Offer::OpenAccount`] has been carried out already.
    Chosen {
        /// Which.
        incident: u64,
        /// What.
        offer: Offer,
    },
}

/// An order to the task.
enum Command {
    Show(Notice),
    #[cfg_attr(target_os = "macos", expect(dead_code, reason = "nothing is known there of what was shown"))]
    Adopt {
        incident: u64,
        shown: ShownAs,
    },
    #[cfg_attr(target_os = "macos", expect(dead_code, reason = "nothing can be closed there"))]
    Withdraw {
        incident: u64,
        shown: Option<ShownAs>,
    },
    Note(Message),
    /// The last command: closes everything, then drops the sender.
    End(oneshot::Sender<()>),
}

/// The desktop channel. Cheap to clone; the task ends, and with it what GNOME shows for it, when the last one is dropped.
#[derive(Clone)]
pub struct Desktop {
    commands: mpsc::UnboundedSender<Command>,
    test: bool,
}

impl Desktop {
    /// Starts the task on the current runtime. With `test`, each title begins with "Test: ".
    pub fn start(test: bool) -> (Self, mpsc::Receiver<DesktopEvent>) {
        let (commands, orders) = mpsc::unbounded_channel();
        let (events, happened) = mpsc::channel(64);
        tokio::spawn(platform::run(orders, events));
        (Self { commands, test }, happened)
    }

    /// Shows the notice, or replaces what stands for its incident. Ends in `Shown` or `Failed`.
    pub fn show(&self, mut notice: Notice) {
        notice.message = self.marked(notice.message);
        self.send(Command::Show(notice));
    }

    /// Looks after what an earlier run of keypulse left standing. `Lost` follows where it is gone: with its session, with its
    /// service, or, where services drop what a gone program has shown, with that run.
    pub fn adopt(&self, incident: u64, shown: ShownAs) {
        self.send(Command::Adopt { incident, shown });
    }

    /// Closes the incident's notification, and makes sure that a slow service will not show it late. `shown` is where an
    /// earlier run of keypulse left it.
    pub fn withdraw(&self, incident: u64, shown: Option<ShownAs>) {
        self.send(Command::Withdraw { incident, shown });
    }

    /// Shows something that need not stay: "works again". Where it cannot be shown it is dropped.
    pub fn note(&self, message: Message) {
        self.send(Command::Note(self.marked(message)));
    }

    /// What calls itself the notification service of this session, such as "dunst 1.9.0". In words that fit a line.
    ///
    /// # Errors
    /// Why there is none, or why it does not say: as in [`DesktopEvent::Failed`].
    pub async fn service() -> Result<String, String> {
        platform::service().await
    }

    /// What it says it can do (Desktop Notifications Specification, "GetCapabilities").
    ///
    /// # Errors
    /// As [`Desktop::service`].
    pub async fn capabilities() -> Result<Vec<String>, String> {
        platform::capabilities().await
    }

    /// Closes all that stands, passing notes too, within half a second: a rehearsal leaves nothing on the screen. Other
    /// runs leave their notifications for the next one to find.
    pub async fn end(self) {
        let (done, ended) = oneshot::channel();
        self.send(Command::End(done));
        // A service that hangs keeps what it shows; there is nobody left to ask again.
        let _ = timeout(FAREWELL, ended).await;
    }

    /// The message as it is shown: tests are marked as such.
    pub fn marked(&self, message: Message) -> Message {
        if self.test { message.test() } else { message }
    }

    fn send(&self, command: Command) {
        // The task ends before us only where the runtime does.
        let _ = self.commands.send(command);
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests;
