//! `discover` through the real binary: what it finds in a home full of configurations, what it writes, and that the
//! credentials it writes are read from where the programs keep them.

mod home;
mod keyring;
mod programs;
mod watched;

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::{Value, json};

use self::home::{furnish, put};
use crate::lab::{Keypulse, Output};

/// `discover --home DIR --json`, as rows: `FILE:LINE PROGRAM SERVICE HOST USERNAME ADDRESS KIND COMMAND`.
#[track_caller]
fn rows(keypulse: &Keypulse, arguments: &[&str], home: &Path) -> Vec<String> {
    let output = keypulse.command(&[&["discover", "--json"], arguments].concat());
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    found
        .as_array()
        .unwrap()
        .iter()
        .map(|login| {
            let file = text(&login["file"]).replace(&format!("{}/", home.display()), "");
            let secret = &login["secret"];
            let fields = ["line", "program", "service", "host", "username", "address"].map(|key| text(&login[key]));
            assert_eq!(login.as_object().unwrap().len(), 8, "{login}");
            format!("{file}:{} {} {}", fields.join(" "), text(&secret["kind"]), secret["command"])
        })
        .collect()
}

fn says(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, code, "{output:?}");
    for word in words {
        assert!(output.stdout.contains(word) || output.stderr.contains(word), "{word:?} is not in {output:#?}");
    }
}

#[test]
fn every_program_of_a_home_is_found() {
    let keypulse = Keypulse::new();
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let at = home.path().to_str().unwrap();
    assert_eq!(
        rows(&keypulse, &["--home", at], home.path()),
        [
            r#".mbsyncrc:6 mbsync imap imap.mail.me.com johnappleseed johnappleseed@icloud.com command ["pass","show","icloud"]"#,
            ".mbsyncrc:25 mbsync imap imap.mail.me.com jane@me.com jane@me.com plain null",
            ".msmtprc:11 msmtp smtp smtp.mail.me.com johnappleseed@icloud.com johnappleseed@icloud.com command \
             [\"sh\",\"-c\",\"gpg --no-tty -q -d ~/.msmtp.gpg\"]",
            ".mutt/muttrc:1 mutt imap imap.mail.me.com jane jane@me.com plain null",
            ".config/neomutt/neomuttrc:3 neomutt imap imap.mail.me.com johnappleseed johnappleseed@icloud.com command \
             [\"pass\",\"show\",\"icloud\"]",
            ".config/neomutt/neomuttrc:3 neomutt smtp smtp.mail.me.com johnappleseed@icloud.com johnappleseed@icloud.com \
             command [\"pass\",\"show\",\"icloud\"]",
            ".config/aerc/accounts.conf:3 aerc imap imap.mail.me.com johnappleseed johnappleseed@icloud.com command \
             [\"pass\",\"show\",\"icloud\"]",
            ".config/aerc/accounts.conf:5 aerc smtp smtp.mail.me.com johnappleseed@icloud.com johnappleseed@icloud.com \
             command [\"pass\",\"show\",\"icloud\"]",
            ".config/himalaya/config.toml:7 himalaya imap imap.mail.me.com johnappleseed johnappleseed@icloud.com keyring null",
            ".offlineimaprc:16 offlineimap imap imap.mail.me.com johnappleseed johnappleseed@icloud.com plain null",
            ".config/goimapnotify/goimapnotify.yaml:6 goimapnotify imap imap.mail.me.com johnappleseed \
             johnappleseed@icloud.com command [\"sh\",\"-c\",\"pass show icloud | head -n1\"]",
            ".config/vdirsyncer/config:8 vdirsyncer caldav caldav.icloud.com johnappleseed@icloud.com \
             johnappleseed@icloud.com command [\"pass\",\"show\",\"icloud\"]",
            ".config/vdirsyncer/config:15 vdirsyncer carddav contacts.icloud.com john@example.org null unknown null",
            ".gitconfig:4 git smtp smtp.mail.me.com johnappleseed@icloud.com johnappleseed@icloud.com unknown null",
            ".thunderbird/ab12cd34.default-release/prefs.js:2 thunderbird imap imap.mail.me.com johnappleseed \
             johnappleseed@icloud.com unknown null",
            ".thunderbird/ab12cd34.default-release/prefs.js:5 thunderbird smtp smtp.mail.me.com johnappleseed@icloud.com \
             johnappleseed@icloud.com unknown null",
            ".config/goa-1.0/accounts.conf:6 goa imap imap.mail.me.com jane jane@me.com unknown null",
            ".config/goa-1.0/accounts.conf:9 goa smtp smtp.mail.me.com jane@me.com jane@me.com unknown null",
            ".config/akonadi_imap_resource_0rc:4 kmail imap imap.mail.me.com jane jane@me.com unknown null",
            ".config/mailtransports:7 kmail smtp smtp.mail.me.com jane@me.com jane@me.com unknown null",
            ".netrc:3 netrc imap imap.mail.me.com joe@me.com joe@me.com plain null",
        ]
    );
    let told = keypulse.command(&["discover", "--home", at]);
    says(
        &told,
        0,
        &[
            "johnappleseed@icloud.com\n",
            "jane@me.com\n",
            "~/.mbsyncrc:6\n",
            "from: pass show icloud\n",
            "in plain text in a file",
        ],
    );
    assert!(told.stdout.lines().all(|line| line.chars().count() <= 80), "{}", told.stdout);
    for secret in ["abcd-efgh", "qrst-uvwx", "ghij-klmn"] {
        assert!(!told.stdout.contains(secret) && !told.stderr.contains(secret), "{told:?}");
    }
}

#[test]
fn nothing_found_says_where_it_looked() {
    let keypulse = Keypulse::new();
    let home = tempfile::tempdir().unwrap();
    let at = home.path().to_str().unwrap();
    says(
        &keypulse.command(&["discover", "--home", at]),
        0,
        &["No iCloud logins found", "~/.mbsyncrc", "keypulse add NAME"],
    );
    assert_eq!(keypulse.command(&["discover", "--json", "--home", at]).stdout, "[]\n");
    // In the person's own home, the keyring too, which is not there.
    says(
        &keypulse.command(&["discover"]),
        0,
        &["No iCloud logins found", "The keyring was not searched: there is no D-Bus session"],
    );
    says(&keypulse.command(&["discover", "--home", "/nonexistent"]), 64, &["/nonexistent is no directory", "hint: "]);
    keypulse.configure_text("[watch]\nx = 1\n");
    says(&keypulse.command(&["discover"]), 78, &["unknown key"]);
}

#[test]
fn xdg_counts_at_home_and_not_elsewhere() {
    let keypulse = Keypulse::new();
    let elsewhere = keypulse.home().join("elsewhere");
    let keypulse = keypulse.env("XDG_CONFIG_HOME", elsewhere.to_str().unwrap());
    let line = "[iCloud]\nsource = imaps://john@imap.mail.me.com\nsource-cred-cmd = pass show x\n";
    put(&elsewhere, "aerc/accounts.conf", line);
    assert_eq!(rows(&keypulse, &[], keypulse.home()).len(), 1);
    let home = keypulse.home().to_str().unwrap();
    assert_eq!(rows(&keypulse, &["--home", home], keypulse.home()), Vec::<String>::new());
}

#[test]
fn what_cannot_be_read_is_named_and_passed_over() {
    let keypulse = Keypulse::new();
    let home = keypulse.home();
    put(home, ".mbsyncrc", "IMAPAccount a\nHost \"imap.mail.me.com\nUser x\n");
    put(
        home,
        ".config/aerc/accounts.conf",
        "[iCloud]\nsource = imaps://john@imap.mail.me.com\nsource-cred-cmd = pass show x\n",
    );
    put(home, ".muttrc", "source ~/.muttrc\nset folder=imaps://john@imap.mail.me.com\nsource ~/gone\n");
    symlink(home.join(".msmtprc"), home.join(".msmtprc")).unwrap();
    fs::create_dir_all(home.join(".config/vdirsyncer")).unwrap();
    let fifo = home.join(".config/vdirsyncer/config");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fs::write(home.join(".offlineimaprc"), vec![b'#'; 5 << 20]).unwrap();
    fs::write(home.join(".gitconfig"), b"[sendemail]\n\0").unwrap();
    fs::create_dir_all(home.join(".config/himalaya")).unwrap();
    fs::write(home.join(".config/himalaya/config.toml"), b"a = \"\xff\" # Caf\xe9\nb =\n").unwrap();
    let at = home.to_str().unwrap();
    let told = keypulse.command(&["discover", "--home", at]);
    says(
        &told,
        0,
        &[
            "Passed over\n",
            "~/.mbsyncrc:2: a quote is not closed\n",
            "~/.muttrc:1: includes ~/.muttrc, which includes this file\n",
            "~/.muttrc:3: includes ~/gone, which is not there or not readable\n",
            "~/.msmtprc: cannot be read",
            "~/.config/vdirsyncer/config: not a regular file\n",
            "~/.offlineimaprc: larger than 4 MiB\n",
            "~/.gitconfig: not a text\n",
            "~/.config/himalaya/config.toml:2: no TOML\n",
        ],
    );
    assert_eq!(rows(&keypulse, &["--home", at], home).len(), 2, "the others are found");
}

#[test]
fn a_command_that_holds_the_password_is_neither_shown_nor_written() {
    let keypulse = Keypulse::new();
    put(
        keypulse.home(),
        ".mbsyncrc",
        "IMAPAccount a\nHost imap.mail.me.com\nUser john\nPassCmd \"echo Hunter2\"\n\nIMAPAccount b\nHost imap.mail.me.com\n\
         User jane\nPassCmd \"printer abcd-efgh-ijkl-mnop | cat\"\n",
    );
    let written = keypulse.command(&["discover", "--write"]);
    says(
        &written,
        0,
        &[
            "a command that holds the password itself",
            "keypulse add mbsync --account john@icloud.com",
            "Nothing to add",
        ],
    );
    let json = keypulse.command(&["discover", "--json"]);
    for output in [written, json] {
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!said.contains("Hunter2") && !said.contains("abcd"), "{said}");
    }
    assert!(!keypulse.config_file().exists());
}

#[test]
fn json_has_the_shape_of_the_contract() {
    let keypulse = Keypulse::new();
    put(keypulse.home(), ".mbsyncrc", "IMAPAccount a\nHost imap.mail.me.com\nUser john\nPassCmd \"pass show x\"\n");
    let found: Value = serde_json::from_str(&keypulse.command(&["discover", "--json"]).stdout).unwrap();
    let file = keypulse.home().join(".mbsyncrc");
    assert_eq!(
        found,
        json!([{
            "program": "mbsync", "file": file, "line": 4, "service": "imap", "host": "imap.mail.me.com", "username": "john",
            "address": "john@icloud.com", "secret": { "kind": "command", "command": ["pass", "show", "x"] }
        }])
    );
}
