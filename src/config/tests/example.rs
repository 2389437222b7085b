//! The example file as a tested document, and a configuration shown.

use std::collections::BTreeSet;

use super::{super::raw::KEYS, *};

const EXAMPLE: &str = include_str!("../../../config.example.toml");

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
