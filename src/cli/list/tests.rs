//! What `list` prints, word for word.

use super::*;
use crate::health::schedule::Timestamp;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn at(days: i64) -> Time {
    Time::new(Timestamp::from_millis(days * DAY), 1_700_000_000_000)
}

fn credential(health: Health, accepted: Option<i64>) -> CredentialDocument {
    CredentialDocument {
        name: crate::health::name::CredentialName::new("nas").unwrap(),
        app: None,
        health,
        presumed: false,
        since: Some(at(5)),
        last_accepted_at: accepted.map(at),
        last_checked_at: None,
        next_check_at: None,
        unreadable: None,
        services: vec![],
    }
}

#[test]
fn what_has_not_worked_for_ninety_days_is_unused() {
    let check = |health, accepted, expected| {
        assert_eq!(is_unused(&credential(health, accepted), Some(at(1)), at(100)), expected, "{health} {accepted:?}");
    };
    check(Health::Revoked, Some(10), true);
    check(Health::Revoked, Some(11), false);
    check(Health::Rejected, None, true);
    check(Health::Unreadable, Some(2), true);
    check(Health::Healthy, Some(2), false);
}

const DIED: &str = "Not accepted for 90 days, and nobody missed it.";

fn listed() -> Vec<Listed> {
    let entry = |name: &str, app: Option<&str>, health, source, used_by: &[(&'static str, &str, usize)]| Entry {
        name: name.to_owned(),
        app: app.map(str::to_owned),
        health,
        source,
        used_by: used_by
            .iter()
            .map(|(program, file, line)| (*program, Some((*file).to_owned()), Some(*line)))
            .collect(),
        first_at: Some(at(1)),
        changed_at: Some(at(1)),
        accepted_at: Some(at(100)),
        unused: false,
    };
    let keyring = Source::Keyring { service: "keypulse".to_owned(), username: "thunderbird".to_owned() };
    let pass = Source::Command(["pass", "show", "secret-word"].map(str::to_owned).to_vec());
    let long = "/home/me/.config/a-program-with-a-name/and-a-file-with-a-longer-one/configuration.toml";
    let used_by = [("mbsync", "/home/me/.mbsyncrc", 6), ("neomutt", "/home/me/.config/neomutt/neomuttrc", 3)];
    let entries = vec![
        entry("thunderbird", Some("Thunderbird"), Health::Healthy, keyring, &[]),
        Entry { changed_at: Some(at(50)), ..entry("mbsync", None, Health::Healthy, pass, &used_by) },
        Entry {
            accepted_at: Some(at(3)),
            unused: true,
            ..entry("nas", Some("Synology"), Health::Revoked, Source::File(long.into()), &[])
        },
    ];
    let new = Entry {
        first_at: None,
        changed_at: None,
        accepted_at: None,
        ..entry("keyring", None, Health::Unknown, Source::Attributes([].into()), &[])
    };
    let address = |text| Address::new(text).unwrap();
    vec![
        Listed { address: address("johnappleseed@icloud.com"), distinct: 26, entries },
        Listed { address: address("jane@me.com"), distinct: 0, entries: vec![new] },
    ]
}

#[track_caller]
fn check(width: usize, expected: &str) {
    let local = |time: Time| time.to_string()[..10].to_owned();
    let shown = |colour| page(&listed(), Path::new("/home/me"), &Look { now: at(100), width, colour, local: &local });
    let plain = shown(false);
    assert_eq!(plain, expected, "\n--- shown:\n{plain}");
    assert!(plain.lines().all(|line| crate::cli::style::columns(line) <= width), "wider than {width}:\n{plain}");
    assert_eq!(anstream::adapter::strip_str(&shown(true)).to_string(), plain, "colours change no letter");
    assert!(plain.split_whitespace().collect::<Vec<_>>().join(" ").contains(DIED));
}

#[test]
fn each_password_says_where_it_is_and_how_old() {
    check(
        80,
        "\
johnappleseed@icloud.com  26 of at most 25 passwords
  ✓ thunderbird  healthy
    kept in  the keyring (keypulse)
    watched since 2023-11-15 · accepted just now
  ✓ mbsync  healthy
    kept in  what `pass` reads
    used by  mbsync (~/.mbsyncrc:6)
    used by  neomutt (~/.config/neomutt/neomuttrc:3)
    watched since 2023-11-15 · changed 2024-01-03 · accepted just now
  ✗ nas  Synology  revoked
    kept in  ~/.config/a-program-with-a-name/and-a-file-with-a-longer-one/config
             uration.toml
    watched since 2023-11-15 · accepted 97 days ago
    Not accepted for 90 days, and nobody missed it. Unused? Revoke it:
    account.apple.com → Sign-In and Security → App-Specific Passwords, then
    keypulse remove nas
  More than 25 different passwords: Apple allows no more, so some of them must
  be dead. Revoke those that nothing uses: account.apple.com → Sign-In and
  Security → App-Specific Passwords

jane@me.com  0 of at most 25 passwords
  ? keyring  unknown
    kept in  the keyring (an item of another program)
    not accepted yet
",
    );
}
