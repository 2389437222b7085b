//! E-mail: from the daemon through the real Postfix into a mailbox of the real Dovecot, and read back there.

use rusqlite::Connection;

use crate::lab::{
    Certificates, Dovecot, Hook, Keypulse, Mail, Mailbox, Postfix, Running, Settings, Tls, Verdict, account,
    credential, until,
};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OTHER: &str = "jane@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";
const JANES: &str = "bbcd-efgh-ijkl-mnop";
const SENDER: &str = "nas@example.org";
const SENDERS: &str = "The-NAS-may-send-1";
const REVOKED: &str = "iCloud app password revoked (Thunderbird): johnappleseed@icloud.com";
const OVER: &str = "iCloud works again (Thunderbird): johnappleseed@icloud.com";

/// A person whose Thunderbird only receives, so that the mail server can go without any password being doubted.
struct Scene {
    mail: Mail,
    keypulse: Keypulse,
}

impl Scene {
    fn new() -> Self {
        let mail = Mail::start();
        mail.dovecot.set_password(ADDRESS, OLD);
        mail.dovecot.set_password(SENDER, SENDERS);
        Self { mail, keypulse: Keypulse::new() }
    }

    fn mailbox(&self) -> Mailbox<'_> {
        Mailbox::of(&self.mail)
    }

    fn watching(&self) -> Settings {
        let secret = self.keypulse.secret("thunderbird", OLD);
        let lines = format!("app = \"Thunderbird\"\nservices = [\"imap\"]\nsecret.file = \"{}\"", secret.display());
        let settings = Settings::for_mail(&self.mail).set("notify", "remind_every", "\"never\"");
        settings.account(ADDRESS).credential("thunderbird", &lines)
    }

    fn settings(&self) -> Settings {
        let password = self.keypulse.secret("sender", SENDERS);
        self.watching().email(self.mail.postfix.starttls_port(), Tls::StartTls, SENDER, &password)
    }

    #[track_caller]
    fn revoke(&self, daemon: &Running<'_>) {
        daemon.until_health("thunderbird", "healthy");
        self.mail.dovecot.set_password(ADDRESS, NEW);
        daemon.until_health("thunderbird", "revoked");
    }

    #[track_caller]
    fn repair(&self, daemon: &Running<'_>) {
        self.keypulse.secret("thunderbird", NEW);
        daemon.until_health("thunderbird", "healthy");
    }

    /// How the one message stands in the state.
    fn post(&self) -> String {
        let state = Connection::open(self.keypulse.state_dir().join("keypulse.sqlite")).unwrap();
        let row = "SELECT delivery FROM deliveries WHERE channel = 'email' ORDER BY id LIMIT 1";
        state.query_row(row, [], |row| row.get(0)).unwrap_or_default()
    }

    fn logins_of(&self, user: &str, verdict: Verdict) -> usize {
        self.mail.dovecot.logins().iter().filter(|login| login.user == user && login.verdict == verdict).count()
    }
}

/// The trouble with e-mail in the status document.
#[track_caller]
fn until_trouble(daemon: &Running<'_>, why: &str) -> serde_json::Value {
    let trouble = |status: &serde_json::Value| status["email"]["why"].as_str().unwrap_or_default().contains(why);
    daemon.until(&format!("e-mail in trouble: {why}"), trouble)["email"].clone()
}

#[test]
fn a_death_and_its_end_are_read_in_the_mailbox() {
    let scene = Scene::new();
    let mailbox = scene.mailbox();
    let hook = Hook::of(&scene.keypulse);
    scene.keypulse.configure(&scene.settings().hook(&hook.command()));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);

    let opened = mailbox.until("revoked");
    assert_eq!(
        (&*opened.subject, &*opened.from, &*opened.to, &*opened.auto, &*opened.kind),
        (REVOKED, "keypulse <keypulse@example.org>", Mailbox::ADDRESS, "auto-generated", "text/plain"),
    );
    for words in [
        "\nCan no longer log in: Thunderbird.\n",
        "\nStopped ",
        "\nIf that was not you, act now: it may be somebody else's doing.\n",
        "\n  * New password: your Apple Account > Sign-In and Security >\n    App-Specific Passwords.\n",
        "\n      keypulse replace thunderbird\n",
        "\nkeypulse never asks for the main password.\n",
    ] {
        assert!(opened.text.contains(words), "{words:?}: {}", opened.text);
    }
    assert!(!opened.raw.contains("://") && !opened.raw.contains("apple.com"), "no link: {}", opened.raw);
    assert!(opened.raw.lines().all(|line| line.len() <= 78 || line.starts_with("\tfor <")), "{}", opened.raw);
    assert!(opened.raw.contains("ESMTPSA"), "over TLS and logged in: {}", opened.raw);
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    assert!(daemon.status_json()["email"].is_null());

    scene.repair(&daemon);
    let over = mailbox.until("works again");
    assert_eq!(over.subject, OVER);
    assert_eq!(over.references, opened.references, "one thread");
    assert_ne!(over.id, opened.id);
    assert!(over.text.contains("It began at ") && !over.text.contains("What to do"), "{}", over.text);
    // The hook is given the same words, and no link either.
    let told = [hook.until("incident-opened"), hook.until("incident-resolved")];
    assert_eq!(told.each_ref().map(|told| told["message"]["title"].as_str().unwrap()), [REVOKED, OVER]);
    for told in told {
        let body = told["message"]["body"].as_str().unwrap();
        assert!(body.ends_with("\nkeypulse never asks for the main password."), "{body}");
        let all = told.to_string();
        assert!(!all.contains("://") && !all.contains("apple.com"), "no link: {all}");
    }
    assert_eq!(mailbox.subjects(), [REVOKED, OVER]);
    let log = daemon.log();
    for secret in [SENDERS, OLD, NEW] {
        assert!(!log.contains(secret) && !opened.raw.contains(secret));
    }
    assert_eq!(log.matches("e-mail sent").count(), 2, "{log}");
}

#[test]
fn what_stays_dead_is_reminded_of_in_the_same_thread() {
    let scene = Scene::new();
    let mailbox = scene.mailbox();
    scene.keypulse.configure(&scene.settings().set("notify", "remind_every", "\"1s\""));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    let reminder = mailbox.until("Reminder: ");
    assert_eq!(reminder.subject, format!("Reminder: {REVOKED}"));
    assert!(reminder.text.contains("keypulse replace thunderbird"), "{}", reminder.text);
    let letters = mailbox.letters();
    assert_eq!((&letters[0].subject[..], &letters[0].references), (REVOKED, &reminder.references));
    assert!(letters.iter().all(|other| other.id != reminder.id || other.subject == reminder.subject));
}

#[test]
fn a_healthy_credential_sends_and_a_dead_one_never() {
    let scene = Scene::new();
    let mailbox = scene.mailbox();
    scene.mail.dovecot.set_password(OTHER, JANES);
    let secret = scene.keypulse.secret("nas", JANES);
    let settings = scene.watching().email_through("nas").account(OTHER).credential_file("nas", &secret);
    scene.keypulse.configure(&settings);
    let daemon = scene.keypulse.run();
    daemon.until_health("nas", "healthy");
    scene.revoke(&daemon);
    let opened = mailbox.until("revoked");
    assert_eq!(opened.subject, REVOKED);
    let status = daemon.until("given back", |status| account(status, OTHER)["failed_logins_24h"] == 0);
    assert!(status["email"].is_null(), "{status:#}");

    scene.mail.dovecot.set_password(OTHER, NEW);
    let status = daemon.until_health("nas", "revoked");
    let failed = scene.mail.dovecot.failed_logins();
    assert_eq!(status["email"]["why"], "it goes out through nas, which is revoked", "{status:#}");
    assert_eq!(status["email"]["ended"], true);
    daemon.until_log("failed to send an e-mail: it goes out through nas, whose password is dead");
    let table = scene.keypulse.command(&["status"]);
    assert!(table.stdout.contains("No e-mail goes out since "), "{table:?}");
    let doctor = scene.keypulse.command(&["doctor"]);
    assert!(doctor.stdout.contains("no message goes out any more since "), "{doctor:?}");
    let test = scene.keypulse.command(&["notify-test", "--channel", "email"]);
    assert_eq!(test.code, 1, "{test:?}");
    assert!(test.stderr.contains("email: not sent: its password is dead"), "{test:?}");
    let status = daemon.status_json();
    assert_eq!(account(&status, OTHER)["failed_logins_24h"], 4, "only what its own verdict cost: {status:#}");
    assert_eq!(scene.mail.dovecot.failed_logins(), failed);

    // Alive again, it tells what was held back, while that still stands: the end of its own incident never began there.
    scene.keypulse.secret("nas", NEW);
    daemon.until("sent", |status| status["email"].is_null());
    scene.repair(&daemon);
    mailbox.until("works again (Thunderbird)");
    assert!(mailbox.subjects().iter().all(|subject| subject.contains("Thunderbird")), "{:?}", mailbox.subjects());
}

#[test]
fn a_refused_login_ends_it_until_the_password_is_another() {
    let scene = Scene::new();
    let mailbox = scene.mailbox();
    scene.mail.dovecot.set_password(SENDER, "Another-One-2");
    scene.keypulse.configure(&scene.settings());
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    let trouble = until_trouble(&daemon, "the server refuses the login: 535 5.7.8");
    assert_eq!(trouble["ended"], true, "{trouble}");
    // It is looked at again and again, and not sent.
    until("two more tries", || (daemon.log().matches("535 5.7.8").count() >= 5).then_some(()));
    let log = daemon.log();
    let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("failed to send an e-mail"));
    assert_eq!(warned.count(), 1, "said once: {log}");
    daemon.kill9();
    let daemon = scene.keypulse.run();
    until_trouble(&daemon, "535 5.7.8");
    daemon.until_log("failed to send an e-mail");
    assert_eq!(scene.logins_of(SENDER, Verdict::Refused), 1, "{:?}", scene.mail.dovecot.logins());
    let doctor = scene.keypulse.command(&["doctor"]);
    assert!(doctor.code == 2 && doctor.stdout.contains("535 5.7.8"), "{doctor:?}");

    scene.keypulse.secret("sender", "Another-One-2");
    assert_eq!(mailbox.until("revoked").subject, REVOKED);
    daemon.until("no trouble", |status| status["email"].is_null());
    assert_eq!(scene.logins_of(SENDER, Verdict::Refused), 1);
    assert_eq!(mailbox.subjects(), [REVOKED]);
}

#[test]
fn a_refused_receiver_is_said_without_a_name_and_tried_again() {
    let scene = Scene::new();
    let mailbox = scene.mailbox();
    scene.keypulse.configure(&scene.settings().set("notify.email", "to", "\"nobody@example.org\""));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    let trouble = until_trouble(&daemon, "the server refuses the message: 550 5.1.1 <***>");
    assert_eq!(trouble["ended"], false, "{trouble}");
    assert!(!daemon.log().contains("nobody@example.org"), "{}", daemon.log());
    scene.keypulse.configure(&scene.settings());
    daemon.reload();
    mailbox.until("revoked");
    daemon.until("no trouble", |status| status["email"].is_null());
    assert_eq!(mailbox.subjects(), [REVOKED]);
}

#[test]
fn a_server_that_is_down_gets_it_once_it_is_back() {
    let mut scene = Scene::new();
    scene.keypulse.configure(&scene.settings());
    scene.mail.postfix.stop();
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    let trouble = until_trouble(&daemon, "the server refused the connection");
    assert_eq!(trouble["ended"], false, "{trouble}");
    assert!(account(&daemon.status_json(), ADDRESS)["incident"]["notified_at"].is_null());
    drop(daemon);
    scene.mail.postfix.restart();
    let daemon = scene.keypulse.run();
    let mailbox = scene.mailbox();
    mailbox.until("revoked");
    scene.repair(&daemon);
    mailbox.until("works again");
    assert_eq!(mailbox.subjects(), [REVOKED, OVER]);
}

#[test]
fn what_was_over_before_it_could_be_told_is_not_told() {
    let mut scene = Scene::new();
    scene.keypulse.configure(&scene.settings());
    scene.mail.postfix.stop();
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    until_trouble(&daemon, "the server refused the connection");
    scene.repair(&daemon);
    until("nothing waits", || (!scene.post().contains("due") && !scene.post().contains("underway")).then_some(()));
    drop(daemon);
    scene.mail.postfix.restart();
    let daemon = scene.keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    let test = scene.keypulse.command(&["notify-test", "--channel", "email"]);
    assert_eq!(test.code, 0, "{test:?}");
    let mailbox = scene.mailbox();
    mailbox.until("Test: ");
    assert_eq!(mailbox.subjects(), ["Test: keypulse can reach you here"]);
}

#[test]
fn a_server_that_nobody_vouches_for_gets_no_login() {
    let scene = Scene::new();
    let certificates = Certificates::new();
    let dovecot = Dovecot::start(&certificates);
    let postfix = Postfix::start(&certificates, &dovecot);
    let password = scene.keypulse.secret("sender", SENDERS);
    scene.keypulse.configure(&scene.watching().email(postfix.implicit_port(), Tls::Implicit, SENDER, &password));
    let daemon = scene.keypulse.run();
    scene.revoke(&daemon);
    until_trouble(&daemon, "the server's certificate is from nobody this machine trusts; no login was sent");
    assert_eq!(dovecot.logins(), []);
    let doctor = scene.keypulse.command(&["doctor"]);
    assert!(doctor.stdout.contains("nobody this machine trusts"), "{doctor:?}");
    let settings = scene.watching().email(scene.mail.postfix.implicit_port(), Tls::Implicit, SENDER, &password);
    scene.keypulse.configure(&settings);
    daemon.reload();
    scene.mailbox().until("revoked");
}

/// Killed while the message stands so in the state, keypulse comes back and the person has read it once.
#[track_caller]
fn check_kill(stands: &str, slow: bool, end: impl FnOnce(Running<'_>)) {
    let mut scene = Scene::new();
    if slow {
        scene.mail.postfix.be_slow(3);
    }
    scene.keypulse.configure(&scene.settings());
    let daemon = scene.keypulse.run();
    daemon.until_health("thunderbird", "healthy");
    if !slow {
        scene.mail.postfix.freeze();
    }
    scene.mail.dovecot.set_password(ADDRESS, NEW);
    until(&format!("a message {stands}"), || scene.post().contains(stands).then_some(()));
    if slow {
        until("all of it at the server", || scene.mail.postfix.log().contains("END-OF-MESSAGE").then_some(()));
    }
    end(daemon);
    if !slow {
        scene.mail.postfix.thaw();
    }
    let daemon = scene.keypulse.run();
    let mailbox = scene.mailbox();
    mailbox.until("revoked");
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    scene.repair(&daemon);
    mailbox.until("works again");
    assert_eq!(mailbox.subjects(), [REVOKED, OVER], "{}", daemon.log());
}

#[test]
fn a_kill_before_the_message_was_given_loses_nothing() {
    check_kill("underway", false, |daemon| daemon.kill9());
}

#[test]
fn a_kill_between_the_message_and_its_answer_doubles_nothing() {
    check_kill("given", true, |daemon| daemon.kill9());
}

#[test]
fn an_end_between_the_message_and_its_answer_doubles_nothing() {
    check_kill("given", true, |daemon| {
        let (status, took) = daemon.terminate();
        assert!(status.success() && took.as_secs() < 2, "{status} {took:?}");
    });
}

#[test]
fn a_test_and_a_rehearsal_go_out_marked_and_spend_nothing() {
    let scene = Scene::new();
    let mailbox = scene.mailbox();
    scene.mail.dovecot.set_password(OTHER, JANES);
    let secret = scene.keypulse.secret("nas", JANES);
    let settings = scene.watching().email_through("nas").account(OTHER).credential_file("nas", &secret);
    scene.keypulse.configure(&settings);
    let early = scene.keypulse.command(&["notify-test", "--channel", "email"]);
    assert!(early.code == 1 && early.stderr.contains("nas, which is unknown"), "{early:?}");
    assert_eq!(scene.mail.dovecot.logins(), []);

    let checked = scene.keypulse.command(&["check", "nas"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let test = scene.keypulse.command(&["notify-test"]);
    assert_eq!((test.code, &*test.stderr), (0, ""), "{test:?}");
    assert!(test.stdout.starts_with("email: 127.0.0.1 took it for me@example.org"), "{test:?}");
    let letter = mailbox.until("Test: ");
    assert!(letter.text.contains("Nothing has happened.") && letter.text.contains("\n-- \nkeypulse on "), "{letter:?}");

    let names = ["rehearse", "--live", "email", "reset-2"];
    let rehearsed = scene.keypulse.command(&names);
    assert!(rehearsed.stderr.contains("email: took "), "{rehearsed:?}");
    mailbox.until("Test: All iCloud app passwords revoked");
    assert!(mailbox.subjects().iter().all(|subject| subject.starts_with("Test: ")), "{:?}", mailbox.subjects());
    let status = scene.keypulse.command(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(account(&status, OTHER)["failed_logins_24h"], 0);
    assert_eq!(credential(&status, "nas")["health"], "healthy");
}
