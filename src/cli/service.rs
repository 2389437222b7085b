//! `keypulse service`: keypulse as a service of the person's own, started at login.
//!
//! Says each step as it is done, and does nothing that is done already. What the steps are on this system is
//! `host::manager`'s.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Exit,
    context::{Context, block_on, print},
    remove,
};
use crate::{
    api::ClientError,
    config::{self, default_secret, edit::write_atomically},
    host::manager::{Installation, ManagerError, Report, here},
};

/// `keypulse service …`.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Write the service file for this program, have it started at every login, and start it now
    Install(InstallArgs),
    /// Stop it and take the service file away; state, configuration and passwords stay
    Uninstall(UninstallArgs),
    /// Start it
    Start,
    /// Stop it until the next login or start
    Stop,
    /// Say how it is; exit code 0 only while it runs
    Status(StatusArgs),
}

/// `keypulse service install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Print the file and where it would go, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `keypulse service uninstall`.
#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// Delete the state, too, and the passwords that keypulse put into the keyring; the configuration stays
    #[arg(long)]
    purge: bool,
}

/// `keypulse service status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn service(context: &Context, command: &ServiceCommand) -> Result<u8, Exit> {
    match command {
        ServiceCommand::Install(arguments) => install(context, arguments),
        ServiceCommand::Uninstall(arguments) => uninstall(context, arguments),
        ServiceCommand::Start => {
            let file = installed(context)?;
            here::start(&file).map_err(not_started)?;
            print("keypulse runs\n").map(|()| 0)
        }
        ServiceCommand::Stop => {
            installed(context)?;
            here::stop().map_err(refused)?;
            print("keypulse is stopped; it starts again at the next login\n").map(|()| 0)
        }
        ServiceCommand::Status(arguments) => status(context, arguments),
    }
}

/// Writes the file, has it started at every login, and starts it. Also what `setup` ends with.
///
/// # Errors
/// Where a step fails; those before it are done, and doing it all again is safe.
pub(super) fn install(context: &Context, arguments: &InstallArgs) -> Result<u8, Exit> {
    let own = file(context)?;
    let installation = installation(context)?;
    let reached = here::reach();
    if !arguments.dry_run {
        // A service without a configuration would only fail.
        config::load(&context.config_file()?)?;
    }
    // Without a manager to ask, the file is shown as it would be where all works.
    let sandbox = reached.is_err() || here::sandbox_works();
    let text = here::render(&installation, sandbox);
    let file = place(own, &text);
    if arguments.dry_run {
        return print(&format!("# {}\n{text}", file.display())).map(|()| 0);
    }
    reached.map_err(unreachable)?;
    let written = write(&file, &text)?;
    // A package that was renewed exchanges its file, too, and tells no user manager; that one need not have noticed.
    let renewed =
        written || here::report().map_err(refused)?.outdated || !block_on(runs_this(context, &installation.program))?;
    let shown = file.display();
    print(&if written { format!("wrote {shown}\n") } else { format!("{shown} is in place\n") })?;
    if renewed {
        here::reread(&file).map_err(refused)?;
    }
    if !sandbox {
        print("  without its sandbox: user namespaces do not work on this machine\n")?;
    }
    let before = here::report().map_err(refused)?;
    if !before.enabled {
        here::enable(&file).map_err(refused)?;
        print("it starts at every login\n")?;
    }
    if !before.active {
        free_the_state(context)?;
        here::start(&file).map_err(not_started)?;
        print("started it\n")?;
    } else if renewed {
        here::restart(&file).map_err(not_started)?;
        print("restarted it\n")?;
    } else {
        print("it runs already\n")?;
    }
    if here::lingers() == Some(false) {
        print(
            "  it runs while you are logged in; for it to start at boot and to go on without you: loginctl enable-linger\n",
        )?;
    }
    Ok(0)
}

/// Whether the daemon that answers is this very program, and not one that it was renewed from since.
async fn runs_this(context: &Context, program: &Path) -> Result<bool, Exit> {
    let daemon = context.client()?.status(&[]).await.ok().and_then(|document| document.daemon);
    Ok(daemon.is_some_and(|daemon| {
        let this = daemon.program.is_some_and(|theirs| theirs.path == program && !theirs.replaced);
        this && daemon.version == env!("CARGO_PKG_VERSION")
    }))
}

/// Where the service file belongs: a package's that says the same serves where it is, and so is renewed with the package.
fn place(own: PathBuf, text: &str) -> PathBuf {
    let says_the_same = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|found| found == text);
    match here::report().ok().and_then(|report| report.file).filter(says_the_same) {
        Some(packaged) if !own.exists() => packaged,
        Some(_) | None => own,
    }
}

/// Whether the service manager runs it, as far as it can be asked.
pub(super) fn is_active() -> bool {
    here::report().is_ok_and(|report| report.active)
}

fn uninstall(context: &Context, arguments: &UninstallArgs) -> Result<u8, Exit> {
    let mut code = 0;
    if let Some(Found { file, own, .. }) = found(context)? {
        here::reach().map_err(unreachable)?;
        let report = here::report().map_err(refused)?;
        // Also one that waits for its next start.
        here::stop().map_err(refused)?;
        if report.active {
            print("stopped it\n")?;
        }
        if report.enabled {
            here::disable(&file).map_err(refused)?;
            print("it no longer starts at login\n")?;
        }
        if own {
            fs::remove_file(&file).map_err(|error| cannot("remove", &file, &error))?;
            print(&format!("removed {}\n", file.display()))?;
        } else {
            print(&format!("{} stays: it belongs to a package\n", file.display()))?;
        }
        here::reread(&file).map_err(refused)?;
        here::forget();
    } else {
        print(&format!("no service is installed: there is no {}\n", file(context)?.display()))?;
    }
    let paths = context.paths()?;
    if arguments.purge {
        code = purge(context)?;
    } else if paths.state.exists() {
        print(&format!("the state stays in {} (--purge deletes it)\n", paths.state.display()))?;
    }
    if paths.config.exists() {
        print(&format!("the configuration stays: {}\n", paths.config.display()))?;
    }
    Ok(code)
}

/// Deletes what keypulse put into the keyring, and the state.
fn purge(context: &Context) -> Result<u8, Exit> {
    let paths = context.paths()?;
    let daemon = block_on(async { Ok(context.client()?.status(&[]).await) })?;
    if !matches!(daemon, Err(ClientError::NoDaemon { .. })) {
        return Err(Exit::because(
            "delete the state: a keypulse outside the service uses it",
            "stop it (see `keypulse status`), then do this again",
        ));
    }
    let mut code = 0;
    // Without a configuration nobody knows of any item.
    if let Ok(config) = config::load(&paths.config) {
        let own = config.accounts.iter().flat_map(|account| &account.credentials);
        for credential in own.filter(|credential| credential.secret == default_secret(&credential.name)) {
            print(&format!("{}: ", credential.name))?;
            code = code.max(block_on(remove::delete(&credential.name, &credential.secret))?);
        }
    }
    match fs::remove_dir_all(&paths.state) {
        Ok(()) => print(&format!("deleted {}\n", paths.state.display()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => print("there was no state\n")?,
        Err(error) => return Err(cannot("delete", &paths.state, &error)),
    }
    Ok(code)
}

fn status(context: &Context, arguments: &StatusArgs) -> Result<u8, Exit> {
    let found = found(context)?;
    let exists = found.is_some();
    let own = file(context)?;
    let (file, report) = found.map_or((own, Report::default()), |found| (found.file, found.report));
    let current = exists && fs::read_to_string(&file).is_ok_and(|text| is_current(context, &text));
    let lingers = here::lingers();
    if arguments.json {
        let json = json!({
            "file": file.to_string_lossy(), "installed": exists, "current": current, "enabled": report.enabled,
            "active": report.active, "state": report.state, "pid": report.pid, "says": report.says, "lingers": lingers,
        });
        print(&format!("{json:#}\n"))?;
    } else if exists {
        let login = if report.enabled { "yes" } else { "no; `keypulse service install` changes that" };
        let process = report.pid.map_or(String::new(), |pid| format!(", process {pid}"));
        let mut lines = vec![file.display().to_string()];
        if !current {
            lines.push(
                "  it is not the one that this program installs: `keypulse service install` renews it".to_owned(),
            );
        }
        lines.extend([format!("at login  {login}"), format!("now       {}{process}", report.state)]);
        lines.extend(report.says.iter().map(|says| format!("says      {says}")));
        if lingers == Some(false) {
            lines.push("lingers   no: it runs while you are logged in (loginctl enable-linger)".to_owned());
        }
        lines.push(format!("log       {}\n", here::LOG));
        print(&lines.join("\n"))?;
    } else {
        print(&format!("not installed: there is no {}\n", file.display()))?;
        anstream::eprintln!("hint: `keypulse service install` installs and starts it");
    }
    Ok(u8::from(!report.active))
}

/// Whether the file says what this program would write, with or without the sandbox.
pub(super) fn is_current(context: &Context, text: &str) -> bool {
    installation(context).is_ok_and(|it| [true, false].iter().any(|sandbox| here::render(&it, *sandbox) == text))
}

/// Where the service file is or would be.
fn file(context: &Context) -> Result<PathBuf, Exit> {
    let homeless = || Exit::because("find the home directory: HOME is not set", "set HOME");
    here::file(context.environment()).ok_or_else(homeless)
}

/// A service file that is there, and what the manager says of the service.
struct Found {
    file: PathBuf,
    /// It is the person's, not a package's.
    own: bool,
    report: Report,
}

/// The service file, where there is one: the person's own, else the one that a package brought.
fn found(context: &Context) -> Result<Option<Found>, Exit> {
    let own = file(context)?;
    if own.exists() {
        return Ok(Some(Found { file: own, own: true, report: here::report().map_err(unreachable)? }));
    }
    // Without a manager there is nobody who would go by a package's.
    let report = here::report().unwrap_or_default();
    let packaged = report.file.clone().filter(|file| file.exists());
    Ok(packaged.map(|file| Found { file, own: false, report }))
}

/// The file, which must be there.
fn installed(context: &Context) -> Result<PathBuf, Exit> {
    if let Some(found) = found(context)? {
        return Ok(found.file);
    }
    let what = format!("find the service: there is no {}", file(context)?.display());
    Err(Exit::because(what, "`keypulse service install` installs and starts it"))
}

fn installation(context: &Context) -> Result<Installation, Exit> {
    let program = std::env::current_exe().map_err(|error| {
        Exit::because(format!("find the path of this program: {error}"), "start it by its whole path")
    })?;
    let (usual, paths, socket) = (context.usual()?, context.paths()?, context.socket()?);
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let odd = |path: PathBuf, usual: PathBuf| Some(absolute(path)).filter(|path| *path != usual);
    Ok(Installation {
        program,
        config: odd(paths.config, usual.config),
        socket: odd(socket, usual.socket),
        state: odd(paths.state, usual.state),
        home: usual.home,
    })
}

/// Writes the file unless it says that already; whether it did.
fn write(file: &Path, text: &str) -> Result<bool, Exit> {
    let before = match fs::read_to_string(file) {
        Ok(before) if before == text => return Ok(false),
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(cannot("read", file, &error)),
    };
    write_atomically(file, before.as_deref(), text).map_err(Exit::failed)?;
    Ok(true)
}

/// A daemon that somebody runs in a terminal holds the state: the service could not start.
fn free_the_state(context: &Context) -> Result<(), Exit> {
    let answer = block_on(async { Ok(context.client()?.status(&[]).await) })?;
    let Some(daemon) = answer.ok().and_then(|document| document.daemon) else { return Ok(()) };
    Err(Exit::because(
        format!("start the service: another keypulse runs as process {}", daemon.pid),
        "stop that one, then: keypulse service start",
    ))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Exit {
    Exit::because(format!("{what} {}: {error}", path.display()), "mend that, then do this again; it is safe to repeat")
}

fn refused(error: ManagerError) -> Exit {
    Exit::failed(error)
}

fn unreachable(error: ManagerError) -> Exit {
    Exit::Failed {
        error: Box::new(error),
        hint: Some(
            "there is no service manager of yours to ask: log in on the machine itself or with ssh (not su or sudo), or run \
             `keypulse run` by whatever starts programs here"
                .to_owned(),
        ),
    }
}

fn not_started(error: ManagerError) -> Exit {
    let hint = format!("why is in its log: {}; `keypulse config check` checks the configuration", here::LOG);
    Exit::Failed { error: Box::new(error), hint: Some(hint) }
}
