//! The `idle` watch: one connection per account that stands open, on its healthiest credential, so that its end is noticed.
//!
//! Decides when it is opened and let go, and that its end is a reason to check soon and never evidence (`verdicts.md`, part 6).
//! Knows nothing of IMAP.

use std::time::Duration;

use super::{
    account::Account,
    engine::{Engine, Stance},
    event::Action,
    evidence::Service,
    login::{Due, Login, State, Why},
    name::{CredentialName, Fingerprint},
    schedule::{DAY, Timestamp},
};

/// After an end, the check comes within this: not at once, since a restarting server ends everybody's connections.
const SOON: Duration = Duration::from_secs(3);
/// A connection that stood for so long was a good one: the next delay is the first again.
const GOOD: Duration = Duration::from_secs(60 * 60);

/// The watch of an account. Lives as long as the process: connections do not survive it.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// The connection that stands open.
    pub standing: Option<Standing>,
    /// It is not opened before.
    pub open_at: Timestamp,
    /// Connections opened since the last good one.
    pub opened: u32,
    /// It ended, and since then nothing of the account was accepted.
    pub ended: bool,
}

/// A connection that stands open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The attempt that opened it.
    pub id: u64,
    /// Whose secret.
    pub login: Fingerprint,
    /// Held by which credential.
    pub credential: CredentialName,
    /// Since when.
    pub since: Timestamp,
}

impl Engine {
    /// Whether connections may be held open. Off, unless the process says so.
    pub const fn hold_watches(&mut self, hold: bool) {
        self.holds_watches = hold;
    }

    /// Whether connections may be held open now.
    pub(super) fn holds_watches(&self) -> bool {
        let ready = self.paused_until.is_none() && self.machine.ready_at().is_some();
        self.holds_watches && ready && self.stance == Stance::Running
    }

    /// Lets go of connections that are not to stand any more.
    pub(super) fn mind_watches(&mut self, actions: &mut Vec<Action>) {
        let holds = self.holds_watches();
        for account in &mut self.accounts {
            let Some(standing) = &account.watch.standing else { continue };
            if !holds || account.login(standing.login).is_none_or(|login| !account.could_be_watched(login)) {
                actions.push(Action::HangUp { id: standing.id });
                account.watch.standing = None;
                account.stirred = true;
            }
        }
        actions.extend(self.released.drain(..).map(|id| Action::HangUp { id }));
    }

    /// A login to open the watch begins: wherever it leads, the next is later.
    pub(super) fn opening(&mut self, index: usize, now: Timestamp) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        account.watch.open_at = now + self.policy.reopen(account.watch.opened, &mut self.dice);
        account.watch.opened = account.watch.opened.saturating_add(1);
    }

    /// Something of the account was accepted: where a watch had ended, it is opened again, ever later.
    pub(super) fn accepted_after_end(&mut self, index: usize, now: Timestamp) {
        let Some(watch) = self.accounts.get_mut(index).map(|account| &mut account.watch) else { return };
        if std::mem::take(&mut watch.ended) {
            watch.open_at = now + self.policy.reopen(watch.opened.saturating_sub(1), &mut self.dice);
        }
    }

    /// The connection of this attempt ended by itself. `unfit`: the server does not let it stand.
    pub(super) fn watch_ended(&mut self, id: u64, unfit: bool, now: Timestamp) {
        let of = |account: &&mut Account| account.watch.standing.as_ref().is_some_and(|standing| standing.id == id);
        let Some(account) = self.accounts.iter_mut().find(of) else { return };
        account.stirred = true;
        let Some(standing) = account.watch.standing.take() else { return };
        if unfit {
            account.watch.open_at = now + DAY;
            return;
        }
        if now.since(standing.since) >= GOOD {
            account.watch.opened = 1;
        }
        account.watch.ended = true;
        let at = now + self.dice.below(SOON);
        let Some(login) = account.login_mut(standing.login).filter(|login| login.is_alive()) else { return };
        // Who is being asked for another reason is asked soon enough.
        if login.due.is_none_or(|due| matches!(due.why, Why::Again | Why::Dropped)) {
            login.due = Some(Due { at, why: Why::Dropped });
        }
    }
}

impl Account {
    /// When the watch wants to be opened, and with which secret; `None` while it stands, or nobody could open it.
    pub(super) fn watch_due(&self) -> Option<(Timestamp, Fingerprint)> {
        let quiet = self.watch.standing.is_none() && !self.watch.ended;
        // A suspicion comes first: what is asked then is chosen with care.
        if !quiet || self.leader().is_some() || self.memory.poll.is_some() {
            return None;
        }
        let healthiest = self.in_use().filter(|login| self.could_be_watched(login)).max_by_key(|login| {
            (login.state == State::Alive { refusing: None }, login.services.imap.last_accepted_at)
        })?;
        Some((self.watch.open_at, healthiest.fingerprint))
    }

    /// Whether IMAP takes this secret, as far as is known.
    fn could_be_watched(&self, login: &Login) -> bool {
        let used = self.services_of(login.fingerprint).has(Service::Imap);
        used && login.is_alive() && login.accepting().has(Service::Imap)
    }
}
