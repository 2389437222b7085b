//! The command line: what can be asked for, and the exit codes.
//!
//! One file per group of commands. This page holds the grammar; `context.rs` what every command needs; `exit.rs` how a command
//! ends.

pub mod add;
pub mod advice;
mod attempts;
mod chronicle;
pub mod completions;
pub mod config;
mod context;
pub mod demo;
pub mod discover;
pub mod doctor;
pub mod exit;
pub mod explain;
pub mod history;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod hostile;
mod keep;
pub mod line;
pub mod list;
pub mod man;
pub mod notify_test;
mod obtain;
mod post;
mod progress;
mod prompt;
pub mod quiet;
mod ration;
pub mod rehearse;
pub mod remove;
pub mod replace;
pub mod report;
mod run;
pub mod service;
pub mod setup;
mod status;
pub mod style;
pub mod table;
mod tell;
mod verify;
mod watch;

pub use exit::Exit;

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::duration,
    health::name::{Address, CredentialName},
    host::harden::harden,
};

/// Watches the Apple app-specific passwords that your programs use for iCloud Mail, and tells you when one has been revoked.
#[derive(Debug, Parser)]
#[command(name = "keypulse", version, after_help = AFTER, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER: &str = "Without a command: `keypulse status`.

Exit codes of status and check: 0 all ok, 1 something in warning, 2 something critical, 3 cannot tell.
Everywhere: 64 wrong usage or unknown name, 78 wrong configuration, 70 internal error, 1 other failures.";

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Use this configuration file [env: KEYPULSE_CONFIG]
    #[arg(long, global = true, value_name = "FILE", display_order = 90)]
    pub config: Option<PathBuf>,
    /// Use the daemon on this socket [env: KEYPULSE_SOCKET]
    #[arg(long, global = true, value_name = "FILE", display_order = 91)]
    pub socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set keypulse up, step by step: passwords, a test notification, the service
    Setup(setup::SetupArgs),
    /// Show how each password is (the daemon's view, or the stored one where none runs)
    Status(StatusArgs),
    /// Log in with each password now (through the daemon, or by itself where none runs)
    Check(CheckArgs),
    /// Say by exit code whether programs may go on using a password
    ///
    /// Silent. 1 only while the password is revoked or rejected, else 0, so that `keypulse ok mbsync && mbsync -a` stops
    /// knocking with a dead password and is in nobody's way otherwise.
    Ok(OkArgs),
    /// Say why a password is called what it is: every login, what it meant, which rule decided, what would change it
    Explain(explain::ExplainArgs),
    /// Show what changed so far, the oldest first
    ///
    /// From the daemon, or from the stored state where none runs. JSON lines come the newest first.
    History(history::HistoryArgs),
    /// Show what changes from now on, until Ctrl-C or the daemon's end
    Events(history::EventsArgs),
    /// Find iCloud logins in the configuration of your programs
    Discover(discover::DiscoverArgs),
    /// Take a password, try it on both servers, store it and watch it
    Add(add::AddArgs),
    /// Take the new password for each one that died, in turn: opens Apple's page, tries, stores, next
    Replace(replace::ReplaceArgs),
    /// Show where each password is used and kept, and how old it is
    List(list::ListArgs),
    /// Stop watching a password; also removes it from the keyring where keypulse put it
    Remove(remove::RemoveArgs),
    /// Say nothing about dead passwords for a while
    ///
    /// Their notification goes from the desktop and comes back when the time is over, if they are still dead.
    Snooze(quiet::SnoozeArgs),
    /// Take a snooze back: its message stands on the desktop again
    Unsnooze(quiet::UnsnoozeArgs),
    /// Stop logins and reminders that keypulse makes by itself
    Pause(quiet::PauseArgs),
    /// End a pause: all that fell due meanwhile is done now
    Resume,
    /// Run the daemon in the foreground
    Run,
    /// Have keypulse run in the background whenever you are logged in
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Send a test message and say who took it
    NotifyTest(notify_test::NotifyTestArgs),
    /// Check everything that keypulse needs, and say what to do where it is not there
    Doctor(doctor::DoctorArgs),
    /// Print what helps others to help you, without names and passwords
    Report(report::ReportArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print what a shell needs to complete commands and options
    Completions(completions::CompletionsArgs),
    /// Print or write the manual pages
    Man(man::ManArgs),
    /// Show what keypulse does, on a simulated iCloud: a main password reset, the notification, the repair
    Demo(demo::DemoArgs),
    /// Try your own policy and channels on a simulated iCloud: what would be said, when, to whom; and is it right?
    Rehearse(rehearse::RehearseArgs),
}

/// `keypulse status`.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "Exit codes of table and json: 0 all ok, 1 something in warning, 2 something critical, 3 cannot tell.
The other formats: 0 once they are printed, because bars hide what fails."
)]
pub struct StatusArgs {
    /// Only these credentials
    #[arg(value_name = "NAME", value_parser = name)]
    pub names: Vec<CredentialName>,
    /// How to show it
    #[arg(long, value_enum, default_value_t, conflicts_with = "json")]
    pub format: Format,
    /// The same as --format json
    #[arg(long)]
    pub json: bool,
    /// Show it again whenever it changes: the table in place, other formats a line per change
    #[arg(long)]
    pub watch: bool,
}

impl StatusArgs {
    const fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How `status` shows things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// The status document
    Json,
    /// One line, for bars such as polybar and i3status
    Oneline,
    /// An object for a custom module of Waybar
    Waybar,
    /// Metrics in Prometheus's text format
    Prometheus,
}

/// `keypulse check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Only these credentials; a password known to be dead is tried only if it is named
    #[arg(value_name = "NAME", value_parser = name)]
    pub names: Vec<CredentialName>,
    /// Print the status document
    #[arg(long)]
    pub json: bool,
}

/// `keypulse ok`.
#[derive(Debug, Args)]
pub struct OkArgs {
    /// Which credential
    #[arg(value_name = "NAME")]
    pub name: String,
    /// 0 only while it is healthy or degraded; 64 for an unknown name, 78 for a wrong configuration
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the configuration and say what is wrong with it
    Check(JsonArgs),
    /// Say where the configuration is
    Path(JsonArgs),
    /// Print the configuration in effect, with all defaults
    Show(JsonArgs),
}

#[derive(Debug, Args)]
struct JsonArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A credential's name on the command line.
pub(crate) fn name(text: &str) -> Result<CredentialName, String> {
    CredentialName::new(text).map_err(ToOwned::to_owned)
}

/// A duration on the command line, as in the configuration.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| format!("{error}; {}", error.remedy()))
}

/// An address on the command line.
pub(crate) fn address(text: &str) -> Result<Address, String> {
    Address::new(text).map_err(ToOwned::to_owned)
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    harden();
    exit::finish(dispatch(std::env::args_os()))
}

fn dispatch(arguments: impl IntoIterator<Item = OsString>) -> Result<u8, Exit> {
    let cli = Cli::try_parse_from(arguments).map_err(Exit::Usage)?;
    let context = context::Context::new(&cli.global);
    match cli.command.unwrap_or_else(|| Command::Status(StatusArgs::default())) {
        Command::Status(arguments) => status::status(&context, &arguments),
        Command::Check(arguments) => status::check(&context, &arguments),
        Command::Ok(arguments) => status::ok(&context, &arguments),
        Command::Explain(arguments) => explain::explain(&context, &arguments),
        Command::History(arguments) => history::history(&context, &arguments),
        Command::Events(arguments) => history::events(&context, &arguments),
        Command::Setup(arguments) => setup::setup(&context, &arguments),
        Command::Discover(arguments) => discover::discover(&context, &arguments),
        Command::Add(arguments) => add::add(&context, &arguments),
        Command::Replace(arguments) => replace::replace(&context, &arguments),
        Command::List(arguments) => list::list(&context, &arguments),
        Command::Remove(arguments) => remove::remove(&context, &arguments),
        Command::Snooze(arguments) => quiet::snooze(&context, &arguments),
        Command::Unsnooze(arguments) => quiet::unsnooze(&context, &arguments),
        Command::Pause(arguments) => quiet::pause(&context, &arguments),
        Command::Resume => quiet::resume(&context),
        Command::Run => run::run(&context),
        Command::Service(command) => service::service(&context, &command),
        Command::NotifyTest(arguments) => notify_test::notify_test(&context, &arguments),
        Command::Config(command) => {
            let path = context.config_file()?;
            let (answer, json) = match command {
                ConfigCommand::Check(JsonArgs { json }) => match config::check(&path) {
                    Err(error) if json => {
                        // What is wrong goes to standard error as it always does; programs read it here.
                        context::print(&format!("{:#}\n", config::wrong(&path, &error)))?;
                        return Err(error.into());
                    }
                    answer => (answer?, json),
                },
                ConfigCommand::Path(JsonArgs { json }) => (config::path(&path), json),
                ConfigCommand::Show(JsonArgs { json }) => (config::show(&path)?, json),
            };
            let text = if json { format!("{:#}\n", answer.json) } else { answer.text };
            context::print(&text)?;
            Ok(0)
        }
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => man::man(&arguments),
        Command::Report(arguments) => report::report(&context, &arguments),
        Command::Doctor(arguments) => doctor::doctor(&context, &arguments),
        Command::Demo(arguments) => demo::demo(&cli.global, &arguments),
        Command::Rehearse(arguments) => rehearse::rehearse(&context, &arguments),
    }
}
