//! What the status says in sentences: what happened, what to do, and what an answer that proved nothing means.
//!
//! Pure. Decides words only; notifications, which must stand alone, have a page of their own: `health/alert.rs`.

use crate::{
    api::{
        Time,
        document::{AccountDocument, CredentialDocument, FindingWord, IncidentDocument, ServiceDocument},
    },
    health::{
        credential::Health,
        evidence::{Cause, Service},
        incident::IncidentCause,
    },
};

/// The way to a new password.
pub(super) const PATH: &str = "account.apple.com → Sign-In and Security → App-Specific Passwords";

/// What happened to the account and what to do, each a list of paragraphs.
#[must_use]
pub fn of_incident(
    account: &AccountDocument,
    incident: &IncidentDocument,
    local: &dyn Fn(Time) -> String,
) -> (Vec<String>, Vec<String>) {
    let stopped = when(incident, local);
    let single = incident.credentials.len() == 1;
    let not_you = "If that was not you, act now: it may be somebody else's doing.".to_owned();
    let (what, to_do): (Vec<String>, Vec<String>) = match incident.cause {
        IncidentCause::MainPasswordReset => {
            let likely = "Most likely the Apple Account password was changed or reset, which revokes every app password. \
                          Also fits: two-factor authentication turned off, account locked.";
            (vec![format!("{stopped} {likely}")], vec![not_you])
        }
        IncidentCause::ResetOrRevoked => {
            let only = if single { "only this app password was" } else { "only these app passwords were" };
            let likely = format!(
                "Most likely the Apple Account password was changed, or {only} revoked. Also fits: two-factor \
                 authentication turned off, account locked."
            );
            (vec![format!("{stopped} {likely}")], vec![not_you])
        }
        IncidentCause::SingleRevocation => {
            let likely = "Others of this account still work: most likely revoked by hand, or removed after a move to \
                          Apple's own sign-in.";
            let name = only_name(incident);
            (vec![format!("{stopped} {likely}")], vec![not_you, format!("Not used any more: keypulse remove {name}")])
        }
        IncidentCause::NeverAccepted => {
            let likely = "Never accepted: a wrong user name, a typing error, the main password, or revoked before keypulse \
                          first saw it.";
            (vec![likely.to_owned()], vec!["Check the user name.".to_owned()])
        }
        IncidentCause::ServiceRefused => (
            vec![format!("One service has refused since {}, the other accepts.", local(incident.began_between.1))],
            vec![],
        ),
        IncidentCause::CannotCheck => {
            let since = local(incident.began_between.1);
            (vec![format!("Not known since {since} whether it still works.")], vec![])
        }
        IncidentCause::ProviderOutageSuspected => {
            let likely = "iCloud refuses, but other signs point to trouble at iCloud. keypulse asks again before it calls \
                          anything revoked.";
            (vec![likely.to_owned()], vec!["Nothing for now.".to_owned()])
        }
    };
    let mut to_do = to_do;
    match incident.cause {
        IncidentCause::MainPasswordReset
        | IncidentCause::ResetOrRevoked
        | IncidentCause::SingleRevocation
        | IncidentCause::NeverAccepted => {
            let new = if single { "New password" } else { "New passwords" };
            to_do.push(format!("{new}: {PATH}, then:"));
            to_do.push(match incident.credentials.as_slice() {
                [one] => format!("keypulse replace {one}"),
                _ => format!("keypulse replace --account {}", account.address),
            });
        }
        IncidentCause::ServiceRefused | IncidentCause::CannotCheck | IncidentCause::ProviderOutageSuspected => {}
    }
    (what, to_do)
}

/// What is to be said of one credential under its row. `told`: an incident says what happened to it.
#[must_use]
pub fn of_credential(account: &AccountDocument, credential: &CredentialDocument, told: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if credential.presumed {
        notes.push("Presumed: not asked itself; all others that were asked are dead.".to_owned());
    }
    if let Some(why) = &credential.unreadable {
        notes.push(format!("Password not read: {why}"));
    }
    match credential.health {
        Health::Suspect => notes.push("Refused; asked again before it is called revoked.".to_owned()),
        Health::Rejected if !told => {
            notes.push(
                "Never accepted so far; a new password can take minutes. Otherwise check user name and password."
                    .to_owned(),
            );
        }
        Health::Revoked if !told => {
            notes.push(format!("Make a new one: {PATH}, then:"));
            notes.push(format!("keypulse replace {}", credential.name));
        }
        Health::Degraded => notes.extend(of_degraded(account, credential)),
        Health::Healthy | Health::Revoked | Health::Rejected | Health::Unreadable | Health::Stale | Health::Unknown => {
        }
    }
    notes
}

/// Most often the user name has the form of the other service (`facts/icloud.md` 1.6).
fn of_degraded(account: &AccountDocument, credential: &CredentialDocument) -> Option<String> {
    let refuses = credential.services.iter().find(|it| it.finding == FindingWord::Rejected)?;
    Some(match refuses.service {
        Service::Imap => format!(
            "Sending works, receiving fails. Most likely the user name: IMAP wants {}. Set imap_username.",
            account.address.local_part()
        ),
        Service::Smtp => format!(
            "Receiving works, sending fails. Most likely the user name: SMTP wants {}. Set smtp_username.",
            account.address
        ),
    })
}

/// What the service answered, unless there is nothing to say of it: the server's words, or what took their place.
#[must_use]
pub fn of_service(credential: &CredentialDocument, service: &ServiceDocument) -> Option<String> {
    let name = match service.service {
        Service::Imap => "IMAP",
        Service::Smtp => "SMTP",
    };
    let detail = service.detail.as_deref().or(service.code.as_deref());
    match (service.finding, service.cause) {
        (FindingWord::Accepted, _) => None,
        (FindingWord::Rejected, _) => Some(format!("{name}: {}", detail.unwrap_or("refused"))),
        // Said already.
        (FindingWord::Inconclusive, Some(Cause::SecretUnavailable | Cause::SecretMalformed))
            if credential.unreadable.is_some() =>
        {
            None
        }
        // Forgotten once the other service accepted.
        (FindingWord::Inconclusive, _) if credential.last_accepted_at.is_some_and(|accepted| accepted > service.at) => {
            None
        }
        (FindingWord::Inconclusive, cause) => {
            let cause = cause.map_or("no answer", words);
            Some(detail.map_or_else(|| format!("{name}: {cause}"), |detail| format!("{name}: {cause}: {detail}")))
        }
    }
}

/// A cause in words.
#[must_use]
pub const fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::SecretUnavailable => "the password could not be read",
        Cause::SecretMalformed => "no app-specific password, never sent",
        Cause::Offline => "no network",
        Cause::Unreachable => "no connection",
        Cause::TimedOut => "no answer in time",
        Cause::CaptivePortal => "something else answers, perhaps a captive portal",
        Cause::TlsFailed => "no trusted encryption, password not sent",
        Cause::TlsNotOffered => "no encryption offered, password not sent",
        Cause::Unavailable => "not available for now",
        Cause::Throttled => "too many requests",
        Cause::ConnectionLost => "the connection broke off",
        Cause::RefusedOtherwise => "refused for another reason",
        Cause::ProtocolViolation => "an answer that makes no sense",
    }
}

fn when(incident: &IncidentDocument, local: &dyn Fn(Time) -> String) -> String {
    let refused = local(incident.began_between.1);
    match incident.began_between.0.map(local) {
        Some(accepted) if accepted == refused => format!("Stopped at {refused}."),
        Some(accepted) => format!("Stopped between {accepted} and {refused}."),
        None => format!("Refused since {refused}; when it last worked is not known."),
    }
}

/// What a command takes.
fn only_name(incident: &IncidentDocument) -> &str {
    match incident.credentials.as_slice() {
        [one] => one.as_str(),
        _ => "NAME",
    }
}
