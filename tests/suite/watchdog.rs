//! What the service manager is told, word for word; and what wakes the daemon between two checks: the watchdog's ping, and
//! nothing else. The kernel counts that, on a machine with both buses (one that is not there is looked for again, ever later).

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

    /// What came since the last look.
    fn messages(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let next = || {
            let length = self.0.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
        };
        std::iter::from_fn(next).collect()
    }

    /// Waits for so many pings; how many came.
    #[track_caller]
    fn hear(&self, pings: u64) -> u64 {
        let mut heard = 0;
        until(&format!("{pings} pings"), || {
            heard += self.messages().iter().filter(|message| message.trim_end() == "WATCHDOG=1").count() as u64;
            (heard >= pings).then_some(heard)
        })
    }

    /// Waits for a message that begins so; that one, and what came before it.
    #[track_caller]
    fn until(&self, begin: &str) -> Vec<String> {
        let mut heard = Vec::new();
        until(begin, || {
            heard.extend(self.messages());
            heard.iter().any(|message| message.starts_with(begin)).then_some(())
        });
        heard
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

#[test]
fn the_manager_is_told_of_start_reload_and_end() {
    let (icloud, session, system) = (ICloud::start(), Bus::start(), Bus::start());
    let mut keypulse = person(&icloud, &session, &system);
    let socket = keypulse.home().join("notify");
    let manager = Manager::at(&socket);
    keypulse.set_env("NOTIFY_SOCKET", socket.to_str().unwrap());
    let daemon = keypulse.run();
    manager.until("READY=1");
    manager.until("STATUS=1 password healthy, next check ");
    let monotonic = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec * 1_000_000 + now.tv_nsec / 1000
    };
    let before = monotonic();
    daemon.reload();
    let heard = manager.until("READY=1");
    // One message: the manager must not see the one without the other (sd_notify(3), "RELOADING=1").
    let at = heard.iter().find_map(|message| message.strip_prefix("RELOADING=1\nMONOTONIC_USEC="));
    let at: i64 = at.unwrap_or_else(|| panic!("{heard:?}")).trim_end().parse().unwrap();
    assert!((before..=monotonic()).contains(&at), "{at} is not between {before} and now");
    let (status, _) = daemon.terminate();
    assert!(status.success(), "{status}");
    manager.until("STOPPING=1");
}
