//! The course of an account's incident: what opens it, what it grows and changes by, and what ends it.
//!
//! The rules are those of `verdicts.md`, part 5. Tells nobody: that is `upkeep.rs`.

use super::{
    account::{Account, Credential},
    credential::Health,
    evidence::Service,
    incident::{Incident, IncidentCause, IncidentFile, Signs},
    login::{Login, State},
    name::CredentialName,
    outbox::Tidings,
    schedule::{DAY, Policy, Timestamp},
};

impl Account {
    /// A new incident, if a verdict fell.
    pub(super) fn death(&self, id: u64, now: Timestamp) -> Option<IncidentFile> {
        self.dead_credentials().next()?;
        let mut file = empty(id, IncidentCause::ResetOrRevoked, now);
        self.enter_dead(&mut file);
        file.incident.cause = self.signs(&file).cause();
        Some(file)
    }

    /// A new incident, if something has been wrong for a day without being a death: told once, calmly.
    pub(super) fn ailment(
        &self,
        id: u64,
        policy: &Policy,
        online: bool,
        running: std::time::Duration,
        now: Timestamp,
    ) -> Option<IncidentFile> {
        let ailing = |cause: IncidentCause| -> Vec<(CredentialName, Timestamp)> {
            let of = |credential: &Credential| self.ails(credential, cause, policy, online, running, now);
            self.credentials.iter().filter_map(|c| Some((c.setup.name.clone(), of(c)?))).collect()
        };
        [IncidentCause::ServiceRefused, IncidentCause::CannotCheck].into_iter().find_map(|cause| {
            let ailing = ailing(cause);
            let since = ailing.iter().map(|(_, since)| *since).min()?;
            let mut file = empty(id, cause, now);
            file.incident.began_between = (None, since);
            file.incident.credentials = ailing.into_iter().map(|(name, _)| name).collect();
            Some(file)
        })
    }

    /// Since when a credential has had this ailment, if for long enough to tell.
    fn ails(
        &self,
        credential: &Credential,
        cause: IncidentCause,
        policy: &Policy,
        online: bool,
        running: std::time::Duration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match credential.memory.health {
            Health::Degraded | Health::Unreadable | Health::Stale => {}
            // Nothing that has lasted for long is not written down yet.
            Health::Healthy | Health::Suspect | Health::Revoked | Health::Rejected | Health::Unknown => return None,
        }
        let long = |since: Timestamp| (now.since(since) >= DAY).then_some(since);
        let health = self.health_at(credential, policy, now);
        match cause {
            IncidentCause::ServiceRefused => {
                let login = self.login_of(credential).filter(|_| health == Health::Degraded)?;
                let service = Service::ALL.into_iter().find(|service| login.refusing().has(*service))?;
                long(login.services.of(service).last_accepted_at.unwrap_or(login.since).max(credential.memory.since))
            }
            IncidentCause::CannotCheck => match (&credential.memory.unreadable, health) {
                (Some(unreadable), Health::Unreadable | Health::Stale) if credential.read => long(unreadable.since),
                // Tried and got nothing: after a long sleep, and while the first answer in days is half told, nobody knows.
                (_, Health::Stale) if online && running >= policy.stale_after && self.was_asked_in_vain(credential) => {
                    Some(credential.memory.since)
                }
                (
                    _,
                    Health::Stale
                    | Health::Unreadable
                    | Health::Healthy
                    | Health::Degraded
                    | Health::Suspect
                    | Health::Revoked
                    | Health::Rejected
                    | Health::Unknown,
                ) => None,
            },
            IncidentCause::MainPasswordReset
            | IncidentCause::SingleRevocation
            | IncidentCause::ResetOrRevoked
            | IncidentCause::NeverAccepted
            | IncidentCause::ProviderOutageSuspected => None,
        }
    }

    /// Whether the latest round of its secret is over and proved nothing.
    fn was_asked_in_vain(&self, credential: &Credential) -> bool {
        self.flight.is_none() && self.login_of(credential).is_some_and(|login| login.inconclusive > 0)
    }

    /// Brings an open incident up to date; what is to be told of it, if anything.
    pub(super) fn follow(
        &self,
        file: &mut IncidentFile,
        policy: &Policy,
        (online, running): (bool, std::time::Duration),
        now: Timestamp,
    ) -> Option<Tidings> {
        let (cause, members) = (file.incident.cause, file.incident.credentials.clone());
        if cause.is_told_once() {
            // Another one that ails as long belongs to it without a word: it is the same trouble, and over with all of it.
            let ails = |one: &&Credential| self.ails(one, cause, policy, online, running, now).is_some();
            let joined = self.credentials.iter().filter(ails).map(|credential| credential.setup.name.clone());
            file.incident.credentials.extend(joined.filter(|name| !members.contains(name)));
            return self.follow_ailment(file, policy, now);
        }
        let dead = file.secrets.len();
        self.enter_dead(file);
        let died = file.secrets.len() > dead;
        let revived: Vec<_> =
            file.secrets.iter().copied().filter(|secret| self.login(*secret).is_some_and(Login::is_alive)).collect();
        file.secrets.retain(|secret| !revived.contains(secret));
        let mut all = members.clone();
        all.extend(file.incident.credentials.iter().filter(|name| !members.contains(name)).cloned());
        let standing: Vec<CredentialName> = all
            .iter()
            .filter(|name| {
                let credential = self.credentials.iter().find(|credential| credential.setup.name == **name);
                credential.is_some_and(|credential| !self.login_of(credential).is_some_and(Login::is_alive))
            })
            .cloned()
            .collect();
        file.repaired.extend(all);
        file.repaired.retain(|name| !standing.contains(name));
        if standing.is_empty() {
            // All work again (or are gone). It was a false alarm if the very secrets that were called dead are accepted.
            file.incident.withdrawn = file.secrets.is_empty();
            file.incident.credentials = file.repaired.clone();
            return Some(Tidings::Resolved);
        }
        let grown = standing.iter().any(|name| !members.contains(name));
        file.incident.credentials = standing;
        if !file.secrets.is_empty() {
            file.incident.cause = self.signs(file).cause();
        }
        let woken = died && file.incident.snoozed_until.is_some();
        if woken {
            file.wake(policy, now);
        }
        (grown || woken || file.incident.cause != cause).then_some(Tidings::Changed)
    }

    fn follow_ailment(&self, file: &mut IncidentFile, policy: &Policy, now: Timestamp) -> Option<Tidings> {
        if let Some(worse) = self.death(file.incident.id, now) {
            let incident = Incident { notified_at: file.incident.notified_at, ..worse.incident };
            *file = IncidentFile { incident, ..worse };
            return Some(Tidings::Changed);
        }
        let ill = |name: &CredentialName| {
            let credential = self.credentials.iter().find(|credential| credential.setup.name == *name);
            credential.is_some_and(|credential| match self.health_at(credential, policy, now) {
                Health::Healthy => false,
                Health::Degraded => file.incident.cause == IncidentCause::ServiceRefused,
                Health::Suspect
                | Health::Revoked
                | Health::Rejected
                | Health::Unreadable
                | Health::Stale
                | Health::Unknown => true,
            })
        };
        let over = !file.incident.credentials.iter().any(ill);
        over.then_some(Tidings::Resolved)
    }

    /// Enters the dead that are not in the file yet.
    fn enter_dead(&self, file: &mut IncidentFile) {
        for (credential, login) in self.dead_credentials() {
            let name = &credential.setup.name;
            if !file.incident.credentials.contains(name) {
                file.incident.credentials.push(name.clone());
            }
            let State::Dead(verdict) = &login.state else { continue };
            if file.secrets.contains(&login.fingerprint) {
                continue;
            }
            file.secrets.push(login.fingerprint);
            let (accepted, refused) = &mut file.incident.began_between;
            if !verdict.presumed {
                *refused = (*refused).min(verdict.first_refused_at);
                file.newest_refusal_at = file.newest_refusal_at.max(login.last_rejected_at().unwrap_or(*refused));
            }
            let before = login.last_accepted_at().filter(|at| *at <= *refused);
            *accepted = (*accepted).max(before);
        }
    }

    fn signs(&self, file: &IncidentFile) -> Signs {
        let dead = self.logins.iter().filter(|login| file.secrets.contains(&login.fingerprint));
        let older = |login: &Login| login.first_accepted_at().is_some_and(|at| at < file.incident.began_between.1);
        let accepted_since = |login: &Login| login.last_accepted_at().is_some_and(|at| at > file.newest_refusal_at);
        Signs {
            revoked: dead.filter(|login| login.ever_accepted()).count(),
            old_pair_lives: self.logins.iter().any(|login| older(login) && accepted_since(login)),
        }
    }
}

fn empty(id: u64, cause: IncidentCause, now: Timestamp) -> IncidentFile {
    IncidentFile {
        incident: Incident {
            id,
            cause,
            declared_at: now,
            notified_at: None,
            began_between: (None, now),
            credentials: Vec::new(),
            snoozed_until: None,
            resolved_at: None,
            withdrawn: false,
        },
        secrets: Vec::new(),
        repaired: Vec::new(),
        newest_refusal_at: Timestamp::default(),
        remind_at: None,
    }
}
