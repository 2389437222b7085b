//! Moments as the status document writes them: the wall clock, in whole seconds.
//!
//! Never reads a clock.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::health::schedule::Timestamp;

/// A moment on the wall clock in whole seconds, written `YYYY-MM-DDThh:mm:ssZ` (RFC 3339, section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// From the first year that RFC 3339 can write to the last day that every time zone can.
    const RANGE: (i64, i64) = (-62_167_219_200, 253_402_207_200);

    /// The last moment that can be written: what a pause without an end is until.
    pub const END: Self = Self(Self::RANGE.1);

    /// From keypulse's time line; `offset_ms` is what the wall clock is ahead of it.
    #[must_use]
    pub fn new(at: Timestamp, offset_ms: i64) -> Self {
        Self::from_unix(at.as_millis().saturating_add(offset_ms).div_euclid(1000))
    }

    /// From seconds since 1970, held within the years 0 to 9999.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(Self::RANGE.0, Self::RANGE.1))
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn as_unix(self) -> i64 {
        self.0
    }

    /// Seconds from `earlier` to this; negative if `earlier` is later.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<Time> for jiff::Timestamp {
    fn from(time: Time) -> Self {
        // The years 0 to 9999 are within jiff's.
        Self::from_second(time.0).unwrap_or_default()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        jiff::Timestamp::from(*self).fmt(f)
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_unix(text.parse::<jiff::Timestamp>()?.as_millisecond().div_euclid(1000)))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A time of day as people here read it: "14:02" today, "21 Nov 14:02" this year, "2025-11-21 14:02" otherwise.
#[must_use]
pub fn local(at: Time, now: Time, zone: &jiff::tz::TimeZone) -> String {
    let [at, now] = [at, now].map(|time| jiff::Timestamp::from(time).to_zoned(zone.clone()));
    let form = if at.date() == now.date() {
        "%H:%M"
    } else if at.year() == now.year() {
        "%-d %b %H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_time(millis: i64, offset_ms: i64, expected: &str) {
        let time = Time::new(Timestamp::from_millis(millis), offset_ms);
        assert_eq!(time.to_string(), expected);
        assert_eq!(expected.parse::<Time>().unwrap(), time);
    }

    #[test]
    fn times_are_whole_seconds_of_the_wall_clock() {
        check_time(0, 0, "1970-01-01T00:00:00Z");
        check_time(999, 0, "1970-01-01T00:00:00Z");
        check_time(-1, 0, "1969-12-31T23:59:59Z");
        check_time(1_500, 1_500, "1970-01-01T00:00:03Z");
        check_time(1_795_377_600_000, -3_600_000, "2026-11-22T19:00:00Z");
        check_time(i64::MAX, i64::MAX, "9999-12-30T22:00:00Z");
        check_time(i64::MIN, -1, "0000-01-01T00:00:00Z");
        assert!("yesterday".parse::<Time>().is_err());
        assert_eq!("2026-11-22T21:00:00.9+01:00".parse::<Time>().unwrap().to_string(), "2026-11-22T20:00:00Z");
    }

    #[test]
    fn times_of_day_carry_a_date_only_where_needed() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        let now: Time = "2026-11-22T23:30:00Z".parse().unwrap();
        let shown = |text: &str| local(text.parse().unwrap(), now, &zone);
        assert_eq!(shown("2026-11-22T23:05:00Z"), "00:05", "the same day there, another one in UTC");
        assert_eq!(shown("2026-11-22T20:00:00Z"), "22 Nov 21:00");
        assert_eq!(shown("2025-01-05T08:00:00Z"), "2025-01-05 09:00");
    }
}
