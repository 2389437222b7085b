//! What this process keeps from others: passwords are in its memory now and then.
//!
//! Also for commands that a person runs, which take passwords at the keyboard. Never fails: where the system has no such
//! setting, the program still does its work.

use rustix::process::{Resource, Rlimit, setrlimit};

/// No core dumps, and on Linux no other process of the same user looks into our memory (prctl(2), `PR_SET_DUMPABLE`): the
/// files of `/proc/PID` belong to root then.
pub fn harden() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
