//! Who is asked on the way because it can speak for or against an outage: canaries, other accounts, the guard; and what an
//! acceptance sets free.

use super::*;

#[test]
fn while_the_guard_holds_only_leaders_are_asked_and_that_rarely() {
    let mut world = World::settled(&[2, 1]);
    world.refuse_everybody();
    world.ask("a0");
    world.run(5 * HOUR);
    world.clear_up();
    world.run(5 * HOUR);
    world.went(&[
        "0:00 a0 person imap- smtp-",
        "0:00 a1 canary imap-",
        "0:00 b0 canary imap-",
        "2:00 a0 confirm smtp-",
        "2:00 b0 confirm smtp-",
        "15:00 a0 confirm imap-",
        "15:00 b0 confirm imap-",
        "60:00 a0 confirm smtp-",
        "60:00 b0 confirm smtp-",
        "180:00 a0 confirm imap-",
        "180:00 b0 confirm imap-",
        "360:00 a0 confirm smtp+",
        // Somebody was accepted: every suspect is asked again.
        "360:00 a1 confirm smtp+",
        "360:00 b0 confirm smtp+",
    ]);
    world.said(&[]);
}

#[test]
fn who_could_witness_and_is_not_heard_holds_a_verdict_back() {
    let mut world = World::settled(&[3, 1]);
    world.outside.unreadable.insert(name("b0"));
    world.reset('a');
    world.run(9 * HOUR);
    world.went(&[
        "0:00 a0 routine imap- smtp-",
        "0:00 a1 canary imap-",
        "2:00 a0 confirm smtp-",
        "15:00 a0 confirm imap-",
        "60:00 a0 confirm smtp-",
        "180:00 a0 confirm imap-",
        "360:00 a0 confirm smtp-",
    ]);
    world.said(&[(Opened, MainPasswordReset)]);
}

#[test]
fn who_could_not_witness_holds_nothing_back() {
    // One never accepted says nothing of Apple, and one that uses the other service nothing of this one.
    for (dead, services) in [(true, Services::BOTH), (false, Services::only(Service::Smtp))] {
        let mut world = World::new(&[1, 1]);
        if dead {
            world.outside.dead.insert(2);
        }
        let mut setup = world.setup().clone();
        setup.accounts[0].1[0].services = Services::only(Service::Imap);
        setup.accounts[1].1[0].services = services;
        world.configure(setup);
        world.run(3 * HOUR);
        assert_eq!(world.health("a0"), Health::Healthy);
        world.log.attempts.clear();
        world.outside.unreadable.insert(name("b0"));
        world.outside.dead.insert(1);
        world.ask("a0");
        world.run(30 * MIN);
        world.went(&["0:00 a0 person imap-", "2:00 a0 confirm imap-", "15:00 a0 confirm imap-"]);
        assert_eq!(world.health("a0"), Health::Revoked, "{dead} {services:?}");
    }
}

#[test]
fn a_service_that_has_just_begun_to_refuse_others_holds_a_verdict_back_and_one_that_long_did_does_not() {
    for (long, expected) in [(false, Health::Suspect), (true, Health::Revoked)] {
        let mut world = World::new(&[1, 1]);
        let mut setup = world.setup().clone();
        setup.accounts[0].1[0].services = Services::only(Service::Imap);
        world.configure(setup);
        world.run(3 * HOUR);
        world.outside.weather.imap = Weather::RefusesAll;
        if long {
            // Meanwhile nobody can ask a0, and b0 is accepted by SMTP alone.
            world.outside.unreadable.insert(name("a0"));
            world.run(7 * HOUR);
            world.outside.unreadable.clear();
        }
        assert!(matches!(world.health("b0"), Health::Healthy | Health::Degraded));
        world.ask("a0");
        world.run(30 * MIN);
        assert_eq!(world.health("a0"), expected);
        assert_eq!(world.health("b0"), Health::Degraded);
    }
}

#[test]
fn a_service_that_called_itself_unavailable_holds_a_verdict_back_until_it_accepts_somebody() {
    let mut world = World::settled(&[3]);
    world.outside.weather.imap = Weather::Silent(Cause::Unavailable);
    world.run(2 * HOUR);
    world.outside.weather.imap = Weather::Fine;
    world.reset('a');
    world.run(9 * HOUR);
    let road = world.road();
    assert_eq!(road.last().unwrap(), "360:00 a0 confirm smtp-", "{road:?}");
    world.said(&[(Opened, MainPasswordReset)]);

    let mut world = World::settled(&[2]);
    world.outside.weather.imap = Weather::Silent(Cause::Unavailable);
    world.run(2 * HOUR);
    world.outside.weather.imap = Weather::Fine;
    world.run(2 * HOUR);
    world.log.attempts.clear();
    world.reset('a');
    world.run(30 * MIN);
    world.ask("a0");
    world.run(30 * MIN);
    world.said(&[(Opened, MainPasswordReset)]);
}

#[test]
fn an_acceptance_after_a_false_alarm_lets_all_be_asked_at_once() {
    let mut world = World::settled(&[6]);
    world.reset('a');
    world.run(3 * HOUR);
    world.log.attempts.clear();
    world.outside.dead.clear();
    world.run(9 * HOUR);
    let asked: Vec<_> = world.log.attempts.iter().take(8).map(|row| (row.credential.as_str(), row.why)).collect();
    let retested = ["a0", "a1", "a2", "a3"].map(|credential| (credential, Why::Retest));
    assert_eq!(asked[..4], retested);
    assert_eq!(asked[4..].iter().map(|(credential, _)| *credential).collect::<Vec<_>>(), ["a4", "a4", "a5", "a5"]);
    let took = world.log.attempts[3].at.since(world.log.attempts[0].at);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(world.credentials().iter().all(|credential| credential.health == Health::Healthy));
    world.said(&[(Opened, MainPasswordReset), (Resolved, SingleRevocation)]);
    let ruled = world.log.rulings.iter().filter(|ruling| ruling.rule == Rule::NoLongerPresumed).count();
    assert_eq!(ruled, 2, "a4 and a5");
}

#[test]
fn a_canary_that_is_refused_and_one_who_waits_send_no_further_ones() {
    let mut world = World::settled(&[3, 3]);
    world.refuse_everybody();
    world.ask("a0");
    world.run(MIN);
    world.went(&["0:00 a0 person imap- smtp-", "0:00 a1 canary imap-", "0:00 b0 canary imap-"]);
    world.ask("a2");
    world.run(30 * Duration::from_secs(1));
    let road = world.road();
    assert_eq!(road.last().unwrap(), "1:00 a2 person imap- smtp-", "{road:?}");
}

#[test]
fn whoever_is_accepted_lets_every_suspect_be_asked_at_once() {
    let mut world = World::settled(&[1, 1]);
    world.refuse_everybody();
    world.ask("a0");
    world.run(90 * MIN);
    world.clear_up();
    world.ask("b0");
    world.run(MIN);
    assert_eq!((world.health("a0"), world.health("b0")), (Health::Healthy, Health::Healthy));
    let road = world.road();
    assert_eq!(road[road.len() - 2..], ["90:00 b0 person imap+ smtp+", "90:01 a0 confirm imap+"], "{road:?}");
}

#[test]
fn one_sibling_and_one_of_one_other_account_are_canaries() {
    let mut world = World::settled(&[3, 2, 2]);
    world.outside.dead.insert(1);
    world.ask("a0");
    world.went(&["0:00 a0 person imap- smtp-", "0:00 a1 canary imap+", "0:00 b0 canary imap+"]);
    // Where the first account has nobody to ask, the next one has.
    let mut world = World::settled(&[1, 1, 1]);
    world.outside.dead.extend([1, 2]);
    world.outside.weather.smtp = Weather::Silent(Cause::TimedOut);
    world.ask("b0");
    world.run(10 * MIN);
    let road = world.road();
    assert!(road.iter().any(|round| round.contains("c0 canary") || round.contains("a0 canary")), "{road:?}");
}

#[test]
fn one_that_is_just_being_refused_for_the_first_time_is_no_witness_either() {
    let mut world = World::settled(&[1, 1]);
    world.outside.holds.insert(name("b0"), 77);
    world.outside.dead.extend([1, 77]);
    world.ask("b0");
    assert_eq!(world.health("b0"), Health::Rejected);
    world.ask("a0");
    world.run(16 * MIN);
    assert_eq!(world.health("a0"), Health::Revoked, "nobody else ever got in");
}

#[test]
fn a_sibling_that_both_services_take_is_the_better_canary() {
    let mut world = World::new(&[3]);
    let mut setup = world.setup().clone();
    setup.accounts[0].1[1].services = Services::only(Service::Imap);
    world.configure(setup);
    world.run(3 * HOUR);
    world.outside.dead.insert(1);
    world.ask("a0");
    world.went(&["0:00 a0 person imap- smtp-", "0:00 a2 canary imap+"]);
}

#[test]
fn where_one_service_refused_the_leader_its_canary_is_asked_on_both() {
    let mut world = World::new(&[2]);
    let mut setup = world.setup().clone();
    setup.accounts[0].1[0].services = Services::only(Service::Imap);
    world.configure(setup);
    world.run(3 * HOUR);
    // What the other service says of it tells an outage of this one from a reset.
    world.outside.weather.imap = Weather::RefusesAll;
    world.ask("a0");
    world.went(&["0:00 a0 person imap-", "0:00 a1 canary imap- smtp+"]);
    let suspected = world.log.transitions.iter().find(|change| change.to == Health::Suspect).unwrap();
    assert_eq!(suspected.reason, "refused by imap");
}
