//! What is counted over many lives, and how lives are added up. Judges nothing: the targets stand in `targets.rs`.

use std::{collections::BTreeMap, time::Duration};

use crate::health::schedule::Timestamp;

/// Whom an outage of the worst kind hit: which of the report's rows its false alarms belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// There was none: nothing excuses an alarm.
    NoOutage,
    /// Everybody, and another account has a living password with a service that refused.
    Witnessed,
    /// Everybody, and no other account could tell.
    Alone,
    /// One account of several.
    OneAccount,
    /// Some logins only, at random.
    SomeLogins,
    /// As [`Row::Witnessed`], but before it was told the machine's clock came up ahead: all waits seemed to be over.
    WrongClock,
}

impl Row {
    /// All rows, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::NoOutage, Self::Witnessed, Self::Alone, Self::OneAccount, Self::SomeLogins, Self::WrongClock];
}

/// What stood in the way of an alarm, the least first: of several the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hindrance {
    /// The part of the ration that checks by themselves may use was used up before it was told.
    Ration,
    /// Never accepted before: mistyped, or revoked before keypulse saw it.
    NeverTaken,
    /// A web page answered everything.
    Portal,
    /// The keyring was locked.
    Keyring,
    /// No service that it is used with answered.
    Silence,
    /// Passwords of another account died meanwhile, and were not told yet.
    Twin,
    /// A service that it is used with answered `unavailable`, and accepted nobody since.
    Unavailable,
    /// An outage of the worst kind.
    Storm,
}

impl Hindrance {
    /// All of them, with the words of the report.
    pub const ALL: [(Self, &str); 8] = [
        (Self::Ration, "the ration of the day was used up"),
        (Self::NeverTaken, "never accepted before"),
        (Self::Portal, "a captive portal"),
        (Self::Keyring, "a locked keyring"),
        (Self::Silence, "no answer from any service it uses"),
        (Self::Twin, "another account died at the same time"),
        (Self::Unavailable, "a service was `unavailable` (guard)"),
        (Self::Storm, "an outage of the worst kind (guard)"),
    ];

    /// Whether the outage guard may hold the verdict back because of it, so that the leader is asked more often.
    #[must_use]
    pub const fn guards(self) -> bool {
        match self {
            Self::Twin | Self::Unavailable | Self::Storm => true,
            Self::Ration | Self::NeverTaken | Self::Portal | Self::Keyring | Self::Silence => false,
        }
    }
}

/// A message that named dead passwords for the first time. Times are those in which the machine was awake and online.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// Whose life.
    pub seed: u64,
    /// When, on true time.
    pub at: Timestamp,
    /// What stood in the way between the first refusal and the message.
    pub hindrance: Option<Hindrance>,
    /// Something stood in the way between the death and the first refusal.
    pub held_up: bool,
    /// The household has one account.
    pub one_account: bool,
    /// Two services refused at first, and another secret was accepted in time for the first confirmation.
    pub sure: bool,
    /// From the first death to the message.
    pub from_death: Duration,
    /// From the first refused check to the message.
    pub from_refusal: Duration,
}

/// A dead password that was told, or not.
#[derive(Clone, Debug)]
pub struct DeadPassword {
    /// Whose life.
    pub seed: u64,
    /// When it died, on true time.
    pub at: Timestamp,
    /// As in [`Alarm`].
    pub hindrance: Option<Hindrance>,
    /// As in [`Alarm`], of the verdict on this very password.
    pub sure: bool,
    /// Automatic logins with it that were rejected before it was latched.
    pub refused: u32,
}

/// A whole account that died at once, with nothing in the way.
#[derive(Clone, Debug)]
pub struct Reset {
    /// Whose life.
    pub seed: u64,
    /// When, on true time.
    pub at: Timestamp,
    /// How many passwords.
    pub size: usize,
    /// From the first refused check to the message.
    pub told: Duration,
    /// Rejected logins until the last of them was known to be dead.
    pub refused: usize,
    /// The first message said `main-password-reset` (or what one password allows).
    pub named: bool,
}

/// A message that called living passwords dead.
#[derive(Clone, Debug)]
pub struct FalseAlarm {
    /// Whose life.
    pub seed: u64,
    /// When, on true time.
    pub at: Timestamp,
    /// What explains it.
    pub row: Row,
    /// From the first refusal to the message.
    pub after: Duration,
    /// How long the outage was.
    pub outage: Duration,
    /// The clock came up ahead meanwhile.
    pub jumped: bool,
    /// From the end of the outage to the end of the false verdict, while keypulse could ask.
    pub stood: Duration,
    /// It ended because the last of them was accepted; else a real death came first, or the life ended.
    pub withdrawn: bool,
}

/// The sum of many lives.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// How many households.
    pub households: usize,
    /// Credentials times time.
    pub credential_time: Duration,
    /// Of that, what was lived step by step.
    pub lived: Duration,
    /// Logins that were answered.
    pub asked: u64,
    /// Deaths that were told.
    pub alarms: Vec<Alarm>,
    /// Dead passwords.
    pub dead: Vec<DeadPassword>,
    /// Dead passwords that were never told though there was time: seed and time of death.
    pub missed: Vec<(u64, Timestamp)>,
    /// Dead passwords that were replaced, or the life ended, before there was time to tell.
    pub overtaken: Vec<(u64, Timestamp)>,
    /// Whole accounts.
    pub resets: Vec<Reset>,
    /// Living passwords called dead.
    pub false_alarms: Vec<FalseAlarm>,
    /// Outages of the worst kind.
    pub outages: BTreeMap<Row, usize>,
    /// New passwords that were right and read while nothing stood in the way.
    pub fresh: usize,
    /// Of those, the ones that were read while the whole ration was used up: how long they waited.
    pub fresh_waits: Vec<Duration>,
    /// Right new passwords that an outage refused first.
    pub fresh_slandered: usize,
    /// Of those, the ones that were not accepted in the round that read them.
    pub fresh_late: Vec<(u64, Timestamp)>,
    /// Incidents with at least one message.
    pub incidents: usize,
    /// Their messages.
    pub messages: usize,
    /// Their messages without reminders.
    pub messages_apart_from_reminders: usize,
    /// The most messages, reminders apart, of one incident.
    pub most_messages: usize,
    /// Incidents that were opened more or less often than once.
    pub opened_twice: Vec<(u64, Timestamp)>,
    /// The most rejected logins of one account in 24 hours.
    pub worst_day: usize,
}

impl Score {
    /// Adds another sum.
    pub fn add(&mut self, other: Self) {
        self.households += other.households;
        self.credential_time += other.credential_time;
        self.lived += other.lived;
        self.asked += other.asked;
        self.alarms.extend(other.alarms);
        self.dead.extend(other.dead);
        self.missed.extend(other.missed);
        self.overtaken.extend(other.overtaken);
        self.resets.extend(other.resets);
        self.false_alarms.extend(other.false_alarms);
        for (row, count) in other.outages {
            *self.outages.entry(row).or_default() += count;
        }
        self.fresh += other.fresh;
        self.fresh_waits.extend(other.fresh_waits);
        self.fresh_slandered += other.fresh_slandered;
        self.fresh_late.extend(other.fresh_late);
        self.incidents += other.incidents;
        self.messages += other.messages;
        self.messages_apart_from_reminders += other.messages_apart_from_reminders;
        self.most_messages = self.most_messages.max(other.most_messages);
        self.opened_twice.extend(other.opened_twice);
        self.worst_day = self.worst_day.max(other.worst_day);
    }

    /// Credential-years.
    #[must_use]
    pub fn years(&self) -> f64 {
        self.credential_time.as_secs_f64() / (365.0 * 86_400.0)
    }
}

/// Median, 95th percentile and worst of some durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// How many.
    pub count: usize,
    /// Half are shorter.
    pub median: Duration,
    /// Nineteen of twenty are shorter.
    pub p95: Duration,
    /// None is longer.
    pub worst: Duration,
}

impl Quantiles {
    /// Of `all`, in any order.
    #[must_use]
    pub fn of(all: impl IntoIterator<Item = Duration>) -> Self {
        let mut all: Vec<Duration> = all.into_iter().collect();
        all.sort_unstable();
        let at = |share: usize| all.get((all.len() * share / 100).min(all.len().saturating_sub(1)));
        let of = |share| at(share).copied().unwrap_or_default();
        Self { count: all.len(), median: of(50), p95: of(95), worst: of(100) }
    }
}
