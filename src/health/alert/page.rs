//! A message as a page of plain text, for e-mail: what happened, what to do, the commands, who sends it.
//!
//! Decides the layout; the sentences are those of every other channel. ASCII as far as the person's own names are, and no line
//! that a mail program would have to break, except of commands.

use super::{Case, Line, Message, Sender, Tidings, prefix};

/// Columns of a line (RFC 5322, section 2.1.1, recommends at most 78).
const WIDTH: usize = 72;

/// The page of an incident.
pub(super) fn page(case: &Case<'_>, tidings: Tidings, sender: &Sender) -> Message {
    let (what, lines) = case.told(tidings);
    let mut text = paragraph(&format!("{what}: {}", case.account), "", "");
    let (facts, steps): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| matches!(line, Line::Fact(_)));
    for fact in facts {
        text.push(String::new());
        text.extend(paragraph(&fact.text(), "", ""));
    }
    if !steps.is_empty() {
        text.extend(["", "What to do:", ""].map(str::to_owned));
        for step in steps {
            match step {
                Line::Fact(words) | Line::Do(words) => text.extend(paragraph(words, "  * ", "    ")),
                Line::Run(why, command) => {
                    text.extend(paragraph(&format!("{why}, on {}:", sender.machine), "  * ", "    "));
                    text.push(format!("      {command}"));
                }
            }
        }
    }
    if tidings != Tidings::Resolved {
        let account = case.account;
        text.extend(["", "More:", "", "      keypulse status"].map(str::to_owned));
        text.push(format!("      keypulse explain {account}"));
        text.push(format!("      keypulse snooze {account}"));
    }
    Message {
        title: format!("{}{what}: {}", prefix(tidings), case.account),
        body: signed(&text.join("\n"), sender),
        critical: tidings == Tidings::Opened && case.incident.cause.is_critical(),
    }
}

/// The text with the lines that say whose it is, and by which a forged one can be told.
pub(super) fn signed(text: &str, sender: &Sender) -> String {
    let Sender { machine, zone } = sender;
    format!("{text}\n\n-- \nkeypulse on {machine}; times are {zone}.\nkeypulse never asks for the main password.\n")
}

/// Words in lines of at most [`WIDTH`] columns; a longer word stands alone.
pub(super) fn paragraph(words: &str, first: &str, others: &str) -> Vec<String> {
    let mut lines = vec![first.to_owned()];
    let mut fresh = true;
    for word in words.split_whitespace() {
        let full = |line: &String| line.chars().count() + 1 + word.chars().count() > WIDTH;
        if !fresh && lines.last().is_some_and(full) {
            lines.push(others.to_owned());
            fresh = true;
        }
        if let Some(line) = lines.last_mut() {
            if !fresh {
                line.push(' ');
            }
            line.push_str(word);
        }
        fresh = false;
    }
    lines
}
