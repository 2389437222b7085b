//! The user unit, and `systemctl --user`.

use std::path::{Path, PathBuf};

use super::{Installation, ManagerError, Report, ask};
use crate::config::paths::Environment;

/// The unit as it is shipped.
pub const SHIPPED: &str = include_str!("../../../systemd/keypulse.service");
/// Its name.
pub const NAME: &str = "keypulse.service";
/// Where people read what the service wrote.
pub const LOG: &str = "journalctl --user -u keypulse";

const START: &str = "ExecStart=%h/.cargo/bin/keypulse run\n";
const STATE: &str = "%h/.local/state/keypulse";
const SANDBOX: (&str, &str) = ("# Sandbox: begin\n", "# Sandbox: end\n");

/// Where the unit belongs: `$XDG_CONFIG_HOME/systemd/user` (`systemd.unit(5)`, "User Unit Search Path"). `None` without a home.
#[must_use]
pub fn file(environment: &Environment) -> Option<PathBuf> {
    let config = environment.config_home.clone().or_else(|| Some(environment.home.as_ref()?.join(".config")))?;
    Some(config.join("systemd/user").join(NAME))
}

/// The shipped unit with the paths of this installation, and without the sandbox where that does not work.
#[must_use]
pub fn render(installation: &Installation, sandbox: bool) -> String {
    let words: Vec<String> = installation.command_line().iter().map(|word| quoted(word, true)).collect();
    let mut start = format!("ExecStart={}\n", words.join(" "));
    let mut text = SHIPPED.to_owned();
    if let Some(state) = &installation.state {
        let state = state.to_string_lossy();
        let variable = quoted(&format!("KEYPULSE_STATE_DIR={state}"), false);
        start = format!("{start}Environment={variable}\n");
        text = text.replace(&format!("-{STATE}"), &quoted(&format!("-{state}"), false));
        text = text.replace(STATE, &quoted(&state, true));
    }
    // The socket's usual directory is the manager's to make; another one must be writable.
    if let Some(directory) = installation.socket.as_deref().and_then(Path::parent) {
        let writable = format!("ReadWritePaths={}\n", quoted(&format!("-{}", directory.display()), false));
        text = text.replace("PrivateTmp=yes\n", &format!("{writable}PrivateTmp=yes\n"));
    }
    text = text.replace(START, &start);
    if !sandbox && let (Some(begin), Some(end)) = (text.find(SANDBOX.0), text.find(SANDBOX.1)) {
        let left_out = "# No sandbox: user namespaces do not work on this machine.\n";
        text.replace_range(begin..end + SANDBOX.1.len(), left_out);
    }
    text
}

/// A word as unit files take it: `%` doubled (`systemd.unit(5)`, "Specifiers"), in command lines `$` too, in double quotes
/// where it holds anything but the plainest characters (`systemd.syntax(7)`, "Quoting").
fn quoted(word: &str, command: bool) -> String {
    let mut word = word.replace('%', "%%");
    if command {
        word = word.replace('$', "$$");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=%$@+,:".contains(c);
    if word.chars().all(plain) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether a user manager is there to be asked.
///
/// # Errors
/// Where it is not.
pub fn reach() -> Result<(), ManagerError> {
    systemctl(&["show-environment"]).map(drop)
}

/// Whether a service of this user manager can be kept in a sandbox: a write that must fail is tried in one. (Where `/run` is
/// no mount, as in some containers, `MountAPIVFS=` leaves it empty, and so without the bus.)
#[must_use]
pub fn sandbox_works() -> bool {
    let (_, after) = SHIPPED.split_once(SANDBOX.0).unwrap_or_default();
    let (block, _) = after.split_once(SANDBOX.1).unwrap_or_default();
    // The very restrictions of the unit; only the paths are its own, and their specifiers are not expanded here.
    let settings = block.lines().filter(|line| !line.starts_with('#') && !line.contains(STATE));
    let settings: Vec<String> = settings.map(|line| format!("--property={line}")).collect();
    let mut attempt = vec!["--user", "--quiet", "--wait", "--collect", "--property=RuntimeMaxSec=10s"];
    attempt.extend(settings.iter().map(String::as_str));
    attempt.extend(["/bin/sh", "-c", "! test -w \"$HOME\" && test -d \"$XDG_RUNTIME_DIR\""]);
    ask("systemd-run", &attempt).is_ok()
}

/// Reads the unit files again.
///
/// # Errors
/// Where it is not done.
pub fn reread(_file: &Path) -> Result<(), ManagerError> {
    systemctl(&["daemon-reload"]).map(drop)
}

/// Has it started at every login.
///
/// # Errors
/// Where it is not done.
pub fn enable(_file: &Path) -> Result<(), ManagerError> {
    systemctl(&["--quiet", "enable", NAME]).map(drop)
}

/// No longer has it started.
///
/// # Errors
/// Where it is not done.
pub fn disable(_file: &Path) -> Result<(), ManagerError> {
    systemctl(&["--quiet", "disable", NAME]).map(drop)
}

/// Starts it; returns when it is ready.
///
/// # Errors
/// Where it is not.
pub fn start(_file: &Path) -> Result<(), ManagerError> {
    // An earlier failure must not count: the person asks.
    drop(systemctl(&["reset-failed", NAME]));
    systemctl(&["start", NAME]).map(drop)
}

/// Ends it and starts it; returns when it is ready.
///
/// # Errors
/// Where it is not.
pub fn restart(_file: &Path) -> Result<(), ManagerError> {
    drop(systemctl(&["reset-failed", NAME]));
    systemctl(&["restart", NAME]).map(drop)
}

/// Ends it; returns when it is over.
///
/// # Errors
/// Where it is not.
pub fn stop() -> Result<(), ManagerError> {
    systemctl(&["stop", NAME]).map(drop)
}

/// Forgets that it ever failed, so that nothing of it is left to list.
pub fn forget() {
    drop(systemctl(&["reset-failed", NAME]));
}

/// What the manager says of it.
///
/// # Errors
/// Where it cannot be asked.
pub fn report() -> Result<Report, ManagerError> {
    let properties =
        "--property=FragmentPath,UnitFileState,ActiveState,SubState,MainPID,StatusText,Result,NeedDaemonReload";
    Ok(understood(&systemctl(&["show", properties, NAME])?))
}

fn understood(properties: &str) -> Report {
    let value = |key: &str| {
        let mut lines = properties.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == key).map_or("", |(_, value)| value)
    };
    let (active, detail) = (value("ActiveState"), value("SubState"));
    let detail = if active == "failed" { value("Result") } else { detail };
    Report {
        file: Some(PathBuf::from(value("FragmentPath"))).filter(|file| file.is_absolute()),
        enabled: value("UnitFileState").starts_with("enabled"),
        active: matches!(active, "active" | "reloading"),
        state: if detail.is_empty() { active.to_owned() } else { format!("{active} ({detail})") },
        pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
        says: Some(value("StatusText").to_owned()).filter(|text| !text.is_empty()),
        outdated: value("NeedDaemonReload") == "yes",
    }
}

/// Whether the person's services go on without a login (`loginctl enable-linger`). `None` where nobody can say.
#[must_use]
pub fn lingers() -> Option<bool> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let answer = ask("loginctl", &["show-user", "--property=Linger", "--value", &uid]).ok()?;
    match answer.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn systemctl(arguments: &[&str]) -> Result<String, ManagerError> {
    ask("systemctl", &[&["--user"], arguments].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation() -> Installation {
        Installation {
            program: "/home/me/.cargo/bin/keypulse".into(),
            config: None,
            socket: None,
            state: None,
            home: "/home/me".into(),
        }
    }

    #[test]
    fn the_shipped_unit_is_the_one_that_is_installed() {
        let expected = SHIPPED.replace(START, "ExecStart=/home/me/.cargo/bin/keypulse run\n");
        assert_ne!(expected, SHIPPED);
        assert_eq!(render(&installation(), true), expected);
    }

    #[test]
    fn paths_of_their_own_are_passed_on_and_writable() {
        let odd = Installation {
            program: "/opt/my programs/100%/$x/key\"pulse".into(),
            config: Some("/c/k.toml".into()),
            socket: Some("/s/k.sock".into()),
            state: Some("/var/my state".into()),
            ..installation()
        };
        let text = render(&odd, true);
        let line = r#"ExecStart="/opt/my programs/100%%/$$x/key\"pulse" --config /c/k.toml --socket /s/k.sock run"#;
        for line in [
            line,
            "Environment=\"KEYPULSE_STATE_DIR=/var/my state\"",
            "ReadWritePaths=\"-/var/my state\"",
            "ExecStartPre=+/bin/mkdir -p -m 700 \"/var/my state\"",
            "ReadWritePaths=-/s",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("%h/.local/state"));
    }

    #[test]
    fn without_user_namespaces_nothing_of_the_sandbox_is_left() {
        let text = render(&installation(), false);
        for word in
            ["PrivateUsers", "ProtectSystem", "SystemCallFilter", "NoNewPrivileges", "ReadWritePaths", "Sandbox:"]
        {
            assert!(!text.contains(word), "{word}\n{text}");
        }
        assert!(text.contains("user namespaces do not work"));
        assert!(text.contains("[Install]\nWantedBy=default.target"));
    }

    #[test]
    fn what_the_manager_says_is_understood() {
        let running = "FragmentPath=/usr/lib/systemd/user/keypulse.service\nUnitFileState=enabled\nActiveState=active\nSubState=running\nMainPID=42\nStatusText=1 password healthy\nResult=success\n";
        let report = understood(running);
        assert_eq!((report.enabled, report.active, report.pid), (true, true, Some(42)));
        assert_eq!(report.file.as_deref(), Some(Path::new("/usr/lib/systemd/user/keypulse.service")));
        assert_eq!((&*report.state, report.says.as_deref()), ("active (running)", Some("1 password healthy")));
        let failed = understood(
            "FragmentPath=\nUnitFileState=disabled\nActiveState=failed\nSubState=failed\nMainPID=0\nStatusText=\nResult=exit-code\n",
        );
        assert_eq!(failed, Report { state: "failed (exit-code)".to_owned(), ..Report::default() });
    }
}
