//! Passwords that are dead in truth: when they are told, at what cost, and what stood in the way.
//!
//! Excuses nothing that is not written into the score by its name.

use std::{collections::BTreeMap, time::Duration};

use crate::health::{
    incident::IncidentCause,
    login::Why,
    ruling::{Rule, Ruling, Was},
    schedule::{DAY, Policy, Timestamp},
};

use super::{
    score::{Alarm, DeadPassword, Hindrance, Reset, Score},
    truth::Truth,
    umpire::Moment,
};

/// A password that is dead in truth.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each a fact of its own, for its own count")]
struct Case {
    account: usize,
    died: Moment,
    first_refused: Option<Moment>,
    /// Automatic logins that were rejected before it was known to be dead.
    refused: u32,
    /// keypulse knows.
    known: bool,
    /// People know.
    told: bool,
    /// What stood in the way since the first refusal.
    hindrance: Option<Hindrance>,
    /// Something stood in the way before that.
    held_up: bool,
    /// Another one of its account was being confirmed before that: it had to wait for its turn.
    in_turn: bool,
    /// Two services refused at first.
    strong: bool,
    /// Another password was accepted in time for the first confirmation.
    witnessed: bool,
}

/// A whole account that died at once.
#[derive(Clone, Debug)]
struct Fall {
    at: Timestamp,
    secrets: Vec<usize>,
    refused: usize,
    told: Option<(Duration, IncidentCause)>,
    /// Nothing was wrong with the account before.
    quiet: bool,
}

/// What the policy allows.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Failed logins that checks by themselves may make in a day.
    automatic: usize,
    /// The longest wait for the first confirmation.
    soon: Duration,
    /// Longer than the road to a verdict from the death on, with nothing in the way.
    plain: Duration,
    /// Longer than the slowest road to a verdict: with the outage guard's hold.
    held: Duration,
}

/// All that are dead and in use.
#[derive(Clone, Debug)]
pub(super) struct Deaths {
    seed: u64,
    one_account: bool,
    limits: Limits,
    cases: BTreeMap<usize, Case>,
    falls: BTreeMap<usize, Fall>,
}

impl Deaths {
    /// Nobody yet.
    #[must_use]
    pub(super) fn new(seed: u64, accounts: usize, policy: &Policy) -> Self {
        let longest = |time: Duration| time + time * policy.jitter_percent / 100;
        let spare = policy.interval / 6;
        let plain = longest(policy.interval) + longest(policy.confirm[1]) + longest(policy.confirm[0]) + spare;
        let automatic = policy.failed_logins_per_account.saturating_sub(4);
        let limits = Limits {
            automatic: usize::try_from(automatic).unwrap_or(usize::MAX),
            soon: longest(policy.confirm[0]),
            plain,
            // Twice: it may be begun anew, with a leader that was replaced meanwhile.
            held: plain * 2 + policy.outage_hold + spare,
        };
        Self { seed, one_account: accounts == 1, limits, cases: BTreeMap::new(), falls: BTreeMap::new() }
    }

    /// Whether there is none.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// A password died.
    pub(super) fn died(&mut self, truth: &Truth, secret: usize, now: Moment) {
        let Some(state) = truth.secrets.get(secret) else { return };
        let account = state.account;
        // Two accounts that die together hide each other: to both it looks like an outage.
        let twins = self.cases.values_mut().filter(|case| case.account != account && !case.told);
        let twin = twins.map(|case| case.hindrance = case.hindrance.max(Some(Hindrance::Twin))).count() > 0;
        let case = Case {
            account,
            died: now,
            first_refused: None,
            refused: 0,
            known: false,
            told: false,
            hindrance: match state.accepted_at {
                None => Some(Hindrance::NeverTaken),
                Some(_) => twin.then_some(Hindrance::Twin),
            },
            held_up: truth.hindrance(secret).is_some(),
            in_turn: false,
            strong: false,
            witnessed: false,
        };
        self.cases.insert(secret, case);
    }

    /// All passwords of an account died at once. `quiet`: nothing was wrong with it before.
    pub(super) fn fell(&mut self, account: usize, secrets: Vec<usize>, quiet: bool, at: Timestamp) {
        let quiet = quiet && !secrets.is_empty();
        self.falls.insert(account, Fall { at, secrets, refused: 0, told: None, quiet });
    }

    /// No place holds this password any more.
    pub(super) fn dropped(&mut self, secret: usize, now: Moment, score: &mut Score) {
        if let Some(case) = self.cases.remove(&secret) {
            self.falls.remove(&case.account);
            self.close(&case, now, score);
        }
    }

    /// After every change of the truth: what stands in the way from now on.
    pub(super) fn look(&mut self, truth: &Truth) {
        for (secret, case) in self.cases.iter_mut().filter(|(_, case)| !case.told) {
            let hindrance = truth.hindrance(*secret);
            if case.first_refused.is_some() {
                case.hindrance = case.hindrance.max(hindrance);
            } else {
                case.held_up |= hindrance.is_some();
            }
        }
    }

    /// A login was rejected.
    pub(super) fn refused(&mut self, truth: &Truth, secret: usize, why: Why, now: Moment) {
        let account = truth.secrets.get(secret).map(|secret| secret.account);
        if account.is_some_and(|account| truth.spent_today(account) >= self.limits.automatic) {
            // Nothing more is asked by itself until it frees.
            let untold = self.cases.values_mut().filter(|case| Some(case.account) == account && !case.told);
            untold.for_each(|case| case.hindrance = case.hindrance.max(Some(Hindrance::Ration)));
        }
        let waiting =
            self.cases.values_mut().filter(|case| Some(case.account) == account && case.first_refused.is_none());
        waiting.for_each(|case| case.in_turn = true);
        let Some(case) = self.cases.get_mut(&secret) else { return };
        if case.first_refused.is_none() {
            case.first_refused = Some(now);
            case.hindrance = case.hindrance.max(truth.hindrance(secret));
        }
        let automatic = why != Why::Person;
        case.refused += u32::from(!case.known && automatic);
        if let Some(fall) = self.falls.get_mut(&case.account) {
            fall.refused += usize::from(automatic);
        }
    }

    /// keypulse decided something about a password.
    pub(super) fn ruled(&mut self, truth: &Truth, secret: usize, ruling: &Ruling, score: &mut Score) {
        let soon = self.limits.soon + Duration::from_secs(30);
        let Some(case) = self.cases.get_mut(&secret) else { return };
        if let Rule::FirstRefusal { strong } = ruling.rule {
            case.strong = strong;
        }
        if let (Some(round), Some(first)) = (&ruling.round, case.first_refused)
            && round.refusals == 2
        {
            let in_time = |at: Timestamp| truth.was_true_time(at).since(first.at) <= soon;
            case.witnessed = round.corroborated_by.as_ref().is_some_and(|witness| in_time(witness.at));
        }
        if ruling.rule.makes() == Some(Was::Dead) {
            case.known = true;
            let account = case.account;
            self.end_of_fall(account, score);
        }
    }

    /// A message names these passwords, of one account.
    pub(super) fn told(&mut self, named: &[usize], cause: IncidentCause, now: Moment, score: &mut Score) {
        let untold = |secret: &&usize| self.cases.get(secret).is_some_and(|case| !case.told);
        let new: Vec<usize> = named.iter().filter(untold).copied().collect();
        let cases: Vec<&Case> = new.iter().filter_map(|secret| self.cases.get(secret)).collect();
        let first = cases.iter().filter_map(|case| Some((case.first_refused?, *case))).min_by_key(|(at, _)| at.at);
        if let Some((refused, leader)) = first {
            let died = cases.iter().map(|case| case.died.up).min().unwrap_or_default();
            score.alarms.push(Alarm {
                seed: self.seed,
                at: now.at,
                hindrance: cases.iter().filter_map(|case| case.hindrance).max(),
                held_up: cases.iter().any(|case| case.held_up),
                one_account: self.one_account,
                sure: leader.strong && leader.witnessed,
                from_death: now.up.saturating_sub(died),
                from_refusal: now.up.saturating_sub(refused.up),
            });
            let account = leader.account;
            if let Some(fall) = self.falls.get_mut(&account) {
                fall.told.get_or_insert((now.up.saturating_sub(refused.up), cause));
            }
            self.end_of_fall(account, score);
        }
        for secret in new {
            if let Some(case) = self.cases.get_mut(&secret) {
                case.told = true;
            }
        }
    }

    /// A whole account is known to be dead, and people were told.
    fn end_of_fall(&mut self, account: usize, score: &mut Score) {
        let cases = &self.cases;
        let known = |secret: &usize| cases.get(secret).is_none_or(|case| case.known);
        let over = |fall: &Fall| fall.told.is_some() && fall.secrets.iter().all(known);
        if !self.falls.get(&account).is_some_and(over) {
            return;
        }
        let Some(fall) = self.falls.remove(&account) else { return };
        let hindered = |secret: &usize| cases.get(secret).is_none_or(|case| case.hindrance.is_some() || case.held_up);
        let clear = fall.quiet && !fall.secrets.iter().any(hindered);
        if let (true, Some((told, cause))) = (clear, fall.told) {
            let many = fall.secrets.len() > 1;
            let expected = if many { IncidentCause::MainPasswordReset } else { IncidentCause::ResetOrRevoked };
            let (seed, at, size, refused) = (self.seed, fall.at, fall.secrets.len(), fall.refused);
            score.resets.push(Reset { seed, at, size, told, refused, named: cause == expected });
        }
    }

    fn close(&self, case: &Case, now: Moment, score: &mut Score) {
        let (up, able) = (now.up.saturating_sub(case.died.up), now.able.saturating_sub(case.died.able));
        let plain = self.limits.plain * if case.in_turn { 2 } else { 1 };
        let (time, needed) = match case.hindrance {
            None if !case.held_up => (up, plain),
            None => (able, plain),
            Some(Hindrance::Ration) => (able, self.limits.held + DAY),
            Some(_) => (able, self.limits.held),
        };
        if case.told {
            let (at, hindrance, refused) = (case.died.at, case.hindrance, case.refused);
            score.dead.push(DeadPassword {
                seed: self.seed,
                at,
                hindrance,
                sure: case.strong && case.witnessed,
                refused,
            });
        } else if time > needed {
            score.missed.push((self.seed, case.died.at));
        } else {
            score.overtaken.push((self.seed, case.died.at));
        }
    }

    /// The life is over.
    pub(super) fn end(&mut self, now: Moment, score: &mut Score) {
        for case in std::mem::take(&mut self.cases).into_values() {
            self.close(&case, now, score);
        }
    }
}
