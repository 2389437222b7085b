//! What a round's judgement means for others: leader and canaries, corroboration, the outage guard.
//!
//! The rules are those of `verdicts.md`, part 4. The rules for one secret by itself stand in `verdict.rs`, those for siblings
//! that are asked one by one, and for those that need not be, in `poll.rs`.

use super::{
    account::{Account, Poll},
    engine::Engine,
    evidence::{Finding, Service, Services},
    login::{Due, Login, State, Verdict, Why},
    name::Fingerprint,
    ruling::{Guard, Judged, Rule, Witness},
    schedule::Timestamp,
    verdict::{Acceptance, Finished, Ground, Judgement, Witnesses, die, hasten, judge, promote},
};

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
        // Of a suspect or a dead one no service rests: it is asked on both as soon as it is accepted again.
        if login.is_alive() {
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
            Judgement::Died(ground) => {
                let held = matches!(&before, State::Doubted(suspicion) if suspicion.held);
                if led {
                    self.leader_died(index, fingerprint, ground == Ground::Corroborated && held, now);
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
        let (refused, since) = match &login.state {
            State::Doubted(suspicion) => {
                (suspicion.refused.union(refusing.and(suspicion.evidence)), suspicion.first_at)
            }
            State::Dead(verdict) => (refusing, verdict.first_refused_at),
            State::New | State::Alive { .. } => (refusing, round.started_at),
        };
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

    /// On the first refusal a healthy sibling and a healthy secret of another account are asked on a service that refused; the
    /// sibling on both where only one did (`round.rs`).
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
            // One that both services take has most to say.
            let healthy = account.in_use().filter(|login| login.is_alive());
            let healthy = healthy.filter_map(|login| {
                let taken = login.accepting().and(account.services_of(login.fingerprint));
                Some((taken != Services::BOTH, login.fingerprint, taken.and(refused).iter().next()?))
            });
            let healthy = healthy.min_by_key(|(one, ..)| *one).map(|(_, fingerprint, service)| (fingerprint, service));
            if let Some((fingerprint, service)) = healthy
                && let Some(login) = account.login_mut(fingerprint)
            {
                login.due = Some(Due { at: now, why: Why::Canary(service) });
                account.dirty = true;
                elsewhere |= at != index;
            }
        }
    }

    /// The leader's verdict fell: those who wait share it, and the others are asked what happened. `after_an_outage`: it was
    /// held back, and somebody was accepted then. The leader was asked again since, those who wait were not: they lead in turn.
    fn leader_died(&mut self, index: usize, leader: Fingerprint, after_an_outage: bool, now: Timestamp) {
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
            if after_an_outage || account.accepted_after(first_at) {
                continue;
            }
            if let Some(login) = account.login_mut(fingerprint) {
                die(login, Verdict::shared(first_at), &policy, &mut self.dice, now);
                account.rule(fingerprint, None, Rule::Shared, now);
            }
        }
        // What died in the same incident counts with it, while nobody was accepted since.
        let began = account.incident.as_ref().map(|file| file.incident.began_between.1);
        let began = began.filter(|began| !account.accepted_after(*began)).unwrap_or(first_refused_at);
        let first_refused_at = first_refused_at.min(began);
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
}
