//! Random choices that follow from a seed. Decides no odds: those stand where they are used.

use std::time::Duration;

use crate::health::schedule::Dice;

/// Draws from the engine's own dice, thrown by other hands.
#[derive(Clone, Debug)]
pub struct Fortune(Dice);

impl Fortune {
    /// The seed decides all that follows.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995);
        dice.next();
        Self(dice)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next()
    }

    /// A number from 0 up to, not including, `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.0.next().checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }

    /// True in `percent` of all cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `all`, each as likely. `None` only if there is none.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.below(all.len())).copied()
    }

    /// A duration between `least` and `most`, each as likely.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + self.0.below(most.saturating_sub(least))
    }

    /// A duration between `least` and `most`, each order of magnitude as likely: most are short, and some are very long.
    pub fn spread(&mut self, least: Duration, most: Duration) -> Duration {
        let share = f64::from(u32::try_from(self.0.next() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        let least = least.as_secs_f64().max(0.001);
        Duration::from_secs_f64(least * (most.as_secs_f64() / least).max(1.0).powf(share))
    }

    /// The time to the next of events of which there are `per_decade`, at random times (exponential).
    pub fn next_in(&mut self, per_decade: u32) -> Duration {
        let share = (f64::from(u32::try_from(self.0.next() >> 32).unwrap_or(0)) + 1.0) / (f64::from(u32::MAX) + 2.0);
        let mean = 3650.0 * 86_400.0 / f64::from(per_decade.max(1));
        Duration::from_secs_f64(-mean * share.ln())
    }
}
