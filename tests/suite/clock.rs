//! Clocks that go wrong. A wall clock that is set ahead and back by a year: libfaketime gives the daemon another one; the boot
//! clock, which keypulse counts by, is the machine's. And a machine that slept: while it does, the boot clock goes on and the
//! monotonic one stands still, and libfaketime sets the daemon's monotonic clock back by as much.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::lab::{Hook, ICloud, Keypulse, Settings, account, credential};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OTHER: &str = "jane@icloud.com";

/// A machine whose wall clock can be set.
struct Machine {
    icloud: ICloud,
    keypulse: Keypulse,
    hook: Hook,
}

impl Machine {
    fn new() -> Self {
        let icloud = ICloud::start();
        let keypulse = with_clocks().env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let hook = Hook::of(&keypulse);
        let machine = Self { icloud, keypulse, hook };
        let mut settings = Settings::for_icloud(&machine.icloud)
            .set("schedule", "interval", "\"100ms\"")
            .set("schedule", "confirm", "[\"50ms\", \"100ms\"]")
            .set("schedule", "retest_revoked", "\"24h\"")
            .hook(&machine.hook.command());
        for (address, name) in [(ADDRESS, "mutt"), (OTHER, "nas")] {
            let secret = machine.keypulse.secret(name, &machine.icloud.world.new_password(address));
            settings = settings.account(address).credential_file(name, &secret);
        }
        machine.keypulse.configure(&settings);
        machine
    }

    /// Sets the wall clock: so far from the right time.
    fn set(&self, by: &str) {
        set(&self.keypulse, by);
    }
}

/// Its clocks can be set, and are right.
fn with_clocks() -> Keypulse {
    let home = Keypulse::new();
    let clock = home.home().join("clock");
    let keypulse = home
        .env("LD_PRELOAD", library().to_str().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1");
    set(&keypulse, "+0");
    keypulse
}

/// Sets its clocks: so far from the right time.
fn set(keypulse: &Keypulse, by: &str) {
    let (clock, new) = (keypulse.home().join("clock"), keypulse.home().join("clock.new"));
    fs::write(&new, by).unwrap();
    fs::rename(new, clock).unwrap();
}

/// A machine that nobody tells of sleep: without logind, as on others than systemd's.
#[test]
fn a_sleep_that_nobody_tells_of_is_seen_by_the_clocks_and_everything_is_checked_once() {
    let icloud = ICloud::start();
    let keypulse = with_clocks();
    let settings = Settings::for_icloud(&icloud).only_on_request().account(ADDRESS);
    let settings = ["mutt", "nas"].iter().fold(settings, |settings, name| {
        settings.credential_file(name, &keypulse.secret(name, &icloud.world.new_password(ADDRESS)))
    });
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    let logins = || icloud.world.logins().len();
    assert_eq!(logins(), 4);
    // It looks whenever something wakes it. A monotonic clock that is ahead tells of no sleep, …
    set(&keypulse, "+4s");
    daemon.reload();
    daemon.until_log("configuration read again");
    assert!(!daemon.log().contains("the machine slept"), "{}", daemon.log());
    // … and one that fell behind, of one.
    set(&keypulse, "+2s");
    daemon.reload();
    daemon.until_log("the machine slept");
    daemon.until("another check of each", |_| logins() >= 8);
    let planned = |status: &Value, name: &str| {
        let time = |value: &Value| value.as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
        let (at, now) = (time(&credential(status, name)["next_check_at"]), time(&status["generated_at"]));
        at.zip(now).is_some_and(|(at, now)| at.duration_since(now).as_mins() > 30)
    };
    let status = daemon.until("nothing more to do", |status| planned(status, "mutt") && planned(status, "nas"));
    assert_eq!(status["counts"]["healthy"], 2, "{status:#}");
    assert_eq!(
        (logins(), daemon.log().matches("the machine slept").count()),
        (8, 1),
        "once is enough: {}",
        daemon.log()
    );
}

/// Wherever the architecture puts it.
fn library() -> PathBuf {
    let mut places = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = places.find_map(|place| Some(place.join("faketime/libfaketime.so.1")).filter(|path| path.exists()));
    found.expect("libfaketime, from tests/packages.txt")
}

fn year(status: &Value) -> i32 {
    status["generated_at"].as_str().unwrap()[..4].parse().unwrap()
}

#[test]
fn a_clock_set_ahead_and_back_by_a_year_changes_no_verdict() {
    let machine = Machine::new();
    let daemon = machine.keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    machine.icloud.world.reset_main_password(ADDRESS);
    let status = daemon.until_health("mutt", "revoked");
    machine.hook.until("incident-opened");
    let now = year(&status);
    let failed = account(&status, ADDRESS)["failed_logins_24h"].clone();
    for (by, shown) in [("+366d", now + 1), ("-366d", now - 1), ("+366d", now + 1), ("+0", now)] {
        machine.set(by);
        let status = daemon.until(&format!("the year {shown}"), |status| year(status) == shown);
        assert_eq!(credential(&status, "mutt")["health"], "revoked", "{by}: {status:#}");
        // The certificates do not fit that clock: that is no fault of the password, and no acceptance either.
        let connections = machine.icloud.connections();
        let status = daemon.until("more rounds", |_| machine.icloud.connections() >= connections + 4);
        assert_eq!(credential(&status, "nas")["health"], "healthy", "{by}: {status:#}");
        assert_eq!(
            account(&status, ADDRESS)["failed_logins_24h"],
            failed,
            "{by}: the ration of the day is spent still"
        );
        let incident = &account(&status, ADDRESS)["incident"];
        assert_eq!(incident["cause"], "reset-or-revoked", "{by}: {status:#}");
        assert_eq!(
            incident["since"].as_str().unwrap()[..4],
            shown.to_string(),
            "{by}: times go with the clock on the wall"
        );
    }
    daemon.until("an acceptance by the right clock", |status| {
        credential(status, "nas")["services"][0]["finding"] == "accepted"
    });
    let log = daemon.log();
    assert!(log.contains("tls-failed"), "the clock was seen by all of it: {log}");
    assert_eq!(log.matches("-> revoked").count(), 1, "{log}");
    assert!(!log.contains("-> stale"), "{log}");
    assert_eq!(machine.hook.events(), ["incident-opened"], "nobody was reminded before the time");
}

#[test]
fn a_restart_under_a_wrong_clock_forgets_and_repeats_nothing() {
    let machine = Machine::new();
    let daemon = machine.keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    machine.icloud.world.reset_main_password(ADDRESS);
    daemon.until_health("mutt", "revoked");
    machine.hook.until("incident-opened");
    daemon.until_log("hook told");
    let failed = account(&daemon.status_json(), ADDRESS)["failed_logins_24h"].clone();
    drop(daemon);
    for by in ["+366d", "-366d", "+0"] {
        machine.set(by);
        // Without a daemon, and with one.
        let stored = machine.keypulse.command(&["status", "--json"]);
        let stored: Value = serde_json::from_str(&stored.stdout).unwrap();
        let daemon = machine.keypulse.run();
        for status in [stored, daemon.status_json()] {
            assert_eq!(credential(&status, "mutt")["health"], "revoked", "{by}: {status:#}");
            assert_eq!(credential(&status, "nas")["health"], "healthy", "{by}: {status:#}");
            let spent = &account(&status, ADDRESS)["failed_logins_24h"];
            assert!(spent.as_u64() >= failed.as_u64(), "{by}: {status:#}");
        }
        let connections = machine.icloud.connections();
        daemon.until("more rounds", |_| machine.icloud.connections() >= connections + 4);
        assert!(daemon.terminate().0.success());
    }
    assert_eq!(machine.hook.events(), ["incident-opened"]);
}
