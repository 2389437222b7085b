//! What a rehearsal can tell of: happenings in words that the stage understands, and what keypulse must say to each.
//!
//! Plain data. Never decides whether something came out right (`judge.rs`), and knows no clock.

use std::time::Duration;

pub use super::happening::{Happening, Weather};

use crate::{
    config::QuietHours,
    health::{
        account::CredentialSetup,
        credential::Health,
        evidence::{Cause, Service},
        incident::IncidentCause,
        name::{Address, CredentialName},
        outbox::{Channel, Tidings},
        schedule::DAY,
    },
};

/// Accounts with their credentials, each with a made-up secret of its own.
pub type House = Vec<(Address, Vec<CredentialSetup>)>;

/// A credential: the number of its account, and its own within it.
pub type Who = (usize, usize);

/// One row of the matrix.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// In kebab-case; unique in the catalogue.
    pub name: String,
    /// Under which heading.
    pub group: Group,
    /// What happens, for people: short enough for a table.
    pub about: String,
    /// Who is watched.
    pub house: House,
    /// The play begins with the first check ever; otherwise with everybody accepted and well.
    pub fresh: bool,
    /// Every login goes over real sockets; with this way to begin TLS. `None`: the answers are made up.
    pub wire: Option<Wiring>,
    /// The desktop's quiet hours. Left out elsewhere, since they only delay what is right anyway.
    pub quiet: Option<QuietHours>,
    /// Reminders come as the policy says. Left out elsewhere, since they would only repeat what was right.
    pub reminders: bool,
    /// What happens, in order.
    pub acts: Vec<Act>,
}

/// The headings of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Each way in which a login can prove nothing.
    Causes,
    /// Passwords that die, and that are replaced.
    Passwords,
    /// Apple is not well.
    Outages,
    /// The secret cannot be read.
    Secrets,
    /// Sleep, clocks, restarts, networks.
    Machine,
    /// Who is told when, and when again.
    Messages,
    /// The person's own accounts.
    Yours,
}

impl Group {
    /// The heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Causes => "Logins that prove nothing",
            Self::Passwords => "Passwords",
            Self::Outages => "Trouble at Apple",
            Self::Secrets => "Secrets that cannot be read",
            Self::Machine => "The machine",
            Self::Messages => "Messages",
            Self::Yours => "Your accounts",
        }
    }
}

/// How TLS begins on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// As the person's configuration says.
    AsConfigured,
    /// With STARTTLS on both services.
    StartTls,
}

/// Something happens, and for some time keypulse must say this and nothing else.
#[derive(Clone, Debug)]
pub struct Act {
    /// All at once, in this order.
    pub happens: Vec<Happening>,
    /// How long it is watched.
    pub until: Until,
    /// What must be said, in this order on each channel about each account.
    pub says: Vec<Line>,
    /// The policy does not let that be known: only the ends are judged.
    pub free: bool,
    /// What must be true at its end.
    pub ends: Vec<End>,
}

/// How long an act is watched.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So long.
    For(Duration),
    /// Until the first refusal in it is known, at most so long.
    Refused(Duration),
    /// Until a message was handed to a channel and before the channel answered, at most so long.
    Handed(Duration),
    /// Until the desktop's quiet hours begin.
    Quiet,
}

/// Something that must be said.
#[derive(Clone, Debug)]
pub struct Line {
    /// About which account.
    pub account: usize,
    /// What became of the incident.
    pub tidings: Tidings,
    /// Its cause.
    pub cause: IncidentCause,
    /// Not earlier than this after the act began.
    pub after: Duration,
    /// At the latest so long after the act began.
    pub by: Duration,
    /// At the latest so long after the first refusal in the act.
    pub by_refusal: Option<Duration>,
    /// On which channels.
    pub to: To,
    /// Whether the end of the incident must say that it was a false alarm.
    pub withdrawn: bool,
}

/// On which channels something must be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// On all.
    Everyone,
    /// On the desktop only.
    Desktop,
}

impl To {
    /// Whether `channel` is one of them.
    #[must_use]
    pub fn includes(self, channel: Channel) -> bool {
        match self {
            Self::Everyone => true,
            Self::Desktop => channel == Channel::Desktop,
        }
    }
}

/// Something that must be true at the end of an act.
#[derive(Clone, Debug)]
pub enum End {
    /// All credentials have this health.
    All(Health),
    /// A credential has this health.
    Health(Who, Health),
    /// The status shows this cause for an account, told or not.
    Shows(usize, IncidentCause),
    /// Every login on this service in this act proved nothing, for this reason.
    Sees(Service, Cause),
    /// The secret of a credential is called this.
    Unread(Who, Cause),
    /// So many logins at most were refused since the play began, until something was said.
    Refusals(usize),
    /// Some secrets of an account are called dead without a login.
    Presumes(usize),
    /// No login was made in this act, until something was said.
    NoLogin,
}

impl Scenario {
    /// A play of made-up answers. Give it acts.
    #[must_use]
    pub fn new(group: Group, name: impl Into<String>, about: impl Into<String>, house: House) -> Self {
        let (name, about) = (name.into(), about.into());
        Self { name, group, about, house, fresh: false, wire: None, quiet: None, reminders: false, acts: Vec::new() }
    }

    /// It begins with the first check ever.
    #[must_use]
    pub fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }

    /// It is played over real sockets.
    #[must_use]
    pub fn on(self, wiring: Wiring) -> Self {
        Self { wire: Some(wiring), ..self }
    }

    /// The desktop has these quiet hours.
    #[must_use]
    pub fn quiet(self, hours: QuietHours) -> Self {
        Self { quiet: Some(hours), ..self }
    }

    /// Reminders come, as the policy says.
    #[must_use]
    pub fn reminded(self) -> Self {
        Self { reminders: true, ..self }
    }

    /// One more act in which nothing may be said, unless more is added to it.
    #[must_use]
    pub fn act(mut self, until: Until, happens: impl IntoIterator<Item = Happening>) -> Self {
        let happens = happens.into_iter().collect();
        self.acts.push(Act { happens, until, says: Vec::new(), free: false, ends: Vec::new() });
        self
    }

    /// In the last act this must be said.
    #[must_use]
    pub fn says(mut self, line: Line) -> Self {
        if let Some(act) = self.acts.last_mut() {
            act.says.push(line);
        }
        self
    }

    /// At the end of the last act this must be true.
    #[must_use]
    pub fn ends(mut self, end: End) -> Self {
        if let Some(act) = self.acts.last_mut() {
            act.ends.push(end);
        }
        self
    }

    /// What is said in the last act is not judged, only its end.
    #[must_use]
    pub fn in_the_end(mut self) -> Self {
        if let Some(act) = self.acts.last_mut() {
            act.free = true;
        }
        self
    }

    /// The virtual time it takes at most.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        let act = |act: &Act| match act.until {
            Until::For(time) | Until::Refused(time) | Until::Handed(time) => time,
            Until::Quiet => DAY,
        };
        self.acts.iter().map(act).sum()
    }

    /// The name of a credential.
    #[must_use]
    pub fn name_of(&self, (account, credential): Who) -> Option<&CredentialName> {
        Some(&self.house.get(account)?.1.get(credential)?.name)
    }
}

impl Line {
    /// This must be said about the account, at the latest `by` after the act began.
    #[must_use]
    pub const fn new(account: usize, tidings: Tidings, cause: IncidentCause, by: Duration) -> Self {
        let after = Duration::ZERO;
        Self { account, tidings, cause, after, by, by_refusal: None, to: To::Everyone, withdrawn: false }
    }

    /// Not earlier than this after the act began.
    #[must_use]
    pub const fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// Also at the latest so long after the first refusal.
    #[must_use]
    pub const fn of_refusal(self, by: Duration) -> Self {
        Self { by_refusal: Some(by), ..self }
    }

    /// On these channels only.
    #[must_use]
    pub const fn to(self, to: To) -> Self {
        Self { to, ..self }
    }

    /// As a false alarm.
    #[must_use]
    pub const fn withdrawn(self) -> Self {
        Self { withdrawn: true, ..self }
    }
}
