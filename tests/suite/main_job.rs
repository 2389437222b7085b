//! The main job on real servers: a password dies, and the person is told; everything else is not called a death.

use crate::lab::{Hook, Keypulse, Mail, Running, Settings, Tls, Verdict, account, credential, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const SECOND: &str = "bbcd-efgh-ijkl-mnop";
const THIRD: &str = "cbcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";

/// One credential after the other, each with a file of its own.
fn watching(settings: Settings, keypulse: &Keypulse, secrets: &[(&str, &str)]) -> Settings {
    secrets.iter().fold(settings.account(ADDRESS), |settings, (name, password)| {
        settings.credential_file(name, &keypulse.secret(name, password))
    })
}

/// What IMAP and SMTP last said of a credential: cause or finding.
fn said(status: &serde_json::Value, name: &str, service: usize) -> String {
    let said = &credential(status, name)["services"][service];
    said["cause"].as_str().or(said["finding"].as_str()).unwrap_or("nothing").to_owned()
}

/// No credential was ever doubted, and no login refused.
#[track_caller]
fn nobody_was_doubted(daemon: &Running<'_>, mail: &Mail) {
    let log = daemon.log();
    assert!(!["suspect", "revoked", "rejected"].iter().any(|word| log.contains(&format!("-> {word}"))), "{log}");
    assert_eq!(mail.dovecot.failed_logins(), 0);
}

#[test]
fn a_password_changed_on_the_server_is_suspected_confirmed_and_told() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let hook = Hook::of(&keypulse);
    let settings = Settings::for_mail(&mail).hook(&hook.command());
    keypulse.configure(&watching(settings, &keypulse, &[("thunderbird", OLD)]));
    let daemon = keypulse.run();

    let status = daemon.until_health("thunderbird", "healthy");
    assert_eq!(credential(&status, "thunderbird")["services"][0]["finding"], "accepted");
    assert_eq!(credential(&status, "thunderbird")["services"][1]["code"], "235 2.7.0");

    mail.dovecot.set_password(ADDRESS, NEW);
    daemon.until_health("thunderbird", "suspect");
    let status = daemon.until_health("thunderbird", "revoked");
    assert_eq!(account(&status, ADDRESS)["incident"]["cause"], "reset-or-revoked");
    assert_eq!(account(&status, ADDRESS)["failed_logins_24h"], 4);
    assert_eq!(mail.dovecot.failed_logins(), 4, "{:?}", mail.dovecot.logins());
    let told = hook.until("incident-opened");
    assert_eq!(told["account"]["incident"]["credentials"][0], "thunderbird");

    keypulse.secret("thunderbird", NEW);
    daemon.until_health("thunderbird", "healthy");
    let told = hook.until("incident-resolved");
    assert_eq!(told["account"]["incident"]["withdrawn"], false, "another password is a repair, not a false alarm");
    assert!(told["account"]["incident"]["resolved_at"].is_string(), "{told:#}");
    assert_eq!(hook.events(), ["incident-opened", "incident-resolved"]);
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took.as_secs() < 2, "{took:?}");
}

#[test]
fn the_same_password_accepted_again_withdraws_the_alarm() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let hook = Hook::of(&keypulse);
    // The first re-test of a verdict that nobody corroborated comes after a twenty-fourth of this.
    let settings = Settings::for_mail(&mail).set("schedule", "retest_revoked", "\"24s\"").hook(&hook.command());
    keypulse.configure(&watching(settings, &keypulse, &[("thunderbird", OLD)]));
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    mail.dovecot.set_passwords(ADDRESS, &[]);
    daemon.until_health("thunderbird", "revoked");

    mail.dovecot.set_password(ADDRESS, OLD);
    let status = daemon.until_health("thunderbird", "healthy");
    assert!(account(&status, ADDRESS)["incident"].is_null(), "{status:#}");
    let told = hook.until("incident-resolved");
    assert_eq!(told["account"]["incident"]["withdrawn"], true, "{told:#}");
    assert_eq!(hook.events(), ["incident-opened", "incident-resolved"]);
}

#[test]
fn a_reset_of_the_main_password_is_one_incident_of_all() {
    let mail = Mail::start();
    let secrets = [("thunderbird", OLD), ("mutt", SECOND), ("nas", THIRD)];
    mail.dovecot.set_passwords(ADDRESS, &[OLD, SECOND, THIRD]);
    let keypulse = Keypulse::new();
    let hook = Hook::of(&keypulse);
    let settings =
        Settings::for_mail(&mail).set("schedule", "confirm", r#"["1500ms", "3500ms"]"#).hook(&hook.command());
    keypulse.configure(&watching(settings, &keypulse, &secrets));
    let daemon = keypulse.run();
    for (name, _) in secrets {
        daemon.until_health(name, "healthy");
    }

    mail.dovecot.set_password(ADDRESS, NEW);
    let status = daemon.until("all revoked", |status| status["counts"]["revoked"] == 3);
    let incident = &account(&status, ADDRESS)["incident"];
    assert_eq!(incident["cause"], "main-password-reset", "{status:#}");
    assert_eq!(incident["credentials"].as_array().unwrap().len(), 3, "{incident}");
    let told = hook.until("incident-opened");
    assert_eq!(told["account"]["incident"]["cause"], "main-password-reset");
    assert_eq!(told["account"]["incident"]["credentials"].as_array().unwrap().len(), 3, "{told:#}");
    // The leader: both services, then each once; the siblings: once each.
    assert_eq!(mail.dovecot.failed_logins(), 6, "{:?}", mail.dovecot.logins());
    assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], 6);

    for (name, _) in secrets {
        keypulse.secret(name, NEW);
        daemon.until_health(name, "healthy");
    }
    hook.until("incident-resolved");
    let events = hook.events();
    assert_eq!(events.iter().filter(|event| *event == "incident-opened").count(), 1, "{events:?}");
    assert_eq!(events.iter().filter(|event| *event == "incident-changed").count(), 0, "{events:?}");
}

#[test]
fn one_dead_beside_a_living_sibling_is_a_single_revocation() {
    let mail = Mail::start();
    mail.dovecot.set_passwords(ADDRESS, &[OLD, SECOND]);
    let keypulse = Keypulse::new();
    let hook = Hook::of(&keypulse);
    let settings =
        Settings::for_mail(&mail).set("schedule", "confirm", r#"["1500ms", "3500ms"]"#).hook(&hook.command());
    keypulse.configure(&watching(settings, &keypulse, &[("thunderbird", OLD), ("mutt", SECOND)]));
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    daemon.until_health("mutt", "healthy");

    mail.dovecot.set_passwords(ADDRESS, &[SECOND]);
    daemon.until_health("thunderbird", "revoked");
    // The sibling is asked once more after the last refusal: its answer names the cause.
    let status =
        daemon.until("the cause", |status| account(status, ADDRESS)["incident"]["cause"] == "single-revocation");
    assert_eq!(account(&status, ADDRESS)["incident"]["credentials"], serde_json::json!(["thunderbird"]));
    assert_eq!(credential(&status, "mutt")["health"], "healthy");
    let told = hook.until("incident-opened");
    assert_eq!(told["account"]["incident"]["cause"], "single-revocation");
    // Strong and corroborated by the canary: the second refusal is enough.
    assert_eq!(mail.dovecot.failed_logins(), 3, "{:?}", mail.dovecot.logins());
    assert_eq!(hook.events(), ["incident-opened"]);
}

#[test]
fn credentials_with_the_same_secret_share_one_login() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let settings = Settings::for_mail(&mail).set("schedule", "interval", "\"20m\"");
    // Later than the check takes: its logins and those of the confirmation are told apart.
    let settings = settings.set("schedule", "confirm", r#"["2500ms", "6s"]"#);
    keypulse.configure(&watching(settings, &keypulse, &[("mbsync", OLD), ("msmtp", OLD)]));
    let daemon = keypulse.run();
    daemon.until_health("mbsync", "healthy");
    let status = daemon.until_health("msmtp", "healthy");
    let asked = |status: &serde_json::Value, name: &str| credential(status, name)["services"].clone();
    assert_eq!(asked(&status, "mbsync"), asked(&status, "msmtp"));
    let services = || mail.dovecot.logins().into_iter().map(|login| login.service).collect::<Vec<_>>();
    assert_eq!(services(), ["imap", "smtp"]);

    mail.dovecot.set_password(ADDRESS, NEW);
    assert_eq!(keypulse.command(&["check"]).code, 1);
    assert_eq!(services(), ["imap", "smtp", "imap", "smtp"], "a check of both asks once");
    daemon.until_health("mbsync", "revoked");
    daemon.until_health("msmtp", "revoked");
    let status = daemon.status_json();
    assert_eq!(account(&status, ADDRESS)["incident"]["cause"], "reset-or-revoked", "one secret, not two: {status:#}");
    assert_eq!(mail.dovecot.failed_logins(), 4, "{:?}", mail.dovecot.logins());
}

/// One login per connection, and a goodbye: as the servers saw it.
#[track_caller]
fn check_manners(imap: Tls, smtp: Tls) {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let imap_port = match imap {
        Tls::Implicit => mail.dovecot.implicit_port(),
        Tls::StartTls => mail.dovecot.starttls_port(),
    };
    let smtp_port = match smtp {
        Tls::Implicit => mail.postfix.implicit_port(),
        Tls::StartTls => mail.postfix.starttls_port(),
    };
    let settings = Settings::for_mail(&mail).imap(imap_port, imap).smtp(smtp_port, smtp);
    let settings = settings.set("schedule", "interval", "\"20m\"").set("schedule", "confirm", r#"["20m", "1h"]"#);
    keypulse.configure(&watching(settings, &keypulse, &[("thunderbird", OLD)]));
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    mail.dovecot.set_password(ADDRESS, NEW);
    assert_eq!(keypulse.command(&["check"]).code, 1);
    let verdicts: Vec<_> = mail.dovecot.logins().into_iter().map(|login| login.verdict).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted, Verdict::Refused, Verdict::Refused]);

    // Dovecot: LOGOUT after the acceptance; after the refusal LOGOUT too, with one attempt counted.
    until("LOGOUT in Dovecot's log", || mail.dovecot.log().contains("Disconnected: Logged out").then_some(()));
    until("one refused login in Dovecot's log", || {
        mail.dovecot.log().contains("auth failed, 1 attempts").then_some(())
    });
    // Postfix sums up each connection.
    let starttls = if smtp == Tls::StartTls { " starttls=1" } else { "" };
    for auth in ["auth=1", "auth=0/1"] {
        until(&format!("{auth} and QUIT in Postfix's log"), || {
            let log = mail.postfix.log();
            let mut ends = log.lines().filter(|line| line.contains("disconnect from"));
            ends.any(|line| line.contains(&format!(" {auth} ")) && line.contains(" quit=1") && line.contains(starttls))
                .then_some(())
        });
    }
}

#[test]
fn one_login_per_connection_and_a_goodbye_as_icloud_has_it() {
    check_manners(Tls::Implicit, Tls::StartTls);
}

#[test]
fn one_login_per_connection_and_a_goodbye_the_other_way_round() {
    check_manners(Tls::StartTls, Tls::Implicit);
}

#[test]
fn servers_that_freeze_or_vanish_are_no_verdict() {
    let mut mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let settings = Settings::for_mail(&mail)
        .set("schedule", "timeout", "\"1s\"")
        .set("schedule", "interval", "\"300ms\"")
        .set("schedule", "stale_after", "\"3s\"");
    keypulse.configure(&watching(settings, &keypulse, &[("thunderbird", OLD)]));
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");

    mail.dovecot.freeze();
    mail.postfix.freeze();
    daemon.until("both timed out", |status| {
        said(status, "thunderbird", 0) == "timed-out" && said(status, "thunderbird", 1) == "timed-out"
    });
    mail.dovecot.thaw();
    mail.postfix.thaw();
    daemon.until("accepted again", |status| said(status, "thunderbird", 0) == "accepted");

    // Without Dovecot, Postfix has nobody to ask: whatever it says then, it is no refusal.
    mail.dovecot.stop();
    daemon.until("no IMAP, no judge for SMTP", |status| {
        let smtp = said(status, "thunderbird", 1);
        said(status, "thunderbird", 0) == "unreachable" && matches!(&*smtp, "unavailable" | "connection-lost")
    });
    mail.postfix.stop();
    daemon.until("both unreachable", |status| {
        said(status, "thunderbird", 0) == "unreachable" && said(status, "thunderbird", 1) == "unreachable"
    });
    daemon.until_health("thunderbird", "stale");
    mail.dovecot.restart();
    mail.postfix.restart();
    daemon.until_health("thunderbird", "healthy");
    nobody_was_doubted(&daemon, &mail);
}

#[test]
fn a_server_in_trouble_of_its_own_is_no_verdict() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mutt", OLD);
    let lines = format!("services = [\"imap\"]\nsecret.file = {:?}", secret.to_str().unwrap());
    let settings = Settings::for_mail(&mail).set("schedule", "stale_after", "\"3s\"");
    keypulse.configure(&settings.account(ADDRESS).credential("mutt", &lines));
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");

    mail.dovecot.unavailable("imap", true);
    let status = daemon.until("unavailable", |status| said(status, "mutt", 0) == "unavailable");
    assert_eq!(credential(&status, "mutt")["services"][0]["code"], "UNAVAILABLE");
    assert_eq!(credential(&status, "mutt")["health"], "healthy", "one hiccup moves nothing");
    daemon.until_health("mutt", "stale");
    mail.dovecot.unavailable("imap", false);
    daemon.until_health("mutt", "healthy");
    nobody_was_doubted(&daemon, &mail);
}
