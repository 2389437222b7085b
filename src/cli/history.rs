//! `keypulse history` and `keypulse events`: what changed, and what changes now.

use std::io::{IsTerminal, stderr, stdout};

use clap::Args;
use serde::Serialize;

use super::{
    Exit, chronicle,
    context::{self, Context, block_on, print},
    exit::complain,
    table::Look,
};
use crate::{
    api::{ClientError, HistoryQuery, PastError, Since, StreamEvent, Time, TransitionDocument},
    config,
    daemon::Stored,
    health::name::CredentialName,
    host::clock::Clock,
};

/// `keypulse history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only these credentials, also ones that are gone
    #[arg(value_name = "NAME", value_parser = super::name)]
    names: Vec<CredentialName>,
    /// Only the last so long (`7d`, `12h`), or since a time (2026-11-22T20:00:00Z)
    #[arg(long, value_name = "DURATION")]
    since: Option<Since>,
    /// At most so many, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = HistoryQuery::USUAL, value_parser = clap::value_parser!(u32).range(1..=i64::from(HistoryQuery::MOST)))]
    limit: u32,
    /// Print one JSON object per line, the newest first
    #[arg(long)]
    json: bool,
}

/// `keypulse events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) fn history(context: &Context, arguments: &HistoryArgs) -> Result<u8, Exit> {
    let HistoryArgs { names, since, limit, json } = arguments;
    let query = HistoryQuery { names: names.clone(), since: *since, limit: *limit };
    let mut changes = block_on(past(context, &query))?;
    if *json {
        let lines: Vec<String> = changes.iter().map(line).collect();
        print(&lines.concat())?;
        return Ok(0);
    }
    // People read on from what was before.
    changes.reverse();
    let shown = changes.len();
    let text = looking(|look| {
        let columns = chronicle::Columns::of(&changes, look);
        let lines = changes.iter().flat_map(|change| chronicle::change(change, columns, look));
        lines.map(|line| line + "\n").collect::<String>()
    });
    print(&text)?;
    if shown == 0 {
        let when = since.map(|since| match since {
            Since::Ago(_) => format!(" in the last {since}"),
            Since::At(at) => format!(" since {at}"),
        });
        print(&format!("No changes{}.\n", when.unwrap_or_default()))?;
    } else if u32::try_from(shown) == Ok(*limit) {
        complain(&format!("the newest {limit}; --limit shows more"));
    }
    Ok(0)
}

/// From the daemon, or from the stored state where none runs.
async fn past(context: &Context, query: &HistoryQuery) -> Result<Vec<TransitionDocument>, Exit> {
    match context.client()?.history(query).await {
        Err(ClientError::NoDaemon { .. }) => {
            let paths = context.paths()?;
            let config = config::load(&paths.config)?;
            Ok(Stored::look(&config, &paths)?.past().history(query)?)
        }
        answer => Ok(answer?),
    }
}

impl From<PastError> for Exit {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Unknown(unknown) => unknown.into(),
            PastError::State(why) => Self::Failed { error: why.into(), hint: None },
        }
    }
}

pub(super) fn events(context: &Context, arguments: &EventsArgs) -> Result<u8, Exit> {
    block_on(async {
        let client = context.client()?;
        let mut events = match client.events().await {
            Ok(events) => events,
            Err(error @ ClientError::NoDaemon { .. }) => {
                let hint = Some("what happened so far: keypulse history; the daemon: keypulse run".to_owned());
                return Err(Exit::Failed { error: Box::new(error), hint });
            }
            Err(error) => return Err(error.into()),
        };
        if !arguments.json && stdout().is_terminal() && stderr().is_terminal() {
            complain("listening to the daemon; Ctrl-C ends");
        }
        let reader_gone = tokio::task::spawn_blocking(wait_for_reader_to_go);
        tokio::pin!(reader_gone);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = &mut reader_gone => return Err(Exit::ClosedPipe),
            };
            let event = match event {
                Ok(Some(event)) => event,
                // A daemon that stops breaks the stream off; so does one whose reader does not keep up.
                Ok(None) | Err(ClientError::Broken(_)) => {
                    complain(match client.status(&[]).await {
                        Ok(_) => "keypulse: the daemon closed the stream: its events were not read fast enough",
                        Err(_) => "keypulse: the daemon stopped",
                    });
                    return Ok(1);
                }
                Err(error) => return Err(error.into()),
            };
            print(&if arguments.json { json_line(&event) } else { human_lines(&event) })?;
        }
    })
}

/// Returns once nobody can read standard output any more: else that would show at the next event only, and there may be none
/// for days.
fn wait_for_reader_to_go() {
    use rustix::event::{PollFd, PollFlags, poll};
    let out = stdout();
    loop {
        let mut fds = [PollFd::new(&out, PollFlags::empty())];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// As the stream has it, each with its `event`.
fn json_line(event: &StreamEvent) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        event: &'a str,
        #[serde(flatten)]
        change: &'a TransitionDocument,
    }
    match event {
        StreamEvent::Transition(change) => line(&Line { event: event.name(), change }),
        StreamEvent::Incident(message) => line(message),
    }
}

fn human_lines(event: &StreamEvent) -> String {
    looking(|look| {
        let lines = match event {
            StreamEvent::Transition(change) => {
                let columns = chronicle::Columns::of(std::slice::from_ref(change), look);
                chronicle::change(change, columns, look)
            }
            StreamEvent::Incident(message) => chronicle::incident(message, look.now, look),
        };
        lines.into_iter().map(|line| line + "\n").collect()
    })
}

fn line(object: &impl Serialize) -> String {
    // Plain structs with string keys: there is nothing in them that JSON cannot write.
    serde_json::to_string(object).unwrap_or_default() + "\n"
}

/// Lays out text as it looks here and now.
fn looking(lay_out: impl FnOnce(&Look) -> String) -> String {
    let clock = Clock::resume(None);
    context::looking(Time::new(clock.now(), clock.offset_ms()), lay_out)
}
