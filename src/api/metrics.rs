//! The status as Prometheus reads it: text format 0.0.4, as `GET /metrics` and `status --format prometheus` print it.
//!
//! Pure: the same document and tally give the same bytes. Decides names, labels and order. Gauges, counters and histograms
//! only.

use std::fmt::{self, Write as _};

use super::{StatusDocument, document::CredentialDocument};
use crate::health::{
    credential::Health,
    evidence::{Cause, Finding, Service},
    name::Address,
    tally::Tally,
};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole text.
#[must_use]
pub fn render(document: &StatusDocument, tally: &Tally) -> String {
    let mut text = String::new();
    // A String takes everything.
    let _ = write_all(&mut text, document, tally);
    text
}

fn write_all(out: &mut String, document: &StatusDocument, tally: &Tally) -> fmt::Result {
    let credentials =
        || document.accounts.iter().flat_map(|account| account.credentials.iter().map(|it| (&account.address, it)));
    family(
        out,
        "keypulse_credential_health",
        "gauge",
        "Whether the credential has this health: 1 for one of them, else 0.",
    )?;
    for (account, credential) in credentials() {
        for health in Health::ALL {
            let of = labels(account, credential);
            let value = u8::from(credential.health == health);
            writeln!(out, "keypulse_credential_health{{{of},health=\"{health}\"}} {value}")?;
        }
    }
    let help = "When a server last accepted the credential's present password; none for one that never was.";
    family(out, "keypulse_credential_last_accepted_timestamp_seconds", "gauge", help)?;
    for (account, credential) in credentials() {
        let Some(at) = credential.last_accepted_at else { continue };
        let of = labels(account, credential);
        writeln!(out, "keypulse_credential_last_accepted_timestamp_seconds{{{of}}} {}", at.as_unix())?;
    }
    family(out, "keypulse_attempts_total", "counter", "Logins tried, by what came of them.")?;
    for service in Service::ALL {
        let inconclusive = Cause::ALL.into_iter().map(Finding::Inconclusive);
        for finding in [Finding::Accepted, Finding::Rejected].into_iter().chain(inconclusive) {
            let times = tally.times(service, finding);
            // The two that matter are there from the beginning, so that a first refusal is seen as an increase.
            if times > 0 || finding.is_conclusive() {
                let cause = finding.cause().map_or("none", Cause::as_str);
                let finding = finding.as_str();
                let of = format!("service=\"{service}\",finding=\"{finding}\",cause=\"{cause}\"");
                writeln!(out, "keypulse_attempts_total{{{of}}} {times}")?;
            }
        }
    }
    let help = "Rejected or not yet answered logins of the account in the last 24 hours.";
    family(out, "keypulse_failed_logins_24h", "gauge", help)?;
    for account in &document.accounts {
        let of = escaped(account.address.as_str());
        writeln!(out, "keypulse_failed_logins_24h{{account=\"{of}\"}} {}", account.failed_logins_24h)?;
    }
    let help = "How long logins took, from the first connect to the verdict.";
    family(out, "keypulse_attempt_duration_seconds", "histogram", help)?;
    for service in Service::ALL {
        let durations = tally.durations.of(service);
        for (bound, count) in durations.up_to() {
            let bound = seconds(bound);
            writeln!(out, "keypulse_attempt_duration_seconds_bucket{{service=\"{service}\",le=\"{bound}\"}} {count}")?;
        }
        let (count, sum) = (durations.count, seconds(durations.sum_ms));
        writeln!(out, "keypulse_attempt_duration_seconds_bucket{{service=\"{service}\",le=\"+Inf\"}} {count}")?;
        writeln!(out, "keypulse_attempt_duration_seconds_sum{{service=\"{service}\"}} {sum}")?;
        writeln!(out, "keypulse_attempt_duration_seconds_count{{service=\"{service}\"}} {count}")?;
    }
    Ok(())
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn labels(account: &Address, credential: &CredentialDocument) -> String {
    format!("account=\"{}\",credential=\"{}\"", escaped(account.as_str()), credential.name)
}

/// Label values, as the format wants them.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Milliseconds in seconds, without a rounding error and without idle noughts.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::sample;

    #[test]
    fn seconds_are_exact() {
        for (ms, expected) in [(0, "0"), (50, "0.05"), (180, "0.18"), (1_000, "1"), (10_000, "10"), (70_102, "70.102")]
        {
            assert_eq!(seconds(ms), expected);
        }
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(escaped("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
    }

    #[test]
    fn the_text_is_as_the_contract_names_it() {
        let mut tally = Tally::default();
        let took = |ms| Some(Duration::from_millis(ms));
        tally.add(Service::Imap, Finding::Accepted, took(180), 40);
        tally.add(Service::Imap, Finding::Rejected, took(310), 1);
        tally.add(Service::Smtp, Finding::Inconclusive(Cause::TimedOut), took(30_000), 2);
        let mut accounts = sample::accounts();
        accounts[0].credentials.truncate(1);
        accounts[1].credentials = vec![sample::credential("new", None, Health::Unknown)];
        let text = render(&sample::document(&accounts), &tally);
        let expected = include_str!("metrics/sample.prom");
        assert_eq!(text, expected, "\n--- shown:\n{text}");
    }
}
