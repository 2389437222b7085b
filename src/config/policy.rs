//! `[schedule]` and `[limits]`: which times and numbers are safe, and which go together.
//!
//! Against iCloud the floors keep keypulse from looking like an attack; against a server on this machine nearly everything
//! goes, because rehearsals and tests run there in compressed time.

use std::time::Duration;

use toml::Spanned;

use super::{
    Server,
    duration::format,
    parse::Checker,
    raw::{RawLimits, RawSchedule},
};
use crate::health::{
    evidence::{PerService, Service},
    schedule::Policy,
};

const MINUTE: Duration = Duration::from_secs(60);

/// The fewest failed logins an account can be given. A verdict without corroboration takes four; one automatic login is kept
/// for re-tests; three more for those and for the person (`verdicts.md`, parts 4 and 6): with fewer than eight keypulse
/// could never say "revoked" by itself.
const FEWEST_FAILED_LOGINS: u32 = 4 + 1 + 3;
/// The most: Apple gives 25 passwords, and each takes four logins to a verdict. More only invites a locked account.
const MOST_FAILED_LOGINS: u32 = 25 * 4;

impl Checker<'_> {
    /// The whole policy; what is wrong is reported and replaced by its default.
    pub(super) fn policy(
        &mut self,
        schedule: &RawSchedule,
        limits: &RawLimits,
        remind_every: Option<&Spanned<String>>,
        servers: &PerService<Server>,
    ) -> Policy {
        let default = Policy::default();
        // A rule between values is asked only where each of them could be read: against a default in the place of a wrong
        // value it would mislead.
        let before = self.found();
        let confirm = self.confirm(schedule, default.confirm);
        if self.found() == before {
            self.second_confirm(schedule, confirm);
        }
        let before = self.found();
        let interval = self.duration("interval", schedule.interval.as_ref(), default.interval);
        let stale_after = self.duration("stale_after", schedule.stale_after.as_ref(), default.stale_after);
        if self.found() == before {
            self.staleness(schedule, interval, stale_after);
        }
        let policy = Policy {
            interval,
            jitter_percent: self.percent(schedule.jitter.as_ref(), default.jitter_percent),
            confirm,
            retest_revoked: self.duration("retest_revoked", schedule.retest_revoked.as_ref(), default.retest_revoked),
            stale_after,
            outage_hold: self.duration("outage_hold", schedule.outage_hold.as_ref(), default.outage_hold),
            settle: self.duration("settle", schedule.settle.as_ref(), default.settle),
            failed_logins_per_account: default.failed_logins_per_account,
            concurrent_checks: default.concurrent_checks,
            remind_every: match remind_every {
                Some(word) if word.get_ref() == "never" => None,
                given => default.remind_every.map(|default| self.duration("remind_every", given, default)),
            },
        };
        self.floors(schedule, &policy, servers);
        let far = foreign(servers).is_some();
        let (range, why) = if far {
            (
                (FEWEST_FAILED_LOGINS, MOST_FAILED_LOGINS),
                "a verdict takes 4 failed logins, and 4 are kept for re-tests and for you; over 100 only risks a locked account",
            )
        } else {
            ((5, 10_000), "4 are kept for re-tests and for you; below 5 nothing is left for automatic checks")
        };
        let failed = &limits.failed_logins_per_account;
        let concurrent = &limits.concurrent_checks;
        Policy {
            failed_logins_per_account: self.number(
                "failed_logins_per_account",
                failed,
                range,
                why,
                policy.failed_logins_per_account,
            ),
            concurrent_checks: self.number(
                "concurrent_checks",
                concurrent,
                (1, 100),
                "one connection per account is made at a time in any case; 4 is plenty",
                policy.concurrent_checks,
            ),
            ..policy
        }
    }

    /// `"20%"`: whole percents up to 100.
    fn percent(&mut self, given: Option<&Spanned<String>>, default: u32) -> u32 {
        let Some(given) = given else { return default };
        let number = given.get_ref().trim().strip_suffix('%').map(str::trim_end);
        let digits = number.filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        match digits.map(str::parse) {
            Some(Ok(percent @ 0..=100)) => percent,
            Some(_) => {
                self.report(given.span(), "`jitter` is more than 100%", "write at most \"100%\"");
                default
            }
            None => {
                self.report(
                    given.span(),
                    "`jitter` is no percentage",
                    "write a whole number of percents, such as \"20%\"",
                );
                default
            }
        }
    }

    fn confirm(&mut self, schedule: &RawSchedule, default: [Duration; 2]) -> [Duration; 2] {
        let Some(given) = &schedule.confirm else { return default };
        let [first, second] = given.get_ref().as_slice() else {
            let count = given.get_ref().len();
            self.report(
                given.span(),
                &format!("`confirm` has {count} of exactly two durations"),
                "write both, such as `confirm = [\"2m\", \"15m\"]`",
            );
            return default;
        };
        let [default_first, default_second] = default;
        [self.duration("confirm", Some(first), default_first), self.duration("confirm", Some(second), default_second)]
    }

    /// What is asked of servers that are not on this machine. A wrong value was replaced by its default, which passes.
    fn floors(&mut self, schedule: &RawSchedule, policy: &Policy, servers: &PerService<Server>) {
        let Some(server) = foreign(servers) else { return };
        let [first, _] = policy.confirm;
        let first_confirm = schedule.confirm.as_ref().and_then(|list| list.get_ref().first());
        for (key, given, value, least) in [
            ("interval", schedule.interval.as_ref(), policy.interval, 5 * MINUTE),
            ("confirm", first_confirm, first, MINUTE),
            ("retest_revoked", schedule.retest_revoked.as_ref(), policy.retest_revoked, 60 * MINUTE),
        ] {
            if let (Some(given), true) = (given, value < least) {
                let which = if key == "confirm" { "the first of `confirm`".to_owned() } else { format!("`{key}`") };
                let message = format!("{which} is {}, too often for {}", format(value), server.host);
                let remedy = format!("write at least \"{}\"; only servers on this machine take less", format(least));
                self.report(given.span(), &message, &remedy);
            }
        }
    }

    fn second_confirm(&mut self, schedule: &RawSchedule, [first, second]: [Duration; 2]) {
        if let Some(given) = schedule.confirm.as_ref().filter(|_| second < first * 2) {
            let place = given.get_ref().get(1).map_or(given.span(), Spanned::span);
            self.report(
                place,
                &format!(
                    "the second of `confirm` is {}, less than twice the first ({})",
                    format(second),
                    format(first)
                ),
                &format!("write at least \"{}\"", format(first * 2)),
            );
        }
    }

    fn staleness(&mut self, schedule: &RawSchedule, interval: Duration, stale_after: Duration) {
        // With both at their defaults the rule holds, so one of them is given.
        let given = schedule.stale_after.as_ref().or(schedule.interval.as_ref());
        if let Some(given) = given.filter(|_| stale_after <= interval * 2) {
            let said = if schedule.stale_after.is_some() { "" } else { " (its default)" };
            let message = format!(
                "`stale_after` is {}{said}, not more than twice the `interval` of {}",
                format(stale_after),
                format(interval)
            );
            let remedy = format!("write `stale_after = \"{}\"` or more, or a shorter interval", format(interval * 3));
            self.report(given.span(), &message, &remedy);
        }
    }
}

/// A server that is not on this machine.
fn foreign(servers: &PerService<Server>) -> Option<&Server> {
    Service::ALL.into_iter().map(|service| servers.of(service)).find(|server| !server.is_loopback())
}
