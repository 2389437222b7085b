//! The siblings of a dying leader: asked one by one whether they are dead, too, and presumed so where that is plain.
//!
//! The rules are those of `verdicts.md`, part 4. Decides nothing about the leader itself.

use super::{
    account::{Account, Poll},
    engine::Engine,
    login::{Due, Login, State, Verdict, Why},
    name::Fingerprint,
    ruling::Rule,
    schedule::Timestamp,
    verdict::die,
};

/// Refused siblings that make the rest of an account presumed dead.
const ENOUGH_SIBLINGS: usize = 3;

impl Engine {
    /// After the leader's second counted refusal its siblings are asked, unless the guard holds the verdict back.
    pub(super) fn ask_siblings(&mut self, index: usize, leader: Fingerprint) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(login) = account.login(leader) else { return };
        let Some(suspicion) = login.suspicion() else { return };
        // Siblings are being asked what the verdict on an earlier leader means: that is to be known before it is told.
        let explains = |poll: &Poll| account.login(poll.leader).is_some_and(|leader| leader.verdict().is_some());
        if account.memory.poll.as_ref().is_some_and(explains) {
            return;
        }
        account.memory.poll = (suspicion.counted >= 2 && !suspicion.held && login.ever_accepted()).then_some(Poll {
            first_refused_at: suspicion.first_at,
            refused_at: suspicion.first_at,
            leader,
            refused: suspicion.refused,
        });
    }

    /// Asks the next sibling, until one is accepted or three are refused.
    pub(super) fn go_on_with_poll(&mut self, index: usize, now: Timestamp) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(poll) = account.memory.poll.clone() else { return };
        let leader_lives = account.in_use().find(|login| login.fingerprint == poll.leader).is_none_or(Login::is_alive);
        if leader_lives || account.accepted_after(poll.refused_at) {
            account.end_poll(now);
            return;
        }
        let underway = account
            .in_use()
            .any(|login| login.due.is_some_and(|due| matches!(due.why, Why::Sibling(_) | Why::Canary(_))));
        if underway {
            return;
        }
        // First those that a service takes which refused the leader; the others cannot be compared with it.
        let alive = account.in_use().filter(|login| login.is_alive() && login.fingerprint != poll.leader);
        let next = alive.filter_map(|login| {
            let asked_on = login.accepting().and(account.services_of(login.fingerprint));
            let alike = asked_on.and(poll.refused);
            let service = alike.iter().chain(asked_on.iter()).next()?;
            Some((alike.is_empty(), login.fingerprint, service))
        });
        let next = next.min_by_key(|(other, ..)| *other).map(|(_, fingerprint, service)| (fingerprint, service));
        match next {
            Some((fingerprint, service)) if account.refused_siblings(&poll) < ENOUGH_SIBLINGS => {
                if let Some(login) = account.login_mut(fingerprint) {
                    login.due = Some(Due { at: now, why: Why::Sibling(service) });
                    account.dirty = true;
                }
            }
            // All are asked. Where the leader is not dead yet, its verdict takes up what they said.
            Some(_) | None => self.give_up_poll(index, now),
        }
    }

    /// No more siblings can be asked: those refused so far decide.
    pub(super) fn give_up_poll(&mut self, index: usize, now: Timestamp) {
        self.presume_siblings(index, now);
        if let Some(account) = self.accounts.get_mut(index) {
            account.end_poll(now);
        }
    }

    /// The leader is dead, three siblings were refused and none accepted: the rest need no login to be known as dead.
    pub(super) fn presume_siblings(&mut self, index: usize, now: Timestamp) {
        let policy = self.policy.clone();
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(poll) = account.memory.poll.clone() else { return };
        let fallen = account.login(poll.leader).is_some_and(|leader| leader.verdict().is_some());
        if !fallen || account.refused_siblings(&poll) < ENOUGH_SIBLINGS || account.accepted_after(poll.first_refused_at)
        {
            return;
        }
        // Where secrets were replaced, a pair made after all that is refused was last accepted may well be the person's
        // repair, made before anybody noticed.
        let replaced = account.in_use().count() < account.logins.len();
        let fell_after = account.in_use().filter(|login| !login.is_alive()).filter_map(Login::last_accepted_at).max();
        for fingerprint in account.fingerprints_in_use() {
            if let Some(login) = account.login_mut(fingerprint)
                && login.is_alive()
                && (!replaced || login.first_accepted_at() < fell_after)
            {
                die(login, Verdict::presumed(now), &policy, &mut self.dice, now);
                account.rule(fingerprint, None, Rule::PresumedBySiblings, now);
            }
        }
        account.end_poll(now);
    }

    /// The ration does not allow a suspect's confirmation: it is presumed dead where it is older than an open incident of at least
    /// four secrets, else it waits.
    pub(super) fn presume_suspect(&mut self, index: usize, suspect: Fingerprint, frees_at: Timestamp, now: Timestamp) {
        let policy = self.policy.clone();
        let Some(account) = self.accounts.get_mut(index) else { return };
        let many = account.incident.as_ref().filter(|file| file.secrets.len() > ENOUGH_SIBLINGS);
        let began = many.map(|file| file.incident.began_between.1);
        let Some(login) = account.login_mut(suspect) else { return };
        // A pair made since is the person's repair, and did not die of what the others died of.
        if began.is_some_and(|began| login.first_accepted_at().is_some_and(|first| first < began)) {
            die(login, Verdict::presumed(now), &policy, &mut self.dice, now);
            account.rule(suspect, None, Rule::PresumedByRation, now);
        } else {
            login.due = Some(Due { at: frees_at, why: Why::Confirm });
            account.rule(suspect, None, Rule::RationUsedUp { until: frees_at }, now);
        }
    }
}

impl Account {
    /// Siblings refused since the leader was.
    fn refused_siblings(&self, poll: &Poll) -> usize {
        let refused = |login: &Login| {
            login.fingerprint != poll.leader
                && login.ever_accepted()
                && login.last_rejected_at().is_some_and(|at| at > poll.first_refused_at)
                && !login.is_alive()
        };
        self.in_use().filter(|login| refused(login)).count()
    }

    /// Everybody was asked: what was kept back until then is told now.
    fn end_poll(&mut self, now: Timestamp) {
        self.memory.poll = None;
        self.dirty = true;
        self.outbox.tell_now(now);
    }

    /// What was presumed is to be asked after all.
    pub(super) fn unpresume(&mut self, now: Timestamp) {
        let mut asked = Vec::new();
        for login in &mut self.logins {
            if login.verdict().is_some_and(|verdict| verdict.presumed) {
                login.become_(State::New, now);
                asked.push(login.fingerprint);
            }
        }
        for credential in &mut self.credentials {
            if credential.memory.secret.is_some_and(|secret| asked.contains(&secret)) {
                credential.next_at = now;
            }
        }
        for fingerprint in asked {
            self.rule(fingerprint, None, Rule::NoLongerPresumed, now);
        }
    }
}
