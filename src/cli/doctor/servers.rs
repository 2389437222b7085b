//! The servers: does each name resolve, does each take connections, is its encryption trusted? And what stands between where
//! not: a firewall that blocks port 587, a proxy that reads along, a wrong clock.
//!
//! No login is made.

use std::time::Duration;

use super::line::{Check, Line};
use crate::{
    api::Time,
    config::{Config, Server, TlsMode, icloud},
    health::evidence::{Cause, PerService, Service},
    probe::{self, Look, ProberError},
};

/// One look takes at most so long, whatever the configuration grants a login.
pub(super) const LONGEST: Duration = Duration::from_secs(15);

/// What a server's certificate says of the clock; `None` where nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// The certificate is valid now.
    Fits,
    /// It begins later than now: who, and when.
    Behind(String, Time),
    /// It ended before now.
    Ahead(String, Time),
}

pub(super) async fn check(config: &Config, now: Time, local: &dyn Fn(Time) -> String) -> (Vec<Line>, Option<Clock>) {
    let limit = config.timeout.min(LONGEST);
    let look = |service| {
        let (server, ca) = (config.servers.of(service), config.extra_ca.as_deref());
        async move { probe::look(service, server, ca, limit).await }
    };
    let (imap, smtp) = tokio::join!(look(Service::Imap), look(Service::Smtp));
    judge(config, PerService { imap: &imap, smtp: &smtp }, now, local)
}

type Found<'a> = PerService<&'a Result<Look, ProberError>>;

fn judge(config: &Config, found: Found, now: Time, local: &dyn Fn(Time) -> String) -> (Vec<Line>, Option<Clock>) {
    let mut lines = Vec::new();
    let mut clock = None;
    for service in Service::ALL {
        // Trouble with the certificates is the configuration's, and said there.
        let Ok(look) = found.of(service) else { continue };
        let other = found.of(service.other()).as_ref().ok();
        let server = config.servers.of(service);
        lines.push(
            line(service, server, look, other, now, local).of(&format!("{service} {}:{}", server.host, server.port)),
        );
        // One that fits is enough: then the other certificate is no good, and not the clock.
        match what_of_the_clock(server, look, now) {
            Some(Clock::Fits) => clock = Some(Clock::Fits),
            other => clock = clock.or(other),
        }
    }
    (lines, clock)
}

fn line(
    service: Service,
    server: &Server,
    look: &Look,
    other: Option<&Look>,
    now: Time,
    local: &dyn Fn(Time) -> String,
) -> Line {
    let about = Check::Server;
    let (host, port) = (&server.host, server.port);
    let show = openssl(service, server);
    let Some((cause, words)) = &look.trouble else {
        if let Some(issuer) = foreign_issuer(service, server, look) {
            let says = format!(
                "answers, encrypted and trusted, but its certificate is by {issuer}, and Apple's are its own: a proxy or an \
                 antivirus program reads encrypted connections here, most likely, and sees your passwords"
            );
            return Line::warning(about, says, show);
        }
        let issuer = look.certificate.as_ref().map(|it| format!("; certificate by {}", it.issuer)).unwrap_or_default();
        let addresses = match look.addresses.len() {
            1 => "1 address".to_owned(),
            n => format!("{n} addresses"),
        };
        let ms = look.took.as_millis();
        return Line::ok(about, format!("answers, encrypted and trusted ({addresses}, {ms} ms){issuer}"));
    };
    if look.addresses.is_empty() {
        let both = other.is_some_and(|other| other.addresses.is_empty());
        let what = if both { "no name resolves: no network, or no name server" } else { "its name does not resolve" };
        let remedy = if cfg!(target_os = "macos") {
            format!("dscacheutil -q host -a name {host}")
        } else {
            format!("getent hosts {host}")
        };
        return Line::failure(about, format!("{what} ({words})"), remedy);
    }
    let try_it = format!("nc -vz {host} {port}");
    if !look.connected {
        let beside = other.is_some_and(|other| other.connected);
        return match cause {
            Cause::TimedOut if beside => Line::failure(
                about,
                format!(
                    "port {port} does not answer, although the other server does: a firewall of this network blocks {port}, \
                     most likely; passwords cannot be tried for {service} here"
                ),
                format!("{try_it}   # from another network, too"),
            ),
            Cause::TimedOut => Line::failure(about, format!("{words}: a firewall, or no network"), try_it),
            Cause::SecretUnavailable
            | Cause::SecretMalformed
            | Cause::Offline
            | Cause::Unreachable
            | Cause::CaptivePortal
            | Cause::TlsFailed
            | Cause::TlsNotOffered
            | Cause::Unavailable
            | Cause::Throttled
            | Cause::ConnectionLost
            | Cause::RefusedOtherwise
            | Cause::ProtocolViolation => Line::failure(about, words.clone(), try_it),
        };
    }
    match (cause, &look.certificate) {
        (Cause::TlsFailed, Some(certificate)) => {
            let [from, until] = [certificate.not_before, certificate.not_after].map(Time::from_unix);
            let issuer = &certificate.issuer;
            if now < from || now > until {
                let says = format!(
                    "its certificate, by {issuer}, is valid from {} to {}, which is not now",
                    local(from),
                    local(until)
                );
                return Line::failure(about, says, show);
            }
            let says = format!(
                "{words}. The certificate was issued by {issuer}: if that is not Apple's, a proxy or an antivirus program \
                 reads encrypted connections here. If you trust it, name its CA file in tls.extra_ca"
            );
            Line::failure(about, says, show)
        }
        (Cause::CaptivePortal, _) => Line::failure(
            about,
            words.clone(),
            "open any page in a browser and sign in to the network; then keypulse doctor",
        ),
        (Cause::TlsNotOffered, _) => {
            let says = format!("{words}; something between here and there takes the encryption out, most likely");
            Line::failure(about, says, show)
        }
        (Cause::Unavailable | Cause::Throttled, _) => {
            Line::warning(about, format!("it answers, but for now says: {words}"), "keypulse doctor   # a little later")
        }
        (
            Cause::SecretUnavailable
            | Cause::SecretMalformed
            | Cause::Offline
            | Cause::Unreachable
            | Cause::TimedOut
            | Cause::TlsFailed
            | Cause::ConnectionLost
            | Cause::RefusedOtherwise
            | Cause::ProtocolViolation,
            _,
        ) => Line::failure(about, words.clone(), show),
    }
}

/// The command that shows who stands there.
fn openssl(service: Service, server: &Server) -> String {
    let upgrade = match (server.tls, service) {
        (TlsMode::Implicit, _) => "",
        (TlsMode::StartTls, Service::Imap) => " -starttls imap",
        (TlsMode::StartTls, Service::Smtp) => " -starttls smtp",
    };
    format!("openssl s_client -connect {}:{}{upgrade}", server.host, server.port)
}

/// Whoever made the certificate of one of iCloud's servers, if it is not Apple.
fn foreign_issuer<'look>(service: Service, server: &Server, look: &'look Look) -> Option<&'look str> {
    let issuer = look.certificate.as_ref().map(|certificate| certificate.issuer.as_str())?;
    let is_icloud = server.host.eq_ignore_ascii_case(&icloud().of(service).host);
    (is_icloud && !issuer.contains("Apple")).then_some(issuer)
}

fn what_of_the_clock(server: &Server, look: &Look, now: Time) -> Option<Clock> {
    let certificate = look.certificate.as_ref()?;
    let [from, until] = [certificate.not_before, certificate.not_after].map(Time::from_unix);
    if now < from {
        Some(Clock::Behind(server.host.clone(), from))
    } else if now > until {
        Some(Clock::Ahead(server.host.clone(), until))
    } else {
        Some(Clock::Fits)
    }
}

#[cfg(test)]
mod tests;
