//! Secrets on which nobody has answered for long.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// A second short of a day.
const ALMOST_A_DAY: Duration = Duration::from_secs(24 * 60 * 60 - 1);

fn silence() -> PerService<Weather> {
    PerService { imap: Weather::Silent(Cause::TimedOut), smtp: Weather::Silent(Cause::TimedOut) }
}

impl World {
    /// The machine was off for so long.
    fn restart_after(&mut self, off: Duration) {
        self.0.restart(off);
        self.event(Event::Timer);
    }

    /// Runs until so long after the latest acceptance of `a0`.
    fn run_until_unanswered_for(&mut self, time: Duration) {
        let accepted = self.credentials()[0].last_accepted_at.unwrap();
        self.run((accepted + time).since(self.now()));
    }
}

#[test]
fn a_living_secret_is_stale_once_nobody_answered_on_it_for_long() {
    let mut world = World::settled(&[1]);
    world.outside.weather = silence();
    world.run_until_unanswered_for(ALMOST_A_DAY);
    assert_eq!(world.health("a0"), Health::Healthy);
    world.run(SECOND);
    assert_eq!(world.health("a0"), Health::Stale);
    world.run(HOUR);
    let changes: Vec<_> = world.log.transitions.iter().map(|change| (change.from, change.to, change.cause)).collect();

    assert_eq!(changes[0], (Health::Healthy, Health::Stale, None), "{changes:?}");
    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn a_degraded_secret_is_stale_like_any_other() {
    let mut world = World::settled(&[1]);
    world.outside.weather.smtp = Weather::RefusesAll;
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Degraded);
    world.outside.weather = silence();
    world.run_until_unanswered_for(DAY + SECOND);
    assert_eq!(world.health("a0"), Health::Stale);
}

#[test]
fn a_secret_never_judged_is_unknown_and_then_stale() {
    let mut world = World::new(&[1]);
    world.outside.weather = silence();
    world.run(ALMOST_A_DAY);
    assert_eq!(world.health("a0"), Health::Unknown);
    world.run(2 * SECOND);
    assert_eq!(world.health("a0"), Health::Stale);
    world.run(DAY);
    assert_eq!(world.health("a0"), Health::Stale, "it has been so for long, and stays");
    world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
}

#[test]
fn what_is_suspect_or_dead_does_not_fade() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(2 * HOUR);
    world.outside.weather = silence();
    world.run(9 * DAY);
    assert_eq!(world.health("a0"), Health::Revoked);

    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(MIN + HOUR);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.outside.unreadable.insert(name("a0"));
    world.run(2 * DAY);
    assert!(matches!(world.health("a0"), Health::Suspect | Health::Revoked), "{}", world.health("a0"));
}

#[test]
fn no_answer_for_long_is_told_once_while_the_network_is_there() {
    let mut world = World::settled(&[1]);
    world.outside.weather = silence();
    world.run_until_unanswered_for(ALMOST_A_DAY);
    world.said(&[]);
    world.run(3 * DAY);
    world.said(&[(Opened, IncidentCause::CannotCheck)]);

    let mut offline = World::settled(&[1]);
    offline.outside.weather =
        PerService { imap: Weather::Silent(Cause::Offline), smtp: Weather::Silent(Cause::Offline) };
    offline.run(4 * DAY);
    assert_eq!(offline.health("a0"), Health::Stale);
    offline.said(&[]);
}

#[test]
fn who_has_just_begun_to_look_tells_of_nothing_that_was_before() {
    // Off for five days, and Apple silent afterwards: a day passes before that is said.
    let mut world = World::settled(&[1]);
    world.outside.weather = silence();
    world.restart_after(5 * DAY);
    world.run(23 * HOUR);
    assert_eq!(world.health("a0"), Health::Stale);
    world.said(&[]);
    world.run(3 * HOUR);
    world.said(&[(Opened, IncidentCause::CannotCheck)]);

    // Locked for hours, off for days, and open when it comes back.
    let mut world = World::settled(&[1]);
    world.outside.unreadable.insert(name("a0"));
    world.run(5 * HOUR);
    world.outside.unreadable.clear();
    world.restart_after(5 * DAY);
    world.run(2 * HOUR);
    world.said(&[]);

    // Asleep for days: what is answered at once is no news.
    let mut world = World::settled(&[1]);
    world.sleep(5 * DAY);
    world.run(2 * HOUR);
    assert_eq!(world.health("a0"), Health::Healthy);
    world.said(&[]);
}
