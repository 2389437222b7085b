//! A notification service that can be slow, dumb, dead, or as particular as GNOME's.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use zbus::{
    Connection, Message, MessageStream, Variant,
    message::{Header, Type},
};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// What it is like.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a vice of its own")]
pub(super) struct Nature {
    /// Knows actions and markup.
    pub(super) capable: bool,
    /// As GNOME: takes a replacement only from the sender of what is replaced, and tells only that one of closing and clicks.
    pub(super) minds_sender: bool,
    /// Answers Notify only once it is let go.
    pub(super) holds_notify: bool,
    /// Answers nothing.
    pub(super) hangs: bool,
}

/// One call of Notify.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) app: String,
    pub(super) icon: String,
    pub(super) replaces: u32,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) actions: Vec<String>,
    pub(super) hints: Vec<String>,
    pub(super) timeout: i32,
}

/// Of Notify, in the specification's order.
type Arguments<'a> = (String, u32, String, String, String, Vec<String>, HashMap<String, Variant<'a>>, i32);

#[derive(Default)]
struct Memory {
    calls: Vec<Call>,
    closings: usize,
    last: u32,
    /// Title and sender.
    standing: BTreeMap<u32, (String, String)>,
}

#[derive(Clone)]
struct Service {
    nature: Nature,
    memory: Arc<Mutex<Memory>>,
    gate: Arc<Semaphore>,
}

pub(super) struct Fake {
    connection: Connection,
    service: Service,
}

impl Fake {
    pub(super) async fn start(nature: Nature) -> Self {
        let permits = if nature.holds_notify { 0 } else { Semaphore::MAX_PERMITS };
        let service = Service { nature, memory: Arc::default(), gate: Arc::new(Semaphore::new(permits)) };
        let connection = Connection::session().await.unwrap();
        tokio::spawn(service.clone().serve(connection.clone()));
        connection.request_name(NAME).await.unwrap();
        Self { connection, service }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.service.memory.lock().unwrap().calls.clone()
    }

    pub(super) fn closings(&self) -> usize {
        self.service.memory.lock().unwrap().closings
    }

    pub(super) fn standing(&self) -> Vec<(u32, String)> {
        let memory = self.service.memory.lock().unwrap();
        memory.standing.iter().map(|(id, (title, _))| (*id, title.clone())).collect()
    }

    /// Answers Notify from now on.
    pub(super) fn let_go(&self) {
        self.service.gate.add_permits(1000);
    }

    /// Is the notification service no more.
    pub(super) async fn leave(&self) {
        self.connection.release_name(NAME).await.unwrap();
    }

    /// The person clicks.
    pub(super) async fn act(&self, id: u32, key: &str) {
        let sender = self.sender(id);
        self.connection.emit_signal(sender.as_deref(), PATH, NAME, "ActionInvoked", &(id, key)).await.unwrap();
    }

    /// The notification goes.
    pub(super) async fn close(&self, id: u32, reason: u32) {
        let sender = self.sender(id);
        self.connection.emit_signal(sender.as_deref(), PATH, NAME, "NotificationClosed", &(id, reason)).await.unwrap();
    }

    fn sender(&self, id: u32) -> Option<String> {
        let memory = self.service.memory.lock().unwrap();
        memory.standing.get(&id).filter(|_| self.service.nature.minds_sender).map(|(_, sender)| sender.clone())
    }
}

impl Service {
    async fn serve(self, connection: Connection) {
        let mut messages = MessageStream::from(&connection);
        while let Some(Ok(message)) = messages.next().await {
            if message.message_type() == Type::MethodCall {
                tokio::spawn(self.clone().answer(connection.clone(), message));
            }
        }
    }

    async fn answer(self, connection: Connection, call: Message) {
        let header = call.header();
        let sent = match header.member().unwrap().as_str() {
            "GetCapabilities" if self.nature.hangs => Ok(()),
            "GetCapabilities" if self.nature.capable => {
                connection.reply(&header, &vec!["actions", "body", "body-markup"]).await
            }
            "GetCapabilities" => connection.reply(&header, &vec!["body"]).await,
            "GetServerInformation" => {
                let name = if self.nature.minds_sender { "gnome-shell" } else { "fake" };
                connection.reply(&header, &(name, "keypulse", "1", "1.2")).await
            }
            "Notify" => match self.notify(&header, &call).await {
                Some(id) => connection.reply(&header, &id).await,
                None => refuse(&connection, &header).await,
            },
            "CloseNotification" => match self.close_notification(&header, call.body().deserialize().unwrap()) {
                Some(()) => connection.reply(&header, &()).await,
                None => refuse(&connection, &header).await,
            },
            other => panic!("{other}"),
        };
        // Only where the caller or the bus is gone.
        let _ = sent;
    }

    async fn notify(&self, header: &Header<'_>, call: &Message) -> Option<u32> {
        let body = call.body();
        let (app, replaces, icon, title, text, actions, hints, timeout): Arguments<'_> = body.deserialize().unwrap();
        let sender = self.check(replaces, header)?;
        let mut hints: Vec<String> = hints
            .iter()
            .map(|(key, value)| {
                if let Variant::Str(text) = value {
                    format!("{key}={:?}", text.as_str())
                } else if let Variant::Bool(flag) = value {
                    format!("{key}={flag}")
                } else {
                    format!("{key}={}", u8::try_from(value).unwrap())
                }
            })
            .collect();
        hints.sort();
        let call = Call { app, icon, replaces, title: title.clone(), body: text, actions, hints, timeout };
        self.memory.lock().unwrap().calls.push(call);
        self.gate.acquire().await.unwrap().forget();
        let mut memory = self.memory.lock().unwrap();
        let id = if replaces == 0 { memory.last + 1 } else { replaces };
        memory.last = memory.last.max(id);
        memory.standing.insert(id, (title, sender));
        Some(id)
    }

    fn close_notification(&self, header: &Header<'_>, id: u32) -> Option<()> {
        self.check(id, header)?;
        let mut memory = self.memory.lock().unwrap();
        memory.closings += 1;
        memory.standing.remove(&id);
        Some(())
    }

    /// As GNOME has it: somebody else's number is refused, an unknown one is not.
    fn check(&self, id: u32, header: &Header<'_>) -> Option<String> {
        let sender = header.sender().unwrap().to_string();
        let memory = self.memory.lock().unwrap();
        let others = memory.standing.get(&id).is_some_and(|(_, owner)| *owner != sender);
        (!others || !self.nature.minds_sender).then_some(sender)
    }
}

async fn refuse(connection: &Connection, header: &Header<'_>) -> zbus::Result<()> {
    connection.reply_error(header, "org.freedesktop.DBus.Error.InvalidArgs", &("Invalid notification ID",)).await
}
