//! Example statuses, for the tests of whatever shows them.

use std::time::Duration;

use super::{
    DaemonInfo, ExplainDocument, HistoryQuery, PastError, StatusDocument, Time, TransitionDocument, UnknownName,
};
use crate::health::{
    credential::{Health, Transition},
    evidence::{Finding, Service},
    incident::{Incident, IncidentCause},
    name::{Address, CredentialName},
    schedule::Timestamp,
    view::{AccountStatus, CredentialStatus, ServiceStatus},
};

/// 2026-11-22T20:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_377_600_000);

pub(crate) fn minutes_ago(minutes: u64) -> Timestamp {
    NOW - Duration::from_secs(minutes * 60)
}

pub(crate) fn in_minutes(minutes: u64) -> Timestamp {
    NOW + Duration::from_secs(minutes * 60)
}

pub(crate) fn name(text: &str) -> CredentialName {
    CredentialName::new(text).unwrap()
}

pub(crate) fn credential(text: &str, app: Option<&str>, health: Health) -> CredentialStatus {
    CredentialStatus {
        name: name(text),
        app: app.map(Into::into),
        health,
        presumed: false,
        since: Some(minutes_ago(600)),
        last_accepted_at: None,
        last_checked_at: None,
        next_check_at: None,
        unreadable: None,
        services: vec![],
    }
}

pub(crate) fn service(service: Service, finding: Finding, detail: Option<&str>, at: Timestamp) -> ServiceStatus {
    let code = (finding == Finding::Rejected).then(|| match service {
        Service::Imap => "AUTHENTICATIONFAILED".into(),
        Service::Smtp => "535 5.7.8".into(),
    });
    let took = Some(Duration::from_micros(180_900));
    ServiceStatus { service, finding, code, detail: detail.map(Into::into), at, took }
}

pub(crate) fn healthy(text: &str, app: Option<&str>, minutes: u64) -> CredentialStatus {
    let at = minutes_ago(minutes);
    CredentialStatus {
        last_accepted_at: Some(at),
        last_checked_at: Some(at),
        next_check_at: Some(in_minutes(41)),
        services: Service::ALL.map(|asked| service(asked, Finding::Accepted, None, at)).into(),
        ..credential(text, app, Health::Healthy)
    }
}

pub(crate) fn dead(text: &str, app: Option<&str>) -> CredentialStatus {
    let at = minutes_ago(12);
    CredentialStatus {
        last_accepted_at: Some(minutes_ago(360)),
        last_checked_at: Some(at),
        next_check_at: Some(in_minutes(23 * 60)),
        services: vec![
            service(Service::Imap, Finding::Rejected, Some("NO [AUTHENTICATIONFAILED] Authentication Failed"), at),
            service(Service::Smtp, Finding::Rejected, Some("535 5.7.8 Error: authentication failed"), at),
        ],
        ..credential(text, app, Health::Revoked)
    }
}

pub(crate) fn account(address: &str, credentials: Vec<CredentialStatus>) -> AccountStatus {
    AccountStatus {
        address: Address::new(address).unwrap(),
        failed_logins_24h: 0,
        failed_login_limit: 12,
        ration_frees_at: None,
        incident: None,
        watch: None,
        credentials,
    }
}

pub(crate) fn incident(cause: IncidentCause, names: &[&str]) -> Incident {
    Incident {
        id: 7,
        cause,
        declared_at: minutes_ago(12),
        notified_at: Some(minutes_ago(11)),
        began_between: (Some(minutes_ago(360)), minutes_ago(29)),
        credentials: names.iter().map(|text| name(text)).collect(),
        snoozed_until: None,
        resolved_at: None,
        withdrawn: false,
    }
}

/// Two accounts: one whose main password was reset, one that is well.
pub(crate) fn accounts() -> Vec<AccountStatus> {
    let mut reset = account(
        "johnappleseed@icloud.com",
        vec![dead("thunderbird", Some("Thunderbird")), dead("nas", Some("Synology"))],
    );
    reset.failed_logins_24h = 4;
    reset.incident = Some(incident(IncidentCause::MainPasswordReset, &["thunderbird", "nas"]));
    vec![reset, account("jane@me.com", vec![healthy("mutt", None, 3)])]
}

/// What `/v1/history` answers.
pub(crate) fn history(query: &HistoryQuery) -> Result<Vec<TransitionDocument>, PastError> {
    let change = |id, minutes, from, to, cause| Transition {
        id,
        at: minutes_ago(minutes),
        account: Address::new("johnappleseed@icloud.com").unwrap(),
        credential: name("thunderbird"),
        from,
        to,
        reason: "refused by imap and smtp".into(),
        cause,
        presumed: false,
    };
    if let Some(unknown) = query.names.iter().find(|name| name.as_str() != "thunderbird") {
        return Err(PastError::Unknown(UnknownName::credential(unknown, ["thunderbird"])));
    }
    let cause = Some(IncidentCause::MainPasswordReset);
    let all = [
        change(43, 12, Health::Suspect, Health::Revoked, cause),
        change(42, 29, Health::Healthy, Health::Suspect, None),
    ];
    let since = query.since.map_or(minutes_ago(1000), |since| since.on_time_line(NOW, 0));
    let wanted = all.iter().filter(|change| change.at >= since).take(usize::try_from(query.limit).unwrap());
    Ok(wanted.map(|change| TransitionDocument::build(change, 0)).collect())
}

/// What `/v1/explain` answers: nothing but who was asked for.
pub(crate) fn explained(target: Option<&str>) -> Result<Box<ExplainDocument>, PastError> {
    match target {
        None | Some("johnappleseed@icloud.com") => {
            Ok(Box::new(ExplainDocument { schema: 1, generated_at: Time::new(NOW, 0), daemon: None, accounts: vec![] }))
        }
        Some(unknown) => Err(PastError::Unknown(UnknownName::target(unknown, ["thunderbird"]))),
    }
}

pub(crate) fn daemon() -> DaemonInfo {
    DaemonInfo {
        version: "0.1.0".into(),
        pid: 4242,
        started_at: minutes_ago(358),
        paused_until: None,
        online: true,
        program: None,
    }
}

pub(crate) fn document(accounts: &[AccountStatus]) -> StatusDocument {
    StatusDocument::build(accounts, Some(daemon()), NOW, 0)
}
