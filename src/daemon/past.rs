//! What happened, for those who ask: from the state on disk and the engine's own view, with a daemon or without.
//!
//! Reads only; decides nothing.

use super::{Paths, heart, route::trouble};
use crate::{
    api::{HistoryQuery, PastError, StatusDocument, TransitionDocument, UnknownName},
    config::Config,
    health::{credential::Overall, engine::Engine, event::Memory, name::CredentialName, schedule::Timestamp},
    host::clock::Clock,
    store::{Store, StoreError},
};

/// The state and the engine's view of it at one moment.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    /// `None` where nobody ever wrote any.
    pub(super) store: Option<&'a Store>,
    pub(super) engine: &'a Engine,
    pub(super) now: Timestamp,
    pub(super) offset_ms: i64,
}

impl From<StoreError> for PastError {
    fn from(error: StoreError) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Self::State(format!("{error}{source}"))
    }
}

impl Past<'_> {
    /// Changes of health, the newest first.
    ///
    /// # Errors
    /// For a name that no credential has or had, and where the state cannot be read.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<TransitionDocument>, PastError> {
        self.know(&query.names)?;
        let Some(store) = self.store else { return Ok(Vec::new()) };
        let since = query.since.map(|since| since.on_time_line(self.now, self.offset_ms));
        let changes = store.transitions(&query.names, since, query.limit)?;
        Ok(changes.iter().map(|change| TransitionDocument::build(change, self.offset_ms)).collect())
    }

    /// A credential that left the configuration still has its past.
    fn know(&self, names: &[CredentialName]) -> Result<(), PastError> {
        if names.iter().all(|name| self.engine.knows(name)) {
            return Ok(());
        }
        let gone = self.store.map(Store::names_of_the_past).transpose()?.unwrap_or_default();
        let unheard_of =
            |name: &&CredentialName| !self.engine.knows(name) && !gone.iter().any(|gone| gone == name.as_str());
        let Some(unknown) = names.iter().find(unheard_of) else { return Ok(()) };
        let mut known: Vec<String> = self.engine.names().map(ToString::to_string).collect();
        known.extend(gone.into_iter().filter(|name| !self.engine.names().any(|known| known.as_str() == name)));
        Err(PastError::Unknown(UnknownName::credential(unknown, known)))
    }
}

/// The stored state, for where no daemon runs. Nothing is locked, written or asked.
pub struct Stored {
    store: Option<Store>,
    engine: Engine,
    clock: Clock,
    config: Config,
}

impl Stored {
    /// Looks at the state as the configuration understands it.
    ///
    /// # Errors
    /// Where there is a state and it cannot be used.
    pub fn look(config: &Config, paths: &Paths) -> Result<Self, StoreError> {
        let (store, memory, clock) = match Store::look(&paths.state) {
            Ok(store) => {
                let (memory, clock) = (store.memory()?, Clock::resume(store.anchor()?.as_ref()));
                (Some(store), memory, clock)
            }
            Err(StoreError::Absent) => (None, Memory::default(), Clock::resume(None)),
            Err(error) => return Err(error),
        };
        let now = clock.now();
        let engine = Engine::new(heart::setup(config), memory, heart::seed(now), now);
        Ok(Self { store, engine, clock, config: config.clone() })
    }

    /// The status document.
    #[must_use]
    pub fn document(&self) -> StatusDocument {
        let now = self.clock.now();
        let (engine, offset_ms) = (&self.engine, self.clock.offset_ms());
        let document = StatusDocument::build(&engine.status(now), None, now, offset_ms);
        let email = trouble(&self.config, engine, now, offset_ms);
        let mut document = document.with_pause(engine.paused_until(), offset_ms).with_email(email);
        if self.store.is_none() {
            document.overall = Overall::Unknown; // nobody ever looked
        }
        document
    }

    /// What happened.
    #[must_use]
    pub fn past(&self) -> Past<'_> {
        let (now, offset_ms) = (self.clock.now(), self.clock.offset_ms());
        Past { store: self.store.as_ref(), engine: &self.engine, now, offset_ms }
    }
}
