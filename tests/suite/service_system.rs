//! The system unit, started for real by a systemd that is process 1 of a machine of its own.

use std::fs;

use serde_json::Value;

use crate::lab::{Mail, Output, Settings, SystemManager, binary, clean, credential, run, until_or};

const ADDRESS: &str = "johnappleseed@icloud.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
const OTHER: &str = "bbbb-bbbb-bbbb-bbbb";
const NAME: &str = "keypulse@mail";
const UNIT: &str = include_str!("../../systemd/keypulse@.service");

/// A server with the unit as it is shipped, but for the paths of program and configuration.
struct Server {
    manager: SystemManager,
    mail: Mail,
}

impl Server {
    /// Passwords in these files; `extra` lines as a drop-in.
    fn new(credentials: &[&str], extra: &str) -> Self {
        let server = Self { manager: SystemManager::start(), mail: Mail::start() };
        server.mail.dovecot.set_password(ADDRESS, PASSWORD);
        let at = server.manager.path();
        // A copy, and for all to execute: the checkout may be where others cannot look.
        fs::copy(binary(), at.join("keypulse")).unwrap();
        let hook = ["sh", "-c", "cat >>$STATE_DIRECTORY/told"];
        let settings = Settings::for_mail(&server.mail).hook(&hook).account(ADDRESS);
        let settings = credentials.iter().fold(settings, |settings, name| {
            settings.credential_file(name, format!("/run/credentials/{NAME}.service/{name}").as_ref())
        });
        fs::create_dir(at.join("etc")).unwrap();
        fs::write(at.join("etc/mail.toml"), settings.to_toml()).unwrap();
        let paths = [("/usr/bin/keypulse", at.join("keypulse")), ("/etc/keypulse", at.join("etc"))];
        let unit = paths.iter().fold(UNIT.to_owned(), |unit, (shipped, here)| {
            assert!(unit.contains(shipped));
            unit.replace(shipped, here.to_str().unwrap())
        });
        let log = format!("StandardOutput=append:{0}\nStandardError=append:{0}\n", at.join("log.txt").display());
        // What comes before it at boot is not on this machine.
        let drop_in = format!("[Unit]\nDefaultDependencies=no\n[Service]\n{log}{extra}");
        server.manager.install(&format!("{NAME}.service.d/test.conf"), &drop_in);
        server.manager.install("keypulse@.service", &unit);
        server
    }

    fn systemctl(&self, verb: &str) -> Output {
        self.manager.systemctl(&[verb, NAME])
    }

    fn keypulse(&self, arguments: &[&str]) -> Output {
        let at = self.manager.path();
        let mut command = self.manager.client(at.join("keypulse").to_str().unwrap());
        command.env("KEYPULSE_CONFIG", at.join("etc/mail.toml")).env("KEYPULSE_STATE_DIR", "/var/lib/keypulse/mail");
        run(command.args(arguments).args(["--socket", "/run/keypulse/mail/keypulse.sock"]), "")
    }

    fn asked(&self) -> Value {
        let output = self.keypulse(&["status", "--json"]);
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    #[track_caller]
    fn until(&self, what: &str, state: impl Fn() -> bool) {
        until_or(|| format!("{what}\n{}\n{}", self.systemctl("status").stdout, self.log()), || state().then_some(()));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.manager.path().join("log.txt")).unwrap_or_default()
    }
}

#[test]
fn a_server_watches_the_credentials_it_is_given() {
    let server = Server::new(&["nas", "cron"], "");
    // One as a file that root alone can read, one encrypted for this machine alone.
    let plain = server.manager.path().join("nas");
    fs::write(&plain, PASSWORD).unwrap();
    let encrypted = encrypt(&server, PASSWORD);
    let credentials = format!("[Service]\nLoadCredential=nas:{}\n{encrypted}", plain.display());
    server.manager.install(&format!("{NAME}.service.d/credentials.conf"), &credentials);
    server.systemctl("start").ok();
    server.until("two healthy", || server.asked()["counts"]["healthy"] == 2);
    let says = || server.manager.property(NAME, "StatusText");
    server.until("the status line", || says().starts_with("2 passwords healthy, next check "));
    server.systemctl("reload").ok();
    server.until("the reload", || server.log().contains("configuration read again"));

    // Its own account, directories and nothing that others could read.
    let pid = server.manager.property(NAME, "MainPID");
    let account = run(server.manager.client("stat").args(["-c", "%u", &format!("/proc/{pid}")]), "").ok();
    assert!((61184..=65519).contains(&account.parse().unwrap()), "a dynamic user: {account}");
    for directory in ["/run/keypulse/mail", "/var/lib/keypulse/mail/"] {
        let mode = run(server.manager.client("stat").args(["-c", "%a %u", directory]), "").ok();
        assert_eq!(mode, format!("700 {account}"), "{directory}");
    }

    server.mail.dovecot.set_password(ADDRESS, OTHER);
    server.until("the end", || server.asked()["counts"]["revoked"] == 2);
    let told = "/var/lib/keypulse/mail/told";
    server.until("the hook's word", || {
        run(server.manager.client("cat").arg(told), "").stdout.contains("incident-opened")
    });
    // Both were copied at the start.
    fs::write(&plain, OTHER).unwrap();
    for name in ["nas", "cron"] {
        let said = server.keypulse(&["replace", name, "--stdin"]);
        let restart = format!("systemctl restart {NAME}.service");
        let encrypt = format!("systemd-creds encrypt --name={name} --pretty - -");
        for words in ["LoadCredential=", "SetCredentialEncrypted=", &encrypt, &restart] {
            assert!(said.stderr.contains(words), "{words}\n{said:?}");
        }
    }
    let credentials = format!("[Service]\nLoadCredential=nas:{}\n{}", plain.display(), encrypt(&server, OTHER));
    server.manager.install(&format!("{NAME}.service.d/credentials.conf"), &credentials);
    server.systemctl("restart").ok();
    server.until("health", || {
        let status = server.asked();
        ["nas", "cron"].iter().all(|name| credential(&status, name)["health"] == "healthy")
    });
    server.systemctl("stop").ok();
    assert_eq!(server.manager.property(NAME, "Result"), "success");
}

/// The lines for a unit that `systemd-creds` prints.
fn encrypt(server: &Server, password: &str) -> String {
    let mut command = server.manager.client("systemd-creds");
    run(command.args(["encrypt", "--with-key=host", "--name=cron", "--pretty", "-", "-"]), password).ok()
}

#[test]
fn a_killed_one_comes_back_and_a_wrong_configuration_ends_it() {
    let server = Server::new(&[], "RestartSec=50ms\n");
    server.systemctl("start").ok();
    let before = server.manager.property(NAME, "MainPID");
    server.manager.systemctl(&["kill", "--signal=KILL", NAME]).ok();
    server.until("a new process", || {
        !["0", &*before].contains(&&*server.manager.property(NAME, "MainPID"))
            && server.manager.property(NAME, "ActiveState") == "active"
    });
    fs::write(server.manager.path().join("etc/mail.toml"), "[schedule]\ninterval = \"soon\"\n").unwrap();
    assert_ne!(server.systemctl("restart").code, 0);
    server.until("the end", || server.manager.property(NAME, "ActiveState") == "failed");
    assert_eq!(server.manager.property(NAME, "ExecMainStatus"), "78");
}

#[test]
fn the_exposure_is_at_most_one_and_a_half() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/keypulse@.service");
    let said = run(clean("systemd-analyze").args(["security", "--offline=true", "--threshold=15", unit]), "");
    // It ends with 1 where the level, tenfold, is above the threshold.
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("Overall exposure level for keypulse@"), "{said:?}");
}
