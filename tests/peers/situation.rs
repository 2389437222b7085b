//! The situations, and the simulator, bus and keyring in which they are played.

use std::{fs, path::Path, process::Command, time::Duration};

use keypulse::{
    health::evidence::Service,
    simulator::{Fault, Stage},
};

use crate::lab::{Bus, ICloud, Keyring, clean, run};

pub const ADDRESS: &str = "johnappleseed@icloud.com";
pub const SHORT: &str = "johnappleseed";

/// What happens to a password that worked until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    Well,
    Revoked,
    OneServiceRefuses,
    BadUnavailable,
    NoUnavailable,
    Bye,
    Hang,
    NoNetwork,
    KeyringLocked,
}

impl Situation {
    pub const ALL: [Self; 9] = [
        Self::Well,
        Self::Revoked,
        Self::OneServiceRefuses,
        Self::BadUnavailable,
        Self::NoUnavailable,
        Self::Bye,
        Self::Hang,
        Self::NoNetwork,
        Self::KeyringLocked,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "all is well",
            Self::Revoked => "revoked",
            Self::OneServiceRefuses => "SMTP refuses, IMAP accepts",
            Self::BadUnavailable => "`BAD [UNAVAILABLE]`, `454`",
            Self::NoUnavailable => "`NO [UNAVAILABLE]`, `451`",
            Self::Bye => "`BYE`, `421`",
            Self::Hang => "no answer to the login",
            Self::NoNetwork => "no network",
            Self::KeyringLocked => "keyring locked",
        }
    }
}

/// A simulated iCloud with one account and one password, a session bus with an unlocked keyring.
pub struct Lab {
    pub icloud: ICloud,
    pub password: String,
    pub bus: &'static Bus,
    pub keyring: Keyring<'static>,
    pub home: tempfile::TempDir,
}

impl Lab {
    pub fn start() -> Self {
        let icloud = ICloud::start();
        icloud.world.add_account(ADDRESS);
        let password = icloud.world.new_password(ADDRESS);
        // One for each question, and there are not many.
        let bus: &'static Bus = Box::leak(Box::new(Bus::start()));
        let keyring = Keyring::start(bus);
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("run")).unwrap();
        Self { icloud, password, bus, keyring, home }
    }

    /// From now on the situation holds.
    pub fn enter(&self, situation: Situation) {
        match situation {
            Situation::Well | Situation::NoNetwork => {}
            Situation::Revoked => self.icloud.world.reset_main_password(ADDRESS),
            Situation::OneServiceRefuses => self.icloud.world.set_fault(Service::Smtp, Some(Fault::RejectValid)),
            Situation::BadUnavailable => self.icloud.set_fault(Some(&Fault::Unavailable)),
            Situation::NoUnavailable => self.icloud.set_fault(Some(&Fault::UnavailableNo)),
            Situation::Bye => self.icloud.set_fault(Some(&Fault::ByeAtLogin)),
            Situation::Hang => self.icloud.set_fault(Some(&Fault::Hang(Stage::Login))),
            Situation::KeyringLocked => self.keyring.lock(),
        }
    }

    /// A program on the bus, in a home of its own; without any network where there is none.
    pub fn program(&self, situation: Situation, program: &str) -> Command {
        let mut command = if situation == Situation::NoNetwork {
            let mut command = clean("unshare");
            command.args(["--net", "--", program]);
            command
        } else {
            clean(program)
        };
        let home = self.home.path();
        command
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("LANG", "C.UTF-8")
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address());
        command
    }

    pub fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Runs a program to its end, for 20 seconds at most; exit code and first words, without what differs from run to run.
    pub fn outcome(&self, situation: Situation, arguments: &[&str]) -> (String, String) {
        let mut command = self.program(situation, "timeout");
        let output = run(command.arg(LONGEST.as_secs().to_string()).args(arguments), "");
        let code = match output.code {
            124 => "hangs".to_owned(),
            code => format!("exit {code}"),
        };
        let text = format!("{}{}", output.stdout, output.stderr);
        let ports = Service::ALL.map(|service| self.icloud.port(service).to_string());
        let words = text.split_whitespace().filter(|word| {
            !word.chars().any(|c| c.is_ascii_digit()) || ports.iter().any(|p| word.contains(p.as_str()))
        });
        let words = words.collect::<Vec<_>>().join(" ");
        (code, ports.iter().fold(words, |text, port| text.replace(port.as_str(), "PORT")))
    }
}

const LONGEST: Duration = Duration::from_secs(20);
