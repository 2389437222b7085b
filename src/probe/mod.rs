//! One attempt: connect, TLS, authenticate once, hang up.
//!
//! Asks, and hands what it heard to `classify.rs`; decides nothing about passwords. Never sends a credential outside a
//! verified TLS session, never a second AUTH on a connection, never another mechanism, user name or dash form.

mod certificate;
mod connect;
mod ear;
mod guard;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod hostile;
mod idle;
mod imap;
mod look;
mod post;
mod resolve;
mod smtp;
mod tls;

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

use std::{
    panic,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{task::JoinHandle, time::timeout_at};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use self::tls::Secure;
pub use self::{
    certificate::Certificate,
    idle::{Ended, Idle},
    look::{Look, look},
    post::Posted,
    tls::ProberError,
};
use crate::{
    classify::{Heard, Stage, redact::Redactor},
    config::{Server, TlsMode},
    health::evidence::{Finding, Outcome, Service},
    secret::{AppPassword, wiped},
};

/// How long the farewell may take after the verdict. It changes nothing any more, but the next attempt of the account waits
/// for it: one connection at a time.
const FAREWELL: Duration = Duration::from_millis(500);

/// Whom to ask, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The protocol.
    pub service: Service,
    /// Where and how.
    pub server: Server,
    /// The login name on this service.
    pub username: String,
    /// Other names of the account: its address, the login name on the other service. Servers echo them; nobody may see them.
    pub other_names: Vec<String>,
    /// One attempt, all stages.
    pub timeout: Duration,
}

/// Makes attempts. One for the whole program: it holds the trusted roots and the TLS sessions to resume.
pub struct Prober {
    tls: TlsConnector,
}

impl Prober {
    /// Loads the system's trusted roots, and those of the PEM file `extra_ca` beside them.
    ///
    /// # Errors
    /// If the file cannot be used, or there are no roots at all.
    pub fn new(extra_ca: Option<&Path>) -> Result<Self, ProberError> {
        Ok(Self { tls: tls::connector(extra_ca)? })
    }

    /// Logs in once and says what came of it. Never fails; a panic inside is `protocol-violation`. Dropping the future ends
    /// the attempt. The outcome comes within `target.timeout` and half a second for the farewell.
    pub async fn attempt(self: Arc<Self>, target: Target, password: Arc<AppPassword>) -> Outcome {
        isolated(async move { self.ask(&target, &password, false).await.0 }, |outcome| outcome).await
    }

    /// As [`Prober::attempt`] on IMAP, and where it is accepted the connection stays.
    pub async fn hold(self: Arc<Self>, target: Target, password: Arc<AppPassword>) -> (Outcome, Option<Idle>) {
        isolated(
            async move {
                let (outcome, session) = self.ask(&target, &password, true).await;
                (outcome, session.and_then(|session| session.idle(target.timeout)))
            },
            |outcome| (outcome, None),
        )
        .await
    }

    /// The outcome; the session where it was accepted and is to be kept, else the farewell was said.
    async fn ask(&self, target: &Target, password: &AppPassword, keep: bool) -> (Outcome, Option<Session>) {
        let redactor = redactor(target, password);
        let terms = Terms { redactor: &redactor, deadline: Deadline::of(target.timeout) };
        match self.reach(target, password, terms).await {
            Ok((talked, took)) => concluded(talked, took, keep).await,
            Err(heard) => (heard.into_outcome(None), None),
        }
    }

    /// Everything up to the answer to the login, and how long it took from the first connect. `Err`: no connection was made.
    async fn reach(
        &self,
        target: &Target,
        password: &AppPassword,
        terms: Terms<'_>,
    ) -> Result<(Result<(Heard, Session), Heard>, Duration), Heard> {
        let attempt = Attempt { username: &target.username, password, terms };
        if target.username.is_empty() || target.username.chars().any(char::is_control) {
            let words = "the user name is empty or holds a control character; no login was sent";
            return Err(Heard::LoginNotOffered(words));
        }
        let resolving = resolve::resolve(&target.server.host, target.server.port);
        let addresses = terms.deadline.bound(Stage::Resolving, resolving).await?;
        let begun = Instant::now();
        let talked = self.talk(target, &addresses, &attempt).await;
        Ok((talked, begun.elapsed()))
    }

    /// Everything from the first connect to the verdict. `Ok` is the answer to the login.
    async fn talk(
        &self,
        target: &Target,
        addresses: &[std::net::SocketAddr],
        attempt: &Attempt<'_>,
    ) -> Result<(Heard, Session), Heard> {
        let name = tls::server_name(&target.server.host)?;
        let mut tcp = attempt.terms.deadline.bound(Stage::Connecting, connect::connect(addresses)).await?;
        let upgraded = target.server.tls == TlsMode::StartTls;
        if upgraded {
            tcp = match target.service {
                Service::Imap => imap::upgrade(tcp, &attempt.terms).await?,
                Service::Smtp => smtp::upgrade(tcp, &attempt.terms).await?,
            };
        }
        let secure = attempt.terms.deadline.bound(Stage::Tls, tls::handshake(&self.tls, name, tcp, upgraded)).await?;
        login(target.service, secure, upgraded, attempt).await
    }
}

/// Starts a task of its own: imap-proto panics on some texts (`facts/crates.md` P1), and a panic ends only its task.
fn isolated<T: Send + 'static>(
    asking: impl Future<Output = T> + Send + 'static,
    failed: impl FnOnce(Outcome) -> T + Send,
) -> impl Future<Output = T> + Send {
    let begun = Instant::now();
    let task = contained(asking);
    async move { task.await.unwrap_or_else(|heard| failed(heard.into_outcome(Some(begun.elapsed())))) }
}

/// The same for anything that hears a server.
fn contained<T: Send + 'static>(
    asking: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Result<T, Heard>> + Send {
    let task = AbortOnDrop(tokio::spawn(IN_ATTEMPT.scope((), wiped(asking))));
    async move {
        match task.finish().await {
            Ok(heard) => Ok(heard),
            Err(error) if error.is_panic() => Err(Heard::Panicked),
            Err(_) => Err(Heard::Interrupted),
        }
    }
}

/// Hides the account's names and the password in what the server says.
fn redactor(target: &Target, password: &AppPassword) -> Redactor {
    password.expose(|secret| {
        let names = std::iter::once(&target.username).chain(&target.other_names);
        Redactor::new(names.map(String::as_str)).with_secret(&target.username, secret)
    })
}

/// From the moment when TLS is up. `Ok` is the answer to the login.
async fn login(
    service: Service,
    secure: Secure,
    upgraded: bool,
    attempt: &Attempt<'_>,
) -> Result<(Heard, Session), Heard> {
    match service {
        Service::Imap => imap::login(secure, upgraded, attempt).await,
        Service::Smtp => smtp::login(secure, upgraded, attempt).await,
    }
}

/// The outcome; and the farewell, where there was an answer, unless it was an acceptance and the session is to be kept.
async fn concluded(talked: Result<(Heard, Session), Heard>, took: Duration, keep: bool) -> (Outcome, Option<Session>) {
    match talked {
        Ok((heard, session)) => {
            let outcome = heard.into_outcome(Some(took));
            if keep && outcome.finding == Finding::Accepted {
                return (outcome, Some(session));
            }
            let _ = tokio::time::timeout(FAREWELL, session.farewell()).await;
            (outcome, None)
        }
        Err(heard) => (heard.into_outcome(Some(took)), None),
    }
}

/// What the stages of one attempt share.
struct Attempt<'a> {
    username: &'a str,
    password: &'a AppPassword,
    terms: Terms<'a>,
}

/// What all talk with a server is under: what of its words nobody may see, and the time there is.
#[derive(Clone, Copy)]
struct Terms<'a> {
    redactor: &'a Redactor,
    deadline: Deadline,
}

impl Attempt<'_> {
    /// The SASL PLAIN message (RFC 4616) in base64, with an empty authorization identity: iCloud may refuse another
    /// (`facts/icloud.md` 2.8).
    fn sasl_plain(&self) -> Zeroizing<String> {
        self.password.expose(|secret| {
            let message = Zeroizing::new(["", self.username, secret].join("\0"));
            Zeroizing::new(STANDARD.encode(message.as_bytes()))
        })
    }
}

/// One deadline over all stages.
#[derive(Clone, Copy)]
struct Deadline {
    at: tokio::time::Instant,
    limit: Duration,
}

impl Deadline {
    fn of(limit: Duration) -> Self {
        Self { at: tokio::time::Instant::now() + limit, limit }
    }

    async fn bound<T>(&self, stage: Stage, doing: impl Future<Output = Result<T, Heard>>) -> Result<T, Heard> {
        timeout_at(self.at, doing).await.unwrap_or(Err(Heard::Silence(stage, Some(self.limit))))
    }
}

/// A connection after the answer to the login.
enum Session {
    Imap(Box<imap::Client>),
    Smtp(Box<smtp::Dialogue>),
}

impl Session {
    /// LOGOUT or QUIT, as far as the server lets us.
    async fn farewell(self) {
        match self {
            Self::Imap(client) => imap::farewell(*client).await,
            Self::Smtp(dialogue) => smtp::farewell(*dialogue).await,
        }
    }

    /// The same connection, to stand open; only IMAP knows such.
    fn idle(self, patience: Duration) -> Option<Idle> {
        match self {
            Self::Imap(client) => Some(Idle::new(imap::into_stream(*client), patience)),
            Self::Smtp(_) => None,
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    async fn finish(mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

tokio::task_local! {
    /// Set while an attempt's task runs.
    static IN_ATTEMPT: ();
}

/// Keeps server text out of panic messages: a panic inside an attempt is logged by its place alone (its payload quotes what
/// the server sent). Other panics go to the hook that was there before. Call it once, at the start of the program.
pub fn hush_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if IN_ATTEMPT.try_with(|()| ()).is_ok() {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(place, "a parser failed on a server's words");
        } else {
            before(info);
        }
    }));
}
