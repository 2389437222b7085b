//! How a command ends: exit codes, and errors as people read them.
//!
//! The one place where an error becomes text: "keypulse: failed to …: why", with its reasons as a chain.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use super::style;
use crate::{
    api::{ClientError, Problem, UnknownName},
    classify::redact,
    config::{ConfigError, paths::PathError},
    daemon::RunError,
    store::StoreError,
};

/// Wrong usage, or an unknown name (sysexits' `EX_USAGE`).
pub const USAGE: u8 = 64;
/// Something that must not happen (`EX_SOFTWARE`).
pub const INTERNAL: u8 = 70;
/// The configuration (`EX_CONFIG`).
pub const CONFIG: u8 = 78;

/// Why a command ends before its time.
#[derive(Debug)]
pub enum Exit {
    /// The arguments, or a wish for help.
    Usage(clap::Error),
    /// The configuration.
    Config(ConfigError),
    /// A name that is not configured.
    UnknownName(String),
    /// Wrong usage that the grammar cannot see: what is wrong, and what to do.
    Misuse {
        /// A sentence.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Something that the configuration names cannot be used. Fits after "failed to".
    Misconfigured(Box<dyn Error>),
    /// Anything else that failed: what was tried, and perhaps what to do.
    Failed {
        /// Fits after "failed to".
        error: Box<dyn Error>,
        /// What to do.
        hint: Option<String>,
    },
    /// It was said already; only the code is left.
    Code(u8),
    /// Nobody reads the output any more.
    ClosedPipe,
}

impl Exit {
    /// A failure with its reasons.
    pub fn failed(error: impl Error + 'static) -> Self {
        Self::Failed { error: Box::new(error), hint: None }
    }

    /// Wrong usage that the grammar cannot see.
    pub fn misuse(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Misuse { message: message.into(), hint: hint.into() }
    }

    /// Why, in one line, for where there is no room for more.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Usage(error) => error.to_string(),
            Self::Config(error) => error.summary(),
            Self::UnknownName(message) | Self::Misuse { message, .. } => message.clone(),
            Self::Misconfigured(error) | Self::Failed { error, .. } => format!("failed to {}", chain(&**error)),
            Self::Code(_) => "failed".to_owned(),
            Self::ClosedPipe => "nobody reads the output".to_owned(),
        }
    }

    /// A failure in words that fit after "failed to", with what to do about it.
    pub fn because(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed { error: what.into().into(), hint: Some(hint.into()) }
    }
}

impl From<ConfigError> for Exit {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<PathError> for Exit {
    fn from(error: PathError) -> Self {
        Self::failed(error)
    }
}

impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Self {
        let hint = about_state(&error);
        Self::Failed { error: Box::new(error), hint }
    }
}

/// What to do where the state cannot be used, unless the error says so itself.
fn about_state(error: &StoreError) -> Option<String> {
    match error {
        StoreError::File { .. } => Some(
            "keypulse keeps its state in a directory of yours that it can write to; name another with KEYPULSE_STATE_DIR"
                .to_owned(),
        ),
        error if error.is_damage() => Some(
            "start keypulse (`keypulse service start`, or `keypulse check`): it puts the damaged file aside and begins anew"
                .to_owned(),
        ),
        StoreError::Sqlite { path, .. } => Some(format!(
            "see that {} can be written and that its disk is not full",
            path.parent().unwrap_or(path).display()
        )),
        StoreError::Damaged { .. } | StoreError::Row { .. } | StoreError::Held { .. } | StoreError::Absent | StoreError::Newer { .. } => None,
    }
}

impl From<RunError> for Exit {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Config(error) => Self::Config(error),
            RunError::Store(error) => error.into(),
            // `tls.extra_ca`: starting again does not help, so the service manager shall not.
            RunError::Prober(error) => Self::Misconfigured(Box::new(error)),
            error @ (RunError::Key { .. } | RunError::Socket(_) | RunError::Signal(_)) => Self::failed(error),
        }
    }
}

impl From<ClientError> for Exit {
    fn from(error: ClientError) -> Self {
        // The daemon says the whole of it, with the names that there are.
        if let ClientError::Problem(problem) = &error
            && problem.code == Problem::UNKNOWN_NAME
        {
            return Self::UnknownName(problem.to_string());
        }
        Self::failed(error)
    }
}

impl From<UnknownName> for Exit {
    fn from(unknown: UnknownName) -> Self {
        Self::UnknownName(unknown.to_string())
    }
}

impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::failed(error) }
    }
}

/// Says why a command ended, and gives its exit code.
pub(super) fn finish(result: Result<u8, Exit>) -> ExitCode {
    ExitCode::from(result.unwrap_or_else(|exit| tell(&exit)))
}

/// Says why something ended, and gives the exit code for it.
pub(super) fn tell(exit: &Exit) -> u8 {
    match exit {
        Exit::Code(code) => *code,
        Exit::ClosedPipe => 0,
        Exit::Usage(error) => {
            let helped = !error.use_stderr();
            // A closed pipe is no reason to complain about.
            drop(error.print());
            if helped { 0 } else { USAGE }
        }
        Exit::Config(error) => {
            complain(&error.to_string());
            CONFIG
        }
        Exit::Misconfigured(error) => {
            complain(&format!("keypulse: failed to {}", chain(&**error)));
            CONFIG
        }
        Exit::UnknownName(message) => {
            complain(&format!("keypulse: {message}"));
            USAGE
        }
        Exit::Misuse { message, hint } => {
            anstream::eprintln!("keypulse: {message}\nhint: {hint}");
            USAGE
        }
        Exit::Failed { error, hint } => {
            let mut text = format!("keypulse: failed to {}", chain(&**error));
            if let Some(hint) = hint {
                text.push_str("\nhint: ");
                text.push_str(hint);
            }
            complain(&text);
            1
        }
    }
}

/// An error with its reasons.
pub(super) fn chain(error: &dyn Error) -> String {
    redact::chain(error, style::printable)
}

/// Prints to standard error; where nobody reads it, that is no reason to fail in another way.
pub(super) fn complain(text: &str) {
    drop(writeln!(anstream::stderr(), "{text}"));
}

/// The exit code of a panic: something that must not happen.
pub(super) fn on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        std::process::exit(i32::from(INTERNAL));
    }));
}
