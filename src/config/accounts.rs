//! `[[account]]` and `[[account.credential]]`: names, services, and where each password is.
//!
//! Reads no secret and does not look whether a source exists: that is asked at each check.

use std::{collections::BTreeMap, ops::Range};

use toml::Spanned;

use super::{
    Account, Credential,
    complain::near,
    discover::Program,
    excerpt::quoted,
    parse::Checker,
    raw::{RawAccount, RawCredential, RawKeyring, RawProgram, RawSecret, Table},
};
use crate::{
    health::{
        evidence::{PerService, Service, Services},
        name::{Address, CredentialName},
    },
    secret::{ProgramEntry, Source},
};

impl Checker<'_> {
    /// All accounts. None at all is a valid configuration: it waits for `keypulse add`.
    pub(super) fn accounts(&mut self, raw: Vec<Spanned<Table<RawAccount>>>) -> Vec<Account> {
        let mut seen = BTreeMap::new();
        raw.into_iter().filter_map(|account| self.account(account, &mut seen)).collect()
    }

    fn account(
        &mut self,
        raw: Spanned<Table<RawAccount>>,
        seen: &mut BTreeMap<String, Range<usize>>,
    ) -> Option<Account> {
        let header = raw.span();
        let RawAccount { address, imap_username, smtp_username, credential } = raw.into_inner().0;
        let address = if let Some(given) = address {
            self.address("address", &given).inspect(|address| {
                if let Some(first) = seen.get(&address.key()) {
                    let line = self.line(first);
                    self.report(
                        given.span(),
                        &format!("the account {} is here a second time", quoted(address.as_str())),
                        &format!("put its credentials under the account on line {line}"),
                    );
                } else {
                    seen.insert(address.key(), given.span());
                }
            })
        } else {
            self.missing(header, "the account", "address", "\"johnappleseed@icloud.com\"");
            None
        };
        let imap = imap_username.and_then(|name| self.words("imap_username", &name));
        let smtp = smtp_username.and_then(|name| self.words("smtp_username", &name));
        let credentials = credential.into_iter().filter_map(|credential| self.credential(credential)).collect();
        let address = address?;
        let usernames = PerService {
            imap: imap.unwrap_or_else(|| address.local_part().to_owned()),
            smtp: smtp.unwrap_or_else(|| address.as_str().to_owned()),
        };
        Some(Account { address, usernames, credentials })
    }

    pub(super) fn address(&mut self, key: &str, given: &Spanned<String>) -> Option<Address> {
        match Address::new(given.get_ref()) {
            Ok(address) => Some(address),
            Err(what) => {
                let message = format!("`{key}` is no address: {what}");
                self.report(given.span(), &message, "write it in full, such as \"johnappleseed@icloud.com\"");
                None
            }
        }
    }

    fn credential(&mut self, raw: Spanned<Table<RawCredential>>) -> Option<Credential> {
        let header = raw.span();
        let RawCredential { name, app, services, secret, any_shape } = raw.into_inner().0;
        let name = if let Some(given) = name {
            self.name(&given)
        } else {
            self.missing(header, "the credential", "name", "\"thunderbird\"");
            None
        };
        let app = app.and_then(|app| self.words("app", &app));
        let services = services.map_or(Services::BOTH, |given| self.services(&given));
        let secret = match secret {
            Some(given) => self.secret(given),
            None => name.as_ref().map(default_secret),
        };
        Some(Credential { name: name?, app, services, secret: secret?, any_shape: any_shape.unwrap_or(false) })
    }

    fn name(&mut self, given: &Spanned<String>) -> Option<CredentialName> {
        let text = given.get_ref();
        let name = match CredentialName::new(text) {
            Ok(name) => name,
            Err(what) => {
                let fitting: String = text
                    .trim()
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
                    .take(64)
                    .collect();
                let remedy = if fitting.is_empty() {
                    "write a short one, such as \"mutt\"".to_owned()
                } else {
                    format!("write \"{fitting}\"")
                };
                self.report(given.span(), &format!("`name` does not fit: {what}"), &remedy);
                return None;
            }
        };
        if let Some(first) = self.names.get(text) {
            let line = self.line(first);
            self.report(
                given.span(),
                &format!("the name {} is taken", quoted(text)),
                &format!("choose another; the first is on line {line}"),
            );
            return None;
        }
        self.names.insert(text.clone(), given.span());
        Some(name)
    }

    fn services(&mut self, given: &Spanned<Vec<Spanned<String>>>) -> Services {
        let mut services = Services::NONE;
        for word in given.get_ref() {
            if let Some(service) = Service::ALL.into_iter().find(|service| service.as_str() == word.get_ref()) {
                *services.of_mut(service) = true;
            } else {
                let names = Service::ALL.map(Service::as_str);
                let remedy = match near(word.get_ref(), names) {
                    Some(name) => format!("did you mean \"{name}\"?"),
                    None => "the services are \"imap\" and \"smtp\"".to_owned(),
                };
                self.report(word.span(), &format!("{} is no service", quoted(word.get_ref())), &remedy);
            }
        }
        if given.get_ref().is_empty() {
            self.report(given.span(), "`services` is empty", "name \"imap\", \"smtp\" or both, or take the line out");
        }
        services
    }

    /// Exactly one source.
    pub(super) fn secret(&mut self, raw: Spanned<Table<RawSecret>>) -> Option<Source> {
        let place = raw.span();
        let RawSecret { keyring, command, file, program } = raw.into_inner().0;
        let given: Vec<&str> = [
            ("keyring", keyring.is_some()),
            ("command", command.is_some()),
            ("file", file.is_some()),
            ("program", program.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect();
        match (keyring, command, file, program) {
            (Some(keyring), None, None, None) => self.keyring(keyring),
            (None, Some(command), None, None) => self.command(&command).map(Source::Command),
            (None, None, Some(file), None) => self.path("file", &file).map(Source::File),
            (None, None, None, Some(program)) => self.program(program),
            _ if given.is_empty() => {
                let remedy = "give it one of `keyring`, `command`, `file` and `program`";
                self.report(place, "`secret` names no source", remedy);
                None
            }
            _ => {
                let message = format!("`secret` names {} sources: {}", given.len(), given.join(", "));
                self.report(place, &message, "keep the one from which the password is to be read");
                None
            }
        }
    }

    /// The plain text in another program's file.
    fn program(&mut self, raw: Spanned<Table<RawProgram>>) -> Option<Source> {
        let place = raw.span();
        let RawProgram { name, file, entry } = raw.into_inner().0;
        let mut needed = |key: &str, example: &str, given: Option<Spanned<String>>| {
            if given.is_none() {
                self.missing(place.clone(), "`program`", key, example);
            }
            given
        };
        let name = needed("name", "\"offlineimap\"", name);
        let file = needed("file", "\"~/.offlineimaprc\"", file);
        let entry = needed("entry", "\"R\"", entry);
        let file = file.and_then(|file| self.path("file", &file));
        let entry = entry.and_then(|entry| self.words("entry", &entry));
        let name = name?;
        let known = Program::ALL.into_iter().filter_map(Program::plain_text);
        let Some((name, find)) = known.clone().find(|(known, _)| known == name.get_ref()) else {
            let remedy = match near(name.get_ref(), known.clone().map(|(known, _)| known)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("these are: {}", known.map(|(known, _)| known).collect::<Vec<_>>().join(", ")),
            };
            let message = format!("{} is no program whose file keypulse can read", quoted(name.get_ref()));
            self.report(name.span(), &message, &remedy);
            return None;
        };
        Some(Source::Program(ProgramEntry { name, file: file?, entry: entry?, find }))
    }

    fn keyring(&mut self, raw: Spanned<Table<RawKeyring>>) -> Option<Source> {
        const REMEDY: &str = "write `keyring = { service = \"keypulse\", username = \"thunderbird\" }`";
        let place = raw.span();
        let RawKeyring { service, username, attributes } = raw.into_inner().0;
        match (service, username, attributes) {
            (Some(service), Some(username), None) => {
                let service = self.words("service", &service);
                let username = self.words("username", &username);
                Some(Source::Keyring { service: service?, username: username? })
            }
            (None, None, Some(attributes)) => {
                if attributes.get_ref().is_empty() {
                    let remedy = "name at least one; exactly one item of the keyring must have them all";
                    self.report(attributes.span(), "`attributes` is empty", remedy);
                    return None;
                }
                if cfg!(target_os = "macos") {
                    self.report(attributes.span(), "the macOS Keychain has no `attributes`", REMEDY);
                    return None;
                }
                Some(Source::Attributes(attributes.into_inner()))
            }
            (None, None, None) => {
                self.report(place, "`keyring` is empty", REMEDY);
                None
            }
            (_, _, Some(_)) => {
                self.report(
                    place,
                    "`keyring` has `attributes` beside `service` or `username`",
                    "keep one of the two forms",
                );
                None
            }
            (Some(_), None, None) => {
                self.report(place, "`keyring` has no `username`", REMEDY);
                None
            }
            (None, Some(_), None) => {
                self.report(place, "`keyring` has no `service`", REMEDY);
                None
            }
        }
    }
}

/// Where keypulse itself puts the password of a credential.
#[must_use]
pub fn default_secret(name: &CredentialName) -> Source {
    Source::Keyring { service: "keypulse".to_owned(), username: name.as_str().to_owned() }
}
