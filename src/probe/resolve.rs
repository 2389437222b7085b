//! From a host name to its addresses, by the system's resolver: it alone knows the machine's hosts file, VPNs and `.local`.
//!
//! It blocks, for minutes where a name server is silent, and cannot be called off. So each look-up has a thread of its own that
//! holds up nobody, not even the end of the process; whoever wants the same name meanwhile waits for the same answer; and there
//! are never more than a few. Sends nothing of ours.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::connect::{in_turn, is_out_of_files, no_file};
use crate::classify::Heard;

/// A look-up this old may be about a network that is gone: another is begun beside it …
const FRESH: Duration = Duration::from_secs(10);
/// … but no more than these for one name, and these in all.
const MOST_OF_A_NAME: usize = 3;
const MOST: usize = 12;

/// What a look-up came to; `None` while it lasts.
type Answer = watch::Receiver<Option<Result<Vec<SocketAddr>, Trouble>>>;

/// Why there are no addresses.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    NoFile,
    Unknown,
}

/// Look-ups under way. The process has one resolver, whoever asks it.
static UNDER_WAY: LazyLock<Mutex<UnderWay>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct UnderWay {
    last: u64,
    /// By name, the latest last.
    names: HashMap<String, Vec<LookUp>>,
}

struct LookUp {
    id: u64,
    begun: Instant,
    answer: Answer,
}

/// The addresses of a host, in the order in which to try them. An address is taken as it is, without asking anybody. Waits as
/// long as the system's resolver does: the caller holds the deadline.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Heard> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let unknown = || Heard::NoNetwork(format!("the name {host} could not be resolved"));
    let mut answer = look_up(host).ok_or_else(unknown)?;
    let found = answer.wait_for(Option::is_some).await.map_or(None, |found| found.clone());
    match found {
        Some(Ok(mut addresses)) if !addresses.is_empty() => {
            for address in &mut addresses {
                address.set_port(port);
            }
            Ok(in_turn(addresses))
        }
        Some(Err(Trouble::NoFile)) => Err(no_file()),
        Some(Ok(_) | Err(Trouble::Unknown)) | None => Err(unknown()),
    }
}

/// The look-up of this name that is under way, or a new one. `None` where there are too many.
fn look_up(host: &str) -> Option<Answer> {
    let mut under_way = lock();
    let all: usize = under_way.names.values().map(Vec::len).sum();
    let of_name = under_way.names.get(host).map_or(&[][..], Vec::as_slice);
    if let Some(latest) = of_name.last()
        && (latest.begun.elapsed() < FRESH || of_name.len() >= MOST_OF_A_NAME)
    {
        return Some(latest.answer.clone());
    }
    if all >= MOST {
        return None;
    }
    under_way.last += 1;
    let id = under_way.last;
    let (tell, answer) = watch::channel(None);
    let name = host.to_owned();
    let asking = move || {
        let found = (&*name, 0).to_socket_addrs().map(Iterator::collect).map_err(|error| trouble(&error));
        // First off the list, so that whoever comes now asks anew.
        let mut under_way = lock();
        if let Some(look_ups) = under_way.names.get_mut(&name) {
            look_ups.retain(|look_up| look_up.id != id);
            if look_ups.is_empty() {
                under_way.names.remove(&name);
            }
        }
        drop(under_way);
        // Nobody may be waiting any more.
        let _ = tell.send(Some(found));
    };
    thread::Builder::new().name("resolver".to_owned()).spawn(asking).ok()?;
    let look_up = LookUp { id, begun: Instant::now(), answer: answer.clone() };
    under_way.names.entry(host.to_owned()).or_default().push(look_up);
    Some(answer)
}

fn trouble(error: &io::Error) -> Trouble {
    if is_out_of_files(error) { Trouble::NoFile } else { Trouble::Unknown }
}

fn lock() -> MutexGuard<'static, UnderWay> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_name_is_offline_and_leaves_nothing_behind() {
        let asked = [resolve("keypulse.invalid", 993), resolve("keypulse.invalid", 587)];
        for found in futures_util::future::join_all(asked).await {
            assert!(matches!(found, Err(Heard::NoNetwork(_))), "{found:?}");
        }
        assert!(!lock().names.contains_key("keypulse.invalid"));
    }

    #[tokio::test]
    async fn an_address_is_nobodys_question() {
        for (host, expected) in [("127.0.0.1", "127.0.0.1:993"), ("::1", "[::1]:993")] {
            assert_eq!(resolve(host, 993).await.unwrap(), [expected.parse::<SocketAddr>().unwrap()]);
        }
        let local = resolve("localhost", 25).await.unwrap();
        assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 25), "{local:?}");
    }
}
