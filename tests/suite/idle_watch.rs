//! The `idle` watch, through the real binary: against the simulator, which can be made to close a revoked session, and
//! against Dovecot.

use std::collections::BTreeSet;

use keypulse::{
    health::evidence::Service,
    simulator::{Farewell, Idling, Options},
};
use serde_json::Value;

use crate::lab::{
    Bus, ICloud, Keypulse, Logind, Mail, NetworkManager, Running, Settings, account, clean, credential, run, until,
};

const ADDRESS: &str = "johnappleseed@icloud.com";

/// An hour between checks, so that nothing but the watch can be the reason of one; confirmations in fractions of a second.
fn settings(settings: Settings) -> Settings {
    settings
        .set("schedule", "interval", "\"1h\"")
        .set("schedule", "stale_after", "\"24h\"")
        .set("schedule", "confirm", "[\"300ms\", \"800ms\"]")
        .set("watch", "idle", "true")
}

/// A person with one password, watched.
fn person(icloud: &ICloud) -> (Keypulse, String) {
    let keypulse = Keypulse::new();
    let password = icloud.world.new_password(ADDRESS);
    let settings = settings(Settings::for_icloud(icloud)).account(ADDRESS);
    keypulse.configure(&settings.credential_file("mutt", &keypulse.secret("mutt", &password)));
    (keypulse, password)
}

#[track_caller]
fn stands(daemon: &Running<'_>) {
    daemon.until("the idle watch", |status| account(status, ADDRESS)["idle_watch"]["credential"] == "mutt");
}

#[track_caller]
fn stands_not(daemon: &Running<'_>) {
    daemon.until("no idle watch", |status| account(status, ADDRESS)["idle_watch"] == Value::Null);
}

/// What the rounds were for, in their order.
fn purposes(keypulse: &Keypulse) -> Vec<String> {
    let explained = keypulse.command(&["explain", "mutt", "--json"]).ok();
    let explained: Value = serde_json::from_str(&explained).unwrap();
    let evidence = explained["accounts"][0]["credentials"][0]["evidence"].as_array().unwrap().clone();
    evidence.iter().map(|round| round["purpose"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_revoked_session_that_the_server_closes_is_found_by_its_end() {
    for farewell in [Farewell::Bye, Farewell::Cut] {
        let icloud = ICloud::with(Options { revocation_ends_sessions: Some(farewell), ..Options::default() });
        let (keypulse, password) = person(&icloud);
        let daemon = keypulse.run();
        stands(&daemon);
        icloud.world.revoke(ADDRESS, &password);
        daemon.until_health("mutt", "revoked");
        let purposes = purposes(&keypulse);
        let refused = purposes.iter().position(|purpose| purpose == "dropped").expect("a check for the drop");
        assert_eq!(purposes[refused + 1..], ["confirm", "confirm"], "{purposes:?}");
        let page = keypulse.command(&["explain", "mutt"]).ok();
        assert!(page.contains("the idle watch's connection ended"), "{page}");
        assert_eq!(account(&daemon.status_json(), ADDRESS)["idle_watch"], Value::Null);
        assert_eq!(icloud.world.idling(ADDRESS), Vec::<Vec<String>>::new());
    }
}

#[test]
fn a_session_that_ends_without_a_reason_is_checked_and_opened_again() {
    let icloud = ICloud::start();
    let (keypulse, _) = person(&icloud);
    let daemon = keypulse.run();
    stands(&daemon);
    let connections = icloud.world.connections(Service::Imap);
    icloud.world.disconnect(ADDRESS, Farewell::Cut);
    // The check on both services, and then a connection to stay.
    until("the check and a new watch", || {
        let opened = icloud.world.connections(Service::Imap) >= connections + 2;
        (opened && icloud.world.idling(ADDRESS).len() == 1).then_some(())
    });
    stands(&daemon);
    let status = daemon.status_json();
    assert_eq!(credential(&status, "mutt")["health"], "healthy");
    assert_eq!(account(&status, ADDRESS)["failed_logins_24h"], 0);
    assert!(keypulse.command(&["history", "--json"]).ok().lines().count() == 1, "a drop is no evidence");
}

#[test]
fn one_connection_with_one_login_and_no_mailbox() {
    let icloud = ICloud::start();
    let (keypulse, _) = person(&icloud);
    let daemon = keypulse.run();
    stands(&daemon);
    until("IDLE", || (icloud.world.idling(ADDRESS) == [["IDLE"]]).then_some(()));
    let logins = icloud.world.logins();
    assert!(logins.iter().all(|login| login.auth_commands == 1 && login.encrypted), "{logins:?}");
    let connections: BTreeSet<u64> = logins.iter().map(|login| login.connection).collect();
    assert_eq!(connections.len(), logins.len(), "each login has a connection of its own");
    // The kernel asks now and then whether the other end is still there.
    let there = format!("dport = :{}", icloud.port(Service::Imap));
    let connections = run(clean("ss").args(["-tnoH", "state", "established", &there]), "").ok();
    assert!(connections.contains("timer:(keepalive,"), "{connections}");
    // Seen by people, and by other programs.
    let page = keypulse.command(&["status"]).ok();
    assert!(page.contains("Idle watch on mutt since"), "{page}");
    let page = keypulse.command(&["explain"]).ok();
    assert!(page.contains("a connection of mutt stands open since"), "{page}");
    let page = keypulse.command(&["doctor"]).stdout;
    assert!(page.contains("stands open on mutt"), "{page}");
}

#[test]
fn where_idle_wants_a_mailbox_it_is_looked_at_and_not_touched() {
    let icloud = ICloud::with(Options { idle: Idling::InMailbox, ..Options::default() });
    let (keypulse, _) = person(&icloud);
    let daemon = keypulse.run();
    stands(&daemon);
    until("IDLE", || (icloud.world.idling(ADDRESS) == [["IDLE", "EXAMINE", "IDLE"]]).then_some(()));
}

#[test]
fn a_server_without_idle_is_left_in_peace() {
    let icloud = ICloud::with(Options { idle: Idling::Never, ..Options::default() });
    let (keypulse, _) = person(&icloud);
    let daemon = keypulse.run();
    daemon.until_log("unfit=true");
    stands_not(&daemon);
    until("its end", || (icloud.open_connections() == 0).then_some(()));
    assert_eq!(credential(&daemon.status_json(), "mutt")["health"], "healthy");
}

#[test]
fn it_is_off_in_a_pause_in_sleep_on_metered_connections_and_where_it_is_not_asked_for() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let (logind, manager) = (Logind::start(&bus), NetworkManager::start(&bus));
    let (keypulse, password) = person(&icloud);
    let keypulse = keypulse.on_machine(&bus);
    let daemon = keypulse.run();
    let off = || {
        stands_not(&daemon);
        until("no connection", || (icloud.open_connections() == 0).then_some(()));
    };
    stands(&daemon);
    keypulse.command(&["pause"]).ok();
    off();
    keypulse.command(&["resume"]).ok();
    stands(&daemon);
    logind.prepare_for_sleep(true);
    off();
    logind.prepare_for_sleep(false);
    stands(&daemon);
    manager.metered(true);
    off();
    manager.metered(false);
    stands(&daemon);
    let quiet = settings(Settings::for_icloud(&icloud)).set("watch", "idle", "false").account(ADDRESS);
    keypulse.configure(&quiet.credential_file("mutt", &keypulse.secret("mutt", &password)));
    daemon.reload();
    off();
    assert!(!purposes(&keypulse).contains(&"dropped".to_owned()), "what keypulse ends itself is no drop");
}

#[test]
fn it_stands_on_dovecot_until_it_is_kicked() {
    const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::new();
    let settings = settings(Settings::for_mail(&mail)).account(ADDRESS);
    keypulse.configure(&settings.credential_file("mutt", &keypulse.secret("mutt", PASSWORD)));
    let daemon = keypulse.run();
    stands(&daemon);
    until("one session", || (mail.dovecot.sessions("johnappleseed") == 1).then_some(()));
    // Revoked, and its sessions are ended.
    mail.dovecot.set_passwords(ADDRESS, &[]);
    mail.dovecot.kick("johnappleseed");
    daemon.until_health("mutt", "revoked");
    assert!(purposes(&keypulse).contains(&"dropped".to_owned()), "{:?}", purposes(&keypulse));
}
