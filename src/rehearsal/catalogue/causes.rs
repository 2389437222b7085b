//! Every cause of `verdicts.md`, part 1, on each service: it is called what it is, and nothing is told of it.

use std::time::Duration;

use super::house;
use crate::{
    health::{
        credential::Health,
        evidence::{Cause, Service, Services},
    },
    rehearsal::{
        promise::Promise,
        scenario::{End, Group, Happening, Scenario, Until, Weather, Wiring},
    },
    simulator::{Fault, Stage},
};

/// A byte of a server that takes for ever.
const DRIP: Duration = Duration::from_millis(50);

pub(super) fn scenarios(promise: &Promise) -> Vec<Scenario> {
    let on = |service: Service| {
        Cause::ALL.into_iter().filter_map(move |cause| {
            let (what, weathers) = weathers(service, cause)?;
            let name = format!("{service}-{cause}");
            let label = match service {
                Service::Imap => "IMAP",
                Service::Smtp => "SMTP",
            };
            let wiring = match cause {
                Cause::TlsNotOffered => Wiring::StartTls,
                Cause::SecretUnavailable
                | Cause::SecretMalformed
                | Cause::Offline
                | Cause::Unreachable
                | Cause::TimedOut
                | Cause::CaptivePortal
                | Cause::TlsFailed
                | Cause::Unavailable
                | Cause::Throttled
                | Cause::ConnectionLost
                | Cause::RefusedOtherwise
                | Cause::ProtocolViolation => Wiring::AsConfigured,
            };
            let only = Services::only(service);
            let mut play = Scenario::new(Group::Causes, name, format!("{label} {what}"), house(&[1])).on(wiring);
            for weather in weathers {
                play = play
                    .act(Until::For(promise.noticed() + promise.timeout()), [Happening::Weather(only, weather)])
                    .ends(End::Sees(service, cause))
                    .ends(End::All(Health::Healthy));
            }
            let fine = [Happening::Weather(only, Weather::Fine)];
            Some(play.act(Until::For(promise.noticed()), fine).ends(End::All(Health::Healthy)).ends(End::Refusals(0)))
        })
    };
    Service::ALL.into_iter().flat_map(on).collect()
}

/// What happens, in words, and each way in which it does; `None` for causes that are no service's.
fn weathers(service: Service, cause: Cause) -> Option<(&'static str, Vec<Weather>)> {
    let imap = service == Service::Imap;
    let reply = |imap_says: &str, smtp_says: &str| {
        Fault::Reply(Stage::Login, if imap { imap_says } else { smtp_says }.to_owned())
    };
    let (what, faults) = match cause {
        Cause::SecretUnavailable | Cause::SecretMalformed => return None,
        Cause::Offline => return Some(("has a name that does not resolve", vec![Weather::Offline])),
        Cause::Unreachable => (
            "refuses connections",
            vec![Fault::ConnectionRefused, Fault::Reset(Stage::Connect), Fault::Reset(Stage::Handshake)],
        ),
        Cause::TimedOut => (
            "gives no answer",
            vec![
                Fault::Hang(Stage::Connect),
                Fault::Hang(Stage::Greeting),
                Fault::Hang(Stage::Handshake),
                Fault::Hang(Stage::Login),
                Fault::Drip(DRIP),
            ],
        ),
        Cause::CaptivePortal => ("is behind a login page", vec![Fault::HttpForMail]),
        Cause::TlsFailed => (
            "shows a bad certificate",
            vec![
                Fault::UntrustedIssuer,
                Fault::CertificateExpired,
                Fault::CertificateNameMismatch,
                Fault::HandshakeFailure,
            ],
        ),
        Cause::TlsNotOffered => ("offers no STARTTLS", vec![Fault::StartTlsNotOffered, Fault::StartTlsRefused]),
        Cause::Unavailable => (
            "is temporarily unavailable",
            vec![
                Fault::Unavailable,
                Fault::UnavailableNo,
                Fault::TemporaryWords,
                Fault::ByeGreeting,
                Fault::ByeAtLogin,
            ],
        ),
        Cause::Throttled => (
            "says too many logins",
            vec![Fault::Throttled, reply("NO [INUSE] Too many sessions", "450 4.7.1 rate limit exceeded")],
        ),
        Cause::ConnectionLost => (
            "hangs up",
            vec![
                Fault::Close(Stage::Greeting),
                Fault::Close(Stage::Login),
                Fault::Truncate(Stage::Login),
                Fault::Reset(Stage::Login),
            ],
        ),
        Cause::RefusedOtherwise => (
            "refuses for another reason",
            vec![
                Fault::Alert,
                Fault::LoginDisabled,
                Fault::ControlText,
                reply("NO [EXPIRED] Password expired", "530 5.7.0 Must authenticate first"),
                reply("NO Login refused", "550 5.7.1 Refused"),
            ],
        ),
        Cause::ProtocolViolation => (
            "talks nonsense",
            vec![
                Fault::Garbage(Stage::Greeting),
                Fault::Garbage(Stage::Login),
                Fault::EndlessLine(Stage::Login),
                Fault::Flood(Stage::Login),
                Fault::HugeLiteral(Stage::Login),
                Fault::WrongTag,
                Fault::ParserTrap,
                Fault::BareLineFeed,
            ],
        ),
    };
    Some((what, faults.into_iter().map(Weather::Fault).collect()))
}
