//! Tries a password on the servers before it is stored, each login reserved with the ration first.
//!
//! Carries out what `attempts.rs` decides, and asks the person where it says so. What was refused is explained here. Stores
//! nothing.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{
    Exit, advice,
    attempts::{Attempts, Choices, MOST_FAILED, Next, Try},
    context::Context,
    exit,
    progress::{self, Progress},
    prompt,
    ration::Ration,
    style::printable,
};
use crate::{
    api::time,
    config::{Account, Config, duration},
    daemon::{self, Paths},
    health::evidence::{Cause, Finding, Outcome, PerService, Service, Services},
    probe::Prober,
    secret::AppPassword,
};

/// What is to be tried.
pub(super) struct Trial<'a> {
    pub(super) config: &'a Config,
    pub(super) paths: &'a Paths,
    pub(super) account: &'a Account,
    pub(super) services: Services,
    /// What is accepted without dashes can be stored so.
    pub(super) may_undash: bool,
    /// A person can be asked.
    pub(super) asks: bool,
    /// What a person can do instead of trying this one any further.
    pub(super) instead: &'static str,
    /// Failed logins that this entry cost already.
    pub(super) failed: u32,
}

/// What the servers took.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Perhaps without its dashes.
    pub(super) password: Arc<AppPassword>,
    /// With the forms that worked.
    pub(super) usernames: PerService<String>,
    /// Who accepted it; the others could not be asked, and the person wants it stored all the same.
    pub(super) by: Services,
}

/// What became of it.
pub(super) enum Verdict {
    Accepted(Accepted),
    /// The person wants to type it again; so many failed logins were spent so far.
    Again(u32),
    Not(Report),
    /// keypulse knows that it is dead: it was not sent.
    KnownDead(Exit),
}

impl Verdict {
    /// What was accepted, or why nothing was, where nobody can be asked.
    pub(super) fn settled(self) -> Result<Accepted, Exit> {
        match self {
            Self::Accepted(accepted) => Ok(accepted),
            Self::Not(report) => Err(report.into()),
            Self::KnownDead(exit) => Err(exit),
            Self::Again(_) => Err(Exit::Code(1)),
        }
    }

    /// What was accepted in a dialogue; `None` where another may be tried. Says what was wrong; `failed` counts on.
    pub(super) fn told(self, failed: &mut u32) -> Result<Option<Accepted>, Exit> {
        match self {
            Self::Accepted(accepted) => return Ok(Some(accepted)),
            Self::Again(so_far) => *failed = so_far,
            Self::KnownDead(exit) => {
                exit::tell(&exit);
            }
            Self::Not(report) => {
                report.say()?;
                if !report.leaves_a_try() {
                    return Err(Exit::Code(1));
                }
                *failed = report.failed;
            }
        }
        Ok(None)
    }
}

/// Why a password was not taken.
pub(super) struct Report {
    what: String,
    lines: Vec<String>,
    hint: String,
    /// Failed logins that this entry has cost so far.
    failed: u32,
    /// Somebody refused it: it is not only that nobody could be asked.
    refused: bool,
}

impl Report {
    /// What follows, for a person who has seen what the servers said.
    fn say(&self) -> Result<(), Exit> {
        prompt::say(&self.hint)
    }

    /// Whether another password may still be tried for this entry.
    fn leaves_a_try(&self) -> bool {
        self.refused && self.failed < MOST_FAILED
    }
}

impl From<Report> for Exit {
    fn from(report: Report) -> Self {
        let mut lines = vec![format!("verify the password: {}; nothing was stored", report.what)];
        lines.extend(report.lines);
        Self::because(lines.join("\n"), report.hint)
    }
}

/// Logs in on each service.
///
/// # Errors
/// Where the ration is used up or cannot be asked, and where the terminal's input ends.
pub(super) async fn verify(context: &Context, trial: &Trial<'_>, password: Arc<AppPassword>) -> Result<Verdict, Exit> {
    let bare = password.without_dashes().filter(|_| trial.may_undash).map(Arc::new);
    for form in [Some(&password), bare.as_ref()].into_iter().flatten() {
        if let Some(dead) = known_dead(trial, form)? {
            return Ok(Verdict::KnownDead(dead));
        }
    }
    let prober = Arc::new(Prober::new(trial.config.extra_ca.as_deref()).map_err(Exit::failed)?);
    let Account { address, usernames, .. } = trial.account;
    let attempts = Attempts::new(trial.services, usernames, address, bare.is_some(), trial.asks, trial.failed);
    let ration = Ration::of(context, trial.config, trial.paths, address);
    let mut session = Session { trial, attempts, said: Vec::new(), shown: 0, left: None };
    session.run(&prober, ration, &password, bare.as_ref()).await
}

/// A latched password is not sent again (`verdicts.md`, part 6, *Latch*).
fn known_dead(trial: &Trial<'_>, password: &AppPassword) -> Result<Option<Exit>, Exit> {
    let Some(dead) = daemon::known_dead(trial.paths, trial.account, password)? else { return Ok(None) };
    let since = time::local(dead.since, dead.now, &TimeZone::system());
    let what = if dead.revoked { "it was revoked" } else { "it was never accepted" };
    Ok(Some(Exit::because(
        format!(
            "take the password: keypulse knows that {what}: refused since {since}; it was not sent again, nothing was stored"
        ),
        format!("make a new one: {}; if this one works again after all, `keypulse check NAME` asks once", advice::PATH),
    )))
}

/// The logins of one password, with what the servers said.
struct Session<'a> {
    trial: &'a Trial<'a>,
    attempts: Attempts,
    said: Vec<(Try, Outcome)>,
    /// How many of them the person has seen.
    shown: usize,
    /// How many failed logins the account has left.
    left: Option<u32>,
}

impl Session<'_> {
    async fn run(
        &mut self,
        prober: &Arc<Prober>,
        mut ration: Ration<'_>,
        password: &Arc<AppPassword>,
        bare: Option<&Arc<AppPassword>>,
    ) -> Result<Verdict, Exit> {
        loop {
            match self.attempts.next() {
                Next::Login(tried) => {
                    let form = bare.filter(|_| tried.without_dashes).unwrap_or(password);
                    self.log_in(prober, &mut ration, tried, Arc::clone(form)).await?;
                }
                Next::Ask(choices) => {
                    ration.let_go();
                    match self.ask(choices).await? {
                        Wish::Wait => {
                            let how_long = self.trial.config.policy.confirm[0];
                            progress::wait("a new password needs a moment", how_long).await;
                            self.attempts.waited();
                        }
                        Wish::Vary => self.attempts.vary(),
                        Wish::TypeAgain => return Ok(Verdict::Again(self.attempts.failed())),
                        Wish::GiveUp => return Ok(Verdict::Not(self.report())),
                    }
                }
                Next::Over => break,
            }
        }
        drop(ration);
        if self.attempts.all_accept() || self.store_all_the_same().await? {
            return Ok(Verdict::Accepted(self.accepted(password, bare)));
        }
        if self.trial.asks {
            self.show_lines()?;
        }
        Ok(Verdict::Not(self.report()))
    }

    async fn log_in(
        &mut self,
        prober: &Arc<Prober>,
        ration: &mut Ration<'_>,
        tried: Try,
        password: Arc<AppPassword>,
    ) -> Result<(), Exit> {
        let progress =
            Progress::start(format!("logging in to {} as {}", word(tried.service), printable(&tried.username)));
        let reserved = ration.reserve().await?;
        let mut target = daemon::target(self.trial.config, self.trial.account, tried.service);
        target.username.clone_from(&tried.username);
        let outcome = Arc::clone(prober).attempt(target, password).await;
        let rejected = outcome.finding == Finding::Rejected;
        ration.settle(reserved.id, rejected).await?;
        drop(progress);
        let left = reserved.left + u32::from(!rejected);
        self.left = Some(left);
        self.attempts.made(tried.clone(), outcome.finding, left);
        self.said.push((tried, outcome));
        Ok(())
    }

    /// What the person wants to do about a refusal.
    async fn ask(&mut self, choices: Choices) -> Result<Wish, Exit> {
        self.show_lines()?;
        let moment = duration::format(self.trial.config.policy.confirm[0]);
        let wait = format!("wait {moment} and try again");
        let mut options = Vec::new();
        let vary = choices.vary.then_some(match (choices.proven, self.trial.may_undash) {
            (true, _) => (Wish::Vary, 'o', "try the other form of the user name".to_owned()),
            (false, true) => (Wish::Vary, 'o', "try other user names, last without dashes".to_owned()),
            (false, false) => (Wish::Vary, 'o', "try other user names".to_owned()),
        });
        let wait = choices.wait.then_some((Wish::Wait, 'w', wait));
        // Where the password is right, the name is the likelier reason.
        let (first, second) = if choices.proven { (vary, wait) } else { (wait, vary) };
        options.extend(first);
        options.extend(second);
        options.push((Wish::TypeAgain, 't', self.trial.instead.to_owned()));
        options.push((Wish::GiveUp, 'g', "give up".to_owned()));
        let why = match (choices.proven, choices.wait) {
            (true, true) => {
                "The password is right. A service that refuses it may not know it yet, or wants another user name."
            }
            (true, false) => "The password is right; most likely that service wants another user name.",
            (false, true) => "Refused. A new password can take two minutes before it works.",
            (false, false) => {
                "Refused again. It is probably not the right password, or belongs to another Apple Account."
            }
        };
        prompt::choose(why, options).await
    }

    /// Nothing refused it, and somebody accepts: whether to store it with the others unasked.
    async fn store_all_the_same(&mut self) -> Result<bool, Exit> {
        if !self.trial.asks || self.attempts.was_refused() || !self.attempts.proven() {
            return Ok(false);
        }
        self.show_lines()?;
        self.shown = 0;
        for hint in self.hints_of_unasked() {
            prompt::say(&hint)?;
        }
        prompt::yes("Store it all the same? keypulse asks the other service as soon as it can", true).await
    }

    fn accepted(&self, password: &Arc<AppPassword>, bare: Option<&Arc<AppPassword>>) -> Accepted {
        let mut usernames = self.trial.account.usernames.clone();
        let (mut by, mut undashed) = (Services::NONE, false);
        for service in self.trial.services.iter() {
            if let Some(tried) = self.attempts.accepted(service) {
                *by.of_mut(service) = true;
                undashed |= tried.without_dashes;
                usernames.of_mut(service).clone_from(&tried.username);
            }
        }
        let password = bare.filter(|_| undashed).unwrap_or(password);
        Accepted { password: Arc::clone(password), usernames, by }
    }

    /// What the servers said since the person last looked.
    fn show_lines(&mut self) -> Result<(), Exit> {
        let lines: Vec<String> = self.said.iter().skip(self.shown).map(line).collect();
        self.shown = self.said.len();
        lines.iter().try_for_each(|line| prompt::say(line))
    }

    /// What the services said, line by line, and what follows.
    fn report(&self) -> Report {
        let (trial, attempts) = (self.trial, &self.attempts);
        let address = &trial.account.address;
        let refusing = trial.services.iter().find(|service| attempts.latest(*service) == Some(Finding::Rejected));
        let (what, hint) = match (attempts.proven(), refusing) {
            (true, Some(refusing)) => ("one service refuses it".to_owned(), of_user_name(refusing, trial.account)),
            (false, Some(_)) => (format!("{address} cannot log in with it"), of_refusal(trial)),
            (_, None) => ("not every service could be asked".to_owned(), {
                let mut hints = self.hints_of_unasked();
                hints.push("try again later, or store it untried with `keypulse add --no-verify`".to_owned());
                hints.join("\n")
            }),
        };
        let mut lines: Vec<String> = self.said.iter().map(line).collect();
        for service in trial.services.iter().filter(|service| attempts.latest(*service).is_none()) {
            let why = if attempts.spared() { ", to spare the failed logins left" } else { "" };
            lines.push(format!("  {}: not asked{why}", word(service)));
        }
        if let Some(left) = self.left.filter(|_| attempts.was_refused()) {
            let limit = trial.config.policy.failed_logins_per_account;
            lines.push(format!("  {left} of {limit} failed logins a day are left"));
        }
        Report { what, lines, hint, failed: attempts.failed(), refused: attempts.was_refused() && !attempts.spared() }
    }

    /// Why a service could not be asked, where more can be said than its line says.
    fn hints_of_unasked(&self) -> Vec<String> {
        let smtp = &self.trial.config.servers.smtp;
        let blocked = self.attempts.latest(Service::Smtp).and_then(Finding::cause);
        let blocked = matches!(blocked, Some(Cause::Unreachable | Cause::TimedOut | Cause::ConnectionLost));
        let imap = self.attempts.latest(Service::Imap);
        let answers = matches!(imap, Some(Finding::Accepted | Finding::Rejected));
        let hint = (blocked && answers).then(|| {
            format!(
                "IMAP answers, SMTP does not: most likely this network blocks port {} (hotels, offices and some providers do)",
                smtp.port
            )
        });
        hint.into_iter().collect()
    }
}

/// What a person wants to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Wait,
    Vary,
    TypeAgain,
    GiveUp,
}

/// What is said before the first login.
pub(super) fn beforehand(config: &Config) -> String {
    format!(
        "It is tried before it is stored: at most {MOST_FAILED} failed logins, of {} a day.",
        config.policy.failed_logins_per_account
    )
}

fn line((tried, outcome): &(Try, Outcome)) -> String {
    let name = word(tried.service);
    let user = printable(&tried.username);
    let bare = if tried.without_dashes { ", without dashes" } else { "" };
    let said = outcome.detail.as_deref().or(outcome.code.as_deref()).map(|said| format!(": {}", printable(said)));
    let said = said.unwrap_or_default();
    match outcome.finding {
        Finding::Accepted => format!("  {name} as {user}{bare}: accepted"),
        Finding::Rejected => format!("  {name} as {user}{bare}: refused{said}"),
        Finding::Inconclusive(cause) => format!("  {name}: {}{said}", advice::words(cause)),
    }
}

/// Refused by all that were asked: what may be wrong, the likeliest first.
fn of_refusal(trial: &Trial<'_>) -> String {
    let account = trial.account;
    let names: Vec<String> = trial
        .services
        .iter()
        .map(|service| format!("{}_username is {}", service, printable(account.usernames.of(service))))
        .collect();
    let path = advice::PATH;
    let address = &account.address;
    format!(
        "one of these, most likely:
  - it is not an app-specific password, or was typed wrongly; make one: {path}
  - it belongs to another Apple Account than that of {address}
  - it was made just now: a new one may need two minutes, try again then
  - the user name has another form: {} ([[account]] in the configuration)
  - it was revoked, by hand or by a change of the Apple Account password",
        names.join(", ")
    )
}

/// One service accepts, so the password is right: most often the user name has another form (`facts/icloud.md` 1.6).
fn of_user_name(refusing: Service, account: &Account) -> String {
    let address = &account.address;
    format!(
        "the password is right, and {} refuses it under every name that was tried. A new password can take two minutes; try \
         again then. Otherwise write the user name that your mail program has there into the configuration:
  [[account]]
  address = \"{address}\"
  {refusing}_username = \"…\"",
        word(refusing)
    )
}

/// A service as people read it.
pub(super) const fn word(service: Service) -> &'static str {
    match service {
        Service::Imap => "IMAP",
        Service::Smtp => "SMTP",
    }
}
