//! The machine: clock, notifications, hook, service manager.
