//! E-mail as it is written: headers, encoding, and the name of the machine that sends it.
//!
//! Decides what a mail program sees beside the text: one thread per incident, and an identity for each message that is the same
//! however often it is sent (RFC 5322, section 3.6.4), so that a second copy can be told. Words nothing and sends nothing.

use std::time::{Duration, UNIX_EPOCH};

use jiff::tz::TimeZone;
use lettre::{
    Address,
    message::{
        Mailbox, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::markup;
use crate::{
    api::Time,
    health::{alert, incident::Incident, schedule::Timestamp},
};

/// Which message it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of this message alone.
    pub message: String,
    /// Of all messages of its incident.
    pub thread: String,
}

impl Identity {
    /// Of the message with this number about `incident`. When that was declared tells apart what two installations, or two
    /// states of one, number alike.
    #[must_use]
    pub fn of(incident: &Incident, number: u64) -> Self {
        let thread = format!("keypulse.{}.{}", incident.declared_at.as_millis(), incident.id);
        Self { message: format!("{thread}.{number}"), thread }
    }
}

/// Who sends it, as the last lines of the text say.
#[must_use]
pub fn sender(now: Timestamp, offset_ms: i64) -> alert::Sender {
    let at = jiff::Timestamp::from(Time::new(now, offset_ms));
    alert::Sender {
        machine: markup::title(&rustix::system::uname().nodename().to_string_lossy()),
        zone: zone(TimeZone::system().to_offset(at).seconds()),
    }
}

/// `UTC`, `UTC+01:00`.
fn zone(seconds: i32) -> String {
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
    if minutes == 0 { "UTC".to_owned() } else { format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60) }
}

/// A moment as the text has it, dated: a mail is read later, and elsewhere.
#[must_use]
pub fn dated(at: Timestamp, offset_ms: i64) -> String {
    let at = jiff::Timestamp::from(Time::new(at, offset_ms)).to_zoned(TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// The message as it goes out at `now`.
///
/// # Errors
/// Why it cannot be written; not with addresses that the configuration takes.
pub fn write(
    from: &Address,
    to: &Address,
    words: &alert::Message,
    identity: &Identity,
    now: Time,
) -> Result<lettre::Message, lettre::error::Error> {
    let id = |left: &str| format!("<{left}@{}>", from.domain());
    let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_unix()).unwrap_or(0));
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    lettre::Message::builder()
        .from(Mailbox::new(Some("keypulse".to_owned()), from.clone()))
        .to(Mailbox::new(None, to.clone()))
        .subject(markup::title(&words.title))
        .date(date)
        .message_id(Some(id(&identity.message)))
        .in_reply_to(id(&identity.thread))
        .references(id(&identity.thread))
        // No holiday notes and no bounces of programs, please (RFC 3834, section 5).
        .raw_header(automatic)
        .singlepart(SinglePart::plain(markup::page(words.body.trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_plain_text_with_an_identity_of_its_own() {
        let [from, to] = ["keypulse@example.org", "me@example.org"].map(|text| text.parse().unwrap());
        let words = alert::Message {
            title: "käse\r\nBcc: x@y".into(),
            body: "one\n.\nFrom two\u{1b}[31m\n".into(),
            critical: false,
        };
        let identity = Identity { message: "keypulse.5.1.2".into(), thread: "keypulse.5.1".into() };
        let written = write(&from, &to, &words, &identity, "2026-11-22T20:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(written.envelope().to(), [to]);
        let text = String::from_utf8(written.formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: keypulse <keypulse@example.org>",
            "To: me@example.org",
            "Date: Sun, 22 Nov 2026 20:00:00 +0000",
            "Message-ID: <keypulse.5.1.2@example.org>",
            "References: <keypulse.5.1@example.org>",
            "In-Reply-To: <keypulse.5.1@example.org>",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(head.lines().any(|known| known == line), "{line}: {head}");
        }
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(body.starts_with("one\r\n.\r\nFrom two") && !body.contains('\u{1b}'), "{body:?}");
    }

    #[test]
    fn zones_are_written_as_they_are_ahead() {
        assert_eq!((zone(0), zone(3600), zone(-12600)), ("UTC".into(), "UTC+01:00".into(), "UTC-03:30".into()));
    }
}
