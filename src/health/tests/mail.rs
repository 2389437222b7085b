//! A login that is lent to a message, and what keeps messages from going out.

use super::*;
use crate::health::{
    event::{Action, Record},
    mail::{Loan, Mailed, NoLoan},
};

fn loan(secret: u8) -> Loan {
    Loan {
        account: Address::new("a@icloud.com").unwrap(),
        credential: Some(name("a0")),
        fingerprint: fingerprint(0, secret),
    }
}

fn ended(loan: Loan, login: u64, rejected: bool) -> Event {
    let trouble = rejected.then(|| ("refused".to_owned(), Some(Digest([9; 32]))));
    let result = if rejected { Handover::Failed } else { Handover::Done(None) };
    Event::Mailed(Mailed { id: 0, lent: Some((loan, login)), rejected, result, trouble })
}

#[test]
fn a_healthy_login_is_lent_and_no_round_of_its_account_begins_meanwhile() {
    let world = World::settled(&[1, 1]);
    let (mut engine, now) = (world.engine().clone(), world.now());
    let (login, actions) = engine.lend(&loan(1), now).unwrap();
    assert!(matches!(actions.as_slice(), [Action::Record(Record::Spent { .. })]), "{actions:?}");
    assert_eq!(engine.lend(&loan(1), now).unwrap_err(), NoLoan::Busy);
    let later = now + 2 * HOUR;
    let rounds = |actions: &[Action]| {
        let read =
            |action: &Action| matches!(action, Action::ReadSecret { credential, .. } if *credential == name("a0"));
        actions.iter().filter(|action| read(action)).count()
    };
    assert_eq!(rounds(&engine.handle(Event::Timer, later)), 0);
    let actions = engine.handle(ended(loan(1), login, false), later);
    assert!(actions.iter().any(|action| matches!(action, Action::Record(Record::GivenBack { .. }))), "{actions:?}");
    assert_eq!(rounds(&actions), 1, "what was due begins now");
    assert_eq!(engine.mail_trouble(), None);
}

#[test]
fn a_message_that_went_out_is_no_reason_to_look() {
    let world = World::settled(&[1, 1]);
    let (mut engine, now) = (world.engine().clone(), world.now());
    let (login, _) = engine.lend(&loan(1), now).unwrap();
    let actions = engine.handle(ended(loan(1), login, false), now);
    assert!(!actions.iter().any(|action| matches!(action, Action::ReadSecret { .. })), "{actions:?}");
}

#[test]
fn one_that_smtp_refuses_is_not_lent_and_one_that_only_imap_refuses_is() {
    let lend = |refusing: Service| {
        let mut world = World::settled(&[1]);
        *world.outside.weather.of_mut(refusing) = Weather::RefusesAll;
        world.event(Event::Check { request: 1, names: Vec::new() });
        assert_eq!(world.health("a0"), Health::Degraded);
        world.engine().clone().lend(&loan(1), world.now()).map(drop)
    };
    assert_eq!(lend(Service::Smtp), Err(NoLoan::Unhealthy(Health::Degraded)));
    assert_eq!(lend(Service::Imap), Ok(()));
}

#[test]
fn mail_waits_while_no_server_takes_it_and_what_waits_for_others_is_no_mail() {
    for channel in Channel::ALL {
        let mut world = World::settled(&[1]);
        let setup = Setup { channels: vec![channel], ..world.setup().clone() };
        world.configure(setup);
        world.outside.silent_channel = true;
        world.outside.dead.insert(1);
        assert!(!world.engine().has_mail_waiting());
        world.run(2 * HOUR);
        assert_eq!(world.engine().has_mail_waiting(), channel == Channel::Email);
        world.outside.silent_channel = false;
        world.run(2 * HOUR);
        world.said(&[(Opened, ResetOrRevoked)]);
        assert!(!world.engine().has_mail_waiting());
    }
}

#[test]
fn a_refused_message_costs_a_failed_login_and_has_its_password_asked_at_once() {
    let world = World::settled(&[1]);
    let (mut engine, now) = (world.engine().clone(), world.now());
    let (login, _) = engine.lend(&loan(1), now).unwrap();
    let actions = engine.handle(ended(loan(1), login, true), now);
    assert!(actions.iter().any(|action| matches!(action, Action::ReadSecret { .. })), "{actions:?}");
    let account = &engine.status(now)[0];
    assert_eq!(account.failed_logins_24h, 1);
    assert_eq!(account.credentials[0].health, Health::Healthy, "it is no evidence");
    assert_eq!(engine.mail_trouble().unwrap().refused, Some(Digest([9; 32])));
    for (result, remembered) in [(Handover::NotBefore(now + HOUR), true), (Handover::Done(None), false)] {
        let mailed = Mailed { id: 0, lent: None, rejected: false, result, trouble: None };
        let mut engine = engine.clone();
        drop(engine.handle(Event::Mailed(mailed), now));
        assert_eq!(engine.mail_trouble().is_some(), remembered, "only a message that went out ends it");
    }
    drop(engine.handle(Event::Reloaded, now));
    assert_eq!(engine.mail_trouble(), None);
}

#[test]
fn no_dead_doubted_or_untried_password_is_lent() {
    let mut world = World::settled(&[1]);
    let lend = |world: &World, secret| world.engine().clone().lend(&loan(secret), world.now()).map(drop).unwrap_err();
    assert_eq!(lend(&world, 2), NoLoan::Untried, "another secret than the one that was accepted");
    world.event(Event::Pause { length: None });
    assert_eq!(lend(&world, 1), NoLoan::Paused);
    world.event(Event::Resume);
    world.event(Event::Network { up: false, recheck: true });
    assert_eq!(lend(&world, 1), NoLoan::Paused, "without a network");
    world.event(Event::Network { up: true, recheck: true });
    assert_eq!(lend(&world, 1), NoLoan::Paused, "until it has settled");
    world.run(HOUR);
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: Vec::new() });
    assert_eq!(lend(&world, 1), NoLoan::Unhealthy(Health::Suspect));
    world.run(2 * HOUR);
    assert_eq!(lend(&world, 1), NoLoan::Dead);
    let server = Loan { credential: None, ..loan(1) };
    assert_eq!(world.engine().clone().lend(&server, world.now()).unwrap_err(), NoLoan::Dead, "by whatever way");
}

#[test]
fn the_ration_holds_for_messages_too() {
    let world = World::settled(&[1]);
    let (mut engine, now) = (world.engine().clone(), world.now());
    let anybody = Loan { credential: None, ..loan(1) };
    let mut lent = 0;
    while let Ok((login, _)) = engine.lend(&anybody, now) {
        drop(engine.handle(ended(Loan { fingerprint: fingerprint(0, 7), ..anybody.clone() }, login, true), now));
        lent += 1;
    }
    assert_eq!(lent, 8, "twelve, less what is kept for people and re-tests");
    assert!(matches!(engine.lend(&anybody, now), Err(NoLoan::RationUsedUp(at)) if at > now));
}
