//! What the simulator remembers of a login: who asked how, and what was answered. Never the password.

use std::time::SystemTime;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::health::evidence::Service;

/// The command a password came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// IMAP LOGIN (RFC 3501 §6.2.3).
    ImapLogin,
    /// SASL PLAIN (RFC 4616) with AUTHENTICATE or AUTH.
    Plain,
    /// SASL LOGIN with AUTH (draft-murchison-sasl-login).
    SaslLogin,
}

/// What the server said to a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// IMAP tagged `OK`; SMTP `235`.
    Accepted,
    /// IMAP tagged `NO [AUTHENTICATIONFAILED]`; SMTP `535`.
    Rejected,
    /// Something else, or nothing.
    Otherwise,
}

impl Answer {
    /// What `reply` means to a command with this `tag`: by its last line, and only where it answers the command at all.
    pub(super) fn of(service: Service, tag: &str, reply: &str) -> Self {
        let reply = reply.trim_end();
        let last = reply.lines().last().unwrap_or_default();
        match service {
            Service::Imap => {
                let words = last.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')).unwrap_or_default();
                let words = words.to_ascii_uppercase();
                if words.starts_with("OK") {
                    Self::Accepted
                } else if words.starts_with("NO [AUTHENTICATIONFAILED]") {
                    Self::Rejected
                } else {
                    Self::Otherwise
                }
            }
            Service::Smtp if reply.lines().all(|line| line.starts_with("235")) && !reply.is_empty() => Self::Accepted,
            Service::Smtp if reply.lines().all(|line| line.starts_with("535")) && !reply.is_empty() => Self::Rejected,
            Service::Smtp => Self::Otherwise,
        }
    }
}

/// One login as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSeen {
    /// By the wall clock.
    pub at: SystemTime,
    /// Which service.
    pub service: Service,
    /// The number of the connection it came over, counted from 1 over both services.
    pub connection: u64,
    /// Which command.
    pub mechanism: Mechanism,
    /// Whether it came inside TLS. A password that did not is a password given away.
    pub encrypted: bool,
    /// The user name as it was sent.
    pub username: String,
    /// The address of the account meant, also where the form of the name is not one that the service takes.
    pub account: Option<String>,
    /// Whether name and password were right at that time, whatever was answered.
    pub valid: bool,
    /// What was answered. It is noted before it is sent.
    pub answer: Answer,
    /// The how many-th login command of its connection this is: more than 1 is one too many.
    pub auth_commands: u32,
}

/// A user name and a password on their way to be judged. No `Debug`: it holds the password.
#[derive(Default)]
pub(super) struct Pair {
    pub(super) username: String,
    pub(super) password: String,
}

impl Pair {
    /// The message of SASL PLAIN, `[authzid] NUL authcid NUL passwd` (RFC 4616 §2), from base64. A non-empty authzid makes
    /// a pair that is never right: with one, iCloud is said to refuse (fact 2.8).
    pub(super) fn from_plain(text: &[u8]) -> Option<Self> {
        let message = decode(text)?;
        let mut parts = message.split('\0');
        let (authzid, username, password) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let username = if authzid.is_empty() { username.into() } else { format!("{username} for {authzid}") };
        Some(Self { username, password: password.into() })
    }

    /// On SMTP nothing is known of a refusal: whoever asks to be himself (RFC 4616 §2), as GNOME Online Accounts does, is.
    pub(super) fn oneself(mut self) -> Self {
        if let Some((himself, _)) = self.username.split_once(" for ").filter(|(who, whom)| who == whom) {
            self.username = himself.to_owned();
        }
        self
    }
}

/// Text from base64; `=` alone is the empty one (RFC 4954 §4, RFC 4959 §3).
pub(super) fn decode(text: &[u8]) -> Option<String> {
    if text == b"=" {
        return Some(String::new());
    }
    String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_from_the_last_line() {
        let check = |service, reply: &str, expected| assert_eq!(Answer::of(service, "a1", reply), expected, "{reply}");
        check(Service::Imap, "a1 OK user x logged in\r\n", Answer::Accepted);
        check(Service::Imap, "a1 NO [AuthenticationFailed] Authentication Failed\r\n", Answer::Rejected);
        check(Service::Imap, "* NO [ALERT] x\r\na1 NO [AUTHENTICATIONFAILED] x\r\n", Answer::Rejected);
        check(Service::Imap, "a1 NO x", Answer::Otherwise);
        check(Service::Imap, "a1 BAD [UNAVAILABLE] x", Answer::Otherwise);
        check(Service::Imap, "a11 OK x", Answer::Otherwise);
        check(Service::Imap, "* OK x", Answer::Otherwise);
        check(Service::Smtp, "235 2.7.0 x", Answer::Accepted);
        check(Service::Smtp, "535-5.7.8 x\r\n535 5.7.8 y", Answer::Rejected);
        check(Service::Smtp, "535-5.7.8 x\r\n235 2.7.0 y", Answer::Otherwise);
        check(Service::Smtp, "454 4.7.0 x", Answer::Otherwise);
        check(Service::Smtp, "", Answer::Otherwise);
    }

    #[test]
    fn plain_takes_the_three_parts_of_rfc_4616() {
        let pair = |message: &str| Pair::from_plain(BASE64_STANDARD.encode(message).as_bytes());
        let right = pair("\0john\0secret").unwrap();
        assert_eq!((right.username.as_str(), right.password.as_str()), ("john", "secret"));
        assert_eq!(pair("root\0john\0secret").unwrap().username, "john for root");
        assert!(pair("john\0secret").is_none());
        assert!(pair("\0john\0secret\0more").is_none());
        assert!(Pair::from_plain(b"***").is_none());
        assert!(Pair::from_plain(b"=").is_none());
    }
}
