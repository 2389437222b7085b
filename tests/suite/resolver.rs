//! A name server that never answers. The system's resolver blocks a thread for each name it looks up, and cannot be called
//! off: there are few of those, however long it lasts.

use std::{
    fs,
    net::UdpSocket,
    process::{Command, id},
};

use serde_json::Value;

use crate::lab::{Component, ICloud, Keypulse, Settings, account, credential, until};

const ADDRESSES: [&str; 3] = ["one@icloud.com", "two@icloud.com", "three@icloud.com"];
/// Threads at most: the loop, three look-ups of the one name, and what reads three files.
const MOST_THREADS: usize = 1 + 3 + 3;

/// A name server that takes questions and keeps them. In 127/8, where everybody may have an address of his own.
fn silent() -> (UdpSocket, String) {
    let address = format!("127.53.{}.{}", id() >> 8 & 0xff, id() & 0xff);
    (UdpSocket::bind((&*address, 53)).unwrap(), address)
}

/// The status document, if the daemon answers.
fn status(keypulse: &Keypulse) -> Option<Value> {
    Some(keypulse.request("GET", "/v1/status", "")?.json())
}

#[test]
fn a_resolver_that_hangs_costs_few_threads_and_no_verdict() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new().env("KEYPULSE_LOG", "debug");
    let mut settings = Settings::default()
        .extra_ca(&icloud.ca())
        .set("schedule", "timeout", "\"1s\"")
        .set("notify", "desktop", "false")
        .set("imap", "host", "\"mail.keypulse.test\"")
        .set("imap", "port", &icloud.port(keypulse::health::evidence::Service::Imap).to_string())
        .set("smtp", "host", "\"mail.keypulse.test\"")
        .set("smtp", "port", &icloud.port(keypulse::health::evidence::Service::Smtp).to_string());
    for (address, name) in ADDRESSES.iter().zip(["mutt", "nas", "phone"]) {
        let secret = keypulse.secret(name, &icloud.world.new_password(address));
        settings = settings.account(address).credential_file(name, &secret);
    }
    keypulse.configure(&settings);

    let (questions, address) = silent();
    let resolv = keypulse.home().join("resolv.conf");
    let hosts = keypulse.home().join("hosts");
    fs::write(&resolv, format!("nameserver {address}\n")).unwrap();
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    // Its own view of these two files, and of nothing else.
    let script = "mount --make-rprivate / && mount --bind resolv.conf /etc/resolv.conf && mount --bind hosts /etc/hosts && \
                  exec \"$0\" run";
    let mut program = keypulse.program();
    let binary = program.get_program().to_owned();
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", script]).arg(binary).current_dir(keypulse.home()).env_clear();
    inside.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let log = keypulse.home().join("run.log");
    let daemon = Component::spawn("keypulse run", &inside, &log);
    daemon.until("an answer on the socket", || status(&keypulse));
    program.arg("status");
    let threads = || fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count();

    // Each look-up lasts for ten seconds or more; each attempt is given up after one, and asked for again.
    let mut most = 0;
    for _ in 0..8 {
        let answer = keypulse.request("POST", "/v1/check", r#"{"names": [], "wait_s": 60}"#).unwrap();
        assert_eq!(answer.code, 200, "{answer:?}");
        for name in ["mutt", "nas", "phone"] {
            let said = credential(&answer.json(), name)["services"].clone();
            for said in said.as_array().unwrap() {
                assert!(said["cause"] == "offline" || said["cause"] == "timed-out", "{said:#}");
            }
        }
        most = most.max(threads());
    }
    let mut question = [0; 512];
    assert!(questions.recv(&mut question).is_ok(), "it was asked");
    assert!(most <= MOST_THREADS, "{most} threads");
    for address in ADDRESSES {
        assert_eq!(account(&status(&keypulse).unwrap(), address)["failed_logins_24h"], 0);
    }

    // The name is known again: what hangs still is no hindrance.
    fs::write(&hosts, "127.0.0.1 localhost mail.keypulse.test\n").unwrap();
    until("all healthy", || {
        let answer = keypulse.request("POST", "/v1/check", r#"{"names": [], "wait_s": 60}"#)?.json();
        (answer["counts"]["healthy"] == 3).then_some(())
    });
}
