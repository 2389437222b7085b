//! What takes its time, said on the terminal while it lasts.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Says on a terminal what takes its time, until it is dropped.
pub(super) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    pub(super) fn start(doing: String) -> Self {
        Self::saying(move || doing.clone())
    }

    /// With words that change.
    fn saying(doing: impl Fn() -> String + Send + 'static) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        Self(Some(tokio::spawn(async move {
            for frame in FRAMES.iter().cycle() {
                sleep(Duration::from_millis(120)).await;
                let mut err = anstream::stderr().lock();
                drop(write!(err, "\r{frame} {} …\u{1b}[K", doing()).and_then(|()| err.flush()));
            }
        })))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
            drop(write!(anstream::stderr(), "\r\u{1b}[2K"));
        }
    }
}

/// Waits, and says how long it still takes.
pub(super) async fn wait(doing: &str, how_long: Duration) {
    let (doing, until) = (doing.to_owned(), Instant::now() + how_long);
    let _progress = Progress::saying(move || {
        let left = until.saturating_duration_since(Instant::now()).as_secs();
        format!("{doing}: {}:{:02} left, Ctrl-C stops", left / 60, left % 60)
    });
    sleep_until(until).await;
}
