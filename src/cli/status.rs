//! `keypulse status`, `check` and `ok`: through the daemon where it runs, else from the state on disk.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    CheckArgs, Exit, Format, OkArgs, StatusArgs,
    context::{Context, block_on, print, print_json, print_table, seen},
    exit::{CONFIG, USAGE, chain, complain},
    line,
    progress::Progress,
    table::exit_code,
    watch,
};
use crate::{
    api::{ClientError, Problem, StatusDocument, UnknownName, metrics},
    config::{self, Config},
    daemon::{self, Heart, Outward, Paths, RunError, Stored},
    health::{credential::Health, event::Event, name::CredentialName},
    store::StoreError,
};

/// How long `check` waits for the rounds: each attempt may take its whole time.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a lone `check` waits for another process to let go of the state.
const LOCK: Duration = Duration::from_secs(5);
/// The exit code where nothing can be told.
pub(super) const CANNOT_TELL: u8 = 3;

pub(super) fn status(context: &Context, arguments: &StatusArgs) -> Result<u8, Exit> {
    if arguments.watch {
        return watch::watch(context, arguments);
    }
    let format = arguments.format();
    if format == Format::Prometheus {
        print(&block_on(metrics(context, &arguments.names))?)?;
        return Ok(0);
    }
    let found = block_on(look(context, &arguments.names));
    match (format, found) {
        (Format::Table, Ok(document)) => {
            print_table(&document)?;
            Ok(exit_code(&document))
        }
        (Format::Json, Ok(document)) => {
            print_json(&document)?;
            Ok(exit_code(&document))
        }
        (Format::Table | Format::Json, Err(Exit::Config(error))) if error.is_missing() => {
            complain(&error.to_string());
            Ok(CANNOT_TELL)
        }
        (Format::Table | Format::Json | Format::Prometheus, Err(error)) => Err(error),
        (Format::Oneline | Format::Waybar | Format::Prometheus, found) => {
            let view = View::of(found)?;
            if let View::Trouble(why) = &view {
                complain(&format!("keypulse: {why}"));
            }
            // A bar hides a module whose program fails: it shows the trouble instead.
            line(format, &view).map_or(Ok(()), |line| print(&format!("{line}\n")))?;
            Ok(0)
        }
    }
}

/// What there is to show.
pub(super) enum View {
    Document(Box<StatusDocument>),
    /// Why there is no status, in one line.
    Trouble(String),
}

impl View {
    /// What can be shown of it. A name that nobody has is a mistake of who asked.
    pub(super) fn of(found: Result<StatusDocument, Exit>) -> Result<Self, Exit> {
        match found {
            Ok(document) => Ok(Self::Document(Box::new(document))),
            Err(unknown @ Exit::UnknownName(_)) => Err(unknown),
            Err(other) => Ok(Self::Trouble(other.summary())),
        }
    }
}

/// The line of a bar, or of a program that reads line by line; `None` where that format has none for it.
pub(super) fn line(format: Format, view: &View) -> Option<String> {
    match (format, view) {
        (Format::Oneline, View::Document(document)) => Some(seen(document, 80, false, line::oneline)),
        (Format::Oneline, View::Trouble(why)) => Some(line::trouble(why)),
        (Format::Waybar, View::Document(document)) => Some(seen(document, 80, false, line::waybar)),
        (Format::Waybar, View::Trouble(why)) => Some(line::waybar_trouble(why)),
        (Format::Json, View::Document(document)) => serde_json::to_string(document).ok(),
        (Format::Table | Format::Json | Format::Prometheus, _) => None,
    }
}

/// The status of `names`, of all where there are none.
pub(super) async fn look(context: &Context, names: &[CredentialName]) -> Result<StatusDocument, Exit> {
    Ok(current(context).await?.only(names)?)
}

/// The status from the stored state, whether or not a daemon runs.
pub(super) fn stored(context: &Context) -> Result<StatusDocument, Exit> {
    let paths = context.paths()?;
    Ok(Stored::look(&config::load(&paths.config)?, &paths)?.document())
}

/// The metrics: the daemon's, or from the stored state where none runs.
async fn metrics(context: &Context, names: &[CredentialName]) -> Result<String, Exit> {
    match context.client()?.metrics(names).await {
        Ok(text) => Ok(text),
        Err(ClientError::NoDaemon { .. }) => {
            let document = stored(context)?.only(names)?;
            Ok(metrics::render(&document, &daemon::stored_tally(&context.paths()?)?))
        }
        Err(error) if error.is_problem(Problem::UNKNOWN_PATH) => Err(Exit::because(
            "get the metrics: the running daemon is older than this command and has none",
            "restart the daemon",
        )),
        Err(error) => Err(error.into()),
    }
}

/// The status document: the daemon's, or made from the stored state where none runs.
pub(super) async fn current(context: &Context) -> Result<StatusDocument, Exit> {
    match context.client()?.status(&[]).await {
        Ok(document) => Ok(document),
        Err(ClientError::NoDaemon { .. }) => stored(context),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn check(context: &Context, arguments: &CheckArgs) -> Result<u8, Exit> {
    let document = block_on(async {
        let progress = Progress::start(match &*arguments.names {
            [] => "checking all passwords".to_owned(),
            names => format!("checking {}", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        });
        let checked = match context.client()?.check(&arguments.names, PATIENCE).await {
            Ok(checked) => Ok(checked.document),
            Err(ClientError::NoDaemon { .. }) => alone(context, &arguments.names).await,
            Err(error) => Err(error.into()),
        };
        drop(progress);
        checked
    });
    let document = match document {
        Err(Exit::Config(error)) if error.is_missing() => {
            complain(&error.to_string());
            return Ok(CANNOT_TELL);
        }
        other => other?,
    };
    if arguments.json {
        print_json(&document)?;
    } else {
        print_table(&document)?;
    }
    Ok(exit_code(&document))
}

/// A check without a daemon: the same engine, the same state, for as long as the rounds take.
pub(super) async fn alone(context: &Context, names: &[CredentialName]) -> Result<StatusDocument, Exit> {
    let paths = context.paths()?;
    let config = config::load(&paths.config)?;
    if let Some(unknown) = names.iter().find(|name| config.find(name).is_none()) {
        return Err(not_configured(unknown.as_str(), &config));
    }
    let (mut heart, mut effects) = take_hold(&config, &paths).await?;
    let now = heart.now();
    heart.engine_mut().only_on_request(now);
    let mut answered = false;
    let mut event = Event::Check { request: 1, names: names.to_vec() };
    loop {
        let mut seen = Vec::new();
        heart.step(event, &mut seen)?;
        for outward in seen {
            match outward {
                Outward::Answer(_) => answered = true,
                // What is to be told waits for the daemon: the engine hands nothing over here.
                Outward::Deliver(_) | Outward::Transition(_) | Outward::Incident { .. } => {}
            }
        }
        // What was begun is brought to its end, so that no login stays unsettled.
        if answered && heart.engine().is_idle() {
            break;
        }
        let Some(effect) = effects.recv().await else { break };
        event = heart.event(effect);
    }
    let document = heart.document(None);
    heart.stop();
    Ok(document.only(names)?)
}

/// The state, as soon as another process lets go of it.
pub(super) async fn take_hold(
    config: &Config,
    paths: &Paths,
) -> Result<(Heart, tokio::sync::mpsc::UnboundedReceiver<daemon::Effect>), Exit> {
    let deadline = Instant::now() + LOCK;
    loop {
        match Heart::new(config.clone(), paths) {
            Err(RunError::Store(StoreError::Held { .. })) if Instant::now() < deadline => {
                sleep(Duration::from_millis(100)).await;
            }
            result => return Ok(result?),
        }
    }
}

pub(super) fn ok(context: &Context, arguments: &OkArgs) -> Result<u8, Exit> {
    let lenient = |message: &str, strict: u8| {
        complain(&format!("keypulse: {message}"));
        if arguments.strict { strict } else { 0 }
    };
    let document = match block_on(current(context)) {
        Ok(document) => document,
        Err(Exit::Config(error)) => return Ok(lenient(&error.summary(), CONFIG)),
        Err(Exit::Failed { error, .. }) => return Ok(lenient(&format!("failed to {}", chain(&*error)), 1)),
        Err(other) => return Err(other),
    };
    let found = document.credentials().find(|credential| credential.name.as_str() == arguments.name);
    let Some(credential) = found else {
        let unknown = UnknownName::credential(&arguments.name, document.credentials().map(|known| &known.name));
        return Ok(lenient(&unknown.to_string(), USAGE));
    };
    let fine = match (arguments.strict, credential.health) {
        (false, health) => !health.is_dead(),
        (true, health) => matches!(health, Health::Healthy | Health::Degraded),
    };
    Ok(u8::from(!fine))
}

pub(super) fn not_configured(name: &str, config: &Config) -> Exit {
    let known = config.accounts.iter().flat_map(|account| &account.credentials).map(|credential| &credential.name);
    UnknownName::credential(name, known).into()
}
