//! keypulse itself, in the same situations: a daemon that found all well before, and what it says after many more checks.

use serde_json::Value;

use super::{
    Peer, Said,
    situation::{ADDRESS, Lab, Situation},
};
use crate::lab::{Component, Dunst, Settings, credential, run, until};

pub fn peer() -> Peer {
    Peer { name: "keypulse", version: &[env!("CARGO_BIN_EXE_keypulse"), "--version"], fits: |_| true, ask }
}

/// Far more than a verdict takes with these times.
const CHECKS: usize = 12;

fn ask(lab: &Lab, situation: Situation) -> Said {
    lab.keyring.store("keypulse", "thunderbird", &lab.password);
    let dunst = Dunst::start(lab.bus);
    let settings = Settings::for_icloud(&lab.icloud)
        .desktop()
        .set("schedule", "timeout", "\"1s\"")
        .account(ADDRESS)
        .credential_keyring("thunderbird");
    lab.write(".config/keypulse/config.toml", &settings.to_toml());
    let program = env!("CARGO_BIN_EXE_keypulse");
    let status = || -> Value {
        let output = run(lab.program(Situation::Well, program).args(["status", "--json"]), "");
        serde_json::from_str(&output.stdout).unwrap_or_default()
    };
    let health = |status: &Value| credential(status, "thunderbird")["health"].as_str().unwrap_or_default().to_owned();
    let log = lab.home.path().join("keypulse.log");
    let start = |situation| {
        let mut command = lab.program(situation, program);
        Component::spawn("keypulse run", command.env("KEYPULSE_LOG", "keypulse=debug").arg("run"), &log)
    };
    let daemon = start(Situation::Well);
    daemon.until("all is well", || (health(&status()) == "healthy").then_some(()));
    // A network is taken away by starting anew without one; what was known is in the state.
    let daemon = if situation == Situation::NoNetwork {
        drop(daemon);
        start(situation)
    } else {
        daemon
    };
    lab.enter(situation);
    let checks = || {
        let text = daemon.log();
        text.matches("attempt ended").count() + text.matches("cause=secret-unavailable").count()
    };
    let before = checks();
    daemon.until("many checks", || {
        let settled = ["revoked", "rejected"].contains(&&*health(&status())) && dunst.displayed() > 0;
        (settled || checks() >= before + CHECKS).then_some(())
    });
    let status = status();
    let services = credential(&status, "thunderbird")["services"].as_array().cloned().unwrap_or_default();
    let causes: Vec<&str> = services.iter().filter_map(|service| service["cause"].as_str()).collect();
    let mut signal = match causes.first() {
        Some(cause) => format!("{}, `{cause}`", health(&status)),
        None => health(&status),
    };
    if dunst.displayed() > 0 {
        until("one notification", || (dunst.displayed() == 1).then_some(()));
        signal.push_str(", told");
    }
    Said { signal, words: String::new() }
}
