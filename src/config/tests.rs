//! What is taken and what is refused, as tables.

mod example;
mod wrong;

use std::{path::Path, time::Duration};

use super::*;
use crate::{
    health::{
        evidence::Service,
        schedule::{DAY, Policy},
    },
    secret::{EntryError, ProgramEntry},
};

const HOME: &str = "/home/me";
const PATH: &str = "/home/me/.config/keypulse/config.toml";
const LOOPBACK: &str = "imap.host = \"127.0.0.1\"\nsmtp.host = \"localhost\"\n";

fn read_text(text: &str) -> Result<Config, ConfigError> {
    parse_with_home(text, Path::new(PATH), Some(Path::new(HOME)))
}

#[track_caller]
fn taken(text: &str) -> Config {
    read_text(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Each problem as `line:column message | remedy`, in order.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let error = read_text(text).map(|_| "is taken").expect_err(text);
    let found: Vec<String> = error
        .problems()
        .iter()
        .map(|p| format!("{}:{} {} | {}", p.at.line, p.at.column, p.message, p.remedy))
        .collect();
    assert_eq!(found, expected, "{text}\n{error}");
}

fn account(rest: &str) -> String {
    format!("[[account]]\naddress = \"a@icloud.com\"\n[[account.credential]]\nname = \"x\"\n{rest}\n")
}

fn first_secret(text: &str) -> Source {
    taken(text).accounts[0].credentials[0].secret.clone()
}

#[test]
fn an_empty_file_is_all_defaults_and_watches_nothing() {
    for text in ["", "\n# nothing\n", "\u{feff}", "[schedule]\n[notify]\n"] {
        assert_eq!(taken(text), Config::default());
    }
}

#[test]
fn an_account_needs_its_address_and_a_credential_its_name() {
    let config = taken("[[account]]\naddress = \"John.A@iCloud.com\"\n[[account.credential]]\nname = \"mutt\"\n");
    let account = &config.accounts[0];
    assert_eq!((account.usernames.imap.as_str(), account.usernames.smtp.as_str()), ("John.A", "John.A@iCloud.com"));
    let credential = &account.credentials[0];
    assert_eq!(credential.secret, Source::Keyring { service: "keypulse".into(), username: "mutt".into() });
    assert_eq!((credential.services, credential.any_shape, &credential.app), (Services::BOTH, false, &None));
    assert_eq!(config.find(&CredentialName::new("mutt").unwrap()), Some((account, credential)));
    assert_eq!(taken("[[account]]\naddress = \"a@icloud.com\"\n").accounts[0].credentials, []);
}

#[test]
fn every_kind_of_secret_is_read() {
    let check = |rest: &str, source| assert_eq!(first_secret(&account(rest)), source, "{rest}");
    check(
        "secret.keyring = { service = \"s\", username = \"u\" }",
        Source::Keyring { service: "s".into(), username: "u".into() },
    );
    check("secret = { command = [\"pass\", \"\"] }", Source::Command(vec!["pass".into(), String::new()]));
    check("secret.command = [\"~/bin/pw\", \"~/x\"]", Source::Command(vec!["/home/me/bin/pw".into(), "~/x".into()]));
    check("secret.file = \"/run/pw\"", Source::File("/run/pw".into()));
    check("secret.file = \"~/pw\"", Source::File("/home/me/pw".into()));
    check("secret.file = \"pw\"", Source::File("/home/me/.config/keypulse/pw".into()));
    let entry = ProgramEntry {
        name: "mbsync",
        file: "/home/me/.mbsyncrc".into(),
        entry: "R".into(),
        find: |_, _| Err(EntryError::Missing),
    };
    check("secret.program = { name = \"mbsync\", file = \"~/.mbsyncrc\", entry = \"R\" }", Source::Program(entry));
    check("[account.credential.secret]\nfile = \"/pw\"", Source::File("/pw".into()));
    if !cfg!(target_os = "macos") {
        let attributes = [("server".to_owned(), "s".to_owned()), ("user".to_owned(), "u".to_owned())].into();
        check("secret.keyring.attributes = { server = \"s\", user = \"u\" }", Source::Attributes(attributes));
    }
}

#[test]
fn on_loopback_any_duration_from_10_ms_serves() {
    for hosts in [LOOPBACK, "imap.host = \"::1\"\nsmtp.host = \"127.8.9.10\"\n"] {
        let policy = taken(&format!(
            "{hosts}[schedule]\ninterval = \"10ms\"\nconfirm = [\"10ms\", \"20ms\"]\nretest_revoked = \"10ms\"\n\
             stale_after = \"21ms\"\noutage_hold = \"10ms\"\nsettle = \"10ms\"\n[notify]\nremind_every = \"10ms\"\n"
        ))
        .policy;
        assert_eq!(policy.confirm, [Duration::from_millis(10), Duration::from_millis(20)]);
    }
    check(
        &format!("{LOOPBACK}schedule.interval = \"9ms\"\n"),
        &["3:21 `interval` is shorter than 10ms | write at least \"10ms\""],
    );
}

#[test]
fn elsewhere_logins_have_a_floor() {
    let floor = "only servers on this machine take less";
    let schedule = "[schedule]\ninterval = \"4m 59s\"\nconfirm = [\"59s\", \"15m\"]\nretest_revoked = \"59m\"\n";
    let expected = |host: &str, line: usize| {
        [
            format!("{}:12 `interval` is 4m 59s, too often for {host} | write at least \"5m\"; {floor}", line + 1),
            format!(
                "{}:12 the first of `confirm` is 59s, too often for {host} | write at least \"1m\"; {floor}",
                line + 2
            ),
            format!("{}:18 `retest_revoked` is 59m, too often for {host} | write at least \"1h\"; {floor}", line + 3),
        ]
    };
    let strs = |lines: [String; 3]| lines.map(|line| -> &'static str { line.leak() });
    check(schedule, &strs(expected("imap.mail.me.com", 1)));
    // One server on this machine is not enough.
    check(&format!("imap.host = \"::1\"\n{schedule}"), &strs(expected("smtp.mail.me.com", 2)));
    check(&format!("smtp.host = \"::1\"\n{schedule}"), &strs(expected("imap.mail.me.com", 2)));
    taken("[schedule]\ninterval = \"5m\"\nconfirm = [\"1m\", \"2m\"]\nretest_revoked = \"1h\"\n");
}

#[test]
fn times_must_go_together() {
    check(
        "schedule.confirm = [\"5m\", \"9m\"]",
        &["1:27 the second of `confirm` is 9m, less than twice the first (5m) | write at least \"10m\""],
    );
    for (list, count) in [("[]", 0), ("[\"2m\"]", 1), ("[\"2m\", \"15m\", \"1h\"]", 3)] {
        let expected = format!(
            "1:20 `confirm` has {count} of exactly two durations | write both, such as `confirm = [\"2m\", \"15m\"]`"
        );
        check(&format!("schedule.confirm = {list}"), &[&expected]);
    }
    check(
        "[schedule]\ninterval = \"12h\"",
        &["2:12 `stale_after` is 24h (its default), not more than twice the `interval` of 12h | \
           write `stale_after = \"36h\"` or more, or a shorter interval"],
    );
    check(
        "[schedule]\nstale_after = \"2h\"",
        &["2:15 `stale_after` is 2h, not more than twice the `interval` of 1h | \
           write `stale_after = \"3h\"` or more, or a shorter interval"],
    );
    taken("[schedule]\ninterval = \"12h\"\nstale_after = \"24h 1ms\"");
}

#[test]
fn durations_and_percents_say_what_is_wrong_with_them() {
    check(
        "[schedule]\ninterval = \"60\"\ntimeout = \"1.5m\"\nsettle = \"\"\noutage_hold = \"6 hours\"\n",
        &[
            "2:12 `interval` is no duration: the number 60 has no unit | give the number a unit: `60s`, `60m` or `60h`",
            "3:11 `timeout` is no duration: a duration has no fractions | write it in whole numbers: `1h 30m`, not `1.5h`",
            "4:10 `settle` is no duration: a duration is missing | write numbers with units, such as `90s` or `1h 30m`",
            "5:15 `outage_hold` is no duration: the number 6 has no unit | give the number a unit: `6s`, `6m` or `6h`",
        ],
    );
    for (percent, value) in [("0%", 0), ("100%", 100), (" 7 %", 7)] {
        assert_eq!(taken(&format!("schedule.jitter = \"{percent}\"")).policy.jitter_percent, value);
    }
    for percent in ["20", "%", "-5%", "+5%", "2.5%", "x%", ""] {
        check(
            &format!("schedule.jitter = \"{percent}\""),
            &["1:19 `jitter` is no percentage | write a whole number of percents, such as \"20%\""],
        );
    }
    for percent in ["101%", "99999999999%"] {
        check(
            &format!("schedule.jitter = \"{percent}\""),
            &["1:19 `jitter` is more than 100% | write at most \"100%\""],
        );
    }
    assert_eq!(taken("notify.remind_every = \"never\"").policy.remind_every, None);
    assert_eq!(taken("notify.remind_every = \"2d\"").policy.remind_every, Some(DAY * 2));
    check(
        "notify.remind_every = \"Never\"",
        &["1:23 `remind_every` is no duration: `Never` does not begin with a number | \
           write numbers with units, such as `90s` or `1h 30m`"],
    );
}

#[test]
fn limits_leave_room_for_a_verdict_and_for_the_person() {
    let why = "a verdict takes 4 failed logins, and 4 are kept for re-tests and for you; over 100 only risks a locked account";
    for number in ["7", "101", "0", "-1", "9223372036854775807"] {
        let expected = format!("1:36 `failed_logins_per_account` is {number}, not from 8 to 100 | {why}");
        check(&format!("limits.failed_logins_per_account = {number}"), &[&expected]);
    }
    assert_eq!(taken("limits.failed_logins_per_account = 8").policy.failed_logins_per_account, 8);
    assert_eq!(taken(&format!("{LOOPBACK}limits.failed_logins_per_account = 5")).policy.failed_logins_per_account, 5);
    check(
        &format!("{LOOPBACK}limits.failed_logins_per_account = 4"),
        &["3:36 `failed_logins_per_account` is 4, not from 5 to 10000 | \
           4 are kept for re-tests and for you; below 5 nothing is left for automatic checks"],
    );
    check(
        "limits.concurrent_checks = 0",
        &["1:28 `concurrent_checks` is 0, not from 1 to 100 | \
           one connection per account is made at a time in any case; 4 is plenty"],
    );
}

#[test]
fn servers_have_a_host_a_port_and_one_of_two_modes() {
    let config = taken(
        "[imap]\nhost = \"imap.example.org\"\nport = 143\ntls = \"starttls\"\n[smtp]\nport = 465\ntls = \"implicit\"",
    );
    assert_eq!(config.servers.imap, Server { host: "imap.example.org".into(), port: 143, tls: TlsMode::StartTls });
    assert_eq!(config.servers.smtp, Server { host: "smtp.mail.me.com".into(), port: 465, tls: TlsMode::Implicit });
    let host = |text: &str, remedy: &str| {
        check(&format!("imap.host = \"{text}\""), &[&format!("1:13 `host` is no host name | {remedy}")]);
    };
    host("", "write a name such as \"imap.mail.me.com\" or an address");
    host("a b", "write a name such as \"imap.mail.me.com\" or an address");
    host("imaps://imap.mail.me.com", "write the name alone, without `imaps://` and the like");
    host("imap.mail.me.com:993", "write the port as `port = 993`, apart from the host");
    host("[::1]", "write an IPv6 address without brackets");
    check("imap.port = 0", &["1:13 `port` is 0, not from 1 to 65535 | the usual one is 993"]);
    check("smtp.port = 65536", &["1:13 `port` is 65536, not from 1 to 65535 | the usual one is 587"]);
    check(
        "smtp.tls = \"none\"",
        &["1:12 `tls` is `none`, which is no mode | \
           there is no mode without encryption: write \"implicit\" or \"starttls\""],
    );
    check(
        "smtp.tls = \"SSL\"",
        &["1:12 `tls` is `SSL`, which is no mode | write \"implicit\" where TLS begins at once (ports 993, 465), \
           \"starttls\" where it is asked for (587, 143)"],
    );
    check(
        "imap.tls = \"STARTTLS\"",
        &["1:12 `tls` is `STARTTLS`, which is no mode | write \"implicit\" or \"starttls\""],
    );
    assert_eq!(taken("tls.extra_ca = \"~/ca.pem\"").extra_ca.unwrap(), Path::new("/home/me/ca.pem"));
    check("tls.extra_ca = \"\"", &["1:16 `extra_ca` is empty | name a file, or take the line out"]);
    check(
        "tls.extra_ca = \"~you/ca.pem\"",
        &["1:16 `extra_ca` begins with `~`, but not with `~/` | write `~/` for your own home, else the whole path"],
    );
    let error = parse_with_home("tls.extra_ca = \"~/ca.pem\"", Path::new(PATH), None).unwrap_err();
    assert!(error.summary().contains("begins with `~/`, but HOME is not set; write the whole path"), "{error}");
}

#[test]
fn accounts_and_names_are_there_once() {
    check(
        "[[account]]\naddress = \"a@icloud.com\"\n\n[[account]]\naddress = \"A@iCloud.com\"\n",
        &["5:11 the account `A@iCloud.com` is here a second time | put its credentials under the account on line 2"],
    );
    check(
        &format!("{}[[account]]\naddress = \"b@icloud.com\"\n[[account.credential]]\nname = \"x\"\n", account("")),
        &["9:8 the name `x` is taken | choose another; the first is on line 4"],
    );
    check(
        "[[account]]\n[[account.credential]]\n",
        &[
            "1:1 the account has no `address` | add `address = \"johnappleseed@icloud.com\"`",
            "2:1 the credential has no `name` | add `name = \"thunderbird\"`",
        ],
    );
    check(
        "[[account]]\naddress = \"johnappleseed\"\nimap_username = \"\"\nsmtp_username = \" j\"\n",
        &[
            "2:11 `address` is no address: an address has the form name@icloud.com | \
             write it in full, such as \"johnappleseed@icloud.com\"",
            "3:17 `imap_username` is empty | write something, or take the line out",
            "4:17 `smtp_username` begins or ends with a space | write `\"j\"`",
        ],
    );
    for (name, fitting) in [("my mutt", "my-mutt"), ("a/b", "a-b"), ("é", "-")] {
        let expected = format!(
            "4:8 `name` does not fit: a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - | write \"{fitting}\""
        );
        check(&account("").replace("\"x\"", &format!("\"{name}\"")), &[&expected]);
    }
    check(
        &account("app = \"a\\nb\"\nservices = []"),
        &[
            "5:7 `app` holds a control character | write it in one line without tabs",
            "6:12 `services` is empty | name \"imap\", \"smtp\" or both, or take the line out",
        ],
    );
    check(
        &account("services = [\"imap\", \"stmp\", \"caldav\"]"),
        &[
            "5:21 `stmp` is no service | did you mean \"smtp\"?",
            "5:29 `caldav` is no service | the services are \"imap\" and \"smtp\"",
        ],
    );
}

#[test]
fn a_secret_has_exactly_one_source() {
    let secret = |line: &str, expected: &str| check(&account(line), &[expected]);
    secret("secret = {}", "5:10 `secret` names no source | give it one of `keyring`, `command`, `file` and `program`");
    secret(
        "secret = { command = [\"a\"], file = \"/b\" }",
        "5:10 `secret` names 2 sources: command, file | keep the one from which the password is to be read",
    );
    secret(
        "secret.program = { name = \"mbsnyc\", file = \"~/.mbsyncrc\", entry = \"R\" }",
        "5:27 `mbsnyc` is no program whose file keypulse can read | did you mean \"mbsync\"?",
    );
    secret(
        "secret.program = { name = \"mbsync\", file = \"~/.mbsyncrc\" }",
        "5:18 `program` has no `entry` | add `entry = \"R\"`",
    );
    let command = "name a program and its arguments, such as `[\"pass\", \"show\", \"icloud/mutt\"]`";
    secret("secret.command = []", &format!("5:18 `command` is empty | {command}"));
    secret("secret.command = [\" \", \"x\"]", &format!("5:19 `command` names no program | {command}"));
    secret(
        "secret.command = [\"x\", \"a\\u0000\"]",
        "5:24 an argument of `command` holds a NUL character | take it out",
    );
    secret("secret.file = \"\"", "5:15 `file` is empty | name a file, or take the line out");
    let keyring = "write `keyring = { service = \"keypulse\", username = \"thunderbird\" }`";
    secret("secret.keyring = {}", &format!("5:18 `keyring` is empty | {keyring}"));
    secret("secret.keyring = { service = \"s\" }", &format!("5:18 `keyring` has no `username` | {keyring}"));
    secret("secret.keyring = { username = \"s\" }", &format!("5:18 `keyring` has no `service` | {keyring}"));
    secret(
        "secret.keyring = { service = \"s\", attributes = { a = \"b\" } }",
        "5:18 `keyring` has `attributes` beside `service` or `username` | keep one of the two forms",
    );
    secret(
        "secret.keyring.attributes = {}",
        "5:29 `attributes` is empty | name at least one; exactly one item of the keyring must have them all",
    );
}

#[test]
fn messages_go_where_they_can() {
    let quiet = taken("notify.quiet_hours = \"22:00-07:00\"").notify.quiet_hours.unwrap();
    assert_eq!(quiet, QuietHours { from: 22 * 60, to: 7 * 60 });
    assert_eq!([1319, 1320, 0, 419, 420].map(|m| quiet.contains(m)), [false, true, true, true, false]);
    let day = taken("notify.quiet_hours = \"9:30 - 17:00\"").notify.quiet_hours.unwrap();
    assert_eq!([569, 570, 1019, 1020].map(|m| day.contains(m)), [false, true, true, false]);
    for text in ["", "22:00", "22-7", "24:00-07:00", "22:60-07:00", "22:00-7:0", "+2:00-07:00", ":-:"] {
        let expected =
            "1:22 `quiet_hours` are no times of day | write two times from 00:00 to 23:59, such as \"22:00-07:00\"";
        check(&format!("notify.quiet_hours = \"{text}\""), &[expected]);
    }
    check(
        "notify.quiet_hours = \"07:00-07:00\"",
        &["1:22 `quiet_hours` begin and end at the same time | \
           take the line out for none; to have no desktop messages at all write `desktop = false`"],
    );
    check("[notify.hook]\n", &["1:1 the hook has no `command` | add `command = [\"/path/to/program\", \"argument\"]`"]);
    assert_eq!(taken("notify.hook.command = [\"~/h\"]").notify.hook.unwrap().command, ["/home/me/h"]);
}

#[test]
fn mail_has_a_server_or_a_credential() {
    let email = "[notify.email]\nto = \"me@example.org\"\nfrom = \"keypulse@example.org\"\n";
    let own = "host = \"smtp.example.org\"\nusername = \"me\"\nsecret.file = \"/pw\"\n";
    let server = Server { host: "smtp.example.org".into(), port: 587, tls: TlsMode::StartTls };
    let via = EmailVia::Server { server, username: "me".into(), secret: Source::File("/pw".into()) };
    assert_eq!(taken(&format!("{email}{own}")).notify.email.unwrap().via, via);
    let lent = taken(&format!("{}{email}credential = \"x\"\n", account("")));
    assert_eq!(lent.notify.email.unwrap().via, EmailVia::Credential(CredentialName::new("x").unwrap()));
    check(
        email,
        &[
            "1:1 the e-mail's server has no `host` | add `host = \"smtp.example.org\"`",
            "1:1 the e-mail's server has no `username` | add `username = \"me\"`",
            "1:1 the e-mail's server has no `secret.command` | add `secret.command = [\"pass\", \"show\", \"example\"]`",
        ],
    );
    let beside = |key: &str, place: &str| {
        format!(
            "{place} `{key}` beside `credential`, which brings a server of its own | keep either `credential`, or `host` to `secret`"
        )
    };
    check(
        &format!("{}{email}{own}port = 465\ncredential = \"x\"\n", account("")),
        &[&beside("host", "9:8"), &beside("username", "10:12"), &beside("secret", "11:1"), &beside("port", "12:8")],
    );
    check(
        &format!("{}{email}credential = \"X\"\n", account("")),
        &["9:14 there is no credential `X` | did you mean \"x\"?"],
    );
    check(
        &format!("{email}credential = \"msmtp\"\n"),
        &["4:14 there is no credential `msmtp` | \
           name one of the credentials in this file, or give `host` to `secret` instead"],
    );
    check(
        &format!("{}{email}credential = \"x\"\n", account("services = [\"imap\"]")),
        &["9:14 the credential `x` is not used for smtp | add \"smtp\" to its `services`, or name another"],
    );
    check(
        &format!("[notify.email]\nto = \"me\"\n{own}"),
        &[
            "1:1 the e-mail has no `from` | add `from = \"me@example.org\"`",
            "2:6 `to` is no address: an address has the form name@icloud.com | \
             write it in full, such as \"johnappleseed@icloud.com\"",
        ],
    );
}
