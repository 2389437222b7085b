//! Texts made fit for a notification service: bounded, printable, escaped where it reads markup.
//!
//! Decides nothing about wording. What comes in may hold a server's or a program's words.

use crate::classify::redact::printable;

/// Characters of a title.
pub const TITLE_CHARS: usize = 120;
/// Characters of a body, before escaping.
pub const BODY_CHARS: usize = 1000;

/// One line of at most [`TITLE_CHARS`] printable characters.
#[must_use]
pub fn title(text: &str) -> String {
    bounded(text.chars().map(|c| if c == '\n' { ' ' } else { printable(c) }), TITLE_CHARS)
}

/// At most [`BODY_CHARS`] printable characters; line ends stay.
#[must_use]
pub fn body(text: &str) -> String {
    bounded(text.chars().map(|c| if c == '\n' { c } else { printable(c) }), BODY_CHARS)
}

/// A whole page, for e-mail. The words are bounded where they come in.
#[must_use]
pub fn page(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { printable(c) }).collect()
}

/// For services with the capability `body-markup`: the five characters of XML.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn bounded(text: impl Iterator<Item = char>, chars: usize) -> String {
    let mut text: Vec<char> = text.take(chars + 1).collect();
    if text.len() > chars {
        text.truncate(chars.saturating_sub(1));
        text.push('…');
    }
    text.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape(r#"<a href='x'>"Q" & A</a>"#), "&lt;a href=&apos;x&apos;&gt;&quot;Q&quot; &amp; A&lt;/a&gt;");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(body("a\u{1b}[31mb\u{0}c\td\ne"), "a\u{fffd}[31mb\u{fffd}c d\ne");
        assert_eq!(body("moc.elppa\u{202e}\u{2066}\u{200b}\u{ffff}"), "moc.elppa\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(title("one\ntwo"), "one two");
        assert_eq!(body("Sign-In → Passwords, käse, 密码"), "Sign-In → Passwords, käse, 密码");
    }

    #[test]
    fn texts_are_bounded() {
        assert_eq!(title(&"ü".repeat(121)), format!("{}…", "ü".repeat(119)));
        assert_eq!(title(&"ü".repeat(120)), "ü".repeat(120));
        assert_eq!(body(&"x".repeat(5000)).chars().count(), BODY_CHARS);
    }
}
