//! `keypulse explain`: the chain behind a verdict, so that a person can follow it and an engineer can check it.
//!
//! Decides the layout only, and that purely: the reasons are worded in `health/reasons.rs`, what happened in `advice.rs`.

use anstyle::Style;
use clap::Args;

use super::{
    Exit, advice,
    context::{Context, block_on, looking, print},
    style::{BAD, FAINT, GOOD, HEADING, Paint, WARNING, ahead, columns, padded, printable, wrapped},
    table::{Look, sign},
};
use crate::{
    api::{
        AccountDocument, ClientError, ExplainDocument,
        document::{FindingWord, ServiceDocument},
        explain::{DecisionDocument, ExplainedAccount, ExplainedCredential, RoundDocument},
    },
    config,
    daemon::Stored,
    health::credential::Health,
};

/// `keypulse explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A credential, or an Apple Account with all of its own; without, everything
    #[arg(value_name = "NAME/ADDRESS")]
    target: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn explain(context: &Context, arguments: &ExplainArgs) -> Result<u8, Exit> {
    let document = block_on(chain(context, arguments.target.as_deref()))?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&document).map_err(Exit::failed)?;
        print(&format!("{json}\n"))?;
    } else {
        print(&looking(document.generated_at, |look| render(&document, look)))?;
    }
    Ok(0)
}

/// From the daemon, or from the stored state where none runs.
async fn chain(context: &Context, target: Option<&str>) -> Result<ExplainDocument, Exit> {
    match context.client()?.explain(target).await {
        Err(ClientError::NoDaemon { .. }) => {
            let paths = context.paths()?;
            let config = config::load(&paths.config)?;
            Ok(Stored::look(&config, &paths)?.past().explain(target)?)
        }
        answer => Ok(answer?),
    }
}

/// The width of the labels' column.
const LABEL: usize = 14;
/// Under a round's line.
const UNDER: usize = 4;

/// The whole text, ending with a line end.
#[must_use]
pub fn render(document: &ExplainDocument, look: &Look) -> String {
    let look = Look { width: look.width.max(40), ..*look };
    let mut page =
        Page { look, paint: Paint { colour: look.colour }, watched: document.daemon.is_some(), lines: vec![] };
    for account in &document.accounts {
        page.account(account);
    }
    if document.accounts.is_empty() {
        page.text("No passwords watched. Watch one: keypulse add NAME --account ADDRESS", 0, Style::new());
    } else if document.daemon.is_none() {
        page.text("The daemon is not running: nothing is checked until it is.", 0, WARNING);
    }
    while page.lines.last().is_some_and(String::is_empty) {
        page.lines.pop();
    }
    page.lines.join("\n") + "\n"
}

struct Page<'a> {
    look: Look<'a>,
    paint: Paint,
    /// A daemon runs, so that what is planned will be done.
    watched: bool,
    lines: Vec<String>,
}

impl Page<'_> {
    fn account(&mut self, account: &ExplainedAccount) {
        self.text(account.address.as_str(), 0, HEADING);
        self.labelled("Failed logins", &failed_logins(account, &self.look));
        if let Some(watch) = &account.idle_watch {
            let since = (self.look.local)(watch.since);
            self.labelled("Idle watch", &format!("a connection of {} stands open since {since}", watch.credential));
        }
        if let Some(incident) = &account.incident {
            let (what, to_do) = advice::of_incident(&as_status(account), incident, self.look.local);
            let told = incident
                .notified_at
                .map_or("not told yet".to_owned(), |at| format!("told at {}", (self.look.local)(at)));
            self.labelled("Incident", &format!("{} ({told}).", incident.cause));
            for text in &what {
                self.labelled("", text);
            }
            to_do
                .iter()
                .enumerate()
                .for_each(|(at, text)| self.labelled(if at == 0 { "What to do" } else { "" }, text));
        }
        self.lines.push(String::new());
        for credential in &account.credentials {
            // Where many are told of, the well ones are told of shortly.
            let whole = account.credentials.len() == 1 || credential.credential.health != Health::Healthy;
            self.credential(credential, whole);
        }
    }

    fn credential(&mut self, explained: &ExplainedCredential, whole: bool) {
        let credential = &explained.credential;
        let (mark, style) = sign(credential.health);
        let app = credential.app.as_deref().filter(|app| !app.eq_ignore_ascii_case(credential.name.as_str()));
        let app = app.map(|app| format!(" ({})", printable(app))).unwrap_or_default();
        let presumed = if credential.presumed { ", presumed" } else { "" };
        let since = credential.since.map(|at| format!(" since {}", (self.look.local)(at))).unwrap_or_default();
        let name = self.paint.paint(HEADING, credential.name.as_str());
        let health = self.paint.paint(style, credential.health.as_str());
        self.lines.push(format!("{} {name}{app}: {health}{presumed}{since}", self.paint.paint(style, mark)));
        self.labelled("Why", &with_rule(&explained.why));
        self.labelled("Last accepted", &credential.last_accepted_at.map_or("never".to_owned(), self.look.local));
        self.labelled("Would change", &explained.change);
        if let Some(until) = explained.held_until {
            self.labelled("Held back", &format!("until {} at the latest", (self.look.local)(until)));
        }
        if let Some(until) = explained.rests_until.filter(|until| *until > self.look.now) {
            self.labelled("Left alone", &format!("the refusing service, until {}", (self.look.local)(until)));
        }
        if let (Some(at), Some(purpose)) =
            (credential.next_check_at.filter(|_| self.watched), &explained.next_check_for)
        {
            let when = format!("{} ({}): {purpose}", (self.look.local)(at), ahead(at, self.look.now));
            self.labelled("Next check", &when);
        }
        if !explained.shared_with.is_empty() {
            let names: Vec<_> = explained.shared_with.iter().map(ToString::to_string).collect();
            self.labelled("Same password", &names.join(", "));
        }
        if whole && !explained.evidence.is_empty() {
            self.lines.push(String::new());
            if explained.evidence_cut {
                self.text("… (there is more before)", 2, FAINT);
            }
            for round in &explained.evidence {
                self.round(round, credential.name.as_str());
            }
        }
        self.lines.push(String::new());
    }

    fn round(&mut self, round: &RoundDocument, name: &str) {
        let asked =
            if round.credential.as_str() == name { String::new() } else { format!(", with {}", round.credential) };
        let purpose = round.purpose_text.as_deref().unwrap_or("decided");
        let time = (self.look.local)(round.at);
        let head = format!("{}{asked}", printable(purpose));
        let painted = self.paint.paint(FAINT, &time);
        let indent = 2 + columns(&time) + 2;
        let mut texts = wrapped(&head, self.look.width.saturating_sub(indent)).into_iter();
        self.lines.push(format!("  {painted}  {}", texts.next().unwrap_or_default()));
        self.lines.extend(texts.map(|text| format!("{}{text}", " ".repeat(indent))));
        for attempt in &round.attempts {
            self.attempt(attempt);
        }
        let assessment =
            round.assessment.as_ref().map(|it| it.replace("-strong", " (strong)").replace("-weak", " (weak)"));
        let text = match (&round.decision, assessment) {
            (Some(decision), Some(assessment)) => format!("= {assessment}. {}", with_rule(decision)),
            (Some(decision), None) => format!("= {}", with_rule(decision)),
            (None, Some(assessment)) => format!("= {assessment}"),
            (None, None) => return,
        };
        self.hanging(&text, UNDER, UNDER + 2);
    }

    fn attempt(&mut self, attempt: &ServiceDocument) {
        let (word, style) = match (attempt.finding, attempt.cause) {
            (FindingWord::Accepted, _) => ("accepted".to_owned(), GOOD),
            (FindingWord::Rejected, _) => ("rejected".to_owned(), BAD),
            (FindingWord::Inconclusive, cause) => {
                (cause.map_or("inconclusive".to_owned(), |cause| cause.to_string()), WARNING)
            }
        };
        let word = padded(&word, columns(&word).max(8));
        let before = UNDER + 4 + 2 + columns(&word) + 2;
        let said = attempt.detail.as_deref().or(attempt.code.as_deref()).unwrap_or_default();
        let mut texts = wrapped(&printable(said), self.look.width.saturating_sub(before).max(8)).into_iter();
        let service = attempt.service.as_str();
        let line = format!(
            "{}{service}  {}  {}",
            " ".repeat(UNDER),
            self.paint.paint(style, &word),
            texts.next().unwrap_or_default()
        );
        self.lines.push(line.trim_end().to_owned());
        self.lines.extend(texts.map(|text| format!("{}{text}", " ".repeat(before))));
    }

    /// A label with its text beside it; without a label, the text goes on under the one before.
    fn labelled(&mut self, label: &str, text: &str) {
        let indent = 2 + LABEL + 1;
        let mut label = padded(label, LABEL);
        for line in wrapped(&printable(text), self.look.width.saturating_sub(indent)) {
            let painted = self.paint.paint(FAINT, &label);
            self.lines.push(format!("  {painted} {line}"));
            label = " ".repeat(LABEL);
        }
    }

    fn hanging(&mut self, text: &str, first: usize, indent: usize) {
        let lines = wrapped(&printable(text), self.look.width.saturating_sub(indent));
        for (at, line) in lines.iter().enumerate() {
            self.lines.push(format!("{}{line}", " ".repeat(if at == 0 { first } else { indent })));
        }
    }

    fn text(&mut self, text: &str, indent: usize, style: Style) {
        for line in wrapped(&printable(text), self.look.width.saturating_sub(indent)) {
            self.lines.push(format!("{}{}", " ".repeat(indent), self.paint.paint(style, &line)));
        }
    }
}

/// In words, with the rule that an engineer looks up.
fn with_rule(decision: &DecisionDocument) -> String {
    let rule = decision.rule.as_ref().zip(decision.part.as_ref());
    let rule = rule.map(|(rule, part)| format!(" [{rule}; part {part}]")).unwrap_or_default();
    format!("{}{rule}", decision.text)
}

fn failed_logins(account: &ExplainedAccount, look: &Look) -> String {
    let ExplainedAccount { failed_logins_24h: spent, failed_login_limit: limit, failed_logins_left: left, .. } =
        account;
    let automatic = account.failed_logins_left_automatic;
    let frees = account
        .ration_frees_at
        .map(|at| format!(" The next by itself: {} ({}).", (look.local)(at), ahead(at, look.now)));
    format!(
        "{spent} of {limit} spent in 24 h; {left} left, {automatic} of them for checks by itself.{}",
        frees.unwrap_or_default()
    )
}

/// What `advice` words is an account of the status document.
fn as_status(account: &ExplainedAccount) -> AccountDocument {
    AccountDocument {
        address: account.address.clone(),
        failed_logins_24h: account.failed_logins_24h,
        failed_login_limit: account.failed_login_limit,
        ration_frees_at: account.ration_frees_at,
        incident: account.incident.clone(),
        idle_watch: account.idle_watch.clone(),
        credentials: account.credentials.iter().map(|explained| explained.credential.clone()).collect(),
    }
}

#[cfg(test)]
mod tests;
