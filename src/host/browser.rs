//! Opens Apple's page in the person's browser. Only ever called for a click or a keystroke of the person's.
//!
//! Decides what counts as opened: an opener that did not fail. Never waits for a browser to end.

use std::{error, fmt, io, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// Where app-specific passwords are made (`contract.md`).
pub const ACCOUNT_PAGE: &str = "https://account.apple.com/account/manage";

const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// How long an opener has to fail. One that still runs then has become the browser, as `xdg-open` does outside the big
/// desktops.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why the page was not opened. Displays as a phrase that fits after "failed to".
#[derive(Debug)]
pub enum BrowserError {
    /// The opener could not be started.
    Start(io::Error),
    /// It ended without opening anything.
    Ended,
}

impl fmt::Display for BrowserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(_) => write!(f, "start {OPENER}"),
            Self::Ended => write!(f, "open {ACCOUNT_PAGE}: {OPENER} found no browser"),
        }
    }
}

impl error::Error for BrowserError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Start(error) => Some(error),
            Self::Ended => None,
        }
    }
}

/// Whether a browser has somewhere to appear. Without a screen, openers fall back on browsers that take over the terminal.
#[must_use]
pub fn has_screen() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"].into_iter().any(set)
}

/// Opens Apple's page with the desktop's opener, in a process group of its own so that Ctrl-C does not reach it.
///
/// # Errors
/// [`BrowserError`] where that fails at once.
pub async fn open_account() -> Result<(), BrowserError> {
    let mut command = Command::new(OPENER);
    command.arg(ACCOUNT_PAGE).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(BrowserError::Start)?;
    match timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(_) => Err(BrowserError::Ended),
        Err(_) => {
            // Reaped when it ends, so that no zombie stays.
            tokio::spawn(async move { child.wait().await });
            Ok(())
        }
    }
}
