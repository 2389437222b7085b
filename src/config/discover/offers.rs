//! What could be watched: the logins that were found, put together to passwords, accounts and credentials.
//!
//! Decides what is one password (one program, one source), what is watched already, and what a new credential is called. Pure;
//! the text of a configuration goes in and comes out.

use std::path::Path;

use super::{Login, Program, Use, Way, icloud::same_mailbox, shell};
use crate::{
    config::{
        Account, Config, Credential,
        edit::{EditError, add_credential},
    },
    health::{
        evidence::{PerService, Service, Services},
        name::{Address, CredentialName},
    },
    secret::Source,
};

/// An Apple Account with what was found for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Household {
    /// Its iCloud Mail address, as configured where it is; none where no login tells it.
    pub address: Option<Address>,
    /// The user names that the programs log in with.
    pub usernames: PerService<String>,
    /// Where programs log in with different names, in words.
    pub conflicts: Vec<String>,
    /// In the order of the programs.
    pub offers: Vec<Offer>,
}

/// A password that a program uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The program.
    pub program: Program,
    /// Where keypulse reads it; none where it has to be asked for.
    pub source: Option<Source>,
    /// The logins that use it; never empty.
    pub logins: Vec<Login>,
    /// The name of the credential that watches it, or that it would get.
    pub name: CredentialName,
    /// Whether it is watched already.
    pub watched: bool,
}

impl Offer {
    /// What it is used for. An app-specific password is good for all services alike, so that one that is used for calendars
    /// only is watched by mail.
    #[must_use]
    pub fn services(&self) -> Services {
        let mail = self.logins.iter().fold(Services::NONE, |all, login| match login.service {
            Use::Imap => all.union(Services::only(Service::Imap)),
            Use::Smtp => all.union(Services::only(Service::Smtp)),
            Use::Caldav | Use::Carddav => all,
        });
        if mail.is_empty() { Services::BOTH } else { mail }
    }

    /// As a credential of the configuration, where it can be read.
    #[must_use]
    pub fn credential(&self) -> Option<Credential> {
        Some(Credential {
            name: self.name.clone(),
            app: self.app(),
            services: self.services(),
            secret: self.source.clone()?,
            any_shape: false,
        })
    }

    /// The program's name for people, where the credential's own does not say it.
    #[must_use]
    pub fn app(&self) -> Option<String> {
        let title = self.program.title();
        (!self.name.as_str().eq_ignore_ascii_case(title)).then(|| title.to_owned())
    }
}

/// Puts logins together, and says what of them `config` watches.
#[must_use]
pub fn households(logins: &[Login], config: &Config) -> Vec<Household> {
    let mut groups: Vec<(Option<Address>, Vec<&Login>)> = Vec::new();
    for login in logins {
        let address = address(login, config);
        let same = |known: &Option<Address>| match (known, &address) {
            (Some(known), Some(address)) => same_mailbox(known, address),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        match groups.iter_mut().find(|(known, _)| same(known)) {
            Some((_, logins)) => logins.push(login),
            None => groups.push((address, vec![login])),
        }
    }
    // What belongs to nobody comes last.
    groups.sort_by_key(|(address, _)| address.is_none());
    let mut taken: Vec<CredentialName> = config
        .accounts
        .iter()
        .flat_map(|account| &account.credentials)
        .map(|credential| credential.name.clone())
        .collect();
    groups.into_iter().map(|(address, logins)| household(address, &logins, config, &mut taken)).collect()
}

/// The address of a login's account: as configured, where it is.
fn address(login: &Login, config: &Config) -> Option<Address> {
    let mut accounts = config.accounts.iter();
    let configured = match (&login.address, &login.username) {
        (Some(address), _) => accounts.find(|account| same_mailbox(&account.address, address)),
        // Another provider's address, which somebody wrote down as the user name of an account.
        (None, Some(name)) => accounts.find(|it| it.usernames.imap == *name || it.usernames.smtp == *name),
        (None, None) => None,
    };
    configured.map(|account| account.address.clone()).or_else(|| login.address.clone())
}

fn household(
    address: Option<Address>,
    logins: &[&Login],
    config: &Config,
    taken: &mut Vec<CredentialName>,
) -> Household {
    let account = address.as_ref().and_then(|address| config.accounts.iter().find(|it| it.address == *address));
    let mut offers: Vec<(Program, Option<Source>, Vec<Login>)> = Vec::new();
    for login in logins {
        let source = login.way.source();
        let same = |program: Program, other: &Option<Source>| {
            program == login.program
                && match (other, &source) {
                    (Some(other), Some(source)) => same_source(other, source),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                }
        };
        match offers.iter_mut().find(|(program, other, _)| same(*program, other)) {
            Some((_, _, logins)) => logins.push((*login).clone()),
            None => offers.push((login.program, source, vec![(*login).clone()])),
        }
    }
    let many = |program: Program| offers.iter().filter(|(other, _, _)| *other == program).count() > 1;
    let split: Vec<bool> = offers.iter().map(|(program, _, _)| many(*program)).collect();
    let (usernames, conflicts) = usernames(address.as_ref(), logins, account);
    let offers = offers.into_iter().zip(split).map(|((program, source, logins), split)| {
        let watched = watching(program, source.as_ref(), account, config);
        let is_watched = watched.is_some();
        let name = watched.unwrap_or_else(|| {
            let name = new_name(program, &logins, split, address.as_ref(), taken);
            taken.push(name.clone());
            name
        });
        Offer { program, source, logins, name, watched: is_watched }
    });
    Household { offers: offers.collect(), address, usernames, conflicts }
}

/// The credential that watches a password: by its source; where that is not known, by the program's name.
fn watching(
    program: Program,
    source: Option<&Source>,
    account: Option<&Account>,
    config: &Config,
) -> Option<CredentialName> {
    let is_it = |text: &str| [program.as_str(), program.title()].iter().any(|name| text.eq_ignore_ascii_case(name));
    let named = |it: &&Credential| {
        is_it(it.name.as_str())
            || it.app.as_deref().is_some_and(is_it)
            || it.name.as_str().to_lowercase().starts_with(&format!("{}-", program.as_str()))
    };
    if let Some(source) = source {
        let credentials = || config.accounts.iter().flat_map(|account| &account.credentials);
        let same = || credentials().filter(|it| same_source(&it.secret, source));
        // Of several that read the same, the program's own.
        return same().find(named).or_else(|| same().next()).map(|it| it.name.clone());
    }
    account?.credentials.iter().find(named).map(|it| it.name.clone())
}

/// Whether two sources give the same password, however they are written.
#[must_use]
pub fn same_source(one: &Source, other: &Source) -> bool {
    plainly(one) == plainly(other)
}

fn plainly(source: &Source) -> Source {
    match source {
        Source::Command(words) => match words.as_slice() {
            [sh, c, text] if sh == "sh" && c == "-c" => {
                Source::Command(shell::command(text).unwrap_or_else(|| words.clone()))
            }
            _ => source.clone(),
        },
        Source::Keyring { service, username } => Source::Attributes(
            [("service".to_owned(), service.clone()), ("username".to_owned(), username.clone())].into(),
        ),
        Source::Attributes(_) | Source::File(_) | Source::Program(_) => source.clone(),
    }
}

/// The program's name; where that is taken or says too little, with the service, the account, a number.
fn new_name(
    program: Program,
    logins: &[Login],
    split: bool,
    address: Option<&Address>,
    taken: &[CredentialName],
) -> CredentialName {
    let base = if program == Program::SecretService { keyring_name(logins) } else { program.as_str() };
    let service = logins.first().map_or("", |login| login.service.as_str());
    let one_service = logins.iter().all(|login| login.service.as_str() == service);
    let short = address.map_or("", Address::local_part);
    let mut candidates = vec![base.to_owned()];
    if !short.is_empty() {
        candidates.extend([format!("{base}-{short}"), format!("{base}-{short}-{service}")]);
    }
    if one_service {
        candidates.insert(if split { 0 } else { candidates.len().min(2) }, format!("{base}-{service}"));
    }
    let free = |name: &str| CredentialName::new(name).ok().filter(|name| !taken.contains(name));
    if let Some(name) = candidates.iter().find_map(|name| free(name)) {
        return name;
    }
    let mut number = 2;
    loop {
        if let Some(name) = free(&format!("{base}-{number}")) {
            return name;
        }
        number += 1;
    }
}

/// Whose item it most likely is.
fn keyring_name(logins: &[Login]) -> &'static str {
    match logins.first().map(|login| &login.way) {
        Some(Way::Keyring(Source::Attributes(attributes))) if attributes.contains_key("proto") => "geary",
        Some(Way::Keyring(Source::Attributes(attributes))) if attributes.contains_key("e-source-uid") => "evolution",
        Some(Way::Keyring(_) | Way::Command(_) | Way::Plain(_) | Way::Unknown(_)) | None => "keyring",
    }
}

/// The user names that the programs agree on, and where they do not.
fn usernames(
    address: Option<&Address>,
    logins: &[&Login],
    account: Option<&Account>,
) -> (PerService<String>, Vec<String>) {
    let default = match (account, address) {
        (Some(account), _) => account.usernames.clone(),
        (None, Some(address)) => {
            PerService { imap: address.local_part().to_owned(), smtp: address.as_str().to_owned() }
        }
        (None, None) => PerService { imap: String::new(), smtp: String::new() },
    };
    let (mut names, mut conflicts) = (default.clone(), Vec::new());
    for (service, wanted) in [(Service::Imap, Use::Imap), (Service::Smtp, Use::Smtp)] {
        let mut used: Vec<&str> = Vec::new();
        for name in logins.iter().filter(|login| login.service == wanted).filter_map(|login| login.username.as_deref())
        {
            if !used.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                used.push(name);
            }
        }
        let upper = service.as_str().to_uppercase();
        let usual = default.of(service);
        match used.as_slice() {
            [] => {}
            [one] if one.eq_ignore_ascii_case(usual) => {}
            [one] if account.is_none() => (*one).clone_into(names.of_mut(service)),
            [one] => conflicts.push(format!("{upper}: configured is {usual}, but the programs log in as {one}")),
            several => {
                conflicts.push(format!(
                    "{upper}: the programs log in with different names ({}); {usual} is used",
                    several.join(", ")
                ));
            }
        }
    }
    (names, conflicts)
}

/// A configuration with what was offered.
#[derive(Debug)]
pub struct Written {
    /// Its text.
    pub text: String,
    /// The credentials that were added, with their accounts.
    pub added: Vec<(CredentialName, Address)>,
    /// Those that cannot be written, such as a file whose name is no text.
    pub refused: Vec<(CredentialName, EditError)>,
}

/// Adds every offer that can be read and is not watched.
///
/// # Errors
/// Where the text as a whole cannot be edited.
pub fn write(text: &str, path: &Path, households: &[Household]) -> Result<Written, EditError> {
    let mut written = Written { text: text.to_owned(), added: Vec::new(), refused: Vec::new() };
    for household in households {
        let Some(address) = &household.address else { continue };
        for offer in household.offers.iter().filter(|offer| !offer.watched) {
            let Some(credential) = offer.credential() else { continue };
            match add_credential(&written.text, path, address, Some(&household.usernames), &credential) {
                Ok(text) => {
                    written.text = text;
                    written.added.push((credential.name, address.clone()));
                }
                Err(why @ (EditError::UnfitPath | EditError::Unclear)) => written.refused.push((credential.name, why)),
                Err(
                    error @ (EditError::Broken(_)
                    | EditError::NameTaken(..)
                    | EditError::NoSuchName(_)
                    | EditError::SendsMail(_)
                    | EditError::Inline(_)),
                ) => return Err(error),
            }
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
