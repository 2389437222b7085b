//! keypulse itself: the real binary, in a home of its own.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Bus, Component, DEADLINE, Output, Settings,
    process::{clean, run},
};

/// One person's machine: home, configuration, state. Nothing runs in it until `run`.
pub struct Keypulse {
    home: TempDir,
    environment: Vec<(String, String)>,
    /// What the program is started by, with its arguments.
    before: Vec<String>,
    program: PathBuf,
}

impl Keypulse {
    /// A person without a configuration, a session bus or a display.
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("home").tempdir().unwrap();
        fs::DirBuilder::new().mode(0o700).create(home.path().join("run")).unwrap();
        Self { home, environment: Vec::new(), before: Vec::new(), program: binary().into() }
    }

    /// A person with this configuration.
    pub fn with(settings: &Settings) -> Self {
        let keypulse = Self::new();
        keypulse.configure(settings);
        keypulse
    }

    /// Gives programs started from now on the session bus.
    #[must_use]
    pub fn on(self, bus: &Bus) -> Self {
        self.env("DBUS_SESSION_BUS_ADDRESS", &bus.address())
    }

    /// Sets a variable of the environment for programs started from now on.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.set_env(key, value);
        self
    }

    /// The same, for one that stands already.
    pub fn set_env(&mut self, key: &str, value: &str) {
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// The same as another user, who needs no account. All that is in the home by now becomes theirs.
    #[must_use]
    pub fn of(mut self, user: u32) -> Self {
        let program = self.home().join("keypulse");
        // Where the build's directory is closed to others.
        fs::copy(&self.program, &program).unwrap();
        self.program = program;
        let id = user.to_string();
        run(clean("chown").args(["--recursive", &format!("{id}:{id}")]).arg(self.home()), "").ok();
        self.started_by(&["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--pdeathsig", "KILL", "--"])
    }

    /// Programs started from now on are started by this one, which becomes them.
    #[must_use]
    pub fn started_by(mut self, words: &[&str]) -> Self {
        self.before.extend(words.iter().map(ToString::to_string));
        self
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.home().join(".config/keypulse/config.toml")
    }

    /// The state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.home().join(".local/state/keypulse")
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.home().join("run/keypulse/keypulse.sock")
    }

    /// Writes the configuration.
    pub fn configure(&self, settings: &Settings) {
        self.configure_text(&settings.to_toml());
    }

    /// Writes the configuration, right or wrong.
    pub fn configure_text(&self, text: &str) {
        fs::create_dir_all(self.config_file().parent().unwrap()).unwrap();
        fs::write(self.config_file(), text).unwrap();
    }

    /// A file with a password that only its owner can read; written anew at every call.
    pub fn secret(&self, name: &str, password: &str) -> PathBuf {
        let path = self.home().join(format!("{name}.secret"));
        let new = self.home().join(format!("{name}.secret.new"));
        fs::write(&new, format!("{password}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, &path).unwrap();
        path
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, "")
    }

    /// Runs a command to its end, with `input` on its standard input.
    #[track_caller]
    pub fn command_with(&self, arguments: &[&str], input: &str) -> Output {
        run(self.program().args(arguments), input)
    }

    /// Starts a command that goes on beside the test (`demo --keep`, `status --watch`, `events`).
    #[track_caller]
    pub fn spawn(&self, arguments: &[&str]) -> Component {
        let log = self.home().join(format!("{}.log", arguments.first().unwrap_or(&"status")));
        Component::spawn(&format!("keypulse {}", arguments.join(" ")), self.program().args(arguments), &log)
    }

    /// Starts the daemon without waiting for it.
    #[track_caller]
    pub fn launch(&self) -> Running<'_> {
        let component = Component::spawn("keypulse run", self.program().arg("run"), &self.home().join("run.log"));
        Running { component, keypulse: self }
    }

    /// Starts the daemon and waits until it answers.
    #[track_caller]
    pub fn run(&self) -> Running<'_> {
        let running = self.launch();
        running.wait_ready();
        running
    }

    /// The binary in this person's environment, without arguments yet.
    pub fn program(&self) -> Command {
        let words = self.before.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut words = words.collect::<Vec<_>>().into_iter();
        let mut command = clean(words.next().unwrap_or_default());
        command.args(words);
        let home = self.home();
        command
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("LANG", "C.UTF-8")
            // Whatever the machine says of itself is not for a test: see `on_machine`.
            .env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", home.join("no-system-bus").display()))
            .env("KEYPULSE_LOG", "keypulse=debug")
            .envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Another program in this person's environment, who finds keypulse on the path; `{home}/bin` goes before.
    pub fn other(&self, program: &str) -> Command {
        let ours = self.program();
        let mut command = clean(program);
        command.envs(ours.get_envs().filter_map(|(key, value)| Some((key, value?)))).current_dir(self.home());
        let own = Path::new(ours.get_program()).parent().unwrap_or(Path::new("/"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{}:{path}", self.home().join("bin").display(), own.display()));
        command.env("TERM", "xterm");
        command
    }

    /// One request to the socket; None if nobody answers.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Option<Response> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: keypulse\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Response::parse(&answer)
    }
}

/// The binary under test: Cargo's, or the one that `KEYPULSE_TEST_BINARY` names (a release build, to be measured).
pub fn binary() -> String {
    std::env::var("KEYPULSE_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_keypulse").to_owned())
}

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub code: u16,
    /// The header lines, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let code = head.split(' ').nth(1)?.parse().ok()?;
        let body = &bytes[end + 4..];
        let chunked = head.contains("\r\ntransfer-encoding: chunked");
        let body = if chunked { dechunked(body)? } else { body.to_owned() };
        Some(Self { code, head, body: String::from_utf8(body).ok()? })
    }
}

/// The daemon, running. Ended when dropped.
pub struct Running<'home> {
    component: Component,
    keypulse: &'home Keypulse,
}

impl Running<'_> {
    /// Waits until the socket answers.
    #[track_caller]
    pub fn wait_ready(&self) {
        self.component.until("an answer on the socket", || {
            self.keypulse.request("GET", "/healthz", "").filter(|response| response.code == 200)
        });
    }

    /// The status document, from the socket.
    #[track_caller]
    pub fn status_json(&self) -> Value {
        let answer = self.keypulse.request("GET", "/v1/status", "");
        let answer = answer.unwrap_or_else(|| panic!("no answer on the socket\n{}", self.log()));
        assert_eq!(answer.code, 200, "{answer:?}");
        answer.json()
    }

    /// Waits until the status document satisfies `state`, and returns it.
    #[track_caller]
    pub fn until(&self, what: &str, mut state: impl FnMut(&Value) -> bool) -> Value {
        let mut latest = Latest(Value::Null);
        self.component.until(what, || {
            latest.0 = self.keypulse.request("GET", "/v1/status", "")?.json();
            state(&latest.0).then(|| latest.0.clone())
        })
    }

    /// Waits until this credential has this health, and returns the document.
    #[track_caller]
    pub fn until_health(&self, name: &str, health: &str) -> Value {
        self.until(&format!("{name} {health}"), |status| credential(status, name)["health"] == health)
    }

    /// Sends SIGHUP: read the configuration again.
    pub fn reload(&self) {
        self.component.signal(Signal::HUP);
    }

    /// Ends it as a power cut would.
    #[track_caller]
    pub fn kill9(self) {
        self.component.signal(Signal::KILL);
        self.component.wait();
    }

    /// Asks it to end, as the supervisor does, and says how it did and how long that took.
    #[track_caller]
    pub fn terminate(self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.component.signal(Signal::TERM);
        (self.component.wait(), begun.elapsed())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.component.signal(signal);
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub fn wait(&self) -> ExitStatus {
        self.component.wait()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.component.pid()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().count()
    }

    /// What it has in memory that is its alone, in KiB: neither the program nor files.
    pub fn own_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Its log, earlier daemons of the same home included.
    pub fn log(&self) -> String {
        self.component.log()
    }

    /// Waits for a text in its log.
    #[track_caller]
    pub fn until_log(&self, text: &str) {
        self.component.until(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }
}

/// A credential in a status document; null where there is none of that name.
pub fn credential<'status>(status: &'status Value, name: &str) -> &'status Value {
    let accounts = status["accounts"].as_array().into_iter().flatten();
    let mut credentials = accounts.flat_map(|account| account["credentials"].as_array().into_iter().flatten());
    credentials.find(|credential| credential["name"] == name).unwrap_or(&Value::Null)
}

/// An account in a status document; null where there is none of that address.
pub fn account<'status>(status: &'status Value, address: &str) -> &'status Value {
    let mut accounts = status["accounts"].as_array().into_iter().flatten();
    accounts.find(|account| account["address"] == address).unwrap_or(&Value::Null)
}

fn dechunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        bytes = &bytes[end + 2..];
        body.extend_from_slice(bytes.get(..length)?);
        bytes = bytes.get(length + 2..)?;
    }
}

/// Shows the latest status document when the test fails while waiting for a better one.
struct Latest(Value);

impl Drop for Latest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("latest status document: {:#}", self.0);
        }
    }
}

#[test]
fn responses_are_read() {
    #[track_caller]
    fn check(text: &str, expected: Option<(u16, &str)>) {
        let found = Response::parse(text.as_bytes());
        assert_eq!(found.as_ref().map(|response| (response.code, &*response.body)), expected, "{text}");
    }
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Some((200, "{}")));
    check("HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"é\r\n0\r\n\r\n", None);
    check("HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{é\r\n1\r\n}\r\n0\r\n\r\n", Some((202, "{é}")));
    check("HTTP/1.1 200", None);
}
