//! logind and NetworkManager, over the system bus.
//!
//! Listens, and asks them for a property at most; calls nothing that would start them. A bus that is not there is looked for
//! again, ever later.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tracing::debug;
use zbus::{
    Connection, MatchRule, Message, MessageStream, OwnedVariant,
    fdo::{DBusProxy, NameOwnerChanged},
    message::Type,
    names::BusName,
};

use super::{Change, Manager};

const LOGIND: &str = "org.freedesktop.login1";
const LOGIND_PATH: &str = "/org/freedesktop/login1";
const LOGIND_INTERFACE: &str = "org.freedesktop.login1.Manager";
const NM: &str = "org.freedesktop.NetworkManager";
const NM_PATH: &str = "/org/freedesktop/NetworkManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Between tries to reach the bus: first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// A service that does not answer for so long has nothing to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until nobody hears it any more. `well`: the network manager says that there is a network.
pub(super) async fn listen(tell: mpsc::Sender<Change>, well: watch::Sender<bool>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match Ear::open().await {
            Ok((mut ear, mut messages)) => {
                pause = FIRST_PAUSE;
                tokio::select! {
                    () = ear.follow(&mut messages, &tell, &well) => {}
                    () = tell.closed() => return,
                }
                debug!("the system bus is gone");
                ear.nobody_speaks(&tell, &well).await;
            }
            Err(error) => debug!("no system bus: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 4).min(LONGEST_PAUSE),
            () = tell.closed() => return,
        }
    }
}

/// A connection with the rules for what is heard on it.
struct Ear {
    bus: Connection,
    /// What was told last.
    suspending: bool,
    manager: Manager,
}

impl Ear {
    async fn open() -> zbus::Result<(Self, MessageStream)> {
        let bus = Connection::system().await?;
        let messages = MessageStream::from(&bus);
        let proxy = DBusProxy::new(&bus).await?;
        let signal = || MatchRule::builder().msg_type(Type::Signal);
        let sleep = signal().sender(LOGIND).path(LOGIND_PATH).interface(LOGIND_INTERFACE).member("PrepareForSleep");
        let network = signal().sender(NM).path(NM_PATH).interface(PROPERTIES).member("PropertiesChanged").arg(0, NM);
        for rule in [sleep.build(), network.build()] {
            proxy.add_match_rule(rule?).await?;
        }
        for name in [LOGIND, NM] {
            let owner = signal().sender("org.freedesktop.DBus").member("NameOwnerChanged").arg(0, name);
            proxy.add_match_rule(owner.build()?).await?;
        }
        Ok((Self { bus, suspending: false, manager: Manager::default() }, messages))
    }

    /// Until the bus is gone.
    async fn follow(&mut self, messages: &mut MessageStream, tell: &mpsc::Sender<Change>, well: &watch::Sender<bool>) {
        self.ask_manager(tell, well).await;
        self.ask_logind(tell).await;
        while let Some(Ok(message)) = messages.next().await {
            match said(&message) {
                Some(Said::Sleep(suspending)) => self.sleep(suspending, tell).await,
                Some(Said::OwnerOf(name)) if name == LOGIND => self.ask_logind(tell).await,
                Some(Said::OwnerOf(_) | Said::Network) => self.ask_manager(tell, well).await,
                None => {}
            }
        }
    }

    async fn sleep(&mut self, suspending: bool, tell: &mpsc::Sender<Change>) {
        self.suspending = suspending;
        let _ = tell.send(if suspending { Change::Suspending } else { Change::Resumed }).await;
    }

    /// logind came or went: whether the machine is about to sleep may have been said to nobody.
    async fn ask_logind(&mut self, tell: &mpsc::Sender<Change>) {
        let suspending = self.property(LOGIND, LOGIND_PATH, LOGIND_INTERFACE, "PreparingForSleep").await;
        let suspending = suspending.is_some_and(|value| bool::try_from(value).unwrap_or(false));
        if suspending != self.suspending {
            self.sleep(suspending, tell).await;
        }
    }

    async fn ask_manager(&mut self, tell: &mpsc::Sender<Change>, well: &watch::Sender<bool>) {
        let state = self.property(NM, NM_PATH, NM, "State").await.and_then(|value| u32::try_from(value).ok());
        let metered = match state {
            Some(_) => self.property(NM, NM_PATH, NM, "Metered").await.and_then(|value| u32::try_from(value).ok()),
            None => None,
        };
        self.manager_says(Manager::of(state, metered), tell, well).await;
    }

    async fn manager_says(&mut self, manager: Manager, tell: &mpsc::Sender<Change>, well: &watch::Sender<bool>) {
        if manager != self.manager {
            self.manager = manager;
            well.send_replace(manager.connected == Some(true));
            let _ = tell.send(Change::Manager(manager)).await;
        }
    }

    async fn nobody_speaks(&mut self, tell: &mpsc::Sender<Change>, well: &watch::Sender<bool>) {
        self.manager_says(Manager::default(), tell, well).await;
        if self.suspending {
            self.sleep(false, tell).await;
        }
    }

    /// A property of a service that runs; `None` where it does not, or does not say.
    async fn property(&self, name: &str, path: &str, interface: &str, property: &str) -> Option<OwnedVariant> {
        let asking = async {
            let proxy = DBusProxy::new(&self.bus).await.ok()?;
            // A call would start it where the bus knows how.
            proxy.name_has_owner(BusName::try_from(name).ok()?).await.ok().filter(|runs| *runs)?;
            let what = (interface, property);
            let answer = self.bus.call_method(Some(name), path, Some(PROPERTIES), "Get", &what).await.ok()?;
            answer.body().deserialize().ok()
        };
        timeout(PATIENCE, asking).await.ok().flatten()
    }
}

/// What a message means here.
enum Said {
    Sleep(bool),
    Network,
    OwnerOf(String),
}

fn said(message: &Message) -> Option<Said> {
    let header = message.header();
    match (header.message_type(), header.member()?.as_str()) {
        (Type::Signal, "PrepareForSleep") => message.body().deserialize().ok().map(Said::Sleep),
        (Type::Signal, "PropertiesChanged") => Some(Said::Network),
        (Type::Signal, "NameOwnerChanged") => {
            let changed = NameOwnerChanged::from_message(message.clone())?;
            let name = changed.args().ok()?.name.to_string();
            [LOGIND, NM].contains(&name.as_str()).then_some(Said::OwnerOf(name))
        }
        (Type::Signal | Type::MethodCall | Type::MethodReturn | Type::Error, _) => None,
    }
}
