//! The daemon, its socket, and the service that starts it.

use std::{
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use super::line::{Check, Line};
use crate::{
    api::{ClientError, StatusDocument, Time},
    cli::{context::Context, exit::chain, table::is_older},
    host::manager::{self, ManagerError, here},
};

/// How long the service manager may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(context: &Context, local: &dyn Fn(Time) -> String) -> (Vec<Line>, Option<StatusDocument>) {
    let installed = here::file(context.environment()).is_some_and(|file| file.exists());
    let manager = ask().await;
    // A distribution's package installs it elsewhere.
    let installed = installed || manager.as_ref().is_ok_and(|service| service.enabled || service.active);
    let (daemon, document) = daemon(context, installed, local).await;
    let lines = vec![daemon, socket(context, document.is_some()), service(&manager, installed, document.is_some())];
    (lines, document)
}

/// The command that starts the daemon anew.
pub(super) const fn restart() -> &'static str {
    if cfg!(target_os = "macos") {
        "launchctl kickstart -k gui/$(id -u)/keypulse"
    } else {
        "systemctl --user restart keypulse"
    }
}

async fn daemon(context: &Context, installed: bool, local: &dyn Fn(Time) -> String) -> (Line, Option<StatusDocument>) {
    let about = Check::Daemon;
    let client = match context.client() {
        Ok(client) => client,
        Err(exit) => return (Line::failure(about, exit.summary(), "keypulse status --socket FILE"), None),
    };
    let document = match client.status(&[]).await {
        Ok(document) => document,
        Err(ClientError::NoDaemon { .. }) => {
            let remedy = if installed { "keypulse service start" } else { "keypulse service install" };
            return (Line::failure(about, "none runs: nothing is watched", remedy), None);
        }
        Err(error) => return (Line::failure(about, format!("failed to {}", chain(&error)), restart()), None),
    };
    let Some(daemon) = &document.daemon else {
        return (Line::failure(about, "what answers on the socket is no daemon", restart()), None);
    };
    let (version, ours) = (&daemon.version, env!("CARGO_PKG_VERSION"));
    let since = format!("version {version}, running since {}", local(daemon.started_at));
    let line = if is_older(version, ours) {
        Line::warning(about, format!("{since}: older than this command ({ours})"), restart())
    } else if let Some(until) = document.paused_until {
        let until = if until == Time::END { String::new() } else { format!(" until {}", local(until)) };
        Line::warning(about, format!("{since}, paused{until}"), "keypulse resume")
    } else if daemon.online {
        Line::ok(about, since)
    } else {
        Line::warning(about, format!("{since}, and offline as far as it knows"), "keypulse check")
    };
    (line, Some(document))
}

fn socket(context: &Context, answers: bool) -> Line {
    let about = Check::Socket;
    let path = match context.socket() {
        Ok(path) => path,
        Err(exit) => return Line::failure(about, exit.summary(), "keypulse status --socket FILE"),
    };
    let shown = path.display();
    let Ok(found) = std::fs::symlink_metadata(&path) else {
        // Without a daemon there is none: that is said already.
        return Line::ok(about, format!("none at {shown}; the daemon makes it"));
    };
    let directory = path.parent().and_then(|parent| std::fs::metadata(parent).ok());
    let mode = |found: &std::fs::Metadata| found.permissions().mode() & 0o777;
    if !found.file_type().is_socket() {
        return Line::failure(about, format!("{shown} is no socket"), format!("ls -l {shown}"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Line::failure(about, format!("{shown} belongs to another user"), format!("ls -l {shown}"));
    }
    if mode(&found) & 0o077 != 0 && directory.as_ref().is_none_or(|directory| mode(directory) & 0o077 != 0) {
        return Line::warning(about, format!("others can reach {shown}"), format!("chmod 600 {shown}"));
    }
    if answers {
        Line::ok(about, format!("{shown}, for you alone"))
    } else {
        Line::warning(about, format!("{shown} was left behind, and nobody answers there"), restart())
    }
}

fn service(manager: &Result<manager::Report, String>, installed: bool, runs: bool) -> Line {
    let about = Check::Service;
    let service = match manager {
        Ok(service) => service,
        Err(why) => {
            let says = format!("no service manager to ask: {why}");
            return Line::warning(about, says, "start `keypulse run` with your session");
        }
    };
    if !installed {
        return Line::warning(
            about,
            "not installed: nothing starts keypulse when you log in",
            "keypulse service install",
        );
    }
    let state = &service.state;
    match (service.enabled, service.active) {
        (true, true) => Line::ok(about, format!("installed, starts when you log in, {state}")),
        (_, false) if state.starts_with("failed") => Line::failure(about, format!("it ended: {state}"), here::LOG),
        (false, _) => Line::warning(
            about,
            format!("installed, but it does not start when you log in ({state})"),
            "keypulse service install",
        ),
        (true, false) if runs => Line::warning(
            about,
            format!("installed, but {state}: the daemon that runs was started by hand"),
            "keypulse service start   # once the other one was ended",
        ),
        (true, false) => Line::failure(about, format!("installed, but {state}"), "keypulse service start"),
    }
}

/// What the service manager says; it may take a few seconds.
async fn ask() -> Result<manager::Report, String> {
    match timeout(PATIENCE, spawn_blocking(here::report)).await {
        Ok(Ok(Ok(report))) => Ok(report),
        Ok(Ok(Err(ManagerError::Refused { said, .. }))) if !said.is_empty() => Err(said),
        Ok(Ok(Err(error))) => Err(format!("failed to {}", chain(&error))),
        Ok(Err(_)) => Err("the question ended unexpectedly".to_owned()),
        Err(_) => Err(format!("it does not answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::line::Grade;

    #[track_caller]
    fn check(service: Option<(bool, bool, &str)>, installed: bool, runs: bool, grade: Grade, says: &str) {
        let manager = service.map(|(enabled, active, state)| manager::Report {
            enabled,
            active,
            state: state.to_owned(),
            ..manager::Report::default()
        });
        let line = super::service(&manager.ok_or_else(|| "there is no systemctl".to_owned()), installed, runs);
        assert_eq!(line.grade, grade, "{line:?}");
        assert!(line.says.contains(says), "{line:?}");
    }

    #[test]
    fn the_service_is_judged_with_what_runs() {
        check(
            Some((true, true, "active (running)")),
            true,
            true,
            Grade::Ok,
            "starts when you log in, active (running)",
        );
        check(Some((false, true, "active (running)")), true, true, Grade::Warning, "does not start when you log in");
        check(Some((true, false, "inactive (dead)")), true, false, Grade::Failure, "but inactive (dead)");
        check(Some((true, false, "inactive (dead)")), true, true, Grade::Warning, "started by hand");
        check(Some((true, false, "failed (exit-code)")), true, false, Grade::Failure, "it ended: failed");
        check(Some((false, false, "inactive (dead)")), false, true, Grade::Warning, "not installed");
        check(None, false, true, Grade::Warning, "to ask: there is no systemctl");
    }
}
