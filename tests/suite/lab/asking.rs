//! A keyring that asks the person before it gives anything out, as KeePassXC can be set to: the call hangs until somebody
//! answers the dialog, and nobody ever does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use futures_util::StreamExt as _;
use tokio::sync::oneshot;
use zbus::{Message, MessageStream, ObjectPath, Variant, message::Type};

use super::Bus;

const NAME: &str = "org.freedesktop.secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/passwords";
const ITEM: &str = "/org/freedesktop/secrets/collection/passwords/1";

/// A Secret Service with one unlocked collection and an item for every question. It leaves the bus when dropped.
pub struct AskingKeyring {
    dialogs: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl AskingKeyring {
    /// Starts one on `bus`, where there must be no other.
    #[track_caller]
    pub fn start(bus: &Bus) -> Self {
        let (address, dialogs) = (bus.address(), Arc::new(AtomicUsize::new(0)));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, up) = mpsc::channel();
        let opened = Arc::clone(&dialogs);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let connection = zbus::connection::Builder::address(&*address).build().await.unwrap();
                let mut messages = MessageStream::from(&connection);
                connection.request_name(NAME).await.unwrap();
                ready.send(()).unwrap();
                let serve = async {
                    while let Some(Ok(message)) = messages.next().await {
                        if message.message_type() == Type::MethodCall {
                            // A caller that went away needs no answer.
                            let _ = answer(&connection, &message, &opened).await;
                        }
                    }
                };
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        up.recv().unwrap();
        Self { dialogs, stop: Some(stop), thread: Some(thread) }
    }

    /// How many dialogs it has opened.
    pub fn dialogs(&self) -> usize {
        self.dialogs.load(Ordering::SeqCst)
    }
}

impl Drop for AskingKeyring {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

async fn answer(connection: &zbus::Connection, call: &Message, dialogs: &AtomicUsize) -> zbus::Result<()> {
    let header = call.header();
    let path = |text: &'static str| ObjectPath::try_from(text).unwrap();
    match header.member().map(zbus::names::MemberName::as_str) {
        Some("Get") => {
            let body = call.body();
            let (_, property): (&str, &str) = body.deserialize()?;
            match property {
                "Collections" => connection.reply(&header, &Variant::from(vec![path(COLLECTION)])).await,
                "Locked" => connection.reply(&header, &Variant::from(false)).await,
                other => panic!("{other}"),
            }
        }
        Some("SearchItems") => connection.reply(&header, &(vec![path(ITEM)], Vec::<ObjectPath<'_>>::new())).await,
        Some("OpenSession") => {
            dialogs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        other => panic!("{other:?}"),
    }
}
