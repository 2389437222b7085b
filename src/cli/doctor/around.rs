//! How messages reach the person: the notification service and what it can do, the hook's program, e-mail.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    email,
    line::{Check, Line},
};
use crate::{
    cli::notify_test,
    config::{Config, Hook},
    host::desktop::Desktop,
};

/// What keypulse makes use of (Desktop Notifications Specification, "GetCapabilities").
const USED: [&str; 3] = ["actions", "body", "persistence"];

pub(super) async fn check(config: &Config) -> Vec<Line> {
    let mut lines = vec![desktop(config).await];
    lines.extend(config.notify.hook.as_ref().map(hook));
    lines.extend(Box::pin(email::check(config)).await);
    lines
}

async fn desktop(config: &Config) -> Line {
    let about = Check::Desktop;
    if !config.notify.desktop {
        return match (&config.notify.hook, &config.notify.email) {
            (None, None) => Line::warning(
                about,
                "desktop messages are switched off, and there is no other way to tell you",
                "set notify.desktop, notify.hook or notify.email; keypulse config path says where",
            ),
            (Some(_), _) | (_, Some(_)) => Line::ok(about, "desktop messages are switched off"),
        };
    }
    match Desktop::service().await {
        Ok(service) => match Desktop::capabilities().await {
            Ok(able) => Line::ok(about, format!("{service}, with {}", said(&able))),
            Err(why) => {
                Line::warning(about, format!("{service} does not say what it can do: {why}"), "keypulse notify-test")
            }
        },
        Err(why) => Line::warning(about, format!("no message can be shown: {why}"), notify_test::remedy(&why)),
    }
}

/// Of what a service can do, what matters here.
fn said(able: &[String]) -> String {
    let used: Vec<&str> = USED.into_iter().filter(|used| able.iter().any(|it| it == used)).collect();
    if used.is_empty() { "no capabilities that matter here".to_owned() } else { used.join(", ") }
}

fn hook(hook: &Hook) -> Line {
    let program = hook.command.first().map_or("", String::as_str);
    let found = if program.contains('/') {
        Some(PathBuf::from(program)).filter(|path| is_executable(path))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| is_executable(path))
    };
    match found {
        Some(path) => Line::ok(Check::Hook, format!("{} is there", path.display())),
        None => Line::failure(
            Check::Hook,
            format!("there is no program {program:?} that can be run"),
            "keypulse notify-test --channel hook",
        ),
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
