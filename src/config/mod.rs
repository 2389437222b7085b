//! What the person configured, in types that cannot be wrong.
//!
//! `raw.rs` is what the file may hold, `parse.rs` with `policy.rs`, `accounts.rs` and `notify.rs` decides what is taken,
//! `error.rs` tells what is wrong, `edit.rs` and `learn.rs` change the file, `show.rs` prints what is in effect, `paths.rs`
//! says where things are, `discover/` reads other programs' files. Connects to nothing and reads no secret.

mod accounts;
mod complain;
pub mod discover;
pub mod duration;
pub mod edit;
mod error;
mod excerpt;
mod layout;
pub mod learn;
mod notify;
mod parse;
pub mod paths;
mod policy;
mod raw;
mod show;
mod write;

pub use accounts::default_secret;
pub use complain::near;
pub use error::{ConfigError, Kind, Problem};
pub use excerpt::Excerpt;
pub use parse::{parse, parse_with_home};

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    health::{
        evidence::{PerService, Services},
        name::{Address, CredentialName},
        schedule::Policy,
    },
    secret::Source,
};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[schedule]`, `[limits]` and `notify.remind_every`.
    pub policy: Policy,
    /// One attempt, all stages.
    pub timeout: Duration,
    /// `[watch]`.
    pub watch: Watch,
    /// `[notify]`.
    pub notify: Notify,
    /// `[imap]` and `[smtp]`.
    pub servers: PerService<Server>,
    /// `tls.extra_ca`: trusted beside the system's roots.
    pub extra_ca: Option<PathBuf>,
    /// `[[account]]`, each with an address of its own.
    pub accounts: Vec<Account>,
}

/// What to listen to beside the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Check after the machine resumed.
    pub resume: bool,
    /// Check after the network came back.
    pub network: bool,
    /// Hold one IMAP IDLE connection per account.
    pub idle: bool,
}

/// How people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Desktop notifications.
    pub desktop: bool,
    /// Local times of day between which desktop messages wait.
    pub quiet_hours: Option<QuietHours>,
    /// A program that gets each event as JSON.
    pub hook: Option<Hook>,
    /// E-mail.
    pub email: Option<Email>,
}

/// From one minute of the day to another, perhaps over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Minutes after local midnight.
    pub from: u16,
    /// Minutes after local midnight.
    pub to: u16,
}

/// `[notify.hook]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
}

/// `[notify.email]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The receiver.
    pub to: lettre::Address,
    /// The sender.
    pub from: lettre::Address,
    /// Through which server.
    pub via: EmailVia,
}

/// The way an e-mail goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailVia {
    /// Any submission server.
    Server {
        /// Where and how.
        server: Server,
        /// The login name there.
        username: String,
        /// Where its password is.
        secret: Source,
    },
    /// One of the watched credentials.
    Credential(CredentialName),
}

/// Where a service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A host name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// When TLS begins.
    pub tls: TlsMode,
}

/// When TLS begins on a connection. There is no third mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// At once (RFC 8314, section 3).
    Implicit,
    /// After STARTTLS (RFC 3501 section 6.2.1, RFC 3207).
    StartTls,
}

/// `[[account]]`: one Apple Account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The iCloud Mail address.
    pub address: Address,
    /// The login name per service.
    pub usernames: PerService<String>,
    /// Its app-specific passwords.
    pub credentials: Vec<Credential>,
}

/// `[[account.credential]]`: one place where a password is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Unique in the configuration.
    pub name: CredentialName,
    /// The program, as people call it.
    pub app: Option<String>,
    /// Which services it is used with; never empty.
    pub services: Services,
    /// Where its password is.
    pub secret: Source,
    /// Send it although it is not of the app-specific shape.
    pub any_shape: bool,
}

/// The largest file that is read, in bytes. A configuration has a few lines per password; this is a wrong file.
pub const SIZE_LIMIT: u64 = 1 << 20;

/// Reads and checks the configuration file.
///
/// # Errors
/// Where it cannot be read, and everything that is wrong in it.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    parse(&read(path)?, path)
}

/// Reads the configuration file without checking what it says, for edits.
///
/// # Errors
/// Where it is missing, unreadable, too large or not UTF-8.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes));
    let fail = |kind| ConfigError { path: path.to_owned(), kind };
    match read {
        Err(error) => Err(ConfigError::io(path, error)),
        Ok(size) if size as u64 > SIZE_LIMIT => Err(fail(Kind::TooLarge(SIZE_LIMIT))),
        Ok(_) => String::from_utf8(bytes).map_err(|error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good);
            let last = good.rsplit('\n').next().unwrap_or_default();
            fail(Kind::NotUtf8(good.matches('\n').count() + 1, last.chars().count() + 1))
        }),
    }
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            timeout: Duration::from_secs(30),
            watch: Watch::default(),
            notify: Notify::default(),
            servers: icloud(),
            extra_ca: None,
            accounts: Vec::new(),
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self { resume: true, network: true, idle: false }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self { desktop: true, quiet_hours: None, hook: None, email: None }
    }
}

impl TlsMode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Implicit, Self::StartTls];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
        }
    }
}

impl QuietHours {
    /// Whether a minute after local midnight is within them. The first minute is, the last is not.
    #[must_use]
    pub const fn contains(self, minute: u16) -> bool {
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

impl Config {
    /// The account of a credential and the credential itself.
    #[must_use]
    pub fn find(&self, name: &CredentialName) -> Option<(&Account, &Credential)> {
        self.accounts.iter().find_map(|account| {
            account
                .credentials
                .iter()
                .find(|credential| credential.name == *name)
                .map(|credential| (account, credential))
        })
    }
}

impl Server {
    /// Whether it is this machine: 127.0.0.0/8, `::1` or `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// iCloud Mail's servers (`facts/icloud.md` 1.6, 1.7).
#[must_use]
pub fn icloud() -> PerService<Server> {
    PerService {
        imap: Server { host: "imap.mail.me.com".into(), port: 993, tls: TlsMode::Implicit },
        smtp: Server { host: "smtp.mail.me.com".into(), port: 587, tls: TlsMode::StartTls },
    }
}

#[cfg(test)]
mod tests;

/// What the configuration asks for and this version does not do yet, in words for the log and `config check`.
#[must_use]
pub fn unsupported(config: &Config) -> Vec<&'static str> {
    let idle = config.watch.idle.then_some("watch.idle is on, but this version holds no IDLE connections yet");
    idle.into_iter().collect()
}
