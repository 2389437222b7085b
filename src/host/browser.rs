//! Opens Apple's page in the person's browser. Only ever called for a click or a keystroke of the person's.
//!
//! Decides what counts as opened: an opener that did not fail. Never waits for a browser to end.

use std::{error, fmt, io};

use super::launch::launch;

/// Where app-specific passwords are made (`contract.md`).
pub const ACCOUNT_PAGE: &str = "https://account.apple.com/account/manage";

const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

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

/// Opens Apple's page with the desktop's opener.
///
/// # Errors
/// [`BrowserError`] where that fails at once.
pub async fn open_account() -> Result<(), BrowserError> {
    match launch(OPENER, &[ACCOUNT_PAGE.into()]).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(BrowserError::Ended),
        Err(error) => Err(BrowserError::Start(error)),
    }
}
