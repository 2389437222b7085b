//! What SECURITY.md claims is shown by tests that exist, and what it says of the sources holds.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use keypulse::{
    health::evidence::Service,
    simulator::{Fault, Stage},
};

use crate::{
    lab::{Bus, Dunst, Hook, ICloud, Keypulse, Settings},
    source::{Token, tokens},
};

const ADDRESS: &str = "johnappleseed@icloud.com";

/// Every source file below a directory of the repository.
fn sources(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root().join(directory)];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> Vec<Token> {
    tokens(&fs::read_to_string(path).unwrap())
}

#[test]
fn unsafe_code_is_in_one_file() {
    let uses = |path: &PathBuf| read(path).iter().any(|token| token.text == "unsafe");
    let found: Vec<_> = ["src", "tests"].into_iter().flat_map(sources).filter(uses).collect();
    assert_eq!(found, [root().join("src/secret/wipe.rs")]);
}

/// Functions with an attribute that ends in `test`, and those within `proptest!`.
fn tests_in(path: &Path) -> Vec<String> {
    let tokens = read(path);
    let text = |index: usize| tokens.get(index).map_or("", |token| &*token.text);
    let (mut found, mut is_test) = (Vec::new(), false);
    for index in 0..tokens.len() {
        match text(index) {
            "#" if text(index + 1) == "[" => {
                is_test |= text(index + 2) == "test" || (text(index + 2), text(index + 4)) == ("tokio", "test");
            }
            "fn" if is_test => {
                found.push(text(index + 1).to_owned());
                is_test = false;
            }
            "fn" | "struct" | "mod" => is_test = false,
            _ => {}
        }
    }
    found
}

#[test]
fn every_claim_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
    assert!(named.len() > 30, "{named:?}");
    let there: BTreeSet<String> =
        ["src", "tests"].into_iter().flat_map(sources).flat_map(|path| tests_in(&path)).collect();
    let missing: Vec<_> = named.into_iter().filter(|name| !there.contains(*name)).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {missing:#?}");
    // What somebody cannot do is shown by a test, each time.
    for part in text.split("\n## ").filter(|part| part.contains(" cannot\n")) {
        let (_, claims) = part.split_once("cannot\n").unwrap();
        for claim in claims.split("\n- ") {
            assert!(claim.contains('_') && claim.contains('`'), "no test: {claim}");
        }
    }
}

#[test]
fn words_of_a_server_reach_no_notification() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let _dunst = Dunst::start(&bus);
    let monitor = bus.monitor();
    let keypulse = Keypulse::new().on(&bus);
    let hook = Hook::of(&keypulse);
    let secret = keypulse.secret("mutt", &icloud.world.new_password(ADDRESS));
    let settings = Settings::for_icloud(&icloud).desktop().hook(&hook.command()).account(ADDRESS);
    keypulse.configure(&settings.credential_file("mutt", &secret));
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    let lure = "<a href=\"https://evil.example\">Sign in at evil.example</a> \u{1b}[31m\u{202e} now";
    for (service, refusal) in [(Service::Imap, "NO [AUTHENTICATIONFAILED]"), (Service::Smtp, "535 5.7.8")] {
        icloud.world.set_fault(service, Some(Fault::Reply(Stage::Login, format!("{refusal} {lure}"))));
    }
    daemon.until_health("mutt", "revoked");
    let shown = monitor.notified("revoked");
    assert_eq!(hook.until("incident-opened")["account"]["credentials"][0]["health"], "revoked");
    let all = format!("{shown:?}");
    assert!(all.contains(ADDRESS) && !all.contains("evil") && !all.contains("Sign in at"), "{all}");
    let mut keys: Vec<&str> = shown.actions.iter().step_by(2).map(String::as_str).collect();
    keys.retain(|key| !["default", "replace", "open-account", "snooze"].contains(key));
    assert!(keys.is_empty(), "{all}");
    // A hook's own program reads them, as text that nothing obeys.
    for told in hook.told() {
        assert!(!told.to_string().contains(['\u{1b}', '\u{202e}']), "{told}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
