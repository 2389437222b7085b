//! From addresses to a TCP connection, over IPv6 and IPv4.
//!
//! Tries all addresses as RFC 8305 advises: families in turn, IPv6 first, the next one after 250 ms or as soon as one
//! fails. A broken IPv6 must not look like a dead network (`facts/icloud.md` 8.7). Sends nothing.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rustix::io::Errno;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};

use crate::classify::{Heard, Stage};

/// The head start of each address (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// More addresses than this are not tried.
const ADDRESSES: usize = 16;

/// IPv6 and IPv4 in turn, each family in the resolver's order.
pub(super) fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut order = Vec::new();
    loop {
        let (a, b) = (six.next(), four.next());
        if (a.is_none() && b.is_none()) || order.len() >= ADDRESSES {
            return order;
        }
        order.extend(a.into_iter().chain(b));
    }
}

/// The first connection that comes up. Waits for ever where no address answers: the caller holds the deadline.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Heard> {
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut worst: Option<Trouble> = None;
    loop {
        running.extend(waiting.next().map(|address| TcpStream::connect(*address)));
        if running.is_empty() {
            return Err(worst.unwrap_or(Trouble::NoRoute).heard());
        }
        let turn = Instant::now() + STAGGER;
        tokio::select! {
            Some(result) = running.next() => match result {
                Ok(stream) => {
                    // One small command at a time: waiting to fill a segment only costs time.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => worst = worst.max(Some(Trouble::of(&error))),
            },
            () = sleep_until(turn), if waiting.len() > 0 => {}
        }
    }
}

/// Whether this is for lack of file descriptors, the process's or the system's.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// There is none for a connection.
pub(super) fn no_file() -> Heard {
    Heard::Unreachable("keypulse may open no further connection: its limit of file descriptors is reached".into())
}

/// Why no address took the connection; the last in this order says most about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    NoRoute,
    NoAnswer,
    NoFile,
    Other,
    Refused,
}

impl Trouble {
    #[expect(clippy::wildcard_enum_match_arm, reason = "std adds error kinds; an unknown one is no lack of network")]
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            _ if is_out_of_files(error) => Self::NoFile,
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Self::Refused,
            ErrorKind::TimedOut => Self::NoAnswer,
            ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => Self::NoRoute,
            _ => Self::Other,
        }
    }

    fn heard(self) -> Heard {
        match self {
            Self::NoRoute => Heard::NoNetwork("there is no route to the server".into()),
            Self::NoAnswer => Heard::Silence(Stage::Connecting, None),
            Self::NoFile => no_file(),
            Self::Other => Heard::Unreachable("the system did not let the connection be made (a firewall?)".into()),
            Self::Refused => Heard::Unreachable("the server refused the connection".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[track_caller]
    fn check(found: &[&str], expected: &[&str]) {
        let parse = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(in_turn(parse(found)), parse(expected));
    }

    #[test]
    fn families_take_turns() {
        check(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], &["[::1]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        check(&["[::1]:1", "[::2]:1", "1.1.1.1:1"], &["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
        check(&["1.1.1.1:1"], &["1.1.1.1:1"]);
        check(&[], &[]);
    }

    #[tokio::test]
    async fn a_refusing_address_does_not_hide_a_working_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let addresses = [SocketAddr::new("::1".parse().unwrap(), port), listener.local_addr().unwrap()];
        assert_eq!(connect(&addresses).await.unwrap().peer_addr().unwrap(), addresses[1]);
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hide_a_working_one() {
        // A full accept queue drops what comes: the nearest thing to a black hole that loopback has.
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = silent.listen(1).unwrap();
        let full = silent.local_addr().unwrap();
        let one_more = || tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(full));
        let mut held = Vec::new();
        while let Ok(connected) = one_more().await {
            held.push(connected);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [full, listener.local_addr().unwrap()];
        assert_eq!(connect(&addresses).await.unwrap().peer_addr().unwrap(), addresses[1]);
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(connect(&[address]).await, Err(Heard::Unreachable(_))));
    }
}
