//! The pure core: from findings to verdicts, and from verdicts to what is told.
//!
//! No network, no file, no clock, no randomness, no log line. Everything that happens comes in as an event with its time;
//! everything to be done goes out as an action.
//!
//! The rules, in the parts that the comments and `explain` name, stand in `verdicts.md` beside this file.

pub mod account;
mod agenda;
pub mod alert;
mod consequence;
mod course;
pub mod credential;
pub mod engine;
pub mod event;
pub mod evidence;
mod flight;
pub mod incident;
pub mod login;
mod machine;
pub mod mail;
pub mod name;
pub mod outbox;
mod poll;
mod quiet;
pub mod ration;
pub mod reasons;
mod roster;
pub mod round;
pub mod ruling;
pub mod schedule;
pub mod standing;
mod status;
pub mod tally;
mod upkeep;
pub mod verdict;
pub mod view;
pub mod watch;

#[cfg(test)]
mod tests;
