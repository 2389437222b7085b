//! iCloud Mail on loopback, with faults: IMAP and submission for the demonstration, for rehearsals and for tests.
//!
//! Behaves as iCloud is publicly known to; a comment "(fact 3.6)" names the observation a behaviour stands on, in the list of
//! facts this program was built from, and "(crates P7)" a trap of a mail library that the behaviour sets; where nothing is
//! known it says so. Holds no mail, writes no file, listens on
//! 127.0.0.1 only, and ends with the [`Simulator`] that started it. It never sees a real password unless a person sends
//! one there, and forgets that one with the answer.
//!
//! | file | what |
//! |---|---|
//! | `world.rs`, `state.rs` | the handle: accounts, passwords, faults, the log of logins; what is behind it |
//! | `account.rs`, `login.rs` | one account; one login as seen |
//! | `fault.rs`, `script.rs` | what can go wrong; the bytes it makes, as pure data |
//! | `imap.rs`, `smtp.rs`, `session.rs`, `connection.rs` | the dialogues; what they share |
//! | `wire.rs`, `door.rs`, `ca.rs` | bounded lines and ends; the port; certificates |

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::{JoinHandle, JoinSet};

use crate::health::evidence::Service;

mod account;
mod ca;
mod connection;
mod door;
mod fault;
mod imap;
mod login;
mod script;
mod session;
mod smtp;
mod state;
mod wire;
mod world;

#[cfg(test)]
mod tests;

pub use self::{
    account::ImapNames,
    fault::{Fault, Stage},
    login::{Answer, LoginSeen, Mechanism},
    state::Farewell,
    world::World,
};
use self::{ca::Certificates, session::Session, wire::Wire};

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// With the first byte (RFC 8314 §3).
    Implicit,
    /// With the command STARTTLS (RFC 3501 §6.2.1, RFC 3207).
    StartTls,
}

/// Where IDLE (RFC 2177) is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Idling {
    /// After the login.
    Anywhere,
    /// In a mailbox only.
    InMailbox,
    /// Nowhere.
    Never,
}

/// What the simulator is to be like. The default is iCloud's way: IMAP over TLS, submission with STARTTLS (facts 1.6, 1.7).
#[derive(Clone, Debug)]
pub struct Options {
    /// How TLS begins on IMAP.
    pub imap: Security,
    /// How TLS begins on submission.
    pub smtp: Security,
    /// Whether a revocation ends the sessions that were opened with the password, and how. Nobody knows what iCloud
    /// does (fact 8.2); default: they stay.
    pub revocation_ends_sessions: Option<Farewell>,
    /// Where IDLE is taken. iCloud takes it after the login (fact 2.10); default: so.
    pub idle: Idling,
    /// How long a login takes to be judged. iCloud needs about 0.3 s (fact 2.14); default: nothing.
    pub latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            imap: Security::Implicit,
            smtp: Security::StartTls,
            revocation_ends_sessions: None,
            idle: Idling::Anywhere,
            latency: Duration::ZERO,
        }
    }
}

/// A running simulator. Dropping it closes both ports at once and ends every connection.
#[derive(Debug)]
pub struct Simulator {
    world: World,
    ca_pem: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Makes certificates, opens two free ports on 127.0.0.1 and serves them on the current runtime.
    ///
    /// # Errors
    /// If a port cannot be opened or the certificates cannot be made.
    #[expect(clippy::unused_async, reason = "must be called within a runtime, and may come to wait for something")]
    pub async fn start(options: Options) -> io::Result<Self> {
        let certificates = Arc::new(Certificates::generate()?);
        let world = World::new(&options)?;
        let tasks = [(Service::Imap, options.imap), (Service::Smtp, options.smtp)]
            .map(|(service, security)| tokio::spawn(listen(world.clone(), service, security, certificates.clone())));
        Ok(Self { world, ca_pem: certificates.pem().into(), tasks: tasks.into() })
    }

    /// Where IMAP listens.
    pub fn imap_addr(&self) -> SocketAddr {
        self.addr(Service::Imap)
    }

    /// Where submission listens.
    pub fn smtp_addr(&self) -> SocketAddr {
        self.addr(Service::Smtp)
    }

    /// Where `service` listens.
    pub fn addr(&self, service: Service) -> SocketAddr {
        self.world.address(service)
    }

    /// The certificate authority to trust, as PEM. The certificate is for localhost, 127.0.0.1 and ::1.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The world behind it.
    pub fn world(&self) -> World {
        self.world.clone()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.world.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Serves one port. Its connections end with it.
async fn listen(world: World, service: Service, security: Security, certificates: Arc<Certificates>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = world.accept(service) => match accepted {
                Ok((tcp, connection)) => {
                    let pause = match connection.fault {
                        Some(Fault::Drip(pause)) => Some(pause),
                        Some(_) | None => None,
                    };
                    let wire = Wire::new(tcp, pause);
                    let certificates = certificates.clone();
                    connections.spawn(converse(Session { wire, connection, service, security, certificates }));
                },
                // Out of descriptors, most likely: connections that end give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {},
        }
    }
}

/// One connection to its end.
async fn converse(mut session: Session) {
    let _over = match session.service {
        Service::Imap => imap::serve(&mut session).await,
        Service::Smtp => smtp::serve(&mut session).await,
    };
    // The connection counts as open until the client has seen its end.
    let Session { wire, connection, .. } = session;
    wire.finish().await;
    drop(connection);
}
