//! Compares what the engine says of a life with what is true of it, and counts.
//!
//! Sees records and messages, never the engine's thoughts.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    health::{
        credential::Health,
        evidence::{Finding, Services},
        incident::IncidentCause,
        login::{Login, Why},
        name::{Address, CredentialName},
        outbox::Tidings,
        ruling::Rule,
        schedule::{DAY, Timestamp},
    },
    rehearsal::stage::{Stage, Told},
};

use super::{
    fate::{Outage, Trouble},
    score::{Alarm, DeadPassword, FalseAlarm, Reset, Row, Score},
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

/// A password that is dead in truth.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each a fact of its own, for its own count")]
struct Case {
    account: usize,
    died_at: Timestamp,
    died_up: Duration,
    died_able: Duration,
    first_refused: Option<Duration>,
    refused: u32,
    known: bool,
    told: bool,
    clear: bool,
    /// Its account had failed logins on its ration already.
    rationed: bool,
    /// Two services refused at first.
    strong: bool,
    sure: bool,
}

/// A whole account that died at once.
#[derive(Clone, Debug)]
struct Fall {
    at: Timestamp,
    secrets: Vec<usize>,
    refused: usize,
    told: Option<(Duration, IncidentCause)>,
    clear: bool,
}

/// A false alarm that stands.
#[derive(Clone, Debug)]
struct Standing {
    secrets: Vec<usize>,
    alarm: FalseAlarm,
}

/// The umpire of one life.
#[derive(Clone, Debug)]
pub struct Umpire {
    seed: u64,
    accounts: usize,
    /// Awake and online.
    pub up: Meter,
    /// Awake, online, and nothing in the way.
    pub able: Meter,
    cases: BTreeMap<usize, Case>,
    falls: BTreeMap<usize, Fall>,
    standing: BTreeMap<u64, Standing>,
    /// Outages of the worst kind: which, and what `able` read at their end.
    storms: Vec<(Outage, Option<Duration>)>,
    fresh: Vec<usize>,
    /// When a clock last came up wrong.
    jumped_at: Option<Timestamp>,
    /// Messages by incident: when opened, how often opened, how many without reminders.
    messages: BTreeMap<u64, (Timestamp, usize, usize)>,
    score: Score,
    /// What happened, for people; only kept if asked for.
    pub diary: Option<Vec<String>>,
}

/// The default ration.
const LIMIT: usize = 12;

/// What of it a check by itself may use.
const ROUTINE: usize = 8;

/// Longer than the slowest road to a verdict with nothing in the way: interval, confirmations, the guard's hold, each with
/// jitter, and an hour to spare.
const ENOUGH: Duration = Duration::from_secs(9 * 3600);

impl Umpire {
    /// Of the life of a household with so many accounts.
    #[must_use]
    pub fn new(seed: u64, accounts: usize, diary: bool) -> Self {
        Self {
            seed,
            accounts,
            up: Meter::default(),
            able: Meter::default(),
            cases: BTreeMap::new(),
            falls: BTreeMap::new(),
            standing: BTreeMap::new(),
            storms: Vec::new(),
            fresh: Vec::new(),
            jumped_at: None,
            messages: BTreeMap::new(),
            score: Score::default(),
            diary: diary.then(Vec::new),
        }
    }

    /// Whether everything is told and nothing false stands.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.cases.is_empty() && self.standing.is_empty() && self.fresh.is_empty()
    }

    /// A password died.
    pub fn died(&mut self, truth: &Truth, secret: usize, now: Timestamp) {
        let Some(account) = truth.secrets.get(secret).map(|secret| secret.account) else { return };
        self.forgive(secret, now);
        // Two accounts that die together hide each other.
        let mut alone = true;
        for case in self.cases.values_mut().filter(|case| case.account != account && !case.told) {
            case.clear = false;
            alone = false;
        }
        let seen = truth.secrets.get(secret).is_some_and(|secret| secret.accepted_at.is_some());
        let case = Case {
            account,
            died_at: now,
            died_up: self.up.read(now),
            died_able: self.able.read(now),
            first_refused: None,
            refused: 0,
            known: false,
            told: false,
            clear: alone && seen && !truth.is_hindered() && truth.spent_today(account) == 0,
            rationed: truth.spent_today(account) > 0,
            strong: false,
            sure: false,
        };
        self.cases.insert(secret, case);
    }

    /// All passwords of an account died at once. `quiet`: nothing was wrong with it before.
    pub fn fell(&mut self, truth: &Truth, account: usize, secrets: Vec<usize>, quiet: bool, now: Timestamp) {
        let clear = quiet && secrets.iter().all(|secret| self.cases.get(secret).is_some_and(|case| case.clear));
        let clear = clear && !secrets.is_empty() && !truth.is_hindered();
        self.falls.insert(account, Fall { at: now, secrets, refused: 0, told: None, clear });
    }

    /// No place holds this password any more.
    pub fn dropped(&mut self, secret: usize, now: Timestamp) {
        self.forgive(secret, now);
        self.fresh.retain(|fresh| *fresh != secret);
        let Some(case) = self.cases.remove(&secret) else { return };
        self.falls.remove(&case.account);
        self.close(&case, now);
    }

    /// The machine's clock came up wrong: a time that keypulse measured across that is not what it was.
    pub fn clock_jumped(&mut self, now: Timestamp) {
        self.jumped_at = Some(now);
        for case in self.cases.values_mut().filter(|case| !case.told) {
            case.clear = false;
        }
        self.falls.clear();
        let excused = self.standing.values_mut().filter(|standing| standing.alarm.row != Row::NoOutage);
        excused.for_each(|standing| standing.alarm.row = Row::WrongClock);
    }

    /// A new password that Apple takes was put in its place.
    pub fn renewed(&mut self, secret: usize) {
        self.fresh.push(secret);
    }

    fn close(&mut self, case: &Case, now: Timestamp) {
        if case.told {
            let (at, clear, sure, refused) = (case.died_at, case.clear, case.sure, case.refused);
            self.score.dead.push(DeadPassword { seed: self.seed, at, clear, sure, refused });
        } else if self.able.read(now).saturating_sub(case.died_able)
            > ENOUGH + if case.rationed { DAY } else { Duration::ZERO }
        {
            self.score.missed.push((self.seed, case.died_at));
        } else {
            self.score.overtaken += 1;
        }
    }

    /// A false verdict on this password is over, and not by an acceptance.
    fn forgive(&mut self, secret: usize, now: Timestamp) {
        self.clear_false(secret, now, false);
    }

    fn clear_false(&mut self, secret: usize, now: Timestamp, accepted: bool) {
        let able = self.able.read(now);
        let ended = self.storms.iter().filter(|(storm, _)| storm.begins <= now).map(|(_, able)| *able).max().flatten();
        for standing in self.standing.values_mut() {
            standing.secrets.retain(|other| *other != secret);
            if standing.secrets.is_empty() && accepted {
                let wait = ended.map_or(Duration::ZERO, |ended| able.saturating_sub(ended));
                standing.alarm.withdrawn = Some(wait);
            }
        }
        let over: Vec<u64> =
            self.standing.iter().filter(|(_, standing)| standing.secrets.is_empty()).map(|(id, _)| *id).collect();
        for id in over {
            self.score.false_alarms.extend(self.standing.remove(&id).map(|standing| standing.alarm));
        }
    }

    /// Something at Apple's begins.
    pub fn storm_begins(&mut self, outage: &Outage) {
        if let Trouble::Refuses(share) = outage.trouble {
            let row = match (share, outage.account) {
                (..100, _) => Row::SomeLogins,
                (_, Some(_)) if self.accounts > 1 => Row::OneAccount,
                _ if self.accounts > 1 => Row::Witnessed,
                _ => Row::Alone,
            };
            *self.score.outages.entry(row).or_default() += 1;
            self.storms.push((outage.clone(), None));
        }
    }

    /// After every change of the truth: clocks, and what stands in the way from now on.
    pub fn look(&mut self, truth: &Truth, awake: bool, now: Timestamp) {
        let up = awake && truth.network != super::fate::Network::Absent;
        self.up.set(up, now);
        self.able.set(up && !truth.is_hindered(), now);
        let able = self.able.read(now);
        for (outage, ended) in &mut self.storms {
            if outage.ends <= now {
                ended.get_or_insert(able);
            }
        }
        let hindered = truth.is_hindered();
        for case in self.cases.values_mut().filter(|case| !case.told) {
            case.clear &= !hindered;
        }
        for fall in self.falls.values_mut() {
            fall.clear &= !hindered && up;
        }
        // A new password that was read a moment ago and whose round was cut off proves nothing.
        let cut_off = |secret: &usize| {
            let state = truth.secrets.get(*secret)?;
            Some(state.accepted_at.is_none() && now.since(state.read_at?) < Duration::from_secs(60))
        };
        self.fresh.retain(|secret| !cut_off(secret).unwrap_or(false));
    }

    /// After every step of the engine.
    pub fn watch(&mut self, stage: &mut Stage<Truth>) {
        self.watch_fresh(&stage.outside, stage.now());
        let log = &mut stage.log;
        if log.attempts.is_empty() && log.transitions.is_empty() && log.told.is_empty() {
            return;
        }
        let log = std::mem::take(log);
        let now = stage.outside.true_time(stage.now());
        let up = self.up.read(now);
        for row in log.attempts.iter().filter(|row| row.outcome.finding == Finding::Rejected) {
            let Some(secret) = known(stage, &row.account, &row.credential) else { continue };
            let spent = stage.outside.secrets.get(secret).map(|secret| secret.account);
            if let Some(account) = spent.filter(|account| stage.outside.spent_today(*account) >= ROUTINE) {
                // Nothing more is asked by itself until it frees.
                for case in self.cases.values_mut().filter(|case| case.account == account && !case.told) {
                    (case.clear, case.rationed) = (false, true);
                }
            }
            if let Some(case) = self.cases.get_mut(&secret) {
                case.first_refused.get_or_insert(up);
                case.refused += u32::from(!case.known && row.why != Why::Person);
                if let Some(fall) = self.falls.get_mut(&case.account) {
                    fall.refused += 1;
                    fall.clear &= row.why != Why::Person;
                }
            }
        }
        for ruling in &log.rulings {
            let secret = known(stage, &ruling.account, &ruling.credential);
            if let Some(case) = secret.and_then(|secret| self.cases.get_mut(&secret))
                && let Rule::FirstRefusal { strong } = ruling.rule
            {
                case.strong = strong;
            }
        }
        for transition in &log.transitions {
            let Some(secret) = known(stage, &transition.account, &transition.credential) else { continue };
            self.note(now, || {
                let transition = transition.clone();
                let (name, from, to) = (transition.credential, transition.from, transition.to);
                format!("{name}: {from} -> {to} ({}; password {secret})", transition.reason)
            });
            match transition.to {
                Health::Revoked | Health::Rejected => self.declared(stage, &transition.account, secret),
                Health::Healthy | Health::Degraded => self.clear_false(secret, now, true),
                Health::Suspect | Health::Unreadable | Health::Stale | Health::Unknown => {}
            }
        }
        for told in &log.told {
            self.told(stage, told, now);
        }
    }

    fn watch_fresh(&mut self, truth: &Truth, now: Timestamp) {
        let (seed, score) = (self.seed, &mut self.score);
        self.fresh.retain(|secret| {
            let Some(state) = truth.secrets.get(*secret) else { return false };
            let Some(read) = state.read_at else { return true };
            if state.accepted_at.is_some() {
                score.fresh += 1;
                return false;
            }
            let late = truth.true_time(now).since(read) > Duration::from_secs(60);
            if late && truth.spent_today(state.account) + 1 >= LIMIT {
                score.fresh_rationed += 1;
            } else if late {
                score.fresh += 1;
                score.fresh_late.push((seed, read));
            }
            !late
        });
    }

    /// The engine calls this password dead.
    fn declared(&mut self, stage: &Stage<Truth>, account: &Address, secret: usize) {
        let Some(login) = login(stage, account, secret) else { return };
        let (Some(verdict), Some(case)) = (login.verdict(), self.cases.get_mut(&secret)) else { return };
        case.known = true;
        case.sure = verdict.corroborated && case.strong && case.refused <= 3;
        let account = case.account;
        let all_known =
            |fall: &Fall| fall.secrets.iter().all(|secret| self.cases.get(secret).is_none_or(|case| case.known));
        if self.falls.get(&account).is_some_and(|fall| fall.told.is_some() && all_known(fall)) {
            self.fall_is_over(account);
        }
    }

    fn fall_is_over(&mut self, account: usize) {
        let Some(fall) = self.falls.remove(&account) else { return };
        if let (true, Some((told, cause))) = (fall.clear, fall.told) {
            let expected =
                if fall.secrets.len() > 1 { IncidentCause::MainPasswordReset } else { IncidentCause::ResetOrRevoked };
            let (seed, at, size) = (self.seed, fall.at, fall.secrets.len());
            let named = cause == expected;
            self.score.resets.push(Reset { seed, at, size, told, refused: fall.refused, named });
        }
    }

    fn told(&mut self, stage: &Stage<Truth>, told: &Told, now: Timestamp) {
        let account = &told.order.account;
        let Some(incident) = &account.incident else { return };
        let tidings = told.order.delivery.tidings;
        self.note(now, || {
            let names: Vec<&str> = incident.credentials.iter().map(CredentialName::as_str).collect();
            format!("** told: {tidings:?} {} {} ({})", account.address, incident.cause, names.join(" "))
        });
        let (_, opened, messages) = self.messages.entry(incident.id).or_insert((now, 0, 0));
        *opened += usize::from(tidings == Tidings::Opened);
        *messages += usize::from(tidings != Tidings::Reminder);
        self.score.messages += 1;
        if incident.cause.is_told_once() || tidings == Tidings::Resolved {
            return;
        }
        let named: Vec<usize> =
            incident.credentials.iter().filter_map(|name| known(stage, &account.address, name)).collect();
        self.told_dead(&named, incident.cause, now);
        let living: Vec<(usize, Timestamp)> = named
            .iter()
            .filter(|secret| stage.outside.lives(**secret))
            .filter_map(|secret| Some((*secret, login(stage, &account.address, *secret)?.verdict()?.first_refused_at)))
            .collect();
        if let Some(first) = living.iter().map(|(_, first)| stage.outside.true_time(*first)).min() {
            let secrets = living.iter().map(|(secret, _)| *secret).collect();
            self.told_living(&stage.outside, incident.id, secrets, first, now);
        }
    }

    /// A message names these dead passwords.
    fn told_dead(&mut self, named: &[usize], cause: IncidentCause, now: Timestamp) {
        let up = self.up.read(now);
        let new: Vec<usize> =
            named.iter().copied().filter(|secret| self.cases.get(secret).is_some_and(|case| !case.told)).collect();
        let cases: Vec<&Case> = new.iter().filter_map(|secret| self.cases.get(secret)).collect();
        let first = cases.iter().filter_map(|case| Some((case.first_refused?, *case))).min_by_key(|(at, _)| *at);
        if let Some((refused, leader)) = first {
            self.score.alarms.push(Alarm {
                seed: self.seed,
                at: now,
                clear: cases.iter().all(|case| case.clear),
                one_account: self.accounts == 1,
                sure: leader.sure,
                from_death: up.saturating_sub(cases.iter().map(|case| case.died_up).min().unwrap_or_default()),
                from_refusal: up.saturating_sub(refused),
            });
            let account = leader.account;
            if let Some(fall) = self.falls.get_mut(&account) {
                fall.told.get_or_insert((up.saturating_sub(refused), cause));
                let known = |secret: &usize| self.cases.get(secret).is_none_or(|case| case.known);
                if fall.secrets.iter().all(known) {
                    self.fall_is_over(account);
                }
            }
        }
        for secret in new {
            if let Some(case) = self.cases.get_mut(&secret) {
                case.told = true;
            }
        }
    }

    /// A message calls living passwords dead.
    fn told_living(&mut self, truth: &Truth, incident: u64, secrets: Vec<usize>, first: Timestamp, now: Timestamp) {
        if let Some(standing) = self.standing.get_mut(&incident) {
            standing.secrets.extend(secrets);
            return;
        }
        let account = secrets.first().and_then(|secret| truth.secrets.get(*secret)).map_or(0, |secret| secret.account);
        let over = |outage: &Outage| outage.ends > first && outage.begins <= now;
        let storms: Vec<&Outage> = self.storms.iter().map(|(outage, _)| outage).filter(|outage| over(outage)).collect();
        let row = storms.iter().map(|outage| row(truth, outage, account, &secrets)).max().unwrap_or(Row::NoOutage);
        // Own time and true time were not the same then, so that the first refusal may seem to lie in the future.
        let jumped = self.jumped_at.is_some_and(|at| first <= at || first > now);
        let row = if jumped && row != Row::NoOutage { Row::WrongClock } else { row };
        let outage = storms.iter().map(|outage| outage.ends.since(outage.begins)).max().unwrap_or_default();
        let (seed, after) = (self.seed, now.since(first));
        let alarm = FalseAlarm { seed, at: now, row, after, outage, withdrawn: None };
        self.note(now, || format!("!! false alarm: passwords {secrets:?} live ({row:?})"));
        self.standing.insert(incident, Standing { secrets, alarm });
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
        for case in std::mem::take(&mut self.cases).into_values() {
            self.close(&case, now);
        }
        self.score.false_alarms.extend(std::mem::take(&mut self.standing).into_values().map(|standing| standing.alarm));
        for (at, opened, messages) in self.messages.values() {
            self.score.incidents += 1;
            self.score.most_messages = self.score.most_messages.max(*messages);
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

/// Which row a false alarm on these passwords belongs to, during this outage.
fn row(truth: &Truth, outage: &Outage, account: usize, secrets: &[usize]) -> Row {
    if outage.trouble != Trouble::Refuses(100) {
        return Row::SomeLogins;
    }
    if truth.places.iter().any(|place| place.account != account) && outage.account.is_some() {
        return Row::OneAccount;
    }
    let hit = |secret: usize| truth.services_of(secret).and(outage.services);
    let doubted = secrets.iter().map(|secret| hit(*secret)).reduce(Services::union).unwrap_or_default();
    let witness = truth.secrets.iter().enumerate().any(|(number, secret)| {
        let living = secret.died_at.is_none() && secret.accepted_at.is_some() && truth.is_held(number);
        secret.account != account && living && !hit(number).and(doubted).is_empty()
    });
    if witness { Row::Witnessed } else { Row::Alone }
}

/// The password that the engine last read for this credential.
fn known(stage: &Stage<Truth>, account: &Address, credential: &CredentialName) -> Option<usize> {
    let stored = stage.memory().accounts.get(&account.key())?;
    stored.credentials.iter().find(|memory| memory.name == *credential)?.secret.map(number)
}

/// What the engine remembers of a password.
fn login<'a>(stage: &'a Stage<Truth>, account: &Address, secret: usize) -> Option<&'a Login> {
    let stored = stage.memory().accounts.get(&account.key())?;
    stored.logins.iter().find(|login| login.fingerprint == fingerprint(secret))
}
