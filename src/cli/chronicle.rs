//! A change as a line for people: when, what, from what to what, why.
//!
//! Pure: knows neither the terminal nor the clock. Decides the layout of `history` and of `events`.

use super::{
    style::{BAD, FAINT, HEADING, Paint, WARNING, columns, padded, printable, wrapped},
    table::{Look, sign},
};
use crate::api::{IncidentEvent, IncidentMessage, Time, TransitionDocument};

/// Between two columns.
const GAP: usize = 2;
/// Wider names are cut.
const LONGEST_NAME: usize = 24;
/// A reason that has less room than this goes under its line.
const LEAST_REASON: usize = 24;

/// The widths of the columns that stand before the reason.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    time: usize,
    name: usize,
    change: usize,
}

impl Columns {
    /// Wide enough for all of these.
    pub(super) fn of(changes: &[TransitionDocument], look: &Look) -> Self {
        let widest = |cell: &dyn Fn(&TransitionDocument) -> usize| changes.iter().map(cell).max().unwrap_or(0);
        Self {
            time: widest(&|change| columns(&(look.local)(change.at))),
            name: widest(&|change| columns(change.credential.as_str())).min(LONGEST_NAME),
            change: widest(&|change| columns(&what_changed(change))),
        }
    }
}

/// The lines of one change.
pub(super) fn change(change: &TransitionDocument, columns: Columns, look: &Look) -> Vec<String> {
    let paint = Paint { colour: look.colour };
    let (mark, style) = sign(change.to);
    let what = what_changed(change);
    let head = [
        (padded(&(look.local)(change.at), columns.time), FAINT),
        (padded(change.credential.as_str(), columns.name.max(1)), HEADING),
        (mark.to_owned(), style),
        (padded(&what, columns.change), style),
    ];
    let before = columns.time + columns.name + 1 + columns.change + 3 * GAP + GAP - 1;
    rows(&head, &reason(change), before, look.width, paint)
}

/// The lines of something that happened to an account.
pub(super) fn incident(message: &IncidentMessage, at: Time, look: &Look) -> Vec<String> {
    let paint = Paint { colour: look.colour };
    let time = (look.local)(at);
    let what = match message.event {
        IncidentEvent::Opened => "incident opened",
        IncidentEvent::Changed => "incident changed",
        IncidentEvent::Reminder => "incident still stands",
        IncidentEvent::Resolved => "incident over",
    };
    let said = message.account.incident.as_ref().map_or_else(String::new, |incident| {
        let names: Vec<_> = incident.credentials.iter().map(ToString::to_string).collect();
        format!("{}: {} ({})", message.account.address, incident.cause, names.join(", "))
    });
    let style = match (message.event, message.account.incident.as_ref().is_some_and(|it| it.cause.is_critical())) {
        (IncidentEvent::Resolved, _) => FAINT,
        (IncidentEvent::Opened | IncidentEvent::Changed | IncidentEvent::Reminder, true) => BAD,
        (IncidentEvent::Opened | IncidentEvent::Changed | IncidentEvent::Reminder, false) => WARNING,
    };
    let before = columns(&time) + GAP + columns(what) + GAP;
    rows(&[(time, FAINT), (what.to_owned(), style)], &said, before, look.width, paint)
}

fn rows(head: &[(String, anstyle::Style)], text: &str, before: usize, width: usize, paint: Paint) -> Vec<String> {
    let painted: Vec<String> = head.iter().map(|(cell, style)| paint.paint(*style, cell)).collect();
    let mut line = String::new();
    for (cell, (plain, _)) in painted.iter().zip(head) {
        line.push_str(cell);
        // The sign belongs to the word behind it.
        line.push_str(if columns(plain) == 1 { " " } else { "  " });
    }
    let beside = width.saturating_sub(before) >= LEAST_REASON;
    let indent = if beside { before } else { 4 };
    let mut texts = wrapped(&printable(text), width.saturating_sub(indent).max(1)).into_iter();
    if beside && let Some(first) = texts.next() {
        line.push_str(&first);
    }
    let mut lines = vec![line.trim_end().to_owned()];
    lines.extend(texts.map(|text| format!("{}{text}", " ".repeat(indent))));
    lines
}

fn what_changed(change: &TransitionDocument) -> String {
    if change.from == change.to { format!("still {}", change.to) } else { format!("{} → {}", change.from, change.to) }
}

/// Why, and what that means for the account.
fn reason(change: &TransitionDocument) -> String {
    let presumed = if change.presumed { " (presumed)" } else { "" };
    match change.cause {
        Some(cause) if change.from == change.to => format!("{cause}; {}", change.reason),
        Some(cause) => format!("{}{presumed}; {cause}", change.reason),
        None => format!("{}{presumed}", change.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::sample,
        health::{credential::Health, incident::IncidentCause},
    };

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn example(name: &str, from: Health, to: Health, reason: &str, cause: Option<IncidentCause>) -> TransitionDocument {
        TransitionDocument {
            id: 1,
            at: at("2026-11-22T19:31:00Z"),
            account: crate::health::name::Address::new("johnappleseed@icloud.com").unwrap(),
            credential: sample::name(name),
            from,
            to,
            cause,
            presumed: false,
            reason: reason.to_owned(),
        }
    }

    fn examples() -> Vec<TransitionDocument> {
        let reset = Some(IncidentCause::MainPasswordReset);
        vec![
            example("thunderbird", Health::Healthy, Health::Suspect, "refused by imap and smtp", None),
            example("thunderbird", Health::Suspect, Health::Revoked, "refusal confirmed by imap and smtp", reset),
            example("thunderbird", Health::Revoked, Health::Revoked, "the cause was reset-or-revoked", reset),
            TransitionDocument {
                presumed: true,
                ..example("nas", Health::Healthy, Health::Revoked, "its siblings were refused", reset)
            },
        ]
    }

    #[track_caller]
    fn check(width: usize, expected: &[&str]) {
        let local = |time: Time| time.to_string()[11..16].to_owned();
        let look = Look { now: at("2026-11-22T20:00:00Z"), width, colour: false, local: &local };
        let columns_of = Columns::of(&examples(), &look);
        let lines: Vec<String> = examples().iter().flat_map(|it| change(it, columns_of, &look)).collect();
        assert_eq!(lines, expected);
        assert!(lines.iter().all(|line| columns(line) <= width), "wider than {width}: {lines:#?}");
    }

    #[test]
    fn changes_stand_in_columns_with_their_reasons() {
        check(
            100,
            &[
                "19:31  thunderbird  ? healthy → suspect  refused by imap and smtp",
                "19:31  thunderbird  ✗ suspect → revoked  refusal confirmed by imap and smtp; main-password-reset",
                "19:31  thunderbird  ✗ still revoked      main-password-reset; the cause was reset-or-revoked",
                "19:31  nas          ✗ healthy → revoked  its siblings were refused (presumed); main-password-reset",
            ],
        );
    }

    #[test]
    fn where_there_is_little_room_reasons_are_broken_or_go_under_their_line() {
        check(
            72,
            &[
                "19:31  thunderbird  ? healthy → suspect  refused by imap and smtp",
                "19:31  thunderbird  ✗ suspect → revoked  refusal confirmed by imap and",
                "                                         smtp; main-password-reset",
                "19:31  thunderbird  ✗ still revoked      main-password-reset; the cause",
                "                                         was reset-or-revoked",
                "19:31  nas          ✗ healthy → revoked  its siblings were refused",
                "                                         (presumed); main-password-reset",
            ],
        );
        check(
            44,
            &[
                "19:31  thunderbird  ? healthy → suspect",
                "    refused by imap and smtp",
                "19:31  thunderbird  ✗ suspect → revoked",
                "    refusal confirmed by imap and smtp;",
                "    main-password-reset",
                "19:31  thunderbird  ✗ still revoked",
                "    main-password-reset; the cause was",
                "    reset-or-revoked",
                "19:31  nas          ✗ healthy → revoked",
                "    its siblings were refused (presumed);",
                "    main-password-reset",
            ],
        );
    }
}
