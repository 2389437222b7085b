//! One round from the reading of the secret to its end.

use std::collections::VecDeque;

use super::{
    account::{Account, Asking, Flight, Unreadable},
    engine::{Engine, Stance},
    event::{Action, AttemptRow, Record},
    evidence::{Cause, Finding, Outcome, Round, Service, Services},
    login::{Due, Login, State, Why},
    name::{CredentialName, Fingerprint},
    ration::{Purse, Spent},
    round::{plan, purse},
    ruling::Rule,
    schedule::Timestamp,
    verdict::{Finished, plan_retest},
    watch::Standing,
};

impl Engine {
    pub(super) fn secret_read(
        &mut self,
        round: u64,
        result: Result<Fingerprint, (Cause, String)>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(index) = self.accounts.iter().position(|a| a.flight.as_ref().is_some_and(|f| f.round == round)) else {
            actions.push(Action::Forget { round });
            return;
        };
        let (interval, policy) = (self.policy.next_interval(&mut self.dice), self.policy.clone());
        let Some(account) = self.accounts.get_mut(index) else { return };
        account.stirred = true;
        let Some(flight) = account.flight.clone() else { return };
        let fingerprint = match result {
            Ok(fingerprint) => fingerprint,
            Err((cause, detail)) => {
                let Some(credential) = account.credential_mut(&flight.credential) else { return };
                let since = credential.memory.unreadable.as_ref().map_or(now, |unreadable| unreadable.since);
                credential.memory.unreadable = Some(Unreadable { cause, detail, since, at: now });
                credential.read = true;
                let wait = policy.back_off(credential.failed_reads, false, &mut self.dice);
                credential.failed_reads = credential.failed_reads.saturating_add(1);
                credential.next_at = now + wait;
                if let Some(due) = flight.target.and_then(|t| account.login_mut(t)).and_then(|l| l.due.as_mut()) {
                    due.at = due.at.max(now + wait);
                }
                self.land(index, actions);
                return;
            }
        };
        let changed = account.bind(&flight.credential, fingerprint, now);
        account.dirty |= changed;
        let latched = account.login(fingerprint).is_some_and(|login| login.verdict().is_some());
        let Some(credential) = account.credential_mut(&flight.credential) else { return };
        let other = changed || flight.target.is_some_and(|target| target != fingerprint);
        let why = if flight.why == Why::Person {
            if latched && !flight.named { Why::Routine } else { Why::Person }
        } else if other {
            Why::Changed
        } else {
            flight.why
        };
        if matches!(why, Why::Routine | Why::Changed | Why::Person) {
            credential.next_at = now + interval;
        }
        if changed && let Some(login) = account.login_mut(fingerprint) {
            // An old secret put back is known to be dead: its re-tests begin anew instead of catching up.
            plan_retest(login, &policy, &mut self.dice, now);
        }
        if changed && latched {
            account.rule(fingerprint, None, Rule::PutBack, now);
        }
        let mut plan = plan(account, fingerprint, why, &policy, now);
        if why == Why::Person {
            // Another credential with the same secret was asked for the same request: its answer holds for both.
            let asked = account.asked_for(&flight.requests, fingerprint);
            let answered = plan.one_answer && asked != Services::NONE;
            plan.services.retain(|service| !answered && !asked.has(*service));
        }
        if let Some(login) = account.login_mut(fingerprint)
            && plan.services.is_empty()
            && login.due.is_some_and(|due| due.why == why)
        {
            login.due = None; // not to be asked for this any more
        }
        let accepting = account.login(fingerprint).map(Login::accepting).unwrap_or_default();
        if let Some(flight) = &mut account.flight {
            flight.why = why;
            flight.asking = Some(Asking {
                login: fingerprint,
                accepting,
                queue: plan.services,
                one_answer: plan.one_answer,
                said: Round::default(),
                refusals: Vec::new(),
                attempt: None,
            });
        }
        self.ask_next(index, now, actions);
    }

    /// Asks the next service of the round, or ends it.
    fn ask_next(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        let id = self.next_id();
        let limit = self.policy.failed_logins_per_account;
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(flight) = &mut account.flight else { return };
        let (round, why, credential) = (flight.round, flight.why, flight.credential.clone());
        let Some(asking) = &mut flight.asking else { return };
        let Some(service) = asking.queue.pop_front() else {
            self.finish(index, now, actions);
            return;
        };
        if self.stance == Stance::Ending {
            self.land(index, actions);
            return;
        }
        let login = account.logins.iter().find(|login| login.fingerprint == asking.login);
        let purse = login.map_or(Purse::New, |login| purse(why, login, !asking.refusals.is_empty()));
        let ration = self.rations.entry(account.address.key()).or_default();
        match ration.reserve(id, purse, limit, now) {
            Ok(()) => {
                asking.attempt = Some((id, service));
                let spent = Spent { id, at: now };
                actions.push(Action::Record(Record::Spent { account: account.address.clone(), spent }));
                let hold = why == Why::Watch;
                actions.push(Action::Attempt { id, round, credential, service, hold });
            }
            Err(frees_at) => {
                asking.queue = VecDeque::new();
                self.out_of_ration(index, frees_at, now);
                self.finish(index, now, actions);
            }
        }
    }

    pub(super) fn attempted(&mut self, id: u64, outcome: Outcome, now: Timestamp, actions: &mut Vec<Action>) {
        let rejected = outcome.finding == Finding::Rejected;
        self.settle(id, rejected, now, actions);
        let flies = |account: &Account| account.flight.as_ref()?.asking.as_ref()?.attempt.filter(|a| a.0 == id);
        let Some(index) = self.accounts.iter().position(|account| flies(account).is_some()) else {
            actions.push(Action::HangUp { id }); // its connection may be meant to stay, and nobody would know of it
            return;
        };
        let Some(account) = self.accounts.get_mut(index) else { return };
        account.stirred = true;
        let Some(flight) = &mut account.flight else { return };
        let Some(asking) = &mut flight.asking else { return };
        let Some((_, service)) = asking.attempt.take() else { return };
        *asking.said.of_mut(service) = Some(outcome.finding);
        if asking.one_answer && outcome.finding.is_conclusive() {
            asking.queue.clear();
        }
        let fingerprint = asking.login;
        let (why, credential) = (flight.why, flight.credential.clone());
        actions.push(Action::Record(Record::Attempt(AttemptRow {
            id,
            at: now,
            account: account.address.clone(),
            credential: flight.credential.clone(),
            secret: fingerprint.secret,
            round: flight.round,
            service,
            why: flight.why,
            outcome: outcome.clone(),
        })));
        match outcome.finding.cause() {
            Some(Cause::Offline) => self.online = false,
            // No word from a server: no word on the network either.
            Some(Cause::SecretUnavailable | Cause::SecretMalformed | Cause::TimedOut | Cause::Unreachable) => {}
            Some(
                Cause::CaptivePortal
                | Cause::TlsFailed
                | Cause::TlsNotOffered
                | Cause::Unavailable
                | Cause::Throttled
                | Cause::ConnectionLost
                | Cause::RefusedOtherwise
                | Cause::ProtocolViolation,
            )
            | None => self.online = true,
        }
        if outcome.finding.cause() == Some(Cause::Unavailable) {
            *account.memory.unavailable_at.of_mut(service) = Some(now);
        }
        if rejected {
            if let Some(asking) = account.flight.as_mut().and_then(|flight| flight.asking.as_mut()) {
                asking.refusals.push((service, outcome, now));
            }
        } else if let Some(login) = account.login_mut(fingerprint) {
            let accepted = outcome.finding == Finding::Accepted;
            login.remember(service, outcome, now);
            match (accepted, why) {
                (true, Why::Watch) => {
                    account.watch.standing = Some(Standing { id, login: fingerprint, credential, since: now });
                }
                (true, _) => self.accepted_after_end(index, now),
                (false, _) => {}
            }
        }
        self.ask_next(index, now, actions);
    }

    /// The round is over: judge, and let its consequences follow.
    fn finish(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(flight) = account.flight.clone() else { return };
        let Some(asking) = &flight.asking else { return };
        if let Some(login) = account.login_mut(asking.login) {
            for (service, outcome, at) in &asking.refusals {
                login.remember(*service, outcome.clone(), *at);
            }
        }
        let lost = Some(Finding::Inconclusive(Cause::ConnectionLost));
        if asking.said != Round::default() {
            let finished = Finished {
                id: flight.round,
                credential: flight.credential.clone(),
                why: flight.why,
                started_at: flight.started_at,
                said: asking.said,
                accepting: asking.accepting,
                connection_lost: asking.said.imap == lost || asking.said.smtp == lost,
            };
            self.conclude(index, asking.login, &finished, now);
        }
        self.land(index, actions);
    }

    /// Ends the round under way.
    fn land(&mut self, index: usize, actions: &mut Vec<Action>) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        account.dirty = true;
        if let Some(flight) = account.flight.take() {
            account.note_asked(&flight);
            actions.push(Action::Forget { round: flight.round });
        }
    }

    /// Nothing may be spent: what was to be asked waits, or is presumed.
    fn out_of_ration(&mut self, index: usize, frees_at: Timestamp, now: Timestamp) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(flight) = &account.flight else { return };
        let (why, name) = (flight.why, flight.credential.clone());
        let Some(asking) = &flight.asking else { return };
        if asking.said != Round::default() {
            return; // it did say something: that is judged
        }
        let fingerprint = asking.login;
        match why {
            Why::Confirm => self.presume_suspect(index, fingerprint, frees_at, now),
            Why::Canary(_) | Why::Sibling(_) => {
                if let Some(login) = account.login_mut(fingerprint) {
                    login.due = None;
                }
                if let Why::Sibling(_) = why {
                    self.give_up_poll(index, now);
                }
            }
            Why::Watch => account.watch.open_at = account.watch.open_at.max(frees_at),
            Why::Again | Why::Retest | Why::Changed | Why::Dropped => {
                let why = if why == Why::Changed { Why::Again } else { why };
                if let Some(login) = account.login_mut(fingerprint) {
                    login.due = Some(Due { at: frees_at, why });
                }
            }
            Why::Routine => {
                if let Some(credential) = account.credential_mut(&name) {
                    credential.next_at = credential.next_at.min(frees_at);
                }
            }
            // A pair never judged is still to be: it may be the repair.
            Why::Person => {
                if let Some(login) = account.login_mut(fingerprint)
                    && login.state == State::New
                {
                    login.due = Some(Due { at: frees_at, why: Why::Again });
                }
            }
        }
    }
}

impl Account {
    /// Where this secret was asked already for every one of these requests.
    fn asked_for(&self, requests: &[u64], fingerprint: Fingerprint) -> Services {
        let asked = |service| {
            !requests.is_empty()
                && requests.iter().all(|request| self.asked_for.contains(&(*request, fingerprint, service)))
        };
        Services { imap: asked(Service::Imap), smtp: asked(Service::Smtp) }
    }

    /// Remembers what a round asked for its requests.
    fn note_asked(&mut self, flight: &Flight) {
        let Some(asking) = &flight.asking else { return };
        let asked = Service::ALL.into_iter().filter(|service| asking.said.of(*service).is_some());
        for service in asked {
            self.asked_for.extend(flight.requests.iter().map(|request| (*request, asking.login, service)));
        }
    }

    /// A credential was read: it holds this secret now. Whether that is another one than before.
    pub(super) fn bind(&mut self, name: &CredentialName, fingerprint: Fingerprint, now: Timestamp) -> bool {
        let Some(credential) = self.credential_mut(name) else { return false };
        credential.memory.unreadable = None;
        credential.failed_reads = 0;
        credential.read = true;
        let before = credential.memory.secret.replace(fingerprint);
        if self.login(fingerprint).is_none() {
            let mut login = Login::new(fingerprint, now);
            for service in Service::ALL {
                // A pair seen before, beside another user name of the other service, keeps its history.
                let pair = fingerprint.pairs.of(service);
                let known = self.logins.iter().find(|other| other.fingerprint.pairs.of(service) == pair);
                if let Some(known) = known {
                    *login.services.of_mut(service) = known.services.of(service).clone();
                }
                let renamed = self.logins.iter().any(|other| {
                    other.fingerprint.secret == fingerprint.secret && other.fingerprint.pairs.of(service) != pair
                });
                if renamed {
                    *self.memory.resting.of_mut(service) = None; // another user name: the refusal may have been about that
                }
            }
            self.logins.push(login);
        }
        before != Some(fingerprint)
    }
}
