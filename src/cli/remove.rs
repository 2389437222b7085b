//! `keypulse remove`: takes a credential out of the configuration, and its password out of the keyring where keypulse put it.
//!
//! The configuration goes first: a password nobody reads does less harm than a credential without one.

use clap::Args;

use super::{
    Exit, advice,
    context::{Context, block_on, print},
    name,
    status::not_configured,
    tell::{Told, reload},
};
use crate::{
    config::{
        self, default_secret,
        edit::{EditError, remove_credential, write_atomically},
    },
    health::name::CredentialName,
    secret::{Reader, Source},
};

/// `keypulse remove`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 removed; 1 not, or not from the keyring; 64 unknown name; 78 wrong configuration."
)]
pub struct RemoveArgs {
    /// The name that it was added with, as in `keypulse status`
    #[arg(value_name = "NAME", value_parser = name)]
    name: CredentialName,
}

pub(super) fn remove(context: &Context, arguments: &RemoveArgs) -> Result<u8, Exit> {
    let path = context.config_file()?;
    let name = &arguments.name;
    let text = config::read(&path)?;
    let (edited, removed) = match remove_credential(&text, &path, name) {
        Ok(edit) => edit,
        Err(EditError::Broken(error)) => return Err(error.into()),
        Err(EditError::NoSuchName(_)) => return Err(not_configured(name.as_str(), &config::parse(&text, &path)?)),
        Err(
            error @ (EditError::NameTaken(..)
            | EditError::SendsMail(_)
            | EditError::Inline(_)
            | EditError::UnfitPath
            | EditError::Unclear),
        ) => return Err(Exit::failed(error)),
    };
    write_atomically(&path, Some(&text), &edited).map_err(Exit::failed)?;
    let account = if removed.with_account { format!(", nor is {}", removed.address) } else { String::new() };
    print(&format!("{name} is no longer watched{account}\n"))?;
    block_on(async {
        let told = match reload(context).await? {
            // Nothing is watched either way.
            Told::NoDaemon => 0,
            told @ (Told::Yes(_) | Told::Failed(_)) => told.finish(),
        };
        let secret = &removed.credential.secret;
        let deleted = if *secret == default_secret(name) { delete(name, secret).await? } else { kept(secret)? };
        print(&format!("at Apple it is valid until you remove it there, too: {}\n", advice::PATH))?;
        Ok(told.max(deleted))
    })
}

/// keypulse put it there, so keypulse takes it out.
pub(super) async fn delete(name: &CredentialName, secret: &Source) -> Result<u8, Exit> {
    let Source::Keyring { service, username } = secret else { return Ok(0) };
    match Reader::new().delete_from_keyring(service, username).await {
        Ok(true) => print("its password is deleted from the keyring\n").map(|()| 0),
        Ok(false) => print("the keyring held no password for it\n").map(|()| 0),
        Err(why) => {
            anstream::eprintln!("keypulse: failed to delete the password of {name} from the keyring: {why}");
            anstream::eprintln!("hint: delete the item with service \"{service}\" and username \"{username}\" by hand");
            Ok(1)
        }
    }
}

fn kept(secret: &Source) -> Result<u8, Exit> {
    let place = match secret {
        Source::Keyring { .. } | Source::Attributes(_) => "in the keyring; keypulse did not put it there".to_owned(),
        // Its arguments are not shown: one of them may be a secret.
        Source::Command(command) => format!("where `{}` gets it", command.first().map_or("", String::as_str)),
        Source::File(path) => format!("in {}", path.display()),
        Source::Program(entry) => format!("in {}", entry.file.display()),
    };
    print(&format!("its password stays {place}\n")).map(|()| 0)
}
