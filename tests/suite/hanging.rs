//! Servers that take a connection and never answer: four at a time, or as many as are allowed; no thread for any of them, the
//! socket answers all the while, and all is well once they do.

use keypulse::simulator::{Fault, Stage};

use crate::lab::{ICloud, Keypulse, Settings};

const CREDENTIALS: usize = 25;

/// All credentials, spread over so many accounts, each checked only on request.
pub fn crowd(icloud: &ICloud, keypulse: &Keypulse, accounts: usize) -> Settings {
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
