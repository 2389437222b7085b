//! No file descriptor is left: checks prove nothing, the socket still answers and says so, and all goes on when there are some
//! again.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::{Value, json};

use crate::lab::{Hook, ICloud, Keypulse, Running, Settings, account, credential, run, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
const NAME: &str = "thunderbird";

/// Sets how many descriptors the daemon may have; `None` is what it had before.
#[track_caller]
fn limit(daemon: &Running<'_>, most: Option<usize>) {
    let most = most.map_or("1024".to_owned(), |most| most.to_string());
    let command = ["--pid", &daemon.pid().to_string(), &format!("--nofile={most}:")].map(str::to_owned);
    run(Command::new("prlimit").args(command), "").ok();
}

/// The lowest number that is free: with this as the limit nothing more can be opened. A connection that the daemon has not
/// closed yet would leave its number free later.
#[track_caller]
fn lowest_free(keypulse: &Keypulse, daemon: &Running<'_>) -> usize {
    let socket = keypulse.socket();
    until("nobody connected", || {
        let all = fs::read_to_string("/proc/net/unix").unwrap();
        (all.lines().filter(|line| line.ends_with(socket.to_str().unwrap())).count() == 1).then_some(())
    });
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let open: BTreeSet<usize> =
        open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    (0..1024).find(|number| !open.contains(number)).unwrap()
}

/// A text without its line ends.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn without_file_descriptors_it_lives_on_and_says_so() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let hook = Hook::of(&keypulse);
    let password = icloud.world.new_password(ADDRESS);
    let secret = keypulse.secret(NAME, &password);
    let settings = Settings::for_icloud(&icloud).only_on_request().hook(&hook.command()).account(ADDRESS);
    keypulse.configure(&settings.set("schedule", "timeout", "\"2s\"").credential_file(NAME, &secret));
    let daemon = keypulse.run();
    daemon.until_health(NAME, "healthy");
    let idle = |status: &Value| credential(status, NAME)["next_check_at"].is_string();
    daemon.until("the round over", idle);

    limit(&daemon, Some(lowest_free(&keypulse, &daemon)));
    let status = daemon.until("the trouble", |status| status["troubles"][0]["kind"] == "out-of-files");
    assert_eq!(status["overall"], "warning");
    // A person asks: it is tried, proves nothing, and the password stays what it was.
    icloud.world.revoke(ADDRESS, &password);
    let logins = icloud.world.logins().len();
    for _ in 0..3 {
        let answer = keypulse.request("POST", "/v1/check", r#"{"names": [], "wait_s": 60}"#).unwrap();
        assert_eq!(answer.code, 200, "{answer:?}");
        let it = credential(&answer.json(), NAME).clone();
        assert!(it["health"] == "healthy" || it["health"] == "unreadable", "{it:#}");
    }
    assert_eq!(icloud.world.logins().len(), logins);
    let shown = keypulse.command(&["status"]);
    assert_eq!(shown.code, 1, "{shown:?}");
    assert!(words(&shown.stdout).contains("! keypulse may open no further file or connection"), "{}", shown.stdout);
    let doctor = keypulse.command(&["doctor"]);
    assert!(words(&doctor.stdout).contains("its limit of file descriptors is reached"), "{}", doctor.stdout);
    let log = daemon.log();
    let told = log.matches("failed to take a connection on the socket: Too many open files").count();
    assert!((1..=3).contains(&told), "said, and not at every question: {log}");

    limit(&daemon, None);
    let status = daemon.until("the trouble over", |status| status["troubles"] == json!([]));
    assert_eq!(account(&status, ADDRESS)["failed_logins_24h"], 0);
    let answer = keypulse.request("POST", "/v1/check", r#"{"names": [], "wait_s": 60}"#).unwrap().json();
    assert_eq!(credential(&answer, NAME)["health"], "suspect", "{answer:#}");
}
