//! Starts programs of the person's desktop: a browser, a terminal.
//!
//! Decides where they run: outside of our own sandbox, which would keep a browser from its profile and a terminal from the
//! screen. Only ever called for a click or a keystroke of the person's.

use std::{ffi::OsString, io, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// How long a program has to fail. One that still runs then has a window.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a program needs to find the person's screen and our state, if the service manager does not know it.
#[cfg(target_os = "linux")]
const HANDED_ON: [&str; 6] =
    ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_CURRENT_DESKTOP", "KEYPULSE_STATE_DIR", "KEYPULSE_LOG"];

/// Starts `program` in a process group of its own, so that Ctrl-C does not reach it. Whether it did not fail at once.
///
/// # Errors
/// Where it cannot be started.
pub(super) async fn launch(program: &str, arguments: &[OsString]) -> io::Result<bool> {
    let mut command = outside(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    if let Ok(status) = timeout(PATIENCE, child.wait()).await {
        return Ok(status?.success());
    }
    // Reaped when it ends, so that no zombie stays.
    tokio::spawn(async move { child.wait().await });
    Ok(true)
}

/// The command that runs `program`: as a unit of its own where we are a unit ourselves, else as a child.
fn outside(program: &str) -> Command {
    #[cfg(target_os = "linux")]
    if is_service() {
        let mut command = Command::new("systemd-run");
        // What it starts in the background shall live on.
        command.args([
            "--user",
            "--collect",
            "--quiet",
            "--wait",
            "--service-type=exec",
            "--property=KillMode=process",
        ]);
        for name in HANDED_ON {
            if let Ok(value) = std::env::var(name) {
                command.arg(format!("--setenv={name}={value}"));
            }
        }
        command.arg("--").arg(program);
        return command;
    }
    Command::new(program)
}

/// Whether systemd started this very process. (`INVOCATION_ID` is inherited by every shell of a desktop.)
#[cfg(target_os = "linux")]
fn is_service() -> bool {
    std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string())
}
