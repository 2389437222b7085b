//! Where a credential's secret stands on its way, for `explain`: plain values.

use super::{
    account::{Account, Credential},
    engine::Engine,
    evidence::{Service, Services},
    login::{Login, State, Why},
    name::{Address, CredentialName},
    ration::Purse,
    schedule::Timestamp,
};

/// Where a credential's secret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Tells the secret from others; `None` while its source was never read.
    pub secret: Option<String>,
    /// All credentials that hold it, this one included.
    pub holders: Vec<CredentialName>,
    /// How far it is.
    pub stage: Stage,
    /// What it is asked for next, where that is not the routine.
    pub due: Option<Why>,
}

/// How far a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Never judged.
    New,
    /// Alive.
    Alive {
        /// The service that refuses while the other accepts.
        refusing: Option<Service>,
        /// Until when that one is left alone.
        rests_until: Option<Timestamp>,
    },
    /// Being doubted.
    Doubted {
        /// Refusals that count so far.
        refusals: u32,
        /// Both services refused at first: two refusals and a witness suffice.
        strong: bool,
        /// Services whose refusals count.
        evidence: Services,
        /// The credential whose secret leads, if it is another.
        leader: Option<CredentialName>,
        /// When the outage guard lets go at the latest, while it holds.
        held_until: Option<Timestamp>,
    },
    /// Dead.
    Dead {
        /// Concluded from its siblings.
        presumed: bool,
    },
}

impl Engine {
    /// Where the secret of a configured credential stands.
    #[must_use]
    pub fn standing(&self, address: &Address, name: &CredentialName) -> Option<Standing> {
        let account = self.accounts.iter().find(|account| account.address == *address)?;
        let credential = account.credentials.iter().find(|credential| credential.setup.name == *name)?;
        let Some(login) = account.login_of(credential) else {
            let holders = vec![name.clone()];
            return Some(Standing { secret: None, holders, stage: Stage::New, due: None });
        };
        let routine = login.suspicion().is_none() && login.verdict().is_none();
        let due = login.due.filter(|due| !routine || due.at <= credential.next_at);
        Some(Standing {
            secret: Some(login.fingerprint.secret.tag()),
            holders: account.holders(login.fingerprint).map(|holder| holder.setup.name.clone()).collect(),
            stage: self.stage(account, credential, login),
            due: due.map(|due| due.why),
        })
    }

    fn stage(&self, account: &Account, credential: &Credential, login: &Login) -> Stage {
        match &login.state {
            State::New => Stage::New,
            State::Alive { refusing } => {
                let refusing = refusing.filter(|service| credential.setup.services.has(*service));
                let rest = refusing.and_then(|service| *account.memory.resting.of(service));
                Stage::Alive { refusing, rests_until: rest.map(|rest| rest.until) }
            }
            State::Doubted(suspicion) => {
                let other = account.leader().filter(|leader| leader.fingerprint != login.fingerprint);
                let leader = other.and_then(|leader| account.holders(leader.fingerprint).next());
                Stage::Doubted {
                    refusals: suspicion.counted,
                    strong: suspicion.strong,
                    evidence: suspicion.evidence,
                    leader: leader.map(|holder| holder.setup.name.clone()),
                    held_until: suspicion.held.then(|| suspicion.first_at + self.policy.outage_hold),
                }
            }
            State::Dead(verdict) => Stage::Dead { presumed: verdict.presumed },
        }
    }

    /// How many failed logins keypulse may still spend on this account by itself.
    #[must_use]
    pub fn automatic_logins_left(&self, address: &Address, now: Timestamp) -> u32 {
        self.logins_left(address, now).saturating_sub(Purse::Routine.kept_for_others())
    }
}
