//! One finding of the doctor.
//!
//! Decides the words for what was checked, and how bad a finding is.

use anstyle::Style;
use serde::{Deserialize, Serialize};

use crate::cli::style::{BAD, GOOD, WARNING};

/// How bad it is. As a number: the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Grade {
    /// All is well.
    Ok = 0,
    /// It works, or most of it does.
    Warning = 1,
    /// keypulse cannot do its work so.
    Failure = 2,
}

impl Grade {
    pub(in crate::cli) const fn sign(self) -> (&'static str, Style) {
        match self {
            Self::Ok => ("✓", GOOD),
            Self::Warning => ("!", WARNING),
            Self::Failure => ("✗", BAD),
        }
    }
}

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Check {
    Configuration,
    Password,
    Keyring,
    Desktop,
    Hook,
    Email,
    Server,
    Clock,
    Daemon,
    Socket,
    Service,
    Ration,
    State,
}

impl Check {
    /// At most 13 columns.
    pub(in crate::cli) const fn label(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Password => "password",
            Self::Keyring => "keyring",
            Self::Desktop => "desktop",
            Self::Hook => "hook",
            Self::Email => "email",
            Self::Server => "server",
            Self::Clock => "clock",
            Self::Daemon => "daemon",
            Self::Socket => "socket",
            Self::Service => "service",
            Self::Ration => "ration",
            Self::State => "state",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Line {
    /// What was checked.
    pub(in crate::cli) check: Check,
    /// Which of several: the credential, the server, the account.
    pub(in crate::cli) of: Option<String>,
    /// How it is.
    pub(in crate::cli) grade: Grade,
    /// In words.
    pub(in crate::cli) says: String,
    /// What to do: a command wherever there is one.
    pub(in crate::cli) remedy: Option<String>,
}

impl Line {
    pub(in crate::cli) fn ok(check: Check, says: impl Into<String>) -> Self {
        Self { check, of: None, grade: Grade::Ok, says: says.into(), remedy: None }
    }

    pub(in crate::cli) fn warning(check: Check, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Warning, remedy: Some(remedy.into()), ..Self::ok(check, says) }
    }

    pub(in crate::cli) fn failure(check: Check, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Failure, remedy: Some(remedy.into()), ..Self::ok(check, says) }
    }

    /// Which of several.
    pub(in crate::cli) fn of(mut self, of: &impl ToString) -> Self {
        self.of = Some(of.to_string());
        self
    }
}
