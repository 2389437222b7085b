//! Servers that take a connection and never answer: four at a time, or as many as are allowed; no thread for any of them, the
//! socket answers all the while, and all is well once they do.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use keypulse::simulator::{Fault, Stage};

use crate::lab::{Bus, ICloud, Keypulse, Settings};

const CREDENTIALS: usize = 25;

/// All credentials, spread over so many accounts, each checked only on request.
fn crowd(icloud: &ICloud, keypulse: &Keypulse, accounts: usize) -> Settings {
    let mut settings = Settings::for_icloud(icloud).only_on_request().set("schedule", "timeout", "\"5m\"");
    for account in 0..accounts {
        let address = format!("person{account}@icloud.com");
        settings = settings.account(&address);
        for name in (account..CREDENTIALS).step_by(accounts).map(|n| format!("mutt{n}")) {
            settings = settings.credential_file(&name, &keypulse.secret(&name, &icloud.world.new_password(&address)));
        }
    }
    settings
}

#[track_caller]
fn check(accounts: usize, change: impl Fn(Settings) -> Settings, connections: usize) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    keypulse.configure(&change(crowd(&icloud, &keypulse, accounts)));
    icloud.set_fault(Some(&Fault::Hang(Stage::Login)));
    let daemon = keypulse.run();
    daemon.until("as many connections as there may be", |_| icloud.world.logins().len() == connections);
    // It stays so, however often it is asked meanwhile.
    for _ in 0..20 {
        assert_eq!(daemon.status_json()["counts"]["unknown"], CREDENTIALS);
        assert_eq!(icloud.open_connections(), connections as u64);
    }
    let mut asked: Vec<_> = icloud.world.logins().into_iter().filter_map(|login| login.account).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), connections, "at most one connection per account");
    let waiting = keypulse.request("POST", "/v1/check", r#"{"names": [], "wait_s": 1}"#).unwrap();
    assert_eq!(waiting.code, 202, "{waiting:?}");
    assert_eq!(icloud.open_connections(), connections as u64);
    // What read the files has gone home, and nobody who waits has a thread of his own.
    daemon.until("the loop alone", |_| daemon.threads() == 1);
    assert_eq!(icloud.open_connections(), connections as u64);
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took.as_secs() < 2, "{took:?}");
    // Healthy servers again: all of them.
    icloud.set_fault(None);
    let daemon = keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == CREDENTIALS);
}

#[test]
fn as_many_hang_as_may_be_asked_at_a_time() {
    check(8, |settings| settings, 4);
}

#[test]
fn all_of_them_hang_at_once() {
    check(CREDENTIALS, |settings| settings.set("limits", "concurrent_checks", "25"), CREDENTIALS);
}

/// How long the socket takes to answer while 25 logins hang, beside what the nearest peer takes for the least question on D-Bus.
/// On two cores, of a build without optimization, of 1,000 questions: median 0.6 ms (the peer 0.6 ms), the worst 7 ms.
#[test]
#[ignore = "measures"]
fn how_soon_the_socket_answers_meanwhile() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new().env("KEYPULSE_LOG", "warn");
    let settings = crowd(&icloud, &keypulse, CREDENTIALS).set("limits", "concurrent_checks", "25");
    keypulse.configure(&settings);
    icloud.set_fault(Some(&Fault::Hang(Stage::Login)));
    let daemon = keypulse.run();
    daemon.until("all hang", |_| icloud.world.logins().len() == CREDENTIALS);
    let ours = times(|| assert_eq!(keypulse.request("GET", "/v1/status", "").unwrap().code, 200));
    assert_eq!(icloud.open_connections(), CREDENTIALS as u64);
    report("GET /v1/status of 25 credentials that hang", &ours);

    let peer = "/usr/libexec/goa-daemon";
    if !Path::new(peer).exists() {
        println!("peer (gnome-online-accounts): not installed, no ratio");
        return;
    }
    let bus = Bus::start();
    let home = keypulse.home();
    let mut goa = Command::new(peer);
    goa.env("DBUS_SESSION_BUS_ADDRESS", bus.address()).env("HOME", home).stdout(Stdio::null()).stderr(Stdio::null());
    let mut goa = goa.spawn().unwrap();
    bus.wait_for("org.gnome.OnlineAccounts");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect = || zbus::connection::Builder::address(&*bus.address()).build();
    let ask = |connection: zbus::Connection| async move {
        let (name, root) = ("org.gnome.OnlineAccounts", "/org/gnome/OnlineAccounts");
        let manager = Some("org.freedesktop.DBus.ObjectManager");
        connection.call_method(Some(name), root, manager, "GetManagedObjects", &()).await.unwrap();
    };
    // A connection for each question, as ours has.
    let theirs = times(|| runtime.block_on(async { ask(connect().await.unwrap()).await }));
    report("peer, its list of no account, on D-Bus", &theirs);
    println!(
        "ratio of the medians: {:.2}",
        ours[ours.len() / 2].as_secs_f64() / theirs[theirs.len() / 2].as_secs_f64()
    );
    goa.kill().unwrap();
    goa.wait().unwrap();
}

/// A thousand times, sorted.
fn times(ask: impl Fn()) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let begun = Instant::now();
            ask();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times
}

fn report(what: &str, times: &[Duration]) {
    let [median, most, worst] = [times.len() / 2, times.len() * 99 / 100, times.len() - 1].map(|at| times[at]);
    println!("{what:<50} median {median:.2?}, 99 % {most:.2?}, worst {worst:.2?}");
}
