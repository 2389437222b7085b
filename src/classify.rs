//! What an attempt heard -> its finding. The page to audit.
//!
//! Decides `accepted`, `rejected` or `inconclusive` with its cause, from status word, response code and reply code; a text
//! alone is never the ground for `rejected`. Performs no IO, reads no clock, draws no randomness. Past misreadings of other
//! programs stand beside the rule that prevents them.

pub mod redact;
pub mod reply;

use std::{fmt, time::Duration};

use self::{
    redact::shown,
    reply::{ImapReply, SmtpReply, Status},
};
use crate::health::evidence::{Cause, Finding, Outcome};

/// How far an attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Name resolution.
    Resolving,
    /// TCP.
    Connecting,
    /// The TLS handshake.
    Tls,
    /// The first words of the server.
    Greeting,
    /// CAPABILITY (RFC 3501, section 6.1.1) or EHLO (RFC 5321, section 4.1.1.1).
    Capability,
    /// STARTTLS (RFC 3501 section 6.2.1, RFC 3207).
    StartTls,
    /// AUTHENTICATE, LOGIN or AUTH was sent.
    Login,
    /// After the login: MAIL, RCPT, DATA and the message (RFC 5321, section 3.3).
    Message,
}

impl Stage {
    /// What was being waited for: fits after "while waiting for".
    #[must_use]
    pub const fn awaited(self) -> &'static str {
        match self {
            Self::Resolving => "name resolution",
            Self::Connecting => "the connection",
            Self::Tls => "the TLS handshake",
            Self::Greeting => "the greeting",
            Self::Capability => "the list of capabilities",
            Self::StartTls => "the answer to STARTTLS",
            Self::Login => "the answer to the login",
            Self::Message => "the answer to the message",
        }
    }
}

/// Everything an attempt can end with. Texts of servers in it are redacted; own texts hold none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// No route, no network, or name resolution failed. In own words.
    NoNetwork(String),
    /// Connection refused, or reset before TLS was up. In own words.
    Unreachable(String),
    /// The time limit passed; `None` where the system gave up before it.
    Silence(Stage, Option<Duration>),
    /// HTTP, or other plain text where TLS was due.
    PlainText {
        /// It was HTTP: most likely the login page of a network.
        http: bool,
    },
    /// Handshake or certificate. In own words.
    TlsFailed(String),
    /// The server does not announce STARTTLS.
    StartTlsMissing,
    /// A status response of IMAP: tagged, or `BYE`, `PREAUTH` or a bad greeting.
    Imap {
        /// In answer to what.
        stage: Stage,
        /// The response.
        reply: ImapReply,
        /// The last untagged `NO`, `BAD` or `[ALERT]` before a tagged one; the first with a temporary sign, if there is one.
        before: Option<ImapReply>,
    },
    /// A reply of SMTP.
    Smtp {
        /// In answer to what.
        stage: Stage,
        /// The reply.
        reply: SmtpReply,
    },
    /// There was no way to log in, so nothing was sent. In own words.
    LoginNotOffered(&'static str),
    /// End of file or reset, after TCP was up (end of file) or TLS was up (reset).
    Lost(Stage),
    /// Not the protocol. In own words.
    Violation(&'static str),
    /// A parser panicked (`facts/crates.md` P1).
    Panicked,
    /// The program is ending.
    Interrupted,
}

/// The finding of an attempt, and the code it rests on: the response code (RFC 5530), or the reply code with its enhanced
/// status code (RFC 3463).
///
/// First match wins: network, TLS, any temporary sign, then the code.
#[must_use]
pub fn classify(heard: &Heard) -> (Finding, Option<String>) {
    let inconclusive = |cause| (Finding::Inconclusive(cause), None);
    match heard {
        // GNOME Online Accounts 3.46 called a failed name resolution "Invalid imap-password" (`facts/peers.md` 0.1).
        Heard::NoNetwork(_) => inconclusive(Cause::Offline),
        Heard::Unreachable(_) => inconclusive(Cause::Unreachable),
        Heard::Silence(..) => inconclusive(Cause::TimedOut),
        Heard::PlainText { .. } => inconclusive(Cause::CaptivePortal),
        // Delta Chat reported a changed certificate as a wrong password (chatmail/core#1910).
        Heard::TlsFailed(_) => inconclusive(Cause::TlsFailed),
        Heard::StartTlsMissing => inconclusive(Cause::TlsNotOffered),
        Heard::Imap { stage, reply, before } => (imap(*stage, reply, before.as_ref()), reply.code.clone()),
        Heard::Smtp { stage, reply } => (smtp(*stage, reply), Some(reply.codes())),
        Heard::LoginNotOffered(_) => inconclusive(Cause::RefusedOtherwise),
        // An end of file proves nothing in either direction: iCloud hangs up without close_notify after a refused LOGIN
        // (lefcha/imapfilter#125), and on clients that reconnect too fast. The refusal itself, where one came, was kept.
        Heard::Lost(_) | Heard::Interrupted => inconclusive(Cause::ConnectionLost),
        Heard::Violation(_) | Heard::Panicked => inconclusive(Cause::ProtocolViolation),
    }
}

#[expect(clippy::match_same_arms, reason = "one arm per rule, each beside the misreading it prevents")]
fn imap(stage: Stage, reply: &ImapReply, before: Option<&ImapReply>) -> Finding {
    let both = || [Some(reply), before].into_iter().flatten();
    match reply.status {
        // A tagged OK is proof, whatever its text says (it may speak of temporary things).
        Status::Ok if stage == Stage::Login => Finding::Accepted,
        Status::Ok => Finding::Inconclusive(Cause::ProtocolViolation),
        // Nobody logged in here, so it says nothing on the pair.
        Status::Preauth => Finding::Inconclusive(Cause::RefusedOtherwise),
        // KDE's IMAP resource showed a BYE as "refused the supplied username and password" (`facts/peers.md` 1.2).
        Status::Bye if is_limit(reply) => Finding::Inconclusive(Cause::Throttled),
        Status::Bye => Finding::Inconclusive(temporary(&reply.text)),
        Status::No | Status::Bad if stage == Stage::StartTls => Finding::Inconclusive(Cause::TlsNotOffered),
        Status::No | Status::Bad if both().any(is_limit) => Finding::Inconclusive(Cause::Throttled),
        // iCloud answers valid logins `BAD [UNAVAILABLE] Service temporarily unavailable` now and then: BAD, not NO. MailCore
        // took it for a wrong password (mailcore2#1642); curl and check_simap still cannot tell the two apart.
        Status::No | Status::Bad if both().any(is_temporary) => {
            let hurried = both().any(|reply| says_too_fast(&reply.text));
            Finding::Inconclusive(if hurried { Cause::Throttled } else { Cause::Unavailable })
        }
        // The one IMAP answer that speaks of the pair. GNOME Online Accounts from 3.51.1 on reads any tagged NO as "failed"
        // and never tells (`facts/peers.md` 0.1); Delta Chat looked for "authentication" in the text. Only the code counts.
        Status::No if stage == Stage::Login && reply.has_code("AUTHENTICATIONFAILED") => Finding::Rejected,
        // K-9 Mail takes a NO without a code for a wrong password (RealImapConnection). It can be anything.
        Status::No => Finding::Inconclusive(Cause::RefusedOtherwise),
        // iCloud answers `BAD Parse Error` to syntax it does not know, and BAD to an empty password (Mew#220).
        Status::Bad => Finding::Inconclusive(Cause::ProtocolViolation),
    }
}

fn smtp(stage: Stage, reply: &SmtpReply) -> Finding {
    match (stage, reply.code) {
        // 421 may answer any command and means "closing" (RFC 5321, section 3.8): no refusal of TLS.
        (Stage::StartTls, 400..=420 | 422..=599) => Finding::Inconclusive(Cause::TlsNotOffered),
        // check_smtp gives one CRITICAL for 454 and 535; GNOME Online Accounts 3.46 flagged the account for both.
        (_, 400..=499) => Finding::Inconclusive(temporary(&reply.text)),
        (_, 500..=599) if says_temporary(&reply.text) => Finding::Inconclusive(temporary(&reply.text)),
        (Stage::Login, 235) => Finding::Accepted,
        // lettre's `is_permanent` is true for a 554 greeting and for 534 too (`facts/crates.md` P11): only 535, and only in
        // answer to AUTH, speaks of the pair (RFC 4954, section 6).
        (Stage::Login, 535) => Finding::Rejected,
        (_, 500..=599) => Finding::Inconclusive(Cause::RefusedOtherwise),
        (_, _) => Finding::Inconclusive(Cause::ProtocolViolation),
    }
}

/// Whether a response of IMAP says that the trouble will pass.
#[must_use]
pub fn is_temporary_sign(reply: &ImapReply) -> bool {
    is_limit(reply) || is_temporary(reply)
}

/// RFC 5530: too many connections or logins, or a mailbox in use. Not seen at iCloud.
fn is_limit(reply: &ImapReply) -> bool {
    ["LIMIT", "INUSE", "OVERQUOTA"].into_iter().any(|code| reply.has_code(code))
}

/// A temporary sign counts even beside `AUTHENTICATIONFAILED`: clients showed Apple's 503 as "Invalid email/password"
/// (icloud_photos_downloader#1078), and whether its mail servers do the like is unknown (`facts/icloud.md` 3.7).
fn is_temporary(reply: &ImapReply) -> bool {
    reply.has_code("UNAVAILABLE") || says_temporary(&reply.text)
}

/// "temporary", "temporarily", in any case.
fn says_temporary(text: &str) -> bool {
    text.to_ascii_lowercase().contains("temporar")
}

/// "too many", or "rate" as a word: "operate" and "separate" are no hurry.
fn says_too_fast(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("too many") || text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "rate")
}

/// The cause of a temporary refusal.
fn temporary(text: &str) -> Cause {
    if says_too_fast(text) { Cause::Throttled } else { Cause::Unavailable }
}

impl Heard {
    /// Finding, code and words of an attempt, as they are recorded. `took` is `None` where no connection was made.
    #[must_use]
    pub fn into_outcome(self, took: Option<Duration>) -> Outcome {
        let (finding, code) = classify(&self);
        Outcome { finding, code, detail: Some(shown(&self.to_string())), took }
    }
}

/// The server's own words where there are any, else ours.
impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNetwork(words) | Self::Unreachable(words) | Self::TlsFailed(words) => f.write_str(words),
            Self::Silence(stage, Some(limit)) => {
                write!(f, "no answer within {limit:?} while waiting for {}", stage.awaited())
            }
            Self::Silence(stage, None) => write!(f, "no answer while waiting for {}", stage.awaited()),
            Self::PlainText { http: true } => {
                f.write_str("the server speaks HTTP where TLS was due: probably the sign-in page of a network")
            }
            Self::PlainText { http: false } => f.write_str("the server speaks plain text where TLS was due"),
            Self::StartTlsMissing => f.write_str("the server does not offer STARTTLS; no login was sent"),
            Self::Imap { reply, before: Some(before), .. } => write!(f, "{reply} (before it: {before})"),
            Self::Imap { reply, before: None, .. } => reply.fmt(f),
            Self::Smtp { reply, .. } => reply.fmt(f),
            Self::LoginNotOffered(words) | Self::Violation(words) => f.write_str(words),
            Self::Lost(stage) => write!(f, "the connection ended while waiting for {}", stage.awaited()),
            Self::Panicked => f.write_str("the server's words made a parser fail"),
            Self::Interrupted => f.write_str("the attempt was interrupted"),
        }
    }
}

#[cfg(test)]
#[path = "classify/table.rs"]
mod tests;
