//! The service file, started for real by a `systemd --user` of the test's own.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::lab::{Bus, Dunst, Person};

#[test]
fn systemd_starts_it_reloads_it_and_stops_it() {
    let person = Person::new("");
    person.systemctl("start").ok();
    // `start` returns when READY came, and then it answers.
    assert_eq!(person.property("ActiveState"), "active");
    person.asked();
    // There is none next while a check is under way.
    person.until("the status line", || person.systemctl("status").ok().contains("1 password healthy, next check "));

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
    person.manager.write("terminal", "#!/bin/sh\necho \"$DISPLAY $*\" >~/opened\n", 0o755);
    person.configure(&person.settings().desktop().to_toml());
    person.systemctl("start").ok();
    person.until("a round", || person.asked()["counts"]["healthy"] == 1);
    person.mail.dovecot.set_password(Person::ADDRESS, "another");
    dunst.wait_displayed(1);
    let opened = dunst.choose("Replace…", || {
        fs::read_to_string(person.manager.home().join("opened")).ok().filter(|text| text.ends_with('\n'))
    });
    assert!(
        opened.starts_with(":77 -e sh ") && opened.ends_with(&format!(" replace --account {}\n", Person::ADDRESS)),
        "{opened}"
    );
}
