//! `keypulse notify-test`.

use clap::Args;

use super::{Exit, context::Context};

/// `keypulse notify-test`.
#[derive(Debug, Args)]
pub struct NotifyTestArgs {}

pub(super) fn notify_test(_: &Context, _: &NotifyTestArgs) -> Result<u8, Exit> {
    Ok(1)
}
