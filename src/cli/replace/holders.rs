//! What else may still hold a dead password, as far as other programs' files tell.
//!
//! Reads a password where that is harmless (plain text, an unlocked keyring) and compares its digest. Never runs a command that
//! it finds: what comes from one "may" hold it.

use super::{Target, prompt};
use crate::{
    cli::Exit,
    config::{
        self, Account, Config,
        discover::{Discovery, Login, Place, Way, discover, same_mailbox},
        paths::Environment,
    },
    daemon::{self, Paths},
    secret::{Asked, Reader, Source},
};

/// Says what holds, or may hold, a dead password of the accounts concerned.
pub(super) async fn say(reader: &Reader, paths: &Paths, targets: &[Target]) -> Result<(), Exit> {
    let Some(place) = Place::own(&Environment::read()) else { return Ok(()) };
    let config = config::load(&paths.config)?;
    let Discovery { logins, .. } = discover(&place);
    let mut lines: Vec<String> = Vec::new();
    for login in &logins {
        let Some(account) = account_of(login, targets) else { continue };
        let line = match holds(reader, paths, account, &config, login).await? {
            Some(true) => format!("  {} holds it", whose(login)),
            Some(false) => continue,
            None => format!("  {} may hold it", whose(login)),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    prompt::say("\nOther programs that log in to these accounts, with a dead password perhaps:")?;
    lines.iter().try_for_each(|line| prompt::say(line))
}

fn account_of<'a>(login: &Login, targets: &'a [Target]) -> Option<&'a Account> {
    let address = login.address.as_ref()?;
    targets.iter().map(|target| &target.account).find(|account| same_mailbox(&account.address, address))
}

/// Whether a login has a dead password; `None` where that cannot be told.
async fn holds(
    reader: &Reader,
    paths: &Paths,
    account: &Account,
    config: &Config,
    login: &Login,
) -> Result<Option<bool>, Exit> {
    let source = match &login.way {
        Way::Command(command) => Source::Command(command.clone()),
        Way::Plain(source) | Way::Keyring(source) => source.clone(),
        Way::Unknown(_) => return Ok(None),
    };
    // What keypulse watches has been dealt with.
    let watched = config.accounts.iter().flat_map(|account| &account.credentials).any(|it| it.secret == source);
    if watched {
        return Ok(Some(false));
    }
    if let Source::Command(_) = source {
        return Ok(None);
    }
    let Ok(password) = reader.read(&source, false, Asked::Background).await else { return Ok(None) };
    Ok(Some(daemon::known_dead(paths, account, &password)?.is_some()))
}

fn whose(login: &Login) -> String {
    let place = match (&login.file, login.line) {
        (Some(file), Some(line)) => format!(" ({}:{line})", file.display()),
        (Some(file), None) => format!(" ({})", file.display()),
        (None, _) => String::new(),
    };
    format!("{}{place}", login.program.as_str())
}
