//! TLS: one configuration for all attempts, verified strictly, with no way to switch that off.
//!
//! A [`Secure`] stream exists only behind a completed handshake with a verified certificate, and the functions that send
//! credentials take nothing else. The configuration is shared, so that the second connection to a server resumes its session
//! and the system's roots are parsed once. Never sends a credential.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls_platform_verifier::Verifier;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, AlertDescription, CertificateError, ClientConfig,
        client::{Resumption, danger::ServerCertVerifier},
        crypto::ring,
    },
};

use crate::classify::{Heard, Stage};

/// What credentials may be sent over. Outside tests only [`handshake`] makes one.
#[derive(Debug)]
pub(super) enum Secure {
    /// A TLS session with a server whose certificate was verified. Boxed for its size.
    Tls(Box<TlsStream<Peek>>),
    /// The words of an imagined server: `hostile.rs` examines what they are taken for.
    #[cfg(any(test, fuzzing))]
    Imagined(tokio::io::DuplexStream),
}

/// What the platform's verifier makes of a certificate whose extended key usage has no servers in it (RFC 5280, section
/// 4.2.1.12). It keeps the type of this error to itself.
const WRONG_PURPOSE: &str = "certificate had invalid extensions";
/// Servers whose sessions are remembered: IMAP and SMTP, and a few more for e-mail alerts.
const SESSIONS: usize = 8;
/// A file of certificates has less than this.
const MAX_PEM: u64 = 4 * 1024 * 1024;

/// Why probes cannot be made at all. Fits after "failed to".
#[derive(Debug)]
pub enum ProberError {
    /// The file of `tls.extra_ca` could not be read.
    ReadExtraCa(PathBuf, io::Error),
    /// It holds no certificate in PEM, or a broken one.
    ParseExtraCa(PathBuf, &'static str),
    /// Neither the system nor `tls.extra_ca` gave roots that can be used.
    Roots(rustls::Error),
}

impl fmt::Display for ProberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadExtraCa(path, _) => write!(f, "read the certificates of tls.extra_ca, {}", path.display()),
            Self::ParseExtraCa(path, what) => {
                write!(f, "use tls.extra_ca, {}: {what}; it must be a PEM file of CA certificates", path.display())
            }
            Self::Roots(_) => f.write_str(
                "set up TLS with the trusted roots; install the system's CA certificates (package ca-certificates), or \
                 check tls.extra_ca",
            ),
        }
    }
}

impl Error for ProberError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::ReadExtraCa(_, error) => Some(error),
            Self::ParseExtraCa(..) => None,
            Self::Roots(error) => Some(error),
        }
    }
}

/// TLS 1.2 or later with the system's trust, and the extra roots beside it.
pub(super) fn connector(extra_ca: Option<&Path>) -> Result<TlsConnector, ProberError> {
    connector_with(extra_ca, |platform| platform)
}

/// The same with something around the platform's verifier.
pub(super) fn connector_with(
    extra_ca: Option<&Path>,
    around: impl FnOnce(Arc<dyn ServerCertVerifier>) -> Arc<dyn ServerCertVerifier>,
) -> Result<TlsConnector, ProberError> {
    let provider = Arc::new(ring::default_provider());
    let extra = extra_ca.map(read_certificates).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(ProberError::Roots)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ProberError::Roots)?
        .dangerous() // rustls's word for any verifier of one's own; this one is the platform's.
        .with_custom_certificate_verifier(around(Arc::new(verifier)))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config).into())
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ProberError> {
    let unreadable = |error| ProberError::ReadExtraCa(path.to_owned(), error);
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_PEM {
        return Err(ProberError::ParseExtraCa(path.to_owned(), "it is larger than 4 MiB"));
    }
    let pem = std::fs::read(path).map_err(unreadable)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| ProberError::ParseExtraCa(path.to_owned(), "it holds a broken certificate"))?;
    if certificates.is_empty() {
        return Err(ProberError::ParseExtraCa(path.to_owned(), "it holds no certificate"));
    }
    Ok(certificates)
}

/// The name that the certificate must be for.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, Heard> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Heard::TlsFailed(format!("{host} is not a name that a certificate can be for")))
}

/// The handshake. `after_starttls`: the server has just promised TLS, so plain text now is no captive portal but an
/// injection, or a broken server.
pub(super) async fn handshake(
    connector: &TlsConnector,
    name: ServerName<'static>,
    tcp: TcpStream,
    after_starttls: bool,
) -> Result<Secure, Heard> {
    let host = name.to_str().into_owned();
    let (error, peek) = match connector.connect(name, Peek::new(tcp)).into_fallible().await {
        Ok(stream) => return Ok(Secure::Tls(Box::new(stream))),
        Err(failed) => failed,
    };
    if peek.is_text() {
        return Err(if after_starttls {
            Heard::Violation("the server sent plain text after it agreed to STARTTLS; it was thrown away")
        } else {
            Heard::PlainText { http: peek.is_http() }
        });
    }
    Err(match tls_error(&error) {
        Some(error) => Heard::TlsFailed(explain(error, &host)),
        None => heard_in_clear(&error, Stage::Tls),
    })
}

/// What an error of reading or writing says. Never uses the text of the error: async-imap's hold all that the server sent
/// (`facts/crates.md` P6).
pub(super) fn heard(error: &io::Error, stage: Stage) -> Heard {
    use io::ErrorKind;
    if let Some(excess) = error.get_ref().and_then(|inner| inner.downcast_ref::<super::guard::Excess>()) {
        return Heard::Violation(excess.as_str());
    }
    if let Some(error) = tls_error(error) {
        // In TLS 1.3 a server's refusal of our handshake arrives only with the first read.
        return if matches!(stage, Stage::Login | Stage::Message) {
            Heard::Violation("the TLS session broke after the login was sent")
        } else {
            Heard::TlsFailed(explain(error, "it"))
        };
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "std adds error kinds; the rest comes from parsers")]
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => Heard::Lost(stage),
        ErrorKind::TimedOut => Heard::Silence(stage, None),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
            Heard::NoNetwork("the network went away".into())
        }
        _ => Heard::Violation("the server's words are not of the protocol"),
    }
}

/// The same where TLS is still to come: a reset is `unreachable` then.
pub(super) fn heard_in_clear(error: &io::Error, stage: Stage) -> Heard {
    if error.kind() == io::ErrorKind::ConnectionReset {
        return Heard::Unreachable("the server reset the connection before TLS was up".into());
    }
    heard(error, stage)
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// In words that help. rustls's own texts hold names out of the certificate, which anybody may have written.
fn explain(error: &rustls::Error, host: &str) -> String {
    use CertificateError as Certificate;
    if let rustls::Error::InvalidCertificate(why) = error {
        return if matches!(why, Certificate::Expired | Certificate::ExpiredContext { .. }) {
            "the server's certificate has expired, or this machine's clock is wrong; no login was sent".into()
        } else if matches!(why, Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) {
            "the server's certificate is not valid yet, or this machine's clock is wrong; no login was sent".into()
        } else if matches!(why, Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) {
            format!("the server's certificate is for another name than {host}; no login was sent")
        } else if matches!(
            why,
            // The last: an issuer of this name is trusted, whose key is of another kind.
            Certificate::UnknownIssuer
                | Certificate::BadSignature
                | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        ) {
            "the server's certificate is from nobody this machine trusts; no login was sent".into()
        } else if *why == Certificate::Revoked {
            "the server's certificate has been revoked; no login was sent".into()
        } else if matches!(why, Certificate::Other(why) if why.0.to_string() == WRONG_PURPOSE) {
            "the server's certificate is not for servers; no login was sent".into()
        } else if matches!(why, Certificate::UnsupportedSignatureAlgorithmContext { .. }) {
            "the server's certificate is signed in a way that is not safe any more; no login was sent".into()
        } else {
            "the server's certificate was refused; no login was sent".into()
        };
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds say nothing to a person")]
    match error {
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => {
            "the server offers no TLS that is safe (1.2 or later)".into()
        }
        rustls::Error::AlertReceived(alert) => format!("the server ended the TLS handshake: {alert:?}"),
        _ => "the TLS handshake failed".into(),
    }
}

impl AsyncRead for Secure {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            #[cfg(any(test, fuzzing))]
            Self::Imagined(words) => Pin::new(words).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Secure {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
            #[cfg(any(test, fuzzing))]
            Self::Imagined(words) => Pin::new(words).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            #[cfg(any(test, fuzzing))]
            Self::Imagined(words) => Pin::new(words).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            #[cfg(any(test, fuzzing))]
            Self::Imagined(words) => Pin::new(words).poll_shutdown(cx),
        }
    }
}

/// A TCP stream that remembers the first bytes it read, to tell a captive portal from bad TLS.
#[derive(Debug)]
pub(super) struct Peek {
    inner: TcpStream,
    first: Vec<u8>,
}

impl Peek {
    const KEPT: usize = 8;

    const fn new(inner: TcpStream) -> Self {
        Self { inner, first: Vec::new() }
    }

    /// TLS records begin with a byte between 20 and 24, which no text does.
    fn is_text(&self) -> bool {
        !self.first.is_empty() && self.first.iter().all(|b| b.is_ascii_graphic() || b" \t\r\n".contains(b))
    }

    fn is_http(&self) -> bool {
        is_http(&self.first)
    }
}

/// Whether a reply begins as HTTP or HTML does.
pub(super) fn is_http(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/") || bytes.starts_with(b"<")
}

impl AsyncRead for Peek {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let missing = Self::KEPT - self.first.len();
        let new = buf.filled().get(before..).unwrap_or_default();
        self.first.extend(new.iter().take(missing));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peek {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
