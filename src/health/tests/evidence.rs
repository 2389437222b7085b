//! What counts as evidence and what corroborates it; when the guard lets go; who rests meanwhile.

use super::*;

impl World {
    fn uses(&mut self, account: usize, credential: usize, services: Services) {
        let mut setup = self.setup().clone();
        setup.accounts[account].1[credential].services = services;
        self.configure(setup);
    }

    fn check(&mut self, credential: &str) {
        self.event(Event::Check { request: 1, names: vec![name(credential)] });
    }

    /// Minutes from the first refusal to each confirmation of a credential, and on which service.
    fn confirmed(&self, credential: &str) -> Vec<(u64, Service)> {
        let first = self.rejected()[0].at;
        let of = |row: &&AttemptRow| row.credential == name(credential) && row.why == Why::Confirm;
        self.log.attempts.iter().filter(of).map(|row| (row.at.since(first).as_secs() / 60, row.service)).collect()
    }
}

#[test]
fn after_a_weak_refusal_a_third_is_needed_even_where_it_is_corroborated() {
    let mut world = World::new(&[2]);
    world.uses(0, 0, Services::only(Service::Imap));
    world.run(3 * HOUR);
    world.log.attempts.clear();
    world.outside.dead.insert(1);
    world.check("a0");
    world.run(10 * MIN);
    assert_eq!(world.health("a0"), Health::Suspect);
    world.run(10 * MIN);
    assert_eq!(world.confirmed("a0"), [(2, Service::Imap), (15, Service::Imap)]);
    let rules = world.rules("a0");
    assert_eq!(rules[rules.len() - 3..], [Rule::FirstRefusal { strong: false }, Rule::Counted, Rule::Corroborated]);
}

#[test]
fn a_service_that_refused_all_along_confirms_nothing() {
    let mut world = World::settled(&[1]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.run(90 * MIN);
    assert_eq!(world.health("a0"), Health::Degraded);
    world.log.attempts.clear();
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Revoked);
    assert_eq!(world.confirmed("a0"), [(2, Service::Imap), (15, Service::Imap)]);
}

#[test]
fn an_acceptance_on_a_service_that_did_not_refuse_corroborates_nothing() {
    let mut world = World::new(&[1, 1]);
    world.uses(0, 0, Services::only(Service::Imap));
    world.uses(1, 0, Services::only(Service::Smtp));
    world.run(3 * HOUR);
    world.outside.dead.insert(1);
    world.check("a0");
    for _ in 0..20 {
        world.run(MIN);
        world.check("b0");
    }
    assert_eq!((world.health("a0"), world.health("b0")), (Health::Revoked, Health::Healthy));
    assert_eq!(world.rules("a0").last(), Some(&Rule::ConfirmedTwice));
}

#[test]
fn confirmations_are_later_by_the_jitter_and_never_sooner() {
    for interval in 50..62 {
        let mut world = World::with(&[1], Policy { interval: interval * MIN, ..Policy::default() });
        world.run(3 * HOUR);
        world.outside.dead.insert(1);
        world.check("a0");
        world.run(30 * MIN);
        let minutes: Vec<u64> = world.confirmed("a0").iter().map(|(minutes, _)| *minutes).collect();
        assert!(minutes[0] == 2 && (15..=18).contains(&minutes[1]), "{minutes:?}");
    }
}

#[test]
fn the_hold_counts_from_the_first_refusal_and_does_not_start_again() {
    let mut world = World::settled(&[1, 1]);
    let refuses = PerService { imap: Weather::RefusesAll, smtp: Weather::RefusesAll };
    let unavailable = Weather::Silent(Cause::Unavailable);
    world.outside.weather = refuses;
    world.check("a0");
    world.run(200 * MIN);
    world.outside.weather = PerService { imap: unavailable, smtp: unavailable };
    world.run(100 * MIN);
    world.outside.weather = refuses;
    world.run(59 * MIN);
    assert_eq!(world.health("a0"), Health::Suspect);
    world.run(2 * MIN);
    assert_eq!(world.health("a0"), Health::Revoked);
    assert_eq!(world.rules("a0").last(), Some(&Rule::HoldOver));
}

#[test]
fn while_one_leads_its_siblings_are_not_asked_for_the_interval_or_a_start() {
    let mut world = World::settled(&[3]);
    world.outside.dead.insert(1);
    world.run(59 * MIN);
    world.log.attempts.clear();
    world.check("a0");
    // The interval of the siblings ends, and the process starts anew, before the first confirmation.
    world.run(MIN);
    world.restart();
    world.run(MIN / 2);
    let asked: Vec<_> = world.log.attempts.iter().filter(|row| row.credential != name("a0")).collect();
    assert_eq!(asked.iter().map(|row| row.why).collect::<Vec<_>>(), [Why::Canary(Service::Imap)], "{asked:?}");
}

#[test]
fn a_check_that_comes_too_early_is_shown_and_rationed_and_does_not_count() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.check("a0");
    world.run(MIN);
    world.check("a0");
    assert_eq!(world.rules("a0").last(), Some(&Rule::TooSoon));
    let status = world.status().remove(0);
    assert_eq!(status.failed_logins_24h, 4, "two rounds on two services");
    assert!(status.credentials[0].services.iter().all(|service| world.now().since(service.at) < MIN));
    world.run(2 * MIN);
    assert_eq!(world.health("a0"), Health::Suspect, "one confirmation, not two");
}

#[test]
fn what_accepted_just_before_the_other_refused_is_asked_once_more_after_a_minute() {
    let mut world = World::settled(&[1]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.check("a0");
    world.run(MIN / 2);
    assert_eq!(world.health("a0"), Health::Degraded);
    let before = world.log.attempts.len();
    world.run(20 * MIN);
    let again: Vec<Service> = world.log.attempts[before..].iter().map(|row| row.service).collect();
    assert_eq!(
        (again, world.health("a0")),
        (vec![Service::Imap], Health::Degraded),
        "it lives, and that is the end of it"
    );

    // It died between the two logins of a check.
    let mut world = World::settled(&[1]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.check("a0");
    world.run(MIN / 2);
    world.outside.weather.smtp = Weather::Fine;
    world.outside.dead.insert(1);
    world.run(MIN);
    assert_eq!(world.health("a0"), Health::Suspect);
    world.run(20 * MIN);
    assert_eq!((world.health("a0"), world.rejected().len()), (Health::Revoked, 4));
}
