//! The service file, started for real by a `systemd --user` of the test's own.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::lab::{Bus, Dunst, Mail, Output, Settings, UserManager, run, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
const UNIT: &str = include_str!("../../systemd/keypulse.service");

/// A person whose user manager knows keypulse.
struct Person {
    manager: UserManager,
    mail: Mail,
}

impl Person {
    /// Two passwords that work, one of them configured; the unit as it is shipped, but for the program's path, and
    /// `extra` lines as a drop-in.
    fn new(extra: &str) -> Self {
        let person = Self { manager: UserManager::start(), mail: Mail::start() };
        person.mail.dovecot.set_password(ADDRESS, PASSWORD);
        person.configure(&person.settings().to_toml());
        let shipped = "ExecStart=%h/.cargo/bin/keypulse run\n";
        assert_eq!(UNIT.matches(shipped).count(), 1);
        let drop_ins = person.manager.home().join(".config/systemd/user/keypulse.service.d");
        fs::create_dir_all(&drop_ins).unwrap();
        let log = format!("StandardOutput=append:{0}\nStandardError=append:{0}\n", person.log_file().display());
        fs::write(drop_ins.join("test.conf"), format!("[Service]\n{log}{extra}")).unwrap();
        // A copy: the checkout may lie below /tmp, and the service has one of its own.
        let program = person.program();
        fs::copy(env!("CARGO_BIN_EXE_keypulse"), &program).unwrap();
        fs::create_dir_all(person.manager.home().join(".local/state/keypulse")).unwrap();
        let start = format!("ExecStart={} run\n", program.display());
        person.manager.install("keypulse.service", &UNIT.replace(shipped, &start));
        person
    }

    fn settings(&self) -> Settings {
        Settings::for_mail(&self.mail).account(ADDRESS).credential_file("thunderbird", &self.secret())
    }

    fn secret(&self) -> PathBuf {
        let path = self.manager.home().join("secret");
        fs::write(&path, PASSWORD).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn configure(&self, text: &str) {
        let directory = self.manager.home().join(".config/keypulse");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config.toml"), text).unwrap();
    }

    fn program(&self) -> PathBuf {
        self.manager.home().join("keypulse")
    }

    fn log_file(&self) -> PathBuf {
        self.manager.home().join("keypulse.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn systemctl(&self, verb: &str) -> Output {
        self.manager.systemctl(&[verb, "keypulse"])
    }

    fn property(&self, name: &str) -> String {
        self.manager.property("keypulse", name)
    }

    #[track_caller]
    fn until(&self, what: &str, state: impl Fn() -> bool) {
        until(&format!("{what}\n{}\n{}", self.systemctl("status").stdout, self.log()), || state().then_some(()));
    }

    /// Waits until the process is another than `before`, and up.
    #[track_caller]
    fn until_restarted(&self, before: &str) {
        self.until("a new process", || {
            !["0", before].contains(&&*self.property("MainPID")) && self.property("ActiveState") == "active"
        });
        assert!(self.asked().is_object());
    }

    /// What the daemon itself says.
    #[track_caller]
    fn asked(&self) -> Value {
        let output = run(self.manager.client(&self.program().to_string_lossy()).args(["status", "--json"]), "");
        let status: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert!(status["daemon"].is_object(), "{status:#}");
        status
    }
}

#[test]
fn systemd_starts_it_reloads_it_and_stops_it() {
    let person = Person::new("");
    person.systemctl("start").ok();
    // `start` returns when READY came, and then it answers.
    assert_eq!(person.property("ActiveState"), "active");
    person.asked();
    person.until("the status line", || person.property("StatusText").starts_with("1 password healthy, next check "));
    let shown = person.systemctl("status").ok();
    assert!(shown.contains("1 password healthy, next check "), "{shown}");

    let second = person.settings().credential_file("mutt", &person.secret());
    person.configure(&second.to_toml());
    person.systemctl("reload").ok();
    person
        .until("the second password", || person.property("StatusText").starts_with("2 passwords healthy, next check "));
    assert!(person.log().contains("configuration read again"), "{}", person.log());
    assert_eq!(person.asked()["counts"]["healthy"], 2);

    person.configure("[schedule]\nintervall = \"1h\"\n");
    person.systemctl("reload").ok();
    person.until("the complaint", || person.log().contains("config.toml:2:1"));
    assert_eq!(person.property("ActiveState"), "active");
    assert_eq!(person.asked()["counts"]["healthy"], 2, "the old one stays");

    let begun = Instant::now();
    person.systemctl("stop").ok();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!((&*person.property("ActiveState"), &*person.property("Result")), ("inactive", "success"));
    assert_eq!(person.property("NRestarts"), "0");
}

#[test]
fn a_wrong_configuration_ends_it_for_good() {
    let person = Person::new("RestartSec=50ms\n");
    person.configure("[schedule]\ninterval = \"soon\"\n");
    assert_ne!(person.systemctl("start").code, 0);
    person.until("the end", || person.property("ActiveState") == "failed");
    // A unit that is to be restarted is `activating`, never `failed`.
    assert_eq!(person.property("ExecMainStatus"), "78");
    assert_eq!(person.property("NRestarts"), "0");
    assert!(person.log().contains("config.toml:2:12"), "{}", person.log());

    person.configure(&person.settings().to_toml());
    person.systemctl("start").ok();
    assert_eq!(person.property("ActiveState"), "active");
}

#[test]
fn a_killed_one_comes_back() {
    let person = Person::new("RestartSec=50ms\n");
    person.systemctl("start").ok();
    let before = person.property("MainPID");
    person.manager.systemctl(&["kill", "--signal=KILL", "keypulse"]).ok();
    person.until_restarted(&before);
    assert_eq!(person.property("NRestarts"), "1");
}

#[test]
fn the_watchdog_is_fed_and_bites() {
    let person = Person::new("RestartSec=50ms\nWatchdogSec=1s\n");
    person.systemctl("start").ok();
    let fed = || person.property("WatchdogTimestampMonotonic").parse::<u64>().unwrap();
    let (begun, before) = (fed(), person.property("MainPID"));
    person.until("three seconds of being fed", || fed() > begun + 3_000_000);
    assert_eq!((&*person.property("NRestarts"), person.property("MainPID")), ("0", before.clone()));

    person.manager.systemctl(&["kill", "--signal=STOP", "keypulse"]).ok();
    person.until_restarted(&before);
}

#[test]
fn what_a_click_opens_runs_outside_of_the_sandbox() {
    let person = Person::new("Environment=TERMINAL=%h/terminal DISPLAY=:77\n");
    let bus = Bus::of(&person.manager);
    let dunst = Dunst::start(&bus);
    // The sandbox keeps what runs in it from writing to the person's home.
    let terminal = person.manager.home().join("terminal");
    fs::write(&terminal, "#!/bin/sh\necho \"$DISPLAY $*\" >~/opened\n").unwrap();
    fs::set_permissions(&terminal, fs::Permissions::from_mode(0o755)).unwrap();
    person.configure(&person.settings().desktop().to_toml());
    person.systemctl("start").ok();
    person.until("a round", || person.asked()["counts"]["healthy"] == 1);
    person.mail.dovecot.set_password(ADDRESS, "another");
    dunst.wait_displayed(1);
    let opened = dunst.choose("Replace…", || {
        fs::read_to_string(person.manager.home().join("opened")).ok().filter(|text| text.ends_with('\n'))
    });
    assert!(
        opened.starts_with(":77 -e sh ") && opened.ends_with(&format!(" replace --account {ADDRESS}\n")),
        "{opened}"
    );
}
