//! Why it was decided so, and what would change it: the wording of every rule, on one page.
//!
//! Pure. Says no times: who shows these words has them beside. The parts are those of `verdicts.md`.

use super::{
    credential::Health,
    evidence::{Service, Services},
    login::Why,
    ruling::{Guard, Judged, Rule, Was},
    standing::Stage,
};

impl Rule {
    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::FirstRefusal { .. } => "first-refusal",
            Self::NeverAccepted => "never-accepted",
            Self::NotEvidence => "not-evidence",
            Self::Counted => "counted",
            Self::Held => "held",
            Self::TooSoon => "too-soon",
            Self::Corroborated => "corroborated",
            Self::ConfirmedTwice => "confirmed-twice",
            Self::HoldOver => "hold-over",
            Self::Shared => "shared",
            Self::PresumedBySiblings => "presumed-by-siblings",
            Self::PresumedByRation => "presumed-by-ration",
            Self::RationUsedUp { .. } => "ration-used-up",
            Self::StillDead => "still-dead",
            Self::PutBack => "put-back",
            Self::NoLongerPresumed => "no-longer-presumed",
        }
    }

    /// Where it stands among the rules.
    #[must_use]
    pub const fn part(self) -> &'static str {
        match self {
            Self::Accepted { .. } | Self::NeverAccepted | Self::PutBack => "3, health",
            Self::FirstRefusal { .. } | Self::NotEvidence => "4, evidence",
            Self::Counted | Self::TooSoon => "4, confirmation",
            Self::Corroborated | Self::ConfirmedTwice => "4, revoked",
            Self::Held | Self::HoldOver => "4, outage guard",
            Self::Shared => "4, leader",
            Self::PresumedBySiblings | Self::PresumedByRation | Self::NoLongerPresumed => "4, presumption",
            Self::RationUsedUp { .. } => "6, ration",
            Self::StillDead => "6, latch",
        }
    }

    /// What it says, of the round that it judged.
    #[must_use]
    pub fn words(self, round: Option<&Judged>) -> String {
        let count = round.map_or(0, |round| round.refusals);
        let by = round.map(|round| on(round.counted)).unwrap_or_default();
        match self {
            Self::Accepted { was } => {
                let refusing = round.map(refusing).unwrap_or_default();
                let but =
                    if refusing.is_empty() { String::new() } else { format!(" But {} refuses it.", on(refusing)) };
                let accepted = match was {
                    Was::New => "Accepted for the first time.",
                    Was::Alive => "Accepted.",
                    Was::Doubted => "Accepted: the suspicion is over.",
                    Was::Dead => "Accepted again.",
                };
                format!("{accepted}{but}")
            }
            Self::FirstRefusal { .. } if round.is_some_and(|round| round.led) => format!(
                "The first refusal, by {by}, which accepted it before. Another password of the account leads; this one waits \
                 for its verdict."
            ),
            Self::FirstRefusal { .. } => format!(
                "The first refusal, by {by}, which accepted it before. It is confirmed before anything is said."
            ),
            Self::NeverAccepted => {
                "Refused, and never accepted before: a wrong user name, a typing error, the main password, \
                                    or too new to work yet."
                    .to_owned()
            }
            Self::NotEvidence => {
                "Refused only by a service that did not accept this password last: that proves nothing.".to_owned()
            }
            Self::Counted => format!("Refused again, by {by}: {count} refusals count. Not enough for a verdict yet."),
            Self::Held => format!(
                "Refused again, by {by}: {count} refusals count. But {}: the verdict is held back.",
                round.and_then(|round| round.guard).map_or("it may be trouble at Apple".to_owned(), guard)
            ),
            Self::TooSoon => {
                "Refused, but no confirmation was due: it is counted as a failed login and confirms nothing.".to_owned()
            }
            Self::Corroborated => format!(
                "Refused again, by {by}: {count} refusals count. Meanwhile {}: Apple's login works, this password does not.",
                round.map_or_else(|| "another password was accepted".to_owned(), witness)
            ),
            Self::ConfirmedTwice => {
                format!("Refused again, by {by}: {count} refusals count, and nothing points to trouble at Apple.")
            }
            Self::HoldOver => format!(
                "Still refused, by {by}: {count} refusals count, and the time is over for which an outage would explain it."
            ),
            Self::Shared => {
                "Refused, and the password that leads for the account is dead: this one shares its verdict.".to_owned()
            }
            Self::PresumedBySiblings => {
                "Not asked itself: the password that led for the account is dead, three more were \
                                         refused, and none was accepted."
                    .to_owned()
            }
            Self::PresumedByRation => {
                "Refused once and not confirmed: the failed logins of the day are used up, and most of \
                                       the account is dead."
                    .to_owned()
            }
            Self::RationUsedUp { .. } => {
                "The failed logins of the day are used up: it is asked again when one is free.".to_owned()
            }
            Self::StillDead => "Dead, asked again, and refused again.".to_owned(),
            Self::PutBack => "Put back, and known to be dead: no login was spent on it.".to_owned(),
            Self::NoLongerPresumed => {
                "Presumed dead until an old password of the account was accepted: now it is asked itself.".to_owned()
            }
        }
    }
}

/// What a round was for.
#[must_use]
pub fn purpose(why: Why) -> String {
    match why {
        Why::Routine => "routine check".to_owned(),
        Why::Changed => "a new or changed password".to_owned(),
        Why::Person => "you asked".to_owned(),
        Why::Again => "again, after no answer".to_owned(),
        Why::Confirm => "confirmation of the refusal".to_owned(),
        Why::Canary(service) => format!("another is refused: does {} accept this one?", name(service)),
        Why::Sibling(service) => format!("the leader is refused twice: does {} accept this one?", name(service)),
        Why::Retest => "re-test of a dead password".to_owned(),
        Why::Watch => "to open the idle watch".to_owned(),
        Why::Dropped => "the idle watch's connection ended".to_owned(),
    }
}

/// What would change the health.
#[must_use]
pub fn change(health: Health, stage: &Stage) -> String {
    match (health, stage) {
        (Health::Unreadable, _) => "The password being readable again: then it is asked at once.".to_owned(),
        (Health::Stale, _) => "Any answer of Apple's on this password.".to_owned(),
        (Health::Healthy | Health::Degraded, Stage::Alive { refusing: Some(service), .. }) => format!(
            "{} accepting it, too, makes it healthy; a changed user name is tried at once. One accepting service keeps it alive.",
            name(*service)
        ),
        (Health::Rejected | Health::Suspect, Stage::Doubted { leader: Some(leader), .. }) => format!(
            "The verdict on {leader}, which leads: this one shares it, unless an old password of the account is accepted since. \
             An acceptance ends the suspicion at once."
        ),
        (Health::Rejected | Health::Suspect, Stage::Doubted { held_until: Some(_), .. }) => {
            "An acceptance ends the suspicion at once. Another refusal after somebody else's acceptance makes it dead; so does \
             a refusal when the guard lets go."
                .to_owned()
        }
        (Health::Rejected | Health::Suspect, Stage::Doubted { refusals: 2.., .. }) => {
            "An acceptance ends the suspicion at once. One more refusal makes it dead, unless an outage is likely.".to_owned()
        }
        (Health::Rejected | Health::Suspect, Stage::Doubted { strong: true, .. }) => {
            "An acceptance ends the suspicion at once. One more refusal makes it dead if another password is accepted \
             meanwhile, else two more."
                .to_owned()
        }
        (Health::Rejected | Health::Suspect, Stage::Doubted { .. }) => {
            "An acceptance ends the suspicion at once. Two more refusals make it dead.".to_owned()
        }
        (Health::Revoked | Health::Rejected, Stage::Dead { presumed: true }) => {
            "Any acceptance of an old password of the account: then this one is asked. Or a new password in its place."
                .to_owned()
        }
        (Health::Revoked | Health::Rejected, Stage::Dead { .. }) => {
            "A new password in its place, which is tried at once; or Apple accepting this one at a re-test.".to_owned()
        }
        (Health::Unknown, _) => "The first answer of Apple's on this password.".to_owned(),
        (Health::Healthy | Health::Degraded, _) => {
            "A refusal makes it suspect; that is confirmed before anything is said.".to_owned()
        }
        (Health::Suspect | Health::Revoked | Health::Rejected, _) => "An answer of Apple's on this password.".to_owned(),
    }
}

/// Why a credential is what it is where no ruling says so.
#[must_use]
pub const fn unruled(health: Health) -> &'static str {
    match health {
        Health::Unknown => "Not asked yet.",
        Health::Unreadable => "The password cannot be read, so nobody is asked.",
        Health::Stale => "No answer on this password for too long.",
        Health::Healthy | Health::Degraded | Health::Suspect | Health::Revoked | Health::Rejected => {
            "Decided before keypulse kept its reasons; the attempts are below."
        }
    }
}

fn guard(guard: Guard) -> String {
    match guard {
        Guard::AnotherAccount => {
            "another Apple Account uses that service, too, and nobody was accepted meanwhile".to_owned()
        }
        Guard::Unavailable(service) => {
            format!("{} called itself unavailable since it last accepted anybody", name(service))
        }
    }
}

fn witness(round: &Judged) -> String {
    let Some(witness) = &round.corroborated_by else { return "another password was accepted".to_owned() };
    let who = witness.credential.as_ref().map_or_else(|| witness.account.to_string(), ToString::to_string);
    format!("{who} was accepted by {}", name(witness.service))
}

fn refusing(round: &Judged) -> Services {
    let refuses = |service| *round.said.of(service) == Some(super::evidence::Finding::Rejected);
    Services { imap: refuses(Service::Imap), smtp: refuses(Service::Smtp) }
}

const fn name(service: Service) -> &'static str {
    match service {
        Service::Imap => "IMAP",
        Service::Smtp => "SMTP",
    }
}

fn on(services: Services) -> String {
    let names: Vec<&str> = services.iter().map(name).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests;
