//! The status for people: every credential with its health in words and colour, what is wrong under it, and what to do.
//!
//! Pure: the same document, time and width give the same text. Decides the layout; the sentences are in `advice.rs`.

use anstyle::Style;

use super::{
    advice,
    style::{BAD, FAINT, GOOD, HEADING, Paint, WARNING, ago, ahead, columns, padded, printable, shortened, wrapped},
};
use crate::{
    api::{
        Time,
        document::{AccountDocument, CredentialDocument, StatusDocument},
    },
    health::credential::{Health, Overall},
};

/// How the table is to look.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The time that "ago" counts from.
    pub now: Time,
    /// The columns there are.
    pub width: usize,
    /// Whether to use colours; the words alone say everything.
    pub colour: bool,
    /// A time of day as people here read it.
    pub local: &'a dyn Fn(Time) -> String,
}

/// Narrower than this, long words are cut and nothing is pretty.
const NARROWEST: usize = 24;
/// From here on the labels of the explanation have a column of their own.
const WIDE: usize = 60;
/// The width of that column.
const LABEL: usize = 15;
/// Between two facts on one line.
const DOT: &str = " · ";
/// A program's name cut to less than this tells nothing.
const APP: usize = 8;

/// The exit code of `status` and `check`.
#[must_use]
pub const fn exit_code(document: &StatusDocument) -> u8 {
    match document.overall {
        Overall::Ok => 0,
        Overall::Warning => 1,
        Overall::Critical => 2,
        Overall::Unknown => 3,
    }
}

/// A health's sign and colours.
#[must_use]
pub const fn sign(health: Health) -> (&'static str, Style) {
    match health {
        Health::Healthy => ("✓", GOOD),
        Health::Degraded | Health::Unreadable | Health::Stale => ("!", WARNING),
        Health::Suspect | Health::Unknown => ("?", WARNING),
        Health::Revoked | Health::Rejected => ("✗", BAD),
    }
}

/// The whole table, ending with a line end.
#[must_use]
pub fn render(document: &StatusDocument, look: &Look) -> String {
    let look = Look { width: look.width.max(NARROWEST), ..*look };
    let mut page =
        Page { paint: Paint { colour: look.colour }, layout: Layout::of(document, &look), look, lines: vec![] };
    for account in &document.accounts {
        page.account(account, document);
    }
    page.troubles(document);
    page.summary(document);
    let mut text = page.lines.join("\n");
    text.push('\n');
    text
}

/// One row, as text.
struct Row {
    name: String,
    app: String,
    health: &'static str,
    times: String,
}

impl Row {
    fn of(credential: &CredentialDocument, document: &StatusDocument, now: Time) -> Self {
        let name = credential.name.to_string();
        // The same word twice tells nothing.
        let app = credential.app.as_deref().filter(|app| !app.eq_ignore_ascii_case(&name)).map(printable);
        let accepted = match (credential.last_accepted_at, credential.last_checked_at, credential.health) {
            (Some(at), _, _) => format!("accepted {}", ago(at, now)),
            (None, None, _) => "not checked yet".to_owned(),
            (None, Some(_), Health::Rejected) => "never accepted".to_owned(),
            (None, Some(at), _) => format!("checked {}", ago(at, now)),
        };
        // Without a daemon, or while it pauses, no check is coming.
        let watched = document.daemon.is_some() && document.paused_until.is_none();
        let next = credential.next_check_at.filter(|_| watched).map(|at| format!("{DOT}next check {}", ahead(at, now)));
        Self {
            name,
            app: app.unwrap_or_default(),
            health: credential.health.as_str(),
            times: accepted + &next.unwrap_or_default(),
        }
    }
}

/// The widths of the columns, the same for all accounts. A width of 0: no such column.
#[derive(Clone, Copy)]
struct Layout {
    name: usize,
    app: usize,
    health: usize,
    /// The times stand in the row; otherwise under it.
    times_beside: bool,
}

impl Layout {
    fn of(document: &StatusDocument, look: &Look) -> Self {
        let rows: Vec<_> = document.credentials().map(|it| Row::of(it, document, look.now)).collect();
        let widest = |cell: fn(&Row) -> usize| rows.iter().map(cell).max().unwrap_or(0);
        let (name, app) = (widest(|row| columns(&row.name)), widest(|row| columns(&row.app)));
        let (health, times) = (widest(|row| columns(row.health)), widest(|row| columns(&row.times)));
        let beside_app = if app > 0 { 2 } else { 0 };
        let taken = 4 + name + beside_app + 2 + health + 2 + times;
        if taken + app.min(APP) <= look.width {
            return Self { name, app: app.min(look.width - taken), health, times_beside: true };
        }
        let room = look.width.saturating_sub(4 + 2 + health);
        if app == 0 || name + 2 + app <= room {
            return Self { name: name.min(room), app, health, times_beside: false };
        }
        // Of two long names the credential's matters more: commands take it.
        let name = name.min(room);
        match room.saturating_sub(name + 2) {
            ..APP => Self { name, app: 0, health, times_beside: false },
            app => Self { name, app, health, times_beside: false },
        }
    }
}

struct Page<'a> {
    look: Look<'a>,
    paint: Paint,
    layout: Layout,
    lines: Vec<String>,
}

impl Page<'_> {
    fn account(&mut self, account: &AccountDocument, document: &StatusDocument) {
        let address = shortened(&printable(account.address.as_str()), self.look.width);
        self.lines.push(self.paint.paint(HEADING, &address));
        let incident = account.incident.as_ref();
        let mut said: Vec<String> = Vec::new();
        for credential in &account.credentials {
            let told = incident.is_some_and(|incident| incident.credentials.contains(&credential.name));
            self.row(credential, document);
            for note in advice::of_credential(account, credential, told) {
                self.under(&note);
            }
            for service in &credential.services {
                let Some(words) = advice::of_service(credential, service) else { continue };
                if told && credential.health.is_dead() {
                    // The dead of one incident mostly heard the same: said once, with the explanation.
                    if !said.contains(&words) {
                        said.push(words);
                    }
                } else {
                    self.under(&words);
                }
            }
        }
        self.explanation(account, &said);
        self.lines.push(String::new());
    }

    fn row(&mut self, credential: &CredentialDocument, document: &StatusDocument) {
        let (row, layout) = (Row::of(credential, document, self.look.now), self.layout);
        let (sign, style) = sign(credential.health);
        let mut line = format!("  {} {}", self.paint.paint(style, sign), padded(&row.name, layout.name));
        if layout.app > 0 {
            line.push_str("  ");
            line.push_str(&padded(&row.app, layout.app));
        }
        line.push_str("  ");
        line.push_str(&self.paint.paint(style, row.health));
        if layout.times_beside {
            line.push_str(&" ".repeat(2 + layout.health.saturating_sub(columns(row.health))));
            line.push_str(&self.paint.paint(FAINT, &row.times));
            self.lines.push(line);
            return;
        }
        self.lines.push(line);
        let app = Some(row.app).filter(|app| layout.app == 0 && !app.is_empty());
        let facts: Vec<_> = app.iter().map(String::as_str).chain(row.times.split(DOT)).collect();
        let joined = facts.join(DOT);
        if columns(&joined) + 6 <= self.look.width {
            self.indented(&joined, 6, FAINT);
        } else {
            for fact in facts {
                self.indented(fact, 6, FAINT);
            }
        }
    }

    /// Says it under a row.
    fn under(&mut self, text: &str) {
        self.indented(&printable(text), 6, Style::new());
    }

    fn indented(&mut self, text: &str, indent: usize, style: Style) {
        let width = self.look.width.saturating_sub(indent);
        for line in wrapped(text, width) {
            self.lines.push(format!("{}{}", " ".repeat(indent), self.paint.paint(style, &line)));
        }
    }

    fn explanation(&mut self, account: &AccountDocument, said: &[String]) {
        if let Some(incident) = &account.incident {
            let (happened, mut to_do) = advice::of_incident(account, incident, self.look.local);
            if let Some(until) = incident.snoozed_until.filter(|until| *until > self.look.now) {
                to_do.push(format!("Snoozed until {}.", (self.look.local)(until)));
            }
            self.lines.push(String::new());
            self.labelled("What happened", &happened);
            self.labelled("What to do", &to_do);
        }
        self.labelled("Server said", said);
        if let Some(watch) = &account.idle_watch {
            let words = format!("Idle watch on {} since {}", watch.credential, (self.look.local)(watch.since));
            self.indented(&words, 2, FAINT);
        }
        if account.failed_logins_24h > 0 {
            let used = format!("{} of {} failed logins in 24 h", account.failed_logins_24h, account.failed_login_limit);
            let frees = account.ration_frees_at.map(|at| {
                format!("; no automatic login before {} ({})", (self.look.local)(at), ahead(at, self.look.now))
            });
            let style = if frees.is_some() { WARNING } else { FAINT };
            self.indented(&(used + &frees.unwrap_or_default()), 2, style);
        }
    }

    /// Paragraphs under or beside a label.
    fn labelled(&mut self, label: &str, paragraphs: &[String]) {
        let wide = self.look.width >= WIDE;
        let indent = if wide { 2 + LABEL } else { 4 };
        let lines = paragraphs.iter().flat_map(|it| wrapped(&printable(it), self.look.width.saturating_sub(indent)));
        let mut label = Some(label);
        for line in lines {
            let before = match label.take() {
                Some(label) if wide => {
                    format!("  {}", self.paint.paint(HEADING, label) + &" ".repeat(LABEL - label.len()))
                }
                Some(label) => {
                    self.lines.push(format!("  {}", self.paint.paint(HEADING, label)));
                    " ".repeat(indent)
                }
                None => " ".repeat(indent),
            };
            self.lines.push(format!("{before}{line}"));
        }
    }

    /// What keeps keypulse itself from its work.
    fn troubles(&mut self, document: &StatusDocument) {
        for trouble in &document.troubles {
            let until = trouble.until.filter(|until| *until > self.look.now);
            let until = until.map(|until| {
                format!(" No login before {} ({}).", (self.look.local)(until), ahead(until, self.look.now))
            });
            let text = printable(&format!("{}{}", trouble.text, until.unwrap_or_default()));
            let lines = wrapped(&text, self.look.width.saturating_sub(2));
            for (sign, line) in std::iter::once("! ").chain(std::iter::repeat("  ")).zip(lines) {
                self.lines.push(format!("{}{line}", self.paint.paint(WARNING, sign)));
            }
            self.lines.push(String::new());
        }
    }

    fn summary(&mut self, document: &StatusDocument) {
        if let Some(email) = &document.email {
            let since = email.since.map(|at| format!(" since {}", (self.look.local)(at))).unwrap_or_default();
            let words = format!("No e-mail goes out{since}: {}", printable(&email.why));
            self.indented(&words, 0, if email.ended { WARNING } else { Style::new() });
            if email.ended {
                self.indented("What to do: keypulse doctor", 0, Style::new());
            }
            self.lines.push(String::new());
        }
        let counted = |health: &Health| (document.counts.of(*health), *health);
        let counts: Vec<_> = Health::ALL
            .iter()
            .map(counted)
            .filter(|(count, _)| *count > 0)
            .map(|(count, health)| format!("{count} {health}"))
            .collect();
        let (counts, style) = match document.overall {
            _ if counts.is_empty() => ("no passwords watched".to_owned(), WARNING),
            Overall::Ok => (counts.join(", "), GOOD),
            Overall::Warning | Overall::Unknown => (counts.join(", "), WARNING),
            Overall::Critical => (counts.join(", "), BAD),
        };
        let daemon = self.daemon(document);
        // Painted line by line: an escape sequence has no width, but wrapping would not know.
        let whole = format!("{counts}{DOT}{daemon}");
        if columns(&whole) <= self.look.width {
            self.lines.push(format!("{}{DOT}{daemon}", self.paint.paint(style, &counts)));
        } else {
            self.indented(&counts, 0, style);
            self.indented(&daemon, 0, Style::new());
        }
        if document.accounts.is_empty() {
            self.indented("Watch one: keypulse add NAME --account ADDRESS", 0, Style::new());
        }
    }

    fn daemon(&self, document: &StatusDocument) -> String {
        let local = self.look.local;
        let paused = match document.paused_until {
            Some(Time::END) => ", paused (keypulse resume)".to_owned(),
            Some(until) => format!(", paused until {}", local(until)),
            None => String::new(),
        };
        let Some(daemon) = &document.daemon else {
            let checked = document.credentials().filter_map(|it| it.last_checked_at).max();
            return match checked {
                Some(at) => format!("daemon not running{paused}; last check {}", ago(at, self.look.now)),
                None => format!("daemon not running{paused}"),
            };
        };
        let since = format!("daemon running since {}", local(daemon.started_at));
        let offline = if daemon.online { "" } else { ", offline" };
        let ours = env!("CARGO_PKG_VERSION");
        let older = if is_older(&daemon.version, ours) {
            format!(", older ({}) than this command ({ours}): restart it", printable(&daemon.version))
        } else if daemon.program.as_ref().is_some_and(|program| program.replaced) {
            ", its program was renewed: restart it".to_owned()
        } else {
            String::new()
        };
        format!("{since}{paused}{offline}{older}")
    }
}

/// Whether one version comes before another (Semantic Versioning, section 11): number by number; what follows the numbers makes it
/// an earlier one.
#[must_use]
pub fn is_older(version: &str, than: &str) -> bool {
    let parts = |version: &str| {
        let (numbers, pre) = version.split_once('-').map_or((version, None), |(numbers, pre)| (numbers, Some(pre)));
        let numbers: Vec<u64> = numbers.split('.').map(|number| number.parse().unwrap_or(0)).collect();
        // A version without a suffix comes after all with one.
        (numbers, pre.is_none(), pre.map(ToOwned::to_owned))
    };
    parts(version) < parts(than)
}

#[cfg(test)]
mod tests;
