//! The engine's own view of itself, as plain values.

use super::{
    account::{Account, Credential},
    engine::Engine,
    evidence::{Finding, Service},
    incident::{Incident, IncidentCause},
    login::{Login, Why},
    name::{Address, CredentialName},
    ration::{Purse, Ration},
    schedule::Timestamp,
    view::{AccountStatus, CredentialStatus, ServiceStatus},
};

impl Engine {
    /// All accounts as they stand at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Vec<AccountStatus> {
        let configured = self.accounts.iter().filter(|account| account.configured);
        configured.map(|account| self.account_status(account, now)).collect()
    }

    /// Whether the network is there: the system does not deny it, and it was when it was last needed.
    #[must_use]
    pub const fn online(&self) -> bool {
        self.online && !self.machine.network_down()
    }

    /// Whether a credential of this name is configured.
    #[must_use]
    pub fn knows(&self, name: &CredentialName) -> bool {
        self.accounts.iter().flat_map(|account| &account.credentials).any(|credential| credential.setup.name == *name)
    }

    /// The names of all configured credentials.
    pub fn names(&self) -> impl Iterator<Item = &CredentialName> {
        self.accounts.iter().flat_map(|account| &account.credentials).map(|credential| &credential.setup.name)
    }

    /// How many failed logins a person may still spend on this account, configured or not.
    #[must_use]
    pub fn logins_left(&self, address: &Address, now: Timestamp) -> u32 {
        let ration = self.rations.get(&address.key()).cloned().unwrap_or_else(|| self.unknown_ration());
        let used = ration.used(now);
        self.policy.failed_logins_per_account.saturating_sub(used)
    }

    pub(super) fn account_status(&self, account: &Account, now: Timestamp) -> AccountStatus {
        let limit = self.policy.failed_logins_per_account;
        let ration = self.rations.get(&account.address.key());
        AccountStatus {
            address: account.address.clone(),
            failed_logins_24h: ration.map_or(0, |ration: &Ration| ration.used(now)),
            failed_login_limit: limit,
            ration_frees_at: ration.and_then(|ration| ration.frees_at(Purse::Routine, limit, now)),
            incident: account.incident.as_ref().map(|file| file.incident.clone()).or_else(|| outage(account)),
            watch: account.watch.standing.clone(),
            credentials: account.credentials.iter().map(|c| self.credential_status(account, c, now)).collect(),
        }
    }

    fn credential_status(&self, account: &Account, credential: &Credential, now: Timestamp) -> CredentialStatus {
        let login = account.login_of(credential);
        let health = account.health_at(credential, &self.policy, now);
        let asked = |service| {
            let latest = login?.services.of(service).latest.as_ref()?;
            Some(ServiceStatus {
                service,
                finding: latest.outcome.finding,
                code: latest.outcome.code.clone(),
                detail: latest.outcome.detail.clone(),
                at: latest.at,
                took: latest.outcome.took,
            })
        };
        let unread = |service| {
            let unreadable = credential.memory.unreadable.as_ref()?;
            let finding = Finding::Inconclusive(unreadable.cause);
            let detail = Some(unreadable.detail.clone());
            Some(ServiceStatus { service, finding, code: None, detail, at: unreadable.at, took: None })
        };
        CredentialStatus {
            name: credential.setup.name.clone(),
            app: credential.setup.app.clone(),
            health,
            presumed: login.and_then(Login::verdict).is_some_and(|verdict| verdict.presumed),
            since: Some(credential.memory.since),
            last_accepted_at: login.and_then(Login::last_accepted_at),
            last_checked_at: login
                .and_then(Login::last_checked_at)
                .max(credential.memory.unreadable.as_ref().map(|unreadable| unreadable.at)),
            next_check_at: self.next_check(account, credential, login),
            unreadable: credential.memory.unreadable.as_ref().map(|unreadable| unreadable.detail.clone()),
            services: credential.setup.services.iter().filter_map(|s| unread(s).or_else(|| asked(s))).collect(),
        }
    }

    /// When the secret is asked next: by its own schedule, or by the routine where that asks it.
    fn next_check(&self, account: &Account, credential: &Credential, login: Option<&Login>) -> Option<Timestamp> {
        if account.flight.as_ref().is_some_and(|flight| flight.credential == credential.setup.name) {
            return None;
        }
        if self.paused_until.is_some() {
            return None;
        }
        let ready_at = self.machine.ready_at()?;
        let own = login.and_then(|login| self.due_at(account, login));
        let routine = login.is_none_or(|login| login.suspicion().is_none() && login.verdict().is_none());
        own.into_iter().chain(routine.then_some(credential.next_at)).min().map(|at| at.max(ready_at))
    }
}

/// What the status shows while the outage guard holds a verdict back. It is never sent.
fn outage(account: &Account) -> Option<Incident> {
    let held = account.in_use().find(|login| login.suspicion().is_some_and(|s| s.held))?;
    let suspicion = held.suspicion()?;
    debug_assert!(held.due.is_none_or(|due| due.why == Why::Confirm));
    let used_by = account.holders(held.fingerprint).map(|credential| credential.setup.name.clone());
    let accepted = Service::ALL.into_iter().filter_map(|service| held.services.of(service).last_accepted_at).max();
    Some(Incident {
        id: 0,
        cause: IncidentCause::ProviderOutageSuspected,
        declared_at: suspicion.last_at,
        notified_at: None,
        began_between: (accepted, suspicion.first_at),
        credentials: used_by.collect(),
        snoozed_until: None,
        resolved_at: None,
        withdrawn: false,
    })
}
