//! When things are due: time as the engine sees it, the person's policy, back-off and jitter.
//!
//! Never reads a clock and never draws a random number: `now` and the seed are arguments.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// A point on keypulse's own time line, in milliseconds.
///
/// It advances with boot time, suspends included, and never goes back; across boots it advances with the wall clock, never
/// by less than zero (`host/clock.rs`). On an undisturbed machine it equals Unix time, and people are shown it as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than anything: the end of what has none.
    pub const END: Self = Self(i64::MAX);

    /// From milliseconds on keypulse's time line.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds on keypulse's time line.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time since `earlier`; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Where keypulse's time line stood when the state was last written. See `host/clock.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Which boot of the machine; `None` where that cannot be known.
    pub boot: Option<String>,
    /// Milliseconds since that boot, suspends included.
    pub since_boot_ms: i64,
    /// The wall clock, in Unix milliseconds.
    pub wall_ms: i64,
    /// keypulse's time.
    pub at: Timestamp,
}

/// The person's `[schedule]` and `[limits]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often each secret is checked.
    pub interval: Duration,
    /// Upward jitter of the interval and of confirmations, in percent.
    pub jitter_percent: u32,
    /// After a first refusal: the times of the two confirmations.
    pub confirm: [Duration; 2],
    /// When a revoked pair is first asked again.
    pub retest_revoked: Duration,
    /// No conclusive round for so long makes a credential stale.
    pub stale_after: Duration,
    /// How long the outage guard holds a verdict back.
    pub outage_hold: Duration,
    /// Settle time after resume or network-up.
    pub settle: Duration,
    /// Rejected logins allowed per account in any 24 hours.
    pub failed_logins_per_account: u32,
    /// Connections at once, all accounts together.
    pub concurrent_checks: u32,
    /// How often a standing incident is told again; `None` for never.
    pub remind_every: Option<Duration>,
}

/// One day: the window of the ration.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// One week: the slowest re-test.
pub const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Default for Policy {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            interval: minutes(60),
            jitter_percent: 20,
            confirm: [minutes(2), minutes(15)],
            retest_revoked: DAY,
            stale_after: DAY,
            outage_hold: minutes(6 * 60),
            settle: Duration::from_secs(10),
            failed_logins_per_account: 12,
            concurrent_checks: 4,
            remind_every: Some(DAY),
        }
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

impl Policy {
    /// The time from one routine round to the next: `interval`, lengthened by up to `jitter_percent`.
    pub fn next_interval(&self, dice: &mut Dice) -> Duration {
        self.lengthened(self.interval, dice)
    }

    /// `duration`, lengthened by up to `jitter_percent`. Jitter only lengthens.
    pub fn lengthened(&self, duration: Duration, dice: &mut Dice) -> Duration {
        duration + dice.below(duration * self.jitter_percent / 100)
    }

    /// The wait after the `step`th inconclusive round in a row, counted from 0: 1, 2, 5, 15, 60 min with full jitter; at
    /// least 30 s where the connection was lost (`facts/icloud.md` 2.13).
    ///
    /// Where `confirm[0]` is shorter than its default, as it may be on loopback, these shrink with it.
    pub fn back_off(&self, step: u32, connection_lost: bool, dice: &mut Dice) -> Duration {
        let minutes = match step {
            0 => 1,
            1 => 2,
            2 => 5,
            3 => 15,
            4.. => 60,
        };
        let shrink = |duration| shrunk(duration, self.confirm[0], 2 * MINUTE);
        let longest = shrink(minutes * MINUTE);
        let least = if connection_lost { shrink(MINUTE / 2) } else { longest / 10 };
        least + dice.below(longest.saturating_sub(least))
    }

    /// How long after the end of an idle watch it is opened again, counted from 0: 1, 2, 4, … min, at most an hour, longer by
    /// the jitter. Shrinks with `confirm[0]`, as [`Policy::back_off`].
    pub fn reopen(&self, step: u32, dice: &mut Dice) -> Duration {
        let minutes = if step < 6 { 1 << step } else { 60 };
        self.lengthened(shrunk(minutes * MINUTE, self.confirm[0], 2 * MINUTE), dice)
    }

    /// How long a refusing service rests after its `step`th refusal, counted from 0: 1, 2, 4, 8, 16 h, then 24 h. Shrinks
    /// with an interval below five minutes, as it may be on loopback.
    pub fn rest(&self, step: u32) -> Duration {
        let hours = match step {
            0..=4 => 1 << step,
            5.. => 24,
        };
        if self.interval < 5 * MINUTE { shrunk(hours * HOUR, self.interval, HOUR) } else { hours * HOUR }
    }

    /// The wait to the next re-test of a dead pair that had `step` of them, and was first refused `ago`.
    ///
    /// A corroborated verdict is re-tested after `retest_revoked`, then weekly. One that nothing corroborated may be Apple's
    /// doing: the wait is at most as long as the trouble has lasted (or two intervals), jitter included, so that a false alarm
    /// is withdrawn within that time after the trouble ends. Waits that grow like this cost four logins in the first day;
    /// 1, 2, 4, 8 and 24 h after each other cost as many and left gaps longer than the outage.
    pub fn retest(&self, step: u32, corroborated: bool, ago: Duration) -> Duration {
        // Times 6/5, the most that the default jitter makes of them, these are two intervals and `ago`.
        let soon = (self.interval * 5 / 3).max(ago * 5 / 6).min(DAY);
        let wait = match (step, corroborated) {
            (0, true) => return self.retest_revoked,
            (..=5, false) => soon,
            (1.., true) | (6.., false) => WEEK,
        };
        if self.retest_revoked < HOUR { shrunk(wait, self.retest_revoked, DAY) } else { wait }
    }
}

/// `duration`, made smaller by as much as `actual` is smaller than `usual`.
fn shrunk(duration: Duration, actual: Duration, usual: Duration) -> Duration {
    if actual >= usual {
        return duration;
    }
    let nanos = duration.as_nanos().saturating_mul(actual.as_nanos()) / usual.as_nanos().max(1);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Numbers that look random and follow from a seed (SplitMix64), so that a run can be repeated.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The seed decides all that follows.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration from zero up to, not including, `bound`; zero if that is zero.
    pub fn below(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.next().checked_rem(nanos).unwrap_or(0))
    }

    /// Any number.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: it never ends and is never iterated")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests;
