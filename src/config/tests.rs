//! What is taken and what is refused, as tables; the example file as a tested document.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use proptest::prelude::*;

use super::{raw::KEYS, *};
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

#[test]
fn unknown_keys_are_answered_with_the_one_that_was_meant() {
    check("[schedule]\nintervall = \"1h\"", &["2:1 unknown key `intervall` in [schedule] | did you mean `interval`?"]);
    check("[shedule]\n", &["1:2 unknown key `shedule` at the top of the file | did you mean `schedule`?"]);
    check("[[accounts]]\n", &["1:3 unknown key `accounts` at the top of the file | did you mean `account`?"]);
    check(
        "interval = \"1h\"",
        &["1:1 unknown key `interval` at the top of the file | `interval` belongs in [schedule]"],
    );
    check(
        "watch.remind_every = 1",
        &["1:7 unknown key `remind_every` in [watch] | `remind_every` belongs in [notify]"],
    );
    check(
        "[watch]\nfrobnicate = 1",
        &["2:1 unknown key `frobnicate` in [watch] | take it out; known here: resume, network, idle"],
    );
    check(
        &account("any-shape = true"),
        &["5:1 unknown key `any-shape` in [[account.credential]] | did you mean `any_shape`?"],
    );
    check(
        &account("secret.comand = []"),
        &["5:8 unknown key `comand` in `secret` of a credential | did you mean `command`?"],
    );
}

#[test]
fn values_of_the_wrong_type_come_with_the_right_one() {
    check(
        "schedule.interval = 60",
        &["1:21 `interval` is a number where text in quotes is due | write it like `interval = \"1h\"`"],
    );
    check("watch.idle = \"no\"", &["1:14 `idle` is text where true or false is due | write it like `idle = false`"]);
    check("imap.port = \"993\"", &["1:13 `port` is text where a whole number is due | write it like `port = 993`"]);
    check(
        "imap.port = 99999999999999999999",
        &["1:13 the number of `port` is far too large | write it like `port = 993`"],
    );
    check(
        "[account]\n",
        &["1:1 `account` is a table where a list is due | write it as `[[account]]`, in two pairs of brackets"],
    );
    check(
        "schedule = 5",
        &["1:12 `schedule` is a number where a table is due | write it as `[schedule]`, its keys below"],
    );
    check(
        "imap = [\"imap.mail.me.com\", 993]",
        &["1:8 `imap` is a list where a table is due | write it as `[imap]`, its keys below"],
    );
    check(
        &account("secret.command = \"pass show x\""),
        &[
            "5:18 `command` is text where a list is due | write it like `command = [\"pass\", \"show\", \"icloud/mutt\"]`",
        ],
    );
    check(
        &account("services = \"imap\""),
        &["5:12 `services` is text where a list is due | write it like `services = [\"imap\", \"smtp\"]`"],
    );
    check(
        &account("[account.credential.secret.keyring.attributes]\nport = 993"),
        &["6:8 `port` is a number where text in quotes is due | write text in quotes"],
    );
}

#[test]
fn wrong_toml_is_explained() {
    check(
        "[schedule]\ninterval = 1h\n",
        &["2:12 this is no value; perhaps text without quotes | put text in quotes, such as `interval = \"1h\"`"],
    );
    check("[watch]\nidle =\n", &["2:7 a value is missing | write `key = value`, or take the line out"]);
    check("[schedule\n", &["1:10 the header is not closed | close it: `[schedule]`, `[[account]]`"]);
    check("[watch]\nidle = true\nidle = true\n", &["3:1 `idle` is given twice | keep one of the two"]);
    check("[watch]\n[limits]\n[watch]\n", &["3:2 `watch` is given twice | keep one of the two"]);
    check("[imap]\nhost: x\n", &["2:7 a key without a value | write `key = value`, with an equals sign"]);
    check(
        "imap.host = \"x\n",
        &[
            "1:15 the text is not closed, or holds a character that it cannot | close it with the same quote on its line",
        ],
    );
    check(
        "imap.host = \"a\\q\"\n",
        &["1:16 a backslash that begins nothing | write `\\\\` for a backslash, or put the text in single quotes"],
    );
    let error = read_text("a = [1\n").unwrap_err();
    assert!(error.summary().contains("config.example.toml"), "{error}");
}

#[test]
fn a_password_in_the_file_is_an_error_that_does_not_show_it() {
    for line in [
        "secret = \"abcd-efgh-ijkl-mnop\"",
        "password = \"abcd-efgh-ijkl-mnop\"",
        "password = \"abcdefghijklmnop\"",
        "secret = abcdefghijklmnop",
        "secret.file = \"abcd-efgh-ijkl-mnop\\u0001\"",
        "pass = 'abcd-efgh-ijkl-mnop'",
        "services = [\"abcd-efgh-ijkl-mnop\"]",
        "abcd-efgh-ijkl-mnop = 1",
        "abcd-efgh-ijkl-mnop",
        "name = \"abcd-efgh-ijkl-mnop\"",
    ] {
        let error = read_text(&account(line)).map(|_| ()).expect_err(line);
        for shown in [error.to_string(), error.summary()] {
            assert!(!shown.contains("mnop") && !shown.contains("abcd"), "{shown}");
        }
    }
    let remedy = "a password never stands in this file; say where it is kept, such as \
                  `secret.command = [\"pass\", \"show\", \"icloud/mutt\"]`";
    check(&account("secret = \"hunter2\""), &[&format!("5:10 `secret` is text where a table is due | {remedy}")]);
    check(
        &account("password = \"hunter2\""),
        &[&format!("5:1 unknown key `password` in [[account.credential]] | {remedy}")],
    );
}

#[test]
fn all_problems_are_told_in_one_run() {
    let text = "[schedule]\ninterval = \"1m\"\njitter = \"x\"\nconfirm = [\"2m\", \"3m\"]\n[imap]\nport = 0\n[[account]]\naddress = \"x\"\n";
    let error = read_text(text).unwrap_err();
    assert_eq!(error.problems().iter().map(|p| p.at.line).collect::<Vec<_>>(), [2, 3, 4, 6, 8]);
    assert_eq!(error.to_string().matches("error: ").count(), 5);
    assert!(error.summary().ends_with("(and 4 more)"), "{}", error.summary());
}

#[test]
fn files_that_are_none_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    assert!(load(&path).unwrap_err().is_missing());
    assert!(matches!(load(directory.path()).unwrap_err().kind, Kind::Unreadable(_)));
    fs::write(&path, b"# a\n# \xc3\xa4\xff\n").unwrap();
    assert!(matches!(load(&path).unwrap_err().kind, Kind::NotUtf8(2, 4)));
    fs::write(&path, "#".repeat(1 << 20)).unwrap();
    assert_eq!(load(&path).unwrap(), Config::default());
    fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(load(&path).unwrap_err().kind, Kind::TooLarge(SIZE_LIMIT)));
    fs::write(&path, "tls.extra_ca = \"ca.pem\"").unwrap();
    assert_eq!(load(&path).unwrap().extra_ca.unwrap(), directory.path().join("ca.pem"));
}

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The example with its key and table lines un-commented.
fn uncommented() -> String {
    let is_key = |line: &str| {
        line.starts_with('[')
            || line
                .split_once(" = ")
                .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b)))
    };
    EXAMPLE
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_example_means_the_defaults_as_it_is() {
    assert_eq!(taken(EXAMPLE), Config::default());
    assert!(EXAMPLE.lines().all(|line| line.is_empty() || line.starts_with('#')));
    assert!(EXAMPLE.lines().all(|line| line.chars().count() <= 125));
}

#[test]
fn the_example_un_commented_has_every_default_and_every_option() {
    let Config { policy, timeout, watch, notify, servers, extra_ca, accounts } = taken(&uncommented());
    let default = Config::default();
    assert_eq!(policy, Policy::default());
    assert_eq!((timeout, watch, servers), (default.timeout, default.watch, default.servers));
    assert_eq!(notify.desktop, default.notify.desktop);
    assert_eq!(notify.quiet_hours, Some(QuietHours { from: 22 * 60, to: 7 * 60 }));
    assert_eq!(notify.hook.unwrap().command, ["/path/to/program", "argument"]);
    assert!(matches!(notify.email.unwrap().via, EmailVia::Server { .. }));
    assert_eq!(extra_ca.unwrap(), Path::new("/path/ca.pem"));
    let account = &accounts[0];
    assert_eq!(account.usernames.imap, account.address.local_part());
    assert_eq!(account.usernames.smtp, account.address.as_str());
    let [first, attributes, command, file, program] = account.credentials.as_slice() else { panic!("{account:?}") };
    let services = Services::BOTH;
    let any_shape = false;
    let app = Some("Thunderbird".to_owned());
    let name = first.name.clone();
    assert_eq!(*first, Credential { secret: default_secret(&name), name, app, services, any_shape });
    assert!(matches!(attributes.secret, Source::Attributes(_)));
    assert!(matches!(command.secret, Source::Command(_)));
    assert!(matches!(file.secret, Source::File(_)) && file.services == Services::only(Service::Smtp));
    assert!(matches!(&program.secret, Source::Program(entry) if entry.entry == "R"));
}

#[test]
fn the_examples_alternative_for_mail_parses_in_place_of_the_server() {
    let text = uncommented();
    let start = text.find("host = \"smtp.example.org\"").unwrap();
    let end = text.find("\n\n\n# Where iCloud Mail is").unwrap();
    let instead = text[start..end].lines().find_map(|line| line.strip_prefix("#   ")).unwrap();
    let config = taken(&format!("{}{instead}{}", &text[..start], &text[end..]));
    assert_eq!(config.notify.email.unwrap().via, EmailVia::Credential(CredentialName::new("msmtp").unwrap()));
}

#[test]
fn the_example_holds_every_key() {
    let text = uncommented()
        .replace("#   credential", "credential")
        .replace("secret.command = [\"pass\", \"show\", \"ex", "secret.x = [\"");
    let mut table = String::new();
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_matches(['[', ']']).to_owned();
            found.insert(table.clone());
        } else if let Some((key, _)) = line.split_once(" = ") {
            found.insert(format!("{table}.{key}"));
            found.insert(format!("{table}.{}", key.split('.').next().unwrap()));
        }
    }
    for (table, keys) in KEYS.iter().filter(|(table, _)| !table.contains("secret")) {
        for (key, _) in *keys {
            let name = format!("{table}.{key}");
            let name = name.trim_start_matches('.');
            assert!(found.contains(name), "{name} is not in config.example.toml");
        }
    }
    for key in ["keyring", "command", "file"] {
        assert!(found.contains(&format!("account.credential.secret.{key}")), "{key}");
    }
    assert!(uncommented().contains("attributes = "));
}

#[test]
fn what_is_shown_reads_back() {
    let full = uncommented().replace("/path/ca.pem", "/päth/\\\"ca\\\\.pem");
    for text in ["", &full, &account("any_shape = true"), LOOPBACK, "notify.remind_every = \"never\""] {
        let config = taken(text);
        assert_eq!(taken(&config.to_string()), config, "{config}");
    }
}

#[test]
fn what_is_shown_holds_no_password() {
    let config = taken(&account("secret.command = [\"echo\", \"abcd-efgh-ijkl-mnop\", \"--password=hunter2\"]"));
    let shown = config.to_string();
    assert!(shown.contains("[\"echo\", \"*******************\", \"--password=*******\"]"), "{shown}");
}

/// Pieces from which nearly right configurations are made.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[schedule]\n"),
        Just("[[account]]\n"),
        Just("[[account.credential]]\n"),
        Just("[notify.email]\n"),
        Just("interval = "),
        Just("confirm = ["),
        Just("name = "),
        Just("address = "),
        Just("secret.command = "),
        Just("secret = "),
        Just("\"1h\"\n"),
        Just("\"2m\", \"15m\"]\n"),
        Just("\"a@b\"\n"),
        Just("\"x\"\n"),
        Just("{"),
        Just("}"),
        Just("\""),
        Just("'"),
        Just("\n"),
        Just("#"),
        Just("\\"),
        Just("5\n"),
        Just("true\n"),
        Just("ä"),
        Just("\r\n"),
        Just("\u{feff}"),
        Just("\t"),
        Just("[\"imap\"]\n"),
        Just("="),
        Just("."),
        Just("]"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), nearly()]) {
        match read_text(&text) {
            Ok(config) => prop_assert_eq!(read_text(&config.to_string()).unwrap(), config),
            Err(error) => {
                prop_assert!(!error.problems().is_empty());
                let lines = text.matches('\n').count() + 1;
                prop_assert!(error.problems().iter().all(|p| (1..=lines).contains(&p.at.line) && p.at.column >= 1));
                prop_assert!(error.problems().iter().all(|p| !p.message.is_empty() && !p.remedy.is_empty()));
                prop_assert!(!error.to_string().is_empty() && !error.summary().contains('\n'));
            }
        }
    }
}
