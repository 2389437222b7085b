//! `keypulse setup`: the guided first run.
//!
//! Decides the order of the steps and that each can be skipped; what a step does is the business of the command of its own.
//! A step is done whole or not at all, so that Ctrl-C leaves nothing half-done and setup can be run again.

mod passwords;

use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep};

use super::{
    Exit,
    context::{Context, block_on, print_table},
    exit, notify_test,
    progress::Progress,
    prompt::{self, Interrupts},
    service::{self, InstallArgs},
    status::{alone, current},
};
use crate::{api::ClientError, config};

const ABOUT: &str =
    "Looks for iCloud logins in your programs and offers to watch them, or asks for an address and an app-specific \
                     password; tries it; stores it in the keyring; sends a test notification; installs and starts the \
                     service. Every step can be skipped, and it can be run again.

Exit codes: 0 done; 64 this is no terminal; 78 wrong configuration; 130 stopped with Ctrl-C.";

/// How long a service that was started may take to answer.
const START: Duration = Duration::from_secs(15);
/// How long its first round is waited for.
const FIRST_ROUND: Duration = Duration::from_secs(60);

/// `keypulse setup`.
#[derive(Debug, Args)]
#[command(after_help = ABOUT)]
pub struct SetupArgs {}

pub(super) fn setup(context: &Context, SetupArgs {}: &SetupArgs) -> Result<u8, Exit> {
    if !prompt::has_person() {
        return Err(Exit::misuse(
            "setup asks questions, and this is no terminal",
            "these do the same without questions:
  keypulse discover --write                       watch what your programs have
  keypulse add NAME --account ADDRESS --stdin     or a password of your own
  keypulse notify-test
  keypulse service install
  keypulse status",
        ));
    }
    // A configuration that is wrong is for the person to put right first.
    match config::load(&context.config_file()?) {
        Err(error) if !error.is_missing() => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    prompt::say(
        "keypulse logs in with your app-specific passwords from time to time, and tells you when one has died.",
    )?;
    prompt::say("Every step can be skipped; Ctrl-C stops, and what was stored stays stored.")?;
    for step in [watch as Step, notify, serve, show] {
        match step(context) {
            Ok(()) => {}
            // It was said; what comes next does not depend on it.
            Err(Exit::Code(code)) if code < 128 => {}
            Err(stopped @ (Exit::Code(_) | Exit::ClosedPipe)) => return Err(stopped),
            Err(failed) => {
                exit::tell(&failed);
            }
        }
    }
    Ok(0)
}

/// Done whole, or not at all.
type Step = fn(&Context) -> Result<(), Exit>;

/// A question or a wait that Ctrl-C ends, and setup with it.
async fn stoppable<T>(interrupts: &mut Interrupts, work: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
    interrupts.race(work).await.unwrap_or_else(|interrupted| {
        prompt::say("\nStopped; what was stored stays stored. Go on any time: keypulse setup")?;
        Err(Exit::Code(interrupted.code()))
    })
}

/// A yes or no in a step that has no runtime of its own.
fn asked(question: &str) -> Result<bool, Exit> {
    block_on(async {
        let mut interrupts = Interrupts::listen()?;
        stoppable(&mut interrupts, prompt::yes(question, true)).await
    })
}

fn watch(context: &Context) -> Result<(), Exit> {
    prompt::say("\nPasswords")?;
    passwords::watch(context)
}

fn notify(_: &Context) -> Result<(), Exit> {
    prompt::say("\nNotification")?;
    block_on(async {
        let mut interrupts = Interrupts::listen()?;
        if !stoppable(&mut interrupts, prompt::yes("Send a test notification?", true)).await? {
            return Ok(());
        }
        let mut shown = None;
        let seen = stoppable(&mut interrupts, async {
            let answer = notify_test::show(&mut shown).await;
            answer.tell()?;
            if !answer.taken {
                return Ok(true);
            }
            prompt::yes("Did you see it?", true).await
        });
        let seen = seen.await;
        if let Some(shown) = &shown {
            notify_test::withdraw(shown).await;
        }
        if !seen? {
            prompt::say(
                "Look for a \"Do Not Disturb\" of your desktop, and whether its settings let keypulse show messages; then try \
                 `keypulse notify-test`. [notify.hook] in the configuration tells you in another way.",
            )?;
        }
        Ok(())
    })
}

fn serve(context: &Context) -> Result<(), Exit> {
    prompt::say("\nService")?;
    if config::load(&context.config_file()?).is_err_and(|error| error.is_missing()) {
        return prompt::say("Nothing is watched yet, so there is nothing to run: `keypulse setup` goes on from here.");
    }
    if !asked("Have keypulse run in the background, now and at every login?")? {
        return prompt::say("`keypulse service install` does it later; `keypulse run` runs it in this terminal.");
    }
    service::install(context, &InstallArgs { dry_run: false }).map(drop)
}

/// How things stand, once what runs has had its first round.
fn show(context: &Context) -> Result<(), Exit> {
    if config::load(&context.config_file()?).is_err_and(|error| error.is_missing()) {
        return Ok(());
    }
    prompt::say("")?;
    block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let client = context.client()?;
        let document = stoppable(&mut interrupts, async {
            let _progress = Progress::start("first round".to_owned());
            let deadline = Instant::now() + START;
            loop {
                match client.check(&[], FIRST_ROUND).await {
                    Ok(checked) => return Ok(checked.document),
                    // Just started: its socket is not there yet.
                    Err(ClientError::NoDaemon { .. }) if service::is_active() && Instant::now() < deadline => {
                        sleep(Duration::from_millis(100)).await;
                    }
                    Err(ClientError::NoDaemon { .. }) => return alone(context, &[]).await,
                    Err(_) => return current(context).await,
                }
            }
        });
        print_table(&document.await?)
    })
}
