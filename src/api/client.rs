//! The other programs' end of the socket, as keypulse's own commands use it.
//!
//! One connection per question, each with a deadline. Believes nobody but the own user's daemon or root's, and no more than
//! it can hold. Never starts a daemon.

use std::{
    error, fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, task::JoinSet, time::timeout};

use super::{
    ExplainDocument, HistoryQuery, LONGEST_WAIT, Problem, Reservation, StatusDocument, StreamEvent, TransitionDocument,
    document::SCHEMA,
    routes::{CheckBody, PauseBody, ReserveBody, SettleBody, SnoozeBody, UnsnoozeBody},
};
use crate::{
    config::duration,
    health::name::{Address, CredentialName},
    place::is_friend,
};

/// How long an answer may take, beside the wait that was asked for: more than the daemon gives its own loop.
const PATIENCE: Duration = Duration::from_secs(12);

/// The largest answer, and the largest single event, in bytes.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// Asks the daemon on one socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    patience: Duration,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The status now.
    pub document: StatusDocument,
    /// All rounds are done; otherwise the wait was over first and they go on.
    pub done: bool,
}

impl Client {
    /// Asks on the socket at `path`. Connects only when asked something.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), patience: PATIENCE }
    }

    /// Where it asks.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The status document, of `names` only where there are any.
    ///
    /// # Errors
    /// See [`ClientError`]; an unknown name is a [`Problem::UNKNOWN_NAME`].
    pub async fn status(&self, names: &[CredentialName]) -> Result<StatusDocument, ClientError> {
        let path = format!("/v1/status{}", query(names));
        let (_, document) = self.ask(Method::GET, &path, Bytes::new(), self.patience).await?;
        known(document)
    }

    /// The metrics, of the credentials of `names` only where there are any.
    ///
    /// # Errors
    /// See [`ClientError`]; an unknown name is a [`Problem::UNKNOWN_NAME`].
    pub async fn metrics(&self, names: &[CredentialName]) -> Result<String, ClientError> {
        let path = format!("/metrics{}", query(names));
        let (_, text) = self.ask_text(Method::GET, &path, Bytes::new(), self.patience).await?;
        String::from_utf8(text.into()).map_err(|error| ClientError::Broken(Box::new(error)))
    }

    /// A round now, of `names` or of all that are not latched; waits for its end up to `wait`, at most [`LONGEST_WAIT`].
    ///
    /// # Errors
    /// See [`ClientError`]; an unknown name is a [`Problem::UNKNOWN_NAME`].
    pub async fn check(&self, names: &[CredentialName], wait: Duration) -> Result<Checked, ClientError> {
        let wait = wait.min(LONGEST_WAIT);
        let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let body = CheckBody { names: names.iter().map(ToString::to_string).collect(), wait_s };
        let patience = Duration::from_secs(wait_s) + self.patience;
        let (status, document) = self.ask(Method::POST, "/v1/check", json(&body), patience).await?;
        Ok(Checked { document: known(document)?, done: status != StatusCode::ACCEPTED })
    }

    /// Nothing is said of the incident of a credential's or an account's for `length`.
    ///
    /// # Errors
    /// See [`ClientError`]; [`Problem::UNKNOWN_NAME`], [`Problem::NOTHING_TO_SNOOZE`].
    pub async fn snooze(&self, target: &str, length: Duration) -> Result<StatusDocument, ClientError> {
        let body = SnoozeBody { target: target.to_owned(), length: duration::format(length) };
        self.change("/v1/snooze", json(&body)).await
    }

    /// It is said again.
    ///
    /// # Errors
    /// See [`ClientError`]; [`Problem::UNKNOWN_NAME`].
    pub async fn unsnooze(&self, target: &str) -> Result<StatusDocument, ClientError> {
        self.change("/v1/unsnooze", json(&UnsnoozeBody { target: target.to_owned() })).await
    }

    /// Nothing is done by itself for `length`, or until [`Client::resume`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn pause(&self, length: Option<Duration>) -> Result<StatusDocument, ClientError> {
        self.change("/v1/pause", json(&PauseBody { length: length.map(duration::format) })).await
    }

    /// The end of a pause.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn resume(&self) -> Result<StatusDocument, ClientError> {
        self.change("/v1/resume", Bytes::new()).await
    }

    async fn change(&self, path: &str, body: Bytes) -> Result<StatusDocument, ClientError> {
        let (_, document) = self.ask(Method::POST, path, body, self.patience).await?;
        known(document)
    }

    /// Read the configuration again.
    ///
    /// # Errors
    /// See [`ClientError`]; a refused configuration is a [`Problem::INVALID_CONFIGURATION`].
    pub async fn reload(&self) -> Result<StatusDocument, ClientError> {
        self.change("/v1/reload", Bytes::new()).await
    }

    /// Asks for one login of `account`'s ration. It stays counted until it is settled.
    ///
    /// # Errors
    /// See [`ClientError`]; none left is a [`Problem::RATION_USED_UP`].
    pub async fn reserve(&self, account: &Address) -> Result<Reservation, ClientError> {
        let body = json(&ReserveBody { account: account.to_string() });
        Ok(self.ask(Method::POST, "/v1/ration/reserve", body, self.patience).await?.1)
    }

    /// Says how a reserved login ended.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn settle(&self, id: u64, rejected: bool) -> Result<(), ClientError> {
        let body = json(&SettleBody { id, rejected });
        let answer: (_, serde_json::Value) = self.ask(Method::POST, "/v1/ration/settle", body, self.patience).await?;
        drop(answer);
        Ok(())
    }

    /// Changes of health, the newest first.
    ///
    /// # Errors
    /// See [`ClientError`]; an unknown name is a [`Problem::UNKNOWN_NAME`].
    pub async fn history(&self, query: &HistoryQuery) -> Result<Vec<TransitionDocument>, ClientError> {
        let path = format!("/v1/history?{}", query.to_url());
        Ok(self.ask(Method::GET, &path, Bytes::new(), self.patience).await?.1)
    }

    /// The chain behind the verdict on a credential or an account, or behind all.
    ///
    /// # Errors
    /// See [`ClientError`]; an unknown target is a [`Problem::UNKNOWN_NAME`].
    pub async fn explain(&self, target: Option<&str>) -> Result<ExplainDocument, ClientError> {
        let encoded = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        let query = target.map(|target| format!("?target={}", target.bytes().map(encoded).collect::<String>()));
        let path = format!("/v1/explain{}", query.unwrap_or_default());
        Ok(self.ask(Method::GET, &path, Bytes::new(), self.patience).await?.1)
    }

    /// What happens from now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self) -> Result<Events, ClientError> {
        let opening = self.send(Method::GET, "/v1/events", Bytes::new());
        let (response, connection) = self.in_time(self.patience, opening).await?;
        if response.status() != StatusCode::OK {
            let answer = self.in_time(self.patience, collect(response)).await?;
            return Err(refusal(answer.0, &answer.1));
        }
        Ok(Events { body: response.into_body(), pending: Vec::new(), _connection: connection })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<(StatusCode, T), ClientError> {
        let (status, text) = self.ask_text(method, path, body, patience).await?;
        let answer = serde_json::from_slice(&text).map_err(|error| ClientError::Broken(Box::new(error)))?;
        Ok((status, answer))
    }

    async fn ask_text(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let exchange = async {
            // The connection lives until the answer is read.
            let (response, _connection) = self.send(method, path, body).await?;
            collect(response).await
        };
        let (status, text) = self.in_time(patience, exchange).await?;
        if !status.is_success() {
            return Err(refusal(status, &text));
        }
        Ok((status, text))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(Response<Incoming>, JoinSet<()>), ClientError> {
        let broken = |error: hyper::Error| ClientError::Broken(Box::new(error));
        let stream = UnixStream::connect(&self.path).await.map_err(|error| self.unconnected(error))?;
        self.know(&stream)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // In a set, so that it ends with its owner.
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Its error comes out of the request, too.
            let _ = connection.await;
        });
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "keypulse")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Broken(Box::new(error)))?;
        Ok((sender.send_request(request).await.map_err(broken)?, driver))
    }

    /// In a directory that others may write to, anybody can put a socket.
    fn know(&self, stream: &UnixStream) -> Result<(), ClientError> {
        let peer = stream.peer_cred().map_err(|error| self.unconnected(error))?;
        if is_friend(peer.uid()) || rustix::process::geteuid().is_root() {
            return Ok(());
        }
        Err(ClientError::Stranger { path: self.path.clone(), uid: peer.uid() })
    }

    fn unconnected(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        let kind = source.kind();
        if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused {
            ClientError::NoDaemon { path }
        } else if kind == io::ErrorKind::PermissionDenied {
            ClientError::PermissionDenied { path }
        } else {
            ClientError::Connect { path, source }
        }
    }

    async fn in_time<T>(
        &self,
        patience: Duration,
        exchange: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        timeout(patience, exchange).await.unwrap_or(Err(ClientError::TimedOut { after: patience }))
    }
}

/// A stream of events. Dropping it ends the connection.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    pending: Vec<u8>,
    _connection: JoinSet<()>,
}

impl Events {
    /// The next event; `None` once the daemon stopped. Events of a later keypulse are passed over. Safe to drop half-way.
    ///
    /// # Errors
    /// Where the connection broke (as it does for a reader that does not keep up) or the daemon sent something else.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>, ClientError> {
        loop {
            while let Some(block) = self.take_block()? {
                if let Some(event) = StreamEvent::parse(&block).map_err(|error| ClientError::Broken(Box::new(error)))? {
                    return Ok(Some(event));
                }
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| ClientError::Broken(Box::new(error)))?;
            if let Ok(data) = frame.into_data() {
                self.pending.extend_from_slice(&data);
            }
            if self.pending.len() > LARGEST_ANSWER {
                return Err(ClientError::Broken("an event is larger than any should be".into()));
            }
        }
    }

    /// What is there of complete blocks ends with an empty line.
    fn take_block(&mut self) -> Result<Option<String>, ClientError> {
        let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") else { return Ok(None) };
        let block: Vec<u8> = self.pending.drain(..end + 2).collect();
        String::from_utf8(block).map(Some).map_err(|error| ClientError::Broken(Box::new(error)))
    }
}

async fn collect(response: Response<Incoming>) -> Result<(StatusCode, Bytes), ClientError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await.map_err(ClientError::Broken)?;
    Ok((status, body.to_bytes()))
}

fn refusal(status: StatusCode, text: &[u8]) -> ClientError {
    match serde_json::from_slice(text) {
        Ok(problem) => ClientError::Problem(Box::new(problem)),
        // Not from our routes: hyper's own refusals have no body.
        Err(_) => ClientError::Problem(Box::new(Problem::new(status, "", ""))),
    }
}

fn known(document: StatusDocument) -> Result<StatusDocument, ClientError> {
    if document.schema == SCHEMA {
        return Ok(document);
    }
    let schema = document.schema;
    Err(ClientError::Broken(format!("it speaks schema {schema} of the status, this program {SCHEMA}").into()))
}

/// The characters of a name need no encoding (RFC 3986, section 2.3).
fn query(names: &[CredentialName]) -> String {
    let pairs: Vec<_> = names.iter().map(|name| format!("name={name}")).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn json(body: &impl Serialize) -> Bytes {
    // Plain structs with string keys: there is nothing in them that JSON cannot write.
    serde_json::to_vec(body).unwrap_or_default().into()
}

/// Why the daemon gave no answer. Displays as a phrase that fits after "failed to".
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no socket, or nobody listens on it.
    NoDaemon {
        /// Where it should be.
        path: PathBuf,
    },
    /// The socket belongs to somebody else.
    PermissionDenied {
        /// Which.
        path: PathBuf,
    },
    /// Somebody else answers there.
    Stranger {
        /// Where.
        path: PathBuf,
        /// Who.
        uid: u32,
    },
    /// The system refused the connection for another reason.
    Connect {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No answer in time.
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// What came is not the answer of a keypulse that this one understands.
    Broken(Box<dyn error::Error + Send + Sync>),
    /// The daemon said no.
    Problem(Box<Problem>),
}

impl ClientError {
    /// Whether it is the [`Problem`] with this `code`.
    #[must_use]
    pub fn is_problem(&self, code: &str) -> bool {
        match self {
            Self::Problem(problem) => problem.code == code,
            Self::NoDaemon { .. }
            | Self::PermissionDenied { .. }
            | Self::Stranger { .. }
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::Broken(_) => false,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDaemon { path } => write!(
                f,
                "ask the daemon: none listens on {}; start one with `keypulse run`, or name another socket with --socket",
                path.display()
            ),
            Self::PermissionDenied { path } => {
                write!(f, "ask the daemon: the socket {} belongs to another user", path.display())
            }
            Self::Stranger { path, uid } => write!(
                f,
                "ask the daemon: user {uid} listens on {}, who is neither you nor root; do not use this socket",
                path.display()
            ),
            Self::Connect { path, .. } => write!(f, "connect to the daemon's socket {}", path.display()),
            Self::TimedOut { after } => {
                write!(f, "ask the daemon: it gave no answer in {} s; it may hang, restart it", after.as_secs())
            }
            Self::Broken(_) => {
                f.write_str("understand the daemon's answer; is it of another version? Restart it after an update")
            }
            Self::Problem(problem) => write!(f, "get what was asked of the daemon: {problem}"),
        }
    }
}

impl error::Error for ClientError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } => Some(source),
            Self::Broken(source) => Some(source.as_ref()),
            Self::NoDaemon { .. }
            | Self::PermissionDenied { .. }
            | Self::Stranger { .. }
            | Self::TimedOut { .. }
            | Self::Problem(_) => None,
        }
    }
}
