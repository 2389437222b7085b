//! Who a program of the lab runs as.

use std::{ffi::OsStr, path::Path, process::Command};

use super::process::{clean, run};

/// An account. The person's is in no list of this machine's: user managers, and what they start, have a list of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(u32);

impl Account {
    /// Who runs the tests.
    pub const ROOT: Self = Self(0);
    /// Somebody without any privilege. Sandboxes of root's services tell little: root's manager needs no user namespace.
    pub const PERSON: Self = Self(59_321);

    /// Its number, the user's and the group's.
    pub fn id(self) -> u32 {
        self.0
    }

    /// Like `clean`, as this account. Ends with the one who started it, where that one asks for it (`Component`).
    pub fn clean(self, program: impl AsRef<OsStr>) -> Command {
        if self == Self::ROOT {
            return clean(program);
        }
        let id = self.0.to_string();
        let mut command = clean("setpriv");
        // The kernel forgets the signal of an earlier `--pdeathsig` when the account changes.
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--pdeathsig", "KILL", "--"]).arg(program);
        command
    }

    /// Gives it a file, or a directory with all that is in it.
    #[track_caller]
    pub fn give(self, path: &Path) {
        if self != Self::ROOT {
            run(clean("chown").args(["-R", &format!("{0}:{0}", self.0)]).arg(path), "").ok();
        }
    }
}
