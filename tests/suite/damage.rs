//! A database that is damaged, older or newer: put aside and said, brought up to date, left alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::lab::{ICloud, Keypulse, Running, Settings, account, credential};

const ADDRESS: &str = "johnappleseed@icloud.com";
const NAME: &str = "thunderbird";

/// A person whose password is revoked, which cost failed logins; nothing runs.
fn revoked() -> (ICloud, Keypulse) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret(NAME, &icloud.world.new_password(ADDRESS));
    let settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"100ms\"")
        .set("schedule", "confirm", "[\"30ms\", \"60ms\"]")
        .account(ADDRESS)
        .credential_file(NAME, &secret);
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    daemon.until_health(NAME, "healthy");
    icloud.world.reset_main_password(ADDRESS);
    daemon.until_health(NAME, "revoked");
    assert!(daemon.terminate().0.success());
    (icloud, keypulse)
}

fn database(keypulse: &Keypulse) -> PathBuf {
    keypulse.state_dir().join("keypulse.sqlite")
}

/// Files in the state directory that begin so.
fn files(keypulse: &Keypulse, prefix: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(keypulse.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect()
}

/// It began anew, and makes no login: for all it knows the day's are spent.
#[track_caller]
fn assert_began_anew(icloud: &ICloud, keypulse: &Keypulse, daemon: &Running<'_>) {
    let logins = icloud.world.logins().len();
    let status = daemon.until("the trouble", |status| status["troubles"][0]["kind"] == "state-lost");
    let account = account(&status, ADDRESS).clone();
    assert_eq!(account["failed_logins_24h"], account["failed_login_limit"], "{status:#}");
    assert!(account["ration_frees_at"].is_string(), "{status:#}");
    assert_eq!(status["troubles"][0]["until"], account["ration_frees_at"]);
    assert_eq!(credential(&status, NAME)["health"], "unknown");
    // A person's wish costs as much as any other.
    let body = json!({ "names": [NAME], "wait_s": 60 }).to_string();
    assert_eq!(keypulse.request("POST", "/v1/check", &body).unwrap().code, 200);
    assert_eq!(icloud.world.logins().len(), logins, "a login was made");
    let kept = files(keypulse, "keypulse.sqlite.damaged-");
    let beside = |path: &&PathBuf| path.to_str().is_some_and(|path| path.ends_with("-wal") || path.ends_with("-shm"));
    let kept = kept.iter().find(|path| !beside(path)).unwrap().display().to_string();
    assert!(daemon.log().contains("it is kept as ") && daemon.log().contains("none is made for 24 hours"));
    let shown = keypulse.command(&["status"]);
    assert_eq!(shown.code, 1, "{shown:?}");
    let words = shown.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("! keypulse's state was damaged, and it began anew without what it knew"), "{words}");
    assert!(words.contains("No login before "), "{words}");
    let doctor = keypulse.command(&["doctor", "--json"]);
    let doctor: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let line = |check: &str| {
        let lines = doctor["checks"].as_array().unwrap().iter().filter(|line| line["check"] == check);
        lines.map(ToString::to_string).collect::<String>()
    };
    assert!(line("state").contains("it was damaged and begun anew") && line("state").contains(&kept), "{doctor:#}");
    assert!(line("ration").contains("12 of 12 failed logins"), "{doctor:#}");
}

#[test]
fn what_is_damaged_is_put_aside_and_counts_as_the_whole_ration() {
    for (what, spoil) in [
        ("garbage", (|bytes| *bytes = b"this is not a database, by no means at all".to_vec()) as fn(&mut Vec<u8>)),
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
        ("emptied", |bytes| bytes.clear()),
        ("a page overwritten", |bytes| bytes[3 * 4096..4 * 4096].fill(0xa5)),
    ] {
        let (icloud, keypulse) = revoked();
        let mut bytes = fs::read(database(&keypulse)).unwrap();
        spoil(&mut bytes);
        fs::write(database(&keypulse), &bytes).unwrap();
        // Before anything runs, it is told what to do.
        let shown = keypulse.command(&["status"]);
        assert!(shown.code == 1 && shown.stderr.contains("hint: start keypulse"), "{what}: {shown:?}");
        assert_eq!(keypulse.command(&["ok", NAME]).code, 0, "{what}: not knowing stops nobody");

        let daemon = keypulse.run();
        assert_began_anew(&icloud, &keypulse, &daemon);
        let kept = files(&keypulse, "keypulse.sqlite.damaged-");
        assert!(kept.iter().any(|path| fs::read(path).unwrap() == bytes), "{what}: kept as it was");
        assert!(daemon.terminate().0.success());
        // … and neither a restart nor a lone check forgets it.
        let logins = icloud.world.logins().len();
        let checked = keypulse.command(&["check", "--json"]);
        assert_eq!(checked.code, 1, "{what}: {checked:?}");
        assert!(checked.stdout.contains("state-lost"), "{what}: {checked:?}");
        let daemon = keypulse.run();
        assert_began_anew(&icloud, &keypulse, &daemon);
        assert_eq!(icloud.world.logins().len(), logins, "{what}");
        drop(daemon);
        // Its own database is sound: nothing more is put aside.
        assert_eq!(files(&keypulse, "keypulse.sqlite.damaged-"), kept, "{what}");
    }
}

#[test]
fn a_lost_digest_key_is_told_as_lost_state() {
    for (what, lose) in [
        ("gone", (|path| fs::remove_file(path).unwrap()) as fn(&Path)),
        ("another", |path| fs::write(path, [7; 32]).unwrap()),
    ] {
        let (icloud, keypulse) = revoked();
        let daemon = keypulse.run();
        daemon.until_health(NAME, "revoked");
        lose(&keypulse.state_dir().join("digest.key"));
        // It has it in memory: nothing is lost yet, and nothing is taken for another password.
        keypulse.request("POST", "/v1/reload", "").unwrap();
        let checked = keypulse.request("POST", "/v1/check", r#"{"wait_s": 60}"#).unwrap();
        assert_eq!(credential(&checked.json(), NAME)["health"], "revoked", "{what}: {checked:?}");
        assert!(!daemon.log().contains("-> rejected"), "{what}: {}", daemon.log());
        if what == "gone" {
            let doctor = keypulse.command(&["doctor"]);
            assert!(doctor.stdout.contains("digest.key is gone"), "{}", doctor.stdout);
        }
        assert!(daemon.terminate().0.success());

        let daemon = keypulse.run();
        assert_began_anew(&icloud, &keypulse, &daemon);
        assert!(daemon.log().contains("digest.key beside it"), "{what}: {}", daemon.log());
        drop(daemon);
        // It has a key again, and is told only once.
        let daemon = keypulse.run();
        assert_began_anew(&icloud, &keypulse, &daemon);
        assert_eq!(files(&keypulse, "keypulse.sqlite.damaged-").len(), 1, "{what}");
    }
}

#[test]
fn damage_under_a_running_daemon_is_found_by_the_next_one() {
    let (icloud, keypulse) = revoked();
    let daemon = keypulse.run();
    daemon.until_health(NAME, "revoked");
    let length = usize::try_from(fs::metadata(database(&keypulse)).unwrap().len()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(database(&keypulse)).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; length], 0).unwrap();
    for wal in files(&keypulse, "keypulse.sqlite-wal") {
        fs::OpenOptions::new().write(true).open(wal).unwrap().set_len(0).unwrap();
    }
    daemon.kill9();
    let daemon = keypulse.run();
    assert_began_anew(&icloud, &keypulse, &daemon);
}

#[test]
fn an_older_schema_is_brought_up_to_date_and_nothing_is_forgotten() {
    let (icloud, keypulse) = revoked();
    {
        // As schema 1 had it: what came later is taken away.
        let connection = Connection::open(database(&keypulse)).unwrap();
        let older = "DROP TABLE rulings; ALTER TABLE attempts DROP COLUMN round;
                     ALTER TABLE attempts DROP COLUMN secret; PRAGMA user_version = 1;";
        connection.execute_batch(older).unwrap();
    }
    let shown = keypulse.command(&["status", "--json"]);
    assert_eq!(shown.code, 2, "it can be read before it is changed: {shown:?}");
    let failed = icloud.world.failed_logins(ADDRESS);
    let daemon = keypulse.run();
    let status = daemon.until_health(NAME, "revoked");
    assert!(account(&status, ADDRESS)["failed_logins_24h"].as_u64().unwrap() >= failed as u64, "{status:#}");
    assert_eq!(status["troubles"], json!([]));
    keypulse.secret(NAME, &icloud.world.new_password(ADDRESS));
    daemon.until_health(NAME, "healthy");
    let version: i64 = Connection::open(database(&keypulse))
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert!(version > 1);
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (icloud, keypulse) = revoked();
    Connection::open(database(&keypulse)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let bytes = fs::read(database(&keypulse)).unwrap();
    let logins = icloud.world.logins().len();
    let daemon = keypulse.launch();
    assert_eq!(daemon.wait().code(), Some(1), "{}", daemon.log());
    assert!(daemon.log().contains("written by a later version of keypulse (schema 99"), "{}", daemon.log());
    for command in [&["status"][..], &["check"]] {
        let said = keypulse.command(command);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("install that version"), "{said:?}");
    }
    let doctor = keypulse.command(&["doctor"]);
    assert!(doctor.stdout.contains("later version of keypulse"), "{}", doctor.stdout);
    assert_eq!(fs::read(database(&keypulse)).unwrap(), bytes);
    assert!(files(&keypulse, "keypulse.sqlite.damaged-").is_empty());
    assert_eq!(icloud.world.logins().len(), logins);
}
