//! Where a secret or a user name must never be: log, state, arguments, environment.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::lab::{Hook, Keypulse, Mail, Running, Settings};

const LOCAL_PART: &str = "johnappleseed";
const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const SECOND: &str = "bbcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";
const MALFORMED: &str = "correct horse battery";

/// Everything a password could look like where somebody wrote it down.
fn faces(password: &str) -> Vec<String> {
    let mut faces = vec![
        password.to_owned(),
        password.replace('-', ""),
        password.replace('-', " "),
        STANDARD.encode(password),
        password.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
        format!("{:?}", password.as_bytes()).trim_matches(['[', ']']).to_owned(),
    ];
    for user in [LOCAL_PART, ADDRESS] {
        faces.push(STANDARD.encode(format!("\0{user}\0{password}")));
        faces.push(STANDARD.encode(format!("{user}\0{user}\0{password}")));
    }
    faces
}

#[track_caller]
fn no_secret_in(place: &str, bytes: &[u8]) {
    for password in [OLD, SECOND, NEW, MALFORMED] {
        for face in faces(password) {
            let found = bytes.windows(face.len()).any(|window| window == face.as_bytes());
            assert!(!found, "{place} holds {face}");
        }
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A life with everything in it that a log could tell of: acceptance, refusal, incident, hook, repair, a wrong file.
fn live(keypulse: &Keypulse, mail: &Mail, watch: impl Fn(&Running<'_>)) -> String {
    mail.dovecot.set_passwords(ADDRESS, &[OLD, SECOND]);
    let hook = Hook::of(keypulse);
    let file = keypulse.secret("thunderbird", OLD);
    let (pass, wrong) = (keypulse.secret("pass", SECOND), keypulse.secret("wrong", MALFORMED));
    let settings = Settings::for_mail(mail).hook(&hook.command()).account(ADDRESS);
    let settings = settings
        .credential("thunderbird", &format!("app = \"Thunderbird\"\nsecret.file = {}", json!(file)))
        .credential_command("mutt", &["cat", pass.to_str().unwrap()])
        .credential_file("mistake", &wrong);
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    daemon.until_health("mutt", "healthy");
    daemon.until_health("mistake", "unreadable");
    watch(&daemon);
    mail.dovecot.set_passwords(ADDRESS, &[SECOND]);
    daemon.until_health("thunderbird", "revoked");
    hook.until("incident-opened");
    watch(&daemon);
    mail.dovecot.set_passwords(ADDRESS, &[SECOND, NEW]);
    keypulse.secret("thunderbird", NEW);
    daemon.until_health("thunderbird", "healthy");
    hook.until("incident-resolved");
    daemon.reload();
    daemon.until_log("configuration read again");
    let log = daemon.log();
    let home = keypulse.home().to_owned();
    assert!(daemon.terminate().0.success());
    let told = hook.told().iter().map(ToString::to_string).collect::<String>();
    no_secret_in("the hook's input", told.as_bytes());
    for path in files_below(&home.join(".local")) {
        no_secret_in(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    log
}

#[test]
fn the_usual_log_names_neither_person_nor_secret() {
    let mail = Mail::start();
    let keypulse = Keypulse::new().env("KEYPULSE_LOG", "info");
    let log = live(&keypulse, &mail, |_| {});
    assert!(log.contains("thunderbird: healthy -> suspect"), "a line per transition: {log}");
    assert!(log.contains("thunderbird: suspect -> revoked"), "{log}");
    assert!(log.contains("incident-opened: thunderbird"), "{log}");
    assert!(!log.contains("attempt"), "attempts are for debug: {log}");
    assert!(!log.contains(LOCAL_PART), "{log}");
    no_secret_in("the log", log.as_bytes());
}

#[test]
fn the_wordiest_log_holds_no_secret() {
    let mail = Mail::start();
    let keypulse = Keypulse::new().env("KEYPULSE_LOG", "trace");
    let log = live(&keypulse, &mail, |_| {});
    assert!(log.contains("attempt ended"), "that it is wordy: {log}");
    no_secret_in("the log", log.as_bytes());
}

#[test]
fn neither_arguments_nor_environment_hold_a_secret() {
    let mail = Mail::start();
    let keypulse = Keypulse::new();
    live(&keypulse, &mail, |daemon| {
        for name in ["cmdline", "environ", "comm", "status"] {
            let path = format!("/proc/{}/{name}", daemon.pid());
            no_secret_in(&path, &fs::read(&path).unwrap());
        }
        let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
        let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert!(cores.split_whitespace().filter(|word| *word == "0").count() == 2, "no core dumps: {cores}");
    });
}

#[test]
fn what_is_written_is_for_the_person_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mail = Mail::start();
    let keypulse = Keypulse::new();
    live(&keypulse, &mail, |_| {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&keypulse.state_dir()), 0o700);
        for path in files_below(&keypulse.state_dir()) {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert_eq!(mode(&keypulse.socket()), 0o600);
        assert_eq!(mode(keypulse.socket().parent().unwrap()), 0o700);
    });
}
