//! The pure core: from findings to verdicts, and from verdicts to what is told.
//!
//! No network, no file, no clock, no randomness, no log line. Everything that happens comes in as an event with its time;
//! everything to be done goes out as an action.

pub mod alert;
pub mod credential;
pub mod evidence;
pub mod incident;
pub mod name;
pub mod schedule;
pub mod view;
