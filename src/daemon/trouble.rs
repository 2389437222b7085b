//! What keeps the daemon itself from its work, put into the form that people are told of it.
//!
//! Decides when a trouble is over.

use std::error::Error;

use crate::{
    api::{Time, Trouble, spare},
    classify::redact,
    health::schedule::{DAY, Timestamp},
    host::markup,
    store::Loss,
};

/// The state was lost: a trouble for as long as the ration counts as used up for it.
pub(super) fn lost(loss: &Loss, now: Timestamp, offset_ms: i64) -> Option<Trouble> {
    let time = |at| Time::new(at, offset_ms);
    (now.since(loss.at) < DAY).then(|| Trouble::state_lost(&loss.kept_as, time(loss.at), time(loss.at + DAY)))
}

/// No file descriptor is left.
pub(super) fn out_of_files() -> Option<Trouble> {
    spare::out_of_files().then(Trouble::out_of_files)
}

/// An error with its reasons, on one line for the log.
pub(super) fn chain(error: &dyn Error) -> String {
    redact::chain(error, markup::title)
}
