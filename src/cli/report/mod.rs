//! `keypulse report`: what the doctor finds and what happened lately, fit for pasting into an issue.
//!
//! Decides what is in it: versions, checks, healths, changes, codes and times. Never a password, an address, a user name, a
//! home directory, or words of a server: names go through `disguise.rs`, field by field and then the whole once more.

mod disguise;

use std::fmt::Write as _;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::disguise::{Disguise, Kind};
use super::{
    Exit,
    context::{Context, block_on, print},
    doctor::{self, Examined, Line, whence},
    style::{Paint, columns, printable, wrapped},
};
use crate::{
    api::{StatusDocument, Time, TransitionDocument},
    config::Config,
    health::{credential::Health, login::Why},
    host::{clock::Clock, desktop::Desktop},
    store::{PastLogin, Store},
};

/// Changes and attempts shown.
const CHANGES: u32 = 20;
const ATTEMPTS: u32 = 30;
/// It goes into web forms, not into a terminal.
const WIDTH: usize = 80;

/// `keypulse report`.
#[derive(Debug, Args)]
#[command(after_help = "Look it over before you paste it: the names of passwords are in it as you chose them.")]
pub struct ReportArgs {
    /// Print JSON instead of Markdown
    #[arg(long)]
    json: bool,
}

pub(super) fn report(context: &Context, arguments: &ReportArgs) -> Result<u8, Exit> {
    let (report, disguise) = block_on(async {
        let examined = doctor::examine(context).await?;
        let mut disguise = Disguise::new().with_config(&examined.config);
        around(&mut disguise);
        Ok((Report::of(context, examined).await, disguise))
    })?;
    let mut json = serde_json::to_value(&report).map_err(Exit::failed)?;
    hide(&mut json, &disguise);
    if arguments.json {
        return print(&format!("{json:#}\n")).map(|()| 0);
    }
    let report: Report = serde_json::from_value(json).map_err(Exit::failed)?;
    print(&disguise.hide(&report.markdown())).map(|()| 0)
}

/// The names of this machine and its user.
fn around(disguise: &mut Disguise) {
    if let Some(home) = std::env::home_dir() {
        disguise.learn_place(&home.to_string_lossy(), "~");
        if let Some(user) = home.file_name() {
            disguise.learn(Kind::User, &user.to_string_lossy());
        }
    }
    for variable in ["USER", "LOGNAME"] {
        if let Ok(user) = std::env::var(variable) {
            disguise.learn(Kind::User, &user);
        }
    }
    disguise.learn(Kind::Host, &rustix::system::uname().nodename().to_string_lossy());
}

/// Every text of a JSON value.
fn hide(value: &mut Value, disguise: &Disguise) {
    match value {
        Value::String(text) => *text = disguise.hide(text),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, disguise)),
        Value::Object(fields) => fields.values_mut().for_each(|value| hide(value, disguise)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What goes out.
#[derive(Serialize, Deserialize)]
struct Report {
    schema: u32,
    made_at: Time,
    /// Names and versions, in order.
    versions: Vec<(String, String)>,
    checks: Vec<Line>,
    passwords: Vec<Password>,
    changes: Vec<Change>,
    attempts: Vec<Attempt>,
}

#[derive(Serialize, Deserialize)]
struct Password {
    name: String,
    account: String,
    health: String,
    since: Option<Time>,
    last_accepted_at: Option<Time>,
    services: Vec<String>,
    source: String,
    any_shape: bool,
}

#[derive(Serialize, Deserialize)]
struct Change {
    at: Time,
    credential: String,
    from: String,
    to: String,
    cause: Option<String>,
    presumed: bool,
}

#[derive(Serialize, Deserialize)]
struct Attempt {
    at: Time,
    credential: String,
    service: String,
    why: String,
    finding: String,
    cause: Option<String>,
    code: Option<String>,
    ms: Option<u64>,
}

impl Report {
    async fn of(context: &Context, examined: Examined) -> Self {
        let Examined { config, document, lines } = examined;
        let daemon = document.as_ref().and_then(|document| document.daemon.as_ref());
        let daemon = daemon.map_or_else(|| "not running".to_owned(), |daemon| daemon.version.clone());
        let store = context.paths().ok().and_then(|paths| Store::look(&paths.state).ok());
        let anchor = store.as_ref().and_then(|store| store.anchor().ok()?);
        let offset = Clock::resume(anchor.as_ref()).offset_ms();
        let (changes, attempts) = store.map_or_else(Default::default, |store| {
            let changes = store.transitions(&[], None, CHANGES).unwrap_or_default();
            (changes, store.attempts(&[], ATTEMPTS).unwrap_or_default())
        });
        let mut versions =
            vec![("keypulse".to_owned(), env!("CARGO_PKG_VERSION").to_owned()), ("daemon".to_owned(), daemon)];
        versions.extend(system().await);
        Self {
            schema: 1,
            made_at: Time::from_unix(jiff::Timestamp::now().as_second()),
            versions,
            checks: lines,
            passwords: passwords(&config, document.as_ref()),
            changes: changes.iter().map(|change| Change::of(&TransitionDocument::build(change, offset))).collect(),
            attempts: attempts.into_iter().map(|attempt| Attempt::of(attempt, offset)).collect(),
        }
    }

    /// With everything in blocks that a web form leaves as they are.
    fn markdown(&self) -> String {
        let about = format!(
            "Made {}. Times are UTC, under Checks local. Names of people, machines and servers are replaced by made-up words; \
             the same word stands for the same name in this report only.",
            self.made_at
        );
        let mut page = Page(format!("# keypulse report\n\n{}\n", wrapped(&about, WIDTH).join("\n")));
        page.block("Versions", self.versions.iter().map(|(name, version)| format!("{name:<12}{version}")));
        let checks = doctor::render(&self.checks, WIDTH, Paint { colour: false });
        page.block("Checks", checks.lines().map(ToOwned::to_owned));
        page.block("Passwords", self.passwords.iter().map(Password::line));
        page.block("Last changes", self.changes.iter().map(Change::line));
        page.block("Last attempts", self.attempts.iter().map(Attempt::line));
        page.0
    }
}

struct Page(String);

impl Page {
    fn block(&mut self, title: &str, lines: impl Iterator<Item = String>) {
        let mut text = String::new();
        for line in lines {
            let line = printable(&line);
            // What is laid out already fits.
            let parts = if columns(&line) <= WIDTH { vec![line] } else { wrapped(&line, WIDTH - 2) };
            for (at, part) in parts.iter().enumerate() {
                // A fence in a text would end the block.
                let part = part.replace("```", "'''");
                let _ = writeln!(text, "{}{part}", if at == 0 { "" } else { "  " });
            }
        }
        let text = if text.trim().is_empty() { "none" } else { text.trim_end() };
        let _ = write!(self.0, "\n## {title}\n\n```text\n{text}\n```\n");
    }
}

/// `2026-11-22 20:00:00`.
fn moment(at: Time) -> String {
    at.to_string().replace('T', " ").replace('Z', "")
}

impl Password {
    fn line(&self) -> String {
        let Self { name, account, health, source, .. } = self;
        let since = self.since.map(|at| format!(" since {}", moment(at))).unwrap_or_default();
        let accepted = self.last_accepted_at.map(|at| format!("accepted {}", moment(at)));
        let accepted = accepted.unwrap_or_else(|| "never accepted".to_owned());
        let shape = if self.any_shape { ", any shape" } else { "" };
        let services = self.services.join(" and ");
        format!("{name} of {account}: {health}{since}, {accepted}; for {services}, from {source}{shape}")
    }
}

impl Change {
    fn of(change: &TransitionDocument) -> Self {
        Self {
            at: change.at,
            credential: change.credential.to_string(),
            from: change.from.to_string(),
            to: change.to.to_string(),
            cause: change.cause.map(|cause| cause.to_string()),
            presumed: change.presumed,
        }
    }

    fn line(&self) -> String {
        let Self { at, credential, from, to, .. } = self;
        let cause = self.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let presumed = if self.presumed { ", presumed" } else { "" };
        format!("{} {credential}: {from} -> {to}{presumed}{cause}", moment(*at))
    }
}

impl Attempt {
    fn of(attempt: PastLogin, offset_ms: i64) -> Self {
        let PastLogin { at, credential, service, why, outcome, .. } = attempt;
        Self {
            at: Time::new(at, offset_ms),
            credential: credential.to_string(),
            service: service.to_string(),
            why: words(why),
            finding: outcome.finding.as_str().to_owned(),
            cause: outcome.finding.cause().map(|cause| cause.to_string()),
            code: outcome.code,
            ms: outcome.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn line(&self) -> String {
        let Self { at, credential, service, why, finding, .. } = self;
        let found = self.cause.as_ref().unwrap_or(finding);
        let code = self.code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
        let took = self.ms.map(|ms| format!(", {ms} ms")).unwrap_or_default();
        format!("{} {credential} {service}, {why}: {found}{code}{took}", moment(*at))
    }
}

/// What an attempt was for.
fn words(why: Why) -> String {
    match why {
        Why::Routine => "routine".to_owned(),
        Why::Changed => "changed".to_owned(),
        Why::Person => "person".to_owned(),
        Why::Again => "again".to_owned(),
        Why::Confirm => "confirm".to_owned(),
        Why::Canary(service) => format!("canary on {service}"),
        Why::Sibling(service) => format!("sibling on {service}"),
        Why::Retest => "retest".to_owned(),
    }
}

fn passwords(config: &Config, document: Option<&StatusDocument>) -> Vec<Password> {
    let all = config.accounts.iter().flat_map(|account| account.credentials.iter().map(move |it| (account, it)));
    all.map(|(account, credential)| {
        let known = document.and_then(|document| document.credentials().find(|known| known.name == credential.name));
        Password {
            name: credential.name.to_string(),
            account: account.address.to_string(),
            health: known.map_or(Health::Unknown, |known| known.health).to_string(),
            since: known.and_then(|known| known.since),
            last_accepted_at: known.and_then(|known| known.last_accepted_at),
            services: credential.services.iter().map(|service| service.to_string()).collect(),
            source: whence(&credential.secret).to_owned(),
            any_shape: credential.any_shape,
        }
    })
    .collect()
}

/// What it runs on.
async fn system() -> Vec<(String, String)> {
    let uname = rustix::system::uname();
    let kernel = [uname.sysname(), uname.release(), uname.machine()].map(|part| part.to_string_lossy().into_owned());
    let mut known = vec![("kernel".to_owned(), kernel.join(" "))];
    if let Ok(release) = std::fs::read_to_string("/etc/os-release") {
        let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        known.extend(name.map(|name| ("system".to_owned(), name.trim_matches('"').to_owned())));
    }
    for (what, variable) in [("desktop", "XDG_CURRENT_DESKTOP"), ("session", "XDG_SESSION_TYPE")] {
        known.extend(std::env::var(variable).ok().map(|value| (what.to_owned(), value)));
    }
    known.extend(Desktop::service().await.ok().map(|service| ("messages".to_owned(), service)));
    known
}

#[cfg(test)]
mod tests;
