//! The desktop task on macOS: title and text, one notification per change.
//!
//! The notification centre that programs outside an application bundle can use neither replaces nor closes nor tells what
//! became of a notification, so an order is done when it was handed over.

use notify_rust::Notification;
use tokio::sync::{mpsc, oneshot};

use super::{Command, DesktopEvent, ShownAs};
use crate::{health::alert::Message, host::markup};

/// Carries out orders until the last [`Desktop`](super::Desktop) is dropped.
pub(super) async fn run(mut orders: mpsc::UnboundedReceiver<Command>, events: mpsc::Sender<DesktopEvent>) {
    let _ = events.send(DesktopEvent::Appeared).await;
    while let Some(command) = orders.recv().await {
        match command {
            Command::Show(notice) => {
                let incident = notice.incident;
                let event = match show(notice.message).await {
                    Ok(()) => DesktopEvent::Shown {
                        incident,
                        shown_as: ShownAs { id: 0, owner: "macos".to_owned(), bus: "macos".to_owned() },
                    },
                    Err(reason) => DesktopEvent::Failed { incident, reason },
                };
                let _ = events.send(event).await;
            }
            Command::Note(message) => {
                if let Err(reason) = show(message).await {
                    tracing::debug!(reason, "failed to show a passing note");
                }
            }
            // The note that follows is all that can be done.
            Command::Withdraw { .. } => {}
            Command::End(_done) => return,
            // It stays in the notification centre.
            Command::Adopt { .. } => {}
        }
    }
}

/// There is but one.
#[expect(clippy::unused_async, reason = "elsewhere it has to be asked")]
pub(super) async fn service() -> Result<String, String> {
    Ok("the notification centre".to_owned())
}

#[expect(clippy::unused_async, reason = "elsewhere it has to be asked")]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there may be none")]
pub(super) async fn capabilities() -> Result<Vec<String>, String> {
    Ok(vec!["title and text".to_owned()])
}

/// On a thread of its own: the call can wait for the system.
async fn show(message: Message) -> Result<(), String> {
    let (done, answer) = oneshot::channel();
    let call = move || {
        let notification =
            Notification::new().summary(&markup::title(&message.title)).body(&markup::body(&message.body)).finalize();
        let _ = done.send(notification.show().map(drop).map_err(|error| markup::title(&error.to_string())));
    };
    std::thread::Builder::new().name("notification".to_owned()).spawn(call).map_err(|error| error.to_string())?;
    match tokio::time::timeout(super::TIME_LIMIT, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the call to the notification centre failed".to_owned()),
        Err(_) => Err(format!("the notification centre does not answer within {} s", super::TIME_LIMIT.as_secs())),
    }
}
