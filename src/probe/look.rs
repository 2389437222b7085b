//! A look at a server without a login: does its name resolve, does it take a connection, is its encryption trusted?
//!
//! For `doctor`. Says how far it came, and shows the certificate also where it is not trusted, so that a person can see who
//! stands between. Sends no credential: it has none.

use std::{
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};

use super::{Deadline, ProberError, Terms, certificate::Certificate, connect, imap, smtp, tls};
use crate::{
    classify::{Heard, Stage, redact::Redactor},
    config::{Server, TlsMode},
    health::evidence::{Cause, Service},
};

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The addresses of the name; none where it did not resolve.
    pub addresses: Vec<IpAddr>,
    /// Whether a connection came up.
    pub connected: bool,
    /// Why it ended before its end, in the words of an attempt.
    pub trouble: Option<(Cause, String)>,
    /// What the server showed of itself, trusted or not.
    pub certificate: Option<Certificate>,
    /// From the first connect to the end.
    pub took: Duration,
}

/// Looks at `server`, for at most `limit`.
///
/// # Errors
/// Where the trusted roots, or those of `extra_ca`, cannot be used.
pub async fn look(
    service: Service,
    server: &Server,
    extra_ca: Option<&Path>,
    limit: Duration,
) -> Result<Look, ProberError> {
    let seen = Arc::new(Mutex::new(None));
    let connector = tls::connector_with(extra_ca, |inner| Arc::new(Witness { inner, seen: Arc::clone(&seen) }))?;
    let deadline = Deadline { at: tokio::time::Instant::now() + limit, limit };
    let mut look = Look { addresses: vec![], connected: false, trouble: None, certificate: None, took: Duration::ZERO };
    let begun = Instant::now();
    let talk = async {
        let resolving = super::resolve::resolve(&server.host, server.port);
        let addresses = deadline.bound(Stage::Resolving, resolving).await?;
        look.addresses = addresses.iter().map(std::net::SocketAddr::ip).collect();
        let name = tls::server_name(&server.host)?;
        let mut tcp = deadline.bound(Stage::Connecting, connect::connect(&addresses)).await?;
        look.connected = true;
        let redactor = Redactor::new([]);
        let terms = Terms { redactor: &redactor, deadline };
        let upgraded = server.tls == TlsMode::StartTls;
        if upgraded {
            tcp = match service {
                Service::Imap => imap::upgrade(tcp, &terms).await?,
                Service::Smtp => smtp::upgrade(tcp, &terms).await?,
            };
        }
        deadline.bound(Stage::Tls, tls::handshake(&connector, name, tcp, upgraded)).await
    };
    let heard: Result<tls::Secure, Heard> = talk.await;
    if let Err(heard) = heard {
        let outcome = heard.into_outcome(None);
        // Nothing was accepted or rejected here: every end of a look has a cause.
        let cause = outcome.finding.cause().unwrap_or(Cause::ProtocolViolation);
        look.trouble = Some((cause, outcome.detail.unwrap_or_default()));
    }
    look.took = begun.elapsed();
    look.certificate = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(look)
}

/// Lets the platform's verifier judge, and keeps what it judged.
#[derive(Debug)]
struct Witness {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Arc<Mutex<Option<Certificate>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Certificate::read(end_entity);
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.inner.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[rustls::DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}
