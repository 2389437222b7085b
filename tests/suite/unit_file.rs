//! The service files: what systemd itself says about them.

use std::{fs, os::unix::fs::symlink, path::Path};

use crate::lab::{clean, run};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/keypulse.service");
const SYSTEM_UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/keypulse@.service");

/// Unknown keys are only warned about: the exit code alone would let them pass.
#[track_caller]
fn no_fault(manager: &str, unit: &Path, home: &Path) {
    let mut command = clean("systemd-analyze");
    // Manual pages are the package's.
    command.args([manager, "--man=no", "verify"]).arg(unit).env("HOME", home).env("XDG_RUNTIME_DIR", home);
    let said = run(&mut command, "");
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (0, "", ""), "{}", unit.display());
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".cargo/bin")).unwrap();
    let program = home.path().join(".cargo/bin/keypulse");
    symlink(env!("CARGO_BIN_EXE_keypulse"), &program).unwrap();
    no_fault("--user", Path::new(UNIT), home.path());

    let text = fs::read_to_string(SYSTEM_UNIT).unwrap().replace("/usr/bin/keypulse", program.to_str().unwrap());
    let instance = home.path().join("keypulse@mail.service");
    fs::write(&instance, text).unwrap();
    no_fault("--system", &instance, home.path());
}

#[test]
fn the_units_restart_after_failures_but_not_after_wrong_configuration() {
    for unit in [UNIT, SYSTEM_UNIT] {
        let text = fs::read_to_string(unit).unwrap();
        for line in ["Type=notify", "Restart=on-failure", "RestartPreventExitStatus=64 78", "WatchdogSec=10min"] {
            assert!(text.lines().any(|found| found == line), "{unit}: {line}");
        }
    }
}

#[test]
fn the_user_unit_has_nothing_that_older_versions_understand_otherwise() {
    let text = fs::read_to_string(UNIT).unwrap();
    // Below ~/.config before 254; unknown before 253.
    for word in ["StateDirectory=", "notify-reload"] {
        assert!(!text.contains(word), "{word}");
    }
}
