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
