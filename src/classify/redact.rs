//! Makes a server's text fit to show: no user name, no secret, nothing unprintable, bounded.
//!
//! Servers echo what they were sent: iCloud's success text names the account (`facts/icloud.md` 2.7), and Postfix can put the
//! SASL data into the text of a 535 (4.4). Never decides anything, and never sees a text after it was shown.

use std::error::Error;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

/// What a person sees instead.
pub const MARK: &str = "***";
/// The longest text a person sees, in characters.
pub const SHOWN: usize = 200;
/// The longest text that is judged, in characters: an IMAP line, or a long reply of SMTP.
const JUDGED: usize = 8 * 1024;
/// Shorter names are replaced only where they stand as words: the user name `ok` must not eat every "look".
const SHORT_NAME: usize = 6;
/// A piece of a secret of this length is a leak already.
const PIECE: usize = 8;

/// Knows what must not be shown.
pub struct Redactor {
    names: Vec<Vec<char>>,
    secrets: Vec<Zeroizing<Vec<char>>>,
}

impl Redactor {
    /// Hides these names, each in full, without its domain and in base64, without regard to case.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut redactor = Self { names: Vec::new(), secrets: Vec::new() };
        for name in names {
            let local_part = name.rsplit_once('@').map_or(name, |(local, _)| local);
            for form in [name, local_part, &STANDARD_NO_PAD.encode(name), &STANDARD_NO_PAD.encode(local_part)] {
                let form = folded(form);
                if !form.is_empty() && !redactor.names.contains(&form) {
                    redactor.names.push(form);
                }
            }
        }
        // The whole address before its first part: the longer match leaves less behind.
        redactor.names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        redactor
    }

    /// Hides this secret too: as it is, without dashes, in base64, and in the SASL messages that hold it (RFC 4616).
    #[must_use]
    pub fn with_secret(mut self, username: &str, secret: &str) -> Self {
        let sasl = Zeroizing::new(format!("\0{username}\0{secret}"));
        let sasl_as_self = Zeroizing::new(format!("{username}\0{username}\0{secret}"));
        for form in [
            Zeroizing::new(secret.to_owned()),
            Zeroizing::new(secret.replace('-', "")),
            Zeroizing::new(STANDARD_NO_PAD.encode(secret)),
            Zeroizing::new(STANDARD_NO_PAD.encode(sasl.as_bytes())),
            Zeroizing::new(STANDARD_NO_PAD.encode(sasl_as_self.as_bytes())),
        ] {
            if !form.is_empty() {
                self.secrets.push(Zeroizing::new(folded(&form)));
            }
        }
        self
    }

    /// The text without names and secrets, printable, still long enough to be judged.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let text: Vec<char> = text.chars().take(JUDGED).collect();
        let hidden = self.hidden(&text);
        let mut clean = String::with_capacity(text.len());
        let mut inside = false;
        for (character, hide) in text.into_iter().zip(hidden) {
            if hide && !inside {
                clean.push_str(MARK);
            } else if !hide {
                clean.push(printable(character));
            }
            inside = hide;
        }
        clean.trim().to_owned()
    }

    /// Which characters to leave out.
    fn hidden(&self, text: &[char]) -> Vec<bool> {
        let folded: Vec<char> = text.iter().copied().map(fold).collect();
        let mut hidden = vec![false; text.len()];
        for name in &self.names {
            let anywhere = name.len() >= SHORT_NAME;
            hide(&mut hidden, &folded, name, |start, end| anywhere || is_word(&folded, start, end));
        }
        for secret in &self.secrets {
            for piece in secret.windows(PIECE.min(secret.len())) {
                hide(&mut hidden, &folded, piece, |_, _| true);
            }
        }
        // An account answers to several addresses, and the server may name one we were never told.
        for (at, _) in folded.iter().enumerate().filter(|(_, character)| **character == '@') {
            let before = folded.iter().take(at).rev().take_while(|c| in_address(**c)).count();
            let after = folded.iter().skip(at + 1).take_while(|c| in_address(**c)).count();
            if before > 0 && after > 0 {
                hidden.iter_mut().skip(at - before).take(before + 1 + after).for_each(|place| *place = true);
            }
        }
        hidden
    }
}

/// At most [`SHOWN`] characters, cut with an ellipsis.
#[must_use]
pub fn shown(text: &str) -> String {
    if text.chars().count() <= SHOWN { text.to_owned() } else { text.chars().take(SHOWN - 1).chain(['…']).collect() }
}

/// Hides the word after each "user": `OK user johnapple logged in` names the account under its own name, which may be
/// another than the one we logged in with.
#[must_use]
pub fn without_named_user(text: &str) -> String {
    let mut after_user = false;
    let words = text.split(' ').map(|word| {
        let shown = if after_user && !word.is_empty() { MARK } else { word };
        after_user = word.eq_ignore_ascii_case("user") || (after_user && word.is_empty());
        shown
    });
    words.collect::<Vec<_>>().join(" ")
}

fn hide(hidden: &mut [bool], text: &[char], needle: &[char], wanted: impl Fn(usize, usize) -> bool) {
    for (start, window) in text.windows(needle.len().max(1)).enumerate() {
        if window == needle && wanted(start, start + needle.len()) {
            hidden.iter_mut().skip(start).take(needle.len()).for_each(|place| *place = true);
        }
    }
}

fn is_word(text: &[char], start: usize, end: usize) -> bool {
    let letter_at = |place: Option<usize>| place.and_then(|at| text.get(at)).is_some_and(|c| c.is_alphanumeric());
    !letter_at(start.checked_sub(1)) && !letter_at(Some(end))
}

fn folded(text: &str) -> Vec<char> {
    text.chars().map(fold).collect()
}

/// One character for one, so that places in the folded text are places in the text.
fn fold(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

fn in_address(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !"<>()[]{}\"',;:=@|".contains(character)
}

/// Control characters, and those without ink that hide in a text or turn it around, become the replacement character: Unicode's
/// Default_Ignorable_Code_Point, and the marks of interlinear annotation (Unicode TR 36, section 2.5). Not the variation selectors
/// of emoji, which people write into names: they belong to the character before them. What XML 1.0 forbids goes as well: a
/// notification service may refuse the whole message for it.
#[expect(clippy::match_same_arms, reason = "one line per kind of invisible character")]
#[must_use]
pub fn printable(character: char) -> char {
    match character {
        '\t' | '\r' | '\n' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{61C}' | '\u{FEFF}' => {
            '\u{FFFD}'
        }
        '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{3164}' | '\u{FFA0}' => {
            '\u{FFFD}'
        }
        '\u{180B}'..='\u{180F}' | '\u{E0000}'..='\u{E0FFF}' => '\u{FFFD}',
        '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' => '\u{FFFD}',
        other if other.is_control() || u32::from(other) & 0xFFFE == 0xFFFE => '\u{FFFD}',
        other => other,
    }
}

/// A text of [`printable`] characters, one for one.
#[must_use]
pub fn printable_text(text: &str) -> String {
    text.chars().map(printable).collect()
}

/// An error with its reasons on one line, each made fit to show by `clean`. SQLite's repeat each other, and serde's quote what a
/// damaged file holds.
#[must_use]
pub fn chain(error: &dyn Error, clean: impl Fn(&str) -> String) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    let mut last = text.clone();
    while let Some(reason) = next {
        next = reason.source();
        let reason = clean(&reason.to_string());
        if !reason.ends_with(&last) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        last = reason;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let redactor = Redactor::new(["johnappleseed@icloud.com", "joe"])
            .with_secret("johnappleseed@icloud.com", "abcd-efgh-ijkl-mnop");
        assert_eq!(redactor.clean(text), expected, "{text}");
    }

    #[test]
    fn names_and_secrets_are_never_shown() {
        check("OK user johnappleseed logged in", "OK user *** logged in");
        check("user JohnAppleseed@iCloud.com unknown", "user *** unknown");
        check("xjohnappleseedx", "x***x");
        check("jane@me.com or <x@y.example> or me@", "*** or <***> or me@");
        check("@home is no address, nor is home@", "@home is no address, nor is home@");
        check("joe is not in joeys", "*** is not in joeys");
        check("got abcd-efgh-ijkl-mnop", "got ***");
        check("got ABCDEFGHIJKLMNOP.", "got ***.");
        check("got only efgh-ijkl of it", "got only *** of it");
        check("LOGIN am9obmFwcGxlc2VlZEBpY2xvdWQuY29t", "LOGIN ***");
    }

    #[test]
    fn sasl_data_is_never_shown() {
        let sasl = STANDARD_NO_PAD.encode("\0johnappleseed@icloud.com\0abcd-efgh-ijkl-mnop");
        check(&format!("5.7.8 Error: authentication failed: {sasl}"), "5.7.8 Error: authentication failed: ***");
        check(&format!("unrecognized: AUTH PLAIN {}", &sasl[..30]), "unrecognized: AUTH PLAIN ***");
        check(&format!("{}==", &sasl[9..]), "***==");
    }

    #[test]
    fn texts_are_printable_and_bounded() {
        check("a\x1b[31mred\x07\0\t.", "a\u{FFFD}[31mred\u{FFFD}\u{FFFD} .");
        check("evil\u{202E}txt\u{200B}\u{85}", "evil\u{FFFD}txt\u{FFFD}\u{FFFD}");
        check(
            "in\u{AD}vi\u{115F}si\u{180E}ble\u{FFF9}\u{1D173}\u{E0100}",
            "in\u{FFFD}vi\u{FFFD}si\u{FFFD}ble\u{FFFD}\u{FFFD}\u{FFFD}",
        );
        check("no\u{FFFE}char\u{1FFFF}acter", "no\u{FFFD}char\u{FFFD}acter");
        check(" é ü 日本 ", "é ü 日本");
        assert_eq!(Redactor::new([]).clean(&"é".repeat(9000)).chars().count(), 8192, "as much as is judged");
        assert_eq!(shown(&"é".repeat(200)).chars().count(), 200);
        assert!(shown(&"é".repeat(201)).ends_with('…'));
        assert_eq!(shown(&"é".repeat(201)).chars().count(), 200);
    }

    #[test]
    fn an_empty_or_tiny_secret_hides_no_more_than_itself() {
        let redactor = Redactor::new([""]).with_secret("", "xy");
        assert_eq!(redactor.clean("a xy b"), "a *** b");
        assert_eq!(Redactor::new([]).clean("OK done"), "OK done");
    }

    #[test]
    fn the_account_that_success_names_is_never_shown() {
        assert_eq!(without_named_user("user 1234567 logged in"), "user *** logged in");
        assert_eq!(without_named_user("User  jane authenticated"), "User  *** authenticated");
        assert_eq!(without_named_user("LOGIN completed"), "LOGIN completed");
    }
    #[derive(Debug)]
    struct Reason(&'static str, Option<Box<Self>>);

    impl std::fmt::Display for Reason {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Reason {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self.1.as_deref()?)
        }
    }

    #[test]
    fn an_error_is_one_printable_line_that_says_nothing_twice() {
        let because = |text, reason| Reason(text, Some(Box::new(reason)));
        let error = because("no state", because("locked", because("code 5: locked", Reason("by\x1b\nother", None))));
        assert_eq!(chain(&error, printable_text), "no state: locked: by\u{FFFD} other");
        assert_eq!(chain(&Reason("locked", None), printable_text), "locked");
    }
}
