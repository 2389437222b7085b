//! Compares what the engine says of a life with what is true of it, and counts.
//!
//! Sees records, messages and what people can see, never the engine's thoughts. Passwords that are dead are followed in
//! `deaths.rs`, living ones that are called dead in `false_alarms.rs`, new ones in `renewals.rs`.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    health::{
        credential::Health,
        evidence::Finding,
        login::Login,
        name::{Address, CredentialName},
        outbox::Tidings,
        schedule::{Policy, Timestamp},
    },
    rehearsal::stage::{Log, Stage, Told},
};

use super::{
    deaths::Deaths,
    false_alarms::FalseAlarms,
    fate::Outage,
    renewals::Renewals,
    score::Score,
    truth::{Truth, fingerprint, number},
};

/// Time in which something was so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    total: Duration,
    since: Option<Timestamp>,
}

impl Meter {
    /// From `now` on it is so, or not.
    pub fn set(&mut self, on: bool, now: Timestamp) {
        self.total = self.read(now);
        self.since = on.then_some(now);
    }

    /// For how long it was so.
    #[must_use]
    pub fn read(&self, now: Timestamp) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// A moment on true time, and how long keypulse could work by then.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The true time.
    pub at: Timestamp,
    /// Awake and online.
    pub up: Duration,
    /// Awake, online, and nothing in the way.
    pub able: Duration,
}

/// The umpire of one life.
#[derive(Clone, Debug)]
pub struct Umpire {
    up: Meter,
    able: Meter,
    deaths: Deaths,
    false_alarms: FalseAlarms,
    renewals: Renewals,
    seed: u64,
    /// Messages by incident: when the first was, how often it was opened, how many without reminders.
    messages: BTreeMap<u64, (Timestamp, usize, usize)>,
    score: Score,
    diary: Option<Vec<String>>,
}

impl Umpire {
    /// Of the life of a household with so many accounts under this policy.
    #[must_use]
    pub fn new(seed: u64, accounts: usize, policy: &Policy, diary: bool) -> Self {
        Self {
            up: Meter::default(),
            able: Meter::default(),
            deaths: Deaths::new(seed, accounts, policy),
            false_alarms: FalseAlarms::new(seed, accounts),
            renewals: Renewals::new(seed, policy),
            seed,
            messages: BTreeMap::new(),
            score: Score::default(),
            diary: diary.then(Vec::new),
        }
    }

    fn moment(&self, at: Timestamp) -> Moment {
        Moment { at, up: self.up.read(at), able: self.able.read(at) }
    }

    /// Whether everything is told and nothing false stands.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.deaths.is_empty() && self.false_alarms.is_empty() && self.renewals.is_empty()
    }

    /// A password died.
    pub fn died(&mut self, truth: &Truth, secret: usize, now: Timestamp) {
        let moment = self.moment(now);
        self.false_alarms.is_over(secret, false, moment, &mut self.score);
        self.renewals.forget(secret);
        self.deaths.died(truth, secret, moment);
    }

    /// All passwords of an account died at once. `quiet`: nothing was wrong with it before.
    pub fn fell(&mut self, account: usize, secrets: Vec<usize>, quiet: bool, now: Timestamp) {
        self.deaths.fell(account, secrets, quiet, now);
    }

    /// No place holds this password any more.
    pub fn dropped(&mut self, secret: usize, now: Timestamp) {
        let moment = self.moment(now);
        self.false_alarms.is_over(secret, false, moment, &mut self.score);
        self.renewals.forget(secret);
        self.deaths.dropped(secret, moment, &mut self.score);
    }

    /// The machine's clock came up ahead of the truth: what keypulse waited for seemed to have passed.
    pub fn clock_jumped(&mut self, now: Timestamp) {
        self.false_alarms.clock_jumped(now);
    }

    /// A new password that Apple takes was put in its place.
    pub fn renewed(&mut self, secret: usize) {
        self.renewals.renewed(secret);
    }

    /// An outage begins.
    pub fn storm_begins(&mut self, outage: &Outage) {
        self.false_alarms.storm_begins(outage, &mut self.score);
    }

    /// After every change of the truth: clocks, and what stands in the way from now on.
    pub fn look(&mut self, truth: &mut Truth, awake: bool, now: Timestamp) {
        let up = awake && truth.network != super::fate::Network::Absent;
        self.up.set(up, now);
        self.able.set(up && !truth.is_hindered(), now);
        self.false_alarms.look(self.moment(now));
        self.deaths.look(truth);
        self.renewals.look(truth, now);
    }

    /// After every step of the engine.
    pub fn watch(&mut self, stage: &mut Stage<Truth>) {
        self.renewals.watch(stage, &mut self.score);
        let log = &mut stage.log;
        if log.attempts.is_empty() && log.transitions.is_empty() && log.told.is_empty() && log.rulings.is_empty() {
            return;
        }
        let log = std::mem::take(log);
        let now = stage.outside.true_time(stage.now());
        self.write_diary(&log, now);
        let moment = self.moment(now);
        for row in log.attempts.iter().filter(|row| row.outcome.finding == Finding::Rejected) {
            if let Some(secret) = known(stage, &row.account, &row.credential) {
                self.deaths.refused(&stage.outside, secret, row.why, moment);
            }
        }
        for ruling in &log.rulings {
            let secret = known(stage, &ruling.account, &ruling.credential);
            if let Some(secret) = secret.filter(|secret| fingerprint(*secret).secret.tag() == ruling.secret) {
                self.deaths.ruled(&stage.outside, secret, ruling, &mut self.score);
            }
        }
        let lives = |health| matches!(health, Health::Healthy | Health::Degraded);
        for transition in log.transitions.iter().filter(|transition| lives(transition.to)) {
            if let Some(secret) = known(stage, &transition.account, &transition.credential) {
                self.false_alarms.is_over(secret, true, moment, &mut self.score);
            }
        }
        for told in &log.told {
            self.told(stage, told, moment);
        }
    }

    fn told(&mut self, stage: &Stage<Truth>, told: &Told, moment: Moment) {
        let account = &told.order.account;
        let Some(incident) = &account.incident else { return };
        let tidings = told.order.delivery.tidings;
        self.note(moment.at, || {
            let names: Vec<&str> = incident.credentials.iter().map(CredentialName::as_str).collect();
            format!("** told: {tidings:?} {} {} ({})", account.address, incident.cause, names.join(" "))
        });
        let (_, opened, messages) = self.messages.entry(incident.id).or_insert((moment.at, 0, 0));
        *opened += usize::from(tidings == Tidings::Opened);
        *messages += usize::from(tidings != Tidings::Reminder);
        self.score.messages += 1;
        if incident.cause.is_told_once() || tidings == Tidings::Resolved {
            return;
        }
        let named: Vec<usize> =
            incident.credentials.iter().filter_map(|name| known(stage, &account.address, name)).collect();
        self.deaths.told(&named, incident.cause, moment, &mut self.score);
        let verdict = |secret| Some(login(stage, &account.address, secret)?.verdict()?.first_refused_at);
        let living: Vec<(usize, Timestamp)> = named
            .iter()
            .filter(|secret| stage.outside.lives(**secret))
            .filter_map(|secret| Some((*secret, stage.outside.was_true_time(verdict(*secret)?))))
            .collect();
        if let Some(row) = self.false_alarms.told(&stage.outside, incident.id, &living, moment) {
            let secrets: Vec<usize> = living.iter().map(|(secret, _)| *secret).collect();
            self.note(moment.at, || format!("!! false alarm: passwords {secrets:?} live ({row:?})"));
        }
    }

    fn write_diary(&mut self, log: &Log, now: Timestamp) {
        for row in log.attempts.iter().filter(|row| row.outcome.finding != Finding::Accepted) {
            let finding = row.outcome.finding.as_str();
            self.note(now, || format!("     {}: {finding} on {} ({:?})", row.credential, row.service, row.why));
        }
        for transition in &log.transitions {
            let (name, from, to, reason) =
                (&transition.credential, transition.from, transition.to, transition.reason.as_str());
            self.note(now, || format!("{name}: {from} -> {to} ({reason})"));
        }
    }

    /// Writes into the diary, if there is one.
    pub fn note(&mut self, now: Timestamp, line: impl FnOnce() -> String) {
        if let Some(diary) = &mut self.diary {
            let minutes = now.as_millis() / 60_000;
            let (day, hour, minute) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
            diary.push(format!("day {day:3} {hour:02}:{minute:02}  {}", line()));
        }
    }

    /// The life is over.
    #[must_use]
    pub fn sum(mut self, truth: &Truth, now: Timestamp) -> (Score, Vec<String>) {
        let moment = self.moment(now);
        self.deaths.end(moment, &mut self.score);
        self.false_alarms.end(moment, &mut self.score);
        for (at, opened, messages) in self.messages.values() {
            self.score.incidents += 1;
            self.score.most_messages = self.score.most_messages.max(*messages);
            self.score.messages_apart_from_reminders += messages;
            if *opened != 1 {
                self.score.opened_twice.push((self.seed, *at));
            }
        }
        self.score.households = 1;
        self.score.asked = truth.asked;
        self.score.worst_day = truth.worst_day;
        (self.score, self.diary.unwrap_or_default())
    }
}

/// The password that keypulse last read for this credential.
fn known(stage: &Stage<Truth>, account: &Address, credential: &CredentialName) -> Option<usize> {
    let stored = stage.memory().accounts.get(&account.key())?;
    stored.credentials.iter().find(|memory| memory.name == *credential)?.secret.map(number)
}

/// What keypulse wrote down of a password.
fn login<'a>(stage: &'a Stage<Truth>, account: &Address, secret: usize) -> Option<&'a Login> {
    let stored = stage.memory().accounts.get(&account.key())?;
    stored.logins.iter().find(|login| login.fingerprint == fingerprint(secret))
}
