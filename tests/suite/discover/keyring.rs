//! Items of a real gnome-keyring, watched by their attributes.

use super::{home::put, rows, says};
use crate::lab::{Bus, ICloud, Keypulse, Keyring, Settings};

const PASSWORD: &str = "abcd-efgh-ijkl-mnop";

#[test]
fn items_of_other_programs_are_found_and_watched() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    icloud.world.set_password("john@icloud.com", PASSWORD);
    keyring.store_with(&[("host", "smtp.mail.me.com"), ("service", "smtp"), ("user", "john@icloud.com")], PASSWORD);
    keyring.store_with(
        &[("server", "imap.mail.me.com"), ("user", "john"), ("protocol", "imap"), ("port", "993")],
        PASSWORD,
    );
    keyring
        .store_with(&[("server", "imap.mail.me.com"), ("user", "john"), ("protocol", "imap"), ("port", "143")], "old");
    keyring.store_with(&[("server", "imap.example.org"), ("user", "john")], "other");
    let keypulse = Keypulse::with(&Settings::for_icloud(&icloud).only_on_request()).on(&bus);
    let mut found = rows(&keypulse, &[], keypulse.home());
    found.sort();
    assert_eq!(
        found,
        [
            "null:null secret-service imap imap.mail.me.com john john@icloud.com keyring null",
            "null:null secret-service imap imap.mail.me.com john john@icloud.com keyring null",
            "null:null secret-service smtp smtp.mail.me.com john@icloud.com john@icloud.com keyring null",
        ]
    );
    says(
        &keypulse.command(&["discover", "--write"]),
        0,
        &["in the keyring", "Added to ~/.config/keypulse/config.toml: keyring"],
    );
    let text = std::fs::read_to_string(keypulse.config_file()).unwrap();
    assert!(
        text.contains(
            "{ attributes = { host = \"smtp.mail.me.com\", service = \"smtp\", user = \"john@icloud.com\" } }"
        ),
        "{text}"
    );
    // Which of the two is told apart by the port alone.
    assert!(
        text.contains("port = \"993\", protocol = \"imap\", server = \"imap.mail.me.com\", user = \"john\""),
        "{text}"
    );
    let again = keypulse.command(&["discover", "--write"]);
    says(&again, 0, &["Nothing to add", "watched as keyring"]);
    let checked = keypulse.command(&["check"]);
    assert!(checked.stdout.contains("healthy"), "{checked:?}");
    let smtp = text.split("[[account.credential]]").find(|it| it.contains("smtp.mail.me.com")).unwrap();
    let name = smtp.split('"').nth(1).unwrap();
    says(&keypulse.command(&["ok", name, "--strict"]), 0, &[]);
}

/// KMail's items name a folder of the wallet and an entry; its files say which server that is.
#[test]
fn kmails_password_is_watched_where_it_is() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    icloud.world.set_password("john@icloud.com", PASSWORD);
    let keypulse = Keypulse::with(&Settings::for_icloud(&icloud).only_on_request()).on(&bus);
    let resource = "[network]\nImapServer=imap.mail.me.com\nUserName=john\n";
    put(keypulse.home(), ".config/akonadi_imap_resource_0rc", resource);
    // Before the wallet holds it, or where it cannot be seen.
    says(&keypulse.command(&["discover"]), 0, &["KMail · IMAP", "in KDE's wallet", "keypulse add kmail --account"]);
    keyring.store_with(
        &[
            ("xdg:schema", "org.qt.keychain"),
            ("server", "imap"),
            ("user", "akonadi_imap_resource_0rc"),
            ("type", "plaintext"),
        ],
        PASSWORD,
    );
    assert_eq!(
        rows(&keypulse, &[], keypulse.home()),
        [".config/akonadi_imap_resource_0rc:2 kmail imap imap.mail.me.com john john@icloud.com keyring null"]
    );
    says(&keypulse.command(&["discover", "--write"]), 0, &["watched as kmail", "in the keyring"]);
    let text = std::fs::read_to_string(keypulse.config_file()).unwrap();
    let source = "secret.keyring = { attributes = { server = \"imap\", user = \"akonadi_imap_resource_0rc\" } }";
    assert!(text.contains(source), "{text}");
    keypulse.command(&["check"]);
    says(&keypulse.command(&["ok", "kmail", "--strict"]), 0, &[]);
}

#[test]
fn a_locked_keyring_is_left_locked_and_said() {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    keyring.store_with(&[("server", "imap.mail.me.com"), ("user", "john")], PASSWORD);
    keyring.lock();
    let monitor = bus.monitor();
    let keypulse = Keypulse::new().on(&bus);
    says(&keypulse.command(&["discover"]), 0, &["No iCloud logins found", "The keyring is locked, or a part of it"]);
    for (interface, member) in
        [("Service", "Unlock"), ("Prompt", "Prompt"), ("Item", "GetSecret"), ("Service", "GetSecrets")]
    {
        let calls = monitor.calls(&format!("org.freedesktop.Secret.{interface}"), member);
        assert_eq!(calls, Vec::<serde_json::Value>::new());
    }
    assert!(keyring.is_locked());
}
