//! The configuration read again, and the end at any moment.

use keypulse::simulator::{Fault, Stage};
use serde_json::json;

use crate::lab::{ICloud, Keypulse, Mail, Settings, account, credential};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const SECOND: &str = "bbcd-efgh-ijkl-mnop";

#[test]
fn a_valid_change_is_taken() {
    let mail = Mail::start();
    mail.dovecot.set_passwords(ADDRESS, &[OLD, SECOND]);
    let keypulse = Keypulse::new();
    let (first, second) = (keypulse.secret("first", OLD), keypulse.secret("second", SECOND));
    // So rarely that whatever is asked later is asked for the change.
    let settings =
        Settings::for_mail(&mail).set("schedule", "interval", "\"2h\"").set("schedule", "stale_after", "\"5h\"");
    let account = settings.clone().account(ADDRESS);
    keypulse.configure(&account.clone().credential_file("first", &first));
    let daemon = keypulse.run();
    let before = daemon.until_health("first", "healthy");

    keypulse.configure(&account.clone().credential_file("first", &first).credential_file("second", &second));
    daemon.reload();
    let status = daemon.until_health("second", "healthy");
    let asked = |status: &serde_json::Value| credential(status, "first")["last_checked_at"].clone();
    assert_eq!(asked(&status), asked(&before), "what was there stays as it was");
    assert_eq!(credential(&status, "first")["since"], credential(&before, "first")["since"]);
    assert_eq!(mail.dovecot.logins().len(), 4);

    keypulse.configure(&account.credential_file("second", &second));
    let answer = keypulse.request("POST", "/v1/reload", "").unwrap();
    assert_eq!(answer.code, 200, "{answer:?}");
    assert!(credential(&answer.json(), "first").is_null(), "{answer:?}");
    assert_eq!(credential(&answer.json(), "second")["health"], "healthy");
    assert!(daemon.log().contains("configuration read again"));

    // A shorter interval begins at once to count.
    let quick = settings.set("schedule", "interval", "\"200ms\"").account(ADDRESS);
    keypulse.configure(&quick.credential_file("second", &second));
    daemon.reload();
    daemon.until("rounds on the new interval", |_| mail.dovecot.logins().len() >= 8);
    assert_eq!(mail.dovecot.failed_logins(), 0);
}

#[test]
fn an_invalid_change_is_named_and_changes_nothing() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("thunderbird", OLD);
    let settings = Settings::for_mail(&mail).account(ADDRESS).credential_file("thunderbird", &secret);
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");

    let place = format!("{}:1:1", keypulse.config_file().display());
    keypulse.configure_text(&format!("intervall = \"1h\"\n{}", settings.to_toml()));
    daemon.reload();
    daemon.until_log(&place);
    let log = daemon.log();
    assert!(log.contains("the old one stays") && log.contains("unknown key `intervall`"), "{log}");
    assert_eq!(credential(&daemon.status_json(), "thunderbird")["health"], "healthy");

    let answer = keypulse.request("POST", "/v1/reload", "").unwrap();
    assert_eq!(answer.code, 422, "{answer:?}");
    assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    let problem = answer.json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&place) && detail.contains("unknown key `intervall`"), "{detail}");
    assert_eq!(problem["status"], 422);

    // It goes on as before, and takes the next valid one.
    let checked = credential(&daemon.status_json(), "thunderbird")["last_checked_at"].clone();
    daemon.until("another round", |status| credential(status, "thunderbird")["last_checked_at"] != checked);
    keypulse.configure(&settings.credential_file("mutt", &secret));
    assert_eq!(keypulse.request("POST", "/v1/reload", "").unwrap().code, 200);
    daemon.until_health("mutt", "healthy");
}

#[test]
fn a_configuration_that_is_gone_changes_nothing() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("thunderbird", OLD);
    keypulse.configure(&Settings::for_mail(&mail).account(ADDRESS).credential_file("thunderbird", &secret));
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    std::fs::remove_file(keypulse.config_file()).unwrap();
    daemon.reload();
    daemon.until_log("there is no configuration file");
    assert_eq!(credential(&daemon.status_json(), "thunderbird")["health"], "healthy");
}

#[test]
fn a_credential_that_comes_back_keeps_its_history() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("thunderbird", OLD);
    let settings = Settings::for_mail(&mail).account(ADDRESS);
    keypulse.configure(&settings.clone().credential_file("thunderbird", &secret));
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    mail.dovecot.set_passwords(ADDRESS, &[]);
    daemon.until_health("thunderbird", "revoked");
    let failed = mail.dovecot.failed_logins();

    keypulse.configure(&settings.clone());
    assert_eq!(keypulse.request("POST", "/v1/reload", "").unwrap().code, 200);
    assert_eq!(daemon.status_json()["accounts"][0]["incident"], json!(null), "removed is over");
    keypulse.configure(&settings.credential_file("thunderbird", &secret));
    assert_eq!(keypulse.request("POST", "/v1/reload", "").unwrap().code, 200);
    daemon.until_health("thunderbird", "revoked");
    assert_eq!(mail.dovecot.failed_logins(), failed, "an old secret put back is known to be dead");
}

#[test]
fn a_login_that_hangs_holds_up_nobody() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("thunderbird", OLD);
    let settings = Settings::for_mail(&mail).set("schedule", "timeout", "\"5m\"");
    keypulse.configure(&settings.account(ADDRESS).credential_file("thunderbird", &secret));
    mail.dovecot.freeze();
    let daemon = keypulse.run();
    daemon.until_log("attempt id=");
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took.as_secs() < 2, "{took:?}");

    // A secret that does not come is no hindrance either.
    let settings = Settings::for_mail(&mail).account(ADDRESS).credential_command("mutt", &["sleep", "1000"]);
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took.as_secs() < 2, "{took:?}");
    mail.dovecot.thaw();
}

#[test]
fn a_check_whose_configuration_is_replaced_ends_without_a_trace() {
    const OTHER: &str = "jane@icloud.com";
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let first = keypulse.secret("first", &icloud.world.new_password(ADDRESS));
    let second = keypulse.secret("second", &icloud.world.new_password(OTHER));
    let settings = Settings::for_icloud(&icloud).only_on_request().set("schedule", "timeout", "\"3s\"");
    let with_first = settings.clone().account(ADDRESS).credential_file("first", &first);
    let with_second = settings.account(OTHER).credential_file("second", &second);
    keypulse.configure(&with_first);
    icloud.set_fault(Some(&Fault::Hang(Stage::Login)));
    let daemon = keypulse.run();
    daemon.until("the first in the middle of its login", |_| icloud.world.logins().len() == 1);
    icloud.set_fault(None);

    keypulse.configure(&with_second);
    assert_eq!(keypulse.request("POST", "/v1/reload", "").unwrap().code, 200);
    // What hangs is nobody's any more, and holds up nobody.
    let status = daemon.until_health("second", "healthy");
    assert!(credential(&status, "first").is_null(), "{status:#}");
    daemon.until_log("attempt ended: ");
    daemon.until("the first given up", |_| icloud.open_connections() == 0);

    // Put back, it is as it was before: asked, and nothing of its ration is gone.
    keypulse.configure(&with_first);
    assert_eq!(keypulse.request("POST", "/v1/reload", "").unwrap().code, 200);
    let status = daemon.until_health("first", "healthy");
    assert!(credential(&status, "second").is_null(), "{status:#}");
    daemon.until("nothing spent", |status| account(status, ADDRESS)["failed_logins_24h"] == 0);
}

#[test]
fn replaced_again_and_again_under_load_it_loses_no_verdict_and_no_login() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"20ms\"")
        .set("schedule", "confirm", "[\"20ms\", \"40ms\"]")
        .set("limits", "failed_logins_per_account", "100");
    let dead = keypulse.secret("dead", &icloud.world.new_password("jane@icloud.com"));
    let [stays, comes] = ["stays", "comes"].map(|name| keypulse.secret(name, &icloud.world.new_password(ADDRESS)));
    let few = settings.account("jane@icloud.com").credential_file("dead", &dead).account(ADDRESS);
    let few = few.credential_file("stays", &stays);
    let many = few.clone().credential_file("comes", &comes).set("schedule", "interval", "\"30ms\"");
    keypulse.configure(&few);
    let daemon = keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    icloud.world.reset_main_password("jane@icloud.com");
    daemon.until_health("dead", "revoked");
    let failed = icloud.world.failed_logins("jane@icloud.com");
    for round in 0..40 {
        keypulse.configure(if round % 2 == 0 { &many } else { &few });
        let answer = keypulse.request("POST", "/v1/reload", "").unwrap();
        assert_eq!(answer.code, 200, "{answer:?}");
        let status = answer.json();
        assert_eq!(credential(&status, "dead")["health"], "revoked", "{status:#}");
        assert_eq!(credential(&status, "stays")["health"], "healthy", "{status:#}");
    }
    daemon.until("nothing spent on what lives", |status| account(status, ADDRESS)["failed_logins_24h"] == 0);
    assert_eq!(icloud.world.failed_logins(ADDRESS), 0);
    let spent = icloud.world.failed_logins("jane@icloud.com");
    assert!(spent <= failed + 1, "{failed} failed logins became {spent}: latched, but for a re-test");
}
