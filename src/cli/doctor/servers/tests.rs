//! What stands between, told from what a look found.

use std::{net::IpAddr, time::Duration};

use jiff::tz::TimeZone;

use super::*;
use crate::{api::time, cli::doctor::line::Grade, probe::Certificate};

const NOW: i64 = 1_795_377_600; // 2026-11-22T20:00:00Z
const YEAR: i64 = 365 * 86_400;

fn seen(issuer: &str, from: i64, until: i64) -> Certificate {
    Certificate { issuer: issuer.to_owned(), not_before: NOW + from, not_after: NOW + until }
}

fn well() -> Look {
    Look {
        addresses: vec![IpAddr::from([17, 57, 155, 25])],
        connected: true,
        trouble: None,
        certificate: Some(seen("Apple Inc. (Apple Public Server RSA CA 12)", -YEAR, YEAR)),
        took: Duration::from_millis(180),
    }
}

fn unresolved() -> Look {
    let trouble = Some((Cause::Offline, "the name could not be resolved".to_owned()));
    Look { addresses: vec![], connected: false, trouble, certificate: None, ..well() }
}

fn silent() -> Look {
    let trouble = Some((Cause::TimedOut, "no answer within 15s while waiting for the connection".to_owned()));
    Look { connected: false, trouble, certificate: None, ..well() }
}

fn untrusted(certificate: Certificate) -> Look {
    let certificate = Some(certificate);
    Look { trouble: Some((Cause::TlsFailed, "the server's certificate is no good".to_owned())), certificate, ..well() }
}

/// The lines of both servers.
fn judged(imap: Look, smtp: Look) -> (Vec<Line>, Option<Clock>) {
    let now = Time::from_unix(NOW);
    let local = |at: Time| time::local(at, now, &TimeZone::UTC);
    judge(&Config::default(), PerService { imap: &Ok(imap), smtp: &Ok(smtp) }, now, &local)
}

#[track_caller]
fn check(imap: Look, smtp: Look, grades: [Grade; 2], said: [&str; 2]) -> Option<Clock> {
    let (lines, clock) = judged(imap, smtp);
    for ((line, grade), said) in lines.iter().zip(grades).zip(said) {
        assert_eq!(line.grade, grade, "{line:?}");
        assert!(line.says.contains(said), "{said:?} is not in {line:?}");
        assert_eq!(line.remedy.is_some(), grade != Grade::Ok, "{line:?}");
    }
    assert_eq!(lines.len(), 2);
    clock
}

#[test]
fn what_stands_between_is_named() {
    let fail = [Grade::Failure; 2];
    let trusted = "answers, encrypted and trusted (1 address, 180 ms); certificate by Apple Inc.";
    assert_eq!(check(well(), well(), [Grade::Ok; 2], [trusted, "answers, encrypted"]), Some(Clock::Fits));
    check(unresolved(), unresolved(), fail, ["no name resolves: no network", "no name resolves"]);
    check(well(), unresolved(), [Grade::Ok, Grade::Failure], ["answers", "its name does not resolve"]);
    let blocked = "port 587 does not answer, although the other server does: a firewall of this network blocks 587";
    check(well(), silent(), [Grade::Ok, Grade::Failure], ["answers", blocked]);
    check(silent(), silent(), fail, ["a firewall, or no network", "a firewall, or no network"]);
    let proxy = "issued by Fortinet (FGT60F): if that is not Apple's, a proxy";
    let clock = check(
        untrusted(seen("Fortinet (FGT60F)", -YEAR, YEAR)),
        well(),
        [Grade::Failure, Grade::Ok],
        [proxy, "answers"],
    );
    assert_eq!(clock, Some(Clock::Fits));
    let trusted = Look { certificate: Some(seen("Zscaler Intermediate", -YEAR, YEAR)), ..well() };
    let reads = "its certificate is by Zscaler Intermediate, and Apple's are its own: a proxy";
    check(trusted, well(), [Grade::Warning, Grade::Ok], [reads, "answers"]);
    let early = untrusted(seen("Apple Inc.", 86_400, YEAR));
    let clock = check(early, well(), [Grade::Failure, Grade::Ok], ["is valid from 23 Nov 20:00", "answers"]);
    assert_eq!(clock, Some(Clock::Fits), "one that fits is enough");
    let early = || untrusted(seen("Apple Inc.", 86_400, YEAR));
    let clock = check(early(), early(), fail, ["which is not now", "which is not now"]);
    assert_eq!(clock, Some(Clock::Behind("imap.mail.me.com".into(), Time::from_unix(NOW + 86_400))));
    let late = untrusted(seen("Apple Inc.", -YEAR, -86_400));
    let clock = check(late, unresolved(), fail, ["to 21 Nov 20:00, which is not now", "does not resolve"]);
    assert_eq!(clock, Some(Clock::Ahead("imap.mail.me.com".into(), Time::from_unix(NOW - 86_400))));
    let portal = Look { trouble: Some((Cause::CaptivePortal, "it speaks HTTP".into())), certificate: None, ..well() };
    check(portal, well(), [Grade::Failure, Grade::Ok], ["speaks HTTP", "answers"]);
    let stripped = Look { trouble: Some((Cause::TlsNotOffered, "no STARTTLS".into())), certificate: None, ..well() };
    check(well(), stripped, [Grade::Ok, Grade::Failure], ["answers", "something between here and there"]);
    let busy = Look { trouble: Some((Cause::Unavailable, "421 later".into())), certificate: None, ..well() };
    check(well(), busy, [Grade::Ok, Grade::Warning], ["answers", "for now says: 421 later"]);
}
