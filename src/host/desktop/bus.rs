//! The session's bus as the notification service's friends see it: who owns its name, what it can, what it closed.
//!
//! Shows and closes nothing of this run of keypulse: that is notify-rust's, on a connection per notification.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{sleep, timeout},
};
use zbus::{
    Connection, MatchRule, MessageStream,
    fdo::{DBusProxy, NameOwnerChangedStream},
    message::Type,
    names::BusName,
};

use super::{DesktopEvent, TIME_LIMIT};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// Services that do, as they call themselves: GNOME's, and Cinnamon's, which comes from it.
const DROPS_THE_GONE: [&str; 2] = ["gnome-shell", "cinnamon"];
/// Between tries to reach the bus, while something waits to be shown.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The bus as far as it is known. A change of the watched value also tells of a change of the service.
#[derive(Clone, Default)]
pub(super) enum Bus {
    /// The first try is under way.
    #[default]
    Unknown,
    /// It cannot be reached.
    Absent,
    /// It can be.
    Present(Connection),
}

/// `NotificationClosed` as services broadcast it. (GNOME sends it to the sender of the notification alone.)
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub(super) owner: String,
    pub(super) id: u32,
    pub(super) reason: u32,
}

impl Bus {
    /// The bus once the first try is over.
    pub(super) async fn known(bus: &mut watch::Receiver<Self>) -> Self {
        match bus.wait_for(|bus| !matches!(bus, Self::Unknown)).await {
            Ok(bus) => bus.clone(),
            Err(_) => Self::Absent,
        }
    }

    /// The GUID of the bus.
    pub(super) fn guid(&self) -> Result<String, String> {
        Ok(self.connection()?.server_guid().to_string())
    }

    /// The unique name of the notification service, if one runs.
    pub(super) async fn owner(&self) -> Result<Option<String>, String> {
        let bus = within(DBusProxy::new(self.connection()?)).await?;
        let name = BusName::try_from(NAME).map_err(|error| error.to_string())?;
        match timeout(TIME_LIMIT, bus.get_name_owner(name)).await {
            Ok(Ok(owner)) => Ok(Some(owner.to_string())),
            Ok(Err(zbus::fdo::Error::NameHasNoOwner(_))) => Ok(None),
            Ok(Err(error)) => Err(phrase(&error.to_string())),
            Err(_) => Err("the session bus does not answer".to_owned()),
        }
    }

    /// What the service says it can do. Starts one where the bus knows how.
    pub(super) async fn capabilities(&self) -> Result<Vec<String>, String> {
        let call = self.connection()?.call_method(Some(NAME), PATH, Some(NAME), "GetCapabilities", &());
        within(call).await?.body().deserialize().map_err(|error| phrase(&error.to_string()))
    }

    /// Whether this service drops what a program has shown when that program leaves the bus (`facts/crates.md` P17).
    pub(super) async fn drops_the_gone(&self, owner: &str) -> Result<bool, String> {
        let call = self.connection()?.call_method(Some(owner), PATH, Some(NAME), "GetServerInformation", &());
        let body = within(call).await?;
        let body = body.body();
        let (name, ..): (&str, &str, &str, &str) = body.deserialize().map_err(|error| phrase(&error.to_string()))?;
        Ok(DROPS_THE_GONE.iter().any(|drops| name.eq_ignore_ascii_case(drops)))
    }

    /// Closes a notification of an earlier run of keypulse, on that very service.
    pub(super) async fn close(&self, owner: &str, id: u32) -> Result<(), String> {
        let call = self.connection()?.call_method(Some(owner), PATH, Some(NAME), "CloseNotification", &(id));
        within(call).await.map(drop)
    }

    fn connection(&self) -> Result<&Connection, String> {
        match self {
            Self::Present(connection) => Ok(connection),
            Self::Unknown | Self::Absent => Err("there is no session bus".to_owned()),
        }
    }
}

/// Name and version, as the service says them. On a connection of its own.
pub(super) async fn server() -> Result<String, String> {
    let bus = within(Connection::session()).await?;
    let reply = within(bus.call_method(Some(NAME), PATH, Some(NAME), "GetServerInformation", &())).await?;
    let told: Result<(String, String, String, String), _> = reply.body().deserialize();
    let (name, _vendor, version, _specification) = told.map_err(|error| phrase(&error.to_string()))?;
    Ok(phrase(format!("{name} {version}").trim()))
}

/// What the service can do. On a connection of its own.
pub(super) async fn abilities() -> Result<Vec<String>, String> {
    Bus::Present(within(Connection::session()).await?).capabilities().await
}

async fn within<T>(call: impl Future<Output = zbus::Result<T>>) -> Result<T, String> {
    match timeout(TIME_LIMIT, call).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(why(&error)),
        Err(_) => Err(no_answer()),
    }
}

pub(super) fn no_answer() -> String {
    format!("the notification service does not answer within {} s", TIME_LIMIT.as_secs())
}

/// The error in words of ours where it is a common one.
fn why(error: &zbus::Error) -> String {
    use zbus::fdo::Error::{NameHasNoOwner, NoReply, ServiceUnknown};
    if let zbus::Error::FDO(told) = error {
        if matches!(**told, ServiceUnknown(_) | NameHasNoOwner(_)) {
            return "no notification service runs on the session bus".to_owned();
        }
        if matches!(**told, NoReply(_)) {
            return "the notification service went away".to_owned();
        }
    }
    phrase(&error.to_string())
}

/// Somebody else's words, made fit for a line.
pub(super) fn phrase(text: &str) -> String {
    crate::host::markup::title(text)
}

/// Follows bus and service for ever. `open` counts the notifications that stand or wait.
pub(super) async fn follow(
    bus: watch::Sender<Bus>,
    closed: broadcast::Sender<Closed>,
    events: mpsc::Sender<DesktopEvent>,
    mut open: watch::Receiver<usize>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match within(Session::connect()).await {
            Ok(mut session) => {
                pause = FIRST_PAUSE;
                bus.send_replace(Bus::Present(session.connection.clone()));
                // With or without a service: the first call may start one.
                let _ = events.send(DesktopEvent::Appeared).await;
                session.follow(&bus, &closed, &events).await;
                bus.send_replace(Bus::Absent);
                let _ = events.send(DesktopEvent::Vanished).await;
            }
            Err(reason) => {
                tracing::debug!(reason, "no session bus");
                bus.send_replace(Bus::Absent);
            }
        }
        // Without a notification to show, a machine without a desktop is not woken for one.
        if open.wait_for(|open| *open > 0).await.is_err() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A connection with the two signals that matter.
struct Session {
    connection: Connection,
    owners: NameOwnerChangedStream,
    closings: MessageStream,
}

impl Session {
    async fn connect() -> zbus::Result<Self> {
        let connection = Connection::session().await?;
        let owners = DBusProxy::new(&connection).await?.receive_name_owner_changed_with_args(&[(0, NAME)]).await?;
        let rule = MatchRule::builder().msg_type(Type::Signal).interface(NAME).member("NotificationClosed").build()?;
        let closings = MessageStream::for_match_rule(rule, &connection, None).await?;
        Ok(Self { connection, owners, closings })
    }

    /// Until the bus is gone.
    async fn follow(
        &mut self,
        bus: &watch::Sender<Bus>,
        closed: &broadcast::Sender<Closed>,
        events: &mpsc::Sender<DesktopEvent>,
    ) {
        loop {
            tokio::select! {
                change = self.owners.next() => {
                    let Some(change) = change else { return };
                    let Ok(change) = change.args() else { continue };
                    // One event at a time, Vanished first: what stood must be lost before it is ordered again.
                    if change.old_owner().is_some() {
                        let _ = events.send(DesktopEvent::Vanished).await;
                    }
                    bus.send_modify(|_| ());
                    if change.new_owner().is_some() {
                        let _ = events.send(DesktopEvent::Appeared).await;
                    }
                }
                message = self.closings.next() => {
                    let Some(message) = message else { return };
                    let Ok(message) = message else { continue };
                    let header = message.header();
                    let (Some(owner), Ok((id, reason))) = (header.sender(), message.body().deserialize()) else { continue };
                    let _ = closed.send(Closed { owner: owner.to_string(), id, reason });
                }
            }
        }
    }
}
