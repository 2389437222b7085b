//! The machine: clock, notifications, hook, service manager.

pub mod desktop;
pub mod hook;
pub mod markup;
