//! `keypulse doctor`: whether everything that keypulse needs is there, each with what to do where it is not.
//!
//! Decides the order of the checks, how they look, and the exit code. No login is made, no dialog is opened, no secret is
//! shown: passwords are read as the daemon reads them, and looked at in their shape alone. Whatever hangs is given up.

mod around;
mod config;
mod email;
mod line;
mod secrets;
mod servers;
mod service;
mod state;

use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use self::line::Grade;
pub(super) use self::{line::Line, secrets::whence};
use super::{
    Exit,
    context::{self, Context, block_on, print},
    progress::Progress,
    status,
    style::{Paint, columns, printable, wrapped},
};
use crate::{
    api::{StatusDocument, Time, time},
    config::Config,
};

/// `keypulse doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all is well, 1 a warning, 2 a failure. No login is made.")]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a look at everything came to.
pub(super) struct Examined {
    /// The configuration; the defaults where there is none to use.
    pub(super) config: Config,
    /// The status, from the daemon or the stored state, where there is one.
    pub(super) document: Option<StatusDocument>,
    /// What was found, in the order of the checks.
    pub(super) lines: Vec<Line>,
}

/// Looks, prints, and gives the exit code.
pub(super) fn doctor(context: &Context, arguments: &DoctorArgs) -> Result<u8, Exit> {
    let Examined { lines, .. } = block_on(examine(context))?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&Document::of(&lines)).map_err(Exit::failed)?;
        print(&format!("{json}\n"))?;
    } else {
        print(&render(&lines, context::width(), Paint { colour: true }))?;
    }
    Ok(worst(&lines) as u8)
}

/// Every check.
pub(super) async fn examine(context: &Context) -> Result<Examined, Exit> {
    let progress = Progress::start("looking at passwords, servers and services".to_owned());
    let (config_line, config) = config::check(context);
    let whole = config.is_some();
    let config = config.unwrap_or_default();
    let now = Time::from_unix(jiff::Timestamp::now().as_second());
    let local = |at: Time| time::local(at, now, &TimeZone::system());
    let (secrets, (servers, clock), around, (daemon, document)) = tokio::join!(
        secrets::check(&config),
        servers::check(&config, now, &local),
        around::check(&config),
        service::check(context, &local),
    );
    // Where no daemon answered, what it left behind.
    let document = match document {
        Some(document) => Some(document),
        None if whole => status::stored(context).ok(),
        None => None,
    };
    let mut lines = vec![config_line];
    lines.extend(secrets);
    lines.extend(around);
    lines.extend(document.as_ref().and_then(|document| email::trouble(&config, document, &local)));
    lines.extend(servers);
    lines.extend(state::clock(context, clock, &local));
    lines.extend(daemon);
    lines.extend(document.iter().flat_map(|document| state::watch(&config, document, &local)));
    lines.extend(document.iter().flat_map(|document| state::ration(document, &local)));
    let state = state::check(context, &local);
    lines.extend(document.iter().flat_map(|document| state::troubles(document, &state)));
    lines.extend(state);
    drop(progress);
    Ok(Examined { config, document, lines })
}

/// The worst of them; all is well where there are none.
pub(super) fn worst(lines: &[Line]) -> Grade {
    lines.iter().map(|line| line.grade).max().unwrap_or(Grade::Ok)
}

/// `doctor --json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    overall: Grade,
    checks: &'a [Line],
}

impl<'a> Document<'a> {
    fn of(lines: &'a [Line]) -> Self {
        Self { schema: 1, overall: worst(lines), checks: lines }
    }
}

/// From here on what was checked has a column of its own.
const WIDE: usize = 60;
/// The width of that column, and of the sign before it.
const LABEL: usize = 15;
const SIGN: usize = 2;

/// The lines for people, with a summary, ending with a line end.
pub(super) fn render(lines: &[Line], width: usize, paint: Paint) -> String {
    let width = width.max(24);
    let wide = width >= WIDE;
    let indent = if wide { SIGN + LABEL } else { SIGN };
    let mut text = String::new();
    for line in lines {
        let (sign, style) = line.grade.sign();
        let label = line.check.label();
        let mut said = match &line.of {
            Some(of) => format!("{of}: {}", line.says),
            None => line.says.clone(),
        };
        said = printable(&said);
        let mut paragraphs = wrapped(&said, width - indent).into_iter();
        text.push_str(&paint.paint(style, sign));
        text.push(' ');
        if wide {
            text.push_str(label);
            text.push_str(&" ".repeat(LABEL - columns(label)));
            text.push_str(&paragraphs.next().unwrap_or_default());
        } else {
            text.push_str(label);
        }
        text.push('\n');
        for more in paragraphs {
            text.push_str(&" ".repeat(indent));
            text.push_str(&more);
            text.push('\n');
        }
        if let Some(remedy) = &line.remedy {
            for (at, part) in wrapped(&printable(remedy), width - indent - 2).into_iter().enumerate() {
                text.push_str(&" ".repeat(indent));
                text.push_str(if at == 0 { "→ " } else { "  " });
                text.push_str(&part);
                text.push('\n');
            }
        }
    }
    text.push('\n');
    text.push_str(&summary(lines, paint));
    text.push('\n');
    text
}

fn summary(lines: &[Line], paint: Paint) -> String {
    let count = |grade: Grade| lines.iter().filter(|line| line.grade == grade).count();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let (failures, warnings) = (count(Grade::Failure), count(Grade::Warning));
    let mut words = Vec::new();
    if failures > 0 {
        words.push(plural(failures, "failure"));
    }
    if warnings > 0 {
        words.push(plural(warnings, "warning"));
    }
    words.push(format!("{} ok", count(Grade::Ok)));
    paint.paint(worst(lines).sign().1, &words.join(", "))
}

#[cfg(test)]
mod tests;
