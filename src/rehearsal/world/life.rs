//! A household's life with keypulse, played from beginning to end.
//!
//! Carries out what befalls it (`fate.rs`) on the truth (`truth.rs`) and on the stage, under the umpire's eyes. Decides nothing
//! of what keypulse should say.
//!
//! Days on which nothing happens are cut out: while every password lives and is healthy, nothing is wrong anywhere, and
//! nothing but daily life comes, each day is like the one before. The engine's state then has no age (no incident, suspicion,
//! rest or spent login; only times relative to now), so that its time line simply goes on on the other side of the cut.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    health::{
        credential::Health,
        event::Event,
        login::State,
        schedule::{DAY, Policy, Timestamp},
    },
    rehearsal::stage::Stage,
};

use super::{
    fate::{Happening, Network, happenings, journey},
    fortune::Fortune,
    household::{Household, Machine},
    score::Score,
    truth::Truth,
    umpire::Umpire,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// When lives begin: late enough for a clock that is a year behind.
pub const BEGIN: Timestamp = Timestamp::from_millis(365 * 86_400_000);

/// How to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// How long the life is.
    pub span: Duration,
    /// Cut days out on which nothing happens.
    pub cut: bool,
    /// Keep a diary.
    pub diary: bool,
}

/// Lives the life of `household` under `policy`. What was counted, and the diary.
#[must_use]
pub fn live(household: &Household, policy: &Policy, play: Play) -> (Score, Vec<String>) {
    let begin = BEGIN;
    let fate = happenings(household, begin + DAY, begin + play.span.saturating_sub(2 * DAY));
    follow(household, policy, play, fate)
}

/// As [`live`], with a fate of the caller's. Lives begin at [`BEGIN`].
#[must_use]
pub fn follow(
    household: &Household,
    policy: &Policy,
    play: Play,
    fate: Vec<(Timestamp, Happening)>,
) -> (Score, Vec<String>) {
    let begin = BEGIN;
    let end = begin + play.span;
    let stage = Stage::new(household.setup(policy.clone()), Truth::new(household), household.seed, begin);
    let mut life = Life {
        stage,
        umpire: Umpire::new(household.seed, household.accounts, policy, play.diary),
        fate: BTreeMap::new(),
        serial: 0,
        seed: household.seed,
        machine: household.machine,
        awake: true,
        cut: play.cut.then_some(Duration::ZERO),
        stirred_at: begin,
    };
    for (at, happening) in fate {
        life.later(at, happening);
    }
    life.umpire.look(&mut life.stage.outside, true, begin);
    loop {
        life.skip_quiet_days();
        let Some(((at, _), happening)) = life.fate.pop_first().filter(|((at, _), _)| *at < end) else { break };
        life.go_on_until(at);
        life.befall(happening, at);
        life.umpire.look(&mut life.stage.outside, life.awake, at);
    }
    life.go_on_until(end);
    let cut = life.cut.unwrap_or_default();
    let (mut score, diary) = life.umpire.sum(&life.stage.outside, end);
    let places = u32::try_from(household.places.len()).unwrap_or(u32::MAX);
    score.credential_time = play.span * places;
    score.lived = play.span.saturating_sub(cut) * places;
    (score, diary)
}

struct Life {
    stage: Stage<Truth>,
    umpire: Umpire,
    fate: BTreeMap<(Timestamp, u64), Happening>,
    serial: u64,
    seed: u64,
    machine: Machine,
    awake: bool,
    /// How much was cut out so far, where that is allowed.
    cut: Option<Duration>,
    /// When something out of the ordinary happened last.
    stirred_at: Timestamp,
}

impl Life {
    fn later(&mut self, at: Timestamp, happening: Happening) {
        self.serial += 1;
        self.fate.insert((at, self.serial), happening);
    }

    /// What comes of something that happens at this moment: the same, whatever was cut out before it.
    fn fortune(&self, at: Timestamp) -> Fortune {
        let mut fortune = Fortune::new(self.seed ^ u64::try_from(at.as_millis()).unwrap_or(0));
        fortune.number();
        fortune
    }

    fn now(&self) -> Timestamp {
        self.stage.outside.true_time(self.stage.now())
    }

    /// Lets the engine do what is due until then. Of a machine that sleeps, nothing.
    fn go_on_until(&mut self, at: Timestamp) {
        if !self.awake {
            return;
        }
        let until = self.stage.outside.own_time(at);
        while self.stage.step(until) {
            self.umpire.watch(&mut self.stage);
        }
        self.stage.run_until(until);
    }

    /// Cuts out the days from now on on which nothing happens.
    fn skip_quiet_days(&mut self) {
        let (Some(cut), now) = (self.cut, self.now()) else { return };
        let stirs = self.fate.iter().find(|(_, happening)| !happening.is_everyday());
        let Some(((next, _), _)) = stirs else { return };
        let margin = match self.machine {
            Machine::Server => 3 * HOUR,
            Machine::Laptop => 14 * HOUR,
        };
        // Whole days, so that evenings stay evenings.
        let quiet = next.since(now).saturating_sub(margin);
        let days = u32::try_from(quiet.as_secs() / DAY.as_secs()).unwrap_or(0);
        if days == 0 || now.since(self.stirred_at) < 3 * HOUR || !self.is_quiet() {
            return;
        }
        let gone = DAY * days;
        self.stage.outside.shift(self.stage.now(), now + gone);
        self.cut = Some(cut + gone);
        self.fate.retain(|(at, _), happening| *at >= now + gone || !happening.is_everyday());
        self.umpire.note(now + gone, || format!("-- {days} quiet days later"));
    }

    /// Whether the engine has nothing on its mind, and no reason to.
    fn is_quiet(&self) -> bool {
        let truth = &self.stage.outside;
        let well = self.awake && truth.network == Network::Open && !truth.is_hindered();
        let alive = truth.holds.iter().all(|secret| truth.lives(*secret));
        if !well || !alive || !self.umpire.is_content() || self.stage.is_busy() {
            return false;
        }
        let memory = self.stage.memory().accounts.values();
        let calm = memory.into_iter().all(|account| {
            let held = |secret| account.credentials.iter().any(|credential| credential.secret == Some(secret));
            let mut logins = account.logins.iter().filter(|login| held(login.fingerprint));
            let rests = account.memory.resting.imap.is_some() || account.memory.resting.smtp.is_some();
            let plain = |state: &State| matches!(state, State::Alive { refusing: None });
            !rests && account.memory.poll.is_none() && logins.all(|login| plain(&login.state) && login.due.is_none())
        });
        calm && self.stage.status().iter().all(|account| {
            let healthy = account.credentials.iter().all(|credential| credential.health == Health::Healthy);
            healthy && account.failed_logins_24h == 0 && account.incident.is_none()
        })
    }

    fn befall(&mut self, happening: Happening, at: Timestamp) {
        if !happening.is_everyday() {
            self.stirred_at = at;
            self.umpire.note(at, || format!("   {happening:?}"));
            self.fate.retain(|_, happening| *happening != Happening::Nothing);
            self.later(at + 4 * HOUR, Happening::Nothing);
        }
        match happening {
            Happening::Nothing => self.later(at + 12 * HOUR, Happening::Nothing),
            Happening::Reset(account) => self.reset(account, at),
            Happening::Revocation(place) => {
                if let Some(secret) = self.holding(place) {
                    self.die(secret, at);
                    self.repair_later(&[place], at);
                }
            }
            Happening::Replacement(place) => self.replace(place, at),
            Happening::Repair(place) => self.repair(place, at),
            Happening::Death(secret) => self.die(secret, at),
            Happening::NewSecret(place) => self.put_new(place, at),
            Happening::OutageBegins(outage) => {
                self.umpire.storm_begins(&outage);
                self.later(outage.ends, Happening::OutageEnds);
                self.stage.outside.outages.push(outage);
            }
            Happening::OutageEnds => self.stage.outside.outages.retain(|outage| outage.ends > at),
            Happening::Journey => self.travel(at),
            Happening::Network(network) => self.enter(network),
            Happening::Sleep(time) => {
                if std::mem::replace(&mut self.awake, false) {
                    self.later(at + time, Happening::Wake);
                }
            }
            Happening::Wake => {
                let until = self.stage.outside.own_time(at);
                self.stage.sleep(until.since(self.stage.now()));
                self.awake = true;
                self.travel(at);
            }
            Happening::Lock(time) => {
                self.stage.outside.locked = true;
                let seen = self.fortune(at).chance(70);
                self.later(at + time, Happening::Unlock(seen));
            }
            Happening::Unlock(seen) => {
                self.stage.outside.locked = false;
                if seen && self.awake {
                    self.stage.happen(Event::Unlocked);
                }
            }
            Happening::Kill => {
                if self.awake {
                    self.stage.restart(Duration::ZERO);
                }
            }
            Happening::Off(time, wrong) => {
                if std::mem::replace(&mut self.awake, false) {
                    self.later(at + time, Happening::Boot(wrong));
                }
            }
            Happening::Boot(wrong) => self.boot(wrong, at),
            Happening::Check(place) => {
                let named = place.and_then(|place| self.stage.outside.places.get(place));
                let names = named.map(|place| place.name.clone()).into_iter().collect();
                if self.awake {
                    self.stage.happen(Event::Check { request: self.serial, names });
                }
            }
        }
    }

    /// The password in this place, if it lives.
    fn holding(&self, place: usize) -> Option<usize> {
        self.stage.outside.holds.get(place).copied().filter(|secret| self.stage.outside.lives(*secret))
    }

    fn die(&mut self, secret: usize, at: Timestamp) {
        let own_now = self.stage.now();
        let truth = &mut self.stage.outside;
        truth.own_now = own_now;
        if let Some(state) = truth.secrets.get_mut(secret)
            && state.died_at.is_none()
        {
            state.died_at = Some(at);
            if truth.is_held(secret) {
                self.umpire.died(truth, secret, at);
            }
        }
    }

    fn reset(&mut self, account: usize, at: Timestamp) {
        let truth = &self.stage.outside;
        let places: Vec<usize> =
            (0..truth.places.len()).filter(|at| truth.places.get(*at).is_some_and(|p| p.account == account)).collect();
        let mut secrets: Vec<usize> = places.iter().filter_map(|place| truth.holds.get(*place).copied()).collect();
        secrets.sort_unstable();
        secrets.dedup();
        let whole = secrets.iter().all(|secret| truth.lives(*secret));
        let quiet = self.stage.status().get(account).is_some_and(|account| account.incident.is_none());
        for secret in &secrets {
            self.die(*secret, at);
        }
        self.umpire.fell(account, secrets, whole && quiet, at);
        self.repair_later(&places, at);
    }

    /// The person gets round to it in hours or days: one after the other.
    fn repair_later(&mut self, places: &[usize], at: Timestamp) {
        let mut fortune = self.fortune(at);
        let mut at = at + fortune.spread(30 * MINUTE, 3 * DAY);
        for place in places {
            self.later(at, Happening::Repair(*place));
            at = at + fortune.between(MINUTE, 6 * MINUTE);
        }
    }

    fn repair(&mut self, place: usize, at: Timestamp) {
        if self.holding(place).is_some() {
            return;
        }
        if !self.awake {
            return self.later(at + HOUR, Happening::Repair(place));
        }
        let mut fortune = self.fortune(at);
        match fortune.below(100) {
            // Forgotten this time.
            0..8 => self.later(at + DAY, Happening::Repair(place)),
            // Mistyped.
            8..20 => {
                let account = self.stage.outside.places.get(place).map_or(0, |place| place.account);
                let wrong = self.stage.outside.new_secret(account, Some(at));
                self.put(place, wrong, at);
                self.umpire.died(&self.stage.outside, wrong, at);
                let again = at + fortune.spread(MINUTE, 5 * HOUR);
                self.later(again, Happening::Repair(place));
            }
            _ => self.put_new(place, at),
        }
    }

    fn put_new(&mut self, place: usize, at: Timestamp) {
        let account = self.stage.outside.places.get(place).map_or(0, |place| place.account);
        let secret = self.stage.outside.new_secret(account, None);
        self.put(place, secret, at);
        self.umpire.renewed(secret);
        // As `keypulse replace` does; others change it in the keyring and say nothing.
        if self.awake && self.fortune(at + DAY).chance(50) {
            let names = self.stage.outside.places.get(place).map(|place| place.name.clone()).into_iter().collect();
            self.stage.happen(Event::Check { request: self.serial, names });
        }
    }

    /// All places that read the same entry have it changed at once.
    fn put(&mut self, place: usize, secret: usize, at: Timestamp) {
        let truth = &mut self.stage.outside;
        let Some(old) = truth.holds.get(place).copied() else { return };
        truth.holds.iter_mut().filter(|held| **held == old).for_each(|held| *held = secret);
        self.umpire.dropped(old, at);
    }

    /// A new password, and the old one is revoked a little later, or was a little earlier.
    fn replace(&mut self, place: usize, at: Timestamp) {
        let Some(old) = self.holding(place) else { return };
        let mut fortune = self.fortune(at);
        let meanwhile = at + fortune.between(Duration::ZERO, 20 * MINUTE);
        if fortune.chance(50) {
            self.put_new(place, at);
            self.later(meanwhile, Happening::Death(old));
        } else {
            self.die(old, at);
            self.later(meanwhile, Happening::NewSecret(place));
        }
    }

    fn travel(&mut self, at: Timestamp) {
        self.fate.retain(|_, happening| !matches!(happening, Happening::Network(_)));
        let mut at = at;
        for (network, stay) in journey(&mut self.fortune(at), self.machine) {
            self.later(at, Happening::Network(network));
            at = at + stay;
        }
        // The first of them at once.
        if let Some(key) = self.fate.iter().find(|(_, h)| matches!(h, Happening::Network(_))).map(|(key, _)| *key)
            && let Some(Happening::Network(network)) = self.fate.remove(&key)
        {
            self.enter(network);
        }
    }

    /// The machine is in another network, and its system says so.
    fn enter(&mut self, network: Network) {
        self.stage.outside.network = network;
        if self.awake {
            self.stage.happen(Event::Network { up: network != Network::Absent, recheck: true });
        }
    }

    /// The machine starts. Its clock bridges the time it was off, rightly or wrongly, but never backwards.
    fn boot(&mut self, wrong: i64, at: Timestamp) {
        let off = self.stage.outside.own_time(at).as_millis() - self.stage.now().as_millis();
        let seen = u64::try_from(off + wrong).unwrap_or(0);
        self.stage.restart(Duration::from_millis(seen));
        let own = self.stage.now();
        self.stage.outside.shift(own, at);
        if wrong > 0 {
            self.umpire.clock_jumped(at);
        }
        self.awake = true;
        self.travel(at);
    }
}
