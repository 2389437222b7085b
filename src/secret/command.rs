//! Passwords from commands such as `pass show icloud/mutt`.
//!
//! Decides how a command is run, for how long, and what its end means. In the background it can ask nobody: no input, a
//! session of its own without a terminal, and word to it and to `pass` that no dialog is wanted. Never runs a shell of
//! its own, never repeats a command's output, never leaves a command running that nobody waits for.

use std::{
    collections::HashSet,
    io::{self, IsTerminal},
    process::Stdio,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use process_wrap::std::{CommandWrap, CommandWrapper, ProcessSession};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};
use zeroize::Zeroizing;

use super::{Asked, FirstLine, Limits, Unavailable, complaint, printable};

/// How long a pipe is still read after the command ended: what it wrote is there already, but something it left running
/// may hold the pipe open for ever.
const AFTER_EXIT: Duration = Duration::from_millis(300);

/// What is read and thrown away behind the first line, at most. A `pass` entry can hold long notes; `yes` never ends.
const MAX_OUTPUT: usize = 1 << 20;

/// Runs commands, and remembers those that did not end in time.
#[derive(Debug, Default)]
pub(super) struct Commands {
    timed_out: Mutex<HashSet<Vec<String>>>,
}

impl Commands {
    /// The first line of a command's standard output.
    pub(super) async fn read(
        &self,
        command: &[String],
        asked: Asked,
        limits: &Limits,
    ) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
        let name = name(command);
        let limit = match asked {
            Asked::Background if self.timed_out().contains(command) => {
                return Err(Unavailable::new(format!(
                    "the command {name} did not end in time before, so it is not run in the background until you run \
                     `keypulse check` or unlock the session"
                )));
            }
            Asked::Background => limits.command_background,
            Asked::ByPerson => limits.command_by_person,
        };
        let (child, group) = start(command, asked)?;
        if let Ok(read) = timeout(limit, conversation(child, group, &name, asked)).await {
            self.timed_out().remove(command);
            return read;
        }
        // Leaving the conversation killed the command.
        self.timed_out().insert(command.to_owned());
        let within = limit.as_secs_f32();
        let waits = "it may wait for a dialog or for hardware";
        Err(Unavailable::new(format!("the command {name} did not end within {within} s; {waits}")))
    }

    pub(super) fn forget_timeouts(&self) {
        self.timed_out().clear();
    }

    fn timed_out(&self) -> MutexGuard<'_, HashSet<Vec<String>>> {
        self.timed_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The program, as people are told about it. Its arguments are not shown: one of them may be a secret.
pub(super) fn name(command: &[String]) -> String {
    format!("`{}`", printable(command.first().map_or("", String::as_str), 60))
}

fn start(words: &[String], asked: Asked) -> Result<(Child, Group), Unavailable> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Unavailable::new("the command is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut in_group = true;
    match asked {
        Asked::Background => {
            command.env("KEYPULSE_BACKGROUND", "1").env("PASSWORD_STORE_GPG_OPTS", gpg_options());
            // Without these, gpg's curses dialog would come up on the terminal we were started from, and ssh's on the screen.
            command.env_remove("GPG_TTY").env("SSH_ASKPASS_REQUIRE", "never");
            // The hook alone, on tokio's command: waiting and reading stay tokio's.
            ProcessSession
                .pre_spawn(command.as_std_mut(), &CommandWrap::with_new("", |_| {}))
                .map_err(|error| Unavailable::new(format!("the command cannot get a session of its own: {error}")))?;
        }
        // The terminal is the person's: the command may ask there, in our own process group, or it would be stopped.
        Asked::ByPerson if io::stdin().is_terminal() => {
            command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
            in_group = false;
        }
        Asked::ByPerson => {
            command.process_group(0);
        }
    }
    let child = command.spawn().map_err(|error| {
        let name = name(words);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the system's list is long; the rest reads the same to people"
        )]
        Unavailable::new(match error.kind() {
            io::ErrorKind::NotFound if program.contains('/') => format!("the command {name} does not exist"),
            io::ErrorKind::NotFound => format!("the command {name} was not found; is it installed, and in this PATH?"),
            io::ErrorKind::PermissionDenied => format!("the command {name} may not be executed"),
            _ => format!("the command {name} could not be started: {error}"),
        })
    })?;
    let leader = child.id().filter(|_| in_group).and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok((child, Group(leader)))
}

/// `pass` hands these to gpg. What the person put there stays.
fn gpg_options() -> String {
    let set = std::env::var("PASSWORD_STORE_GPG_OPTS").unwrap_or_default();
    format!("{set} --pinentry-mode=error").trim_start().to_owned()
}

/// A process group that dies with this value, unless its leader ended by itself: then its number may be another's.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Gone already: nothing to do.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// From the start of a command to its end. Dropping it kills the command with all its children.
async fn conversation(
    mut child: Child,
    mut group: Group,
    name: &str,
    asked: Asked,
) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut output, mut errors) = (FirstLine::new(), FirstLine::new());
    let mut reading = Box::pin(async {
        // Its own errors may be of any length; only too much output is an error of ours.
        let (output, _) = tokio::join!(read_first_line(stdout, &mut output), read_first_line(stderr, &mut errors));
        output
    });
    let (status, read) = tokio::select! {
        biased;
        read = &mut reading => match read {
            Ok(()) => (child.wait().await, Ok(())),
            Err(problem) => {
                drop(group);
                return Err(Unavailable::new(format!("the output of {name} {problem}")));
            }
        },
        status = child.wait() => (status, timeout(AFTER_EXIT, &mut reading).await.unwrap_or(Ok(()))),
    };
    drop(reading);
    group.0 = None;
    read.map_err(|problem| Unavailable::new(format!("the output of {name} {problem}")))?;
    let status = status.map_err(|error| Unavailable::new(format!("the end of {name} was lost: {error}")))?;
    if !status.success() {
        return Err(Unavailable::new(complaint::failure(name, status, &errors.line, &output.line, asked)));
    }
    Ok(output.line)
}

async fn read_first_line(pipe: Option<impl AsyncRead + Unpin>, first: &mut FirstLine) -> Result<(), &'static str> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut piece = Zeroizing::new(vec![0; 4096]);
    let mut total = 0;
    loop {
        let count = pipe.read(&mut piece).await.map_err(|_| "cannot be read")?;
        if count == 0 {
            return Ok(());
        }
        total += count;
        first
            .push(piece.get(..count).unwrap_or_default())
            .map_err(|_| "has a first line longer than 4 KiB: no password")?;
        if total > MAX_OUTPUT {
            return Err("is larger than 1 MiB: no password");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;

    fn limits(short: bool) -> Limits {
        let limit = if short { Duration::from_millis(150) } else { Duration::from_secs(30) };
        Limits { command_background: limit, command_by_person: limit, ..Limits::default() }
    }

    fn words(command: &[&str]) -> Vec<String> {
        command.iter().map(|word| (*word).to_owned()).collect()
    }

    async fn read(command: &[&str], asked: Asked) -> Result<String, String> {
        let secret = Commands::default().read(&words(command), asked, &limits(false)).await;
        secret.map(|secret| String::from_utf8(secret.to_vec()).unwrap()).map_err(|error| {
            assert_eq!(error.cause, crate::health::evidence::Cause::SecretUnavailable);
            error.detail
        })
    }

    async fn shell(script: &str) -> Result<String, String> {
        read(&["sh", "-c", script], Asked::Background).await
    }

    #[tokio::test]
    async fn the_first_line_of_the_output_is_the_password() {
        for (script, expected) in [
            ("echo abcd-efgh-ijkl-mnop", "abcd-efgh-ijkl-mnop"),
            ("printf abcd", "abcd"),
            ("printf 'abcd\\nuser: john\\n'; echo noise >&2", "abcd"),
            ("printf ab; sleep 0.05; printf 'cd\\n'", "abcd"),
            ("true", ""),
            ("echo abcd; head -c 100000 /dev/zero", "abcd"),
            ("head -c 200000 /dev/zero >&2; echo abcd", "abcd"),
        ] {
            assert_eq!(shell(script).await, Ok(expected.to_owned()), "{script}");
        }
    }

    #[tokio::test]
    async fn every_failure_has_its_own_words() {
        for (script, expected) in [
            ("exit 3", "the command `sh` failed with exit status 3"),
            ("echo abcd; exit 1", "the command `sh` failed with exit status 1"),
            (
                "echo 'gpg: no\tkey' >&2; echo more >&2; exit 2",
                "the command `sh` failed with exit status 2: gpg: no key",
            ),
            ("kill -9 $$", "the command `sh` was ended by signal 9"),
            ("head -c 5000 /dev/zero", "the output of `sh` has a first line longer than 4 KiB: no password"),
            ("yes", "the output of `sh` is larger than 1 MiB: no password"),
            (
                "echo 'gpg: decryption failed: No pinentry' >&2; exit 2",
                "the command `sh` wanted to ask, which nothing may in the background; run `keypulse check`: gpg: decryption \
                 failed: No pinentry",
            ),
        ] {
            assert_eq!(shell(script).await, Err(expected.to_owned()), "{script}");
        }
        let missing = "the command `keypulse-no-such` was not found; is it installed, and in this PATH?";
        assert_eq!(read(&["keypulse-no-such", "x"], Asked::Background).await, Err(missing.to_owned()));
        let missing = "the command `/no/such` does not exist";
        assert_eq!(read(&["/no/such"], Asked::ByPerson).await, Err(missing.to_owned()));
        assert_eq!(read(&[], Asked::Background).await, Err("the command is empty".to_owned()));
        let home = tempfile::tempdir().unwrap();
        let plain = home.path().join("p");
        fs::write(&plain, "").unwrap();
        fs::set_permissions(&plain, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = read(&[plain.to_str().unwrap()], Asked::Background).await.unwrap_err();
        assert!(refused.ends_with("may not be executed"), "{refused}");
    }

    #[tokio::test]
    async fn a_complaint_never_holds_the_password() {
        for script in [
            "echo abcd-efgh-ijkl-mnop; echo 'cannot parse abcd-efgh-ijkl-mnop' >&2; exit 1",
            "echo 'cannot parse \"abcd-efgh-ijkl-mnop\"!' >&2; exit 1",
            "echo 'cannot parse abcdefghijklmnop' >&2; exit 1",
            "echo Main-Password-1; echo 'cannot parse Main-Password-1' >&2; exit 1",
            "set -x; : abcd-efgh-ijkl-mnop; exit 1",
        ] {
            let detail = shell(script).await.unwrap_err();
            assert!(!detail.contains("abcd") && !detail.contains("Main"), "{detail}");
            assert!(detail.starts_with("the command `sh` failed with exit status 1"), "{detail}");
        }
    }

    #[tokio::test]
    async fn in_the_background_a_command_can_ask_nobody() {
        let said = shell("read -r line || echo \"$KEYPULSE_BACKGROUND $PASSWORD_STORE_GPG_OPTS $GPG_TTY\"").await;
        assert_eq!(said, Ok(format!("1 {} ", gpg_options())));
        assert!(gpg_options().ends_with("--pinentry-mode=error"));
        // Field 6 of stat is the session: it leads its own, so it has no terminal to open.
        let session = "set -- $(cat /proc/$$/stat); [ $6 = $$ ] && ! true 2>/dev/null </dev/tty && echo alone";
        assert_eq!(shell(session).await, Ok("alone".to_owned()));
    }

    #[tokio::test]
    async fn for_a_person_the_environment_is_as_it_was() {
        let script = "echo \"${KEYPULSE_BACKGROUND-none} ${SSH_ASKPASS_REQUIRE-none}\"";
        assert_eq!(read(&["sh", "-c", script], Asked::ByPerson).await, Ok("none none".to_owned()));
    }

    #[tokio::test]
    async fn something_left_running_does_not_hold_the_answer() {
        assert_eq!(shell("sleep 600 & echo abcd").await, Ok("abcd".to_owned()));
    }

    /// Waits until the process with the number in `file` is gone.
    async fn gone(file: &Path) {
        let id = fs::read_to_string(file).unwrap();
        let process = Path::new("/proc").join(id.trim());
        // A zombie has no command line.
        while fs::read(process.join("cmdline")).is_ok_and(|line| !line.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn one_that_timed_out_is_killed_and_not_run_again_until_a_person_asks() {
        let home = tempfile::tempdir().unwrap();
        let (runs, child) = (home.path().join("runs"), home.path().join("child"));
        let ready = home.path().join("ready");
        let script = format!(
            "echo x >>{}; [ -e {} ] && {{ echo abcd; exit; }}; sleep 600 & echo $! >{}; wait",
            runs.display(),
            ready.display(),
            child.display()
        );
        let command = words(&["sh", "-c", &script]);
        let count = || fs::read_to_string(&runs).unwrap().lines().count();
        let commands = Commands::default();

        let detail = commands.read(&command, Asked::Background, &limits(true)).await.unwrap_err().detail;
        assert!(detail.starts_with("the command `sh` did not end within 0.15 s"), "{detail}");
        gone(&child).await;
        let detail = commands.read(&command, Asked::Background, &limits(true)).await.unwrap_err().detail;
        assert!(detail.contains("not run in the background until you run `keypulse check`"), "{detail}");
        assert_eq!(count(), 1);
        let other = words(&["sh", "-c", "echo other"]);
        assert!(commands.read(&other, Asked::Background, &limits(false)).await.is_ok(), "only that command");

        commands.read(&command, Asked::ByPerson, &limits(true)).await.unwrap_err();
        assert_eq!(count(), 2);
        commands.read(&command, Asked::Background, &limits(false)).await.unwrap_err();
        assert_eq!(count(), 2, "it timed out again");

        fs::write(&ready, "").unwrap();
        assert!(commands.read(&command, Asked::ByPerson, &limits(false)).await.is_ok());
        assert!(commands.read(&command, Asked::Background, &limits(false)).await.is_ok());
        assert_eq!(count(), 4);

        fs::remove_file(&ready).unwrap();
        commands.read(&command, Asked::Background, &limits(true)).await.unwrap_err();
        fs::write(&ready, "").unwrap();
        commands.forget_timeouts();
        assert!(commands.read(&command, Asked::Background, &limits(false)).await.is_ok());
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_takes_the_command_with_it() {
        let home = tempfile::tempdir().unwrap();
        let child = home.path().join("child");
        let script = format!("sleep 600 & echo $! >{0}.new; mv {0}.new {0}; wait", child.display());
        let commands = Commands::default();
        let (command, limits) = (words(&["sh", "-c", &script]), limits(false));
        let mut reading = Box::pin(commands.read(&command, Asked::Background, &limits));
        while !child.exists() {
            assert!(timeout(Duration::from_millis(5), &mut reading).await.is_err());
        }
        drop(reading);
        gone(&child).await;
    }
}
