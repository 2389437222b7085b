//! Who is told when, and when again: one message for one cause.

use std::time::Duration;

use super::house;
use crate::{
    config::{Config, QuietHours},
    health::{
        credential::Health,
        incident::IncidentCause::ResetOrRevoked,
        outbox::Tidings::{Opened, PutBack, Reminder, Resolved},
        schedule::DAY,
    },
    rehearsal::{
        promise::Promise,
        quiet_length,
        scenario::{End, Group, Happening, Line, Scenario, To, Until},
    },
};

const FIRST: (usize, usize) = (0, 0);
/// Where the person has none: the example of the configuration.
const NIGHT: QuietHours = QuietHours { from: 22 * 60, to: 7 * 60 };

fn play(name: &str, about: &str, sizes: &[usize]) -> Scenario {
    Scenario::new(Group::Messages, name, about, house(sizes))
}

pub(super) fn scenarios(p: &Promise, config: &Config) -> Vec<Scenario> {
    let noticed = p.noticed();
    let opened = || Line::new(0, Opened, ResetOrRevoked, noticed + p.full());
    let dies = |scenario: Scenario| {
        scenario
            .act(Until::Handed(noticed + p.full()), [Happening::Revoke(FIRST)])
            .says(opened())
            .ends(End::Health(FIRST, Health::Revoked))
    };
    let again = p.slack() + p.policy().interval.min(Duration::from_secs(10));
    let mut all = reminders(p, &dies);
    all.extend([
        play("handed-over-when-killed", "Killed while a message is handed over", &[1])
            .act(Until::Handed(noticed + p.full()), [Happening::Revoke(FIRST)])
            .says(opened())
            .act(Until::For(p.slack()), [Happening::Restart(Duration::ZERO)])
            .says(Line::new(0, PutBack, ResetOrRevoked, p.slack()).to(To::Desktop)),
        play("nobody-to-tell", "Nobody can be told for a while", &[1])
            .act(Until::For(noticed + p.full() + p.slack()), [Happening::Mute(true), Happening::Revoke(FIRST)])
            .ends(End::All(Health::Revoked))
            .act(Until::For(p.slack()), [Happening::Mute(false)])
            .says(Line::new(0, Opened, ResetOrRevoked, p.slack())),
        play("over-before-it-was-told", "It is over before anybody could be told", &[1])
            .act(Until::For(noticed + p.full() + p.slack()), [Happening::Mute(true), Happening::Revoke(FIRST)])
            .ends(End::All(Health::Revoked))
            .act(Until::For(noticed), [Happening::Replace(FIRST)])
            .ends(End::All(Health::Healthy))
            .act(Until::For(p.slack()), [Happening::Mute(false)]),
        dies(play("notification-lost", "The desktop loses the notification", &[1]))
            .act(Until::For(p.slack()), [Happening::LoseNotification])
            .says(Line::new(0, PutBack, ResetOrRevoked, p.slack()).to(To::Desktop))
            // Lost again and again, it comes back ever later.
            .act(Until::For(again), [Happening::LoseNotification])
            .says(Line::new(0, PutBack, ResetOrRevoked, again).to(To::Desktop)),
        dies(play("notification-closed", "The person closes the notification", &[1]))
            .act(Until::For(p.slack()), [Happening::CloseNotification]),
        dies(play("account-removed", "The account leaves the configuration", &[1]))
            .act(Until::For(p.slack()), [Happening::Forget(0)])
            .says(Line::new(0, Resolved, ResetOrRevoked, p.slack())),
        dies(play("restarted-after", "Restarted after all was told", &[1]))
            .act(Until::For(p.slack()), [])
            .act(Until::For(p.slack()), [Happening::Restart(Duration::ZERO)])
            .ends(End::All(Health::Revoked)),
    ]);
    let nap = (noticed * 2).min(DAY / 2);
    all.extend([
        dies(play("snoozed", "Snoozed for two days, reminders off", &[1]))
            .act(Until::For(2 * DAY + p.slack()), [Happening::Snooze(0, 2 * DAY)])
            .says(Line::new(0, PutBack, ResetOrRevoked, 2 * DAY + p.slack()).after(2 * DAY).to(To::Desktop)),
        play("paused", "Revoked during a pause", &[1])
            .act(Until::For(nap.saturating_sub(p.slack())), [Happening::Pause(nap), Happening::Revoke(FIRST)])
            .ends(End::NoLogin)
            .act(Until::For(noticed + p.full() + p.slack() * 2), [])
            .says(Line::new(0, Opened, ResetOrRevoked, noticed + p.full() + p.slack())),
    ]);
    let hours = config.notify.quiet_hours.unwrap_or(NIGHT);
    all.push(
        play("in-the-quiet-hours", "Revoked in the quiet hours", &[1])
            .quiet(hours)
            .act(Until::Quiet, [])
            .act(Until::For(noticed + p.full() + quiet_length(hours) + p.slack()), [Happening::Revoke(FIRST)])
            .says(opened()),
    );
    all
}

fn reminders(p: &Promise, dies: &dyn Fn(Scenario) -> Scenario) -> Vec<Scenario> {
    let Some(every) = p.policy().remind_every else {
        return vec![
            dies(play("no-reminders", "It stands for three days, reminders off", &[1]).reminded())
                .act(Until::For(3 * DAY), [])
                .ends(End::All(Health::Revoked)),
        ];
    };
    // Counted from the message, which came some time before the second act began.
    let (first, second) = (every + p.slack(), every * 2 + p.slack());
    let line = |by| Line::new(0, Reminder, ResetOrRevoked, by);
    vec![
        dies(play("snoozed-with-reminders", "Snoozed for two days", &[1]).reminded())
            .act(Until::For(2 * DAY + every.min(p.slack()) / 2), [Happening::Snooze(0, 2 * DAY)])
            .says(line(2 * DAY + p.slack()).after(2 * DAY)),
        dies(play("reminders", "It stands until the second reminder", &[1]).reminded())
            .act(Until::For(every * 2 + p.slack()), [])
            .says(line(first))
            .says(line(second))
            .ends(End::All(Health::Revoked)),
    ]
}
