//! What is written down while all goes its usual way: a log without names, and files that are the person's alone.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    lab::{Hook, Keypulse, Mail, Running, Settings},
    secrets::{files_below, no_secret_in},
};

const LOCAL_PART: &str = "johnappleseed";
const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const SECOND: &str = "bbcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";
const MALFORMED: &str = "correct horse battery";
const SECRETS: [&str; 4] = [OLD, SECOND, NEW, MALFORMED];

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
    no_secret_in("the hook's input", told, &SECRETS);
    for path in files_below(&home.join(".local")) {
        no_secret_in(&path.display().to_string(), fs::read(&path).unwrap(), &SECRETS);
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
    no_secret_in("the log", log, &SECRETS);
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
