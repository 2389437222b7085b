//! `list`: where each password is, how old, and what is said of too many.

use std::fs;

use serde_json::Value;

use crate::lab::{Bus, ICloud, Keypulse, Keyring, Settings, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";

fn listed(keypulse: &Keypulse) -> Value {
    serde_json::from_str(&keypulse.command(&["list", "--json"]).ok()).unwrap()
}

#[test]
fn each_password_has_its_place_its_programs_and_its_age() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    icloud.world.set_password(ADDRESS, PASSWORD);
    icloud.world.set_password(ADDRESS, NEW);
    keyring.store("keypulse", "thunderbird", PASSWORD);
    let keypulse = Keypulse::new().on(&bus);
    let file = keypulse.secret("mbsync", PASSWORD);
    let command = ["head", "-n1", file.to_str().unwrap()];
    let settings = Settings::for_icloud(&icloud).account(ADDRESS).credential_keyring("thunderbird");
    keypulse.configure(&settings.credential_command("mbsync", &command));
    let mbsync = format!(
        "IMAPStore icloud\nHost imap.mail.me.com\nUser johnappleseed\nPassCmd \"{}\"\nTLSType IMAPS\n",
        command.join(" ")
    );
    fs::write(keypulse.home().join(".mbsyncrc"), mbsync).unwrap();

    let before = keypulse.command(&["list"]).ok();
    assert!(before.contains("kept in  the keyring (keypulse)") && before.contains("not accepted yet"), "{before}");
    let daemon = keypulse.run();
    for name in ["thunderbird", "mbsync"] {
        daemon.until_health(name, "healthy");
    }
    let account = &listed(&keypulse)["accounts"][0];
    assert_eq!((&account["distinct_passwords"], &account["most_passwords"]), (&1.into(), &25.into()));
    let mbsync = &account["credentials"][1];
    assert_eq!((&mbsync["name"], &mbsync["kept_in"]["kind"]), (&"mbsync".into(), &"command".into()), "{account:#}");
    let used_by = &mbsync["used_by"][0];
    assert_eq!((&used_by["program"], &used_by["line"]), (&"mbsync".into(), &4.into()), "{account:#}");
    for name in ["last_changed_at", "last_accepted_at"] {
        assert!(mbsync[name].is_string(), "{name}: {account:#}");
    }
    assert_eq!(mbsync["unused"], false);

    keypulse.secret("mbsync", NEW);
    until("two different passwords", || (listed(&keypulse)["accounts"][0]["distinct_passwords"] == 2).then_some(()));
    let text = keypulse.command(&["list"]).ok();
    for part in [
        "2 of at most 25 passwords",
        "used by  mbsync (",
        ".mbsyncrc:4)",
        "kept in  what `head` reads",
        "accepted just now",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("abcd") && !text.contains('\u{1b}'), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn more_than_apple_allows_is_said() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let mut settings = Settings::for_icloud(&icloud).account(ADDRESS);
    for letter in 'a'..='z' {
        let word = letter.to_string().repeat(4);
        let password = [word.as_str(); 4].join("-");
        // The account has room for 25.
        if letter != 'z' {
            icloud.world.set_password(ADDRESS, &password);
        }
        settings = settings.credential_file(&word, &keypulse.secret(&word, &password));
    }
    keypulse.configure(&settings);
    let _daemon = keypulse.run();
    until("26 different passwords", || (listed(&keypulse)["accounts"][0]["distinct_passwords"] == 26).then_some(()));
    let text = keypulse.command(&["list"]).ok();
    assert!(text.contains("More than 25 different passwords") && text.contains("App-Specific Passwords"), "{text}");
}

#[test]
fn nothing_to_list_says_what_to_do() {
    let keypulse = Keypulse::with(&Settings::default());
    let text = keypulse.command(&["list"]).ok();
    assert_eq!(text, "Nothing is watched yet: keypulse setup");
    assert_eq!(Keypulse::new().command(&["list"]).code, 78);
}
