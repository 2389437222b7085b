//! The whole core as one value: `handle` an event, get the actions, sleep until `next_due`.
//!
//! Decides which round runs when and carries an answer from the probe to the verdict. What follows from a verdict for others
//! stands in `consequence.rs`, what people are told in `upkeep.rs`, what they can see in `status.rs`.

use std::collections::BTreeMap;

use super::{
    account::{Account, Credential, CredentialMemory, CredentialSetup, Flight, Wants},
    credential::Health,
    event::{AccountRow, Action, Event, Memory, Record, Setup, StoredAccount},
    incident::IncidentFile,
    login::{Login, State, Why},
    machine::Machine,
    mail::MailTrouble,
    name::{Address, CredentialName, Fingerprint},
    outbox::{Channel, Outbox, Post, Tidings},
    ration::{Purse, Ration, Spent},
    schedule::{Dice, Policy, Timestamp},
    watch::Watch,
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

    /// Takes a new configuration. What is remembered of accounts and credentials that stay is kept; rounds of those that go
    /// are abandoned. Call [`Engine::handle`] with [`Event::Timer`] afterwards.
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

    /// When [`Event::Timer`] is due. Never where nothing is to be done but what a person asks for.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.stance != Stance::Running {
            return None;
        }
        let busy = self.in_flight() >= self.policy.concurrent_checks;
        let paused = self.paused_until.is_some();
        let ready_at = self.machine.ready_at().filter(|_| !busy && !paused);
        let waiting = || self.accounts.iter().filter(|account| account.flight.is_none() && account.lent.is_none());
        let rounds = waiting().filter_map(|account| Some(account.wants.round_at?.max(ready_at?)));
        let watches = waiting().filter(|_| self.holds_watches());
        let watches = watches.filter_map(|account| Some(account.wants.watch_at?.max(ready_at?)));
        let wanted = self.machine.open_at().filter(|_| !busy && waiting().any(|account| account.wants.asked));
        let messages = self.accounts.iter().filter_map(|account| account.wants.message_at);
        let reminders = self.accounts.iter().filter(|_| !paused).filter_map(|account| account.wants.reminder_at);
        let resumes = self.paused_until.filter(|until| *until < Timestamp::END);
        let machine = wanted.into_iter().chain(self.machine.next_due());
        rounds.chain(watches).chain(messages).chain(reminders).chain(resumes).chain(machine).min()
    }

    /// Works out again when the accounts that changed want something.
    pub(super) fn look_ahead(&mut self) {
        for index in 0..self.accounts.len() {
            let Some(account) = self.accounts.get(index).filter(|account| account.stirred) else { continue };
            let routine = account.credentials.iter().map(|credential| credential.next_at);
            let due = account.logins.iter().filter(|login| login.due.is_some());
            let held = due.filter(|login| account.holders(login.fingerprint).next().is_some());
            let wants = Wants {
                watch_at: account.watch_due().map(|(at, _)| at),
                asked: account.credentials.iter().any(|credential| !credential.requests.is_empty()),
                round_at: routine.chain(held.filter_map(|login| self.due_at(account, login))).min(),
                message_at: account.outbox.next_due(),
                reminder_at: account.incident.as_ref().and_then(|file| file.remind_at),
            };
            if let Some(account) = self.accounts.get_mut(index) {
                account.wants = wants;
                account.stirred = false;
            }
        }
    }

    /// When a secret's own round is due: two re-tests of an account keep an hour apart.
    pub(super) fn due_at(&self, account: &Account, login: &Login) -> Option<Timestamp> {
        let due = login.due?;
        let spaced = account.memory.last_retest_at.map(|at| at + self.policy.rest(0));
        match due.why {
            Why::Retest => Some(due.at.max(spaced.unwrap_or(due.at))),
            Why::Routine
            | Why::Changed
            | Why::Person
            | Why::Again
            | Why::Confirm
            | Why::Canary(_)
            | Why::Sibling(_)
            | Why::Watch
            | Why::Dropped => Some(due.at),
        }
    }

    /// Connections to watched accounts.
    pub(super) fn in_flight(&self) -> u32 {
        let count = self.accounts.iter().filter(|it| it.flight.is_some() || it.lent.is_some()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
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

    /// Starts the rounds that are due: at most one per account, `concurrent_checks` in all.
    fn dispatch(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.stance == Stance::Ending {
            return;
        }
        for index in 0..self.accounts.len() {
            if self.in_flight() >= self.policy.concurrent_checks {
                return;
            }
            // What has not changed since it was last looked at wants nothing before its time.
            let wants = |account: &Account| {
                let mut due = [account.wants.round_at, account.wants.watch_at].into_iter().flatten();
                account.wants.asked || due.any(|at| at <= now)
            };
            let may = |account: &&Account| account.stirred || wants(account);
            let account = self.accounts.get(index).filter(may);
            let Some(task) = account.and_then(|account| self.next_task(account, now)) else { continue };
            if task.why == Why::Watch {
                self.opening(index, now);
            }
            let round = self.next_id();
            let Some(account) = self.accounts.get_mut(index) else { continue };
            account.stirred = true;
            let (requests, named) = match account.credential_mut(&task.credential) {
                Some(credential) => (std::mem::take(&mut credential.requests), std::mem::take(&mut credential.named)),
                None => (Vec::new(), false),
            };
            let why = if requests.is_empty() { task.why } else { Why::Person };
            actions.push(Action::ReadSecret {
                round,
                credential: task.credential.clone(),
                by_person: matches!(why, Why::Person),
            });
            account.flight = Some(Flight {
                round,
                credential: task.credential,
                why,
                target: task.target,
                started_at: now,
                requests,
                named,
                asking: None,
            });
        }
    }

    /// The most urgent thing to ask of an account: what a person wants, what its secrets are due for, the routine.
    fn next_task(&self, account: &Account, now: Timestamp) -> Option<Task> {
        if account.flight.is_some() || account.lent.is_some() {
            return None;
        }
        let routine = |credential: &Credential| Task {
            credential: credential.setup.name.clone(),
            why: Why::Routine,
            target: None,
        };
        let open = self.machine.open_at().is_some_and(|at| at <= now);
        let wanted = account.credentials.iter().find(|credential| open && !credential.requests.is_empty()).map(routine);
        let due = || {
            let due = account.in_use().filter_map(|login| Some((self.due_at(account, login)?, login)));
            let (_, login) = due.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at)?;
            // Prefer a credential whose source can be read.
            let holder = account.holders(login.fingerprint).min_by_key(|holder| holder.failed_reads)?;
            let why = login.due?.why;
            Some(Task { credential: holder.setup.name.clone(), why, target: Some(login.fingerprint) })
        };
        let interval = || {
            let due = account.credentials.iter().filter(|credential| credential.next_at <= now);
            due.min_by_key(|credential| credential.next_at).map(routine)
        };
        let ready = self.machine.ready_at().is_some_and(|at| at <= now) && self.paused_until.is_none();
        let watch = || {
            let (_, target) = account.watch_due().filter(|(at, _)| *at <= now && self.holds_watches())?;
            let credential = account.holders(target).next()?.setup.name.clone();
            Some(Task { credential, why: Why::Watch, target: Some(target) })
        };
        if ready { wanted.or_else(due).or_else(interval).or_else(watch) } else { wanted }
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

/// A round to start.
struct Task {
    credential: CredentialName,
    why: Why,
    target: Option<Fingerprint>,
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
