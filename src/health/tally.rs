//! How many attempts ended how, and how long they took: what the metrics count.
//!
//! Decides the bounds of the histogram. Only ever grows: what is counted is never taken back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::evidence::{Finding, PerService, Service};

/// Upper bounds of the histogram's buckets, in milliseconds: from a server next door to the usual time limit, and beyond.
pub const BOUNDS_MS: [u64; 10] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// All attempts ever made with this state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// One entry for each service and finding that ever came.
    attempts: Vec<Counted>,
    /// How long those took that reached a server.
    pub durations: PerService<Durations>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    service: Service,
    finding: Finding,
    times: u64,
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// How many were within the bound of the same place in [`BOUNDS_MS`], and within none before it.
    within: [u64; BOUNDS_MS.len()],
    /// How many there were.
    pub count: u64,
    /// All together, in milliseconds.
    pub sum_ms: u64,
}

impl Tally {
    /// Counts `times` attempts that ended alike. `took` is `None` where no connection was made.
    pub fn add(&mut self, service: Service, finding: Finding, took: Option<Duration>, times: u64) {
        let same = |it: &&mut Counted| it.service == service && it.finding == finding;
        match self.attempts.iter_mut().find(same) {
            Some(counted) => counted.times = counted.times.saturating_add(times),
            None => self.attempts.push(Counted { service, finding, times }),
        }
        if let Some(took) = took {
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.durations.of_mut(service).add(ms, times);
        }
    }

    /// How many attempts on `service` ended in `finding`.
    #[must_use]
    pub fn times(&self, service: Service, finding: Finding) -> u64 {
        let same = |it: &&Counted| it.service == service && it.finding == finding;
        self.attempts.iter().find(same).map_or(0, |counted| counted.times)
    }
}

impl Durations {
    fn add(&mut self, ms: u64, times: u64) {
        if let Some((within, _)) = self.within.iter_mut().zip(BOUNDS_MS).find(|(_, bound)| ms <= *bound) {
            *within = within.saturating_add(times);
        }
        self.count = self.count.saturating_add(times);
        self.sum_ms = self.sum_ms.saturating_add(ms.saturating_mul(times));
    }

    /// Each bound in milliseconds with how many took no longer.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0_u64;
        BOUNDS_MS.into_iter().zip(self.within).map(move |(bound, within)| {
            sum = sum.saturating_add(within);
            (bound, sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::evidence::Cause;

    #[test]
    fn what_ends_alike_is_counted_together_and_what_took_no_time_has_none() {
        let mut tally = Tally::default();
        let ms = |ms| Some(Duration::from_millis(ms));
        let offline = Finding::Inconclusive(Cause::Offline);
        tally.add(Service::Imap, Finding::Accepted, ms(50), 1);
        tally.add(Service::Imap, Finding::Accepted, ms(51), 2);
        tally.add(Service::Imap, Finding::Rejected, ms(70_000), 1);
        tally.add(Service::Imap, offline, None, 3);
        assert_eq!(tally.times(Service::Imap, Finding::Accepted), 3);
        assert_eq!(tally.times(Service::Imap, offline), 3);
        assert_eq!(tally.times(Service::Smtp, Finding::Accepted), 0);
        let imap = &tally.durations.imap;
        assert_eq!((imap.count, imap.sum_ms), (4, 50 + 2 * 51 + 70_000));
        let up_to: Vec<_> = imap.up_to().collect();
        assert_eq!(up_to[..3], [(50, 1), (100, 3), (250, 3)]);
        assert_eq!(up_to.last(), Some(&(60_000, 3)), "what took longer than all bounds is in the count alone");
        assert_eq!(serde_json::from_str::<Tally>(&serde_json::to_string(&tally).unwrap()).unwrap(), tally);
    }
}
