//! Stores a password that was accepted: into the keyring first, then into the configuration with what its logins taught.
//!
//! Short, and carried through once begun. Where the second step fails, the first is undone: nothing is left half-done.

use std::sync::Arc;

use super::{Exit, verify::Accepted};
use crate::{
    config::{
        self, Account, Config, Credential,
        edit::{EditError, add_credential, write_atomically},
        learn::{set_any_shape, set_usernames},
    },
    daemon::Paths,
    health::{
        evidence::PerService,
        name::{Address, CredentialName},
    },
    secret::{AppPassword, Asked, Reader, Source, Unavailable},
};

/// What a new configuration file begins with.
pub(super) const HEADER: &str = "# keypulse's configuration. `keypulse config show` prints every key in effect; config.example.toml explains \
                      them.\n\n";

/// A credential whose password is being entered: one that is there, or one to be.
pub(super) struct Entry {
    pub(super) paths: Paths,
    /// The configuration's text, if there is any.
    before: Option<String>,
    pub(super) config: Config,
    /// With its user names; perhaps not configured yet.
    pub(super) account: Account,
    pub(super) credential: Credential,
    pub(super) is_new: bool,
}

impl Entry {
    /// The one of this name, where it is configured.
    pub(super) fn named(paths: &Paths, name: &CredentialName) -> Result<Option<Self>, Exit> {
        let (before, config) = read(paths)?;
        let Some((account, credential)) = config.find(name) else { return Ok(None) };
        let (account, credential) = (account.clone(), credential.clone());
        Ok(Some(Self { paths: paths.clone(), before, config, account, credential, is_new: false }))
    }

    /// One to be added to `address`, which need not be configured yet.
    ///
    /// # Errors
    /// Where it could not be written down, so that nobody is asked for a password in vain.
    pub(super) fn new(paths: &Paths, address: &Address, credential: Credential) -> Result<Self, Exit> {
        let (before, config) = read(paths)?;
        let known = config.accounts.iter().find(|account| account.address == *address);
        let account = known.cloned().unwrap_or_else(|| new_account(address));
        let entry = Self { paths: paths.clone(), before, config, account, credential, is_new: true };
        let as_configured = entry.account.usernames.clone();
        entry.edited(&as_configured, entry.credential.any_shape)?;
        Ok(entry)
    }

    /// What is stored now, where it can be read without asking anybody.
    pub(super) async fn old(&self, reader: &Reader) -> Option<AppPassword> {
        reader.read(&self.credential.secret, true, Asked::Background).await.ok()
    }

    /// Stores it. The forms of the user names that were accepted are remembered for the account.
    pub(super) async fn store(&self, reader: &Reader, accepted: &Accepted) -> Result<(), Exit> {
        let password = &accepted.password;
        // Without its dashes it goes out only if it is sent as it is stored.
        let any_shape = self.credential.any_shape || password.lacks_dashes();
        let edited = self.edited(&accepted.usernames, any_shape)?;
        // What is kept elsewhere is not written by keypulse.
        let mut kept = None;
        if let Source::Keyring { service, username } = &self.credential.secret {
            let item = Item { service, username, label: self.label(), reader };
            let replaced = self.old(reader).await;
            item.store(password).await?;
            kept = Some((item, replaced));
        }
        let written = match &edited {
            Some(after) => write_atomically(&self.paths.config, self.before.as_deref(), after),
            None => Ok(()),
        };
        if let (Err(_), Some((item, replaced))) = (&written, kept) {
            item.put_back(replaced).await;
        }
        written.map_err(Exit::failed)
    }

    fn label(&self) -> String {
        format!("keypulse: {} ({})", self.credential.name, self.account.address)
    }

    /// The configuration with all that is new; `None` where it needs no change.
    fn edited(&self, usernames: &PerService<String>, any_shape: bool) -> Result<Option<String>, Exit> {
        let text = self.before.as_deref().unwrap_or(HEADER);
        let path = &self.paths.config;
        let Account { address, .. } = &self.account;
        let is_known = self.config.accounts.iter().any(|account| account.address == *address);
        let mut after = text.to_owned();
        if is_known {
            after = set_usernames(&after, path, address, usernames).map_err(edit_failed)?;
        }
        let credential = Credential { any_shape, ..self.credential.clone() };
        if self.is_new {
            after = add_credential(&after, path, address, Some(usernames), &credential).map_err(edit_failed)?;
        } else if any_shape != self.credential.any_shape {
            after = set_any_shape(&after, path, &credential.name).map_err(edit_failed)?;
        }
        Ok((after != text).then_some(after))
    }

    /// Whether the configuration is changed by what was accepted: then the daemon must read it again.
    pub(super) fn teaches(&self, accepted: &Accepted) -> bool {
        self.is_new
            || accepted.usernames != self.account.usernames
            || (accepted.password.lacks_dashes() && !self.credential.any_shape)
    }
}

/// An item of the keyring that is keypulse's.
struct Item<'a> {
    service: &'a str,
    username: &'a str,
    label: String,
    reader: &'a Reader,
}

impl Item<'_> {
    async fn store(&self, password: &Arc<AppPassword>) -> Result<(), Exit> {
        let stored = self.reader.store_in_keyring(self.service, self.username, &self.label, password);
        stored.await.map_err(|why| no_keyring(&why))
    }

    async fn put_back(self, replaced: Option<AppPassword>) {
        let undone = match replaced {
            Some(old) => self.reader.store_in_keyring(self.service, self.username, &self.label, &old).await,
            None => self.reader.delete_from_keyring(self.service, self.username).await.map(drop),
        };
        if let Err(why) = undone {
            anstream::eprintln!("keypulse: the new password stays in the keyring: {why}");
        }
    }
}

fn read(paths: &Paths) -> Result<(Option<String>, Config), Exit> {
    let before = match config::read(&paths.config) {
        Ok(text) => Some(text),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    let config = config::parse(before.as_deref().unwrap_or(HEADER), &paths.config)?;
    Ok((before, config))
}

/// The user names that the configuration takes for an account of this address.
fn new_account(address: &Address) -> Account {
    let usernames = PerService { imap: address.local_part().to_owned(), smtp: address.as_str().to_owned() };
    Account { address: address.clone(), usernames, credentials: Vec::new() }
}

/// The configuration cannot be edited.
pub(super) fn edit_failed(error: EditError) -> Exit {
    match error {
        EditError::Broken(error) => error.into(),
        error @ (EditError::NameTaken(..)
        | EditError::NoSuchName(_)
        | EditError::SendsMail(_)
        | EditError::Inline(_)
        | EditError::UnfitPath
        | EditError::Unclear) => Exit::failed(error),
    }
}

/// The keyring says no.
pub(super) fn no_keyring(why: &Unavailable) -> Exit {
    Exit::because(
        format!("use the keyring: {why}"),
        "nothing was stored; `keypulse add` with --secret-file or --secret-command leaves the password where you keep it",
    )
}
