//! Asks for a password on the terminal, hidden, or reads it from standard input.
//!
//! Decides where the password comes from and leaves the terminal as it was, whatever ends the question. Never looks at what
//! was typed: that is [`AppPassword`]'s.
//!
//! [`AppPassword`]: crate::secret::AppPassword

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    os::fd::AsFd as _,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use zeroize::Zeroizing;

use super::Exit;

/// The longest line that is read, in bytes: no password is longer, and most that are pasted wrongly are not either.
const LONGEST: usize = 4096;
/// Where the person is asked.
const TERMINAL: &str = "/dev/tty";
/// What to say of a command that ends before it wrote anything.
pub(super) const NOTHING_CHANGED: &str = "nothing was changed";

/// What was typed or piped in, without its line end.
pub(super) async fn password(question: String, from_stdin: bool) -> Result<Zeroizing<String>, Exit> {
    if io::stdin().is_terminal() {
        return ask(question).await;
    }
    if !from_stdin {
        return Err(Exit::misuse(
            "standard input is no terminal, so nobody can be asked for the password",
            "pipe it in and say --stdin: `pass show icloud/mutt | keypulse add mutt --account ADDRESS --stdin`; or leave it \
             where it is with --secret-command or --secret-file",
        ));
    }
    elsewhere(read_line).await?.map_err(|error| because("read the password from standard input", &error))
}

/// Asks on the terminal. Dropped half-way, it puts the terminal back.
async fn ask(question: String) -> Result<Zeroizing<String>, Exit> {
    let _restored = Terminal::remember().map_err(|error| because("ask for the password on the terminal", &error))?;
    let typed = elsewhere(move || rpassword::prompt_password(question).map(Zeroizing::new)).await?;
    typed.map_err(|error| {
        if error.kind() == io::ErrorKind::Interrupted {
            // Ctrl-C, which the prompt reads as a character. The signal that it raises is heard first, mostly.
            interrupted(Interrupts::CTRL_C, NOTHING_CHANGED)
        } else if error.kind() == io::ErrorKind::UnexpectedEof {
            Exit::because("take the password: nothing was typed", NOTHING_CHANGED)
        } else {
            because("ask for the password on the terminal", &error)
        }
    })
}

/// Runs what blocks on a thread of its own, so that signals are heard meanwhile. The thread is not waited for when the
/// process ends.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Exit> {
    let (done, answer) = oneshot::channel();
    std::thread::Builder::new().name("prompt".to_owned()).spawn(move || drop(done.send(work())))?;
    answer.await.map_err(|_| Exit::because("ask for the password: the prompt ended unexpectedly", "try --stdin"))
}

/// One line, byte by byte from the descriptor: a buffered reader would keep a copy, and take more than is ours.
fn read_line() -> io::Result<Zeroizing<String>> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0_u8]);
    while line.len() < LONGEST {
        match input.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) if byte.contains(&b'\n') => break,
            Ok(_) => line.extend_from_slice(byte.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    match std::str::from_utf8(&line) {
        Ok(text) => Ok(Zeroizing::new(text.trim_end_matches('\r').to_owned())),
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text")),
    }
}

/// The terminal's settings, put back when this is dropped: the prompt itself cannot when a signal ends it.
struct Terminal {
    terminal: File,
    settings: Termios,
}

impl Terminal {
    fn remember() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open(TERMINAL)?;
        let settings = tcgetattr(&terminal)?;
        Ok(Self { terminal, settings })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.settings);
    }
}

/// The signals that end a command, heard instead of dying of them.
pub(super) struct Interrupts([Signal; 4]);

impl Interrupts {
    /// SIGINT.
    const CTRL_C: u8 = 2;

    /// Hears from now on. The prompt raises SIGINT itself when it reads Ctrl-C; unheard, that would leave the terminal
    /// without echo.
    pub(super) fn listen() -> io::Result<Self> {
        let hear = |kind: SignalKind| signal(kind);
        Ok(Self([
            hear(SignalKind::interrupt())?,
            hear(SignalKind::terminate())?,
            hear(SignalKind::hangup())?,
            hear(SignalKind::quit())?,
        ]))
    }

    /// Carries on with `work` until it ends or a signal comes, which drops it; `then` says what that means.
    pub(super) async fn or<T>(&mut self, then: &str, work: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
        let [int, term, hup, quit] = &mut self.0;
        tokio::select! {
            biased;
            _ = int.recv() => Err(interrupted(Self::CTRL_C, then)),
            _ = term.recv() => Err(interrupted(15, then)),
            _ = hup.recv() => Err(interrupted(1, then)),
            _ = quit.recv() => Err(interrupted(3, then)),
            result = work => result,
        }
    }
}

/// As shells count: 128 and the signal's number.
fn interrupted(signal: u8, then: &str) -> Exit {
    anstream::eprintln!("keypulse: interrupted; {then}");
    Exit::Code(128 + signal)
}

fn because(what: &str, error: &io::Error) -> Exit {
    Exit::because(format!("{what}: {error}"), "pipe it in with --stdin; nothing was changed")
}
