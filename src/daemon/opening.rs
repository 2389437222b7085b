//! How the state is taken hold of: with the key that it was written by, and anew where it is damaged.

use std::path::Path;

use tracing::error;

use super::{Paths, RunError, trouble};
use crate::{
    health::{event::Memory, tally::Tally},
    host::clock::Clock,
    secret::DigestKey,
    store::{Store, StoreError},
};

/// A state without what was known, in place of the damaged one.
pub(super) fn begin_anew(state: &Path, damage: &StoreError) -> Result<Store, StoreError> {
    let why = trouble::chain(damage);
    let (store, loss) = Store::replace(state, &why, Clock::resume(None).now())?;
    error!(
        "failed to {why}; it is kept as {}, and keypulse begins anew, without what it knew. As failed logins may be forgotten \
         with it, none is made for 24 hours",
        loss.kept_as.display()
    );
    Ok(store)
}

/// The state with what it remembers and the key that it remembers it by.
pub(super) fn keyed(mut store: Store, paths: &Paths) -> Result<(Store, Memory, DigestKey), RunError> {
    let memory = store.memory()?;
    let key = load_key(paths)?;
    store.belong_to(key.mark())?;
    Ok((store, memory, key))
}

/// The digest key, made where there is none.
pub(super) fn load_key(paths: &Paths) -> Result<DigestKey, RunError> {
    let keyless = |source| RunError::Key { directory: paths.state.clone(), source };
    DigestKey::load_or_create(&paths.state).map_err(keyless)
}

/// What the metrics count, from the stored state.
///
/// # Errors
/// Where there is a state and it cannot be used.
pub fn stored_tally(paths: &Paths) -> Result<Tally, StoreError> {
    match Store::look(&paths.state) {
        Ok(store) => store.tally(),
        Err(StoreError::Absent) => Ok(Tally::default()),
        Err(error) => Err(error),
    }
}
