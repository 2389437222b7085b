//! What every command needs: paths, the terminal, the runtime.

use std::{
    future::Future,
    io::{IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use jiff::tz::TimeZone;

use super::{Exit, Global, table::Look};
use crate::{
    api::{Client, StatusDocument, Time, time},
    config::paths::Environment,
    daemon::Paths,
    secret::wipe_stack,
};

/// What every command needs.
#[derive(Clone, Debug)]
pub(super) struct Context {
    global: Global,
    environment: Environment,
}

/// The places where a service finds its things unless it is told others.
pub(super) struct Usual {
    pub(super) config: PathBuf,
    pub(super) state: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) home: PathBuf,
}

impl Context {
    pub(super) fn new(global: &Global) -> Self {
        Self { global: global.clone(), environment: Environment::read() }
    }

    /// The configuration file.
    pub(super) fn config_file(&self) -> Result<PathBuf, Exit> {
        Ok(self.environment.config_file(self.global.config.as_deref())?)
    }

    /// Configuration and state.
    pub(super) fn paths(&self) -> Result<Paths, Exit> {
        Ok(Paths { config: self.config_file()?, state: self.environment.state_dir()? })
    }

    /// The socket.
    pub(super) fn socket(&self) -> Result<PathBuf, Exit> {
        Ok(self.environment.socket(self.global.socket.as_deref())?)
    }

    /// What the environment says.
    pub(super) const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where things are for a service, which knows neither this command's options nor its variables.
    pub(super) fn usual(&self) -> Result<Usual, Exit> {
        let plain = Environment {
            config_home: None,
            state_home: None,
            keypulse_config: None,
            keypulse_state_dir: None,
            keypulse_socket: None,
            ..self.environment.clone()
        };
        Ok(Usual {
            config: plain.config_file(None)?,
            state: plain.state_dir()?,
            socket: plain.socket(None)?,
            home: plain.home.unwrap_or_default(),
        })
    }

    /// The daemon on that socket.
    pub(super) fn client(&self) -> Result<Client, Exit> {
        Ok(Client::new(self.socket()?))
    }
}

/// Prints to standard output. A closed pipe ends the command quietly.
pub(super) fn print(text: &str) -> Result<(), Exit> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints the status for people.
pub(super) fn print_table(document: &StatusDocument) -> Result<(), Exit> {
    print(&table(document, width()))
}

/// The status for people, in colour, to be printed through anstream: it takes the colours out where they are not wanted
/// (pipes, NO_COLOR, dumb terminals).
pub(super) fn table(document: &StatusDocument, width: usize) -> String {
    seen(document, width, true, super::table::render)
}

/// The document as somebody here sees it.
pub(super) fn seen(
    document: &StatusDocument,
    width: usize,
    colour: bool,
    show: impl Fn(&StatusDocument, &Look) -> String,
) -> String {
    let (now, zone) = (document.generated_at, TimeZone::system());
    let local = |at: Time| time::local(at, now, &zone);
    show(document, &Look { now, width, colour, local: &local })
}

/// Lays out text, in colour, as somebody here sees it at `now`.
pub(super) fn looking(now: Time, lay_out: impl FnOnce(&Look) -> String) -> String {
    let zone = TimeZone::system();
    let local = |at: Time| time::local(at, now, &zone);
    lay_out(&Look { now, width: width(), colour: true, local: &local })
}

/// Prints the status document.
pub(super) fn print_json(document: &StatusDocument) -> Result<(), Exit> {
    let json = serde_json::to_string_pretty(document).map_err(Exit::failed)?;
    print(&format!("{json}\n"))
}

/// The columns of the terminal, 80 where there is none; wider ones are not filled.
pub(super) fn width() -> usize {
    size().0
}

/// The columns and rows of the terminal: 80 and 24 where there is none.
pub(super) fn size() -> (usize, usize) {
    let terminal = std::io::stdout();
    let size = terminal.is_terminal().then(|| rustix::termios::tcgetwinsize(&terminal).ok()).flatten();
    // Some terminals have no size; they say 0.
    let known = |cells: u16| Some(usize::from(cells)).filter(|cells| *cells > 0);
    let columns = size.and_then(|size| known(size.ws_col)).unwrap_or(80);
    (columns.min(120), size.and_then(|size| known(size.ws_row)).unwrap_or(24))
}

/// Whether standard output is a terminal that moves its cursor when told to.
pub(super) fn moves_the_cursor() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stdout().is_terminal() && !dumb
}

/// Whether standard output shall have colours: a terminal, and nobody said no (NO_COLOR).
pub(super) fn is_coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Runs a command's future on the one thread that keypulse has.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
    // Parked is when nothing is under way: whatever ended calls left of a password goes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(wipe_stack).build()?;
    let result = runtime.block_on(future);
    // A keyring or file system that hangs must not keep us.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}
