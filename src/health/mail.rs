//! What e-mail needs of the core: a login lent to a message, and the memory of what keeps messages from going out.
//!
//! Decides whether a login with a watched password may be spent on a message, and what a refusal of one is good for. Never
//! takes such a refusal for evidence: it makes the password be asked at once, by the rules that hold for all.

use serde::{Deserialize, Serialize};

use super::{
    account::Account,
    credential::Health,
    engine::Engine,
    event::{Action, Handover, Record},
    evidence::Service,
    name::{Address, CredentialName, Digest, Fingerprint},
    outbox::Channel,
    ration::{Purse, Spent},
    schedule::Timestamp,
};

/// What keeps e-mail from going out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailTrouble {
    /// The first failure since a message last went out.
    pub since: Timestamp,
    /// The latest, in words.
    pub why: String,
    /// The server refused this login: it is not sent again. What is still to be told waits for another password, another
    /// server, or the person (a reload of the configuration).
    pub refused: Option<Digest>,
}

/// Whose login a message goes out with, where it is a watched account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The account.
    pub account: Address,
    /// The watched credential; `None` where the account's server and user name are given as if they were anybody's.
    pub credential: Option<CredentialName>,
    /// The secret that was read for it.
    pub fingerprint: Fingerprint,
}

/// How the sending of one message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailed {
    /// The message.
    pub id: u64,
    /// The account whose login was lent for it, and the login's number.
    pub lent: Option<(Loan, u64)>,
    /// The server refused the login.
    pub rejected: bool,
    /// What became of the message.
    pub result: Handover,
    /// Why it did not go out, and the login to be kept from now on, if it was refused.
    pub trouble: Option<(String, Option<Digest>)>,
}

/// Why no login is lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoLoan {
    /// The credential is not healthy.
    Unhealthy(Health),
    /// Its secret is another one by now, which no server has accepted yet.
    Untried,
    /// The secret is dead.
    Dead,
    /// Another login of the account is under way.
    Busy,
    /// No login is made by itself: there is a pause, no network, or the machine has just woken up.
    Paused,
    /// The ration is used up. Until then.
    RationUsedUp(Timestamp),
}

impl Engine {
    /// Reserves a login of a watched account for a message. While it lasts, no other login of the account is made.
    ///
    /// # Errors
    /// Why not.
    pub fn lend(&mut self, loan: &Loan, now: Timestamp) -> Result<(u64, Vec<Action>), NoLoan> {
        let policy = self.policy.clone();
        if self.paused_until.is_some() || self.machine.ready_at().is_none_or(|at| now < at) {
            return Err(NoLoan::Paused);
        }
        if let Some(account) = self.accounts.iter().find(|account| account.address == loan.account) {
            if account.login(loan.fingerprint).is_some_and(|login| login.verdict().is_some()) {
                return Err(NoLoan::Dead);
            }
            if let Some(name) = &loan.credential {
                let credential = account.credentials.iter().find(|credential| credential.setup.name == *name);
                let credential = credential.ok_or(NoLoan::Untried)?;
                let login = account.login_of(credential).filter(|login| login.fingerprint == loan.fingerprint);
                let sends = login.ok_or(NoLoan::Untried)?.accepting().has(Service::Smtp);
                match account.health_at(credential, &policy, now) {
                    Health::Healthy => {}
                    Health::Degraded if sends => {}
                    Health::Unknown => return Err(NoLoan::Untried),
                    health @ (Health::Degraded
                    | Health::Suspect
                    | Health::Revoked
                    | Health::Rejected
                    | Health::Unreadable
                    | Health::Stale) => return Err(NoLoan::Unhealthy(health)),
                }
            }
            if account.flight.is_some() || account.lent.is_some() {
                return Err(NoLoan::Busy);
            }
        }
        let id = self.next_id();
        let ration = self.ration_mut(loan.account.key());
        let reserved = ration.reserve(id, Purse::Routine, policy.failed_logins_per_account, now);
        reserved.map_err(NoLoan::RationUsedUp)?;
        for account in self.accounts.iter_mut().filter(|account| account.address == loan.account) {
            account.lent = Some(id);
            account.stirred = true;
        }
        self.look_ahead();
        let spent = Spent { id, at: now };
        Ok((id, vec![Action::Record(Record::Spent { account: loan.account.clone(), spent })]))
    }

    /// What keeps e-mail from going out, if anything does.
    #[must_use]
    pub const fn mail_trouble(&self) -> Option<&MailTrouble> {
        self.mail.as_ref()
    }

    /// Whether a message waits for its next try.
    #[must_use]
    pub fn has_mail_waiting(&self) -> bool {
        let mut messages = self.accounts.iter().flat_map(|account| account.outbox.all());
        messages.any(|message| message.channel == Channel::Email && !message.state.is_settled())
    }

    /// A message was sent, or was not.
    pub(super) fn mailed(&mut self, mailed: Mailed, now: Timestamp, actions: &mut Vec<Action>) {
        let Mailed { id, lent, rejected, result, trouble } = mailed;
        if let Some((loan, login)) = lent {
            self.settle(login, rejected, now, actions);
            let asked_again = |account: &&mut Account| rejected && account.address == loan.account;
            for account in self.accounts.iter_mut().filter(asked_again) {
                let holders: Vec<CredentialName> =
                    account.holders(loan.fingerprint).map(|holder| holder.setup.name.clone()).collect();
                for name in &holders {
                    // No evidence, but a reason to look.
                    account.credential_mut(name).into_iter().for_each(|credential| credential.next_at = now);
                }
            }
        }
        if let Some((why, refused)) = trouble {
            let since = self.mail.as_ref().map_or(now, |before| before.since);
            self.remember_mail(Some(MailTrouble { since, why, refused }), actions);
        } else if matches!(result, Handover::Done(_)) {
            self.remember_mail(None, actions);
        }
        self.delivered(id, &result, now);
    }

    /// The person changed something, or says that it may be tried again.
    pub(super) fn reloaded(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.remember_mail(None, actions);
        for channel in Channel::ALL {
            self.channel_ready(channel, now);
        }
    }

    fn remember_mail(&mut self, trouble: Option<MailTrouble>, actions: &mut Vec<Action>) {
        if self.mail != trouble {
            self.mail.clone_from(&trouble);
            actions.push(Action::Record(Record::Mail { trouble }));
        }
    }
}
