//! Secrets that cannot be read: never a login, never a word of the password's death.

use std::path::PathBuf;

use super::house;
use crate::{
    health::{
        credential::Health,
        evidence::Cause,
        incident::IncidentCause::{CannotCheck, MainPasswordReset},
        outbox::Tidings::{Opened, Resolved},
        schedule::DAY,
    },
    rehearsal::{
        promise::Promise,
        scenario::{End, Group, Happening, Line, Scenario, Until},
    },
    secret::Source,
};

const FIRST: (usize, usize) = (0, 0);

fn play(name: &str, about: &str, sizes: &[usize]) -> Scenario {
    Scenario::new(Group::Secrets, name, about, house(sizes))
}

pub(super) fn scenarios(p: &Promise) -> Vec<Scenario> {
    let command = |words: &[&str]| Source::Command(words.iter().map(ToString::to_string).collect());
    let nowhere = PathBuf::from("/nonexistent/keypulse/rehearsal");
    let mut all: Vec<_> = [
        ("secret-command-fails", "The secret's command fails", command(&["false"]), Cause::SecretUnavailable),
        (
            "secret-command-missing",
            "The secret's command is not there",
            command(&["/nonexistent/pass"]),
            Cause::SecretUnavailable,
        ),
        ("secret-empty", "The secret's command prints nothing", command(&["true"]), Cause::SecretUnavailable),
        ("secret-file-missing", "The secret's file is not there", Source::File(nowhere), Cause::SecretUnavailable),
        (
            "secret-malformed",
            "The main password in place of an app password",
            command(&["echo", "Main-Password-1"]),
            Cause::SecretMalformed,
        ),
    ]
    .into_iter()
    .map(|(name, about, source, cause)| {
        // What cannot be read for a day is told of; with a long interval nobody knows of the end before.
        let told = p.noticed() + p.recovered() > DAY;
        let free = |scenario: Scenario| if told { scenario.in_the_end() } else { scenario };
        let broken = play(name, about, &[1])
            .act(Until::For(p.noticed()), [Happening::Source(FIRST, Some(source))])
            .ends(End::All(Health::Unreadable))
            .ends(End::Unread(FIRST, cause))
            .ends(End::NoLogin);
        let mended = free(broken).act(Until::For(p.recovered()), [Happening::Source(FIRST, None)]);
        free(mended).ends(End::All(Health::Healthy))
    })
    .collect();
    all.extend(keyring(p));
    all
}

fn keyring(p: &Promise) -> Vec<Scenario> {
    let noticed = p.noticed();
    let by = DAY + p.recovered();
    vec![
        play("keyring-locked", "The keyring is locked for hours", &[2, 1])
            .act(Until::For((noticed * 2).min(DAY / 2)), [Happening::Lock])
            .ends(End::NoLogin)
            .act(Until::For(p.slack()), [Happening::Unlock])
            .ends(End::All(Health::Healthy)),
        play("keyring-locked-for-a-day", "The keyring is locked for over a day", &[2])
            .act(Until::For(by + p.slack()), [Happening::Lock])
            .says(Line::new(0, Opened, CannotCheck, by).after(DAY))
            .ends(End::NoLogin)
            .act(Until::For(p.slack()), [Happening::Unlock])
            .says(Line::new(0, Resolved, CannotCheck, p.slack()))
            .ends(End::All(Health::Healthy)),
        play("reset-behind-a-locked-keyring", "Reset while the keyring is locked", &[2])
            .act(Until::For((noticed * 2).min(DAY / 2)), [Happening::Lock, Happening::Reset(0)])
            .ends(End::NoLogin)
            .act(Until::For(noticed + p.full_for(2) + noticed), [Happening::Unlock])
            .says(Line::new(0, Opened, MainPasswordReset, noticed + p.full_for(2)).of_refusal(p.full_for(2))),
    ]
}
