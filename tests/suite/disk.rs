//! A state directory that cannot be written: the disk is full, or read-only. Nothing is done that is not written down, nothing
//! is lost, nothing is told twice, and everybody who asks hears why.

use serde_json::{Value, json};

use crate::lab::{Disk, Hook, ICloud, Keypulse, Running, Settings, account, credential};

const ADDRESS: &str = "johnappleseed@icloud.com";
const NAME: &str = "thunderbird";

struct Scene {
    icloud: ICloud,
    disk: Disk,
    keypulse: Keypulse,
    hook: Hook,
    password: String,
}

/// One healthy password, its state on a small disk.
fn scene() -> Scene {
    on(Disk::new(1024))
}

fn on(disk: Disk) -> Scene {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new().env("KEYPULSE_STATE_DIR", disk.path("state").to_str().unwrap());
    let hook = Hook::of(&keypulse);
    let password = icloud.world.new_password(ADDRESS);
    let secret = keypulse.secret(NAME, &password);
    let settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"100ms\"")
        .set("schedule", "confirm", "[\"50ms\", \"100ms\"]")
        .hook(&hook.command())
        .account(ADDRESS)
        .credential_file(NAME, &secret);
    keypulse.configure(&settings);
    Scene { icloud, disk, keypulse, hook, password }
}

fn trouble(status: &Value) -> &Value {
    &status["troubles"][0]
}

#[test]
fn on_a_full_disk_it_waits_and_says_so_and_goes_on_where_it_was() {
    let scene = scene();
    let daemon = scene.keypulse.run();
    daemon.until_health(NAME, "healthy");
    scene.disk.fill();
    let status = daemon.until("the trouble", |status| trouble(status)["kind"] == "state-unwritable");
    assert_eq!(status["overall"], "warning", "{status:#}");
    assert_eq!(credential(&status, NAME)["health"], "healthy", "what is known stays known");
    let text = trouble(&status)["text"].as_str().unwrap();
    assert!(text.contains("database or disk is full") && text.contains("No password is checked"), "{text}");
    let log = daemon.log();
    let complaint = "nothing is checked and nothing is told until the state can be written";
    assert_eq!(log.matches(complaint).count(), 1, "{log}");

    // Nothing more is asked of the servers: what comes of it could not be written down.
    scene.icloud.world.revoke(ADDRESS, &scene.password);
    let logins = scene.icloud.world.logins().len();
    let answer = scene.keypulse.request("POST", "/v1/check", "").unwrap();
    assert_eq!((answer.code, &answer.json()["code"]), (503, &json!("state-unwritable")), "{answer:?}");
    for (path, body) in [
        ("/v1/pause", "{}"),
        ("/v1/resume", "{}"),
        ("/v1/ration/reserve", r#"{"account": "johnappleseed@icloud.com"}"#),
        ("/v1/ration/settle", r#"{"id": 1, "rejected": false}"#),
    ] {
        let answer = scene.keypulse.request("POST", path, body).unwrap();
        assert_eq!((answer.code, &answer.json()["code"]), (503, &json!("state-unwritable")), "{path}: {answer:?}");
    }
    assert_eq!(daemon.status_json()["paused_until"], Value::Null);
    // Reading goes on.
    assert_eq!(scene.keypulse.request("GET", "/v1/history", "").unwrap().code, 200);
    assert_eq!(scene.keypulse.request("GET", "/metrics", "").unwrap().code, 200);
    let checked = scene.keypulse.command(&["check"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.stderr.contains("cannot write its state") && checked.stderr.contains("full"), "{checked:?}");
    let shown = scene.keypulse.command(&["status"]);
    assert_eq!(shown.code, 1, "{shown:?}");
    assert!(shown.stdout.contains("! keypulse cannot write its state (use the database"), "{shown:?}");
    assert!(shown.stdout.lines().all(|line| line.chars().count() <= 80), "{}", shown.stdout);
    let line = scene.keypulse.command(&["status", "--format", "oneline"]);
    assert_eq!(line.stdout, "keypulse ! 1 · cannot write its state\n");
    let doctor = scene.keypulse.command(&["doctor"]);
    assert!(doctor.stdout.contains("its disk is full") && doctor.stdout.contains("→ df -h "), "{}", doctor.stdout);
    assert_eq!(scene.icloud.world.logins().len(), logins);

    scene.disk.free();
    let status = daemon.until_health(NAME, "revoked");
    assert_eq!(status["troubles"], json!([]));
    scene.hook.until("incident-opened");
    assert!(daemon.log().contains("the state can be written again"));
    let failed = scene.icloud.world.failed_logins(ADDRESS);
    assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], failed);
    scene.keypulse.secret(NAME, &scene.icloud.world.new_password(ADDRESS));
    daemon.until_health(NAME, "healthy");
    scene.hook.until("incident-resolved");
    assert_eq!(scene.hook.events(), ["incident-opened", "incident-resolved"]);
}

#[test]
fn a_kill_on_a_full_disk_forgets_nothing() {
    let scene = scene();
    let daemon = scene.keypulse.run();
    daemon.until_health(NAME, "healthy");
    scene.icloud.world.revoke(ADDRESS, &scene.password);
    daemon.until_health(NAME, "revoked");
    scene.hook.until("incident-opened");
    daemon.until_log("hook told");
    let failed = scene.icloud.world.failed_logins(ADDRESS);
    scene.disk.fill();
    // Something to write: the person wants quiet, and is told that it cannot be.
    let answer = scene.keypulse.request("POST", "/v1/pause", "{}").unwrap();
    assert_eq!(answer.code, 503, "{answer:?}");
    daemon.kill9();

    // It starts on the full disk, or says why it does not; in neither case is anything asked.
    let daemon = scene.keypulse.launch();
    daemon.until_log("disk is full");
    drop(daemon);
    scene.disk.free();
    let daemon = scene.keypulse.run();
    let status = daemon.until_health(NAME, "revoked");
    assert_eq!(scene.icloud.world.failed_logins(ADDRESS), failed, "it is latched still");
    assert!(account(&status, ADDRESS)["failed_logins_24h"].as_u64().unwrap() >= failed as u64);
    assert_eq!(scene.hook.events(), ["incident-opened"]);
}

#[test]
fn a_read_only_state_is_named_and_read() {
    let scene = scene();
    let daemon = scene.keypulse.run();
    daemon.until_health(NAME, "healthy");
    let logins = |scene: &Scene| scene.icloud.world.logins().len();
    assert!(daemon.terminate().0.success());
    scene.disk.read_only(true);

    let before = logins(&scene);
    let daemon = scene.keypulse.launch();
    let ended = daemon.wait();
    // 78 would keep the service manager from trying again.
    assert_eq!(ended.code(), Some(1), "{}", daemon.log());
    let log = daemon.log();
    assert!(log.contains("Read-only file system") && log.contains("\nhint: "), "{log}");
    let checked = scene.keypulse.command(&["check"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.stderr.contains("Read-only file system"), "{checked:?}");
    assert_eq!(logins(&scene), before, "no login without the ration");
    // What was written is still shown.
    let shown = scene.keypulse.command(&["status", "--json"]);
    let status: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
    assert_eq!(credential(&status, NAME)["health"], "healthy");
    assert_eq!(scene.keypulse.command(&["ok", NAME]).code, 0);
    let doctor = scene.keypulse.command(&["doctor"]);
    let words = doctor.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("it lies on a read-only file system"), "{words}");

    scene.disk.read_only(false);
    let daemon = scene.keypulse.run();
    daemon.until("another round", |_| logins(&scene) > before);
    daemon.until_health(NAME, "healthy");
}

/// A daemon that is told, from one moment to the next, that it may not write: it says so, and asks nobody anything.
#[track_caller]
fn assert_stands_still(scene: &Scene, daemon: &Running<'_>) {
    let status = daemon.until("the trouble", |status| trouble(status)["kind"] == "state-unwritable");
    assert_eq!(credential(&status, NAME)["health"], "healthy", "what is known stays known");
    scene.icloud.world.revoke(ADDRESS, &scene.password);
    let logins = scene.icloud.world.logins().len();
    let answer = scene.keypulse.request("POST", "/v1/check", "").unwrap();
    assert_eq!((answer.code, &answer.json()["code"]), (503, &json!("state-unwritable")), "{answer:?}");
    let doctor = scene.keypulse.command(&["doctor"]);
    let words = doctor.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = ["cannot be written: it lies on a read-only file system", "keypulse cannot write its state ("];
    assert!(doctor.code != 0 && said.iter().any(|said| words.contains(said)), "{words}");
    assert_eq!(scene.icloud.world.logins().len(), logins, "{}", daemon.log());
}

#[test]
fn files_that_may_no_longer_be_written_are_a_standstill_that_ends_by_itself() {
    let scene = on(Disk::fragile());
    let daemon = scene.keypulse.run();
    daemon.until_health(NAME, "healthy");
    let files = ["state/keypulse.sqlite", "state/keypulse.sqlite-wal"];
    for file in files {
        scene.disk.seal(file, true);
    }
    assert_stands_still(&scene, &daemon);
    for file in files {
        scene.disk.seal(file, false);
    }
    let status = daemon.until_health(NAME, "revoked");
    assert_eq!(status["troubles"], json!([]));
    scene.hook.until("incident-opened");
    let failed = scene.icloud.world.failed_logins(ADDRESS);
    assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], failed);
    assert_eq!(scene.hook.events(), ["incident-opened"]);
}

#[test]
fn a_disk_that_breaks_under_a_daemon_takes_nothing_with_it() {
    let scene = on(Disk::fragile());
    let daemon = scene.keypulse.run();
    daemon.until_health(NAME, "healthy");
    scene.disk.break_down();
    assert_stands_still(&scene, &daemon);
    let (status, _) = daemon.terminate();
    assert!(status.success(), "{status}");
    scene.disk.repair();
    let daemon = scene.keypulse.run();
    let status = daemon.until_health(NAME, "revoked");
    assert_eq!(status["troubles"], json!([]), "it is no damage");
    scene.hook.until("incident-opened");
    let failed = scene.icloud.world.failed_logins(ADDRESS);
    assert!(account(&status, ADDRESS)["failed_logins_24h"].as_u64().unwrap() >= failed as u64, "{status:#}");
    assert_eq!(scene.hook.events(), ["incident-opened"]);
}
