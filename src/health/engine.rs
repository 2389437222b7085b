//! The whole core as one value: `handle` an event, get the actions, sleep until `next_due`.
//!
//! Decides who takes an event, and in which order what follows from it is done; keeps the books. What is watched stands in
//! `roster.rs`, which round runs when in `agenda.rs`, how it goes in `flight.rs`, what follows from a verdict for others in
//! `consequence.rs`, what people are told in `upkeep.rs`, what they can see in `status.rs`.

use std::collections::BTreeMap;

use super::{
    account::{Account, Credential},
    event::{AccountRow, Action, Event, Memory, Record, Setup, StoredAccount},
    incident::IncidentFile,
    login::{Login, State},
    machine::Machine,
    mail::MailTrouble,
    name::{Address, CredentialName},
    outbox::{Channel, Post},
    ration::{Purse, Ration, Spent},
    schedule::{Dice, Policy, Timestamp},
};

/// The core.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) policy: Policy,
    pub(super) channels: Vec<Channel>,
    pub(super) accounts: Vec<Account>,
    /// By address in lower case: an account keeps its ration when it leaves the configuration.
    pub(super) rations: BTreeMap<String, Ration>,
    /// When what was known before was lost.
    pub(super) lost_at: Option<Timestamp>,
    pub(super) strangers: BTreeMap<String, StoredAccount>,
    pub(super) dice: Dice,
    pub(super) last_id: u64,
    pub(super) requests: Vec<u64>,
    pub(super) online: bool,
    /// Since when this process has looked after the secrets without a pause.
    pub(super) watching_since: Timestamp,
    pub(super) paused_until: Option<Timestamp>,
    pub(super) machine: Machine,
    pub(super) mail: Option<MailTrouble>,
    pub(super) holds_watches: bool,
    /// Connections that stood open for accounts that left.
    pub(super) released: Vec<u64>,
    pub(super) stance: Stance,
}

/// How far the process means to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// On and on.
    Running,
    /// It does what a person asks for, and then ends: what is to be told waits for the daemon.
    OnRequest,
    /// It is about to end: nothing new is begun.
    Ending,
}

impl Engine {
    /// The core with what was remembered. `seed` decides all jitter.
    #[must_use]
    pub fn new(setup: Setup, memory: Memory, seed: u64, now: Timestamp) -> Self {
        let mut engine = Self {
            policy: setup.policy.clone(),
            channels: Vec::new(),
            accounts: Vec::new(),
            rations: BTreeMap::new(),
            lost_at: memory.lost_at,
            strangers: memory.accounts,
            dice: Dice::new(seed),
            last_id: memory.last_id,
            requests: Vec::new(),
            online: true,
            watching_since: now,
            paused_until: memory.paused_until,
            machine: Machine::default(),
            mail: memory.mail,
            holds_watches: false,
            released: Vec::new(),
            stance: Stance::Running,
        };
        for (key, stored) in &mut engine.strangers {
            let ration = unknown(Ration::restore(std::mem::take(&mut stored.spent)), memory.lost_at, &engine.policy);
            engine.rations.insert(key.clone(), ration);
        }
        engine.configure(setup, now);
        engine
    }

    /// What follows from `event` at `now`.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        self.end_of_pause(now, &mut actions);
        if !event.is_frequent() {
            self.accounts.iter_mut().for_each(|account| account.dirty = true);
        }
        self.end_of_sleep(now, &mut actions);
        match event {
            Event::Start | Event::Timer => {}
            Event::SecretRead { round, result } => self.secret_read(round, result, now, &mut actions),
            Event::Attempted { id, outcome } => self.attempted(id, outcome, now, &mut actions),
            Event::Check { request, names } => self.check(request, &names),
            Event::Delivered { id, result } => self.delivered(id, &result, now),
            Event::Given(id) => self.accounts.iter_mut().for_each(|account| account.outbox.given(id)),
            Event::Mailed(mailed) => self.mailed(mailed, now, &mut actions),
            Event::Reloaded => self.reloaded(now, &mut actions),
            Event::Unlocked => {
                let credentials = self.accounts.iter_mut().flat_map(|account| &mut account.credentials);
                for credential in credentials.filter(|credential| credential.memory.unreadable.is_some()) {
                    credential.next_at = now;
                    credential.failed_reads = 0;
                }
            }
            Event::ChannelReady(channel) => {
                self.channel_ready(channel, now);
            }
            Event::NotificationLost(incident) => self.notification_lost(incident, now),
            Event::NotificationClosed(incident) => {
                self.accounts.iter_mut().for_each(|account| account.outbox.forget_receipt(incident));
            }
            Event::Snooze { account, length } => self.snooze(&account, length, now),
            Event::Unsnooze { account } => self.unsnooze(&account, now),
            Event::Pause { length } => self.pause(length, now, &mut actions),
            Event::Resume => self.resume(now, &mut actions),
            Event::Suspending => self.suspending(now, &mut actions),
            Event::Woke { recheck } => self.woke(recheck, now, &mut actions),
            Event::Network { up, recheck } => self.network(up, recheck, now),
            Event::WatchEnded { id, unfit } => self.watch_ended(id, unfit, now),
        }
        self.upkeep(now, &mut actions);
        self.mind_watches(&mut actions);
        self.dispatch(now, &mut actions);
        self.answer(&mut actions);
        self.write_down(&mut actions);
        self.look_ahead();
        actions
    }

    /// Leaves routine and messages to another time: for a process that only does what a person asks for, and then ends.
    pub fn only_on_request(&mut self, now: Timestamp) {
        self.stance = Stance::OnRequest;
        for credential in self.accounts.iter_mut().flat_map(|account| &mut account.credentials) {
            credential.next_at = now + self.policy.interval;
        }
        self.accounts.iter_mut().for_each(|account| account.stirred = true);
        self.look_ahead();
    }

    /// Begins nothing new: the process is about to end. A round whose other service is still to be asked is given up; the
    /// next process begins it anew.
    pub const fn end(&mut self) {
        self.stance = Stance::Ending;
    }

    /// Whether no round is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.accounts.iter().all(|account| account.flight.is_none())
    }

    /// Whether a message is in the hands of a hook or a mail server that has not answered yet: it counts as told, so it is a
    /// pity to end now.
    #[must_use]
    pub fn is_telling(&self) -> bool {
        let mut messages = self.accounts.iter().flat_map(|account| account.outbox.all());
        messages.any(|message| match (message.channel, message.state) {
            (Channel::Hook, Post::Underway { .. }) | (_, Post::Given { .. }) => true,
            (_, Post::Due { .. } | Post::Underway { .. } | Post::Done { .. } | Post::Dropped) => false,
        })
    }

    /// The ration of the account with this key, whether or not it is configured.
    pub(super) fn ration_mut(&mut self, key: String) -> &mut Ration {
        let unknown = self.unknown_ration();
        self.rations.entry(key).or_insert(unknown)
    }

    /// The ration of an account that nothing is remembered of.
    pub(super) fn unknown_ration(&self) -> Ration {
        unknown(Ration::default(), self.lost_at, &self.policy)
    }

    pub(super) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn check(&mut self, request: u64, names: &[CredentialName]) {
        self.requests.push(request);
        for credential in self.accounts.iter_mut().flat_map(|account| &mut account.credentials) {
            let by_name = names.contains(&credential.setup.name);
            // Those that are dead are read, too: they may hold another secret by now.
            if by_name || names.is_empty() {
                credential.requests.push(request);
                credential.named |= by_name;
            }
        }
    }

    pub(super) fn settle(&mut self, id: u64, rejected: bool, now: Timestamp, actions: &mut Vec<Action>) {
        for (key, ration) in &mut self.rations {
            if !ration.holds(id) {
                continue;
            }
            ration.settle(id, rejected, now);
            for account in self.accounts.iter_mut().filter(|account| account.lent == Some(id)) {
                account.lent = None;
                account.stirred = true;
            }
            let address = self.accounts.iter().find(|account| account.address.key() == *key).map(|a| a.address.clone());
            let account = address.or_else(|| Address::new(key).ok());
            actions.push(Action::Record(match (rejected, account) {
                (true, Some(account)) => Record::Spent { account, spent: Spent { id, at: now } },
                (true, None) | (false, _) => Record::GivenBack { id },
            }));
        }
    }

    /// A login outside the daemon, on a person's behalf (`add`): reserves one of the account's ration.
    ///
    /// # Errors
    /// When it frees, if it is used up.
    pub fn reserve(&mut self, account: &Address, now: Timestamp) -> Result<(u64, Vec<Action>), Timestamp> {
        let id = self.next_id();
        let limit = self.policy.failed_logins_per_account;
        self.ration_mut(account.key()).reserve(id, Purse::New, limit, now)?;
        let record = Record::Spent { account: account.clone(), spent: Spent { id, at: now } };
        Ok((id, vec![Action::Record(record)]))
    }

    /// How such a login ended.
    pub fn settle_reserved(&mut self, id: u64, rejected: bool, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        self.settle(id, rejected, now, &mut actions);
        actions
    }

    /// Requests whose rounds are all done.
    fn answer(&mut self, actions: &mut Vec<Action>) {
        if self.requests.is_empty() {
            return;
        }
        let accounts = &self.accounts;
        let pending = |request: &u64| {
            accounts.iter().any(|account| {
                let waits = account.credentials.iter().any(|credential| credential.requests.contains(request));
                waits || account.flight.as_ref().is_some_and(|flight| flight.requests.contains(request))
            })
        };
        self.requests.retain(|request| {
            let waits = pending(request);
            if !waits {
                actions.push(Action::Answer { request: *request });
            }
            waits
        });
        let requests = &self.requests;
        for account in &mut self.accounts {
            account.asked_for.retain(|(request, ..)| requests.contains(request));
        }
    }

    /// Records of what changed in this step.
    fn write_down(&mut self, actions: &mut Vec<Action>) {
        for account in self.accounts.iter_mut().filter(|account| account.stirred || account.dirty) {
            account.record_incidents(actions);
            actions.extend(account.rulings.drain(..).map(Record::Ruling).map(Action::Record));
        }
        for account in self.accounts.iter_mut().filter(|account| account.dirty) {
            account.dirty = false;
            account.stirred = true;
            account.forget_the_past();
            let row = AccountRow {
                address: account.address.clone(),
                memory: account.memory.clone(),
                credentials: account.credentials.iter().map(|credential| credential.memory.clone()).collect(),
                logins: account.logins.clone(),
            };
            actions.push(Action::Record(Record::Account(Box::new(row))));
        }
    }
}

/// A ration of which only what came after `lost_at` is known.
fn unknown(ration: Ration, lost_at: Option<Timestamp>, policy: &Policy) -> Ration {
    match lost_at {
        Some(at) => ration.used_up(policy.failed_logins_per_account, at),
        None => ration,
    }
}

impl Account {
    /// Keeps the secrets in use and the latest fifty of before: an old secret put back is known again.
    pub(super) fn forget_the_past(&mut self) {
        const KEPT: usize = 50;
        if self.logins.len() <= KEPT {
            return;
        }
        let in_use = self.fingerprints_in_use();
        let mut surplus = self.logins.len().saturating_sub(in_use.len() + KEPT);
        self.logins.retain(|login| {
            let goes = surplus > 0 && !in_use.contains(&login.fingerprint);
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Records of incidents and messages that are not on disk as they are; then forgets those that are over and told.
    fn record_incidents(&mut self, actions: &mut Vec<Action>) {
        if self.incident.is_none()
            && self.closed.is_empty()
            && self.recorded.0.is_empty()
            && self.outbox.all().is_empty()
        {
            return;
        }
        let account = &self.address;
        let files: Vec<IncidentFile> = self.incident.iter().chain(&self.closed).cloned().collect();
        let new_files = files.iter().filter(|file| !self.recorded.0.contains(file));
        let new_deliveries = self.outbox.all().iter().filter(|delivery| !self.recorded.1.contains(delivery));
        actions.extend(
            new_files
                .map(|file| Record::Incident { account: account.clone(), file: file.clone() })
                .chain(new_deliveries.map(|d| Record::Delivery { account: account.clone(), delivery: d.clone() }))
                .map(Action::Record),
        );
        let outbox = &mut self.outbox;
        self.closed.retain(|file| {
            let settled = outbox.is_settled_for(file.incident.id);
            if settled {
                outbox.forget(file.incident.id);
            }
            !settled
        });
        self.recorded = (files, self.outbox.all().to_vec());
    }

    /// The credentials whose secret is dead.
    pub(super) fn dead_credentials(&self) -> impl Iterator<Item = (&Credential, &Login)> {
        let any = self.logins.iter().any(|login| login.verdict().is_some());
        let held = self
            .credentials
            .iter()
            .filter(move |_| any)
            .filter_map(|credential| Some((credential, self.login_of(credential)?)));
        held.filter(|(_, login)| matches!(login.state, State::Dead(_)))
    }
}
