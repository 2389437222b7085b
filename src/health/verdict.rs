//! From a first refusal to a verdict: the rules of `verdicts.md`, parts 3 and 4, for one secret.
//!
//! Decides what a finished round makes of a secret. What others of the account and other accounts have to say comes in as
//! [`Witnesses`]; what follows for them is the engine's to carry out.

use super::{
    evidence::{Assessment, Finding, Round, Service, Services, assess},
    login::{Due, Login, State, Suspicion, Verdict, Why},
    name::{CredentialName, Fingerprint},
    ruling::Guard,
    schedule::{Dice, Policy, Timestamp},
};

/// A round that ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its number.
    pub id: u64,
    /// Whose secret was read for it.
    pub credential: CredentialName,
    /// What it was for.
    pub why: Why,
    /// When it started: the times of confirmations are starts of rounds.
    pub started_at: Timestamp,
    /// What was said.
    pub said: Round,
    /// Services that accepted the secret before the round.
    pub accepting: Services,
    /// A reply was lost with its connection.
    pub connection_lost: bool,
}

impl Finished {
    /// The services that refused.
    #[must_use]
    pub fn refusing(&self) -> Services {
        self.that_said(Finding::Rejected)
    }

    /// The services that accepted.
    #[must_use]
    pub fn accepted(&self) -> Services {
        self.that_said(Finding::Accepted)
    }

    fn that_said(&self, finding: Finding) -> Services {
        Services { imap: self.said.imap == Some(finding), smtp: self.said.smtp == Some(finding) }
    }
}

/// What the rest of the world says about a refusal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Witnesses {
    /// Another secret was accepted on a service that refused this one, after its first refusal and before this round.
    pub corroborated: Option<Acceptance>,
    /// There is reason to think of an outage: another account lives on that service, or it answered `unavailable`.
    pub guard: Option<Guard>,
    /// Another secret of the account leads.
    pub led: bool,
    /// The account's siblings are being asked, their leader is dead, and none was accepted since: its verdict is shared.
    pub leader_fell: bool,
}

/// A secret was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    /// Which.
    pub secret: Fingerprint,
    /// Where.
    pub service: Service,
    /// When.
    pub at: Timestamp,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Confirmed, and another secret was accepted meanwhile.
    Corroborated,
    /// Confirmed twice, and nothing speaks for an outage.
    ConfirmedTwice,
    /// Confirmed twice, and `outage_hold` is over.
    HoldOver,
    /// Refused, and its leader is dead.
    LeaderFell,
}

/// What a round made of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Judgement {
    /// It lives. Carries what it was before.
    Alive {
        /// It was being doubted.
        doubted: bool,
        /// It was dead.
        dead: bool,
    },
    /// It was refused for the first time.
    Suspected,
    /// Its refusal was confirmed for the `n`th time, without a verdict yet.
    Confirmed(u32),
    /// The verdict fell.
    Died(Ground),
    /// It was refused, and that moves nothing.
    Refused,
    /// Nothing was proved.
    Nothing,
}

/// Moves `login` by what a round found.
pub fn judge(
    login: &mut Login,
    round: &Finished,
    witnesses: Witnesses,
    policy: &Policy,
    dice: &mut Dice,
    now: Timestamp,
) -> Judgement {
    match assess(&round.said) {
        Assessment::Alive { refusing } => alive(login, refusing, policy, now),
        Assessment::Refused { .. } => refused(login, round, witnesses, policy, dice, now),
        Assessment::Inconclusive => inconclusive(login, round, policy, dice, now),
    }
}

fn alive(login: &mut Login, refusing: Option<Service>, policy: &Policy, now: Timestamp) -> Judgement {
    let (doubted, dead) = (login.suspicion().is_some(), login.verdict().is_some());
    let sound = matches!(login.state, State::Alive { refusing: None });
    // The acceptance came before the refusal, and it may have died in between.
    let in_between = sound && refusing.is_some() && login.last_rejected_at() > login.last_accepted_at();
    // A round that asked one service says nothing of the other: what that said last still stands.
    let refusing = refusing.or_else(|| {
        Service::ALL.into_iter().find(|service| {
            let memory = login.services.of(*service);
            !doubted && !dead && memory.last_rejected_at > memory.last_accepted_at
        })
    });
    login.become_(State::Alive { refusing }, now);
    login.last_conclusive_at = Some(now);
    login.inconclusive = 0;
    if in_between {
        login.due = Some(Due { at: now + policy.confirm[0] / 2, why: Why::Again });
    }
    Judgement::Alive { doubted, dead }
}

fn refused(
    login: &mut Login,
    round: &Finished,
    witnesses: Witnesses,
    policy: &Policy,
    dice: &mut Dice,
    now: Timestamp,
) -> Judgement {
    let refusing =
        Services { imap: round.said.imap == Some(Finding::Rejected), smtp: round.said.smtp == Some(Finding::Rejected) };
    match &mut login.state {
        State::New | State::Alive { .. } => {
            // Of a pair that was accepted before, only a service that did so last counts: one that always refuses proves
            // nothing. Of a pair never accepted, every refusal counts.
            let evidence = if login.ever_accepted() { round.accepting } else { Services::BOTH };
            let counting = refusing.and(evidence);
            if counting.is_empty() {
                return inconclusive(login, round, policy, dice, now);
            }
            login.last_conclusive_at = Some(now);
            login.inconclusive = 0;
            let evidence = if login.ever_accepted() { evidence } else { refusing };
            if witnesses.leader_fell {
                die(login, Verdict::shared(round.started_at), policy, dice, now);
                return Judgement::Died(Ground::LeaderFell);
            }
            let first = counting.iter().next().unwrap_or(Service::Imap);
            let suspicion = Suspicion {
                first_at: round.started_at,
                evidence,
                refused: counting,
                strong: counting == Services::BOTH,
                counted: 1,
                second_at: None,
                last_at: round.started_at,
                // The services take turns: the first confirmation asks the one that did not refuse first.
                turn: if evidence.has(first.other()) { first.other() } else { first },
                leads: !witnesses.led,
                held: false,
            };
            login.become_(State::Doubted(suspicion), now);
            plan_confirmation(login, policy, dice, now);
            Judgement::Suspected
        }
        State::Doubted(suspicion) => {
            login.last_conclusive_at = Some(now);
            login.inconclusive = 0;
            let counting = refusing.and(suspicion.evidence);
            if !matches!(round.why, Why::Confirm) || counting.is_empty() {
                // Asked sooner, or by a person: shown and rationed, but it confirms nothing.
                return Judgement::Refused;
            }
            suspicion.counted += 1;
            suspicion.second_at.get_or_insert(round.started_at);
            suspicion.last_at = round.started_at;
            suspicion.refused = suspicion.refused.union(counting);
            let asked = counting.iter().next().unwrap_or(Service::Imap);
            suspicion.turn = if suspicion.evidence.has(asked.other()) { asked.other() } else { asked };
            let corroborated = witnesses.corroborated.is_some();
            let enough = suspicion.counted >= 3 || (suspicion.counted == 2 && suspicion.strong && corroborated);
            let hold_is_over = now.since(suspicion.first_at) >= policy.outage_hold;
            let ground = if corroborated {
                Some(Ground::Corroborated)
            } else if witnesses.guard.is_none() {
                Some(Ground::ConfirmedTwice)
            } else {
                hold_is_over.then_some(Ground::HoldOver)
            };
            suspicion.held = suspicion.counted >= 2 && ground.is_none();
            if let Some(ground) = ground.filter(|_| enough) {
                let verdict = Verdict {
                    first_refused_at: suspicion.first_at,
                    presumed: false,
                    corroborated,
                    soon: !corroborated,
                    retests: 0,
                };
                die(login, verdict, policy, dice, now);
                return Judgement::Died(ground);
            }
            let counted = suspicion.counted;
            plan_confirmation(login, policy, dice, now);
            Judgement::Confirmed(counted)
        }
        State::Dead(verdict) => {
            login.last_conclusive_at = Some(now);
            login.inconclusive = 0;
            if matches!(round.why, Why::Retest) {
                verdict.retests += 1;
                // Apple's login works, and it is refused still: what nothing corroborated before is so now.
                if witnesses.corroborated.is_some() {
                    (verdict.corroborated, verdict.soon) = (true, false);
                }
                plan_retest(login, policy, dice, now);
            }
            Judgement::Refused
        }
    }
}

fn inconclusive(login: &mut Login, round: &Finished, policy: &Policy, dice: &mut Dice, now: Timestamp) -> Judgement {
    let at = now + policy.back_off(login.inconclusive, round.connection_lost, dice);
    login.inconclusive = login.inconclusive.saturating_add(1);
    // What the round was for is still to be done; what a person asked for is answered.
    let why = match (round.why, &login.state) {
        (why @ (Why::Confirm | Why::Canary(_) | Why::Sibling(_) | Why::Retest), _) => Some(why),
        (
            Why::Routine | Why::Changed | Why::Again | Why::Person | Why::Dropped,
            State::New | State::Alive { .. },
        ) => Some(Why::Again),
        (
            Why::Routine | Why::Changed | Why::Again | Why::Person | Why::Dropped,
            State::Doubted(_) | State::Dead(_),
        )
        // The watch has delays of its own.
        | (Why::Watch, _) => None,
    };
    if let Some(why) = why {
        login.due = Some(Due { at, why });
    }
    Judgement::Nothing
}

/// Latches `login` as dead.
pub fn die(login: &mut Login, verdict: Verdict, policy: &Policy, dice: &mut Dice, now: Timestamp) {
    login.become_(State::Dead(verdict), now);
    plan_retest(login, policy, dice, now);
}

/// Sets the time of the next re-test of a dead secret.
pub fn plan_retest(login: &mut Login, policy: &Policy, dice: &mut Dice, now: Timestamp) {
    if let Some(verdict) = login.verdict() {
        let wait = policy.retest(verdict.retests, !verdict.soon, now.since(verdict.first_refused_at));
        login.due = Some(Due { at: now + policy.lengthened(wait, dice), why: Why::Retest });
    }
}

/// Sets the time of the next confirmation of a secret that leads; one that waits for its leader is not asked.
pub fn plan_confirmation(login: &mut Login, policy: &Policy, dice: &mut Dice, now: Timestamp) {
    let Some(suspicion) = login.suspicion() else { return };
    login.due = suspicion.leads.then(|| {
        let at = confirmation_at(suspicion, policy, dice);
        Due { at: at.max(now), why: Why::Confirm }
    });
}

/// At `confirm[0]` after the first refusal; then at the later of `confirm[1]` after it and `confirm[0]` after the second; once
/// held back, at a sixth, at half and at the end of `outage_hold`. Jitter only lengthens.
fn confirmation_at(suspicion: &Suspicion, policy: &Policy, dice: &mut Dice) -> Timestamp {
    let [soon, late] = policy.confirm;
    let first = suspicion.first_at;
    match (suspicion.counted, suspicion.second_at) {
        (..=1, _) | (_, None) => first + policy.lengthened(soon, dice),
        (2, Some(second)) => (first + policy.lengthened(late, dice)).max(second + policy.lengthened(soon, dice)),
        (_, Some(_)) => {
            let hold = policy.outage_hold;
            let soonest = suspicion.last_at + soon;
            let mut times = [hold / 6, hold / 2, hold].into_iter().map(|wait| first + wait);
            times.find(|at| *at > suspicion.last_at).map_or(soonest, |at| at.max(soonest))
        }
    }
}

/// Lets a held-back suspect be asked again soon: somebody was accepted meanwhile.
pub fn hasten(login: &mut Login, policy: &Policy, now: Timestamp) {
    let Some(suspicion) = login.suspicion() else { return };
    if !suspicion.held || !suspicion.leads {
        return;
    }
    let at = now.max(suspicion.last_at + policy.confirm[0]);
    if let Some(due) = &mut login.due {
        due.at = due.at.min(at);
    }
}

/// A waiting suspect leads now: its own confirmations begin.
pub fn promote(login: &mut Login, policy: &Policy, dice: &mut Dice, now: Timestamp) {
    if let Some(suspicion) = login.suspicion_mut() {
        suspicion.leads = true;
    }
    plan_confirmation(login, policy, dice, now);
}
