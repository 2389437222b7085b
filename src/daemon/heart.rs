//! The engine with its disk, its clock and its hands: what the daemon and a lone `check` share.

use std::path::PathBuf;

use tokio::sync::mpsc;
use tracing::{debug, info};

use super::{
    Past, RunError,
    guest::target,
    hands::{Effect, Hands},
    opening::{begin_anew, keyed},
    route, trouble,
};
use crate::{
    api::{DaemonInfo, StatusDocument, Trouble},
    config::{self, Config},
    health::{
        account::CredentialSetup,
        credential::Transition,
        engine::Engine,
        event::{Action, Event, Order, Record, Setup},
        mail::{Loan, NoLoan},
        name::Address,
        outbox::{Channel, Tidings},
        schedule::Timestamp,
        tally::Tally,
        view::AccountStatus,
    },
    host::{
        clock::{Alarm, Clock},
        machine::SleepMeter,
    },
    probe::Prober,
    store::{Loss, Store, StoreError},
};

/// Configuration and state.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The configuration file.
    pub config: PathBuf,
    /// The state directory.
    pub state: PathBuf,
}

/// What others can see of a step.
pub enum Outward {
    /// A credential's health changed.
    Transition(Transition),
    /// Something happened to an account's incident.
    Incident {
        /// What.
        tidings: Tidings,
        /// The account, with the incident in question.
        account: Box<AccountStatus>,
    },
    /// A message to hand over.
    Deliver(Box<Order>),
    /// The rounds of a request are done.
    Answer(u64),
}

/// The engine with its disk, its clock and its hands.
pub struct Heart {
    config: Config,
    engine: Engine,
    store: Store,
    /// When the state was last found damaged.
    loss: Option<Loss>,
    clock: Clock,
    alarm: Alarm,
    sleep: SleepMeter,
    /// The machine slept, and the engine does not know yet.
    woken: bool,
    pub(super) hands: Hands,
    /// What the metrics count, once somebody asked for it.
    tally: Option<Tally>,
}

impl Heart {
    /// Takes hold of the state and goes on where it left off.
    ///
    /// # Errors
    /// Where configuration, state or certificates cannot be used.
    pub fn new(config: Config, paths: &Paths) -> Result<(Self, mpsc::UnboundedReceiver<Effect>), RunError> {
        let (store, memory, key) =
            match Store::open(&paths.state).map_err(RunError::from).and_then(|store| keyed(store, paths)) {
                Err(RunError::Store(error)) if error.is_damage() => keyed(begin_anew(&paths.state, &error)?, paths)?,
                opened => opened?,
            };
        let loss = store.loss()?;
        let (hands, receiver) = Hands::new(key, Prober::new(config.extra_ca.as_deref()).map_err(RunError::Prober)?);
        let clock = Clock::resume(store.anchor()?.as_ref());
        let now = clock.now();
        let engine = Engine::new(setup(&config), memory, seed(now), now);
        let alarm = Alarm::new();
        let heart = Self {
            config,
            engine,
            store,
            loss,
            clock,
            alarm,
            sleep: SleepMeter::start(),
            woken: false,
            hands,
            tally: None,
        };
        Ok((heart, receiver))
    }

    /// Now, on keypulse's time line.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the wall clock is ahead of it.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.clock.offset_ms()
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The core, to look at.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The core, to tell it how this process uses it.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The status document.
    #[must_use]
    pub fn document(&self, daemon: Option<DaemonInfo>) -> StatusDocument {
        let now = self.now();
        let document = StatusDocument::build(&self.engine.status(now), daemon, now, self.offset_ms());
        let email = route::trouble(&self.config, &self.engine, now, self.offset_ms());
        document
            .with_pause(self.engine.paused_until(), self.offset_ms())
            .with_email(email)
            .with_troubles(self.troubles())
    }

    /// What keeps it from its work, as far as can be seen from here.
    fn troubles(&self) -> Vec<Trouble> {
        let lost = self.loss.as_ref().and_then(|loss| trouble::lost(loss, self.now(), self.offset_ms()));
        lost.into_iter().chain(trouble::out_of_files()).collect()
    }

    /// What happened, for those who ask.
    #[must_use]
    pub fn past(&self) -> Past<'_> {
        let (now, offset_ms) = (self.now(), self.offset_ms());
        Past { store: Some(&self.store), engine: &self.engine, now, offset_ms }
    }

    /// What a task found out, as the engine understands it.
    pub fn event(&mut self, effect: Effect) -> Event {
        self.hands.event(effect, &self.config)
    }

    /// One event through the engine: written down first, then carried out. Adds what others can see of it to `outward`.
    ///
    /// # Errors
    /// Where it cannot be written down. Then nothing of it was carried out, and all is as before: it can be tried again. What
    /// was added before that is to be shown all the same.
    pub fn step(&mut self, event: Event, outward: &mut Vec<Outward>) -> Result<(), StoreError> {
        if self.sleep.slept() {
            info!("the machine slept");
            self.woken = true;
        }
        // Before anything else: an answer that waited through the sleep must not count.
        if self.woken {
            self.take(self.woke(), outward)?;
            self.woken = false;
        }
        self.take(event, outward)
    }

    /// What the engine is told when the machine woke up.
    pub(super) const fn woke(&self) -> Event {
        Event::Woke { recheck: self.config.watch.resume }
    }

    fn take(&mut self, event: Event, outward: &mut Vec<Outward>) -> Result<(), StoreError> {
        let now = self.now();
        let actions = self.decide(|engine| engine.handle(event, now))?;
        for action in actions {
            match action {
                Action::Record(Record::Transition(transition)) => outward.push(Outward::Transition(transition)),
                Action::Record(_) => {}
                Action::ReadSecret { round, credential, by_person } => {
                    self.hands.read_secret(&self.config, round, credential, by_person);
                }
                Action::Attempt { id, round, credential, service, hold } => {
                    debug!(id, %credential, %service, "attempt");
                    let account = self.config.find(&credential).map(|(account, _)| account);
                    let target = account.map(|account| target(&self.config, account, service));
                    self.hands.attempt(id, round, target, hold);
                }
                Action::HangUp { id } => self.hands.hang_up(id),
                Action::Forget { round } => self.hands.forget(round),
                Action::Incident { tidings, account } => outward.push(Outward::Incident { tidings, account }),
                Action::Deliver(order) => outward.push(Outward::Deliver(Box::new(order))),
                Action::Answer { request } => outward.push(Outward::Answer(request)),
            }
        }
        Ok(())
    }

    /// Reserves a login for another process of the same person; when it frees if there is none.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub fn reserve(&mut self, account: &Address) -> Result<Result<u64, Timestamp>, StoreError> {
        let now = self.now();
        let mut reserved = Ok(0);
        self.decide(|engine| match engine.reserve(account, now) {
            Ok((id, actions)) => {
                reserved = Ok(id);
                actions
            }
            Err(frees_at) => {
                reserved = Err(frees_at);
                Vec::new()
            }
        })?;
        Ok(reserved)
    }

    /// Lends a login of a watched account to a message.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub(super) fn lend(&mut self, loan: &Loan) -> Result<Result<u64, NoLoan>, StoreError> {
        let now = self.now();
        let mut lent = Ok(0);
        self.decide(|engine| match engine.lend(loan, now) {
            Ok((id, actions)) => {
                lent = Ok(id);
                actions
            }
            Err(no) => {
                lent = Err(no);
                Vec::new()
            }
        })?;
        Ok(lent)
    }

    /// Settles such a login. Whether there was one.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub fn settle(&mut self, id: u64, rejected: bool) -> Result<bool, StoreError> {
        let now = self.now();
        Ok(!self.decide(|engine| engine.settle_reserved(id, rejected, now))?.is_empty())
    }

    /// Whether the state can be written.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn try_to_write(&mut self) -> Result<(), StoreError> {
        self.store.commit([], &self.clock.anchor())
    }

    /// A step of the engine that is taken when it is written down, and not at all otherwise.
    fn decide(&mut self, step: impl FnOnce(&mut Engine) -> Vec<Action>) -> Result<Vec<Action>, StoreError> {
        let before = self.engine.clone();
        let actions = step(&mut self.engine);
        if let Err(error) = self.write(&actions) {
            self.engine = before;
            return Err(error);
        }
        Ok(actions)
    }

    fn write(&mut self, actions: &[Action]) -> Result<(), StoreError> {
        let records = actions.iter().filter_map(|action| match action {
            Action::Record(record) => Some(record),
            Action::ReadSecret { .. }
            | Action::Attempt { .. }
            | Action::HangUp { .. }
            | Action::Forget { .. }
            | Action::Incident { .. }
            | Action::Deliver(_)
            | Action::Answer { .. } => None,
        });
        let mut records = records.peekable();
        if records.peek().is_none() {
            return Ok(());
        }
        self.store.commit(records, &self.clock.anchor())?;
        let Some(tally) = &mut self.tally else { return Ok(()) };
        for action in actions {
            if let Action::Record(Record::Attempt(row)) = action {
                tally.add(row.service, row.outcome.finding, row.outcome.took, 1);
            }
        }
        Ok(())
    }

    /// What the metrics count. Read from the disk the first time: a daemon that nobody asks keeps no count.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn tally(&mut self) -> Result<Tally, StoreError> {
        if let Some(tally) = &self.tally {
            return Ok(tally.clone());
        }
        Ok(self.tally.insert(self.store.tally()?).clone())
    }

    /// Reads the configuration again and takes it if it is valid.
    ///
    /// # Errors
    /// Why it is not, in words for people.
    pub fn reload(&mut self, paths: &Paths) -> Result<(), String> {
        let config = config::load(&paths.config).map_err(|error| error.to_string())?;
        let prober = Prober::new(config.extra_ca.as_deref()).map_err(|error| error.to_string())?;
        let now = self.now();
        self.engine.configure(setup(&config), now);
        self.config = config;
        self.hands.take_prober(prober);
        Ok(())
    }

    /// Deletes what is older than anybody asks for.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn tidy(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        self.store.tidy(now)
    }

    /// Sets the alarm to the engine's next due time.
    pub fn set_alarm(&mut self) {
        let now = self.now();
        self.alarm.set(self.engine.next_due().map(|due| due.since(now)));
    }

    /// Returns at the time that was set, also when the machine slept meanwhile.
    pub async fn alarm(&self) {
        self.alarm.wait().await;
    }

    /// Ends all that is under way.
    pub fn stop(&mut self) {
        self.hands.stop();
    }
}

/// The configuration as far as the engine is concerned.
pub(crate) fn setup(config: &Config) -> Setup {
    let credentials = |account: &config::Account| {
        let credentials = account.credentials.iter().map(|credential| CredentialSetup {
            name: credential.name.clone(),
            app: credential.app.clone(),
            services: credential.services,
        });
        credentials.collect()
    };
    let mut channels = Vec::new();
    if config.notify.desktop {
        channels.push(Channel::Desktop);
    }
    if config.notify.hook.is_some() {
        channels.push(Channel::Hook);
    }
    if config.notify.email.is_some() {
        channels.push(Channel::Email);
    }
    Setup {
        policy: config.policy.clone(),
        accounts: config.accounts.iter().map(|account| (account.address.clone(), credentials(account))).collect(),
        channels,
    }
}

/// Jitter shall differ between machines and starts; nothing secret hangs on it.
pub(super) fn seed(now: Timestamp) -> u64 {
    now.as_millis().unsigned_abs() ^ (u64::from(std::process::id()) << 40)
}
