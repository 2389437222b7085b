//! One connection as the world knows it: counted while it is open, with its fault, its logins and its dismissal.

use std::time::SystemTime;

use super::{
    Idling,
    fault::Fault,
    login::{Answer, LoginSeen, Mechanism, Pair},
    state::{Farewell, Judgement},
    world::World,
};
use crate::health::evidence::Service;

/// One connection as the world knows it, for as long as it is open.
pub(super) struct Connection {
    world: World,
    service: Service,
    id: u64,
    /// The fault of the service when the connection was taken.
    pub(super) fault: Option<Fault>,
    auth_commands: u32,
}

impl Connection {
    /// Counts a connection that was just taken. The fault of that moment is its fault.
    pub(super) fn new(world: World, service: Service) -> Self {
        let (id, fault) = world.change(|state| {
            *state.taken.of_mut(service) += 1;
            *state.open.of_mut(service) += 1;
            (state.taken.imap + state.taken.smtp, state.faults.of(service).clone())
        });
        Self { world, service, id, fault, auth_commands: 0 }
    }

    /// Whether this very fault holds for the connection.
    pub(super) fn suffers(&self, fault: &Fault) -> bool {
        self.fault.as_ref() == Some(fault)
    }

    /// Judges a pair, after the time that takes.
    pub(super) async fn judge(&mut self, pair: &Pair) -> Judgement {
        self.auth_commands = self.auth_commands.saturating_add(1);
        let judgement = self.world.lock().judge(self.service, pair, self.fault.as_ref());
        if !judgement.latency.is_zero() {
            tokio::time::sleep(judgement.latency).await;
        }
        judgement
    }

    /// Remembers a login and its answer; an accepted one makes this connection a session.
    pub(super) fn note(
        &self,
        mechanism: Mechanism,
        encrypted: bool,
        pair: Pair,
        judgement: &Judgement,
        answer: Answer,
    ) {
        let seen = LoginSeen {
            #[expect(clippy::disallowed_methods, reason = "a log for people is written in the wall clock")]
            at: SystemTime::now(),
            service: self.service,
            connection: self.id,
            mechanism,
            encrypted,
            username: pair.username,
            account: judgement.account.clone(),
            valid: judgement.valid,
            answer,
            auth_commands: self.auth_commands,
        };
        self.world.change(|state| state.note(seen, pair.password));
    }

    /// Remembers a login command that is one too many, or comes where none is taken.
    pub(super) fn note_unanswered(&mut self, mechanism: Mechanism, encrypted: bool, pair: Pair) {
        self.auth_commands = self.auth_commands.saturating_add(1);
        let judgement = self.world.lock().judge(self.service, &pair, None);
        self.note(mechanism, encrypted, pair, &judgement, Answer::Otherwise);
    }

    /// Where IDLE is taken.
    pub(super) fn idling(&self) -> Idling {
        self.world.lock().idle
    }

    /// Remembers a command of a session: the first few.
    pub(super) fn note_command(&self, name: &str) {
        const KEPT: usize = 100;
        self.world.change(|state| {
            if let Some(session) = state.sessions.get_mut(&self.id).filter(|session| session.commands.len() < KEPT) {
                session.commands.push(name.to_owned());
            }
        });
    }

    /// Remembers whether a session is in IDLE.
    pub(super) fn note_idle(&self, idles: bool) {
        self.world.change(|state| {
            if let Some(session) = state.sessions.get_mut(&self.id) {
                session.idles = idles;
            }
        });
    }

    /// Waits until this session is to end.
    pub(super) async fn dismissed(&self) -> Farewell {
        let mut changes = self.world.subscribe();
        loop {
            if let Some(farewell) = self.world.lock().sessions.get(&self.id).and_then(|session| session.farewell) {
                return farewell;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.world.change(|state| {
            *state.open.of_mut(self.service) -= 1;
            state.sessions.remove(&self.id);
        });
    }
}
