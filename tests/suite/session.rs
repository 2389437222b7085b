//! The session's services in trouble: the bus gone and back, a keyring that is locked, hangs, asks or is another one, a
//! notification service that hangs. None of it is a verdict, nothing is lost, and nobody is told twice.

use serde_json::Value;

use crate::{
    lab::{AskingKeyring, Bus, Dunst, Hook, ICloud, Keypulse, Keyring, Running, Settings, account, credential},
    notifications::Scene,
};

const ADDRESS: &str = "johnappleseed@icloud.com";
const NAME: &str = "thunderbird";

/// A password in the keyring, read ten times a second; a hook that hears of everything.
fn kept_in_a_keyring(bus: &Bus) -> (ICloud, Keypulse, Hook) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new().on(bus);
    let hook = Hook::of(&keypulse);
    let settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"100ms\"")
        .hook(&hook.command())
        .account(ADDRESS)
        .credential_keyring(NAME);
    keypulse.configure(&settings);
    (icloud, keypulse, hook)
}

/// Why it is unreadable, once it is.
#[track_caller]
fn until_unreadable(daemon: &Running<'_>, words: &str) -> Value {
    daemon.until(&format!("unreadable: {words}"), |status| {
        let it = credential(status, NAME);
        it["health"] == "unreadable" && it["unreadable"].as_str().is_some_and(|why| why.contains(words))
    })
}

/// Whatever was wrong with the keyring, the password was not blamed for it.
#[track_caller]
fn nobody_was_alarmed(icloud: &ICloud, hook: &Hook, daemon: &Running<'_>) {
    daemon.until_health(NAME, "healthy");
    // A login under way counts until it is answered.
    daemon.until("nothing spent", |status| account(status, ADDRESS)["failed_logins_24h"] == 0);
    assert_eq!(icloud.world.failed_logins(ADDRESS), 0);
    assert_eq!(hook.events(), [""; 0]);
}

#[test]
fn a_keyring_locked_for_long_is_waited_for() {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    let (icloud, keypulse, hook) = kept_in_a_keyring(&bus);
    keyring.store("keypulse", NAME, &icloud.world.new_password(ADDRESS));
    let daemon = keypulse.run();
    daemon.until_health(NAME, "healthy");
    keyring.lock();
    until_unreadable(&daemon, "the keyring is locked");
    let logins = icloud.world.logins().len();
    // Ever more rarely, as the back-off has it: at the real interval these would be hours.
    daemon.until("more looks at it", |_| daemon.log().matches("the keyring is locked").count() >= 6);
    assert!(keyring.is_locked(), "nobody was asked to unlock it");
    assert_eq!(icloud.world.logins().len(), logins);
    assert_eq!(keypulse.command(&["ok", NAME]).code, 0, "not knowing stops nobody");
    keyring.unlock();
    nobody_was_alarmed(&icloud, &hook, &daemon);
}

#[test]
fn a_keyring_that_hangs_holds_up_nothing_else() {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    let (icloud, keypulse, hook) = kept_in_a_keyring(&bus);
    keyring.store("keypulse", NAME, &icloud.world.new_password(ADDRESS));
    let file = keypulse.secret("mutt", &icloud.world.new_password("jane@icloud.com"));
    let settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"100ms\"")
        .hook(&hook.command())
        .account(ADDRESS)
        .credential_keyring(NAME)
        .account("jane@icloud.com")
        .credential_file("mutt", &file);
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    daemon.until_health(NAME, "healthy");
    daemon.until_health("mutt", "healthy");
    let threads = daemon.threads();
    keyring.freeze();
    let status = until_unreadable(&daemon, "did not answer within 5 s");
    let checked = credential(&status, "mutt")["last_checked_at"].clone();
    daemon.until("the other password still checked", |status| {
        credential(status, "mutt")["last_checked_at"] != checked && credential(status, "mutt")["health"] == "healthy"
    });
    // However often it hangs.
    let gave_up = |daemon: &Running<'_>| daemon.log().matches("the keyring did not answer").count();
    daemon.until("a second time", |_| gave_up(&daemon) >= 2);
    assert!(daemon.threads() <= threads + 1, "{} threads, {threads} before", daemon.threads());
    keyring.thaw();
    nobody_was_alarmed(&icloud, &hook, &daemon);
}

#[test]
fn a_keyring_that_asks_is_asked_once_and_another_one_may_take_its_place() {
    let bus = Bus::start();
    let (icloud, keypulse, hook) = kept_in_a_keyring(&bus);
    let asking = AskingKeyring::start(&bus);
    let daemon = keypulse.run();
    until_unreadable(&daemon, "it hangs, or shows a dialog of its own");
    let gave_up = |daemon: &Running<'_>| daemon.log().matches("the keyring did not answer").count();
    daemon.until("a second time", |_| gave_up(&daemon) >= 2);
    assert_eq!(asking.dialogs(), 1, "one dialog, not one for each look");

    drop(asking);
    until_unreadable(&daemon, "no keyring service runs");
    let keyring = Keyring::start(&bus);
    keyring.store("keypulse", NAME, &icloud.world.new_password(ADDRESS));
    nobody_was_alarmed(&icloud, &hook, &daemon);
}

#[test]
fn another_keyring_with_an_old_password_is_no_revocation() {
    let bus = Bus::start();
    let mut right = Keyring::start(&bus);
    let (icloud, keypulse, hook) = kept_in_a_keyring(&bus);
    right.store("keypulse", NAME, &icloud.world.new_password(ADDRESS));
    let daemon = keypulse.run();
    daemon.until_health(NAME, "healthy");
    right.stop();
    until_unreadable(&daemon, "no keyring service runs");
    let mut other = Keyring::start(&bus);
    until_unreadable(&daemon, "no such item");
    other.store("keypulse", NAME, "wron-gwro-ngwr-ongg");
    // Another secret, which was never accepted: it is rejected, and the one from before is not doubted.
    daemon.until_health(NAME, "rejected");
    other.stop();
    right.restart();
    daemon.until_health(NAME, "healthy");
    let log = daemon.log();
    assert!(!log.contains("-> revoked") && !log.contains("-> suspect"), "{log}");
    assert!(hook.events().iter().all(|event| event != "incident-opened" || log.contains("-> rejected")));
}

#[test]
fn the_bus_goes_and_comes_back() {
    let bus = Bus::start();
    let mut dunst = Dunst::start(&bus);
    let mut keyring = Keyring::start(&bus);
    let scene = Scene::on(&bus);
    let second = "bbcd-efgh-ijkl-mnop";
    let passwords = [crate::notifications::OLD, second];
    scene.mail.dovecot.set_passwords(ADDRESS, &passwords);
    keyring.store("keypulse", NAME, second);
    scene.keypulse.configure(&scene.settings().credential_keyring(NAME));
    let daemon = scene.keypulse.run();
    daemon.until("both healthy", |status| status["counts"]["healthy"] == 2);

    bus.stop();
    until_unreadable(&daemon, "there is no D-Bus session");
    // Meanwhile the other one dies: that is a matter of the servers, and found out without a bus.
    scene.mail.dovecot.set_passwords(ADDRESS, &[second]);
    daemon.until_health("tom", "revoked");
    daemon.until_log("desktop notification not shown yet");
    assert!(account(&daemon.status_json(), ADDRESS)["incident"]["notified_at"].is_null());

    bus.restart();
    dunst.restart();
    keyring.restart();
    let status = daemon.until_health(NAME, "healthy");
    assert_eq!(credential(&status, "tom")["health"], "revoked");
    dunst.wait_displayed(1);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    // A login under way counts until it is answered.
    daemon.until("as many failed logins as the server saw", |status| {
        account(status, ADDRESS)["failed_logins_24h"] == scene.mail.dovecot.failed_logins()
    });
    assert_eq!(dunst.displayed(), 1, "and only once");
}

#[test]
fn a_notification_service_that_hangs_is_given_the_message_once() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let scene = Scene::on(&bus);
    let hook = Hook::of(&scene.keypulse);
    scene.keypulse.configure(&scene.settings().hook(&hook.command()));
    let daemon = scene.keypulse.run();
    daemon.until_health("tom", "healthy");
    dunst.freeze();
    scene.revoke(&daemon);
    // The other channel is told, checks go on, and the socket answers.
    hook.until("incident-opened");
    daemon.until_log("desktop notification not shown yet");
    let again = |daemon: &Running<'_>| daemon.log().matches("desktop notification not shown yet").count();
    daemon.until("a second try in vain", |_| again(&daemon) >= 2);
    assert!(daemon.threads() <= 8, "{} threads", daemon.threads());
    dunst.thaw();
    dunst.wait_displayed(1);
    daemon.until_log("desktop notification shown");
    let calls = scene.alarms();
    assert!(calls.iter().filter(|call| call.replaces_id == 0).count() == 1, "{calls:#?}");
    assert_eq!(dunst.displayed(), 1);
    scene.repair(&daemon);
    hook.until("incident-resolved");
    assert_eq!(hook.events(), ["incident-opened", "incident-resolved"]);
}
