//! keypulse watches the Apple app-specific passwords that a person's programs use for iCloud Mail, and tells when one has
//! been revoked.

pub mod api;
pub mod classify;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod health;
pub mod host;
pub mod probe;
pub mod secret;
pub mod simulator;
pub mod store;
