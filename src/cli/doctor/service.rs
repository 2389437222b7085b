//! The daemon, its socket, and the service that starts it.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use super::line::{Check, Line};
use crate::{
    api::{ClientError, DaemonDocument, StatusDocument, Time},
    cli::{context::Context, exit::chain, service::is_current, table::is_older},
    host::manager::{self, ManagerError, here},
};

/// How long the service manager may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(context: &Context, local: &dyn Fn(Time) -> String) -> (Vec<Line>, Option<StatusDocument>) {
    let file = here::file(context.environment()).filter(|file| file.exists());
    let manager = ask().await;
    // A distribution's package installs it elsewhere.
    let installed = file.is_some() || manager.as_ref().is_ok_and(|service| service.enabled || service.active);
    let (daemon, document) = daemon(context, installed, local).await;
    let ours = file.is_none_or(|file| fs::read_to_string(file).is_ok_and(|text| is_current(context, &text)));
    let service = service(&manager, installed, ours, document.is_some());
    (vec![daemon, socket(context, document.is_some()), service], document)
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
    } else if let Some(other) = std::env::current_exe().ok().and_then(|ours| other_program(daemon, &ours)) {
        Line::warning(about, format!("{since}: {other}"), restart())
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

/// What tells that the daemon runs another program than this command, which is `ours`, in words.
fn other_program(daemon: &DaemonDocument, ours: &Path) -> Option<String> {
    let theirs = daemon.program.as_ref()?;
    if theirs.replaced {
        return Some("its program was replaced since it started".to_owned());
    }
    (theirs.path != ours).then(|| format!("it is {}, this command is {}", theirs.path.display(), ours.display()))
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

/// `ours`: its file is the one that this program installs, or a package's.
fn service(manager: &Result<manager::Report, String>, installed: bool, ours: bool, runs: bool) -> Line {
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
        (true, true) if service.outdated => Line::warning(
            about,
            format!("{state}, but its file changed since the service manager read it"),
            format!(
                "{}{}",
                if cfg!(target_os = "macos") { "" } else { "systemctl --user daemon-reload && " },
                restart()
            ),
        ),
        (true, true) if !ours => Line::warning(
            about,
            format!("{state}, but its file is not the one that this program installs"),
            "keypulse service install   # renews it; your own lines belong into systemctl --user edit keypulse",
        ),
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
    use crate::{
        api::{DaemonInfo, ProgramDocument, sample},
        cli::doctor::line::Grade,
    };

    #[track_caller]
    fn check(service: Option<(bool, bool, &str)>, installed: bool, runs: bool, grade: Grade, says: &str) {
        check_file(service, (installed, true, false), runs, grade, says);
    }

    /// `installed`, `ours`, `outdated`.
    #[track_caller]
    fn check_file(
        service: Option<(bool, bool, &str)>,
        (installed, ours, outdated): (bool, bool, bool),
        runs: bool,
        grade: Grade,
        says: &str,
    ) {
        let manager = service.map(|(enabled, active, state)| manager::Report {
            enabled,
            active,
            state: state.to_owned(),
            outdated,
            ..manager::Report::default()
        });
        let line = super::service(&manager.ok_or_else(|| "there is no systemctl".to_owned()), installed, ours, runs);
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
        let running = Some((true, true, "active (running)"));
        check_file(running, (true, true, true), true, Grade::Warning, "changed since the service manager read it");
        check_file(running, (true, false, false), true, Grade::Warning, "not the one that this program installs");
    }

    #[test]
    fn a_replaced_program_is_seen() {
        let check = |program: Option<(&str, bool)>, expected: Option<&str>| {
            let program = program.map(|(path, replaced)| ProgramDocument { path: path.into(), replaced });
            let info = DaemonInfo { program, ..sample::daemon() };
            let daemon = StatusDocument::build(&[], Some(info), sample::NOW, 0).daemon.unwrap();
            assert_eq!(other_program(&daemon, Path::new("/usr/bin/keypulse")).as_deref(), expected);
        };
        check(None, None);
        check(Some(("/usr/bin/keypulse", false)), None);
        check(Some(("/usr/bin/keypulse", true)), Some("its program was replaced since it started"));
        check(Some(("/opt/keypulse", false)), Some("it is /opt/keypulse, this command is /usr/bin/keypulse"));
    }
}
