//! A stage for the real [`Engine`]: virtual time, a memory that survives a killed process, and a record of all that was
//! done and said.
//!
//! Who plays on it brings an [`Outside`], which answers in place of keyring, Apple and channels; whether it makes its answers
//! up or fetches them from real sockets is its own affair. Never decides anything, and never lets the outside see the engine.

use std::time::Duration;

use crate::health::{
    credential::Transition,
    engine::Engine,
    event::{Action, AttemptRow, Event, Handover, Memory, Order, Record, Setup, StoredAccount},
    evidence::{Cause, Outcome, Service},
    name::{CredentialName, Fingerprint},
    outbox::Tidings,
    ruling::Ruling,
    schedule::{DAY, Timestamp},
    view::AccountStatus,
};

/// Everything that answers from outside the core.
pub trait Outside {
    /// The secret that this credential's source yields at `now`, or why there is none.
    ///
    /// # Errors
    /// `secret-unavailable` or `secret-malformed`, in words.
    fn secret(&mut self, credential: &CredentialName, now: Timestamp) -> Result<Fingerprint, (Cause, String)>;

    /// One login that begins at `now` with the secret read last for this credential. It ends [`Outcome::took`] later
    /// ([`USUAL`] where that is not said).
    fn login(&mut self, credential: &CredentialName, service: Service, now: Timestamp) -> Outcome;

    /// A message for a channel. By default it goes out.
    fn deliver(&mut self, order: &Order, now: Timestamp) -> Handover {
        let _ = (order, now);
        Handover::Done(None)
    }
}

/// How long a login takes that does not say.
pub const USUAL: Duration = Duration::from_millis(200);

/// What was done and said, in the order in which it was. Whoever lets a stage run for years takes it out now and then.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Every attempt that ended.
    pub attempts: Vec<AttemptRow>,
    /// Every change of health, or of the cause behind it.
    pub transitions: Vec<Transition>,
    /// Every decision about a secret.
    pub rulings: Vec<Ruling>,
    /// Everything that happened to incidents, whatever the channels: when, what, and the account with the incident.
    pub incidents: Vec<(Timestamp, Tidings, AccountStatus)>,
    /// Every message that a channel was given, and what became of it.
    pub told: Vec<Told>,
    /// The requests of people that were answered.
    pub answered: Vec<u64>,
}

/// A message that a channel was given.
#[derive(Clone, Debug)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// What, to whom, about which account.
    pub order: Order,
    /// Whether it went out.
    pub handover: Handover,
}

/// The engine between its virtual clock, its disk and what answers from outside.
#[derive(Debug)]
pub struct Stage<O> {
    /// What answers.
    pub outside: O,
    /// What was done and said.
    pub log: Log,
    engine: Engine,
    setup: Setup,
    memory: Memory,
    now: Timestamp,
    seed: u64,
    /// What comes back later, unordered: a handful at most.
    coming: Vec<(Timestamp, Event)>,
    /// Steps since time last moved.
    still: u32,
}

impl<O: Outside> Stage<O> {
    /// An engine that starts at `now` and remembers nothing. `seed` decides all jitter.
    #[must_use]
    pub fn new(setup: Setup, outside: O, seed: u64, now: Timestamp) -> Self {
        Self::with_memory(setup, Memory::default(), outside, seed, now)
    }

    /// An engine that starts at `now` with what an earlier one wrote down.
    #[must_use]
    pub fn with_memory(setup: Setup, memory: Memory, outside: O, seed: u64, now: Timestamp) -> Self {
        let engine = Engine::new(setup.clone(), memory.clone(), seed, now);
        let coming = vec![(now, Event::Start)];
        Self { outside, log: Log::default(), engine, setup, memory, now, seed, coming, still: 0 }
    }

    /// The engine, to look at.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, for what a process asks of it beside events.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// What is on disk.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The configuration that the engine was given.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The virtual time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// All accounts as they stand.
    #[must_use]
    pub fn status(&self) -> Vec<AccountStatus> {
        self.engine.status(self.now)
    }

    /// When something happens next.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.coming.iter().map(|(at, _)| *at).chain(self.engine.next_due()).min().map(|at| at.max(self.now))
    }

    /// Lets the next thing happen, if it is due by `end`. Whether it was.
    ///
    /// # Panics
    /// Where the engine wants to be woken again and again and time does not move: a mistake of the engine's.
    pub fn step(&mut self, end: Timestamp) -> bool {
        let answer = (0..self.coming.len()).filter_map(|at| Some((self.coming.get(at)?.0, at))).min();
        let due = self.engine.next_due().map(|due| due.max(self.now));
        let (at, event) = match (answer, due) {
            (Some((at, _)), Some(due)) if due < at => (due, None),
            (Some((at, index)), Some(_) | None) => (at, Some(index)),
            (None, Some(due)) => (due, None),
            (None, None) => return false,
        };
        if at > end {
            return false;
        }
        self.still = if at > self.now { 0 } else { self.still + 1 };
        assert!(self.still < 50_000, "the engine is busy with nothing at {:?}", self.now);
        self.now = self.now.max(at);
        let event = event.map_or(Event::Timer, |index| self.coming.remove(index).1);
        self.handle(event);
        true
    }

    /// Lets everything happen that is due by `end` (see [`Stage::step`]); then it is `end`.
    pub fn run_until(&mut self, end: Timestamp) {
        while self.step(end) {}
        self.now = self.now.max(end);
    }

    /// Lets `time` go by, with everything that is due in it.
    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Something happens now.
    pub fn happen(&mut self, event: Event) {
        self.coming.push((self.now, event));
    }

    /// Lets everything happen that is under way: until no round is, and nothing is outstanding.
    pub fn settle(&mut self) {
        while self.is_busy() && self.step(self.now + DAY) {}
    }

    /// Whether rounds are under way or answers outstanding.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.coming.is_empty() || !self.engine.is_idle()
    }

    /// The machine sleeps: time goes by and nothing happens; then it wakes.
    pub fn sleep(&mut self, time: Duration) {
        self.now = self.now + time;
        self.handle(Event::Woke { recheck: true });
    }

    /// The process is killed and starts again `off` later, with what it had written down and nothing else.
    pub fn restart(&mut self, off: Duration) {
        self.restart_with(self.setup.clone(), off);
    }

    /// As [`Stage::restart`], and the person changed the configuration meanwhile.
    pub fn restart_with(&mut self, setup: Setup, off: Duration) {
        self.setup = setup;
        self.now = self.now + off;
        self.seed = self.seed.wrapping_add(1);
        self.memory.accounts.values_mut().for_each(StoredAccount::forget_what_is_over);
        self.engine = Engine::new(self.setup.clone(), self.memory.clone(), self.seed, self.now);
        self.coming = vec![(self.now, Event::Start)];
    }

    /// The person changed the configuration, and the running engine takes it.
    pub fn configure(&mut self, setup: Setup) {
        self.setup = setup.clone();
        self.engine.configure(setup, self.now);
        self.happen(Event::Timer);
    }

    /// Gives `event` to the engine now, and carries out what it wants at once.
    fn handle(&mut self, event: Event) {
        for action in self.engine.handle(event, self.now) {
            self.act(action);
        }
    }

    /// Carries out what the engine wants done.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Record(record) => self.store(record),
            Action::ReadSecret { round, credential, .. } => {
                let result = self.outside.secret(&credential, self.now);
                self.coming.push((self.now, Event::SecretRead { round, result }));
            }
            Action::Attempt { id, credential, service, .. } => {
                let outcome = self.outside.login(&credential, service, self.now);
                let ends = self.now + outcome.took.unwrap_or(USUAL);
                self.coming.push((ends, Event::Attempted { id, outcome }));
            }
            // It ends at once. Who hung up hears no answer.
            Action::HangUp { id: ended } => {
                for (at, event) in &mut self.coming {
                    if let Event::Attempted { id, outcome } = event
                        && *id == ended
                    {
                        *at = self.now;
                        *outcome = Outcome::unasked(Cause::ConnectionLost, "hung up");
                    }
                }
            }
            Action::Forget { .. } => {}
            Action::Incident { tidings, account } => self.log.incidents.push((self.now, tidings, *account)),
            Action::Deliver(order) => {
                let handover = self.outside.deliver(&order, self.now);
                let result = handover.clone();
                self.coming.push((self.now, Event::Delivered { id: order.delivery.id, result }));
                self.log.told.push(Told { at: self.now, order, handover });
            }
            Action::Answer { request } => self.log.answered.push(request),
        }
    }

    /// Writes to the disk of the stage, as `store.rs` does to the machine's.
    fn store(&mut self, record: Record) {
        let memory = &mut self.memory;
        match record {
            Record::Account(row) => {
                let stored = memory.accounts.entry(row.address.key()).or_default();
                stored.memory = row.memory;
                stored.credentials = row.credentials;
                stored.logins = row.logins;
            }
            Record::Attempt(row) => {
                memory.last_id = memory.last_id.max(row.id);
                self.log.attempts.push(row);
            }
            Record::Spent { account, spent } => {
                memory.last_id = memory.last_id.max(spent.id);
                let all = &mut memory.accounts.entry(account.key()).or_default().spent;
                all.retain(|old| old.id != spent.id);
                all.push(spent);
            }
            Record::GivenBack { id } => {
                memory.accounts.values_mut().for_each(|stored| stored.spent.retain(|spent| spent.id != id));
            }
            Record::Transition(transition) => {
                memory.last_id = memory.last_id.max(transition.id);
                self.log.transitions.push(transition);
            }
            Record::Ruling(ruling) => self.log.rulings.push(ruling),
            Record::Pause { until } => memory.paused_until = until,
            Record::Mail { trouble } => memory.mail = trouble,
            Record::Incident { account, file } => {
                memory.last_id = memory.last_id.max(file.incident.id);
                let all = &mut memory.accounts.entry(account.key()).or_default().incidents;
                all.retain(|old| old.incident.id != file.incident.id);
                all.push(file);
            }
            Record::Delivery { account, delivery } => {
                memory.last_id = memory.last_id.max(delivery.id);
                let all = &mut memory.accounts.entry(account.key()).or_default().deliveries;
                all.retain(|old| old.id != delivery.id);
                all.push(delivery);
            }
        }
    }
}

impl StoredAccount {
    /// What `store.rs` does not give back: incidents that are over and told.
    fn forget_what_is_over(&mut self) {
        let waits = |incident: u64| self.deliveries.iter().any(|d| d.incident == incident && !d.state.is_settled());
        self.incidents.retain(|file| file.incident.resolved_at.is_none() || waits(file.incident.id));
        let kept = |incident: u64| self.incidents.iter().any(|file| file.incident.id == incident);
        self.deliveries.retain(|delivery| kept(delivery.incident));
    }
}
