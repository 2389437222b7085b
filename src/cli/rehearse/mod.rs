//! `keypulse rehearse`: the person's own policy and channels against the simulated iCloud, through every scenario of the
//! catalogue, in virtual time.
//!
//! Decides what is shown and how it ends. Reads the configuration and no secret; touches neither the state nor the daemon;
//! gives a message to nobody, unless a channel is named with `--live`.

mod live;
mod matrix;
mod progress;

use std::{path::Path, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::progress::Progress;
use super::{
    Exit,
    context::{self, Context, print},
    notify_test::Channel,
};
use crate::{
    config::{self, Config},
    health::outbox,
    probe,
    rehearsal::{self, Cell, Message, Promise, Scenario, Wire},
};

/// `keypulse rehearse`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all is right; 1 something is wrong; 64 an unknown scenario; 78 wrong configuration."
)]
pub struct RehearseArgs {
    /// Only these scenarios, by the names that --json shows
    #[arg(value_name = "SCENARIO")]
    names: Vec<String>,
    /// Print JSON, with every message in full
    #[arg(long)]
    json: bool,
    /// Give this channel one message of each kind for real, marked as a test; the others get none
    #[arg(long, value_enum, value_name = "CHANNEL")]
    live: Option<Channel>,
}

/// One scenario, played.
struct Row {
    scenario: Scenario,
    cell: Cell,
    messages: Vec<Message>,
    /// In real time.
    took: Duration,
}

/// All that was rehearsed.
struct Rehearsal {
    /// Whose policy, for people.
    policy: String,
    channels: Vec<outbox::Channel>,
    rows: Vec<Row>,
    /// What the policy makes impossible.
    remarks: Vec<String>,
    /// Scenarios that would take too long under this policy.
    left_out: Vec<String>,
}

pub(super) fn rehearse(context: &Context, arguments: &RehearseArgs) -> Result<u8, Exit> {
    probe::hush_panics();
    let path = context.config_file()?;
    let (mut config, policy) = match config::load(&path) {
        Err(error) if error.is_missing() => {
            (Config::default(), "the defaults, as there is no configuration yet".to_owned())
        }
        config => (config?, path.display().to_string()),
    };
    if let Some(channel) = arguments.live {
        switch_on(&mut config, channel, &path)?;
    }
    let rehearsal = play(&config, policy, &arguments.names)?;
    let delivered = match arguments.live {
        Some(channel) => Some(live::deliver(context, &config, channel, &rehearsal.rows)?),
        None => None,
    };
    if arguments.json {
        print(&format!("{:#}\n", document(&rehearsal)))?;
    } else {
        print(&matrix::render(&rehearsal, context::width()))?;
    }
    let undelivered = delivered.is_some_and(|delivered| live::say(&delivered));
    Ok(u8::from(undelivered || rehearsal.rows.iter().any(|row| !row.cell.is_right())))
}

/// A channel named with `--live` is rehearsed whether or not it is switched on.
fn switch_on(config: &mut Config, channel: Channel, path: &Path) -> Result<(), Exit> {
    match channel {
        Channel::Desktop => config.notify.desktop = true,
        Channel::Email => {
            if config.notify.email.is_none() {
                return Err(Exit::because(
                    "send e-mail: none is configured",
                    format!("write [notify.email] in {}; config.example.toml shows it", path.display()),
                ));
            }
        }
        Channel::Hook => {
            if config.notify.hook.is_none() {
                return Err(Exit::because(
                    "run the hook: none is configured",
                    format!("write [notify.hook] command = [\"/path/to/program\"] in {}", path.display()),
                ));
            }
        }
    }
    Ok(())
}

fn play(config: &Config, policy: String, names: &[String]) -> Result<Rehearsal, Exit> {
    let promise = Promise::of(config);
    let mut scenarios = rehearsal::catalogue(config);
    if let Some(unknown) = names.iter().find(|name| scenarios.iter().all(|scenario| scenario.name != **name)) {
        let all: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        return Err(Exit::misuse(format!("no scenario is named {unknown:?}"), meant(unknown, &all)));
    }
    if !names.is_empty() {
        scenarios.retain(|scenario| names.contains(&scenario.name));
    }
    let (scenarios, too_long): (Vec<_>, Vec<_>) =
        scenarios.into_iter().partition(|scenario| rehearsal::is_playable(scenario, &promise));
    let wire = Wire::start(&config.servers).map_err(Exit::failed)?;
    let mut progress = Progress::start(scenarios.len());
    let rows = scenarios.into_iter().map(|scenario| {
        progress.next(&scenario.about);
        let begun = Instant::now();
        let (cell, messages) = rehearsal::rehearse(&scenario, config, &wire);
        Row { scenario, cell, messages, took: begun.elapsed() }
    });
    let rows = rows.collect();
    drop(progress);
    Ok(Rehearsal {
        policy,
        channels: rehearsal::channels(config),
        rows,
        remarks: promise.remarks(config),
        left_out: too_long.into_iter().map(|scenario| scenario.name).collect(),
    })
}

/// What a person who named no scenario may have meant: one spelt like it, else those that hold it or a word of it.
fn meant(unknown: &str, all: &[&str]) -> String {
    const SHOWN: usize = 6;
    let unknown = unknown.to_lowercase();
    let words: Vec<&str> = unknown.split('-').filter(|word| word.len() > 2).collect();
    let holding = |name: &&&str| words.iter().any(|word| name.contains(word));
    let mut near: Vec<&str> = config::near(&unknown, all.iter().copied()).into_iter().collect();
    let alike: Vec<&str> = all.iter().filter(holding).copied().filter(|name| !near.contains(name)).collect();
    near.extend(alike);
    if near.is_empty() {
        let some: Vec<&str> = all.iter().copied().step_by((all.len() / SHOWN).max(1)).take(SHOWN).collect();
        return format!("there are {}, …; `keypulse rehearse --json` shows all {}", some.join(", "), all.len());
    }
    let more = if near.len() > SHOWN { ", …" } else { "" };
    near.truncate(SHOWN);
    format!("did you mean {}{more}? `keypulse rehearse --json` shows all names", near.join(", "))
}

/// As programs read it.
fn document(rehearsal: &Rehearsal) -> Value {
    let scenarios = rehearsal.rows.iter().map(|row| {
        let messages = row.messages.iter().map(|message| {
            json!({
                "channel": message.channel.as_str(),
                "event": message.event().as_str(),
                "cause": message.cause,
                "account": message.account,
                "title": message.words.title,
                "body": message.words.body,
            })
        });
        let after = row.cell.said.first().map(|said| said.after.as_secs_f64());
        json!({
            "name": row.scenario.name,
            "about": row.scenario.about,
            "expected": row.cell.expected,
            "said": row.cell.said(),
            "right": row.cell.is_right(),
            "wrong": row.cell.wrong,
            "said_after_seconds": after,
            "seconds": (row.took.as_secs_f64() * 1000.0).round() / 1000.0,
            "messages": messages.collect::<Vec<_>>(),
        })
    });
    json!({
        "policy": rehearsal.policy,
        "channels": rehearsal.channels,
        "scenarios": scenarios.collect::<Vec<_>>(),
        "remarks": rehearsal.remarks,
        "left_out": rehearsal.left_out,
    })
}
