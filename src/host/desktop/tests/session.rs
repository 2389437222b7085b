//! A session of the test's own: bus, virtual screen, dunst.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const DIRECTORY: &str = "KEYPULSE_TEST_SESSION";
/// No activation, so that the only service is the test's.
const CONFIGURATION: &str = r#"<busconfig><type>session</type><listen>ADDRESS</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#;

/// Runs `body` in a process of its own, whose session bus is a path where nobody listens yet.
pub(super) fn in_session(test: &str, body: impl AsyncFnOnce()) {
    if env::var_os(DIRECTORY).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(body());
    }
    let directory = tempfile::tempdir().unwrap();
    let opener = directory.path().join("xdg-open");
    fs::write(&opener, format!("#!/bin/sh\necho \"$1\" >>{}/opened\n", directory.path().display())).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    // dunst offers several actions in a menu: a program that is given a line for each and prints the chosen one.
    let menu = directory.path().join("menu");
    fs::write(&menu, format!("#!/bin/sh\ngrep -F -f {}/choice\n", directory.path().display())).unwrap();
    fs::set_permissions(&menu, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.path().join("dunstrc"), format!("[global]\nmarkup = full\ndmenu = {}\n", menu.display()))
        .unwrap();
    let configuration = CONFIGURATION.replace("ADDRESS", &address(directory.path()));
    fs::write(directory.path().join("bus.conf"), configuration).unwrap();
    let path = format!("{}:{}", directory.path().display(), env::var("PATH").unwrap());
    let output = std::process::Command::new(env::current_exe().unwrap())
        .args([&format!("host::desktop::tests::{test}"), "--exact", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .env("DBUS_SESSION_BUS_ADDRESS", address(directory.path()))
        .env("XDG_RUNTIME_DIR", directory.path())
        .env("XDG_DATA_HOME", directory.path())
        .env("XDG_DATA_DIRS", directory.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned()).concat();
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

fn directory() -> PathBuf {
    env::var_os(DIRECTORY).unwrap().into()
}

fn address(directory: &Path) -> String {
    format!("unix:path={}/bus", directory.display())
}

/// A package installs our picture.
pub(super) fn install_icon() -> String {
    let icons = directory().join("icons/hicolor/scalable/apps");
    fs::create_dir_all(&icons).unwrap();
    let icon = icons.join("keypulse.svg");
    fs::write(&icon, include_str!("../../../../packaging/keypulse.svg")).unwrap();
    format!("file://{}", icon.display())
}

/// What the browser was asked to open.
pub(super) fn opened() -> String {
    fs::read_to_string(directory().join("opened")).unwrap_or_default()
}

/// Waits for a state.
pub(super) async fn until(state: impl AsyncFn() -> bool) {
    let wait = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the state within a minute");
}

/// Does `action` again and again until `result` is there.
pub(super) async fn again<T, F: Future>(action: impl Fn() -> F, result: impl Future<Output = T>) -> T {
    let mut result = std::pin::pin!(result);
    loop {
        action().await;
        if let Ok(result) = tokio::time::timeout(Duration::from_millis(200), &mut result).await {
            return result;
        }
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

async fn first_line(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next_line().await.unwrap().expect("a line")
}

/// A session bus at the address of the environment.
pub(super) struct Bus(#[expect(dead_code, reason = "killed on drop")] Child);

impl Bus {
    pub(super) async fn start() -> Self {
        let _ = fs::remove_file(directory().join("bus"));
        let mut command = Command::new("dbus-daemon");
        command
            .arg(format!("--config-file={}/bus.conf", directory().display()))
            .args(["--nofork", "--print-address"])
            .stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        first_line(&mut child).await;
        Self(child)
    }
}

/// dunst on a virtual screen.
pub(super) struct Dunst {
    #[expect(dead_code, reason = "killed on drop")]
    dunst: Child,
    #[expect(dead_code, reason = "killed on drop")]
    screen: Child,
}

impl Dunst {
    pub(super) async fn start() -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "640x480x24"]);
        let mut screen = spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let display = format!(":{}", first_line(&mut screen).await.trim());
        let mut command = Command::new("dunst");
        command.arg("-conf").arg(directory().join("dunstrc")).env("DISPLAY", display);
        let dunst = spawn(command.stderr(Stdio::null()).stdout(Stdio::null()));
        let dunst = Self { dunst, screen };
        until(async || dunst.control("count displayed").await.is_some()).await;
        dunst
    }

    /// `dunstctl`: its answer, unless dunst does not run.
    pub(super) async fn control(&self, command: &str) -> Option<String> {
        let output = Command::new("dunstctl").args(command.split(' ')).stderr(Stdio::null()).output().await.unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Chooses an action by its label.
    pub(super) async fn choose(&self, label: &str) {
        fs::write(directory().join("choice"), label).unwrap();
        self.control("context").await;
    }

    /// How many stand on the screen.
    pub(super) async fn displayed(&self) -> usize {
        self.control("count displayed").await.unwrap().trim().parse().unwrap()
    }

    /// What was closed, as JSON.
    pub(super) async fn history(&self) -> String {
        self.control("history").await.unwrap()
    }
}
