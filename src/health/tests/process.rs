//! A process that only does what it is asked for, one that ends, and one that died in the middle of a message.

use super::*;
use crate::health::{event::Memory, outbox::Post};

#[test]
fn a_process_on_request_leaves_routine_and_messages_to_the_daemon() {
    let mut world = World::settled(&[2, 1]);
    world.outside.silent_channel = true;
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Revoked);
    world.outside.silent_channel = false;
    world.outside.dead.insert(3);
    world.log.attempts.clear();
    world.restart_quietly();
    let now = world.now();
    world.engine_mut().only_on_request(now);
    world.run(50 * MIN);
    assert_eq!(world.log.attempts.len(), 0, "no routine");
    world.event(Event::Check { request: 1, names: vec![name("b0")] });
    assert_eq!(world.log.answered, [1]);
    assert!(world.log.attempts.iter().all(|row| row.why != Why::Routine), "{:?}", world.log.attempts);
    assert_eq!(world.health("b0"), Health::Suspect);
    world.said(&[]);
    world.restart_quietly();
    world.run(HOUR);
    assert_eq!(world.told()[0].2, Opened, "the daemon tells what was left, and goes on");
    assert_eq!(world.health("b0"), Health::Revoked);
}

#[test]
fn a_process_that_ends_begins_nothing_and_waits_for_what_is_under_way() {
    let mut world = World::settled(&[1, 1]);
    world.log.attempts.clear();
    world.0.happen(Event::Check { request: 1, names: vec![name("a0")] });
    let now = world.now();
    while world.step(now) {}
    assert!(!world.engine().is_idle());
    world.engine_mut().end();
    world.event(Event::Check { request: 2, names: vec![name("b0")] });
    assert_eq!(world.log.attempts.len(), 1, "the login under way is heard, and no other is made");
    assert!(world.engine().is_idle());
    let asked = (world.log.attempts[0].credential.clone(), world.log.attempts[0].service);
    assert_eq!(asked, (name("a0"), Service::Imap));
}

impl World {
    /// The process is replaced by another that has not begun yet.
    fn restart_quietly(&mut self) {
        self.0.restart(Duration::ZERO);
    }

    /// The only password of the account dies, and the process in the moment in which the messages were handed over.
    fn died_while_telling() -> Self {
        let mut world = Self::new(&[1]);
        let mut setup = world.setup().clone();
        setup.channels = vec![Channel::Desktop, Channel::Hook];
        world.configure(setup);
        world.run(3 * HOUR);
        world.outside.dead.insert(1);
        let end = world.now() + 2 * HOUR;
        while world.log.told.is_empty() {
            assert!(world.step(end), "nothing was told");
        }
        for channel in [Channel::Desktop, Channel::Hook] {
            assert!(world.hands_over(channel));
        }
        assert_eq!(world.log.told.len(), 2);
        world.log.told.clear();
        world
    }

    /// Whether a message is on its way on this channel.
    fn hands_over(&self, channel: Channel) -> bool {
        let mut messages = self.engine().accounts.iter().flat_map(|account| account.outbox.all());
        messages.any(|message| message.channel == channel && matches!(message.state, Post::Underway { .. }))
    }

    fn told_on(&self, channel: Channel) -> Vec<Tidings> {
        let on = self.log.told.iter().filter(|told| told.order.delivery.channel == channel);
        on.map(|told| told.order.delivery.tidings).collect()
    }
}

#[test]
fn what_was_handed_over_when_the_process_died_counts_as_told() {
    let mut world = World::died_while_telling();
    world.restart();
    assert!(!world.hands_over(Channel::Desktop) && !world.hands_over(Channel::Hook));
    assert_eq!(world.told_on(Channel::Hook), [], "perhaps it was told: not a second time");
    assert_eq!(world.told_on(Channel::Desktop), [PutBack], "without a sound, it may be there already");
    assert!(world.status()[0].incident.as_ref().unwrap().notified_at.is_some());
    assert_eq!(world.memory().accounts["a@icloud.com"].deliveries.len(), 3, "each has a number of its own");
    world.run(DAY + HOUR);
    assert_eq!(world.told_on(Channel::Hook), [Reminder]);
    assert_eq!(world.told_on(Channel::Desktop), [PutBack, Reminder]);
}

#[test]
fn what_was_snoozed_when_the_process_died_is_not_put_back() {
    let mut world = World::died_while_telling();
    world.0.happen(Event::Snooze { account: Address::new("a@icloud.com").unwrap(), length: 2 * HOUR });
    let now = world.now();
    while world.step(now) && world.status()[0].incident.as_ref().unwrap().snoozed_until.is_none() {}
    world.restart();
    assert_eq!(world.told_on(Channel::Desktop), []);
    world.run(3 * HOUR);
    assert_eq!(world.told_on(Channel::Desktop), [Reminder]);
}

#[test]
fn a_hook_that_was_run_when_the_process_died_puts_nothing_on_the_desktop() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    let end = world.now() + 2 * HOUR;
    while world.log.told.is_empty() {
        assert!(world.step(end), "nothing was told");
    }
    assert!(world.hands_over(Channel::Hook) && !world.hands_over(Channel::Desktop));
    world.restart();
    world.run(HOUR);
    assert_eq!((world.told_on(Channel::Hook), world.told_on(Channel::Desktop)), (vec![Opened], vec![]));
}

#[test]
fn a_message_that_was_given_when_the_process_died_is_not_given_again_at_whatever_try_and_counts_as_told() {
    for channel in [Channel::Hook, Channel::Desktop] {
        given_when_the_process_died(channel);
    }
}

fn given_when_the_process_died(channel: Channel) {
    let mut world = World::settled(&[1]);
    let setup = Setup { channels: vec![channel], ..world.setup().clone() };
    world.configure(setup);
    world.outside.silent_channel = true;
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.outside.silent_channel = false;
    let (tries, end) = (world.log.told.len(), world.now() + 2 * HOUR);
    assert!(tries > 1);
    while world.log.told.len() == tries {
        assert!(world.step(end));
    }
    let newest = world.memory().last_id;
    world.restart();
    world.run(25 * HOUR);
    if channel == Channel::Desktop {
        world.said(&[(Opened, ResetOrRevoked), (PutBack, ResetOrRevoked), (Reminder, ResetOrRevoked)]);
        let put_back = world.log.told.iter().find(|told| told.order.delivery.tidings == PutBack).unwrap();
        assert!(put_back.order.delivery.id > newest, "with a number that nothing else has");
    } else {
        world.said(&[(Opened, ResetOrRevoked), (Reminder, ResetOrRevoked)]);
    }
}

#[test]
fn who_ends_waits_for_a_hook_and_for_no_desktop() {
    for (channel, waits) in [(Channel::Hook, true), (Channel::Desktop, false)] {
        let mut world = World::settled(&[1]);
        let setup = Setup { channels: vec![channel], ..world.setup().clone() };
        world.configure(setup);
        world.outside.dead.insert(1);
        let (mut telling, end) = (false, world.now() + 2 * HOUR);
        while world.step(end) {
            telling |= world.engine().is_telling();
        }
        world.said(&[(Opened, ResetOrRevoked)]);
        assert_eq!((telling, world.engine().is_telling()), (waits, false), "{channel}");
    }
}

#[test]
fn where_the_state_was_lost_all_failed_logins_count_as_spent_for_a_day() {
    let world = World::new(&[1]);
    let memory = Memory { lost_at: Some(world.now()), ..Memory::default() };
    let (setup, now) = (world.setup().clone(), world.now());
    let mut world = World(Stage::with_memory(setup, memory, world.0.outside, 7, now));
    let stranger = Address::new("stranger@icloud.com").unwrap();
    world.run(23 * HOUR);
    assert!(world.log.attempts.is_empty());
    assert_eq!(world.engine().logins_left(&stranger, world.now()), 0);
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
    assert_eq!(world.engine().logins_left(&stranger, world.now()), 12);
}
