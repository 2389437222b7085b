//! The daemon while its state cannot be written: the disk is full, or became read-only.
//!
//! Nothing is carried out that is not written down, so nothing is: what happens meanwhile is kept in order, in memory, and goes
//! through the engine once the disk takes it. The socket answers all the while, and refuses what would change something.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info};

use super::{Daemon, RunError, trouble::chain};
use crate::{
    api::{Time, Trouble},
    health::{event::Event, schedule::Timestamp},
    host::service,
    store::StoreError,
};

/// From the first failure to the next try; twice as long after each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// … but never longer than this: whoever made room wants to see it go on.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The state cannot be written.
pub(super) struct Standstill {
    since: Timestamp,
    why: String,
    /// What happened since, oldest first. Bounded by what was under way: nothing new is begun.
    kept: VecDeque<Event>,
    wait: Duration,
    next_try: Instant,
}

impl Standstill {
    fn new(since: Timestamp, error: &StoreError) -> Self {
        let next_try = Instant::now() + FIRST_WAIT;
        Self { since, why: chain(error), kept: VecDeque::new(), wait: FIRST_WAIT, next_try }
    }

    /// Keeps what happened. What was only due, or wished for, is due or can be wished for again.
    fn keep(&mut self, event: Event) {
        match event {
            Event::Timer
            | Event::Check { .. }
            | Event::Snooze { .. }
            | Event::Unsnooze { .. }
            | Event::Pause { .. }
            | Event::Resume
            // Leave to give a message is only what is written down: this one was withheld.
            | Event::Given(_) => {}
            Event::Start
            | Event::SecretRead { .. }
            | Event::Attempted { .. }
            | Event::Delivered { .. }
            | Event::Mailed(_)
            | Event::Reloaded
            | Event::WatchEnded { .. }
            | Event::Unlocked
            | Event::ChannelReady(_)
            | Event::NotificationLost(_)
            | Event::NotificationClosed(_)
            | Event::Suspending
            | Event::Woke { .. }
            | Event::Network { .. } => self.kept.push_back(event),
        }
    }

    /// As the status tells it.
    pub(super) fn trouble(&self, offset_ms: i64) -> Trouble {
        Trouble::state_unwritable(&self.why, Time::new(self.since, offset_ms))
    }
}

impl Daemon {
    /// Until the next try; for ever where there is none.
    pub(super) fn until_next_try(&self) -> impl Future<Output = ()> + use<> {
        let next_try = self.standstill.as_ref().map(|standstill| standstill.next_try);
        async move {
            match next_try {
                Some(next_try) => sleep_until(next_try).await,
                None => std::future::pending().await,
            }
        }
    }

    /// One event through the engine, and everything that follows from it; where it cannot be written down, later.
    pub(super) fn step(&mut self, event: Event) -> Result<(), RunError> {
        if let Some(standstill) = &mut self.standstill {
            standstill.keep(event);
            return Ok(());
        }
        match self.take(event.clone()) {
            Ok(()) => Ok(()),
            Err(error) => {
                let standstill = self.stand_still(error)?;
                standstill.keep(event);
                Ok(())
            }
        }
    }

    /// What a person wants, now or not at all. Whether it was done.
    pub(super) fn wish(&mut self, event: Event) -> Result<bool, RunError> {
        if self.can_write()? {
            self.step(event)?;
        }
        Ok(self.standstill.is_none())
    }

    /// Whether what is decided now can be written down; tries, where it could not before.
    pub(super) fn can_write(&mut self) -> Result<bool, RunError> {
        if self.standstill.is_some() {
            self.try_again()?;
        }
        Ok(self.standstill.is_none())
    }

    /// It cannot. A damaged database is no standstill but an end: the next start puts it aside.
    pub(super) fn stand_still(&mut self, error: StoreError) -> Result<&mut Standstill, RunError> {
        if error.is_damage() {
            return Err(error.into());
        }
        error!("failed to {}; nothing is checked and nothing is told until the state can be written", chain(&error));
        service::trouble(&format!("cannot write the state: {}", chain(&error)));
        let now = self.heart.now();
        Ok(self.standstill.insert(Standstill::new(now, &error)))
    }

    /// Writes down what was kept, if that works again.
    pub(super) fn try_again(&mut self) -> Result<(), RunError> {
        let Some(mut standstill) = self.standstill.take() else { return Ok(()) };
        match self.heart.try_to_write().and_then(|()| self.catch_up(&mut standstill)) {
            Ok(()) => {
                info!("the state can be written again");
                self.step(Event::Timer)
            }
            Err(error) if error.is_damage() => Err(error.into()),
            Err(error) => {
                // One that a person's wish brought on comes between two of these, and puts none off.
                if Instant::now() >= standstill.next_try {
                    standstill.wait = (standstill.wait * 2).min(LONGEST_WAIT);
                    standstill.next_try = Instant::now() + standstill.wait;
                }
                standstill.why = chain(&error);
                debug!("failed to {}; next try in {:?}", standstill.why, standstill.wait);
                self.standstill = Some(standstill);
                Ok(())
            }
        }
    }

    fn catch_up(&mut self, standstill: &mut Standstill) -> Result<(), StoreError> {
        while let Some(event) = standstill.kept.front() {
            self.take(event.clone())?;
            standstill.kept.pop_front();
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), StoreError> {
        let mut outward = Vec::new();
        let taken = self.heart.step(event, &mut outward);
        self.show(outward);
        taken
    }
}
