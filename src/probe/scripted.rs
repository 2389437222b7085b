//! Servers for the tests of the probes: they say and expect what a script has, and write down what they heard.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{HandshakeKind, ServerConfig, crypto::ring},
};

use super::{Posted, Prober, Target};
use crate::{
    config::{Server, TlsMode},
    health::evidence::{Outcome, Service},
    secret::AppPassword,
};

pub(super) const USER: &str = "johnappleseed@icloud.com";
pub(super) const SECRET: &str = "abcd-efgh-ijkl-mnop";

/// One step of a script.
#[derive(Clone)]
pub(super) enum Do {
    /// Sends this.
    Say(String),
    /// Sends these bytes for ever.
    Flood(&'static [u8]),
    /// Waits for a line that starts so.
    Hear(&'static str),
    /// Waits for a byte of anything.
    HearByte,
    /// TLS begins.
    Tls,
    /// Says nothing more and keeps the connection.
    Hang,
    /// Closes the connection.
    Close,
}

pub(super) fn say(text: &str) -> Do {
    Do::Say(text.to_owned())
}

/// Which certificate the server shows.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    Good,
    Expired,
    OtherName,
    OtherCa,
}

/// What a server saw.
#[derive(Default)]
pub(super) struct Log {
    /// Lines, in the clear or not.
    pub(super) lines: Vec<String>,
    /// Whether each TLS session was resumed.
    pub(super) resumed: Vec<bool>,
}

impl Log {
    /// Commands that carry a login.
    pub(super) fn logins(&self) -> usize {
        let is_login = |line: &&String| ["LOGIN ", "AUTHENTICATE ", "AUTH "].iter().any(|word| line.contains(word));
        self.lines.iter().filter(is_login).count()
    }
}

pub(super) struct Scripted {
    target: Target,
    prober: Arc<Prober>,
    pub(super) log: Arc<Mutex<Log>>,
    task: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    pub(super) async fn start(service: Service, tls: TlsMode, shown: Shown, script: Vec<Do>) -> Self {
        let ca = authority();
        let other = authority();
        let acceptor = acceptor(if matches!(shown, Shown::OtherCa) { &other } else { &ca }, shown);
        let mut pem = tempfile::NamedTempFile::new().unwrap();
        pem.write_all(ca.pem().as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port(), tls };
        let log = Arc::new(Mutex::new(Log::default()));
        let mut script = script;
        if tls == TlsMode::Implicit && !matches!(script.first(), Some(Do::Say(text)) if text.starts_with("HTTP")) {
            script.insert(0, Do::Tls);
        }
        let (told, steps) = (Arc::clone(&log), script);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (told, steps, acceptor) = (Arc::clone(&told), steps.clone(), acceptor.clone());
                tokio::spawn(async move { serve(tcp, steps, acceptor, told).await });
            }
        });
        let target = Target {
            service,
            server,
            username: USER.into(),
            other_names: vec!["jappleseed".into()],
            timeout: Duration::from_secs(10),
        };
        Self { target, prober: Arc::new(Prober::new(Some(pem.path())).unwrap()), log, task }
    }

    pub(super) fn patience(mut self, timeout: Duration) -> Self {
        self.target.timeout = timeout;
        self
    }

    pub(super) async fn ask(&self) -> Outcome {
        self.ask_with(AppPassword::parse(SECRET).unwrap()).await
    }

    pub(super) async fn ask_with(&self, password: AppPassword) -> Outcome {
        let outcome = Arc::clone(&self.prober).attempt(self.target.clone(), Arc::new(password)).await;
        let detail = outcome.detail.clone().unwrap_or_default();
        for hidden in ["johnappleseed", "jappleseed", "efgh", "ijkl"] {
            assert!(!detail.to_lowercase().contains(hidden), "{detail}");
        }
        outcome
    }

    pub(super) async fn post(
        &self,
        letter: lettre::Message,
        giving: impl Future<Output = bool> + Send + 'static,
    ) -> Posted {
        let password = AppPassword::parse(SECRET).unwrap();
        Arc::clone(&self.prober).post(self.target.clone(), Arc::new(password), letter, giving).await
    }

    /// Waits until nobody is connected any more, and all that was sent is in the log.
    pub(super) async fn heard_out(&self) {
        // Ours and the listener's; each connection has one more.
        while Arc::strong_count(&self.log) > 2 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn serve(tcp: TcpStream, script: Vec<Do>, acceptor: TlsAcceptor, log: Arc<Mutex<Log>>) -> Option<()> {
    let mut tcp = Some(tcp);
    let mut tls: Option<Box<dyn Stream>> = None;
    for step in script {
        let stream: &mut dyn Stream = match (&mut tls, &mut tcp) {
            (Some(tls), _) => tls,
            (None, Some(tcp)) => tcp,
            (None, None) => return None,
        };
        match step {
            Do::Say(text) => stream.write_all(text.as_bytes()).await.ok()?,
            Do::Flood(bytes) => while stream.write_all(bytes).await.is_ok() {},
            Do::Hear(start) => {
                let line = read_line(stream, &log).await?;
                if !line.starts_with(start) {
                    return None;
                }
            }
            Do::HearByte => drop(stream.read_u8().await.ok()?),
            Do::Tls => {
                let accepted = acceptor.accept(tcp.take()?).await.ok()?;
                let resumed = accepted.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                log.lock().ok()?.resumed.push(resumed);
                tls = Some(Box::new(accepted));
            }
            Do::Hang => std::future::pending().await,
            Do::Close => return None,
        }
        if let Some(tls) = &mut tls {
            tls.flush().await.ok()?;
        }
    }
    // After the script: polite, and all ears for what should not come.
    let stream: &mut dyn Stream = if let Some(tls) = &mut tls { tls } else { tcp.as_mut()? };
    loop {
        let line = read_line(stream, &log).await?;
        if let Some(tag) = line.strip_suffix(" LOGOUT") {
            stream.write_all(format!("* BYE bye\r\n{tag} OK done\r\n").as_bytes()).await.ok()?;
        } else if line == "QUIT" {
            stream.write_all(b"221 bye\r\n").await.ok()?;
        }
        stream.flush().await.ok()?;
    }
}

async fn read_line(stream: &mut dyn Stream, log: &Mutex<Log>) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.ok()?);
    }
    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
    log.lock().ok()?.lines.push(line.clone());
    Some(line)
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(issuer: &CertifiedIssuer<'_, KeyPair>, shown: Shown) -> TlsAcceptor {
    let name = if matches!(shown, Shown::OtherName) { "imap.example.org" } else { "127.0.0.1" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if matches!(shown, Shown::Expired) {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    Arc::new(config).into()
}
