//! A real terminal for one command: a pseudo-terminal that `script` makes, with the test at the keyboard.

use std::{
    fs,
    io::{PipeWriter, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::{
    fs::{Mode, OFlags},
    termios::{LocalModes, tcgetattr},
};
use tempfile::TempDir;

use super::{Component, Keypulse, process::until};

/// Tells its terminal's name, runs the command there, and keeps how it left the terminal. Ctrl-C is the command's, not the
/// shell's.
const SHELL: &str = r#"trap : INT; tty >"$DESK/tty.new"; mv "$DESK/tty.new" "$DESK/tty"; "$@"; code=$?; stty -a >"$DESK/after"; exit $code"#;

/// A command in a terminal.
pub struct Terminal {
    // First: stopped before its directory goes.
    component: Component,
    keyboard: PipeWriter,
    /// How much of the screen was read.
    read: usize,
    desk: TempDir,
}

impl Terminal {
    /// Starts keypulse with these arguments, which hold no white space.
    #[track_caller]
    pub fn run(keypulse: &Keypulse, arguments: &[&str]) -> Self {
        let desk = tempfile::tempdir().unwrap();
        let program = keypulse.program();
        let mut command = super::clean("script");
        command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let line = format!("exec sh -c '{SHELL}' sh {} {}", program.get_program().display(), arguments.join(" "));
        // `--echo always`: as a terminal is before a program changes it; `script` switches echo off where it is fed by a pipe.
        command.args(["--quiet", "--return", "--flush", "--echo", "always", "--command", &line, "/dev/null"]);
        command.env("DESK", desk.path()).env("SHELL", "/bin/sh").env("TERM", "xterm").current_dir(keypulse.home());
        let (screen, keys) = (desk.path().join("screen"), std::io::pipe().unwrap());
        let output = fs::File::create(&screen).unwrap();
        let component = Component::spawn_with("keypulse in a terminal", &command, &screen, |command| {
            command.stdin(Stdio::from(keys.0)).stdout(output.try_clone().unwrap()).stderr(output);
        });
        Self { component, keyboard: keys.1, read: 0, desk }
    }

    /// Everything that was on the screen so far.
    pub fn screen(&self) -> String {
        self.component.log()
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub fn until(&self, text: &str) {
        self.component.until(&format!("{text:?} on the screen"), || self.screen().contains(text).then_some(()));
    }

    /// Waits for a text on the screen below what was waited for so far.
    #[track_caller]
    pub fn next(&mut self, text: &str) {
        let found = self.component.until(&format!("{text:?} further down the screen"), || {
            let screen = self.screen();
            screen.get(self.read..)?.find(text).map(|at| self.read + at + text.len())
        });
        self.read = found;
    }

    /// Waits for a question, and answers it with a line.
    #[track_caller]
    pub fn answer(&mut self, question: &str, line: &str) {
        self.next(question);
        self.keys(&format!("{line}\r"));
    }

    /// Waits for a question for a password, and types it.
    #[track_caller]
    pub fn password(&mut self, question: &str, password: &str) {
        self.next(question);
        self.until_hidden();
        self.keys(&format!("{password}\r"));
    }

    /// Waits until what is typed is not shown.
    #[track_caller]
    pub fn until_hidden(&self) {
        until("a terminal that does not echo", || {
            let name = fs::read_to_string(self.desk.path().join("tty")).ok()?;
            (!echoes(Path::new(name.trim()))?).then_some(())
        });
    }

    /// Types.
    #[track_caller]
    pub fn keys(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits for the end; the exit code, and whether the terminal echoes again.
    #[track_caller]
    pub fn end(&self) -> (Option<i32>, bool) {
        let code = self.component.wait().code();
        let after = fs::read_to_string(self.after()).unwrap();
        (code, after.split_whitespace().any(|word| word == "echo"))
    }

    fn after(&self) -> PathBuf {
        self.desk.path().join("after")
    }
}

fn echoes(terminal: &Path) -> Option<bool> {
    let terminal = rustix::fs::open(terminal, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).ok()?;
    Some(tcgetattr(terminal).ok()?.local_modes.contains(LocalModes::ECHO))
}
