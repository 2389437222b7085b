//! The chain behind a verdict, put together from the stored attempts and rulings and the engine's view.
//!
//! Reads only; decides nothing but how much of the past belongs to the story.

use super::Past;
use crate::{
    api::{
        PastError, Time, UnknownName,
        document::{AccountDocument, CredentialDocument, SCHEMA, ServiceDocument},
        explain::{
            DecisionDocument, ExplainDocument, ExplainedAccount, ExplainedCredential, RoundDocument, WitnessDocument,
        },
    },
    health::{
        credential::Health,
        evidence::{Assessment, Finding, Round, Service, assess},
        login::Why,
        name::{Address, CredentialName},
        reasons,
        ruling::{Guard, Ruling},
        standing::{Stage, Standing},
        view::ServiceStatus,
    },
    store::PastLogin,
};

/// Attempts that are looked at.
const ATTEMPTS: u32 = 500;
/// Rulings that are looked at.
const RULINGS: u32 = 200;
/// Rounds that are told at most.
const TOLD: usize = 60;
/// Of a quiet life the latest rounds are told.
const QUIET: usize = 3;

impl Past<'_> {
    /// The chain behind the verdict on a credential or on all of an account; of everything without a target.
    ///
    /// # Errors
    /// For a target that is neither, and where the state cannot be read.
    pub fn explain(&self, target: Option<&str>) -> Result<ExplainDocument, PastError> {
        let mut accounts = Vec::new();
        for status in self.engine.status(self.now) {
            let document = AccountDocument::build(&status, self.offset_ms);
            let whole = target.is_none_or(|target| target.eq_ignore_ascii_case(document.address.as_str()));
            let wanted = |it: &&CredentialDocument| whole || target == Some(it.name.as_str());
            let credentials = document.credentials.iter().filter(wanted);
            let credentials =
                credentials.map(|it| self.credential(&document.address, it)).collect::<Result<Vec<_>, _>>()?;
            if credentials.is_empty() && !whole {
                continue;
            }
            let left = self.engine.logins_left(&document.address, self.now);
            accounts.push(ExplainedAccount {
                failed_logins_left: left,
                failed_logins_left_automatic: self.engine.automatic_logins_left(&document.address, self.now),
                address: document.address,
                failed_logins_24h: document.failed_logins_24h,
                failed_login_limit: document.failed_login_limit,
                ration_frees_at: document.ration_frees_at,
                incident: document.incident,
                idle_watch: document.idle_watch,
                credentials,
            });
        }
        if let Some(target) = target.filter(|_| accounts.is_empty()) {
            let status = self.engine.status(self.now);
            let names = self.engine.names().map(ToString::to_string);
            let known = names.chain(status.iter().map(|account| account.address.to_string()));
            return Err(PastError::Unknown(UnknownName::target(target, known)));
        }
        Ok(ExplainDocument { schema: SCHEMA, generated_at: self.time(self.now), daemon: None, accounts })
    }

    fn credential(&self, account: &Address, of: &CredentialDocument) -> Result<ExplainedCredential, PastError> {
        let name = &of.name;
        let standing = self.engine.standing(account, name);
        let standing = standing.unwrap_or(Standing { secret: None, holders: vec![], stage: Stage::New, due: None });
        let (rounds, rulings) = self.evidence(account, name, &standing)?;
        let (story, cut) = story(rounds);
        let (mut held_until, mut rests_until) = (None, None);
        match &standing.stage {
            Stage::Doubted { held_until: until, .. } => held_until = *until,
            Stage::Alive { rests_until: until, .. } => rests_until = *until,
            Stage::New | Stage::Dead { .. } => {}
        }
        let why = match of.health {
            Health::Unreadable | Health::Stale => None,
            Health::Healthy
            | Health::Degraded
            | Health::Suspect
            | Health::Revoked
            | Health::Rejected
            | Health::Unknown => rulings.iter().find(|ruling| ruling.rule.makes().is_some()),
        };
        Ok(ExplainedCredential {
            password: standing.secret,
            shared_with: standing.holders.into_iter().filter(|holder| holder != name).collect(),
            why: why.map_or_else(|| unruled(of), decision),
            change: reasons::change(of.health, &standing.stage),
            next_check_for: of.next_check_at.map(|_| reasons::purpose(standing.due.unwrap_or(Why::Routine))),
            held_until: held_until.map(|at| self.time(at)),
            rests_until: rests_until.map(|at| self.time(at)),
            evidence: story.iter().map(|entry| self.round(entry)).collect(),
            evidence_cut: cut,
            credential: of.clone(),
        })
    }

    /// What was asked and decided about the secret that a credential holds now, the newest first.
    fn evidence(
        &self,
        account: &Address,
        name: &CredentialName,
        standing: &Standing,
    ) -> Result<(Vec<Entry>, Vec<Ruling>), PastError> {
        let (Some(store), Some(secret)) = (self.store, &standing.secret) else { return Ok((vec![], vec![])) };
        let attempts = store.attempts(&standing.holders, ATTEMPTS)?;
        let own = |attempt: &PastLogin| match &attempt.secret {
            Some(sent) => sent == secret,
            None => attempt.credential == *name,
        };
        let rulings = store.rulings(account, secret, RULINGS)?;
        Ok((entries(attempts.into_iter().filter(own), &rulings), rulings))
    }

    fn round(&self, entry: &Entry) -> RoundDocument {
        let attempts = entry.attempts.iter().map(|attempt| {
            let status = ServiceStatus {
                service: attempt.service,
                finding: attempt.outcome.finding,
                code: attempt.outcome.code.clone(),
                detail: attempt.outcome.detail.clone(),
                at: attempt.at,
                took: attempt.outcome.took,
            };
            ServiceDocument::build(&status, self.offset_ms)
        });
        let judged = entry.ruling.as_ref().and_then(|ruling| ruling.round.as_ref());
        let witness = judged.and_then(|judged| judged.corroborated_by.as_ref()).map(|witness| WitnessDocument {
            account: witness.account.clone(),
            credential: witness.credential.clone(),
            service: witness.service,
            at: self.time(witness.at),
        });
        let guard = judged.and_then(|judged| judged.guard).map(|guard| match guard {
            Guard::AnotherAccount => "another-account".to_owned(),
            Guard::Unavailable(service) => format!("{service}-unavailable"),
        });
        RoundDocument {
            at: self.time(entry.at),
            credential: entry.credential.clone(),
            round: entry.round,
            purpose: entry.why,
            purpose_text: entry.why.map(reasons::purpose),
            attempts: attempts.collect(),
            assessment: (!entry.attempts.is_empty()).then(|| assessment(entry.said()).to_owned()),
            counted: judged.map(|judged| judged.counted.iter().collect()).unwrap_or_default(),
            refusals: judged.map_or(0, |judged| judged.refusals),
            corroborated_by: witness,
            guard,
            waits_for_leader: judged.is_some_and(|judged| judged.led),
            decision: entry.decision(),
        }
    }

    fn time(&self, at: crate::health::schedule::Timestamp) -> Time {
        Time::new(at, self.offset_ms)
    }
}

/// One round with what was decided, or a decision alone.
#[derive(Clone, Debug)]
struct Entry {
    at: crate::health::schedule::Timestamp,
    credential: CredentialName,
    round: Option<u64>,
    why: Option<Why>,
    attempts: Vec<PastLogin>,
    ruling: Option<Ruling>,
}

impl Entry {
    fn said(&self) -> Round {
        let said = |service| {
            let of = self.attempts.iter().find(|attempt| attempt.service == service);
            of.map(|attempt| attempt.outcome.finding)
        };
        Round { imap: said(Service::Imap), smtp: said(Service::Smtp) }
    }

    /// An ordinary round: accepted, and nobody refused.
    fn is_quiet(&self) -> bool {
        assess(&self.said()) == Assessment::Alive { refusing: None }
    }

    /// Something was refused or decided.
    fn is_telling(&self) -> bool {
        let refused = self.attempts.iter().any(|attempt| attempt.outcome.finding == Finding::Rejected);
        refused || self.ruling.is_some()
    }

    fn decision(&self) -> Option<DecisionDocument> {
        if let Some(ruling) = &self.ruling {
            return Some(decision(ruling));
        }
        self.round?;
        // A round in which nothing moved leaves no ruling: the table of part 2 and 3 says it all.
        let (rule, part, text) = match assess(&self.said()) {
            Assessment::Alive { .. } => ("alive", "2, one round", "One acceptance is proof of life."),
            Assessment::Inconclusive => {
                ("inconclusive", "3, health", "No answer on the password: nothing moves. It is asked again.")
            }
            Assessment::Refused { .. } => return None,
        };
        Some(DecisionDocument { rule: Some(rule.to_owned()), part: Some(part.to_owned()), text: text.to_owned() })
    }
}

/// Attempts by round, with the rulings, the newest first.
fn entries(attempts: impl Iterator<Item = PastLogin>, rulings: &[Ruling]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for attempt in attempts {
        let same = |entry: &&mut Entry| attempt.round.is_some() && entry.round == attempt.round;
        if let Some(entry) = entries.iter_mut().rev().find(same) {
            entry.attempts.insert(0, attempt); // they come the newest first
            continue;
        }
        let (at, credential, round, why) = (attempt.at, attempt.credential.clone(), attempt.round, Some(attempt.why));
        entries.push(Entry { at, credential, round, why, attempts: vec![attempt], ruling: None });
    }
    for ruling in rulings {
        let id = ruling.round.as_ref().map(|judged| judged.id);
        match entries.iter_mut().find(|entry| id.is_some() && entry.round == id) {
            Some(entry) => entry.ruling = Some(ruling.clone()),
            None => entries.push(Entry {
                at: ruling.at,
                credential: ruling.credential.clone(),
                round: id,
                why: ruling.round.as_ref().map(|judged| judged.why),
                attempts: Vec::new(),
                ruling: Some(ruling.clone()),
            }),
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    entries
}

/// As much of it as belongs to the story, the oldest first: what was refused and decided, back to the acceptance before it; of a
/// quiet life the latest rounds. Whether it was too long to be told whole.
fn story(entries: Vec<Entry>) -> (Vec<Entry>, bool) {
    let (mut told, mut quiet, mut telling, mut cut) = (Vec::new(), 0, false, false);
    for entry in entries {
        if told.len() == TOLD {
            cut = true;
            break;
        }
        let over = if entry.is_quiet() {
            quiet += 1;
            telling || quiet == QUIET
        } else {
            telling |= entry.is_telling();
            false
        };
        told.push(entry);
        if over {
            break;
        }
    }
    told.reverse();
    (told, cut)
}

fn assessment(said: Round) -> &'static str {
    match assess(&said) {
        Assessment::Alive { refusing: None } => "alive",
        Assessment::Alive { refusing: Some(_) } => "degraded",
        Assessment::Refused { strong: true } => "refused-strong",
        Assessment::Refused { strong: false } => "refused-weak",
        Assessment::Inconclusive => "inconclusive",
    }
}

fn decision(ruling: &Ruling) -> DecisionDocument {
    let rule = ruling.rule;
    DecisionDocument {
        rule: Some(rule.as_str().to_owned()),
        part: Some(rule.part().to_owned()),
        text: rule.words(ruling.round.as_ref()),
    }
}

fn unruled(of: &CredentialDocument) -> DecisionDocument {
    let words = reasons::unruled(of.health);
    let text = of.unreadable.as_ref().map_or_else(|| words.to_owned(), |why| format!("{words} {why}"));
    DecisionDocument { rule: None, part: None, text }
}
