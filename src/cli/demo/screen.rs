//! How the demonstration looks: acts, sentences, what happened when, the box around a notification.
//!
//! Decides layout and pace only. On a pipe: plain lines, and no pauses, since nobody reads along.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use tokio::time::{Instant, sleep_until};

use crate::{
    api::StatusDocument,
    cli::{
        Exit, context,
        style::{FAINT, HEADING, Paint, columns, padded, printable, wrapped},
    },
    health::alert::Message,
};

/// Longer lines are hard to read.
const WIDEST: usize = 92;
/// Under the number of an act.
const INDENT: usize = 3;
/// The column of the times.
const TIMES: usize = 5;
/// The reader's pauses end here, counted from the start: what is left of half a minute belongs to a slow machine.
const UNHURRIED: Duration = Duration::from_secs(19);
/// An act's number.
const BADGE: Style = AnsiColor::Cyan.on_default().bold();
/// Between two pictures of what turns while the story waits.
pub(super) const FRAME: Duration = Duration::from_millis(100);

/// What is written to.
pub(super) struct Screen {
    width: usize,
    /// Somebody reads along.
    watched: bool,
    /// Lines may be taken back.
    live: bool,
    waiting: bool,
    frame: usize,
    acts: usize,
    begun: Instant,
    /// What times are counted from, and what they stand still at.
    origin: Instant,
    stopped: Option<Duration>,
    paint: Paint,
}

impl Screen {
    pub(super) fn new() -> Self {
        let out = std::io::stdout();
        let watched = out.is_terminal();
        // anstream takes all sequences out where colours are not wanted, those that move the cursor too.
        let live = watched && AutoStream::choice(&out) != ColorChoice::Never;
        let (begun, width) = (Instant::now(), context::width().min(WIDEST));
        let paint = Paint { colour: true };
        Self { width, watched, live, waiting: false, frame: 0, acts: 0, begun, origin: begun, stopped: None, paint }
    }

    /// The first line.
    pub(super) fn title(&mut self, name: &str, what: &str) -> Result<(), Exit> {
        self.print(&format!("\n{}  {what}\n", self.paint.paint(HEADING, name)))
    }

    /// The next act begins.
    pub(super) fn act(&mut self, title: &str) -> Result<(), Exit> {
        self.acts += 1;
        let (number, title) = (self.acts.to_string(), self.paint.paint(HEADING, title));
        self.print(&format!("\n{}{}{title}\n", self.paint.paint(BADGE, &number), " ".repeat(INDENT - number.len())))
    }

    /// A paragraph.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Exit> {
        self.lines(text, INDENT, Style::new())
    }

    /// An empty line.
    pub(super) fn gap(&mut self) -> Result<(), Exit> {
        self.print("\n")
    }

    /// Times are counted from now on.
    pub(super) fn start_watch(&mut self) {
        self.origin = Instant::now();
        self.stopped = None;
    }

    /// What is said from now on happened at this moment, however long the reader takes.
    pub(super) fn stop_watch(&mut self) {
        self.stopped = Some(self.origin.elapsed());
    }

    /// Something happened now: a sign, who or what in so many columns, and what.
    pub(super) fn happened(&mut self, style: Style, sign: &str, who: (&str, usize), what: &str) -> Result<(), Exit> {
        let time = self.stopped.unwrap_or_else(|| self.origin.elapsed()).as_secs_f32();
        let time = self.paint.paint(FAINT, &format!("{time:>width$.1} s", width = INDENT + TIMES - 2));
        let (sign, name) = (self.paint.paint(style, sign), padded(&printable(who.0), who.1));
        let taken = INDENT + TIMES + 4 + who.1 + 2;
        let mut lines = wrapped(what, self.width.saturating_sub(taken)).into_iter();
        let first = self.paint.paint(style, &lines.next().unwrap_or_default());
        self.print(&format!("{time}  {sign} {name}  {first}\n"))?;
        for line in lines {
            self.print(&format!("{}{}\n", " ".repeat(taken), self.paint.paint(style, &line)))?;
        }
        Ok(())
    }

    /// More about what happened last.
    pub(super) fn detail(&mut self, text: &str) -> Result<(), Exit> {
        self.lines(&printable(text), INDENT + TIMES + 4, FAINT)
    }

    /// The status as `keypulse status` shows it.
    pub(super) fn table(&mut self, document: &StatusDocument) -> Result<(), Exit> {
        let table = context::table(document, self.width.saturating_sub(INDENT));
        let indented = table.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("{}{line}\n", " ".repeat(INDENT)),
        });
        let text: String = indented.collect();
        self.print(&format!("\n{text}"))
    }

    /// A notification as a desktop would show it.
    pub(super) fn notification(&mut self, message: &Message) -> Result<(), Exit> {
        let room = self.width.saturating_sub(INDENT + 4).max(1);
        let title = wrapped(&printable(&message.title), room).into_iter().map(|line| (HEADING, line));
        let body = message.body.lines().flat_map(|line| wrapped(&printable(line), room));
        let lines: Vec<_> = title.chain(body.map(|line| (Style::new(), line))).collect();
        let width = lines.iter().map(|(_, line)| columns(line)).max().unwrap_or_default();
        let (margin, rule, bar) = (" ".repeat(INDENT), "─".repeat(width + 2), self.paint.paint(FAINT, "│"));
        self.print(&format!("{margin}{}\n", self.paint.paint(FAINT, &format!("╭{rule}╮"))))?;
        for (style, line) in lines {
            let (line, rest) = (self.paint.paint(style, &line), " ".repeat(width - columns(&line)));
            self.print(&format!("{margin}{bar} {line}{rest} {bar}\n"))?;
        }
        self.print(&format!("{margin}{}\n", self.paint.paint(FAINT, &format!("╰{rule}╯"))))
    }

    /// Something to copy: never broken.
    pub(super) fn command(&mut self, text: &str) -> Result<(), Exit> {
        self.print(&format!("{}{text}\n", " ".repeat(INDENT + 2)))
    }

    /// Shows that the story waits, where lines may be taken back. To be called again every [`FRAME`].
    pub(super) fn wait_for(&mut self, what: &str) -> Result<(), Exit> {
        if !self.live {
            return Ok(());
        }
        let frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        let sign = frames.iter().cycle().nth(self.frame % frames.len()).copied().unwrap_or_default();
        self.frame += 1;
        self.waiting = true;
        let line = self.paint.paint(FAINT, &format!("{sign} {what} …"));
        write(&format!("\r\u{1b}[2K{}{line}", " ".repeat(INDENT)))
    }

    /// Time for the reader's eye.
    pub(super) async fn pause(&self, time: Duration) {
        if self.watched {
            sleep_until((Instant::now() + time).min(self.begun + UNHURRIED)).await;
        }
    }

    /// Leaves the cursor at the beginning of a line: after Ctrl-C it stands behind the terminal's `^C`.
    pub(super) fn clear(&mut self) {
        let text = if self.live { "\r\u{1b}[2K" } else { "\n" };
        if self.watched {
            // Perhaps the terminal is what went away.
            drop(write(text));
        }
        self.waiting = false;
    }

    fn lines(&mut self, text: &str, indent: usize, style: Style) -> Result<(), Exit> {
        let lines = wrapped(text, self.width.saturating_sub(indent)).into_iter();
        let lines = lines.map(|line| format!("{}{}\n", " ".repeat(indent), self.paint.paint(style, &line)));
        let text: String = lines.collect();
        self.print(&text)
    }

    fn print(&mut self, text: &str) -> Result<(), Exit> {
        if std::mem::take(&mut self.waiting) {
            write("\r\u{1b}[2K")?;
        }
        write(text)
    }
}

fn write(text: &str) -> Result<(), Exit> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
