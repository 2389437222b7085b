//! The throw-away certificate authority and the certificates of the simulator, sound ones and unsound ones.
//!
//! Everything is made anew for each simulator and lives in memory only: no key is ever written anywhere, so that trusting
//! the authority in a test opens nothing.

use std::{
    error::Error,
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, crypto::ring},
};

use super::fault::Fault;

const DAY: Duration = Duration::from_secs(86_400);
/// What the sound certificate is for. The last is for tests, where a name must not look like this machine.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "mail.keypulse.test"];

/// Why the certificates could not be made.
#[derive(Debug)]
pub(super) enum CaError {
    /// A certificate or key.
    Certificate(rcgen::Error),
    /// The TLS configuration around it.
    Tls(rustls::Error),
}

impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(_) => f.write_str("make the simulator's certificates"),
            Self::Tls(_) => f.write_str("set up the simulator's TLS"),
        }
    }
}

impl Error for CaError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Certificate(error) => Some(error),
            Self::Tls(error) => Some(error),
        }
    }
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error)
    }
}

impl From<rustls::Error> for CaError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

impl From<CaError> for io::Error {
    fn from(error: CaError) -> Self {
        Self::other(error)
    }
}

/// One TLS acceptor per kind of certificate. Each keeps its own sessions, so that none is resumed under another.
pub(super) struct Certificates {
    pem: String,
    sound: TlsAcceptor,
    untrusted: TlsAcceptor,
    expired: TlsAcceptor,
    misnamed: TlsAcceptor,
}

impl Certificates {
    /// Makes an authority, another one that nobody is told of, and the certificates.
    pub(super) fn generate() -> Result<Self, CaError> {
        #[expect(clippy::disallowed_methods, reason = "certificates expire by the wall clock")]
        let today = date_time_ymd(1970, 1, 1) + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (yesterday, next_month) = (today - DAY, today + 30 * DAY);
        let sound = authority("keypulse simulator, trust for tests only")?;
        let impostor = authority("keypulse simulator, trust never")?;
        let acceptor = |issuer: &Issuer<'static, KeyPair>, names: &[&str], from, until| {
            let key = KeyPair::generate()?;
            let mut leaf = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            leaf.not_before = from;
            leaf.not_after = until;
            leaf.distinguished_name.push(DnType::CommonName, "keypulse simulator");
            leaf.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
            let certificate = leaf.signed_by(&key, issuer)?;
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
                )?;
            Ok::<_, CaError>(TlsAcceptor::from(Arc::new(config)))
        };
        Ok(Self {
            sound: acceptor(&sound.0, &NAMES, yesterday, next_month)?,
            untrusted: acceptor(&impostor.0, &NAMES, yesterday, next_month)?,
            expired: acceptor(&sound.0, &NAMES, today - 30 * DAY, yesterday)?,
            misnamed: acceptor(&sound.0, &["wrong.example"], yesterday, next_month)?,
            pem: sound.1,
        })
    }

    /// The authority to trust, as PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// The acceptor that shows what `fault` asks for.
    pub(super) fn acceptor(&self, fault: Option<&Fault>) -> &TlsAcceptor {
        if fault == Some(&Fault::UntrustedIssuer) {
            &self.untrusted
        } else if fault == Some(&Fault::CertificateExpired) {
            &self.expired
        } else if fault == Some(&Fault::CertificateNameMismatch) {
            &self.misnamed
        } else {
            &self.sound
        }
    }
}

/// An authority's signing half and its certificate.
fn authority(name: &str) -> Result<(Issuer<'static, KeyPair>, String), CaError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}
