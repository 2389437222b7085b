//! What a round's judgement means for others: leader and siblings, canaries, corroboration, the outage guard, presumption.
//!
//! The rules are those of `verdicts.md`, part 4. The rules for one secret by itself stand in `verdict.rs`.

use super::{
    account::{Account, Poll},
    engine::Engine,
    evidence::{Finding, Service, Services},
    login::{Due, Login, State, Verdict, Why},
    name::Fingerprint,
    ruling::{Guard, Judged, Rule, Witness},
    schedule::Timestamp,
    verdict::{Acceptance, Finished, Judgement, Witnesses, die, hasten, judge, promote},
};

/// Refused siblings that make the rest of an account presumed dead.
const ENOUGH_SIBLINGS: usize = 3;

impl Engine {
    /// Judges a finished round of one secret and carries out what follows for the others.
    pub(super) fn conclude(&mut self, index: usize, fingerprint: Fingerprint, round: &Finished, now: Timestamp) {
        let witnesses = self.witnesses(index, fingerprint, round);
        let policy = self.policy.clone();
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(login) = account.login_mut(fingerprint) else { return };
        let led = login.leads();
        let before = login.state.clone();
        let judgement = judge(login, round, witnesses, &policy, &mut self.dice, now);
        let rule = Rule::of(judgement, &before, login, round);
        // Of a dead one no service rests: it is asked on both as soon as it is accepted again.
        if login.ever_accepted() && login.verdict().is_none() {
            // A service that refused before and refuses again while the other is silent goes on resting.
            for service in round.refusing().without(round.accepting).iter() {
                account.let_rest(service, &policy, now);
            }
        }
        if round.why == Why::Retest {
            account.memory.last_retest_at = Some(now);
        }
        if let Some(rule) = rule {
            let judged = self.judged(index, fingerprint, round, witnesses, (&before, rule));
            if let Some(account) = self.accounts.get_mut(index) {
                account.rule(fingerprint, Some((round.credential.clone(), judged)), rule, now);
            }
        }
        match judgement {
            Judgement::Alive { doubted, dead } => {
                self.after_acceptance(index, fingerprint, round, doubted || dead, dead, now);
            }
            Judgement::Suspected => {
                let asked_for_another = matches!(round.why, Why::Canary(_) | Why::Sibling(_));
                if !witnesses.led && !asked_for_another {
                    self.send_canaries(index, fingerprint, now);
                }
            }
            Judgement::Confirmed(_) => self.ask_siblings(index, fingerprint),
            Judgement::Died(_) => {
                if led {
                    self.leader_died(index, fingerprint, now);
                }
            }
            Judgement::Refused | Judgement::Nothing => {}
        }
    }

    /// What others have to say about a refusal in this round.
    fn witnesses(&self, index: usize, fingerprint: Fingerprint, round: &Finished) -> Witnesses {
        let Some(account) = self.accounts.get(index) else { return Witnesses::default() };
        let Some(login) = account.login(fingerprint) else { return Witnesses::default() };
        let refusing = round.refusing();
        let (refused, since) = login.suspicion().map_or((refusing, round.started_at), |suspicion| {
            (suspicion.refused.union(refusing.and(suspicion.evidence)), suspicion.first_at)
        });
        let others = self.accounts.iter().flat_map(|account| &account.logins);
        let corroborated = others.filter(|other| other.fingerprint != fingerprint).find_map(|other| {
            refused.iter().find_map(|service| {
                let accepted = other.services.of(service).last_accepted_at;
                let at = accepted.filter(|at| *at > since && *at < round.started_at)?;
                Some(Acceptance { secret: other.fingerprint, service, at })
            })
        });
        let lately = since - self.policy.outage_hold;
        // Who waits for this one shares its verdict, and so its guard.
        let waiting = account.in_use().filter_map(|login| Some(login.suspicion()?.refused));
        let doubted = waiting.fold(refused, Services::union);
        let sees = |other: &Account| other.could_witness(doubted, lately);
        let elsewhere = self.accounts.iter().enumerate().any(|(at, other)| at != index && sees(other));
        let used = account.services_of(fingerprint);
        let unwell = used.iter().find(|service| self.was_unavailable(*service)).map(Guard::Unavailable);
        let poll = account.memory.poll.as_ref();
        let fell = |poll: &Poll| {
            let dead = account.login(poll.leader).is_some_and(|leader| leader.verdict().is_some());
            dead && !account.accepted_after(poll.refused_at)
        };
        Witnesses {
            corroborated,
            guard: elsewhere.then_some(Guard::AnotherAccount).or(unwell),
            led: account.leader().is_some_and(|leader| leader.fingerprint != fingerprint),
            leader_fell: matches!(round.why, Why::Sibling(_)) && poll.is_some_and(fell),
        }
    }

    /// A round as it was judged, for the chain that `explain` prints.
    fn judged(
        &self,
        index: usize,
        fingerprint: Fingerprint,
        round: &Finished,
        witnesses: Witnesses,
        (before, rule): (&State, Rule),
    ) -> Judged {
        let login = self.accounts.get(index).and_then(|account| account.login(fingerprint));
        let evidence = match before {
            _ if !rule.is_counted() => Services::NONE,
            State::Doubted(suspicion) => suspicion.evidence,
            State::New | State::Alive { .. } if login.is_some_and(Login::ever_accepted) => round.accepting,
            State::New | State::Alive { .. } | State::Dead(_) => Services::BOTH,
        };
        let refusals = match (before, login.map(|login| &login.state)) {
            (_, Some(State::Doubted(suspicion))) => suspicion.counted,
            (State::Doubted(suspicion), Some(State::Dead(_))) => suspicion.counted + 1,
            (State::New | State::Alive { .. }, Some(State::Dead(_))) => 1,
            (_, _) => 0,
        };
        let witness = |acceptance: Acceptance| {
            let account = self.accounts.iter().find(|account| account.login(acceptance.secret).is_some())?;
            let credential = account.holders(acceptance.secret).next().map(|holder| holder.setup.name.clone());
            let Acceptance { service, at, .. } = acceptance;
            Some(Witness { account: account.address.clone(), credential, service, at })
        };
        Judged {
            id: round.id,
            why: round.why,
            started_at: round.started_at,
            said: round.said,
            counted: round.refusing().and(evidence),
            refusals,
            corroborated_by: witnesses.corroborated.and_then(witness),
            guard: witnesses.guard,
            led: witnesses.led,
        }
    }

    /// Whether `service` answered `unavailable` since its latest acceptance by anybody.
    fn was_unavailable(&self, service: Service) -> bool {
        let unavailable = self.accounts.iter().filter_map(|account| *account.memory.unavailable_at.of(service)).max();
        let accepted = self.accounts.iter().flat_map(|account| &account.logins);
        unavailable > accepted.filter_map(|login| login.services.of(service).last_accepted_at).max()
    }

    fn after_acceptance(
        &mut self,
        index: usize,
        fingerprint: Fingerprint,
        round: &Finished,
        recovered: bool,
        dead: bool,
        now: Timestamp,
    ) {
        let policy = self.policy.clone();
        let accepted = round.accepted();
        let Some(account) = self.accounts.get_mut(index) else { return };
        for service in Service::ALL {
            match round.said.of(service) {
                Some(Finding::Accepted) => *account.memory.resting.of_mut(service) = None,
                Some(Finding::Rejected) => account.let_rest(service, &policy, now),
                Some(Finding::Inconclusive(_)) | None => {}
            }
        }
        if recovered {
            // It was asked on one service only: a full round tells whether the other takes it, too.
            for credential in &mut account.credentials {
                if credential.memory.secret == Some(fingerprint) {
                    credential.next_at = now;
                }
            }
        }
        let older = account.incident.as_ref().is_some_and(|file| {
            let first = account.login(fingerprint).and_then(Login::first_accepted_at);
            first.is_some_and(|first| first < file.incident.began_between.1)
        });
        if dead {
            account.memory.last_retest_at = None;
            for login in account.logins.iter_mut().filter(|login| login.verdict().is_some()) {
                login.due = Some(Due { at: now, why: Why::Retest });
            }
        }
        if older || dead {
            account.unpresume(now);
        }
        for account in &mut self.accounts {
            for login in account.logins.iter_mut().filter(|login| login.fingerprint != fingerprint) {
                if login.suspicion().is_some_and(|suspicion| !suspicion.refused.and(accepted).is_empty()) {
                    hasten(login, &policy, now);
                    account.dirty = true;
                }
            }
        }
    }

    /// On the first refusal a healthy sibling and a healthy secret of another account are asked on a service that refused.
    fn send_canaries(&mut self, index: usize, suspect: Fingerprint, now: Timestamp) {
        let refused =
            self.accounts.get(index).and_then(|account| account.login(suspect)?.suspicion().map(|s| s.refused));
        let Some(refused) = refused else { return };
        let sibling = index..index + 1;
        let others = (0..self.accounts.len()).filter(|at| *at != index);
        let mut elsewhere = false;
        for at in sibling.chain(others) {
            if at != index && elsewhere {
                break;
            }
            let Some(account) = self.accounts.get_mut(at) else { continue };
            let healthy = account.in_use().find_map(|login| {
                let service =
                    login.accepting().and(refused).and(account.services_of(login.fingerprint)).iter().next()?;
                (login.is_alive() && login.fingerprint != suspect).then_some((login.fingerprint, service))
            });
            if let Some((fingerprint, service)) = healthy
                && let Some(login) = account.login_mut(fingerprint)
            {
                login.due = Some(Due { at: now, why: Why::Canary(service) });
                account.dirty = true;
                elsewhere |= at != index;
            }
        }
    }

    /// After the leader's second counted refusal its siblings are asked, unless the guard holds the verdict back.
    fn ask_siblings(&mut self, index: usize, leader: Fingerprint) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(login) = account.login(leader) else { return };
        let Some(suspicion) = login.suspicion() else { return };
        account.memory.poll = (suspicion.counted >= 2 && !suspicion.held && login.ever_accepted()).then_some(Poll {
            first_refused_at: suspicion.first_at,
            refused_at: suspicion.first_at,
            leader,
            refused: suspicion.refused,
        });
    }

    /// The leader's verdict fell: those who wait share it, and the others are asked what happened.
    fn leader_died(&mut self, index: usize, leader: Fingerprint, now: Timestamp) {
        let policy = self.policy.clone();
        let Some(account) = self.accounts.get_mut(index) else { return };
        let Some(login) = account.login(leader) else { return };
        let Some(verdict) = login.verdict() else { return };
        let (first_refused_at, accepted_before) = (verdict.first_refused_at, login.ever_accepted());
        let refused = login.refusing();
        let refused_at = login.last_rejected_at().unwrap_or(now);
        let waiting: Vec<(Fingerprint, Timestamp)> = account
            .in_use()
            .filter_map(|login| Some((login.fingerprint, login.suspicion().filter(|s| !s.leads)?.first_at)))
            .collect();
        for (fingerprint, first_at) in waiting {
            // One of the account was accepted since: then it leads in its turn instead.
            if account.accepted_after(first_at) {
                continue;
            }
            if let Some(login) = account.login_mut(fingerprint) {
                die(login, Verdict::shared(first_at), &policy, &mut self.dice, now);
                account.rule(fingerprint, None, Rule::Shared, now);
            }
        }
        account.memory.poll = accepted_before.then_some(Poll { first_refused_at, refused_at, leader, refused });
        self.presume_siblings(index, now);
    }

    /// Where nobody leads and somebody waits, the one refused first leads.
    pub(super) fn choose_leader(&mut self, index: usize, now: Timestamp) {
        let policy = self.policy.clone();
        let Some(account) = self.accounts.get_mut(index) else { return };
        if account.leader().is_some() {
            return;
        }
        let waiting = account.in_use().filter_map(|login| Some((login.suspicion()?.first_at, login.fingerprint)));
        if let Some((_, fingerprint)) = waiting.min()
            && let Some(login) = account.login_mut(fingerprint)
        {
            promote(login, &policy, &mut self.dice, now);
            account.dirty = true;
        }
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
        let next = account.in_use().find_map(|login| {
            let asked_on = login.accepting().and(account.services_of(login.fingerprint));
            let service = asked_on.and(poll.refused).iter().next().or_else(|| asked_on.iter().next())?;
            (login.is_alive() && login.fingerprint != poll.leader).then_some((login.fingerprint, service))
        });
        let leads = account.leader().is_some_and(|leader| leader.fingerprint == poll.leader);
        match next {
            Some((fingerprint, service)) if account.refused_siblings(&poll) < ENOUGH_SIBLINGS => {
                if let Some(login) = account.login_mut(fingerprint) {
                    login.due = Some(Due { at: now, why: Why::Sibling(service) });
                    account.dirty = true;
                }
            }
            Some(_) | None if leads => {} // all are asked: the leader's verdict decides
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

    /// The ration does not allow a suspect's confirmation: beside an open incident it is presumed dead, else it waits.
    pub(super) fn presume_suspect(&mut self, index: usize, suspect: Fingerprint, frees_at: Timestamp, now: Timestamp) {
        let policy = self.policy.clone();
        let Some(account) = self.accounts.get_mut(index) else { return };
        let many = account.incident.as_ref().is_some_and(|file| file.secrets.len() > ENOUGH_SIBLINGS);
        let Some(login) = account.login_mut(suspect) else { return };
        if many && login.ever_accepted() {
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
    fn unpresume(&mut self, now: Timestamp) {
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
