//! `keypulse add`: takes a password, tries it, stores it, writes the configuration and tells the daemon.
//!
//! Decides the order: everything that can fail without the password comes before it is asked for, everything that can fail
//! without a trace before something is written, and the keyring before the configuration. Nothing is left half-done.

use std::{
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

use clap::Args;

use super::{
    Exit, address, advice,
    context::{Context, block_on, print},
    name,
    prompt::{self, Interrupts, NOTHING_CHANGED},
    tell::{Told, check_now, reload},
    verify::{self, Trial},
};
use crate::{
    config::{
        self, Account, Config, Credential, default_secret,
        edit::{EditError, add_credential, write_atomically},
    },
    daemon::Paths,
    health::{
        evidence::{PerService, Service, Services},
        name::{Address, CredentialName},
    },
    secret::{AppPassword, Asked, Malformed, Reader, Source, Unavailable},
};

const EXAMPLES: &str = "The password is an app-specific one, xxxx-xxxx-xxxx-xxxx; make it at account.apple.com → Sign-In and \
                        Security → App-Specific Passwords. It is tried on the servers, one login each, and stored only if \
                        they accept it. For a NAME that is there, it takes the place of the old one.

Examples:
  keypulse add thunderbird --account johnappleseed@icloud.com --app Thunderbird
  pass show icloud/nas | keypulse add nas --account johnappleseed@icloud.com --stdin
  keypulse add mutt --account johnappleseed@icloud.com --secret-command pass show icloud/mutt

Exit codes: 0 stored; 1 refused, not tried or not stored, and nothing changed; 64 wrong usage; 78 wrong configuration.";

/// What a new configuration file begins with.
const HEADER: &str = "# keypulse's configuration. `keypulse config show` prints every key in effect; config.example.toml explains \
                      them.\n\n";

/// `keypulse add`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AddArgs {
    /// What you call it, such as thunderbird or nas
    #[arg(value_name = "NAME", value_parser = name)]
    name: CredentialName,
    /// The iCloud Mail address that it logs in to
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    account: Address,
    /// The program that uses it, as you want to read it in messages
    #[arg(long, value_name = "TEXT", value_parser = app)]
    app: Option<String>,
    /// What the program uses it for: imap, smtp or both [default: imap,smtp]
    #[arg(long, value_name = "SERVICES", value_delimiter = ',', value_parser = service)]
    services: Vec<Service>,
    /// Read the password from standard input, one line, instead of asking for it
    #[arg(long, conflicts_with_all = ["secret_command", "secret_file"])]
    stdin: bool,
    /// Leave the password where it is: the command that prints it. Comes last; all that follows belongs to it
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true, conflicts_with = "secret_file")]
    secret_command: Vec<String>,
    /// Leave the password where it is: the file whose first line it is
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Store it without trying it
    #[arg(long)]
    no_verify: bool,
}

fn service(text: &str) -> Result<Service, String> {
    let found = Service::ALL.into_iter().find(|service| service.as_str() == text);
    found.ok_or_else(|| "the services are imap and smtp".to_owned())
}

fn app(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("write 1 to 256 characters, in one line without tabs".to_owned()) }
}

pub(super) fn add(context: &Context, arguments: &AddArgs) -> Result<u8, Exit> {
    block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let plan = Plan::make(context.paths()?, arguments)?;
        let reader = Reader::new();
        // Up to here nothing is written anywhere. What follows is short and is carried through.
        let password = interrupts.or(NOTHING_CHANGED, plan.password(context, &reader, arguments)).await?;
        plan.store(&reader, &password).await?;
        drop(password);
        interrupts.or("the password is stored", plan.tell(context, arguments)).await
    })
}

/// What is going to be done, found out before the password is asked for.
struct Plan {
    paths: Paths,
    config: Config,
    /// With its user names; perhaps not configured yet.
    account: Account,
    credential: Credential,
    step: Step,
}

enum Step {
    /// Into the configuration: the text that was there, if any, and the one that shall be.
    Enter { before: Option<String>, after: String },
    /// The credential is there; only its password is new.
    Replace,
}

impl Plan {
    fn make(paths: Paths, arguments: &AddArgs) -> Result<Self, Exit> {
        let before = match config::read(&paths.config) {
            Ok(text) => Some(text),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error.into()),
        };
        let text = before.as_deref().unwrap_or(HEADER);
        let config = config::parse(text, &paths.config)?;
        if let Some((account, credential)) = config.find(&arguments.name) {
            let (account, credential) = (account.clone(), credential.clone());
            refuse_other_changes(&account, &credential, arguments, &paths.config)?;
            return Ok(Self { paths, config, account, credential, step: Step::Replace });
        }
        let credential = Credential {
            name: arguments.name.clone(),
            app: arguments.app.clone(),
            services: services(&arguments.services),
            secret: source(arguments)?,
            any_shape: false,
        };
        let after = add_credential(text, &paths.config, &arguments.account, None, &credential).map_err(edit_failed)?;
        let known = config.accounts.iter().find(|account| account.address == arguments.account);
        let account = known.cloned().unwrap_or_else(|| new_account(&arguments.account));
        Ok(Self { paths, config, account, credential, step: Step::Enter { before, after } })
    }

    /// The password: asked for or read, and tried.
    async fn password(
        &self,
        context: &Context,
        reader: &Reader,
        arguments: &AddArgs,
    ) -> Result<Arc<AppPassword>, Exit> {
        let Credential { name, secret, any_shape, .. } = &self.credential;
        let password = match secret {
            Source::Keyring { service, username } => {
                reader.open_keyring(service, username).await.map_err(|why| no_keyring(&why))?;
                let question = format!("App-specific password for {name} ({}), not shown: ", self.account.address);
                let typed = prompt::password(question, arguments.stdin).await?;
                let taken = if *any_shape { AppPassword::any_shape(&typed) } else { AppPassword::parse(&typed) };
                taken.map_err(malformed)?
            }
            Source::Attributes(_) | Source::Command(_) | Source::File(_) | Source::Program(_) => {
                let read = reader.read(secret, *any_shape, Asked::ByPerson).await;
                read.map_err(|why| unread(&why, secret))?
            }
        };
        let password = Arc::new(password);
        if !arguments.no_verify {
            let Self { config, paths, account, credential, .. } = self;
            let trial = Trial { config, paths, account, services: credential.services };
            verify::verify(context, &trial, Arc::clone(&password)).await?;
        }
        Ok(password)
    }

    /// Into the keyring first, then into the configuration; where the second fails, the first is undone.
    async fn store(&self, reader: &Reader, password: &AppPassword) -> Result<(), Exit> {
        let label = format!("keypulse: {} ({})", self.credential.name, self.account.address);
        let mut replaced = None;
        if let Source::Keyring { service, username } = &self.credential.secret {
            replaced = reader.read(&self.credential.secret, true, Asked::Background).await.ok();
            reader.store_in_keyring(service, username, &label, password).await.map_err(|why| no_keyring(&why))?;
        }
        let Step::Enter { before, after } = &self.step else { return Ok(()) };
        let written = write_atomically(&self.paths.config, before.as_deref(), after);
        if let (Err(_), Source::Keyring { service, username }) = (&written, &self.credential.secret) {
            let undone = match replaced {
                Some(old) => reader.store_in_keyring(service, username, &label, &old).await,
                None => reader.delete_from_keyring(service, username).await.map(drop),
            };
            if let Err(why) = undone {
                anstream::eprintln!("keypulse: the password stays in the keyring: {why}");
            }
        }
        written.map_err(Exit::failed)
    }

    /// Has the daemon take it up, and says what was done.
    async fn tell(&self, context: &Context, arguments: &AddArgs) -> Result<u8, Exit> {
        let name = &self.credential.name;
        let how = if arguments.no_verify { "not tried".to_owned() } else { accepted_by(self.credential.services) };
        let told = match self.step {
            Step::Enter { .. } => reload(context).await?,
            Step::Replace => check_now(context, name).await?,
        };
        let what = match (&self.step, &told) {
            (Step::Enter { .. }, Told::Yes(_)) => format!("{name} is watched: {how}"),
            (Step::Enter { .. }, Told::NoDaemon | Told::Failed(_)) => format!("{name} is stored: {how}"),
            (Step::Replace, Told::Yes(status)) => {
                let now = status.credentials().find(|credential| credential.name == *name);
                let now = now.map(|credential| format!("; it is {} now", credential.health)).unwrap_or_default();
                format!("{name} has its new password: {how}{now}")
            }
            (Step::Replace, Told::NoDaemon | Told::Failed(_)) => format!("{name} has its new password: {how}"),
        };
        print(&format!("{what}\n"))?;
        Ok(told.finish())
    }
}

/// `name` is there. Its password can be replaced where keypulse keeps it; everything else is the person's to edit.
fn refuse_other_changes(
    account: &Account,
    credential: &Credential,
    arguments: &AddArgs,
    file: &Path,
) -> Result<(), Exit> {
    let (name, file) = (&credential.name, file.display());
    if account.address != arguments.account {
        return Err(Exit::misuse(
            format!("{name} belongs to the account {} already", account.address),
            format!("choose another name for {}, or `keypulse remove {name}` first", arguments.account),
        ));
    }
    let moves = !arguments.secret_command.is_empty() || arguments.secret_file.is_some();
    let differs = arguments.app.is_some() && arguments.app != credential.app
        || !arguments.services.is_empty() && services(&arguments.services) != credential.services;
    if moves || differs {
        return Err(Exit::misuse(
            format!("{name} is configured already; add replaces its password and changes nothing else"),
            format!("edit its `app`, `services` or `secret` in {file}, or `keypulse remove {name}` and add it anew"),
        ));
    }
    let elsewhere = match &credential.secret {
        Source::Keyring { .. } => return Ok(()),
        Source::Attributes(_) => "in an item of the keyring that another program keeps".to_owned(),
        // Its arguments are not shown: one of them may be a secret.
        Source::Command(command) => {
            format!("where the command `{}` gets it", command.first().map_or("", String::as_str))
        }
        Source::File(path) => format!("in the file {}", path.display()),
        Source::Program(entry) => format!("in {}'s file {}", entry.name, entry.file.display()),
    };
    Err(Exit::because(
        format!("replace the password of {name}: it is kept {elsewhere}, not by keypulse"),
        format!("change it there, then `keypulse check {name}`; where it is kept says {file}"),
    ))
}

fn services(given: &[Service]) -> Services {
    if given.is_empty() {
        return Services::BOTH;
    }
    given.iter().fold(Services::NONE, |all, service| all.union(Services::only(*service)))
}

/// Where the password is or will be. What is found from here must be found from the daemon's directory, too.
fn source(arguments: &AddArgs) -> Result<Source, Exit> {
    if let Some(file) = &arguments.secret_file {
        return Ok(Source::File(absolute(file)?));
    }
    let mut command = arguments.secret_command.clone();
    let Some(program) = command.first_mut() else { return Ok(default_secret(&arguments.name)) };
    if program.contains('/') && !program.starts_with("~/") {
        let whole = absolute(&*program)?;
        *program = whole.to_str().map_or_else(|| program.clone(), str::to_owned);
    }
    Ok(Source::Command(command))
}

/// The user names that the configuration takes for an account of this address.
fn new_account(address: &Address) -> Account {
    let usernames = PerService { imap: address.local_part().to_owned(), smtp: address.as_str().to_owned() };
    Account { address: address.clone(), usernames, credentials: Vec::new() }
}

fn accepted_by(services: Services) -> String {
    let names: Vec<&str> = services.iter().map(verify::word).collect();
    format!("accepted by {}", names.join(" and "))
}

fn edit_failed(error: EditError) -> Exit {
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

fn no_keyring(why: &Unavailable) -> Exit {
    Exit::because(
        format!("use the keyring: {why}"),
        "nothing was stored; with --secret-file or --secret-command the password stays where you keep it",
    )
}

fn malformed(why: Malformed) -> Exit {
    let hint = format!("app-specific passwords are made here: {}; nothing was stored", advice::PATH);
    Exit::because(format!("take the password: {why}"), hint)
}

fn unread(why: &Unavailable, source: &Source) -> Exit {
    let in_one_word = matches!(source, Source::Command(words) if words.len() == 1
        && words.iter().any(|word| word.contains(char::is_whitespace)));
    let hint = if in_one_word {
        "write the command without quotes around it: --secret-command pass show icloud/mutt; nothing was stored"
    } else {
        "nothing was stored"
    };
    Exit::because(format!("read the password: {why}"), hint)
}
