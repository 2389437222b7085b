//! `keypulse history` and `keypulse events`, through the real binary: what changed and what changes.

use keypulse::simulator::Fault;
use serde_json::Value;

use crate::{
    contract::is_whole_second,
    lab::{ICloud, Keypulse, Output, Settings},
};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const OTHER: &str = "qrst-uvwx-yzab-cdef";

/// A person with two passwords, both accepted.
fn person(icloud: &ICloud) -> Keypulse {
    icloud.world.set_password(ADDRESS, OLD);
    icloud.world.set_password(ADDRESS, OTHER);
    let keypulse = Keypulse::new();
    let (mutt, nas) = (keypulse.secret("mutt", OLD), keypulse.secret("nas", OTHER));
    let settings = Settings::for_icloud(icloud).account(ADDRESS);
    keypulse.configure(&settings.credential_file("mutt", &mutt).credential_file("nas", &nas));
    keypulse
}

#[track_caller]
fn lines(output: &Output) -> Vec<Value> {
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// "healthy -> suspect" and so on.
fn steps(changes: &[Value]) -> Vec<String> {
    let word = |change: &Value, key: &str| change[key].as_str().unwrap_or("null").to_owned();
    changes.iter().map(|it| format!("{} -> {} ({})", word(it, "from"), word(it, "to"), word(it, "cause"))).collect()
}

#[test]
fn the_history_keeps_every_change_and_both_causes() {
    let icloud = ICloud::start();
    let keypulse = person(&icloud);
    let nothing = keypulse.command(&["history"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "No changes.\n"), "before anything ran: {nothing:?}");
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    daemon.until_health("nas", "healthy");
    icloud.world.revoke(ADDRESS, OLD);
    daemon.until("the sibling to live", |status| status["accounts"][0]["incident"]["cause"] == "single-revocation");
    icloud.world.revoke(ADDRESS, OTHER);
    daemon.until("both to be dead", |status| status["counts"]["revoked"] == 2);

    let all = keypulse.request("GET", "/v1/history", "").unwrap();
    assert_eq!(all.code, 200);
    let all = all.json();
    let all = all.as_array().unwrap();
    let ids: Vec<u64> = all.iter().map(|change| change["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "the newest first: {ids:?}");
    for change in all {
        let keys: Vec<_> = change.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["account", "at", "cause", "credential", "from", "id", "presumed", "reason", "to"]);
        assert!(is_whole_second(change["at"].as_str().unwrap()), "{change}");
        assert_eq!(change["account"], ADDRESS);
    }
    assert_eq!(lines(&keypulse.command(&["history", "--json"])), *all, "the command says the same");

    let mut mutt = lines(&keypulse.command(&["history", "mutt", "--json"]));
    mutt.reverse();
    let (last, first) = (steps(&mutt), ["unknown -> healthy (null)", "healthy -> suspect (null)"]);
    assert_eq!(last[..2], first);
    assert_eq!(last.last().unwrap(), "revoked -> revoked (main-password-reset)", "{last:?}");
    assert!(
        last.contains(&"revoked -> revoked (single-revocation)".to_owned()) || last[2].contains("single"),
        "{last:?}"
    );
    assert_eq!(mutt.last().unwrap()["reason"], "the cause was single-revocation");

    let shown = keypulse.command(&["history", "mutt"]);
    let first = shown.stdout.lines().next().unwrap();
    assert!(first.contains("mutt  ✓ unknown → healthy  accepted by imap and smtp"), "{}", shown.stdout);
    assert!(shown.stdout.contains("✗ still revoked"), "{}", shown.stdout);
    assert!(shown.stdout.lines().all(|line| line.chars().count() <= 80), "{}", shown.stdout);
    assert_eq!(shown.stdout.lines().count(), shown.stdout.lines().filter(|line| !line.is_empty()).count());

    let of = |query: &str| keypulse.request("GET", &format!("/v1/history?{query}"), "").unwrap();
    assert_eq!(of("limit=1").json().as_array().unwrap().len(), 1);
    assert_eq!(of("name=mutt&since=1h").json().as_array().unwrap().len(), mutt.len());
    assert_eq!(of("since=2100-01-01T00:00:00Z").json().as_array().unwrap().len(), 0);
    assert_eq!(of("name=moot").code, 404);
    assert_eq!(of("since=yesterday").code, 400);

    daemon.terminate();
    assert_eq!(lines(&keypulse.command(&["history", "--json"])), *all, "the same without a daemon");
    let none = keypulse.command(&["history", "--since", "1ms"]);
    assert_eq!(none.stdout, "No changes in the last 1ms.\n");
    let few = keypulse.command(&["history", "--limit", "2"]);
    assert_eq!(
        (few.stdout.matches("mutt ").count() + few.stdout.matches("nas ").count(), few.stderr.as_str()),
        (2, "the newest 2; --limit shows more\n"),
        "{few:?}"
    );
}

#[test]
fn a_credential_that_is_gone_still_has_its_history() {
    let icloud = ICloud::start();
    let keypulse = person(&icloud);
    assert_eq!(keypulse.command(&["check"]).code, 0);
    let nas = keypulse.secret("nas", OTHER);
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("nas", &nas));
    assert_eq!(lines(&keypulse.command(&["history", "mutt", "--json"])).len(), 1);
    let unknown = keypulse.command(&["history", "mut"]);
    assert_eq!(unknown.code, 64, "{unknown:?}");
    assert!(unknown.stderr.contains("did you mean mutt?"), "{}", unknown.stderr);
    let wrong = keypulse.command(&["history", "--since", "yesterday"]);
    assert_eq!(wrong.code, 64, "{wrong:?}");
    assert!(wrong.stderr.contains("7d"), "{}", wrong.stderr);
}

#[test]
fn events_are_shown_as_they_happen_until_the_daemon_stops() {
    let icloud = ICloud::start();
    let keypulse = person(&icloud);
    let alone = keypulse.command(&["events"]);
    assert_eq!(alone.code, 1, "{alone:?}");
    assert!(alone.stderr.contains("hint: "), "{}", alone.stderr);
    let daemon = keypulse.run();
    daemon.until_health("nas", "healthy");
    daemon.until_health("mutt", "healthy");
    let events = keypulse.spawn(&["events", "--json"]);
    // It listens from some moment on: something that costs no failed login happens until it saw some of it.
    while events.log().is_empty() {
        std::fs::remove_file(keypulse.home().join("nas.secret")).unwrap();
        keypulse.command(&["check", "nas"]);
        daemon.until_health("nas", "unreadable");
        keypulse.secret("nas", OTHER);
        keypulse.command(&["check", "nas"]);
        daemon.until_health("nas", "healthy");
    }
    icloud.set_fault(Some(&Fault::RejectValid));
    events.until("the incident", || events.log().contains("incident-opened").then_some(()));
    let log = events.log();
    let all: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let suspected = |event: &&Value| event["event"] == "transition" && event["to"] == "suspect";
    let changed = all.iter().find(suspected).unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&changed["from"], &changed["account"]), (&"healthy".into(), &ADDRESS.into()), "{log}");
    let opened = all.iter().find(|event| event["event"] == "incident-opened").unwrap();
    assert_eq!((&opened["schema"], &opened["account"]["address"]), (&1.into(), &ADDRESS.into()));
    daemon.terminate();
    assert_eq!(events.wait().code(), Some(1));
    assert!(events.log().contains("keypulse: the daemon stopped"), "{}", events.log());
}

/// Nothing happens for hours, and still `events | head -0` ends.
#[test]
fn events_end_quietly_when_nobody_reads_them() {
    let icloud = ICloud::start();
    let keypulse = person(&icloud);
    let daemon = keypulse.run();
    daemon.until_health("nas", "healthy");
    daemon.until_health("mutt", "healthy");
    let mut command = keypulse.program();
    let mut events = command
        .arg("events")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(events.stdout.take());
    let output = events.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
