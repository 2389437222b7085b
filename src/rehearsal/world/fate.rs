//! What befalls a household in a year, and how often.
//!
//! Decides the odds. They are far worse than life: what happens once in ten years must happen often enough here to be
//! counted. Never decides what keypulse should say of it.

use std::time::Duration;

use crate::health::{
    evidence::{Cause, Services},
    schedule::Timestamp,
};

use super::{
    fortune::Fortune,
    household::{Household, Machine},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// What a service does to those whom an outage hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No proper answer.
    Silent(Cause),
    /// `BAD [UNAVAILABLE]`, `454`.
    Unavailable,
    /// The worst kind: `AUTHENTICATIONFAILED`, `535` to valid passwords; to this percentage of logins.
    Refuses(usize),
}

/// Something wrong at Apple's for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// What it does.
    pub trouble: Trouble,
    /// Where.
    pub services: Services,
    /// To one account only, or to everybody.
    pub account: Option<usize>,
    /// From.
    pub begins: Timestamp,
    /// To.
    pub ends: Timestamp,
}

/// The network that the machine is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// All is well.
    Open,
    /// None.
    Absent,
    /// A web page answers everything until somebody has clicked it away.
    Portal,
    /// A firewall that lets no mail be submitted: port 587 is silent.
    NoSubmission,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The main password of an account is changed: all its app passwords die.
    Reset(usize),
    /// The password in this place is revoked by hand.
    Revocation(usize),
    /// The person makes a new password for this place; the old one is revoked a little before or after.
    Replacement(usize),
    /// The person puts a new password where a dead one is. Sometimes a wrong one first.
    Repair(usize),
    /// A password, by number, is revoked.
    Death(usize),
    /// A planned new password is put in place.
    NewSecret(usize),
    /// Something goes wrong at Apple's.
    OutageBegins(Outage),
    /// It is over.
    OutageEnds,
    /// The network goes away for a while.
    Journey,
    /// The machine is in another network.
    Network(Network),
    /// The lid is closed for so long.
    Sleep(Duration),
    /// The machine wakes.
    Wake,
    /// The keyring is locked for so long.
    Lock(Duration),
    /// It is unlocked; keypulse hears of it, or not.
    Unlock(bool),
    /// The process is killed and comes back.
    Kill,
    /// The machine is off for so long, and finds its clock wrong by so many milliseconds when it starts.
    Off(Duration, i64),
    /// It starts, so many milliseconds wrong.
    Boot(i64),
    /// Nothing: a moment to see whether days can be cut out.
    Nothing,
    /// Somebody asks for a check: of this place, or of all.
    Check(Option<usize>),
}

impl Happening {
    /// Daily life, as opposed to something that a verdict may hang on.
    #[must_use]
    pub const fn is_everyday(&self) -> bool {
        matches!(self, Self::Nothing | Self::Sleep(_) | Self::Wake | Self::Journey | Self::Network(_) | Self::Check(_))
    }
}

/// All that happens from `begin` to `end`, in order. What follows from it (repairs, ends) is added by whoever plays it.
#[must_use]
pub fn happenings(household: &Household, begin: Timestamp, end: Timestamp) -> Vec<(Timestamp, Happening)> {
    let mut fortune = Fortune::new(household.seed ^ 0xfa7e);
    let mut all = Vec::new();
    let accounts = u32::try_from(household.accounts).unwrap_or(1);
    let places = household.places.len();
    let mut often =
        |fortune: &mut Fortune, per_decade: u32, what: &mut dyn FnMut(&mut Fortune, Timestamp) -> Happening| {
            let mut at = begin + fortune.next_in(per_decade);
            while at < end {
                let happening = what(fortune, at);
                // Trouble seldom comes alone: a restart, a person's check, an outage right where a verdict is being made.
                if matches!(happening, Happening::Reset(_) | Happening::Revocation(_) | Happening::OutageBegins(_)) {
                    let soon = |fortune: &mut Fortune| at + fortune.between(Duration::ZERO, 2 * HOUR);
                    if fortune.chance(15) {
                        all.push((soon(fortune), Happening::Kill));
                    }
                    if fortune.chance(10) {
                        let place = fortune.below(places);
                        let named = fortune.chance(50).then_some(place);
                        all.push((soon(fortune), Happening::Check(named)));
                    }
                    if fortune.chance(4) {
                        let at = soon(fortune);
                        all.push((at, Happening::OutageBegins(outage(fortune, household, at))));
                    }
                    if fortune.chance(4) {
                        let at = soon(fortune);
                        all.push((at, Happening::Off(fortune.spread(MINUTE, 8 * HOUR), wrong_clock(fortune))));
                    }
                }
                all.push((at, happening));
                at = at + fortune.next_in(per_decade);
            }
        };
    often(&mut fortune, 3 * accounts, &mut |fortune, _| Happening::Reset(fortune.below(household.accounts)));
    often(&mut fortune, 5 * accounts, &mut |fortune, _| Happening::Revocation(fortune.below(places)));
    often(&mut fortune, 5 * accounts, &mut |fortune, _| Happening::Replacement(fortune.below(places)));
    often(&mut fortune, 25, &mut |fortune, at| Happening::OutageBegins(outage(fortune, household, at)));
    often(&mut fortune, 10, &mut |fortune, _| Happening::Lock(fortune.spread(10 * MINUTE, 18 * HOUR)));
    often(&mut fortune, 10, &mut |_, _| Happening::Kill);
    often(&mut fortune, 10, &mut |fortune, _| Happening::Off(fortune.spread(MINUTE, 2 * DAY), wrong_clock(fortune)));
    often(&mut fortune, 5, &mut |fortune, _| {
        let place = fortune.below(places);
        Happening::Check(fortune.chance(50).then_some(place))
    });
    match household.machine {
        Machine::Server => often(&mut fortune, 20, &mut |_, _| Happening::Journey),
        Machine::Laptop => {
            let mut day = begin;
            while day < end {
                all.extend(laptop_day(&mut fortune, day));
                day = day + DAY;
            }
        }
    }
    all.retain(|(at, _)| *at < end);
    all.sort_by_key(|(at, _)| *at);
    all
}

/// A night's sleep and a nap or two.
fn laptop_day(fortune: &mut Fortune, day: Timestamp) -> Vec<(Timestamp, Happening)> {
    let evening = day + fortune.between(15 * HOUR, 16 * HOUR);
    let mut all = vec![(evening, Happening::Sleep(fortune.between(6 * HOUR, 8 * HOUR)))];
    for _ in 0..fortune.below(3) {
        let at = day + fortune.between(HOUR, 13 * HOUR);
        all.push((at, Happening::Sleep(fortune.between(5 * MINUTE, 90 * MINUTE))));
    }
    all
}

/// The networks that a machine finds itself in after waking up (or after its own was gone): each with how long it stays.
#[must_use]
pub fn journey(fortune: &mut Fortune, machine: Machine) -> Vec<(Network, Duration)> {
    match machine {
        Machine::Server => vec![(Network::Absent, fortune.spread(MINUTE, 10 * HOUR)), (Network::Open, Duration::ZERO)],
        Machine::Laptop => {
            let joining = (Network::Absent, fortune.between(2 * MINUTE / 60, MINUTE));
            let then = match fortune.below(10) {
                0 => vec![(Network::Portal, fortune.spread(MINUTE, 2 * HOUR))],
                1 => vec![(Network::NoSubmission, fortune.spread(20 * MINUTE, 8 * HOUR))],
                2 => vec![
                    (Network::Portal, fortune.spread(MINUTE, 20 * MINUTE)),
                    (Network::NoSubmission, fortune.spread(20 * MINUTE, 4 * HOUR)),
                ],
                3 => vec![(Network::Absent, fortune.spread(MINUTE, 3 * HOUR))],
                _ => Vec::new(),
            };
            [vec![joining], then, vec![(Network::Open, Duration::ZERO)]].concat()
        }
    }
}

/// An outage of any kind that begins at `at`.
fn outage(fortune: &mut Fortune, household: &Household, at: Timestamp) -> Outage {
    const SILENT: [Cause; 6] = [
        Cause::TimedOut,
        Cause::Unreachable,
        Cause::ConnectionLost,
        Cause::Throttled,
        Cause::TlsFailed,
        Cause::RefusedOtherwise,
    ];
    let services = match fortune.below(4) {
        0 => Services { imap: true, smtp: false },
        1 => Services { imap: false, smtp: true },
        _ => Services::BOTH,
    };
    let (mut share, mut account) = (100, None);
    match fortune.below(10) {
        0 => share = 30 + fortune.below(61),
        1 => account = Some(fortune.below(household.accounts)),
        _ => {}
    }
    let trouble = match fortune.below(4) {
        0 => Trouble::Silent(fortune.pick(&SILENT).unwrap_or(Cause::TimedOut)),
        1 => Trouble::Unavailable,
        _ => Trouble::Refuses(share),
    };
    let ends = at + fortune.spread(2 * MINUTE, 8 * HOUR);
    Outage { trouble, services, account, begins: at, ends }
}

/// Most clocks are right; some come up a year in the past, or days ahead.
fn wrong_clock(fortune: &mut Fortune) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    match fortune.below(10) {
        0 => -365 * DAY_MS,
        1 => -DAY_MS / 12,
        2 => DAY_MS / 3,
        3 => 9 * DAY_MS,
        _ => 0,
    }
}
