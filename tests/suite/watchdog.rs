//! What wakes the daemon between two checks: the watchdog's ping, and nothing else. The kernel counts it, on a machine with both
//! buses (one that is not there is looked for again, ever later).

use std::{collections::BTreeMap, fs, os::unix::net::UnixDatagram, path::Path};

use crate::lab::{Bus, ICloud, Keypulse, Running, Settings, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
/// Pings that are counted.
const PINGS: u64 = 20;

/// The service manager's end of `NOTIFY_SOCKET` (`sd_notify(3)`).
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// Waits for so many pings; how many came.
    #[track_caller]
    fn hear(&self, pings: u64) -> u64 {
        let (mut message, mut heard) = ([0; 4096], 0);
        until(&format!("{pings} pings"), || {
            while let Ok(length) = self.0.recv(&mut message) {
                heard += u64::from(message[..length].starts_with(b"WATCHDOG=1"));
            }
            (heard >= pings).then_some(heard)
        })
    }
}

/// How often each thread went to sleep so far, and so was woken.
fn sleeps(daemon: &Running<'_>) -> BTreeMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let count = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("status")).ok()?;
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((task.file_name().into_string().ok()?, count.trim().parse().ok()?))
    };
    tasks.filter_map(|task| count(task.ok()?)).collect()
}

/// How often those that are still there were woken since.
fn woken(daemon: &Running<'_>, before: &BTreeMap<String, u64>) -> u64 {
    sleeps(daemon).iter().map(|(task, count)| count - before.get(task).unwrap_or(&0)).sum()
}

/// One healthy password, nothing due for an hour.
fn person(icloud: &ICloud, session: &Bus, system: &Bus) -> Keypulse {
    let keypulse = Keypulse::new().on(session).on_machine(system);
    let secret = keypulse.secret("mutt", &icloud.world.new_password(ADDRESS));
    let settings = Settings::for_icloud(icloud).only_on_request().desktop().account(ADDRESS);
    keypulse.configure(&settings.credential_file("mutt", &secret));
    keypulse
}

#[test]
fn the_ping_is_the_only_timer_between_checks() {
    let (icloud, session, system) = (ICloud::start(), Bus::start(), Bus::start());
    let [mut watched, unwatched] = [(); 2].map(|()| person(&icloud, &session, &system));
    let socket = watched.home().join("notify");
    let manager = Manager::at(&socket);
    watched.set_env("NOTIFY_SOCKET", socket.to_str().unwrap());
    watched.set_env("WATCHDOG_USEC", "200000");
    let [watched, unwatched] = [&watched, &unwatched].map(Keypulse::run);
    for daemon in [&watched, &unwatched] {
        daemon.until_health("mutt", "healthy");
    }
    until("the end of what the check and the questions left to do", || {
        let before = sleeps(&unwatched);
        manager.hear(5);
        (woken(&unwatched, &before) == 0).then_some(())
    });
    manager.hear(1);
    let before = [&watched, &unwatched].map(sleeps);
    let pings = manager.hear(PINGS);
    let [with, without] =
        [(&watched, &before[0]), (&unwatched, &before[1])].map(|(daemon, before)| woken(daemon, before));
    assert_eq!(without, 0, "woken by itself");
    // It may still be on its way to sleep, or on its way from it.
    assert!(with.abs_diff(pings) <= 1, "{with} times woken for {pings} pings");
}
