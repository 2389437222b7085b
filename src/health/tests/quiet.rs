//! Snooze, pause, and what is put back.

use super::*;

const A: &str = "a@icloud.com";

fn address() -> Address {
    Address::new(A).unwrap()
}

impl World {
    fn snooze(&mut self, length: Duration) {
        self.event(Event::Snooze { account: address(), length });
    }

    fn snoozed(&self) -> bool {
        self.status()[0].incident.as_ref().unwrap().snoozed_until.is_some()
    }

    fn dead_and_told(households: &[usize]) -> Self {
        let mut world = Self::settled(households);
        world.outside.dead.insert(1);
        world.run(2 * HOUR);
        assert_eq!(world.told().len(), 1);
        world.log.told.clear();
        world
    }
}

#[test]
fn a_snooze_holds_reminders_back_and_ends_with_one() {
    let mut world = World::dead_and_told(&[1]);
    world.snooze(2 * DAY);
    world.run(47 * HOUR);
    world.said(&[]);
    assert!(world.snoozed());
    world.restart();
    world.run(2 * HOUR);
    world.said(&[(Reminder, ResetOrRevoked)]);
    assert!(!world.snoozed());
    world.run(DAY);
    world.said(&[(Reminder, ResetOrRevoked); 2]);
}

#[test]
fn where_nothing_is_repeated_a_snooze_ends_without_a_word() {
    let policy = Policy { jitter_percent: 0, remind_every: None, ..Policy::default() };
    let mut world = World::with(&[1], policy);
    let setup = Setup { channels: Channel::ALL.into(), ..world.setup().clone() };
    world.configure(setup);
    world.run(3 * HOUR);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.said(&[(Opened, ResetOrRevoked); 3]);
    world.snooze(DAY);
    world.run(23 * HOUR);
    world.said(&[(Opened, ResetOrRevoked); 3]);
    world.run(3 * DAY);
    // On the desktop alone, where it was taken away.
    let told =
        [(Opened, ResetOrRevoked), (Opened, ResetOrRevoked), (Opened, ResetOrRevoked), (PutBack, ResetOrRevoked)];
    world.said(&told);
    assert!(!world.snoozed());
}

#[test]
fn nothing_but_the_end_of_a_snooze_tells_of_what_is_snoozed() {
    let mut world = World::settled(&[1]);
    world.outside.silent_channel = true;
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.snooze(DAY);
    world.outside.silent_channel = false;
    for event in [Event::ChannelReady(Channel::Hook), Event::Reloaded] {
        world.event(event);
        world.run(HOUR);
        world.said(&[]);
    }
}

#[test]
fn another_death_ends_a_snooze() {
    let mut world = World::dead_and_told(&[2]);
    world.snooze(7 * DAY);
    world.run(DAY);
    world.said(&[]);
    world.outside.dead.insert(2);
    world.run(2 * HOUR);
    world.said(&[(Changed, MainPasswordReset)]);
    assert!(!world.snoozed());
    world.run(DAY);
    world.said(&[(Changed, MainPasswordReset), (Reminder, MainPasswordReset)]);
}

#[test]
fn nothing_else_ends_a_snooze_but_the_end() {
    let mut world = World::settled(&[2]);
    world.reset('a');
    world.run(2 * HOUR);
    world.log.told.clear();
    world.snooze(7 * DAY);
    world.outside.dead.remove(&2);
    world.event(Event::Check { request: 1, names: vec![name("a1")] });
    world.run(HOUR);
    assert_eq!(world.cause(0), Some(SingleRevocation), "it is another cause now …");
    world.said(&[]);
    assert!(world.snoozed());
    world.outside.dead.clear();
    world.event(Event::Check { request: 2, names: vec![name("a0")] });
    world.run(HOUR);
    world.said(&[(Resolved, SingleRevocation)]);
}

#[test]
fn a_snooze_that_is_taken_back_leaves_the_reminders_as_they_were() {
    let mut world = World::dead_and_told(&[1]);
    world.snooze(7 * DAY);
    world.event(Event::Unsnooze { account: address() });
    assert!(!world.snoozed());
    world.run(23 * HOUR);
    world.said(&[]);
    world.run(2 * HOUR);
    world.said(&[(Reminder, ResetOrRevoked)]);
}

#[test]
fn what_was_not_told_yet_waits_for_the_end_of_a_snooze() {
    let mut world = World::settled(&[1]);
    world.outside.silent_channel = true;
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.snooze(DAY);
    world.outside.silent_channel = false;
    world.run(23 * HOUR);
    world.said(&[]);
    world.run(2 * HOUR);
    world.said(&[(Opened, ResetOrRevoked)]);
}

#[test]
fn a_pause_stops_what_is_done_by_itself_and_nothing_else() {
    let mut world = World::settled(&[2]);
    world.event(Event::Pause { length: None });
    world.run(10 * HOUR);
    assert_eq!(world.log.attempts.len(), 0);
    assert!(world.status()[0].credentials.iter().all(|credential| credential.next_check_at.is_none()));

    world.restart();
    world.run(DAY);
    assert_eq!(world.log.attempts.len(), 0, "it outlives the process");

    world.event(Event::Check { request: 1, names: Vec::new() });
    world.run(HOUR);
    assert_eq!((world.log.attempts.len(), world.log.answered.as_slice()), (4, &[1][..]), "a person is served");

    world.run(5 * DAY);
    world.said(&[]);
    world.event(Event::Resume);
    assert_eq!(world.engine().paused_until(), None);
    world.run(Duration::from_secs(60));
    assert_eq!(world.log.attempts.len(), 8, "what fell due is done at once");
    world.said(&[]);
    assert!(world.credentials().iter().all(|credential| credential.health == Health::Healthy));
}

#[test]
fn a_pause_ends_when_it_was_said_to() {
    let mut world = World::settled(&[1]);
    world.event(Event::Pause { length: Some(DAY) });
    world.run(23 * HOUR);
    assert_eq!(world.log.attempts.len(), 0);
    world.run(2 * HOUR);
    assert_eq!(world.engine().paused_until(), None);
    assert!(world.log.attempts.len() >= 2);
    let before = world.log.attempts.len();
    world.restart();
    world.run(2 * HOUR);
    assert!(world.log.attempts.len() > before, "and stays ended");
}

#[test]
fn a_confirmation_and_a_reminder_wait_for_the_end_of_a_pause() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: Vec::new() });
    assert_eq!(world.health("a0"), Health::Suspect);
    world.event(Event::Pause { length: None });
    world.run(5 * HOUR);
    assert_eq!(world.health("a0"), Health::Suspect);
    world.event(Event::Resume);
    world.run(HOUR);
    world.said(&[(Opened, ResetOrRevoked)]);
    world.log.told.clear();
    world.event(Event::Pause { length: Some(3 * DAY) });
    world.run(71 * HOUR);
    world.said(&[]);
    world.run(2 * HOUR);
    world.said(&[(Reminder, ResetOrRevoked)]);
}

#[test]
fn what_is_lost_again_and_again_is_put_back_ever_later() {
    let mut world = World::settled(&[1]);
    let setup = Setup { channels: vec![Channel::Desktop], ..world.setup().clone() };
    world.configure(setup);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    let incident = world.status()[0].incident.as_ref().unwrap().id;
    world.log.told.clear();
    world.event(Event::NotificationLost(incident));
    world.said(&[(PutBack, ResetOrRevoked)]);
    // A service that dies of it: each time it is shown it is lost.
    for _ in 0..600 {
        world.run(Duration::from_secs(6));
        let before = world.told().len();
        world.event(Event::NotificationLost(incident));
        assert!(world.told().len() <= before + 1);
    }
    let told = world.told();
    let put_back: Vec<u64> = told.iter().map(|one| one.0.since(told[0].0).as_secs() / 60).collect();
    assert_eq!(put_back, [0, 0, 1, 6, 21], "minutes");
    // One that is well loses it only with its session: the next day it stands there at once.
    world.run(2 * HOUR);
    world.log.told.clear();
    world.event(Event::NotificationLost(incident));
    world.said(&[(PutBack, ResetOrRevoked)]);
}

#[test]
fn a_snooze_of_what_is_told_once_ends_without_a_word() {
    let mut world = World::settled(&[1]);
    world.outside.unreadable.insert(name("a0"));
    world.run(26 * HOUR);
    world.said(&[(Opened, IncidentCause::CannotCheck)]);
    world.snooze(HOUR);
    world.run(4 * DAY);
    world.said(&[(Opened, IncidentCause::CannotCheck)]);
}

#[test]
fn what_was_never_on_the_desktop_is_not_put_back_there() {
    let mut world = World::dead_and_told(&[1]);
    let id = world.status()[0].incident.as_ref().unwrap().id;
    world.event(Event::NotificationLost(id));
    world.run(HOUR);
    world.said(&[]);
}

#[test]
fn a_new_password_that_is_dead_as_well_ends_a_snooze() {
    let mut world = World::dead_and_told(&[1]);
    world.snooze(7 * DAY);
    world.outside.holds.insert(name("a0"), 101);
    world.outside.dead.insert(101);
    world.run(3 * HOUR);
    assert!(!world.snoozed());
    world.said(&[(Changed, ResetOrRevoked)]);
}

#[test]
fn a_snooze_taken_back_of_what_is_told_once_brings_no_reminder() {
    let mut world = World::settled(&[1]);
    world.outside.unreadable.insert(name("a0"));
    world.run(26 * HOUR);
    world.snooze(DAY);
    world.event(Event::Unsnooze { account: address() });
    world.run(4 * DAY);
    world.said(&[(Opened, IncidentCause::CannotCheck)]);
}

#[test]
fn a_pause_without_an_end_wakes_nobody() {
    let mut world = World::settled(&[1]);
    world.event(Event::Pause { length: None });
    assert_eq!(world.engine().next_due(), None);
}

#[test]
fn a_snooze_taken_back_puts_the_message_on_the_desktop_again() {
    let mut world = World::settled(&[2]);
    let setup = Setup { channels: Channel::ALL.into(), ..world.setup().clone() };
    world.configure(setup);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.log.told.truncate(3);
    world.snooze(DAY);
    world.event(Event::Unsnooze { account: address() });
    world.outside.dead.insert(2);
    world.run(2 * HOUR);
    let told = world.told();
    assert_eq!(told.iter().filter(|one| one.2 == PutBack).count(), 1, "{told:?}");
    let numbers: BTreeSet<u64> = world.log.told.iter().map(|told| told.order.delivery.id).collect();
    assert!(world.log.attempts.iter().all(|row| !numbers.contains(&row.id)), "each has a number of its own");
}
