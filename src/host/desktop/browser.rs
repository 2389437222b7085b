//! Opens Apple's page in the person's browser. Only ever called for a click of the person's.

use std::process::Stdio;

use tokio::process::Command;

/// Where app-specific passwords are made (`contract.md`).
const PAGE: &str = "https://account.apple.com/account/manage";
const OPENER: &str = "xdg-open";

/// Starts the desktop's opener and reaps it.
pub(super) fn open_account() {
    let mut command = Command::new(OPENER);
    command.arg(PAGE).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    match command.spawn() {
        Ok(mut child) => {
            tokio::spawn(async move {
                if !child.wait().await.is_ok_and(|status| status.success()) {
                    tracing::warn!("{OPENER} failed to open {PAGE}");
                }
            });
        }
        Err(error) => tracing::warn!(%error, "failed to start {OPENER} for {PAGE}"),
    }
}
