//! Sleep, and networks that come and go.

use super::*;

/// Short of the settle time.
const UNSETTLED: Duration = Duration::from_millis(9_999);
/// With the spread.
const SETTLED: Duration = Duration::from_secs(30);

impl World {
    fn network(&mut self, up: bool) {
        self.event(Event::Network { up, recheck: true });
    }

    /// How often each credential was asked on IMAP since the log was last cleared.
    fn asked(&self) -> BTreeMap<String, usize> {
        let mut asked = BTreeMap::new();
        for row in self.log.attempts.iter().filter(|row| row.service == Service::Imap) {
            *asked.entry(row.credential.to_string()).or_default() += 1;
        }
        asked
    }

    fn asked_each(&self, times: usize) {
        let names: Vec<String> = self.credentials().iter().map(|c| c.name.to_string()).collect();
        assert_eq!(self.asked(), names.into_iter().map(|name| (name, times)).collect());
    }

    fn asked_nobody(&self) {
        assert_eq!(self.asked(), BTreeMap::new());
    }

    /// The next login is under way and not answered.
    fn in_the_middle_of_a_login(&mut self) {
        self.0.happen(Event::Check { request: 1, names: vec![name("a0")] });
        let now = self.now();
        while self.step(now) {}
        assert!(!self.engine().is_idle());
    }
}

#[test]
fn after_a_sleep_everything_is_asked_once_when_the_network_has_settled() {
    let mut world = World::settled(&[3, 2]);
    // A minute after a routine check: nothing is due for long.
    world.run(MIN);
    world.log.attempts.clear();
    world.sleep(20 * MIN);
    world.run(UNSETTLED);
    world.asked_nobody();
    world.run(SETTLED);
    world.asked_each(1);
    world.run(20 * MIN);
    world.asked_each(1);
}

#[test]
fn without_a_recheck_what_is_due_waits_for_the_settle_time_and_nothing_else_is_asked() {
    let mut world = World::settled(&[2]);
    world.run(MIN);
    world.log.attempts.clear();
    world.event(Event::Woke { recheck: false });
    world.run(30 * MIN);
    world.asked_nobody();
    world.run(HOUR);
    world.asked_each(1);
}

#[test]
fn what_was_under_way_when_the_machine_fell_asleep_counts_for_nothing() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.in_the_middle_of_a_login();
    world.event(Event::Suspending);
    assert!(world.log.attempts.is_empty());
    assert_eq!(world.health("a0"), Health::Healthy);
    assert!(world.log.answered.is_empty(), "the person still waits");
    assert_eq!(world.status()[0].failed_logins_24h, 0);
    world.run(4 * MIN);
    assert!(world.log.attempts.is_empty(), "nothing is begun on the way to sleep");
    // It was accepted again in the meantime: the refusal of before would have been wrong.
    world.outside.dead.clear();
    world.sleep(8 * HOUR);
    world.run(SETTLED);
    assert_eq!(world.log.answered, [1]);
    assert_eq!(world.health("a0"), Health::Healthy);
    assert!(world.log.transitions.is_empty());
}

#[test]
fn a_refusal_that_was_heard_before_the_sleep_is_a_failed_login_and_no_evidence() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.in_the_middle_of_a_login();
    // IMAP has refused, SMTP is being asked.
    let first_answer = world.now() + Duration::from_millis(200);
    while world.step(first_answer) {}
    assert_eq!(world.log.attempts.len(), 1);
    world.sleep(HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
    assert_eq!(world.status()[0].failed_logins_24h, 2, "one was refused, one is being hung up");
    world.run(SETTLED);
    assert_eq!(world.health("a0"), Health::Suspect, "asked anew for the person, once all has settled");
    assert_eq!(world.status()[0].failed_logins_24h, 1 + 2, "the one that was hung up is given back");
    assert_eq!(world.log.answered, [1]);
}

#[test]
fn sleep_that_is_announced_and_does_not_come_is_over_soon() {
    let mut world = World::settled(&[2]);
    world.log.attempts.clear();
    world.event(Event::Suspending);
    world.run(2 * HOUR);
    assert!(world.asked().values().all(|times| *times >= 1), "{:?}", world.asked());
}

#[test]
fn no_check_is_started_on_a_network_known_to_be_down() {
    let mut world = World::settled(&[2, 1]);
    world.network(false);
    assert!(!world.engine().online());
    world.log.attempts.clear();
    world.run(12 * HOUR);
    world.asked_nobody();
    assert!(world.credentials().iter().all(|credential| credential.next_check_at.is_none()));
    world.network(true);
    assert!(world.engine().online());
    world.run(UNSETTLED);
    world.asked_nobody();
    world.run(SETTLED);
    world.asked_each(1);
    world.run(20 * MIN);
    world.asked_each(1);
    world.said(&[]);
}

#[test]
fn a_network_that_comes_and_goes_is_checked_once_and_again_not_before_long() {
    let mut world = World::settled(&[2]);
    world.run(MIN);
    world.log.attempts.clear();
    for _ in 0..20 {
        world.network(false);
        world.run(Duration::from_secs(1));
        world.network(true);
        world.run(Duration::from_secs(3));
    }
    world.asked_nobody();
    world.run(SETTLED);
    world.asked_each(1);
    // For an hour it is there for a minute and away for another.
    world.log.attempts.clear();
    for _ in 0..30 {
        world.network(false);
        world.run(MIN);
        world.network(true);
        world.run(MIN);
    }
    let asked = world.asked();
    assert!(asked.values().all(|times| (9..=13).contains(times)), "every five minutes at most: {asked:?}");
}

#[test]
fn a_confirmation_waits_for_the_network_and_is_then_made() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: vec![] });
    assert_eq!(world.health("a0"), Health::Suspect);
    world.network(false);
    world.run(3 * HOUR);
    assert_eq!(world.health("a0"), Health::Suspect);
    world.network(true);
    world.run(SETTLED + 3 * MIN);
    assert_eq!(world.health("a0"), Health::Revoked, "both confirmations were overdue");
}

#[test]
fn what_was_asked_in_vain_before_the_network_came_is_asked_once_when_it_is_there() {
    let mut world = World::settled(&[2]);
    world.outside.weather = PerService { imap: Weather::Silent(Cause::Offline), smtp: Weather::Silent(Cause::Offline) };
    world.network(false);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.log.answered, [1]);
    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.log.attempts.clear();
    world.network(true);
    world.run(20 * MIN);
    world.asked_each(1);
}

#[test]
fn the_same_word_twice_is_no_news() {
    let mut world = World::settled(&[1]);
    world.run(MIN);
    world.log.attempts.clear();
    world.network(true);
    world.network(true);
    world.run(20 * MIN);
    world.asked_nobody();
}

#[test]
fn a_pause_outlasts_a_sleep_and_a_network() {
    let mut world = World::settled(&[1]);
    world.event(Event::Pause { length: None });
    world.log.attempts.clear();
    world.sleep(HOUR);
    world.network(false);
    world.network(true);
    world.run(5 * HOUR);
    world.asked_nobody();
}

#[test]
fn who_asks_without_a_network_is_told_at_once_and_who_asks_too_early_when_it_has_settled() {
    let mut world = World::settled(&[1]);
    world.outside.weather = PerService { imap: Weather::Silent(Cause::Offline), smtp: Weather::Silent(Cause::Offline) };
    world.network(false);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.log.answered, [1], "nobody waits for a network that may never come");

    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.network(true);
    let back = world.now();
    world.log.attempts.clear();
    world.event(Event::Check { request: 2, names: vec![name("a0")] });
    world.run(SETTLED);
    assert_eq!(world.log.answered, [1, 2]);
    assert!(world.log.attempts[0].at.since(back) >= UNSETTLED, "an answer from there is worth waiting for");
}

#[test]
fn sleep_that_does_not_come_is_over_within_minutes() {
    let mut world = World::settled(&[1]);
    world.event(Event::Suspending);
    world.0.happen(Event::Check { request: 1, names: vec![name("a0")] });
    world.run(4 * MIN);
    assert!(world.log.answered.is_empty());
    world.run(2 * MIN);
    assert_eq!(world.log.answered, [1]);
}

#[test]
fn after_a_sleep_not_all_accounts_are_asked_in_the_same_moment() {
    let mut world = World::settled(&[1, 1, 1, 1]);
    world.run(MIN);
    world.log.attempts.clear();
    world.sleep(HOUR / 2);
    world.run(SETTLED);
    let first = |account: char| {
        let of = |row: &&AttemptRow| row.account.as_str().starts_with(account);
        world.log.attempts.iter().find(of).unwrap().at
    };
    let times: Vec<Timestamp> = ['a', 'b', 'c', 'd'].map(first).into();
    let spread = times.iter().max().unwrap().since(*times.iter().min().unwrap());
    assert!(spread > Duration::from_secs(1), "{times:?}");
}

#[test]
fn a_dead_one_asked_by_name_is_still_asked_after_a_sleep_in_between() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.log.attempts.clear();
    world.in_the_middle_of_a_login();
    world.sleep(HOUR / 10);
    world.run(SETTLED);
    assert_eq!(world.log.answered, [1]);
    let asked: Vec<_> = world.log.attempts.iter().filter(|row| row.why == Why::Person).collect();
    assert_eq!(asked.len(), 1, "{:?}", world.log.attempts);
}

#[test]
fn a_network_that_goes_again_before_it_has_settled_keeps_nobody_waiting() {
    let mut world = World::settled(&[1]);
    world.outside.weather = PerService { imap: Weather::Silent(Cause::Offline), smtp: Weather::Silent(Cause::Offline) };
    for up in [false, true, false] {
        world.network(up);
    }
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(world.log.answered, [1]);
}

#[test]
fn a_return_hastens_only_what_was_asked_in_vain() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: vec![] });
    let first = world.log.attempts[0].at - Duration::from_millis(200);
    world.run(3 * MIN);
    world.sleep(MIN);
    world.run(10 * MIN);
    assert_eq!(world.log.attempts.len(), 3, "the second confirmation keeps its time");
    // It is asked in vain until the back-off is an hour.
    world.outside.weather =
        PerService { imap: Weather::Silent(Cause::TimedOut), smtp: Weather::Silent(Cause::TimedOut) };
    world.run(5 * HOUR);
    assert!(world.log.attempts[3].at.since(first) >= 15 * MIN);
    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.run(MIN);
    assert_eq!(world.health("a0"), Health::Suspect);
    world.network(false);
    world.network(true);
    world.run(SETTLED);
    assert_eq!(world.health("a0"), Health::Revoked);
}
