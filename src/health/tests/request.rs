//! What a person asks for, and what the ration leaves of it.

use super::*;

#[test]
fn a_check_by_hand_leaves_latched_pairs_alone_unless_they_are_named() {
    let mut world = World::settled(&[2]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    let before = world.log.attempts.len();
    world.event(Event::Check { request: 5, names: Vec::new() });
    let asked = &world.log.attempts[before..];
    assert!(!asked.is_empty() && asked.iter().all(|row| row.credential == name("a1")), "{asked:?}");
    let before = world.log.attempts.len();
    world.event(Event::Check { request: 6, names: vec![name("a0")] });
    assert_eq!(world.log.attempts.len() - before, 1, "a latched pair is tried on one service");
    assert_eq!(world.log.answered, [5, 6]);
}

#[test]
fn a_check_by_hand_does_not_hasten_a_verdict() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    for request in 0..3 {
        world.event(Event::Check { request, names: vec![name("a0")] });
    }
    assert_eq!(world.health("a0"), Health::Suspect);
    world.said(&[]);
}

#[test]
fn the_ration_ends_all_attempts_and_says_when_it_frees() {
    let mut world = World::settled(&[1]);
    let address = Address::new("A@iCloud.com").unwrap();
    let mut granted = 0;
    let now = world.now();
    while let Ok((id, _)) = world.engine_mut().reserve(&address, now) {
        let _ = world.engine_mut().settle_reserved(id, true, now);
        granted += 1;
    }
    assert_eq!(granted, 12);
    world.run(5 * HOUR);
    assert!(world.log.attempts.is_empty());
    assert!(world.status()[0].ration_frees_at.is_some());
    world.run(DAY);
    assert!(!world.log.attempts.is_empty());
}

#[test]
fn what_a_person_spends_outside_the_daemon_is_written_down_and_given_back_unless_refused() {
    let mut world = World::settled(&[1]);
    let address = Address::new("A@iCloud.com").unwrap();
    for (rejected, spent) in [(false, 0), (true, 1), (false, 1), (true, 2)] {
        let now = world.now();
        let (id, actions) = world.engine_mut().reserve(&address, now).unwrap();
        for action in actions {
            world.act(action);
        }
        let reserved = world.memory().accounts["a@icloud.com"].spent.len();
        assert_eq!(reserved, if rejected { spent } else { spent + 1 }, "counted until it is answered");
        let actions = world.engine_mut().settle_reserved(id, rejected, now);
        for action in actions {
            world.act(action);
        }
        world.restart();
        assert_eq!(world.status()[0].failed_logins_24h, u32::try_from(spent).unwrap());
    }
}

#[test]
fn who_asks_for_two_that_share_a_password_has_it_tried_once() {
    let mut world = World::settled(&[3]);
    world.outside.holds.insert(name("a1"), 1);
    world.run(2 * HOUR);
    world.log.attempts.clear();
    let both = vec![name("a0"), name("a1")];
    let asked = |world: &World| world.log.attempts.iter().map(|row| row.service).collect::<Vec<_>>();
    world.event(Event::Check { request: 1, names: both.clone() });
    assert_eq!(asked(&world), [Service::Imap, Service::Smtp]);
    world.event(Event::Check { request: 2, names: both.clone() });
    assert_eq!(world.log.attempts.len(), 4, "another request is another question");
    // Two requests at once, one of which is for only one of them.
    world.0.happen(Event::Check { request: 3, names: both.clone() });
    world.event(Event::Check { request: 4, names: vec![name("a1")] });
    assert_eq!(world.log.attempts.len(), 8, "the second had no answer of its own");
    assert_eq!(world.log.answered, [1, 2, 3, 4]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    assert_eq!(world.health("a1"), Health::Revoked);
    world.log.attempts.clear();
    world.event(Event::Check { request: 5, names: both });
    assert_eq!(world.log.attempts.len(), 1, "a dead one is tried on one service, once");
    assert_eq!(world.log.answered.last(), Some(&5));
}

#[test]
fn a_new_password_is_tried_where_the_routine_is_not() {
    let mut world = World::settled(&[1]);
    let (address, now) = (Address::new("a@icloud.com").unwrap(), world.now());
    for _ in 0..8 {
        let (id, _) = world.engine_mut().reserve(&address, now).unwrap();
        let _ = world.engine_mut().settle_reserved(id, true, now);
    }
    assert_eq!(world.engine().automatic_logins_left(&address, now), 0);
    world.outside.holds.insert(name("a0"), 101);
    world.outside.dead.insert(101);
    world.run(2 * HOUR);
    // Once: refused by one service it is hardly the right one, and the next may need what is left.
    assert_eq!(world.status()[0].failed_logins_24h, 9);
    world.said(&[]);
}

#[test]
fn a_canary_is_asked_nowhere_where_it_is_not_used_any_more() {
    let mut world = World::settled(&[2]);
    world.outside.dead.insert(1);
    world.outside.unreadable.insert(name("a1"));
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.outside.unreadable.clear();
    let mut setup = world.setup().clone();
    setup.accounts[0].1[1].services = Services::only(Service::Smtp);
    world.configure(setup);
    world.log.attempts.clear();
    world.run(DAY);
    let asked = world.log.attempts.iter().filter(|row| row.credential == name("a1"));
    assert!(asked.clone().count() > 0 && asked.clone().all(|row| row.service == Service::Smtp));
}

#[test]
fn the_last_login_is_kept_for_a_pair_that_nobody_ever_accepted() {
    let mut world = World::settled(&[6]);
    world.reset('a');
    world.run(3 * HOUR);
    assert!(world.credentials()[5].presumed);
    let (address, now) = (Address::new("a@icloud.com").unwrap(), world.now());
    while world.engine().logins_left(&address, now) > 2 {
        let (id, _) = world.engine_mut().reserve(&address, now).unwrap();
        let _ = world.engine_mut().settle_reserved(id, true, now);
    }
    // One is accepted: those presumed dead are asked after all, and the first of them is refused.
    world.outside.dead.remove(&1);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.run(HOUR);
    assert_eq!(world.engine().logins_left(&address, world.now()), 1);
    // A new password is served.
    world.outside.holds.insert(name("a5"), 101);
    world.outside.dead.insert(101);
    world.event(Event::Check { request: 2, names: vec![name("a5")] });
    assert_eq!(world.engine().logins_left(&address, world.now()), 0);
}

#[test]
fn a_new_password_that_the_ration_did_not_let_a_person_check_is_asked_when_it_frees() {
    let policy = Policy { jitter_percent: 0, interval: 6 * HOUR, ..Policy::default() };
    let mut world = World::with(&[1], policy);
    world.run(13 * HOUR);
    let (address, now) = (Address::new("a@icloud.com").unwrap(), world.now());
    while let Ok((id, _)) = world.engine_mut().reserve(&address, now) {
        let _ = world.engine_mut().settle_reserved(id, true, now);
    }
    world.run(23 * HOUR);
    world.outside.holds.insert(name("a0"), 101);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!((world.health("a0"), world.log.answered.as_slice()), (Health::Unknown, &[1][..]));
    // Hours before its routine.
    world.run(HOUR + MIN);
    assert_eq!(world.health("a0"), Health::Healthy);
}
