//! One attempt: connect, TLS, authenticate once, hang up.
