//! The machine: clock, notifications, hook, service manager.

pub mod hook;
pub mod markup;
