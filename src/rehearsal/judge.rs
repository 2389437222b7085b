//! Compares what keypulse said in a scenario with what it must say: one row of the matrix, right or wrong, and why.
//!
//! Pure. Knows nothing of how it was played.

use std::time::Duration;

use super::{
    perform::Played,
    scenario::{Act, End, Line, Scenario, Until},
    stage::Told,
};
use crate::{
    config::duration::format,
    health::{
        evidence::{Cause, Finding},
        incident::IncidentCause,
        outbox::{Channel, Tidings},
        view::{AccountStatus, CredentialStatus},
    },
    host::clock,
};

/// Something that was said, once however many channels it went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// In a few words: `main-password-reset`, `over`.
    pub what: String,
    /// How long after the act began.
    pub after: Duration,
    /// To whom.
    pub to: Vec<Channel>,
}

/// One row of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What must be said, in words.
    pub expected: String,
    /// What was said.
    pub said: Vec<Said>,
    /// What is wrong, each in a sentence; nothing where all is right.
    pub wrong: Vec<String>,
}

impl Cell {
    /// Whether keypulse said what it must, and nothing else.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    /// What was said, in words.
    #[must_use]
    pub fn said(&self) -> String {
        let said: Vec<_> = self.said.iter().map(|said| format!("{} after {}", said.what, rough(said.after))).collect();
        if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
    }
}

/// Judges what was played.
#[must_use]
pub(super) fn judge(scenario: &Scenario, channels: &[Channel], all: &[Played]) -> Cell {
    let mut cell = Cell { expected: expected(scenario, channels), said: Vec::new(), wrong: Vec::new() };
    for (number, (act, played)) in (1..).zip(scenario.acts.iter().zip(all)) {
        cell.said.extend(said(played));
        let mut wrong = Vec::new();
        for channel in channels.iter().filter(|_| !act.free) {
            for (account, (address, _)) in scenario.house.iter().enumerate() {
                let told: Vec<_> = played
                    .told
                    .iter()
                    .filter(|(told, _)| {
                        told.order.delivery.channel == *channel && told.order.account.address == *address
                    })
                    .collect();
                let must: Vec<_> =
                    act.says.iter().filter(|line| line.account == account && line.to.includes(*channel)).collect();
                wrong.extend(compare(scenario, played, *channel, &must, &told));
            }
        }
        wrong.dedup();
        let refusals = refused_before_it_was_told(all.get(..number).unwrap_or_default());
        wrong.extend(act.ends.iter().filter_map(|end| amiss(scenario, end, played, refusals)));
        if scenario.acts.len() > 1 {
            for sentence in &mut wrong {
                sentence.insert_str(0, &format!("act {number}: "));
            }
        }
        cell.wrong.extend(wrong);
    }
    if all.len() != scenario.acts.len() {
        cell.wrong.push("it was not played to its end".to_owned());
    }
    cell
}

/// What one channel must be told about one account in one act, beside what it was.
fn compare(
    scenario: &Scenario,
    played: &Played,
    channel: Channel,
    must: &[&Line],
    told: &[&(Told, i64)],
) -> Vec<String> {
    let all_told: Vec<_> = told.iter().map(|(told, _)| in_words(told)).collect();
    let all_wanted: Vec<_> = must.iter().map(|line| words(line.tidings, Some(line.cause), line.withdrawn)).collect();
    if all_told != all_wanted {
        let list = |all: &[String]| if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
        return vec![format!("to {channel} it said {}, and must say {}", list(&all_told), list(&all_wanted))];
    }
    let mut wrong = Vec::new();
    for (line, (told, offset)) in must.iter().zip(told) {
        let after = told.at.since(played.began);
        let what = words(line.tidings, Some(line.cause), line.withdrawn);
        let waits = channel == Channel::Desktop && !matches!(line.tidings, Tidings::Resolved | Tidings::PutBack);
        let quiet = scenario.quiet.filter(|_| waits);
        if quiet.is_some_and(|hours| clock::quiet_for(hours, told.at, *offset).is_some()) {
            wrong.push(format!("it said {what} to {channel} in the quiet hours"));
        }
        let delay = quiet.map_or(Duration::ZERO, super::quiet_length);
        if after < line.after {
            wrong.push(format!("it said {what} after {}, and must not before {}", exact(after), exact(line.after)));
        }
        if after > line.by + delay {
            wrong.push(format!("it said {what} after {}, and must by {}", exact(after), exact(line.by + delay)));
        }
        if let (Some(by), Some(refused)) = (line.by_refusal, played.first_refusal())
            && told.at.since(refused) > by + delay
        {
            let late = told.at.since(refused);
            wrong.push(format!(
                "it said {what} {} after the first refusal, and must by {}",
                exact(late),
                exact(by + delay)
            ));
        }
    }
    wrong
}

/// What is not as it must be at the end of an act.
fn amiss(scenario: &Scenario, end: &End, played: &Played, refusals: usize) -> Option<String> {
    let credentials = || played.status.iter().flat_map(|account| &account.credentials);
    let find = |who| {
        let name = scenario.name_of(who)?;
        credentials().find(|credential| credential.name == *name)
    };
    let account = |number: usize| -> Option<&AccountStatus> {
        let (address, _) = scenario.house.get(number)?;
        played.status.iter().find(|account| account.address == *address)
    };
    match end {
        End::All(health) => {
            let other = credentials().find(|credential| credential.health != *health)?;
            Some(format!("{} is {} at the end, and must be {health}", other.name, other.health))
        }
        End::Health(who, health) => match find(*who) {
            Some(one) if one.health == *health => None,
            Some(one) => Some(format!("{} is {} at the end, and must be {health}", one.name, one.health)),
            None => Some("a credential is not in the status".to_owned()),
        },
        End::Shows(number, cause) => {
            let shown = account(*number).and_then(|account| account.incident.as_ref()).map(|incident| incident.cause);
            let word = shown.map_or("no incident", |cause| cause.as_str());
            (shown != Some(*cause)).then(|| format!("the status shows {word}, and must show {cause}"))
        }
        End::Sees(service, cause) => {
            let mut found = played.attempts.iter().filter(|row| row.service == *service).map(|row| row.outcome.finding);
            let first = found.next();
            let other = first.filter(|first| first.cause() != Some(*cause));
            match other.or_else(|| found.find(|finding| finding.cause() != Some(*cause))) {
                Some(other) => {
                    let word = other.cause().map_or(other.as_str(), Cause::as_str);
                    Some(format!("a login on {service} is called {word}, and must be {cause}"))
                }
                None if first.is_none() => Some(format!("{service} was not asked, and must be")),
                None => None,
            }
        }
        End::Unread(who, cause) => {
            let called =
                |one: &CredentialStatus| one.services.iter().map(|service| service.finding).collect::<Vec<_>>();
            let found = find(*who).map(called).unwrap_or_default();
            let right = !found.is_empty() && found.iter().all(|finding| *finding == Finding::Inconclusive(*cause));
            (!right).then(|| format!("the secret is called {found:?}, and must be {cause}"))
        }
        End::Refusals(most) => {
            (refusals > *most).then(|| format!("{refusals} logins were refused, and at most {most} may be"))
        }
        End::Presumes(number) => {
            let presumes = account(*number).is_some_and(|account| account.credentials.iter().any(|one| one.presumed));
            (!presumes).then(|| "no password is presumed dead, and some must be".to_owned())
        }
        End::NoLogin => {
            let first = played.told.iter().map(|(told, _)| told.at).min();
            let made = played.attempts.iter().filter(|row| first.is_none_or(|first| row.at < first)).count();
            (made > 0).then(|| format!("{made} logins were made, and none may be"))
        }
    }
}

/// Refused logins until the first message; what comes after it are re-tests.
fn refused_before_it_was_told(played: &[Played]) -> usize {
    let first = played.iter().flat_map(|act| &act.told).map(|(told, _)| told.at).min();
    let refused = played.iter().flat_map(|act| &act.attempts).filter(|row| row.outcome.finding == Finding::Rejected);
    refused.filter(|row| first.is_none_or(|first| row.at <= first)).count()
}

/// What was said in an act, once for all channels that took it at the same time.
fn said(played: &Played) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::new();
    for (told, _) in &played.told {
        let what = in_words(told);
        let (after, channel) = (told.at.since(played.began), told.order.delivery.channel);
        let same = all.iter_mut().find(|said| said.what == what && said.after == after && !said.to.contains(&channel));
        match same {
            Some(said) => said.to.push(channel),
            None => all.push(Said { what, after, to: vec![channel] }),
        }
    }
    all
}

/// In words: what must be said, and by when.
fn expected(scenario: &Scenario, channels: &[Channel]) -> String {
    let mut all = Vec::new();
    for end in scenario.acts.iter().filter(|act| act.free).flat_map(|act| &act.ends) {
        if let End::Shows(_, cause) = end {
            all.push(format!("{cause} in the end"));
        }
    }
    for (act, line) in scenario.acts.iter().flat_map(|act| act.says.iter().map(move |line| (act, line))) {
        if !channels.iter().any(|channel| line.to.includes(*channel)) {
            continue;
        }
        let what = words(line.tidings, Some(line.cause), line.withdrawn);
        let by = rough(line.by);
        all.push(if began_late(act) { format!("{what} within {by} from then") } else { format!("{what} within {by}") });
    }
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

const fn began_late(act: &Act) -> bool {
    matches!(act.until, Until::Quiet)
}

fn in_words(told: &Told) -> String {
    let incident = told.order.account.incident.as_ref();
    let withdrawn = incident.is_some_and(|incident| incident.withdrawn);
    words(told.order.delivery.tidings, incident.map(|incident| incident.cause), withdrawn)
}

fn words(tidings: Tidings, cause: Option<IncidentCause>, withdrawn: bool) -> String {
    let cause = cause.map_or("an incident", |cause| cause.as_str());
    match tidings {
        Tidings::Opened => cause.to_owned(),
        Tidings::Changed => format!("update: {cause}"),
        Tidings::Reminder => format!("reminder: {cause}"),
        Tidings::Resolved if withdrawn => "false alarm, withdrawn".to_owned(),
        Tidings::Resolved => "over".to_owned(),
        Tidings::PutBack => "put back silently".to_owned(),
    }
}

/// As people say it: `2 min`, `1 h 20 min`, `3 days`.
#[must_use]
pub fn rough(time: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match time.as_secs() {
        0 if time.is_zero() => "0 s".to_owned(),
        0 => format!("{} ms", time.as_millis()),
        seconds @ ..MINUTE => format!("{seconds} s"),
        seconds @ MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => match (seconds / HOUR, seconds % HOUR / MINUTE) {
            (hours, 0) | (hours @ 10.., _) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes:02}"),
        },
        seconds => format!("{} days", seconds / DAY),
    }
}

/// To the second.
fn exact(time: Duration) -> String {
    format(if time.as_secs() > 0 { Duration::from_secs(time.as_secs()) } else { time })
}
