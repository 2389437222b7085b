//! `keypulse explain`, through the real binary against the simulated iCloud: the chain behind each health.

use keypulse::simulator::Fault;
use serde_json::Value;

use crate::lab::{ICloud, Keypulse, Settings, until};

const JOHN: &str = "johnappleseed@icloud.com";
const JANE: &str = "jane@me.com";
const PASSWORDS: [&str; 6] = [
    "aaaa-bbbb-cccc-dddd",
    "bbbb-cccc-dddd-eeee",
    "cccc-dddd-eeee-ffff",
    "dddd-eeee-ffff-gggg",
    "eeee-ffff-gggg-hhhh",
    "ffff-gggg-hhhh-jjjj",
];

/// John with so many passwords, p0, p1, …, all of them right.
fn john(icloud: &ICloud, keypulse: &Keypulse, count: usize, settings: Settings) -> Settings {
    let credentials = PASSWORDS.iter().take(count).enumerate();
    credentials.fold(settings.account(JOHN), |settings, (at, password)| {
        icloud.world.set_password(JOHN, password);
        let name = format!("p{at}");
        settings.credential_file(&name, &keypulse.secret(&name, password))
    })
}

/// The words on one line, so that a test need not know where lines are broken. No line is wider than 80 columns.
#[track_caller]
fn told(keypulse: &Keypulse, target: &str) -> String {
    let output = keypulse.command(&["explain", target]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    for line in output.stdout.lines() {
        assert!(line.chars().count() <= 80, "too wide: {line}\n{}", output.stdout);
    }
    output.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn holds(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// The only credential in the JSON of `explain NAME`.
#[track_caller]
fn chain(keypulse: &Keypulse, name: &str) -> Value {
    let output = keypulse.command(&["explain", name, "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&document["schema"], &document["accounts"][0]["address"]), (&1.into(), &JOHN.into()));
    assert_eq!(document["accounts"][0]["credentials"].as_array().unwrap().len(), 1);
    document["accounts"][0]["credentials"][0].clone()
}

/// The rules of the rounds, the oldest first.
fn rules(credential: &Value) -> Vec<&str> {
    let rounds = credential["evidence"].as_array().unwrap();
    rounds.iter().map(|round| round["decision"]["rule"].as_str().unwrap()).collect()
}

#[test]
fn a_revoked_password_is_explained_login_by_login() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    keypulse.configure(&john(&icloud, &keypulse, 2, Settings::for_icloud(&icloud)));
    let daemon = keypulse.run();
    daemon.until("both to be healthy", |status| status["counts"]["healthy"] == 2);
    icloud.world.revoke(JOHN, PASSWORDS[0]);
    daemon.until_health("p0", "revoked");
    let first = chain(&keypulse, "p0");
    assert_eq!(first["why"]["rule"], "corroborated", "{first:#}");
    assert_eq!(first["why"]["part"], "4, revoked");
    let tail = rules(&first);
    // On a busy machine the canary is late, and one more confirmation is needed.
    let way: Vec<_> = tail.iter().filter(|rule| **rule != "counted").collect();
    assert_eq!(way[1..], [&"first-refusal", &"corroborated"], "{first:#}");
    assert!(["alive", "accepted"].contains(&tail[0]), "from the acceptance before it: {tail:?}");
    let rounds = first["evidence"].as_array().unwrap();
    let (refused, confirmed) = (&rounds[1], rounds.last().unwrap());
    assert_eq!((&refused["assessment"], &refused["refusals"]), (&"refused-strong".into(), &1.into()));
    assert_eq!(refused["counted"], serde_json::json!(["imap", "smtp"]));
    let words = "NO [AUTHENTICATIONFAILED] Authentication Failed";
    assert_eq!(refused["attempts"][0]["detail"], words);
    assert_eq!((&confirmed["purpose"], &confirmed["refusals"]), (&"confirm".into(), &(rounds.len() - 1).into()));
    assert_eq!(confirmed["corroborated_by"]["credential"], "p1");
    let text = told(&keypulse, "p0");
    holds(
        &text,
        &[
            "✗ p0: revoked since ",
            "Meanwhile p1 was accepted by ",
            "[corroborated; part 4, revoked]",
            "imap rejected NO [AUTHENTICATIONFAILED]",
            "= refused (strong). The first refusal, by IMAP and SMTP, which accepted it before.",
            " of 12 spent in 24 h; ",
            " of them for checks by itself.",
            "Incident single-revocation",
            "Next check ",
            "re-test of a dead password",
        ],
    );
    let other = told(&keypulse, "p1");
    holds(&other, &["✓ p1: healthy since ", "A refusal makes it suspect", "routine check", "imap accepted"]);
    let whole = told(&keypulse, "JohnAppleseed@iCloud.com");
    holds(&whole, &["✗ p0: revoked", "✓ p1: healthy", "What to do"]);
    daemon.terminate();
    assert_eq!(rules(&chain(&keypulse, "p0")), tail, "the same without a daemon");
    let text = told(&keypulse, "p0");
    holds(&text, &["The daemon is not running"]);
    assert!(!text.contains("Next check"), "nothing is planned: {text}");

    let unknown = keypulse.command(&["explain", "p"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (64, ""), "{unknown:?}");
    holds(&unknown.stderr, &["no credential or account is named \"p\"", "p0", JOHN]);
}

#[test]
fn a_reset_is_explained_down_to_those_that_were_not_asked() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    keypulse.configure(&john(&icloud, &keypulse, 6, Settings::for_icloud(&icloud)));
    let daemon = keypulse.run();
    daemon.until("all to be healthy", |status| status["counts"]["healthy"] == 6);
    icloud.world.reset_main_password(JOHN);
    daemon.until("all to be dead", |status| status["counts"]["revoked"] == 6);
    let output = keypulse.command(&["explain", JOHN, "--json"]);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let account = &document["accounts"][0];
    assert_eq!(account["incident"]["cause"], "main-password-reset");
    assert_eq!(account["failed_logins_left"], 12 - account["failed_logins_24h"].as_u64().unwrap());
    let credentials = account["credentials"].as_array().unwrap();
    assert_eq!(credentials.len(), 6);
    let presumed = credentials.iter().find(|credential| credential["presumed"] == true).unwrap();
    assert_eq!(presumed["why"]["rule"], "presumed-by-siblings");
    assert_eq!(rules(presumed).last(), Some(&"presumed-by-siblings"));
    let by: Vec<_> = credentials.iter().map(|credential| credential["why"]["rule"].as_str().unwrap()).collect();
    assert!(by.contains(&"confirmed-twice") && by.contains(&"shared"), "{by:?}");
    let text = told(&keypulse, presumed["name"].as_str().unwrap());
    holds(&text, &[": revoked, presumed since", "Not asked itself: the password that led for the account is dead"]);
}

#[test]
fn what_is_held_back_says_by_what_and_until_when() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let settings = Settings::for_icloud(&icloud).set("schedule", "outage_hold", "\"1h\"");
    let settings = john(&icloud, &keypulse, 1, settings).account(JANE);
    icloud.world.set_password(JANE, PASSWORDS[1]);
    keypulse.configure(&settings.credential_file("jane", &keypulse.secret("jane", PASSWORDS[1])));
    let daemon = keypulse.run();
    daemon.until("both to be healthy", |status| status["counts"]["healthy"] == 2);
    icloud.set_fault(Some(&Fault::RejectValid));
    let cause = |status: &Value| status["accounts"][0]["incident"]["cause"] == "provider-outage-suspected";
    daemon.until("the guard to hold", cause);
    let held = chain(&keypulse, "p0");
    assert_eq!((&held["health"], &held["why"]["rule"]), (&"suspect".into(), &"held".into()), "{held:#}");
    assert!(held["held_until"].is_string());
    assert_eq!(held["evidence"].as_array().unwrap().last().unwrap()["guard"], "another-account");
    let text = told(&keypulse, "p0");
    holds(
        &text,
        &[
            "? p0: suspect since ",
            "another Apple Account uses that service, too",
            "Held back until ",
            "when the guard lets go",
            "Incident provider-outage-suspected (not told yet)",
        ],
    );
    drop(daemon);
}

#[test]
fn what_was_never_accepted_not_read_or_not_asked_says_so() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let settings = Settings::for_icloud(&icloud).only_on_request().account(JOHN);
    let wrong = keypulse.secret("wrong", PASSWORDS[0]);
    let settings = settings.credential_file("wrong", &wrong).credential_file("gone", &keypulse.home().join("nowhere"));
    keypulse.configure(&settings);
    holds(&told(&keypulse, "wrong"), &["? wrong: unknown", "Not asked yet.", "Last accepted never", "first answer"]);
    keypulse.command(&["check"]);
    let text = told(&keypulse, "wrong");
    holds(&text, &["✗ wrong: rejected since ", "never accepted before", "[never-accepted; part 3, health]"]);
    let text = told(&keypulse, "gone");
    holds(&text, &["! gone: unreadable since ", "The password cannot be read, so nobody is asked.", "nowhere"]);
    icloud.world.set_password(JOHN, PASSWORDS[0]);
    let smtp = keypulse::health::evidence::Service::Smtp;
    icloud.world.set_fault(smtp, Some(Fault::RejectValid));
    keypulse.command(&["check", "wrong"]);
    let text = told(&keypulse, "wrong");
    holds(&text, &["! wrong: degraded since ", "Accepted: the suspicion is over. But SMTP refuses it.", "= degraded."]);
}

#[test]
fn what_nobody_answers_on_says_so_and_what_would_change_it() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let settings = Settings::for_icloud(&icloud).set("schedule", "stale_after", "\"1200ms\"");
    keypulse.configure(&john(&icloud, &keypulse, 1, settings));
    let daemon = keypulse.run();
    daemon.until_health("p0", "healthy");
    icloud.set_fault(Some(&Fault::Unavailable));
    daemon.until_health("p0", "stale");
    let chain = chain(&keypulse, "p0");
    assert_eq!((&chain["health"], &chain["why"]["rule"]), (&"stale".into(), &Value::Null), "{chain:#}");
    let vain = chain["evidence"].as_array().unwrap().last().unwrap();
    assert_eq!(vain["assessment"], "inconclusive", "{vain:#}");
    assert_eq!(vain["attempts"][0]["cause"], "unavailable", "{vain:#}");
    let text = told(&keypulse, "p0");
    holds(
        &text,
        &[
            "! p0: stale since ",
            "Why No answer on this password for too long.",
            "Would change Any answer of Apple's on this password.",
            "unavailable BAD [UNAVAILABLE] Service temporarily unavailable",
            "= inconclusive. No answer on the password: nothing moves. It is asked again.",
        ],
    );
    icloud.set_fault(None);
    daemon.until_health("p0", "healthy");
}

#[test]
fn a_verdict_that_waits_for_the_ration_says_until_when() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    // Two for a check by itself: what the first refused round costs.
    let settings = Settings::for_icloud(&icloud).set("limits", "failed_logins_per_account", "6");
    keypulse.configure(&john(&icloud, &keypulse, 1, settings));
    let daemon = keypulse.run();
    daemon.until_health("p0", "healthy");
    icloud.world.reset_main_password(JOHN);
    daemon.until_health("p0", "suspect");
    let rule = |chain: &Value| rules(chain).last().copied() == Some("ration-used-up");
    let chain = until("the ration to be used up", || Some(chain(&keypulse, "p0")).filter(rule));
    assert_eq!(chain["why"]["rule"], "first-refusal", "what moved it: {chain:#}");
    let waits = chain["evidence"].as_array().unwrap().last().unwrap();
    assert_eq!(waits["decision"]["part"], "6, ration", "{waits:#}");
    let next = chain["next_check_at"].as_str().unwrap();
    let text = told(&keypulse, "p0");
    holds(
        &text,
        &[
            "2 of 6 spent in 24 h; 4 left, 0 of them for checks by itself. The next by itself: ",
            "? p0: suspect since ",
            "= The failed logins of the day are used up: it is asked again when one is free. [ration-used-up; part 6, ration]",
            "Next check ",
            " h): confirmation of the refusal",
        ],
    );
    assert!(next > chain["since"].as_str().unwrap(), "{chain:#}");
    drop(daemon);
}

#[test]
fn what_was_decided_before_reasons_were_kept_is_told_as_far_as_it_is_known() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    keypulse.configure(&john(&icloud, &keypulse, 1, Settings::for_icloud(&icloud)));
    let daemon = keypulse.run();
    daemon.until_health("p0", "healthy");
    icloud.world.reset_main_password(JOHN);
    daemon.until_health("p0", "revoked");
    daemon.terminate();
    // As the first schema had it: no round and no secret with an attempt, no rulings.
    let database = rusqlite::Connection::open(keypulse.state_dir().join("keypulse.sqlite")).unwrap();
    let first = "DROP INDEX rulings_by_secret; DROP TABLE rulings; ALTER TABLE attempts DROP COLUMN round;
        ALTER TABLE attempts DROP COLUMN secret; PRAGMA user_version = 1;";
    database.execute_batch(first).unwrap();
    drop(database);
    let check = || {
        let chain = chain(&keypulse, "p0");
        assert_eq!((&chain["health"], &chain["why"]["rule"]), (&"revoked".into(), &Value::Null), "{chain:#}");
        let evidence = chain["evidence"].as_array().unwrap();
        assert!(evidence.iter().any(|round| round["attempts"][0]["finding"] == "rejected"), "{chain:#}");
        assert!(evidence.iter().all(|round| round["round"].is_null()), "{chain:#}");
        let text = told(&keypulse, "p0");
        holds(
            &text,
            &[
                "✗ p0: revoked since ",
                "Decided before keypulse kept its reasons; the attempts are below.",
                "imap rejected NO [AUTHENTICATIONFAILED] Authentication Failed",
            ],
        );
    };
    check();
    let daemon = keypulse.run();
    daemon.until("the daemon to know it", |status| status["counts"]["revoked"] == 1);
    check();
    drop(daemon);
}
