//! What is asked of the past, out of the query of a URL.

use super::{Problem, percent_decoded};
use crate::{api::HistoryQuery, health::name::CredentialName};

/// `name=` as often as wanted, `since=` and `limit=` once.
pub(super) fn history_query(query: &str) -> Result<HistoryQuery, Box<Problem>> {
    let wrong = |detail: String| Box::new(Problem::bad_request(detail));
    let mut asked = HistoryQuery { names: Vec::new(), since: None, limit: HistoryQuery::USUAL };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value)
            .ok_or_else(|| wrong(format!("`{}` is not percent-encoded UTF-8 (RFC 3986)", key.escape_debug())))?;
        match key {
            "name" => asked.names.push(CredentialName::new(&value).map_err(|why| wrong(format!("`name`: {why}")))?),
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
