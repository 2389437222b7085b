//! After every event: who changed, what happened to the account, and what people are to be told of it.

use super::{
    account::Account,
    credential::{Health, Transition},
    engine::{Engine, Stance},
    event::{Action, Handover, Order, Record},
    evidence::Service,
    incident::{Incident, IncidentCause, IncidentFile, Signs},
    login::{Login, State},
    name::CredentialName,
    outbox::{Channel, Tidings},
    schedule::{DAY, Policy, Timestamp},
};

impl Engine {
    /// Brings transitions, incidents and messages up to what the secrets are now.
    ///
    /// An account that nothing happened to is gone through only now and then, for what time alone brings about.
    pub(super) fn upkeep(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        for index in 0..self.accounts.len() {
            let Some(account) = self.accounts.get_mut(index) else { return };
            let wants = [account.wants.message_at, account.wants.reminder_at];
            let telling = wants.into_iter().flatten().any(|at| at <= now);
            let long_ago = now.since(account.reviewed_at) >= self.policy.interval / 4;
            if !account.dirty && !telling && !long_ago {
                continue;
            }
            account.stirred = true;
            account.reviewed_at = now;
            // A leader may have left without a verdict: its secret was changed, or its credential removed.
            self.choose_leader(index, now);
            self.go_on_with_poll(index, now);
            let renamed = self.incident_upkeep(index, now, actions);
            self.transitions(index, renamed, now, actions);
            self.messages(index, now, actions);
        }
    }

    /// Records every change of health. Where the incident has a cause that it had not before, those of its credentials whose
    /// health stays as it was get a row, too: the history keeps both causes.
    fn transitions(&mut self, index: usize, renamed: Option<Renamed>, now: Timestamp, actions: &mut Vec<Action>) {
        let (policy, mut last_id) = (self.policy.clone(), self.last_id);
        let Some(account) = self.accounts.get_mut(index) else { return };
        let mut changes = Vec::new();
        for (at, credential) in account.credentials.iter().enumerate() {
            let to = account.health_at(credential, &policy, now);
            let member = |file: &IncidentFile| file.incident.credentials.contains(&credential.setup.name);
            if to != credential.memory.health || renamed.is_some() && account.incident.as_ref().is_some_and(member) {
                let login = account.login_of(credential);
                let presumed = login.and_then(Login::verdict).is_some_and(|verdict| verdict.presumed);
                last_id += 1;
                changes.push((
                    at,
                    Transition {
                        id: last_id,
                        at: now,
                        account: account.address.clone(),
                        credential: credential.setup.name.clone(),
                        from: credential.memory.health,
                        to,
                        reason: match renamed {
                            Some(Renamed { before: Some(before) }) if to == credential.memory.health => {
                                format!("the cause was {before}")
                            }
                            Some(Renamed { .. }) | None => reason(account, at, to),
                        },
                        cause: account.incident.as_ref().map(|file| file.incident.cause),
                        presumed,
                    },
                ));
            }
        }
        for (at, transition) in changes {
            if let Some(credential) = account.credentials.get_mut(at).filter(|_| transition.is_change_of_health()) {
                credential.memory.health = transition.to;
                credential.memory.since = now;
                account.dirty = true;
            }
            actions.push(Action::Record(Record::Transition(transition)));
        }
        self.last_id = last_id;
    }

    /// Opens, follows and closes the incident. Says so if it has a cause now that it had not before.
    fn incident_upkeep(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) -> Option<Renamed> {
        let id = self.last_id + 1;
        let (policy, running) = (self.policy.clone(), now.since(self.watching_since));
        let (online, paused) = (self.online(), self.paused_until.is_some());
        let account = self.accounts.get_mut(index)?;
        let mut tidings = None;
        let cause = |account: &Account| account.incident.as_ref().map(|file| file.incident.cause);
        let before = cause(account);
        match account.incident.take() {
            None => {
                // Nobody looks during a pause, so that nothing is known of what cannot be checked.
                let ailment = || account.ailment(id, &policy, online, running, now).filter(|_| !paused);
                let opened = account.death(id, now).or_else(ailment);
                if opened.is_some() {
                    self.last_id = id;
                    tidings = Some(Tidings::Opened);
                }
                account.incident = opened;
            }
            Some(mut file) => {
                let snoozed = file.incident.snoozed_until.is_some();
                tidings = account.follow(&mut file, &policy, (online, running), now);
                if file.incident.snoozed_until.is_some_and(|until| until <= now) {
                    file.incident.snoozed_until = None;
                }
                if snoozed && file.incident.snoozed_until.is_none() {
                    account.outbox.release(file.incident.id, now);
                }
                if tidings == Some(Tidings::Resolved) {
                    file.incident.resolved_at = Some(now);
                    account.closed.push(file);
                } else {
                    if file.remind_at.is_some_and(|at| at <= now) && !paused {
                        let again = policy.remind_every.filter(|_| !file.incident.cause.is_told_once());
                        file.remind_at = again.map(|every| now + every);
                        tidings = tidings.or(Some(Tidings::Reminder));
                    }
                    account.incident = Some(file);
                }
            }
        }
        let renamed = cause(account).filter(|cause| before != Some(*cause)).map(|_| Renamed { before });
        let Some(tidings) = tidings else { return renamed };
        let file = match tidings {
            Tidings::Resolved => account.closed.last(),
            Tidings::Opened | Tidings::Changed | Tidings::Reminder | Tidings::PutBack => account.incident.as_ref(),
        };
        let Some(incident) = file.map(|file| file.incident.clone()) else { return renamed };
        // While siblings are still being asked what happened, a new incident is kept back for a moment; likewise a change
        // while all that were dead are asked again, since one was accepted: it may be over a second later.
        let grace = match tidings {
            Tidings::Opened => account.memory.poll.is_some(),
            Tidings::Changed => {
                account.in_use().any(|login| login.verdict().is_some() && login.due.is_some_and(|due| due.at <= now))
            }
            Tidings::Reminder | Tidings::Resolved | Tidings::PutBack => false,
        };
        let at = if grace { now + policy.confirm[0] / 4 } else { now };
        // Of a snoozed one people hear only that it is over; those who listen to the stream hear all.
        let silenced = incident.snoozed_until.is_some() && tidings != Tidings::Resolved;
        for channel in self.channels.iter().copied().filter(|_| !silenced) {
            self.last_id += 1;
            account.outbox.add(self.last_id, incident.id, channel, tidings, at);
        }
        if let Some(account) = self.accounts.get(index) {
            let mut account = Box::new(self.account_status(account, now));
            account.incident = Some(incident);
            actions.push(Action::Incident { tidings, account });
        }
        renamed
    }

    /// Hands over the messages that are due.
    fn messages(&mut self, index: usize, now: Timestamp, actions: &mut Vec<Action>) {
        if self.stance != Stance::Running {
            return;
        }
        let Some(account) = self.accounts.get_mut(index) else { return };
        let due = account.outbox.take_due(now);
        for mut delivery in due {
            let Some(account) = self.accounts.get(index) else { return };
            let files = account.incident.iter().chain(&account.closed);
            let Some(file) = files.into_iter().find(|file| file.incident.id == delivery.incident).cloned() else {
                continue;
            };
            delivery.receipt = account.outbox.receipt(delivery.incident, delivery.channel).map(str::to_owned);
            let mut status = self.account_status(account, now);
            status.incident = Some(file.incident);
            actions.push(Action::Deliver(Order { delivery, account: status }));
        }
    }

    pub(super) fn delivered(&mut self, id: u64, result: &Handover, now: Timestamp) {
        let policy = self.policy.clone();
        for account in &mut self.accounts {
            if !account.outbox.all().iter().any(|delivery| delivery.id == id) {
                continue;
            }
            let incident = match result {
                Handover::Done(receipt) => account.outbox.delivered(id, receipt.clone(), now).map(|it| it.incident),
                Handover::Failed => {
                    account.outbox.failed(id, &policy, now);
                    None
                }
                Handover::NotBefore(at) => {
                    account.outbox.postpone(id, *at);
                    None
                }
            };
            let Some(file) = &mut account.incident else { return };
            if Some(file.incident.id) == incident {
                file.told(&policy, now);
            }
            if let Some(until) = file.incident.snoozed_until {
                account.outbox.hold(file.incident.id, until);
            }
            return;
        }
    }

    /// The open incidents whose message stands on this channel, each with what the channel gave back for it. Not those
    /// with a message on its way, which will stand there anew.
    #[must_use]
    pub fn standing_on(&self, channel: Channel) -> Vec<(u64, String)> {
        let open = self.accounts.iter().filter_map(|account| Some((account.incident.as_ref()?.incident.id, account)));
        let snoozed = self.snoozed_on(channel);
        open.filter(|(incident, account)| account.outbox.is_settled_on(*incident, channel))
            .filter(|(incident, _)| snoozed.iter().all(|(snoozed, _)| snoozed != incident))
            .filter_map(|(incident, account)| Some((incident, account.outbox.receipt(incident, channel)?.to_owned())))
            .collect()
    }

    pub(super) fn notification_lost(&mut self, incident: u64, now: Timestamp) {
        for account in &mut self.accounts {
            let open = account.incident.as_ref().map(|file| &file.incident).filter(|open| open.id == incident);
            let stands = open.is_some_and(|open| open.snoozed_until.is_none());
            if stands && account.outbox.was_told(incident, Channel::Desktop) {
                let at = account.outbox.put_back_at(incident, &self.policy, now);
                self.last_id += 1;
                account.outbox.add(self.last_id, incident, Channel::Desktop, Tidings::PutBack, at);
            }
        }
    }
}

/// An incident has a cause that it had not before.
#[derive(Clone, Copy)]
struct Renamed {
    /// `None`: it is new.
    before: Option<IncidentCause>,
}

impl Account {
    /// A new incident, if a verdict fell.
    fn death(&self, id: u64, now: Timestamp) -> Option<IncidentFile> {
        self.dead_credentials().next()?;
        let mut file = empty(id, IncidentCause::ResetOrRevoked, now);
        self.enter_dead(&mut file);
        file.incident.cause = self.signs(&file).cause();
        Some(file)
    }

    /// A new incident, if something has been wrong for a day without being a death: told once, calmly.
    fn ailment(
        &self,
        id: u64,
        policy: &Policy,
        online: bool,
        running: std::time::Duration,
        now: Timestamp,
    ) -> Option<IncidentFile> {
        let ailing = |cause: IncidentCause| -> Vec<(CredentialName, Timestamp)> {
            let of =
                |credential: &super::account::Credential| self.ails(credential, cause, policy, online, running, now);
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
        credential: &super::account::Credential,
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
    fn was_asked_in_vain(&self, credential: &super::account::Credential) -> bool {
        self.flight.is_none() && self.login_of(credential).is_some_and(|login| login.inconclusive > 0)
    }

    /// Brings an open incident up to date; what is to be told of it, if anything.
    fn follow(
        &self,
        file: &mut IncidentFile,
        policy: &Policy,
        (online, running): (bool, std::time::Duration),
        now: Timestamp,
    ) -> Option<Tidings> {
        let (cause, members) = (file.incident.cause, file.incident.credentials.clone());
        if cause.is_told_once() {
            // Another one that ails as long belongs to it without a word: it is the same trouble, and over with all of it.
            let ails =
                |one: &&super::account::Credential| self.ails(one, cause, policy, online, running, now).is_some();
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
        for name in &all {
            let works = !standing.contains(name);
            if works && !file.repaired.contains(name) {
                file.repaired.push(name.clone());
            }
        }
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

/// Why a credential has the health it has now, for the log and the history.
fn reason(account: &Account, at: usize, to: Health) -> String {
    let Some(credential) = account.credentials.get(at) else { return String::new() };
    let login = account.login_of(credential);
    let on = |services: super::evidence::Services| -> String {
        let names: Vec<&str> = services.iter().map(Service::as_str).collect();
        names.join(" and ")
    };
    match (to, login) {
        (Health::Unreadable, _) => {
            credential.memory.unreadable.as_ref().map_or_else(String::new, |unreadable| unreadable.detail.clone())
        }
        (Health::Stale, _) => "no answer on it for too long".to_owned(),
        (Health::Unknown, _) | (_, None) => "not asked yet".to_owned(),
        (Health::Healthy | Health::Degraded, Some(login)) => match login.refusing().and(credential.setup.services) {
            refusing if to == Health::Degraded => format!("accepted, but refused by {}", on(refusing)),
            _ => format!("accepted by {}", on(login.accepting())),
        },
        (Health::Suspect, Some(login)) => format!("refused by {}", on(login.refusing())),
        (Health::Revoked | Health::Rejected, Some(login)) => match login.verdict() {
            Some(verdict) if verdict.presumed => "its siblings were refused".to_owned(),
            Some(_) => format!("refusal confirmed by {}", on(login.refusing())),
            None => format!("refused by {}, never accepted", on(login.refusing())),
        },
    }
}
