//! The simulated world: random households live with the real engine in virtual time, and what it tells them is compared with
//! what is true. Prints the report; fails where a target is missed.
//!
//! `tests/run` runs it. `--seed 17` shows one life, `--years 500` lives a smaller world, `--full` cuts nothing out.
//!
//! The engine, the stage and the world are those of the library, taken in as they are: nothing of it is written twice.

#![allow(dead_code, reason = "the program needs more of the engine than the world does")]

use std::{
    collections::BTreeSet,
    num::NonZero,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use health::schedule::Policy;
use rehearsal::world::{
    curve::curve,
    household::Household,
    life::{Play, live},
    report::{report, verdict},
    score::Score,
    targets::{misses, targets},
};

#[path = "../../src/health/mod.rs"]
mod health;
#[path = "../../src/rehearsal"]
mod rehearsal {
    pub mod stage;
    pub mod world;
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| -> Option<u64> {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1)?.parse().expect("a whole number"))
    };
    let cut = !arguments.iter().any(|argument| argument == "--full");
    if let Some(seed) = number("--seed") {
        let household = Household::random(seed);
        let (_, diary) = live(&household, &Policy::default(), Play { span: YEAR, cut, diary: true });
        println!("{household:?}\n{}", diary.join("\n"));
        return ExitCode::SUCCESS;
    }
    let years = number("--years").unwrap_or(10_000);
    let started = Instant::now();
    let score = sum(&households(years), &Policy::default(), cut);
    println!("== the simulated world, default policy\n\n{}\n{}", report(&score), curve(&Policy::default()));
    for (name, policy) in others() {
        println!("== {name}\n\n{}", report(&sum(&households(years / 20), &policy, cut)));
    }
    if arguments.iter().any(|argument| argument == "--misses") {
        println!("{}", misses(&score));
    }
    let same = same_both_ways();
    println!("== targets under the default policy, after {} s\n\n{}", started.elapsed().as_secs(), verdict(&score));
    let reached = targets(&score).iter().all(|target| target.reached);
    if reached && same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Other policies, to compare: they have no targets.
fn others() -> [(&'static str, Policy); 2] {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let quick = Policy {
        interval: minutes(15),
        confirm: [minutes(1), minutes(5)],
        outage_hold: minutes(60),
        ..Policy::default()
    };
    let calm = Policy {
        interval: minutes(360),
        confirm: [minutes(10), minutes(60)],
        outage_hold: minutes(720),
        ..Policy::default()
    };
    [("quick: interval 15m, confirm 1m and 5m, outage_hold 1h", quick), ("calm: 6h, 10m and 1h, 12h", calm)]
}

/// The first seeds whose households live so many credential-years in a year.
fn households(years: u64) -> Vec<u64> {
    let mut wanted = usize::try_from(years).unwrap_or(usize::MAX);
    (1..)
        .take_while(|seed| {
            let more = wanted > 0;
            wanted = wanted.saturating_sub(Household::random(*seed).places.len());
            more
        })
        .collect()
}

/// Lives the lives of these households, on all processors, which share nothing.
fn sum(seeds: &[u64], policy: &Policy, cut: bool) -> Score {
    let next = AtomicUsize::new(0);
    let live_on = || {
        let mut sum = Score::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            sum.add(live(&Household::random(*seed), policy, Play { span: YEAR, cut, diary: false }).0);
        }
        sum
    };
    thread::scope(|scope| {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(live_on)).collect();
        threads.into_iter().fold(Score::default(), |mut sum, thread| {
            sum.add(thread.join().expect("a life that ends"));
            sum
        })
    })
}

/// The same households, lived whole and with their quiet days cut out: the same passwords die, at the same moments, and
/// the same are told. Only one that is replaced soon may be told in one life and not in the other: when it is looked at next
/// follows from the dice.
fn same_both_ways() -> bool {
    let seeds: Vec<u64> = (1..=24).collect();
    let [whole, cut] = [false, true].map(|cut| sum(&seeds, &Policy::default(), cut));
    let told = |score: &Score| -> BTreeSet<_> { score.dead.iter().map(|dead| (dead.seed, dead.at)).collect() };
    let died = |score: &Score| -> Vec<_> {
        let missed = score.missed.iter().copied();
        let mut all: Vec<_> = missed.chain(score.overtaken.iter().copied()).collect();
        all.extend(score.dead.iter().map(|dead| (dead.seed, dead.at)));
        all.sort_unstable();
        all
    };
    let alarms =
        |score: &Score| -> BTreeSet<_> { score.false_alarms.iter().map(|alarm| (alarm.seed, alarm.row)).collect() };
    let differ = told(&whole).symmetric_difference(&told(&cut)).count();
    println!(
        "lived whole and cut, {} households: {} and {} dead passwords, {} and {} told, {differ} in one of them only; {} and \
         {} false alarms\n",
        seeds.len(),
        died(&whole).len(),
        died(&cut).len(),
        whole.dead.len(),
        cut.dead.len(),
        whole.false_alarms.len(),
        cut.false_alarms.len()
    );
    died(&whole) == died(&cut)
        && whole.missed == cut.missed
        && differ <= 2
        && alarms(&whole).symmetric_difference(&alarms(&cut)).count() <= 1
}
