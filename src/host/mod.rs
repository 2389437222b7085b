//! The machine: clock, notifications, hook, e-mail as it is written, service manager.

pub mod browser;
pub mod clock;
pub mod desktop;
pub mod harden;
pub mod hook;
pub mod keyring;
mod launch;
pub mod letter;
pub mod machine;
pub mod manager;
pub mod markup;
pub mod program;
pub mod service;
#[cfg(target_os = "linux")]
pub mod terminal;
