//! After every event: who changed, and what people are to be told of it. What an incident is at any time says `course.rs`.

use super::{
    account::Account,
    credential::{Health, Transition},
    engine::{Engine, Stance},
    event::{Action, Handover, Order, Record},
    evidence::Service,
    incident::{IncidentCause, IncidentFile},
    login::Login,
    outbox::{Channel, Tidings},
    schedule::Timestamp,
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
                    let repeated = policy.remind_every.is_some() && !file.incident.cause.is_told_once();
                    if !repeated && tidings.is_none() {
                        // What the snooze took off the desktop stands there again. Told it was already.
                        file.remind_at = None;
                        if account.outbox.was_told(file.incident.id, Channel::Desktop) {
                            self.last_id = id;
                            account.outbox.add(id, file.incident.id, Channel::Desktop, Tidings::PutBack, now);
                        }
                    }
                }
                if tidings == Some(Tidings::Resolved) {
                    file.incident.resolved_at = Some(now);
                    account.closed.push(file);
                } else {
                    if file.remind_at.is_some_and(|at| at <= now) && !paused {
                        file.remind_at = None; // until it was told
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
        // While siblings are still being asked what happened, a new incident or a new cause is kept back for a moment;
        // likewise a change while all that were dead are asked again, since one was accepted: it may be over a second later.
        let asked_again =
            || account.in_use().any(|login| login.verdict().is_some() && login.due.is_some_and(|due| due.at <= now));
        let grace = match tidings {
            Tidings::Opened => account.memory.poll.is_some(),
            Tidings::Changed => account.memory.poll.is_some() || asked_again(),
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
