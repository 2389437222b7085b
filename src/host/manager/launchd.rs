//! The LaunchAgent, and `launchctl`. Type-checked, not run, by us: keypulse's makers have no Mac in their tests.

use std::path::{Path, PathBuf};

use super::{Installation, ManagerError, Report, ask};
use crate::config::paths::Environment;

/// The agent as it is shipped.
pub const SHIPPED: &str = include_str!("../../../launchd/keypulse.plist");
/// Its label.
pub const NAME: &str = "keypulse";
/// Where people read what the service wrote.
pub const LOG: &str = "tail ~/Library/Logs/keypulse.log";

const START: &str = "<string>/usr/local/bin/keypulse</string>\n        <string>run</string>\n";
const OUTPUT: &str = "<string>/dev/null</string>\n";

/// Where the agent belongs: `~/Library/LaunchAgents` (`launchd.plist(5)`). `None` without a home.
#[must_use]
pub fn file(environment: &Environment) -> Option<PathBuf> {
    Some(environment.home.as_ref()?.join("Library/LaunchAgents").join(NAME).with_extension("plist"))
}

/// The shipped agent with the paths of this installation. launchd has no sandbox to leave out.
#[must_use]
pub fn render(installation: &Installation, _sandbox: bool) -> String {
    let string = |text: &str| format!("<string>{}</string>\n", escaped(text));
    let words: Vec<String> = installation.command_line().iter().map(|word| string(word)).collect();
    let log = installation.home.join("Library/Logs/keypulse.log");
    let mut output = string(&log.to_string_lossy());
    if let Some(state) = &installation.state {
        output.push_str(
            "    <key>EnvironmentVariables</key>\n    <dict>\n        <key>KEYPULSE_STATE_DIR</key>\n        ",
        );
        output.push_str(&string(&state.to_string_lossy()));
        output.push_str("    </dict>\n");
    }
    SHIPPED.replace(START, &words.join("        ")).replace(OUTPUT, &output)
}

/// Text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Whether launchd is there to be asked.
///
/// # Errors
/// Where it is not.
pub fn reach() -> Result<(), ManagerError> {
    launchctl(&["print", &domain()]).map(drop)
}

/// There is none to be kept in.
#[must_use]
pub const fn sandbox_works() -> bool {
    true
}

/// launchd reads an agent when it is loaded: an earlier one is unloaded.
///
/// # Errors
/// None: one that was not loaded is no failure.
pub fn reread(_file: &Path) -> Result<(), ManagerError> {
    drop(launchctl(&["bootout", &target()]));
    Ok(())
}

/// Has it started at every login.
///
/// # Errors
/// Where it is not done.
pub fn enable(_file: &Path) -> Result<(), ManagerError> {
    launchctl(&["enable", &target()]).map(drop)
}

/// No longer has it started.
///
/// # Errors
/// Where it is not done.
pub fn disable(_file: &Path) -> Result<(), ManagerError> {
    launchctl(&["disable", &target()]).map(drop)
}

/// Starts it.
///
/// # Errors
/// Where it is not done.
pub fn start(file: &Path) -> Result<(), ManagerError> {
    if launchctl(&["print", &target()]).is_err() {
        launchctl(&["bootstrap", &domain(), &file.to_string_lossy()])?;
    }
    launchctl(&["kickstart", &target()]).map(drop)
}

/// Ends it and starts it.
///
/// # Errors
/// Where it is not done.
pub fn restart(file: &Path) -> Result<(), ManagerError> {
    start(file)?;
    launchctl(&["kickstart", "-k", &target()]).map(drop)
}

/// Ends it until the next login or start: one that is only killed would come back.
///
/// # Errors
/// Where it is not done.
pub fn stop() -> Result<(), ManagerError> {
    launchctl(&["bootout", &target()]).map(drop)
}

/// launchd remembers no failure.
pub const fn forget() {}

/// What launchd says of it.
///
/// # Errors
/// Where it cannot be asked.
pub fn report() -> Result<Report, ManagerError> {
    reach()?;
    let disabled = launchctl(&["print-disabled", &domain()])?;
    let enabled =
        !disabled.contains(&format!("\"{NAME}\" => disabled")) && !disabled.contains(&format!("\"{NAME}\" => true"));
    let Ok(text) = launchctl(&["print", &target()]) else {
        return Ok(Report { enabled, state: "not loaded".to_owned(), ..Report::default() });
    };
    Ok(Report { enabled, ..understood(&text) })
}

fn understood(text: &str) -> Report {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.trim().split_once(" = "));
        lines.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let state = value("state").unwrap_or("loaded").to_owned();
    let pid = value("pid").and_then(|pid| pid.parse().ok());
    // launchd reads a file when it is loaded, and says nothing of one that changed since.
    Report { file: None, enabled: true, active: state == "running", state, pid, says: None, outdated: false }
}

/// Agents run while the person is logged in.
#[must_use]
pub const fn lingers() -> Option<bool> {
    None
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn target() -> String {
    format!("{}/{NAME}", domain())
}

fn launchctl(arguments: &[&str]) -> Result<String, ManagerError> {
    ask("launchctl", arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_agent_is_installed_with_its_paths() {
        let installation = Installation {
            program: "/Users/me/a & b/keypulse".into(),
            config: Some("/c.toml".into()),
            socket: None,
            state: Some("/s".into()),
            home: "/Users/me".into(),
        };
        let text = render(&installation, true);
        for line in [
            "<string>/Users/me/a &amp; b/keypulse</string>",
            "<string>--config</string>",
            "<string>/c.toml</string>",
            "<string>run</string>",
            "<string>/Users/me/Library/Logs/keypulse.log</string>",
            "<key>KEYPULSE_STATE_DIR</key>",
        ] {
            assert!(text.lines().any(|found| found.trim() == line), "{line}\n{text}");
        }
        assert!(!text.contains("/usr/local/bin") && !text.contains("/dev/null"));
    }

    #[test]
    fn what_launchd_says_is_understood() {
        let text = "gui/501/keypulse = {\n\tactive count = 1\n\tstate = running\n\n\tpid = 812\n}\n";
        let report = understood(text);
        assert_eq!((report.active, report.pid, &*report.state), (true, Some(812), "running"));
        assert!(!understood("\tstate = not running\n").active);
    }
}
