//! What the engine says of itself: to the status, to `explain`, to the desktop.

use super::*;
use crate::health::standing::{Stage as Way, Standing};

fn address(letter: char) -> Address {
    Address::new(&format!("{letter}@icloud.com")).unwrap()
}

impl World {
    fn standing(&self, credential: &str) -> Standing {
        let account = address(credential.chars().next().unwrap());
        self.engine().standing(&account, &name(credential)).unwrap()
    }

    fn holders(&self, credential: &str) -> Vec<String> {
        self.standing(credential).holders.iter().map(ToString::to_string).collect()
    }

    fn ask_all(&mut self) {
        self.event(Event::Check { request: 1, names: Vec::new() });
    }

    fn next_check(&self, credential: &str) -> Option<Timestamp> {
        self.credentials().into_iter().find(|one| one.name == name(credential)).unwrap().next_check_at
    }
}

fn alive(refusing: Option<Service>, rests_until: Option<Timestamp>) -> Way {
    Way::Alive { refusing, rests_until }
}

#[test]
fn only_what_is_configured_is_known() {
    let world = World::settled(&[2, 1]);
    let engine = world.engine();
    assert!(engine.knows(&name("a1")) && engine.knows(&name("b0")) && !engine.knows(&name("b1")));
    assert_eq!(engine.names().map(CredentialName::as_str).collect::<Vec<_>>(), ["a0", "a1", "b0"]);
    assert_eq!(engine.standing(&address('a'), &name("b0")), None, "it belongs to another account");
    assert_eq!(engine.standing(&address('c'), &name("b0")), None);
    assert_eq!(engine.standing(&address('a'), &name("a2")), None);
}

#[test]
fn what_is_left_of_the_ration_is_said_for_people_and_for_the_routine() {
    let mut world = World::settled(&[1, 1]);
    let left = |world: &World, letter| {
        let (engine, now) = (world.engine(), world.now());
        (engine.logins_left(&address(letter), now), engine.automatic_logins_left(&address(letter), now))
    };
    assert_eq!(left(&world, 'a'), (12, 8));
    assert_eq!(left(&world, 'z'), (12, 8), "not configured, so nothing was spent");
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!((left(&world, 'a'), left(&world, 'b')), ((10, 6), (12, 8)));
    for request in 2..5 {
        world.event(Event::Check { request, names: vec![name("a0")] });
    }
    let (people, itself) = left(&world, 'a');
    assert!(people < 6 && itself == people.saturating_sub(4), "{people} {itself}");
}

#[test]
fn the_way_of_a_secret_is_told_from_the_first_look_to_the_verdict() {
    let mut fresh = World::new(&[1]);
    fresh.outside.unreadable.insert(name("a0"));
    fresh.run(MIN);
    let never_read = Standing { secret: None, holders: vec![name("a0")], stage: Way::New, due: None };
    assert_eq!(fresh.standing("a0"), never_read);

    let mut world = World::settled(&[5]);
    let secret = world.standing("a0").secret;
    assert!(secret.is_some() && secret != world.standing("a1").secret);
    assert_eq!((world.standing("a0").stage, world.standing("a0").due), (alive(None, None), None));
    world.outside.holds.insert(name("a4"), 4);
    world.run(HOUR);
    assert_eq!(
        (world.holders("a4"), world.holders("a0")),
        (vec!["a3".to_owned(), "a4".to_owned()], vec!["a0".to_owned()])
    );

    world.reset('a');
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    let first = world.rejected()[0].at;
    let doubted = |refusals, strong, evidence, leader: Option<&str>| Way::Doubted {
        refusals,
        strong,
        evidence,
        leader: leader.map(name),
        held_until: None,
    };
    assert_eq!(world.standing("a0").stage, doubted(1, true, Services::BOTH, None), "it leads");
    assert_eq!(world.standing("a0").due, Some(Why::Confirm));
    assert_eq!(world.standing("a1").stage, doubted(1, false, Services::BOTH, Some("a0")), "the canary waits for it");
    assert_eq!(world.standing("a1").due, None);
    assert!(world.next_check("a0").unwrap().since(first) <= 2 * MIN);
    assert_eq!(world.next_check("a1"), None, "nothing is planned for who waits");
    world.run(20 * MIN);
    assert_eq!(world.standing("a0").stage, Way::Dead { presumed: false });
    assert_eq!(world.standing("a0").due, Some(Why::Retest));
    assert!(world.next_check("a0").unwrap().since(first) > HOUR, "the routine does not ask the dead");
}

#[test]
fn what_is_asked_again_before_the_routine_says_so() {
    let mut world = World::settled(&[1]);
    let silent = Weather::Silent(Cause::TimedOut);
    world.outside.weather = PerService { imap: silent, smtp: silent };
    world.ask_all();
    assert_eq!(world.standing("a0").due, Some(Why::Again));
    assert!(world.next_check("a0").unwrap().since(world.now()) <= MIN);
}

#[test]
fn a_verdict_held_back_says_until_when() {
    let mut world = World::settled(&[1, 1]);
    world.outside.weather = PerService { imap: Weather::RefusesAll, smtp: Weather::RefusesAll };
    world.run(2 * HOUR);
    let first = world.status()[0].incident.clone().unwrap().began_between.1;
    let Way::Doubted { held_until, leader, .. } = world.standing("a0").stage else {
        panic!("{:?}", world.standing("a0"))
    };
    assert_eq!((held_until, leader), (Some(first + 6 * HOUR), None));
}

#[test]
fn a_service_left_alone_says_until_when_to_those_who_use_it() {
    let mut world = World::settled(&[2]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.run(30 * MIN);
    world.run(31 * MIN);
    let Way::Alive { refusing, rests_until } = world.standing("a0").stage else { panic!("{:?}", world.standing("a0")) };
    assert_eq!(refusing, Some(Service::Smtp));
    assert!(rests_until.unwrap() > world.now());
    let mut setup = world.setup().clone();
    setup.accounts[0].1[0].services = Services::only(Service::Imap);
    world.configure(setup);
    assert_eq!(world.standing("a0").stage, alive(None, None), "it does not use SMTP");
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn the_next_check_is_not_told_during_a_check_or_a_pause() {
    let mut world = World::settled(&[2, 1]);
    world.0.happen(Event::Check { request: 1, names: vec![name("a0")] });
    let now = world.now();
    while world.step(now) {}
    assert_eq!(world.next_check("a0"), None, "it is being asked");
    assert!(world.next_check("a1").is_some() && world.next_check("b0").is_some());
    world.run(MIN);
    assert!(world.next_check("a0").is_some_and(|at| at > world.now()));
    world.event(Event::Pause { length: Some(HOUR) });
    assert_eq!(world.engine().paused_until(), Some(world.now() + HOUR));
    assert_eq!(world.next_check("a0"), None);
    world.event(Event::Resume);
    assert_eq!(world.engine().paused_until(), None);
    assert!(world.next_check("a0").is_some());
}

#[test]
fn whether_the_network_is_there_is_learnt_from_whoever_speaks() {
    let mut world = World::settled(&[1]);
    assert!(world.engine().online());
    let mut after = |cause: Cause| {
        world.outside.weather = PerService { imap: Weather::Silent(cause), smtp: Weather::Silent(cause) };
        world.event(Event::Check { request: 1, names: vec![name("a0")] });
        world.engine().online()
    };
    assert!(!after(Cause::Offline));
    assert!(!after(Cause::TimedOut) && !after(Cause::Unreachable), "that says nothing");
    assert!(after(Cause::CaptivePortal));
    assert!(after(Cause::TimedOut), "nor does this");
}

/// The messages on the desktop: the incident, and what stands there for it.
#[track_caller]
fn check(world: &World, standing: usize, snoozed: usize) {
    let engine = world.engine();
    let id = world.status()[0].incident.as_ref().unwrap().id;
    let receipts: Vec<_> = engine.standing_on(Channel::Desktop);
    assert_eq!(receipts.len(), standing, "{receipts:?}");
    assert!(
        receipts.iter().all(|(incident, receipt)| *incident == id && receipt.parse::<u64>().is_ok()),
        "{receipts:?}"
    );
    let snoozes = engine.snoozed_on(Channel::Desktop);
    assert_eq!(snoozes.len(), snoozed, "{snoozes:?}");
    assert!(snoozes.iter().all(|(incident, receipt)| *incident == id && receipt.is_some()), "{snoozes:?}");
    assert_eq!(engine.standing_on(Channel::Hook), [], "nothing stands there");
}

#[test]
fn what_stands_on_the_desktop_is_known_and_put_back_unless_it_should_not_stand() {
    let mut world = World::settled(&[1, 1]);
    let mut setup = world.setup().clone();
    setup.channels = vec![Channel::Desktop];
    world.configure(setup);
    assert_eq!(world.engine().standing_on(Channel::Desktop), []);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    check(&world, 1, 0);
    world.said(&[(Opened, ResetOrRevoked)]);
    let id = world.status()[0].incident.as_ref().unwrap().id;
    world.event(Event::NotificationLost(id + 1));
    world.said(&[(Opened, ResetOrRevoked)]);
    world.event(Event::NotificationLost(id));
    world.said(&[(Opened, ResetOrRevoked), (PutBack, ResetOrRevoked)]);
    check(&world, 1, 0);
    world.event(Event::Snooze { account: address('a'), length: 3 * HOUR });
    check(&world, 0, 1);
    world.event(Event::NotificationLost(id));
    assert_eq!(world.told().len(), 2, "a snoozed one does not come back");
    world.event(Event::Unsnooze { account: address('a') });
    assert_eq!(world.told().len(), 3);
    check(&world, 1, 0);
    world.event(Event::NotificationClosed(id));
    check(&world, 0, 0);
}
