//! The simulator as clients see it: plain sockets, plain tokio-rustls, no code of the probes.

mod fault;
mod imap;
mod smtp;
mod world;

use std::{io, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};

use super::{Fault, Options, Security, Simulator, World};
use crate::health::evidence::Service;

const ADDRESS: &str = "john@icloud.com";
/// Nothing here takes as long: a test that would hang fails instead.
const LIMIT: Duration = Duration::from_secs(20);
/// Silence can be proved only by waiting: the one duration in these tests. A slow machine makes it prove less, never fail.
const SILENCE: Duration = Duration::from_millis(250);

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// How a connection was found when no more came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Orderly: close_notify inside TLS.
    Closed,
    /// FIN without close_notify inside TLS.
    Truncated,
    Reset,
    Silent,
    Endless,
    /// What TLS says of bytes that are not TLS, or of a bad certificate.
    Tls,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The end of the connection, or words without an end.
    End,
    /// Words, and then silence.
    Words,
    /// Silence at once.
    Nothing,
}

struct Client {
    stream: Option<Box<dyn Stream>>,
    heard: Vec<u8>,
    due: Due,
}

/// A simulator with one account and one live password.
struct Fixture {
    simulator: Simulator,
    world: World,
    password: String,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        let world = simulator.world();
        let password = world.new_password(ADDRESS);
        Self { simulator, world, password }
    }

    /// A simulator that begins TLS on both services in the same way.
    async fn secured(security: Security) -> Self {
        Self::with(Options { imap: security, smtp: security, ..Options::default() }).await
    }

    fn fault(&self, service: Service, fault: impl Into<Option<Fault>>) {
        self.world.set_fault(service, fault.into());
    }

    async fn plain(&self, service: Service) -> io::Result<Client> {
        let tcp = TcpStream::connect(self.simulator.addr(service)).await?;
        Ok(Client { stream: Some(Box::new(tcp)), heard: Vec::new(), due: Due::End })
    }

    fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.simulator.ca_pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    /// A connection with TLS from its first byte.
    async fn tls(&self, service: Service) -> io::Result<Client> {
        let mut client = self.plain(service).await?;
        client.upgrade(&self.connector()).await?;
        Ok(client)
    }

    /// A connection with TLS by STARTTLS.
    async fn starttls(&self, service: Service) -> io::Result<Client> {
        let mut client = self.plain(service).await?;
        client.line().await;
        let go_ahead = match service {
            Service::Imap => client.ask("s STARTTLS").await,
            Service::Smtp => client.ask("STARTTLS").await,
        };
        assert!(go_ahead.starts_with("s OK") || go_ahead.starts_with("220 "), "{go_ahead}");
        client.upgrade(&self.connector()).await?;
        Ok(client)
    }

    /// A connection in which the next thing is the login, as the default options have it.
    async fn ready(&self, service: Service) -> Client {
        match service {
            Service::Imap => {
                let mut client = self.tls(service).await.unwrap();
                client.line().await;
                client
            }
            Service::Smtp => self.starttls(service).await.unwrap(),
        }
    }

    /// The login command for a pair.
    fn command(service: Service, username: &str, password: &str) -> String {
        match service {
            Service::Imap => format!("a LOGIN \"{username}\" \"{password}\""),
            Service::Smtp => format!("AUTH PLAIN {}", plain(username, password)),
        }
    }

    /// Logs in with the live password and tells the answer's first line.
    async fn login(&self, service: Service) -> String {
        self.ready(service).await.ask(&Self::command(service, ADDRESS, &self.password)).await
    }
}

impl Client {
    async fn upgrade(&mut self, connector: &TlsConnector) -> io::Result<()> {
        let tcp = self.stream.take().unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let tls = timeout(LIMIT, connector.connect(name, tcp)).await.expect("a handshake")?;
        self.stream = Some(Box::new(tls));
        Ok(())
    }

    async fn send(&mut self, line: &str) {
        let bytes = format!("{line}\r\n");
        let stream = self.stream.as_mut().unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }

    /// The next line without its end.
    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            let mut chunk = [0; 4096];
            let read = timeout(LIMIT, self.stream.as_mut().unwrap().read(&mut chunk)).await;
            let count = read.expect("a line in time").expect("a line");
            assert_ne!(count, 0, "the connection ended in place of a line");
            self.heard.extend_from_slice(&chunk[..count]);
        }
    }

    async fn ask(&mut self, line: &str) -> String {
        self.send(line).await;
        self.line().await
    }

    /// Lines up to and with the one that begins with `start`.
    async fn until(&mut self, start: &str) -> Vec<String> {
        let mut lines = vec![self.line().await];
        while !lines.last().unwrap().starts_with(start) {
            lines.push(self.line().await);
        }
        lines
    }

    fn patience(&self) -> Duration {
        match self.due {
            Due::End => LIMIT,
            Due::Words if self.heard.is_empty() => LIMIT,
            Due::Words | Due::Nothing => SILENCE,
        }
    }

    /// The next line is taken and forgotten if it is `good`; otherwise, everything that comes, and how it ends.
    async fn unless(&mut self, good: impl Fn(&str) -> bool) -> Option<(String, End)> {
        let mut chunk = [0; 4096];
        while !self.heard.ends_with(b"\n") && self.heard.len() < 1000 {
            match timeout(self.patience(), self.stream.as_mut().unwrap().read(&mut chunk)).await {
                Ok(Ok(count)) if count > 0 => self.heard.extend_from_slice(&chunk[..count]),
                Ok(Err(error)) => return Some((String::new(), end_of(&error))),
                Ok(Ok(_)) | Err(_) => break,
            }
        }
        if good(&String::from_utf8_lossy(&self.heard)) {
            self.heard.clear();
            return None;
        }
        Some(self.words().await)
    }

    /// Everything that still comes, as text, and how it ends.
    async fn words(&mut self) -> (String, End) {
        let (bytes, end) = self.rest().await;
        (String::from_utf8_lossy(&bytes).into_owned(), end)
    }

    /// Everything that still comes, and how it ends.
    async fn rest(&mut self) -> (Vec<u8>, End) {
        let mut chunk = [0; 4096];
        let end = loop {
            if self.heard.len() > 64 * 1024 {
                break End::Endless;
            }
            match timeout(self.patience(), self.stream.as_mut().unwrap().read(&mut chunk)).await {
                Err(_) => break End::Silent,
                Ok(Ok(0)) => break End::Closed,
                Ok(Ok(count)) => self.heard.extend_from_slice(&chunk[..count]),
                Ok(Err(error)) => break end_of(&error),
            }
        };
        (std::mem::take(&mut self.heard), end)
    }
}

fn end_of(error: &io::Error) -> End {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        End::Truncated
    } else if error.kind() == io::ErrorKind::ConnectionReset {
        End::Reset
    } else {
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        End::Tls
    }
}

/// The message of SASL PLAIN in base64.
fn plain(username: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("\0{username}\0{password}"))
}
