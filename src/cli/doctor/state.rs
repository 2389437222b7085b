//! What keypulse remembers: the state on disk, the ration in it, and the clock that both rest on.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{Access, access, statvfs},
    io::Errno,
};

use super::{
    line::{Check, Grade, Line},
    servers::Clock,
    service::restart,
};
use crate::{
    api::{StatusDocument, Time, TroubleKind},
    cli::{context::Context, exit::chain, style::ahead},
    config::Config,
    store::{Store, StoreError},
};

/// Before this version there was no keypulse: 2026-01-01.
const EARLIEST: i64 = 1_767_225_600;
/// Clocks are set a little now and then.
const SLACK: i64 = 5 * 60;

/// The state on disk.
pub(super) fn check(context: &Context, local: &dyn Fn(Time) -> String) -> Vec<Line> {
    let about = Check::State;
    let paths = match context.paths() {
        Ok(paths) => paths,
        Err(exit) => return vec![Line::failure(about, exit.summary(), "export KEYPULSE_STATE_DIR=…")],
    };
    let shown = paths.state.display();
    let store = match Store::look(&paths.state) {
        Ok(store) => store,
        Err(StoreError::Absent) => {
            return vec![Line::ok(about, format!("none yet in {shown}; the first check makes it"))];
        }
        Err(error @ StoreError::Newer { .. }) => {
            return vec![Line::failure(about, format!("failed to {}", chain(&error)), "keypulse --version")];
        }
        Err(error) if error.is_damage() => return vec![damaged(&format!("failed to {}", chain(&error)))],
        Err(error) => {
            let says = format!("failed to {}", chain(&error));
            return vec![
                unwritable(&paths.state).unwrap_or_else(|| Line::failure(about, says, format!("ls -la {shown}"))),
            ];
        }
    };
    let line = match store.soundness() {
        Ok(sound) if sound.damage.is_empty() && sound.schema < sound.known => {
            let says = format!("{shown}: sound, of an older version (schema {}, now {})", sound.schema, sound.known);
            Line::warning(about, says, restart())
        }
        Ok(sound) if sound.damage.is_empty() => {
            let size = std::fs::metadata(store.path()).map_or(0, |file| file.len() / 1024);
            Line::ok(about, format!("{shown}: sound, schema {}, {size} KiB", sound.schema))
        }
        Ok(sound) => damaged(&format!("it is damaged: {}", sound.damage.join("; "))),
        Err(error) => damaged(&format!("failed to {}", chain(&error))),
    };
    let line = unwritable(&paths.state).or_else(|| open_to_others(&paths.state)).unwrap_or(line);
    std::iter::once(line).chain(kept(&store, local)).collect()
}

fn damaged(says: &str) -> Line {
    let remedy = format!("{}   # puts it aside and begins anew, without what was known", restart());
    Line::failure(Check::State, says, remedy)
}

/// Where nothing can be written, the daemon does nothing.
fn unwritable(directory: &Path) -> Option<Line> {
    let shown = directory.display();
    let refused = |error: Errno| {
        let why = match error {
            Errno::ROFS => "it lies on a read-only file system".to_owned(),
            other => std::io::Error::from(other).to_string(),
        };
        Line::failure(Check::State, format!("{shown} cannot be written: {why}"), format!("findmnt -T {shown}"))
    };
    if let Err(error) = access(directory, Access::WRITE_OK) {
        return Some(refused(error));
    }
    let full = statvfs(directory).is_ok_and(|disk| disk.f_blocks > 0 && disk.f_bavail == 0);
    let says = format!("{shown} cannot be written: its disk is full");
    full.then(|| Line::failure(Check::State, says, format!("df -h {shown}")))
}

/// A damaged database that was put aside, until the person deletes it.
fn kept(store: &Store, local: &dyn Fn(Time) -> String) -> Option<Line> {
    let loss = store.loss().ok()??;
    let kept = loss.kept_as.display();
    let says = format!(
        "it was damaged and begun anew at {}: what was known before is only in {kept}",
        local(Time::new(loss.at, 0))
    );
    loss.kept_as
        .exists()
        .then(|| Line::warning(Check::State, says, format!("rm {kept}*   # when you do not need it any more")))
}

/// What the running daemon finds wrong with the machine and cannot be seen from here. `state`: what was seen of the state.
pub(super) fn troubles(document: &StatusDocument, state: &[Line]) -> Vec<Line> {
    let seen = state.iter().any(|line| line.grade == Grade::Failure);
    let troubles = document.troubles.iter().filter_map(|trouble| match trouble.kind {
        // The state's own lines tell of these two, where they can.
        TroubleKind::StateLost => None,
        TroubleKind::StateUnwritable => (!seen).then(|| Line::failure(Check::State, &*trouble.text, "dmesg | tail")),
        TroubleKind::OutOfFiles => Some(Line::failure(Check::Daemon, &*trouble.text, restart())),
    });
    troubles.collect()
}

/// Where others can look into it, or it is somebody else's.
fn open_to_others(directory: &Path) -> Option<Line> {
    let found = std::fs::metadata(directory).ok()?;
    let shown = directory.display();
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Some(Line::warning(
            Check::State,
            format!("{shown} belongs to another user"),
            format!("ls -ld {shown}"),
        ));
    }
    (found.permissions().mode() & 0o077 != 0)
        .then(|| Line::warning(Check::State, format!("others can look into {shown}"), format!("chmod 700 {shown}")))
}

/// How many failed logins each account has left.
pub(super) fn ration(document: &StatusDocument, local: &dyn Fn(Time) -> String) -> Vec<Line> {
    let line = |account: &crate::api::AccountDocument| {
        let used = format!("{} of {} failed logins in 24 h", account.failed_logins_24h, account.failed_login_limit);
        let line = match account.ration_frees_at {
            None => Line::ok(Check::Ration, used),
            Some(at) => {
                let when = format!("{} ({})", local(at), ahead(at, document.generated_at));
                Line::warning(
                    Check::Ration,
                    format!("{used}: no automatic login before {when}"),
                    format!("keypulse status   # after {}", local(at)),
                )
            }
        };
        line.of(&account.address)
    };
    document.accounts.iter().map(line).collect()
}

/// The connections that `watch.idle` asks for, where a daemon runs.
pub(super) fn watch(config: &Config, document: &StatusDocument, local: &dyn Fn(Time) -> String) -> Vec<Line> {
    if !config.watch.idle || document.daemon.is_none() {
        return Vec::new();
    }
    let line = |account: &crate::api::AccountDocument| {
        let says = match &account.idle_watch {
            Some(watch) => format!("stands open on {} since {}", watch.credential, local(watch.since)),
            None => {
                "none stands open now: there is none in a pause, on a metered connection, without a network, without a \
                     healthy password, for a while after one ended, and with a server that knows no IDLE"
                    .to_owned()
            }
        };
        Line::ok(Check::Watch, says).of(&account.address)
    };
    document.accounts.iter().map(line).collect()
}

/// The clock, by what the servers' certificates say and by when keypulse last wrote something down. No third party is asked.
pub(super) fn clock(context: &Context, certificates: Option<Clock>, local: &dyn Fn(Time) -> String) -> Vec<Line> {
    let now = jiff::Timestamp::now().as_second();
    let anchor = context.paths().ok().and_then(|paths| Store::look(&paths.state).ok()?.anchor().ok()?);
    let written = anchor.map(|anchor| anchor.wall_ms.div_euclid(1000));
    judge(now, written, certificates, local).into_iter().collect()
}

fn judge(now: i64, written: Option<i64>, certificates: Option<Clock>, local: &dyn Fn(Time) -> String) -> Option<Line> {
    let set = if cfg!(target_os = "macos") { "sudo sntp -sS time.apple.com" } else { "timedatectl" };
    let today = local(Time::from_unix(now));
    let wrong = |says: String| Some(Line::failure(Check::Clock, says, set));
    if now < EARLIEST {
        let date = jiff::Timestamp::from_second(now).map(|at| at.to_string()).unwrap_or_default();
        return wrong(format!("it says {date}, which is in the past"));
    }
    match (written, certificates) {
        (Some(written), _) if written > now + SLACK => {
            let then = local(Time::from_unix(written));
            wrong(format!("it says {today}, but keypulse wrote something down at {then}: it was set back, or is wrong"))
        }
        (_, Some(Clock::Behind(host, from))) => wrong(format!(
            "it says {today}, and the certificate of {host} begins only at {}: the clock is behind, or the certificate is no \
             good",
            local(from)
        )),
        (_, Some(Clock::Ahead(host, until))) => wrong(format!(
            "it says {today}, and the certificate of {host} ended at {}: the clock is ahead, or the certificate is no good",
            local(until)
        )),
        (_, Some(Clock::Fits)) => {
            Some(Line::ok(Check::Clock, format!("{today}, which fits the servers' certificates")))
        }
        // Nothing to compare it with.
        (_, None) => Some(Line::ok(Check::Clock, format!("{today}, with nothing to compare it with"))),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::api::time;

    const NOW: i64 = 1_795_377_600; // 2026-11-22T20:00:00Z

    #[track_caller]
    fn check(now: i64, written: Option<i64>, certificates: Option<Clock>, grade: Grade, says: &str) {
        let local = |at: Time| time::local(at, Time::from_unix(NOW), &TimeZone::UTC);
        let line = judge(now, written, certificates, &local).unwrap();
        assert_eq!(line.grade, grade, "{line:?}");
        assert!(line.says.contains(says), "{line:?}");
    }

    #[test]
    fn a_wrong_clock_is_seen_without_asking_anybody() {
        let host = || "imap.mail.me.com".to_owned();
        let at = |seconds| Time::from_unix(NOW + seconds);
        check(NOW, Some(NOW - 60), Some(Clock::Fits), Grade::Ok, "20:00, which fits");
        check(NOW, None, None, Grade::Ok, "nothing to compare");
        check(0, None, None, Grade::Failure, "1970-01-01T00:00:00Z");
        check(NOW, Some(NOW + 60), Some(Clock::Fits), Grade::Ok, "fits");
        check(NOW, Some(NOW + 7200), Some(Clock::Fits), Grade::Failure, "at 22:00: it was set back");
        let behind = Clock::Behind(host(), at(86400));
        check(NOW, None, Some(behind), Grade::Failure, "begins only at 23 Nov 20:00: the clock is behind");
        let ahead = Clock::Ahead(host(), at(-86400));
        check(NOW, None, Some(ahead), Grade::Failure, "ended at 21 Nov 20:00: the clock is ahead");
    }
}
