//! What affected programs are called, one by one and together.

use crate::health::{credential::Health, incident::Incident, name::CredentialName, view::CredentialStatus};

/// Characters of one program's name.
const NAME_CHARS: usize = 32;
/// Bytes of the two names that fit a title together.
const TITLE_NAMES: usize = 24;

/// Each affected program, and whether its death is presumed.
pub(super) fn labels(incident: &Incident, credentials: &[CredentialStatus]) -> Vec<(String, bool)> {
    let label = |name: &CredentialName| match credentials.iter().find(|one| one.name == *name) {
        Some(one) => (label(one, credentials), one.presumed && one.health == Health::Revoked),
        None => (bounded(name.as_str(), NAME_CHARS), false),
    };
    incident.credentials.iter().map(label).collect()
}

/// 'Thunderbird', 'Thunderbird, mutt and NAS (presumed)', 'Thunderbird, msmtp and 3 more (2 presumed)': `most` in all.
pub(super) fn who(labels: &[(String, bool)], most: usize) -> String {
    let shown = if labels.len() <= most { labels.len() } else { most.saturating_sub(1) };
    let (first, others) = labels.split_at(shown);
    let mark = |(label, presumed): &(String, bool)| match presumed {
        true => format!("{label} (presumed)"),
        false => label.clone(),
    };
    let mut names: Vec<String> = first.iter().map(mark).collect();
    if !others.is_empty() {
        let presumed = others.iter().filter(|(_, presumed)| *presumed).count();
        let mark = if presumed == 0 { String::new() } else { format!(" ({presumed} presumed)") };
        names.push(format!("{} more{mark}", others.len()));
    }
    listed(&names)
}

/// 'Thunderbird', 'Thunderbird and mutt', 'Thunderbird and 4 more'.
pub(super) fn who_short(labels: &[(String, bool)]) -> String {
    match labels {
        [(first, _), second, rest @ ..] if !rest.is_empty() || first.len() + second.0.len() > TITLE_NAMES => {
            format!("{first} and {} more", rest.len() + 1)
        }
        _ => listed(&labels.iter().map(|(label, _)| label.clone()).collect::<Vec<_>>()),
    }
}

fn listed(names: &[String]) -> String {
    match names.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    }
}

/// The program as people call it; with the credential's name where two are called the same.
fn label(one: &CredentialStatus, credentials: &[CredentialStatus]) -> String {
    match &one.app {
        None => bounded(one.name.as_str(), NAME_CHARS),
        Some(app) if credentials.iter().filter(|other| other.app.as_ref() == Some(app)).count() == 1 => {
            bounded(app, NAME_CHARS)
        }
        Some(app) => format!("{} {}", bounded(app, NAME_CHARS), bounded(one.name.as_str(), NAME_CHARS)),
    }
}

pub(super) fn bounded(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars.saturating_sub(1)).collect();
    short.push('…');
    short
}
