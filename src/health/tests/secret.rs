//! Secrets that are wrong, new, old, shared, or cannot be read.

use super::*;

#[test]
fn a_wrong_password_from_the_start_is_shown_at_once_and_told_when_confirmed() {
    let mut world = World::new(&[1]);
    world.outside.dead.insert(1);
    world.run(MIN);
    assert_eq!(world.health("a0"), Health::Rejected);
    world.said(&[]);
    world.run(HOUR);
    world.said(&[(Opened, NeverAccepted)]);
    let spent = world.rejected().len();
    world.run(12 * HOUR);
    assert!(world.rejected().len() - spent <= 4, "latched: only re-tests");
}

#[test]
fn the_new_password_is_accepted_at_once_and_the_incident_is_over() {
    let mut world = World::settled(&[2]);
    world.reset('a');
    world.run(2 * HOUR);
    world.outside.holds.insert(name("a0"), 101);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.health("a0"), Health::Healthy);
    assert_eq!(world.cause(0), Some(MainPasswordReset), "one is repaired; the cause stands");
    world.outside.holds.insert(name("a1"), 102);
    world.run(HOUR);
    assert_eq!(world.health("a1"), Health::Healthy, "a changed secret is found on the interval");
    world.said(&[(Opened, MainPasswordReset), (Resolved, MainPasswordReset)]);
    assert_eq!(world.log.answered, [1]);
}

#[test]
fn an_old_secret_put_back_is_revoked_again_without_a_login() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.outside.holds.insert(name("a0"), 101);
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
    let spent = world.rejected().len();
    world.outside.holds.insert(name("a0"), 1);
    world.run(61 * MIN);
    assert_eq!(world.health("a0"), Health::Revoked);
    assert_eq!(world.rejected().len(), spent);
}

#[test]
fn credentials_with_the_same_pair_share_their_attempts_and_count_as_one_secret() {
    let mut world = World::new(&[3]);
    world.outside.holds.insert(name("a1"), 1);
    world.outside.holds.insert(name("a2"), 1);
    world.run(3 * HOUR);
    assert!(world.log.attempts.len() <= 2 * 4, "{}", world.log.attempts.len());
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    assert_eq!(world.rejected().len(), 4);
    world.said(&[(Opened, ResetOrRevoked)]);
    assert!(world.credentials().iter().all(|c| c.health == Health::Revoked));
}

#[test]
fn a_locked_keyring_is_unreadable_and_no_connection_is_made() {
    let mut world = World::settled(&[1]);
    world.outside.unreadable.insert(name("a0"));
    world.run(5 * HOUR);
    assert_eq!(world.health("a0"), Health::Unreadable);
    assert!(world.log.attempts.is_empty());
    world.outside.unreadable.clear();
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
    world.said(&[]);
}

#[test]
fn an_unlocked_keyring_is_read_at_once() {
    let mut world = World::settled(&[1]);
    world.outside.unreadable.insert(name("a0"));
    world.run(20 * HOUR);
    world.outside.unreadable.clear();
    world.event(Event::Unlocked);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_secret_unreadable_for_a_day_is_told_once() {
    let mut world = World::settled(&[1]);
    world.outside.unreadable.insert(name("a0"));
    world.run(3 * DAY);
    world.said(&[(Opened, IncidentCause::CannotCheck)]);
    world.outside.unreadable.clear();
    world.run(2 * HOUR);
    world.said(&[(Opened, IncidentCause::CannotCheck), (Resolved, IncidentCause::CannotCheck)]);
}
