//! The machine's own affairs, as far as they touch a program that talks to servers: sleep, and the network.
//!
//! On Linux logind says when the machine sleeps, NetworkManager how the network is; without them, the kernel's clocks and
//! routes do. On macOS it is the kernel alone: its clocks, and its routing socket, which also speaks after every wake-up.
//! Never asks anybody on the network, and sets no timer. Decides nothing about checks.

#[cfg(target_os = "linux")]
mod bus;
mod network;
mod sleep;

use tokio::sync::{mpsc, watch};

pub use self::{
    network::{Manager, is_up},
    sleep::SleepMeter,
};

/// Something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The machine is about to sleep.
    Suspending,
    /// It is awake again, or did not fall asleep after all.
    Resumed,
    /// It may have slept: [`SleepMeter`] knows.
    Stirred,
    /// The network manager says something new, or left.
    Manager(Manager),
    /// A route, address or interface came or went: [`is_up`] knows what that means.
    Routes,
}

/// Listens for as long as the receiver lives. Needs the runtime.
#[must_use]
pub fn changes() -> mpsc::Receiver<Change> {
    let (tell, changes) = mpsc::channel(16);
    // While a network manager says that all is well, its word is awaited and not every route's.
    let (well, is_well) = watch::channel(false);
    #[cfg(target_os = "linux")]
    tokio::spawn(bus::listen(tell.clone(), well));
    #[cfg(not(target_os = "linux"))]
    drop(well);
    tokio::spawn(network::listen(tell.clone(), is_well));
    tokio::spawn(sleep::listen(tell));
    changes
}
