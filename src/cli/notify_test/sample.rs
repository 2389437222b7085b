//! The event that a hook is tested with: a reset of an account that nobody has (RFC 2606).

use super::INCIDENT;
use crate::{
    api::{IncidentEvent, IncidentMessage},
    cli::Exit,
    config::Config,
    health::{
        alert,
        credential::Health,
        evidence::{Finding, Service},
        incident::{Incident, IncidentCause},
        name::{Address, CredentialName},
        outbox::Tidings,
        schedule::Timestamp,
        view::{AccountStatus, CredentialStatus, ServiceStatus},
    },
    host::{
        clock::{self, Clock},
        hook::HookEvent,
    },
};

/// An incident as hooks are told of one.
pub(super) fn event() -> Result<HookEvent, Exit> {
    let internal = |why: &str| Exit::because(format!("make up a test message: {why}"), "report this");
    let address = Address::new("test@example.com").map_err(internal)?;
    let name = CredentialName::new("test").map_err(internal)?;
    let clock = Clock::resume(None);
    let now = clock.now();
    let incident = Incident {
        id: INCIDENT,
        cause: IncidentCause::MainPasswordReset,
        declared_at: now,
        notified_at: None,
        began_between: (Some(now), now),
        credentials: vec![name.clone()],
        snoozed_until: None,
        resolved_at: None,
        withdrawn: false,
    };
    let account = AccountStatus {
        address: address.clone(),
        failed_logins_24h: 0,
        failed_login_limit: Config::default().policy.failed_logins_per_account,
        ration_frees_at: None,
        incident: Some(incident.clone()),
        watch: None,
        credentials: vec![revoked(name, now)],
    };
    let event = IncidentEvent::Opened;
    let local = |at| clock::local(at, now, clock.offset_ms());
    let words = alert::letter(Tidings::Opened, &address, &incident, &account.credentials, &local).test();
    let message = IncidentMessage::build(event, &account, &incident, words, clock.offset_ms());
    let payload = serde_json::to_value(&message).map_err(Exit::failed)?;
    Ok(HookEvent { event, account: address, cause: incident.cause, payload, test: true })
}

fn revoked(name: CredentialName, at: Timestamp) -> CredentialStatus {
    let service = |service| ServiceStatus {
        service,
        finding: Finding::Rejected,
        code: None,
        detail: Some("a test: nothing was asked".to_owned()),
        at,
        took: None,
    };
    CredentialStatus {
        name,
        app: Some("keypulse notify-test".to_owned()),
        health: Health::Revoked,
        presumed: false,
        since: Some(at),
        last_accepted_at: Some(at),
        last_checked_at: Some(at),
        next_check_at: None,
        unreadable: None,
        services: Service::ALL.map(service).into(),
    }
}
