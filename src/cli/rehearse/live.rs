//! `rehearse --live CHANNEL`: one message of each kind goes out for real, marked as a test.
//!
//! Decides which. A channel that refuses three in a row gets no more; a mail server that refuses the login none at all.

use tokio::sync::mpsc;

use super::Row;
use crate::{
    cli::{
        Exit,
        context::{Context, block_on},
        notify_test::{Channel, answered},
        post::{self, Sent},
    },
    config::Config,
    health::outbox::{self, Tidings},
    host::{
        desktop::{Desktop, DesktopEvent, Notice, Offer},
        hook::{self, HookEvent},
    },
    rehearsal::Message,
};

/// Failures in a row after which the others are not tried.
const ENOUGH: usize = 3;
/// On the desktop one takes the place of the other.
const INCIDENT: u64 = 1;

/// What became of them.
pub(super) struct Delivered {
    channel: outbox::Channel,
    taken: usize,
    failed: Vec<String>,
    untried: usize,
}

/// Gives the channel one message of each kind that it would have been given.
pub(super) fn deliver(context: &Context, config: &Config, channel: Channel, rows: &[Row]) -> Result<Delivered, Exit> {
    let channel = match channel {
        Channel::Desktop => outbox::Channel::Desktop,
        Channel::Hook => outbox::Channel::Hook,
        Channel::Email => outbox::Channel::Email,
    };
    let messages = one_of_each(rows.iter().flat_map(|row| &row.messages).filter(|message| message.channel == channel));
    let mut delivered = Delivered { channel, taken: 0, failed: Vec::new(), untried: 0 };
    block_on(async {
        let mut desktop = (channel == outbox::Channel::Desktop).then(|| Desktop::start(true));
        let mut in_a_row = 0;
        for (number, message) in (1..).zip(messages) {
            if in_a_row >= ENOUGH {
                delivered.untried += 1;
                continue;
            }
            let result = match &mut desktop {
                Some(desktop) => show(desktop, message).await,
                None if channel == outbox::Channel::Hook => run(config, message).await,
                None => match post::post(context, config, &message.words, number).await? {
                    Sent::Taken(_) => Ok(()),
                    Sent::Not(why) => Err(why),
                    Sent::Never(why) => {
                        in_a_row = ENOUGH;
                        Err(why)
                    }
                },
            };
            match result {
                Ok(()) => (delivered.taken, in_a_row) = (delivered.taken + 1, 0),
                Err(why) => {
                    in_a_row += 1;
                    delivered.failed.push(why);
                }
            }
        }
        if let Some((desktop, _)) = desktop {
            desktop.end().await;
        }
        Ok(delivered)
    })
}

/// Says it on standard error. Whether anything was not taken.
pub(super) fn say(delivered: &Delivered) -> bool {
    let Delivered { channel, taken, failed, untried } = delivered;
    anstream::eprintln!("{channel}: took {taken} test {}", if *taken == 1 { "message" } else { "messages" });
    for why in failed {
        anstream::eprintln!("{channel}: failed: {why}");
    }
    if *untried > 0 {
        anstream::eprintln!("{channel}: {untried} more were not tried");
    }
    if !failed.is_empty() {
        anstream::eprintln!("hint: `keypulse notify-test --channel {channel}` tries it alone");
    }
    !failed.is_empty()
}

/// The first of each event and cause.
fn one_of_each<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<&'a Message> {
    let mut kinds: Vec<&Message> = Vec::new();
    for message in messages {
        if !kinds.iter().any(|kind| (kind.tidings, kind.cause) == (message.tidings, message.cause)) {
            kinds.push(message);
        }
    }
    kinds
}

async fn run(config: &Config, message: &Message) -> Result<(), String> {
    let Some(hook) = &config.notify.hook else { return Err("none is configured".to_owned()) };
    let event = HookEvent {
        event: message.event(),
        account: message.account.clone(),
        cause: message.cause,
        payload: serde_json::to_value(&message.payload).map_err(|error| error.to_string())?,
        test: true,
    };
    hook::run(&hook.command, event).await.map_err(|error| crate::cli::exit::chain(&error))
}

async fn show(
    (desktop, events): &mut (Desktop, mpsc::Receiver<DesktopEvent>),
    message: &Message,
) -> Result<(), String> {
    // The channel marks its tests itself.
    let mut words = message.words.clone();
    if let Some(plain) = words.title.strip_prefix("Test: ") {
        words.title = plain.to_owned();
    }
    if message.tidings == Tidings::Resolved {
        desktop.withdraw(INCIDENT, None);
        desktop.note(words);
        return Ok(());
    }
    let silent = message.tidings == Tidings::PutBack;
    desktop.show(Notice { incident: INCIDENT, message: words, offers: &[Offer::OpenAccount], silent, replaces: None });
    answered(events).await
}
