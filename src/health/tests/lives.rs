//! Random lives, and what must be true of each (`verdicts.md`, part 7).

use super::*;

/// Something that happens to the world of the property test.
#[derive(Clone, Debug)]
enum Happening {
    Wait(u64),
    Reset(char),
    Revoke(u8),
    Revive(u8),
    Replace(u8),
    Lock(u8),
    Unlock(u8),
    Weather(bool, u8),
    Check(u8),
    Restart,
    Mute(bool),
}

fn happenings() -> impl proptest::strategy::Strategy<Value = Vec<Happening>> {
    use proptest::prelude::*;
    let one = prop_oneof![
        6 => (1_u64..40_000).prop_map(Happening::Wait),
        1 => prop_oneof![Just('a'), Just('b')].prop_map(Happening::Reset),
        2 => (1_u8..6).prop_map(Happening::Revoke),
        1 => (1_u8..6).prop_map(Happening::Revive),
        2 => (0_u8..5).prop_map(Happening::Replace),
        1 => (0_u8..5).prop_map(Happening::Lock),
        1 => (0_u8..5).prop_map(Happening::Unlock),
        3 => (any::<bool>(), 0_u8..6).prop_map(|(imap, kind)| Happening::Weather(imap, kind)),
        2 => (0_u8..5).prop_map(Happening::Check),
        2 => Just(Happening::Restart),
        1 => any::<bool>().prop_map(Happening::Mute),
    ];
    proptest::collection::vec(one, 1..40)
}

impl World {
    fn befall(&mut self, happening: &Happening, fresh: &mut u8) {
        let names: Vec<CredentialName> = self.outside.holds.keys().cloned().collect();
        match happening {
            Happening::Wait(seconds) => self.run(Duration::from_secs(*seconds)),
            Happening::Reset(account) => self.reset(*account),
            Happening::Revoke(secret) => drop(self.outside.dead.insert(*secret)),
            Happening::Revive(secret) => drop(self.outside.dead.remove(secret)),
            Happening::Replace(at) => {
                *fresh += 1;
                self.outside.holds.insert(names[usize::from(*at)].clone(), *fresh);
            }
            Happening::Lock(at) => drop(self.outside.unreadable.insert(names[usize::from(*at)].clone())),
            Happening::Unlock(at) => drop(self.outside.unreadable.remove(&names[usize::from(*at)])),
            Happening::Weather(imap, kind) => {
                let weather = match kind {
                    0 => Weather::RefusesAll,
                    1 => Weather::Silent(Cause::Unavailable),
                    2 => Weather::Silent(Cause::Offline),
                    _ => Weather::Fine,
                };
                *(if *imap { &mut self.outside.weather.imap } else { &mut self.outside.weather.smtp }) = weather;
            }
            Happening::Check(at) => {
                let name = names[usize::from(*at)].clone();
                self.event(Event::Check { request: 900, names: vec![name] });
            }
            Happening::Restart => self.restart(),
            Happening::Mute(mute) => self.outside.silent_channel = *mute,
        }
    }
}

/// The same lives in every run, so that a change is judged by itself. `PROPTEST_CASES=5000 PROPTEST_RNG_SEED=1` explores.
fn lives() -> proptest::prelude::ProptestConfig {
    let usual = proptest::prelude::ProptestConfig::default();
    let given = |name| std::env::var_os(name).is_some();
    proptest::prelude::ProptestConfig {
        cases: if given("PROPTEST_CASES") { usual.cases } else { 128 },
        rng_seed: if given("PROPTEST_RNG_SEED") { usual.rng_seed } else { proptest::test_runner::RngSeed::Fixed(5) },
        failure_persistence: None,
        ..usual
    }
}

proptest::proptest! {
    #![proptest_config(lives())]

    /// `verdicts.md`, part 7, over random lives. Properties 1 and 4 are held after every event (`World::invariants`).
    #[test]
    fn every_life_ends_in_the_truth(happenings in happenings(), lives in proptest::collection::vec(1_u64..100_000, 1..3)) {
        let mut world = World::with(&[3, 2], Policy { jitter_percent: 20, ..Policy::default() });
        let mut fresh = 100;
        for happening in &happenings {
            world.befall(happening, &mut fresh);
        }
        // The storm is over: within the longest waits of the policy, keypulse knows the truth (properties 2 and 3).
        world.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
        world.outside.unreadable.clear();
        world.outside.silent_channel = false;
        for seconds in lives {
            world.run(Duration::from_secs(seconds));
        }
        world.run(9 * DAY);
        for credential in world.credentials() {
            let dead = world.outside.dead.contains(&world.outside.holds[&credential.name]);
            proptest::prop_assert_eq!(credential.health.is_dead(), dead, "{}: {}", credential.name, credential.health);
            proptest::prop_assert!(dead || credential.health == Health::Healthy, "{}: {}", credential.name, credential.health);
        }
        // Property 5: every alert that was shown is resolved, and none is opened twice.
        for address in ["a@icloud.com", "b@icloud.com"] {
            let mut open = false;
            for (_, account, tidings, _) in &world.told() {
                if account != address {
                    continue;
                }
                match tidings {
                    Tidings::Opened => {
                        proptest::prop_assert!(!open, "{address}: opened twice");
                        open = true;
                    }
                    Tidings::Changed | Tidings::Reminder | Tidings::PutBack => proptest::prop_assert!(open),
                    Tidings::Resolved => {
                        proptest::prop_assert!(open);
                        open = false;
                    }
                }
            }
            let stands = world.status().iter().any(|a| a.address.as_str() == address && a.incident.is_some());
            proptest::prop_assert_eq!(open, stands, "{}: told and true differ", address);
        }
    }
}
