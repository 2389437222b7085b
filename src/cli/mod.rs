//! The command line.

pub mod advice;
pub mod config;
pub mod style;
pub mod table;
