//! `keypulse notify-test`: a test message to each channel, and who took it.
//!
//! Decides how long the desktop's message stands: some desktops (GNOME) take it away with the program that sent it, so the
//! command stays until the person closed the message or the wait is over, and then withdraws it itself. The same everywhere.

mod sample;

use std::{pin::pin, time::Duration};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    Exit,
    context::{Context, block_on, print},
    post::{self, Sent},
    progress::Progress,
    prompt::Interrupts,
};
use crate::{
    config::{self, Config},
    health::alert,
    host::{
        desktop::{Desktop, DesktopEvent, Notice, Offer},
        hook,
    },
};

/// How long the desktop may take to show it. The channel itself gives up earlier, with the reason.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a withdrawal may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// The test's incident. There is no other in this process.
const INCIDENT: u64 = 1;

/// `keypulse notify-test`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 every channel took it; 1 one did not, or there is none; 78 wrong configuration.")]
pub struct NotifyTestArgs {
    /// Only this channel, whether or not it is switched on
    #[arg(long, value_enum)]
    channel: Option<Channel>,
    /// How long the desktop's message stands unless you close it
    #[arg(long, value_name = "TIME", value_parser = super::duration, default_value = "10s")]
    wait: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A way to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    /// A notification on the desktop.
    Desktop,
    /// The program of notify.hook.command.
    Hook,
    /// E-mail, as notify.email says.
    Email,
}

pub(super) fn notify_test(context: &Context, arguments: &NotifyTestArgs) -> Result<u8, Exit> {
    let path = context.config_file()?;
    let config = match config::load(&path) {
        Err(error) if error.is_missing() => Config::default(),
        config => config?,
    };
    let channels = channels(&config, arguments.channel);
    if channels.is_empty() {
        return Err(Exit::because(
            "send a test message: no channel is switched on",
            format!(
                "set notify.desktop, notify.hook or notify.email in {}, or name one with --channel",
                path.display()
            ),
        ));
    }
    block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let mut desktop = None;
        let told = async {
            let mut answers = Vec::new();
            for channel in channels {
                let answer = match channel {
                    Channel::Desktop => show(&mut desktop).await,
                    Channel::Hook => run_hook(&config).await?,
                    Channel::Email => Box::pin(send_mail(context, &config)).await?,
                };
                if !arguments.json {
                    answer.tell()?;
                }
                answers.push(answer);
            }
            if arguments.json {
                let document = Document { schema: 1, channels: &answers };
                print(&format!("{}\n", serde_json::to_string_pretty(&document).map_err(Exit::failed)?))?;
            }
            if let Some(shown) = &mut desktop {
                until_closed(shown, arguments.wait).await;
            }
            Ok(u8::from(answers.iter().any(|answer| !answer.taken)))
        };
        let code = interrupts.or("the message is withdrawn", told).await;
        if let Some(shown) = &desktop {
            withdraw(shown).await;
        }
        code
    })
}

/// `notify-test --json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    channels: &'a [Answer],
}

/// What a channel made of the message.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    channel: Channel,
    /// It took it.
    pub(super) taken: bool,
    /// Who did, or why not.
    says: String,
    /// What to do where it did not.
    remedy: Option<String>,
}

impl Answer {
    fn taken(channel: Channel, says: impl Into<String>) -> Self {
        Self { channel, taken: true, says: says.into(), remedy: None }
    }

    fn not(channel: Channel, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { channel, taken: false, says: says.into(), remedy: Some(remedy.into()) }
    }

    /// For people.
    pub(super) fn tell(&self) -> Result<(), Exit> {
        let channel = match self.channel {
            Channel::Desktop => "desktop",
            Channel::Hook => "hook",
            Channel::Email => "email",
        };
        if self.taken {
            return print(&format!("{channel}: {}\n", self.says));
        }
        anstream::eprintln!("{channel}: {}", self.says);
        if let Some(remedy) = &self.remedy {
            anstream::eprintln!("hint: {remedy}");
        }
        Ok(())
    }
}

fn channels(config: &Config, named: Option<Channel>) -> Vec<Channel> {
    let on = |channel: &Channel| match channel {
        Channel::Desktop => config.notify.desktop,
        Channel::Hook => config.notify.hook.is_some(),
        Channel::Email => config.notify.email.is_some(),
    };
    match named {
        Some(channel) => vec![channel],
        None => [Channel::Desktop, Channel::Hook, Channel::Email].into_iter().filter(on).collect(),
    }
}

/// A message on the desktop, and what happens to it.
pub(super) type Shown = (Desktop, mpsc::Receiver<DesktopEvent>);

/// Shows it; keeps what it stands on in `shown`.
pub(super) async fn show(shown: &mut Option<Shown>) -> Answer {
    let (desktop, mut events) = Desktop::start(true);
    let offers = &[Offer::OpenAccount];
    desktop.show(Notice { incident: INCIDENT, message: alert::sample(), offers, silent: false, replaces: None });
    match answered(&mut events).await {
        Ok(()) => {
            *shown = Some((desktop, events));
            let by = Desktop::service().await.map(|service| format!(" by {service}")).unwrap_or_default();
            Answer::taken(Channel::Desktop, format!("shown{by}"))
        }
        Err(reason) => Answer::not(Channel::Desktop, format!("not shown: {reason}"), remedy(&reason)),
    }
}

/// Whether the desktop shows what it was just given; else why not.
pub(super) async fn answered(events: &mut mpsc::Receiver<DesktopEvent>) -> Result<(), String> {
    let answer = async {
        loop {
            match events.recv().await {
                Some(DesktopEvent::Shown { .. }) => return Ok(()),
                Some(DesktopEvent::Failed { reason, .. }) => return Err(reason),
                Some(
                    DesktopEvent::Appeared
                    | DesktopEvent::Vanished
                    | DesktopEvent::ClosedByPerson { .. }
                    | DesktopEvent::Lost { .. }
                    | DesktopEvent::Chosen { .. },
                ) => {}
                None => return Err("the desktop channel ended".to_owned()),
            }
        }
    };
    timeout(PATIENCE, pin!(answer)).await.unwrap_or_else(|_| Err("no answer".to_owned()))
}

/// Takes the message away.
pub(super) async fn withdraw((desktop, _): &Shown) {
    desktop.withdraw(INCIDENT, None);
    sleep(FAREWELL).await;
}

/// Until the person closed it, or it went with its service.
async fn until_closed((_, events): &mut Shown, wait: Duration) {
    let closed = async {
        while let Some(event) = events.recv().await {
            match event {
                DesktopEvent::ClosedByPerson { .. } | DesktopEvent::Lost { .. } => return,
                DesktopEvent::Shown { .. }
                | DesktopEvent::Failed { .. }
                | DesktopEvent::Appeared
                | DesktopEvent::Vanished
                | DesktopEvent::Chosen { .. } => {}
            }
        }
    };
    let _ = timeout(wait, closed).await;
}

pub(super) fn remedy(reason: &str) -> &'static str {
    // A service that could not be started: most often there is no screen.
    if reason.contains("no session bus") || reason.contains("failed to connect to") || reason.contains(".Spawn.") {
        "run it in a desktop session of your user (DBUS_SESSION_BUS_ADDRESS is set there); on a machine without one set \
         notify.desktop = false and use notify.hook or notify.email"
    } else if reason.contains("no notification service") {
        "start one: desktops such as GNOME and KDE bring theirs, elsewhere install dunst or mako; messages wait until it is \
         there"
    } else {
        "see whether other programs can show notifications; messages are sent again until one is shown"
    }
}

async fn run_hook(config: &Config) -> Result<Answer, Exit> {
    let Some(hook) = &config.notify.hook else {
        let example = "[notify.hook] command = [\"/path/to/program\", \"argument\"]";
        return Ok(Answer::not(Channel::Hook, "not run: none is configured", example));
    };
    Ok(match hook::run(&hook.command, sample::event()?).await {
        Ok(()) => Answer::taken(Channel::Hook, "it ran and ended well"),
        Err(error) => {
            let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            let given = "notify.hook.command gets the event as JSON on standard input and has 30 s";
            Answer::not(Channel::Hook, format!("failed: {error}{why}"), given)
        }
    })
}

async fn send_mail(context: &Context, config: &Config) -> Result<Answer, Exit> {
    let Some(email) = &config.notify.email else {
        let example = "[notify.email] to, from, and a server or a credential; config.example.toml shows it";
        return Ok(Answer::not(Channel::Email, "not sent: none is configured", example));
    };
    let progress = Progress::start("sending a test message by e-mail".to_owned());
    let sent = post::post(context, config, &alert::sample_mail(&post::sender()).test(), 1).await;
    drop(progress);
    Ok(match sent? {
        Sent::Taken(host) => {
            let client = context.client()?;
            // Where the daemon gave up, this is the reason to go on.
            if client.status(&[]).await.is_ok_and(|status| status.email.is_some()) {
                drop(client.reload().await);
            }
            Answer::taken(Channel::Email, format!("{host} took it for {}", email.to))
        }
        Sent::Not(why) | Sent::Never(why) => {
            Answer::not(Channel::Email, format!("not sent: {why}"), post::remedy(config))
        }
    })
}
