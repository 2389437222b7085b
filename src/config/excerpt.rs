//! A place in a text, as a person is shown it: line, column, the line itself and what to underline.
//!
//! Never shows what may be a password: somebody who writes one into the configuration by mistake must not find it in a log.

use std::ops::Range;

use crate::classify::redact::printable_text;

/// How much of a long line is shown, in characters.
const WIDTH: usize = 100;
/// How much of a long line is shown before the place.
const BEFORE: usize = 40;
/// Keys whose plain text is never shown. `secret` is a table where it is right; it is a password where it is text.
const SECRET_KEYS: [&str; 7] = ["password", "passwd", "passphrase", "pass", "pw", "secret", "token"];

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The line, printable, of bounded length, with passwords masked.
    pub text: String,
    /// Where in `text` the place begins, in characters from 0.
    pub offset: usize,
    /// How many characters of `text` to underline; at least 1.
    pub width: usize,
}

impl Excerpt {
    /// The place of a range of bytes. A range beyond the end is the end; one over several lines shows the first.
    #[must_use]
    pub fn new(text: &str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(start));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| start + at);
        let line = text.get(line_start..line_end).unwrap_or_default();
        let count =
            |range: Range<usize>| text.get(range).map_or(0, |part| part.trim_start_matches('\u{feff}').chars().count());
        let offset = count(line_start..start);
        let width = count(start..end.min(line_end)).max(1);
        let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
        let shown: Vec<char> = printable_text(&mask(line)).chars().collect();
        let cut = if shown.len() > WIDTH { offset.saturating_sub(BEFORE) } else { 0 };
        let mut text: String = shown.iter().skip(cut).take(WIDTH).collect();
        if cut > 0 {
            text.insert(0, '…');
        }
        if shown.len() > cut + WIDTH {
            text.push('…');
        }
        let indent = (offset - cut + usize::from(cut > 0)).min(text.chars().count());
        let width = width.min(text.chars().count().saturating_sub(indent)).max(1);
        Self { line: before.matches('\n').count() + 1, column: offset + 1, text, offset: indent, width }
    }
}

/// A piece of somebody's text within a sentence: in quotes of code, printable, of bounded length, with passwords masked.
#[must_use]
pub(super) fn quoted(text: &str) -> String {
    let shown = printable_text(&mask(text));
    if shown.chars().count() > BEFORE {
        format!("`{}…`", shown.chars().take(BEFORE).collect::<String>())
    } else {
        format!("`{shown}`")
    }
}

/// The same text with everything that may be a password in it replaced by as many stars.
#[must_use]
pub(super) fn mask(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let found = shaped(&chars, at).or_else(|| assigned(&chars, at));
        at = found.as_ref().map_or(at + 1, |range| range.end.max(at + 1));
        for c in found.and_then(|range| chars.get_mut(range)).into_iter().flatten() {
            *c = '*';
        }
    }
    chars.into_iter().collect()
}

/// Whether an app-specific password stands somewhere in a text.
#[must_use]
pub(super) fn has_app_password(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (0..chars.len()).any(|at| shaped(&chars, at).is_some())
}

/// Four times four letters with dashes or spaces between them, beginning at `at`: the shape of an app-specific password.
fn shaped(chars: &[char], at: usize) -> Option<Range<usize>> {
    let letter = |index: usize| chars.get(index).is_some_and(char::is_ascii_alphabetic);
    let outside = |index: Option<usize>| index.and_then(|i| chars.get(i)).is_none_or(|c| !c.is_alphanumeric());
    let separator = *chars.get(at + 4)?;
    let fits = matches!(separator, '-' | ' ')
        && (0..19).all(|i| if i % 5 == 4 { chars.get(at + i) == Some(&separator) } else { letter(at + i) })
        && outside(at.checked_sub(1))
        && outside(Some(at + 19));
    fits.then_some(at..at + 19)
}

/// The text assigned to a key of [`SECRET_KEYS`] that begins at `at`: the rest of the line, because a password may hold
/// every character that would end it.
fn assigned(chars: &[char], at: usize) -> Option<Range<usize>> {
    let word: String = chars.iter().skip(at).take(12).take_while(|c| c.is_ascii_alphabetic()).collect();
    if !SECRET_KEYS.contains(&word.to_lowercase().as_str()) {
        return None;
    }
    let after =
        |start: usize, skipped: &[char]| start + chars.iter().skip(start).take_while(|c| skipped.contains(c)).count();
    let equals = after(at + word.len(), &[' ', '\t', '"', '\'']);
    if !matches!(chars.get(equals), Some('=' | ':')) {
        return None;
    }
    let value = after(equals + 1, &[' ', '\t', '"', '\'']);
    match chars.get(value)? {
        '{' | '[' => None,
        _ => Some(value..chars.len()),
    }
}

/// The last boundary of a character up to `index`.
fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, span: Range<usize>, line: usize, column: usize, shown: &str, underlined: &str) {
        let found = Excerpt::new(text, span);
        assert_eq!((found.line, found.column, found.text.as_str()), (line, column, shown));
        let under: String = found.text.chars().skip(found.offset).take(found.width).collect();
        assert_eq!(under, underlined);
    }

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        check("a = 1", 0..1, 1, 1, "a = 1", "a");
        check("a = 1\nbc = 2\n", 6..8, 2, 1, "bc = 2", "bc");
        check("ä = 1", 5..6, 1, 5, "ä = 1", "1");
        check("a = 1\r\nb = 2\r\n", 11..12, 2, 5, "b = 2", "2");
        check("\ta = 1", 1..2, 1, 2, " a = 1", "a");
        check("\u{feff}a = 1", 3..4, 1, 1, "a = 1", "a");
        check("a = [\n1,\n2]", 4..11, 1, 5, "a = [", "[");
        check("a = ", 4..4, 1, 5, "a = ", "");
        check("", 0..0, 1, 1, "", "");
        check("a", 7..9, 1, 2, "a", "");
        check("a = \"\u{1b}[2J\"", 0..1, 1, 1, "a = \"\u{fffd}[2J\"", "a");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("k = \"{}\" # here", "x".repeat(200));
        let found = Excerpt::new(&text, 206..212);
        assert_eq!(found.column, 207);
        assert_eq!(found.text, format!("…{}\" # here", "x".repeat(39)));
        let under: String = found.text.chars().skip(found.offset).take(found.width).collect();
        assert_eq!(under, " # her");
    }

    #[track_caller]
    fn masks(line: &str, shown: &str) {
        assert_eq!(mask(line), shown);
        assert_eq!(mask(line).chars().count(), line.chars().count());
    }

    #[test]
    fn what_may_be_a_password_is_never_shown() {
        masks("secret = \"abcd-efgh-ijkl-mnop\"", "secret = \"********************");
        masks("command = [\"echo\", \"abcd-efgh-ijkl-mnop\"]", "command = [\"echo\", \"*******************\"]");
        masks("x = 'abcd efgh ijkl mnop'", "x = '*******************'");
        masks("password = \"hunter2\"", "password = \"********");
        masks("Password: hunter2", "Password: *******");
        masks("{ pass = 'hun,ter2' }", "{ pass = '***********");
        masks("secret = \"hunter2", "secret = \"*******");
        masks("imap_password = hunter2", "imap_password = *******");
        masks("secret = { keyrng = 1 }", "secret = { keyrng = 1 }");
        masks("secret.command = [\"pass\", \"show\"]", "secret.command = [\"pass\", \"show\"]");
        masks("name = \"abcd-efgh-ijkl-mnopq\"", "name = \"abcd-efgh-ijkl-mnopq\"");
    }

    proptest! {
        #[test]
        fn no_text_and_no_range_panics(text in "[ -~\\tä\\n\\r=\"'a-d-]{0,300}", start in 0_usize..400, length in 0_usize..40) {
            let found = Excerpt::new(&text, start..start + length);
            prop_assert!(found.text.chars().count() <= WIDTH + 2);
            prop_assert!(found.offset <= found.text.chars().count() && found.width >= 1);
        }
    }
}
