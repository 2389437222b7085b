//! How far a rehearsal has come, on a terminal only.

use std::io::{IsTerminal as _, Write as _};

use crate::cli::style::{columns, shortened};

/// The bar, in columns.
const BAR: usize = 24;
/// Wider lines would wrap on a small terminal, and could not be taken back.
const WIDTH: usize = 78;

/// A bar on standard error, taken away when it is dropped. Nothing where that is no terminal.
pub(super) struct Progress {
    total: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    pub(super) fn start(total: usize) -> Self {
        Self { total, done: 0, shown: std::io::stderr().is_terminal() }
    }

    /// The next thing begins.
    pub(super) fn next(&mut self, what: &str) {
        if self.shown {
            let line = line(self.done, self.total, what);
            let mut err = anstream::stderr().lock();
            // Perhaps the terminal is what went away.
            drop(write!(err, "\r\u{1b}[2K{line}").and_then(|()| err.flush()));
        }
        self.done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            drop(write!(anstream::stderr(), "\r\u{1b}[2K"));
        }
    }
}

fn line(done: usize, total: usize, what: &str) -> String {
    let full = (done * BAR).checked_div(total).unwrap_or(BAR).min(BAR);
    let count = format!("{:>width$}/{total}", done + 1, width = total.to_string().len());
    let bar = format!("[{}{}] {count}  ", "#".repeat(full), "·".repeat(BAR - full));
    let room = WIDTH.saturating_sub(columns(&bar));
    format!("{bar}{}", shortened(what, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_and_never_wraps() {
        assert!(line(0, 90, "IMAP hangs up").starts_with("[························]  1/90  IMAP"));
        assert!(line(45, 90, "IMAP hangs up").starts_with("[############············] 46/90  IMAP"));
        assert!(line(89, 90, "x").contains("90/90"));
        assert!(columns(&line(3, 90, &"long ".repeat(50))) <= WIDTH);
        assert!(line(0, 0, "").contains("1/0"));
    }
}
