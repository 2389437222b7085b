//! Plays what could happen to the real core, in virtual time, and keeps what it said.
//!
//! Never decides what is right: that is known to whoever wrote the play. Never waits, and reads no clock.

pub mod stage;
