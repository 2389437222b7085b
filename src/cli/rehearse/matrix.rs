//! The alarm matrix for people: what happened, what keypulse said, when, to whom, right or wrong.
//!
//! Pure: the same rehearsal and width give the same text.

use anstyle::Style;

use super::{Rehearsal, Row};
use crate::{
    cli::style::{BAD, FAINT, GOOD, HEADING, Paint, WARNING, columns, padded, printable, wrapped},
    rehearsal::rough,
};

/// Narrower than this, cells are cut and nothing is pretty.
const NARROWEST: usize = 60;
/// Between two columns.
const GAP: usize = 2;
/// Room for the sign.
const SIGN: usize = 4;
/// The widest word for what is said, `provider-outage-suspected` apart.
const SAID: usize = 19;
/// "1 h 15".
const AFTER: usize = 6;

/// The widths of the columns.
struct Layout {
    about: usize,
    to: usize,
}

/// The whole matrix, in colour, to be printed through anstream.
pub(super) fn render(rehearsal: &Rehearsal, width: usize) -> String {
    let width = width.max(NARROWEST);
    let paint = Paint { colour: true };
    let names: Vec<_> = rehearsal.channels.iter().map(|channel| channel.as_str()).collect();
    let to = columns(&names.join(", ")).clamp(6, 14);
    let layout = Layout { about: width.saturating_sub(SIGN + SAID + AFTER + to + 3 * GAP), to };
    let mut lines = head(rehearsal, &names, width, paint);
    let mut group = None;
    for row in &rehearsal.rows {
        if group != Some(row.scenario.group) {
            group = Some(row.scenario.group);
            lines.push(String::new());
            let titles = [row.scenario.group.title(), "keypulse says", "after", "to"];
            let titles = cells(&titles.map(|title| vec![title.to_owned()]), &layout);
            lines.extend(titles.into_iter().map(|line| paint.paint(HEADING, line.trim_end())));
        }
        lines.extend(one(row, &layout, paint));
    }
    lines.push(String::new());
    lines.extend(summary(rehearsal, width, paint));
    lines.join("\n") + "\n"
}

fn head(rehearsal: &Rehearsal, names: &[&str], width: usize, paint: Paint) -> Vec<String> {
    let channels = if names.is_empty() { "none is switched on".to_owned() } else { names.join(", ") };
    let mut lines = wrapped(&format!("Policy: {}. Channels: {channels}.", printable(&rehearsal.policy)), width);
    let made_up = "Passwords and servers are made up, time is virtual, and messages are only written down.";
    lines.extend(wrapped(made_up, width).iter().map(|line| paint.paint(FAINT, line)));
    lines
}

/// One scenario: a line for each thing that was said.
fn one(row: &Row, layout: &Layout, paint: Paint) -> Vec<String> {
    let right = row.cell.is_right();
    let (sign, style) = if right { ("✓", GOOD) } else { ("✗", BAD) };
    let about = wrapped(&printable(&row.scenario.about), layout.about);
    let (mut said, mut after, mut to) = (Vec::new(), Vec::new(), Vec::new());
    for each in &row.cell.said {
        let channels: Vec<_> = each.to.iter().map(|channel| channel.as_str()).collect();
        let channels = if channels.is_empty() { "nobody".to_owned() } else { channels.join(", ") };
        let what = wrapped(&each.what, SAID);
        let channels = wrapped(&channels, layout.to);
        let height = what.len().max(channels.len());
        let filled = |lines: Vec<String>| (0..height).map(move |at| lines.get(at).cloned().unwrap_or_default());
        said.extend(filled(what));
        after.extend(filled(vec![rough(each.after)]));
        to.extend(filled(channels));
    }
    if said.is_empty() {
        said.push("nothing".to_owned());
    }
    let lines = cells(&[about, said, after, to], layout);
    lines
        .into_iter()
        .enumerate()
        .map(|(number, line)| {
            let line = line.trim_end();
            let rest = line.get(SIGN..).unwrap_or_default();
            let rest = if right { rest.to_owned() } else { paint.paint(style, rest) };
            let sign = if number == 0 { paint.paint(style, sign) } else { " ".to_owned() };
            format!("  {sign} {rest}")
        })
        .collect()
}

/// Four cells side by side, with room for the sign before them.
fn cells([about, said, after, to]: &[Vec<String>; 4], layout: &Layout) -> Vec<String> {
    let height = about.len().max(said.len());
    let cell = |lines: &[String], at: usize, width: usize| padded(lines.get(at).map_or("", String::as_str), width);
    let gap = " ".repeat(GAP);
    (0..height)
        .map(|at| {
            let right = after.get(at).map_or("", String::as_str);
            [
                " ".repeat(SIGN) + &cell(about, at, layout.about),
                cell(said, at, SAID),
                format!("{right:>AFTER$}"),
                cell(to, at, layout.to),
            ]
            .join(&gap)
        })
        .collect()
}

/// How it came out; then every wrong cell, and what the policy makes impossible.
fn summary(rehearsal: &Rehearsal, width: usize, paint: Paint) -> Vec<String> {
    let wrong: Vec<_> = rehearsal.rows.iter().filter(|row| !row.cell.is_right()).collect();
    let (all, took) = (rehearsal.rows.len(), rehearsal.rows.iter().map(|row| row.took).sum());
    let scenarios = if all == 1 { "scenario" } else { "scenarios" };
    let mut lines = vec![match wrong.len() {
        0 => paint.paint(GOOD, &format!("{all} {scenarios} in {}: all right", rough(took))),
        wrong => paint.paint(BAD, &format!("{all} {scenarios} in {}: {wrong} wrong", rough(took))),
    }];
    let mut block = |text: &str, indent: usize, style: Style| {
        for line in wrapped(&printable(text), width.saturating_sub(indent)) {
            lines.push(format!("{}{}", " ".repeat(indent), paint.paint(style, &line)));
        }
    };
    for row in &wrong {
        block("", 0, Style::new());
        block(&format!("{}: {}", row.scenario.name, row.scenario.about), 0, BAD);
        block(&format!("must say: {}", row.cell.expected), 2, Style::new());
        block(&format!("said: {}", row.cell.said()), 2, Style::new());
        for sentence in &row.cell.wrong {
            block(&format!("wrong: {sentence}"), 2, Style::new());
        }
        let look = format!("look at: keypulse rehearse {} --json", row.scenario.name);
        block(&look, 2, FAINT);
    }
    if !wrong.is_empty() {
        let why = "A wrong cell is keypulse's fault, not yours: the times follow from your [schedule] and [limits]. Please \
                   report it, with the configuration's [schedule], [limits] and [notify] and the lines above.";
        block(why, 0, Style::new());
    }
    for remark in &rehearsal.remarks {
        block(&format!("! {remark}"), 0, WARNING);
    }
    if !rehearsal.left_out.is_empty() {
        let names = rehearsal.left_out.join(", ");
        block(&format!("Left out, since with this interval they would take minutes: {names}."), 0, FAINT);
    }
    lines
}
