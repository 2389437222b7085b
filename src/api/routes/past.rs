//! What is asked of the past, out of the query of a URL.

use super::{Problem, known_names, percent_decoded};
use crate::api::HistoryQuery;

/// `name=` as often as wanted, `since=` and `limit=` once.
pub(super) fn history_query(query: &str) -> Result<HistoryQuery, Box<Problem>> {
    let wrong = |detail: String| Box::new(Problem::bad_request(detail));
    let mut asked = HistoryQuery { names: Vec::new(), since: None, limit: HistoryQuery::USUAL };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value)
            .ok_or_else(|| wrong(format!("`{}` is not percent-encoded UTF-8 (RFC 3986)", key.escape_debug())))?;
        match key {
            "name" => asked.names.extend(known_names(&[value])?),
            "since" => asked.since = Some(value.parse().map_err(|why| wrong(format!("`since`: {why}")))?),
            "limit" => {
                let fits = value.parse().ok().filter(|limit| (1..=HistoryQuery::MOST).contains(limit));
                asked.limit =
                    fits.ok_or_else(|| wrong(format!("`limit` is a number from 1 to {}", HistoryQuery::MOST)))?;
            }
            _ => return Err(wrong("the parameters here are `name`, `since` and `limit`".to_owned())),
        }
    }
    Ok(asked)
}

/// `target=`, once or not at all.
pub(super) fn explain_target(query: &str) -> Result<Option<String>, Box<Problem>> {
    let mut target = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let value = pair.strip_prefix("target=").and_then(percent_decoded).filter(|_| target.is_none());
        let wrong = || Problem::bad_request("the only parameter here is `target`, once, percent-encoded (RFC 3986)");
        target = Some(value.ok_or_else(wrong)?);
    }
    Ok(target)
}
