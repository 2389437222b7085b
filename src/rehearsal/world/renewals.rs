//! New passwords that are right: whether they are accepted in the round that first reads them with nothing in the way.

use std::time::Duration;

use crate::{
    health::schedule::{Policy, Timestamp},
    rehearsal::stage::Stage,
};

use super::{score::Score, truth::Truth};

/// Longer than a round takes.
const A_ROUND: Duration = Duration::from_secs(60);

/// A new password that keypulse has not accepted yet.
#[derive(Clone, Copy, Debug)]
struct Fresh {
    secret: usize,
    /// The account's whole ration was used up when it was read.
    rationed: bool,
}

/// All that wait.
#[derive(Clone, Debug)]
pub(super) struct Renewals {
    seed: u64,
    ration: u32,
    fresh: Vec<Fresh>,
}

impl Renewals {
    /// None yet.
    #[must_use]
    pub(super) const fn new(seed: u64, policy: &Policy) -> Self {
        Self { seed, ration: policy.failed_logins_per_account, fresh: Vec::new() }
    }

    /// Whether none waits.
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.fresh.is_empty()
    }

    /// A right one was put in its place.
    pub(super) fn renewed(&mut self, secret: usize) {
        self.fresh.push(Fresh { secret, rationed: false });
    }

    /// It is gone, or dead.
    pub(super) fn forget(&mut self, secret: usize) {
        self.fresh.retain(|fresh| fresh.secret != secret);
    }

    /// After every change of the truth: what was read a moment ago and is cut off proves nothing, and is read again.
    pub(super) fn look(&self, truth: &mut Truth, now: Timestamp) {
        for fresh in &self.fresh {
            if let Some(state) = truth.secrets.get_mut(fresh.secret)
                && state.accepted_at.is_none()
                && state.read_at.is_some_and(|at| now.since(at) < A_ROUND)
            {
                state.read_at = None;
            }
        }
    }

    /// After every step of the engine.
    pub(super) fn watch(&mut self, stage: &Stage<Truth>, score: &mut Score) {
        let (truth, seed, ration) = (&stage.outside, self.seed, self.ration);
        let now = truth.true_time(stage.now());
        self.fresh.retain_mut(|fresh| {
            let Some(state) = truth.secrets.get(fresh.secret) else { return false };
            if state.slandered {
                score.fresh_slandered += 1;
                return false;
            }
            let Some(read) = state.read_at else { return true };
            if state.accepted_at.is_some() {
                score.fresh += 1;
                score.fresh_waits.extend(fresh.rationed.then(|| now.since(read)));
                return false;
            }
            if !fresh.rationed {
                let account = stage.status().into_iter().nth(state.account);
                fresh.rationed = account.is_some_and(|account| account.failed_logins_24h >= ration);
            }
            let late = !fresh.rationed && now.since(read) > A_ROUND;
            if late {
                score.fresh += 1;
                score.fresh_late.push((seed, read));
            }
            !late
        });
    }
}
