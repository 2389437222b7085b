//! Word that the keyring was unlocked, or appeared: passwords that could not be read can be tried again at once.
//!
//! Listens on the session bus and asks nothing. A machine without a session bus is left in peace after a few tries.

use tokio::sync::mpsc;

/// Listens for as long as the receiver lives. One word per unlocking.
#[must_use]
pub fn unlocked() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    #[cfg(target_os = "linux")]
    tokio::spawn(linux::listen(sender));
    // The Keychain is unlocked with the session that keypulse runs in; it sends no word of it.
    #[cfg(not(target_os = "linux"))]
    std::mem::forget(sender);
    receiver
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use futures_util::StreamExt as _;
    use tokio::sync::mpsc;
    use zbus::{
        Connection, MatchRule, MessageStream,
        fdo::{DBusProxy, NameOwnerChangedStream, PropertiesChanged},
        message::Type,
    };

    /// Between tries to reach the bus: at most so long. At a login the bus may come later than we do.
    const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

    /// The Secret Service, and what of it is locked (Secret Service API, "Collection").
    const SERVICE: &str = "org.freedesktop.secrets";
    const COLLECTION: &str = "org.freedesktop.Secret.Collection";

    pub(super) async fn listen(word: mpsc::Sender<()>) {
        let mut pause = Duration::from_secs(10);
        while !word.is_closed() {
            if let Ok((owners, changes)) = subscribe().await {
                pause = Duration::from_secs(10);
                follow(owners, changes, &word).await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 4).min(LONGEST_PAUSE),
                () = word.closed() => return,
            }
        }
    }

    async fn subscribe() -> zbus::Result<(NameOwnerChangedStream, MessageStream)> {
        let connection = Connection::session().await?;
        let owners = DBusProxy::new(&connection).await?.receive_name_owner_changed_with_args(&[(0, SERVICE)]).await?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface("org.freedesktop.DBus.Properties")
            .member("PropertiesChanged")
            .arg(0, COLLECTION)
            .build()?;
        let changes = MessageStream::for_match_rule(rule, &connection, None).await?;
        Ok((owners, changes))
    }

    /// Until the bus is gone.
    async fn follow(mut owners: NameOwnerChangedStream, mut changes: MessageStream, word: &mpsc::Sender<()>) {
        loop {
            let good_news = tokio::select! {
                change = owners.next() => {
                    let Some(change) = change else { return };
                    change.args().is_ok_and(|change| change.new_owner().is_some())
                }
                message = changes.next() => {
                    let Some(message) = message else { return };
                    message.ok().and_then(PropertiesChanged::from_message).is_some_and(|change| is_unlocking(&change))
                }
                () = word.closed() => return,
            };
            if good_news {
                // A word that waits to be heard says it for this one, too.
                let _ = word.try_send(());
            }
        }
    }

    fn is_unlocking(change: &PropertiesChanged) -> bool {
        let Ok(change) = change.args() else { return false };
        change.changed_properties().get("Locked").is_some_and(|locked| matches!(bool::try_from(locked), Ok(false)))
    }
}
