//! Sleep, and networks that come and go, through the real binary: logind and NetworkManager as python-dbusmock plays them, and
//! the kernel's own routes in a network that one test has for itself.
//!
//! A sleep that only the clocks tell of is in `clock.rs`. What is left for a machine that really sleeps: that the kernel then wakes
//! the loop at once (`host/machine/sleep.rs`).

use keypulse::{
    health::evidence::Service,
    simulator::{Fault, Stage},
};
use serde_json::Value;

use crate::lab::{
    Bus, ICloud, Island, Keypulse, Logind, NetworkManager, Running, Settings, account, credential, until,
};

const ADDRESS: &str = "johnappleseed@icloud.com";
const NAMES: [&str; 2] = ["mutt", "nas"];

/// A person with two passwords, both alive, of which nothing is due for an hour.
fn person(icloud: &ICloud) -> Keypulse {
    let keypulse = Keypulse::new();
    configure(&keypulse, icloud, |settings| settings);
    keypulse
}

fn configure(keypulse: &Keypulse, icloud: &ICloud, more: impl FnOnce(Settings) -> Settings) {
    let mut settings = more(Settings::for_icloud(icloud).only_on_request()).account(ADDRESS);
    for name in NAMES {
        let password = icloud.world.new_password(ADDRESS);
        settings = settings.credential_file(name, &keypulse.secret(name, &password));
    }
    keypulse.configure(&settings);
}

/// On an island, where the servers are somewhere else.
fn far_away(settings: Settings) -> Settings {
    let host = format!("{:?}", Island::HOST);
    settings.set("imap", "host", &host).set("smtp", "host", &host)
}

/// The logins so far on one service.
fn logins(icloud: &ICloud, service: Service) -> usize {
    icloud.world.logins().iter().filter(|login| login.service == service).count()
}

fn all_healthy(status: &Value) -> bool {
    NAMES.iter().all(|name| credential(status, name)["health"] == "healthy")
}

/// Waits until every password was accepted `times` times, and asserts that no further check is planned before long.
#[track_caller]
fn checked(daemon: &Running<'_>, icloud: &ICloud, times: usize) {
    until(&format!("{times} logins each"), || (logins(icloud, Service::Smtp) >= 2 * times).then_some(()));
    let status = daemon.until("the end of the checks", |status| {
        NAMES.iter().all(|name| {
            let credential = credential(status, name);
            let planned = credential["next_check_at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
            let now: jiff::Timestamp = status["generated_at"].as_str().unwrap().parse().unwrap();
            planned.is_some_and(|at| at.duration_since(now).as_mins() > 30)
        })
    });
    assert!(all_healthy(&status), "{status:#}");
    let counted = Service::ALL.map(|service| logins(icloud, service));
    assert_eq!(counted, [2 * times; 2], "once is enough\n{}", daemon.log());
}

#[test]
fn after_resume_everything_is_checked_once() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let logind = Logind::start(&bus);
    let keypulse = person(&icloud).on_machine(&bus);
    let daemon = keypulse.run();
    checked(&daemon, &icloud, 1);
    logind.prepare_for_sleep(true);
    daemon.until_log("the machine goes to sleep");
    logind.prepare_for_sleep(false);
    checked(&daemon, &icloud, 2);
}

#[test]
fn a_login_under_way_when_the_lid_closes_counts_for_nothing() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let logind = Logind::start(&bus);
    let keypulse = person(&icloud).on_machine(&bus);
    let daemon = keypulse.run();
    checked(&daemon, &icloud, 1);
    // Both services would refuse now; one has said so, the other has been asked and is silent.
    icloud.world.set_fault(Service::Imap, Some(Fault::RejectValid));
    icloud.world.set_fault(Service::Smtp, Some(Fault::Hang(Stage::Login)));
    let answer = keypulse.request("POST", "/v1/check", r#"{"names": ["mutt"], "wait_s": 0}"#).unwrap();
    assert_eq!(answer.code, 202, "{answer:?}");
    until("a login under way", || (logins(&icloud, Service::Smtp) == 3).then_some(()));
    logind.prepare_for_sleep(true);
    until("its end", || (icloud.open_connections() == 0).then_some(()));
    let status = daemon.status_json();
    assert!(all_healthy(&status), "{status:#}");
    icloud.set_fault(None);
    logind.prepare_for_sleep(false);
    let status = daemon.until("the check after it", |status| {
        all_healthy(status)
            && logins(&icloud, Service::Smtp) >= 5
            && credential(status, "nas")["next_check_at"].is_string()
    });
    assert_eq!(account(&status, ADDRESS)["failed_logins_24h"], 1, "the refusal was a failed login all the same");
    assert_eq!(account(&status, ADDRESS)["incident"], Value::Null);
    let history = keypulse.command(&["history", "--json"]).ok();
    assert!(!history.contains("suspect"), "{history}");
}

#[test]
fn a_logind_that_restarts_is_heard_again() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let keypulse = person(&icloud).on_machine(&bus);
    let daemon = keypulse.run();
    checked(&daemon, &icloud, 1);
    // It comes after the daemon, announces sleep, and dies before it says that it is over.
    let logind = Logind::start(&bus);
    logind.prepare_for_sleep(true);
    daemon.until_log("the machine goes to sleep");
    logind.stop();
    let logind = Logind::start(&bus);
    daemon.until_log("the machine is awake");
    checked(&daemon, &icloud, 2);
    logind.stop();
}

#[test]
fn no_check_is_started_on_a_network_that_networkmanager_calls_down() {
    Island::run("laptop::no_check_is_started_on_a_network_that_networkmanager_calls_down", || {
        let (icloud, bus) = (ICloud::start(), Bus::start());
        let manager = NetworkManager::start(&bus);
        manager.state(20);
        let keypulse = Keypulse::new().on_machine(&bus);
        configure(&keypulse, &icloud, far_away);
        let daemon = keypulse.run();
        daemon.until("offline", |status| status["daemon"]["online"] == false);
        // A person who asks is told so, and that is all.
        let said = keypulse.command(&["check", "mutt", "--json"]).stdout;
        assert!(said.contains(r#""cause": "offline""#) && said.contains("no connection was made"), "{said}");
        assert_eq!(icloud.connections(), 0, "{}", daemon.log());
        manager.state(70);
        daemon.until("online", |status| status["daemon"]["online"] == true);
        checked(&daemon, &icloud, 1);
        // It restarts, and nobody says that there is a network meanwhile.
        manager.stop();
        daemon.until("offline", |status| status["daemon"]["online"] == false);
        let manager = NetworkManager::start(&bus);
        daemon.until("online", |status| status["daemon"]["online"] == true);
        checked(&daemon, &icloud, 2);
        manager.stop();
    });
}

#[test]
fn a_network_that_comes_and_goes_is_checked_once() {
    Island::run("laptop::a_network_that_comes_and_goes_is_checked_once", || {
        let (icloud, bus) = (ICloud::start(), Bus::start());
        let manager = NetworkManager::start(&bus);
        let keypulse = Keypulse::new().on_machine(&bus);
        // The settle time must outlast the flapping.
        configure(&keypulse, &icloud, |settings| far_away(settings).set("schedule", "settle", "\"3s\""));
        let daemon = keypulse.run();
        daemon.until("online", |status| status["daemon"]["online"] == true);
        manager.flap(10);
        checked(&daemon, &icloud, 1);
    });
}

#[test]
fn without_networkmanager_the_kernels_routes_say_whether_there_is_a_network() {
    Island::run("laptop::without_networkmanager_the_kernels_routes_say_whether_there_is_a_network", || {
        let icloud = ICloud::start();
        let keypulse = Keypulse::new();
        configure(&keypulse, &icloud, |settings| far_away(settings).set("schedule", "settle", "\"1s\""));
        let daemon = keypulse.run();
        assert_eq!(daemon.status_json()["daemon"]["online"], false);
        assert_eq!(icloud.connections(), 0);
        Island::connect();
        daemon.until("online", |status| status["daemon"]["online"] == true);
        Island::flap(20);
        checked(&daemon, &icloud, 1);
        Island::disconnect();
        daemon.until("offline", |status| status["daemon"]["online"] == false);
        assert_eq!(credential(&daemon.status_json(), "mutt")["next_check_at"], Value::Null);
    });
}

#[test]
fn servers_on_this_machine_need_no_network() {
    Island::run("laptop::servers_on_this_machine_need_no_network", || {
        let icloud = ICloud::start();
        let keypulse = person(&icloud);
        let daemon = keypulse.run();
        checked(&daemon, &icloud, 1);
        assert_eq!(daemon.status_json()["daemon"]["online"], true);
    });
}
