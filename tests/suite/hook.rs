//! Hooks that hang, flood, fail or are not there: the daemon goes on, and each event is told once.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::lab::{ICloud, Keypulse, Running, Settings, account, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
const NAME: &str = "thunderbird";

/// A healthy password; the hook is what `home/hook` holds, if anything.
fn person() -> (ICloud, Keypulse) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret(NAME, &icloud.world.new_password(ADDRESS));
    let program = keypulse.home().join("hook");
    let settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"100ms\"")
        .set("schedule", "confirm", "[\"50ms\", \"100ms\"]")
        .set("notify", "remind_every", "\"never\"")
        .hook(&[program.to_str().unwrap()])
        .account(ADDRESS)
        .credential_file(NAME, &secret);
    keypulse.configure(&settings);
    (icloud, keypulse)
}

/// Every hook writes down that it ran before it does anything else.
fn install(keypulse: &Keypulse, script: &str) {
    let (new, path) = (keypulse.home().join("hook.new"), keypulse.home().join("hook"));
    fs::write(&new, format!("#!/bin/sh\necho $KEYPULSE_EVENT >>told\n{script}\n")).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

fn told(keypulse: &Keypulse) -> Vec<String> {
    let told = fs::read_to_string(keypulse.home().join("told")).unwrap_or_default();
    told.lines().map(str::to_owned).collect()
}

#[track_caller]
fn until_told(keypulse: &Keypulse, expected: &[&str]) {
    until(&format!("{expected:?}"), || (told(keypulse).len() >= expected.len()).then_some(()));
    assert_eq!(told(keypulse), expected);
}

#[track_caller]
fn revoke(icloud: &ICloud, daemon: &Running<'_>) {
    daemon.until_health(NAME, "healthy");
    icloud.world.reset_main_password(ADDRESS);
    daemon.until_health(NAME, "revoked");
}

#[track_caller]
fn repair(icloud: &ICloud, keypulse: &Keypulse, daemon: &Running<'_>) {
    keypulse.secret(NAME, &icloud.world.new_password(ADDRESS));
    daemon.until_health(NAME, "healthy");
}

#[test]
fn one_that_floods_and_hangs_is_killed_with_its_children_and_not_run_again() {
    let (icloud, keypulse) = person();
    let flood = "head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; echo flooded >flooded";
    install(&keypulse, &format!("{flood}\nsleep 1000 & echo $! >child; wait"));
    let daemon = keypulse.run();
    daemon.until_health(NAME, "healthy");
    let before = daemon.own_memory_kib();
    revoke(&icloud, &daemon);
    until("the flood over", || keypulse.home().join("flooded").exists().then_some(()));
    let child =
        until("its child", || fs::read_to_string(keypulse.home().join("child")).ok().filter(|id| id.contains('\n')));
    let grown = daemon.own_memory_kib().saturating_sub(before);
    assert!(grown < 2048, "{grown} KiB more");
    // While it hangs, the person repairs: that is seen at once, and told when its turn comes.
    repair(&icloud, &keypulse, &daemon);
    assert_eq!(told(&keypulse), ["incident-opened"]);
    install(&keypulse, "");
    daemon.until_log("it ran for more than 30 s and was killed");
    until("its child gone", || {
        let line = fs::read(format!("/proc/{}/cmdline", child.trim())).unwrap_or_default();
        line.is_empty().then_some(())
    });
    until_told(&keypulse, &["incident-opened", "incident-resolved"]);
    daemon.until_log("hook told of incident-resolved");
    assert!(daemon.terminate().0.success());
    // A restart repeats nothing.
    let daemon = keypulse.run();
    daemon.until_health(NAME, "healthy");
    assert_eq!(told(&keypulse), ["incident-opened", "incident-resolved"]);
}

#[test]
fn one_that_fails_is_named_and_not_run_again() {
    let (icloud, keypulse) = person();
    install(&keypulse, "echo 'no such \\033[31mphone' >&2; exit 3");
    let daemon = keypulse.run();
    revoke(&icloud, &daemon);
    daemon.until_log("failed to run the hook: it ended with exit status: 3: no such ");
    assert!(!daemon.log().contains('\u{1b}'));
    // It got the event: people count as told.
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    repair(&icloud, &keypulse, &daemon);
    until_told(&keypulse, &["incident-opened", "incident-resolved"]);
}

#[test]
fn one_that_is_not_there_is_waited_for() {
    let (icloud, keypulse) = person();
    let daemon = keypulse.run();
    revoke(&icloud, &daemon);
    daemon.until_log("failed to run the hook: cannot start ");
    // It is tried again and again, and people are warned once.
    let tries = || daemon.log().lines().filter(|line| line.contains("failed to run the hook: cannot start ")).count();
    until("more tries", || (tries() > 3).then_some(()));
    let log = daemon.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN") && line.contains("the hook")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("No such file or directory") && warnings[0].contains("`keypulse doctor`"), "{log}");
    assert!(account(&daemon.status_json(), ADDRESS)["incident"]["notified_at"].is_null());
    daemon.kill9();
    let daemon = keypulse.run();
    install(&keypulse, "");
    until_told(&keypulse, &["incident-opened"]);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
}
