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
    assert!((2 * 3..=2 * 4).contains(&world.log.attempts.len()), "{}", world.log.attempts.len());
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

#[test]
fn a_changed_secret_is_unknown_from_the_moment_in_which_it_is_read() {
    let mut world = World::settled(&[1]);
    world.outside.holds.insert(name("a0"), 101);
    world.0.happen(Event::Check { request: 1, names: vec![name("a0")] });
    let now = world.now();
    while world.step(now) {}
    assert!(!world.engine().is_idle(), "it is being asked");
    let changes: Vec<_> = world.log.transitions.iter().map(|change| (change.from, change.to)).collect();
    assert_eq!(changes, [(Health::Healthy, Health::Unknown)]);
    world.run(MIN);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_new_secret_that_the_ration_does_not_let_try_is_tried_when_it_frees() {
    let mut world = World::settled(&[1]);
    let (address, now) = (Address::new("a@icloud.com").unwrap(), world.now());
    while let Ok((id, _)) = world.engine_mut().reserve(&address, now) {
        let _ = world.engine_mut().settle_reserved(id, true, now);
    }
    world.outside.holds.insert(name("a0"), 101);
    world.run(23 * HOUR);
    assert_eq!(world.health("a0"), Health::Unknown);
    assert_eq!(world.log.attempts.len(), 0);
    world.run(HOUR + MIN);
    assert_eq!(world.health("a0"), Health::Healthy);
    assert_eq!(world.log.attempts[0].why, Why::Again);
}

#[test]
fn another_user_name_ends_the_rest_of_its_service_and_of_no_other() {
    for (refusing, ends) in [(Service::Imap, true), (Service::Smtp, false)] {
        let mut world = World::settled(&[1]);
        *world.outside.weather.of_mut(refusing) = Weather::RefusesAll;
        world.run(8 * HOUR);
        assert_eq!(world.health("a0"), Health::Degraded);
        // IMAP's user name is another from now on, and nobody answers.
        world.outside.renamed.insert(name("a0"));
        let silent = Weather::Silent(Cause::TimedOut);
        world.outside.weather = PerService { imap: silent, smtp: silent };
        world.run(61 * MIN);
        assert_eq!(world.health("a0"), Health::Unknown, "a pair never judged");
        let rest = world.memory().accounts["a@icloud.com"].memory.resting.of(refusing);
        assert_eq!(rest.is_none(), ends, "{refusing}: {rest:?}");
        world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
        world.run(2 * HOUR);
        assert_eq!(world.health("a0"), Health::Healthy);
    }
}

#[test]
fn the_health_says_whether_a_pair_ever_worked_and_when_it_was_last_asked() {
    let mut world = World::new(&[2]);
    world.outside.dead.insert(1);
    world.run(3 * HOUR);
    assert_eq!((world.health("a0"), world.health("a1")), (Health::Rejected, Health::Healthy));
    world.outside.dead.insert(2);
    world.run(3 * HOUR);
    assert_eq!((world.health("a0"), world.health("a1")), (Health::Rejected, Health::Revoked));
    for credential in world.credentials() {
        let latest = world.log.attempts.iter().rev().find(|row| row.credential == credential.name).unwrap();
        assert_eq!(credential.last_checked_at, Some(latest.at), "{}", credential.name);
    }
    let reasons: Vec<_> =
        world.log.transitions.iter().map(|change| format!("{} {}", change.credential, change.reason)).collect();
    assert_eq!(reasons[0], "a0 refused by imap and smtp, never accepted");
    assert_eq!(reasons[1], "a1 accepted by imap and smtp");
    assert!(reasons.contains(&"a1 refused by imap and smtp".to_owned()), "{reasons:#?}");
    assert!(reasons.iter().any(|reason| reason.starts_with("a1 refusal confirmed by imap and smtp")), "{reasons:#?}");
}
