//! Which round runs when: what is due, for whom first, and when to look again.
//!
//! Decides the order of the rounds and begins them. What a round asks stands in `round.rs`, how it goes in `flight.rs`.

use super::{
    account::{Account, Credential, Flight, Wants},
    engine::{Engine, Stance},
    event::Action,
    login::{Login, Why},
    name::{CredentialName, Fingerprint},
    schedule::Timestamp,
};

impl Engine {
    /// When [`Event::Timer`](super::event::Event::Timer) is due. Never where nothing is to be done but what a person asks for.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.stance != Stance::Running {
            return None;
        }
        let busy = self.in_flight() >= self.policy.concurrent_checks;
        let paused = self.paused_until.is_some();
        let ready_at = self.machine.ready_at().filter(|_| !busy && !paused);
        let waiting = || self.accounts.iter().filter(|account| account.flight.is_none() && account.lent.is_none());
        let rounds = waiting().filter_map(|account| Some(account.wants.round_at?.max(ready_at?)));
        let watches = waiting().filter(|_| self.holds_watches());
        let watches = watches.filter_map(|account| Some(account.wants.watch_at?.max(ready_at?)));
        let wanted = self.machine.open_at().filter(|_| !busy && waiting().any(|account| account.wants.asked));
        let messages = self.accounts.iter().filter_map(|account| account.wants.message_at);
        let reminders = self.accounts.iter().filter(|_| !paused).filter_map(|account| account.wants.reminder_at);
        let resumes = self.paused_until.filter(|until| *until < Timestamp::END);
        let machine = wanted.into_iter().chain(self.machine.next_due());
        rounds.chain(watches).chain(messages).chain(reminders).chain(resumes).chain(machine).min()
    }

    /// Works out again when the accounts that changed want something.
    pub(super) fn look_ahead(&mut self) {
        for index in 0..self.accounts.len() {
            let Some(account) = self.accounts.get(index).filter(|account| account.stirred) else { continue };
            let routine = account.credentials.iter().map(|credential| credential.next_at);
            let due = account.logins.iter().filter(|login| login.due.is_some());
            let held = due.filter(|login| account.holders(login.fingerprint).next().is_some());
            let wants = Wants {
                watch_at: account.watch_due().map(|(at, _)| at),
                asked: account.credentials.iter().any(|credential| !credential.requests.is_empty()),
                round_at: routine.chain(held.filter_map(|login| self.due_at(account, login))).min(),
                message_at: account.outbox.next_due(),
                reminder_at: account.incident.as_ref().and_then(|file| file.remind_at),
            };
            if let Some(account) = self.accounts.get_mut(index) {
                account.wants = wants;
                account.stirred = false;
            }
        }
    }

    /// When a secret's own round is due: two re-tests of an account keep an hour apart.
    pub(super) fn due_at(&self, account: &Account, login: &Login) -> Option<Timestamp> {
        let due = login.due?;
        let spaced = account.memory.last_retest_at.map(|at| at + self.policy.rest(0));
        match due.why {
            Why::Retest => Some(due.at.max(spaced.unwrap_or(due.at))),
            Why::Routine
            | Why::Changed
            | Why::Person
            | Why::Again
            | Why::Confirm
            | Why::Canary(_)
            | Why::Sibling(_)
            | Why::Watch
            | Why::Dropped => Some(due.at),
        }
    }

    /// Connections to watched accounts.
    pub(super) fn in_flight(&self) -> u32 {
        let count = self.accounts.iter().filter(|it| it.flight.is_some() || it.lent.is_some()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Starts the rounds that are due: at most one per account, `concurrent_checks` in all.
    pub(super) fn dispatch(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.stance == Stance::Ending {
            return;
        }
        for index in 0..self.accounts.len() {
            if self.in_flight() >= self.policy.concurrent_checks {
                return;
            }
            // What has not changed since it was last looked at wants nothing before its time.
            let wants = |account: &Account| {
                let mut due = [account.wants.round_at, account.wants.watch_at].into_iter().flatten();
                account.wants.asked || due.any(|at| at <= now)
            };
            let may = |account: &&Account| account.stirred || wants(account);
            let account = self.accounts.get(index).filter(may);
            let Some(task) = account.and_then(|account| self.next_task(account, now)) else { continue };
            if task.why == Why::Watch {
                self.opening(index, now);
            }
            let round = self.next_id();
            let Some(account) = self.accounts.get_mut(index) else { continue };
            account.stirred = true;
            let (requests, named) = match account.credential_mut(&task.credential) {
                Some(credential) => (std::mem::take(&mut credential.requests), std::mem::take(&mut credential.named)),
                None => (Vec::new(), false),
            };
            let why = if requests.is_empty() { task.why } else { Why::Person };
            actions.push(Action::ReadSecret {
                round,
                credential: task.credential.clone(),
                by_person: matches!(why, Why::Person),
            });
            account.flight = Some(Flight {
                round,
                credential: task.credential,
                why,
                target: task.target,
                started_at: now,
                requests,
                named,
                asking: None,
            });
        }
    }

    /// The most urgent thing to ask of an account: what a person wants, what its secrets are due for, the routine.
    fn next_task(&self, account: &Account, now: Timestamp) -> Option<Task> {
        if account.flight.is_some() || account.lent.is_some() {
            return None;
        }
        let routine = |credential: &Credential| Task {
            credential: credential.setup.name.clone(),
            why: Why::Routine,
            target: None,
        };
        let open = self.machine.open_at().is_some_and(|at| at <= now);
        let wanted = account.credentials.iter().find(|credential| open && !credential.requests.is_empty()).map(routine);
        let due = || {
            let due = account.in_use().filter_map(|login| Some((self.due_at(account, login)?, login)));
            let (_, login) = due.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at)?;
            // Prefer a credential whose source can be read.
            let holder = account.holders(login.fingerprint).min_by_key(|holder| holder.failed_reads)?;
            let why = login.due?.why;
            Some(Task { credential: holder.setup.name.clone(), why, target: Some(login.fingerprint) })
        };
        let interval = || {
            let due = account.credentials.iter().filter(|credential| credential.next_at <= now);
            due.min_by_key(|credential| credential.next_at).map(routine)
        };
        let ready = self.machine.ready_at().is_some_and(|at| at <= now) && self.paused_until.is_none();
        let watch = || {
            let (_, target) = account.watch_due().filter(|(at, _)| *at <= now && self.holds_watches())?;
            let credential = account.holders(target).next()?.setup.name.clone();
            Some(Task { credential, why: Why::Watch, target: Some(target) })
        };
        if ready { wanted.or_else(due).or_else(interval).or_else(watch) } else { wanted }
    }
}

/// A round to start.
struct Task {
    credential: CredentialName,
    why: Why,
    target: Option<Fingerprint>,
}
