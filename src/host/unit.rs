//! The user service as its manager sees it: installed, switched on, running?
//!
//! Asks `systemctl --user` or `launchctl`, for a few seconds at most. Changes nothing.

use std::{process::Stdio, time::Duration};

/// How long the manager may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The unit's name on Linux.
pub const UNIT: &str = "keypulse.service";
/// The agent's label on macOS.
pub const LABEL: &str = "org.keypulse.keypulse";

/// What the manager knows of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// It has a unit file, or an agent, of this name.
    pub installed: bool,
    /// It starts with the session.
    pub enabled: bool,
    /// It runs, as the manager says: `active`, `failed`, …
    pub state: String,
    /// Its file was changed, and the manager has not read it since.
    pub outdated: bool,
}

/// Asks the manager of this user's services.
///
/// # Errors
/// Why it does not say, in words.
pub async fn look() -> Result<Unit, String> {
    #[cfg(not(target_os = "macos"))]
    {
        let properties = "--property=LoadState,UnitFileState,ActiveState,NeedDaemonReload";
        let (_, text) = ask("systemctl", &["--user", "--no-pager", "show", UNIT, properties]).await?;
        systemd(&text)
    }
    #[cfg(target_os = "macos")]
    {
        let service = format!("gui/{}/{LABEL}", rustix::process::geteuid().as_raw());
        let (found, text) = ask("launchctl", &["print", &service]).await?;
        Ok(launchd(found, &text))
    }
}

/// Whether it ended well, and what it printed.
async fn ask(program: &str, arguments: &[&str]) -> Result<(bool, String), String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("there is no {program} on this machine"));
        }
        Ok(Err(error)) => return Err(format!("{program} could not be run: {error}")),
        Err(_) => return Err(format!("{program} does not answer within {} s", LIMIT.as_secs())),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() && text.trim().is_empty() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint: String =
            complaint.trim().lines().next().unwrap_or("no reason given").chars().take(120).collect();
        return Err(format!("{program}: {complaint}"));
    }
    Ok((output.status.success(), text))
}

/// The properties of `systemctl show` (systemctl(1)).
#[cfg_attr(target_os = "macos", expect(dead_code, reason = "systemd's"))]
fn systemd(text: &str) -> Result<Unit, String> {
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        values.next().unwrap_or_default()
    };
    if value("LoadState").is_empty() {
        return Err("systemctl did not say how the unit is".to_owned());
    }
    Ok(Unit {
        installed: value("LoadState") != "not-found",
        enabled: matches!(value("UnitFileState"), "enabled" | "enabled-runtime" | "static" | "alias" | "generated"),
        state: value("ActiveState").to_owned(),
        outdated: value("NeedDaemonReload") == "yes",
    })
}

/// What `launchctl print` says. An agent that is loaded starts with the session.
#[cfg_attr(not(target_os = "macos"), cfg_attr(not(test), expect(dead_code, reason = "launchd's")))]
fn launchd(found: bool, text: &str) -> Unit {
    let state = text.lines().find_map(|line| line.trim().strip_prefix("state = ")).unwrap_or("not loaded");
    Unit { installed: found, enabled: found, state: state.to_owned(), outdated: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, installed: bool, enabled: bool, state: &str, outdated: bool) {
        assert_eq!(systemd(text), Ok(Unit { installed, enabled, state: state.to_owned(), outdated }));
    }

    #[test]
    fn systemds_words_are_understood() {
        check(
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n",
            true,
            true,
            "active",
            false,
        );
        check(
            "LoadState=loaded\nActiveState=failed\nUnitFileState=disabled\nNeedDaemonReload=yes\n",
            true,
            false,
            "failed",
            true,
        );
        check(
            "LoadState=not-found\nActiveState=inactive\nUnitFileState=\nNeedDaemonReload=no\n",
            false,
            false,
            "inactive",
            false,
        );
        assert!(systemd("").is_err());
    }

    #[test]
    fn launchds_words_are_understood() {
        let running = launchd(true, "gui/501/org.keypulse.keypulse = {\n\tactive count = 1\n\tstate = running\n}\n");
        assert_eq!((running.installed, &*running.state), (true, "running"));
        assert!(!launchd(false, "").installed);
    }
}
