//! Outages, repairs and a ration that runs out, where they meet.

use super::*;

fn weather(world: &mut World, weather: Weather) {
    world.outside.weather = PerService { imap: weather, smtp: weather };
}

#[test]
fn a_service_that_was_silent_for_long_and_then_refuses_everybody_is_an_outage_to_two_accounts() {
    let mut world = World::settled(&[1, 1]);
    let mut setup = world.setup().clone();
    setup.accounts[0].1[0].services = Services::only(Service::Smtp);
    world.configure(setup);
    world.run(2 * HOUR);
    // A firewall blocks the port for longer than `outage_hold`: nobody's latest acceptance is fresh.
    world.outside.weather.smtp = Weather::Silent(Cause::TimedOut);
    world.run(9 * HOUR);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.run(5 * HOUR);
    world.said(&[]);
    assert_eq!((world.health("a0"), world.health("b0")), (Health::Suspect, Health::Degraded));
}

#[test]
fn who_was_refused_in_an_outage_does_not_share_a_verdict_that_came_after_it() {
    let mut world = World::settled(&[2, 1]);
    world.outside.dead.insert(1);
    weather(&mut world, Weather::RefusesAll);
    world.run(3 * HOUR);
    assert_eq!((world.health("a0"), world.health("a1")), (Health::Suspect, Health::Suspect));
    weather(&mut world, Weather::Fine);
    world.run(4 * HOUR);
    assert_eq!((world.health("a0"), world.health("a1")), (Health::Revoked, Health::Suspect));
    // The outage used the ration up.
    world.run(DAY);
    assert_eq!((world.health("a0"), world.health("a1")), (Health::Revoked, Health::Healthy));
    let died = |it: &&Transition| it.credential.as_str() == "a1" && it.to.is_dead();
    assert_eq!(world.log.transitions.iter().filter(died).count(), 0);
    assert_eq!(world.told()[0].2, Opened);
    assert_eq!(world.cause(0), Some(SingleRevocation));
}

#[test]
fn a_repair_that_works_ends_the_early_re_tests_of_its_siblings() {
    let retests = |repaired: bool| {
        let mut world = World::settled(&[2]);
        world.reset('a');
        world.run(2 * HOUR);
        world.said(&[(Opened, MainPasswordReset)]);
        if repaired {
            world.outside.holds.insert(name("a0"), 50);
            world.event(Event::Check { request: 1, names: vec![name("a0")] });
            assert_eq!(world.health("a0"), Health::Healthy);
        }
        let before = world.rejected().len();
        world.run(18 * HOUR);
        world.rejected().len() - before
    };
    assert!(retests(false) >= 3, "perhaps it was an outage");
    assert!(retests(true) <= 1, "Apple's login works");
}

/// An account whose only password died, asked again by name until so many failed logins are left.
fn spent_but(left: usize) -> World {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(90 * MIN);
    world.said(&[(Opened, ResetOrRevoked)]);
    while world.rejected().len() < 12 - left {
        world.event(Event::Check { request: 1, names: vec![name("a0")] });
    }
    world
}

#[test]
fn the_last_login_is_kept_for_a_new_pair() {
    let mut world = spent_but(1);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.rejected().len(), 11, "a person's check of a known pair leaves it");
    world.outside.holds.insert(name("a0"), 50);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_mistyped_pair_costs_one_of_the_last_logins_and_the_right_one_is_accepted() {
    let mut world = spent_but(3);
    world.outside.holds.insert(name("a0"), 50);
    world.outside.dead.insert(50);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.run(20 * MIN);
    assert_eq!(world.health("a0"), Health::Rejected);
    assert_eq!(world.rejected().len(), 10, "asked on one service, and not confirmed");
    world.outside.holds.insert(name("a0"), 51);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_new_pair_that_finds_the_ration_used_up_is_asked_as_soon_as_it_frees() {
    let mut world = spent_but(1);
    for (secret, expected) in [(50, Health::Rejected), (51, Health::Unknown)] {
        world.outside.holds.insert(name("a0"), secret);
        world.outside.dead.insert(50);
        world.event(Event::Check { request: 1, names: vec![name("a0")] });
        assert_eq!(world.health("a0"), expected);
    }
    let frees = world.rejected()[0].at + DAY;
    world.run(frees.since(world.now()) + MIN);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_repair_that_an_outage_refuses_is_not_presumed_dead_where_the_ration_is_used_up() {
    let mut world = World::settled(&[9]);
    world.reset('a');
    world.run(2 * HOUR);
    world.said(&[(Opened, MainPasswordReset)]);
    world.outside.holds.insert(name("a0"), 50);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.health("a0"), Health::Healthy);
    weather(&mut world, Weather::RefusesAll);
    world.run(3 * HOUR);
    assert_eq!(world.health("a0"), Health::Suspect);
    weather(&mut world, Weather::Fine);
    world.run(DAY);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_canary_is_asked_on_both_services_where_one_refused_so_that_an_account_on_the_other_can_tell() {
    let mut world = World::settled(&[3, 1]);
    let mut setup = world.setup().clone();
    setup.accounts[0].1[0].services = Services::only(Service::Imap);
    setup.accounts[1].1[0].services = Services::only(Service::Smtp);
    world.configure(setup);
    world.run(59 * MIN);
    // The leader knows IMAP alone, and the other account SMTP alone.
    world.event(Event::Check { request: 1, names: vec![name("a1"), name("a2")] });
    weather(&mut world, Weather::RefusesAll);
    world.run(5 * HOUR);
    let first = world.log.rulings.iter().find(|ruling| matches!(ruling.rule, Rule::FirstRefusal { .. })).unwrap();
    assert_eq!((first.credential.as_str(), first.rule), ("a0", Rule::FirstRefusal { strong: false }));
    world.said(&[]);
    weather(&mut world, Weather::Fine);
    world.run(8 * HOUR);
    world.said(&[]);
    assert!(world.credentials().iter().all(|c| c.health == Health::Healthy));
}
