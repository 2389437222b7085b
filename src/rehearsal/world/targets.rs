//! What the world is held to under the default policy, and whether it is reached. Counts nothing: that is the umpire's.

use std::{fmt::Write as _, time::Duration};

use super::{
    report::minutes,
    score::{Alarm, FalseAlarm, Hindrance, Quantiles, Row, Score},
};

/// A target, what was measured, and whether it is reached.
#[derive(Clone, Debug)]
pub struct Target {
    /// What must be so.
    pub what: &'static str,
    /// What is.
    pub measured: String,
    /// Whether they agree.
    pub reached: bool,
    /// Seeds whose lives show that they do not, at most three.
    pub seeds: Vec<u64>,
}

const MINUTE: Duration = Duration::from_secs(60);
/// `outage_hold`.
const HOLD: Duration = Duration::from_secs(6 * 3600);
/// Two intervals, each lengthened by as much jitter as there can be.
const TWO_INTERVALS: Duration = Duration::from_secs(2 * 72 * 60);

/// The targets under the default policy: `interval` is an hour, lengthened by up to a fifth.
#[must_use]
pub fn targets(score: &Score) -> Vec<Target> {
    let clear = || score.alarms.iter().filter(|alarm| alarm.hindrance.is_none());
    let sure: Vec<&Alarm> = clear().filter(|alarm| alarm.sure).collect();
    let alone: Vec<&Alarm> = clear().filter(|alarm| alarm.one_account).collect();
    let row = |row: Row| score.false_alarms.iter().filter(move |alarm| alarm.row == row);
    let of_all = || row(Row::Witnessed).chain(row(Row::Alone));
    let costly = score.dead.iter().filter(|dead| {
        let guarded = dead.hindrance.is_some_and(Hindrance::guards);
        !guarded && dead.refused > if dead.sure { 3 } else { 4 }
    });
    let resets = score.resets.iter().filter(|reset| reset.told > 20 * MINUTE || reset.refused > 9 || !reset.named);
    vec![
        none("false alarms outside the worst kind of outage: 0", row(Row::NoOutage).map(|alarm| alarm.seed)),
        none("missed revocations: 0", score.missed.iter().map(|missed| missed.0)),
        most("first refusal to alarm, corroborated and strong at first: at most 3 min", &sure, 3 * MINUTE),
        most("first refusal to alarm, one Apple Account: at most 20 min", &alone, 20 * MINUTE),
        median("revocation to alarm, median, corroborated and strong at first: at most 33 min", &sure, 33 * MINUTE),
        median("revocation to alarm, median, one Apple Account: at most 50 min", &alone, 50 * MINUTE),
        none(
            "dead passwords with more than 4 (3 if corroborated and strong) failed logins: 0",
            costly.map(|dead| dead.seed),
        ),
        Target {
            what: "failed logins of an account in 24 h: at most 12",
            measured: score.worst_day.to_string(),
            reached: score.worst_day <= 12,
            seeds: Vec::new(),
        },
        none(
            "resets told after 20 min, at more than 9 failed logins, or by another name: 0",
            resets.map(|reset| reset.seed),
        ),
        none("right new passwords not accepted at once: 0", score.fresh_late.iter().map(|late| late.0)),
        none("incidents not opened exactly once: 0", score.opened_twice.iter().map(|twice| twice.0)),
        none(
            "worst kind: alarms in the first 15 min: 0",
            of_all().filter(|alarm| alarm.after < 15 * MINUTE).map(|alarm| alarm.seed),
        ),
        none(
            "worst kind, two living accounts: alarms before `outage_hold`: 0",
            row(Row::Witnessed).filter(|alarm| alarm.after < HOLD).map(|alarm| alarm.seed),
        ),
        none(
            "worst kind: false alarms withdrawn later than two intervals and the outage's length: 0",
            score.false_alarms.iter().filter(|alarm| is_late(alarm)).map(|alarm| alarm.seed),
        ),
    ]
}

/// What misses a target and has no time of its own in the diary.
#[must_use]
pub fn misses(score: &Score) -> String {
    let mut page = String::new();
    for (seed, at) in &score.missed {
        let _ = writeln!(page, "missed: seed {seed}, dead since day {}", at.as_millis() / 86_400_000);
    }
    for alarm in score.false_alarms.iter().filter(|alarm| is_late(alarm)) {
        let _ = writeln!(page, "withdrawn late: {alarm:?}");
    }
    page
}

/// Of those that everybody was hit by. Where some were accepted meanwhile, nothing tells them from the dead.
fn is_late(alarm: &FalseAlarm) -> bool {
    matches!(alarm.row, Row::Witnessed | Row::Alone) && !alarm.jumped && alarm.stood > alarm.outage.max(TWO_INTERVALS)
}

fn none(what: &'static str, wrong: impl Iterator<Item = u64>) -> Target {
    let wrong: Vec<u64> = wrong.collect();
    let (measured, reached) = (wrong.len().to_string(), wrong.is_empty());
    Target { what, measured, reached, seeds: wrong.into_iter().take(3).collect() }
}

fn most(what: &'static str, alarms: &[&Alarm], limit: Duration) -> Target {
    let worst = Quantiles::of(alarms.iter().map(|alarm| alarm.from_refusal)).worst;
    let late = alarms.iter().filter(|alarm| alarm.from_refusal > limit);
    let seeds: Vec<u64> = late.map(|alarm| alarm.seed).take(3).collect();
    // No alarm at all reaches nothing.
    Target { what, measured: minutes(worst), reached: seeds.is_empty() && !alarms.is_empty(), seeds }
}

fn median(what: &'static str, alarms: &[&Alarm], limit: Duration) -> Target {
    let free = alarms.iter().filter(|alarm| !alarm.held_up);
    let of = Quantiles::of(free.map(|alarm| alarm.from_death));
    Target { what, measured: minutes(of.median), reached: of.median <= limit && of.count > 0, seeds: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::schedule::Timestamp;

    /// Which targets a score misses that is `changed` from one that reaches them all.
    #[track_caller]
    fn missed(changed: impl FnOnce(&mut Score)) -> Vec<&'static str> {
        let alarm = |one_account| Alarm {
            seed: 1,
            at: Timestamp::default(),
            hindrance: None,
            held_up: false,
            one_account,
            sure: !one_account,
            from_death: 30 * MINUTE,
            from_refusal: 2 * MINUTE,
        };
        let mut score = Score { alarms: vec![alarm(true), alarm(false)], ..Score::default() };
        changed(&mut score);
        targets(&score).into_iter().filter(|target| !target.reached).map(|target| target.what).collect()
    }

    fn false_alarm(row: Row, after: Duration, stood: Duration) -> FalseAlarm {
        let outage = 3 * HOLD;
        FalseAlarm { seed: 1, at: Timestamp::default(), row, after, outage, jumped: false, stood, withdrawn: true }
    }

    #[test]
    fn each_target_is_missed_by_what_misses_it() {
        assert_eq!(missed(|_| ()), Vec::<&str>::new());
        assert_eq!(missed(|score| score.missed.push((1, Timestamp::default()))).len(), 1);
        assert_eq!(missed(|score| score.alarms.clear()).len(), 4, "nothing measured reaches nothing");
        assert_eq!(missed(|score| score.alarms.iter_mut().for_each(|alarm| alarm.from_refusal = 21 * MINUTE)).len(), 2);
        assert_eq!(missed(|score| score.alarms.iter_mut().for_each(|alarm| alarm.from_death = 51 * MINUTE)).len(), 2);
        assert_eq!(missed(|score| score.worst_day = 13).len(), 1);
        assert_eq!(missed(|score| score.fresh_late.push((1, Timestamp::default()))).len(), 1);
        assert_eq!(missed(|score| score.opened_twice.push((1, Timestamp::default()))).len(), 1);
    }

    #[test]
    fn a_false_alarm_is_judged_by_its_outage() {
        let with = |row, after, stood| missed(|score| score.false_alarms.push(false_alarm(row, after, stood))).len();
        assert_eq!(with(Row::NoOutage, HOLD, Duration::ZERO), 1);
        assert_eq!(with(Row::Alone, 16 * MINUTE, Duration::ZERO), 0);
        assert_eq!(with(Row::Alone, 14 * MINUTE, Duration::ZERO), 1);
        assert_eq!(with(Row::Witnessed, 16 * MINUTE, Duration::ZERO), 1);
        assert_eq!(with(Row::Witnessed, HOLD, 3 * HOLD), 0);
        assert_eq!(with(Row::Witnessed, HOLD, 3 * HOLD + MINUTE), 1);
        assert_eq!(with(Row::SomeLogins, MINUTE, 3 * HOLD + MINUTE), 0, "no rule");
    }

    #[test]
    fn a_guard_may_cost_logins_and_nothing_else_may() {
        use crate::rehearsal::world::score::DeadPassword;
        let with = |hindrance, sure, refused| {
            let dead = DeadPassword { seed: 1, at: Timestamp::default(), hindrance, sure, refused };
            missed(|score| score.dead.push(dead)).len()
        };
        assert_eq!([with(None, true, 3), with(None, true, 4)], [0, 1]);
        assert_eq!([with(None, false, 4), with(None, false, 5)], [0, 1]);
        assert_eq!(with(Some(Hindrance::Silence), false, 5), 1);
        assert_eq!(with(Some(Hindrance::Unavailable), false, 5), 0);
    }
}
