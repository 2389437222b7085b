//! Snooze and pause, through the daemon and without one.

use crate::{
    lab::{Bus, Dunst, Hook, ICloud, Keypulse, Settings, account, credential},
    notifications::{ADDRESS, NEW, Scene, is_silent},
};

#[test]
fn a_snoozed_message_goes_from_the_screen_and_comes_back() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    let shown = scene.monitor.notified("revoked");
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());

    let snoozed = scene.keypulse.command(&["snooze", "tom", "--for", "2s"]);
    assert_eq!((snoozed.code, &*snoozed.stderr), (0, ""), "{snoozed:?}");
    assert!(snoozed.stdout.starts_with("snoozed until ") && snoozed.stdout.contains(ADDRESS), "{snoozed:?}");
    dunst.wait_displayed(0);
    let reminder = scene
        .monitor
        .until("the reminder", |_| scene.alarms().into_iter().find(|alarm| alarm.summary.starts_with("Reminder: ")));
    assert!(!is_silent(&reminder), "{reminder:?}");
    dunst.wait_displayed(1);
    assert!(account(&daemon.status_json(), ADDRESS)["incident"]["snoozed_until"].is_null());
    assert_eq!(scene.alarms().len(), 2, "{:?}", scene.alarms());

    let snoozed = scene.keypulse.command(&["snooze", ADDRESS]);
    assert_eq!(snoozed.code, 0, "{snoozed:?}");
    dunst.wait_displayed(0);
    assert!(account(&daemon.status_json(), ADDRESS)["incident"]["snoozed_until"].is_string());
    // It outlives the process, and nothing is put back.
    daemon.terminate();
    let daemon = scene.keypulse.run();
    daemon.until_health("tom", "revoked");
    let status = scene.keypulse.command(&["status"]);
    assert!(status.stdout.contains("Snoozed until "), "{status:?}");
    let woken = scene.keypulse.command(&["unsnooze", "tom"]);
    assert_eq!((woken.code, &*woken.stderr), (0, ""), "{woken:?}");
    dunst.wait_displayed(1);
    let alarms = scene.alarms();
    assert_eq!(alarms.len(), 3, "{alarms:?}");
    assert!(is_silent(&alarms[2]), "it is no news: {alarms:?}");
    assert_ne!(shown.id, None);
    scene.repair(&daemon);
    daemon.until("over", |status| account(status, ADDRESS)["incident"].is_null());
}

#[test]
fn snoozing_on_the_notification_lasts_a_day() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    dunst.wait_displayed(1);
    let until = dunst.choose("Snooze 1 day", || {
        let status = daemon.status_json();
        account(&status, ADDRESS)["incident"]["snoozed_until"].as_str().map(str::to_owned)
    });
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    let made = daemon.status_json()["generated_at"].as_str().unwrap().to_owned();
    assert!((86_300..=86_400).contains(&(seconds(&until) - seconds(&made))), "{until} {made}");
    dunst.wait_displayed(0);
    scene.repair(&daemon);
    assert_eq!(scene.alarms().len(), 1);
}

#[test]
fn a_snooze_is_for_people_who_were_told_something() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("nas", NEW);
    icloud.world.set_password(ADDRESS, NEW);
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("nas", &secret));
    let check = |arguments: &[&str], code: i32, says: &str| {
        let output = keypulse.command(arguments);
        assert_eq!(output.code, code, "{output:?}");
        assert!(format!("{}{}", output.stdout, output.stderr).contains(says), "{says}: {output:?}");
    };
    let all = || {
        check(&["snooze", "nas"], 1, "failed to snooze: there is nothing to snooze: keypulse has no message about");
        check(&["snooze", "nsa"], 64, "did you mean nas?");
        check(&["unsnooze", "nsa"], 64, "did you mean nas?");
        check(&["unsnooze", "nas"], 0, "has no message");
        check(&["snooze", "nas", "--for", "1"], 64, "the number 1 has no unit");
        check(&["snooze", "nas", "--for", "0s"], 64, "it would be over at once");
    };
    all();
    let daemon = keypulse.run();
    daemon.until_health("nas", "healthy");
    all();
}

#[test]
fn a_pause_outlives_restarts_and_a_person_is_served() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("nas", NEW);
    icloud.world.set_password(ADDRESS, NEW);
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("nas", &secret));
    let daemon = keypulse.run();
    daemon.until_health("nas", "healthy");

    let paused = keypulse.command(&["pause"]);
    assert_eq!((paused.code, &*paused.stderr), (0, ""), "{paused:?}");
    assert!(paused.stdout.starts_with("paused until `keypulse resume`: "), "{paused:?}");
    daemon.terminate();
    let before = icloud.connections();
    let daemon = keypulse.run();
    let status = daemon.status_json();
    assert_eq!(
        (&status["overall"], &status["daemon"]["paused_until"]),
        (&"warning".into(), &"9999-12-30T22:00:00Z".into())
    );
    assert!(credential(&status, "nas")["next_check_at"].is_null());
    let table = keypulse.command(&["status"]);
    assert_eq!(table.code, 1, "{table:?}");
    assert!(table.stdout.contains("paused (keypulse resume)"), "{table:?}");

    let checked = keypulse.command(&["check"]);
    assert_eq!(checked.code, 1, "healthy, but paused: {checked:?}");
    assert_eq!(icloud.connections(), before + 2, "one round, the person's");

    let paused = keypulse.command(&["pause", "--for", "36h"]);
    assert!(paused.stdout.starts_with("paused until 2") && !paused.stdout.contains("resume"), "{paused:?}");
    assert_eq!(keypulse.command(&["resume"]).code, 0);
    daemon.until("asked again", |status| status["overall"] == "ok" && icloud.connections() > before + 2);
}

#[test]
fn without_a_daemon_the_next_one_begins_with_the_pause() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("nas", NEW);
    icloud.world.set_password(ADDRESS, NEW);
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("nas", &secret));
    let paused = keypulse.command(&["pause", "--for", "1d"]);
    assert_eq!(paused.code, 0, "{paused:?}");
    assert!(paused.stderr.contains("hint: no daemon runs; the next one begins with this pause"), "{paused:?}");
    let status = keypulse.command(&["status"]);
    assert!(status.stdout.contains("daemon not running, paused until "), "{status:?}");

    let daemon = keypulse.run();
    assert!(daemon.status_json()["daemon"]["paused_until"].is_string());
    assert_eq!(icloud.connections(), 0);
    daemon.terminate();
    assert_eq!(keypulse.command(&["resume"]).code, 0);
    keypulse.run().until_health("nas", "healthy");
}

#[test]
fn a_snooze_without_a_daemon_holds_for_the_next() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let hook = Hook::of(&scene.keypulse);
    scene.keypulse.configure(&scene.settings().hook(&hook.command()));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    hook.until("incident-opened");
    dunst.wait_displayed(1);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    daemon.terminate();

    let snoozed = scene.keypulse.command(&["snooze", "tom"]);
    assert_eq!((snoozed.code, &*snoozed.stderr), (0, ""), "{snoozed:?}");
    let daemon = scene.keypulse.run();
    daemon.until_health("tom", "revoked");
    // What the daemon of before left standing goes.
    dunst.wait_displayed(0);
    scene.repair(&daemon);
    hook.until("incident-resolved");
    assert_eq!(hook.events(), ["incident-opened", "incident-resolved"]);
}
