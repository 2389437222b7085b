//! Somebody between keypulse and its servers: passes everything on, or pretends to be the servers and listens.
//!
//! IMAP with implicit TLS, SMTP with STARTTLS, as iCloud has them.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use keypulse::health::evidence::Service;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{ICloud, Settings, Tls};

/// What a connection meets.
#[derive(Clone)]
pub enum Show {
    /// The real servers.
    Real,
    /// Servers with this certificate, who take down what they are told.
    Forged(Arc<ServerConfig>),
    /// Whatever does TLS on this port.
    Behind(u16),
}

/// A running impostor. Ended when dropped.
pub struct Impostor {
    ports: [u16; 2],
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    show: Mutex<Show>,
    /// What came through TLS.
    heard: Mutex<String>,
    real: [u16; 2],
}

impl Impostor {
    /// Before these servers; shows them as they are, for now.
    #[track_caller]
    pub fn before(icloud: &ICloud) -> Self {
        let real = Service::ALL.map(|service| icloud.port(service));
        let state = Arc::new(State { show: Mutex::new(Show::Real), heard: Mutex::default(), real });
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut ports = Vec::new();
                for service in Service::ALL {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    ports.push(listener.local_addr().unwrap().port());
                    tokio::spawn(listen(listener, service, Arc::clone(&shared)));
                }
                tell.send([ports[0], ports[1]]).unwrap();
                // An error says that the handle is gone: the end, too.
                let _ = stopped.await;
            });
        });
        Self { ports: told.recv().unwrap(), state, stop: Some(stop), thread: Some(thread) }
    }

    /// What connections from now on meet.
    pub fn show(&self, show: Show) {
        *self.state.show.lock().unwrap_or_else(PoisonError::into_inner) = show;
    }

    /// All that was told to a forged server, through TLS.
    pub fn heard(&self) -> String {
        self.state.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Settings for servers that are reached through it.
    pub fn settings(&self, icloud: &ICloud) -> Settings {
        Settings::for_icloud(icloud).imap(self.ports[0], Tls::Implicit).smtp(self.ports[1], Tls::StartTls)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

async fn listen(listener: TcpListener, service: Service, state: Arc<State>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        // The other side hangs up as soon as it sees through it: errors are the usual end.
        tokio::spawn(async move { drop(converse(tcp, service, &state).await) });
    }
}

async fn converse(mut tcp: TcpStream, service: Service, state: &State) -> io::Result<()> {
    let show = state.show.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let relay = match &show {
        Show::Real => Some(state.real[usize::from(service == Service::Smtp)]),
        Show::Behind(port) => Some(*port),
        Show::Forged(_) => None,
    };
    if service == Service::Smtp && !matches!(show, Show::Real) {
        let mut lines = BufReader::new(&mut tcp);
        exchange(&mut lines, &["220 impostor\r\n", "250-impostor\r\n250 STARTTLS\r\n"]).await?;
        lines.read_line(&mut String::new()).await?;
        lines.write_all(b"220 go\r\n").await?;
    }
    if let Some(port) = relay {
        let mut other = TcpStream::connect(("127.0.0.1", port)).await?;
        tokio::io::copy_bidirectional(&mut tcp, &mut other).await?;
    }
    if let Show::Forged(config) = show {
        let mut tls = BufReader::new(TlsAcceptor::from(config).accept(tcp).await?);
        let greeting: &[u8] = match service {
            Service::Imap => b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] impostor\r\n",
            Service::Smtp => b"",
        };
        tls.write_all(greeting).await?;
        tls.flush().await?;
        let mut chunk = [0; 1024];
        loop {
            let count = tls.read(&mut chunk).await?;
            let text = String::from_utf8_lossy(&chunk[..count]).into_owned();
            state.heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            if count == 0 {
                return Ok(());
            }
            if text.starts_with("EHLO") {
                tls.write_all(b"250-impostor\r\n250 AUTH PLAIN\r\n").await?;
                tls.flush().await?;
            }
        }
    }
    Ok(())
}

/// Says one thing after the other, and hears a line between.
async fn exchange(lines: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>, says: &[&str]) -> io::Result<()> {
    for (index, words) in says.iter().enumerate() {
        if index > 0 {
            lines.read_line(&mut String::new()).await?;
        }
        lines.write_all(words.as_bytes()).await?;
    }
    Ok(())
}
