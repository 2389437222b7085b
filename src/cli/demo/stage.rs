//! The set of the demonstration: a simulated iCloud, three Apple Accounts, and a throw-away home for the daemon.
//!
//! Everything lies in one directory of its own, which goes with the [`Stage`]. Never looks at the person's configuration,
//! state, keyring or socket, nor at a variable of keypulse's.

use std::{
    env,
    fmt::Display,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use tempfile::TempDir;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    cli::Exit,
    config::{Account, Config, Credential, Server, TlsMode, paths::SOCKET_PATH_LIMIT},
    daemon::Paths,
    health::{
        evidence::{PerService, Services},
        name::{Address, CredentialName},
        schedule::Policy,
    },
    secret::Source,
    simulator::{Options, Simulator, World},
};

/// Whose main password is reset.
pub(super) const HERO: &str = "johnappleseed@icloud.com";
/// Between two checks, and until a refused password is asked again: an hour and two minutes in real life.
pub(super) const BEAT: Duration = Duration::from_secs(2);

/// Each account with its passwords: name and program.
const ACCOUNTS: [(&str, &[(&str, &str)]); 3] = [
    (HERO, &[("thunderbird", "Thunderbird"), ("msmtp", "cron mail"), ("nas", "Synology"), ("phone", "K-9 Mail")]),
    ("janeappleseed@icloud.com", &[("neomutt", "NeoMutt"), ("git", "send-email")]),
    ("orchard.office@icloud.com", &[("scanner", "scans")]),
];

const PREFIX: &str = "keypulse-demo-";
const SOCKET: &str = "keypulse.sock";
/// The random part of the directory's name.
const RANDOM: usize = 6;
/// How much of the log a failure shows.
const LAST_WORDS: usize = 12;

/// A running simulator and the daemon's home. Both go when it is dropped.
pub(super) struct Stage {
    simulator: Simulator,
    home: TempDir,
}

impl Stage {
    /// Makes all of it, with a live password for every program.
    pub(super) async fn set() -> Result<Self, Exit> {
        let parent = parent();
        let home = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(RANDOM)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(|error| failed(format!("make a directory in {}", parent.display()), &error))?;
        let simulator =
            Simulator::start(Options::default()).await.map_err(|error| failed("start the simulated iCloud", &error))?;
        let stage = Self { simulator, home };
        for (address, programs) in ACCOUNTS {
            stage.world().add_account(address);
            for (name, _) in programs {
                stage.renew(address, name)?;
            }
        }
        stage.write("ca.pem", stage.simulator.ca_pem())?;
        stage.write("config.toml", &format!("# Written by `keypulse demo`.\n{}", stage.config()?))?;
        Ok(stage)
    }

    /// What the simulated iCloud knows.
    pub(super) fn world(&self) -> World {
        self.simulator.world()
    }

    /// A new password for this program, made in the simulated account and stored where the daemon finds it.
    pub(super) fn renew(&self, address: &str, name: &str) -> Result<(), Exit> {
        let password = self.world().new_password(address);
        self.write(&secret_file(name), &format!("{password}\n"))
    }

    /// The programs of the account that is reset.
    pub(super) fn heroes() -> impl Iterator<Item = &'static str> {
        let hero = ACCOUNTS.iter().filter(|(address, _)| *address == HERO);
        hero.flat_map(|(_, programs)| programs.iter().map(|(name, _)| *name))
    }

    /// How many accounts and how many passwords there are.
    pub(super) fn size() -> (usize, usize) {
        (ACCOUNTS.len(), ACCOUNTS.iter().map(|(_, programs)| programs.len()).sum())
    }

    pub(super) fn paths(&self) -> Paths {
        Paths { config: self.path("config.toml"), state: self.path("state") }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path(SOCKET)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// Sends the daemon's log lines to a file: on the terminal they would stand between the story's.
    pub(super) fn keep_log(&self) -> Result<(), Exit> {
        let file = fs::File::create(self.log()).map_err(|error| self.refused("log", &error))?;
        // Only keypulse's own: the mail libraries log whole commands.
        let filter = EnvFilter::new("keypulse=info");
        let lines = fmt::layer().with_writer(Mutex::new(file)).with_target(false).with_ansi(false);
        // Two in one process share the first one's log.
        drop(tracing_subscriber::registry().with(filter).with(lines).try_init());
        Ok(())
    }

    /// The end of the daemon's log.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n")
    }

    /// Stops the servers and removes everything.
    pub(super) fn strike(self) -> Result<(), Exit> {
        let path = self.home.path().to_owned();
        drop(self.simulator);
        self.home.close().map_err(|error| failed(format!("remove {}", path.display()), &error))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Whole or not at all, since the daemon may read it just now; 0600, tempfile's default.
    fn write(&self, name: &str, text: &str) -> Result<(), Exit> {
        let written = tempfile::NamedTempFile::new_in(self.home.path()).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            Ok(file.persist(self.path(name))?)
        });
        written.map(drop).map_err(|error| self.refused(name, &error))
    }

    fn refused(&self, name: &str, error: &io::Error) -> Exit {
        failed(format!("write {}", self.path(name).display()), error)
    }

    /// The defaults, but for the servers and the times.
    fn config(&self) -> Result<Config, Exit> {
        let server = |address: SocketAddr, tls| Server { host: address.ip().to_string(), port: address.port(), tls };
        let account = |(address, programs): (&str, &[(&str, &str)])| {
            let address = Address::new(address)?;
            let credential = |(name, app): &(&str, &str)| {
                Ok(Credential {
                    name: CredentialName::new(name)?,
                    app: Some((*app).to_owned()),
                    services: Services::BOTH,
                    secret: Source::File(self.path(&secret_file(name))),
                    any_shape: false,
                })
            };
            Ok(Account {
                usernames: PerService { imap: address.local_part().to_owned(), smtp: address.to_string() },
                credentials: programs.iter().map(credential).collect::<Result<_, &'static str>>()?,
                address,
            })
        };
        let accounts = ACCOUNTS.into_iter().map(account).collect::<Result<_, &'static str>>();
        Ok(Config {
            policy: Policy {
                interval: BEAT,
                jitter_percent: 0,
                confirm: [BEAT, BEAT * 2],
                outage_hold: BEAT * 3,
                remind_every: None,
                ..Policy::default()
            },
            timeout: Duration::from_secs(10),
            servers: PerService {
                imap: server(self.simulator.imap_addr(), TlsMode::Implicit),
                smtp: server(self.simulator.smtp_addr(), TlsMode::StartTls),
            },
            extra_ca: Some(self.path("ca.pem")),
            accounts: accounts.map_err(|why| failed("name the simulated accounts", &why))?,
            ..Config::default()
        })
    }
}

fn secret_file(name: &str) -> String {
    format!("{name}.secret")
}

/// Where temporary files belong, unless a socket's path gets too long there.
fn parent() -> PathBuf {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let fits = |parent: &PathBuf| {
        let taken = parent.as_os_str().as_bytes().len() + PREFIX.len() + RANDOM + SOCKET.len() + 2;
        taken <= SOCKET_PATH_LIMIT && parent.is_dir()
    };
    [Some(env::temp_dir()), runtime].into_iter().flatten().find(fits).unwrap_or_else(|| Path::new("/tmp").to_owned())
}

fn failed(what: impl Display, why: &impl Display) -> Exit {
    Exit::because(
        format!("{what}: {why}"),
        "the demonstration needs room in the temporary directory (TMPDIR) and free ports on 127.0.0.1",
    )
}
