//! One incident's notification: shows it, replaces it in place, listens for the person, closes it.
//!
//! At most one call to the service is under way, and a late answer is waited for: a service that was only slow would
//! otherwise show what nobody can close any more, beside a second one.

use std::{ops::ControlFlow, pin::Pin, sync::Arc};

use notify_rust::{Notification, NotificationHandle, NotificationResponse};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    DesktopEvent, Notice, Offer, ShownAs, TIME_LIMIT,
    bus::{self, Bus, Closed},
    linux::{self, Sender, Surroundings},
};
use crate::{health::alert, host::browser};

/// What the desktop task wants.
pub(super) enum Order {
    Show(Box<Notice>),
    /// What an earlier run of keypulse left standing.
    Adopt(ShownAs),
    /// The last order.
    Withdraw(Option<ShownAs>),
}

/// `NotificationClosed` reason of the specification: the person dismissed it.
const DISMISSED: u32 = 2;

pub(super) struct Keeper {
    incident: u64,
    around: Surroundings,
    orders: mpsc::UnboundedReceiver<Order>,
    bus: watch::Receiver<Bus>,
    closed: broadcast::Receiver<Closed>,
    standing: Option<Standing>,
    /// What an earlier run left standing, while this one has shown nothing.
    adopted: Option<ShownAs>,
}

/// A shown notification.
struct Standing {
    sender: Sender,
    shown_as: ShownAs,
    listener: Listener,
    heard: mpsc::UnboundedReceiver<Heard>,
}

/// The task that listens on the notification's connection. It would keep that alive for ever.
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the service told the sender of the notification.
enum Heard {
    Action(String),
    Closed(u32),
}

/// What the keeper wakes up for.
enum Happened {
    Ordered(Order),
    Heard(Heard),
    ServiceChanged,
    Dropped,
}

type Call = Pin<Box<dyn Future<Output = Result<NotificationHandle, String>> + Send>>;

impl Keeper {
    /// Starts the task of an incident.
    pub(super) fn start(around: &Surroundings, incident: u64) -> mpsc::UnboundedSender<Order> {
        let (sender, orders) = mpsc::unbounded_channel();
        let keeper = Self {
            incident,
            around: around.clone(),
            orders,
            bus: around.bus.clone(),
            closed: around.closed.subscribe(),
            standing: None,
            adopted: None,
        };
        tokio::spawn(keeper.run());
        sender
    }

    async fn run(mut self) {
        loop {
            match self.next().await {
                Happened::Ordered(Order::Show(notice)) => {
                    if self.show(*notice).await.is_break() {
                        return;
                    }
                }
                Happened::Ordered(Order::Adopt(shown)) => {
                    if self.standing.is_none() {
                        self.adopted = Some(shown);
                        self.look_after().await;
                    }
                }
                Happened::Ordered(Order::Withdraw(shown)) => return self.withdraw(shown).await,
                Happened::Heard(Heard::Action(key)) => {
                    // Other keys are nobody's: a click on the text itself is "default" to some services.
                    let Some(offer) = Offer::of(&key) else { continue };
                    if offer == Offer::OpenAccount {
                        tokio::spawn(open_account(self.around.clone()));
                    }
                    self.tell(DesktopEvent::Chosen { incident: self.incident, offer }).await;
                }
                Happened::Heard(Heard::Closed(reason)) => {
                    self.adopted = None;
                    self.let_go();
                    if reason == DISMISSED {
                        self.tell(DesktopEvent::ClosedByPerson { incident: self.incident }).await;
                    }
                }
                Happened::ServiceChanged => self.look_after().await,
                Happened::Dropped => return,
            }
        }
    }

    async fn next(&mut self) -> Happened {
        let (shown_as, mut heard) = match (&mut self.standing, &self.adopted) {
            (Some(standing), _) => (&standing.shown_as, Some(&mut standing.heard)),
            (None, Some(adopted)) => (adopted, None),
            (None, None) => return self.orders.recv().await.map_or(Happened::Dropped, Happened::Ordered),
        };
        loop {
            let hear = async {
                match &mut heard {
                    Some(heard) => heard.recv().await,
                    None => None,
                }
            };
            tokio::select! {
                order = self.orders.recv() => return order.map_or(Happened::Dropped, Happened::Ordered),
                Some(heard) = hear => return Happened::Heard(heard),
                Ok(()) = self.bus.changed() => return Happened::ServiceChanged,
                Ok(closed) = self.closed.recv() => {
                    if closed.owner == shown_as.owner && closed.id == shown_as.id {
                        return Happened::Heard(Heard::Closed(closed.reason));
                    }
                }
            }
        }
    }

    // ---- show ----

    /// Shows or replaces; `Break` when a withdrawal came in between and was carried out.
    async fn show(&mut self, notice: Notice) -> ControlFlow<()> {
        let mut notice = Some(notice);
        while let Some(wanted) = notice.take() {
            let (bus, owner, call) = match self.prepare(wanted).await {
                Ok(prepared) => prepared,
                Err(reason) => {
                    self.fail(reason).await;
                    break;
                }
            };
            let (answer, next) = self.answer(call).await;
            let shown = match answer {
                Ok(handle) => self.stands(&bus, &owner, handle).await,
                Err(reason) => Err(reason),
            };
            match (next, shown) {
                (Some(Order::Withdraw(shown_as)), _) => {
                    self.withdraw(shown_as).await;
                    return ControlFlow::Break(());
                }
                // Newer words wait: they replace these before anybody is told.
                (Some(Order::Show(again)), Ok(_)) => notice = Some(*again),
                (None | Some(Order::Adopt(_)), Ok(shown_as)) => {
                    self.tell(DesktopEvent::Shown { incident: self.incident, shown_as }).await;
                }
                (None | Some(Order::Show(_) | Order::Adopt(_)), Err(reason)) => self.fail(reason).await,
            }
        }
        ControlFlow::Continue(())
    }

    /// Asks the service what it can do, and makes the call that shows the notice: on the connection that showed it
    /// before, since GNOME takes a replacement from no other; after a restart of ours on a new one, which GNOME allows
    /// once the old one is gone.
    async fn prepare(&mut self, notice: Notice) -> Result<(Bus, String, Call), String> {
        let bus = Bus::known(&mut self.bus).await;
        // A replacement has the number of what it replaces: an earlier closing must not be taken for its own.
        self.closed = self.closed.resubscribe();
        let capabilities = bus.capabilities().await?;
        let owner = bus.owner().await?.ok_or_else(|| "the notification service went away".to_owned())?;
        let mut notification = linux::standing(&notice, &capabilities);
        if self.standing.as_ref().is_some_and(|standing| standing.shown_as.owner != owner) {
            self.lose().await;
        }
        if let Some(standing) = self.standing.take() {
            return match standing.into_handle().await {
                Ok(handle) => Ok((bus, owner, Box::pin(update(handle, notification)))),
                Err(sender) => {
                    self.around.retire(sender);
                    Err("the notification is still in use".to_owned())
                }
            };
        }
        if let Some(old) = notice.replaces.filter(|old| old.owner == owner && Ok(&old.bus) == bus.guid().as_ref()) {
            notification.id(old.id);
        }
        let call = async move { notification.show_async().await.map_err(|error| bus::phrase(&error.to_string())) };
        Ok((bus, owner, Box::pin(call)))
    }

    /// Waits for the service, without an end; says so after five seconds, and keeps the newest of what is ordered
    /// meanwhile.
    async fn answer(&mut self, mut call: Call) -> (Result<NotificationHandle, String>, Option<Order>) {
        let mut next = None;
        let mut patience = std::pin::pin!(sleep(TIME_LIMIT));
        let mut told = false;
        loop {
            tokio::select! {
                answer = &mut call => return (answer, next),
                () = &mut patience, if !told => {
                    told = true;
                    self.fail(bus::no_answer()).await;
                }
                order = self.orders.recv(), if !matches!(next, Some(Order::Withdraw(_))) => {
                    if told && matches!(order, Some(Order::Show(_))) {
                        self.fail(bus::no_answer()).await;
                    }
                    match order.unwrap_or(Order::Withdraw(None)) {
                        Order::Adopt(_) => {} // this run is showing one itself
                        order @ (Order::Show(_) | Order::Withdraw(_)) => next = Some(order),
                    }
                }
            }
        }
    }

    /// Makes sure whose notification it is, and listens to it.
    async fn stands(&mut self, bus: &Bus, owner: &str, handle: NotificationHandle) -> Result<ShownAs, String> {
        let sender = self.around.sender(handle);
        if bus.owner().await?.as_deref() != Some(owner) {
            return Err("the notification service was replaced meanwhile".to_owned());
        }
        let shown_as = ShownAs { id: sender.handle.id(), owner: owner.to_owned(), bus: bus.guid()? };
        let (told, heard) = mpsc::unbounded_channel();
        let listener = Listener(tokio::spawn(listen(Arc::clone(&sender.handle), told)));
        self.adopted = None;
        self.standing = Some(Standing { sender, shown_as: shown_as.clone(), listener, heard });
        Ok(shown_as)
    }

    // ---- the end ----

    async fn withdraw(&mut self, shown: Option<ShownAs>) {
        if let Some(standing) = &self.standing {
            // Without an answer the call is in the service's queue all the same.
            let _ = timeout(TIME_LIMIT, standing.sender.handle.close_async()).await;
        } else if let Some(old) = shown {
            let bus = Bus::known(&mut self.bus).await;
            // Its unique name: if that service is gone, so is the notification.
            if Ok(&old.bus) == bus.guid().as_ref()
                && let Err(reason) = bus.close(&old.owner, old.id).await
            {
                tracing::debug!(reason, "failed to close a notification");
            }
        }
        self.let_go();
    }

    /// After a change of bus or service: whether ours stands there still.
    async fn look_after(&mut self) {
        let bus = Bus::known(&mut self.bus).await;
        if let Some(adopted) = &self.adopted {
            if gone(adopted, &bus).await {
                self.adopted = None;
                self.lose().await;
            }
            return;
        }
        let Some(standing) = &self.standing else { return };
        if bus.owner().await.ok().flatten().as_deref() != Some(standing.shown_as.owner.as_str()) {
            self.lose().await;
        }
    }

    async fn lose(&mut self) {
        self.let_go();
        self.tell(DesktopEvent::Lost { incident: self.incident }).await;
    }

    fn let_go(&mut self) {
        if let Some(standing) = self.standing.take() {
            self.around.retire(standing.sender);
        }
    }

    async fn fail(&self, reason: String) {
        self.tell(DesktopEvent::Failed { incident: self.incident, reason }).await;
    }

    async fn tell(&self, event: DesktopEvent) {
        // Nobody listens any more only while the daemon ends.
        let _ = self.around.events.send(event).await;
    }
}

/// Opens Apple's page; where no browser does, says where it is.
async fn open_account(around: Surroundings) {
    if let Err(error) = browser::open_account().await {
        tracing::warn!("failed to {error}");
        // Kept while the note stands.
        let (_standing, ending) = watch::channel(());
        linux::note(around, alert::no_browser(browser::ACCOUNT_PAGE), ending).await;
    }
}

/// Whether what an earlier run left standing is there no more. Where nobody can be asked, it is not said to be gone.
async fn gone(shown: &ShownAs, bus: &Bus) -> bool {
    let Ok(guid) = bus.guid() else { return false };
    if guid != shown.bus {
        return true;
    }
    match bus.owner().await {
        Ok(Some(owner)) if owner == shown.owner => bus.drops_the_gone(&owner).await.unwrap_or(false),
        Ok(_) => true,
        Err(_) => false,
    }
}

impl Standing {
    /// The handle alone, with nobody listening on it.
    async fn into_handle(mut self) -> Result<NotificationHandle, Sender> {
        self.listener.0.abort();
        let _ = (&mut self.listener.0).await;
        self.sender.into_handle()
    }
}

/// Replaces the words of a shown notification. notify-rust offers that only as a blocking call, which must not be made on
/// our runtime (`facts/crates.md` P19); the thread ends with the answer, or with us.
async fn update(mut handle: NotificationHandle, notification: Notification) -> Result<NotificationHandle, String> {
    let (done, answer) = oneshot::channel();
    let call = move || {
        *handle = notification;
        let result = handle.update().map(|()| handle).map_err(|error| bus::phrase(&error.to_string()));
        let _ = done.send(result);
    };
    std::thread::Builder::new().name("notification".to_owned()).spawn(call).map_err(|error| error.to_string())?;
    answer.await.unwrap_or_else(|_| Err("the call to the notification service failed".to_owned()))
}

/// Passes on what the service sends to the notification's own connection. A task of its own: notify-rust panics in there
/// when the bus goes at the wrong moment.
async fn listen(handle: Arc<NotificationHandle>, told: mpsc::UnboundedSender<Heard>) {
    loop {
        let mut heard = None;
        let note = |response: &NotificationResponse| {
            heard = match response {
                NotificationResponse::Default => Some(Heard::Action("default".to_owned())),
                NotificationResponse::Action(key) => Some(Heard::Action(key.clone())),
                NotificationResponse::Closed(reason) => Some(Heard::Closed(number(*reason))),
                NotificationResponse::Reply(_) => None,
            };
        };
        handle.wait_for_action_async(note).await;
        let Some(heard) = heard else { return };
        let last = matches!(heard, Heard::Closed(_));
        if told.send(heard).is_err() || last {
            return;
        }
    }
}

fn number(reason: notify_rust::CloseReason) -> u32 {
    match reason {
        notify_rust::CloseReason::Expired => 1,
        notify_rust::CloseReason::Dismissed => DISMISSED,
        notify_rust::CloseReason::CloseAction => 3,
        notify_rust::CloseReason::Other(other) => other,
    }
}
