//! Quiet hours and Do Not Disturb: what the person hears nothing of waits, and comes.

use crate::{
    lab::{Bus, Dunst, Hook, account},
    notifications::{ADDRESS, Scene},
};

/// Quiet hours that hold now: all day but for the hour that is farthest away, in a zone where it is noon.
fn noon() -> (String, &'static str) {
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    let (sign, hours) = if hour >= 12 { ('+', hour - 12) } else { ('-', 12 - hour) };
    // POSIX counts the other way round: UTC+3 is three hours behind.
    (format!("TST{sign}{hours}"), "\"01:00-00:00\"")
}

#[test]
fn in_quiet_hours_the_desktop_waits_and_the_hook_does_not() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let mut scene = Scene::on(&bus);
    let (zone, hours) = noon();
    scene.keypulse.set_env("TZ", &zone);
    let hook = Hook::of(&scene.keypulse);
    let settings = scene.settings().hook(&hook.command());
    scene.keypulse.configure(&settings.clone().set("notify", "quiet_hours", hours));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    hook.until("incident-opened");
    daemon.until_log("waits for the end of the quiet hours");
    assert!(scene.alarms().is_empty(), "not even a critical one: {:?}", scene.alarms());
    daemon.terminate();
    let daemon = scene.keypulse.run();
    daemon.until_health("tom", "revoked");
    assert!(scene.alarms().is_empty(), "{:?}", scene.alarms());

    // The same hours elsewhere: now they are over.
    scene.keypulse.configure(&settings.set("notify", "quiet_hours", "\"00:00-01:00\""));
    daemon.reload();
    scene.monitor.notified("revoked");
    dunst.wait_displayed(1);
    assert_eq!(scene.alarms().len(), 1, "{:?}", scene.alarms());
    assert_eq!(hook.events(), ["incident-opened"]);
}

#[test]
fn do_not_disturb_is_the_services_to_keep() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    dunst.do_not_disturb(true);
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    assert_eq!((dunst.displayed(), dunst.waiting()), (0, 1));
    dunst.do_not_disturb(false);
    dunst.wait_displayed(1);
    assert_eq!(scene.alarms().len(), 1, "it was given once: {:?}", scene.alarms());
}
