//! Tries a password on the servers before it is stored: one login per service, each reserved with the ration first.
//!
//! The ration is the daemon's where one runs, else that of the state, which is held meanwhile; a login is never made without.
//! What was refused is explained here. Stores nothing.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{
    Exit, advice,
    context::Context,
    status::{Progress, take_hold},
    style::printable,
};
use crate::{
    api::{Client, ClientError, Problem, Time, time},
    config::{Account, Config},
    daemon::{self, Heart, Paths},
    health::{
        evidence::{Cause, Finding, Outcome, PerService, Service, Services},
        name::Address,
    },
    host::clock::Clock,
    probe::Prober,
    secret::AppPassword,
};

/// After a refusal the other service is asked only while so many failed logins are left: this one, and a whole try after it.
const FOR_A_DIAGNOSIS: u32 = 3;

/// What is to be tried.
pub(super) struct Trial<'a> {
    pub(super) config: &'a Config,
    pub(super) paths: &'a Paths,
    pub(super) account: &'a Account,
    pub(super) services: Services,
}

/// What the services said, in the order in which they were asked.
#[derive(Debug, Default)]
struct Answers {
    outcomes: PerService<Option<Outcome>>,
    /// How many failed logins the person has left.
    left: u32,
}

/// Logs in on each service.
///
/// # Errors
/// Unless all accept: what was refused or could not be asked, what may be wrong, and what to do.
pub(super) async fn verify(context: &Context, trial: &Trial<'_>, password: Arc<AppPassword>) -> Result<(), Exit> {
    refuse_the_dead(trial, &password)?;
    let prober = Arc::new(Prober::new(trial.config.extra_ca.as_deref()).map_err(Exit::failed)?);
    let mut ration = Ration { context, trial, held: None };
    let mut answers = Answers::default();
    let progress = Progress::start(format!("logging in as {}", trial.account.address));
    for service in trial.services.iter() {
        if answers.said(|finding| finding == Finding::Rejected) && answers.left < FOR_A_DIAGNOSIS {
            break;
        }
        // Where there is no network for one, there is none for the other.
        if answers.said(|finding| finding == Finding::Inconclusive(Cause::Offline)) {
            break;
        }
        let reserved = ration.reserve().await?;
        let target = daemon::target(trial.config, trial.account, service);
        let outcome = Arc::clone(&prober).attempt(target, Arc::clone(&password)).await;
        let rejected = outcome.finding == Finding::Rejected;
        ration.settle(reserved.id, rejected).await?;
        answers.left = reserved.left + u32::from(!rejected);
        *answers.outcomes.of_mut(service) = Some(outcome);
    }
    drop(progress);
    let all_accept = trial.services.iter().all(|service| answers.finding(service) == Some(Finding::Accepted));
    if all_accept { Ok(()) } else { Err(answers.explained(trial)) }
}

/// A latched password is not sent again (`verdicts.md`, part 6, *Latch*).
fn refuse_the_dead(trial: &Trial<'_>, password: &AppPassword) -> Result<(), Exit> {
    let Some(dead) = daemon::known_dead(trial.paths, trial.account, password)? else { return Ok(()) };
    let since = time::local(dead.since, dead.now, &TimeZone::system());
    let what = if dead.revoked { "it was revoked" } else { "it was never accepted" };
    Err(Exit::because(
        format!(
            "take the password: keypulse knows that {what}: refused since {since}; it was not sent again, nothing was stored"
        ),
        format!("make a new one: {}; if this one works again after all, `keypulse check NAME` asks once", advice::PATH),
    ))
}

impl Answers {
    fn finding(&self, service: Service) -> Option<Finding> {
        self.outcomes.of(service).as_ref().map(|outcome| outcome.finding)
    }

    fn said(&self, what: impl Fn(Finding) -> bool) -> bool {
        Service::ALL.into_iter().filter_map(|service| self.finding(service)).any(what)
    }

    fn which(&self, what: impl Fn(Finding) -> bool) -> Option<Service> {
        Service::ALL.into_iter().find(|service| self.finding(*service).is_some_and(&what))
    }

    /// What the services said, line by line, and what follows.
    fn explained(&self, trial: &Trial<'_>) -> Exit {
        let accepted = self.which(|finding| finding == Finding::Accepted);
        let rejected = self.which(|finding| finding == Finding::Rejected);
        let address = &trial.account.address;
        let (what, hint) = match (accepted, rejected) {
            (Some(_), Some(refusing)) => ("one service refuses it".to_owned(), of_user_name(refusing, trial.account)),
            (None, Some(_)) => (format!("{address} cannot log in with it"), of_refusal(trial)),
            (_, None) => (
                "not every service could be asked".to_owned(),
                "try again later, or store it untried with --no-verify: keypulse then tries it by itself".to_owned(),
            ),
        };
        let mut lines = vec![format!("verify the password: {what}; nothing was stored")];
        lines.extend(trial.services.iter().map(|service| self.line(service, trial)));
        if rejected.is_some() {
            let limit = trial.config.policy.failed_logins_per_account;
            lines.push(format!("  {} of {limit} failed logins a day are left", self.left));
        }
        Exit::because(lines.join("\n"), hint)
    }

    fn line(&self, service: Service, trial: &Trial<'_>) -> String {
        let name = word(service);
        let user = printable(trial.account.usernames.of(service));
        let Some(outcome) = self.outcomes.of(service) else {
            let why = if self.said(|finding| finding == Finding::Rejected) {
                ", to spare the failed logins left"
            } else {
                ""
            };
            return format!("  {name}: not asked{why}");
        };
        let said = outcome.detail.as_deref().or(outcome.code.as_deref()).map(|said| format!(": {}", printable(said)));
        let said = said.unwrap_or_default();
        match outcome.finding {
            Finding::Accepted => format!("  {name} as {user}: accepted"),
            Finding::Rejected => format!("  {name} as {user}: refused{said}"),
            Finding::Inconclusive(cause) => format!("  {name}: {}{said}", advice::words(cause)),
        }
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

/// One service accepts, so the password is right: most often the user name has the form of the other service
/// (`facts/icloud.md` 1.6).
fn of_user_name(refusing: Service, account: &Account) -> String {
    let used = account.usernames.of(refusing).as_str();
    let address = &account.address;
    let other = if used == address.as_str() { address.local_part() } else { address.as_str() };
    format!(
        "the password is right; most likely {} wants the user name in another form. Write it into the configuration and try \
         again:
  [[account]]
  address = \"{address}\"
  {refusing}_username = \"{other}\"",
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

/// Who counts the logins: the daemon, or where none runs this process, holding the state.
struct Ration<'a> {
    context: &'a Context,
    trial: &'a Trial<'a>,
    held: Option<Counter>,
}

enum Counter {
    Daemon(Client),
    State(Box<Heart>),
}

struct Reserved {
    id: u64,
    /// How many failed logins are left beside it.
    left: u32,
}

impl Ration<'_> {
    async fn reserve(&mut self) -> Result<Reserved, Exit> {
        let address = &self.trial.account.address;
        if self.held.is_none() {
            let client = self.context.client()?;
            match client.reserve(address).await {
                Err(ClientError::NoDaemon { .. }) => {
                    let (heart, _) = take_hold(self.trial.config, self.trial.paths).await?;
                    self.held = Some(Counter::State(Box::new(heart)));
                }
                answer => {
                    self.held = Some(Counter::Daemon(client));
                    return self.of_daemon(answer);
                }
            }
        }
        match &mut self.held {
            Some(Counter::State(heart)) => match heart.reserve(address)? {
                Ok(id) => Ok(Reserved { id, left: heart.engine().logins_left(address, heart.now()) }),
                Err(frees_at) => Err(used_up(address, self.trial.config, Some(Time::new(frees_at, heart.offset_ms())))),
            },
            Some(Counter::Daemon(client)) => {
                let answer = client.reserve(address).await;
                self.of_daemon(answer)
            }
            None => Err(Exit::because("reserve a login", "nothing was sent or stored")),
        }
    }

    fn of_daemon(&self, answer: Result<crate::api::Reservation, ClientError>) -> Result<Reserved, Exit> {
        match answer {
            Ok(reservation) => Ok(Reserved { id: reservation.id, left: reservation.left }),
            Err(ClientError::Problem(problem)) if problem.code == Problem::RATION_USED_UP => {
                Err(used_up(&self.trial.account.address, self.trial.config, problem.frees_at))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A login that cannot be settled stays counted as failed: too many rather than too few.
    async fn settle(&mut self, id: u64, rejected: bool) -> Result<(), Exit> {
        match &mut self.held {
            Some(Counter::State(heart)) => heart.settle(id, rejected).map(drop).map_err(Exit::from),
            Some(Counter::Daemon(client)) => {
                drop(client.settle(id, rejected).await);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn used_up(address: &Address, config: &Config, frees_at: Option<Time>) -> Exit {
    let limit = config.policy.failed_logins_per_account;
    let clock = Clock::resume(None);
    let now = Time::new(clock.now(), clock.offset_ms());
    let when = frees_at.map_or("once logins under way are answered".to_owned(), |at| {
        format!("at {}", time::local(at, now, &TimeZone::system()))
    });
    Exit::because(
        format!(
            "verify the password: {address} had {limit} failed logins in 24 hours, and more could lock the account; nothing was stored"
        ),
        format!("the next one is allowed {when}; --no-verify stores the password untried"),
    )
}
