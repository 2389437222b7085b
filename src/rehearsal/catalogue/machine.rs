//! Sleep, clocks, restarts and limits of the machine: none changes a verdict, none tells twice.

use std::time::Duration;

use super::house;
use crate::{
    health::{
        credential::Health,
        incident::IncidentCause::{MainPasswordReset, ResetOrRevoked},
        outbox::Tidings::Opened,
        schedule::DAY,
    },
    rehearsal::{
        promise::Promise,
        scenario::{End, Group, Happening, Line, Scenario, Until},
    },
};

const FIRST: (usize, usize) = (0, 0);
const HOUR: Duration = Duration::from_secs(60 * 60);
const HOUR_S: i64 = 60 * 60;

fn play(name: &str, about: &str, sizes: &[usize]) -> Scenario {
    Scenario::new(Group::Machine, name, about, house(sizes))
}

pub(super) fn scenarios(p: &Promise) -> Vec<Scenario> {
    let mut all = sleep(p);
    all.extend(doubted(p));
    all.extend(ration(p));
    all
}

fn sleep(p: &Promise) -> Vec<Scenario> {
    let noticed = p.noticed() + p.settled();
    vec![
        play("sleeps-overnight", "The machine sleeps for a night", &[3, 1])
            .act(Until::For(noticed), [Happening::Sleep(8 * HOUR)])
            .ends(End::All(Health::Healthy)),
        play("sleeps-over-a-holiday", "The machine sleeps for two weeks", &[3, 1])
            .act(Until::For(noticed), [Happening::Sleep(14 * DAY)])
            .ends(End::All(Health::Healthy)),
        play("reset-asleep", "Reset while the machine sleeps", &[2])
            .act(Until::For(p.full_for(2) + noticed), [Happening::Reset(0), Happening::Sleep(8 * HOUR)])
            .says(Line::new(0, Opened, MainPasswordReset, noticed + p.full_for(2)).of_refusal(p.full_for(2))),
        play("off-over-a-holiday", "The machine is off for two weeks", &[2])
            .act(Until::For(noticed), [Happening::Reboot(14 * DAY, 0)])
            .ends(End::All(Health::Healthy)),
    ]
}

/// A suspicion that something comes in between of: told once, at its time.
fn doubted(p: &Promise) -> Vec<Scenario> {
    let full = p.full();
    let [soon, _] = p.policy().confirm;
    // Whatever time went by unwatched, two more refusals are to come.
    let after_gap = full.max(p.longest(soon) * 2 + p.slack()) + p.settled();
    let suspected =
        |name: &str, about: &str| play(name, about, &[1]).act(Until::Refused(p.noticed()), [Happening::Revoke(FIRST)]);
    let told = |scenario: Scenario, happening: Happening, by: Duration| {
        scenario
            .act(Until::For(by + p.slack()), [happening])
            .says(Line::new(0, Opened, ResetOrRevoked, by))
            .ends(End::Health(FIRST, Health::Revoked))
            .ends(End::Refusals(4))
    };
    let mut all = vec![
        told(
            suspected("doubted-asleep", "Sleep between refusal and confirmation"),
            Happening::Sleep(8 * HOUR),
            after_gap,
        ),
        told(
            suspected("doubted-clock-forward", "The clock is set a day forward meanwhile"),
            Happening::SetClock(24 * HOUR_S),
            full,
        ),
        told(
            suspected("doubted-clock-back", "The clock is set a day back meanwhile"),
            Happening::SetClock(-24 * HOUR_S),
            full,
        ),
        told(
            suspected("doubted-restart", "Killed and restarted meanwhile"),
            Happening::Restart(Duration::ZERO),
            after_gap,
        ),
        told(suspected("doubted-reboot", "A reboot meanwhile"), Happening::Reboot(HOUR / 12, 0), after_gap),
        told(
            suspected("doubted-reboot-clock-back", "A reboot meanwhile, the clock a day behind"),
            Happening::Reboot(HOUR / 12, -24 * HOUR_S),
            after_gap,
        ),
    ];
    let by = p.noticed() + after_gap;
    let mut often = play("restarted-often", "Killed ten times on the way to a verdict", &[1])
        .act(Until::Refused(p.noticed()), [Happening::Revoke(FIRST)]);
    for _ in 0..9 {
        often = often.act(Until::For(soon / 10), [Happening::Restart(Duration::ZERO)]);
    }
    all.push(told(often, Happening::Restart(Duration::ZERO), by));
    all
}

fn ration(p: &Promise) -> Vec<Scenario> {
    let limit = p.policy().failed_logins_per_account;
    let freed = DAY + p.noticed();
    vec![
        play("ration-used-up", "Revoked with all failed logins spent", &[1])
            .act(
                Until::For(DAY.saturating_sub(p.longest(p.policy().interval).min(DAY / 2))),
                [Happening::Spend(0, limit), Happening::Revoke(FIRST)],
            )
            .ends(End::NoLogin)
            .act(Until::For(freed + p.full() + p.noticed()), [])
            .says(Line::new(0, Opened, ResetOrRevoked, freed + p.full()).of_refusal(p.full()))
            .ends(End::Refusals(4)),
        play("checks-by-hand-confirm-nothing", "Three checks by hand of a revoked password", &[1])
            .act(Until::For(p.policy().confirm[0] / 4), [Happening::Revoke(FIRST), Happening::Check(FIRST)])
            .ends(End::Health(FIRST, Health::Suspect))
            .act(Until::For(p.policy().confirm[0] / 4), [Happening::Check(FIRST), Happening::Check(FIRST)])
            .ends(End::Health(FIRST, Health::Suspect)),
    ]
}
