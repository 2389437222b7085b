//! Dovecot and Postfix together: what a test of the whole program mostly wants.

use super::{Certificates, Dovecot, Postfix};

/// IMAP and SMTP that know the same passwords.
pub struct Mail {
    /// Receiving, sending and the passwords of both.
    pub dovecot: Dovecot,
    /// Sending.
    pub postfix: Postfix,
    /// Who signed their certificate.
    pub certificates: Certificates,
}

impl Mail {
    /// Starts both without any user; `dovecot` takes the passwords.
    #[track_caller]
    pub fn start() -> Self {
        let certificates = Certificates::new();
        let dovecot = Dovecot::start(&certificates);
        let postfix = Postfix::start(&certificates, &dovecot);
        Self { dovecot, postfix, certificates }
    }
}
