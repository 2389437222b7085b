//! A real `systemd --user` with its own home, runtime directory and session bus.
//!
//! It lives in control groups of its own: a user manager takes every process of the group it wakes up in for its own, and
//! two of them in one group would stop each other's services.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    Account, Component, Output,
    process::{clean, run},
};

/// Where the kernel's control groups are: systemd's own hierarchy of the first version, the second beside it, the second
/// alone.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// Starts the manager ($1: the name of its control groups, $2: the directory, $3: the account, $4: what is special about its
/// machine; the rest: the program). What it mounts nobody else sees: control groups where the machine mounted none; for an
/// account without privileges a list of accounts that knows it, and its runtime directory where systemd looks for it,
/// whatever `XDG_RUNTIME_DIR` says. In a changed root directory the kernel makes no user namespaces. Where packages are to be
/// installed, what they write is in memory.
const START: &str = r#"set -e
group=$1 dir=$2 id=$3 special=$4
shift 4
enter() {
    [ -w "$1/cgroup.procs" ] && mkdir -p "$1/$group" 2>/dev/null || return 1
    echo $$ >"$1/$group/cgroup.procs"
    chown -R "$id:$id" "$1/$group"
}
found=
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    if enter "$hierarchy"; then found=yes; fi
done
if ! [ "$found" ]; then
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    [ "$id" = 0 ] || enter /sys/fs/cgroup
fi
[ "$id" != 0 ] || exec "$@"
if [ "$special" = packages ]; then
    mkdir "$dir/changes"
    mount -t tmpfs -o mode=755 tmpfs "$dir/changes"
    for place in etc usr var; do
        at="$dir/changes/$place"
        mkdir "$at" "$at/upper" "$at/work"
        mount -t overlay overlay -o "lowerdir=/$place,upperdir=$at/upper,workdir=$at/work" "/$place"
    done
fi
cp /etc/passwd "$dir/passwd"
echo "person:x:$id:$id::$dir/home:/bin/sh" >>"$dir/passwd"
mount --bind "$dir/passwd" /etc/passwd
# A mount, as on every machine that systemd boots: some restrictions put an empty one in its place where it is none.
mount --rbind /run /run
mkdir -p /run/user
mount -t tmpfs -o mode=755 tmpfs /run/user
mkdir "/run/user/$id"
mount --bind "$dir/run" "/run/user/$id"
set -- setpriv --reuid "$id" --regid "$id" --clear-groups --pdeathsig TERM -- "$@"
[ "$special" = no-namespaces ] || exec "$@"
mkdir "$dir/root"
mount --rbind / "$dir/root"
exec chroot "$dir/root" "$@"
"#;

/// A running user manager.
pub struct UserManager {
    // First: stopped before its directory goes.
    component: Component,
    account: Account,
    group: String,
    dir: TempDir,
}

impl UserManager {
    /// Starts one for root and waits until it has started its default target.
    #[track_caller]
    pub fn start() -> Self {
        Self::of(Account::ROOT, "nothing")
    }

    /// Starts one for somebody without privileges, as on any real machine.
    #[track_caller]
    pub fn unprivileged() -> Self {
        Self::of(Account::PERSON, "nothing")
    }

    /// Starts one that cannot make user namespaces, as in some containers and on some hardened machines.
    #[track_caller]
    pub fn without_user_namespaces() -> Self {
        Self::of(Account::PERSON, "no-namespaces")
    }

    /// Starts one for somebody without privileges, where packages can be installed that nobody else sees.
    #[track_caller]
    pub fn with_packages() -> Self {
        Self::of(Account::PERSON, "packages")
    }

    #[track_caller]
    fn of(account: Account, special: &str) -> Self {
        // systemctl and others take a machine without this directory for one that systemd does not manage.
        fs::create_dir_all("/run/systemd/system").unwrap();
        // Where user managers build the mount namespaces of sandboxed services, and what they hide from those that have
        // credentials; the system's manager makes both at boot.
        for name in ["/run/systemd/unit-root", "/run/credentials"] {
            fs::create_dir_all(name).unwrap();
        }
        // Not below /tmp: the unit has one of its own.
        let dir = tempfile::Builder::new().prefix("user").tempdir_in("/srv").unwrap();
        let group = format!("keypulse-{}", dir.path().file_name().unwrap().to_string_lossy());
        for name in ["home", "run"] {
            fs::DirBuilder::new().mode(0o700).create(dir.path().join(name)).unwrap();
            account.give(&dir.path().join(name));
        }
        // The directory above lets others through; its name is nothing to guess.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::write(dir.path().join("start"), START).unwrap();
        // Told to end when the test dies, not killed: only it can end the services that it started.
        let mut command = environment(dir.path(), clean("setpriv"));
        command.args(["--pdeathsig", "TERM", "--", "unshare", "--mount", "sh"]).arg(dir.path().join("start"));
        command.arg(&group).arg(dir.path()).args([&account.id().to_string(), special]);
        command.args(["/usr/lib/systemd/systemd", "--user", "--log-target=console", "--show-status=no"]);
        let component = Component::spawn("systemd --user", &command, &dir.path().join("log"));
        let manager = Self { component, account, group, dir };
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

    /// Whose it is.
    pub fn account(&self) -> Account {
        self.account
    }

    /// Writes a file of the person's, with this mode; `path` begins at the home directory. Where it is.
    #[track_caller]
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let mut above = self.home();
        let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
        for directory in directories.split('/').filter(|directory| !directory.is_empty()) {
            above.push(directory);
            if !above.exists() {
                fs::create_dir(&above).unwrap();
                self.account.give(&above);
            }
        }
        let file = above.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        self.account.give(&file);
        file
    }

    /// Puts a unit file where a person's are and makes the manager read it.
    #[track_caller]
    pub fn install(&self, name: &str, text: &str) {
        self.write(&format!(".config/systemd/user/{name}"), text, 0o644);
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
        let mut command = environment(self.dir.path(), self.account.clean(program));
        command.env("DBUS_SESSION_BUS_ADDRESS", self.bus_address());
        command
    }

    /// The command where the manager sees files: what it mounted, too.
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = clean("nsenter");
        inside.args(["--mount", "--target", &self.component.pid().to_string(), "--"]).arg(command.get_program());
        inside.args(command.get_args()).envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        inside
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

fn environment(dir: &Path, mut command: Command) -> Command {
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
