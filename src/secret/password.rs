//! `AppPassword`: the one type that holds a password.
//!
//! Decides what an app-specific password looks like and puts right what pasting did to it. Never shows a password: it
//! has no `Display`, no `Serialize`, no `Clone`, and a `Debug` that says nothing, in every build profile. What it holds
//! is overwritten when it goes. [`AppPassword::expose`] is the one function in which a password becomes text.

use std::fmt;

use zeroize::Zeroizing;

/// The longest password that is taken in, in bytes.
pub(super) const MAX_BYTES: usize = 256;

/// Letters in a group, and letters in all: `xxxx-xxxx-xxxx-xxxx`.
const GROUP: usize = 4;
const LETTERS: usize = 16;

/// A password. Share it with `Arc`: there is no second copy.
///
/// The buffer has one size for every password and lives on the heap, so that moving the value leaves no copy behind.
pub struct AppPassword {
    bytes: Box<Zeroizing<[u8; MAX_BYTES]>>,
    length: usize,
}

/// Why a text was not taken as a password. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// There was nothing in it.
    Empty,
    /// It does not have the shape `[a-z]{4}(-[a-z]{4}){3}`.
    NotAppSpecific,
    /// It holds a control character, which no password has.
    ControlCharacter,
    /// It is longer than 256 bytes.
    TooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::NotAppSpecific => {
                "it is not of the form xxxx-xxxx-xxxx-xxxx (lower-case letters), so it is probably the main password; it \
                 was not sent"
            }
            Self::ControlCharacter => "it holds a control character; it was not sent",
            Self::TooLong => "it is longer than 256 bytes; it was not sent",
        })
    }
}

impl std::error::Error for Malformed {}

impl AppPassword {
    /// Takes an app-specific password as people paste it: spaces, line ends and invisible characters are dropped, typographic
    /// dashes become plain ones, missing dashes are put in. Letters are never changed: Apple gives out lower case only, and
    /// its rules for the main password demand an upper-case letter and a digit, so this shape cannot be one.
    ///
    /// # Errors
    /// [`Malformed`] for everything else, also for a dash inside a group of four.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut letters = Zeroizing::new([0_u8; LETTERS]);
        let mut taken = 0;
        let mut dash_before = false;
        for character in text.chars().filter(|character| !is_paste_residue(*character)) {
            if is_dash(character) {
                let between_groups = taken % GROUP == 0 && taken != 0 && taken != LETTERS;
                if !between_groups || dash_before {
                    return Err(Malformed::NotAppSpecific);
                }
                dash_before = true;
                continue;
            }
            dash_before = false;
            match (u8::try_from(character), letters.get_mut(taken)) {
                (Ok(letter @ b'a'..=b'z'), Some(place)) => *place = letter,
                (Ok(_) | Err(_), Some(_) | None) => return Err(Malformed::NotAppSpecific),
            }
            taken += 1;
        }
        match taken {
            0 => Err(Malformed::Empty),
            LETTERS => {
                Ok(Self::filled(letters.iter().enumerate().flat_map(|(at, letter)| {
                    (at != 0 && at % GROUP == 0).then_some(b'-').into_iter().chain([*letter])
                })))
            }
            _ => Err(Malformed::NotAppSpecific),
        }
    }

    /// Takes any password as it is, without the line end (`any_shape = true` in the configuration).
    ///
    /// # Errors
    /// [`Malformed`] when it is empty, longer than 256 bytes or holds a control character.
    pub fn any_shape(text: &str) -> Result<Self, Malformed> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(Malformed::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(Malformed::ControlCharacter);
        }
        Ok(Self::filled(text.bytes()))
    }

    /// The same letters without the dashes, where it is an app-specific password with them. Whether iCloud takes that form is
    /// contested (`facts/icloud.md` 6.2), so it is sent only where a person asked for it, or where it has been accepted.
    #[must_use]
    pub fn without_dashes(&self) -> Option<Self> {
        let dashed = self.expose(|text| text.contains('-') && Self::parse(text).is_ok());
        dashed.then(|| self.expose(|text| Self::filled(text.bytes().filter(|byte| *byte != b'-'))))
    }

    /// Whether it is an app-specific password without its dashes.
    #[must_use]
    pub fn lacks_dashes(&self) -> bool {
        self.expose(|text| text.len() == LETTERS && text.bytes().all(|byte| byte.is_ascii_lowercase()))
    }

    /// The password as text, for as long as `f` runs. The one function in which a secret becomes bytes: whoever calls it
    /// answers for every copy made there.
    pub fn expose<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        let text = self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        f(text.unwrap_or_default())
    }

    /// Written in place, byte by byte: nothing is left on the stack. The callers have checked the length.
    fn filled(bytes: impl Iterator<Item = u8>) -> Self {
        let mut password = Self { bytes: Box::new(Zeroizing::new([0; MAX_BYTES])), length: 0 };
        for (place, byte) in password.bytes.iter_mut().zip(bytes) {
            *place = byte;
            password.length += 1;
        }
        password
    }
}

impl fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppPassword(redacted)")
    }
}

/// What copying from a web page, a chat or a terminal leaves in a text: white space of every kind (no-break spaces among
/// it), and characters without width (zero-width space and joiners, direction marks, word joiner, soft hyphen, byte
/// order mark).
fn is_paste_residue(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{00AD}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{2069}' | '\u{FEFF}'
        )
}

/// The hyphen, and what word processors make of it.
fn is_dash(character: char) -> bool {
    matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "abcd-efgh-ijkl-mnop";

    #[track_caller]
    fn check(text: &str, expected: Result<&str, Malformed>) {
        let got = AppPassword::parse(text).map(|password| password.expose(str::to_owned));
        assert_eq!(got, expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn what_pasting_did_is_put_right() {
        for text in [
            PLAIN,
            "abcdefghijklmnop",
            "abcd efgh ijkl mnop",
            "abcd-efghijkl-mnop",
            "  abcd-efgh-ijkl-mnop\n",
            "abcd-efgh-ijkl-mnop\r\n",
            "abcd-efgh-ij\nkl-mnop",
            "\tabcd - efgh - ijkl - mnop\t",
            "abcd\u{a0}efgh\u{202f}ijkl\u{2007}mnop",
            "abcd\u{2011}efgh\u{2013}ijkl\u{2014}mnop",
            "abcd\u{2212}efgh\u{ff0d}ijkl\u{fe63}mnop",
            "\u{feff}abcd-\u{200b}efgh-\u{200d}ijkl-\u{2060}mnop\u{200e}",
            "abcd-efgh-\u{ad}ijkl-mnop",
            "\u{202a}abcd-efgh-ijkl-mnop\u{202c}",
        ] {
            check(text, Ok(PLAIN));
        }
    }

    #[test]
    fn what_could_be_the_main_password_is_refused() {
        for text in [
            "Abcd-efgh-ijkl-mnop",
            "ABCD-EFGH-IJKL-MNOP",
            "abcd-efgh-ijkl-mno1",
            "abcd-efgh-ijkl-mno",
            "abcd-efgh-ijkl-mnopq",
            "abcd-efgh-ijkl-mnop-qrst",
            "abc-defgh-ijkl-mnop",
            "abcd--efgh-ijkl-mnop",
            "abcd- -efgh-ijkl-mnop",
            "-abcd-efgh-ijkl-mnop",
            "abcd-efgh-ijkl-mnop-",
            "\"abcd-efgh-ijkl-mnop\"",
            "abcd_efgh_ijkl_mnop",
            "abcd.efgh.ijkl.mnop",
            "äbcd-efgh-ijkl-mnop",
            "аbcd-efgh-ijkl-mnop", // its first letter is Cyrillic
            "abcd-efgh-ijkl-mnop\0",
            "a\u{1b}bcd-efgh-ijkl-mnop",
            "Correct-Horse-7",
            "-",
        ] {
            check(text, Err(Malformed::NotAppSpecific));
        }
        for text in ["", " \n", "\u{feff}"] {
            check(text, Err(Malformed::Empty));
        }
    }

    #[test]
    fn any_shape_takes_the_text_as_it_is() {
        let take = |text: &str| AppPassword::any_shape(text).map(|password| password.expose(str::to_owned));
        assert_eq!(take(" Pass word ü \r\n"), Ok(" Pass word ü ".to_owned()));
        assert_eq!(take(&"x".repeat(MAX_BYTES)), Ok("x".repeat(MAX_BYTES)));
        assert_eq!(take(&"x".repeat(MAX_BYTES + 1)), Err(Malformed::TooLong));
        assert_eq!(take("\n"), Err(Malformed::Empty));
        for text in ["a\nb", "a\0b", "a\tb", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(take(text), Err(Malformed::ControlCharacter), "{text:?}");
        }
    }

    #[test]
    fn dashes_can_be_left_out_of_an_app_specific_password_only() {
        let dashed = AppPassword::parse(PLAIN).unwrap();
        let bare = dashed.without_dashes().unwrap();
        assert_eq!(bare.expose(str::to_owned), "abcdefghijklmnop");
        assert!(bare.lacks_dashes() && !dashed.lacks_dashes());
        assert!(bare.without_dashes().is_none());
        for other in ["Abcd-efgh-ijkl-mnop", "a-b", "abcd-efgh-ijkl-mno"] {
            let other = AppPassword::any_shape(other).unwrap();
            assert!(other.without_dashes().is_none() && !other.lacks_dashes());
        }
    }

    #[test]
    fn no_format_shows_it() {
        let password = AppPassword::parse(PLAIN).unwrap();
        let short = AppPassword::any_shape("q").unwrap();
        let shown = [
            format!("{password:?}"),
            format!("{password:#?}"),
            format!("{password:x?}"),
            format!("{password:X?}"),
            format!("{password:40?}"),
            format!("{:?}", Some(&password)),
            format!("{short:?}"),
        ];
        for text in shown {
            assert!(text.contains("redacted"), "{text}");
            for part in ["abcd", "mnop", "q", "97", "61"] {
                assert!(!text.contains(part), "{text}");
            }
        }
        // The length is no more visible than the letters.
        assert_eq!(format!("{password:?}"), format!("{short:?}"));
    }

    #[test]
    fn a_refusal_never_repeats_the_text() {
        for text in ["Secret-Main-1", "hunter2\0hunter2", "", &"hunter2".repeat(99)] {
            for refusal in [AppPassword::parse(text), AppPassword::any_shape(text)].into_iter().filter_map(Result::err)
            {
                let shown = format!("{refusal} {refusal:?} {refusal:#?}");
                assert!(!shown.contains("Secret") && !shown.contains("hunter"), "{shown}");
            }
        }
    }

    #[test]
    fn a_password_put_right_is_put_right_again_to_the_same() {
        proptest::proptest!(|(text in "[a-z \u{a0}\u{2013}-]{0,30}")| {
            if let Ok(password) = AppPassword::parse(&text) {
                let once = password.expose(str::to_owned);
                let twice = AppPassword::parse(&once).unwrap().expose(str::to_owned);
                proptest::prop_assert_eq!(once.len(), 19);
                proptest::prop_assert_eq!(once, twice);
            }
        });
    }

    /// Compiles only while `AppPassword` has none of the three traits: two implementations would fit otherwise.
    #[test]
    fn it_cannot_be_copied_printed_or_serialized() {
        trait Absent<Marker> {
            fn holds() -> bool {
                true
            }
        }
        struct IsClone;
        struct IsDisplay;
        struct IsSerialize;
        impl<T: ?Sized> Absent<()> for T {}
        impl<T: Clone> Absent<IsClone> for T {}
        impl<T: fmt::Display + ?Sized> Absent<IsDisplay> for T {}
        impl<T: serde::Serialize + ?Sized> Absent<IsSerialize> for T {}
        assert!(<AppPassword as Absent<_>>::holds());
    }
}
