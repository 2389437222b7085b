//! The engine with its disk, its clock and its probes: what the daemon and a lone `check` share.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::{debug, error, info};

use super::{Past, RunError, guest::target, route, trouble};
use crate::{
    api::{DaemonInfo, StatusDocument, Trouble},
    config::{self, Config},
    health::{
        account::CredentialSetup,
        credential::Transition,
        engine::Engine,
        event::{Action, Event, Handover, Memory, Order, Record, Setup},
        evidence::{Cause, Outcome, Service},
        mail::{Loan, NoLoan},
        name::{Address, CredentialName},
        outbox::{Channel, Tidings},
        schedule::Timestamp,
        tally::Tally,
        view::AccountStatus,
    },
    host::{
        clock::{Alarm, Clock},
        machine::SleepMeter,
    },
    probe::{Ended, Prober},
    secret::{AppPassword, Asked, DigestKey, Reader, Unavailable, wiped},
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

/// What a task found out.
pub enum Effect {
    /// A secret was read, or could not be.
    SecretRead {
        /// The round.
        round: u64,
        /// Whose.
        credential: CredentialName,
        /// The secret.
        result: Result<AppPassword, Unavailable>,
    },
    /// A login ended.
    Attempted {
        /// The attempt.
        id: u64,
        /// How.
        outcome: Outcome,
        /// Its connection stays.
        held: bool,
    },
    /// A connection that stayed after its login ended by itself.
    WatchEnded {
        /// The attempt that opened it.
        id: u64,
        /// The server does not let it stand.
        unfit: bool,
    },
    /// A message was handed over, or not.
    Delivered {
        /// The message.
        id: u64,
        /// How.
        result: Handover,
    },
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

/// The engine with its disk, its clock and its probes.
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
    /// The system does not deny that there is a network.
    pub(super) network_up: bool,
    key: Arc<DigestKey>,
    reader: Arc<Reader>,
    prober: Arc<Prober>,
    /// The secrets of the rounds under way. Each is dropped, and wiped, when its round ends.
    secrets: BTreeMap<u64, Arc<AppPassword>>,
    /// The logins under way, and the connections that stayed after one. One whose sender is dropped is hung up.
    logins: BTreeMap<u64, oneshot::Sender<()>>,
    /// What the metrics count, once somebody asked for it.
    tally: Option<Tally>,
    effects: mpsc::UnboundedSender<Effect>,
    tasks: JoinSet<()>,
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
        let key = Arc::new(key);
        let prober = Arc::new(Prober::new(config.extra_ca.as_deref()).map_err(RunError::Prober)?);
        let clock = Clock::resume(store.anchor()?.as_ref());
        let now = clock.now();
        let engine = Engine::new(setup(&config), memory, seed(now), now);
        let (effects, receiver) = mpsc::unbounded_channel();
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
            network_up: true,
            key,
            reader: Arc::new(Reader::new()),
            prober,
            secrets: BTreeMap::new(),
            logins: BTreeMap::new(),
            tally: None,
            effects,
            tasks: JoinSet::new(),
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

    /// Where tasks send what they found out.
    #[must_use]
    pub fn effects(&self) -> mpsc::UnboundedSender<Effect> {
        self.effects.clone()
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

    /// What a task found out, as the engine understands it. A secret stays here until its round ends.
    pub fn event(&mut self, effect: Effect) -> Event {
        match effect {
            Effect::SecretRead { round, credential, result } => {
                let result = match (result, self.config.find(&credential)) {
                    (Ok(password), Some((account, _))) => {
                        let fingerprint = self.key.fingerprint(&password, &account.usernames);
                        self.secrets.insert(round, Arc::new(password));
                        Ok(fingerprint)
                    }
                    (Err(unavailable), _) => {
                        debug!(%credential, cause = %unavailable.cause, "{}", unavailable.detail);
                        Err((unavailable.cause, unavailable.detail))
                    }
                    (Ok(_), None) => Err((Cause::SecretUnavailable, "it is no longer configured".to_owned())),
                };
                Event::SecretRead { round, result }
            }
            Effect::Attempted { id, outcome, held } => {
                if !held {
                    self.logins.remove(&id);
                }
                debug!(
                    id,
                    finding = outcome.finding.as_str(),
                    cause = outcome.finding.cause().map(Cause::as_str),
                    code = outcome.code,
                    ms = outcome.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
                    "attempt ended: {}",
                    outcome.detail.as_deref().unwrap_or("no words")
                );
                Event::Attempted { id, outcome }
            }
            Effect::WatchEnded { id, unfit } => {
                self.logins.remove(&id);
                debug!(id, unfit, "the idle watch ended");
                Event::WatchEnded { id, unfit }
            }
            Effect::Delivered { id, result } => Event::Delivered { id, result },
        }
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
                Action::ReadSecret { round, credential, by_person } => self.read_secret(round, credential, by_person),
                Action::Attempt { id, round, credential, service, hold } => {
                    self.attempt(id, round, &credential, service, hold);
                }
                Action::HangUp { id } => drop(self.logins.remove(&id)),
                Action::Forget { round } => drop(self.secrets.remove(&round)),
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

    /// What it takes to make a login elsewhere.
    pub(super) fn tools(&self) -> (Arc<Reader>, Arc<Prober>, Arc<DigestKey>) {
        (Arc::clone(&self.reader), Arc::clone(&self.prober), Arc::clone(&self.key))
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

    fn read_secret(&mut self, round: u64, name: CredentialName, by_person: bool) {
        let (reader, effects) = (Arc::clone(&self.reader), self.effects.clone());
        let found = self.config.find(&name).map(|(_, credential)| (credential.secret.clone(), credential.any_shape));
        let asked = if by_person { Asked::ByPerson } else { Asked::Background };
        self.spawn(async move {
            let result = match found {
                Some((source, any_shape)) => reader.read(&source, any_shape, asked).await,
                None => Err(Unavailable {
                    cause: Cause::SecretUnavailable,
                    detail: "it is no longer configured".to_owned(),
                }),
            };
            drop(effects.send(Effect::SecretRead { round, credential: name, result }));
        });
    }

    fn attempt(&mut self, id: u64, round: u64, name: &CredentialName, service: Service, hold: bool) {
        let (prober, effects) = (Arc::clone(&self.prober), self.effects.clone());
        let target = self.config.find(name).map(|(account, _)| target(&self.config, account, service));
        debug!(id, credential = %name, %service, "attempt");
        let password = self.secrets.get(&round).cloned();
        let network_up = self.network_up;
        let (stay, mut hung_up) = oneshot::channel();
        self.logins.insert(id, stay);
        self.spawn(async move {
            let unasked = |cause, words| (Outcome::unasked(cause, words), None);
            let (outcome, idle) = match (target, password) {
                // Only a person's check comes so far.
                _ if !network_up => unasked(Cause::Offline, "there is no network; no connection was made"),
                (Some(target), Some(password)) => tokio::select! {
                    asked = async {
                        if hold { prober.hold(target, password).await } else { (prober.attempt(target, password).await, None) }
                    } => asked,
                    _ = &mut hung_up => unasked(Cause::ConnectionLost, "the login was given up"),
                },
                (None, _) | (_, None) => unasked(Cause::SecretUnavailable, "it is no longer configured"),
            };
            drop(effects.send(Effect::Attempted { id, outcome, held: idle.is_some() }));
            let Some(idle) = idle else { return };
            let unfit = match idle.stand(hung_up).await {
                Ended::Dropped => false,
                Ended::Unfit => true,
                Ended::Released => return,
            };
            drop(effects.send(Effect::WatchEnded { id, unfit }));
        });
    }

    /// The keyring was unlocked: commands that waited for it in vain may be run again.
    pub fn forget_timeouts(&self) {
        self.reader.forget_timeouts();
    }

    /// Runs `task` beside the loop. A panic in it ends the process: its supervisor restarts it.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        self.tasks.spawn(wiped(task));
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
        self.prober = Arc::new(prober);
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
        self.tasks.abort_all();
        self.secrets.clear();
    }
}

/// A state without what was known, in place of the damaged one.
fn begin_anew(state: &Path, damage: &StoreError) -> Result<Store, StoreError> {
    let why = trouble::chain(damage);
    let (store, loss) = Store::replace(state, &why, Clock::resume(None).now())?;
    error!(
        "failed to {why}; it is kept as {}, and keypulse begins anew, without what it knew. As failed logins may be forgotten \
         with it, none is made for 24 hours",
        loss.kept_as.display()
    );
    Ok(store)
}

/// The state with what it remembers and the key that it remembers it by.
fn keyed(mut store: Store, paths: &Paths) -> Result<(Store, Memory, DigestKey), RunError> {
    let memory = store.memory()?;
    let key = load_key(paths)?;
    store.belong_to(key.mark())?;
    Ok((store, memory, key))
}

/// The digest key, made where there is none.
pub(super) fn load_key(paths: &Paths) -> Result<DigestKey, RunError> {
    let keyless = |source| RunError::Key { directory: paths.state.clone(), source };
    DigestKey::load_or_create(&paths.state).map_err(keyless)
}

/// What the metrics count, from the stored state.
///
/// # Errors
/// Where there is a state and it cannot be used.
pub fn stored_tally(paths: &Paths) -> Result<Tally, StoreError> {
    match Store::look(&paths.state) {
        Ok(store) => store.tally(),
        Err(StoreError::Absent) => Ok(Tally::default()),
        Err(error) => Err(error),
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
