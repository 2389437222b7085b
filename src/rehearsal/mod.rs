//! Plays what could happen to the real core, in virtual time, and keeps what it said.
//!
//! [`stage`] is the theatre: the engine, a virtual clock, a memory. The rest is the rehearsal of a person's own policy:
//!
//! | file | what |
//! |---|---|
//! | `scenario.rs`, `happening.rs`, `catalogue/` | what happens and what must be said, as data |
//! | `promise.rs` | by when, under this policy; and what such a policy makes impossible |
//! | `scene.rs`, `wire.rs` | what answers on the stage; the part of it that is real sockets and TLS |
//! | `perform.rs`, `judge.rs` | a play; right or wrong |
//! | `world/` | random households, to measure the rules by: [`world`] |
//! | `message.rs` | what channels would have been given |
//!
//! Never waits for virtual time, reads no clock, and never reads a secret of the person's: every password is made up.

mod catalogue;
pub mod happening;
mod judge;
mod message;
mod perform;
mod promise;
pub mod scenario;
mod scene;
pub mod stage;
mod wire;
pub mod world;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use catalogue::catalogue;
pub use judge::{Cell, Said, rough};
pub use message::Message;
pub use promise::Promise;
pub use scenario::{Group, Scenario};
pub use wire::{Wire, WireError};

use crate::{
    config::{Config, QuietHours},
    health::outbox::Channel,
};

/// Rounds of one password in one play at most: there are more only where the interval is tiny, and they take minutes.
const ROUNDS: u128 = 5_000;
/// The same over real sockets.
const ROUNDS_ON_THE_WIRE: u128 = 500;

/// The channels that are switched on.
#[must_use]
pub fn channels(config: &Config) -> Vec<Channel> {
    let on = |channel: &Channel| match channel {
        Channel::Desktop => config.notify.desktop,
        Channel::Hook => config.notify.hook.is_some(),
        Channel::Email => config.notify.email.is_some(),
    };
    Channel::ALL.into_iter().filter(on).collect()
}

/// Whether a scenario can be played under this policy: in a short time, and with what its ration allows.
#[must_use]
pub fn is_playable(scenario: &Scenario, promise: &Promise) -> bool {
    let dies = !matches!(scenario.group, Group::Causes | Group::Secrets);
    if dies && !promise.affords_a_verdict() {
        return false;
    }
    let most = if scenario.wire.is_some() { ROUNDS_ON_THE_WIRE } else { ROUNDS };
    scenario.lasts().as_millis() / promise.policy().interval.as_millis().max(1) <= most
}

/// Plays one scenario and judges it: the row of the matrix, and every message that a channel would have been given.
///
/// Where no channel is switched on, the hook stands in: what is said is judged all the same.
#[must_use]
pub fn rehearse(scenario: &Scenario, config: &Config, wire: &Wire) -> (Cell, Vec<Message>) {
    let promise = Promise::of(config);
    let real = channels(config);
    let channels = if real.is_empty() { vec![Channel::Hook] } else { real.clone() };
    let played = perform::perform(scenario, &promise, &channels, wire);
    let mut cell = judge::judge(scenario, &channels, &played);
    let mut messages = message::messages(&played);
    if real.is_empty() {
        cell.said.iter_mut().for_each(|said| said.to.clear());
        messages.clear();
    }
    (cell, messages)
}

/// How long quiet hours last.
fn quiet_length(hours: QuietHours) -> Duration {
    const DAY: u64 = 24 * 60;
    let minutes = (DAY + u64::from(hours.to) - u64::from(hours.from)) % DAY;
    Duration::from_secs(60 * minutes)
}
