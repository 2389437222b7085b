//! Why the state cannot be used, in words that go on after "failed to".

use std::{error, fmt, io, path::PathBuf};

use super::MIGRATIONS;

/// Why the state cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// Another process holds it.
    Held {
        /// The state directory.
        directory: PathBuf,
    },
    /// There is none yet. Only where it is read without being created.
    Absent,
    /// A file or directory could not be made, opened or locked.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite says no.
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It was written by a later version.
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: usize,
    },
    /// It is no longer what was written there.
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it, as a phrase.
        what: String,
    },
    /// A row does not say what this version expects.
    Row {
        /// The database.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { directory } => write!(
                f,
                "use the state in {}: another keypulse is using it (see `keypulse status`; stop it, or give this one a \
                 state directory of its own with KEYPULSE_STATE_DIR)",
                directory.display()
            ),
            Self::Absent => f.write_str("read the state: there is none yet"),
            Self::File { path, .. } => write!(f, "open {}", path.display()),
            Self::Sqlite { path, .. } => write!(f, "use the database {}", path.display()),
            Self::Newer { path, found } => write!(
                f,
                "use the database {}: it was written by a later version of keypulse (schema {found}, this one knows {}); \
                 install that version, or move the file away to start afresh",
                path.display(),
                MIGRATIONS.len()
            ),
            Self::Damaged { path, what } => write!(f, "use the database {}: it is damaged: {what}", path.display()),
            Self::Row { path, .. } => write!(f, "understand a row of the database {}", path.display()),
        }
    }
}

impl error::Error for StoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Held { .. } | Self::Absent | Self::Newer { .. } | Self::Damaged { .. } => None,
            Self::File { source, .. } => Some(source),
            Self::Sqlite { source, .. } => Some(source),
            Self::Row { source, .. } => Some(source),
        }
    }
}
