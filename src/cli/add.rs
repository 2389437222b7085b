//! `keypulse add` and `keypulse remove`.

use clap::Args;

use super::{Exit, context::Context};

/// `keypulse add`.
#[derive(Debug, Args)]
pub struct AddArgs {}

/// `keypulse remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {}

pub(super) fn add(_: &Context, _: &AddArgs) -> Result<u8, Exit> {
    Ok(1)
}

pub(super) fn remove(_: &Context, _: &RemoveArgs) -> Result<u8, Exit> {
    Ok(1)
}
