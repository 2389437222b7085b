//! What the world measured, as people read it, and the targets it is held to. Counts nothing: that is `umpire.rs`.

use std::{fmt::Write as _, time::Duration};

use super::score::{Alarm, Quantiles, Row, Score};

/// A target, what was measured, and whether it is reached.
#[derive(Clone, Debug)]
pub struct Target {
    /// What must be so.
    pub what: &'static str,
    /// What is.
    pub measured: String,
    /// Whether they agree.
    pub reached: bool,
    /// Seeds whose lives show it, at most three.
    pub seeds: Vec<u64>,
}

type Which = fn(&Alarm) -> bool;

const MINUTE: Duration = Duration::from_secs(60);

/// The targets under the default policy: `interval` is an hour, lengthened by up to a fifth.
#[must_use]
pub fn targets(score: &Score) -> Vec<Target> {
    let hold = Duration::from_secs(6 * 3600);
    let sure: Vec<&Alarm> = score.alarms.iter().filter(|alarm| alarm.clear && alarm.sure).collect();
    let alone: Vec<&Alarm> = score.alarms.iter().filter(|alarm| alarm.clear && alarm.one_account).collect();
    let none = |what, wrong: Vec<u64>| Target {
        what,
        measured: wrong.len().to_string(),
        reached: wrong.is_empty(),
        seeds: wrong.into_iter().take(3).collect(),
    };
    let most = |what, alarms: &[&Alarm], limit: Duration| {
        let worst = Quantiles::of(alarms.iter().map(|alarm| alarm.from_refusal)).worst;
        let late = alarms.iter().filter(|alarm| alarm.from_refusal > limit);
        let seeds: Vec<u64> = late.map(|alarm| alarm.seed).take(3).collect();
        Target { what, measured: minutes(worst), reached: seeds.is_empty() && !alarms.is_empty(), seeds }
    };
    let median = |what, alarms: &[&Alarm], limit: Duration| {
        let median = Quantiles::of(alarms.iter().map(|alarm| alarm.from_death)).median;
        Target { what, measured: minutes(median), reached: median <= limit, seeds: Vec::new() }
    };
    let stormy = |row: Row| score.false_alarms.iter().filter(move |alarm| alarm.row == row);
    let judged = || stormy(Row::Witnessed).chain(stormy(Row::Alone));
    // Two intervals, each lengthened by jitter as intervals are.
    let late = judged().filter(|alarm| alarm.withdrawn.is_some_and(|wait| wait > alarm.outage.max(2 * 72 * MINUTE)));
    let costly = score.dead.iter().filter(|dead| dead.clear && dead.refused > if dead.sure { 3 } else { 4 });
    let resets = score.resets.iter().filter(|reset| reset.told > 20 * MINUTE || reset.refused > 9 || !reset.named);
    vec![
        none(
            "false alarms outside the worst kind of outage: 0",
            stormy(Row::NoOutage).map(|alarm| alarm.seed).collect(),
        ),
        none("missed revocations: 0", score.missed.iter().map(|missed| missed.0).collect()),
        most("first refusal to alarm, corroborated and strong: at most 3 min", &sure, 3 * MINUTE),
        most("first refusal to alarm, one account: at most 20 min", &alone, 20 * MINUTE),
        median("revocation to alarm, median, corroborated and strong: at most 33 min", &sure, 33 * MINUTE),
        median("revocation to alarm, median, one account: at most 50 min", &alone, 50 * MINUTE),
        none("dead passwords with more than 4 (3 if sure) failed logins: 0", costly.map(|dead| dead.seed).collect()),
        Target {
            what: "failed logins of an account in 24 h: at most 12",
            measured: score.worst_day.to_string(),
            reached: score.worst_day <= 12,
            seeds: Vec::new(),
        },
        none("resets told late, at more than 9 failed logins, or by another name: 0", resets.map(|r| r.seed).collect()),
        none("right new passwords not accepted at once: 0", score.fresh_late.iter().map(|late| late.0).collect()),
        none("incidents not opened exactly once: 0", score.opened_twice.iter().map(|twice| twice.0).collect()),
        none(
            "worst kind: alarms in the first 15 minutes: 0",
            judged().filter(|alarm| alarm.after < 15 * MINUTE).map(|alarm| alarm.seed).collect(),
        ),
        none(
            "worst kind, two living accounts: alarms before `outage_hold`: 0",
            stormy(Row::Witnessed).filter(|alarm| alarm.after < hold).map(|alarm| alarm.seed).collect(),
        ),
        none(
            "worst kind: false alarms withdrawn later than two intervals and the outage's length: 0",
            late.map(|alarm| alarm.seed).collect(),
        ),
    ]
}

/// The report, a page long.
#[must_use]
pub fn report(score: &Score) -> String {
    let mut page = String::new();
    let years = score.years();
    let lived = score.lived.as_secs_f64() / score.credential_time.as_secs_f64().max(1.0) * 100.0;
    let _ = writeln!(
        page,
        "{} households, {years:.0} credential-years, {} logins. {lived:.0} % of the time was lived step by step; the rest are \
         days\non which nothing happens, cut out.\n",
        score.households, score.asked
    );
    let row = |page: &mut String, name: &str, of: Quantiles| {
        let (median, p95, worst) = (minutes(of.median), minutes(of.p95), minutes(of.worst));
        let _ = writeln!(page, "{name:<52} {:>6} {median:>9} {p95:>9} {worst:>9}", of.count);
    };
    let _ = writeln!(page, "{:<52} {:>6} {:>9} {:>9} {:>9}", "awake and online", "count", "median", "95 %", "worst");
    let kinds: [(&str, Which); 3] = [
        ("corroborated, strong at first", |alarm| alarm.clear && alarm.sure),
        ("one Apple Account", |alarm| alarm.clear && alarm.one_account),
        ("with an outage, a locked keyring or a ration in use", |alarm| !alarm.clear),
    ];
    for (name, which) in kinds {
        let of =
            |time: fn(&Alarm) -> Duration| Quantiles::of(score.alarms.iter().filter(|alarm| which(alarm)).map(time));
        let _ = writeln!(page, "{name}");
        row(&mut page, "  first refusal to alarm", of(|alarm| alarm.from_refusal));
        row(&mut page, "  revocation to alarm", of(|alarm| alarm.from_death));
    }
    let _ = writeln!(
        page,
        "\n{:<34} {:>8} {:>7} {:>16}",
        "outages of the worst kind", "outages", "alarms", "per 1,000 years"
    );
    for (row, name) in Row::ALL.into_iter().zip([
        "none",
        "everybody; another account sees it",
        "everybody; one account",
        "one account of several (no rule)",
        "some logins only (no rule)",
        "clock days ahead at boot (no rule)",
    ]) {
        let alarms = score.false_alarms.iter().filter(|alarm| alarm.row == row).count();
        let rate = f64::from(u32::try_from(alarms).unwrap_or(u32::MAX)) * 1000.0 / years.max(1.0);
        let outages = score.outages.get(&row).copied().unwrap_or_default();
        let _ = writeln!(page, "{name:<34} {outages:>8} {alarms:>7} {rate:>16.1}");
    }
    let _ = writeln!(
        page,
        "\n{} incidents, {} messages, at most {} of one (reminders apart). {} dead passwords were replaced before they could\n\
         be noticed; {} right new ones waited because wrong ones had used up the ration.\n",
        score.incidents, score.messages, score.most_messages, score.overtaken, score.fresh_rationed
    );
    for target in targets(score) {
        let verdict = if target.reached { "ok  " } else { "MISS" };
        let seeds = if target.seeds.is_empty() { String::new() } else { format!("  (seeds {:?})", target.seeds) };
        let _ = writeln!(page, "{verdict} {}: {}{seeds}", target.what, target.measured);
    }
    page
}

fn minutes(time: Duration) -> String {
    format!("{:.1} min", time.as_secs_f64() / 60.0)
}
