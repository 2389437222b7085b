//! Every message, as people read it.

use super::*;
use crate::health::{credential::Health, name::CredentialName, view::ServiceStatus};

const LAST_ACCEPTED: Timestamp = Timestamp::from_millis(1402);
const FIRST_REFUSED: Timestamp = Timestamp::from_millis(1409);
const OVER: Timestamp = Timestamp::from_millis(1530);

/// 1402 is 14:02.
fn local(at: Timestamp) -> String {
    format!("{}:{:02}", at.as_millis() / 100, at.as_millis() % 100)
}

fn address() -> Address {
    Address::new("johnappleseed@icloud.com").unwrap()
}

fn credential(name: &str) -> CredentialStatus {
    let app = match name {
        "thunderbird" => Some("Thunderbird"),
        "nas" => Some("Synology NAS"),
        _ => None,
    };
    CredentialStatus {
        name: CredentialName::new(name).unwrap(),
        app: app.map(str::to_owned),
        health: Health::Revoked,
        presumed: false,
        since: None,
        last_accepted_at: None,
        last_checked_at: None,
        next_check_at: None,
        unreadable: None,
        services: vec![],
    }
}

/// The account has the affected ones and `others`.
struct Told {
    incident: Incident,
    credentials: Vec<CredentialStatus>,
}

fn told(cause: IncidentCause, affected: &[&str], others: &[&str]) -> Told {
    Told {
        incident: Incident {
            id: 1,
            cause,
            declared_at: FIRST_REFUSED,
            notified_at: None,
            began_between: (Some(LAST_ACCEPTED), FIRST_REFUSED),
            credentials: affected.iter().map(|name| CredentialName::new(name).unwrap()).collect(),
            snoozed_until: None,
            resolved_at: None,
            withdrawn: false,
        },
        credentials: affected.iter().chain(others).map(|name| credential(name)).collect(),
    }
}

impl Told {
    fn over(mut self) -> Self {
        self.incident.resolved_at = Some(OVER);
        self
    }

    fn withdrawn(mut self) -> Self {
        self.incident.withdrawn = true;
        self.over()
    }

    fn presumed(mut self, name: &str) -> Self {
        self.credentials.iter_mut().filter(|one| one.name.as_str() == name).for_each(|one| one.presumed = true);
        self
    }

    fn refused_by(mut self, service: Service) -> Self {
        for one in &mut self.credentials {
            one.services = Service::ALL
                .map(|asked| ServiceStatus {
                    service: asked,
                    finding: if asked == service { Finding::Rejected } else { Finding::Accepted },
                    code: None,
                    detail: None,
                    at: FIRST_REFUSED,
                    took: None,
                })
                .into();
        }
        self
    }

    fn mail(&self, kind: Tidings) -> Message {
        let sender = Sender { machine: "nas".into(), zone: "UTC+01:00".into() };
        mail(kind, &address(), &self.incident, &self.credentials, &local, &sender)
    }

    fn message(&self, kind: Tidings) -> Message {
        message(kind, &address(), &self.incident, &self.credentials, &local)
    }
}

/// The title, a line, the body.
#[track_caller]
fn check(message: &Message, expected: &str) {
    let expected = expected.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert_eq!(format!("{}\n--\n{}", message.title, message.body), expected);
}

#[test]
fn main_password_reset() {
    let all = told(IncidentCause::MainPasswordReset, &["thunderbird", "msmtp", "nas", "git"], &[]);
    check(
        &all.message(Tidings::Opened),
        "All iCloud app passwords revoked: johnappleseed@icloud.com
         --
         Can no longer log in: Thunderbird, msmtp and 2 more.
         Stopped between 14:02 and 14:09.
         Most likely the Apple Account password was changed or reset. Also fits: two-factor authentication turned off, account locked.
         If that was not you, act now: it may be somebody else's doing.
         New passwords: account.apple.com → Sign-In and Security → App-Specific Passwords.
         Then: keypulse replace --account johnappleseed@icloud.com",
    );
    let some = told(IncidentCause::MainPasswordReset, &["thunderbird", "msmtp"], &["new"]);
    let title = |kind| some.message(kind).title;
    assert_eq!(title(Tidings::Opened), "iCloud app passwords revoked: johnappleseed@icloud.com");
    assert_eq!(title(Tidings::Changed), "Update: iCloud app passwords revoked: johnappleseed@icloud.com");
    assert_eq!(title(Tidings::Reminder), "Reminder: iCloud app passwords revoked: johnappleseed@icloud.com");
    check(
        &all.over().message(Tidings::Resolved),
        "iCloud works again (Thunderbird and 3 more): johnappleseed@icloud.com
         --
         Logs in again: Thunderbird, msmtp and 2 more.
         It began at 14:09 and was over at 15:30.",
    );
}

#[test]
fn reset_or_revoked() {
    check(
        &told(IncidentCause::ResetOrRevoked, &["thunderbird"], &[]).message(Tidings::Opened),
        "iCloud app password revoked (Thunderbird): johnappleseed@icloud.com
         --
         Can no longer log in: Thunderbird.
         Stopped between 14:02 and 14:09.
         Most likely the Apple Account password was changed, or only this app password was revoked. Also fits: two-factor authentication turned off, account locked.
         If that was not you, act now: it may be somebody else's doing.
         New password: account.apple.com → Sign-In and Security → App-Specific Passwords.
         Then: keypulse replace thunderbird",
    );
    check(
        &told(IncidentCause::ResetOrRevoked, &["thunderbird"], &[]).over().message(Tidings::Resolved),
        "iCloud works again (Thunderbird): johnappleseed@icloud.com
         --
         Logs in again: Thunderbird.
         It began at 14:09 and was over at 15:30.",
    );
}

#[test]
fn single_revocation() {
    check(
        &told(IncidentCause::SingleRevocation, &["msmtp"], &["thunderbird"]).message(Tidings::Opened),
        "iCloud app password revoked (msmtp): johnappleseed@icloud.com
         --
         Can no longer log in: msmtp. Another app password of this account still works.
         Stopped between 14:02 and 14:09.
         Most likely revoked by hand, or removed after a move to Apple's own sign-in. If not by you, look at your Apple Account: it may be somebody else's doing.
         New password: account.apple.com → Sign-In and Security → App-Specific Passwords.
         Then: keypulse replace msmtp
         Not used any more: keypulse remove msmtp",
    );
}

#[test]
fn never_accepted() {
    check(
        &told(IncidentCause::NeverAccepted, &["thunderbird", "nas"], &[]).message(Tidings::Opened),
        "iCloud passwords not accepted (Thunderbird and Synology NAS): johnappleseed@icloud.com
         --
         iCloud has refused Thunderbird and Synology NAS since 14:09.
         Likely: a wrong user name, a typing error, the main password instead of an app-specific one, or revoked before keypulse first saw it.
         Check the user name first.
         New passwords: account.apple.com → Sign-In and Security → App-Specific Passwords.
         Then: keypulse replace --account johnappleseed@icloud.com",
    );
    check(
        &told(IncidentCause::NeverAccepted, &["nas"], &[]).over().message(Tidings::Resolved),
        "iCloud password accepted now (Synology NAS): johnappleseed@icloud.com
         --
         Logs in: Synology NAS.
         It began at 14:09 and was over at 15:30.",
    );
}

#[test]
fn service_refused() {
    let refused = |service| told(IncidentCause::ServiceRefused, &["thunderbird"], &[]).refused_by(service);
    check(
        &refused(Service::Smtp).message(Tidings::Opened),
        "iCloud receiving works, sending fails (Thunderbird): johnappleseed@icloud.com
         --
         Since 14:09, Thunderbird: IMAP accepts the password, SMTP refuses it.
         Most likely the user name for sending: SMTP wants the whole address, johnappleseed@icloud.com.
         Set smtp_username in keypulse's configuration, and the same in the program.",
    );
    check(
        &refused(Service::Imap).message(Tidings::Opened),
        "iCloud sending works, receiving fails (Thunderbird): johnappleseed@icloud.com
         --
         Since 14:09, Thunderbird: SMTP accepts the password, IMAP refuses it.
         Most likely the user name for receiving: IMAP wants the short one, johnappleseed.
         Set imap_username in keypulse's configuration, and the same in the program.",
    );
    check(
        &told(IncidentCause::ServiceRefused, &["thunderbird"], &[]).message(Tidings::Opened),
        "iCloud mail works only in part (Thunderbird): johnappleseed@icloud.com
         --
         Since 14:09, Thunderbird: one service accepts the password, one refuses it.
         Most likely a user name: IMAP wants johnappleseed, SMTP johnappleseed@icloud.com.
         Set imap_username or smtp_username in keypulse's configuration, and the same in the program.",
    );
    check(
        &refused(Service::Imap).over().message(Tidings::Resolved),
        "iCloud receives and sends again (Thunderbird): johnappleseed@icloud.com
         --
         Both services accept the password.
         It began at 14:09 and was over at 15:30.",
    );
}

#[test]
fn cannot_check() {
    let mut locked = told(IncidentCause::CannotCheck, &["thunderbird"], &["msmtp"]);
    locked.credentials[0].unreadable = Some("the keyring is locked".to_owned());
    check(
        &locked.message(Tidings::Opened),
        "iCloud password cannot be checked (Thunderbird): johnappleseed@icloud.com
         --
         Not known whether it still works: Thunderbird.
         Cannot be read since 14:09: the keyring is locked.
         What is wrong, in full: keypulse check thunderbird",
    );
    check(
        &told(IncidentCause::CannotCheck, &["thunderbird", "msmtp"], &[]).message(Tidings::Reminder),
        "Reminder: iCloud passwords cannot be checked (Thunderbird and msmtp): johnappleseed@icloud.com
         --
         Not known whether it still works: Thunderbird and msmtp.
         No answer from iCloud since 14:09, though the network is there.
         What is wrong, in full: keypulse check",
    );
    check(
        &locked.over().message(Tidings::Resolved),
        "iCloud password checked again, works (Thunderbird): johnappleseed@icloud.com
         --
         Works: Thunderbird.
         It began at 14:09 and was over at 15:30.",
    );
}

#[test]
fn a_suspected_outage_is_no_alarm() {
    let outage = told(IncidentCause::ProviderOutageSuspected, &["thunderbird"], &[]);
    check(
        &outage.message(Tidings::Opened),
        "iCloud may have an outage: johnappleseed@icloud.com
         --
         iCloud refuses Thunderbird, but other signs point to trouble at iCloud.
         keypulse waits and asks again before it calls anything revoked. Nothing to do now.",
    );
    check(
        &outage.over().message(Tidings::Resolved),
        "iCloud answers again: johnappleseed@icloud.com
         --
         Logs in: Thunderbird.
         It began at 14:09 and was over at 15:30.",
    );
}

#[test]
fn a_false_alarm_says_so() {
    check(
        &told(IncidentCause::MainPasswordReset, &["thunderbird", "msmtp"], &[]).withdrawn().message(Tidings::Resolved),
        "False alarm: iCloud passwords work (Thunderbird and msmtp): johnappleseed@icloud.com
         --
         iCloud accepts the same passwords again: Thunderbird and msmtp.
         It began at 14:09 and was over at 15:30. So nothing was revoked: a false alarm, or trouble at iCloud.
         Nothing is left to do; a new password made meanwhile is good too.",
    );
}

#[test]
fn what_was_removed_is_not_said_to_work() {
    let mut removed = told(IncidentCause::ResetOrRevoked, &["nas"], &["msmtp"]).over();
    removed.credentials.remove(0);
    check(
        &removed.message(Tidings::Resolved),
        "iCloud password no longer watched (nas): johnappleseed@icloud.com
         --
         Removed from keypulse: nas.
         Nothing is left to do.",
    );
}

#[test]
fn times_are_said_as_they_are_known() {
    let line = |began_between| {
        let mut told = told(IncidentCause::ResetOrRevoked, &["nas"], &[]);
        told.incident.began_between = began_between;
        told.message(Tidings::Opened).body.lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(line((None, FIRST_REFUSED)), "Refused since 14:09; when it last worked is not known.");
    assert_eq!(line((Some(FIRST_REFUSED), FIRST_REFUSED)), "Stopped at 14:09.");
}

#[test]
fn programs_are_named_counted_and_marked() {
    let who = |told: Told| {
        let body = told.message(Tidings::Opened).body;
        let line = body.lines().next().unwrap();
        line.strip_prefix("Can no longer log in: ").unwrap().to_owned()
    };
    let reset = |names: &[&str]| told(IncidentCause::MainPasswordReset, names, &[]);
    assert_eq!(who(reset(&["thunderbird", "nas"])), "Thunderbird and Synology NAS.");
    assert_eq!(who(reset(&["nas", "git", "mutt"])), "Synology NAS, git and mutt.");
    assert_eq!(who(reset(&["nas", "git", "mutt"]).presumed("git")), "Synology NAS, git (presumed) and mutt.");
    let five = || reset(&["nas", "git", "mutt", "aerc", "msmtp"]);
    assert_eq!(who(five()), "Synology NAS, git and 3 more.");
    assert_eq!(who(five().presumed("aerc").presumed("msmtp")), "Synology NAS, git and 3 more (2 presumed).");
    let mut same = reset(&["home", "work"]);
    same.credentials.iter_mut().for_each(|one| one.app = Some("Thunderbird".to_owned()));
    assert_eq!(who(same), "Thunderbird home and Thunderbird work.");
    let mut long = reset(&["nas", "git"]);
    long.credentials[0].app = Some("ü".repeat(200));
    assert_eq!(who(long), format!("{}… and git.", "ü".repeat(31)));
}

#[test]
fn only_the_opening_of_what_was_lost_is_critical() {
    for (cause, critical) in [
        (IncidentCause::MainPasswordReset, true),
        (IncidentCause::ResetOrRevoked, true),
        (IncidentCause::SingleRevocation, false),
        (IncidentCause::NeverAccepted, false),
        (IncidentCause::ServiceRefused, false),
        (IncidentCause::CannotCheck, false),
        (IncidentCause::ProviderOutageSuspected, false),
    ] {
        for kind in [Tidings::Opened, Tidings::Changed, Tidings::Reminder, Tidings::Resolved] {
            let message = told(cause, &["thunderbird", "msmtp"], &[]).message(kind);
            assert_eq!(message.critical, critical && kind == Tidings::Opened, "{cause} {kind:?}");
            assert_eq!(told(cause, &["nas"], &[]).mail(kind).critical, message.critical, "{cause} {kind:?}");
            assert!(message.body.lines().count() <= 6, "{}", message.body);
            let words = message.title.strip_suffix(": johnappleseed@icloud.com").unwrap();
            let words = words.strip_prefix(prefix(kind)).unwrap();
            assert!(words.chars().count() <= 60, "{words}");
        }
    }
}

#[test]
fn letters_hold_no_link_and_say_what_keypulse_never_does() {
    let told = told(IncidentCause::MainPasswordReset, &["thunderbird", "msmtp"], &[]);
    let letter = letter(Tidings::Opened, &address(), &told.incident, &told.credentials, &local);
    assert!(!letter.body.contains("apple.com") && !letter.body.contains("://"), "{}", letter.body);
    assert!(letter.body.contains("\nNew passwords: your Apple Account > Sign-In and Security >"), "{}", letter.body);
    assert!(letter.body.ends_with("\nkeypulse never asks for the main password."), "{}", letter.body);
    assert_eq!(letter.title, told.message(Tidings::Opened).title);
}

#[track_caller]
fn check_mail(told: &Told, kind: Tidings, title: &str, body: &str) {
    let mail = told.mail(kind);
    assert_eq!(mail.title, title);
    // `|` ends a line that ends in a space.
    let body = body.trim_start_matches('\n').replace('|', "");
    let shown: Vec<&str> = body.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    assert_eq!(mail.body.trim_end(), shown.join("\n").trim_end());
    assert!(mail.body.is_ascii(), "{}", mail.body);
}

#[test]
fn an_opening_mail_is_a_page_of_plain_text() {
    let programs = ["thunderbird", "msmtp", "nas", "git", "mutt"];
    check_mail(
        &told(IncidentCause::MainPasswordReset, &programs, &[]).presumed("git"),
        Tidings::Opened,
        "All iCloud app passwords revoked: johnappleseed@icloud.com",
        "
        All iCloud app passwords revoked: johnappleseed@icloud.com

        Can no longer log in: Thunderbird, msmtp, Synology NAS, git (presumed)
        and mutt.

        Stopped between 14:02 and 14:09.

        Most likely the Apple Account password was changed or reset. Also fits:
        two-factor authentication turned off, account locked.

        If that was not you, act now: it may be somebody else's doing.

        What to do:

          * New passwords: your Apple Account > Sign-In and Security >
            App-Specific Passwords.
          * Then, on nas:
              keypulse replace --account johnappleseed@icloud.com

        More:

              keypulse status
              keypulse explain johnappleseed@icloud.com
              keypulse snooze johnappleseed@icloud.com

        -- |
        keypulse on nas; times are UTC+01:00.
        keypulse never asks for the main password.",
    );
}

#[test]
fn a_line_of_a_mail_is_as_long_as_it_may_be_and_no_longer() {
    for (first, length) in [("a", 71), ("aa", 72)] {
        let words = format!("{first} {}", ["b"; 50].join(" "));
        let lines = page::paragraph(&words, "", "");
        assert_eq!(lines[0].len(), length, "{lines:?}");
        assert_eq!(lines.join(" "), words);
    }
}

#[test]
fn a_reminder_by_mail() {
    check_mail(
        &told(IncidentCause::SingleRevocation, &["msmtp"], &["nas"]),
        Tidings::Reminder,
        "Reminder: iCloud app password revoked (msmtp): johnappleseed@icloud.com",
        "
        iCloud app password revoked (msmtp): johnappleseed@icloud.com

        Can no longer log in: msmtp. Another app password of this account still
        works.

        Stopped between 14:02 and 14:09.

        Most likely revoked by hand, or removed after a move to Apple's own
        sign-in. If not by you, look at your Apple Account: it may be somebody
        else's doing.

        What to do:

          * New password: your Apple Account > Sign-In and Security >
            App-Specific Passwords.
          * Then, on nas:
              keypulse replace msmtp
          * Not used any more, on nas:
              keypulse remove msmtp

        More:

              keypulse status
              keypulse explain johnappleseed@icloud.com
              keypulse snooze johnappleseed@icloud.com

        -- |
        keypulse on nas; times are UTC+01:00.
        keypulse never asks for the main password.",
    );
}

#[test]
fn a_mail_that_it_is_over() {
    check_mail(
        &told(IncidentCause::MainPasswordReset, &["thunderbird", "msmtp"], &[]).over(),
        Tidings::Resolved,
        "iCloud works again (Thunderbird and msmtp): johnappleseed@icloud.com",
        "
        iCloud works again (Thunderbird and msmtp): johnappleseed@icloud.com

        Logs in again: Thunderbird and msmtp.

        It began at 14:09 and was over at 15:30.

        -- |
        keypulse on nas; times are UTC+01:00.
        keypulse never asks for the main password.",
    );
}

#[test]
fn tests_are_marked() {
    assert_eq!(sample().test().title, "Test: keypulse can reach you here");
}

#[test]
fn a_title_names_two_programs_that_fit_it() {
    let title = |first: &str| {
        let message =
            told(IncidentCause::ResetOrRevoked, &[first, "mutt-at-work"], &[]).over().message(Tidings::Resolved);
        message.title.split_once(" (").unwrap().1.split_once("): ").unwrap().0.to_owned()
    };
    assert_eq!(title("mutt-at-home"), "mutt-at-home and mutt-at-work", "24 characters");
    assert_eq!(title("mutt-at-homes"), "mutt-at-homes and 1 more", "25");
}
