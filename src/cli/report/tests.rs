//! What goes out, word for word.

use super::*;
use crate::cli::doctor::Line;

fn report() -> Report {
    let at = |text: &str| Time::from_unix(text.parse::<jiff::Timestamp>().unwrap().as_second());
    let line = |json: &str| serde_json::from_str::<Line>(json).unwrap();
    Report {
        schema: 1,
        made_at: at("2026-11-22T20:00:00Z"),
        versions: [("keypulse", "0.1.0"), ("daemon", "not running"), ("kernel", "Linux 6.1.0 x86_64")]
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .to_vec(),
        checks: vec![
            line(
                r#"{"check":"password","of":"mutt","grade":"ok","says":"read from a file, of the right shape","remedy":null}"#,
            ),
            line(
                r#"{"check":"daemon","of":null,"grade":"failure","says":"none runs: nothing is watched","remedy":"keypulse service install"}"#,
            ),
        ],
        passwords: vec![Password {
            name: "mutt".to_owned(),
            account: "address-1f2e3d".to_owned(),
            health: "revoked".to_owned(),
            since: Some(at("2026-11-22T19:31:00Z")),
            last_accepted_at: Some(at("2026-11-22T14:00:00Z")),
            services: vec!["imap".to_owned(), "smtp".to_owned()],
            source: "a file".to_owned(),
            any_shape: false,
        }],
        changes: vec![Change {
            at: at("2026-11-22T19:31:00Z"),
            credential: "mutt".to_owned(),
            from: "suspect".to_owned(),
            to: "revoked".to_owned(),
            cause: Some("reset-or-revoked".to_owned()),
            presumed: false,
        }],
        attempts: vec![Attempt {
            at: at("2026-11-22T19:31:00Z"),
            credential: "mutt".to_owned(),
            service: "smtp".to_owned(),
            why: "confirm".to_owned(),
            finding: "rejected".to_owned(),
            cause: None,
            code: Some("535 5.7.8".to_owned()),
            ms: Some(180),
        }],
    }
}

#[test]
fn markdown_holds_everything_in_blocks() {
    let shown = report().markdown();
    let expected = "\
# keypulse report

Made 2026-11-22T20:00:00Z. Times are UTC, under Checks local. Names of people,
machines and servers are replaced by made-up words; the same word stands for the
same name in this report only.

## Versions

```text
keypulse    0.1.0
daemon      not running
kernel      Linux 6.1.0 x86_64
```

## Checks

```text
✓ password       mutt: read from a file, of the right shape
✗ daemon         none runs: nothing is watched
                 → keypulse service install

1 failure, 1 ok
```

## Passwords

```text
mutt of address-1f2e3d: revoked since 2026-11-22 19:31:00, accepted 2026-11-22
  14:00:00; for imap and smtp, from a file
```

## Last changes

```text
2026-11-22 19:31:00 mutt: suspect -> revoked (reset-or-revoked)
```

## Last attempts

```text
2026-11-22 19:31:00 mutt smtp, confirm: rejected 535 5.7.8, 180 ms
```
";
    assert_eq!(shown, expected, "\n--- shown:\n{shown}");
    assert!(shown.lines().all(|line| columns(line) <= WIDTH), "{shown}");
}

#[test]
fn json_says_the_same() {
    let json = serde_json::to_value(report()).unwrap();
    let expected = serde_json::json!({
        "schema": 1,
        "made_at": "2026-11-22T20:00:00Z",
        "versions": [["keypulse", "0.1.0"], ["daemon", "not running"], ["kernel", "Linux 6.1.0 x86_64"]],
        "checks": [
            {
                "check": "password", "of": "mutt", "grade": "ok", "says": "read from a file, of the right shape",
                "remedy": null
            },
            {
                "check": "daemon", "of": null, "grade": "failure", "says": "none runs: nothing is watched",
                "remedy": "keypulse service install"
            },
        ],
        "passwords": [{
            "name": "mutt", "account": "address-1f2e3d", "health": "revoked", "since": "2026-11-22T19:31:00Z",
            "last_accepted_at": "2026-11-22T14:00:00Z", "services": ["imap", "smtp"], "source": "a file",
            "any_shape": false,
        }],
        "changes": [{
            "at": "2026-11-22T19:31:00Z", "credential": "mutt", "from": "suspect", "to": "revoked",
            "cause": "reset-or-revoked", "presumed": false,
        }],
        "attempts": [{
            "at": "2026-11-22T19:31:00Z", "credential": "mutt", "service": "smtp", "why": "confirm",
            "finding": "rejected", "cause": null, "code": "535 5.7.8", "ms": 180,
        }],
    });
    assert_eq!(json, expected, "{json:#}");
}
