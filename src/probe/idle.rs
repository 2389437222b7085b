//! A connection that stands open so that its end is noticed: IMAP IDLE (RFC 2177).
//!
//! Asks for nothing and opens no mailbox; where a server wants one for IDLE, the INBOX is looked at with EXAMINE, which changes
//! nothing (RFC 3501, section 6.3.2). Whatever the server tells meanwhile is forgotten unread. No parser of a library takes
//! part, and no password is here any more. Decides nothing.

use std::{io, ops::Range, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::{FAREWELL, tls::Secure};

/// IDLE is ended and begun anew after this: servers may log out whoever is silent for 30 minutes (RFC 2177, section 3).
const RENEWAL: Duration = Duration::from_secs(25 * 60);
/// Bytes between two renewals. Without a mailbox there is little to tell; with one, a line for each change.
const FLOOD: usize = 1024 * 1024;
/// How much of a line matters.
const HEAD: usize = 32;

/// A connection that is logged in and stands open.
#[derive(Debug)]
pub struct Idle {
    dialogue: Dialogue<Secure>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The other side ended it, or is no longer there.
    Dropped,
    /// The server takes no IDLE.
    Unfit,
    /// It was let go.
    Released,
}

impl Idle {
    /// `patience`: how long an answer may take.
    pub(super) fn new(stream: Secure, patience: Duration) -> Self {
        stream.keep_alive();
        Self { dialogue: Dialogue::new(stream, patience, RENEWAL) }
    }

    /// Stands until the other side ends it, or `released` is done.
    pub async fn stand(mut self, released: impl Future) -> Ended {
        let ended = tokio::select! {
            ended = self.dialogue.stand() => match ended {
                Ok(never) => match never {},
                Err(End::Unfit) => Ended::Unfit,
                Err(End::Dropped) => return Ended::Dropped,
            },
            _ = released => Ended::Released,
        };
        let _ = timeout(FAREWELL, self.dialogue.leave()).await;
        ended
    }
}

enum Never {}

/// Why it does not stand any more.
#[derive(Debug)]
enum End {
    Dropped,
    Unfit,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Dropped
    }
}

/// What a server says to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// `+`.
    Continue,
    /// The tagged OK.
    Done,
    /// The tagged NO or BAD.
    Refused,
}

#[derive(Debug)]
struct Dialogue<S> {
    ear: Ear<S>,
    patience: Duration,
    renewal: Duration,
    /// The number of the latest command; attempts end with 4.
    number: u32,
    idles: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    const fn new(stream: S, patience: Duration, renewal: Duration) -> Self {
        Self { ear: Ear::new(stream), patience, renewal, number: 4, idles: false }
    }

    async fn stand(&mut self) -> Result<Never, End> {
        if self.command("IDLE").await? != Said::Continue {
            // Some want a mailbox for it.
            if self.command("EXAMINE INBOX").await? != Said::Done || self.command("IDLE").await? != Said::Continue {
                return Err(End::Unfit);
            }
        }
        loop {
            self.idles = true;
            self.ear.heard = 0;
            match timeout(self.renewal, self.answer()).await {
                // It ends the IDLE by itself: that is the end.
                Ok(Ok(Said::Continue | Said::Done | Said::Refused)) => return Err(End::Dropped),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {}
            }
            self.idles = false;
            self.ear.say("DONE").await?;
            if self.within().await? != Said::Done || self.command("IDLE").await? != Said::Continue {
                return Err(End::Dropped);
            }
        }
    }

    /// DONE and LOGOUT, as far as the server lets us.
    async fn leave(&mut self) -> io::Result<()> {
        if self.idles {
            self.ear.say("DONE").await?;
            self.answer().await?;
        }
        self.number += 1;
        self.ear.say(&format!("K{} LOGOUT", self.number)).await?;
        let _ = self.answer().await;
        self.ear.stream.shutdown().await
    }

    async fn command(&mut self, command: &str) -> io::Result<Said> {
        self.number += 1;
        self.ear.say(&format!("K{} {command}", self.number)).await?;
        self.within().await
    }

    async fn within(&mut self) -> io::Result<Said> {
        timeout(self.patience, self.answer()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The answer to the latest command. `BYE` is the end (RFC 3501, section 7.1.5).
    async fn answer(&mut self) -> io::Result<Said> {
        let tag = format!("K{}", self.number);
        loop {
            let line = self.ear.line().await?;
            let mut words = line.split_ascii_whitespace();
            let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if first == "+" {
                return Ok(Said::Continue);
            }
            if first == "*" && second.eq_ignore_ascii_case("BYE") {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if first == tag {
                return Ok(if second.eq_ignore_ascii_case("OK") { Said::Done } else { Said::Refused });
            }
        }
    }
}

/// Hears the beginnings of lines and forgets the rest, literals included (RFC 3501, section 4.3): in bounded memory,
/// whatever comes.
#[derive(Debug)]
struct Ear<S> {
    stream: S,
    buffer: [u8; 1024],
    /// What of the buffer was read from the stream and not looked at yet.
    unheard: Range<usize>,
    heard: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Ear<S> {
    const fn new(stream: S) -> Self {
        Self { stream, buffer: [0; 1024], unheard: 0..0, heard: 0 }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// The first [`HEAD`] bytes of the next line.
    async fn line(&mut self) -> io::Result<String> {
        let mut head = Vec::with_capacity(HEAD);
        loop {
            // A number in braces at the end of a line: so many bytes follow, and then the line goes on.
            let (mut number, mut closed) = (None::<u64>, false);
            loop {
                let byte = self.byte().await?;
                match byte {
                    b'\n' => break,
                    b'\r' => continue,
                    b'{' => (number, closed) = (Some(0), false),
                    b'0'..=b'9' if !closed => {
                        number = number.map(|n| n.saturating_mul(10).saturating_add(u64::from(byte - b'0')));
                    }
                    b'}' if number.is_some() && !closed => closed = true,
                    _ => (number, closed) = (None, false),
                }
                if head.len() < HEAD {
                    head.push(byte);
                }
            }
            match number.filter(|_| closed) {
                Some(literal) => {
                    for _ in 0..literal {
                        self.byte().await?;
                    }
                }
                None => return Ok(String::from_utf8_lossy(&head).into_owned()),
            }
        }
    }

    async fn byte(&mut self) -> io::Result<u8> {
        if self.unheard.is_empty() {
            // Nobody may wait for it to the end: nothing is changed before.
            let read = self.stream.read(&mut self.buffer).await?;
            self.unheard = 0..read;
            self.heard += read;
            if self.heard > FLOOD {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        let next = self.unheard.next().and_then(|at| self.buffer.get(at).copied());
        next.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// The watch, and the server's end of its connection.
    fn watch(patience: Duration, renewal: Duration) -> (Dialogue<DuplexStream>, Server) {
        let (ours, theirs) = duplex(64);
        (Dialogue::new(ours, patience, renewal), Server(Ear::new(theirs)))
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    struct Server(Ear<DuplexStream>);

    impl Server {
        async fn hears(&mut self, expected: &str) {
            assert_eq!(self.0.line().await.unwrap(), expected);
        }

        async fn says(&mut self, line: &str) {
            self.0.say(line).await.unwrap();
        }
    }

    #[tokio::test]
    async fn it_is_renewed_again_and_again_and_asks_for_nothing() {
        let (mut dialogue, mut server) = watch(LONG, SHORT);
        let serving = async {
            server.hears("K5 IDLE").await;
            server.says("+ idling").await;
            for (old, new) in [(5, 6), (6, 7), (7, 8)] {
                server.says("* 23 EXISTS").await;
                server.says("* 1 FETCH (FLAGS ())").await;
                server.hears("DONE").await;
                server.says(&format!("K{old} OK done")).await;
                server.hears(&format!("K{new} IDLE")).await;
                server.says("+").await;
            }
        };
        tokio::select! {
            () = serving => {}
            _ = dialogue.stand() => panic!("it ended"),
        }
    }

    #[tokio::test]
    async fn it_takes_its_leave() {
        let (mut dialogue, mut server) = watch(LONG, LONG);
        let serving = async {
            server.hears("K5 IDLE").await;
            server.says("+ idling").await;
            server.says(&format!("* {}", "x".repeat(200))).await; // heard, so that the line before it is, too
        };
        tokio::select! {
            () = serving => {}
            _ = dialogue.stand() => panic!("it ended"),
        }
        let leaving = async {
            server.hears("DONE").await;
            server.says("K5 OK done").await;
            server.hears("K6 LOGOUT").await;
            server.says("* BYE").await;
        };
        let (left, ()) = tokio::join!(dialogue.leave(), leaving);
        left.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_wants_a_mailbox_for_it_gets_it_read_only() {
        let (mut dialogue, mut server) = watch(LONG, SHORT);
        let serving = async {
            server.hears("K5 IDLE").await;
            server.says("K5 BAD No mailbox selected").await;
            server.hears("K6 EXAMINE INBOX").await;
            server.says("* 2 EXISTS").await;
            server.says("K6 OK [READ-ONLY] done").await;
            server.hears("K7 IDLE").await;
            server.says("+ idling").await;
            server.hears("DONE").await;
        };
        tokio::select! {
            () = serving => {}
            _ = dialogue.stand() => panic!("it ended"),
        }
    }

    #[tokio::test]
    async fn every_end_is_told_apart() {
        async fn check(lines: &[&str], unfit: bool) {
            let (mut dialogue, mut server) = watch(LONG, LONG);
            let serving = async move {
                for line in lines {
                    server.says(line).await;
                }
                if unfit {
                    std::future::pending::<()>().await;
                }
            };
            let standing = dialogue.stand();
            tokio::pin!(standing);
            let ended = tokio::select! {
                ended = &mut standing => ended,
                () = serving => standing.await,
            };
            assert_eq!(matches!(ended, Err(End::Unfit)), unfit, "{lines:?}");
        }
        check(&["K5 BAD", "K6 NO", "K7 BAD"], true).await;
        check(&["K5 BAD", "K6 OK", "K7 BAD"], true).await;
        check(&["+ idling"], false).await;
        check(&["+ idling", "* bye Session is no longer valid"], false).await;
        check(&["* BYE"], false).await;
        check(&["+ idling", "K5 OK"], false).await;
        check(&[], false).await;
        // A literal holds no line, whatever it looks like.
        check(&["* X {9}", "* BYE", "+", "+ idling"], false).await;
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_a_renewal_is_no_longer_there() {
        let (mut dialogue, mut server) = watch(SHORT, SHORT);
        let serving = async {
            server.hears("K5 IDLE").await;
            server.says("+").await;
            server.hears("DONE").await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serving => unreachable!(),
            ended = dialogue.stand() => assert!(matches!(ended, Err(End::Dropped))),
        }
    }

    #[tokio::test]
    async fn a_flood_is_forgotten_as_it_comes_and_then_ended() {
        let (mut dialogue, mut server) = watch(LONG, LONG);
        let serving = async {
            server.says("+").await;
            let line = "x".repeat(100_000);
            // What it cannot say any more tells that nobody listens.
            while server.0.say(&line).await.is_ok() {}
        };
        let standing = async move { dialogue.stand().await };
        let (ended, ()) = tokio::join!(standing, serving);
        assert!(matches!(ended, Err(End::Dropped)));
    }
}
