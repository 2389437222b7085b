//! `notify-test`: a message to a real notification service and a real hook, and to nobody.

use serde_json::{Value, json};

use crate::lab::{Bus, Dunst, Keypulse, Settings, Urgency};

/// iCloud's own servers, which are not asked here, and no desktop.
fn settings() -> Settings {
    Settings::default().set("notify", "desktop", "false")
}

#[test]
fn the_desktop_shows_a_test_until_it_is_closed() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let monitor = bus.monitor();
    // No configuration at all: the desktop is on by default.
    let keypulse = Keypulse::new().on(&bus);
    let command = keypulse.spawn(&["notify-test", "--wait", "1h"]);
    let shown = monitor.notified("Test: keypulse can reach you here");
    assert_eq!((shown.app_name.as_str(), shown.urgency), ("keypulse", Urgency::Normal));
    command.until("the service's name", || command.log().contains("desktop: shown by dunst 1.").then_some(()));
    dunst.wait_displayed(1);
    assert!(command.ended().is_none(), "GNOME would take the message away");
    dunst.dismiss_all();
    assert_eq!(command.wait().code(), Some(0), "{}", command.log());

    let output = keypulse.command(&["notify-test", "--wait", "10ms"]);
    assert_eq!(output.code, 0, "{output:?}");
    dunst.wait_displayed(0);
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    let bus = Bus::start();
    let keypulse = Keypulse::new().on(&bus);
    let output = keypulse.command(&["notify-test"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
    assert!(output.stderr.contains("desktop: not shown: no notification service runs"), "{output:?}");
    assert!(output.stderr.contains("install dunst or mako"), "{output:?}");

    let output = Keypulse::new().env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").command(&["notify-test"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("there is no session bus") && output.stderr.contains("DBUS_SESSION_BUS_ADDRESS"));
}

#[test]
fn the_hook_is_told_that_it_is_a_test() {
    let keypulse = Keypulse::new();
    let script = r#"cat >in; echo "$KEYPULSE_TEST $KEYPULSE_EVENT $KEYPULSE_CAUSE $KEYPULSE_ACCOUNT" >env"#;
    keypulse.configure(&settings().hook(&["sh", "-c", script]));
    let output = keypulse.command(&["notify-test"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, "hook: it ran and ended well\n"), "{output:?}");
    let read = |name: &str| std::fs::read_to_string(keypulse.home().join(name)).unwrap();
    assert_eq!(read("env"), "1 incident-opened main-password-reset test@example.com\n");
    let told: serde_json::Value = serde_json::from_str(&read("in")).unwrap();
    assert_eq!((&told["schema"], &told["event"]), (&1.into(), &"incident-opened".into()));
    assert_eq!(told["account"]["credentials"][0]["name"], "test");
    let title = told["message"]["title"].as_str().unwrap();
    assert!(title.starts_with("Test: ") && title.ends_with("test@example.com"), "{title}");

    keypulse.configure(&settings().hook(&["sh", "-c", "echo no such room >&2; exit 3"]));
    let output = keypulse.command(&["notify-test"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("hook: failed: it ended with exit status: 3: no such room"), "{output:?}");
    keypulse.configure(&settings());
    let output = keypulse.command(&["notify-test"]);
    assert!(output.code == 1 && output.stderr.contains("no channel is switched on"), "{output:?}");
    let output = keypulse.command(&["notify-test", "--channel", "hook"]);
    assert!(output.code == 1 && output.stderr.contains("[notify.hook] command"), "{output:?}");
    let output = keypulse.command(&["notify-test", "--channel", "pigeon"]);
    assert_eq!(output.code, 64, "{output:?}");
}

/// The same answers for programs, on standard output alone, also those of channels that took nothing.
#[test]
fn who_took_it_is_told_as_json() {
    #[track_caller]
    fn check(keypulse: &Keypulse, channel: &[&str], code: i32, expected: &Value) {
        let output = keypulse.command(&[&["notify-test", "--json", "--wait", "10ms"], channel].concat());
        assert_eq!((output.code, output.stderr.as_str()), (code, ""), "{output:?}");
        let mut told: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(told["schema"], 1);
        for channel in told["channels"].as_array_mut().unwrap() {
            let remedy = channel.as_object_mut().unwrap().remove("remedy").unwrap();
            assert_eq!(remedy.is_null(), channel["taken"] == true, "{output:?}");
            if channel["says"].as_str().unwrap().starts_with("shown by dunst 1.") {
                channel["says"] = "shown".into(); // its version and date are Debian's
            }
        }
        assert_eq!(told["channels"], *expected);
    }
    let bus = Bus::start();
    let keypulse = Keypulse::new().on(&bus);
    keypulse.configure(&Settings::default().set("notify", "desktop", "true").hook(&["true"]));
    let hook = json!({"channel": "hook", "taken": true, "says": "it ran and ended well"});
    let absent = "not shown: no notification service runs on the session bus";
    check(&keypulse, &[], 1, &json!([{"channel": "desktop", "taken": false, "says": absent}, hook]));
    check(&keypulse, &["--channel", "hook"], 0, &json!([hook]));
    let email = json!({"channel": "email", "taken": false, "says": "not sent: none is configured"});
    check(&keypulse, &["--channel", "email"], 1, &json!([email]));
    let _dunst = Dunst::start(&bus);
    let shown = json!({"channel": "desktop", "taken": true, "says": "shown"});
    check(&keypulse, &[], 0, &json!([shown, hook]));
}
