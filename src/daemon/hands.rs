//! What the daemon does outside of itself: passwords read, logins made, each as a task beside the loop.
//!
//! Holds the passwords of the rounds under way and nothing longer. Decides nothing; what a task found out comes back as an
//! [`Effect`].

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::debug;

use crate::{
    config::Config,
    health::{
        event::{Event, Handover},
        evidence::{Cause, Outcome},
        name::CredentialName,
    },
    probe::{Ended, Prober, Target},
    secret::{AppPassword, Asked, DigestKey, Reader, Unavailable, wiped},
};

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

/// The tasks under way, and what they need.
pub(super) struct Hands {
    key: Arc<DigestKey>,
    reader: Arc<Reader>,
    prober: Arc<Prober>,
    /// The secrets of the rounds under way. Each is dropped, and wiped, when its round ends.
    secrets: BTreeMap<u64, Arc<AppPassword>>,
    /// The logins under way, and the connections that stayed after one. One whose sender is dropped is hung up.
    logins: BTreeMap<u64, oneshot::Sender<()>>,
    /// The system does not deny that there is a network.
    pub(super) network_up: bool,
    effects: mpsc::UnboundedSender<Effect>,
    tasks: JoinSet<()>,
}

impl Hands {
    /// With nothing under way; and where it says what was found out.
    pub(super) fn new(key: DigestKey, prober: Prober) -> (Self, mpsc::UnboundedReceiver<Effect>) {
        let (effects, receiver) = mpsc::unbounded_channel();
        let hands = Self {
            key: Arc::new(key),
            reader: Arc::new(Reader::new()),
            prober: Arc::new(prober),
            secrets: BTreeMap::new(),
            logins: BTreeMap::new(),
            network_up: true,
            effects,
            tasks: JoinSet::new(),
        };
        (hands, receiver)
    }

    /// The servers' certificates are verified by this one from now on.
    pub(super) fn take_prober(&mut self, prober: Prober) {
        self.prober = Arc::new(prober);
    }

    /// Where tasks send what they found out.
    #[must_use]
    pub(super) fn effects(&self) -> mpsc::UnboundedSender<Effect> {
        self.effects.clone()
    }

    /// What it takes to make a login elsewhere.
    pub(super) fn tools(&self) -> (Arc<Reader>, Arc<Prober>, Arc<DigestKey>) {
        (Arc::clone(&self.reader), Arc::clone(&self.prober), Arc::clone(&self.key))
    }

    /// What a task found out, as the engine understands it. A secret stays here until its round ends.
    pub(super) fn event(&mut self, effect: Effect, config: &Config) -> Event {
        match effect {
            Effect::SecretRead { round, credential, result } => {
                let result = match (result, config.find(&credential)) {
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

    /// Reads a password for a round.
    pub(super) fn read_secret(&mut self, config: &Config, round: u64, name: CredentialName, by_person: bool) {
        let (reader, effects) = (Arc::clone(&self.reader), self.effects.clone());
        let found = config.find(&name).map(|(_, credential)| (credential.secret.clone(), credential.any_shape));
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

    /// Makes a login; `None` where whom to ask is no longer configured.
    pub(super) fn attempt(&mut self, id: u64, round: u64, target: Option<Target>, hold: bool) {
        let (prober, effects) = (Arc::clone(&self.prober), self.effects.clone());
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

    /// Hangs a login up, or the connection that stayed after it.
    pub(super) fn hang_up(&mut self, id: u64) {
        self.logins.remove(&id);
    }

    /// Drops the password of a round that ended.
    pub(super) fn forget(&mut self, round: u64) {
        self.secrets.remove(&round);
    }

    /// The keyring was unlocked: commands that waited for it in vain may be run again.
    pub(super) fn forget_timeouts(&self) {
        self.reader.forget_timeouts();
    }

    /// Runs `task` beside the loop. A panic in it ends the process: its supervisor restarts it.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        self.tasks.spawn(wiped(task));
    }

    /// Ends all that is under way.
    pub(super) fn stop(&mut self) {
        self.tasks.abort_all();
        self.secrets.clear();
    }
}
