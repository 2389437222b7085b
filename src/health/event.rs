//! What goes into the core and what comes out of it: plain values.

use std::{collections::BTreeMap, time::Duration};

use super::{
    account::{AccountMemory, CredentialMemory, CredentialSetup},
    credential::Transition,
    evidence::{Cause, Outcome, Service},
    incident::IncidentFile,
    login::{Login, Why},
    mail::{MailTrouble, Mailed},
    name::{Address, CredentialName, Digest, Fingerprint},
    outbox::{Channel, Delivery, Tidings},
    ration::Spent,
    ruling::Ruling,
    schedule::{Policy, Timestamp},
    view::AccountStatus,
};

/// What the configuration says, as far as the core is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The person's policy.
    pub policy: Policy,
    /// The accounts with their credentials.
    pub accounts: Vec<(Address, Vec<CredentialSetup>)>,
    /// Who is told of incidents.
    pub channels: Vec<Channel>,
}

/// What was stored when the process last ended, by account.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The largest number given to an attempt, round, transition, incident or delivery.
    pub last_id: u64,
    /// Until when nothing is done by itself.
    pub paused_until: Option<Timestamp>,
    /// What keeps e-mail from going out.
    pub mail: Option<MailTrouble>,
    /// When all that was known before was lost. How many logins failed in the day before that is not known, so the ration
    /// counts as used up then.
    pub lost_at: Option<Timestamp>,
    /// By address, in lower case.
    pub accounts: BTreeMap<String, StoredAccount>,
}

/// What is stored of one account.
#[derive(Clone, Debug, Default)]
pub struct StoredAccount {
    /// Rests, polls and the like.
    pub memory: AccountMemory,
    /// Its credentials.
    pub credentials: Vec<CredentialMemory>,
    /// Its secrets.
    pub logins: Vec<Login>,
    /// Its failed logins.
    pub spent: Vec<Spent>,
    /// Incidents that are open, or have messages still to go out.
    pub incidents: Vec<IncidentFile>,
    /// The messages of those.
    pub deliveries: Vec<Delivery>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The daemon started: everything is due.
    Start,
    /// The time of `next_due` has come.
    Timer,
    /// The secret of a round was read, or could not be.
    SecretRead {
        /// The round.
        round: u64,
        /// The secret's fingerprint, or why there is none.
        result: Result<Fingerprint, (Cause, String)>,
    },
    /// An attempt ended.
    Attempted {
        /// Its number.
        id: u64,
        /// How.
        outcome: Outcome,
    },
    /// A person asks for a round of these credentials; of all that are not latched if there are none.
    Check {
        /// Comes back in [`Action::Answer`].
        request: u64,
        /// Which.
        names: Vec<CredentialName>,
    },
    /// A message went out (with what the channel gave back), or could not.
    Delivered {
        /// Its number.
        id: u64,
        /// How.
        result: Handover,
    },
    /// A message is given to its server now: from here on it may have gone out.
    Given(u64),
    /// The sending of an e-mail ended.
    Mailed(Mailed),
    /// The configuration was read again: what waits to be told is tried at once, in whatever way it now says; also e-mail whose
    /// server refused the login.
    Reloaded,
    /// The keyring was unlocked: what could not be read is tried again.
    Unlocked,
    /// A channel that could not be reached can be.
    ChannelReady(Channel),
    /// The desktop lost the notification of this incident, and not because the person closed it.
    NotificationLost(u64),
    /// The person closed the notification of this incident: it is not put back.
    NotificationClosed(u64),
    /// A person wants to hear nothing of the account's incident for a while.
    Snooze {
        /// Whose.
        account: Address,
        /// How long.
        length: Duration,
    },
    /// … and does again.
    Unsnooze {
        /// Whose.
        account: Address,
    },
    /// A person wants nothing to be done by itself.
    Pause {
        /// How long; until [`Event::Resume`] where it is not said.
        length: Option<Duration>,
    },
    /// … and does again.
    Resume,
    /// The machine is about to sleep.
    Suspending,
    /// The machine woke up, or is found to have slept. What was under way when it fell asleep counts for nothing.
    Woke {
        /// Everything is to be asked once.
        recheck: bool,
    },
    /// What the system says of the network, whenever it says it.
    Network {
        /// There is one, as far as it knows.
        up: bool,
        /// If that is news: everything is to be asked once.
        recheck: bool,
    },
    /// A connection that was to stay ended, and nobody here had let go of it.
    WatchEnded {
        /// The attempt that opened it.
        id: u64,
        /// The server does not let such connections stand.
        unfit: bool,
    },
}

impl Event {
    /// Whether it comes with every round: then only the account that it concerns is gone through. All others may concern
    /// anything, and are rare.
    pub(super) const fn is_frequent(&self) -> bool {
        match self {
            Self::Timer | Self::SecretRead { .. } | Self::Attempted { .. } => true,
            Self::Start
            | Self::Check { .. }
            | Self::Delivered { .. }
            | Self::Given(_)
            | Self::Mailed(_)
            | Self::Reloaded
            | Self::Unlocked
            | Self::ChannelReady(_)
            | Self::NotificationLost(_)
            | Self::NotificationClosed(_)
            | Self::Snooze { .. }
            | Self::Unsnooze { .. }
            | Self::Pause { .. }
            | Self::Suspending
            | Self::Woke { .. }
            | Self::Network { .. }
            | Self::WatchEnded { .. }
            | Self::Resume => false,
        }
    }
}

/// Something to be done. Records come before what others can see of them.
#[derive(Clone, Debug)]
#[must_use]
pub enum Action {
    /// To be written to disk before any other action of the same step is carried out.
    Record(Record),
    /// Read the secret of a credential, and answer with [`Event::SecretRead`].
    ReadSecret {
        /// The round.
        round: u64,
        /// Whose.
        credential: CredentialName,
        /// A person waits and may be asked to unlock.
        by_person: bool,
    },
    /// Log in once with the secret read in this round, and answer with [`Event::Attempted`].
    Attempt {
        /// Its number.
        id: u64,
        /// The round.
        round: u64,
        /// Whose user name and secret.
        credential: CredentialName,
        /// Where.
        service: Service,
        /// Where it is accepted the connection stays, until [`Event::WatchEnded`] or [`Action::HangUp`].
        hold: bool,
    },
    /// End this login at once, or the connection that stayed after it: nobody waits for its answer any more. How a login
    /// ended still comes as [`Event::Attempted`], for the ration.
    HangUp {
        /// The attempt.
        id: u64,
    },
    /// The round is over: its secret is no longer needed.
    Forget {
        /// The round.
        round: u64,
    },
    /// Something happened to an account's incident: for those who listen, whatever the channels.
    Incident {
        /// What.
        tidings: Tidings,
        /// The account, with the incident in question.
        account: Box<AccountStatus>,
    },
    /// Hand a message to its channel, and answer with [`Event::Delivered`].
    Deliver(Order),
    /// All rounds that a person asked for are done.
    Answer {
        /// The request.
        request: u64,
    },
}

/// A message to hand over.
#[derive(Clone, Debug)]
pub struct Order {
    /// The message.
    pub delivery: Delivery,
    /// The account as it stands now, with the incident in question.
    pub account: AccountStatus,
}

/// How a message was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// It went out. With what the channel wants to see again, if anything.
    Done(Option<String>),
    /// It could not go out: to be tried again.
    Failed,
    /// It must wait: quiet hours.
    NotBefore(Timestamp),
}

/// One row for the disk.
#[derive(Clone, Debug)]
pub enum Record {
    /// An account changed in this step: all that is remembered of it.
    Account(Box<AccountRow>),
    /// An attempt ended.
    Attempt(AttemptRow),
    /// A login was reserved, or settled as rejected.
    Spent {
        /// Whose.
        account: Address,
        /// The attempt.
        spent: Spent,
    },
    /// A reserved login was given back.
    GivenBack {
        /// The attempt.
        id: u64,
    },
    /// A credential's health changed.
    Transition(Transition),
    /// It was decided about a secret.
    Ruling(Ruling),
    /// An incident opened or changed.
    Incident {
        /// Whose.
        account: Address,
        /// All of it.
        file: IncidentFile,
    },
    /// A pause began, was changed or ended.
    Pause {
        /// Its end.
        until: Option<Timestamp>,
    },
    /// What keeps e-mail from going out began, changed or ended.
    Mail {
        /// What it is now.
        trouble: Option<MailTrouble>,
    },
    /// A message was added or changed its state.
    Delivery {
        /// Whose.
        account: Address,
        /// All of it.
        delivery: Delivery,
    },
}

/// What is remembered of an account.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// Whose.
    pub address: Address,
    /// Rests, polls and the like.
    pub memory: AccountMemory,
    /// Its credentials.
    pub credentials: Vec<CredentialMemory>,
    /// Its secrets.
    pub logins: Vec<Login>,
}

/// An attempt, for the history.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Its number.
    pub id: u64,
    /// When it ended.
    pub at: Timestamp,
    /// Whose.
    pub account: Address,
    /// Which.
    pub credential: CredentialName,
    /// The secret that was sent.
    pub secret: Digest,
    /// The round that it belongs to.
    pub round: u64,
    /// Where.
    pub service: Service,
    /// What for.
    pub why: Why,
    /// How.
    pub outcome: Outcome,
}
