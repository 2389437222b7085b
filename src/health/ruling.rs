//! Why a secret stands as it does: what was decided, by which rule of `verdicts.md`, on what evidence. Kept for `explain`.
//!
//! Decides nothing: it names what `verdict.rs` and `consequence.rs` decided. A round in which nothing moved and nobody refused
//! leaves no ruling; its attempts say all there is.

use serde::{Deserialize, Serialize};

use super::{
    evidence::{Round, Service, Services},
    login::{Login, State, Why},
    name::{Address, CredentialName},
    schedule::Timestamp,
    verdict::{Finished, Ground, Judgement},
};

/// One decision about one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// When it fell.
    pub at: Timestamp,
    /// Whose.
    pub account: Address,
    /// The credential that was asked; where none was, the first that holds the secret.
    pub credential: CredentialName,
    /// Tells the secret from others of the account: [`super::name::Digest::tag`].
    pub secret: String,
    /// The round that was judged. `None` where it followed from what happened to others.
    pub round: Option<Judged>,
    /// The rule that decided.
    pub rule: Rule,
}

/// A round as it was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Its number: its attempts carry it.
    pub id: u64,
    /// What it was for.
    pub why: Why,
    /// When it started: the times of confirmations count from there.
    pub started_at: Timestamp,
    /// What was said.
    pub said: Round,
    /// Services whose refusal in this round counted.
    pub counted: Services,
    /// Counted refusals so far, this round included.
    pub refusals: u32,
    /// Who else was accepted between the first refusal and this round, on a service that refused this secret.
    pub corroborated_by: Option<Witness>,
    /// Why the refusal could be Apple's trouble.
    pub guard: Option<Guard>,
    /// Another secret of the account leads: this one waits for it.
    pub led: bool,
}

/// An acceptance of another secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Whose.
    pub account: Address,
    /// Which credential holds it; `None` where none does any more.
    pub credential: Option<CredentialName>,
    /// Where it was accepted.
    pub service: Service,
    /// When.
    pub at: Timestamp,
}

/// A reason to think of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Another Apple Account has a living or suspect credential with that service, or one that it lately began to refuse, and
    /// nothing of it was accepted yet.
    AnotherAccount,
    /// The service answered `unavailable` since its latest acceptance by anybody.
    Unavailable(Service),
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Rule {
    /// One acceptance is proof of life.
    Accepted {
        /// What the secret was before.
        was: Was,
    },
    /// The first refusal of a pair that was accepted before.
    FirstRefusal {
        /// Both services refused, and both count.
        strong: bool,
    },
    /// The first refusal of a pair that was never accepted.
    NeverAccepted,
    /// Refused, but only by a service that did not accept it last, or in a round that was not due.
    NotEvidence,
    /// A confirmation was refused, too; more are needed.
    Counted,
    /// A confirmation was refused, too, and the outage guard holds the verdict back.
    Held,
    /// Refused before its turn, or because a person asked: it confirms nothing.
    TooSoon,
    /// Dead: confirmed, and Apple's login worked for somebody else meanwhile.
    Corroborated,
    /// Dead: confirmed twice.
    ConfirmedTwice,
    /// Dead: `outage_hold` is over and it is still refused.
    HoldOver,
    /// Dead: refused, too, and its leader is dead.
    Shared,
    /// Dead without a login of its own: the leader is dead, three siblings were refused and none accepted.
    PresumedBySiblings,
    /// Dead without a confirmation: the ration does not allow it, and the account has an open incident of at least four secrets,
    /// which it is older than.
    PresumedByRation,
    /// The ration does not allow its confirmation: it waits.
    RationUsedUp {
        /// For this.
        until: Timestamp,
    },
    /// A dead secret was asked again and refused again.
    StillDead,
    /// A dead secret was put back: known, so no login is spent.
    PutBack,
    /// It was presumed dead, and a sibling lives: it is to be asked.
    NoLongerPresumed,
}

/// What a secret was before a ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Was {
    /// Never judged.
    New,
    /// Alive.
    Alive,
    /// Being doubted.
    Doubted,
    /// Dead.
    Dead,
}

impl From<&State> for Was {
    fn from(state: &State) -> Self {
        match state {
            State::New => Self::New,
            State::Alive { .. } => Self::Alive,
            State::Doubted(_) => Self::Doubted,
            State::Dead(_) => Self::Dead,
        }
    }
}

impl Rule {
    /// Whether the refusal of the round counted.
    pub(super) const fn is_counted(self) -> bool {
        match self {
            Self::FirstRefusal { .. }
            | Self::NeverAccepted
            | Self::Counted
            | Self::Held
            | Self::Corroborated
            | Self::ConfirmedTwice
            | Self::HoldOver
            | Self::Shared => true,
            Self::Accepted { .. }
            | Self::NotEvidence
            | Self::TooSoon
            | Self::PresumedBySiblings
            | Self::PresumedByRation
            | Self::RationUsedUp { .. }
            | Self::StillDead
            | Self::PutBack
            | Self::NoLongerPresumed => false,
        }
    }

    /// What it makes of the secret; `None` where it moves nothing.
    #[must_use]
    pub const fn makes(self) -> Option<Was> {
        match self {
            Self::Accepted { .. } => Some(Was::Alive),
            Self::FirstRefusal { .. } | Self::NeverAccepted | Self::Counted | Self::Held => Some(Was::Doubted),
            Self::Corroborated
            | Self::ConfirmedTwice
            | Self::HoldOver
            | Self::Shared
            | Self::PresumedBySiblings
            | Self::PresumedByRation
            | Self::PutBack => Some(Was::Dead),
            Self::NoLongerPresumed => Some(Was::New),
            Self::NotEvidence | Self::TooSoon | Self::RationUsedUp { .. } | Self::StillDead => None,
        }
    }

    /// The rule by which a round moved a secret from `before` to what `login` is now; `None` if nothing moved and nobody
    /// refused.
    pub(super) fn of(judgement: Judgement, before: &State, login: &Login, round: &Finished) -> Option<Self> {
        let refused = !round.refusing().is_empty();
        match judgement {
            Judgement::Alive { .. } => {
                (*before != login.state || refused).then_some(Self::Accepted { was: before.into() })
            }
            Judgement::Suspected => Some(match login.suspicion() {
                Some(suspicion) if login.ever_accepted() => Self::FirstRefusal { strong: suspicion.strong },
                Some(_) | None => Self::NeverAccepted,
            }),
            Judgement::Confirmed(_) => {
                Some(if login.suspicion().is_some_and(|suspicion| suspicion.held) { Self::Held } else { Self::Counted })
            }
            Judgement::Died(ground) => Some(match ground {
                Ground::Corroborated => Self::Corroborated,
                Ground::ConfirmedTwice => Self::ConfirmedTwice,
                Ground::HoldOver => Self::HoldOver,
                Ground::LeaderFell => Self::Shared,
            }),
            Judgement::Refused => Some(match (before, round.why) {
                (State::Dead(_), _) => Self::StillDead,
                (_, Why::Confirm) => Self::NotEvidence,
                (_, _) => Self::TooSoon,
            }),
            Judgement::Nothing => refused.then_some(Self::NotEvidence),
        }
    }
}
