//! The hook: a program of the person's that gets each event as JSON.
//!
//! Runs it once and says how it ended. Never retries, never decides what is told, and never puts a text of the hook's
//! into anything but a log line.

use std::{
    fmt, io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    process::{Child, Command},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    api::IncidentEvent,
    health::{incident::IncidentCause, name::Address},
};

/// How long a hook may run (`contract.md`: 30 s).
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// What is kept of its standard error for the log.
const STDERR_BYTES: u64 = 2048;
/// How long the rest of its standard error may take once it has ended: it is in the pipe already, unless a child of the
/// hook's holds the other end.
const STDERR_GRACE: Duration = Duration::from_millis(200);

/// What a hook is told.
#[derive(Clone, Debug, PartialEq)]
pub struct HookEvent {
    /// The occasion: `KEYPULSE_EVENT`.
    pub event: IncidentEvent,
    /// Whose: `KEYPULSE_ACCOUNT`.
    pub account: Address,
    /// Why: `KEYPULSE_CAUSE`.
    pub cause: IncidentCause,
    /// The whole object for its standard input.
    pub payload: serde_json::Value,
    /// Of demo, rehearsal or `notify-test`: `KEYPULSE_TEST=1`.
    pub test: bool,
}

/// Why a hook did not take an event. Reads on after "failed to run the hook: ".
#[derive(Debug)]
pub enum HookError {
    /// No command is configured.
    Empty,
    /// It could not be started.
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It could not be waited for.
    Wait(io::Error),
    /// It ended, but not with status 0.
    Status {
        /// How it ended.
        status: ExitStatus,
        /// The beginning of what it wrote to standard error, printable, on one line.
        stderr: String,
    },
    /// It ran for longer than 30 s; it and its children were killed.
    TimedOut(Duration),
}

impl HookError {
    /// Whether the program ran, and so may have told somebody.
    #[must_use]
    pub const fn was_started(&self) -> bool {
        match self {
            Self::Empty | Self::Start { .. } => false,
            Self::Wait(_) | Self::Status { .. } | Self::TimedOut(_) => true,
        }
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("notify.hook.command is empty: give the program and its arguments"),
            Self::Start { program, .. } => write!(f, "cannot start {program}"),
            Self::Wait(_) => f.write_str("cannot wait for its end"),
            Self::Status { status, stderr } if stderr.is_empty() => write!(f, "it ended with {status}"),
            Self::Status { status, stderr } => write!(f, "it ended with {status}: {stderr}"),
            Self::TimedOut(limit) => write!(f, "it ran for more than {} s and was killed", limit.as_secs()),
        }
    }
}

impl std::error::Error for HookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start { source, .. } | Self::Wait(source) => Some(source),
            Self::Empty | Self::Status { .. } | Self::TimedOut(_) => None,
        }
    }
}

/// Runs `command` with the event on its standard input. Dropping the future kills it with its children.
///
/// # Errors
/// When it could not be started, ran for too long, or ended with another status than 0.
pub async fn run(command: &[String], event: HookEvent) -> Result<(), HookError> {
    run_within(command, event, TIME_LIMIT).await
}

async fn run_within(command: &[String], event: HookEvent, limit: Duration) -> Result<(), HookError> {
    let [program, arguments @ ..] = command else { return Err(HookError::Empty) };
    let deadline = Instant::now() + limit;
    let start = |source| HookError::Start { program: program.clone(), source };
    let mut input = event.payload.to_string();
    input.push('\n');
    // Into the pipe before the program is started: a hook that was started got its event, whatever happens to us then. (A
    // pipe takes 64 KiB; the rest of a longer one follows.)
    let (mut feeder, stdin) = pipe::pipe().map_err(start)?;
    let fed = feeder.write(input.as_bytes()).await.map_err(start)?;
    let stdin = stdin.into_blocking_fd().map_err(start)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KEYPULSE_EVENT", event.event.as_str())
        .env("KEYPULSE_ACCOUNT", event.account.as_str())
        .env("KEYPULSE_CAUSE", event.cause.as_str())
        .env_remove("KEYPULSE_TEST")
        // The line to the service manager is the daemon's own.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if event.test {
        command.env("KEYPULSE_TEST", "1");
    }
    let mut child = command.spawn().map_err(start)?;
    let group = Group::of(&child);
    drop(command); // and with it our copy of the pipe's other end
    let pipe = child.stderr.take();
    let rest = async move {
        // A hook need not read: a broken pipe is no failure. Its exit status is what counts.
        let _ = feeder.write_all(input.as_bytes().get(fed..).unwrap_or_default()).await;
    };
    let mut stderr = Vec::new();
    let ended = {
        let listen = keep(pipe, &mut stderr);
        let mut talk = std::pin::pin!(async { tokio::join!(rest, listen) });
        let end = async {
            tokio::select! {
                _ = &mut talk => child.wait().await,
                status = child.wait() => {
                    let _ = timeout(STDERR_GRACE, &mut talk).await;
                    status
                }
            }
        };
        timeout_at(deadline, end).await
    };
    let Ok(status) = ended else {
        drop(group);
        let _ = child.wait().await;
        return Err(HookError::TimedOut(limit));
    };
    // What it started in the background may live on.
    group.disarm();
    let status = status.map_err(HookError::Wait)?;
    let stderr = one_line(&stderr);
    if status.success() {
        if !stderr.is_empty() {
            tracing::info!(%stderr, "the hook wrote to standard error");
        }
        Ok(())
    } else {
        Err(HookError::Status { status, stderr })
    }
}

/// Keeps the first [`STDERR_BYTES`] and reads the rest away, so that the hook never waits for us.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let _ = (&mut pipe).take(STDERR_BYTES).read_to_end(kept).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
}

fn one_line(bytes: &[u8]) -> String {
    super::markup::title(String::from_utf8_lossy(bytes).trim())
}

/// A process group that is killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn event() -> HookEvent {
        HookEvent {
            event: IncidentEvent::Opened,
            account: Address::new("johnappleseed@icloud.com").unwrap(),
            cause: IncidentCause::MainPasswordReset,
            payload: serde_json::json!({"schema": 1, "event": "incident-opened", "account": {"address": "a@b"}}),
            test: false,
        }
    }

    fn sh(script: &str, directory: &Path) -> Vec<String> {
        ["sh", "-c", script, "hook", directory.to_str().unwrap()].map(str::to_owned).to_vec()
    }

    async fn ended(script: &str) -> Result<(), HookError> {
        let directory = tempfile::tempdir().unwrap();
        run(&sh(script, directory.path()), event()).await
    }

    #[cfg(target_os = "linux")]
    fn runs(pid: &str) -> bool {
        // A zombie that nobody reaps yet is dead all the same.
        fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
    }

    #[tokio::test]
    async fn a_hook_gets_event_and_environment() {
        let directory = tempfile::tempdir().unwrap();
        let script = r#"cat >"$1/in"; echo "$KEYPULSE_EVENT $KEYPULSE_ACCOUNT $KEYPULSE_CAUSE ${KEYPULSE_TEST-unset}" >"$1/env""#;
        run(&sh(script, directory.path()), event()).await.unwrap();
        let told = fs::read_to_string(directory.path().join("in")).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap(), event().payload);
        let env = fs::read_to_string(directory.path().join("env")).unwrap();
        assert_eq!(env, "incident-opened johnappleseed@icloud.com main-password-reset unset\n");

        run(&sh(script, directory.path()), HookEvent { test: true, ..event() }).await.unwrap();
        assert!(fs::read_to_string(directory.path().join("env")).unwrap().ends_with(" 1\n"));
    }

    #[tokio::test]
    async fn a_hook_that_does_not_read_is_fine() {
        let big = HookEvent { payload: serde_json::Value::String("x".repeat(1 << 20)), ..event() };
        let directory = tempfile::tempdir().unwrap();
        run(&sh("exit 0", directory.path()), big.clone()).await.unwrap();
        run(&sh("exec <&-; exit 0", directory.path()), big).await.unwrap();
    }

    #[tokio::test]
    async fn the_exit_status_is_reported() {
        let error = ended("printf 'no\\033[31m such\\nplace' >&2; exit 3").await.unwrap_err();
        assert_eq!(error.to_string(), "it ended with exit status: 3: no\u{fffd}[31m such place");
        let error = ended("kill -TERM $$").await.unwrap_err();
        assert_eq!(error.to_string(), "it ended with signal: 15 (SIGTERM)");
        let error = run(&["/nonexistent/hook".to_owned()], event()).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot start /nonexistent/hook");
        assert!(std::error::Error::source(&error).is_some());
        assert!(matches!(run(&[], event()).await, Err(HookError::Empty)));
    }

    #[tokio::test]
    async fn a_talkative_hook_is_bounded() {
        let error = ended("yes | head -c 3000000 >&2; yes | head -c 3000000; exit 1").await.unwrap_err();
        assert!(error.to_string().chars().count() < 200, "{error}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_slow_hook_dies_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let script = r#"sleep 300 & echo $! >"$1/child"; echo $$ >"$1/self"; wait"#;
        let error = run_within(&sh(script, directory.path()), event(), Duration::from_secs(3)).await.unwrap_err();
        assert!(matches!(error, HookError::TimedOut(_)), "{error}");
        for name in ["child", "self"] {
            let pid = fs::read_to_string(directory.path().join(name)).unwrap();
            while runs(&pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_hook_leaves_in_the_background_does_not_hold_us() {
        let directory = tempfile::tempdir().unwrap();
        let started = Instant::now();
        run(&sh(r#"sleep 20 & echo $! >"$1/child"; exit 0"#, directory.path()), event()).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
        let pid = fs::read_to_string(directory.path().join("child")).unwrap();
        assert!(runs(&pid));
        let _ = kill(Pid::from_raw(pid.trim().parse().unwrap()).unwrap());
    }

    #[cfg(target_os = "linux")]
    fn kill(pid: Pid) -> rustix::io::Result<()> {
        rustix::process::kill_process(pid, Signal::KILL)
    }
}
