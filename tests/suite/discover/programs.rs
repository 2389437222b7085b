//! The programs themselves read the fixtures, and say what `discover` says.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::Value;

use super::home::{furnish, put};
use crate::lab::{Output, run};

struct Home(tempfile::TempDir);

impl Home {
    /// With a `pass` and a `gpg` that print their arguments.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        furnish(home.path());
        for program in ["bin/pass", "bin/gpg"] {
            put(home.path(), program, "#!/bin/sh\necho \"$*\"\n");
            fs::set_permissions(home.path().join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(home)
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let home = self.0.path();
        let path = format!("{}:{}", home.join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(home).env("HOME", home).env("PATH", path);
        run(command.env_remove("XDG_CONFIG_HOME").env("LC_ALL", "C.UTF-8"), "")
    }
}

#[test]
fn mbsync_takes_its_file() {
    let home = Home::new();
    // It has read everything by the time it misses the channel.
    let said = home.run("mbsync", &["none"]);
    assert_eq!(said.stderr.lines().next(), Some("No channel or group named 'none' defined."), "{said:?}");
}

#[test]
fn msmtp_says_the_same() {
    let home = Home::new();
    let said = home.run("msmtp", &["-P", "you@example.org"]).stdout;
    for line in
        ["host = smtp.mail.me.com", "user = johnappleseed@icloud.com", "passwordeval = gpg --no-tty -q -d ~/.msmtp.gpg"]
    {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
}

#[test]
fn neomutt_says_the_same() {
    let home = Home::new();
    let arguments = ["-n", "-F", ".config/neomutt/neomuttrc", "-Q", "imap_user", "-Q", "smtp_url", "-Q", "folder"];
    let said = home.run("neomutt", &arguments);
    for word in
        ["johnappleseed", "smtp://johnappleseed%40icloud.com@smtp.mail.me.com:587/", "imaps://imap.mail.me.com:993/"]
    {
        assert!(said.stdout.contains(word), "{word:?} is not in {said:?}");
    }
    assert_eq!(said.stderr, "", "no line is an error to it");
}

#[test]
fn vdirsyncer_says_the_same() {
    let home = Home::new();
    let said = home.run("vdirsyncer", &["-c", ".config/vdirsyncer/config", "showconfig"]);
    let config: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let storage = config["storages"].as_array().unwrap().iter().find(|it| it["instance_name"] == "calendars").unwrap();
    assert_eq!(storage["password.fetch"], serde_json::json!(["command", "pass", "show", "icloud"]));
}

#[test]
fn git_says_the_same() {
    let home = Home::new();
    let get = |key| home.run("git", &["config", "--global", "--get", key]).stdout.trim_end().to_owned();
    assert_eq!(get("sendemail.smtpserver"), "smtp.mail.me.com");
    assert_eq!(get("sendemail.smtpencryption"), "tls");
    assert_eq!(get("sendemail.smtpuser"), "johnappleseed@icloud.com");
}

#[test]
fn offlineimap_says_the_same() {
    let home = Home::new();
    let code = "import sys; sys.path.insert(0, '/usr/share/offlineimap3'); from offlineimap.CustomConfig import CustomConfigParser\n\
                config = CustomConfigParser(); config.read('.offlineimaprc'); print(config.get('Repository R', 'remotepass'))";
    let said = home.run("/usr/bin/python3", &["-c", code]);
    assert_eq!(said.stdout, "abcd-efgh-ijkl-mnop\n", "{said:?}");
}

/// Python's reader, which vdirsyncer and OfflineIMAP use.
#[test]
fn readers_of_netrc_say_the_same() {
    let home = Home::new();
    let code = "import netrc; print(*netrc.netrc('.netrc').authenticators('imap.mail.me.com')[::2])";
    let said = home.run("/usr/bin/python3", &["-c", code]);
    assert_eq!(said.stdout, "joe@me.com ghij-klmn-opqr-stuv\n", "{said:?}");
}
