//! The simulated world: random households live with the real engine in virtual time, and what it tells them is compared with
//! what is true. Prints the report; fails where a target is missed.
//!
//! `cargo test --profile world --test world` runs it; `… -- --seed 17` shows one life, `--years 500` a
//! smaller world, `--full` cuts nothing out.

use std::{process::ExitCode, thread, time::Duration};

use keypulse::{
    health::schedule::Policy,
    rehearsal::world::{
        curve::curve,
        household::Household,
        life::{Play, live},
        report::{report, targets},
        score::Score,
    },
};

const YEAR: Duration = Duration::from_secs(365 * 86_400);
const THREADS: u64 = 2;

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
        println!("{household:#?}\n{}", diary.join("\n"));
        return ExitCode::SUCCESS;
    }
    let years = number("--years").unwrap_or(10_000);
    let score = world(years, cut);
    println!("\n== the simulated world\n\n{}\n{}", report(&score), curve(&Policy::default()));
    let missed = targets(&score).into_iter().filter(|target| !target.reached).count();
    assert!(same_both_ways(), "a life with its quiet days cut out told something else than the whole");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lives household after household until there are so many credential-years, on two threads that share nothing.
fn world(years: u64, cut: bool) -> Score {
    let span = |thread: u64| {
        let (mut sum, mut seed) = (Score::default(), thread + 1);
        #[expect(clippy::cast_precision_loss, reason = "a number of years")]
        while sum.years() < years as f64 / THREADS as f64 {
            let play = Play { span: YEAR, cut, diary: false };
            sum.add(live(&Household::random(seed), &Policy::default(), play).0);
            seed += THREADS;
        }
        sum
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || span(thread))).collect();
        threads.into_iter().fold(Score::default(), |mut sum, thread| {
            sum.add(thread.join().expect("a life that ends"));
            sum
        })
    })
}

/// The same households, lived whole and cut: as many deaths are told and as few missed, though not at the same minute.
fn same_both_ways() -> bool {
    let sum = |cut: bool| {
        let mut sum = Score::default();
        for seed in 1..=24 {
            let play = Play { span: YEAR, cut, diary: false };
            sum.add(live(&Household::random(seed), &Policy::default(), play).0);
        }
        sum
    };
    let (whole, cut) = (sum(false), sum(true));
    let close = |a: usize, b: usize| a.abs_diff(b) <= 3 + a.max(b) / 5;
    println!(
        "lived whole and cut: {} and {} alarms, {} and {} false ones, {} and {} missed",
        whole.alarms.len(),
        cut.alarms.len(),
        whole.false_alarms.len(),
        cut.false_alarms.len(),
        whole.missed.len(),
        cut.missed.len()
    );
    close(whole.alarms.len(), cut.alarms.len())
        && close(whole.false_alarms.len(), cut.false_alarms.len())
        && whole.missed.len() == cut.missed.len()
}
