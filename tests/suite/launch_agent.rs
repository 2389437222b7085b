//! The LaunchAgent, read by another program's parser: every key and the type of its value.

use std::path::PathBuf;

use keypulse::host::manager::{Installation, launchd};
use serde_json::{Value, json};

use crate::lab::{clean, run};

/// What Python's `plistlib` makes of a property list.
#[track_caller]
fn parsed(text: &str) -> Value {
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
    serde_json::from_str(&run(clean("python3").args(["-c", script]), text).ok()).unwrap()
}

#[test]
fn every_key_is_launchds_and_has_its_type() {
    // `launchd.plist(5)`. Python tells 1 from true, and so does JSON.
    let expected = json!({
        "Label": "keypulse",
        "ProgramArguments": ["/usr/local/bin/keypulse", "run"],
        "RunAtLoad": true,
        "KeepAlive": {"SuccessfulExit": false},
        "ThrottleInterval": 60,
        "ProcessType": "Background",
        "LowPriorityIO": true,
        "Umask": 0o077,
        "HardResourceLimits": {"Core": 0},
        "StandardErrorPath": "/dev/null",
    });
    assert_eq!(parsed(launchd::SHIPPED), expected);
}

#[test]
fn what_is_installed_says_the_same_with_paths_of_its_own() {
    let installation = Installation {
        program: PathBuf::from("/Users/me/<a> & \"b\"/keypulse"),
        config: Some(PathBuf::from("/c & d.toml")),
        socket: Some(PathBuf::from("/s.sock")),
        state: Some(PathBuf::from("/state <here>")),
        home: PathBuf::from("/Users/me"),
    };
    let mut expected = parsed(launchd::SHIPPED);
    let program = installation.program.to_str().unwrap();
    expected["ProgramArguments"] = json!([program, "--config", "/c & d.toml", "--socket", "/s.sock", "run"]);
    expected["StandardErrorPath"] = json!("/Users/me/Library/Logs/keypulse.log");
    expected["EnvironmentVariables"] = json!({"KEYPULSE_STATE_DIR": "/state <here>"});
    assert_eq!(parsed(&launchd::render(&installation, true)), expected);
}
