//! From a first refusal to a verdict, and what keeps one back.

use super::*;

#[test]
fn a_healthy_world_is_asked_on_the_interval_and_tells_nothing() {
    let mut world = World::settled(&[2, 1]);
    world.run(10 * HOUR);
    assert_eq!(world.log.attempts.len(), 3 * 2 * 10, "three passwords on two services, ten times");
    world.said(&[]);
}

#[test]
fn an_only_password_that_dies_is_told_after_three_refused_rounds() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    let at: Vec<u64> = world.rejected().iter().map(|row| row.at.since(world.rejected()[0].at).as_secs()).collect();
    assert_eq!(at.len(), 4, "two in the first round, one in each confirmation: {at:?}");
    assert_eq!((at[2], at[3]), (120, 900));
    assert_eq!(world.health("a0"), Health::Revoked);
    world.said(&[(Opened, ResetOrRevoked)]);
    let changes: Vec<(Health, Health)> = world.log.transitions.iter().map(|t| (t.from, t.to)).collect();
    assert_eq!(changes, [(Health::Healthy, Health::Suspect), (Health::Suspect, Health::Revoked)]);
}

#[test]
fn with_a_living_sibling_two_refused_rounds_suffice_and_it_was_revoked_alone() {
    let mut world = World::settled(&[3]);
    world.outside.dead.insert(2);
    world.run(2 * HOUR);
    assert_eq!(world.rejected().len(), 3, "corroborated by the sibling, strong at first");
    assert_eq!(world.health("a1"), Health::Revoked);
    assert_eq!(world.health("a0"), Health::Healthy);
    assert_eq!(world.cause(0), Some(SingleRevocation));
    world.said(&[(Opened, SingleRevocation)]);
}

#[test]
fn a_reset_of_the_main_password_is_told_once_with_its_cause() {
    for count in [2, 3, 4, 5, 12, 25] {
        let mut world = World::settled(&[count]);
        world.reset('a');
        world.run(3 * HOUR);
        let first = world.rejected()[0].at;
        assert!(world.rejected().len() <= 9, "{count} passwords cost {} failed logins", world.rejected().len());
        assert!(world.credentials().iter().all(|c| c.health == Health::Revoked), "{count}");
        world.said(&[(Opened, MainPasswordReset)]);
        assert!(world.told()[0].0.since(first) <= 20 * MIN, "{count}: told after {:?}", world.told()[0].0.since(first));
        let incident = world.status()[0].incident.clone().unwrap();
        assert_eq!(incident.credentials.len(), count);
        let (accepted, refused) = incident.began_between;
        assert!(accepted.unwrap() < refused && refused.since(accepted.unwrap()) <= HOUR);
    }
}

#[test]
fn another_account_that_lives_corroborates_a_reset() {
    let mut world = World::settled(&[3, 1]);
    world.reset('a');
    world.run(3 * HOUR);
    world.said(&[(Opened, MainPasswordReset)]);
    let wait = world.told()[0].0.since(world.rejected()[0].at);
    assert!(wait <= 3 * MIN, "told after {wait:?}");
    assert_eq!(world.health("b0"), Health::Healthy);
}

#[test]
fn an_outage_that_refuses_everybody_is_held_back_where_two_accounts_see_it() {
    let mut world = World::settled(&[2, 2]);
    world.outside.weather = PerService { imap: Weather::RefusesAll, smtp: Weather::RefusesAll };
    world.run(5 * HOUR);
    world.said(&[]);
    assert!(
        world
            .status()
            .iter()
            .any(|a| a.incident.as_ref().is_some_and(|i| i.cause == IncidentCause::ProviderOutageSuspected))
    );
    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.run(8 * HOUR);
    world.said(&[]);
    assert!(world.credentials().iter().all(|c| c.health == Health::Healthy));
}

#[test]
fn an_answer_of_unavailable_since_the_last_acceptance_holds_a_verdict_back() {
    let mut world = World::settled(&[1]);
    world.outside.weather =
        PerService { imap: Weather::Silent(Cause::Unavailable), smtp: Weather::Silent(Cause::Unavailable) };
    world.run(90 * MIN);
    world.outside.weather = PerService { imap: Weather::RefusesAll, smtp: Weather::RefusesAll };
    world.run(4 * HOUR);
    world.said(&[]);
    assert_eq!(world.health("a0"), Health::Suspect);
    world.run(4 * HOUR);
    world.said(&[(Opened, ResetOrRevoked)]);
}

#[test]
fn nothing_but_refusals_leads_to_revoked() {
    for cause in Cause::ALL {
        let mut world = World::settled(&[2, 1]);
        world.outside.weather = PerService { imap: Weather::Silent(cause), smtp: Weather::Silent(cause) };
        world.run(12 * DAY / 24);
        assert!(world.credentials().iter().all(|c| !c.health.is_dead()), "{cause}");
        world.said(&[]);
    }
}

#[test]
fn a_service_that_refuses_while_the_other_accepts_rests_and_kills_nobody() {
    let mut world = World::settled(&[2]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.run(12 * HOUR);
    assert_eq!(world.health("a0"), Health::Degraded);
    assert!(world.rejected().len() <= 6, "{}", world.rejected().len());
    world.said(&[]);
    world.outside.weather.smtp = Weather::Fine;
    world.run(18 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn who_waits_for_a_leader_leads_when_that_one_is_replaced() {
    let mut world = World::settled(&[2]);
    world.reset('a');
    while world.health("a1") != Health::Suspect || world.health("a0") != Health::Suspect {
        world.run(MIN);
        assert_eq!(world.told().len(), 0);
    }
    let leader =
        world.log.attempts.iter().find(|row| row.outcome.finding == Finding::Rejected).unwrap().credential.clone();
    let waiting = if leader == name("a0") { "a1" } else { "a0" };
    world.outside.holds.insert(leader, 101);
    world.run(2 * HOUR);
    assert_eq!(world.health(waiting), Health::Revoked);
}

#[test]
fn a_restart_changes_no_verdict_repeats_no_message_forgets_no_failed_login() {
    let mut world = World::settled(&[1, 2]);
    world.outside.dead.insert(1);
    for _ in 0..240 {
        world.run(MIN);
        world.restart();
    }
    assert_eq!(world.health("a0"), Health::Revoked);
    world.said(&[(Opened, ResetOrRevoked)]);
    assert!(world.rejected().len() <= 4 + 3);
}

#[test]
fn after_a_lost_connection_nobody_is_asked_again_within_half_a_minute() {
    let lost = Weather::Silent(Cause::ConnectionLost);
    let late = Weather::Silent(Cause::TimedOut);
    for (imap, smtp, slow) in [(lost, late, true), (late, lost, true), (late, late, false)] {
        let mut world = World::new(&[1; 12]);
        world.outside.weather = PerService { imap, smtp };
        world.run(2 * MIN);
        let wait = |account: usize| {
            let address = world.status()[account].address.clone();
            let of = world.log.attempts.iter().filter(|row| row.account == address && row.service == Service::Imap);
            let at: Vec<Timestamp> = of.map(|row| row.at).collect();
            at[1].since(at[0])
        };
        let shortest = (0..12).map(wait).min().unwrap();
        assert_eq!(shortest >= MIN / 2, slow, "{imap:?} {smtp:?}: {shortest:?}");
    }
}

#[test]
fn what_is_to_be_asked_again_rests_while_another_secret_leads() {
    let mut world = World::settled(&[3]);
    world.outside.weather =
        PerService { imap: Weather::Silent(Cause::TimedOut), smtp: Weather::Silent(Cause::TimedOut) };
    world.event(Event::Check { request: 1, names: vec![name("a2")] });
    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 2, names: vec![name("a0")] });
    world.log.attempts.clear();
    // Its minute passes before the leader's first confirmation.
    world.run(90 * MIN / 60);
    assert!(world.log.attempts.is_empty(), "{:?}", world.log.attempts);
    world.run(2 * HOUR);
    assert_eq!((world.health("a0"), world.health("a2")), (Health::Revoked, Health::Healthy));
}
