//! Stand-ins for logind and NetworkManager on a private system bus (python-dbusmock's), and a network of one's own.

use std::process::Command;

use super::{
    Bus, Component, Keypulse,
    process::{clean, run},
};

/// The mock's own interface.
const MOCK: &str = "org.freedesktop.DBus.Mock";

/// Somebody who plays logind.
pub struct Logind {
    component: Component,
    bus: String,
}

impl Logind {
    /// Starts it on this bus.
    #[track_caller]
    pub fn start(bus: &Bus) -> Self {
        let component = mock(bus, "logind", "org.freedesktop.login1");
        Self { component, bus: bus.address() }
    }

    /// Says that the machine is about to sleep (`true`), or that it is awake again.
    #[track_caller]
    pub fn prepare_for_sleep(&self, sleep: bool) {
        let sleep = if sleep { "true" } else { "false" };
        let signal = ["org.freedesktop.login1.Manager", "PrepareForSleep", "b", "1", "b", sleep];
        let call = ["call", "org.freedesktop.login1", "/org/freedesktop/login1", MOCK, "EmitSignal", "sssav"];
        busctl(&self.bus, &[&call[..], &signal].concat());
    }

    /// Stops it.
    pub fn stop(self) {
        self.component.stop();
    }
}

/// Somebody who plays NetworkManager.
pub struct NetworkManager {
    component: Component,
    bus: String,
}

impl NetworkManager {
    /// Starts it on this bus. It says that there is a connection.
    #[track_caller]
    pub fn start(bus: &Bus) -> Self {
        let component = mock(bus, "networkmanager", "org.freedesktop.NetworkManager");
        let manager = Self { component, bus: bus.address() };
        manager.call("AddProperty", &["ssv", "org.freedesktop.NetworkManager", "Metered", "u", "4"]);
        manager
    }

    /// Its state: 20 is disconnected, 70 connected.
    #[track_caller]
    pub fn state(&self, state: u32) {
        let call =
            ["call", "org.freedesktop.NetworkManager", "/org/freedesktop", MOCK, "SetGlobalConnectionState", "u"];
        busctl(&self.bus, &[&call[..], &[&state.to_string()]].concat());
    }

    /// Whether the connection costs money.
    #[track_caller]
    pub fn metered(&self, metered: bool) {
        let word = if metered { "1" } else { "2" };
        self.call("UpdateProperties", &["sa{sv}", "org.freedesktop.NetworkManager", "1", "Metered", "u", word]);
    }

    /// The connection goes and comes, again and again, as fast as it can be said; in the end it is there.
    #[track_caller]
    pub fn flap(&self, times: usize) {
        let script = "import dbus, os, sys\n\
            mock = dbus.bus.BusConnection(sys.argv[1]).get_object('org.freedesktop.NetworkManager', '/org/freedesktop')\n\
            for _ in range(int(sys.argv[2])):\n\
            \tfor state in 30, 20, 40, 70:\n\
            \t\tmock.SetGlobalConnectionState(dbus.UInt32(state), dbus_interface='org.freedesktop.DBus.Mock')\n";
        run(clean("/usr/bin/python3").args(["-c", script, &self.bus, &times.to_string()]), "").ok();
    }

    /// Stops it.
    pub fn stop(self) {
        self.component.stop();
    }

    #[track_caller]
    fn call(&self, method: &str, arguments: &[&str]) {
        let call = ["call", "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager", MOCK, method];
        busctl(&self.bus, &[&call, arguments].concat());
    }
}

#[track_caller]
fn mock(bus: &Bus, template: &str, name: &str) -> Component {
    let log = bus.directory().join(format!("{template}.log"));
    // Debian's own Python: others do not see its packages.
    let mut command = clean("/usr/bin/python3");
    command.args(["-m", "dbusmock", "--template", template]).env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
    let component = Component::spawn(template, &command, &log);
    component.until(&format!("{name} on the bus"), || bus.has(name).then_some(()));
    component
}

#[track_caller]
fn busctl(bus: &str, arguments: &[&str]) {
    run(clean("busctl").arg(format!("--address={bus}")).args(["--quiet", "--timeout=30"]).args(arguments), "").ok();
}

impl Keypulse {
    /// Gives programs started from now on this bus as the machine's.
    #[must_use]
    pub fn on_machine(self, bus: &Bus) -> Self {
        self.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address())
    }
}

/// A network without any way out of it, for one test and all that it starts: a process of its own repeats the test there.
/// `mail.keypulse.test`, which the simulator's certificate names, is this machine; a server of that name is one that needs a
/// network.
pub struct Island;

/// Says that this process is on an island.
const ISLAND: &str = "KEYPULSE_TEST_ISLAND";

impl Island {
    /// The name of this machine that does not look like it.
    pub const HOST: &str = "mail.keypulse.test";

    /// Runs `test`, the body of the test of this whole name, on an island.
    ///
    /// # Panics
    /// If it fails there.
    #[track_caller]
    pub fn run(name: &str, test: impl FnOnce()) {
        if std::env::var(ISLAND).is_ok_and(|island| island == name) {
            ip(&["link", "set", "lo", "up"]);
            return test();
        }
        let hosts = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&hosts, format!("127.0.0.1 localhost {}\n", Self::HOST)).unwrap();
        let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
        let mut again = Command::new("unshare");
        again.args(["--net", "--mount", "--propagation", "private", "--", "sh", "-c", script, "island"]);
        again.arg(hosts.path()).arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
        let output = run(again.env(ISLAND, name), "");
        assert!(
            output.code == 0 && output.stdout.contains("1 passed"),
            "on an island of its own (this needs root): {}\n{}",
            output.stdout,
            output.stderr
        );
    }

    /// From now on there is a way to everywhere, as far as the kernel knows.
    #[track_caller]
    pub fn connect() {
        ip(&["route", "add", "default", "dev", "lo"]);
    }

    /// From now on there is none.
    #[track_caller]
    pub fn disconnect() {
        ip(&["route", "del", "default", "dev", "lo"]);
    }

    /// It goes and comes, again and again, as fast as it can; in the end it is there.
    #[track_caller]
    pub fn flap(times: usize) {
        let batch = "route del default dev lo\nroute add default dev lo\n".repeat(times);
        run(clean("ip").args(["-batch", "-"]), batch).ok();
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    run(clean("ip").args(arguments), "").ok();
}
