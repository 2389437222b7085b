//! `keypulse run`: the daemon in the foreground.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, filter::FilterFn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    Exit,
    context::{Context, block_on},
    exit,
};
use crate::{
    daemon::{self, Options},
    probe,
};

/// The variable with the log filter.
pub(super) const LOG: &str = "KEYPULSE_LOG";

pub(super) fn run(context: &Context) -> Result<u8, Exit> {
    let options = Options { paths: context.paths()?, socket: context.socket()?, test: false, told: None };
    let filter = match std::env::var(LOG) {
        Ok(text) if !text.is_empty() => text,
        Ok(_) | Err(_) => "info".to_owned(),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        Exit::because(
            format!("understand {LOG}={filter}: {error}"),
            "a log filter reads like `info`, `debug` or `keypulse=debug,warn`",
        )
    })?;
    log(filter);
    exit::on_panic();
    probe::hush_panics();
    block_on(async { Ok(daemon::run(options).await?) })?;
    Ok(0)
}

/// Logs to standard error: plain lines for the journal, which has its own times; times and colours on a terminal.
pub(super) fn log(filter: EnvFilter) {
    // async-imap and others log whole commands, passwords included, through another door (`log`), which is not open; this
    // keeps it shut should a dependency open it (`facts/crates.md` P2).
    let ours = FilterFn::new(|metadata| !metadata.target().starts_with("async_imap"));
    let terminal = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(terminal);
    let registry = tracing_subscriber::registry();
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(lines.without_time().with_filter(filter).with_filter(ours)).init();
    } else {
        registry.with(lines.with_filter(filter).with_filter(ours)).init();
    }
}
