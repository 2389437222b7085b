//! `AppPassword`: the one type that holds a password.

/// A password.
pub struct AppPassword;
/// Malformed.
pub struct Malformed;
/// Key.
pub struct DigestKey;
