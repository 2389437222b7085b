//! What the machine does to those who live on it: it sleeps and wakes, its network goes and comes back.
//!
//! Decides what that holds back, and that everything is asked once when it is over: after a settle time, spread out
//! (`verdicts.md`, part 6, *Gentleness*). What was under way when the machine fell asleep counts for nothing. Never hears of
//! either by itself: both come in as events.

use std::time::Duration;

use super::{
    engine::{Engine, Stance},
    event::Action,
    login::Why,
    outbox::Channel,
    schedule::Timestamp,
};

/// Sleep that was announced and did not come is over by then.
const FALLING_ASLEEP: Duration = Duration::from_secs(5 * 60);
/// The spread after a return, in settle times: 20 s by default.
const SPREAD: u32 = 2;
/// Between two checks of everything for a return, in settle times: 5 min by default. A network that comes and goes is no
/// reason to knock all the time.
const APART: u32 = 30;

/// The state of the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// It said that it goes to sleep: nothing is begun until it wakes, or until then.
    asleep_until: Option<Timestamp>,
    /// The system says that there is no network.
    network_down: bool,
    /// Before this nothing is begun by itself: names resolve late, portals let nobody through yet.
    settled_at: Timestamp,
    /// When everything is asked because the machine or its network returned, or was.
    recheck_at: Option<Timestamp>,
    /// When it was the time before.
    rechecked_at: Option<Timestamp>,
}

impl Machine {
    /// From when on rounds may begin by themselves; `None` where nobody can tell.
    pub(super) const fn ready_at(&self) -> Option<Timestamp> {
        if self.network_down || self.asleep_until.is_some() { None } else { Some(self.settled_at) }
    }

    /// Whether the system says that there is no network.
    pub(super) const fn network_down(&self) -> bool {
        self.network_down
    }

    /// From when on what a person asks for may begin: without a network at once, to say so.
    pub(super) const fn open_at(&self) -> Option<Timestamp> {
        match self.asleep_until {
            Some(_) => None,
            None if self.network_down => Some(Timestamp::from_millis(i64::MIN)),
            None => Some(self.settled_at),
        }
    }

    /// When to look again, without any word from the machine.
    pub(super) const fn next_due(&self) -> Option<Timestamp> {
        self.asleep_until
    }
}

impl Engine {
    /// The machine is about to sleep.
    pub(super) fn suspending(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.machine.asleep_until = Some(now + FALLING_ASLEEP);
        self.abandon_rounds(now, actions);
    }

    /// The machine woke up. With `recheck` everything is asked once.
    pub(super) fn woke(&mut self, recheck: bool, now: Timestamp, actions: &mut Vec<Action>) {
        self.machine.asleep_until = None;
        self.abandon_rounds(now, actions);
        self.returned(recheck, now);
    }

    /// Sleep that did not come is over.
    pub(super) fn end_of_sleep(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.machine.asleep_until.is_some_and(|until| until <= now) {
            self.woke(false, now, actions);
        }
    }

    /// What the system says of the network.
    pub(super) fn network(&mut self, up: bool, recheck: bool, now: Timestamp) {
        if std::mem::replace(&mut self.machine.network_down, !up) && up {
            self.online = true; // what was heard before belongs to another network
            self.returned(recheck, now);
            // What could not go out without it need not wait for its next try.
            let settled_at = self.machine.settled_at;
            self.channel_ready(Channel::Email, settled_at);
        }
    }

    fn returned(&mut self, recheck: bool, now: Timestamp) {
        if self.stance != Stance::Running {
            return; // a person waits for the end of this process
        }
        let settle = self.policy.settle;
        let settled_at = now + settle;
        self.machine.settled_at = settled_at;
        if !recheck {
            return;
        }
        let machine = &mut self.machine;
        if machine.recheck_at.is_some_and(|at| at <= now) {
            machine.rechecked_at = machine.recheck_at;
        }
        let at = machine.rechecked_at.map_or(settled_at, |before| settled_at.max(before + settle * APART));
        machine.recheck_at = Some(at);
        for account in &mut self.accounts {
            account.stirred = true;
            // What was asked in vain is asked again now, not when its back-off ends: by the routine below where that asks
            // the same, so that it is asked once.
            for login in account.logins.iter_mut().filter(|login| login.inconclusive > 0) {
                login.due = login.due.filter(|due| due.why != Why::Again);
                if let Some(due) = &mut login.due {
                    due.at = due.at.min(settled_at.max(at));
                }
            }
            for credential in &mut account.credentials {
                let sooner = credential.next_at.max(settled_at).min(at);
                credential.next_at = sooner + self.dice.below(settle * SPREAD);
            }
        }
    }

    /// Gives up every round under way, to be made anew. A refusal among its answers was a failed login all the same.
    fn abandon_rounds(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        for account in &mut self.accounts {
            let Some(flight) = account.flight.take() else { continue };
            account.dirty = true;
            if let Some((id, _)) = flight.asking.and_then(|asking| asking.attempt) {
                actions.push(Action::HangUp { id });
            }
            actions.push(Action::Forget { round: flight.round });
            let Some(credential) = account.credential_mut(&flight.credential) else { continue };
            credential.requests.extend(flight.requests);
            credential.named |= flight.named;
            // These are planned anew when the secret is read, which was done. For others a request waits, or the secret's own due
            // time still stands.
            if matches!(flight.why, Why::Routine | Why::Changed) {
                credential.next_at = now;
            }
        }
    }
}
