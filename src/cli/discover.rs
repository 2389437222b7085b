//! `keypulse discover`: iCloud logins in other programs' configuration, and what keypulse can watch of them.
//!
//! Decides what is searched (files always; the keyring unless a directory is named) and in which order things are done. Runs
//! nothing that it finds and opens no dialog; `--write` changes keypulse's own configuration and nothing else.

mod page;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use self::page::{Page, Ring};
use super::{
    Exit,
    context::{Context, block_on, print, width},
    keep::{HEADER, edit_failed},
    tell::{Told, reload},
};
use crate::{
    config::{
        self, Config,
        discover::{
            Discovery, Login, Place, Program, Way, discover as find,
            offers::{self, Household, Written},
        },
        edit::{EditError, write_atomically},
    },
    health::name::{Address, CredentialName},
    secret::Reader,
};

const ABOUT: &str = "Reads the files of mbsync, msmtp, Mutt, NeoMutt, aerc, Himalaya, OfflineIMAP, goimapnotify, vdirsyncer, git \
                     send-email, Thunderbird, GNOME Online Accounts and KMail, ~/.netrc, and what the items of the unlocked \
                     keyring are called. Runs nothing, asks nothing, shows no password.

An item of the keyring is told by the server among its attributes. Evolution's and KMail's have none; their own files say which \
server it is.

With --write, each password that keypulse can read by itself is watched where its program keeps it: there is no second copy, and \
nothing to change in keypulse when it is replaced.

Exit codes: 0 searched, whether or not there was something; 1 not written; 64 wrong usage; 78 wrong configuration.";

/// `keypulse discover`.
#[derive(Debug, Default, Args)]
#[command(after_help = ABOUT)]
pub struct DiscoverArgs {
    /// Watch what can be read: add it to keypulse's configuration
    #[arg(long)]
    pub(super) write: bool,
    /// Search this directory as if it were the home directory, and no keyring
    #[arg(long, value_name = "DIR")]
    pub(super) home: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn discover(context: &Context, arguments: &DiscoverArgs) -> Result<u8, Exit> {
    let place = place(context, arguments)?;
    let mut found = find(&place);
    block_on(async {
        let ring = if arguments.home.is_some() { Ring::NotAsked } else { keyring(&mut found, &place).await };
        if arguments.json {
            let code = if arguments.write { write(context, &found).await?.finish() } else { 0 };
            print(&format!("{:#}\n", document(&found)))?;
            return Ok(code);
        }
        let path = context.config_file()?;
        let page = |config: &Config| {
            let households = offers::households(&found.logins, config);
            Page {
                found: &found,
                households: &households,
                ring: &ring,
                home: &place.home,
                config: &path,
                width: width(),
            }
            .render()
        };
        if !arguments.write {
            let (_, config) = configuration(&path)?;
            print(&page(&config))?;
            return Ok(0);
        }
        let entered = write(context, &found).await?;
        let (_, config) = configuration(&path)?;
        print(&page(&config))?;
        print(&page::written(&entered.added, &path, &place.home, width()))?;
        Ok(entered.finish())
    })
}

/// As `discover --write`, for who goes on to start the daemon: says what was added, and not that none runs.
pub(super) fn watch_all(context: &Context) -> Result<(), Exit> {
    let place = place(context, &DiscoverArgs::default())?;
    let mut found = find(&place);
    block_on(async {
        keyring(&mut found, &place).await;
        let mut entered = write(context, &found).await?;
        entered.told = entered.told.filter(|told| !matches!(told, Told::NoDaemon));
        print(&page::written(&entered.added, &context.config_file()?, &place.home, width()))?;
        entered.finish();
        Ok(())
    })
}

/// What could be watched of the person's own programs.
pub(super) fn households(context: &Context) -> Result<Vec<Household>, Exit> {
    let place = place(context, &DiscoverArgs::default())?;
    let mut found = find(&place);
    block_on(async {
        keyring(&mut found, &place).await;
        Ok(())
    })?;
    let (_, config) = configuration(&context.config_file()?)?;
    Ok(offers::households(&found.logins, &config))
}

fn place(context: &Context, arguments: &DiscoverArgs) -> Result<Place, Exit> {
    if let Some(home) = &arguments.home {
        if !home.is_dir() {
            let message = format!("{} is no directory", home.display());
            return Err(Exit::misuse(message, "name one that is laid out as a home directory: --home DIR"));
        }
        return Ok(Place::below(home));
    }
    let nowhere = || Exit::because("find the home directory: HOME is not set", "name it with --home DIR");
    Place::own(context.environment()).ok_or_else(nowhere)
}

/// The logins among the items of the keyring.
async fn keyring(found: &mut Discovery, place: &Place) -> Ring {
    let program = if cfg!(target_os = "macos") { Program::Keychain } else { Program::SecretService };
    match Reader::new().list_keyring().await {
        Ok(listing) => {
            found.add_keyring(&listing.items, program, place);
            if listing.part_is_locked { Ring::Locked } else { Ring::Searched }
        }
        Err(why) => Ring::Failed(why.to_string()),
    }
}

/// The configuration's text, none where there is no file yet, and what it says.
fn configuration(path: &std::path::Path) -> Result<(Option<String>, Config), Exit> {
    let before = match config::read(path) {
        Ok(text) => Some(text),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    let config = config::parse(before.as_deref().unwrap_or_default(), path)?;
    Ok((before, config))
}

/// What `--write` did.
struct Entered {
    added: Vec<(CredentialName, Address)>,
    refused: Vec<(CredentialName, EditError)>,
    told: Option<Told>,
}

impl Entered {
    /// Says what is left to do; the exit code.
    fn finish(&self) -> u8 {
        for (name, why) in &self.refused {
            anstream::eprintln!("keypulse: {name} is not added: failed to {why}");
        }
        let told = self.told.as_ref().map_or(0, Told::finish);
        told.max(u8::from(!self.refused.is_empty()))
    }
}

/// Adds what can be read and is not watched, and has the daemon take it up.
async fn write(context: &Context, found: &Discovery) -> Result<Entered, Exit> {
    let path = context.config_file()?;
    let (before, config) = configuration(&path)?;
    let households: Vec<Household> = offers::households(&found.logins, &config);
    let text = before.as_deref().unwrap_or(HEADER);
    let Written { text: after, added, refused } = offers::write(text, &path, &households).map_err(edit_failed)?;
    let told = if added.is_empty() {
        None
    } else {
        write_atomically(&path, before.as_deref(), &after).map_err(Exit::failed)?;
        Some(reload(context).await?)
    };
    Ok(Entered { added, refused, told })
}

/// One entry per login and service (contract, `discover --json`).
fn document(found: &Discovery) -> Value {
    let entry = |login: &Login| {
        let command = match &login.way {
            Way::Command(words) => Some(words),
            Way::Plain(_) | Way::Keyring(_) | Way::Unknown(_) => None,
        };
        json!({
            "program": login.program.as_str(),
            "file": login.file.as_ref().map(|file| file.to_string_lossy()),
            "line": login.line,
            "service": login.service.as_str(),
            "host": login.host,
            "username": login.username,
            "address": login.address.as_ref().map(Address::as_str),
            "secret": { "kind": login.way.kind(), "command": command },
        })
    };
    found.logins.iter().map(entry).collect()
}
