//! The Keychain. It has no question to ask beforehand; instead its dialogs are switched off for background reads.
//!
//! Type-checked only: never run on a Mac yet.

use std::sync::Arc;

use keyring_core::CredentialStore;
use security_framework::{
    item::{ItemClass, ItemSearchOptions, Limit},
    os::macos::keychain::{KeychainUserInteractionLock, SecKeychain},
};

use super::{Asked, Item, KeyringState, Limits, Listing, Ready, Unavailable, locked};

/// What the keyring is made ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// A read or a removal.
    Reading,
    /// A write.
    Writing,
}

/// Opens the store of the keyring crate.
pub(super) fn open() -> keyring_core::Result<Arc<CredentialStore>> {
    let store: Arc<CredentialStore> = apple_native_keyring_store::keychain::Store::new()?;
    Ok(store)
}

/// The Keychain shows the service as the label.
pub(super) const fn takes_labels() -> bool {
    false
}

/// While the answer is held, the Keychain fails where it would ask. The switch is the process's, which is right: only the
/// keyring's thread talks to the Keychain.
pub(super) fn no_dialogs(asked: Asked) -> Option<KeychainUserInteractionLock> {
    match asked {
        Asked::Background => SecKeychain::disable_user_interaction().ok(),
        Asked::ByPerson => None,
    }
}

/// Succeeds for every item that the Keychain can hold.
#[expect(clippy::unused_async, reason = "the Secret Service has to be asked here")]
pub(super) async fn make_ready(item: &Item, _: For, _: Asked, _: &Limits) -> Result<Ready, Unavailable> {
    match item {
        Item::Named { .. } => Ok(Ready::Yes),
        Item::With(_) => {
            Err(Unavailable::new("secret.keyring.attributes works on Linux only; name the service and the user name"))
        }
    }
}

/// The Keychain shows whether it is locked only when it is asked for an item.
#[expect(clippy::unused_async, reason = "the Secret Service has to be asked here")]
#[expect(clippy::unnecessary_wraps, reason = "there may be no Secret Service")]
pub(super) async fn state() -> Result<KeyringState, Unavailable> {
    Ok(KeyringState::Unknown)
}

/// What the internet passwords are known by, under the names that the Secret Service's programs use. Attributes alone: the
/// Keychain asks nobody for them.
#[expect(clippy::unused_async, reason = "the Secret Service has to be asked here")]
pub(super) async fn list(_: &Limits) -> Result<Listing, Unavailable> {
    const NOT_FOUND: i32 = -25300;
    /// The Keychain's names (`kSecAttrServer`, `kSecAttrAccount`, `kSecAttrProtocol`).
    const NAMES: [(&str, &str); 3] = [("srvr", "server"), ("acct", "user"), ("ptcl", "protocol")];
    let mut search = ItemSearchOptions::new();
    let found = search.class(ItemClass::internet_password()).load_attributes(true).limit(Limit::All).search();
    let found = match found {
        Ok(found) => found,
        Err(error) if error.code() == NOT_FOUND => Vec::new(),
        Err(error) => return Err(explain_failure(&error)),
    };
    let items = found.iter().filter_map(security_framework::item::SearchResult::simplify_dict).map(|item| {
        let named =
            NAMES.iter().filter_map(|(theirs, ours)| Some(((*ours).to_owned(), item.get(*theirs)?.trim().to_owned())));
        named.collect()
    });
    Ok(Listing { items: items.collect(), part_is_locked: false })
}

/// Locked, refused and cancelled all arrive here as codes (`facts/crates.md`, section 3, keyring).
pub(super) fn explain_failure(error: &(dyn std::error::Error + 'static)) -> Unavailable {
    const NOT_WITHOUT_DIALOG: i32 = -25308;
    const AUTHORIZATION_FAILED: i32 = -25293;
    const CANCELLED: i32 = -128;
    match error.downcast_ref::<security_framework::base::Error>().map(|error| error.code()) {
        Some(NOT_WITHOUT_DIALOG | AUTHORIZATION_FAILED | CANCELLED) => locked(),
        Some(_) | None => Unavailable::new(format!("the keyring failed: {error}")),
    }
}
