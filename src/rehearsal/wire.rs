//! The part of a rehearsal that is real: logins over loopback sockets and TLS, through the prober that the daemon uses, to
//! the simulated iCloud; and secrets that cannot be read, through the real reader.
//!
//! Runs on a thread of its own, since the stage does not wait. Every password here is made up; the person's sources are
//! never read.

use std::{
    fmt, io, io::Write as _, net::SocketAddr, path::Path, sync::Arc, sync::mpsc as answers, thread, time::Duration,
};

use tokio::sync::mpsc;

use super::scenario::Wiring;
use crate::{
    config::{Server, TlsMode},
    health::evidence::{Cause, Outcome, PerService, Service},
    probe::{Prober, ProberError, Target},
    secret::{AppPassword, Asked, Reader, Source},
    simulator::{Fault, Options, Security, Simulator},
};

/// How long a login may take in real time where an answer is to come: a busy machine must not look like a silent server.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where none will come.
const SILENCE: Duration = Duration::from_millis(250);

/// One login to make.
#[derive(Clone, Debug)]
pub struct Login {
    /// How TLS is to begin.
    pub wiring: Wiring,
    /// Where.
    pub service: Service,
    /// What the service does.
    pub fault: Option<Fault>,
    /// The account.
    pub address: String,
    /// A made-up password.
    pub password: String,
    /// Whether Apple knows it.
    pub live: bool,
}

enum Ask {
    Login(Login, answers::Sender<Outcome>),
    Read(Source, answers::Sender<Option<(Cause, String)>>),
}

/// The servers and the prober. They end with it.
#[derive(Debug)]
pub struct Wire {
    asks: mpsc::UnboundedSender<Ask>,
}

/// Why there is no wire. Displays as a phrase that fits after "failed to".
#[derive(Debug)]
pub enum WireError {
    /// The simulator, its thread or its certificates.
    Start(io::Error),
    /// The prober.
    Prober(ProberError),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(_) => f.write_str("start the simulated iCloud"),
            Self::Prober(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WireError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => Some(error),
            Self::Prober(error) => error.source(),
        }
    }
}

impl Wire {
    /// Starts the servers, with TLS as these begin it.
    ///
    /// # Errors
    /// Where sockets, certificates or the thread cannot be had.
    pub fn start(servers: &PerService<Server>) -> Result<Self, WireError> {
        let modes = PerService { imap: servers.imap.tls, smtp: servers.smtp.tls };
        let (asks, asked) = mpsc::unbounded_channel();
        let (ready, is_ready) = answers::channel();
        let serve = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(WireError::Start(error)))),
            };
            runtime.block_on(async {
                match Servers::start(modes).await {
                    Ok(servers) => {
                        drop(ready.send(Ok(())));
                        servers.serve(asked).await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        };
        thread::Builder::new().name("rehearsal".to_owned()).spawn(serve).map_err(WireError::Start)?;
        let ended = || WireError::Start(io::Error::other("its thread ended"));
        is_ready.recv().map_err(|_| ended())??;
        Ok(Self { asks })
    }

    /// Makes one login and waits for its end.
    #[must_use]
    pub fn login(&self, login: Login) -> Outcome {
        self.ask(|answer| Ask::Login(login, answer)).unwrap_or_else(|| {
            Outcome::unasked(Cause::ProtocolViolation, "the simulated iCloud ended before the rehearsal did")
        })
    }

    /// Reads a secret that cannot be read; why not, or `None` where it can.
    #[must_use]
    pub fn read(&self, source: Source) -> Option<(Cause, String)> {
        self.ask(|answer| Ask::Read(source, answer)).flatten()
    }

    fn ask<T>(&self, ask: impl FnOnce(answers::Sender<T>) -> Ask) -> Option<T> {
        let (answer, answered) = answers::channel();
        self.asks.send(ask(answer)).ok()?;
        answered.recv().ok()
    }
}

/// What the thread holds.
struct Servers {
    as_configured: (Simulator, PerService<TlsMode>),
    starttls: (Simulator, PerService<TlsMode>),
    prober: Arc<Prober>,
    reader: Reader,
}

impl Servers {
    async fn start(modes: PerService<TlsMode>) -> Result<Self, WireError> {
        let starttls = PerService { imap: TlsMode::StartTls, smtp: TlsMode::StartTls };
        let as_configured = (Simulator::start(options(modes)).await.map_err(WireError::Start)?, modes);
        let starttls = (Simulator::start(options(starttls)).await.map_err(WireError::Start)?, starttls);
        let prober = trusting(&[as_configured.0.ca_pem(), starttls.0.ca_pem()])?;
        Ok(Self { as_configured, starttls, prober: Arc::new(prober), reader: Reader::new() })
    }

    async fn serve(self, mut asked: mpsc::UnboundedReceiver<Ask>) {
        while let Some(ask) = asked.recv().await {
            // Whoever asked may have gone.
            match ask {
                Ask::Login(login, answer) => drop(answer.send(self.login(login).await)),
                Ask::Read(source, answer) => {
                    let read = self.reader.read(&source, false, Asked::Background).await;
                    drop(answer.send(read.err().map(|unavailable| (unavailable.cause, unavailable.detail))));
                }
            }
        }
    }

    async fn login(&self, login: Login) -> Outcome {
        let Login { wiring, service, fault, address, password, live } = login;
        let (simulator, modes) = match wiring {
            Wiring::AsConfigured => &self.as_configured,
            Wiring::StartTls => &self.starttls,
        };
        let Ok(secret) = AppPassword::parse(&password) else {
            return Outcome::unasked(Cause::SecretMalformed, "the made-up password has not Apple's shape");
        };
        let world = simulator.world();
        let timeout = if fault.as_ref().is_some_and(is_silence) { SILENCE } else { PATIENCE };
        world.set_fault(service, fault);
        // Apple's side knows the truth about the one password that is asked.
        world.reset_main_password(&address);
        if live {
            world.set_password(&address, &password);
        }
        let at: SocketAddr = simulator.addr(service);
        let username = match service {
            Service::Imap => address.split('@').next().unwrap_or_default().to_owned(),
            Service::Smtp => address.clone(),
        };
        let server = Server { host: at.ip().to_string(), port: at.port(), tls: *modes.of(service) };
        let target = Target { service, server, username, other_names: vec![address], timeout };
        Arc::clone(&self.prober).attempt(target, Arc::new(secret)).await
    }
}

fn options(modes: PerService<TlsMode>) -> Options {
    let security = |mode| match mode {
        TlsMode::Implicit => Security::Implicit,
        TlsMode::StartTls => Security::StartTls,
    };
    Options { imap: security(modes.imap), smtp: security(modes.smtp), ..Options::default() }
}

/// A prober that trusts these authorities. It takes them from a file, which is gone at once.
fn trusting(authorities: &[&str]) -> Result<Prober, WireError> {
    let mut file = tempfile::NamedTempFile::new().map_err(WireError::Start)?;
    for authority in authorities {
        writeln!(file, "{authority}").map_err(WireError::Start)?;
    }
    let path: &Path = file.path();
    Prober::new(Some(path)).map_err(WireError::Prober)
}

/// Whether only the end of patience ends a login that meets this fault.
const fn is_silence(fault: &Fault) -> bool {
    matches!(fault, Fault::Hang(_) | Fault::Drip(_))
}
