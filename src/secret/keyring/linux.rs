//! The Secret Service: what has to be asked before the keyring crate may be let at it.
//!
//! The crate unlocks whatever matches, and that opens a dialog and blocks (`facts/crates.md`, P14). So we ask first, over a
//! connection of our own that opens nothing: is there a service, is it unlocked, does exactly one item match? A dialog is
//! opened here only, for a person only, and closed again when nobody answers. Never reads a secret itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::StreamExt;
use keyring_core::CredentialStore;
use tokio::time::timeout;
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant, Proxy, fdo, proxy::CacheProperties};

use super::{Asked, Item, KeyringState, Limits, Listing, Ready, Unavailable, locked, no_answer, several};

const NAME: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";
const ITEM: &str = "org.freedesktop.Secret.Item";

/// The most items that are listed. Browsers keep thousands.
const MOST_ITEMS: usize = 10_000;

/// What the keyring is made ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Exactly one item must match.
    Reading,
    /// At most one, and the default collection must be open.
    Writing,
}

/// Opens the store of the keyring crate.
pub(super) fn open() -> keyring_core::Result<Arc<CredentialStore>> {
    let store: Arc<CredentialStore> = zbus_secret_service_keyring_store::Store::new()?;
    Ok(store)
}

/// Items have labels here, shown by the keyring's own programs.
pub(super) const fn takes_labels() -> bool {
    true
}

/// Nothing to hold: [`make_ready`] has seen that nothing is locked.
pub(super) const fn no_dialogs(_: Asked) -> Quiet {
    Quiet
}

/// See [`no_dialogs`].
pub(super) struct Quiet;

/// Whether the keyring crate can do its work without a dialog. For a person, a locked keyring is unlocked first.
///
/// Between this answer and the crate's own search lie a few milliseconds; a keyring locked in just that moment would still
/// ask. The crates offer no search that does not unlock.
pub(super) async fn make_ready(item: &Item, purpose: For, asked: Asked, limits: &Limits) -> Result<Ready, Unavailable> {
    let bounded = |limit: Duration| move |_| no_answer(limit);
    let looking = async {
        let service = Service::connect().await?;
        let seen = service.look(item, purpose).await?;
        Ok((service, seen))
    };
    let (service, seen) = timeout(limits.keyring, looking).await.map_err(bounded(limits.keyring))??;
    let closed = match (seen, asked) {
        (Seen::Ready(ready), _) => return Ok(ready),
        (Seen::Closed(_), Asked::Background) => return Err(locked()),
        (Seen::Closed(closed), Asked::ByPerson) => closed,
    };
    service.unlock(&closed, limits).await?;
    // Once open, it may show more than it did.
    match timeout(limits.keyring, service.look(item, purpose)).await.map_err(bounded(limits.keyring))?? {
        Seen::Ready(ready) => Ok(ready),
        Seen::Closed(_) => Err(locked()),
    }
}

/// Whether the collection that keypulse writes to is open.
pub(super) async fn state() -> Result<KeyringState, Unavailable> {
    let service = Service::connect().await?;
    service.state().await.unwrap_or_else(|error| Err(explain(&error)))
}

/// What the items in unlocked collections are known by. Opens nothing and reads no secret.
pub(super) async fn list(limits: &Limits) -> Result<Listing, Unavailable> {
    let listing = async {
        let service = Service::connect().await?;
        service.list().await.map_err(|error| explain(&error))
    };
    timeout(limits.keyring, listing).await.map_err(|_| no_answer(limits.keyring))?
}

/// A failure of the crate's own connection.
pub(super) fn explain_failure(error: &(dyn std::error::Error + 'static)) -> Unavailable {
    Unavailable::new(format!("the keyring failed: {error}"))
}

enum Seen {
    Ready(Ready),
    /// These must be unlocked first.
    Closed(Vec<OwnedObjectPath>),
}

struct Service {
    bus: Connection,
}

impl Service {
    async fn connect() -> Result<Self, Unavailable> {
        Ok(Self { bus: Connection::session().await.map_err(|error| explain(&error))? })
    }

    async fn state(&self) -> zbus::Result<Result<KeyringState, Unavailable>> {
        let default: OwnedObjectPath = self.at(ROOT, SERVICE).await?.call("ReadAlias", &("default",)).await?;
        if default.as_str() == "/" {
            return Ok(Err(no_default()));
        }
        Ok(Ok(if self.is_locked(&default).await? { KeyringState::Locked } else { KeyringState::Open }))
    }

    /// Asks nothing that could open a dialog.
    async fn look(&self, item: &Item, purpose: For) -> Result<Seen, Unavailable> {
        self.try_look(item, purpose).await.unwrap_or_else(|error| Err(explain(&error)))
    }

    async fn try_look(&self, item: &Item, purpose: For) -> zbus::Result<Result<Seen, Unavailable>> {
        let service = self.at(ROOT, SERVICE).await?;
        // KeePassXC does not know what is in a locked database, and can be set to ask already at a search while all are
        // locked. GNOME's keyring knows, and always has an open collection: that of the session.
        let collections: Vec<OwnedObjectPath> = service.get_property("Collections").await?;
        let total = collections.len();
        let mut closed_collections = Vec::new();
        for collection in collections {
            if self.is_locked(&collection).await? {
                closed_collections.push(collection);
            }
        }
        if total > 0 && closed_collections.len() == total {
            return Ok(Ok(Seen::Closed(closed_collections)));
        }
        let (open, mut closed): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            service.call("SearchItems", &(item.attributes(),)).await?;
        let matches = open.len() + closed.len();
        if matches > 1 {
            return Ok(Err(several()));
        }
        match purpose {
            For::Reading if matches == 0 => {
                let part_is_locked = !closed_collections.is_empty();
                return Ok(Ok(Seen::Ready(Ready::NothingThere { part_is_locked })));
            }
            For::Writing if matches == 0 => {
                let default: OwnedObjectPath = service.call("ReadAlias", &("default",)).await?;
                if default.as_str() == "/" {
                    return Ok(Err(no_default()));
                }
                if self.is_locked(&default).await? {
                    closed.push(default);
                }
            }
            For::Reading | For::Writing => {}
        }
        Ok(Ok(if closed.is_empty() { Seen::Ready(Ready::Yes) } else { Seen::Closed(closed) }))
    }

    async fn list(&self) -> zbus::Result<Listing> {
        let mut listing = Listing::default();
        let collections: Vec<OwnedObjectPath> = self.at(ROOT, SERVICE).await?.get_property("Collections").await?;
        for collection in collections {
            if self.is_locked(&collection).await? {
                listing.part_is_locked = true;
                continue;
            }
            let items: Vec<OwnedObjectPath> = self.at(collection, COLLECTION).await?.get_property("Items").await?;
            for item in items.into_iter().take(MOST_ITEMS - listing.items.len()) {
                // One that went away meanwhile is no reason to miss the others.
                let attributes =
                    self.at(item, ITEM).await?.get_property::<BTreeMap<String, String>>("Attributes").await;
                listing.items.extend(attributes.ok());
            }
        }
        Ok(listing)
    }

    /// Lets the keyring ask the person, and takes the question back when nobody answers.
    async fn unlock(&self, closed: &[OwnedObjectPath], limits: &Limits) -> Result<(), Unavailable> {
        let begun = timeout(limits.keyring, self.begin_unlock(closed)).await.map_err(|_| no_answer(limits.keyring))?;
        let Some((prompt, mut answers)) = begun.map_err(|error| explain(&error))? else { return Ok(()) };
        match timeout(limits.dialog, answers.next()).await {
            Ok(Some(answer)) => match answer.body().deserialize::<(bool, OwnedVariant)>() {
                Ok((false, _)) => Ok(()),
                Ok((true, _)) | Err(_) => {
                    Err(Unavailable::new("the keyring is locked, and its dialog was closed or could not be shown"))
                }
            },
            Ok(None) => Err(Unavailable::new("the keyring is locked, and went away while it asked")),
            Err(_) => {
                // The service may be gone by now: then so is its dialog.
                let _ = timeout(limits.keyring, prompt.call_method("Dismiss", &())).await;
                let within = limits.dialog.as_secs_f32();
                Err(Unavailable::new(format!(
                    "the keyring is locked, and nobody answered its dialog within {within} s"
                )))
            }
        }
    }

    async fn begin_unlock(
        &self,
        closed: &[OwnedObjectPath],
    ) -> zbus::Result<Option<(Proxy<'static>, zbus::proxy::SignalStream<'static>)>> {
        let service = self.at(ROOT, SERVICE).await?;
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) = service.call("Unlock", &(closed,)).await?;
        if prompt.as_str() == "/" {
            return Ok(None);
        }
        let prompt = self.at(prompt, PROMPT).await?;
        let answers = prompt.receive_signal("Completed").await?;
        prompt.call_method("Prompt", &("",)).await?;
        Ok(Some((prompt, answers)))
    }

    async fn is_locked(&self, collection: &ObjectPath<'_>) -> zbus::Result<bool> {
        self.at(collection.to_owned(), COLLECTION).await?.get_property("Locked").await
    }

    async fn at<'p, P>(&self, path: P, interface: &'static str) -> zbus::Result<Proxy<'p>>
    where
        P: TryInto<ObjectPath<'p>>,
        P::Error: Into<zbus::Error>,
    {
        zbus::proxy::Builder::<Proxy<'p>>::new(&self.bus)
            .destination(NAME)
            .path(path)
            .interface(interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }
}

fn no_default() -> Unavailable {
    Unavailable::new(
        "the keyring has no default collection; create one with the desktop's password program, or log in anew",
    )
}

/// An error of the bus in words: no bus, no service, or something else.
fn explain(error: &zbus::Error) -> Unavailable {
    let no_bus = || {
        Unavailable::new(
            "there is no D-Bus session, and so no keyring; run keypulse as a service of the desktop user, or use \
             secret.file or secret.command",
        )
    };
    let no_service = || {
        Unavailable::new(
            "no keyring service runs (org.freedesktop.secrets); start GNOME Keyring, KWallet or KeePassXC, or use \
             secret.file or secret.command",
        )
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "zbus's lists are long and open; the rest reads the same to people"
    )]
    match error {
        zbus::Error::Connection(..) | zbus::Error::Address(_) | zbus::Error::Handshake(_) => no_bus(),
        zbus::Error::FDO(reply) => match reply.as_ref() {
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) | fdo::Error::SpawnServiceNotFound(_) => {
                no_service()
            }
            fdo::Error::NoReply(_) | fdo::Error::Disconnected(_) => {
                Unavailable::new("the keyring service went away while it was asked")
            }
            other => Unavailable::new(format!("the keyring failed: {other}")),
        },
        other => Unavailable::new(format!("the keyring failed: {other}")),
    }
}
