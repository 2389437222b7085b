//! Where passwords come from, and the one type that holds them.

mod digest;
mod password;

pub use digest::DigestKey;
pub use password::{AppPassword, Malformed};

use std::{collections::BTreeMap, path::PathBuf};

/// Where a password is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The system's keyring, by service and user name: what keypulse itself writes.
    Keyring {
        /// The `service` attribute.
        service: String,
        /// The `username` attribute (the account on macOS).
        username: String,
    },
    /// Linux: the one item of the Secret Service that has all these attributes.
    Attributes(BTreeMap<String, String>),
    /// The first line of a command's standard output.
    Command(Vec<String>),
    /// The first line of a file; `~/` is the home directory.
    File(PathBuf),
}

/// Why a password could not be read. Displays as a phrase in lower case that fits after "failed to read the password: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// `secret-unavailable` or `secret-malformed`.
    pub cause: crate::health::evidence::Cause,
    /// What is wrong, in words that help: "the keyring is locked".
    pub detail: String,
}
