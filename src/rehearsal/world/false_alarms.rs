//! Living passwords that are called dead: in which outage, how soon, and for how long.
//!
//! An alarm that no outage of the worst kind explains has a row of its own, and nothing excuses it.

use std::time::Duration;

use crate::health::{evidence::Services, schedule::Timestamp};

use super::{
    fate::{Outage, Trouble},
    score::{FalseAlarm, Row, Score},
    truth::Truth,
    umpire::Moment,
};

/// A false alarm that stands.
#[derive(Clone, Debug)]
struct Standing {
    incident: u64,
    secrets: Vec<usize>,
    alarm: FalseAlarm,
}

/// All that stand, and the outages of the worst kind that there were.
#[derive(Clone, Debug)]
pub(super) struct FalseAlarms {
    seed: u64,
    accounts: usize,
    standing: Vec<Standing>,
    /// Outages of the worst kind: which, and for how long keypulse had been able to ask when it ended.
    storms: Vec<(Outage, Option<Duration>)>,
    /// When the clock last came up ahead.
    jumped_at: Option<Timestamp>,
}

impl FalseAlarms {
    /// None yet.
    #[must_use]
    pub(super) const fn new(seed: u64, accounts: usize) -> Self {
        Self { seed, accounts, standing: Vec::new(), storms: Vec::new(), jumped_at: None }
    }

    /// Whether none stands.
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    /// An outage begins.
    pub(super) fn storm_begins(&mut self, outage: &Outage, score: &mut Score) {
        if let Trouble::Refuses(share) = outage.trouble {
            let row = match (share, outage.account) {
                (..100, _) => Row::SomeLogins,
                (_, Some(_)) if self.accounts > 1 => Row::OneAccount,
                _ if self.accounts > 1 => Row::Witnessed,
                _ => Row::Alone,
            };
            *score.outages.entry(row).or_default() += 1;
            self.storms.push((outage.clone(), None));
        }
    }

    /// The clock came up ahead.
    pub(super) fn clock_jumped(&mut self, now: Timestamp) {
        self.jumped_at = Some(now);
        self.standing.iter_mut().for_each(|standing| standing.alarm.jumped = true);
    }

    /// After every change of the truth.
    pub(super) fn look(&mut self, now: Moment) {
        for (outage, ended) in &mut self.storms {
            if outage.ends <= now.at {
                ended.get_or_insert(now.able);
            }
        }
    }

    /// A message names these living passwords as dead, each with its first refusal. The row, if it is a new false alarm.
    pub(super) fn told(
        &mut self,
        truth: &Truth,
        incident: u64,
        living: &[(usize, Timestamp)],
        now: Moment,
    ) -> Option<Row> {
        let first = living.iter().map(|(_, first)| *first).min()?;
        let secrets: Vec<usize> = living.iter().map(|(secret, _)| *secret).collect();
        let account = secrets.first().and_then(|secret| truth.secrets.get(*secret)).map_or(0, |secret| secret.account);
        let over = |outage: &Outage| outage.ends > first && outage.begins <= now.at;
        let storms: Vec<&Outage> = self.storms.iter().map(|(outage, _)| outage).filter(|outage| over(outage)).collect();
        let row = storms.iter().map(|outage| row(truth, outage, account, &secrets)).max().unwrap_or(Row::NoOutage);
        let jumped = self.jumped_at.is_some_and(|at| first <= at);
        let row = if jumped && row == Row::Witnessed { Row::WrongClock } else { row };
        let known = self.standing.iter_mut().find(|standing| standing.incident == incident);
        // Another message of the same alarm; but what no outage explains is never hidden behind one that is explained.
        if let Some(standing) = known.filter(|standing| row != Row::NoOutage || standing.alarm.row == Row::NoOutage) {
            let new: Vec<usize> = secrets.into_iter().filter(|secret| !standing.secrets.contains(secret)).collect();
            standing.secrets.extend(new);
            return None;
        }
        let outage = storms.iter().map(|outage| outage.ends.since(outage.begins)).max().unwrap_or_default();
        let (seed, after) = (self.seed, now.at.since(first));
        let alarm =
            FalseAlarm { seed, at: now.at, row, after, outage, jumped, stood: Duration::ZERO, withdrawn: false };
        self.standing.push(Standing { incident, secrets, alarm });
        Some(row)
    }

    /// It is over with the false verdict on this password: it was accepted, or became true, or the password is gone.
    pub(super) fn is_over(&mut self, secret: usize, accepted: bool, now: Moment, score: &mut Score) {
        for standing in &mut self.standing {
            standing.secrets.retain(|other| *other != secret);
            standing.alarm.withdrawn = standing.secrets.is_empty() && accepted;
        }
        self.close(now, score, |standing| standing.secrets.is_empty());
    }

    /// The life is over.
    pub(super) fn end(&mut self, now: Moment, score: &mut Score) {
        self.close(now, score, |_| true);
    }

    fn close(&mut self, now: Moment, score: &mut Score, over: impl Fn(&Standing) -> bool) {
        // From the end of the latest outage on, as far as keypulse could ask. While one lasts nothing is to be withdrawn.
        let raging = self.storms.iter().any(|(storm, ended)| storm.begins <= now.at && ended.is_none());
        let ended = self.storms.iter().filter_map(|(_, ended)| *ended).max();
        let stood = ended.filter(|_| !raging).map_or(Duration::ZERO, |ended| now.able.saturating_sub(ended));
        let (gone, stay) = std::mem::take(&mut self.standing).into_iter().partition(over);
        self.standing = stay;
        score.false_alarms.extend(gone.into_iter().map(|gone: Standing| FalseAlarm { stood, ..gone.alarm }));
    }
}

/// Which row a false alarm on these passwords belongs to, during this outage.
fn row(truth: &Truth, outage: &Outage, account: usize, secrets: &[usize]) -> Row {
    if outage.trouble != Trouble::Refuses(100) {
        return Row::SomeLogins;
    }
    if truth.places.iter().any(|place| place.account != account) && outage.account.is_some() {
        return Row::OneAccount;
    }
    let hit = |secret: usize| truth.services_of(secret).and(outage.services);
    let doubted = secrets.iter().map(|secret| hit(*secret)).reduce(Services::union).unwrap_or_default();
    let witness = truth.secrets.iter().enumerate().any(|(number, secret)| {
        let living = secret.died_at.is_none() && secret.accepted_at.is_some() && truth.is_held(number);
        secret.account != account && living && !hit(number).and(doubted).is_empty()
    });
    if witness { Row::Witnessed } else { Row::Alone }
}
