//! What the table shows, word for word.

use jiff::tz::TimeZone;

use super::*;
use crate::{
    api::time::local,
    api::{
        DaemonInfo, ProgramDocument,
        sample::{self, NOW, account, credential, dead, healthy, in_minutes, minutes_ago, name, service},
    },
    health::{
        evidence::{Cause, Finding, Service},
        incident::IncidentCause,
        view::{AccountStatus, CredentialStatus},
    },
};

fn at(width: usize, document: &StatusDocument, colour: bool) -> String {
    let now = Time::new(NOW, 0);
    let local = |time: Time| local(time, now, &TimeZone::UTC);
    render(document, &Look { now, width, colour, local: &local })
}

#[track_caller]
fn check(width: usize, accounts: &[AccountStatus], expected: &str) {
    let shown = at(width, &sample::document(accounts), false);
    assert_eq!(shown, expected, "\n--- shown:\n{shown}\n--- expected:\n{expected}");
}

/// One credential of every health.
fn every_health() -> Vec<AccountStatus> {
    let slow = |cause, detail| service(Service::Imap, Finding::Inconclusive(cause), detail, minutes_ago(2));
    let refused = Some("535 5.7.8 Error: authentication failed");
    let suspect =
        CredentialStatus { health: Health::Suspect, next_check_at: Some(in_minutes(2)), ..dead("mbsync", None) };
    let degraded = CredentialStatus {
        health: Health::Degraded,
        services: vec![
            service(Service::Imap, Finding::Accepted, None, minutes_ago(8)),
            service(Service::Smtp, Finding::Rejected, refused, minutes_ago(8)),
        ],
        ..healthy("msmtp", None, 8)
    };
    let rejected = CredentialStatus { health: Health::Rejected, last_accepted_at: None, ..dead("aerc", None) };
    let unreadable = CredentialStatus {
        unreadable: Some("the keyring is locked; unlock it by logging in to the desktop".into()),
        last_accepted_at: Some(minutes_ago(3 * 24 * 60)),
        last_checked_at: Some(minutes_ago(2)),
        services: vec![slow(Cause::SecretUnavailable, Some("the keyring is locked"))],
        ..credential("evolution", Some("GNOME Evolution"), Health::Unreadable)
    };
    let stale = CredentialStatus {
        health: Health::Stale,
        services: vec![slow(Cause::TimedOut, None), service(Service::Smtp, Finding::Accepted, None, minutes_ago(1800))],
        ..healthy("phone", Some("K-9 Mail"), 1800)
    };
    let presumed = CredentialStatus { presumed: true, services: vec![], ..dead("cron", None) };
    let new = credential("new", None, Health::Unknown);
    vec![account(
        "jane@me.com",
        vec![
            healthy("mutt", None, 0),
            degraded,
            suspect,
            dead("nas", Some("Synology")),
            presumed,
            rejected,
            unreadable,
            stale,
            new,
        ],
    )]
}

#[test]
fn a_reset_is_told_with_cause_and_remedy() {
    check(
        80,
        &sample::accounts(),
        "\
johnappleseed@icloud.com
  ✗ thunderbird            revoked  accepted 6 h ago · next check in 23 h
  ✗ nas          Synology  revoked  accepted 6 h ago · next check in 23 h

  What happened  Stopped between 14:00 and 19:31. Most likely the Apple Account
                 password was changed or reset, which revokes every app
                 password. Also fits: two-factor authentication turned off,
                 account locked.
  What to do     If that was not you, act now: it may be somebody else's doing.
                 New passwords: account.apple.com → Sign-In and Security →
                 App-Specific Passwords, then:
                 keypulse replace --account johnappleseed@icloud.com
  Server said    IMAP: NO [AUTHENTICATIONFAILED] Authentication Failed
                 SMTP: 535 5.7.8 Error: authentication failed
  4 of 12 failed logins in 24 h

jane@me.com
  ✓ mutt                   healthy  accepted 3 min ago · next check in 41 min

1 healthy, 2 revoked · daemon running since 14:02
",
    );
}

#[test]
fn every_health_says_what_is_wrong() {
    check(
        80,
        &every_health(),
        "\
jane@me.com
  ✓ mutt                   healthy     accepted just now · next check in 41 min
  ! msmtp                  degraded    accepted 8 min ago · next check in 41 min
      Receiving works, sending fails. Most likely the user name: SMTP wants
      jane@me.com. Set smtp_username.
      SMTP: 535 5.7.8 Error: authentication failed
  ? mbsync                 suspect     accepted 6 h ago · next check in 2 min
      Refused; asked again before it is called revoked.
      IMAP: NO [AUTHENTICATIONFAILED] Authentication Failed
      SMTP: 535 5.7.8 Error: authentication failed
  ✗ nas        Synology    revoked     accepted 6 h ago · next check in 23 h
      Make a new one: account.apple.com → Sign-In and Security → App-Specific
      Passwords, then:
      keypulse replace nas
      IMAP: NO [AUTHENTICATIONFAILED] Authentication Failed
      SMTP: 535 5.7.8 Error: authentication failed
  ✗ cron                   revoked     accepted 6 h ago · next check in 23 h
      Presumed: not asked itself; all others that were asked are dead.
      Make a new one: account.apple.com → Sign-In and Security → App-Specific
      Passwords, then:
      keypulse replace cron
  ✗ aerc                   rejected    never accepted · next check in 23 h
      Never accepted so far; a new password can take minutes. Otherwise check
      user name and password.
      IMAP: NO [AUTHENTICATIONFAILED] Authentication Failed
      SMTP: 535 5.7.8 Error: authentication failed
  ! evolution  GNOME Evo…  unreadable  accepted 3 days ago
      Password not read: the keyring is locked; unlock it by logging in to the
      desktop
  ! phone      K-9 Mail    stale       accepted 30 h ago · next check in 41 min
      IMAP: no answer in time
  ? new                    unknown     not checked yet

1 healthy, 1 degraded, 1 suspect, 2 revoked, 1 rejected, 1 unreadable, 1 stale,
1 unknown
daemon running since 14:02
",
    );
}

#[test]
fn a_narrow_terminal_gets_the_same_in_more_lines() {
    check(
        40,
        &sample::accounts(),
        "\
johnappleseed@icloud.com
  ✗ thunderbird            revoked
      accepted 6 h ago
      next check in 23 h
  ✗ nas          Synology  revoked
      accepted 6 h ago
      next check in 23 h

  What happened
    Stopped between 14:00 and 19:31.
    Most likely the Apple Account
    password was changed or reset, which
    revokes every app password. Also
    fits: two-factor authentication
    turned off, account locked.
  What to do
    If that was not you, act now: it may
    be somebody else's doing.
    New passwords: account.apple.com →
    Sign-In and Security → App-Specific
    Passwords, then:
    keypulse replace --account
    johnappleseed@icloud.com
  Server said
    IMAP: NO [AUTHENTICATIONFAILED]
    Authentication Failed
    SMTP: 535 5.7.8 Error:
    authentication failed
  4 of 12 failed logins in 24 h

jane@me.com
  ✓ mutt                   healthy
      accepted 3 min ago
      next check in 41 min

1 healthy, 2 revoked
daemon running since 14:02
",
    );
}

#[test]
fn a_long_name_keeps_its_row() {
    let name = "the-longest-name-that-a-credential-can-have-is-sixty-four-bytes-";
    let accounts = [account("jane@me.com", vec![healthy(name, Some("Thunderbird"), 3)])];
    check(
        80,
        &accounts,
        "\
jane@me.com
  ✓ the-longest-name-that-a-credential-can-have-is-sixty-four-bytes-  healthy
      Thunderbird · accepted 3 min ago · next check in 41 min

1 healthy · daemon running since 14:02
",
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut accounts = sample::accounts();
    accounts.extend(every_health());
    accounts[0].ration_frees_at = Some(in_minutes(95));
    for width in NARROWEST..=120 {
        let shown = at(width, &sample::document(&accounts), false);
        for line in shown.lines() {
            assert!(columns(line) <= width, "{} columns of {width}: {line}", columns(line));
            assert_eq!(line, line.trim_end(), "spaces at the end");
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let document = sample::document(&every_health());
    let coloured = at(80, &document, true);
    assert!(coloured.contains("\u{1b}[32mhealthy\u{1b}[0m"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[1m\u{1b}[31mrevoked\u{1b}[0m"), "{coloured:?}");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), at(80, &document, false));
}

#[test]
fn nobody_else_moves_the_cursor() {
    let mut hostile = dead("nas", Some("Syn\u{1b}]0;owned\u{7}ology"));
    hostile.services[0].detail = Some("NO \u{1b}[2Jcleared\r\nfake line\u{202e}".into());
    hostile.unreadable = Some("\u{9b}31m".into());
    let shown = at(80, &sample::document(&[account("ja\u{ad}ne@me.com", vec![hostile])]), false);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
    assert!(shown.lines().any(|line| line.contains("cleared fake line")), "one line stays one line: {shown:?}");
}

#[track_caller]
fn check_summary(daemon: Option<DaemonInfo>, expected: &str) {
    let accounts = [account("jane@me.com", vec![healthy("mutt", None, 12)])];
    let shown = at(80, &StatusDocument::build(&accounts, daemon, NOW, 0), false);
    assert_eq!(shown.lines().last().unwrap(), expected);
}

#[test]
fn the_last_line_tells_of_the_daemon() {
    let paused = DaemonInfo { paused_until: Some(in_minutes(30)), ..sample::daemon() };
    let offline = DaemonInfo { online: false, ..sample::daemon() };
    check_summary(Some(sample::daemon()), "1 healthy · daemon running since 14:02");
    check_summary(Some(paused), "1 healthy · daemon running since 14:02, paused until 20:30");
    check_summary(Some(offline), "1 healthy · daemon running since 14:02, offline");
    let replaced = Some(ProgramDocument { path: "/usr/bin/keypulse".into(), replaced: true });
    let older = DaemonInfo { program: replaced, ..sample::daemon() };
    check_summary(Some(older), "1 healthy · daemon running since 14:02, its program was renewed: restart it");
    check_summary(None, "1 healthy · daemon not running; last check 12 min ago");
}

#[test]
fn no_check_is_promised_that_nobody_makes() {
    let accounts = [account("jane@me.com", vec![healthy("mutt", None, 12)])];
    assert!(!at(80, &StatusDocument::build(&accounts, None, NOW, 0), false).contains("next check"));
    let paused = DaemonInfo { paused_until: Some(in_minutes(30)), ..sample::daemon() };
    assert!(!at(80, &StatusDocument::build(&accounts, Some(paused), NOW, 0), false).contains("next check"));
}

#[test]
fn without_passwords_it_says_how_to_begin() {
    check(
        80,
        &[],
        "no passwords watched · daemon running since 14:02\nWatch one: keypulse add NAME --account ADDRESS\n",
    );
}

#[test]
fn a_used_up_ration_says_when_it_frees() {
    let mut accounts = [account("jane@me.com", vec![healthy("mutt", None, 12)])];
    accounts[0].failed_logins_24h = 9;
    accounts[0].ration_frees_at = Some(in_minutes(95));
    let shown = at(80, &sample::document(&accounts), false);
    assert!(shown.contains("9 of 12 failed logins in 24 h; no automatic login before 21:35 (in 1 h)"), "{shown}");
}

#[test]
fn every_cause_has_its_words() {
    let told = |cause, expected: &str| {
        let mut accounts = sample::accounts();
        let mut incident = sample::incident(cause, &["nas"]);
        incident.snoozed_until = Some(in_minutes(60));
        accounts[0].incident = Some(incident);
        let shown = at(200, &sample::document(&accounts), false);
        assert!(shown.contains(expected), "{cause}: {shown}");
        assert!(shown.contains("Snoozed until 21:00."), "{cause}: {shown}");
    };
    told(IncidentCause::MainPasswordReset, "the Apple Account password was changed or reset");
    told(IncidentCause::ResetOrRevoked, "or only this app password was revoked");
    told(IncidentCause::SingleRevocation, "keypulse remove nas");
    told(IncidentCause::NeverAccepted, "Check the user name.");
    told(IncidentCause::ServiceRefused, "One service has refused since 19:31");
    told(IncidentCause::CannotCheck, "Not known since 19:31 whether it still works.");
    told(IncidentCause::ProviderOutageSuspected, "trouble at iCloud");
}

#[test]
fn exit_codes_are_those_of_nagios() {
    let code = |accounts: &[AccountStatus]| exit_code(&sample::document(accounts));
    let with = |health| code(&[account("jane@me.com", vec![credential("mutt", None, health)])]);
    assert_eq!(code(&[]), 3);
    assert_eq!(with(Health::Healthy), 0);
    for health in [Health::Degraded, Health::Suspect, Health::Unreadable, Health::Stale, Health::Unknown] {
        assert_eq!(with(health), 1, "{health}");
    }
    assert_eq!(with(Health::Revoked), 2);
    assert_eq!(with(Health::Rejected), 2);
    let narrowed = sample::document(&sample::accounts()).only(&[name("mutt")]).unwrap();
    assert_eq!(exit_code(&narrowed), 0);
}

#[test]
fn a_daemon_older_than_the_command_is_told() {
    let mut document = sample::document(&[account("jane@me.com", vec![healthy("mutt", None, 3)])]);
    document.daemon.as_mut().unwrap().version = "0.0.9".into();
    let shown = at(80, &document, false);
    let ours = env!("CARGO_PKG_VERSION");
    assert!(shown.contains(&format!("older (0.0.9) than this command ({ours}): restart it")), "{shown}");
    for (version, than, older) in [
        ("0.1.0", "0.1.0", false),
        ("0.9.0", "0.10.0", true),
        ("1.0.0-rc.1", "1.0.0", true),
        ("1.0.0", "1.0.0-rc.1", false),
        ("2.0.0", "1.9.9", false),
    ] {
        assert_eq!(is_older(version, than), older, "{version} {than}");
    }
}
