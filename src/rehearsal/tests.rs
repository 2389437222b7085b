//! The catalogue is complete, and keypulse is right in all of it: under the defaults, and under policies that nobody has.

use std::{collections::BTreeSet, time::Duration};

use super::{
    scenario::{End, Group, Happening, Line, Until},
    *,
};
use crate::{
    config::{Account, Credential, Hook},
    health::{
        evidence::{Cause, PerService, Service, Services},
        incident::IncidentCause,
        name::{Address, CredentialName},
        outbox::Tidings,
        schedule::{Dice, Policy},
    },
    secret::Source,
};

const MIN: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[track_caller]
fn check(config: &Config, least: usize) {
    let wrong = wrong(config, least, |_| true);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong in those scenarios that are to be played.
fn wrong(config: &Config, least: usize, played: impl Fn(&Scenario) -> bool) -> Vec<String> {
    let (promise, wire) = (Promise::of(config), Wire::start(&config.servers).unwrap());
    let (playable, too_long): (Vec<_>, Vec<_>) =
        catalogue(config).into_iter().partition(|scenario| is_playable(scenario, &promise));
    assert!(playable.len() >= least, "{} left out", too_long.len());
    let mut wrong = Vec::new();
    for scenario in playable.into_iter().filter(played) {
        let (cell, messages) = rehearse(&scenario, config, &wire);
        let cell_text = format!("must say: {}; said: {}; {:#?}", cell.expected, cell.said(), cell.wrong);
        if !cell.is_right() {
            wrong.push(format!("{}: {cell_text}", scenario.name));
        }
        for message in messages {
            assert!(message.words.title.starts_with("Test: "), "{:?}", message.words);
        }
    }
    wrong
}

fn with(policy: Policy) -> Config {
    Config { policy, ..Config::default() }
}

#[test]
fn all_is_right_under_the_defaults() {
    let config = Config::default();
    assert_eq!(Promise::of(&config).remarks(&config), Vec::<String>::new());
    check(&config, 90);
}

#[test]
fn all_is_right_where_everything_takes_ages() {
    let policy = Policy {
        interval: 12 * HOUR,
        jitter_percent: 100,
        confirm: [30 * MIN, 5 * HOUR],
        retest_revoked: 3 * DAY,
        stale_after: 4 * DAY,
        outage_hold: 2 * DAY,
        failed_logins_per_account: 8,
        concurrent_checks: 1,
        remind_every: None,
        ..Policy::default()
    };
    let mut config = with(policy);
    config.timeout = 5 * MIN;
    config.notify.desktop = false;
    let remarks = Promise::of(&config).remarks(&config).join("\n");
    for part in [
        "no channel is switched on",
        "schedule.interval",
        "schedule.confirm",
        "failed_logins_per_account",
        "outage_hold",
    ] {
        assert!(remarks.contains(part), "{part} in {remarks}");
    }
    check(&config, 90);
}

#[test]
fn all_is_right_where_everything_is_as_quick_as_apple_allows() {
    let policy = Policy {
        interval: 5 * MIN,
        jitter_percent: 0,
        confirm: [MIN, 2 * MIN],
        retest_revoked: HOUR,
        stale_after: 11 * MIN,
        outage_hold: MIN,
        failed_logins_per_account: 100,
        remind_every: Some(HOUR),
        ..Policy::default()
    };
    let mut config = with(policy);
    config.timeout = Duration::from_secs(5);
    config.notify.hook = Some(Hook { command: vec!["/nonexistent/hook".to_owned()] });
    check(&config, 90);
}

#[test]
fn all_is_right_where_hours_are_fractions_of_a_second() {
    let policy = Policy {
        interval: Duration::from_millis(500),
        jitter_percent: 10,
        confirm: [Duration::from_millis(200), Duration::from_millis(500)],
        retest_revoked: HOUR,
        stale_after: HOUR,
        outage_hold: Duration::from_secs(3),
        ..Policy::default()
    };
    let mut config = with(policy);
    config.timeout = Duration::from_secs(10);
    check(&config, 60);
}

/// The same policies in every run. `KEYPULSE_POLICIES=100` explores others.
#[test]
fn all_is_right_under_any_policy() {
    let explored = std::env::var("KEYPULSE_POLICIES").ok().and_then(|count| count.parse().ok());
    let (mut dice, mut all) = (Dice::new(explored.unwrap_or(7)), Vec::new());
    for number in 0..explored.unwrap_or(2) {
        let mut one_of = |all: &[u64]| {
            let index = dice.next() % u64::try_from(all.len()).unwrap();
            Duration::from_secs(60 * all[usize::try_from(index).unwrap()])
        };
        let interval = one_of(&[5, 10, 60, 180, 360, 720, 1440]);
        let soon = one_of(&[1, 2, 10, 60]);
        let mut number_of = |all: &[u64]| u32::try_from(one_of(all).as_secs() / 60).unwrap();
        let policy = Policy {
            interval,
            jitter_percent: number_of(&[0, 20, 50, 100]),
            confirm: [soon, soon * number_of(&[2, 3, 8, 12])],
            stale_after: interval * number_of(&[3, 5, 24]),
            failed_logins_per_account: number_of(&[8, 9, 10, 11, 12, 15, 30, 100]),
            concurrent_checks: number_of(&[1, 4]),
            retest_revoked: one_of(&[60, 1440, 10_080]),
            outage_hold: one_of(&[10, 60, 360, 4320]),
            remind_every: Some(one_of(&[60, 1440, 10_080])),
            ..Policy::default()
        };
        let mut config = with(policy);
        config.timeout = one_of(&[1, 10]) / 20;
        let wrong = wrong(&config, 90, |scenario| scenario.group != Group::Causes);
        all.extend((!wrong.is_empty()).then(|| format!("{number}: {:?}\n{}", config.policy, wrong.join("\n"))));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// Two accounts, one of them with passwords for one service only; sources that would be seen if they were read.
#[test]
fn the_persons_own_accounts_are_played_with_made_up_passwords() {
    let directory = tempfile::tempdir().unwrap();
    let witness = directory.path().join("read");
    let account = |address: &str, names: &[(&str, Services)]| Account {
        address: Address::new(address).unwrap(),
        usernames: PerService { imap: "john".to_owned(), smtp: address.to_owned() },
        credentials: names
            .iter()
            .map(|(name, services)| Credential {
                name: CredentialName::new(name).unwrap(),
                app: Some("Program".to_owned()),
                services: *services,
                secret: Source::Command(vec!["touch".to_owned(), witness.display().to_string()]),
                any_shape: false,
            })
            .collect(),
    };
    let both = Services::BOTH;
    let smtp = Services::only(Service::Smtp);
    let own = [
        vec![account("john@icloud.com", &[("a", both), ("b", both)])],
        vec![account("john@icloud.com", &[("a", both), ("b", smtp)]), account("jane@icloud.com", &[("c", smtp)])],
        vec![account("john@icloud.com", &[("a", smtp)])],
    ];
    for accounts in own {
        let (count, config) = (accounts.len(), Config { accounts, ..Config::default() });
        let wire = Wire::start(&config.servers).unwrap();
        let yours: Vec<_> = catalogue(&config).into_iter().filter(|scenario| scenario.group == Group::Yours).collect();
        assert_eq!(yours.len(), count);
        for scenario in yours {
            let (cell, messages) = rehearse(&scenario, &config, &wire);
            assert!(cell.is_right(), "{}: {cell:#?}", scenario.name);
            assert!(!messages.is_empty());
        }
    }
    assert!(!witness.exists(), "a source of the person was read");
}

#[test]
fn the_catalogue_has_every_cause_on_each_service_and_each_name_once() {
    let all = catalogue(&Config::default());
    let names: BTreeSet<_> = all.iter().map(|scenario| scenario.name.clone()).collect();
    assert_eq!(names.len(), all.len());
    for (service, cause) in Service::ALL.into_iter().flat_map(|service| Cause::ALL.map(|cause| (service, cause))) {
        let of_secret = matches!(cause, Cause::SecretUnavailable | Cause::SecretMalformed);
        let ends = |end: &End| match end {
            End::Sees(at, seen) => (*at, *seen) == (service, cause),
            End::Unread(_, seen) => of_secret && *seen == cause,
            End::All(_) | End::Health(..) | End::Shows(..) | End::Refusals(_) | End::Presumes(_) | End::NoLogin => {
                false
            }
        };
        let seen = all.iter().any(|scenario| scenario.acts.iter().any(|act| act.ends.iter().any(ends)));
        assert!(seen, "{service} {cause}");
    }
    // What needs a wire has one.
    for scenario in &all {
        let faults = |happening: &Happening| matches!(happening, Happening::Weather(_, scenario::Weather::Fault(_)));
        let needs = scenario.acts.iter().any(|act| act.happens.iter().any(faults));
        assert!(!needs || scenario.wire.is_some(), "{}", scenario.name);
    }
}

#[test]
fn what_is_not_as_it_must_be_is_wrong() {
    #[track_caller]
    fn wrong(scenario: &Scenario, part: &str) {
        let config = Config::default();
        let wire = Wire::start(&config.servers).unwrap();
        let (cell, _) = rehearse(scenario, &config, &wire);
        assert!(!cell.is_right() && cell.wrong.join("\n").contains(part), "{part}: {cell:#?}");
    }
    let (config, p) = (Config::default(), Promise::of(&Config::default()));
    let named = |name: &str| catalogue(&config).into_iter().find(|scenario| scenario.name == name).unwrap();
    let house = named("reset-1").house;
    let play = || Scenario::new(Group::Passwords, "x", "x", house.clone());
    let long = Until::For(p.noticed() + p.full());
    let opened = |by| Line::new(0, Tidings::Opened, IncidentCause::ResetOrRevoked, by);
    // A false alarm; a missed one; too late; too early; another cause; a message more.
    wrong(&play().act(long, [Happening::Reset(0)]), "it said reset-or-revoked, and must say nothing");
    wrong(&play().act(long, []).says(opened(DAY)), "it said nothing, and must say reset-or-revoked");
    wrong(&play().act(long, [Happening::Reset(0)]).says(opened(MIN)), "and must by 1m");
    wrong(&play().act(long, [Happening::Reset(0)]).says(opened(DAY).after(2 * HOUR)), "and must not before 2h");
    wrong(&play().act(long, [Happening::Reset(0)]).says(opened(DAY).of_refusal(MIN)), "after the first refusal");
    let cause = Line::new(0, Tidings::Opened, IncidentCause::MainPasswordReset, DAY);
    wrong(&play().act(long, [Happening::Reset(0)]).says(cause), "must say main-password-reset");
    wrong(&play().act(long, [Happening::Reset(0)]).says(opened(DAY)).says(opened(DAY)), "must say");
    // What stands at the end.
    wrong(&play().act(long, []).ends(End::All(crate::health::credential::Health::Revoked)), "must be revoked");
    wrong(&play().act(long, []).ends(End::NoLogin), "none may be");
    wrong(&play().act(long, []).ends(End::Sees(Service::Imap, Cause::Offline)), "called accepted, and must be offline");
    wrong(&play().act(long, []).ends(End::Shows(0, IncidentCause::MainPasswordReset)), "shows no incident");
    wrong(&play().act(long, [Happening::Reset(0)]).says(opened(DAY)).ends(End::Refusals(1)), "at most 1 may be");
    wrong(&play().act(long, []).ends(End::Presumes(0)), "no password is presumed");
    wrong(&play().act(long, []).ends(End::Unread((0, 0), Cause::SecretMalformed)), "must be secret-malformed");
}
