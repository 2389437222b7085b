//! `status`, `check` and `ok`: through the daemon, and without one from the stored state.

use serde_json::{Value, json};

use crate::{
    contract::check_contract,
    lab::{Keypulse, Mail, Output, Running, Settings, Tls, account, credential},
};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OTHER: &str = "appleseed.john@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const SECOND: &str = "bbcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";

#[track_caller]
fn document(output: &Output) -> Value {
    let document = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    check_contract(&document);
    document
}

/// Two accounts: one with two passwords, one with one.
fn person(mail: &Mail) -> Keypulse {
    person_with(mail, Settings::for_mail(mail))
}

fn person_with(mail: &Mail, settings: Settings) -> Keypulse {
    mail.dovecot.set_passwords(ADDRESS, &[OLD, SECOND]);
    mail.dovecot.set_password(OTHER, OLD);
    let keypulse = Keypulse::new();
    let [first, second, third] =
        [("first", OLD), ("second", SECOND), ("third", OLD)].map(|(name, password)| keypulse.secret(name, password));
    let app = format!("app = \"Thunderbird\"\nsecret.file = {}", json!(first));
    let settings = settings.account(ADDRESS).credential("first", &app).credential_file("second", &second);
    keypulse.configure(&settings.account(OTHER).credential_file("third", &third));
    keypulse
}

#[track_caller]
fn until_all_healthy(daemon: &Running<'_>) {
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 3);
}

#[test]
fn the_status_document_is_as_the_contract_says() {
    let mail = Mail::start();
    let keypulse = person(&mail);
    let daemon = keypulse.run();
    until_all_healthy(&daemon);
    let healthy = keypulse.command(&["status", "--json"]);
    assert_eq!(healthy.code, 0, "{healthy:?}");
    let healthy = document(&healthy);
    assert_eq!((&healthy["overall"], &healthy["daemon"]["pid"]), (&json!("ok"), &json!(daemon.pid())));
    assert_eq!(healthy["daemon"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(keypulse.command(&["status", "--format", "json"]).code, 0);

    mail.dovecot.set_passwords(ADDRESS, &[SECOND]);
    daemon.until_health("first", "revoked");
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["cause"] == "single-revocation");
    let dead = keypulse.command(&["status", "--json"]);
    assert_eq!(dead.code, 2, "{dead:?}");
    let dead = document(&dead);
    assert_eq!(dead["overall"], "critical");
    assert_eq!(
        dead["counts"],
        json!({"healthy": 2, "degraded": 0, "suspect": 0, "revoked": 1, "rejected": 0,
        "unreadable": 0, "stale": 0, "unknown": 0})
    );
    let first = credential(&dead, "first");
    assert_eq!(
        (&first["app"], &first["health"], &first["presumed"]),
        (&json!("Thunderbird"), &json!("revoked"), &json!(false))
    );
    let imap = &first["services"][0];
    assert_eq!(
        (&imap["service"], &imap["finding"], &imap["code"]),
        (&json!("imap"), &json!("rejected"), &json!("AUTHENTICATIONFAILED"))
    );
    assert!(imap["detail"].as_str().unwrap().starts_with("NO [AUTHENTICATIONFAILED]"), "{imap}");
    let smtp = &first["services"][1];
    assert_eq!((&smtp["service"], &smtp["code"]), (&json!("smtp"), &json!("535 5.7.8")), "{smtp}");

    // The same over the socket, and for `check`.
    check_contract(&keypulse.request("GET", "/v1/status", "").unwrap().json());
    let one = keypulse.request("GET", "/v1/status?name=third", "").unwrap().json();
    check_contract(&one);
    assert_eq!((&one["overall"], one["accounts"].as_array().unwrap().len()), (&json!("ok"), 1));
    assert_eq!(keypulse.request("GET", "/v1/status?name=nobody", "").unwrap().code, 404);
    let checked = keypulse.command(&["check", "--json"]);
    assert_eq!(checked.code, 2, "{checked:?}");
    assert!(document(&checked)["daemon"].is_object());
}

#[test]
fn names_narrow_status_and_exit_code() {
    let mail = Mail::start();
    let keypulse = person(&mail);
    let daemon = keypulse.run();
    until_all_healthy(&daemon);
    mail.dovecot.set_passwords(ADDRESS, &[SECOND]);
    daemon.until_health("first", "revoked");

    let code = |arguments: &[&str]| keypulse.command(arguments).code;
    assert_eq!(code(&[]), 2, "alone it is status");
    assert_eq!(code(&["status"]), 2);
    assert_eq!(code(&["status", "second"]), 0);
    assert_eq!(code(&["status", "second", "third"]), 0);
    assert_eq!(code(&["status", "first", "third"]), 2);
    let narrowed = document(&keypulse.command(&["status", "--json", "second"]));
    assert_eq!((&narrowed["overall"], &narrowed["counts"]["healthy"]), (&json!("ok"), &json!(1)));
    assert_eq!(narrowed["accounts"][0]["credentials"].as_array().unwrap().len(), 1);
    assert_eq!(narrowed["accounts"].as_array().unwrap().len(), 1);
    for command in ["status", "check"] {
        let unknown = keypulse.command(&[command, "second", "nobody"]);
        assert_eq!((unknown.code, &*unknown.stdout), (64, ""), "{unknown:?}");
        assert!(unknown.stderr.contains("nobody"), "{unknown:?}");
    }
    assert_eq!(code(&["status", "--no-such-thing"]), 64);
    assert_eq!(code(&["check", "second"]), 0);

    // For people: who, how, and what to do.
    let table = keypulse.command(&["status"]).stdout;
    for word in ["Thunderbird", "revoked", "second", "healthy", ADDRESS, OTHER] {
        assert!(table.contains(word), "{word}\n{table}");
    }
}

#[test]
fn a_service_that_refuses_alone_is_a_warning() {
    let mail = Mail::start();
    let keypulse = person(&mail);
    mail.dovecot.refuse_all("smtp", true);
    let daemon = keypulse.run();
    daemon.until("all degraded", |status| status["counts"]["degraded"] == 3);
    let output = keypulse.command(&["status", "--json"]);
    assert_eq!((output.code, &document(&output)["overall"]), (1, &json!("warning")));
    assert_eq!(keypulse.command(&["ok", "first"]).code, 0);
    assert_eq!(keypulse.command(&["ok", "first", "--strict"]).code, 0, "degraded is alive");
}

/// Nothing on standard output, on standard error one line with `said`, or nothing at all.
#[track_caller]
fn check(output: &Output, code: i32, said: &str) {
    assert_eq!((output.code, &*output.stdout), (code, ""), "{output:?}");
    assert!(output.stderr.contains(said) && said.is_empty() == output.stderr.is_empty(), "{output:?}");
    assert!(output.stderr.lines().count() <= 1, "one line: {output:?}");
}

#[test]
fn ok_is_silent_and_lenient() {
    let mail = Mail::start();
    let keypulse = person(&mail);
    // Nothing was ever stored.
    check(&keypulse.command(&["ok", "first"]), 0, "");
    check(&keypulse.command(&["ok", "--strict", "first"]), 1, "");
    let daemon = keypulse.run();
    until_all_healthy(&daemon);
    check(&keypulse.command(&["ok", "first"]), 0, "");
    check(&keypulse.command(&["ok", "--strict", "first"]), 0, "");
    check(&keypulse.command(&["ok", "nobody"]), 0, "nobody");
    check(&keypulse.command(&["ok", "--strict", "nobody"]), 64, "nobody");

    mail.dovecot.set_passwords(ADDRESS, &[SECOND]);
    daemon.until_health("first", "revoked");
    check(&keypulse.command(&["ok", "first"]), 1, "");
    check(&keypulse.command(&["ok", "--strict", "first"]), 1, "");
    check(&keypulse.command(&["ok", "second"]), 0, "");

    // Without the daemon from what it left behind.
    daemon.terminate();
    check(&keypulse.command(&["ok", "first"]), 1, "");
    check(&keypulse.command(&["ok", "--strict", "second"]), 0, "");
    check(&keypulse.command(&["ok", "nobody"]), 0, "nobody");
    keypulse.configure_text("[schedule]\ninterval = 7\n");
    check(&keypulse.command(&["ok", "first"]), 0, "config.toml:2:12");
    check(&keypulse.command(&["ok", "--strict", "first"]), 78, "config.toml:2:12");
    for command in ["status", "check"] {
        let broken = keypulse.command(&[command]);
        assert_eq!((broken.code, &*broken.stdout), (78, ""), "{broken:?}");
        assert!(broken.stderr.contains("config.toml:2:12"), "{broken:?}");
    }
    std::fs::remove_file(keypulse.config_file()).unwrap();
    check(&keypulse.command(&["ok", "first"]), 0, "there is no configuration file");
    check(&keypulse.command(&["ok", "--strict", "first"]), 78, "there is no configuration file");
}

#[test]
fn where_nothing_can_be_told_the_code_is_three() {
    let keypulse = Keypulse::new();
    for command in ["status", "check"] {
        let output = keypulse.command(&[command]);
        assert_eq!(output.code, 3, "{output:?}");
        assert!(output.stderr.contains("there is no configuration file"), "{output:?}");
    }
    let nowhere = Settings::new().imap(9, Tls::Implicit).smtp(9, Tls::Implicit);
    keypulse.configure(&nowhere);
    for command in ["status", "check"] {
        let output = keypulse.command(&[command, "--json"]);
        assert_eq!((output.code, &document(&output)["overall"]), (3, &json!("unknown")));
    }
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mutt", OLD);
    keypulse.configure(&nowhere.account(ADDRESS).credential_file("mutt", &secret));
    let output = keypulse.command(&["status", "--json"]);
    assert_eq!((output.code, &document(&output)["overall"]), (3, &json!("unknown")), "nobody ever looked");
}

#[test]
fn without_a_daemon_the_stored_state_is_shown_and_check_goes_on_with_it() {
    let mail = Mail::start();
    let keypulse = person(&mail);

    // The first round ever, without a daemon.
    let checked = keypulse.command(&["check", "--json"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let checked = document(&checked);
    assert!(checked["daemon"].is_null());
    assert_eq!(checked["counts"]["healthy"], 3);
    let stored = document(&keypulse.command(&["status", "--json"]));
    for name in ["first", "second", "third"] {
        let told = |document: &Value| {
            let credential = credential(document, name);
            ["health", "since", "last_accepted_at", "last_checked_at", "services"].map(|key| credential[key].clone())
        };
        assert_eq!(told(&stored), told(&checked));
    }

    // The daemon knows it from there …
    let daemon = keypulse.run();
    let status = daemon.status_json();
    assert_eq!(status["counts"]["healthy"], 3, "from the state, before any login of its own: {status:#}");
    mail.dovecot.set_passwords(ADDRESS, &[SECOND]);
    daemon.until_health("first", "revoked");
    daemon.terminate();

    // … and leaves behind what it found.
    let stored = keypulse.command(&["status", "--json"]);
    assert_eq!(stored.code, 2);
    let stored = document(&stored);
    assert!(stored["daemon"].is_null());
    assert_eq!(credential(&stored, "first")["health"], "revoked");
    // A login that was cut off when the daemon ended counts as failed.
    let failed = u64::try_from(mail.dovecot.failed_logins()).unwrap();
    assert!(account(&stored, ADDRESS)["failed_logins_24h"].as_u64().unwrap() >= failed, "{failed} failed\n{stored:#}");

    // Without names a dead pair is left out; a named one is tried, on one service.
    let before = mail.dovecot.failed_logins();
    assert_eq!(keypulse.command(&["check"]).code, 2);
    assert_eq!(mail.dovecot.failed_logins(), before, "{:?}", mail.dovecot.logins());
    assert_eq!(keypulse.command(&["check", "first"]).code, 2);
    assert_eq!(mail.dovecot.failed_logins(), before + 1, "{:?}", mail.dovecot.logins());

    keypulse.secret("first", SECOND);
    let repaired = keypulse.command(&["check", "--json", "first"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert_eq!(credential(&document(&repaired), "first")["health"], "healthy");
}

#[test]
fn a_lone_check_suspects_and_the_daemon_goes_on_from_there() {
    let mail = Mail::start();
    // Later than the check takes: it ends with what it found, and leaves the confirmation to others.
    let keypulse = person_with(&mail, Settings::for_mail(&mail).set("schedule", "confirm", r#"["4s", "8s"]"#));
    assert_eq!(keypulse.command(&["check"]).code, 0);
    mail.dovecot.set_password(ADDRESS, NEW);
    let suspected = keypulse.command(&["check", "--json", "first"]);
    assert_eq!(suspected.code, 1, "{suspected:?}");
    assert_eq!(credential(&document(&suspected), "first")["health"], "suspect");
    let daemon = keypulse.run();
    daemon.until("both revoked", |status| status["counts"]["revoked"] == 2);
    assert_eq!(account(&daemon.status_json(), ADDRESS)["incident"]["cause"], "main-password-reset");
}

#[test]
fn a_check_waits_for_the_rounds_or_says_that_it_did_not() {
    let mail = Mail::start();
    let keypulse = person(&mail);
    let daemon = keypulse.run();
    until_all_healthy(&daemon);
    let done = keypulse.request("POST", "/v1/check", r#"{"names": ["third"], "wait_s": 60}"#).unwrap();
    assert_eq!(done.code, 200, "{done:?}");
    assert_eq!(done.json()["accounts"].as_array().unwrap().len(), 1);
    mail.dovecot.freeze();
    mail.postfix.freeze();
    let early = keypulse.request("POST", "/v1/check", r#"{"wait_s": 0}"#).unwrap();
    assert_eq!(early.code, 202, "{early:?}");
    check_contract(&early.json());
    mail.dovecot.thaw();
    mail.postfix.thaw();
    assert_eq!(keypulse.request("POST", "/v1/check", r#"{"names": ["nobody"]}"#).unwrap().code, 404);
}
