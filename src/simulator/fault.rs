//! What can go wrong on the way to iCloud Mail and there, as a server can show it on the wire.
//!
//! Names the faults and their stages in the words of the RFCs, as pure data: what each says is in `script.rs`, and
//! `wire.rs` carries it out. Contains no networking code.

use std::time::Duration;

use super::Security;

/// A point of a connection at which a fault can strike.
///
/// With implicit TLS they come in the order `Connect`, `Handshake`, `AfterTls`, `Greeting`, `Capability`, `Login`,
/// `AfterLogin`; with STARTTLS in the order `Connect`, `Greeting`, `Capability`, `StartTls`, `Handshake`, `AfterTls`,
/// `Capability`, `Login`, `AfterLogin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// TCP is up and no byte was exchanged.
    Connect,
    /// In place of the greeting (RFC 3501 §7.1) or the 220 (RFC 5321 §3.1).
    Greeting,
    /// In place of the answer to CAPABILITY (RFC 3501 §6.1.1) or EHLO (RFC 5321 §4.1.1.1), before and after TLS.
    Capability,
    /// In place of the answer to STARTTLS (RFC 3501 §6.2.1, RFC 3207 §4).
    StartTls,
    /// The first bytes of the ClientHello (RFC 8446 §4.1.2) are there; in place of the ServerHello.
    Handshake,
    /// The handshake is complete and nothing was said in it yet.
    AfterTls,
    /// In place of the answer to LOGIN, AUTHENTICATE (RFC 3501 §6.2) or AUTH (RFC 4954 §4).
    Login,
    /// Straight after that answer, whatever it was.
    AfterLogin,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Greeting,
        Self::Capability,
        Self::StartTls,
        Self::Handshake,
        Self::AfterTls,
        Self::Login,
        Self::AfterLogin,
    ];

    /// Whether the account is known by then, so that the fault can be one account's.
    #[must_use]
    pub const fn knows_account(self) -> bool {
        match self {
            Self::Login | Self::AfterLogin => true,
            Self::Connect | Self::Greeting | Self::Capability | Self::StartTls | Self::Handshake | Self::AfterTls => {
                false
            }
        }
    }
}

/// One thing that is wrong with a service, from the next connection on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    // The network (RFC 9293).
    /// Nobody listens on the port: RST in answer to SYN. The port stays reserved; it listens again when the fault ends.
    ConnectionRefused,
    /// Silence; the connection stays open until the client leaves.
    Hang(Stage),
    /// An orderly end: close_notify where TLS is up (RFC 8446 §6.1), then FIN.
    Close(Stage),
    /// FIN without close_notify, as iCloud does after a failed login (fact 3.6).
    Truncate(Stage),
    /// RST.
    Reset(Stage),
    /// Everything said, byte by byte with this pause between two. Each read makes progress, the whole takes for ever.
    Drip(Duration),

    // TLS.
    /// The chain ends in a certificate authority nobody knows.
    UntrustedIssuer,
    /// The certificate's time is over.
    CertificateExpired,
    /// The certificate is for `wrong.example`.
    CertificateNameMismatch,
    /// A fatal alert handshake_failure (RFC 8446 §6.2) in place of the ServerHello.
    HandshakeFailure,
    /// The greeting in the clear where TLS was due.
    PlainTextForTls,
    /// A web server: 400 to the ClientHello, or, with STARTTLS, a redirection in place of the greeting.
    HttpForMail,
    /// STARTTLS is not in the list and not taken. With implicit TLS: no fault.
    StartTlsNotOffered,
    /// IMAP `BAD`, SMTP `454 4.7.0` (RFC 3207 §4) to STARTTLS. With implicit TLS: no fault.
    StartTlsRefused,
    /// These bytes in the clear in one segment with the go-ahead of STARTTLS; a valid session follows. A client that keeps
    /// them across the upgrade takes them for the server's (crates P7). With implicit TLS: no fault.
    InjectedBeforeTls(String),

    // What the server says before the login.
    /// `* BYE [UNAVAILABLE]` (RFC 3501 §7.1.5), `421 4.3.2` (RFC 5321 §3.8) and the end in place of the greeting.
    ByeGreeting,
    /// `* PREAUTH` (RFC 3501 §7.1.4). SMTP knows none: no fault.
    PreauthGreeting,
    /// No password mechanism in the list; `LOGINDISABLED` (RFC 3501 §6.2.3) on IMAP, no AUTH line (RFC 4954 §3) on SMTP.
    LoginDisabled,
    /// `454 4.7.0` (RFC 4954 §4.7.2) to EHLO; `BAD [UNAVAILABLE]` to CAPABILITY.
    CapabilityUnavailable,

    // What the server says to the login.
    /// Every pair is refused as a dead one is: the worst kind of outage (fact 3.7).
    RejectValid,
    /// Every pair of a known account is taken: revocation has not come through yet (fact 8.2).
    AcceptDead,
    /// IMAP `BAD [UNAVAILABLE] Service temporarily unavailable` (fact 3.4); SMTP `454 4.7.0` (fact 4.4).
    Unavailable,
    /// IMAP `NO [UNAVAILABLE]` (RFC 5530); SMTP `451 4.3.0`.
    UnavailableNo,
    /// `NO [AUTHENTICATIONFAILED]` with a text that says "temporary"; SMTP `535 5.7.8` the same.
    TemporaryWords,
    /// IMAP `NO [LIMIT]` (RFC 5530); SMTP `421 4.7.0`; both with "too many", then the end on SMTP.
    Throttled,
    /// Untagged `* BYE` before the tagged answer (RFC 3501 §7.1.5), SMTP `421`, and the end.
    ByeAtLogin,
    /// `NO` without a response code; SMTP `535` without text, which lettre cannot read (crates P11).
    NoWithoutCode,
    /// `NO [ALERT]` after an untagged `* NO [ALERT]`; SMTP `534 5.7.9` (RFC 4954 §6) on two lines.
    Alert,
    /// `OK` to somebody else's command; SMTP `250` in answer to AUTH.
    WrongTag,
    /// A refusal with a byte that is not UTF-8.
    EightBitText,
    /// A refusal with terminal escapes, markup, a bell and a right-to-left override.
    ControlText,
    /// `NO [ALERT]é`, at which imap-proto panics (crates P1); SMTP `535-` that ends with another code.
    ParserTrap,
    /// A refusal ended by a bare line feed.
    BareLineFeed,

    // What is not the protocol.
    /// A line of NUL, high and low bytes.
    Garbage(Stage),
    /// A line without an end.
    EndlessLine(Stage),
    /// Lines without an end, each well-formed.
    Flood(Stage),
    /// A literal of 500,000,000 bytes (RFC 3501 §4.3; crates P5). SMTP knows none: an endless line.
    HugeLiteral(Stage),

    /// These words and a line end. On IMAP the tag is put in front in answer to a command, unless the text begins with `*`
    /// or `+` or holds `{tag}`, which stands for it. Several lines: separate them by CR LF. A greeting or answer of this
    /// kind has the consequences of its meaning: `OK` and `235` log in, `BYE` and `421` end the connection.
    Reply(Stage, String),
}

impl Fault {
    /// One of each kind that makes sense at `security`, for tables: rehearsals and tests go through them all.
    #[must_use]
    pub fn samples(security: Security) -> Vec<Self> {
        let stages = || {
            Stage::ALL.into_iter().filter(move |stage| match security {
                Security::StartTls => true,
                Security::Implicit => *stage != Stage::StartTls,
            })
        };
        let unprotocolled = || [Stage::Greeting, Stage::Capability, Stage::Login].into_iter();
        let mut samples = vec![
            Self::ConnectionRefused,
            Self::Drip(Duration::from_millis(1)),
            Self::UntrustedIssuer,
            Self::CertificateExpired,
            Self::CertificateNameMismatch,
            Self::HandshakeFailure,
            Self::PlainTextForTls,
            Self::HttpForMail,
            Self::ByeGreeting,
            Self::PreauthGreeting,
            Self::LoginDisabled,
            Self::CapabilityUnavailable,
            Self::RejectValid,
            Self::AcceptDead,
            Self::Unavailable,
            Self::UnavailableNo,
            Self::TemporaryWords,
            Self::Throttled,
            Self::ByeAtLogin,
            Self::NoWithoutCode,
            Self::Alert,
            Self::WrongTag,
            Self::EightBitText,
            Self::ControlText,
            Self::ParserTrap,
            Self::BareLineFeed,
            Self::Reply(Stage::Login, "NO [EXPIRED] Password expired".into()),
        ];
        samples.extend(stages().flat_map(|s| [Self::Hang(s), Self::Close(s), Self::Truncate(s), Self::Reset(s)]));
        samples.extend(
            unprotocolled()
                .flat_map(|s| [Self::Garbage(s), Self::EndlessLine(s), Self::Flood(s), Self::HugeLiteral(s)]),
        );
        if security == Security::StartTls {
            samples.extend([
                Self::StartTlsNotOffered,
                Self::StartTlsRefused,
                Self::InjectedBeforeTls("250 AUTH PLAIN\r\n535 5.7.8 forged\r\n".into()),
            ]);
        }
        samples
    }

    /// Whether it strikes at or after the login, so that it can be one account's.
    #[must_use]
    pub fn knows_account(&self) -> bool {
        match self {
            Self::Hang(stage)
            | Self::Close(stage)
            | Self::Truncate(stage)
            | Self::Reset(stage)
            | Self::Garbage(stage)
            | Self::EndlessLine(stage)
            | Self::Flood(stage)
            | Self::HugeLiteral(stage)
            | Self::Reply(stage, _) => stage.knows_account(),
            Self::RejectValid
            | Self::AcceptDead
            | Self::Unavailable
            | Self::UnavailableNo
            | Self::TemporaryWords
            | Self::Throttled
            | Self::ByeAtLogin
            | Self::NoWithoutCode
            | Self::Alert
            | Self::WrongTag
            | Self::EightBitText
            | Self::ControlText
            | Self::ParserTrap
            | Self::BareLineFeed => true,
            Self::ConnectionRefused
            | Self::Drip(_)
            | Self::UntrustedIssuer
            | Self::CertificateExpired
            | Self::CertificateNameMismatch
            | Self::HandshakeFailure
            | Self::PlainTextForTls
            | Self::HttpForMail
            | Self::StartTlsNotOffered
            | Self::StartTlsRefused
            | Self::InjectedBeforeTls(_)
            | Self::ByeGreeting
            | Self::PreauthGreeting
            | Self::LoginDisabled
            | Self::CapabilityUnavailable => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_knows_the_account_makes_a_fault_of_an_account() {
        for stage in Stage::ALL {
            assert_eq!(
                Fault::Hang(stage).knows_account(),
                matches!(stage, Stage::Login | Stage::AfterLogin),
                "{stage:?}"
            );
        }
        assert!(Fault::RejectValid.knows_account());
        assert!(!Fault::ConnectionRefused.knows_account());
        assert!(!Fault::Drip(Duration::ZERO).knows_account());
    }

    #[test]
    fn samples_hold_no_starttls_fault_for_implicit_tls() {
        let implicit = Fault::samples(Security::Implicit);
        assert!(!implicit.contains(&Fault::StartTlsRefused));
        assert!(!implicit.contains(&Fault::Hang(Stage::StartTls)));
        assert!(Fault::samples(Security::StartTls).contains(&Fault::StartTlsRefused));
    }
}
