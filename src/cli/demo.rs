//! `keypulse demo`.

use clap::Args;

use super::Exit;

/// `keypulse demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {}

pub(super) fn demo(_: &DemoArgs) -> Result<u8, Exit> {
    Ok(1)
}
