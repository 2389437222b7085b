//! A real system manager: systemd as process 1 of a small machine of its own.
//!
//! The machine shares programs, files and the network with this one. Processes, control groups, names, `/run` and `/var/lib`
//! are its own, and the only units it knows are those that a test gives it. When it is stopped, all that it started is gone.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{
    Component, Output,
    process::{clean, run},
};

/// Puts this shell into a control group ($1) of its own and makes it process 1 of new namespaces, where it goes on with $2.
const START: &str = r#"set -e
group=$1 dir=$2
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$group"
echo $$ >"/sys/fs/cgroup/$group/cgroup.procs"
exec unshare --pid --mount --uts --ipc --cgroup --fork --kill-child=KILL sh "$dir/init" "$dir"
"#;

/// What is mounted for the manager ($1: its directory). Credentials reach services by propagation: shared.
const INIT: &str = r#"set -e
mount --make-rshared /
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$1/lib" /var/lib
export SYSTEMD_UNIT_PATH=$1/units container=keypulse-tests
exec /usr/lib/systemd/systemd --system --unit=nothing.target --log-target=console --show-status=no
"#;

/// The group is not seen from outside the namespace that mounted it.
const CLEAN_UP: &str = r#"umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} + 2>/dev/null
[ ! -e "/sys/fs/cgroup/$1" ]
"#;

/// A running system manager.
pub struct SystemManager {
    // First: stopped before its directory goes.
    component: Component,
    /// Process 1 of its machine, as this one counts.
    init: u32,
    group: String,
    dir: TempDir,
}

impl SystemManager {
    /// Starts one that has started nothing.
    #[track_caller]
    pub fn start() -> Self {
        // Not below /tmp: sandboxed services have one of their own.
        let dir = tempfile::Builder::new().prefix("system").tempdir_in("/srv").unwrap();
        for name in ["units", "lib"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let nothing = "[Unit]\nDescription=nothing\nDefaultDependencies=no\n";
        fs::write(dir.path().join("units/nothing.target"), nothing).unwrap();
        fs::write(dir.path().join("start"), START).unwrap();
        fs::write(dir.path().join("init"), INIT).unwrap();
        let group = format!("keypulse-{}", dir.path().file_name().unwrap().to_string_lossy());
        let mut command = clean("unshare");
        command.args(["--mount", "sh"]).arg(dir.path().join("start")).arg(&group).arg(dir.path());
        // `unshare` passes nothing on but its own end: killed, it takes process 1 along, and the kernel the rest.
        let component = Component::spawn("systemd --system", &command, &dir.path().join("log")).without_grace();
        let children = format!("/proc/{0}/task/{0}/children", component.pid());
        // Its other children come and go before.
        let init = component.until("process 1", || {
            let child = fs::read_to_string(&children).ok()?.trim().parse::<u32>().ok()?;
            (fs::read_to_string(format!("/proc/{child}/comm")).ok()? == "systemd\n").then_some(child)
        });
        let manager = Self { component, init, group, dir };
        manager.component.until("the end of its start", || {
            let state = run(manager.client("systemctl").arg("is-system-running"), "").stdout;
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        manager
    }

    /// A directory that services can be shown.
    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Gives it a unit file.
    #[track_caller]
    pub fn install(&self, name: &str, text: &str) {
        let file = self.dir.path().join("units").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self.systemctl(&["daemon-reload"]).ok();
    }

    /// Runs `systemctl …`.
    #[track_caller]
    pub fn systemctl(&self, arguments: &[&str]) -> Output {
        run(self.client("systemctl").args(arguments), "")
    }

    /// One property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "--value", "-p", property, unit]).ok()
    }

    /// A program on its machine, as root.
    pub fn client(&self, program: &str) -> Command {
        let mut command = clean("nsenter");
        command.args(["--target", &self.init.to_string(), "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--"]);
        command.arg(program);
        command
    }

    /// The manager's log.
    pub fn log(&self) -> String {
        self.component.log()
    }
}

impl Drop for SystemManager {
    fn drop(&mut self) {
        self.component.stop();
        super::until("its control group's end", || {
            let arguments = ["--mount", "sh", "-c", CLEAN_UP, "sh", &self.group];
            (run(clean("unshare").args(arguments), "").code == 0).then_some(())
        });
    }
}
