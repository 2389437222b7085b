//! `keypulse list`: each password, where it is used and kept, how old it is, and whether anybody seems to need it.
//!
//! Decides what is said of too many and of unused ones. keypulse cannot see whether a program logs in: a password counts as
//! unused where it has not worked for a long time and nobody minded, and the hint says so.

use std::{collections::BTreeSet, path::Path, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Exit, advice,
    context::{Context, block_on, looking, print},
    discover,
    status::current,
    style::{FAINT, HEADING, Paint, WARNING, ago, printable, wrapped},
    table::{Look, sign},
};
use crate::{
    api::{
        Time,
        document::{CredentialDocument, StatusDocument},
    },
    config::{self, Config, discover::offers::Household},
    daemon::{self, Remembered},
    health::{credential::Health, name::Address},
    secret::Source,
};

/// App-specific passwords that an Apple Account can have (`facts/icloud.md` 1.2).
const MOST: usize = 25;
/// A password that has not worked for so long is not missed by anybody.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

const ABOUT: &str = "\"watched since\" and \"changed\" are the first logins with this entry and with this password that keypulse \
                     remembers; it remembers 400 days. \"used by\" is what a search of your programs' files finds, as \
                     `keypulse discover` does.

keypulse cannot see whether a program logs in. A password that has not been accepted for 90 days is called unused, because nobody \
has missed it.";

/// `keypulse list`.
#[derive(Debug, Args)]
#[command(after_help = ABOUT)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print the names alone, one a line
    #[arg(long, conflicts_with_all = ["json", "addresses"])]
    names: bool,
    /// Print the addresses of the accounts alone, one a line
    #[arg(long, conflicts_with = "json")]
    addresses: bool,
}

pub(super) fn list(context: &Context, arguments: &ListArgs) -> Result<u8, Exit> {
    let paths = context.paths()?;
    let config = config::load(&paths.config)?;
    if arguments.names || arguments.addresses {
        let accounts = config.accounts.iter();
        let words: Vec<&str> = if arguments.names {
            accounts.flat_map(|account| &account.credentials).map(|it| it.name.as_str()).collect()
        } else {
            accounts.map(|account| account.address.as_str()).collect()
        };
        return print(&words.iter().flat_map(|word| [word, "\n"]).collect::<String>()).map(|()| 0);
    }
    let status = block_on(current(context))?;
    let remembered = daemon::remembered(&config, &paths)?;
    // A search that fails is no reason to show nothing.
    let households = discover::households(context).unwrap_or_default();
    let accounts = accounts(&config, &status, &remembered, &households);
    if arguments.json {
        let accounts: Vec<Value> = accounts.iter().map(Listed::json).collect();
        print(&format!("{:#}\n", json!({ "accounts": accounts })))?;
    } else {
        let home = context.environment().home.clone().unwrap_or_default();
        print(&looking(status.generated_at, |look| page(&accounts, &home, look)))?;
    }
    Ok(0)
}

/// An account with its passwords.
struct Listed {
    address: Address,
    distinct: usize,
    entries: Vec<Entry>,
}

/// A credential.
struct Entry {
    name: String,
    app: Option<String>,
    health: Health,
    source: Source,
    /// Program, file and line.
    used_by: Vec<(&'static str, Option<String>, Option<usize>)>,
    first_at: Option<Time>,
    changed_at: Option<Time>,
    accepted_at: Option<Time>,
    unused: bool,
}

fn accounts(
    config: &Config,
    status: &StatusDocument,
    remembered: &std::collections::BTreeMap<crate::health::name::CredentialName, Remembered>,
    households: &[Household],
) -> Vec<Listed> {
    let listed = config.accounts.iter().map(|account| {
        let secrets = account.credentials.iter().filter_map(|it| remembered.get(&it.name)?.secret);
        let entries = account.credentials.iter().map(|credential| {
            let known = remembered.get(&credential.name).copied().unwrap_or_default();
            let now = status.credentials().find(|it| it.name == credential.name);
            let offers = households.iter().flat_map(|household| &household.offers);
            let uses = offers.filter(|offer| offer.watched && offer.name == credential.name);
            let mut used_by = Vec::new();
            for login in uses.flat_map(|offer| &offer.logins) {
                let file = login.file.as_ref().map(|file| file.display().to_string());
                let place = (login.program.as_str(), file, login.line);
                if !used_by.contains(&place) {
                    used_by.push(place);
                }
            }
            Entry {
                name: credential.name.to_string(),
                app: credential.app.clone(),
                health: now.map_or(Health::Unknown, |now| now.health),
                source: credential.secret.clone(),
                used_by,
                first_at: known.first_at,
                changed_at: known.changed_at,
                accepted_at: now.and_then(|now| now.last_accepted_at),
                unused: now.is_some_and(|now| is_unused(now, known.first_at, status.generated_at)),
            }
        });
        Listed {
            address: account.address.clone(),
            distinct: secrets.collect::<BTreeSet<_>>().len(),
            entries: entries.collect(),
        }
    });
    listed.collect()
}

/// Not accepted for 90 days, though it was tried: by its last acceptance, or by the first login where there never was one.
fn is_unused(now: &CredentialDocument, first_at: Option<Time>, at: Time) -> bool {
    let last = now.last_accepted_at.or(first_at).or(now.since);
    let long = i64::try_from(UNUSED.as_secs()).unwrap_or(i64::MAX);
    now.health != Health::Healthy && last.is_some_and(|last| at.seconds_since(last) >= long)
}

impl Listed {
    fn json(&self) -> Value {
        let credentials: Vec<Value> = self.entries.iter().map(Entry::json).collect();
        json!({
            "address": self.address.as_str(),
            "distinct_passwords": self.distinct,
            "most_passwords": MOST,
            "credentials": credentials,
        })
    }
}

impl Entry {
    fn json(&self) -> Value {
        let used_by: Vec<Value> = self
            .used_by
            .iter()
            .map(|(program, file, line)| json!({ "program": program, "file": file, "line": line }))
            .collect();
        json!({
            "name": self.name,
            "app": self.app,
            "health": self.health.as_str(),
            "kept_in": { "kind": kind(&self.source), "place": kept_in(&self.source) },
            "used_by": used_by,
            "watched_since": self.first_at,
            "last_changed_at": self.changed_at,
            "last_accepted_at": self.accepted_at,
            "unused": self.unused,
        })
    }

    fn times(&self, look: &Look) -> String {
        let day = |at: Option<Time>| at.map(look.local);
        let mut words = Vec::new();
        words.extend(day(self.first_at).map(|at| format!("watched since {at}")));
        words.extend(
            day(self.changed_at).filter(|_| self.changed_at != self.first_at).map(|at| format!("changed {at}")),
        );
        words.push(match self.accepted_at {
            Some(at) => format!("accepted {}", ago(at, look.now)),
            None => "not accepted yet".to_owned(),
        });
        words.join(" · ")
    }
}

const fn kind(source: &Source) -> &'static str {
    match source {
        Source::Keyring { .. } | Source::Attributes(_) => "keyring",
        Source::Command(_) => "command",
        Source::File(_) => "file",
        Source::Program(_) => "program",
    }
}

fn kept_in(source: &Source) -> String {
    match source {
        Source::Keyring { service, .. } => format!("the keyring ({service})"),
        Source::Attributes(_) => "the keyring (an item of another program)".to_owned(),
        // Its arguments are not shown: one of them may be a secret.
        Source::Command(command) => format!("what `{}` reads", command.first().map_or("", String::as_str)),
        Source::File(path) => path.display().to_string(),
        Source::Program(entry) => format!("{} (plain text, entry {})", entry.file.display(), entry.entry),
    }
}

/// For people.
fn page(accounts: &[Listed], home: &Path, look: &Look) -> String {
    let (paint, width) = (Paint { colour: look.colour }, look.width);
    // Nobody needs to be told where home is.
    let short = |text: &str| match home.to_str() {
        Some(home) if home.len() > 1 => text.replace(&format!("{home}/"), "~/"),
        Some(_) | None => text.to_owned(),
    };
    let mut lines = Vec::new();
    let note = |lines: &mut Vec<String>, indent: usize, text: &str| {
        let indent_text = " ".repeat(indent);
        for line in wrapped(text, width.saturating_sub(indent)) {
            lines.push(format!("{indent_text}{}", paint.paint(WARNING, &line)));
        }
    };
    for account in accounts {
        let count = format!("{} of at most {MOST} passwords", account.distinct);
        lines.push(format!("{}  {}", paint.paint(HEADING, account.address.as_str()), paint.paint(FAINT, &count)));
        for entry in &account.entries {
            let (mark, style) = sign(entry.health);
            let app = entry.app.as_deref().filter(|app| !app.eq_ignore_ascii_case(&entry.name));
            let app = app.map(|app| format!("  {}", printable(app))).unwrap_or_default();
            let health = paint.paint(style, entry.health.as_str());
            lines.push(format!("  {} {}{app}  {health}", paint.paint(style, mark), entry.name));
            let mut fact = |label: &str, text: &str| {
                let indent = 4 + label.len() + 2;
                for (at, line) in wrapped(&printable(&short(text)), width.saturating_sub(indent)).iter().enumerate() {
                    let label = if at == 0 { format!("    {label}  ") } else { " ".repeat(indent) };
                    lines.push(format!("{}{line}", paint.paint(FAINT, &label)));
                }
            };
            fact("kept in", &kept_in(&entry.source));
            for (program, file, line) in &entry.used_by {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                let place = file.as_ref().map(|file| format!(" ({file}{line})")).unwrap_or_default();
                fact("used by", &format!("{program}{place}"));
            }
            for line in wrapped(&entry.times(look), width.saturating_sub(4)) {
                lines.push(format!("    {line}"));
            }
            if entry.unused {
                let hint = format!(
                    "Not accepted for 90 days, and nobody missed it. Unused? Revoke it: {}, then keypulse remove {}",
                    advice::PATH,
                    entry.name
                );
                note(&mut lines, 4, &hint);
            }
        }
        if account.distinct > MOST {
            let hint = format!(
                "More than {MOST} different passwords: Apple allows no more, so some of them must be dead. Revoke those that \
                 nothing uses: {}",
                advice::PATH
            );
            note(&mut lines, 2, &hint);
        }
        lines.push(String::new());
    }
    if accounts.is_empty() {
        lines.push("Nothing is watched yet: keypulse setup".to_owned());
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests;
