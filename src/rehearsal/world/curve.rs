//! What no rule can get right: a household that hears one answer only, in an outage that refuses valid passwords. The share
//! of false alarms against the length of the outage, with one account and with two.

use std::{fmt::Write as _, time::Duration};

use crate::health::{
    evidence::Services,
    schedule::{Policy, Timestamp},
};

use super::{
    fate::{Happening, Outage, Trouble},
    fortune::Fortune,
    household::{Household, Machine},
    life::{BEGIN, Play, follow},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUSEHOLDS: u64 = 100;

/// The curve as a table.
#[must_use]
pub fn curve(policy: &Policy) -> String {
    let mut page = String::from("false alarms in an outage that refuses valid passwords, of 100 households\n\n");
    let _ = writeln!(page, "  length   one account                two accounts");
    for minutes in [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720] {
        let [one, two] = [&[3][..], &[3, 2][..]].map(|sizes| share(policy, sizes, minutes * MINUTE));
        let bar = |share: usize| "#".repeat(share / 5);
        let _ = writeln!(page, "{minutes:>4} min   {one:>3} {:<20}   {two:>3} {:<20}", bar(one), bar(two));
    }
    page
}

/// Of 100 households with accounts of these sizes, how many are told something false.
fn share(policy: &Policy, sizes: &[usize], length: Duration) -> usize {
    let told = |seed: &u64| {
        let mut fortune = Fortune::new(*seed);
        let household = Household::of(*seed, sizes, Machine::Server, &mut fortune);
        let begins: Timestamp = BEGIN + 300 * MINUTE + fortune.between(Duration::ZERO, 72 * MINUTE);
        let ends = begins + length;
        let outage = Outage { trouble: Trouble::Refuses(100), services: Services::BOTH, account: None, begins, ends };
        let play = Play { span: ends.since(BEGIN) + 60 * MINUTE, cut: false, diary: false };
        let (score, _) = follow(&household, policy, play, vec![(begins, Happening::OutageBegins(outage))]);
        !score.false_alarms.is_empty()
    };
    (0..HOUSEHOLDS).filter(told).count()
}
