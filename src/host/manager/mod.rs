//! How the service manager is told to run keypulse: the file it reads, and the few words it takes.
//!
//! Renders the unit of `systemd/` or the LaunchAgent of `launchd/` with the paths of this installation, and asks `systemctl` or
//! `launchctl`. Decides nothing about when; the command line does. Both platforms offer the same functions, so that both are
//! compiled and tested everywhere; only [`here`] is what this machine has.

pub mod launchd;
pub mod systemd;

#[cfg(target_os = "macos")]
pub use launchd as here;
#[cfg(not(target_os = "macos"))]
pub use systemd as here;

use std::{
    error, fmt, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the service manager is to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// The configuration file, where it is not in its usual place.
    pub config: Option<PathBuf>,
    /// The socket, likewise.
    pub socket: Option<PathBuf>,
    /// The state directory, likewise.
    pub state: Option<PathBuf>,
    /// The home directory.
    pub home: PathBuf,
}

impl Installation {
    /// The command line: program, options, `run`.
    fn command_line(&self) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let option =
            |name: &str, value: &Option<PathBuf>| value.iter().flat_map(|path| [name.to_owned(), text(path)]).collect();
        let options: [Vec<String>; 2] = [option("--config", &self.config), option("--socket", &self.socket)];
        std::iter::once(text(&self.program)).chain(options.concat()).chain(["run".to_owned()]).collect()
    }
}

/// What the service manager says of keypulse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The file that it goes by: the person's own or a package's.
    pub file: Option<PathBuf>,
    /// It is started at login.
    pub enabled: bool,
    /// It runs.
    pub active: bool,
    /// The manager's own word for what it does: "active (running)", "failed (exit-code)".
    pub state: String,
    /// The main process, while it runs.
    pub pid: Option<u32>,
    /// What keypulse last said of itself.
    pub says: Option<String>,
    /// The file changed since the manager read it.
    pub outdated: bool,
}

/// Why the service manager did not do as it was told. Displays as a phrase that fits after "failed to".
#[derive(Debug)]
pub enum ManagerError {
    /// Its program could not be run.
    Program {
        /// `systemctl` or `launchctl`.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It refused.
    Refused {
        /// What was run, with its arguments.
        command: String,
        /// What it said.
        said: String,
    },
}

impl fmt::Display for ManagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { program, .. } => write!(f, "run {program}"),
            Self::Refused { command, said } if said.is_empty() => write!(f, "run `{command}`: it gave no reason"),
            Self::Refused { command, said } => write!(f, "run `{command}`: {said}"),
        }
    }
}

impl error::Error for ManagerError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Program { source, .. } => Some(source),
            Self::Refused { .. } => None,
        }
    }
}

/// Runs a program of the service manager; its standard output.
fn ask(program: &'static str, arguments: &[&str]) -> Result<String, ManagerError> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| ManagerError::Program { program, source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // The first line says what failed; the others where to read on.
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().trim().to_owned();
    Err(ManagerError::Refused { command: format!("{program} {}", arguments.join(" ")), said })
}
