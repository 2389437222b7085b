//! Everything that can happen in a rehearsal, to passwords, services, the machine and the person.
//!
//! Plain data. What it does to the world is `scene.rs`'s, what it does to the process `perform.rs`'s.

use std::time::Duration;

use super::scenario::Who;
use crate::{
    health::evidence::{Cause, Service, Services},
    secret::Source,
    simulator::Fault,
};

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The main password of an account is changed: all its app passwords die.
    Reset(usize),
    /// One password is revoked.
    Revoke(Who),
    /// The password that a credential held before is revoked.
    RevokeOld(Who),
    /// It was all a mistake: every password ever used works again.
    Reinstate,
    /// A new password is made, and stored where keypulse finds it. The old one lives on.
    Replace(Who),
    /// The password of before is stored again.
    PutBack(Who),
    /// A credential holds the same password as another.
    Share(Who, Who),
    /// What a service does to everybody.
    Weather(Services, Weather),
    /// What a service does to one account.
    Against(usize, Service, Weather),
    /// The source of a secret: a real one that yields none, or (`None`) the made-up one that works.
    Source(Who, Option<Source>),
    /// The keyring is locked.
    Lock,
    /// The keyring is unlocked, and says so.
    Unlock,
    /// The machine sleeps and wakes.
    Sleep(Duration),
    /// The process is killed and starts again after a while, in the same boot of the machine.
    Restart(Duration),
    /// The machine is off for a while, and its wall clock is set by so many seconds meanwhile.
    Reboot(Duration, i64),
    /// The wall clock is set by so many seconds.
    SetClock(i64),
    /// Channels cannot be reached, or (`false`) can be again.
    Mute(bool),
    /// A person fails to log in so many times through keypulse.
    Spend(usize, u32),
    /// A person asks for a check of it.
    Check(Who),
    /// The desktop loses what stands on it.
    LoseNotification,
    /// The person closes what stands on the desktop.
    CloseNotification,
    /// An account is taken out of the configuration.
    Forget(usize),
    /// The person silences the incident of an account for a while.
    Snooze(usize, Duration),
    /// The person pauses everything for a while.
    Pause(Duration),
}

/// What a service does to logins.
#[derive(Clone, Debug, PartialEq)]
pub enum Weather {
    /// It judges the pair.
    Fine,
    /// There is no way to it: no network, or its name cannot be resolved.
    Offline,
    /// It gives no answer on the pair, for this reason. Made up.
    Silent(Cause),
    /// It refuses every pair: the worst kind of outage.
    Refuses,
    /// It accepts every pair: a revocation has not come through yet.
    Accepts,
    /// It does this, on the wire.
    Fault(Fault),
}
