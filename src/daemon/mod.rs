//! The event loop: the only place where events become actions become effects.
//!
//! One task owns all state. What takes time (reading a secret, a login, a message) runs in a task of its own and comes back as
//! an event. Decides nothing: the engine does.

mod deliver;
mod explain;
mod guest;
mod hands;
mod heart;
mod machine;
mod mail;
mod opening;
mod past;
mod requests;
mod route;
mod standstill;
mod trouble;
mod wishes;

use deliver::{Handing, Showing};
pub use guest::{Dead, Remembered, fingerprint, known_dead, last_read, remembered, target};
pub use hands::Effect;
#[cfg(any(test, fuzzing))]
pub(crate) use heart::setup;
pub use heart::{Heart, Outward, Paths};
use mail::Mailroom;
pub use mail::why;
pub use opening::stored_tally;
pub use past::{Past, Stored};
pub use route::{Route, Watched, route};
use standstill::Standstill;

use std::{collections::BTreeMap, error, fmt, path::PathBuf, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{broadcast, mpsc, oneshot},
    time::timeout,
};
use tracing::{debug, error, info, warn};

use crate::{
    api::{
        self, DaemonInfo, IncidentEvent, ProgramDocument, Request, StatusDocument, StreamEvent, TransitionDocument,
        UnknownName,
    },
    config::{self, ConfigError},
    health::{
        alert::Message,
        credential::{Health, Transition},
        event::{Event, Handover},
        incident::IncidentCause,
        name::CredentialName,
        outbox::Channel,
        schedule::Timestamp,
    },
    host::{
        clock::Alarm,
        desktop::{Desktop, DesktopEvent, Offer, ShownAs},
        keyring,
        machine::{Manager, changes},
        program::Program,
        service,
    },
    probe::ProberError,
    store::StoreError,
};

/// Events that may wait for a slow reader of the stream: more than one step of the loop can send.
const STREAM: usize = 256;
/// How long what is under way may go on when the daemon is told to stop. It has two seconds in all.
const WIND_DOWN: Duration = Duration::from_secs(1);
/// How often what is too old is deleted.
const TIDY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the end waits for the desktop to say where it put what is being shown.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Where the daemon finds its things.
#[derive(Clone, Debug)]
pub struct Options {
    /// Configuration and state.
    pub paths: Paths,
    /// The socket.
    pub socket: PathBuf,
    /// Its messages are marked as tests, and are closed when it ends (`demo`).
    pub test: bool,
    /// Who wants to know what becomes of messages for the desktop (`demo`).
    pub told: Option<mpsc::UnboundedSender<Told>>,
}

/// What became of a message for the desktop, in the words that were used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It stands there.
    Shown(Message),
    /// It could not be shown now.
    NotShown {
        /// What it says.
        message: Message,
        /// Why, as a phrase that fits after "failed to show the notification: ".
        reason: String,
    },
    /// What stood there is closed, and this passing note takes its place.
    Withdrawn(Message),
}

/// Why the daemon cannot run.
#[derive(Debug)]
pub enum RunError {
    /// The configuration.
    Config(ConfigError),
    /// The state.
    Store(StoreError),
    /// The digest key.
    Key {
        /// Of the state directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificates.
    Prober(ProberError),
    /// The socket.
    Socket(api::BindError),
    /// The signals.
    Signal(std::io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Key { directory, .. } => write!(f, "use the digest key in {}", directory.display()),
            Self::Prober(error) => error.fmt(f),
            Self::Socket(error) => error.fmt(f),
            Self::Signal(_) => f.write_str("listen for signals"),
        }
    }
}

impl error::Error for RunError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            // Each of these speaks for itself; its own source comes next.
            Self::Config(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::Prober(error) => error.source(),
            Self::Socket(error) => error.source(),
            Self::Key { source, .. } | Self::Signal(source) => Some(source),
        }
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The daemon: the heart with everything that reaches the outside.
pub struct Daemon {
    heart: Heart,
    options: Options,
    started_at: Timestamp,
    program: Option<Program>,
    /// What the network manager said last.
    manager: Manager,
    desktop: Option<Desktop>,
    stream: broadcast::Sender<StreamEvent>,
    /// Who waits for which request's rounds.
    waiting: BTreeMap<u64, Waiting>,
    /// Desktop messages on their way, by incident.
    showing: BTreeMap<u64, Showing>,
    mailroom: Mailroom,
    /// What was last said of a channel that does not work: once is enough.
    complaints: BTreeMap<Channel, String>,
    next_request: u64,
    /// While the state cannot be written.
    standstill: Option<Standstill>,
}

/// Who waits for the rounds of a request.
struct Waiting {
    /// What was asked for, and so what the answer covers.
    names: Vec<CredentialName>,
    reply: oneshot::Sender<Result<StatusDocument, UnknownName>>,
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or can no longer write its state.
pub async fn run(options: Options) -> Result<(), RunError> {
    let [mut term, mut int] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let (term, int) = (term.as_mut().map_err(unlisten)?, int.as_mut().map_err(unlisten)?);
    let stop = async {
        tokio::select! { _ = term.recv() => (), _ = int.recv() => () }
    };
    run_until(options, stop).await
}

/// Runs the daemon until `stop`. It listens to SIGHUP only.
///
/// # Errors
/// When it cannot start, or can no longer write its state.
pub async fn run_until(options: Options, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let config = config::load(&options.paths.config).map_err(RunError::Config)?;
    let (heart, mut effects) = Heart::new(config, &options.paths)?;
    let listener = api::bind(&options.socket).await.map_err(RunError::Socket)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(RunError::Signal)?;
    tokio::pin!(stop);

    let (sender, mut requests) = mpsc::channel::<Request>(64);
    let server = api::serve(listener, sender, api::Limits::default());
    tokio::pin!(server);
    let mut desktop_events = None;
    let (mailroom, mut handings) = Mailroom::new();
    let mut daemon = Daemon {
        started_at: heart.now(),
        program: Program::of_this_process(),
        heart,
        manager: Manager::default(),
        desktop: None,
        stream: broadcast::channel(STREAM).0,
        waiting: BTreeMap::new(),
        showing: BTreeMap::new(),
        mailroom,
        complaints: BTreeMap::new(),
        next_request: 0,
        standstill: None,
        options,
    };
    daemon.said_at_start();
    daemon.mind_desktop(&mut desktop_events);
    service::ready();
    // Before anything is begun: perhaps there is no network yet.
    daemon.network()?;
    daemon.step(Event::Start)?;
    let (every, mut ping) = (service::watchdog(), Alarm::new());
    ping.set(every);
    let mut unlocked = keyring::unlocked();
    let mut changes = changes();
    let mut tidied_at = daemon.heart.now();
    loop {
        daemon.heart.set_alarm();
        daemon.mind_desktop(&mut desktop_events);
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = hangup.recv() => drop(daemon.reload()?),
            () = ping.wait() => {
                service::alive();
                ping.set(every);
            }
            Some(change) = changes.recv() => daemon.machine(change)?,
            Some(effect) = effects.recv() => {
                let event = daemon.heart.event(effect);
                daemon.step(event)?;
            }
            Some(handing) = handings.recv() => daemon.handing(handing)?,
            Some(request) = requests.recv() => daemon.request(request)?,
            Some(()) = unlocked.recv() => {
                debug!("the keyring was unlocked, or appeared");
                daemon.heart.hands.forget_timeouts();
                daemon.step(Event::Unlocked)?;
            }
            Some(event) = next(desktop_events.as_mut()) => daemon.desktop_event(event)?,
            () = daemon.until_next_try() => daemon.try_again()?,
            () = daemon.heart.alarm(), if daemon.standstill.is_none() => {
                daemon.step(Event::Timer)?;
                if daemon.heart.now().since(tidied_at) >= TIDY {
                    tidied_at = daemon.heart.now();
                    daemon.tidy()?;
                }
            }
            never = &mut server => match never {},
        }
    }
    info!("stopping");
    service::stopping();
    daemon.wind_down(&mut effects, &mut handings).await?;
    daemon.heart.stop();
    drop(timeout(LAST_WORDS, daemon.hear_the_desktop_out(&mut desktop_events)).await);
    if daemon.options.test
        && let Some(desktop) = daemon.desktop.take()
    {
        desktop.end().await;
    }
    Ok(())
}

fn unlisten(error: &mut std::io::Error) -> RunError {
    RunError::Signal(std::mem::replace(error, std::io::ErrorKind::Other.into()))
}

async fn next(events: Option<&mut mpsc::Receiver<DesktopEvent>>) -> Option<DesktopEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

impl Daemon {
    /// Lets logins, hooks and mails under way end, if they are quick: a login that is cut off counts as failed, and a message as
    /// told.
    async fn wind_down(
        &mut self,
        effects: &mut mpsc::UnboundedReceiver<Effect>,
        handings: &mut mpsc::UnboundedReceiver<Handing>,
    ) -> Result<(), RunError> {
        let deadline = tokio::time::Instant::now() + WIND_DOWN;
        self.try_again()?;
        self.heart.engine_mut().end();
        while !self.heart.engine().is_idle() || self.heart.engine().is_telling() {
            tokio::select! {
                Some(effect) = effects.recv() => {
                    let event = self.heart.event(effect);
                    self.step(event)?;
                }
                Some(handing) = handings.recv() => self.last_handing(handing)?,
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        // What could not be written down so far: the last chance.
        self.try_again()
    }

    /// Deletes what is too old. Where that fails it can wait; what must be written fails soon enough.
    fn tidy(&mut self) -> Result<(), RunError> {
        match self.heart.tidy() {
            Err(error) if error.is_damage() => Err(error.into()),
            Err(error) => {
                warn!("failed to {}", trouble::chain(&error));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn said_at_start(&self) {
        let config = self.heart.config();
        let credentials: usize = config.accounts.iter().map(|account| account.credentials.len()).sum();
        info!(
            version = env!("CARGO_PKG_VERSION"),
            accounts = config.accounts.len(),
            credentials,
            "watching; configuration {}, socket {}",
            self.options.paths.config.display(),
            self.options.socket.display()
        );
        if credentials == 0 {
            warn!("nothing to watch yet: add a password with `keypulse add NAME --account ADDRESS`");
        }
    }

    /// What others can see of a step that is written down.
    fn show(&mut self, outward: Vec<Outward>) {
        for outward in outward {
            match outward {
                Outward::Transition(transition) => self.tell_transition(&transition),
                Outward::Incident { tidings, account } => {
                    let Some(incident) = account.incident.clone() else { continue };
                    let event = IncidentEvent::from(tidings);
                    let names: Vec<&str> = incident.credentials.iter().map(CredentialName::as_str).collect();
                    info!(cause = %incident.cause, "{}: {}", event.as_str(), names.join(", "));
                    let message = self.incident_message(tidings, &account, &incident);
                    drop(self.stream.send(StreamEvent::Incident(message)));
                }
                Outward::Deliver(order) => self.deliver(&order),
                Outward::Answer(request) => {
                    if let Some(Waiting { names, reply }) = self.waiting.remove(&request) {
                        drop(reply.send(self.document().only(&names)));
                    }
                }
            }
        }
        let now = self.heart.now();
        service::status(&self.heart.engine().status(now), now, self.heart.offset_ms());
    }

    fn tell_transition(&self, transition: &Transition) {
        let Transition { credential, from, to, reason, .. } = transition;
        match to {
            _ if !transition.is_change_of_health() => {
                let cause = transition.cause.map_or("none", IncidentCause::as_str);
                warn!("{credential}: still {to}, the cause is now {cause}");
            }
            Health::Revoked | Health::Rejected => error!("{credential}: {from} -> {to} ({reason})"),
            Health::Suspect | Health::Unreadable | Health::Stale | Health::Degraded => {
                warn!("{credential}: {from} -> {to} ({reason})");
            }
            Health::Healthy | Health::Unknown => info!("{credential}: {from} -> {to} ({reason})"),
        }
        drop(self.stream.send(StreamEvent::Transition(TransitionDocument::build(transition, self.heart.offset_ms()))));
    }

    fn document(&self) -> StatusDocument {
        let info = DaemonInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            paused_until: self.heart.engine().paused_until(),
            online: self.heart.engine().online(),
            program: self
                .program
                .as_ref()
                .map(|program| ProgramDocument { path: program.path().to_owned(), replaced: program.was_replaced() }),
        };
        let mut document = self.heart.document(Some(info));
        let Some(standstill) = &self.standstill else { return document };
        let mut troubles = vec![standstill.trouble(self.heart.offset_ms())];
        troubles.append(&mut document.troubles);
        document.with_troubles(troubles)
    }

    /// Reads the configuration again. An invalid one changes nothing.
    fn reload(&mut self) -> Result<Result<StatusDocument, String>, RunError> {
        service::reloading();
        let result = self.heart.reload(&self.options.paths);
        service::ready();
        match result {
            Ok(()) => {
                info!("configuration read again");
                self.network()?; // and all that is due
                self.complaints.clear();
                self.step(Event::Reloaded)?;
                Ok(Ok(self.document()))
            }
            Err(why) => {
                error!("the configuration was read again and is not used, the old one stays:\n{why}");
                Ok(Err(why))
            }
        }
    }

    fn desktop_event(&mut self, event: DesktopEvent) -> Result<(), RunError> {
        match event {
            DesktopEvent::Shown { incident, shown_as } => {
                debug!(incident, "desktop notification shown");
                self.shown(incident, Ok(shown_as))
            }
            DesktopEvent::Failed { incident, reason } => {
                warn!("desktop notification not shown yet: {reason}");
                self.shown(incident, Err(reason))
            }
            DesktopEvent::Appeared => {
                debug!("a notification service is there");
                self.step(Event::ChannelReady(Channel::Desktop))
            }
            DesktopEvent::Vanished => {
                debug!("the notification service is gone");
                Ok(())
            }
            DesktopEvent::ClosedByPerson { incident } => self.step(Event::NotificationClosed(incident)),
            DesktopEvent::Lost { incident } => self.step(Event::NotificationLost(incident)),
            DesktopEvent::Chosen { incident, offer } => {
                debug!(incident, key = offer.key(), "action chosen");
                match offer {
                    Offer::Replace => self.replace_in_terminal(incident),
                    Offer::OpenAccount => {} // the channel has done it
                    Offer::Snooze => self.snooze_for_a_day(incident)?,
                }
                Ok(())
            }
        }
    }

    fn shown(&mut self, incident: u64, result: Result<ShownAs, String>) -> Result<(), RunError> {
        let Some(Showing { id, message }) = self.showing.remove(&incident) else { return Ok(()) };
        let (result, told) = match result {
            Ok(shown_as) => (Handover::Done(Some(shown_as.to_string())), Told::Shown(message)),
            Err(reason) => (Handover::Failed, Told::NotShown { message, reason }),
        };
        self.tell(told);
        self.step(Event::Delivered { id, result })
    }

    /// Tells the one who wants to know.
    fn tell(&self, told: Told) {
        if let Some(listener) = &self.options.told {
            // It may have heard enough.
            drop(listener.send(told));
        }
    }
}
