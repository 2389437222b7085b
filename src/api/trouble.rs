//! What keeps keypulse itself from its work, as the status document tells it: its state, and the system's limits.
//!
//! Decides the words. Whoever finds a trouble says since when.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Time;

/// One trouble. (Beyond the contract.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which.
    pub kind: TroubleKind,
    /// Since when, where that is known.
    pub since: Option<Time>,
    /// When it is over by itself, where that is known.
    pub until: Option<Time>,
    /// In sentences, for people.
    pub text: String,
}

/// Which trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// The database was damaged and begun anew: no login is made until the day's ration is certainly free.
    StateLost,
    /// The state cannot be written: nothing is done until it can.
    StateUnwritable,
    /// The process may open no further file, connection or pipe.
    OutOfFiles,
}

impl TroubleKind {
    /// In a few words, for a bar.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::StateLost => "state lost",
            Self::StateUnwritable => "cannot write its state",
            Self::OutOfFiles => "out of file descriptors",
        }
    }
}

impl Trouble {
    /// The database was damaged at `since`; it lies at `kept_as`. Until `until` the ration counts as used up.
    #[must_use]
    pub fn state_lost(kept_as: &Path, since: Time, until: Time) -> Self {
        let text = format!(
            "keypulse's state was damaged, and it began anew without what it knew; the damaged file is kept as {}. Failed \
             logins of the day before may be forgotten with it, so all that are allowed count as used.",
            kept_as.display()
        );
        Self { kind: TroubleKind::StateLost, since: Some(since), until: Some(until), text }
    }

    /// The state cannot be written since `since`, because of `why`.
    #[must_use]
    pub fn state_unwritable(why: &str, since: Time) -> Self {
        let text = format!(
            "keypulse cannot write its state ({why}). No password is checked and no message sent until it can: it tries again \
             by itself."
        );
        Self { kind: TroubleKind::StateUnwritable, since: Some(since), until: None, text }
    }

    /// No file descriptor is left.
    #[must_use]
    pub fn out_of_files() -> Self {
        let text = "keypulse may open no further file or connection (its limit of file descriptors is reached), so passwords \
                    cannot be checked. If it stays so, restart keypulse, or raise the limit (`ulimit -n`, LimitNOFILE=).";
        Self { kind: TroubleKind::OutOfFiles, since: None, until: None, text: text.to_owned() }
    }
}
