//! keypulse's own time line.
//!
//! Durations are measured in boot time, suspends included; across boots by the wall clock, never less than zero. So a wall
//! clock that jumps changes no verdict, and what people are shown follows it all the same (`verdicts.md`, part 6).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

use crate::{
    api::time::{self, Time},
    config::QuietHours,
    health::schedule::{Anchor, Timestamp},
};

/// The one clock of a process. Reads the machine's clocks; nothing else does.
#[derive(Clone, Debug)]
pub struct Clock {
    boot: Option<String>,
    /// keypulse's time when the machine had been up for `since_boot`.
    at: Timestamp,
    since_boot: i64,
}

impl Clock {
    /// Goes on where the state left off; starts at the wall clock where there is none.
    #[must_use]
    pub fn resume(anchor: Option<&Anchor>) -> Self {
        let (boot, since_boot, wall) = (boot_id(), since_boot_ms(), wall_ms());
        let at = anchor.map_or(Timestamp::from_millis(wall), |anchor| {
            let same_boot = boot.is_some() && anchor.boot == boot;
            let passed = if same_boot { since_boot - anchor.since_boot_ms } else { wall - anchor.wall_ms };
            anchor.at + Duration::from_millis(u64::try_from(passed).unwrap_or(0))
        });
        Self { boot, at, since_boot }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed = since_boot_ms().saturating_sub(self.since_boot);
        self.at + Duration::from_millis(u64::try_from(passed).unwrap_or(0))
    }

    /// What the wall clock is ahead of keypulse's time, in milliseconds: added to a [`Timestamp`], it gives the time to show.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        let offset = wall_ms().saturating_sub(self.now().as_millis());
        // Both clocks are read one after the other; a small difference is not a difference.
        if offset.abs() < 1000 { 0 } else { offset }
    }

    /// Where the time line stands, to be kept with the state.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor { boot: self.boot.clone(), since_boot_ms: since_boot_ms(), wall_ms: wall_ms(), at: self.now() }
    }
}

/// The wall clock, in Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since boot, suspends included.
pub(super) fn since_boot_ms() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    // On macOS the monotonic clock goes on while the machine sleeps.
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Which boot this is, where the system says.
fn boot_id() -> Option<String> {
    #[cfg(target_os = "linux")]
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned());
    // Without an identity every start counts as another boot: the wall clock bridges it.
    #[cfg(not(target_os = "linux"))]
    let id = None;
    id
}

/// A time of day as people here read it, in the machine's time zone.
#[must_use]
pub fn local(at: Timestamp, now: Timestamp, offset_ms: i64) -> String {
    time::local(Time::new(at, offset_ms), Time::new(now, offset_ms), &TimeZone::system())
}

/// How long the quiet hours between two local times of day, in minutes after midnight, still last; `None` outside them.
#[must_use]
pub fn quiet_for(hours: QuietHours, now: Timestamp, offset_ms: i64) -> Option<Duration> {
    quiet_in(hours, Time::new(now, offset_ms), TimeZone::system())
}

fn quiet_in(hours: QuietHours, now: Time, zone: TimeZone) -> Option<Duration> {
    const DAY: u64 = 24 * 60 * 60;
    let now = jiff::Timestamp::from(now).to_zoned(zone);
    let minute = u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or(0);
    hours.contains(minute).then(|| {
        let second = u64::from(minute) * 60 + u64::try_from(now.second()).unwrap_or(0);
        Duration::from_secs((u64::from(hours.to) * 60 + DAY - second) % DAY)
    })
}

/// Wakes the daemon at a point of boot time: also when the machine slept past it. The kernel's timer wakes it once, where the
/// runtime's would, on its way there.
#[derive(Debug)]
pub struct Alarm {
    due: Option<tokio::time::Instant>,
    #[cfg(target_os = "linux")]
    timer: Option<tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>>,
}

impl Alarm {
    /// An alarm that is not set. Needs the runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            due: None,
            #[cfg(target_os = "linux")]
            timer: boottime_timer(),
        }
    }

    /// Sets it to `wait` from now, or switches it off.
    pub fn set(&mut self, wait: Option<Duration>) {
        // A wait of nothing would switch a timer off; nobody notices a millisecond.
        let wait = wait.map(|wait| wait.max(Duration::from_millis(1)));
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer {
            use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
            let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = wait.map_or(nothing, |wait| Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()),
            });
            let new = Itimerspec { it_interval: nothing, it_value: value };
            if timerfd_settime(timer, TimerfdTimerFlags::empty(), &new).is_ok() {
                self.due = None;
                return;
            }
        }
        self.due = wait.map(|wait| tokio::time::Instant::now() + wait);
    }

    /// Returns when it goes off; never if it is not set.
    pub async fn wait(&self) {
        if let Some(due) = self.due {
            return tokio::time::sleep_until(due).await;
        }
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer {
            while let Ok(mut ready) = timer.readable().await {
                // Reading it takes the mark away that it went off; the number of times says nothing here. One that was set anew
                // since has not gone off.
                if ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?)).is_ok() {
                    return;
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_os = "linux")]
fn boottime_timer() -> Option<tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>> {
    use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC).ok()?;
    #[expect(
        deprecated,
        reason = "its unsoundness is about types that do not own their descriptor; this one does, and the \
                                   successor is an unsafe function"
    )]
    tokio::io::unix::AsyncFd::new(timer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(change: impl FnOnce(&mut Anchor)) -> Clock {
        let mut anchor = Clock::resume(None).anchor();
        anchor.at = Timestamp::from_millis(1_000_000);
        change(&mut anchor);
        Clock::resume(Some(&anchor))
    }

    fn near(clock: &Clock, expected: i64) {
        let difference = clock.now().as_millis() - expected;
        assert!((0..5_000).contains(&difference), "{difference} ms off");
    }

    #[test]
    fn within_a_boot_the_wall_clock_does_not_matter() {
        near(&anchor(|anchor| anchor.wall_ms -= 365 * 86_400_000), 1_000_000);
        near(&anchor(|anchor| anchor.wall_ms += 365 * 86_400_000), 1_000_000);
        near(&anchor(|anchor| anchor.since_boot_ms -= 60_000), 1_060_000);
    }

    #[test]
    fn across_boots_the_wall_clock_counts_and_never_backwards() {
        let other_boot = |anchor: &mut Anchor| anchor.boot = Some("another".to_owned());
        near(
            &anchor(|anchor| {
                other_boot(anchor);
                anchor.wall_ms -= 60_000;
            }),
            1_060_000,
        );
        near(
            &anchor(|anchor| {
                other_boot(anchor);
                anchor.wall_ms += 60_000;
            }),
            1_000_000,
        );
    }

    #[track_caller]
    fn quiet(hours: (u16, u16), now: &str, zone: &str, minutes: Option<u64>) {
        let hours = QuietHours { from: hours.0 * 60, to: hours.1 * 60 };
        let zone = TimeZone::posix(zone).unwrap();
        let found = quiet_in(hours, now.parse().unwrap(), zone).map(|wait| wait.as_secs() / 60);
        assert_eq!(found, minutes, "{hours:?} {now}");
    }

    #[test]
    fn quiet_hours_are_local_and_go_over_midnight() {
        let night = (22, 7);
        quiet(night, "2026-11-22T21:59:59Z", "UTC0", None);
        quiet(night, "2026-11-22T22:00:00Z", "UTC0", Some(9 * 60));
        quiet(night, "2026-11-23T00:30:00Z", "UTC0", Some(6 * 60 + 30));
        quiet(night, "2026-11-23T06:59:00Z", "UTC0", Some(1));
        quiet(night, "2026-11-23T07:00:00Z", "UTC0", None);
        quiet((9, 12), "2026-11-23T11:00:00Z", "UTC0", Some(60));
        quiet((9, 12), "2026-11-23T12:00:00Z", "UTC0", None);
        // The same moment elsewhere: an hour ahead, and five behind.
        quiet(night, "2026-11-22T21:30:00Z", "CET-1", Some(8 * 60 + 30));
        quiet(night, "2026-11-23T02:30:00Z", "EST5", None);
        // Summer time begins at 2: whoever looks again later finds out that they end an hour sooner.
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        quiet(night, "2027-03-28T00:30:00Z", berlin, Some(5 * 60 + 30));
        quiet(night, "2027-03-28T01:30:00Z", berlin, Some(3 * 60 + 30));
        quiet(night, "2027-03-28T05:00:00Z", berlin, None);
    }

    #[test]
    fn people_are_shown_the_wall_clock() {
        let clock = anchor(|anchor| anchor.wall_ms += 0);
        let shown = clock.now().as_millis() + clock.offset_ms();
        assert!((wall_ms() - shown).abs() < 1500);
    }
}
