//! The ration of failed logins: how many one account may spend in any 24 hours.
//!
//! Every attempt reserves one before it is made and gives it back unless it was rejected, so that neither a crash nor a slow
//! answer can overdraw it. A reservation whose attempt was never settled counts as spent (`verdicts.md`, part 6).

use serde::{Deserialize, Serialize};

use super::schedule::{DAY, Timestamp};

/// On whose behalf a login is made: who may use how much of the ration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// A check by itself: everything but the last four.
    Routine,
    /// A re-test of a dead pair, or a person's check of a pair that is known: everything but the last. What a reset costs (7)
    /// and the four re-tests of a day must fit; with less, false alarms of long outages were withdrawn a day late.
    Known,
    /// A pair never judged: everything. It may be the person's repair, and a right one costs nothing.
    New,
}

impl Purse {
    pub(super) const fn kept_for_others(self) -> u32 {
        match self {
            Self::Routine => 4,
            Self::Known => 1,
            Self::New => 0,
        }
    }
}

/// One login that was rejected, or is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The attempt.
    pub id: u64,
    /// When it was reserved or, once rejected, when the answer came.
    pub at: Timestamp,
}

/// The logins of one account that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ration {
    spent: Vec<Spent>,
}

impl Ration {
    /// From what was stored.
    #[must_use]
    pub const fn restore(spent: Vec<Spent>) -> Self {
        Self { spent }
    }

    /// Whether attempt `id` is in it.
    #[must_use]
    pub fn holds(&self, id: u64) -> bool {
        self.spent.iter().any(|spent| spent.id == id)
    }

    /// How many count at `now`.
    #[must_use]
    pub fn used(&self, now: Timestamp) -> u32 {
        u32::try_from(self.counting(now).count()).unwrap_or(u32::MAX)
    }

    /// Reserves one login for attempt `id`.
    ///
    /// # Errors
    /// When it is used up for this purse: the time at which it frees.
    pub fn reserve(&mut self, id: u64, purse: Purse, limit: u32, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(frees_at) = self.frees_at(purse, limit, now) {
            return Err(frees_at);
        }
        self.spent.retain(|spent| now.since(spent.at) < DAY);
        self.spent.push(Spent { id, at: now });
        Ok(())
    }

    /// Settles attempt `id`: a rejected login stays spent for a day from now, any other is given back.
    pub fn settle(&mut self, id: u64, rejected: bool, now: Timestamp) {
        if rejected {
            self.spent.iter_mut().filter(|spent| spent.id == id).for_each(|spent| spent.at = now);
        } else {
            self.spent.retain(|spent| spent.id != id);
        }
    }

    /// When this purse may spend again; `None` if it may now.
    #[must_use]
    pub fn frees_at(&self, purse: Purse, limit: u32, now: Timestamp) -> Option<Timestamp> {
        let allowed = usize::try_from(limit.saturating_sub(purse.kept_for_others())).unwrap_or(usize::MAX);
        let mut times: Vec<Timestamp> = self.counting(now).map(|spent| spent.at).collect();
        times.sort_unstable();
        let excess = (times.len() + 1).checked_sub(allowed).filter(|excess| *excess > 0)?;
        // With a purse of nothing, no waiting helps; asking again in a day is as good as any time.
        Some(times.get(excess - 1).map_or(now + DAY, |at| *at + DAY))
    }

    fn counting(&self, now: Timestamp) -> impl Iterator<Item = &Spent> {
        self.spent.iter().filter(move |spent| now.since(spent.at) < DAY)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn spend(ration: &mut Ration, ids: std::ops::Range<u64>, purse: Purse) -> u32 {
        ids.filter(|id| {
            let now = at(i64::try_from(*id).unwrap());
            let granted = ration.reserve(*id, purse, 12, now).is_ok();
            ration.settle(*id, true, now);
            granted
        })
        .count()
        .try_into()
        .unwrap()
    }

    #[test]
    fn routine_leaves_four_retests_and_persons_one_new_pairs_none() {
        let mut ration = Ration::default();
        assert_eq!(spend(&mut ration, 0..20, Purse::Routine), 8);
        assert_eq!(spend(&mut ration, 20..40, Purse::Known), 3);
        assert_eq!(spend(&mut ration, 40..60, Purse::New), 1);
        assert_eq!(ration.used(at(60)), 12);
    }

    #[test]
    fn accepted_logins_are_given_back() {
        let mut ration = Ration::default();
        for id in 0..100 {
            ration.reserve(id, Purse::Routine, 12, at(1)).unwrap();
            ration.settle(id, false, at(2));
        }
        assert_eq!(ration.used(at(3)), 0);
    }

    #[test]
    fn a_reservation_without_an_answer_stays_spent() {
        let mut ration = Ration::default();
        ration.reserve(1, Purse::New, 1, at(0)).unwrap();
        assert_eq!(ration.reserve(2, Purse::New, 1, at(5)), Err(at(0) + DAY));
    }

    #[test]
    fn it_frees_a_day_after_the_answer_not_after_the_question() {
        let mut ration = Ration::default();
        ration.reserve(1, Purse::New, 1, at(0)).unwrap();
        ration.settle(1, true, at(30));
        assert!(ration.reserve(2, Purse::New, 1, at(0) + DAY).is_err());
        assert!(ration.reserve(3, Purse::New, 1, at(30) + DAY).is_ok());
    }

    #[test]
    fn a_limit_below_what_is_kept_grants_nothing() {
        let ration = Ration::default();
        assert_eq!(ration.frees_at(Purse::Routine, 4, at(0)), Some(at(0) + DAY));
        assert_eq!(ration.frees_at(Purse::Routine, 5, at(0)), None);
        assert_eq!(Duration::from_secs(86_400), DAY);
    }
}
