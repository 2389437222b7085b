//! `keypulse demo`: the main job on a simulated iCloud, told in the terminal.
//!
//! Runs the real daemon in this process, on a stage of its own (`stage.rs`), tells what it does (`story.rs`, `screen.rs`),
//! and takes everything down again, however it ends. Touches nothing of the person's but the desktop, where its
//! notification shows.

mod screen;
mod stage;
mod story;

use std::{env, path::Path, time::Duration};

use clap::{Args, error::ErrorKind};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::timeout,
};

use self::{screen::Screen, stage::Stage};
use super::{Exit, Global, context::block_on};
use crate::{
    daemon::{self, Options, RunError},
    probe,
};

/// How long the daemon may take to stop; a second after Ctrl-C all is over.
const FAREWELL: Duration = Duration::from_millis(800);
/// What shells add to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// `keypulse demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Go on until Ctrl-C when the story is told, so that `status` and `check` can be tried on it
    #[arg(long)]
    pub keep: bool,
}

/// How the performance ended.
enum Ended {
    /// The story is told.
    Told,
    /// It could not be told.
    Failed(Exit),
    /// The daemon stopped by itself.
    Daemon(Result<(), RunError>),
    /// Somebody wants it to end.
    Signal(SignalKind),
}

pub(super) fn demo(global: &Global, arguments: &DemoArgs) -> Result<u8, Exit> {
    if global.config.is_some() || global.socket.is_some() {
        let why = "the demonstration has a configuration and a socket of its own: leave out --config and --socket\n";
        return Err(Exit::Usage(clap::Error::raw(ErrorKind::ArgumentConflict, why)));
    }
    probe::hush_panics();
    block_on(perform(arguments.keep))
}

async fn perform(keep: bool) -> Result<u8, Exit> {
    // Before anything is made that a signal could leave behind.
    let mut signals = Signals::listen()?;
    let stage = Stage::set().await?;
    stage.keep_log()?;
    let mut screen = Screen::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let (told, messages) = mpsc::unbounded_channel();
    let options = Options { paths: stage.paths(), socket: stage.socket(), test: true, told: Some(told) };
    let daemon = daemon::run_until(options, async {
        // Dropped or used, it means the same.
        let _ = stopped.await;
    });
    tokio::pin!(daemon);

    let mut ended = tokio::select! {
        biased;
        signal = signals.next() => Ended::Signal(signal),
        result = &mut daemon => Ended::Daemon(result),
        result = story::play(&stage, messages, &mut screen) => result.map_or_else(Ended::Failed, |()| Ended::Told),
    };
    let mut kept = false;
    if keep && matches!(ended, Ended::Told) {
        kept = true;
        ended = if let Err(exit) = stay(&stage, &mut screen) {
            Ended::Failed(exit)
        } else {
            tokio::select! {
                biased;
                signal = signals.next() => Ended::Signal(signal),
                result = &mut daemon => Ended::Daemon(result),
            }
        };
    }

    if !matches!(ended, Ended::Told) {
        screen.clear();
    }
    drop(stop);
    if !matches!(ended, Ended::Daemon(_)) {
        // What one that is too slow leaves goes with the stage.
        if let Ok(Err(error)) = timeout(FAREWELL, &mut daemon).await {
            ended = Ended::Daemon(Err(error));
        }
    }
    if matches!(ended, Ended::Failed(Exit::Failed { .. }) | Ended::Daemon(_)) {
        anstream::eprintln!("{}", stage.last_words());
    }
    stage.strike()?;
    match ended {
        Ended::Told => {
            screen.gap()?;
            screen
                .say("The servers, the passwords and the state of this demonstration are gone. To watch your own:")?;
            screen.command("keypulse add NAME --account YOU@icloud.com")?;
            Ok(0)
        }
        Ended::Failed(exit) => Err(exit),
        Ended::Daemon(Err(error)) => Err(error.into()),
        Ended::Daemon(Ok(())) => {
            Err(Exit::because("keep the daemon running: it stopped by itself", "please report this"))
        }
        Ended::Signal(_) if kept => {
            // Perhaps the terminal is what went away.
            drop(screen.say("Everything is stopped and removed."));
            Ok(0)
        }
        Ended::Signal(kind) => {
            anstream::eprintln!("keypulse: interrupted; nothing is left behind");
            Ok(u8::try_from(SIGNALLED + kind.as_raw_value()).unwrap_or(1))
        }
    }
}

/// Says how to look at it from another terminal.
fn stay(stage: &Stage, screen: &mut Screen) -> Result<(), Exit> {
    let program = env::current_exe()?;
    let short = on_path(&program).then_some("keypulse");
    let program = short.map_or_else(|| quoted(&program), ToOwned::to_owned);
    let socket = quoted(&stage.socket());
    screen.act("It stays up")?;
    screen.say("From another terminal:")?;
    screen.gap()?;
    screen.command(&format!("{program} --socket {socket} status"))?;
    screen.command(&format!("{program} --socket {socket} check"))?;
    screen.gap()?;
    screen.say("The daemon's configuration and log:")?;
    screen.gap()?;
    screen.command(&stage.paths().config.display().to_string())?;
    screen.command(&stage.log().display().to_string())?;
    screen.gap()?;
    screen.say("Ctrl-C ends it and removes everything.")
}

/// Whether `keypulse` alone starts this very program.
fn on_path(program: &Path) -> bool {
    let directories = env::var_os("PATH").unwrap_or_default();
    let first = env::split_paths(&directories).map(|directory| directory.join("keypulse")).find(|path| path.is_file());
    first.is_some_and(|path| path.canonicalize().ok() == program.canonicalize().ok())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The signals that end it.
struct Signals([(SignalKind, Signal); 3]);

impl Signals {
    fn listen() -> Result<Self, Exit> {
        let listen = |kind| Ok::<_, Exit>((kind, signal(kind)?));
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn next(&mut self) -> SignalKind {
        let [(int, on_int), (term, on_term), (hup, on_hup)] = &mut self.0;
        tokio::select! {
            _ = on_int.recv() => *int,
            _ = on_term.recv() => *term,
            _ = on_hup.recv() => *hup,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(quoted(Path::new(path)), expected);
    }

    #[test]
    fn a_pasted_path_reaches_the_program_whole() {
        check("/tmp/keypulse-demo-x1/keypulse.sock", "/tmp/keypulse-demo-x1/keypulse.sock");
        check("/tmp/my files/s", "'/tmp/my files/s'");
        check("/tmp/it's", r"'/tmp/it'\''s'");
        check("/tmp/$HOME", "'/tmp/$HOME'");
    }
}
