//! `keypulse notify-test`: a test message to each channel, and who took it.
//!
//! Decides how long the desktop's message stands: some desktops (GNOME) take it away with the program that sent it, so the
//! command stays until the person closed the message or the wait is over, and then withdraws it itself. The same everywhere.

use std::{pin::pin, time::Duration};

use clap::{Args, ValueEnum};
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
    api::{IncidentEvent, IncidentMessage},
    config::{self, Config},
    health::{
        alert,
        credential::Health,
        evidence::{Finding, Service},
        incident::{Incident, IncidentCause},
        name::{Address, CredentialName},
        schedule::Timestamp,
        view::{AccountStatus, CredentialStatus, ServiceStatus},
    },
    host::{
        clock::Clock,
        desktop::{Desktop, DesktopEvent, Notice, Offer},
        hook::{self, HookEvent},
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
}

/// A way to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
        let mut all_took_it = true;
        let told = async {
            for channel in channels {
                let took_it = match channel {
                    Channel::Desktop => show(&mut desktop).await?,
                    Channel::Hook => run_hook(&config).await?,
                    Channel::Email => Box::pin(send_mail(context, &config)).await?,
                };
                all_took_it &= took_it;
            }
            if let Some(shown) = &mut desktop {
                until_closed(shown, arguments.wait).await;
            }
            Ok(u8::from(!all_took_it))
        };
        let code = interrupts.or("the message is withdrawn", told).await;
        if let Some(shown) = &desktop {
            withdraw(shown).await;
        }
        code
    })
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
pub(super) async fn show(shown: &mut Option<Shown>) -> Result<bool, Exit> {
    let (desktop, mut events) = Desktop::start(true);
    let offers = &[Offer::OpenAccount];
    desktop.show(Notice { incident: INCIDENT, message: alert::sample(), offers, silent: false, replaces: None });
    let answer = answered(&mut events).await;
    *shown = Some((desktop, events));
    match answer {
        Ok(()) => {
            let by = Desktop::service().await.map(|service| format!(" by {service}")).unwrap_or_default();
            print(&format!("desktop: shown{by}\n"))?;
            Ok(true)
        }
        Err(reason) => {
            *shown = None;
            anstream::eprintln!("desktop: not shown: {reason}");
            anstream::eprintln!("hint: {}", remedy(&reason));
            Ok(false)
        }
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

async fn run_hook(config: &Config) -> Result<bool, Exit> {
    let Some(hook) = &config.notify.hook else {
        anstream::eprintln!("hook: not run: none is configured");
        anstream::eprintln!("hint: [notify.hook] command = [\"/path/to/program\", \"argument\"]");
        return Ok(false);
    };
    match hook::run(&hook.command, sample()?).await {
        Ok(()) => print("hook: it ran and ended well\n").map(|()| true),
        Err(error) => {
            let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            anstream::eprintln!("hook: failed: {error}{why}");
            anstream::eprintln!("hint: notify.hook.command gets the event as JSON on standard input and has 30 s");
            Ok(false)
        }
    }
}

async fn send_mail(context: &Context, config: &Config) -> Result<bool, Exit> {
    let Some(email) = &config.notify.email else {
        anstream::eprintln!("email: not sent: none is configured");
        anstream::eprintln!(
            "hint: [notify.email] to, from, and a server or a credential; config.example.toml shows it"
        );
        return Ok(false);
    };
    let progress = Progress::start("sending a test message by e-mail".to_owned());
    let sent = post::post(context, config, &alert::sample_mail(&post::sender()).test(), 1).await;
    drop(progress);
    match sent? {
        Sent::Taken(host) => {
            print(&format!("email: {host} took it for {}\n", email.to))?;
            let client = context.client()?;
            // Where the daemon gave up, this is the reason to go on.
            if client.status(&[]).await.is_ok_and(|status| status.email.is_some()) {
                drop(client.reload().await);
            }
            Ok(true)
        }
        Sent::Not(why) | Sent::Never(why) => {
            anstream::eprintln!("email: not sent: {why}");
            anstream::eprintln!("hint: {}", post::remedy(config));
            Ok(false)
        }
    }
}

/// An incident as hooks are told of one, of an account that nobody has (RFC 2606).
fn sample() -> Result<HookEvent, Exit> {
    let internal = |why: &str| Exit::because(format!("make up a test message: {why}"), "report this");
    let address = Address::new("test@example.com").map_err(internal)?;
    let name = CredentialName::new("test").map_err(internal)?;
    let clock = Clock::resume(None);
    let now = clock.now();
    let incident = Incident {
        id: INCIDENT,
        cause: IncidentCause::MainPasswordReset,
        declared_at: now,
        notified_at: None,
        began_between: (Some(now), now),
        credentials: vec![name.clone()],
        snoozed_until: None,
        resolved_at: None,
        withdrawn: false,
    };
    let account = AccountStatus {
        address: address.clone(),
        failed_logins_24h: 0,
        failed_login_limit: Config::default().policy.failed_logins_per_account,
        ration_frees_at: None,
        incident: Some(incident.clone()),
        credentials: vec![revoked(name, now)],
    };
    let event = IncidentEvent::Opened;
    let message = IncidentMessage::build(event, &account, &incident, clock.offset_ms());
    let payload = serde_json::to_value(&message).map_err(Exit::failed)?;
    Ok(HookEvent { event, account: address, cause: incident.cause, payload, test: true })
}

fn revoked(name: CredentialName, at: Timestamp) -> CredentialStatus {
    let service = |service| ServiceStatus {
        service,
        finding: Finding::Rejected,
        code: None,
        detail: Some("a test: nothing was asked".to_owned()),
        at,
        took: None,
    };
    CredentialStatus {
        name,
        app: Some("keypulse notify-test".to_owned()),
        health: Health::Revoked,
        presumed: false,
        since: Some(at),
        last_accepted_at: Some(at),
        last_checked_at: Some(at),
        next_check_at: None,
        unreadable: None,
        services: Service::ALL.map(service).into(),
    }
}
