//! What other programs make of the same servers: each is asked in every situation, against the same simulator, and what it
//! says is compared with what it says of a revoked password.
//!
//! Judges nobody: prints a table. `tests/peers/run` installs the programs and runs this.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement that meets the unexpected should stop right there"
)]
#![allow(unreachable_pub, reason = "`pub` marks what the harness offers")]

#[allow(dead_code, unused_imports, reason = "the harness of the tests, of which this needs a part")]
#[path = "../suite/lab/mod.rs"]
mod lab;

mod commands;
mod daemons;
mod ours;
mod situation;

use situation::{Lab, Situation};

/// A program that is asked.
struct Peer {
    name: &'static str,
    /// Says its version.
    version: &'static [&'static str],
    /// Which situations can happen to it: one that speaks one protocol cannot be told from another by the other's.
    fits: fn(Situation) -> bool,
    /// What it says in this situation.
    ask: fn(&Lab, Situation) -> Said,
}

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    /// What a program that runs it can act on: an exit code, a flag.
    signal: String,
    /// What a person can read.
    words: String,
}

fn main() {
    let peers: Vec<Peer> = daemons::peers().into_iter().chain(commands::peers()).chain([ours::peer()]).collect();
    let mut rows = vec![vec!["".to_owned()]];
    rows[0].extend(peers.iter().map(|peer| peer.name.to_owned()));
    rows.extend(Situation::ALL.iter().skip(1).map(|situation| vec![situation.as_str().to_owned()]));
    for peer in &peers {
        let said = |situation: Situation| {
            let said = (peer.fits)(situation).then(|| (peer.ask)(&Lab::start(), situation));
            eprintln!("{} · {}: {said:?}", peer.name, situation.as_str());
            said
        };
        let all: Vec<Option<Said>> = Situation::ALL.into_iter().map(said).collect();
        let [well, revoked, others @ ..] = &all[..] else { unreachable!("all situations") };
        let (well, revoked) = (well.as_ref().unwrap(), revoked.as_ref().unwrap());
        rows[1].push(if revoked == well { "**silent**".to_owned() } else { revoked.signal.clone() });
        for (row, other) in rows.iter_mut().skip(2).zip(others) {
            row.push(compared(other.as_ref(), well, revoked));
        }
    }
    println!();
    for (index, row) in rows.iter().enumerate() {
        println!("| {} |", row.join(" | "));
        if index == 0 {
            println!("|{}", "---|".repeat(row.len()));
        }
    }
    println!();
    for peer in &peers {
        let output = lab::run(lab::clean(peer.version[0]).args(&peer.version[1..]), "");
        let text = format!("{}{}", output.stdout, output.stderr);
        println!("{}: {}", peer.name, text.lines().next().unwrap_or_default());
    }
}

/// What is said of a password that is not revoked, beside what is said of one that is.
fn compared(said: Option<&Said>, well: &Said, revoked: &Said) -> String {
    match said {
        None => "–".to_owned(),
        Some(said) if said == well => "silent".to_owned(),
        Some(said) if said == revoked => "**same as revoked**".to_owned(),
        Some(said) if said.signal == revoked.signal => format!("**{}**, other words", said.signal),
        Some(said) => said.signal.clone(),
    }
}
