//! The service file: what systemd itself says about it.

use std::{fs, os::unix::fs::symlink};

use crate::lab::{clean, run};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/keypulse.service");

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".cargo/bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_keypulse"), home.path().join(".cargo/bin/keypulse")).unwrap();
    let mut command = clean("systemd-analyze");
    command.args(["--user", "verify", UNIT]).env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
    let said = run(&mut command, "");
    // Unknown keys are only warned about: the exit code alone would let them pass.
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (0, "", ""));
}

#[test]
fn the_unit_restarts_after_failures_but_not_after_wrong_configuration() {
    let text = fs::read_to_string(UNIT).unwrap();
    for line in ["Type=notify", "Restart=on-failure", "RestartPreventExitStatus=64 78", "WatchdogSec=10min"] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
}
