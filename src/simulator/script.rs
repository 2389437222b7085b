//! What each fault says and does: the bytes on the wire.
//!
//! Decides, from a fault and a stage, the one action of a connection. Contains no networking code and reads nothing.

use super::{
    Security,
    fault::{Fault, Stage},
};
use crate::health::evidence::Service;

/// What a web server says to a ClientHello.
const HTTP_BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\n\
    Connection: close\r\n\r\n<html><body>The plain HTTP request was sent to HTTPS port</body></html>\r\n";
/// What a captive portal says to anybody.
const HTTP_FOUND: &str =
    "HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// Clears the screen, sets the title, colours, rings, marks up, turns the writing direction, ends with a DEL.
const CONTROL: &str = "\x1b[2J\x1b]0;owned\x07\x1b[31m<b>call</b> <a href=\"x\">us</a>\x07\t\u{202e}txet\u{7f}";

/// What a connection does at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Says nothing more.
    Hang,
    /// Ends the connection.
    End(Ending),
    /// Says these bytes; `{tag}` stands for the client's tag.
    Say(Vec<u8>),
    /// Says the first bytes once and the second ones until the client leaves.
    Endless(Vec<u8>, Vec<u8>),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Ending {
    /// close_notify, then FIN.
    #[default]
    Orderly,
    /// FIN alone.
    Truncated,
    /// RST.
    Reset,
}

impl Fault {
    /// What the connection does at `stage`; `None` where it goes on as usual.
    pub(super) fn at(&self, stage: Stage, service: Service, security: Security) -> Option<Action> {
        let (when, action) = self.script(service, security)?;
        (when == stage).then_some(action)
    }

    /// The stage at which this strikes and what is done there; `None` where it changes the session instead.
    fn script(&self, service: Service, security: Security) -> Option<(Stage, Action)> {
        let by = |imap: &str, smtp: &str| match service {
            Service::Imap => say(imap),
            Service::Smtp => say(smtp),
        };
        Some(match self {
            Self::Hang(stage) => (*stage, Action::Hang),
            Self::Close(stage) => (*stage, Action::End(Ending::Orderly)),
            Self::Truncate(stage) => (*stage, Action::End(Ending::Truncated)),
            Self::Reset(stage) => (*stage, Action::End(Ending::Reset)),
            Self::Garbage(stage) => (*stage, Action::Say(b"\0\xff\xfe\x01 garbage \x80\x81\0\r\n".to_vec())),
            Self::EndlessLine(stage) => (*stage, endless(service, *stage, "A".repeat(4096).as_bytes())),
            Self::Flood(stage) => (*stage, flood(service, *stage)),
            Self::HugeLiteral(stage) => (*stage, literal(service, *stage)),
            Self::Reply(stage, text) => (*stage, reply(*stage, service, text)),
            Self::HandshakeFailure => (Stage::Handshake, Action::Say(vec![0x15, 3, 3, 0, 2, 2, 40])),
            Self::PlainTextForTls => (Stage::Handshake, by("* OK IMAP4rev1 ready", "220 smtp.example ESMTP")),
            Self::HttpForMail => match security {
                Security::Implicit => (Stage::Handshake, Action::Say(HTTP_BAD_REQUEST.into())),
                Security::StartTls => (Stage::Connect, Action::Say(HTTP_FOUND.into())),
            },
            Self::StartTlsRefused => (
                Stage::StartTls,
                by("{tag} BAD STARTTLS not available", "454 4.7.0 TLS not available due to local problem"),
            ),
            Self::ByeGreeting => (
                Stage::Greeting,
                by("* BYE [UNAVAILABLE] Service temporarily unavailable", "421 4.3.2 Service shutting down"),
            ),
            Self::PreauthGreeting => match service {
                Service::Imap => (Stage::Greeting, say("* PREAUTH IMAP4rev1 logged in as somebody")),
                Service::Smtp => return None,
            },
            Self::CapabilityUnavailable => (
                Stage::Capability,
                by("{tag} BAD [UNAVAILABLE] Service temporarily unavailable", "454 4.7.0 Temporary failure"),
            ),
            Self::Unavailable => (
                Stage::Login,
                by(
                    "{tag} BAD [UNAVAILABLE] Service temporarily unavailable",
                    "454 4.7.0 Temporary authentication failure: Connection lost to authentication server",
                ),
            ),
            Self::UnavailableNo => {
                (Stage::Login, by("{tag} NO [UNAVAILABLE] Try again later", "451 4.3.0 Error: queue file write error"))
            }
            Self::TemporaryWords => (
                Stage::Login,
                by(
                    "{tag} NO [AUTHENTICATIONFAILED] Temporary authentication failure",
                    "535 5.7.8 Error: authentication failed: Temporary authentication failure",
                ),
            ),
            Self::Throttled => (
                Stage::Login,
                by("{tag} NO [LIMIT] Too many login attempts", "421 4.7.0 Error: too many login attempts"),
            ),
            Self::ByeAtLogin => {
                (Stage::Login, by("* BYE [UNAVAILABLE] Server shutting down", "421 4.3.2 Server shutting down"))
            }
            Self::NoWithoutCode => (Stage::Login, by("{tag} NO Login refused", "535")),
            Self::Alert => (
                Stage::Login,
                by(
                    "* NO [ALERT] Your account needs attention\r\n{tag} NO [ALERT] Please sign in at appleid.apple.com",
                    "534-5.7.9 Please sign in with your web browser\r\n534 5.7.9 at appleid.apple.com",
                ),
            ),
            Self::WrongTag => (Stage::Login, by("ZZ9999 OK user nobody logged in", "250 2.0.0 Ok")),
            Self::EightBitText => (Stage::Login, eight_bit(service)),
            Self::ControlText => {
                (Stage::Login, by(&["{tag} NO [CONTACTADMIN] ", CONTROL].concat(), &["550 5.7.1 ", CONTROL].concat()))
            }
            Self::ParserTrap => (Stage::Login, by("{tag} NO [ALERT]é", "535-5.7.8 one\r\n235 2.7.0 two")),
            Self::BareLineFeed => (
                Stage::Login,
                Action::Say(match service {
                    Service::Imap => b"{tag} NO [AUTHENTICATIONFAILED] Authentication Failed\n".to_vec(),
                    Service::Smtp => b"535 5.7.8 Error: authentication failed\n".to_vec(),
                }),
            ),
            Self::ConnectionRefused
            | Self::Drip(_)
            | Self::UntrustedIssuer
            | Self::CertificateExpired
            | Self::CertificateNameMismatch
            | Self::StartTlsNotOffered
            | Self::InjectedBeforeTls(_)
            | Self::LoginDisabled
            | Self::RejectValid
            | Self::AcceptDead => return None,
        })
    }
}

fn say(text: &str) -> Action {
    Action::Say([text.as_bytes(), b"\r\n"].concat())
}

fn reply(stage: Stage, service: Service, text: &str) -> Action {
    let answers = match stage {
        Stage::Capability | Stage::StartTls | Stage::Login => service == Service::Imap,
        Stage::Connect | Stage::Greeting | Stage::Handshake | Stage::AfterTls | Stage::AfterLogin => false,
    };
    if answers && !text.starts_with(['*', '+']) && !text.contains("{tag}") {
        say(&["{tag} ", text].concat())
    } else {
        say(text)
    }
}

/// Latin-1, as old servers speak it.
fn eight_bit(service: Service) -> Action {
    let before: &[u8] = match service {
        Service::Imap => b"{tag} NO [AUTHENTICATIONFAILED] ",
        Service::Smtp => b"535 5.7.8 ",
    };
    Action::Say([before, b"\xc9chec d'authentification\r\n"].concat())
}

/// How a reply of that stage begins.
const fn opening(service: Service, stage: Stage) -> &'static str {
    match (service, stage) {
        (Service::Imap, _) => "* OK ",
        (Service::Smtp, Stage::Login | Stage::AfterLogin) => "535-5.7.8 ",
        (Service::Smtp, Stage::Capability) => "250-",
        (Service::Smtp, Stage::Connect | Stage::Greeting | Stage::StartTls | Stage::Handshake | Stage::AfterTls) => {
            "220-"
        }
    }
}

fn endless(service: Service, stage: Stage, piece: &[u8]) -> Action {
    Action::Endless(opening(service, stage).into(), piece.to_vec())
}

fn flood(service: Service, stage: Stage) -> Action {
    let line = [opening(service, stage), "still here\r\n"].concat();
    Action::Endless(Vec::new(), line.repeat(64).into_bytes())
}

fn literal(service: Service, stage: Stage) -> Action {
    match service {
        Service::Imap => Action::Endless(b"* LIST () \"/\" {500000000}\r\n".to_vec(), vec![b'A'; 4096]),
        Service::Smtp => endless(service, stage, &[b'A'; 4096]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(service: Service, fault: &Fault, stage: Stage, expected: &str) {
        let action = fault.at(stage, service, Security::StartTls);
        let Some(Action::Say(bytes)) = action else { panic!("{fault:?} at {stage:?} does {action:?}") };
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{fault:?} at {stage:?}");
    }

    #[test]
    fn custom_replies_get_the_tag_only_where_a_command_is_answered() {
        let imap = |stage, text: &str, expected| {
            check(Service::Imap, &Fault::Reply(stage, text.into()), stage, expected);
        };
        imap(Stage::Login, "NO [EXPIRED] over", "{tag} NO [EXPIRED] over\r\n");
        imap(Stage::Login, "* BYE", "* BYE\r\n");
        imap(Stage::Login, "* NO [ALERT] x\r\n{tag} NO y", "* NO [ALERT] x\r\n{tag} NO y\r\n");
        imap(Stage::Greeting, "* BYE [ALERT] x", "* BYE [ALERT] x\r\n");
        check(Service::Smtp, &Fault::Reply(Stage::Login, "504 no".into()), Stage::Login, "504 no\r\n");
    }

    #[test]
    fn the_temporary_fault_of_icloud_is_bad_and_not_no() {
        check(
            Service::Imap,
            &Fault::Unavailable,
            Stage::Login,
            "{tag} BAD [UNAVAILABLE] Service temporarily unavailable\r\n",
        );
    }

    #[test]
    fn a_fault_strikes_at_its_own_stage_only() {
        for fault in Fault::samples(Security::StartTls) {
            let struck = Stage::ALL.into_iter().filter(|s| fault.at(*s, Service::Imap, Security::StartTls).is_some());
            assert!(struck.count() <= 1, "{fault:?}");
        }
    }
}
