//! A private D-Bus session bus.

use std::{
    cell::RefCell,
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    Account, Component, Monitor, UserManager,
    process::{clean, run, until},
};

/// Everything allowed, nothing started on demand: a service is on this bus only if the test starts it.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// A running dbus-daemon.
pub struct Bus {
    // First: stopped before its directory goes.
    component: RefCell<Option<Component>>,
    socket: PathBuf,
    account: Account,
    dir: TempDir,
}

impl Bus {
    /// Starts one with nothing on it.
    #[track_caller]
    pub fn start() -> Self {
        let bus = Self::absent();
        bus.restart();
        bus
    }

    /// A bus that is not there yet: its address is known, `restart` brings it.
    pub fn absent() -> Self {
        let dir = tempfile::Builder::new().prefix("bus").tempdir().unwrap();
        let socket = dir.path().join("bus");
        fs::write(dir.path().join("config.xml"), CONFIGURATION.replace("SOCKET", &socket.to_string_lossy())).unwrap();
        Self { component: RefCell::default(), socket, account: Account::ROOT, dir }
    }

    /// The bus of a user manager, who starts and stops it.
    #[track_caller]
    pub fn of(manager: &UserManager) -> Self {
        Self { socket: manager.runtime_dir().join("bus"), account: manager.account(), ..Self::absent() }
    }

    /// For `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }

    /// Stops it; everything on it loses its connection.
    pub fn stop(&self) {
        self.component.take();
        let _ = fs::remove_file(self.socket());
    }

    /// Starts it (again) at the same address.
    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        let mut command = clean("dbus-daemon");
        command.arg("--config-file").arg(self.dir.path().join("config.xml")).args(["--nofork", "--nopidfile"]);
        let component = Component::spawn("dbus-daemon", &command, &self.dir.path().join("log"));
        component.until("the bus's socket", || UnixStream::connect(self.socket()).ok());
        self.component.replace(Some(component));
    }

    /// Records what is said on the bus from now on.
    #[track_caller]
    pub fn monitor(&self) -> Monitor {
        Monitor::start(self.account, &self.address())
    }

    /// Whether somebody owns this name. Where there is no bus, nobody does.
    #[track_caller]
    pub fn has(&self, name: &str) -> bool {
        let mut command = self.account.clean("busctl");
        command.arg(format!("--address={}", self.address())).args(["--json=short", "--timeout=30", "call"]);
        command.args([
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "NameHasOwner",
            "s",
            name,
        ]);
        run(&mut command, "").stdout.contains("[true]")
    }

    /// Waits until somebody owns this name.
    #[track_caller]
    pub fn wait_for(&self, name: &str) {
        until(&format!("{name} on the bus"), || self.has(name).then_some(()));
    }

    /// Waits until nobody owns this name.
    #[track_caller]
    pub fn wait_without(&self, name: &str) {
        until(&format!("{name} off the bus"), || (!self.has(name)).then_some(()));
    }

    /// Runs `busctl` here: `["call", destination, path, interface, method, signature, arguments…]`,
    /// `["get-property", …]`. Its answer is `{"type": …, "data": …}`, null where there is none.
    ///
    /// # Panics
    /// If the call fails.
    #[track_caller]
    pub fn busctl<const N: usize>(&self, arguments: [&str; N]) -> Value {
        let mut command = self.account.clean("busctl");
        command.arg(format!("--address={}", self.address())).args(["--json=short", "--timeout=30"]).args(arguments);
        let answer = run(&mut command, "").ok();
        if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap() }
    }

    /// A program that finds this bus as its session's.
    pub fn client(&self, program: &str) -> Command {
        let mut command = self.account.clean(program);
        command.env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command
    }

    /// Who may use it.
    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// Where its log is.
    pub(super) fn directory(&self) -> &Path {
        self.dir.path()
    }

    fn socket(&self) -> &Path {
        &self.socket
    }
}
