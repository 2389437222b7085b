//! What outlives the process: SQLite.
