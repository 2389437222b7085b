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
