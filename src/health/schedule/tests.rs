//! Waits: how long, how much longer, and how short on loopback.

use super::*;

const MIN: u64 = 60;

#[test]
fn jitter_only_lengthens_and_by_no_more_than_the_percentage() {
    let (policy, mut dice) = (Policy::default(), Dice::new(7));
    for _ in 0..1000 {
        let wait = policy.next_interval(&mut dice);
        assert!(wait >= policy.interval && wait < policy.interval * 6 / 5, "{wait:?}");
    }
}

#[test]
fn back_off_grows_to_an_hour_with_full_jitter() {
    let (policy, mut dice) = (Policy::default(), Dice::new(7));
    for (step, minutes) in [(0, 1), (1, 2), (2, 5), (3, 15), (4, 60), (9, 60)] {
        for _ in 0..100 {
            assert!(policy.back_off(step, false, &mut dice) < Duration::from_secs(minutes * MIN));
        }
    }
    assert!((0..100).all(|_| policy.back_off(0, true, &mut dice) >= Duration::from_secs(30)));
}

#[test]
fn a_refusing_service_rests_ever_longer() {
    let hours: Vec<u64> = (0..7).map(|step| Policy::default().rest(step).as_secs() / 3600).collect();
    assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
}

#[test]
fn an_uncorroborated_verdict_is_tested_again_before_twice_the_time_has_passed() {
    let (policy, mut dice) = (Policy::default(), Dice::new(7));
    let (mut ago, mut tests) = (policy.confirm[1], 0);
    while ago < DAY {
        let wait = policy.lengthened(policy.retest(tests, false, ago), &mut dice);
        assert!(wait <= ago.max(2 * policy.interval), "{wait:?} after {ago:?}");
        (ago, tests) = (ago + wait, tests + 1);
    }
    assert!((4..=5).contains(&tests), "{tests} in a day");
    assert_eq!(policy.retest(6, false, 3 * DAY), WEEK);
    let hours = |step| policy.retest(step, true, MINUTE).as_secs() / 3600;
    assert_eq!([hours(0), hours(1), hours(2)], [24, 168, 168]);
}

#[test]
fn time_never_runs_backwards() {
    let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(5));
    assert_eq!(late.since(early), Duration::from_millis(4));
    assert_eq!(early.since(late), Duration::ZERO);
    assert_eq!((early + Duration::from_millis(4), late - Duration::from_millis(4)), (late, early));
    assert_eq!(Timestamp::END + DAY, Timestamp::END, "later than anything");
}

#[test]
fn the_dice_are_those_of_splitmix64() {
    // The first numbers of the reference implementation (Vigna, prng.di.unimi.it/splitmix64.c) for the seed 1234567.
    let mut dice = Dice::new(1_234_567);
    let numbers = [dice.next(), dice.next(), dice.next()];
    assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    assert_eq!(dice.below(Duration::ZERO), Duration::ZERO);
}

#[test]
fn a_wait_is_at_least_a_tenth_of_its_longest() {
    let (policy, mut dice) = (Policy::default(), Dice::new(7));
    let waits: Vec<Duration> = (0..1000).map(|_| policy.back_off(3, false, &mut dice)).collect();
    let (least, longest) = (Duration::from_secs(90), Duration::from_secs(15 * MIN));
    assert!(waits.iter().all(|wait| (least..longest).contains(wait)));
    assert!(waits.iter().any(|wait| *wait < least * 2) && waits.iter().any(|wait| *wait > longest * 9 / 10));
}

#[test]
fn with_the_short_times_of_loopback_every_wait_shrinks_in_proportion() {
    let ms = Duration::from_millis;
    // A thousandth of everything.
    let policy = Policy {
        interval: ms(3600),
        confirm: [ms(120), ms(900)],
        retest_revoked: ms(86_400),
        jitter_percent: 0,
        ..Policy::default()
    };
    let rests: Vec<Duration> = (0..7).map(|step| policy.rest(step)).collect();
    assert_eq!(rests, [3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 86_400].map(ms));
    assert_eq!([policy.retest(0, true, ms(1)), policy.retest(1, true, ms(1))], [ms(86_400), ms(604_800)]);
    let mut dice = Dice::new(7);
    for (step, longest) in [(0, 60), (1, 120), (2, 300), (3, 900), (4, 3600)] {
        let waits: Vec<Duration> = (0..100).map(|_| policy.back_off(step, false, &mut dice)).collect();
        assert!(waits.iter().all(|wait| *wait < ms(longest) && *wait >= ms(longest) / 10), "{step}");
    }
    assert!((0..100).all(|_| policy.back_off(0, true, &mut dice) >= ms(30)));
    // From the least that other hosts may have on, they are what they are.
    let policy = Policy { interval: Duration::from_secs(5 * MIN), ..Policy::default() };
    assert_eq!(policy.rest(0), HOUR);
    let policy = Policy { retest_revoked: HOUR, ..Policy::default() };
    assert_eq!(policy.retest(1, true, MINUTE), WEEK);
}
