//! `keypulse replace`: the new password for every dead one, in turn.
//!
//! Decides which are dead, in which order they come, and what is left to do at the end. Each is stored once it was accepted and
//! before the next is asked for, so that an interruption loses nothing; the old one is kept until then.

mod foreign;
mod holders;

use clap::Args;

use super::{
    Exit,
    add::accepted_by,
    address, advice,
    context::{Context, block_on},
    exit,
    keep::Entry,
    name,
    obtain::{self, Obtained, Way},
    prompt::{self, Interrupts},
    status::{current, not_configured},
    style::printable,
    tell::{Told, now, taken_up},
    verify::{self, Accepted},
};
use crate::{
    api::StatusDocument,
    config::{self, Account, Config},
    daemon::Paths,
    health::{
        credential::Overall,
        evidence::Services,
        name::{Address, CredentialName},
    },
    host::browser,
    secret::{Reader, Source},
};

const EXAMPLES: &str = "Without names: every password that is dead. Apple's page is opened; each new password is tried on the \
                        servers, at the cost of at most 4 failed logins, and stored once it is accepted. The old one is kept \
                        until then. Where a program keeps its own password, keypulse says how to change it, waits until it \
                        has changed, and tries it. With --stdin, one line for each, in the order in which they are named, \
                        else that of the configuration.

Examples:
  keypulse replace
  keypulse replace --account johnappleseed@icloud.com
  pass show icloud/nas | keypulse replace nas --stdin

Exit codes: 0 all replaced, or none is dead; 1 some are not; 64 wrong usage or unknown name; 78 wrong configuration.";

/// `keypulse replace`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplaceArgs {
    /// Only these, dead or not
    #[arg(value_name = "NAME", value_parser = name)]
    names: Vec<CredentialName>,
    /// Only the dead ones of this account
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "names")]
    account: Option<Address>,
    /// Read each new password from standard input, one line each, instead of asking for it
    #[arg(long)]
    stdin: bool,
}

pub(super) fn replace(context: &Context, arguments: &ReplaceArgs) -> Result<u8, Exit> {
    block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let paths = context.paths()?;
        let config = config::load(&paths.config)?;
        let status = current(context).await?;
        let wanted = wanted(&config, &status, arguments)?;
        if wanted.is_empty() {
            return nothing_dead(&status, arguments);
        }
        if !arguments.stdin && !prompt::has_person() {
            return Err(Exit::misuse(
                "this is no terminal, so nobody can be asked for the new passwords",
                format!(
                    "run it in a terminal, or pipe in one line for each and say --stdin: {}",
                    wanted.iter().map(|target| target.name().as_str()).collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        let mut work = Work {
            context,
            paths: &paths,
            reader: Reader::new(),
            piped: arguments.stdin,
            opened: None,
            done: Vec::new(),
        };
        let stopped = work.all(&mut interrupts, &wanted).await?;
        let left = work.summary(&wanted)?;
        holders::say(&work.reader, &paths, &wanted).await?;
        Ok(stopped.unwrap_or(u8::from(left)))
    })
}

/// Credentials of one account that read the same password: they are replaced together.
#[derive(Debug)]
struct Target {
    account: Account,
    /// Never empty.
    names: Vec<CredentialName>,
    /// As people read them: the name, and the program where it is another word.
    shown: Vec<String>,
    services: Services,
    source: Source,
    /// One of them is dead.
    dead: bool,
}

impl Target {
    fn name(&self) -> &CredentialName {
        // Made with one name, and more are only added.
        self.names.first().unwrap_or_else(|| unreachable!("a target has a name"))
    }

    fn shown(&self) -> String {
        self.shown.join(", ")
    }
}

fn wanted(config: &Config, status: &StatusDocument, arguments: &ReplaceArgs) -> Result<Vec<Target>, Exit> {
    if let Some(unknown) = arguments.names.iter().find(|name| config.find(name).is_none()) {
        return Err(not_configured(unknown.as_str(), config));
    }
    if let Some(address) = &arguments.account
        && !config.accounts.iter().any(|account| account.address == *address)
    {
        let known: Vec<_> = config.accounts.iter().map(|account| account.address.as_str()).collect();
        return Err(Exit::misuse(
            format!("no account has the address {address}"),
            format!("there are: {}", known.join(", ")),
        ));
    }
    let dead = |name: &CredentialName| {
        status.credentials().any(|credential| credential.name == *name && credential.health.is_dead())
    };
    let all = config.accounts.iter().flat_map(|account| account.credentials.iter().map(move |it| (account, it)));
    let mut chosen: Vec<_> = all
        .filter(|(account, credential)| match (&arguments.account, &*arguments.names) {
            (Some(address), _) => account.address == *address && dead(&credential.name),
            (None, []) => dead(&credential.name),
            (None, names) => names.contains(&credential.name),
        })
        .collect();
    // As they were named: that is how lines are piped in.
    let place = |name: &CredentialName| arguments.names.iter().position(|named| named == name);
    chosen.sort_by_key(|(_, credential)| place(&credential.name));
    let mut targets: Vec<Target> = Vec::new();
    for (account, credential) in chosen {
        let shown = match &credential.app {
            Some(app) if !app.eq_ignore_ascii_case(credential.name.as_str()) => {
                format!("{} ({})", credential.name, printable(app))
            }
            Some(_) | None => credential.name.to_string(),
        };
        let same =
            |target: &&mut Target| target.account.address == account.address && target.source == credential.secret;
        if let Some(target) = targets.iter_mut().find(same) {
            target.names.push(credential.name.clone());
            target.shown.push(shown);
            target.services = target.services.union(credential.services);
            target.dead |= dead(&credential.name);
        } else {
            targets.push(Target {
                account: account.clone(),
                names: vec![credential.name.clone()],
                shown: vec![shown],
                services: credential.services,
                source: credential.secret.clone(),
                dead: dead(&credential.name),
            });
        }
    }
    Ok(targets)
}

fn nothing_dead(status: &StatusDocument, arguments: &ReplaceArgs) -> Result<u8, Exit> {
    let of = arguments.account.as_ref().map(|address| format!(" of {address}")).unwrap_or_default();
    prompt::say(&format!("No password{of} is dead: there is nothing to replace."))?;
    if status.credentials().any(|credential| credential.health.overall() != Overall::Ok) {
        prompt::say("Some are not well for other reasons; `keypulse status` says which.")?;
    }
    Ok(0)
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Replaced,
    Skipped,
    Failed,
}

struct Work<'a> {
    context: &'a Context,
    paths: &'a Paths,
    reader: Reader,
    piped: bool,
    /// The account whose page was opened.
    opened: Option<Address>,
    /// In the order of the targets.
    done: Vec<Done>,
}

impl Work<'_> {
    /// One after the other; the exit code where the person stopped it.
    async fn all(&mut self, interrupts: &mut Interrupts, targets: &[Target]) -> Result<Option<u8>, Exit> {
        if !self.piped
            && let Some(first) = targets.first()
        {
            let entry = self.entry(first)?;
            prompt::say(&verify::beforehand(&entry.config))?;
        }
        for (at, target) in targets.iter().enumerate() {
            // Read anew: what the one before taught stands in it.
            let entry = self.entry(target)?;
            let headline = format!("\n{} of {}  {}, {}", at + 1, targets.len(), target.shown(), target.account.address);
            let taken = match interrupts.race(self.take(target, &entry, &headline)).await {
                Ok(taken) => taken,
                Err(interrupted) => {
                    prompt::say("\nStopped; what was stored stays stored.")?;
                    return Ok(Some(interrupted.code()));
                }
            };
            match taken {
                Ok(Some(accepted)) => {
                    // Carried through.
                    if let Err(error) = entry.store(&self.reader, &accepted).await {
                        exit::tell(&error);
                        self.done.push(Done::Failed);
                        continue;
                    }
                    self.done.push(Done::Replaced);
                    if let Err(interrupted) = interrupts.race(self.stored(target, &entry, &accepted)).await {
                        return Ok(Some(interrupted.code()));
                    }
                }
                Ok(None) => self.done.push(Done::Skipped),
                Err(Exit::ClosedPipe) => return Err(Exit::ClosedPipe),
                Err(error) => {
                    exit::tell(&error);
                    self.done.push(Done::Failed);
                }
            }
        }
        Ok(None)
    }

    fn entry(&self, target: &Target) -> Result<Entry, Exit> {
        let named = Entry::named(self.paths, target.name())?;
        let mut entry = named.ok_or_else(|| {
            Exit::because(format!("replace {}: it is no longer configured", target.name()), "run it again")
        })?;
        entry.credential.services = target.services;
        Ok(entry)
    }

    /// The new password of one; `None` where the person skips it.
    async fn take(&mut self, target: &Target, entry: &Entry, headline: &str) -> Result<Option<Accepted>, Exit> {
        prompt::say(headline)?;
        let Source::Keyring { .. } = target.source else {
            if self.piped {
                return foreign::once(self.context, &self.reader, target, entry).await.map(Some);
            }
            self.open_page(target).await?;
            return foreign::until_changed(self.context, &self.reader, target, entry).await;
        };
        let way = Way { piped: self.piped, untried: false };
        if !self.piped {
            self.open_page(target).await?;
        }
        let question = "  New password, not shown (Enter alone skips): ";
        match obtain::typed(self.context, &self.reader, entry, way, question).await? {
            Obtained::Accepted(accepted) => Ok(Some(accepted)),
            Obtained::Nothing if self.piped => Err(Exit::because(
                format!("replace {}: standard input has no line for it", target.name()),
                "pipe in one line for each",
            )),
            Obtained::Nothing => Ok(None),
        }
    }

    /// Once per account: it lists all passwords of the account.
    async fn open_page(&mut self, target: &Target) -> Result<(), Exit> {
        let address = &target.account.address;
        if self.opened.as_ref() != Some(address) {
            let opened = browser::has_screen() && browser::open_account().await.is_ok();
            let how = if opened { "Opened in your browser" } else { "Open" };
            prompt::say(&format!("  {how}: {}", browser::ACCOUNT_PAGE))?;
            prompt::say(&format!("  {}", advice::PATH.split_once(" → ").map_or(advice::PATH, |(_, path)| path)))?;
            self.opened = Some(address.clone());
        }
        prompt::say(&format!("  A label to know it by: {}", label(target.name())))
    }

    /// Tells the daemon, and the person what is left to do.
    async fn stored(&self, target: &Target, entry: &Entry, accepted: &Accepted) -> Result<(), Exit> {
        let name = target.name();
        let told = taken_up(self.context, entry, accepted).await?;
        let own = matches!(target.source, Source::Keyring { .. });
        let stored = if own { ", stored" } else { "" };
        prompt::say(&format!("  ✓ {}{stored}{}", accepted_by(accepted.by), now(&told, name)))?;
        if own && !self.piped {
            prompt::say(&format!(
                "  Put it into {}, too, while you have it: Apple shows it only once.",
                target.shown()
            ))?;
        }
        if let Told::Failed(_) = told {
            told.finish();
        }
        Ok(())
    }

    /// What was done and what is left; whether anything is.
    fn summary(&self, targets: &[Target]) -> Result<bool, Exit> {
        let these = |which: Option<Done>| {
            let all = targets.iter().enumerate().filter(|(at, _)| self.done.get(*at).copied() == which);
            all.flat_map(|(_, target)| target.names.iter().map(ToString::to_string)).collect::<Vec<_>>()
        };
        prompt::say("")?;
        for (which, word) in [
            (Some(Done::Replaced), "Replaced"),
            (Some(Done::Skipped), "Skipped"),
            (Some(Done::Failed), "Not replaced"),
            (None, "Not reached"),
        ] {
            let names = these(which);
            if !names.is_empty() {
                prompt::say(&format!("{word}: {}", names.join(", ")))?;
            }
        }
        let left = self.done.len() < targets.len() || self.done.iter().any(|done| *done != Done::Replaced);
        if left {
            prompt::say("Go on any time: keypulse replace")?;
        }
        Ok(left)
    }
}

/// What to call it on Apple's page, so that a person knows years later what it is for.
fn label(name: &CredentialName) -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let host = host.split('.').next().unwrap_or_default();
    ["keypulse", host, name.as_str()].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
