//! The wording of every notification, on one page: what a person reads when a secret has died, and when it is over.
//!
//! Decides words and urgency. Never decides whether or when somebody is told, and holds no markup: escaping belongs to
//! the channel (`host/markup.rs`). Times of day come from the caller, as the time zone is a thing of the machine.

mod names;
mod page;

use Line::{Do, Fact, Run};

use self::names::{bounded, labels, who, who_short};
use super::{
    evidence::{Finding, Service},
    incident::{Incident, IncidentCause},
    name::Address,
    outbox::Tidings,
    schedule::Timestamp,
    view::CredentialStatus,
};

/// The way to a new password, as words for the screen.
const PATH: &str = "account.apple.com → Sign-In and Security → App-Specific Passwords";
/// The same for mail and hook, without anything that a mail program makes a link of: whoever forges such a message wants
/// a click. In ASCII, so that an e-mail goes out as it reads.
const PATH_WITHOUT_HOST: &str = "your Apple Account > Sign-In and Security > App-Specific Passwords";
/// Programs named at most; of more, two are named and the others counted.
const NAMED: usize = 3;
/// Characters of the reason why a password could not be read.
const REASON_CHARS: usize = 120;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line that says what happened, to whom it happened last.
    pub title: String,
    /// Plain text, one sentence or two per line, at most six lines.
    pub body: String,
    /// The desktop shows it until the person acts.
    pub critical: bool,
}

impl Message {
    /// As demo, rehearsal and `notify-test` send it.
    #[must_use]
    pub fn test(mut self) -> Self {
        self.title.insert_str(0, "Test: ");
        self
    }
}

/// Who sends an e-mail: there may be several machines with a keypulse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The machine's own name.
    pub machine: String,
    /// The time zone of the times in it, as `UTC+01:00`.
    pub zone: String,
}

/// One thought of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// What is so.
    Fact(String),
    /// What to do.
    Do(String),
    /// What to do in a terminal: why, and the command.
    Run(&'static str, String),
}

impl Line {
    /// As one line.
    fn text(&self) -> String {
        match self {
            Self::Fact(words) | Self::Do(words) => words.clone(),
            Self::Run(why, command) => format!("{why}: {command}"),
        }
    }
}

const fn prefix(tidings: Tidings) -> &'static str {
    match tidings {
        Tidings::Opened | Tidings::Resolved | Tidings::PutBack => "",
        Tidings::Changed => "Update: ",
        Tidings::Reminder => "Reminder: ",
    }
}

/// The message for the desktop.
///
/// `credentials` are all of the account's, as they are now; affected ones that are missing there were removed. `local`
/// writes a time as the person reads it, short.
#[must_use]
pub fn message(
    tidings: Tidings,
    account: &Address,
    incident: &Incident,
    credentials: &[CredentialStatus],
    local: &dyn Fn(Timestamp) -> String,
) -> Message {
    Case::new(account, incident, credentials, local, PATH, NAMED).message(tidings)
}

/// The message for a hook: no link to Apple, and a last line by which a forged one can be told.
#[must_use]
pub fn letter(
    tidings: Tidings,
    account: &Address,
    incident: &Incident,
    credentials: &[CredentialStatus],
    local: &dyn Fn(Timestamp) -> String,
) -> Message {
    let mut message = Case::new(account, incident, credentials, local, PATH_WITHOUT_HOST, NAMED).message(tidings);
    message.body.push_str("\nkeypulse never asks for the main password.");
    message
}

/// The message for e-mail: the same sentences as a page of plain text, every affected program named.
#[must_use]
pub fn mail(
    tidings: Tidings,
    account: &Address,
    incident: &Incident,
    credentials: &[CredentialStatus],
    local: &dyn Fn(Timestamp) -> String,
    sender: &Sender,
) -> Message {
    let case = Case::new(account, incident, credentials, local, PATH_WITHOUT_HOST, usize::MAX);
    page::page(&case, tidings, sender)
}

/// Where no terminal could be opened for "Replace…".
#[must_use]
pub fn no_terminal(account: &Address) -> Message {
    Message {
        title: "No terminal could be opened".to_owned(),
        body: format!("To enter the new passwords, run in one: keypulse replace --account {account}"),
        critical: false,
    }
}

/// Where no browser could be opened for "Open Apple Account".
#[must_use]
pub fn no_browser(page: &str) -> Message {
    Message {
        title: "No browser could be opened".to_owned(),
        body: format!("Apple's page for app-specific passwords is {page}"),
        critical: false,
    }
}

/// The same for e-mail.
#[must_use]
pub fn sample_mail(sender: &Sender) -> Message {
    let Message { title, body, critical } = sample();
    Message { title, body: page::signed(&body, sender), critical }
}

/// What `notify-test` sends, before it is marked as a test.
#[must_use]
pub fn sample() -> Message {
    Message {
        title: "keypulse can reach you here".to_owned(),
        body: "This is how it tells you that an iCloud app password has died.\nNothing has happened.".to_owned(),
        critical: false,
    }
}

/// One incident with everything that its sentences need.
struct Case<'a> {
    account: &'a Address,
    incident: &'a Incident,
    credentials: &'a [CredentialStatus],
    local: &'a dyn Fn(Timestamp) -> String,
    path: &'static str,
    /// The affected programs, named and counted.
    who: String,
    /// The same for a title.
    who_short: String,
    /// Affected credentials still configured.
    present: Vec<&'a CredentialStatus>,
}

impl<'a> Case<'a> {
    fn new(
        account: &'a Address,
        incident: &'a Incident,
        credentials: &'a [CredentialStatus],
        local: &'a dyn Fn(Timestamp) -> String,
        path: &'static str,
        named: usize,
    ) -> Self {
        let present = credentials.iter().filter(|one| incident.credentials.contains(&one.name)).collect();
        let labels = labels(incident, credentials);
        Self {
            account,
            incident,
            credentials,
            local,
            path,
            who: who(&labels, named),
            who_short: who_short(&labels),
            present,
        }
    }

    fn message(&self, tidings: Tidings) -> Message {
        let (what, lines) = self.told(tidings);
        Message {
            title: format!("{}{what}: {}", prefix(tidings), self.account),
            body: lines.iter().map(Line::text).collect::<Vec<_>>().join("\n"),
            critical: tidings == Tidings::Opened && self.incident.cause.is_critical(),
        }
    }

    /// What happened, in a few words, and the thoughts.
    fn told(&self, tidings: Tidings) -> (String, Vec<Line>) {
        match tidings {
            Tidings::Opened | Tidings::Changed | Tidings::Reminder | Tidings::PutBack => self.trouble(),
            Tidings::Resolved => self.over(),
        }
    }

    // ---- it happened, or still stands ----

    fn trouble(&self) -> (String, Vec<Line>) {
        match self.incident.cause {
            IncidentCause::MainPasswordReset => self.main_password_reset(),
            IncidentCause::ResetOrRevoked => self.reset_or_revoked(),
            IncidentCause::SingleRevocation => self.single_revocation(),
            IncidentCause::NeverAccepted => self.never_accepted(),
            IncidentCause::ServiceRefused => self.service_refused(),
            IncidentCause::CannotCheck => self.cannot_check(),
            IncidentCause::ProviderOutageSuspected => self.provider_outage_suspected(),
        }
    }

    fn main_password_reset(&self) -> (String, Vec<Line>) {
        let all = self.present.len() == self.credentials.len();
        let [get, add] = self.renew();
        let title = if all { "All iCloud app passwords revoked" } else { "iCloud app passwords revoked" };
        let lines = vec![
            Fact(format!("Can no longer log in: {}.", self.who)),
            Fact(self.when()),
            Fact(
                "Most likely the Apple Account password was changed or reset. Also fits: two-factor authentication turned \
                 off, account locked."
                    .to_owned(),
            ),
            Fact("If that was not you, act now: it may be somebody else's doing.".to_owned()),
            get,
            add,
        ];
        (title.to_owned(), lines)
    }

    fn reset_or_revoked(&self) -> (String, Vec<Line>) {
        let [get, add] = self.renew();
        let lines = vec![
            Fact(format!("Can no longer log in: {}.", self.who)),
            Fact(self.when()),
            Fact(format!(
                "Most likely the Apple Account password was changed, or {} revoked. Also fits: two-factor authentication \
                 turned off, account locked.",
                self.many("only this app password was", "only these app passwords were")
            )),
            Fact("If that was not you, act now: it may be somebody else's doing.".to_owned()),
            get,
            add,
        ];
        (self.titled("app password revoked", "app passwords revoked"), lines)
    }

    fn single_revocation(&self) -> (String, Vec<Line>) {
        let [get, add] = self.renew();
        let lines = vec![
            Fact(format!("Can no longer log in: {}. Another app password of this account still works.", self.who)),
            Fact(self.when()),
            Fact(
                "Most likely revoked by hand, or removed after a move to Apple's own sign-in. If not by you, look at your \
                 Apple Account: it may be somebody else's doing."
                    .to_owned(),
            ),
            get,
            add,
            Run("Not used any more", format!("keypulse remove {}", self.name())),
        ];
        (self.titled("app password revoked", "app passwords revoked"), lines)
    }

    fn never_accepted(&self) -> (String, Vec<Line>) {
        let [get, add] = self.renew();
        let lines = vec![
            Fact(format!("iCloud has refused {} since {}.", self.who, self.began())),
            Fact(
                "Likely: a wrong user name, a typing error, the main password instead of an app-specific one, or revoked \
                 before keypulse first saw it."
                    .to_owned(),
            ),
            Do("Check the user name first.".to_owned()),
            get,
            add,
        ];
        (self.titled("password not accepted", "passwords not accepted"), lines)
    }

    fn service_refused(&self) -> (String, Vec<Line>) {
        let local_part = self.account.local_part();
        let (title, lines) = match self.refusing() {
            Some(Service::Smtp) => (
                "receiving works, sending fails",
                [
                    format!("Since {}, {}: IMAP accepts the password, SMTP refuses it.", self.began(), self.who),
                    format!("Most likely the user name for sending: SMTP wants the whole address, {}.", self.account),
                    "Set smtp_username in keypulse's configuration, and the same in the program.".to_owned(),
                ],
            ),
            Some(Service::Imap) => (
                "sending works, receiving fails",
                [
                    format!("Since {}, {}: SMTP accepts the password, IMAP refuses it.", self.began(), self.who),
                    format!("Most likely the user name for receiving: IMAP wants the short one, {local_part}."),
                    "Set imap_username in keypulse's configuration, and the same in the program.".to_owned(),
                ],
            ),
            None => (
                "mail works only in part",
                [
                    format!("Since {}, {}: one service accepts the password, one refuses it.", self.began(), self.who),
                    format!("Most likely a user name: IMAP wants {local_part}, SMTP {}.", self.account),
                    "Set imap_username or smtp_username in keypulse's configuration, and the same in the program."
                        .to_owned(),
                ],
            ),
        };
        let [since, likely, set] = lines;
        (format!("iCloud {title} ({})", self.who_short), vec![Fact(since), Fact(likely), Do(set)])
    }

    fn cannot_check(&self) -> (String, Vec<Line>) {
        let unreadable = self.present.iter().find_map(|one| one.unreadable.as_deref());
        let why = match unreadable {
            Some(reason) => format!("Cannot be read since {}: {}.", self.began(), bounded(reason, REASON_CHARS)),
            None => format!("No answer from iCloud since {}, though the network is there.", self.began()),
        };
        let names = match self.present.as_slice() {
            [one] => format!(" {}", one.name),
            _ => String::new(),
        };
        let lines = vec![
            Fact(format!("Not known whether it still works: {}.", self.who)),
            Fact(why),
            Run("What is wrong, in full", format!("keypulse check{names}")),
        ];
        (self.titled("password cannot be checked", "passwords cannot be checked"), lines)
    }

    /// For the status only; never sent.
    fn provider_outage_suspected(&self) -> (String, Vec<Line>) {
        let lines = vec![
            Fact(format!("iCloud refuses {}, but other signs point to trouble at iCloud.", self.who)),
            Fact("keypulse waits and asks again before it calls anything revoked. Nothing to do now.".to_owned()),
        ];
        ("iCloud may have an outage".to_owned(), lines)
    }

    // ---- it is over ----

    fn over(&self) -> (String, Vec<Line>) {
        if self.present.is_empty() {
            let lines = [format!("Removed from keypulse: {}.", self.who), "Nothing is left to do.".to_owned()];
            return (format!("iCloud password no longer watched ({})", self.who_short), lines.map(Fact).into());
        }
        if self.incident.withdrawn {
            let lines = [
                format!("iCloud accepts the same {} again: {}.", self.many("password", "passwords"), self.who),
                format!("{} So nothing was revoked: a false alarm, or trouble at iCloud.", self.span()),
                "Nothing is left to do; a new password made meanwhile is good too.".to_owned(),
            ];
            return (
                format!("False alarm: iCloud {} ({})", self.many("password works", "passwords work"), self.who_short),
                lines.map(Fact).into(),
            );
        }
        let (what, lines) = match self.incident.cause {
            IncidentCause::MainPasswordReset | IncidentCause::ResetOrRevoked | IncidentCause::SingleRevocation => {
                (self.titled("works again", "works again"), [format!("Logs in again: {}.", self.who), self.span()])
            }
            IncidentCause::NeverAccepted => (
                self.titled("password accepted now", "passwords accepted now"),
                [format!("Logs in: {}.", self.who), self.span()],
            ),
            IncidentCause::ServiceRefused => (
                format!("iCloud receives and sends again ({})", self.who_short),
                ["Both services accept the password.".to_owned(), self.span()],
            ),
            IncidentCause::CannotCheck => (
                self.titled("password checked again, works", "passwords checked again, work"),
                [format!("Works: {}.", self.who), self.span()],
            ),
            IncidentCause::ProviderOutageSuspected => {
                ("iCloud answers again".to_owned(), [format!("Logs in: {}.", self.who), self.span()])
            }
        };
        (what, lines.map(Fact).into())
    }

    // ---- parts of sentences ----

    fn many<'t>(&self, one: &'t str, several: &'t str) -> &'t str {
        if self.incident.credentials.len() == 1 { one } else { several }
    }

    fn titled(&self, one: &str, several: &str) -> String {
        format!("iCloud {} ({})", self.many(one, several), self.who_short)
    }

    /// The first refusal, or failure to read.
    fn began(&self) -> String {
        (self.local)(self.incident.began_between.1)
    }

    fn when(&self) -> String {
        let refused = self.began();
        match self.incident.began_between.0.map(self.local) {
            Some(accepted) if accepted == refused => format!("Stopped at {refused}."),
            Some(accepted) => format!("Stopped between {accepted} and {refused}."),
            None => format!("Refused since {refused}; when it last worked is not known."),
        }
    }

    fn span(&self) -> String {
        match self.incident.resolved_at.map(self.local) {
            Some(resolved) => format!("It began at {} and was over at {resolved}.", self.began()),
            None => format!("It began at {}.", self.began()),
        }
    }

    /// Where a new password comes from, and where it goes.
    fn renew(&self) -> [Line; 2] {
        [
            Do(format!("{}: {}.", self.many("New password", "New passwords"), self.path)),
            Run(
                "Then",
                match self.present.as_slice() {
                    [one] => format!("keypulse replace {}", one.name),
                    _ => format!("keypulse replace --account {}", self.account),
                },
            ),
        ]
    }

    /// What a command takes.
    fn name(&self) -> &str {
        match self.present.as_slice() {
            [one] => one.name.as_str(),
            _ => "NAME",
        }
    }

    /// The service that refuses the affected credentials, if it is the same one.
    fn refusing(&self) -> Option<Service> {
        let refused = |service: Service| {
            let rejects = |one: &&CredentialStatus| {
                one.services.iter().any(|asked| asked.service == service && asked.finding == Finding::Rejected)
            };
            self.present.iter().any(rejects)
        };
        match (refused(Service::Imap), refused(Service::Smtp)) {
            (true, false) => Some(Service::Imap),
            (false, true) => Some(Service::Smtp),
            (true, true) | (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests;
