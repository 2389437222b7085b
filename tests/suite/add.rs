//! `add`, `remove`: passwords taken, tried on real servers, stored in a real keyring, and given up again.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::lab::{Bus, Keypulse, Keyring, Mail, Output, Settings, Terminal, account, credential};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OTHER: &str = "jane@me.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
const PASTED: &str = " abcd efgh ijkl\u{a0}mnop \r\n";
const NEW: &str = "qrst-uvwx-yzab-cdef";
const WRONG: &str = "zzzz-zzzz-zzzz-zzzz";
const COMMENTED: &str = "# mine\n";

/// `add NAME --account ADDRESS --stdin`, with this on standard input.
#[track_caller]
fn add(keypulse: &Keypulse, name: &str, more: &[&str], typed: &str) -> Output {
    let arguments = [&["add", name, "--account", ADDRESS, "--stdin"], more].concat();
    keypulse.command_with(&arguments, typed)
}

#[track_caller]
fn says(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, code, "{output:?}");
    for word in words {
        assert!(output.stdout.contains(word) || output.stderr.contains(word), "{word:?} is not in {output:?}");
    }
}

fn config(keypulse: &Keypulse) -> String {
    fs::read_to_string(keypulse.config_file()).unwrap_or_default()
}

fn commented(settings: &Settings) -> String {
    format!("{COMMENTED}{}", settings.to_toml())
}

#[test]
fn what_add_stored_is_watched_and_a_locked_keyring_is_left_locked() {
    let (mail, bus) = (Mail::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::new().on(&bus);
    keypulse.configure_text(&commented(&Settings::for_mail(&mail)));
    let daemon = keypulse.run();

    let added = add(&keypulse, "thunderbird", &["--app", "Thunderbird"], PASTED);
    says(&added, 0, &["thunderbird is watched: accepted by IMAP and SMTP\n"]);
    assert_eq!(added.stderr, "");
    assert_eq!(keyring.lookup("keypulse", "thunderbird").as_deref(), Some(PASSWORD));
    let text = config(&keypulse);
    assert!(text.starts_with(&commented(&Settings::for_mail(&mail))), "{text}");
    assert!(text.ends_with("[[account.credential]]\nname = \"thunderbird\"\napp = \"Thunderbird\"\n"), "{text}");
    assert!(!text.contains("abcd"));
    let status = daemon.until_health("thunderbird", "healthy");
    assert_eq!(account(&status, ADDRESS)["failed_logins_24h"], 0);

    let monitor = bus.monitor();
    keyring.lock();
    let status = daemon.until_health("thunderbird", "unreadable");
    let why = credential(&status, "thunderbird").to_string();
    assert!(why.contains("the keyring is locked"), "{why}");
    for (interface, member) in [("Service", "Unlock"), ("Prompt", "Prompt")] {
        assert_eq!(
            monitor.calls(&format!("org.freedesktop.Secret.{interface}"), member),
            Vec::<serde_json::Value>::new()
        );
    }
    // The witness was awake.
    assert!(!monitor.calls("org.freedesktop.Secret.Service", "SearchItems").is_empty());
    assert!(keyring.is_locked());
    drop(monitor);
    keyring.unlock();
    daemon.until_health("thunderbird", "healthy");
}

#[test]
fn an_unlocked_keyring_is_read_without_waiting_for_the_interval() {
    let (mail, bus) = (Mail::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    keyring.store("keypulse", "thunderbird", PASSWORD);
    keyring.lock();
    let settings = Settings::for_mail(&mail)
        .set("schedule", "interval", "\"1h\"")
        .set("schedule", "stale_after", "\"24h\"")
        .set("schedule", "confirm", "[\"2m\", \"15m\"]")
        .account(ADDRESS)
        .credential_keyring("thunderbird");
    let keypulse = Keypulse::with(&settings).on(&bus);
    let daemon = keypulse.run();
    daemon.until_health("thunderbird", "unreadable");
    keyring.unlock();
    daemon.until_health("thunderbird", "healthy");
    daemon.until_log("the keyring was unlocked");
}

#[test]
fn the_main_password_is_refused_and_never_sent() {
    let (mail, bus) = (Mail::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    mail.dovecot.set_password(ADDRESS, "Main-Password-1");
    let keypulse = Keypulse::with(&Settings::for_mail(&mail)).on(&bus);
    let before = config(&keypulse);
    let refused = add(&keypulse, "mutt", &[], "Main-Password-1\n");
    says(&refused, 1, &["probably the main password", "it was not sent", "account.apple.com", "nothing was stored"]);
    assert!(!refused.stderr.contains("Main-Password-1") && !refused.stdout.contains("Main-Password-1"));
    says(&add(&keypulse, "mutt", &[], "\n"), 1, &["it is empty"]);
    assert_eq!(mail.dovecot.logins(), []);
    assert_eq!((config(&keypulse), keyring.lookup("keypulse", "mutt")), (before, None));
}

#[test]
fn a_refused_password_is_not_stored_and_its_logins_count_with_and_without_a_daemon() {
    let (mail, bus) = (Mail::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::new().on(&bus);
    let file = keypulse.secret("nas", PASSWORD);
    keypulse.configure(&Settings::for_mail(&mail).account(ADDRESS).credential_file("nas", &file));
    let before = config(&keypulse);
    let refused = |failed: u32| {
        let output = add(&keypulse, "mutt", &[], WRONG);
        let left = format!("{} of 12 failed logins a day are left", 12 - failed);
        says(&output, 1, &["IMAP as johnappleseed: refused", "SMTP as johnappleseed@icloud.com: refused", &left]);
        says(
            &output,
            1,
            &["IMAP as johnappleseed@icloud.com: refused", "johnappleseed@icloud.com, without dashes: refused"],
        );
        says(&output, 1, &["not an app-specific password", "another Apple Account", "two minutes", "another form"]);
        assert!(!output.stderr.contains("zzzz"), "{output:?}");
        assert_eq!((config(&keypulse), keyring.lookup("keypulse", "mutt")), (before.clone(), None));
        assert_eq!(mail.dovecot.failed_logins(), usize::try_from(failed).unwrap());
    };
    refused(4);
    let status: serde_json::Value = serde_json::from_str(&keypulse.command(&["status", "--json"]).stdout).unwrap();
    assert_eq!(account(&status, ADDRESS)["failed_logins_24h"], 4);
    let daemon = keypulse.run();
    daemon.until_health("nas", "healthy");
    refused(8);
    assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], 8);
}

#[test]
fn the_ration_is_spared_and_never_overdrawn() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::with(&Settings::for_mail(&mail).set("limits", "failed_logins_per_account", "5"));
    let file = keypulse.secret("mutt", WRONG);
    let arguments = ["add", "mutt", "--account", ADDRESS, "--secret-file", file.to_str().unwrap()];
    says(&keypulse.command(&arguments), 1, &["SMTP as johnappleseed@icloud.com: refused", "2 of 5 failed logins"]);
    for left in [1, 0] {
        let left = format!("{left} of 5 failed logins");
        says(&keypulse.command(&arguments), 1, &["SMTP: not asked, to spare the failed logins left", &left]);
    }
    let used_up = keypulse.command(&arguments);
    says(&used_up, 1, &["had 5 failed logins in 24 hours", "nothing was stored", "the next one is allowed at "]);
    assert_eq!(mail.dovecot.logins().len(), 5);
    keypulse.secret("mutt", PASSWORD);
    says(&keypulse.command(&arguments), 1, &["had 5 failed logins"]);
}

#[test]
fn a_known_name_gets_a_new_password_and_keeps_the_old_one_until_then() {
    let (mail, bus) = (Mail::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    keyring.store("keypulse", "mutt", PASSWORD);
    let keypulse = Keypulse::new().on(&bus);
    keypulse.configure(&Settings::for_mail(&mail).account(ADDRESS).credential_keyring("mutt"));
    let before = config(&keypulse);
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    mail.dovecot.set_password(ADDRESS, NEW);
    daemon.until_health("mutt", "revoked");

    says(&add(&keypulse, "mutt", &[], WRONG), 1, &["nothing was stored"]);
    assert_eq!(keyring.lookup("keypulse", "mutt").as_deref(), Some(PASSWORD));
    let logins = mail.dovecot.logins().len();
    says(&add(&keypulse, "mutt", &[], PASSWORD), 1, &["it was revoked: refused since", "not sent again"]);
    assert_eq!(mail.dovecot.logins().len(), logins);

    let replaced = add(&keypulse, "mutt", &[], NEW);
    says(&replaced, 0, &["mutt has its new password: accepted by IMAP and SMTP; it is healthy now\n"]);
    assert_eq!(keyring.lookup("keypulse", "mutt").as_deref(), Some(NEW));
    assert_eq!(config(&keypulse), before);
    assert_eq!(account(&daemon.status_json(), ADDRESS)["incident"], serde_json::Value::Null);
}

#[test]
fn a_user_name_of_the_wrong_form_is_told_from_a_wrong_password() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    mail.dovecot.refuse_all("imap", true);
    let keypulse = Keypulse::with(&Settings::for_mail(&mail));
    let file = keypulse.secret("mutt", PASSWORD);
    let output = keypulse.command(&["add", "mutt", "--account", ADDRESS, "--secret-file", file.to_str().unwrap()]);
    says(&output, 1, &["one service refuses it; nothing was stored", "the password is right"]);
    says(&output, 1, &["SMTP as johnappleseed@icloud.com: accepted", "IMAP as johnappleseed@icloud.com: refused"]);
    says(&output, 1, &["imap_username = "]);
}

#[test]
fn what_cannot_be_asked_is_not_stored_but_on_request() {
    let mut mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::with(&Settings::for_mail(&mail));
    let before = config(&keypulse);
    mail.postfix.stop();
    let file = keypulse.secret("mutt", PASSWORD);
    let arguments = ["add", "mutt", "--account", ADDRESS, "--secret-file", "mutt.secret"];
    let output = keypulse.command(&arguments);
    says(&output, 1, &["not every service could be asked", "SMTP: no connection", "IMAP as johnappleseed: accepted"]);
    says(&output, 1, &["--no-verify"]);
    assert_eq!(config(&keypulse), before);
    let output =
        keypulse.command(&["add", "mutt", "--account", ADDRESS, "--no-verify", "--secret-file", "mutt.secret"]);
    says(&output, 0, &["mutt is stored: not tried\n", "no daemon runs; start one with `keypulse service install`"]);
    let written = config(&keypulse);
    assert!(written.starts_with(&before) && written.contains(&format!("secret.file = {file:?}")), "{written}");
}

#[test]
fn a_command_is_read_tried_and_written_down() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::with(&Settings::for_mail(&mail));
    keypulse.secret("mutt", PASSWORD);
    let prefix = ["add", "mutt", "--account", ADDRESS, "--services", "imap", "--secret-command"];
    let failed = keypulse.command(&[&prefix[..], &["cat mutt.secret"]].concat());
    says(&failed, 1, &["failed to read the password", "without quotes around it"]);
    says(&keypulse.command(&[&prefix[..], &["head", "-n", "1", "mutt.secret"]].concat()), 0, &["accepted by IMAP\n"]);
    let written = config(&keypulse);
    assert!(
        written.contains("services = [\"imap\"]\nsecret.command = [\"head\", \"-n\", \"1\", \"mutt.secret\"]\n"),
        "{written}"
    );
    let logins = mail.dovecot.logins();
    assert!(logins.iter().all(|login| login.service == "imap") && logins.len() == 1, "{logins:?}");

    let again = add(&keypulse, "mutt", &[], PASSWORD);
    says(&again, 1, &["the command `head` gets it", "`keypulse replace mutt`"]);
    let again = add(&keypulse, "mutt", &["--app", "Mutt"], PASSWORD);
    says(&again, 64, &["mutt is configured already", "config.toml"]);
    let other = keypulse.command(&["add", "mutt", "--account", OTHER, "--stdin"]);
    says(&other, 64, &["mutt belongs to the account johnappleseed@icloud.com already", "choose another name"]);
}

#[test]
fn nothing_is_left_half_done() {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    let keypulse = Keypulse::new().on(&bus);
    fs::create_dir_all(keypulse.config_file().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/proc/nowhere/config.toml", keypulse.config_file()).unwrap();
    says(&add(&keypulse, "mutt", &["--no-verify"], PASSWORD), 1, &["failed to make the directory /proc/nowhere"]);
    assert_eq!(keyring.lookup("keypulse", "mutt"), None);
    keyring.store("keypulse", "mutt", NEW);
    says(&add(&keypulse, "mutt", &["--no-verify"], PASSWORD), 1, &["/proc/nowhere"]);
    assert_eq!(keyring.lookup("keypulse", "mutt").as_deref(), Some(NEW));

    fs::remove_file(keypulse.config_file()).unwrap();
    says(&add(&keypulse, "mutt", &["--no-verify"], PASSWORD), 0, &["mutt is stored: not tried\n"]);
    assert_eq!(keyring.lookup("keypulse", "mutt").as_deref(), Some(PASSWORD));
    assert_eq!(fs::metadata(keypulse.config_file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(config(&keypulse).starts_with("# keypulse's configuration. `keypulse config show`"));
    says(&keypulse.command(&["config", "check"]), 0, &["1 account, 1 credential"]);
}

#[test]
fn without_a_keyring_nobody_is_asked_for_a_password() {
    let bus = Bus::start();
    let keypulse = Keypulse::new().on(&bus);
    says(&add(&keypulse, "mutt", &[], PASSWORD), 1, &["no keyring service runs", "--secret-file"]);
    assert!(!keypulse.config_file().exists());
}

#[test]
fn without_a_terminal_the_way_in_is_named() {
    let bus = Bus::start();
    let _keyring = Keyring::start(&bus);
    let keypulse = Keypulse::new().on(&bus);
    let output = keypulse.command(&["add", "mutt", "--account", ADDRESS]);
    says(&output, 64, &["standard input is no terminal", "--stdin"]);
    says(&keypulse.command(&["add", "mutt", "--account", "john"]), 64, &["name@icloud.com"]);
    says(&keypulse.command(&["add", "mutt"]), 64, &["--account"]);
}

#[test]
fn a_typed_password_is_never_shown() {
    let (mail, bus) = (Mail::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::with(&Settings::for_mail(&mail)).on(&bus);
    let mut terminal = Terminal::run(&keypulse, &["add", "mutt", "--account", ADDRESS]);
    terminal.until("App-specific password for mutt (johnappleseed@icloud.com), not shown: ");
    terminal.until_hidden();
    // With a typing error taken back, and in the brackets that terminals put around what is pasted.
    terminal.keys("\u{1b}[200~abcd efgh ijkl mnox\u{7f}p\u{1b}[201~\r");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert!(terminal.screen().contains("accepted by IMAP and SMTP"), "{}", terminal.screen());
    assert!(!terminal.screen().contains("efgh"), "{}", terminal.screen());
    assert_eq!(keyring.lookup("keypulse", "mutt").as_deref(), Some(PASSWORD));
}

#[test]
fn ctrl_c_at_the_prompt_leaves_nothing_and_a_usable_terminal() {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    let keypulse = Keypulse::new().on(&bus);
    let mut terminal = Terminal::run(&keypulse, &["add", "mutt", "--account", ADDRESS]);
    terminal.until_hidden();
    terminal.keys("abcd efgh\u{3}");
    assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
    assert!(terminal.screen().contains("interrupted; nothing was changed"), "{}", terminal.screen());
    assert_eq!(keyring.lookup("keypulse", "mutt"), None);
    assert!(!keypulse.config_file().exists() && !keypulse.state_dir().exists());
}

#[test]
fn remove_takes_back_what_keypulse_put_there_and_nothing_else() {
    let (mail, bus) = (Mail::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    mail.dovecot.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::new().on(&bus);
    let file = keypulse.secret("nas", PASSWORD);
    keyring.store("keypulse", "mutt", PASSWORD);
    keyring.store("mbsync", "me", PASSWORD);
    let settings = Settings::for_mail(&mail).account(ADDRESS).credential_keyring("mutt").credential_file("nas", &file);
    let settings = settings.credential("mbsync", "secret.keyring = { service = \"mbsync\", username = \"me\" }");
    keypulse.configure_text(&commented(&settings));
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");

    says(&keypulse.command(&["remove", "mut"]), 64, &["no credential is named \"mut\"; did you mean mutt?", "nas"]);
    let output = keypulse.command(&["remove", "mutt"]);
    says(&output, 0, &["mutt is no longer watched\n", "deleted from the keyring", "account.apple.com"]);
    assert_eq!(keyring.lookup("keypulse", "mutt"), None);
    assert_eq!(credential(&daemon.status_json(), "mutt"), &serde_json::Value::Null);
    says(&keypulse.command(&["remove", "nas"]), 0, &["its password stays in /"]);
    assert!(file.exists());
    says(&keypulse.command(&["remove", "mbsync"]), 0, &["keypulse did not put it there", "nor is johnappleseed@"]);
    assert_eq!(keyring.lookup("mbsync", "me").as_deref(), Some(PASSWORD));
    let left = config(&keypulse);
    assert!(left.starts_with(COMMENTED) && !left.contains("[[account"), "{left}");
    says(&keypulse.command(&["remove", "mutt"]), 64, &["none is configured yet"]);
}

#[test]
fn a_password_that_stays_in_the_keyring_is_named() {
    let bus = Bus::start();
    let keypulse = Keypulse::with(&Settings::default().account(ADDRESS).credential_keyring("mutt")).on(&bus);
    let output = keypulse.command(&["remove", "mutt"]);
    says(&output, 1, &["no longer watched", "no keyring service runs", "service \"keypulse\" and username \"mutt\""]);
    assert!(!config(&keypulse).contains("mutt"));
}
