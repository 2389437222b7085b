//! How text looks in a terminal: colours, widths, and times as people say them.
//!
//! Pure: knows neither the terminal nor the clock nor the time zone; the caller says them.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{api::Time, classify::redact};

/// Headings.
pub const HEADING: Style = Style::new().bold();
/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What wants attention.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// What is dead.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

/// Paints, or leaves text as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// Whether escape sequences are wanted.
    pub colour: bool,
}

impl Paint {
    /// `text` in `style`.
    #[must_use]
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// `text` without anything that would move the cursor, change the colours or turn the writing around.
#[must_use]
pub fn printable(text: &str) -> String {
    redact::printable_text(text)
}

/// The columns that `text` takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `text` in at most `width` columns, with `…` for what is missing.
#[must_use]
pub fn shortened(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = taken(text, width.saturating_sub(1)).0.to_owned();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// `text` in exactly `width` columns.
#[must_use]
pub fn padded(text: &str, width: usize) -> String {
    let mut text = shortened(text, width);
    text.push_str(&" ".repeat(width.saturating_sub(columns(&text))));
    text
}

/// The lines of `text`, none wider than `width`, broken between words where that is possible.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && columns(&line) + 1 + columns(word) <= width {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while columns(rest) > width {
            let (part, more) = taken(rest, width);
            // A character wider than the whole line still has to go somewhere.
            let (part, more) = if part.is_empty() { (rest, "") } else { (part, more) };
            lines.push(part.to_owned());
            rest = more;
        }
        line.push_str(rest);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// As much of `text` as fits `width` columns, and the rest.
fn taken(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    let end = text.char_indices().find_map(|(at, c)| {
        used += c.width().unwrap_or(0);
        (used > width).then_some(at)
    });
    text.split_at(end.unwrap_or(text.len()))
}

/// "just now", "3 min ago", "2 h ago", "5 days ago". What seems to be still to come is just now: clocks are set.
#[must_use]
pub fn ago(at: Time, now: Time) -> String {
    match now.seconds_since(at) {
        ..60 => "just now".to_owned(),
        seconds => format!("{} ago", amount(seconds)),
    }
}

/// "now", "in 30 s", "in 41 min", "in 23 h", "in 6 days".
#[must_use]
pub fn ahead(at: Time, now: Time) -> String {
    match at.seconds_since(now) {
        ..=0 => "now".to_owned(),
        seconds => format!("in {}", amount(seconds)),
    }
}

/// The largest unit of which there is more than one, but minutes and seconds from one.
fn amount(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR.. => match seconds / DAY {
            0 | 1 => format!("{} h", seconds / HOUR),
            days => format!("{days} days"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_841_600;

    #[track_caller]
    fn check_ago(seconds: i64, expected: &str) {
        assert_eq!(ago(Time::from_unix(NOW - seconds), Time::from_unix(NOW)), expected);
    }

    #[test]
    fn past_times_are_told_in_one_unit() {
        check_ago(-3600, "just now");
        check_ago(0, "just now");
        check_ago(59, "just now");
        check_ago(60, "1 min ago");
        check_ago(3599, "59 min ago");
        check_ago(3600, "1 h ago");
        check_ago(47 * 3600, "47 h ago");
        check_ago(48 * 3600, "2 days ago");
        check_ago(400 * 86400, "400 days ago");
    }

    #[track_caller]
    fn check_ahead(seconds: i64, expected: &str) {
        assert_eq!(ahead(Time::from_unix(NOW + seconds), Time::from_unix(NOW)), expected);
    }

    #[test]
    fn coming_times_are_told_in_one_unit() {
        check_ahead(-5, "now");
        check_ahead(0, "now");
        check_ahead(30, "in 30 s");
        check_ahead(41 * 60 + 59, "in 41 min");
        check_ahead(23 * 3600, "in 23 h");
        check_ahead(6 * 86400, "in 6 days");
    }

    #[test]
    fn nothing_that_moves_the_cursor_is_printed() {
        let hostile = "a\u{1b}[31mb\u{7}c\r\nd\u{9b}e\u{202e}f\u{200b}g\u{7f}";
        let shown = printable(hostile);
        assert_eq!(shown, "a\u{fffd}[31mb\u{fffd}c  d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}");
        assert!(!shown.chars().any(char::is_control));
    }

    #[track_caller]
    fn check_wrapped(text: &str, width: usize, expected: &[&str]) {
        let lines = wrapped(text, width);
        assert_eq!(lines, expected);
        assert!(lines.iter().all(|line| columns(line) <= width), "wider than {width}: {lines:?}");
    }

    #[test]
    fn lines_are_broken_between_words() {
        check_wrapped("one two three", 7, &["one two", "three"]);
        check_wrapped("  one   two ", 80, &["one two"]);
        check_wrapped("supercalifragilistic", 8, &["supercal", "ifragili", "stic"]);
        check_wrapped("a supercalifragilistic", 8, &["a", "supercal", "ifragili", "stic"]);
        check_wrapped("郵便受信箱", 4, &["郵便", "受信", "箱"]);
        check_wrapped("", 8, &[]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(shortened("郵便受信箱", 7), "郵便受…");
        assert_eq!(padded("郵便", 6), "郵便  ");
        assert_eq!(shortened("thunderbird", 11), "thunderbird");
        assert_eq!(shortened("thunderbird", 10), "thunderbi…");
        assert_eq!(shortened("thunderbird", 0), "");
    }
}
