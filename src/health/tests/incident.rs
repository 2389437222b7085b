//! What people are told of: once, with its cause, and its end.

use super::*;

#[test]
fn a_false_alarm_is_withdrawn() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.outside.dead.clear();
    world.run(4 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
    world.said(&[(Opened, ResetOrRevoked), (Resolved, ResetOrRevoked)]);
}

#[test]
fn a_message_that_cannot_go_out_waits_until_it_can() {
    let mut world = World::settled(&[1]);
    world.outside.silent_channel = true;
    world.outside.dead.insert(1);
    world.run(5 * HOUR);
    world.said(&[]);
    world.outside.silent_channel = false;
    world.event(Event::ChannelReady(Channel::Hook));
    world.said(&[(Opened, ResetOrRevoked)]);
}

#[test]
fn a_cause_that_changes_is_in_the_history_beside_the_old_one() {
    let mut world = World::settled(&[2]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.outside.dead.insert(2);
    world.run(2 * HOUR);
    let of = |credential: &str| -> Vec<(Health, Health, Option<IncidentCause>)> {
        let all = world.log.transitions.iter().filter(|t| t.credential == name(credential));
        all.map(|t| (t.from, t.to, t.cause)).collect()
    };
    let (healthy, suspect, revoked) = (Health::Healthy, Health::Suspect, Health::Revoked);
    assert_eq!(
        of("a0"),
        [
            (healthy, suspect, None),
            (suspect, revoked, Some(ResetOrRevoked)),
            (revoked, revoked, Some(SingleRevocation)),
            (revoked, revoked, Some(MainPasswordReset))
        ]
    );
    assert_eq!(
        of("a1"),
        [(healthy, suspect, Some(SingleRevocation)), (suspect, revoked, Some(MainPasswordReset))],
        "no second row where the health changed anyhow"
    );
    assert_eq!(world.credentials()[0].since, Some(world.log.transitions[1].at), "the health is as old as it was");
    let why = |credential: &str| -> Vec<String> {
        let all = world.log.transitions.iter().filter(|t| t.credential == name(credential));
        all.map(|t| t.reason.clone()).collect()
    };
    let confirmed = "refusal confirmed by imap and smtp";
    let causes = ["the cause was reset-or-revoked", "the cause was single-revocation"];
    assert_eq!(why("a0"), ["refused by imap and smtp", confirmed, causes[0], causes[1]]);
    assert_eq!(why("a1"), ["refused by imap and smtp", confirmed], "its own reason where it changed itself");
}

#[test]
fn one_suspect_on_the_way_and_a_sibling_more_dead_make_one_incident_that_changes() {
    let mut world = World::settled(&[2]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.said(&[(Opened, SingleRevocation)]);
    world.outside.dead.insert(2);
    world.run(3 * HOUR);
    world.said(&[(Opened, SingleRevocation), (Changed, MainPasswordReset)]);
    let (died, told) = (world.log.transitions.iter().rfind(|t| t.to == Health::Revoked).unwrap().at, world.told()[1].0);
    assert!(told.since(died) < Duration::from_secs(1), "nobody is left to be asked: told at once");
}

#[test]
fn where_nobody_can_say_what_happened_it_is_told_after_half_a_minute() {
    let mut world = World::settled(&[2]);
    world.outside.unreadable.insert(name("a1"));
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.run(30 * MIN);
    world.said(&[(Opened, ResetOrRevoked)]);
    let died = world.log.transitions.iter().find(|t| t.to == Health::Revoked).unwrap().at;
    assert_eq!(world.told()[0].0.since(died), Duration::from_secs(30));
}

#[test]
fn an_account_that_leaves_takes_its_incident_with_it() {
    for restart in [false, true] {
        let mut world = World::settled(&[1, 1]);
        world.outside.dead.insert(1);
        world.run(8 * HOUR);
        world.said(&[(Opened, ResetOrRevoked)]);
        let all = world.setup().clone();
        let mut fewer = all.clone();
        fewer.accounts.remove(0);
        if restart {
            world.restart_with(fewer, Duration::ZERO);
        } else {
            world.configure(fewer);
        }
        world.event(Event::Timer);
        world.said(&[(Opened, ResetOrRevoked), (Resolved, ResetOrRevoked)]);
        assert_eq!(world.status().len(), 1);
        // Back again: the dead secret is known without a login, and that is news.
        let spent = world.outside.refusals.len();
        world.configure(all);
        world.run(MIN);
        assert_eq!(world.health("a0"), Health::Revoked);
        assert_eq!(world.outside.refusals.len(), spent);
        world.said(&[(Opened, ResetOrRevoked), (Resolved, ResetOrRevoked), (Opened, ResetOrRevoked)]);
    }
}

#[test]
fn an_incident_that_nobody_is_told_of_is_kept_all_the_same() {
    let mut world = World::settled(&[1, 1]);
    let mut setup = world.setup().clone();
    setup.channels = Vec::new();
    world.configure(setup);
    world.outside.dead.extend([1, 2]);
    world.run(9 * HOUR);
    let open = |world: &World| [0, 1].map(|at| world.status()[at].incident.clone().unwrap());
    let before = open(&world);
    assert_ne!(before[0].id, before[1].id);
    world.restart();
    assert_eq!(open(&world), before);
    assert_eq!(world.cause(0), Some(ResetOrRevoked));
    world.said(&[]);
}

#[test]
fn the_end_of_an_incident_is_kept_until_it_was_told() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.outside.silent_channel = true;
    world.outside.holds.insert(name("a0"), 101);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!((world.health("a0"), world.cause(0)), (Health::Healthy, None));
    let stored = |world: &World| world.memory().accounts["a@icloud.com"].clone();
    assert!(stored(&world).incidents[0].incident.resolved_at.is_some());
    world.restart();
    world.said(&[(Opened, ResetOrRevoked)]);
    world.outside.silent_channel = false;
    world.event(Event::ChannelReady(Channel::Hook));
    world.said(&[(Opened, ResetOrRevoked), (Resolved, ResetOrRevoked)]);
    assert!(stored(&world).deliveries.iter().all(|delivery| delivery.state.is_settled()));
    world.restart();
    world.run(2 * DAY);
    world.said(&[(Opened, ResetOrRevoked), (Resolved, ResetOrRevoked)]);
    assert!(stored(&world).incidents.is_empty(), "told and forgotten");
}

#[test]
fn who_ails_as_long_joins_without_a_word_and_once() {
    let mut world = World::settled(&[3]);
    world.outside.unreadable.insert(name("a0"));
    world.run(2 * HOUR);
    world.outside.unreadable.insert(name("a1"));
    world.run(30 * HOUR);
    let members = |world: &World| world.status()[0].incident.clone().unwrap().credentials;
    assert_eq!(members(&world), [name("a0"), name("a1")]);
    world.said(&[(Opened, IncidentCause::CannotCheck)]);
    world.outside.unreadable.remove(&name("a0"));
    world.run(2 * HOUR);
    assert_eq!(world.cause(0), Some(IncidentCause::CannotCheck), "over with all of it");
    world.outside.unreadable.clear();
    world.run(2 * HOUR);
    world.said(&[(Opened, IncidentCause::CannotCheck), (Resolved, IncidentCause::CannotCheck)]);
}

#[test]
fn what_could_not_be_read_and_is_dead_makes_the_same_incident_worse() {
    let mut world = World::settled(&[1]);
    world.outside.unreadable.insert(name("a0"));
    world.run(26 * HOUR);
    let before = world.status()[0].incident.clone().unwrap();
    assert!(before.notified_at.is_some());
    world.outside.unreadable.clear();
    world.outside.dead.insert(1);
    world.run(3 * HOUR);
    let after = world.status()[0].incident.clone().unwrap();
    assert_eq!((after.id, after.notified_at, after.cause), (before.id, before.notified_at, ResetOrRevoked));
    world.said(&[(Opened, IncidentCause::CannotCheck), (Changed, ResetOrRevoked)]);
}

#[test]
fn the_end_names_all_that_were_affected_those_removed_in_between_as_well() {
    let mut world = World::settled(&[3]);
    world.reset('a');
    world.run(HOUR + 30 * MIN);
    assert_eq!(world.cause(0), Some(MainPasswordReset));
    world.outside.holds.insert(name("a0"), 101);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    let mut setup = world.setup().clone();
    setup.accounts[0].1.remove(2);
    world.configure(setup);
    world.outside.holds.insert(name("a1"), 102);
    world.event(Event::Check { request: 2, names: vec![name("a1")] });
    world.said(&[(Opened, MainPasswordReset), (Resolved, MainPasswordReset)]);
    let over = world.log.told[1].order.account.incident.clone().unwrap();
    // The words of the message tell them apart: what is not configured any more is not said to work.
    assert_eq!(over.credentials, [name("a0"), name("a2"), name("a1")]);
    assert!(!over.withdrawn, "other passwords work, not those that were dead");
}

#[test]
fn one_repaired_and_broken_again_joins_once_more() {
    let mut world = World::settled(&[2]);
    world.reset('a');
    world.run(HOUR + 30 * MIN);
    world.outside.holds.insert(name("a0"), 101);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.status()[0].incident.clone().unwrap().credentials, [name("a1")]);
    // The new one dies as well, and its credential is removed.
    world.outside.dead.insert(101);
    world.run(DAY + 3 * HOUR);
    assert_eq!(world.status()[0].incident.clone().unwrap().credentials, [name("a1"), name("a0")]);
    let mut setup = world.setup().clone();
    setup.accounts[0].1.remove(0);
    world.configure(setup);
    world.outside.holds.insert(name("a1"), 102);
    world.event(Event::Check { request: 2, names: vec![name("a1")] });
    let over = world.log.told.last().unwrap().order.clone();
    assert_eq!(over.delivery.tidings, Resolved);
    assert_eq!(
        over.account.incident.unwrap().credentials,
        [name("a0"), name("a1")],
        "a0 is gone, and so is its trouble"
    );
}

#[test]
fn a_service_that_refuses_from_the_first_day_on_is_told_after_it() {
    let mut world = World::new(&[1]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.run(23 * HOUR);
    assert_eq!(world.health("a0"), Health::Degraded);
    assert_eq!(world.log.transitions[0].reason, "accepted, but refused by smtp");
    world.said(&[]);
    world.run(2 * HOUR);
    world.said(&[(Opened, IncidentCause::ServiceRefused)]);
}

#[test]
fn a_sibling_that_cannot_be_asked_keeps_the_message_back_for_half_a_minute_only() {
    let mut world = World::settled(&[3, 1]);
    world.outside.unreadable.insert(name("a2"));
    world.reset('a');
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.run(5 * MIN);
    world.said(&[(Opened, MainPasswordReset)]);
    let wait = world.told()[0].0.since(world.rejected()[0].at);
    assert!(wait < 3 * MIN, "{wait:?}");
}

#[test]
fn what_is_over_names_each_that_was_repaired_whenever_that_was() {
    let mut world = World::settled(&[3]);
    world.reset('a');
    world.run(2 * HOUR);
    for at in [1, 0, 2] {
        world.said(&[(Opened, MainPasswordReset)]);
        world.outside.holds.insert(name(&format!("a{at}")), 100 + at);
        world.run(2 * HOUR);
    }
    let (_, tidings, account) = world.log.incidents.last().unwrap();
    let names: Vec<&str> = account.incident.as_ref().unwrap().credentials.iter().map(CredentialName::as_str).collect();
    assert_eq!((*tidings, names), (Resolved, vec!["a1", "a0", "a2"]));
}
