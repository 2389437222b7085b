//! What is no configuration: unknown keys, wrong types, wrong TOML, files that are none, anything at all.

use std::fs;

use proptest::prelude::*;

use super::*;

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
