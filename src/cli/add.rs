//! `keypulse add`: takes a password, tries it, stores it, writes the configuration and tells the daemon.
//!
//! Decides the order: everything that can fail without the password comes before it is asked for, everything that can fail
//! without a trace before something is written, and the keyring before the configuration. Nothing is left half-done.

use std::path::{PathBuf, absolute};

use clap::Args;

use super::{
    Exit, address,
    context::{Context, block_on, print},
    keep::Entry,
    name,
    obtain::{self, Obtained, Way},
    prompt::{self, Interrupts, NOTHING_CHANGED},
    tell::{Told, now, taken_up},
    verify::{self, Accepted},
};
use crate::{
    config::{Credential, default_secret},
    daemon::Paths,
    health::{
        evidence::{Service, Services},
        name::{Address, CredentialName},
    },
    secret::{Reader, Source},
};

const EXAMPLES: &str = "The password is an app-specific one, xxxx-xxxx-xxxx-xxxx; make it at account.apple.com → Sign-In and \
                        Security → App-Specific Passwords. It is tried on the servers and stored only if they accept it, at the cost of \
                        at most 4 failed logins: with its dashes; after a wait, if you like; with the short and the full user \
                        name; last without dashes. What worked is remembered. For a NAME that is there, it takes the place of \
                        the old one.

Examples:
  keypulse add thunderbird --account johnappleseed@icloud.com --app Thunderbird
  pass show icloud/nas | keypulse add nas --account johnappleseed@icloud.com --stdin
  keypulse add mutt --account johnappleseed@icloud.com --secret-command pass show icloud/mutt

Exit codes: 0 stored; 1 refused, not tried or not stored, and nothing changed; 64 wrong usage; 78 wrong configuration.";

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
        let entry = entry(&context.paths()?, arguments)?;
        let reader = Reader::new();
        // Up to here nothing is written anywhere. What follows is short and is carried through.
        let accepted = interrupts.or(NOTHING_CHANGED, password(context, &reader, &entry, arguments)).await?;
        entry.store(&reader, &accepted).await?;
        interrupts.or("the password is stored", tell(context, &entry, &accepted)).await
    })
}

/// What is going to be done, found out before the password is asked for.
fn entry(paths: &Paths, arguments: &AddArgs) -> Result<Entry, Exit> {
    if let Some(entry) = Entry::named(paths, &arguments.name)? {
        refuse_other_changes(&entry, arguments)?;
        return Ok(entry);
    }
    let credential = Credential {
        name: arguments.name.clone(),
        app: arguments.app.clone(),
        services: services(&arguments.services),
        secret: source(arguments)?,
        any_shape: false,
    };
    Entry::new(paths, &arguments.account, credential)
}

/// The password: asked for or read, and tried.
async fn password(context: &Context, reader: &Reader, entry: &Entry, arguments: &AddArgs) -> Result<Accepted, Exit> {
    let way = Way { piped: arguments.stdin, untried: arguments.no_verify };
    let Source::Keyring { .. } = entry.credential.secret else {
        return obtain::read(context, reader, entry, way).await;
    };
    if !arguments.stdin {
        if !prompt::has_person() {
            return Err(Exit::misuse(
                "standard input is no terminal, so nobody can be asked for the password",
                "pipe it in and say --stdin: `pass show icloud/mutt | keypulse add mutt --account ADDRESS --stdin`; or leave it \
                 where it is with --secret-command or --secret-file",
            ));
        }
        if !arguments.no_verify {
            prompt::say(&verify::beforehand(&entry.config))?;
        }
    }
    let question =
        format!("App-specific password for {} ({}), not shown: ", entry.credential.name, entry.account.address);
    match obtain::typed(context, reader, entry, way, &question).await? {
        Obtained::Accepted(accepted) => Ok(accepted),
        Obtained::Nothing => Err(Exit::because("take the password: it is empty", NOTHING_CHANGED)),
    }
}

/// Has the daemon take it up, and says what was done.
async fn tell(context: &Context, entry: &Entry, accepted: &Accepted) -> Result<u8, Exit> {
    let name = &entry.credential.name;
    let how = accepted_by(accepted.by);
    let told = taken_up(context, entry, accepted).await?;
    let what = match (entry.is_new, &told) {
        (true, Told::Yes(_)) => format!("{name} is watched: {how}"),
        (true, Told::NoDaemon | Told::Failed(_)) => format!("{name} is stored: {how}"),
        (false, told) => format!("{name} has its new password: {how}{}", now(told, name)),
    };
    print(&format!("{what}\n"))?;
    Ok(told.finish())
}

/// `name` is there. Its password can be replaced where keypulse keeps it; everything else is the person's to edit.
fn refuse_other_changes(entry: &Entry, arguments: &AddArgs) -> Result<(), Exit> {
    let Entry { account, credential, .. } = entry;
    let (name, file) = (&credential.name, entry.paths.config.display());
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
        format!("`keypulse replace {name}` tells how and tries it; where it is kept says {file}"),
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

/// Who accepted it, in words.
pub(super) fn accepted_by(services: Services) -> String {
    if services == Services::NONE {
        return "not tried".to_owned();
    }
    let names: Vec<&str> = services.iter().map(verify::word).collect();
    format!("accepted by {}", names.join(" and "))
}
