//! One word for people, for JSON and for the disk, that is read back as what it was.

use std::fmt::Display;

use super::*;

#[track_caller]
fn check(values: impl IntoIterator<Item = impl Display + serde::Serialize>) {
    for value in values {
        let word = value.to_string();
        assert!(!word.is_empty());
        assert_eq!(serde_json::to_value(&value).unwrap(), serde_json::json!(word));
    }
}

#[test]
fn a_word_is_the_same_for_people_and_for_programs() {
    use IncidentCause::{CannotCheck, ProviderOutageSuspected, ServiceRefused};
    check(Health::ALL);
    check(Service::ALL);
    check(Cause::ALL);
    check([Channel::Desktop, Channel::Hook]);
    check([MainPasswordReset, SingleRevocation, ResetOrRevoked, NeverAccepted]);
    check([ServiceRefused, CannotCheck, ProviderOutageSuspected]);
}

#[test]
fn the_worst_of_all_has_the_word_of_its_json() {
    use crate::health::credential::Overall;
    for overall in [Overall::Ok, Overall::Warning, Overall::Critical, Overall::Unknown] {
        assert_eq!(serde_json::to_value(overall).unwrap(), overall.as_str());
    }
}

#[test]
fn a_finding_is_read_back_from_its_two_words() {
    for cause in Cause::ALL {
        let finding = Finding::Inconclusive(cause);
        assert_eq!(Finding::of(finding.as_str(), Some(cause.as_str())), Some(finding));
        assert_eq!(Finding::of("accepted", Some(cause.as_str())), None, "an acceptance has no cause");
        assert!(!finding.is_conclusive());
    }
    for finding in [Finding::Accepted, Finding::Rejected] {
        assert_eq!(Finding::of(finding.as_str(), None), Some(finding));
        assert!(finding.is_conclusive());
    }
    assert_eq!(Finding::of("inconclusive", None), None, "it has a cause");
    assert_eq!(Finding::of("", None), None);
}

#[test]
fn only_two_healths_end_in_a_new_password() {
    let dead: Vec<Health> = Health::ALL.into_iter().filter(|health| health.is_dead()).collect();
    assert_eq!(dead, [Health::Revoked, Health::Rejected]);
}
