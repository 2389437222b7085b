//! Starting, watching and stopping programs.
//!
//! Waits for states, never for durations. A component's whole process group ends with it, and the kernel ends the
//! component when the test's thread dies (so start it on the thread that keeps it).

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Seek, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long anything may take before the test fails. Generous: a loaded machine is not a broken program.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How long a component may take to stop before its group is killed.
const GRACE: Duration = Duration::from_secs(10);
/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(10);
/// How much of a log a failure shows.
const TAIL: usize = 60;

/// Looks until `state` yields something.
///
/// # Panics
/// At the deadline, saying `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, state: impl FnMut() -> Option<T>) -> T {
    until_or(|| what.to_owned(), state)
}

/// The same; what is said in vain is found out then.
///
/// # Panics
/// At the deadline, with what `what` says.
#[track_caller]
pub fn until_or<T>(what: impl Fn() -> String, mut state: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for: {}", what());
        thread::sleep(LOOK);
    }
}

/// A program that runs beside the test.
pub struct Component {
    name: String,
    child: Mutex<Child>,
    pid: Pid,
    log: PathBuf,
    grace: Duration,
}

impl Component {
    /// Starts `command`; its two outputs are appended to `log`, its input is empty.
    #[track_caller]
    pub fn spawn(name: &str, command: &Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let copy = file.try_clone().unwrap();
        Self::spawn_with(name, command, log, |command| {
            command.stdin(Stdio::null()).stdout(file).stderr(copy);
        })
    }

    /// Starts `command` with the inputs and outputs that `wire` gives it; `log` is what a failure shows.
    #[track_caller]
    pub fn spawn_with(name: &str, command: &Command, log: &Path, wire: impl FnOnce(&mut Command)) -> Self {
        // setpriv replaces itself by the program (same process id); Rust itself could ask for this only with `unsafe`.
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        carry_over(command, &mut guarded);
        wire(&mut guarded);
        let child = guarded.process_group(0).spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let pid = Pid::from_child(&child);
        Self { name: name.to_owned(), child: Mutex::new(child), pid, log: log.to_owned(), grace: GRACE }
    }

    /// It has nothing to lose and nothing to clean up: `stop` kills it at once.
    #[must_use]
    pub fn without_grace(mut self) -> Self {
        self.grace = Duration::ZERO;
        self
    }

    /// Looks until `state` yields something.
    ///
    /// # Panics
    /// At the deadline or when the program ends before, with its log.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut state: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            // Asked before the look, so that a program that did its work and left is not called dead.
            let ended = self.ended();
            if let Some(reached) = state() {
                return reached;
            }
            if let Some(status) = ended {
                panic!("{} ended ({status}) before: {what}\n{}", self.name, self.tail());
            }
            assert!(
                begun.elapsed() < DEADLINE,
                "{}: waited {DEADLINE:?} in vain for: {what}\n{}",
                self.name,
                self.tail()
            );
            thread::sleep(LOOK);
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().unwrap()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "{} does not end\n{}", self.name, self.tail());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(self.pid, signal).unwrap();
        }
    }

    /// Sends a signal to the program and all that it started.
    pub fn signal_group(&self, signal: Signal) {
        // Gone already is what a caller that stops something wants.
        let _ = kill_process_group(self.pid, signal);
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Stops it and all that it started: SIGTERM, and SIGKILL for what does not listen.
    pub fn stop(&self) {
        if self.ended().is_none() && !self.grace.is_zero() {
            // A frozen program cannot hear.
            self.signal_group(Signal::CONT);
            let _ = kill_process(self.pid, Signal::TERM);
            let begun = Instant::now();
            while self.ended().is_none() && begun.elapsed() < self.grace {
                thread::sleep(LOOK);
            }
        }
        self.signal_group(Signal::KILL);
        let _ = self.child().wait();
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
        format!("--- log of {} ({}) ---\n{}\n---", self.name, self.log.display(), tail.join("\n"))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}

/// What a finished program left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; 128 + the signal's number for one that was killed, as shells count.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output without the last line end.
    ///
    /// # Panics
    /// Unless the exit code is 0.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "exit code\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout.trim_end_matches('\n').to_owned()
    }
}

/// Runs a program to its end, with `input` on its standard input.
///
/// # Panics
/// At the deadline; the program and all that it started are killed first.
#[track_caller]
pub fn run(command: &mut Command, input: impl AsRef<[u8]>) -> Output {
    // Files, not pipes: nobody has to drain them while waiting, and a grandchild that keeps one open holds nobody up.
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input.as_ref()).unwrap();
    stdin.rewind().unwrap();
    let [mut stdout, mut stderr] = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(stdin)
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > DEADLINE {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
            panic!("{command:?} does not end\nstdout: {}\nstderr: {}", text(&mut stdout), text(&mut stderr));
        }
        thread::sleep(Duration::from_millis(2));
    };
    Output {
        code: status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap(),
        stdout: text(&mut stdout),
        stderr: text(&mut stderr),
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A command that sees nothing of the machine's session: only PATH and what the caller adds.
pub fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    keep_path(&mut command);
    command
}

fn keep_path(command: &mut Command) {
    // Test machines run as root, sometimes with a user's PATH; the servers are in the sbin directories.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"));
}

fn carry_over(from: &Command, to: &mut Command) {
    to.env_clear();
    for (key, value) in from.get_envs() {
        if let Some(value) = value {
            to.env(key, value);
        }
    }
    if !from.get_envs().any(|(key, _)| key == "PATH") {
        keep_path(to);
    }
    if let Some(directory) = from.get_current_dir() {
        to.current_dir(directory);
    }
}
