//! The desktop task over D-Bus: hands each incident's orders to its keeper.
//!
//! Each keeper is a task of its own, so that a call that hangs for one incident does not hold the others.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use notify_rust::{Hint, Notification, NotificationHandle, Timeout, Urgency};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    Command, DesktopEvent, Notice, TIME_LIMIT,
    bus::{self, Bus, Closed},
    icon::icon,
    keeper::{Keeper, Order},
};
use crate::{health::alert::Message, host::markup};

/// How long a passing note's connection is kept: longer than services show one.
const NOTE_TIME: Duration = Duration::from_secs(60);

/// What every keeper needs.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) bus: watch::Receiver<Bus>,
    pub(super) closed: broadcast::Sender<Closed>,
    pub(super) events: mpsc::Sender<DesktopEvent>,
    retired: mpsc::UnboundedSender<Sender>,
    next_number: Arc<AtomicU64>,
}

impl Surroundings {
    pub(super) fn sender(&self, handle: NotificationHandle) -> Sender {
        Sender { number: self.next_number.fetch_add(1, Ordering::Relaxed), handle: Arc::new(handle) }
    }

    /// Gives a connection up, at once or when no other incident is open.
    pub(super) fn retire(&self, sender: Sender) {
        let _ = self.retired.send(sender);
    }
}

/// The connection that a notification was sent on. notify-rust makes one for each.
pub(super) struct Sender {
    number: u64,
    pub(super) handle: Arc<NotificationHandle>,
}

impl Sender {
    /// The handle, if nobody else holds it.
    pub(super) fn into_handle(self) -> Result<NotificationHandle, Self> {
        let number = self.number;
        Arc::try_unwrap(self.handle).map_err(|handle| Self { number, handle })
    }
}

/// Carries out orders until the last [`Desktop`](super::Desktop) is dropped.
pub(super) async fn run(mut orders: mpsc::UnboundedReceiver<Command>, events: mpsc::Sender<DesktopEvent>) {
    let (bus_changes, bus) = watch::channel(Bus::default());
    let (closed, _) = broadcast::channel(64);
    let (open, open_count) = watch::channel(0);
    let (retired, mut retirements) = mpsc::unbounded_channel();
    let (ending, _) = watch::channel(());
    let follower = tokio::spawn(bus::follow(bus_changes, closed.clone(), events.clone(), open_count));
    let around = Surroundings { bus, closed, events, retired, next_number: Arc::default() };

    let mut keepers: HashMap<u64, mpsc::UnboundedSender<Order>> = HashMap::new();
    // Those that close theirs just now.
    let mut leaving: Vec<mpsc::UnboundedSender<Order>> = Vec::new();
    let mut notes = JoinSet::new();
    // GNOME drops everything of a program when the connection of its first notification goes, so the oldest one is kept
    // while anything may stand.
    let mut oldest: Option<Sender> = None;
    loop {
        tokio::select! {
            command = orders.recv() => match command {
                None => break,
                Some(Command::Show(notice)) => {
                    let keeper = keepers.entry(notice.incident).or_insert_with(|| Keeper::start(&around, notice.incident));
                    let _ = keeper.send(Order::Show(Box::new(notice)));
                }
                Some(Command::Adopt { incident, shown }) => {
                    let keeper = keepers.entry(incident).or_insert_with(|| Keeper::start(&around, incident));
                    let _ = keeper.send(Order::Adopt(shown));
                }
                Some(Command::Withdraw { incident, shown }) => {
                    let keeper = keepers.remove(&incident).unwrap_or_else(|| Keeper::start(&around, incident));
                    let _ = keeper.send(Order::Withdraw(shown));
                    leaving.push(keeper);
                }
                Some(Command::Note(message)) => {
                    notes.spawn(note(around.clone(), message, ending.subscribe()));
                }
                Some(Command::End(done)) => {
                    leaving.extend(keepers.drain().map(|(_, keeper)| keeper));
                    ending.send_replace(());
                    for keeper in leaving {
                        let _ = keeper.send(Order::Withdraw(None));
                        keeper.closed().await;
                    }
                    while notes.join_next().await.is_some() {}
                    drop(done);
                    break;
                }
            },
            Some(_) = notes.join_next() => {}
            Some(sender) = retirements.recv() => {
                if oldest.as_ref().is_none_or(|oldest| sender.number < oldest.number) {
                    oldest = Some(sender);
                }
            }
        }
        leaving.retain(|keeper| !keeper.is_closed());
        open.send_replace(keepers.len());
        if keepers.is_empty() {
            oldest = None;
        }
    }
    follower.abort();
}

/// Name and version of the notification service.
pub(super) async fn service() -> Result<String, String> {
    bus::server().await
}

pub(super) async fn capabilities() -> Result<Vec<String>, String> {
    bus::abilities().await
}

/// The notification of an incident.
pub(super) fn standing(notice: &Notice, capabilities: &[String]) -> Notification {
    let mut notification = plain(&notice.message, capabilities);
    notification
        .timeout(Timeout::Never)
        .urgency(if notice.message.critical { Urgency::Critical } else { Urgency::Normal })
        // An action does not end the incident, so it shall not close the notification.
        .hint(Hint::Resident(true));
    if notice.silent {
        notification.hint(Hint::SuppressSound(true));
    }
    if capabilities.iter().any(|capability| capability == "actions") {
        for offer in notice.offers {
            notification.action(offer.key(), offer.label());
        }
    }
    notification
}

fn plain(message: &Message, capabilities: &[String]) -> Notification {
    let mut body = markup::body(&message.body);
    if capabilities.iter().any(|capability| capability == "body-markup") {
        body = markup::escape(&body);
    }
    let mut notification = Notification::new();
    notification
        .appname("keypulse")
        .icon(&icon())
        .summary(&markup::title(&message.title))
        .body(&body)
        .hint(Hint::Category("network.error".to_owned()))
        .hint(Hint::DesktopEntry("keypulse".to_owned()));
    notification
}

pub(super) async fn note(mut around: Surroundings, message: Message, mut ending: watch::Receiver<()>) {
    let bus = Bus::known(&mut around.bus).await;
    let shown = async {
        let mut notification = plain(&message, &bus.capabilities().await?);
        notification.urgency(Urgency::Normal).hint(Hint::Transient(true));
        match timeout(TIME_LIMIT, notification.show_async()).await {
            Ok(shown) => shown.map_err(|error| bus::phrase(&error.to_string())),
            Err(_) => Err(bus::no_answer()),
        }
    };
    match shown.await {
        Ok(handle) => {
            if timeout(NOTE_TIME, ending.changed()).await.is_ok_and(|ends| ends.is_ok()) {
                let _ = timeout(TIME_LIMIT, handle.close_async()).await;
            }
            around.retire(around.sender(handle));
        }
        Err(reason) => tracing::debug!(reason, "failed to show a passing note"),
    }
}
