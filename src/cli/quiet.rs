//! `keypulse snooze`, `unsnooze`, `pause` and `resume`: through the daemon where it runs, else in the stored state, for the next
//! one.
//!
//! Decides how it is said. What is held back is the engine's business (`health/quiet.rs`).

use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;

use super::{
    Exit,
    context::{Context, block_on, print},
    status::take_hold,
};
use crate::{
    api::{ClientError, Problem, SnoozeError, StatusDocument, Time, document::IncidentDocument, time},
    config,
    daemon::Heart,
    health::event::Event,
};

/// `keypulse snooze`.
#[derive(Debug, Args)]
#[command(
    after_help = "It ends by itself when another password of the account dies. That all is well again is told at once.

Exit codes: 0 snoozed; 1 there is no message to snooze; 64 unknown name; 78 wrong configuration."
)]
pub struct SnoozeArgs {
    /// A password or an account: messages are about whole accounts
    #[arg(value_name = "NAME/ADDRESS")]
    target: String,
    /// How long
    #[arg(long = "for", value_name = "TIME", value_parser = length, default_value = "24h")]
    length: Duration,
}

/// `keypulse unsnooze`.
#[derive(Debug, Args)]
pub struct UnsnoozeArgs {
    /// A password or an account
    #[arg(value_name = "NAME/ADDRESS")]
    target: String,
}

/// `keypulse pause`.
#[derive(Debug, Args)]
#[command(
    after_help = "While it lasts, the status is at least in warning. `keypulse check`, `add` and the like work as ever, and what they find \
                        out is told. A pause outlives restarts."
)]
pub struct PauseArgs {
    /// How long; until `keypulse resume` if you do not say
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    length: Option<Duration>,
}

fn length(text: &str) -> Result<Duration, String> {
    match super::duration(text)? {
        Duration::ZERO => Err("it would be over at once; write a time such as `24h`".to_owned()),
        length => Ok(length),
    }
}

pub(super) fn snooze(context: &Context, arguments: &SnoozeArgs) -> Result<u8, Exit> {
    let (target, length) = (&arguments.target, arguments.length);
    let document = block_on(async {
        let asked = context.client()?.snooze(target, length).await;
        through(context, asked, |heart| match heart.snoozable(target) {
            Ok(account) => Ok(Event::Snooze { account, length }),
            Err(SnoozeError::Unknown(unknown)) => Err(unknown.into()),
            Err(nothing @ SnoozeError::NothingStands(_)) => Err(nothing_stands(&nothing.to_string())),
        })
        .await
    })?;
    let Some((account, incident)) = incident_of(&document.0, target) else { return Ok(0) };
    let until = incident.snoozed_until.map(|until| local(until, &document.0)).unwrap_or_default();
    print(&format!("snoozed until {until}, or until another password dies: {account}\n"))?;
    Ok(0)
}

pub(super) fn unsnooze(context: &Context, arguments: &UnsnoozeArgs) -> Result<u8, Exit> {
    let target = &arguments.target;
    let document = block_on(async {
        let asked = context.client()?.unsnooze(target).await;
        through(context, asked, |heart| Ok(Event::Unsnooze { account: heart.account_of(target)? })).await
    })?;
    let (account, stands) = match incident_of(&document.0, target) {
        Some((account, _)) => (account, "is told again"),
        None => (target.clone(), "has no message"),
    };
    print(&format!("not snoozed: {account} {stands}\n"))?;
    Ok(0)
}

pub(super) fn pause(context: &Context, arguments: &PauseArgs) -> Result<u8, Exit> {
    let length = arguments.length;
    let (document, daemon) = block_on(async {
        let asked = context.client()?.pause(length).await;
        through(context, asked, |_| Ok(Event::Pause { length })).await
    })?;
    let until = match document.paused_until {
        Some(Time::END) | None => "`keypulse resume`".to_owned(),
        Some(until) => local(until, &document),
    };
    print(&format!("paused until {until}: no login is made and no reminder sent by itself\n"))?;
    if !daemon {
        anstream::eprintln!("hint: no daemon runs; the next one begins with this pause");
    }
    Ok(0)
}

pub(super) fn resume(context: &Context) -> Result<u8, Exit> {
    let (_, daemon) = block_on(async {
        let asked = context.client()?.resume().await;
        through(context, asked, |_| Ok(Event::Resume)).await
    })?;
    print("not paused: passwords are checked by themselves\n")?;
    if !daemon {
        anstream::eprintln!("hint: no daemon runs; start one with `keypulse service install`");
    }
    Ok(0)
}

/// The daemon's answer; where none runs, the same in the stored state. Whether there was a daemon.
async fn through(
    context: &Context,
    asked: Result<StatusDocument, ClientError>,
    wish: impl FnOnce(&Heart) -> Result<Event, Exit>,
) -> Result<(StatusDocument, bool), Exit> {
    match asked {
        Ok(document) => return Ok((document, true)),
        Err(ClientError::NoDaemon { .. }) => {}
        Err(ClientError::Problem(problem)) if problem.code == Problem::NOTHING_TO_SNOOZE => {
            return Err(nothing_stands(&problem.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    let paths = context.paths()?;
    let config = config::load(&paths.config)?;
    let (mut heart, _effects) = take_hold(&config, &paths).await?;
    // Nothing is begun here, and what is to be told waits for the daemon.
    heart.engine_mut().end();
    let event = wish(&heart)?;
    drop(heart.step(event)?);
    Ok((heart.document(None), false))
}

fn nothing_stands(why: &str) -> Exit {
    Exit::because(format!("snooze: {why}"), "to stop logins and reminders altogether: keypulse pause")
}

/// The account that the target means, with its incident.
fn incident_of<'a>(document: &'a StatusDocument, target: &str) -> Option<(String, &'a IncidentDocument)> {
    let account = document.accounts.iter().find(|account| {
        let named = account.credentials.iter().any(|credential| credential.name.as_str() == target);
        named || account.address.as_str().eq_ignore_ascii_case(target)
    })?;
    Some((account.address.to_string(), account.incident.as_ref()?))
}

fn local(at: Time, document: &StatusDocument) -> String {
    time::local(at, document.generated_at, &TimeZone::system())
}
