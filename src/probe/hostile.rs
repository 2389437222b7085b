//! An imagined server: bytes from a fuzzer, or from a property test, in place of a server's words.
//!
//! Puts them to the probes just as a TLS session would, and holds every outcome against `oracle.rs`, which reads the same
//! bytes in its own way. Exists for tests and for `fuzz/` only. Never opens a socket.

mod oracle;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf},
    sync::watch,
    time::Instant,
};

use super::{Attempt, Deadline, FAREWELL, Secure, Target, Terms, concluded, imap, isolated, login, redactor, smtp};
use crate::{
    config::{Server, TlsMode},
    health::evidence::{Finding, Outcome, Service},
    secret::AppPassword,
};

/// The user name that logs in.
pub const USER: &str = "johnappleseed@icloud.com";
/// Another name of the account.
pub const OTHER_NAME: &str = "jappleseed";
/// The password.
pub const SECRET: &str = "abcd-efgh-ijkl-mnop";

/// Between two turns of the server. No protocol has it.
const TURN: u8 = 0x1e;
/// More turns than any dialogue has.
const TURNS: usize = 16;
/// Beyond the deadline and the farewell, for machines that are busy.
const SLACK: Duration = Duration::from_secs(5);

/// Where the imagined words begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// TLS from the start: a greeting comes first.
    Implicit,
    /// After STARTTLS: the greeting came before it.
    Upgraded,
    /// In the clear, up to STARTTLS and on.
    InTheClear,
}

/// What an imagined server says, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    /// Where it begins.
    pub beginning: Beginning,
    /// After its last turn it says nothing more; otherwise it hangs up.
    pub hangs: bool,
    /// Bytes on their way at once: what comes in one piece, and what byte by byte.
    pub pipe: usize,
    /// What it says: the first at once, each further one when a line was heard.
    pub turns: Vec<Vec<u8>>,
}

impl Script {
    /// Reads the form that the seeds have: a letter from `@` on (bits 0 and 1: [`Beginning`]; bit 2: hangs; bits 3 and 4: the
    /// pipe), then turns between bytes 0x1E.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let (manner, words) = bytes.split_first().unwrap_or((&b'@', &[]));
        Self {
            beginning: match manner & 3 {
                1 => Beginning::Upgraded,
                2 => Beginning::InTheClear,
                _ => Beginning::Implicit,
            },
            hangs: manner & 4 != 0,
            pipe: match (manner >> 3) & 3 {
                0 => 1 << 20,
                1 => 1,
                2 => 7,
                _ => 4096,
            },
            turns: words.splitn(TURNS, |byte| *byte == TURN).map(<[u8]>::to_vec).collect(),
        }
    }
}

/// Turn by turn, as text with escapes.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, pipe {}, {}:", self.beginning, self.pipe, if self.hangs { "hangs" } else { "hangs up" })?;
        self.turns.iter().try_for_each(|words| write!(f, "\n  b\"{}\"", words.escape_ascii()))
    }
}

/// What the server heard: lines without their ends.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

/// One attempt against an imagined server.
///
/// # Panics
/// Where the outcome is not what the words mean, shows what nobody may see, or comes too late; where a login went out in the
/// clear, or twice.
pub async fn examine(service: Service, script: &Script, patience: Duration) -> Outcome {
    let (ours, theirs) = tokio::io::duplex(script.pipe);
    let heard = Arc::new(Lines::default());
    let (count, counted) = watch::channel(0);
    let (ears, mouth) = tokio::io::split(theirs);
    let listening = tokio::spawn(listen(ears, Arc::clone(&heard), count));
    let speaking = tokio::spawn(speak(mouth, script.clone(), counted));
    let begun = Instant::now();
    let outcome = isolated(attempt(service, ours, script.beginning, patience), |outcome| outcome).await;
    let took = begun.elapsed();
    speaking.abort();
    let _ = listening.await; // it ends with our side of the stream
    assert!(took <= patience + FAREWELL + SLACK, "{took:?} for {script:?}");
    let lines = heard.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let logins = logins(service, script.beginning, &lines);
    if let Some(detail) = &outcome.detail {
        oracle::fit_to_show(detail);
    }
    if let Some(code) = &outcome.code {
        oracle::fit_to_show(code);
    }
    match outcome.finding {
        Finding::Accepted => assert!(logins == 1 && oracle::accepts(service, script), "{outcome:?} of {script:?}"),
        Finding::Rejected => assert!(logins == 1 && oracle::refuses(service, script), "{outcome:?} of {script:?}"),
        Finding::Inconclusive(_) => {}
    }
    outcome
}

/// As `Prober::ask` from the moment when the first bytes come.
async fn attempt(service: Service, wire: DuplexStream, beginning: Beginning, patience: Duration) -> Outcome {
    let target = Target {
        service,
        server: Server { host: "127.0.0.1".into(), port: 1, tls: TlsMode::Implicit },
        username: USER.into(),
        other_names: vec![OTHER_NAME.into()],
        timeout: patience,
    };
    let Ok(password) = AppPassword::parse(SECRET) else { unreachable!("the shape is right") };
    let redactor = redactor(&target, &password);
    let deadline = Deadline { at: Instant::now() + patience, limit: patience };
    let terms = Terms { redactor: &redactor, deadline };
    let attempt = Attempt { username: &target.username, password: &password, terms };
    let begun = Instant::now();
    let talked = async {
        let wire = match (beginning, service) {
            (Beginning::Implicit | Beginning::Upgraded, _) => wire,
            (Beginning::InTheClear, Service::Imap) => imap::upgrade(wire, &attempt.terms).await?,
            (Beginning::InTheClear, Service::Smtp) => smtp::upgrade(wire, &attempt.terms).await?,
        };
        login(service, Secure::Imagined(wire), beginning != Beginning::Implicit, &attempt).await
    };
    concluded(talked.await, begun.elapsed(), false).await.0
}

async fn speak(mut mouth: WriteHalf<DuplexStream>, script: Script, mut counted: watch::Receiver<usize>) {
    for (before, words) in script.turns.iter().enumerate() {
        // An error says that nobody listens any more.
        if counted.wait_for(|lines| *lines >= before).await.is_err() || mouth.write_all(words).await.is_err() {
            return;
        }
    }
    if script.hangs {
        std::future::pending::<()>().await;
    }
    let _ = mouth.shutdown().await;
}

async fn listen(mut ears: ReadHalf<DuplexStream>, heard: Arc<Lines>, count: watch::Sender<usize>) {
    let (mut line, mut chunk) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = ears.read(&mut chunk).await {
        for byte in chunk.iter().take(read) {
            line.push(*byte);
            if line.ends_with(b"\r\n") {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                heard.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
                count.send_modify(|lines| *lines += 1);
            }
        }
    }
}

/// How many logins were heard. Never more than one, and none in the clear.
fn logins(service: Service, beginning: Beginning, lines: &[String]) -> usize {
    let clear_until = match beginning {
        Beginning::Implicit | Beginning::Upgraded => 0,
        Beginning::InTheClear => {
            lines.iter().position(|line| line.ends_with("STARTTLS")).map_or(lines.len(), |at| at + 1)
        }
    };
    let is_login = |line: &&String| match service {
        Service::Imap => line.starts_with("K3 "),
        Service::Smtp => line.starts_with("AUTH "),
    };
    let (clear, secure) = lines.split_at(clear_until);
    assert!(!clear.iter().any(|line| is_login(&line) || oracle::betrays(line)), "a login in the clear: {lines:?}");
    let logins = secure.iter().filter(is_login).count();
    assert!(logins <= 1, "{logins} logins on one connection: {lines:?}");
    logins
}
