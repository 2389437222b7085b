//! The laboratory itself: each component does what the other tests lean on, judged by a client that is not keypulse.

use std::process::Command;

use crate::lab::{Bus, Dunst, Event, Keypulse, Keyring, Mail, Settings, Urgency, UserManager, Verdict, clean, run};

const ADDRESS: &str = "johnappleseed@icloud.com";
const GOOD: &str = "abcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";

/// What curl says and hears when it logs in.
#[track_caller]
fn login(mail: &Mail, url: &str, user: &str, password: &str) -> String {
    let mut command: Command = clean("curl");
    command.args(["--silent", "--verbose", "--max-time", "30", "--ssl-reqd", "--cacert"]);
    command.arg(mail.certificates.ca()).args(["--user", &format!("{user}:{password}"), url]);
    run(&mut command, "").stderr
}

#[track_caller]
fn check(mail: &Mail, url: &str, user: &str, password: &str, expected: &str) {
    let heard = login(mail, url, user, password);
    let found = heard.lines().filter_map(|line| line.strip_prefix("< ")).any(|line| line.contains(expected));
    assert!(found, "{url} {user} {password}: no {expected:?} in\n{heard}");
}

#[test]
fn dovecot_accepts_the_right_password_and_refuses_the_wrong_one() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, GOOD);
    let implicit = format!("imaps://127.0.0.1:{}/", mail.dovecot.implicit_port());
    let starttls = format!("imap://127.0.0.1:{}/", mail.dovecot.starttls_port());
    for url in [&implicit, &starttls] {
        check(&mail, url, ADDRESS, GOOD, " OK ");
        check(&mail, url, "johnappleseed", GOOD, " OK ");
        check(&mail, url, "johnappleseed", NEW, " NO [AUTHENTICATIONFAILED]");
        check(&mail, url, "somebody", GOOD, " NO [AUTHENTICATIONFAILED]");
    }
    assert_eq!(mail.dovecot.failed_logins(), 4);

    mail.dovecot.set_password(ADDRESS, NEW);
    check(&mail, &implicit, "johnappleseed", GOOD, " NO [AUTHENTICATIONFAILED]");
    check(&mail, &implicit, "johnappleseed", NEW, " OK ");
    mail.dovecot.set_passwords(ADDRESS, &[GOOD, NEW]);
    check(&mail, &implicit, "johnappleseed", GOOD, " OK ");
    check(&mail, &implicit, "johnappleseed", NEW, " OK ");

    mail.dovecot.unavailable("imap", true);
    check(&mail, &implicit, "johnappleseed", NEW, " NO [UNAVAILABLE]");
    mail.dovecot.unavailable("imap", false);
    mail.dovecot.refuse_all("imap", true);
    check(&mail, &implicit, "johnappleseed", NEW, " NO [AUTHENTICATIONFAILED]");
}

#[test]
fn dovecot_comes_back_on_its_ports_with_its_passwords() {
    let mut mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, GOOD);
    let url = format!("imaps://127.0.0.1:{}/", mail.dovecot.implicit_port());
    mail.dovecot.stop();
    assert!(login(&mail, &url, ADDRESS, GOOD).contains("Connection refused"));
    mail.dovecot.restart();
    check(&mail, &url, ADDRESS, GOOD, " OK ");
}

#[test]
fn frozen_servers_take_connections_and_say_nothing() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, GOOD);
    let imap = format!("imap://127.0.0.1:{}/", mail.dovecot.starttls_port());
    let smtp = format!("smtp://127.0.0.1:{}/localhost", mail.postfix.starttls_port());
    mail.dovecot.freeze();
    mail.postfix.freeze();
    for url in [&imap, &smtp] {
        let heard = run(clean("curl").args(["--silent", "--verbose", "--max-time", "0.5", url]), "");
        assert!(heard.stderr.contains("Connected to") && heard.code == 28, "{heard:?}");
    }
    mail.dovecot.thaw();
    mail.postfix.thaw();
    check(&mail, &imap, ADDRESS, GOOD, " OK ");
    check(&mail, &smtp, ADDRESS, GOOD, "235 2.7.0");
}

#[test]
fn postfix_asks_dovecot() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, GOOD);
    let starttls = format!("smtp://127.0.0.1:{}/localhost", mail.postfix.starttls_port());
    let implicit = format!("smtps://127.0.0.1:{}/localhost", mail.postfix.implicit_port());
    for url in [&starttls, &implicit] {
        check(&mail, url, ADDRESS, GOOD, "235 2.7.0");
        check(&mail, url, ADDRESS, NEW, "535 5.7.8");
    }
    let logins = mail.dovecot.logins();
    assert!(logins.iter().all(|login| login.service == "smtp" && login.user == ADDRESS), "{logins:?}");
    let verdicts: Vec<_> = logins.iter().map(|login| login.verdict).collect();
    // curl tries LOGIN after a refused PLAIN where the server offers both.
    assert_eq!(verdicts.first(), Some(&Verdict::Accepted));
    assert!(mail.dovecot.failed_logins() >= 2);
}

#[test]
fn postfix_takes_no_password_before_tls() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, GOOD);
    let url = format!("smtp://127.0.0.1:{}/localhost", mail.postfix.starttls_port());
    let heard = run(clean("curl").args(["--silent", "--verbose", "--user", &format!("{ADDRESS}:{GOOD}"), &url]), "");
    assert!(heard.stderr.contains("< 250-STARTTLS") || heard.stderr.contains("< 250 STARTTLS"), "{heard:?}");
    assert!(!heard.stderr.contains("AUTH"), "{heard:?}");
    assert_eq!(mail.dovecot.logins(), []);
}

#[test]
fn the_keyring_keeps_locks_and_unlocks() {
    let bus = Bus::start();
    let mut keyring = Keyring::start(&bus);
    keyring.store("keypulse", "thunderbird", GOOD);
    assert_eq!(keyring.lookup("keypulse", "thunderbird").as_deref(), Some(GOOD));
    assert_eq!(keyring.lookup("keypulse", "mutt"), None);
    keyring.lock();
    assert!(keyring.is_locked());
    keyring.unlock();
    assert!(!keyring.is_locked());
    keyring.restart();
    assert_eq!(keyring.lookup("keypulse", "thunderbird").as_deref(), Some(GOOD));
    keyring.clear("keypulse", "thunderbird");
    assert_eq!(keyring.lookup("keypulse", "thunderbird"), None);
}

#[test]
fn dunst_shows_a_notification_and_the_monitor_sees_it() {
    let bus = Bus::start();
    let monitor = bus.monitor();
    let mut dunst = Dunst::start(&bus);
    assert_eq!(dunst.displayed(), 0);
    let mut command = bus.client("notify-send");
    command.args(["--app-name=keypulse", "--urgency=critical", "--category=network.error", "--expire-time=0"]);
    run(command.args(["A password died", "<b>Thunderbird</b> &amp; mutt"]), "").ok();

    let seen = monitor.notified("A password died");
    assert_eq!(
        (&*seen.app_name, &*seen.body, seen.urgency, seen.category.as_deref(), seen.replaces_id, seen.expire_timeout),
        ("keypulse", "<b>Thunderbird</b> &amp; mutt", Urgency::Critical, Some("network.error"), 0, 0)
    );
    dunst.wait_displayed(1);
    let picture = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    dunst.screenshot(picture.path());
    assert!(picture.path().metadata().unwrap().len() > 1000);

    dunst.dismiss_all();
    let id = seen.id.unwrap();
    monitor.until("the dismissal", |events| events.contains(&Event::Closed { id, reason: 2 }).then_some(()));
    dunst.wait_displayed(0);
    assert_eq!(dunst.history()[0]["summary"]["data"], "A password died");
    dunst.stop();
    assert!(!bus.has("org.freedesktop.Notifications"));
}

#[test]
fn a_bus_can_come_late_and_go() {
    let bus = Bus::absent();
    assert!(!bus.has("org.freedesktop.DBus"));
    bus.restart();
    assert!(bus.has("org.freedesktop.DBus"));
    bus.stop();
    assert!(!bus.has("org.freedesktop.DBus"));
}

#[test]
fn systemd_runs_a_service_of_a_user() {
    let manager = UserManager::start();
    manager.install(
        "trial.service",
        "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'systemd-notify --ready --status=up; exec sleep 1000'\n",
    );
    manager.systemctl(&["start", "trial"]).ok();
    assert_eq!(manager.property("trial", "ActiveState"), "active");
    assert_eq!(manager.property("trial", "StatusText"), "up");
    manager.systemctl(&["stop", "trial"]).ok();
    assert_eq!(manager.property("trial", "ActiveState"), "inactive");
    // The session bus of the manager works too.
    run(manager.client("busctl").args(["--user", "list"]), "").ok();
}

#[test]
fn a_configuration_is_toml() {
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mutt", GOOD);
    let settings = Settings::new()
        .hook(&["/bin/true", "a \"quoted\" argument"])
        .account(ADDRESS)
        .credential_file("mutt", &secret)
        .credential_keyring("thunderbird");
    let parsed: toml::Table = settings.to_toml().parse().unwrap();
    assert_eq!(parsed["notify"]["hook"]["command"][1].as_str(), Some("a \"quoted\" argument"));
    assert_eq!(parsed["account"][0]["credential"][0]["secret"]["file"].as_str(), secret.to_str());
    assert_eq!(parsed["account"][0]["credential"][1]["name"].as_str(), Some("thunderbird"));
}
