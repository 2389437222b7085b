//! The command line.

pub mod advice;
pub mod style;
pub mod table;
