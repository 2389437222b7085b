//! A person without any privilege whose user manager has the shipped unit.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{Mail, Output, Settings, UserManager, binary, run, until_or};

/// The unit as it is shipped.
const UNIT: &str = include_str!("../../../systemd/keypulse.service");

/// A person whose user manager knows keypulse.
pub struct Person {
    /// Theirs.
    pub manager: UserManager,
    /// Where the address has the password.
    pub mail: Mail,
}

impl Person {
    /// Whose mail it is.
    pub const ADDRESS: &str = "johnappleseed@icloud.com";
    /// Its password.
    pub const PASSWORD: &str = "abcd-efgh-ijkl-mnop";

    /// One password that works, in a file; the unit as it is shipped, but for the program's path, and `extra` lines as a
    /// drop-in.
    #[track_caller]
    pub fn new(extra: &str) -> Self {
        let person = Self { manager: UserManager::unprivileged(), mail: Mail::start() };
        person.mail.dovecot.set_password(Self::ADDRESS, Self::PASSWORD);
        person.configure(&person.settings().to_toml());
        let shipped = "ExecStart=%h/.cargo/bin/keypulse run\n";
        assert_eq!(UNIT.matches(shipped).count(), 1);
        // A copy: the checkout may lie below /tmp, and the service has one of its own.
        fs::copy(binary(), person.program()).unwrap();
        let log = format!("StandardOutput=append:{0}\nStandardError=append:{0}\n", person.log_file().display());
        let drop_in = ".config/systemd/user/keypulse.service.d/test.conf";
        person.manager.write(drop_in, format!("[Service]\n{log}{extra}"), 0o644);
        let start = format!("ExecStart={} run\n", person.program().display());
        person.manager.install("keypulse.service", &UNIT.replace(shipped, &start));
        person
    }

    /// What it is configured with.
    pub fn settings(&self) -> Settings {
        Settings::for_mail(&self.mail).account(Self::ADDRESS).credential_file("thunderbird", &self.secret())
    }

    /// The password in a file.
    pub fn secret(&self) -> PathBuf {
        self.manager.write("secret", Self::PASSWORD, 0o600)
    }

    /// Writes the configuration.
    pub fn configure(&self, text: &str) {
        self.manager.write(".config/keypulse/config.toml", text, 0o600);
    }

    /// What the daemon wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// `systemctl --user VERB keypulse`.
    #[track_caller]
    pub fn systemctl(&self, verb: &str) -> Output {
        self.manager.systemctl(&[verb, "keypulse"])
    }

    /// A property of the service.
    #[track_caller]
    pub fn property(&self, name: &str) -> String {
        self.manager.property("keypulse", name)
    }

    /// Waits for a state; in vain, it shows the service's.
    #[track_caller]
    pub fn until(&self, what: &str, state: impl Fn() -> bool) {
        let says = || {
            let documents =
                [self.systemctl("status").stdout, self.keypulse(&["status", "--json"], "").stdout, self.log()];
            format!("{what}\n{}", documents.join("\n"))
        };
        until_or(says, || state().then_some(()));
    }

    /// Waits until the process is another than `before`, and up.
    #[track_caller]
    pub fn until_restarted(&self, before: &str) {
        self.until("a new process", || {
            !["0", before].contains(&&*self.property("MainPID")) && self.property("ActiveState") == "active"
        });
        assert!(self.asked().is_object());
    }

    /// What the daemon itself says.
    #[track_caller]
    pub fn asked(&self) -> Value {
        let output = self.keypulse(&["status", "--json"], "");
        let status: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert!(status["daemon"].is_object(), "{status:#}");
        status
    }

    /// Runs keypulse in the person's session, outside of the service.
    #[track_caller]
    pub fn keypulse(&self, arguments: &[&str], input: &str) -> Output {
        run(self.manager.client(&self.program().to_string_lossy()).args(arguments), input)
    }

    fn program(&self) -> PathBuf {
        self.manager.home().join("keypulse")
    }

    fn log_file(&self) -> PathBuf {
        self.manager.home().join("keypulse.log")
    }
}
