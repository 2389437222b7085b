//! What `discover --write` added is read where the program keeps it, again and again.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{home::put, says};
use crate::lab::{ICloud, Keypulse, Settings, account, credential};

const ADDRESS: &str = "john@icloud.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";

fn mbsyncrc(password: &str) -> String {
    format!("IMAPAccount icloud\nHost imap.mail.me.com\nUser john\nPass \"{password}\"\n")
}

#[test]
fn the_very_password_of_the_program_is_judged() {
    let icloud = ICloud::start();
    icloud.world.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::new();
    let before = format!("# mine\n{}", Settings::for_icloud(&icloud).to_toml());
    keypulse.configure_text(&before);
    put(keypulse.home(), ".mbsyncrc", &mbsyncrc(PASSWORD));
    put(keypulse.home(), ".pw", PASSWORD);
    put(
        keypulse.home(),
        ".msmtprc",
        "account a\nhost smtp.mail.me.com\nuser john@icloud.com\npasswordeval cat ~/.pw\n",
    );
    let daemon = keypulse.run();
    let written = keypulse.command(&["discover", "--write"]);
    says(
        &written,
        0,
        &["watched as mbsync", "watched as msmtp", "Added to ~/.config/keypulse/config.toml: mbsync, msmtp"],
    );
    assert_eq!(written.stderr, "");
    daemon.until_health("mbsync", "healthy");
    daemon.until_health("msmtp", "healthy");
    let text = fs::read_to_string(keypulse.config_file()).unwrap();
    assert!(text.starts_with(&before), "{text}");
    assert!(!text.contains("abcd"), "{text}");
    let file = keypulse.home().join(".mbsyncrc");
    let source =
        format!("secret.program = {{ name = \"mbsync\", file = \"{}\", entry = \"icloud\" }}\n", file.display());
    assert!(text.contains(&source), "{text}");
    assert!(text.contains("secret.command = [\"sh\", \"-c\", \"cat ~/.pw\"]\n"), "{text}");
    assert!(keypulse.command(&["config", "show"]).stdout.contains(&source));

    // A second time adds nothing, and says so.
    let again = keypulse.command(&["discover", "--write"]);
    says(&again, 0, &["watched as mbsync", "Nothing to add"]);
    assert_eq!(fs::read_to_string(keypulse.config_file()).unwrap(), text);

    // Readable by others: what to run. Closed again: well.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let status = daemon.until_health("mbsync", "unreadable");
    let why = credential(&status, "mbsync")["unreadable"].as_str().unwrap().to_owned();
    assert_eq!(why, format!("the file is readable by others; run: chmod 600 {}", file.display()));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    daemon.until_health("mbsync", "healthy");

    // The program's password is replaced in its file, by an editor that writes anew: seen without a word to keypulse.
    icloud.world.reset_main_password(ADDRESS);
    icloud.world.set_password(ADDRESS, NEW);
    daemon.until_health("mbsync", "revoked");
    put(keypulse.home(), "new", &mbsyncrc(NEW));
    fs::rename(keypulse.home().join("new"), &file).unwrap();
    put(keypulse.home(), ".pw.new", NEW);
    fs::rename(keypulse.home().join(".pw.new"), keypulse.home().join(".pw")).unwrap();
    daemon.until_health("mbsync", "healthy");
    let status = daemon.until_health("msmtp", "healthy");
    assert!(account(&status, ADDRESS)["failed_logins_24h"].as_u64().unwrap() <= 9, "{status:#}");
}

#[test]
fn an_entry_that_is_gone_or_broken_says_so() {
    let icloud = ICloud::start();
    icloud.world.set_password(ADDRESS, PASSWORD);
    let keypulse = Keypulse::new();
    put(keypulse.home(), ".mbsyncrc", &mbsyncrc(PASSWORD));
    keypulse.configure(
        &Settings::for_icloud(&icloud)
            .only_on_request()
            .account(ADDRESS)
            .credential("mbsync", "secret.program = { name = \"mbsync\", file = \"~/.mbsyncrc\", entry = \"icloud\" }"),
    );
    let check = |words: &[&str]| {
        let output = keypulse.command(&["check", "mbsync"]);
        let said = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {output:?}");
        }
        assert!(!said.contains("abcd"), "{said}");
    };
    check(&["healthy"]);
    put(keypulse.home(), ".mbsyncrc", &mbsyncrc(PASSWORD).replace("icloud", "other"));
    check(&["has no entry icloud any more", "keypulse discover"]);
    put(
        keypulse.home(),
        ".mbsyncrc",
        &mbsyncrc(PASSWORD).replace("Pass \"abcd-efgh-ijkl-mnop\"", "PassCmd \"pass show x\""),
    );
    check(&["the entry icloud", "holds no password any more"]);
    put(keypulse.home(), ".mbsyncrc", &mbsyncrc(PASSWORD).replace("mnop\"", "mnop"));
    check(&["cannot be read as mbsync does: line 4: a quote is not closed"]);
    put(keypulse.home(), ".mbsyncrc", &mbsyncrc("Main-Password-1"));
    check(&["probably the main password"]);
    fs::remove_file(keypulse.home().join(".mbsyncrc")).unwrap();
    check(&["does not exist"]);
}
