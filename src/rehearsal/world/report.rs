//! What the world measured, as people read it. Judges nothing: that is `targets.rs`.

use std::{fmt::Write as _, time::Duration};

use super::{
    score::{Alarm, DeadPassword, Hindrance, Quantiles, Row, Score},
    targets::targets,
};

type Which = fn(&Alarm) -> bool;
type Dead = fn(&DeadPassword) -> bool;

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
    times(&mut page, score);
    costs(&mut page, score);
    false_alarms(&mut page, score);
    let waits = Quantiles::of(score.fresh_waits.iter().copied());
    let _ = writeln!(
        page,
        "\n{} revocations were missed. {} incidents, {:.1} messages each, at most {} (reminders apart). {} dead passwords were\n\
         replaced before they could be noticed. {} right new passwords; {} were read while the day's ration was used up (median {}, at most {}\n\
         until they were accepted), {} an outage refused first. The worst 24 hours of an account: {} failed logins.",
        score.missed.len(),
        score.incidents,
        of(score.messages_apart_from_reminders) / of(score.incidents).max(1.0),
        score.most_messages,
        score.overtaken.len(),
        score.fresh,
        waits.count,
        minutes(waits.median),
        minutes(waits.worst),
        score.fresh_slandered,
        score.worst_day
    );
    page
}

/// The targets, one a line.
#[must_use]
pub fn verdict(score: &Score) -> String {
    let mut page = String::new();
    for target in targets(score) {
        let verdict = if target.reached { "ok  " } else { "MISS" };
        let seeds = if target.seeds.is_empty() { String::new() } else { format!("  (seeds {:?})", target.seeds) };
        let _ = writeln!(page, "{verdict} {}: {}{seeds}", target.what, target.measured);
    }
    page
}

fn times(page: &mut String, score: &Score) {
    let clear: [(&str, Which); 3] = [
        ("corroborated and strong at first", |alarm| alarm.sure),
        ("one Apple Account", |alarm| alarm.one_account),
        ("all others", |alarm| !alarm.sure && !alarm.one_account),
    ];
    let select = |which: Which| score.alarms.iter().filter(move |alarm| alarm.hindrance.is_none() && which(alarm));
    let head = |page: &mut String, name: &str| {
        let _ = writeln!(page, "{name:<52} {:>6} {:>10} {:>10} {:>10}", "count", "median", "95 %", "worst");
    };
    let row = |page: &mut String, name: &str, of: Quantiles| {
        let (median, p95, worst) = (minutes(of.median), minutes(of.p95), minutes(of.worst));
        let _ = writeln!(page, "  {name:<50} {:>6} {median:>10} {p95:>10} {worst:>10}", of.count);
    };
    head(page, "first refusal to alarm, awake and online");
    for (name, which) in clear {
        row(page, name, Quantiles::of(select(which).map(|alarm| alarm.from_refusal)));
    }
    for (hindrance, name) in Hindrance::ALL {
        let hindered = score.alarms.iter().filter(|alarm| alarm.hindrance == Some(hindrance));
        row(page, name, Quantiles::of(hindered.map(|alarm| alarm.from_refusal)));
    }
    head(page, "revocation to alarm, awake and online");
    for (name, which) in clear {
        let free = select(which).filter(|alarm| !alarm.held_up);
        row(page, name, Quantiles::of(free.map(|alarm| alarm.from_death)));
    }
}

fn costs(page: &mut String, score: &Score) {
    let kinds: [(&str, Dead); 3] = [
        ("corroborated and strong at first", |dead| dead.hindrance.is_none_or(|it| !it.guards()) && dead.sure),
        ("others", |dead| dead.hindrance.is_none_or(|it| !it.guards()) && !dead.sure),
        ("held back by the outage guard, perhaps", |dead| dead.hindrance.is_some_and(Hindrance::guards)),
    ];
    let _ = writeln!(page, "\n{:<52} {:>6} {:>9} {:>9}", "failed logins until it was known", "count", "mean", "most");
    for (name, which) in kinds {
        let all: Vec<u32> = score.dead.iter().filter(|dead| which(dead)).map(|dead| dead.refused).collect();
        let mean = f64::from(all.iter().sum::<u32>()) / of(all.len()).max(1.0);
        let most = all.iter().max().copied().unwrap_or_default();
        let _ = writeln!(page, "  {name:<50} {:>6} {mean:>9.1} {most:>9}", all.len());
    }
    let most = score.resets.iter().map(|reset| reset.refused).max().unwrap_or_default();
    let mean = of(score.resets.iter().map(|reset| reset.refused).sum()) / of(score.resets.len()).max(1.0);
    let _ = writeln!(page, "  {:<50} {:>6} {mean:>9.1} {most:>9}", "a whole account reset", score.resets.len());
}

fn false_alarms(page: &mut String, score: &Score) {
    let _ = writeln!(
        page,
        "\n{:<40} {:>8} {:>7} {:>16} {:>20}",
        "outages that refuse valid passwords", "outages", "alarms", "per 1,000 years", "stood after, worst"
    );
    for (row, name) in Row::ALL.into_iter().zip([
        "  none",
        "  everybody; another account sees it",
        "  everybody; one account",
        "  one account of several (no rule)",
        "  some logins only (no rule)",
        "  a clock that came up ahead (no rule)",
    ]) {
        let alarms: Vec<_> = score.false_alarms.iter().filter(|alarm| alarm.row == row).collect();
        let rate = of(alarms.len()) * 1000.0 / score.years().max(1.0);
        let outages = score.outages.get(&row).copied().unwrap_or_default();
        let stood = minutes(alarms.iter().map(|alarm| alarm.stood).max().unwrap_or_default());
        let _ = writeln!(page, "{name:<40} {outages:>8} {:>7} {rate:>16.1} {stood:>20}", alarms.len());
    }
}

fn of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// In minutes.
pub(super) fn minutes(time: Duration) -> String {
    format!("{:.1} min", time.as_secs_f64() / 60.0)
}
