//! What a person silences: the messages of one incident (snooze), or everything that keypulse does by itself (pause).
//!
//! Decides how long each lasts and what it holds back. Never changes a verdict: the health of a secret is the same, told or
//! not. A person's own `check` works during a pause.

use std::time::Duration;

use super::{
    account::Account,
    engine::Engine,
    event::{Action, Record},
    name::{Address, CredentialName},
    outbox::{Channel, Tidings},
    schedule::Timestamp,
};

impl Engine {
    /// Until when nothing is done by itself; [`Timestamp::END`] where no end was named.
    #[must_use]
    pub const fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    /// The account that a name or an address belongs to.
    #[must_use]
    pub fn account_of(&self, target: &str) -> Option<&Address> {
        let name = CredentialName::new(target).ok();
        let meant = |account: &&Account| {
            let holds = |name| account.credentials.iter().any(|credential| credential.setup.name == name);
            account.configured && (account.address.key() == target.to_lowercase() || name.clone().is_some_and(holds))
        };
        self.accounts.iter().find(meant).map(|account| &account.address)
    }

    /// The account whose open incident this is.
    #[must_use]
    pub fn account_with(&self, incident: u64) -> Option<&Address> {
        let open = |account: &&Account| account.incident.as_ref().is_some_and(|file| file.incident.id == incident);
        self.accounts.iter().find(open).map(|account| &account.address)
    }

    /// Whether something stands that people are told of.
    #[must_use]
    pub fn has_incident(&self, address: &Address) -> bool {
        self.accounts.iter().any(|account| account.address == *address && account.incident.is_some())
    }

    /// Snoozed incidents, each with what the channel gave back for the message that stood there, if one did: to be taken away.
    #[must_use]
    pub fn snoozed_on(&self, channel: Channel) -> Vec<(u64, Option<String>)> {
        let open = self.accounts.iter().filter_map(|account| Some((&account.incident.as_ref()?.incident, account)));
        open.filter(|(incident, _)| incident.snoozed_until.is_some())
            .map(|(incident, account)| (incident.id, account.outbox.receipt(incident.id, channel).map(str::to_owned)))
            .collect()
    }

    /// Nothing is said of the account's incident for `length`; then it is told again if it still stands, or, where nothing is
    /// repeated, stands on the desktop again without a word.
    pub(super) fn snooze(&mut self, address: &Address, length: Duration, now: Timestamp) {
        for account in self.accounts.iter_mut().filter(|account| account.address == *address) {
            let Some(file) = &mut account.incident else { continue };
            let until = now + length;
            file.incident.snoozed_until = Some(until);
            file.remind_at = Some(until);
            account.outbox.hold(file.incident.id, until);
        }
    }

    /// As if it had not been snoozed: the message stands on the desktop again, reminders follow as they would.
    pub(super) fn unsnooze(&mut self, address: &Address, now: Timestamp) {
        let mut id = self.last_id;
        for account in self.accounts.iter_mut().filter(|account| account.address == *address) {
            let Some(file) = account.incident.as_mut().filter(|file| file.incident.snoozed_until.is_some()) else {
                continue;
            };
            let incident = file.incident.id;
            file.wake(&self.policy, now);
            account.outbox.release(incident, now);
            if account.outbox.was_told(incident, Channel::Desktop) {
                id += 1;
                account.outbox.add(id, incident, Channel::Desktop, Tidings::PutBack, now);
            }
        }
        self.last_id = id;
    }

    /// What waits for `channel` goes out at `at`, but for what is snoozed.
    pub(super) fn channel_ready(&mut self, channel: Channel, at: Timestamp) {
        for account in &mut self.accounts {
            account.outbox.channel_ready(channel, at);
            let incident = account.incident.as_ref().map(|file| &file.incident);
            if let Some((id, until)) = incident.and_then(|incident| Some((incident.id, incident.snoozed_until?))) {
                account.outbox.hold(id, until);
            }
        }
    }

    /// No login is made and no reminder sent by itself for `length`, or until [`Engine::resume`].
    pub(super) fn pause(&mut self, length: Option<Duration>, now: Timestamp, actions: &mut Vec<Action>) {
        self.paused_until = Some(length.map_or(Timestamp::END, |length| now + length));
        actions.push(Action::Record(Record::Pause { until: self.paused_until }));
    }

    /// All that fell due meanwhile is done now.
    pub(super) fn resume(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.paused_until.take().is_none() {
            return;
        }
        actions.push(Action::Record(Record::Pause { until: None }));
        // Nobody looked during the pause: how long a secret has gone unanswered or unread is known anew from here on.
        self.watching_since = now;
        for credential in self.accounts.iter_mut().flat_map(|account| &mut account.credentials) {
            credential.read = false;
        }
    }

    /// Ends the pause whose time has come.
    pub(super) fn end_of_pause(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.resume(now, actions);
        }
    }
}
