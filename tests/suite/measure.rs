//! The figures behind what the README and the release notes claim. Not part of the tests: nothing here can fail on a slow
//! machine. Run it on a release build:
//!
//! ```sh
//! apt-get install gnome-online-accounts    # the nearest peer, measured in the same run
//! cargo build --release
//! KEYPULSE_TEST_BINARY=target/release/keypulse cargo test --test suite measure -- --ignored --nocapture
//! ```

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::lab::{Bus, Dunst, Keypulse, Mail, Settings, account, binary};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: [&str; 5] =
    ["aaaa-efgh-ijkl-mnop", "bbbb-efgh-ijkl-mnop", "cccc-efgh-ijkl-mnop", "dddd-efgh-ijkl-mnop", "eeee-efgh-ijkl-mnop"];

/// Kilobytes of one line of `/proc/PID/smaps_rollup`.
fn kilobytes(pid: u32, line: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let found = text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    found.trim_matches([':', ' ']).trim_end_matches("kB").trim().parse().unwrap()
}

/// How often each thread of the process was woken.
fn wakeups(pid: u32) -> BTreeMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let woken = tasks.filter_map(|task| {
        let task = task.ok()?;
        let text = fs::read_to_string(task.path().join("status")).ok()?;
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((task.file_name().into_string().ok()?, count.trim().parse().ok()?))
    });
    woken.collect()
}

fn report(what: &str, value: impl std::fmt::Display) {
    println!("{what:<62} {value}");
}

#[test]
#[ignore = "measures, on a release build"]
fn figures() {
    let mail = Mail::start();
    mail.dovecot.set_passwords(ADDRESS, &OLD);
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let keypulse = Keypulse::new().on(&bus);
    let names = ["thunderbird", "msmtp", "mbsync", "nas", "phone"];
    let mut settings = Settings::for_mail(&mail)
        .desktop()
        .set("schedule", "interval", "\"2s\"")
        .set("schedule", "jitter", "\"0%\"")
        .set("schedule", "confirm", "[\"1s\", \"2s\"]")
        .account(ADDRESS);
    for (name, password) in names.iter().zip(OLD) {
        settings = settings.credential_file(name, &keypulse.secret(name, password));
    }
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    for name in names {
        daemon.until_health(name, "healthy");
    }
    println!();

    // One account, nothing to corroborate: three refused rounds. The policy alone takes interval/2 + confirm[1].
    let changed = Instant::now();
    mail.dovecot.set_passwords(ADDRESS, &["qrst-uvwx-yzab-cdef"]);
    daemon.until("a notification", |_| dunst.displayed() > 0);
    let took = changed.elapsed();
    let status = daemon.status_json();
    report("change on the server to notification (interval 2 s, confirm 2 s)", format!("{:.2} s", took.as_secs_f64()));
    report("failed logins on the server until then", mail.dovecot.failed_logins());
    report("  of five passwords; the status says", &account(&status, ADDRESS)["failed_logins_24h"]);
    drop(daemon);

    // Idle with five healthy credentials, at the usual interval, after a check.
    mail.dovecot.set_passwords(ADDRESS, &OLD);
    let keypulse = Keypulse::new().on(&bus).env("KEYPULSE_LOG", "info");
    let mut settings = Settings::for_mail(&mail).desktop().set("schedule", "interval", "\"1h\"").set(
        "schedule",
        "stale_after",
        "\"24h\"",
    );
    settings = settings.account(ADDRESS);
    for (name, password) in names.iter().zip(OLD) {
        settings = settings.credential_file(name, &keypulse.secret(name, password));
    }
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    for name in names {
        daemon.until_health(name, "healthy");
    }
    let (pid, before) = (daemon.pid(), wakeups(daemon.pid()));
    std::thread::sleep(Duration::from_secs(30)); // this is the measurement, not a wait for a state
    let after = wakeups(pid);
    let woken: u64 = after.iter().map(|(task, count)| count - before.get(task).unwrap_or(&0)).sum();
    let (rss, pss) = (kilobytes(pid, "Rss"), kilobytes(pid, "Pss"));
    report("idle daemon, 5 credentials: resident memory", format!("{rss} kB"));
    report("idle daemon, 5 credentials: proportional memory", format!("{pss} kB"));
    report("idle daemon: wake-ups in 30 s", woken);
    let binary = fs::metadata(binary()).unwrap().len();
    report("binary", format!("{binary} bytes"));

    let peer = "/usr/libexec/goa-daemon";
    if !Path::new(peer).exists() {
        report("peer (gnome-online-accounts)", "not installed: no ratio");
        return;
    }
    let mut goa = Command::new(peer)
        .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
        .env("HOME", keypulse.home())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    bus.wait_for("org.gnome.OnlineAccounts");
    let (goa_rss, goa_pss) = (kilobytes(goa.id(), "Rss"), kilobytes(goa.id(), "Pss"));
    goa.kill().unwrap();
    goa.wait().unwrap();
    report("peer (gnome-online-accounts, no account): resident memory", format!("{goa_rss} kB"));
    report("  keypulse needs of that", format!("{:.2}", ratio(rss, goa_rss)));
    report("peer: proportional memory", format!("{goa_pss} kB"));
    report("  keypulse needs of that", format!("{:.2}", ratio(pss, goa_pss)));
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes fit")]
fn ratio(ours: u64, theirs: u64) -> f64 {
    ours as f64 / theirs as f64
}
