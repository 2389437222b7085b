//! The integration tests, one crate so that it links once.
//!
//! Everything here runs against real components: Dovecot, Postfix, gnome-keyring, dunst, systemd, each private to its test.
//! `tests/run` installs them. A component that is missing is a failure, never a skipped test.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop right there; clippy sees only #[test] functions as tests"
)]
#![allow(unreachable_pub, reason = "`pub` marks what the harness offers to the tests")]

#[allow(
    dead_code,
    unused_imports,
    reason = "the harness offers whole components, whether or not a test asks for every part today"
)]
mod lab;

mod actions;
mod add;
mod binary;
mod clock;
mod contract;
mod conventions;
mod crash;
mod damage;
mod demo;
mod descriptors;
mod discover;
mod disk;
mod doctor;
mod entry;
mod events;
mod explain;
mod faults;
mod formats;
mod hanging;
mod history;
mod hook;
mod hostile;
mod idle_watch;
mod lab_smoke;
mod laptop;
mod launch_agent;
mod layers;
mod list;
mod logs;
mod mail;
mod main_job;
mod measure;
mod notifications;
mod notify_test;
mod package;
mod quiet;
mod quiet_hours;
mod recipes;
mod rehearse;
mod reload;
mod replace;
mod resolver;
mod sandbox;
mod screens;
mod secrets;
mod security;
mod service;
mod service_install;
mod service_system;
mod session;
mod setup;
mod soak;
mod socket;
mod source;
mod status;
mod tls;
mod unit_file;
mod watchdog;
