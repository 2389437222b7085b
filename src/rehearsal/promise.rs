//! What the rules of `verdicts.md` promise under a person's policy, in time: how soon something must be said, and what such
//! a policy makes impossible.
//!
//! Pure. Knows the rules only as bounds, so that an odd policy is judged by what it asks for.

use std::time::Duration;

use crate::{
    config::{Config, duration::format},
    health::schedule::{DAY, Policy},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// What an unhurried login takes on the stage.
const LOGIN: Duration = crate::rehearsal::stage::USUAL;
/// Failed logins to the verdict and the cause of a reset: two of the leader's first round, its canary, two confirmations
/// and two more siblings (`verdicts.md`, part 4).
const A_RESET: u32 = 7;
/// Failed logins of one account to a verdict that the outage guard holds back: the leader's seven, and a canary.
const HELD: u32 = 8;
/// Failed logins to any other verdict on an only password.
const ALONE: u32 = 4;
/// What automatic checks leave of the ration.
const KEPT: u32 = 4;

/// The times that follow from a policy.
#[derive(Clone, Debug)]
pub struct Promise {
    policy: Policy,
    timeout: Duration,
}

impl Promise {
    /// Of this configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self { policy: config.policy.clone(), timeout: config.timeout }
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What a login takes on the stage: little where the interval is tiny.
    #[must_use]
    pub fn login(&self) -> Duration {
        (self.policy.interval / 2000).clamp(Duration::from_millis(1), LOGIN)
    }

    /// What a login takes that gets no answer.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// `time` with all the jitter there can be.
    #[must_use]
    pub fn longest(&self, time: Duration) -> Duration {
        time + time * self.policy.jitter_percent / 100
    }

    /// The time that the logins themselves may take, and a little.
    #[must_use]
    pub fn slack(&self) -> Duration {
        self.login() * 100 + (self.policy.interval / 8).min(20 * Duration::from_secs(1))
    }

    /// From anything to the next routine round of every password.
    #[must_use]
    pub fn noticed(&self) -> Duration {
        self.longest(self.policy.interval) + self.slack()
    }

    /// From a wake-up to the beginning of the last check for it: settle time and spread.
    #[must_use]
    pub fn settled(&self) -> Duration {
        self.policy().settle * 3
    }

    /// From the first refusal to a verdict that is corroborated and strong at first.
    #[must_use]
    pub fn quick(&self) -> Duration {
        let [soon, _] = self.policy.confirm;
        self.longest(soon) + self.grace() + self.slack()
    }

    /// From the first refusal to any other verdict that nothing holds back.
    #[must_use]
    pub fn full(&self) -> Duration {
        let [soon, late] = self.policy.confirm;
        self.longest(late).max(self.longest(soon) * 2) + self.grace() + self.slack()
    }

    /// The earliest that such a verdict can fall after the first refusal.
    #[must_use]
    pub fn full_at_least(&self) -> Duration {
        let [soon, late] = self.policy.confirm;
        late.max(soon * 2)
    }

    /// From the first refusal to a verdict that the outage guard holds back.
    #[must_use]
    pub fn held(&self) -> Duration {
        let [soon, _] = self.policy.confirm;
        let hold = self.policy.outage_hold + self.longest(soon) + self.slack() + self.grace();
        hold.max(self.full()) + self.spare(HELD)
    }

    /// What the ration does not allow today is done on a later day: the time that is lost with so many failed logins.
    #[must_use]
    pub fn spare(&self, cost: u32) -> Duration {
        let days = cost.saturating_sub(1).checked_div(self.automatic()).unwrap_or(0);
        (DAY + self.noticed()) * days
    }

    /// The earliest that such a verdict can fall after the first refusal.
    #[must_use]
    pub fn held_at_least(&self) -> Duration {
        self.policy.outage_hold.max(self.full_at_least())
    }

    /// A new incident is kept back for so long while siblings are asked what happened.
    fn grace(&self) -> Duration {
        self.policy.confirm[0] / 4
    }

    /// From the end of trouble to the next round of a password that was asked in vain.
    #[must_use]
    pub fn recovered(&self) -> Duration {
        // The longest back-off is an hour; it shrinks with `confirm[0]`, as it may be on loopback (`schedule.rs`).
        let usual = Policy::default().confirm[0];
        let soon = self.policy.confirm[0].min(usual);
        let back_off = HOUR.mul_f64(soon.as_secs_f64() / usual.as_secs_f64());
        self.noticed().max(back_off + self.slack()) + self.timeout * 2
    }

    /// From the first refusal of an account with so many passwords, all dead, to its incident; `others`: another account
    /// can bear witness.
    #[must_use]
    pub fn reset(&self, others: bool) -> Duration {
        if others { self.quick() } else { self.full() }
    }

    /// Failed logins that automatic checks may make in a day.
    #[must_use]
    pub const fn automatic(&self) -> u32 {
        self.policy.failed_logins_per_account.saturating_sub(KEPT)
    }

    /// Failed logins from the first refusal to the cause, with so many passwords dead at once.
    #[must_use]
    pub fn cost(passwords: usize) -> u32 {
        u32::try_from(passwords).unwrap_or(u32::MAX).saturating_add(3).min(A_RESET)
    }

    /// From the first refusal of a reset of so many passwords, without a witness, to its incident: what the ration does not
    /// allow today is done tomorrow.
    #[must_use]
    pub fn full_for(&self, passwords: usize) -> Duration {
        self.full() + self.spare(Self::cost(passwords))
    }

    /// Whether the ration is enough for a reset of so many passwords to be told in time.
    #[must_use]
    pub fn affords(&self, passwords: usize) -> bool {
        Self::cost(passwords) <= self.automatic()
    }

    /// Whether the ration is enough for a held back verdict.
    #[must_use]
    pub const fn affords_to_hold(&self) -> bool {
        HELD <= self.automatic()
    }

    /// Whether the ration is enough for any verdict at all.
    #[must_use]
    pub const fn affords_a_verdict(&self) -> bool {
        ALONE <= self.automatic()
    }

    /// Where this policy, or these channels, make a promise of keypulse's impossible. Each a sentence or two.
    #[must_use]
    pub fn remarks(&self, config: &Config) -> Vec<String> {
        let policy = &self.policy;
        let [soon, late] = policy.confirm;
        let mut remarks = Vec::new();
        if crate::rehearsal::channels(config).is_empty() {
            remarks.push(
                "Nobody is told of anything: no channel is switched on (notify.desktop, notify.hook.command)."
                    .to_owned(),
            );
        }
        if self.longest(policy.interval) > 3 * HOUR {
            let after = format(self.longest(policy.interval));
            remarks.push(format!("A dead password is noticed up to {after} after it died: schedule.interval."));
        }
        if self.full() > 20 * MINUTE + self.slack() {
            let after = format(self.longest(late).max(self.longest(soon) * 2));
            remarks.push(format!(
                "A dead password is told up to {after} after it was first refused (18m with the defaults): \
                 schedule.confirm."
            ));
        }
        if !self.affords(25) {
            remarks.push(format!(
                "A reset of the main password takes {A_RESET} failed logins to be told with its cause, and checks may make \
                 {} a day: it may be told only after a day, or with another cause at first: \
                 limits.failed_logins_per_account, at least {}.",
                self.automatic(),
                A_RESET + KEPT
            ));
        }
        if !self.affords_a_verdict() {
            remarks.push(format!(
                "A verdict takes {ALONE} failed logins, and checks may make {} a day: keypulse can hardly call anything \
                 revoked, and what dies is not rehearsed: limits.failed_logins_per_account, at least {}.",
                self.automatic(),
                ALONE + KEPT
            ));
        }
        if policy.outage_hold < late {
            remarks.push(format!(
                "The outage guard never holds a verdict back: schedule.outage_hold ({}) is over before the last \
                 confirmation ({}).",
                format(policy.outage_hold),
                format(late)
            ));
        }
        if policy.outage_hold > DAY {
            remarks.push(format!(
                "Where an outage is suspected, a dead password is told only after {}: schedule.outage_hold.",
                format(policy.outage_hold)
            ));
        }
        if policy.stale_after > 3 * DAY {
            remarks.push(format!(
                "A service that gives no answer is told of only after {}: schedule.stale_after.",
                format(policy.stale_after)
            ));
        }
        if let Some(quiet) = config.notify.quiet_hours.map(super::quiet_length)
            && quiet > 12 * HOUR
        {
            let length = format(quiet);
            remarks.push(format!("Messages for the desktop can wait for up to {length}: notify.quiet_hours."));
        }
        remarks
    }
}
