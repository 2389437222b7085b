//! The idle watch.

use super::*;
use crate::{health::event::Action, rehearsal::stage::USUAL};

/// From a drop to the end of the check after it.
const SOON: Duration = Duration::from_secs(5);

impl World {
    fn watched(households: &[usize]) -> Self {
        let mut world = Self::settled(households);
        world.engine_mut().hold_watches(true);
        world.event(Event::Timer);
        world.run(MIN);
        assert!(world.stands(0).is_some());
        world.log.attempts.clear();
        world
    }

    fn stands(&self, account: usize) -> Option<(CredentialName, Timestamp)> {
        let watch = self.status()[account].watch.clone()?;
        Some((watch.credential, watch.since))
    }

    /// The connection that stands ends by itself.
    fn drops(&mut self, account: usize) {
        let id = self.status()[account].watch.as_ref().expect("a watch").id;
        self.event_now(Event::WatchEnded { id, unfit: false });
    }

    /// Something happens, and nothing more.
    fn event_now(&mut self, event: Event) {
        self.0.happen(event);
        let now = self.now();
        assert!(self.0.step(now));
    }

    fn whys(&self) -> Vec<Why> {
        self.log.attempts.iter().map(|row| row.why).collect()
    }
}

#[test]
fn the_watch_costs_one_login_per_account_on_imap_alone() {
    let mut world = World::settled(&[3, 1]);
    world.engine_mut().hold_watches(true);
    world.event(Event::Timer);
    world.run(10 * MIN);
    assert_eq!(world.whys(), [Why::Watch, Why::Watch]);
    assert!(world.log.attempts.iter().all(|row| row.service == Service::Imap));
    assert!(world.stands(0).is_some() && world.stands(1).is_some());
    world.run(DAY);
    assert_eq!(world.whys().iter().filter(|why| **why == Why::Watch).count(), 2, "it stands");
}

#[test]
fn it_is_off_unless_the_process_says_so() {
    let mut world = World::settled(&[1]);
    world.run(DAY);
    assert!(world.stands(0).is_none());
    assert!(!world.whys().contains(&Why::Watch));
}

#[test]
fn a_revoked_session_that_is_closed_is_suspected_within_seconds_and_confirmed_as_ever() {
    let mut world = World::watched(&[1]);
    let revoked = world.now();
    world.outside.dead.insert(1);
    world.drops(0);
    world.run(SOON);
    assert_eq!(world.health("a0"), Health::Suspect);
    let asked = world.log.attempts[0].at - USUAL;
    assert!(asked > revoked, "not at once: a server that restarts ends everybody's connections");
    assert_eq!(world.whys(), [Why::Dropped, Why::Dropped], "both services are asked for the drop and for nothing else");
    let suspected = world.log.transitions.last().unwrap().at;
    assert!(suspected.since(revoked) < Duration::from_secs(10));
    world.run(16 * MIN);
    assert_eq!(world.health("a0"), Health::Revoked, "under the confirm delays");
}

#[test]
fn a_drop_is_no_evidence() {
    let mut world = World::watched(&[1]);
    world.outside.weather.imap = Weather::Silent(Cause::Unavailable);
    world.outside.weather.smtp = Weather::Silent(Cause::Unavailable);
    world.drops(0);
    world.run(30 * MIN);
    assert_eq!(world.health("a0"), Health::Healthy);
    assert!(world.stands(0).is_none(), "nothing was accepted since");
    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.run(2 * HOUR);
    assert!(world.stands(0).is_some());
    world.said(&[]);
}

#[test]
fn drops_without_a_reason_make_the_next_connection_come_later_and_later() {
    let mut world = World::watched(&[1]);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let dropped = world.now();
        world.drops(0);
        while world.stands(0).is_none() {
            world.run(Duration::from_secs(10));
        }
        waits.push(world.now().since(dropped).as_secs() / 60);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    // Half an hour is not long.
    world.run(HOUR / 2);
    world.drops(0);
    world.run(50 * MIN);
    assert!(world.stands(0).is_none());
    world.run(11 * MIN);
    assert!(world.stands(0).is_some());
    // One that stood for long was a good one.
    world.run(2 * HOUR);
    let dropped = world.now();
    world.drops(0);
    while world.stands(0).is_none() {
        world.run(Duration::from_secs(10));
    }
    assert_eq!(world.now().since(dropped).as_secs() / 60, 1);
}

#[test]
fn it_is_let_go_for_a_pause_a_sleep_a_missing_network_and_by_the_process() {
    #[track_caller]
    fn check(off: impl FnOnce(&mut World), on: impl FnOnce(&mut World)) {
        let mut world = World::watched(&[1]);
        let id = world.status()[0].watch.as_ref().unwrap().id;
        off(&mut world);
        assert!(world.stands(0).is_none());
        world.event_now(Event::WatchEnded { id, unfit: false }); // what its end says is no news
        world.run(20 * MIN);
        assert!(world.stands(0).is_none());
        assert!(!world.whys().contains(&Why::Dropped));
        on(&mut world);
        world.run(2 * MIN);
        assert!(world.stands(0).is_some());
    }
    check(|world| world.event(Event::Pause { length: None }), |world| world.event(Event::Resume));
    check(
        |world| world.event(Event::Network { up: false, recheck: true }),
        |world| world.event(Event::Network { up: true, recheck: true }),
    );
    check(
        |world| {
            world.engine_mut().hold_watches(false);
            world.event(Event::Timer);
        },
        |world| {
            world.engine_mut().hold_watches(true);
            world.event(Event::Timer);
        },
    );
    let mut world = World::watched(&[1]);
    world.event(Event::Suspending);
    assert!(world.stands(0).is_none());
    world.sleep(HOUR);
    world.run(2 * MIN);
    assert!(world.stands(0).is_some());
    assert!(!world.whys().contains(&Why::Dropped));
}

#[test]
fn it_moves_to_a_healthy_sibling_when_its_own_password_dies() {
    let mut world = World::watched(&[2]);
    let (watched, _) = world.stands(0).unwrap();
    let secret = world.outside.holds[&watched];
    world.outside.dead.insert(secret);
    world.run(2 * HOUR);
    assert_eq!(world.health(watched.as_str()), Health::Revoked);
    let (other, _) = world.stands(0).unwrap();
    assert_ne!(other, watched);
}

#[test]
fn a_server_that_does_not_let_it_stand_is_left_alone_for_a_day() {
    let mut world = World::watched(&[1]);
    let id = world.status()[0].watch.as_ref().unwrap().id;
    world.event_now(Event::WatchEnded { id, unfit: true });
    world.run(23 * HOUR);
    assert!(world.stands(0).is_none());
    world.run(2 * HOUR);
    assert!(world.stands(0).is_some());
    assert!(!world.whys().contains(&Why::Dropped));
}

#[test]
fn where_the_ration_is_used_up_it_is_not_opened() {
    let mut world = World::settled(&[2]);
    world.outside.dead.insert(1);
    for request in 1..=12 {
        world.event(Event::Check { request, names: vec![name("a0")] });
    }
    assert_eq!(world.health("a1"), Health::Healthy);
    world.log.attempts.clear();
    world.engine_mut().hold_watches(true);
    world.event(Event::Timer);
    world.run(HOUR);
    assert!(!world.whys().contains(&Why::Watch));
}

#[test]
fn one_that_cannot_be_opened_is_tried_ever_later() {
    let mut world = World::settled(&[1]);
    world.outside.weather.imap = Weather::Silent(Cause::TimedOut);
    world.engine_mut().hold_watches(true);
    world.event(Event::Timer);
    world.run(50 * MIN);
    let tried = world.whys().into_iter().filter(|why| *why == Why::Watch).count();
    assert_eq!(tried, 6, "at once, and 1, 2, 4, 8 and 16 minutes after each other");
}

#[test]
fn it_is_held_on_the_healthiest_and_on_none_that_imap_refuses() {
    let mut world = World::settled(&[2]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!((world.health("a0"), world.health("a1")), (Health::Degraded, Health::Healthy));
    world.engine_mut().hold_watches(true);
    world.event(Event::Timer);
    assert_eq!(world.stands(0).unwrap().0, name("a1"), "although a0 was accepted later");

    let mut world = World::settled(&[1]);
    world.outside.weather.imap = Weather::RefusesAll;
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.engine_mut().hold_watches(true);
    world.event(Event::Timer);
    world.run(HOUR);
    assert!(!world.whys().contains(&Why::Watch));
}

#[test]
fn it_waits_for_the_end_of_a_suspicion_and_no_longer() {
    let mut world = World::settled(&[2]);
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.outside.dead.clear();
    world.engine_mut().hold_watches(true);
    world.run(90 * Duration::from_secs(1));
    assert_eq!(world.health("a0"), Health::Suspect);
    assert!(world.stands(0).is_none());
    world.run(MIN);
    assert_eq!(world.health("a0"), Health::Healthy);
    assert!(world.stands(0).is_some());
}

#[test]
fn no_login_but_the_one_that_opens_the_watch_keeps_its_connection() {
    let world = World::settled(&[1]);
    let (mut engine, now) = (world.engine().clone(), world.now());
    engine.hold_watches(true);
    let check = Event::Check { request: 1, names: vec![name("a0")] };
    for (event, held) in [(Event::Timer, true), (check, false)] {
        let actions = engine.handle(event, now);
        let begun = actions.into_iter().find(|action| matches!(action, Action::ReadSecret { .. }));
        let Some(Action::ReadSecret { round, .. }) = begun else { panic!("{begun:?}") };
        let read = Event::SecretRead { round, result: Ok(fingerprint(0, 1)) };
        let actions = engine.handle(read, now);
        let attempt = actions.into_iter().find(|action| matches!(action, Action::Attempt { .. }));
        let Some(Action::Attempt { id, hold, .. }) = attempt else { panic!("{attempt:?}") };
        assert_eq!(hold, held);
        let outcome = Outcome { finding: Finding::Accepted, code: None, detail: None, took: None };
        drop(engine.handle(Event::Attempted { id, outcome }, now));
    }
}
