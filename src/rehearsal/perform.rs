//! Plays one scenario on the stage and keeps what was done and said, act by act.
//!
//! Never decides whether that was right.

use std::time::Duration;

use super::{
    promise::Promise,
    scenario::{Act, Happening, Scenario, Until},
    scene::Scene,
    stage::{Stage, Told},
    wire::Wire,
};
use crate::{
    health::{
        credential::Health,
        event::{AttemptRow, Event, Handover, Setup},
        evidence::Finding,
        outbox::Channel,
        schedule::{DAY, Policy, Timestamp},
        view::AccountStatus,
    },
    host::clock,
};

/// Noon of a winter's day, so that no clock is set in between: 2026-01-15T12:00:00Z.
const NOON: Timestamp = Timestamp::from_millis(1_768_478_400_000);
/// Decides all jitter, so that the same policy gives the same matrix.
const SEED: u64 = 25;
/// Between two looks at the clock while quiet hours are waited for.
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// One act as it went.
#[derive(Clone, Debug)]
pub(super) struct Played {
    /// When it began.
    pub(super) began: Timestamp,
    /// Every login that ended in it.
    pub(super) attempts: Vec<AttemptRow>,
    /// Every message that a channel took in it, with the time by the wall clock that people were shown.
    pub(super) told: Vec<(Told, i64)>,
    /// All accounts at its end.
    pub(super) status: Vec<AccountStatus>,
}

impl Played {
    /// The first refusal in it.
    #[must_use]
    pub(super) fn first_refusal(&self) -> Option<Timestamp> {
        self.attempts.iter().find(|row| row.outcome.finding == Finding::Rejected).map(|row| row.at)
    }
}

/// Plays it. `channels` get the messages, which nobody receives.
#[must_use]
pub(super) fn perform(scenario: &Scenario, promise: &Promise, channels: &[Channel], wire: &Wire) -> Vec<Played> {
    let scene = Scene::new(scenario.house.clone(), wire, scenario.wire, promise.login(), promise.timeout());
    let policy = promise.policy().clone();
    let remind_every = policy.remind_every.filter(|_| scenario.reminders);
    let setup = Setup {
        policy: Policy { remind_every, ..policy },
        accounts: scenario.house.clone(),
        channels: channels.to_vec(),
    };
    let stage = Stage::new(setup, scene.with_quiet(scenario.quiet), SEED, NOON);
    let mut play = Play { stage, requests: 0 };
    if !scenario.fresh {
        // Everybody is accepted, and the next rounds are not all due at once.
        play.stage.run(promise.policy().interval / 2);
        play.close(NOON);
    }
    scenario.acts.iter().map(|act| play.act(scenario, act)).collect()
}

struct Play<'w> {
    stage: Stage<Scene<'w>>,
    requests: u64,
}

impl Play<'_> {
    fn act(&mut self, scenario: &Scenario, act: &Act) -> Played {
        let mut began = self.stage.now();
        for happening in &act.happens {
            self.happen(scenario, happening);
            // What must be said is counted from the moment at which keypulse can know.
            if matches!(happening, Happening::Sleep(_) | Happening::Restart(_) | Happening::Reboot(..)) {
                began = self.stage.now();
            }
        }
        self.watch(scenario, act.until);
        self.close(began)
    }

    fn watch(&mut self, scenario: &Scenario, until: Until) {
        match until {
            Until::For(time) => self.stage.run(time),
            Until::Refused(time) => self.run_to(time, |stage| {
                let accounts = stage.status();
                let mut credentials = accounts.iter().flat_map(|account| &account.credentials);
                credentials.any(|one| matches!(one.health, Health::Suspect | Health::Rejected))
            }),
            Until::Handed(time) => self.run_to(time, |stage| stage.log.told.iter().any(|told| is_done(&told.handover))),
            Until::Quiet => {
                let is_quiet = |stage: &Stage<Scene<'_>>| {
                    let offset = stage.outside.offset_ms();
                    scenario.quiet.is_none_or(|hours| clock::quiet_for(hours, stage.now(), offset).is_some())
                };
                let end = self.stage.now() + DAY;
                while !is_quiet(&self.stage) && self.stage.now() < end {
                    self.stage.run(QUARTER);
                }
            }
        }
    }

    /// Step by step, until it is so.
    fn run_to(&mut self, time: Duration, is_so: impl Fn(&Stage<Scene<'_>>) -> bool) {
        let end = self.stage.now() + time;
        while !is_so(&self.stage) {
            if !self.stage.step(end) {
                return;
            }
        }
    }

    fn happen(&mut self, scenario: &Scenario, happening: &Happening) {
        self.stage.outside.happen(happening);
        match happening {
            Happening::Sleep(time) => self.stage.sleep(*time),
            Happening::Restart(off) => self.stage.restart(*off),
            // Across boots time goes by as the wall clock says, and never back (`host/clock.rs`).
            Happening::Reboot(off, set) => {
                let seconds = i64::try_from(off.as_secs()).unwrap_or(i64::MAX).saturating_add(*set);
                self.stage.restart(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
            }
            Happening::Unlock => self.stage.happen(Event::Unlocked),
            Happening::Mute(false) => {
                for channel in self.stage.setup().channels.clone() {
                    self.stage.happen(Event::ChannelReady(channel));
                }
            }
            Happening::Spend(account, count) => {
                let Some((address, _)) = scenario.house.get(*account) else { return };
                for _ in 0..*count {
                    let now = self.stage.now();
                    let Ok((id, actions)) = self.stage.engine_mut().reserve(address, now) else { return };
                    let settled = self.stage.engine_mut().settle_reserved(id, true, now);
                    for action in actions.into_iter().chain(settled) {
                        self.stage.act(action);
                    }
                }
            }
            Happening::Check(who) => {
                let Some(name) = scenario.name_of(*who) else { return };
                self.requests += 1;
                self.stage.happen(Event::Check { request: self.requests, names: vec![name.clone()] });
            }
            Happening::LoseNotification => self.of_incidents(Event::NotificationLost),
            Happening::CloseNotification => self.of_incidents(Event::NotificationClosed),
            Happening::Forget(account) => {
                let mut setup = self.stage.setup().clone();
                if *account < setup.accounts.len() {
                    setup.accounts.remove(*account);
                }
                self.stage.configure(setup);
            }
            Happening::Snooze(account, length) => {
                if let Some((address, _)) = scenario.house.get(*account) {
                    self.stage.happen(Event::Snooze { account: address.clone(), length: *length });
                }
            }
            Happening::Pause(length) => self.stage.happen(Event::Pause { length: Some(*length) }),
            Happening::Reset(_)
            | Happening::Revoke(_)
            | Happening::RevokeOld(_)
            | Happening::Reinstate
            | Happening::Replace(_)
            | Happening::PutBack(_)
            | Happening::Share(..)
            | Happening::Weather(..)
            | Happening::Against(..)
            | Happening::Source(..)
            | Happening::Lock
            | Happening::SetClock(_)
            | Happening::Mute(true) => {}
        }
    }

    fn of_incidents(&mut self, event: fn(u64) -> Event) {
        for account in self.stage.status() {
            if let Some(incident) = account.incident.filter(|incident| incident.id != 0) {
                self.stage.happen(event(incident.id));
            }
        }
    }

    /// Takes out what was done and said since the last act.
    fn close(&mut self, began: Timestamp) -> Played {
        let log = std::mem::take(&mut self.stage.log);
        let offset = self.stage.outside.offset_ms();
        let taken = log.told.into_iter().filter(|told| is_done(&told.handover));
        Played {
            began,
            attempts: log.attempts,
            told: taken.map(|told| (told, offset)).collect(),
            status: self.stage.status(),
        }
    }
}

fn is_done(handover: &Handover) -> bool {
    match handover {
        Handover::Done(_) => true,
        Handover::Failed | Handover::NotBefore(_) => false,
    }
}
