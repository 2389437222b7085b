//! A real `systemd --user` with its own home, runtime directory and session bus.
//!
//! It lives in control groups of its own: a user manager takes every process of the group it wakes up in for its own, and
//! two of them in one group would stop each other's services.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    Component, Output,
    process::{clean, run},
};

/// Where the kernel's control groups are: systemd's own hierarchy of the first version, the second beside it, the second
/// alone.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// Starts the manager ($1: the name of its control groups, the rest: the program). Where the machine mounted no control
/// groups, it does so where nobody else sees it.
const START: &str = r#"set -e
writable() { [ -w "$1/cgroup.procs" ] && mkdir -p "$1/$2" 2>/dev/null; }
found=
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    if writable "$hierarchy" "$1"; then
        echo $$ >"$hierarchy/$1/cgroup.procs"
        found=yes
    fi
done
shift
[ "$found" ] || exec unshare --mount sh -c 'umount -R /sys/fs/cgroup 2>/dev/null
    mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' sh "$@"
exec "$@"
"#;

/// A running user manager.
pub struct UserManager {
    // First: stopped before its directory goes.
    component: Component,
    group: String,
    dir: TempDir,
}

impl UserManager {
    /// Starts one and waits until it has started its default target.
    #[track_caller]
    pub fn start() -> Self {
        // systemctl and others take a machine without this directory for one that systemd does not manage.
        fs::create_dir_all("/run/systemd/system").unwrap();
        // Where user managers build the mount namespaces of sandboxed services; the system's manager makes it at boot.
        fs::create_dir_all("/run/systemd/unit-root").unwrap();
        // Not below /tmp: the unit has one of its own.
        let dir = tempfile::Builder::new().prefix("user").tempdir_in("/srv").unwrap();
        let group = format!("keypulse-{}", dir.path().file_name().unwrap().to_string_lossy());
        for name in ["home", "run"] {
            fs::DirBuilder::new().mode(0o700).create(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("start"), START).unwrap();
        // Told to end when the test dies, not killed: only it can end the services that it started.
        let mut command = environment(dir.path(), "setpriv");
        command.args(["--pdeathsig", "TERM", "--", "sh"]).arg(dir.path().join("start")).arg(&group);
        command.args(["/usr/lib/systemd/systemd", "--user", "--log-target=console", "--show-status=no"]);
        let component = Component::spawn("systemd --user", &command, &dir.path().join("log"));
        let manager = Self { component, group, dir };
        manager.component.until("the default target", || {
            let state = manager.systemctl(&["is-system-running"]).stdout;
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        manager
    }

    /// The person's home.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// `XDG_RUNTIME_DIR`.
    pub fn runtime_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// The address of the session's bus.
    pub fn bus_address(&self) -> String {
        format!("unix:path={}", self.runtime_dir().join("bus").display())
    }

    /// Puts a unit file where a person's are and makes the manager read it.
    #[track_caller]
    pub fn install(&self, name: &str, text: &str) {
        let units = self.home().join(".config/systemd/user");
        fs::create_dir_all(&units).unwrap();
        fs::write(units.join(name), text).unwrap();
        self.systemctl(&["daemon-reload"]).ok();
    }

    /// Runs `systemctl --user …`.
    #[track_caller]
    pub fn systemctl(&self, arguments: &[&str]) -> Output {
        run(self.client("systemctl").arg("--user").args(arguments), "")
    }

    /// One property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "--value", "-p", property, unit]).ok()
    }

    /// Waits until a property of a unit has this value.
    #[track_caller]
    pub fn wait_property(&self, unit: &str, property: &str, value: &str) {
        self.component
            .until(&format!("{unit} {property}={value}"), || (self.property(unit, property) == value).then_some(()));
    }

    /// A program inside the session.
    pub fn client(&self, program: &str) -> Command {
        let mut command = environment(self.dir.path(), program);
        command.env("DBUS_SESSION_BUS_ADDRESS", self.bus_address());
        command
    }

    /// The manager's log.
    pub fn log(&self) -> String {
        self.component.log()
    }
}

impl Drop for UserManager {
    fn drop(&mut self) {
        self.component.stop();
        for hierarchy in HIERARCHIES {
            remove(&Path::new(hierarchy).join(&self.group));
        }
    }
}

fn environment(dir: &Path, program: &str) -> Command {
    let mut command = clean(program);
    command.env("HOME", dir.join("home")).env("XDG_RUNTIME_DIR", dir.join("run")).current_dir(dir.join("home"));
    command
}

/// Kills what is left in a control group and removes it, inner groups first.
fn remove(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    super::until(&format!("{} empty", group.display()), || {
        let left = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        for pid in left.lines().filter_map(|line| rustix::process::Pid::from_raw(line.parse().ok()?)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        left.is_empty().then_some(())
    });
    let _ = fs::remove_dir(group);
}
