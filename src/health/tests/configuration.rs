//! A configuration that changes while something is going on, and accounts that leave it and come back.

use super::*;

impl World {
    /// A login of `a0` is under way and not answered.
    fn with_a_login_under_way(&mut self) {
        self.0.happen(Event::Check { request: 1, names: vec![name("a0")] });
        let now = self.now();
        while self.step(now) {}
        assert!(!self.engine().is_idle());
    }

    fn changed(&mut self, change: impl FnOnce(&mut Setup)) {
        let mut setup = self.setup().clone();
        change(&mut setup);
        self.configure(setup);
    }
}

#[test]
fn a_shorter_interval_counts_from_now_and_a_longer_one_from_the_next_round() {
    let mut world = World::settled(&[1]);
    world.run(MIN);
    world.log.attempts.clear();
    world.changed(|setup| setup.policy.interval = 10 * MIN);
    world.run(9 * MIN);
    assert_eq!(world.log.attempts.len(), 0);
    world.run(2 * MIN);
    assert_eq!(world.log.attempts.len(), 2);
    world.changed(|setup| setup.policy.interval = 5 * HOUR);
    world.run(11 * MIN);
    assert_eq!(world.log.attempts.len(), 4, "the round that was planned");
    world.run(4 * HOUR);
    assert_eq!(world.log.attempts.len(), 4);
}

#[test]
fn what_the_configuration_says_of_a_credential_is_what_holds() {
    let mut world = World::settled(&[1]);
    world.changed(|setup| {
        setup.accounts[0].1[0].app = Some("Thunderbird".to_owned());
        setup.accounts[0].1[0].services = Services::only(Service::Smtp);
    });
    world.log.attempts.clear();
    world.run(2 * HOUR);
    assert_eq!(world.credentials()[0].app.as_deref(), Some("Thunderbird"));
    assert!(world.log.attempts.iter().all(|row| row.service == Service::Smtp), "{:?}", world.log.attempts);
    assert_eq!(world.log.attempts.len(), 2);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_round_goes_on_where_its_credential_stays() {
    let mut world = World::settled(&[2]);
    world.log.attempts.clear();
    world.with_a_login_under_way();
    world.changed(|setup| setup.policy.settle *= 2);
    world.run(MIN);
    let asked: Vec<_> = world.log.attempts.iter().map(|row| (row.service, row.round)).collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].1, asked[1].1, "one round: {asked:?}");
    assert_eq!(world.log.answered, [1]);
}

#[test]
fn a_round_is_given_up_where_its_credential_goes_and_its_login_is_still_counted() {
    let mut world = World::settled(&[2]);
    world.outside.dead.insert(1);
    world.log.attempts.clear();
    world.with_a_login_under_way();
    world.changed(|setup| drop(setup.accounts[0].1.remove(0)));
    assert!(world.engine().is_idle());
    world.event(Event::Timer);
    assert_eq!(world.status()[0].failed_logins_24h, 1, "the answer came to nobody, and was a refusal");
    assert!(world.log.attempts.is_empty() && world.log.transitions.is_empty());
    assert_eq!(world.log.answered, [1], "nobody waits for what is gone");
    world.run(2 * HOUR);
    assert_eq!(world.health("a1"), Health::Healthy);
}

#[test]
fn an_account_that_comes_back_is_remembered() {
    let mut world = World::settled(&[2, 1]);
    // IMAP rests, a failed login is spent, each secret has a past.
    world.outside.weather.imap = Weather::RefusesAll;
    world.run(2 * HOUR);
    world.outside.weather.imap = Weather::Fine;
    let before = world.status()[0].clone();
    assert!(before.failed_logins_24h > 0 && before.credentials[0].health == Health::Degraded);
    let all = world.setup().clone();
    world.changed(|setup| drop(setup.accounts.remove(0)));
    world.event(Event::Timer);
    assert_eq!(world.status().len(), 1);
    let memory = world.memory().accounts["a@icloud.com"].clone();
    world.configure(all);
    let after = world.status().into_iter().find(|account| account.address == before.address).unwrap();
    assert_eq!(after.failed_logins_24h, before.failed_logins_24h);
    for (now, then) in after.credentials.iter().zip(&before.credentials) {
        assert_eq!((now.health, now.last_accepted_at, now.since), (then.health, then.last_accepted_at, then.since));
        assert_eq!(now.services, then.services);
    }
    world.event(Event::Timer);
    assert_eq!(world.memory().accounts["a@icloud.com"].memory.resting, memory.memory.resting, "it rests on");
}

#[test]
fn of_secrets_that_were_replaced_the_latest_fifty_are_known_again() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    for secret in 2..=51 {
        world.outside.holds.insert(name("a0"), secret);
        world.event(Event::Check { request: 1, names: vec![name("a0")] });
    }
    let known = |world: &World| {
        let logins = &world.memory().accounts["a@icloud.com"].logins;
        logins.iter().map(|login| login.fingerprint.secret.0[0]).collect::<Vec<u8>>()
    };
    assert_eq!(known(&world), (1..=51).collect::<Vec<u8>>(), "fifty of before, and the one in use");
    world.outside.holds.insert(name("a0"), 52);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(known(&world), (2..=52).collect::<Vec<u8>>(), "the oldest is forgotten");
    world.outside.holds.insert(name("a0"), 2);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(known(&world), (2..=52).collect::<Vec<u8>>(), "what is in use is no past");
    world.outside.holds.insert(name("a0"), 53);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(known(&world), (3..=53).collect::<Vec<u8>>());
}

#[test]
fn an_account_whose_incident_is_over_is_looked_up_no_more() {
    let mut world = World::settled(&[1, 1]);
    let (a, b) = (Address::new("A@icloud.com").unwrap(), Address::new("b@icloud.com").unwrap());
    let engine = world.engine();
    assert_eq!(engine.account_of("a@iCLOUD.com"), Some(&a));
    assert_eq!(engine.account_of("b0"), Some(&b));
    assert_eq!(engine.account_of("c0"), None);
    assert_eq!(engine.account_of("c@icloud.com"), None);
    assert!(!engine.has_incident(&a));
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    let engine = world.engine();
    assert!(engine.has_incident(&a) && !engine.has_incident(&b));
    let id = world.status()[0].incident.as_ref().unwrap().id;
    assert_eq!(engine.account_with(id), Some(&a));
    assert_eq!(engine.account_with(id + 1), None);
    // It leaves, and its last message cannot go out: it stays only for that.
    world.outside.silent_channel = true;
    world.changed(|setup| drop(setup.accounts.remove(0)));
    world.event(Event::Timer);
    assert_eq!(world.engine().account_of("a@icloud.com"), None);
    assert_eq!(world.engine().account_of("b@icloud.com"), Some(&b));
}
