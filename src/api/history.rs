//! What can be asked of the past: which changes of health, since when, how many.

use std::{fmt, str::FromStr, time::Duration};

use super::{Time, UnknownName};
use crate::{
    config::duration,
    health::{name::CredentialName, schedule::Timestamp},
};

/// `GET /v1/history` and `keypulse history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Of these credentials; of all if there are none.
    pub names: Vec<CredentialName>,
    /// Not before this.
    pub since: Option<Since>,
    /// At most so many, the newest.
    pub limit: u32,
}

impl HistoryQuery {
    /// How many changes are shown where nobody says.
    pub const USUAL: u32 = 100;
    /// How many can be asked for at once.
    pub const MOST: u32 = 1000;

    /// The query of a URL (RFC 3986, section 3.4). Names and times need no encoding.
    #[must_use]
    pub(super) fn to_url(&self) -> String {
        let names = self.names.iter().map(|name| format!("name={name}&"));
        let since = self.since.iter().map(|since| format!("since={since}&").replace(' ', ""));
        let limit = format!("limit={}", self.limit);
        names.chain(since).chain([limit]).collect()
    }
}

/// A moment in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Time),
}

impl Since {
    /// On keypulse's time line, which the wall clock is `offset_ms` ahead of.
    #[must_use]
    pub fn on_time_line(self, now: Timestamp, offset_ms: i64) -> Timestamp {
        match self {
            Self::Ago(duration) => now - duration,
            Self::At(time) => Timestamp::from_millis(time.as_unix().saturating_mul(1000).saturating_sub(offset_ms)),
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = || text.parse().map(Self::At);
        duration::parse(text)
            .map(Self::Ago)
            .or_else(|_| time())
            .map_err(|_| "write how long ago (`7d`, `1h 30m`; at most ten years), or a time like 2026-11-22T20:00:00Z")
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ago(ago) => f.write_str(&duration::format(*ago)),
            Self::At(time) => time.fmt(f),
        }
    }
}

/// Why the past cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PastError {
    /// Nothing has or had this name.
    Unknown(UnknownName),
    /// The state cannot be read. Fits after "failed to".
    State(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Since>) {
        assert_eq!(text.parse::<Since>().ok(), expected, "{text}");
        if let Some(since) = expected {
            assert_eq!(since.to_string().parse(), Ok(since));
        }
    }

    #[test]
    fn a_moment_is_so_long_ago_or_then() {
        check("7d", Some(Since::Ago(Duration::from_secs(7 * 86_400))));
        check("1h 30m", Some(Since::Ago(Duration::from_secs(5400))));
        check("2026-11-22T20:00:00Z", Some(Since::At(Time::from_unix(1_795_377_600))));
        check("2026-11-22T21:00:00+01:00", Some(Since::At(Time::from_unix(1_795_377_600))));
        check("yesterday", None);
        check("", None);
        check("7", None);
        check("11y", None);
        check("521w 7d", None);
    }

    #[test]
    fn both_lie_on_the_time_line() {
        let now = Timestamp::from_millis(10_000_000);
        assert_eq!(Since::Ago(Duration::from_secs(4)).on_time_line(now, 99), Timestamp::from_millis(9_996_000));
        assert_eq!(Since::At(Time::from_unix(9)).on_time_line(now, 500), Timestamp::from_millis(8_500));
    }

    #[test]
    fn a_query_is_written_as_it_is_read() {
        let names = vec![CredentialName::new("mutt").unwrap(), CredentialName::new("nas").unwrap()];
        let since = Some(Since::Ago(Duration::from_secs(5400)));
        let query = HistoryQuery { names, since, limit: 5 };
        assert_eq!(query.to_url(), "name=mutt&name=nas&since=1h30m&limit=5");
        let query = HistoryQuery { names: vec![], since: None, limit: 100 };
        assert_eq!(query.to_url(), "limit=100");
    }
}
