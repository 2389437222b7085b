//! Whether the machine slept, without anybody's word for it: boot time went on, and the time awake stood still.
//!
//! Needs no logind and no timer. Where the kernel says that the clock was set, as it does when a machine resumes, the loop is
//! woken to look; everything else that wakes the loop is an occasion, too. Decides nothing about checks.

use std::time::Instant;

use tokio::sync::mpsc;

use super::Change;
use crate::host::clock::since_boot_ms;

/// Shorter naps change nothing for a connection, and are told apart from nothing.
const NAP_MS: i64 = 1000;

/// Measures sleep by the difference of two clocks of the kernel, the one that goes on in it and the one that does not
/// (`clock_gettime(2)`: CLOCK_BOOTTIME, CLOCK_MONOTONIC; macOS: CLOCK_MONOTONIC, CLOCK_UPTIME_RAW).
#[derive(Debug)]
pub struct SleepMeter {
    origin: Instant,
    /// The time asleep so far is at most this, in milliseconds from any zero.
    at_most: i64,
}

impl SleepMeter {
    /// Begins to measure.
    #[must_use]
    pub fn start() -> Self {
        let origin = Instant::now();
        Self { origin, at_most: Reading::take(origin).at_most() }
    }

    /// Whether the machine slept since the last look.
    pub fn slept(&mut self) -> bool {
        self.note(Reading::take(self.origin))
    }

    fn note(&mut self, reading: Reading) -> bool {
        let slept = reading.at_least().saturating_sub(self.at_most) >= NAP_MS;
        self.at_most = if slept { reading.at_most() } else { self.at_most.min(reading.at_most()) };
        slept
    }
}

/// The clocks cannot be read in the same moment: between two looks at the one that stops, the other is read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    awake_before: i64,
    boot: i64,
    awake_after: i64,
}

impl Reading {
    fn take(origin: Instant) -> Self {
        let awake = || i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (awake_before, boot) = (awake(), since_boot_ms());
        Self { awake_before, boot, awake_after: awake() }
    }

    const fn at_most(self) -> i64 {
        self.boot.saturating_sub(self.awake_before)
    }

    const fn at_least(self) -> i64 {
        self.boot.saturating_sub(self.awake_after)
    }
}

/// Tells when the machine resumed, or its clock was set. (On macOS the network changes with every resume, which is told.)
pub(super) async fn listen(tell: mpsc::Sender<Change>) {
    #[cfg(target_os = "linux")]
    if let Some(timer) = linux::timer() {
        loop {
            tokio::select! {
                () = linux::cancelled(&timer) => if tell.send(Change::Stirred).await.is_err() { return },
                () = tell.closed() => return,
            }
        }
    }
    drop(tell);
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::{
        fd::OwnedFd,
        io::Errno,
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
        },
    };
    use tokio::io::unix::AsyncFd;

    /// A timer of the wall clock that never goes off, and is cancelled when that clock is set. To the kernel a resume is that
    /// (`timerfd_create(2)`, TFD_TIMER_CANCEL_ON_SET; `timerfd_resume` in kernel/time/timekeeping.c).
    ///
    /// No test sees it cancelled: that takes a machine that sleeps, or one whose clock may be set. A time namespace
    /// (`time_namespaces(7)`) has no wall clock of its own, and its other clocks are set before anything runs in it.
    pub(super) fn timer() -> Option<AsyncFd<OwnedFd>> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC).ok()?;
        arm(&timer)?;
        #[expect(deprecated, reason = "as in host/clock.rs: the descriptor is owned, and the successor is unsafe")]
        AsyncFd::new(timer).ok()
    }

    fn arm(timer: &OwnedFd) -> Option<()> {
        let never = Timespec { tv_sec: i64::from(u32::MAX), tv_nsec: 0 };
        let value = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: never };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(timer, flags, &value).ok().map(drop)
    }

    pub(super) async fn cancelled(timer: &AsyncFd<OwnedFd>) {
        loop {
            let Ok(mut ready) = timer.readable().await else { return std::future::pending().await };
            match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?)) {
                Ok(Err(error)) if Errno::from_io_error(&error) == Some(Errno::CANCELED) => {
                    let _ = arm(timer.get_ref());
                    return;
                }
                Ok(Ok(_)) => {
                    // The year 2106.
                    let _ = arm(timer.get_ref());
                    return;
                }
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(readings: &[(i64, i64, i64)], slept: &[bool]) {
        let mut readings =
            readings.iter().map(|&(awake_before, boot, awake_after)| Reading { awake_before, boot, awake_after });
        let mut meter = SleepMeter { origin: Instant::now(), at_most: readings.next().unwrap().at_most() };
        assert_eq!(readings.map(|reading| meter.note(reading)).collect::<Vec<_>>(), slept);
    }

    #[test]
    fn sleep_is_what_boot_time_is_ahead_of_the_time_awake() {
        check(&[(0, 500, 0), (1000, 1500, 1000)], &[false]);
        check(&[(0, 500, 0), (1000, 9500, 1000), (2000, 10_500, 2000)], &[true, false]);
        check(&[(0, 500, 0), (1000, 2499, 1000)], &[false]);
    }

    #[test]
    fn a_process_that_waits_between_two_clocks_did_not_sleep() {
        check(&[(0, 500, 60_000), (61_000, 61_500, 61_000)], &[false]);
        check(&[(0, 60_500, 60_000), (61_000, 61_500, 61_000)], &[false]);
        check(&[(0, 500, 0), (1000, 61_500, 61_000), (62_000, 62_500, 62_000)], &[false, false]);
        // … and a nap after it is seen all the same.
        check(&[(0, 60_500, 60_000), (61_000, 61_500, 61_000), (62_000, 70_000, 62_000)], &[false, true]);
    }

    #[test]
    fn an_undisturbed_machine_does_not_sleep() {
        let mut meter = SleepMeter::start();
        assert!(!meter.slept());
    }
}
