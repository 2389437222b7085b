//! Which services a round asks, and what it may spend.
//!
//! Decides that a latched pair is not sent again, that a resting service is left alone, and that confirmations ask one service.

use std::collections::VecDeque;

use super::{
    account::Account,
    evidence::{Service, Services},
    login::{Login, State, Why},
    name::Fingerprint,
    ration::Purse,
    schedule::{Policy, Timestamp},
};

/// Whom a round asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In this order; empty if nobody.
    pub services: VecDeque<Service>,
    /// The first conclusive answer ends the round.
    pub one_answer: bool,
}

impl Plan {
    const NOBODY: Self = Self { services: VecDeque::new(), one_answer: false };

    /// Every one of `services`; those that accepted last first, so that the ration is spent on answers that count.
    fn all(services: Services, login: &Login) -> Self {
        let (first, last) = (services.and(login.accepting()), services.without(login.accepting()));
        Self { services: first.iter().chain(last.iter()).collect(), one_answer: false }
    }

    /// One answer, from `first` if it can give one, else from another of `services`.
    fn one(services: Services, first: Service) -> Self {
        let order = [first, first.other()];
        Self { services: order.into_iter().filter(|service| services.has(*service)).collect(), one_answer: true }
    }
}

/// Whom a round for `why` asks about this secret now.
#[must_use]
pub fn plan(account: &Account, fingerprint: Fingerprint, why: Why, policy: &Policy, now: Timestamp) -> Plan {
    let Some(login) = account.login(fingerprint) else { return Plan::NOBODY };
    let used = account.services_of(fingerprint);
    let led = account.leader().is_some_and(|leader| leader.fingerprint != fingerprint);
    match (why, &login.state) {
        (Why::Person | Why::Retest, State::Dead(_)) => Plan::one(used, retest_first(login)),
        (Why::Person, State::Alive { .. } | State::Doubted(_))
        // A pair never judged is asked at once, whoever leads: it may be the person's repair.
        | (Why::Person | Why::Changed | Why::Routine | Why::Again | Why::Dropped, State::New) => Plan::all(used, login),
        (Why::Confirm, State::Doubted(suspicion)) => Plan::one(suspicion.evidence.and(used), suspicion.turn),
        // One service refused the leader: what the other says of a sibling tells an outage of that one service from a reset.
        (Why::Canary(service), State::Alive { .. }) if used.has(service) && leader_is_weak(account) => {
            let all = used.and(login.accepting().union(Services::only(service)));
            Plan { one_answer: false, ..Plan::one(all, service) }
        }
        (Why::Canary(service) | Why::Sibling(service), State::Alive { .. }) if used.has(service) => {
            Plan::one(Services::only(service), service)
        }
        // While another secret leads, the routine of the account rests.
        (Why::Routine | Why::Again | Why::Changed | Why::Watch | Why::Dropped, State::Alive { .. }) if led => {
            Plan::NOBODY
        }
        (Why::Watch, State::Alive { .. }) => Plan::one(used.and(Services::only(Service::Imap)), Service::Imap),
        (Why::Again | Why::Dropped, State::Alive { .. }) => Plan::all(used.without(account.resting(now)), login),
        (Why::Routine | Why::Changed, State::Alive { .. }) => {
            // Another credential with the same pair had its round just now: it holds for all of them.
            let shared = account.holders(fingerprint).count() > 1 && login.was_judged_within(policy.interval / 2, now);
            if shared { Plan::NOBODY } else { Plan::all(used.without(account.resting(now)), login) }
        }
        // Latched, waiting for its leader, or no longer what the round was for.
        (
            Why::Routine
            | Why::Changed
            | Why::Again
            | Why::Confirm
            | Why::Canary(_)
            | Why::Sibling(_)
            | Why::Retest
            | Why::Watch
            | Why::Dropped,
            State::New | State::Alive { .. } | State::Doubted(_) | State::Dead(_),
        ) => Plan::NOBODY,
    }
}

/// One service refused the account's leader, and the other said nothing.
fn leader_is_weak(account: &Account) -> bool {
    let refused = account.leader().and_then(|leader| Some(leader.suspicion()?.refused));
    refused.is_some_and(|refused| refused.iter().count() == 1)
}

/// A re-test asks the service that took the pair last.
fn retest_first(login: &Login) -> Service {
    if login.services.smtp.last_accepted_at > login.services.imap.last_accepted_at {
        Service::Smtp
    } else {
        Service::Imap
    }
}

/// What the next login of a round may spend; `refused`: the round had a refusal already.
#[must_use]
pub fn purse(why: Why, login: &Login, refused: bool) -> Purse {
    match (why, &login.state) {
        // It was refused by one service: it is hardly the right one, and what is left may be needed for that.
        (_, State::New) if !login.ever_accepted() && refused => Purse::Routine,
        // Never judged, or presumed dead and to be asked after all.
        (_, State::New) if !login.ever_accepted() => Purse::New,
        (_, State::New) | (Why::Person | Why::Retest, _) => Purse::Known,
        (
            Why::Routine
            | Why::Changed
            | Why::Again
            | Why::Confirm
            | Why::Canary(_)
            | Why::Sibling(_)
            | Why::Watch
            | Why::Dropped,
            State::Alive { .. } | State::Doubted(_) | State::Dead(_),
        ) => Purse::Routine,
    }
}
