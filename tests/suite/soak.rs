//! Days of life in a minute: thousands of checks, with deaths and repairs, reloads and questions between them, and the memory
//! of the daemon stays as it was.
//!
//! In the suite a small life; the long one comes after it in `tests/run`, alone on the machine:
//!
//! ```sh
//! cargo test --test suite soak:: -- --ignored --nocapture
//! ```
//!
//! On two cores, of a build without optimization: 7,536 KiB after 2,000 checks, 7,588 KiB after 20,000 more, in under three
//! minutes.

use keypulse::{health::evidence::Service, simulator::World};

use crate::lab::{Hook, ICloud, Keypulse, Running, Settings};

const ADDRESSES: [&str; 6] =
    ["a@icloud.com", "b@icloud.com", "c@icloud.com", "d@icloud.com", "e@icloud.com", "mortal@icloud.com"];
/// The daemon's own memory may grow by this much, in KiB.
const GROWTH: u64 = 1024;

/// A check is a connection to each of the two servers.
fn checks(world: &World) -> usize {
    usize::try_from(Service::ALL.into_iter().map(|service| world.connections(service)).sum::<u64>()).unwrap() / 2
}

struct Life<'home> {
    icloud: &'home ICloud,
    keypulse: &'home Keypulse,
    daemon: Running<'home>,
    hook: Hook,
    deaths: usize,
}

impl Life<'_> {
    /// Lives until so many checks have been made in all.
    fn until(&mut self, target: usize) {
        let step = 250;
        let mut next = checks(&self.icloud.world) + step;
        while next < target {
            self.wait(next);
            next += step;
            self.day();
        }
        self.wait(target);
    }

    /// Waits for so many checks, a few at a time: a loaded machine makes fewer in the time that a wait may take.
    fn wait(&self, target: usize) {
        let mut made = checks(&self.icloud.world);
        while made < target {
            let next = (made + 20).min(target);
            self.daemon.until("more checks", |_| checks(&self.icloud.world) >= next);
            made = next;
        }
    }

    /// What happens on some days: somebody looks, somebody edits, a password dies and is replaced.
    fn day(&mut self) {
        for path in ["/v1/status", "/v1/history", "/metrics", "/v1/explain"] {
            assert_eq!(self.keypulse.request("GET", path, "").unwrap().code, 200);
        }
        self.daemon.reload();
        self.icloud.world.reset_main_password(ADDRESSES[5]);
        self.daemon.until_health("mortal", "revoked");
        self.deaths += 1;
        self.keypulse.secret("mortal", &self.icloud.world.new_password(ADDRESSES[5]));
        self.daemon.until_health("mortal", "healthy");
        let resolved = || self.hook.events().iter().filter(|event| *event == "incident-resolved").count();
        self.daemon.until("all told", |_| resolved() == self.deaths);
    }
}

/// Memory after `settled` checks and after `all`, in KiB.
fn live(settled: usize, all: usize) -> (u64, u64) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new().env("KEYPULSE_LOG", "warn");
    let hook = Hook::of(&keypulse);
    let mut settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"10ms\"")
        .set("schedule", "confirm", "[\"10ms\", \"20ms\"]")
        .set("schedule", "outage_hold", "\"20ms\"")
        .set("limits", "failed_logins_per_account", "10000")
        .set("limits", "concurrent_checks", "6")
        .hook(&hook.command());
    for address in ADDRESSES {
        let name = address.split_once('@').unwrap().0;
        let secret = keypulse.secret(name, &icloud.world.new_password(address));
        settings = settings.account(address).credential_file(name, &secret);
    }
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == ADDRESSES.len());
    let mut life = Life { icloud: &icloud, keypulse: &keypulse, daemon, hook, deaths: 0 };
    life.until(settled);
    let before = life.daemon.own_memory_kib();
    life.until(all);
    let after = life.daemon.own_memory_kib();
    let told = life.hook.events();
    assert_eq!(told.len(), 2 * life.deaths, "each death told once, and each repair");
    (before, after)
}

#[test]
fn memory_stays_as_it_was() {
    let (before, after) = live(500, 2000);
    assert!(after.saturating_sub(before) < GROWTH, "{before} KiB, then {after} KiB");
}

#[test]
#[ignore = "20,000 checks: takes minutes"]
fn a_day_and_many_more() {
    let begun = std::time::Instant::now();
    let (before, after) = live(2000, 22_000);
    println!("own memory after 2,000 checks                  {before} KiB");
    println!("own memory after 20,000 more                   {after} KiB");
    println!("took                                           {:.0} s", begun.elapsed().as_secs_f64());
    assert!(after.saturating_sub(before) < GROWTH, "{before} KiB, then {after} KiB");
}
