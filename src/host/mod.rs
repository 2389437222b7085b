//! The machine: clock, notifications, hook, service manager.

pub mod clock;
