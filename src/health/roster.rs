//! Which accounts and credentials are watched: they enter with the configuration, and leave with it.
//!
//! Decides what is remembered of those that stay, come back or go. Asks nothing, and judges nothing.

use super::{
    account::{Account, Credential, CredentialMemory, CredentialSetup, Flight, Wants},
    credential::Health,
    engine::Engine,
    event::{Setup, StoredAccount},
    name::Address,
    outbox::{Channel, Outbox, Tidings},
    schedule::Timestamp,
    watch::Watch,
};

impl Engine {
    /// Takes a new configuration. What is remembered of accounts and credentials that stay is kept; rounds of those that go
    /// are abandoned. Call [`Engine::handle`] with [`Event::Timer`](super::event::Event::Timer) afterwards.
    pub fn configure(&mut self, setup: Setup, now: Timestamp) {
        self.policy = setup.policy;
        self.channels = setup.channels;
        let mut before = std::mem::take(&mut self.accounts);
        for (address, setups) in setup.accounts {
            let old = before.iter().position(|account| account.address == address).map(|at| before.swap_remove(at));
            let mut account = old.unwrap_or_else(|| self.remembered(&address, now));
            account.address = address;
            account.configured = true;
            let mut credentials = std::mem::take(&mut account.credentials);
            for credential in &mut credentials {
                // A shorter interval counts from now on, not from the end of the longer one.
                credential.next_at = credential.next_at.min(now + self.policy.next_interval(&mut self.dice));
            }
            account.credentials = setups
                .into_iter()
                .map(|setup| {
                    let known = credentials.iter().position(|credential| credential.setup.name == setup.name);
                    match known.map(|at| credentials.swap_remove(at)) {
                        Some(credential) => Credential { setup, ..credential },
                        None => new_credential(setup, now),
                    }
                })
                .collect();
            // The round of a credential that is gone is abandoned; its login is settled when it ends.
            let stays = |flight: &Flight| account.credentials.iter().any(|c| c.setup.name == flight.credential);
            if !account.flight.as_ref().is_some_and(stays) {
                account.flight = None;
            }
            account.dirty = true;
            self.accounts.push(account);
        }
        self.see_off(before, now);
        self.look_ahead();
    }

    /// Accounts that left the configuration. One with something still to be told stays until that went out: its incident
    /// ends with its credentials, and what stands on the desktop is withdrawn.
    fn see_off(&mut self, leaving: Vec<Account>, now: Timestamp) {
        let telling = |stored: &StoredAccount| !stored.incidents.is_empty();
        let keys: Vec<String> =
            self.strangers.iter().filter(|(_, stored)| telling(stored)).map(|(k, _)| k.clone()).collect();
        let left: Vec<Address> = keys.iter().filter_map(|key| Address::new(key).ok()).collect();
        let left: Vec<Account> = left.iter().map(|address| self.remembered(address, now)).collect();
        for mut account in leaving.into_iter().chain(left) {
            self.released.extend(account.watch.standing.take().map(|standing| standing.id));
            if account.incident.is_some() || !account.closed.is_empty() {
                account.configured = false;
                account.credentials.clear();
                account.flight = None;
                account.dirty = true;
                self.accounts.push(account);
                continue;
            }
            let stored = StoredAccount {
                memory: account.memory,
                credentials: account.credentials.into_iter().map(|credential| credential.memory).collect(),
                logins: account.logins,
                ..StoredAccount::default()
            };
            self.strangers.insert(account.address.key(), stored);
        }
    }

    /// An account that enters the configuration, with what was remembered of it.
    fn remembered(&mut self, address: &Address, now: Timestamp) -> Account {
        let stored = self.strangers.remove(&address.key()).unwrap_or_default();
        self.ration_mut(address.key());
        let mut outbox = Outbox::restore(stored.deliveries);
        let lost = outbox.after_restart(now);
        let (closed, open): (Vec<_>, Vec<_>) =
            stored.incidents.into_iter().partition(|file| file.incident.resolved_at.is_some());
        let mut account = Account {
            address: address.clone(),
            credentials: stored
                .credentials
                .into_iter()
                .map(|memory| {
                    let setup = CredentialSetup {
                        name: memory.name.clone(),
                        app: None,
                        services: super::evidence::Services::BOTH,
                    };
                    Credential { memory, ..new_credential(setup, now) }
                })
                .collect(),
            logins: stored.logins,
            memory: stored.memory,
            incident: open.into_iter().next_back(),
            closed,
            outbox,
            watch: Watch::default(),
            recorded: (Vec::new(), Vec::new()),
            configured: true,
            flight: None,
            lent: None,
            asked_for: Vec::new(),
            rulings: Vec::new(),
            dirty: true,
            stirred: true,
            reviewed_at: now,
            wants: Wants::default(),
        };
        for (incident, channel) in lost {
            // It counts as told, so it is reminded of like any other: perhaps nobody saw it.
            if let Some(file) = account.incident.as_mut().filter(|file| file.incident.id == incident) {
                file.told(&self.policy, now);
            }
            let snoozed = account.incident.as_ref().is_some_and(|file| file.incident.snoozed_until.is_some());
            if channel == Channel::Desktop && !snoozed {
                self.last_id += 1;
                account.outbox.add(self.last_id, incident, Channel::Desktop, Tidings::PutBack, now);
            }
        }
        account
    }
}

fn new_credential(setup: CredentialSetup, now: Timestamp) -> Credential {
    let memory = CredentialMemory {
        name: setup.name.clone(),
        secret: None,
        unreadable: None,
        health: Health::Unknown,
        since: now,
    };
    Credential { setup, memory, next_at: now, failed_reads: 0, requests: Vec::new(), named: false, read: false }
}
