//! Questions to a person at a terminal: a password, hidden; yes or no; one of several; a line. Also a password piped in.
//!
//! Leaves the terminal as it was, whatever ends a question, and what was typed ahead for the next one. Never looks at a
//! password that was typed: that is [`AppPassword`]'s.
//!
//! [`AppPassword`]: crate::secret::AppPassword

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    os::fd::AsFd as _,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    termios::{OptionalActions, Termios, tcgetattr, tcsetattr},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use zeroize::Zeroizing;

use super::{
    Exit,
    context::{print, width},
    style::{columns, wrapped},
};

/// The longest line that is read, in bytes: no password is longer, and most that are pasted wrongly are not either.
const LONGEST: usize = 4096;
/// Where the person is asked.
const TERMINAL: &str = "/dev/tty";
/// What to say of a command that ends before it wrote anything.
pub(super) const NOTHING_CHANGED: &str = "nothing was changed";

/// Whether a person can be asked, and sees the questions.
pub(super) fn has_person() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Says something in a dialogue. Lines that are too wide for the terminal are broken between words and keep their indent.
pub(super) fn say(text: &str) -> Result<(), Exit> {
    let lines: Vec<String> = text.split('\n').flat_map(|line| fitted(line, width())).collect();
    print(&(lines.join("\n") + "\n"))
}

fn fitted(line: &str, width: usize) -> Vec<String> {
    if columns(line) <= width {
        return vec![line.to_owned()];
    }
    let words = line.trim_start();
    let item = if words.starts_with("- ") { "  " } else { "" };
    let indent = " ".repeat(line.len() - words.len());
    let lines = wrapped(words, width.saturating_sub(indent.len() + item.len()));
    let indented =
        lines.iter().enumerate().map(|(at, line)| format!("{indent}{}{line}", if at > 0 { item } else { "" }));
    indented.collect()
}

/// A password of standard input: its next line, without the line end. `None` at its end.
pub(super) async fn piped() -> Result<Option<Zeroizing<String>>, Exit> {
    let line = elsewhere(|| read_line(&mut File::from(io::stdin().as_fd().try_clone_to_owned()?))).await?;
    line.map_err(|error| because("read the password from standard input", &error))
}

/// A line that is seen while it is typed. Dropped half-way, it takes nothing of what is typed later.
pub(super) async fn line(question: &str) -> Result<String, Exit> {
    print(question)?;
    let typed = typed_line().await?;
    typed.map(|line| line.trim().to_owned()).ok_or_else(|| {
        anstream::eprintln!("\nkeypulse: the input ended");
        Exit::Code(1)
    })
}

/// Yes or no; Enter alone means `usual`.
pub(super) async fn yes(question: &str, usual: bool) -> Result<bool, Exit> {
    let keys = if usual { "[Y/n]" } else { "[y/N]" };
    loop {
        match line(&format!("{question} {keys} ")).await?.to_lowercase().as_str() {
            "" => return Ok(usual),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => say("Type y or n, or Enter alone for the capital one.")?,
        }
    }
}

/// One of several, each with its letter; Enter alone means the first.
pub(super) async fn choose<T>(why: &str, options: Vec<(T, char, String)>) -> Result<T, Exit> {
    say(why)?;
    for (at, (_, letter, what)) in options.iter().enumerate() {
        let key = if at == 0 { "Enter".to_owned() } else { letter.to_string() };
        say(&format!("  {key:<6} {what}"))?;
    }
    let mut options = options;
    loop {
        let typed = line("Which? ").await?.to_lowercase();
        let at = match typed.chars().next() {
            None => Some(0),
            Some(first) => options.iter().position(|(_, letter, _)| *letter == first),
        };
        match at.filter(|at| *at < options.len()) {
            Some(at) => return Ok(options.swap_remove(at).0),
            None => say("Type one of these letters, or Enter alone for the first.")?,
        }
    }
}

/// Asks for a password. Dropped half-way, it puts the terminal back.
pub(super) async fn hidden(question: String) -> Result<Zeroizing<String>, Exit> {
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

/// The next line of the terminal. Its thread waits beside the descriptor, not in it, so that a question that is dropped leaves
/// what is typed to the next one.
async fn typed_line() -> Result<Option<Zeroizing<String>>, Exit> {
    let (dropped, _asking) = io::pipe()?;
    let line = elsewhere(move || {
        let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let mut both = [PollFd::new(&input, PollFlags::IN), PollFd::new(&dropped, PollFlags::IN)];
        while let Err(error) = poll(&mut both, None) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        let [_, gone] = both;
        if gone.revents().is_empty() { read_line(&mut input) } else { Ok(None) }
    });
    line.await?.map_err(|error| because("read from the terminal", &error))
}

/// One line, byte by byte from the descriptor: a buffered reader would keep a copy, and take more than is ours.
fn read_line(input: &mut File) -> io::Result<Option<Zeroizing<String>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0_u8]);
    while line.len() < LONGEST {
        match input.read(byte.as_mut_slice()) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if byte.contains(&b'\n') => break,
            Ok(_) => line.extend_from_slice(byte.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    match std::str::from_utf8(&line) {
        Ok(text) => Ok(Some(Zeroizing::new(text.trim_end_matches('\r').to_owned()))),
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
        match self.race(work).await {
            Ok(result) => result,
            Err(Interrupted(signal)) => Err(interrupted(signal, then)),
        }
    }

    /// Carries on with `work` until it ends or a signal comes, which drops it.
    pub(super) async fn race<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        let [int, term, hup, quit] = &mut self.0;
        tokio::select! {
            biased;
            _ = int.recv() => Err(Interrupted(Self::CTRL_C)),
            _ = term.recv() => Err(Interrupted(15)),
            _ = hup.recv() => Err(Interrupted(1)),
            _ = quit.recv() => Err(Interrupted(3)),
            result = work => Ok(result),
        }
    }
}

/// A signal came: which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interrupted(u8);

impl Interrupted {
    /// As shells count: 128 and the signal's number.
    pub(super) const fn code(self) -> u8 {
        128 + self.0
    }
}

/// Says so.
fn interrupted(signal: u8, then: &str) -> Exit {
    anstream::eprintln!("keypulse: interrupted; {then}");
    Exit::Code(Interrupted(signal).code())
}

fn because(what: &str, error: &io::Error) -> Exit {
    Exit::because(format!("{what}: {error}"), "pipe it in with --stdin; nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_lines_are_broken_below_their_words() {
        let check = |line: &str, expected: &[&str]| assert_eq!(fitted(line, 20), expected);
        check("Enter  wait", &["Enter  wait"]);
        check("  A label to know it by: x", &["  A label to know it", "  by: x"]);
        check("  - one two three four five", &["  - one two three", "    four five"]);
    }
}
