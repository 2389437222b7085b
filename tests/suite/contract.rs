//! The form of the status document that outside programs rely on, key by key.

use serde_json::Value;

/// The document of the contract, word for word where it is one.
const CONTRACT: &str = r#"{
  "schema": 1,
  "generated_at": "2026-11-22T20:00:00Z",
  "daemon": {"version": "0.1.0", "pid": 4242, "started_at": "2026-11-22T20:00:00Z", "paused_until": null, "online": true},
  "overall": "critical",
  "counts": {"healthy": 2, "degraded": 0, "suspect": 0, "revoked": 1, "rejected": 0, "unreadable": 0, "stale": 0, "unknown": 0},
  "accounts": [{
    "address": "johnappleseed@icloud.com",
    "failed_logins_24h": 4, "failed_login_limit": 12,
    "incident": {"cause": "main-password-reset", "since": "2026-11-22T20:00:00Z",
                 "began_between": ["2026-11-22T20:00:00Z", "2026-11-22T20:00:00Z"],
                 "credentials": ["thunderbird"], "notified_at": "2026-11-22T20:00:00Z", "snoozed_until": null},
    "credentials": [{
      "name": "thunderbird", "app": "Thunderbird", "health": "revoked", "presumed": false,
      "since": "2026-11-22T20:00:00Z", "last_accepted_at": "2026-11-22T20:00:00Z",
      "last_checked_at": "2026-11-22T20:00:00Z", "next_check_at": "2026-11-22T20:00:00Z",
      "services": [
        {"service": "imap", "finding": "rejected", "cause": null, "code": "AUTHENTICATIONFAILED",
         "detail": "NO [AUTHENTICATIONFAILED] Authentication Failed", "at": "2026-11-22T20:00:00Z", "duration_ms": 180}]
    }]
  }]
}"#;

/// What the contract does not know. Adding is free, by intention: a key that is not here was added by accident.
const ADDED: [&str; 9] = [
    "$.daemon.program",
    "$.email",
    "$.paused_until",
    "$.troubles",
    "$.accounts[].ration_frees_at",
    "$.accounts[].idle_watch",
    "$.accounts[].incident.resolved_at",
    "$.accounts[].incident.withdrawn",
    "$.accounts[].credentials[].unreadable",
];

/// Where a null may stand for what there is not (yet).
const MAY_BE_NULL: [&str; 13] = [
    "$.daemon",
    "$.accounts[].incident",
    "$.accounts[].incident.began_between[]",
    "$.accounts[].incident.notified_at",
    "$.accounts[].credentials[].app",
    "$.accounts[].credentials[].since",
    "$.accounts[].credentials[].last_accepted_at",
    "$.accounts[].credentials[].last_checked_at",
    "$.accounts[].credentials[].next_check_at",
    "$.accounts[].credentials[].services[].cause",
    "$.accounts[].credentials[].services[].code",
    "$.accounts[].credentials[].services[].detail",
    "$.accounts[].credentials[].services[].duration_ms",
];

/// Holds `found` against the account of the contract's example.
#[track_caller]
pub fn check_account(found: &Value) {
    let example: Value = serde_json::from_str(CONTRACT).unwrap();
    check_form("$.accounts[]", found, &example["accounts"][0]);
}

/// Whether `found` has the form of `example`: every key of it, no other, each value of its kind.
#[track_caller]
fn check_form(path: &str, found: &Value, example: &Value) {
    if found.is_null() && MAY_BE_NULL.contains(&path) {
        return;
    }
    match (found, example) {
        (Value::Object(found), Value::Object(example)) => {
            for (key, example) in example {
                let value = found.get(key).unwrap_or_else(|| panic!("{path} has no {key}: {found:?}"));
                check_form(&format!("{path}.{key}"), value, example);
            }
            for key in found.keys().filter(|key| !example.contains_key(*key)) {
                assert!(ADDED.contains(&&*format!("{path}.{key}")), "{path}.{key} is not in the contract");
            }
        }
        (Value::Array(found), Value::Array(example)) => {
            for value in found {
                check_form(&format!("{path}[]"), value, &example[0]);
            }
        }
        (Value::String(found), Value::String(example)) => {
            let is_time = example.ends_with('Z');
            assert!(!is_time || is_whole_second(found), "{path} is no time in whole seconds: {found}");
        }
        (Value::Number(found), Value::Number(_)) => assert!(found.is_u64(), "{path}: {found}"),
        // What is null in the example has no example; a word or a time may stand there.
        (Value::Bool(_), Value::Bool(_)) | (Value::Null | Value::String(_), Value::Null) => {}
        (found, example) => panic!("{path} is {found}, the contract has {example}"),
    }
}

/// `YYYY-MM-DDThh:mm:ssZ`.
pub fn is_whole_second(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form == "0000-00-00T00:00:00Z"
}

/// Holds a status document against the contract.
#[track_caller]
pub fn check_contract(document: &Value) {
    check_form("$", document, &serde_json::from_str(CONTRACT).unwrap());
    assert_eq!(document["schema"], 1);
    let words = |name: &str| document[name].as_str().unwrap().to_owned();
    assert!(["ok", "warning", "critical", "unknown"].contains(&&*words("overall")), "{document:#}");
    for account in document["accounts"].as_array().unwrap() {
        let began = &account["incident"]["began_between"];
        assert!(began.is_null() || began.as_array().unwrap().len() == 2 && began[1].is_string(), "{began}");
        for credential in account["credentials"].as_array().unwrap() {
            let health = credential["health"].as_str().unwrap();
            assert!(document["counts"][health].as_u64().unwrap() > 0, "{document:#}");
            for service in credential["services"].as_array().unwrap() {
                assert!(["imap", "smtp"].contains(&service["service"].as_str().unwrap()), "{service}");
                let finding = service["finding"].as_str().unwrap();
                assert!(["accepted", "rejected", "inconclusive"].contains(&finding), "{service}");
                assert_eq!(service["cause"].is_null(), finding != "inconclusive", "{service}");
                assert!(service["detail"].as_str().is_none_or(|detail| detail.chars().count() <= 200), "{service}");
            }
        }
    }
}
