//! The road to a verdict, round by round: who is asked when, where and what for, and what that spends.

mod witnesses;

use super::*;

impl World {
    /// Every round from the first refusal on but the quiet ones: minutes since then, who, what for, and what each service said in
    /// the order of asking: `+` accepted, `-` rejected, `~` neither.
    fn road(&self) -> Vec<String> {
        let since = self.rejected()[0].at;
        let mut rounds: Vec<(u64, String)> = Vec::new();
        for row in self.log.attempts.iter().skip_while(|row| row.at < since) {
            let sign = match row.outcome.finding {
                Finding::Accepted => '+',
                Finding::Rejected => '-',
                Finding::Inconclusive(_) => '~',
            };
            let said = format!("{}{sign}", row.service);
            if let Some((_, line)) = rounds.last_mut().filter(|(round, _)| *round == row.round) {
                *line = format!("{line} {said}");
                continue;
            }
            let seconds = row.at.since(since).as_secs();
            let why = match row.why {
                Why::Routine => "routine",
                Why::Changed => "changed",
                Why::Person => "person",
                Why::Again => "again",
                Why::Confirm => "confirm",
                Why::Canary(_) => "canary",
                Why::Sibling(_) => "sibling",
                Why::Retest => "retest",
                Why::Watch => "watch",
                Why::Dropped => "dropped",
            };
            rounds.push((row.round, format!("{}:{:02} {} {why} {said}", seconds / 60, seconds % 60, row.credential)));
        }
        rounds
            .into_iter()
            .map(|(_, line)| line)
            .filter(|line| !line.contains(" routine ") || line.contains(['-', '~']))
            .collect()
    }

    #[track_caller]
    fn went(&self, expected: &[&str]) {
        let road = self.road();
        assert_eq!(road, expected, "\n{}", road.join("\n"));
    }

    fn refuse_everybody(&mut self) {
        self.outside.weather = PerService { imap: Weather::RefusesAll, smtp: Weather::RefusesAll };
    }

    fn clear_up(&mut self) {
        self.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    }

    fn ask(&mut self, credential: &str) {
        self.event(Event::Check { request: 1, names: vec![name(credential)] });
    }

    /// A person spends so many failed logins of account a.
    fn spend(&mut self, count: usize) {
        let (address, now) = (Address::new("a@icloud.com").unwrap(), self.now());
        for _ in 0..count {
            let (id, _) = self.engine_mut().reserve(&address, now).unwrap();
            let _ = self.engine_mut().settle_reserved(id, true, now);
        }
    }
}

#[test]
fn an_only_password_is_confirmed_twice_the_services_taking_turns_and_asked_again_ever_more_rarely() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(20 * DAY);
    world.went(&[
        "0:00 a0 routine imap- smtp-",
        "2:00 a0 confirm smtp-",
        "15:00 a0 confirm imap-",
        // As long again as the trouble has lasted, a day at most; then weekly.
        "115:00 a0 retest smtp-",
        "215:00 a0 retest smtp-",
        "394:11 a0 retest smtp-",
        "722:40 a0 retest smtp-",
        "1324:55 a0 retest smtp-",
        "2429:01 a0 retest smtp-",
        "12509:01 a0 retest smtp-",
        "22589:01 a0 retest smtp-",
    ]);
}

#[test]
fn beside_a_living_sibling_one_confirmation_suffices_and_the_dead_one_is_left_in_peace() {
    let mut world = World::settled(&[3]);
    world.outside.dead.insert(2);
    world.run(20 * DAY);
    world.went(&[
        "0:00 a1 routine imap- smtp-",
        "0:00 a0 canary imap+",
        "2:00 a1 confirm smtp-",
        "2:00 a0 sibling imap+",
        "1442:00 a1 retest smtp-",
        "11522:00 a1 retest smtp-",
        "21602:00 a1 retest smtp-",
    ]);
}

#[test]
fn a_reset_asks_three_siblings_once_and_presumes_the_rest() {
    let mut world = World::settled(&[6]);
    world.reset('a');
    world.run(3 * HOUR);
    world.went(&[
        "0:00 a0 routine imap- smtp-",
        "0:00 a1 canary imap-",
        "2:00 a0 confirm smtp-",
        "2:00 a2 sibling imap-",
        "2:00 a3 sibling imap-",
        "15:00 a0 confirm imap-",
        "115:00 a0 retest smtp-",
    ]);
    let presumed: Vec<bool> = world.credentials().iter().map(|credential| credential.presumed).collect();
    assert_eq!(presumed, [false, false, false, false, true, true]);
    let last = world.log.transitions.iter().rfind(|change| change.credential == name("a5")).unwrap();
    assert_eq!((last.to, last.presumed, last.reason.as_str()), (Health::Revoked, true, "its siblings were refused"));
}

#[test]
fn a_reset_while_another_account_lives_is_a_verdict_after_two_minutes() {
    let mut world = World::settled(&[3, 2]);
    world.reset('a');
    world.run(3 * HOUR);
    let road = world.road();
    assert_eq!(road.last().unwrap(), "2:00 a2 sibling imap-", "{road:?}");
    assert!(road.iter().all(|round| !round.contains(" b")), "its routine was canary enough: {road:?}");
    world.said(&[(Opened, MainPasswordReset)]);
}

#[test]
fn a_service_that_refuses_alone_rests_ever_longer_whoever_asks() {
    let mut world = World::settled(&[3]);
    world.outside.weather.imap = Weather::RefusesAll;
    world.run(90 * MIN);
    world.ask("a0");
    world.run(17 * HOUR);
    world.went(&[
        "0:00 a0 routine imap- smtp+",
        // The person's question does not make the rest longer.
        "30:01 a0 person smtp+ imap-",
        "60:00 a1 routine imap- smtp+",
        "180:00 a2 routine imap- smtp+",
        "450:01 a0 routine smtp+ imap-",
        "960:00 a1 routine smtp+ imap-",
    ]);
    world.outside.weather.imap = Weather::Fine;
    world.ask("a0");
    world.outside.weather.imap = Weather::RefusesAll;
    world.log.attempts.clear();
    world.run(HOUR);
    assert_eq!(world.road().len(), 1, "it accepted: the next refusal is the first again");
}

#[test]
fn where_one_service_is_silent_the_other_confirms_in_the_same_round() {
    let mut world = World::settled(&[1]);
    world.outside.weather = PerService { imap: Weather::RefusesAll, smtp: Weather::Silent(Cause::Unavailable) };
    world.run(9 * HOUR);
    world.went(&[
        "0:00 a0 routine imap- smtp~",
        "2:00 a0 confirm smtp~ imap-",
        "15:00 a0 confirm smtp~ imap-",
        "60:00 a0 confirm smtp~ imap-",
        "180:00 a0 confirm smtp~ imap-",
        "360:00 a0 confirm smtp~ imap-",
    ]);
}

#[test]
fn an_outage_that_ends_before_the_last_confirmation_is_no_alarm() {
    let mut world = World::settled(&[3]);
    world.refuse_everybody();
    world.ask("a0");
    world.run(10 * MIN);
    world.clear_up();
    world.run(6 * MIN);
    world.went(&[
        "0:00 a0 person imap- smtp-",
        "0:00 a1 canary imap-",
        "2:00 a0 confirm smtp-",
        "2:00 a2 sibling imap-",
        "15:00 a0 confirm imap+",
        "15:00 a1 confirm smtp+",
        "15:00 a2 confirm smtp+",
    ]);
    // Each was asked on one service: a full round at once tells whether the other takes it, too.
    let whole: Vec<_> = world.log.attempts.iter().rev().take(6).map(|row| (row.credential.as_str(), row.why)).collect();
    let whole: BTreeSet<&str> = whole.iter().filter(|(_, why)| *why == Why::Routine).map(|(who, _)| *who).collect();
    assert_eq!(whole, BTreeSet::from(["a0", "a1", "a2"]));
    world.run(9 * HOUR);
    world.said(&[]);
}

#[test]
fn no_service_rests_for_a_suspect_or_a_dead_secret() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.run(9 * HOUR);
    assert_eq!(world.memory().accounts["a@icloud.com"].memory.resting, PerService::default());
    let mut wrong = World::new(&[1]);
    wrong.outside.dead.insert(1);
    wrong.run(DAY);
    assert_eq!(wrong.memory().accounts["a@icloud.com"].memory.resting, PerService::default());
}

#[test]
fn two_of_three_are_one_message_each_with_the_cause_that_holds() {
    let mut world = World::settled(&[3]);
    world.outside.dead.extend([1, 2]);
    world.run(3 * HOUR);
    world.went(&[
        "0:00 a0 routine imap- smtp-",
        "0:00 a1 canary imap-",
        "2:00 a0 confirm smtp-",
        "2:00 a2 sibling imap+",
        // a2 was accepted since a1's refusal: a1 leads in its turn.
        "15:00 a0 confirm imap-",
        "15:00 a1 confirm smtp-",
        "15:00 a2 sibling imap+",
        "17:00 a1 confirm imap-",
        "17:00 a2 sibling imap+",
    ]);
    // Never "all of them", not even for the second in which the third is asked.
    world.said(&[(Opened, SingleRevocation), (Changed, SingleRevocation)]);
}

#[test]
fn a_pair_never_accepted_is_confirmed_by_both_services_and_kept_from_the_routine() {
    let mut world = World::new(&[2]);
    world.outside.dead.insert(1);
    world.run(30 * HOUR);
    let road: Vec<String> = world.road().into_iter().filter(|round| round.contains(" a0 ")).collect();
    assert_eq!(
        road,
        ["0:00 a0 changed imap- smtp-", "2:00 a0 confirm smtp-", "1442:00 a0 retest imap-"],
        "its sibling's acceptance corroborates"
    );
    world.said(&[(Opened, NeverAccepted), (Reminder, NeverAccepted)]);
}

#[test]
fn a_verdict_waits_where_the_ration_is_used_up() {
    let mut world = World::settled(&[6]);
    world.spend(4);
    world.reset('a');
    world.run(2 * HOUR);
    world.went(&["0:00 a0 routine imap- smtp-", "0:00 a1 canary imap-", "2:00 a0 confirm smtp-"]);
    world.said(&[]);
    let frees_at = world.status()[0].ration_frees_at.unwrap();
    assert_eq!(world.rules("a0").last(), Some(&Rule::RationUsedUp { until: frees_at }));
    world.run(24 * HOUR);
    world.said(&[(Opened, MainPasswordReset)]);
    assert!(world.told()[0].0.since(frees_at) < 3 * MIN);
    assert_eq!(world.rejected().len(), 7, "as many as a reset ever costs");
}

#[test]
fn beside_an_incident_a_suspect_that_the_ration_does_not_let_confirm_is_presumed_dead() {
    // Whether the incident has four dead, or only three: then the suspect waits.
    for dead in [3, 4] {
        let mut world = World::settled(&[6]);
        for secret in 1..=dead {
            world.outside.dead.insert(secret);
            world.run(30 * HOUR);
            assert_eq!(
                world.credentials().iter().filter(|one| one.health == Health::Revoked).count(),
                usize::from(secret)
            );
        }
        let left = world.engine().automatic_logins_left(&Address::new("a@icloud.com").unwrap(), world.now());
        world.spend(usize::try_from(left).unwrap() - 2);
        world.outside.dead.insert(5);
        world.ask("a4");
        assert_eq!(world.health("a4"), Health::Suspect);
        world.run(3 * MIN);
        let presumed = dead == 4;
        assert_eq!(world.health("a4"), if presumed { Health::Revoked } else { Health::Suspect });
        assert_eq!(world.credentials()[4].presumed, presumed);
        assert_eq!(world.rules("a4").last() == Some(&Rule::PresumedByRation), presumed, "{:?}", world.rules("a4"));
        assert_eq!(world.health("a5"), Health::Healthy);
        if presumed {
            // The first acceptance of an old pair lets it be asked after all: when the ration frees.
            world.run(25 * HOUR);
            assert!(world.rules("a4").contains(&Rule::NoLongerPresumed), "{:?}", world.rules("a4"));
        }
        world.outside.dead.clear();
        world.run(9 * DAY);
        assert_eq!(world.health("a4"), Health::Healthy);
    }
}

#[test]
fn what_is_replaced_in_the_middle_is_asked_and_the_rest_presumed() {
    let mut world = World::settled(&[6]);
    world.reset('a');
    world.ask("a0");
    world.run(5 * MIN);
    world.outside.holds.insert(name("a4"), 44);
    world.run(2 * HOUR);
    assert_eq!(world.health("a4"), Health::Healthy, "presumed while nobody had looked, and asked when it was read");
    assert_eq!(world.health("a5"), Health::Revoked);
    assert_eq!(world.rules("a5").last(), Some(&Rule::PresumedBySiblings));
    world.said(&[(Opened, MainPasswordReset)]);
}

#[test]
fn what_was_replaced_before_anybody_noticed_is_not_presumed_dead() {
    let mut world = World::settled(&[6]);
    world.reset('a');
    // The person made a5 anew in the meantime, and it was accepted after all that is dead now.
    world.outside.holds.insert(name("a5"), 56);
    world.ask("a5");
    assert_eq!(world.health("a5"), Health::Healthy);
    world.log.attempts.clear();
    world.ask("a0");
    world.run(20 * MIN);
    let presumed: Vec<_> =
        world.credentials().iter().filter(|one| one.presumed).map(|one| one.name.to_string()).collect();
    assert_eq!(presumed, ["a4"]);
    assert_eq!(world.health("a5"), Health::Healthy);
    world.said(&[(Opened, MainPasswordReset)]);
}

#[test]
fn the_dead_of_an_account_are_asked_again_an_hour_apart() {
    let mut world = World::settled(&[4, 1]);
    world.reset('a');
    world.run(2 * DAY);
    let retests: Vec<_> = world.log.attempts.iter().filter(|row| row.why == Why::Retest).collect();
    let asked: Vec<_> = retests.iter().map(|row| row.credential.as_str()).collect();
    assert_eq!(asked, ["a0", "a1", "a2", "a3"], "once each in two days: the verdict was corroborated");
    assert!(retests.is_sorted_by(|one, next| next.at.since(one.at) >= HOUR), "{retests:?}");
}

#[test]
fn of_many_accounts_only_so_many_are_asked_at_once() {
    let policy = Policy { jitter_percent: 0, concurrent_checks: 2, ..Policy::default() };
    let mut world = World::with(&[2, 1, 1, 2, 1], policy);
    let end = world.now() + MIN;
    let mut most = 0;
    while world.step(end) {
        most = most.max(world.engine().in_flight());
    }
    assert_eq!(most, 2);
    assert!(world.credentials().iter().all(|credential| credential.health == Health::Healthy));
}

#[test]
fn two_refusals_that_count_are_two_minutes_apart_however_the_machine_sleeps_or_others_are_accepted() {
    // The second confirmation is slept through and made a minute before the third is due: that waits.
    let mut world = World::settled(&[1, 1]);
    world.refuse_everybody();
    world.ask("a0");
    world.run(14 * MIN);
    world.sleep(45 * MIN);
    world.run(10 * MIN);
    // Somebody is accepted right after one: the next waits all the same.
    world.run(111 * MIN + Duration::from_secs(10));
    world.clear_up();
    world.ask("b0");
    world.run(5 * MIN);
    let confirmed = world.log.attempts.iter().filter(|row| row.credential == name("a0") && row.why == Why::Confirm);
    let at: Vec<Timestamp> = confirmed.map(|row| row.at).collect();
    assert!(at.len() >= 5, "{:?}", world.road());
    assert!(at.windows(2).all(|pair| pair[1].since(pair[0]) >= 2 * MIN), "{:?}", world.road());
}

#[test]
fn one_made_just_before_a_reset_is_presumed_dead_where_nothing_was_replaced() {
    let mut world = World::new(&[6]);
    let six = world.setup().clone();
    let mut five = six.clone();
    five.accounts[0].1.pop();
    world.configure(five);
    world.run(HOUR / 2);
    world.configure(six);
    world.run(MIN);
    assert_eq!(world.health("a5"), Health::Healthy, "accepted for the first time after all others were for the last");
    world.reset('a');
    world.ask("a0");
    world.run(20 * MIN);
    assert!(world.credentials()[5].presumed);
    world.said(&[(Opened, MainPasswordReset)]);
}

#[test]
fn who_died_in_the_same_incident_counts_while_nobody_of_the_account_is_accepted() {
    // Nobody who is dead is asked again meanwhile.
    let policy = Policy { jitter_percent: 0, retest_revoked: 9 * DAY, ..Policy::default() };
    let mut world = World::with(&[6, 1], policy);
    world.run(3 * HOUR);
    // Enough for the leader and its canary alone: the siblings are not asked until the ration frees.
    world.spend(4);
    world.reset('a');
    world.run(20 * HOUR);
    let revoked = |world: &World| world.credentials().iter().filter(|one| one.health == Health::Revoked).count();
    assert_eq!(revoked(&world), 2, "{:?}", world.road());
    world.run(10 * HOUR);
    let presumed: Vec<bool> = world.credentials().iter().map(|credential| credential.presumed).collect();
    assert_eq!(presumed, [false, false, false, false, true, true, false], "{:?}", world.road());
}
