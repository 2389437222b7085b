//! Durations as people write them: `1h 30m`, `90s`, `250ms`.
//!
//! A sequence of `<number><unit>` with the units ms s m h d w; a day is 24 hours, whatever the calendar says. Decides only
//! what the words mean: which durations are sensible for which key is `parse.rs`'s business.

use std::{error, fmt, time::Duration};

/// The units, the longest first, with their milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 7 * 24 * 3_600_000), ("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest duration that is taken: ten years. It keeps every sum of times far from overflowing.
pub const LONGEST: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// Why a text is no duration. Displays as a phrase; [`DurationError::remedy`] says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Nothing but spaces.
    Empty,
    /// A number with no unit: the number.
    NoUnit(String),
    /// A unit that is none: the word.
    UnknownUnit(String),
    /// Something where a number was due: the rest of the text.
    NoNumber(String),
    /// A point or comma in a number.
    Fraction,
    /// More than [`LONGEST`].
    TooLong,
}

/// Reads a duration.
///
/// # Errors
/// Where the text is no sequence of `<number><unit>`, or means more than ten years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        if number.is_empty() {
            return Err(DurationError::NoNumber(rest.to_owned()));
        }
        if after.starts_with(['.', ',']) {
            return Err(DurationError::Fraction);
        }
        let (unit, after) = split_where(after, |c| c.is_ascii_digit() || c.is_whitespace());
        if unit.is_empty() {
            return Err(DurationError::NoUnit(number.to_owned()));
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(DurationError::UnknownUnit(unit.to_owned()));
        };
        // A number that does not fit is too long in every unit.
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor));
        millis = part.and_then(|part| millis.checked_add(part)).ok_or(DurationError::TooLong)?;
        rest = after.trim_start();
    }
    let duration = Duration::from_millis(millis);
    if duration > LONGEST { Err(DurationError::TooLong) } else { Ok(duration) }
}

/// Writes a duration so that [`parse`] reads the same: `1h 30m`. Parts under a millisecond are dropped. Days are used from
/// two on, because people say "24h" for one.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let days = millis >= 2 * 24 * 3_600_000;
    let mut parts = Vec::new();
    for (unit, factor) in UNITS {
        if unit == "w" || (unit == "d" && !days) {
            continue;
        }
        let count = millis / factor;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
        millis %= factor;
    }
    parts.join(" ")
}

impl DurationError {
    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoUnit(number) => format!("give the number a unit: `{number}s`, `{number}m` or `{number}h`"),
            Self::UnknownUnit(unit) => match near_unit(unit) {
                Some(near) => format!("write `{near}`; the units are ms, s, m, h, d and w"),
                None => "the units are ms, s, m, h, d and w".to_owned(),
            },
            Self::Fraction => "write it in whole numbers: `1h 30m`, not `1.5h`".to_owned(),
            Self::TooLong => "write at most `3650d`".to_owned(),
            Self::Empty | Self::NoNumber(_) => "write numbers with units, such as `90s` or `1h 30m`".to_owned(),
        }
    }
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a duration is missing"),
            Self::NoUnit(number) => write!(f, "the number {number} has no unit"),
            Self::UnknownUnit(unit) => write!(f, "`{unit}` is no unit of time"),
            Self::NoNumber(rest) => write!(f, "`{rest}` does not begin with a number"),
            Self::Fraction => f.write_str("a duration has no fractions"),
            Self::TooLong => f.write_str("the duration is longer than ten years"),
        }
    }
}

impl error::Error for DurationError {}

/// The text before the first character that ends it, and the rest.
fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// The unit somebody meant who wrote a longer word for it.
fn near_unit(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let unit = match word.as_str() {
        "millis" | "msec" | "millisecond" | "milliseconds" => "ms",
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "week" | "weeks" => "w",
        other => return UNITS.iter().find(|(unit, _)| *unit == other).map(|(unit, _)| *unit),
    };
    Some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn means(text: &str, millis: u64, written: &str) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text:?}");
        assert_eq!(format(Duration::from_millis(millis)), written);
    }

    #[test]
    fn every_unit_and_every_sequence_is_read() {
        means("10ms", 10, "10ms");
        means("30s", 30_000, "30s");
        means("90s", 90_000, "1m 30s");
        means("2m", 120_000, "2m");
        means("1h", 3_600_000, "1h");
        means("1h 30m", 5_400_000, "1h 30m");
        means("1h30m", 5_400_000, "1h 30m");
        means("  1h   30m ", 5_400_000, "1h 30m");
        means("24h", 86_400_000, "24h");
        means("1d", 86_400_000, "24h");
        means("47h", 169_200_000, "47h");
        means("2d", 172_800_000, "2d");
        means("1w", 604_800_000, "7d");
        means("1w 2d 3h 4m 5s 6ms", 788_645_006, "9d 3h 4m 5s 6ms");
        means("1s 500ms", 1_500, "1s 500ms");
        means("0s", 0, "0s");
        means("3650d", 315_360_000_000, "3650d");
    }

    #[track_caller]
    fn refused(text: &str, message: &str, remedy: &str) {
        let error = parse(text).expect_err(text);
        assert_eq!((error.to_string().as_str(), error.remedy().as_str()), (message, remedy), "{text:?}");
    }

    #[test]
    fn everything_else_is_refused_with_a_remedy() {
        let example = "write numbers with units, such as `90s` or `1h 30m`";
        refused("", "a duration is missing", example);
        refused("  ", "a duration is missing", example);
        refused("90", "the number 90 has no unit", "give the number a unit: `90s`, `90m` or `90h`");
        refused("1 h", "the number 1 has no unit", "give the number a unit: `1s`, `1m` or `1h`");
        refused("h", "`h` does not begin with a number", example);
        refused("-5m", "`-5m` does not begin with a number", example);
        refused("1h, 5m", "`h,` is no unit of time", "the units are ms, s, m, h, d and w");
        refused("5min", "`min` is no unit of time", "write `m`; the units are ms, s, m, h, d and w");
        refused("2 hours", "the number 2 has no unit", "give the number a unit: `2s`, `2m` or `2h`");
        refused("1H", "`H` is no unit of time", "write `h`; the units are ms, s, m, h, d and w");
        refused("1y", "`y` is no unit of time", "the units are ms, s, m, h, d and w");
        refused("1.5h", "a duration has no fractions", "write it in whole numbers: `1h 30m`, not `1.5h`");
        refused("1,5h", "a duration has no fractions", "write it in whole numbers: `1h 30m`, not `1.5h`");
        refused("3651d", "the duration is longer than ten years", "write at most `3650d`");
        refused("99999999999999999999s", "the duration is longer than ten years", "write at most `3650d`");
        refused("18446744073709551615w", "the duration is longer than ten years", "write at most `3650d`");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0_u64..=315_360_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
