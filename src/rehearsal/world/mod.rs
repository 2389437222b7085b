//! Random households whose truth is known, living with the real engine on the [`stage`](crate::rehearsal::stage).
//!
//! | file | what |
//! |---|---|
//! | `household.rs`, `fate.rs`, `fortune.rs` | who lives there, what befalls them, by a seed |
//! | `truth.rs` | what is so at a moment: it answers the engine |
//! | `life.rs`, `curve.rs` | a life from beginning to end; one outage of a given length |
//! | `umpire.rs`, `deaths.rs`, `false_alarms.rs`, `renewals.rs` | what was said, compared with what is so |
//! | `score.rs`, `report.rs`, `targets.rs` | sums; the page; what is demanded of them |
//!
//! Never decides what keypulse says, and never lets the engine see what is true. `tests/world` runs it.

pub mod curve;
mod deaths;
mod false_alarms;
pub mod fate;
pub mod fortune;
pub mod household;
pub mod life;
mod renewals;
pub mod report;
pub mod score;
pub mod targets;
pub mod truth;
pub mod umpire;
