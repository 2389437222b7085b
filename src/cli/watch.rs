//! `keypulse status --watch`: the status again whenever it changes.
//!
//! Follows the daemon's events; where none runs, looks at the stored state now and then until one is back. The table is
//! redrawn in place, on a screen of its own that is taken back at the end, whatever the end is; other formats are a line per
//! change, for bars that read as they come.

use std::{io::Write, os::fd::AsFd as _, time::Duration};

use jiff::tz::TimeZone;
use tokio::{
    io::Interest,
    net::unix::pipe,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use super::{
    Exit, Format, StatusArgs,
    context::{self, Context, block_on, print},
    exit::complain,
    status::{self, CANNOT_TELL, View},
    style::{FAINT, Paint},
    table::{exit_code, render},
};
use crate::{
    api::{Client, StatusDocument, Time, client::Events, time},
    health::name::CredentialName,
};

/// Between two looks at the table beside events: it says "3 min ago".
const TABLE: Duration = Duration::from_secs(20);
/// The same for lines: what changes without an event is that a password turned stale.
const LINES: Duration = Duration::from_secs(300);
/// Between two looks at the stored state, and for a daemon that is back.
const ALONE: Duration = Duration::from_secs(3);

/// Shows it until somebody ends it; the exit code of what was shown last.
pub(super) fn watch(context: &Context, arguments: &StatusArgs) -> Result<u8, Exit> {
    match arguments.format() {
        Format::Table if !context::moves_the_cursor() => Err(Exit::misuse(
            "--watch redraws the table in place, and standard output is no terminal that can do that",
            "add --format json, oneline or waybar: a line per change",
        )),
        Format::Table => block_on(table(context, &arguments.names)),
        Format::Json | Format::Oneline | Format::Waybar => block_on(lines(context, arguments)),
        Format::Prometheus => Err(Exit::misuse(
            "--watch does not go with --format prometheus: Prometheus asks by itself",
            "leave --watch out, or have it ask the socket: GET /metrics",
        )),
    }
}

async fn table(context: &Context, names: &[CredentialName]) -> Result<u8, Exit> {
    let mut signals = Signals::listen(true)?;
    let mut follower = Follower::new(context)?;
    // What cannot be shown at all is said on the person's own screen.
    let mut view = View::Document(Box::new(status::look(context, names).await?));
    let mut screen = Screen::enter()?;
    loop {
        Screen::draw(&view)?;
        match signals.or(follower.changed(TABLE)).await {
            Heard::Changed => {}
            Heard::End => break,
            Heard::Stop => {
                drop(screen);
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
                screen = Screen::enter()?;
            }
            Heard::Resized => continue,
        }
        view = View::of(status::look(context, names).await)?;
    }
    drop(screen);
    Ok(match &view {
        View::Document(document) => exit_code(document),
        View::Trouble(_) => CANNOT_TELL,
    })
}

async fn lines(context: &Context, arguments: &StatusArgs) -> Result<u8, Exit> {
    let mut signals = Signals::listen(false)?;
    let mut follower = Follower::new(context)?;
    let mut last = None;
    loop {
        let view = View::of(status::look(context, &arguments.names).await)?;
        let news = news(arguments.format(), &view);
        if last.as_ref() != Some(&news) {
            match (status::line(arguments.format(), &view), &view) {
                (Some(line), _) => print(&format!("{line}\n"))?,
                (None, View::Trouble(why)) => complain(&format!("keypulse: {why}")),
                (None, View::Document(_)) => {}
            }
            last = Some(news);
        }
        let happened = async {
            tokio::select! {
                () = follower.changed(LINES) => Heard::Changed,
                () = reader_gone() => Heard::End,
            }
        };
        match signals.or_heard(happened).await {
            Heard::Changed | Heard::Resized | Heard::Stop => {}
            // A bar that ends its module, or ends itself, is no failure of ours.
            Heard::End => return Ok(0),
        }
    }
}

/// What makes a line worth another one: everything in it but the moment at which it was made.
fn news(format: Format, view: &View) -> String {
    match view {
        View::Trouble(why) => why.clone(),
        View::Document(document) => {
            let timeless = StatusDocument { generated_at: Time::from_unix(0), ..(**document).clone() };
            status::line(format, &View::Document(Box::new(timeless))).unwrap_or_default()
        }
    }
}

/// The daemon's events, for as long as there is a daemon.
struct Follower {
    client: Client,
    events: Option<Events>,
}

impl Follower {
    fn new(context: &Context) -> Result<Self, Exit> {
        Ok(Self { client: context.client()?, events: None })
    }

    /// Until something may have changed: an event, a daemon that came or went, or `at_most` of time.
    async fn changed(&mut self, at_most: Duration) {
        let Some(events) = &mut self.events else {
            // What happens between the last look and the first event would be missed: look once more, after the stream began.
            match self.client.events().await {
                Ok(events) => self.events = Some(events),
                Err(_) => sleep(ALONE.min(at_most)).await,
            }
            return;
        };
        tokio::select! {
            event = events.next() => if !matches!(event, Ok(Some(_))) {
                self.events = None;
            },
            () = sleep(at_most) => {}
        }
    }
}

/// Why the waiting ended.
enum Heard {
    Changed,
    Resized,
    /// Ctrl-Z.
    Stop,
    /// Ctrl-C, or whatever else asks us to end.
    End,
}

struct Signals {
    end: [Signal; 4],
    resized: Signal,
    /// For those that have something to put away first.
    stop: Option<Signal>,
}

impl Signals {
    fn listen(stops: bool) -> Result<Self, Exit> {
        let stop = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
        let stop = stops.then(|| signal(stop)).transpose()?;
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let [int, term, hup, quit] = kinds.map(signal);
        Ok(Self { end: [int?, term?, hup?, quit?], resized: signal(SignalKind::window_change())?, stop })
    }

    async fn or(&mut self, change: impl Future<Output = ()>) -> Heard {
        let changed = async {
            change.await;
            Heard::Changed
        };
        self.or_heard(changed).await
    }

    async fn or_heard(&mut self, happened: impl Future<Output = Heard>) -> Heard {
        let [int, term, hup, quit] = &mut self.end;
        tokio::select! {
            biased;
            _ = int.recv() => Heard::End,
            _ = term.recv() => Heard::End,
            _ = hup.recv() => Heard::End,
            _ = quit.recv() => Heard::End,
            () = heard(self.stop.as_mut()) => Heard::Stop,
            _ = self.resized.recv() => Heard::Resized,
            heard = happened => heard,
        }
    }
}

async fn heard(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// The terminal's second screen. Dropped, it gives the first one back.
struct Screen;

impl Screen {
    /// The second screen, without a cursor.
    const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
    const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

    fn enter() -> Result<Self, Exit> {
        // Made before the first byte, so that it is given back whatever happens.
        let screen = Self;
        write(Self::ENTER)?;
        Ok(screen)
    }

    fn draw(view: &View) -> Result<(), Exit> {
        let size = context::size();
        let paint = Paint { colour: context::is_coloured() };
        let text = match view {
            View::Document(document) => context::seen(document, size.0, paint.colour, render),
            View::Trouble(why) => format!("keypulse: {why}"),
        };
        let now = Time::from_unix(jiff::Timestamp::now().as_second());
        write(&frame(&text, size, &time::local(now, now, &TimeZone::system()), paint))
    }
}

/// What is written over the frame before: as much of the text as there is room for, and a line on it. Lines are cleared as
/// they are written over, so that nothing flickers.
fn frame(text: &str, (width, height): (usize, usize), clock: &str, paint: Paint) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let room = height.saturating_sub(2).max(1);
    let hidden = lines.len().saturating_sub(room);
    let mut frame = String::from("\u{1b}[H");
    for line in lines.iter().take(room) {
        frame.push_str(line);
        frame.push_str("\u{1b}[K\r\n");
    }
    frame.push_str("\u{1b}[K\r\n");
    let more = if hidden > 0 { format!("{hidden} more lines · ") } else { String::new() };
    let below: String = format!("{more}{clock} · Ctrl-C ends").chars().take(width).collect();
    frame.push_str(&paint.paint(FAINT, &below));
    frame.push_str("\u{1b}[J");
    frame
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(write(Self::LEAVE));
    }
}

/// To the terminal as it is: anstream would take the cursor's movements for colours.
fn write(text: &str) -> Result<(), Exit> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Until nobody reads standard output any more. For ever where that cannot be known, as with files.
async fn reader_gone() {
    let out = std::io::stdout().as_fd().try_clone_to_owned();
    // Unchecked: the check would also make the shared description one that does not wait for its reader.
    match out.and_then(pipe::Sender::from_owned_fd_unchecked) {
        Ok(pipe) => drop(pipe.ready(Interest::ERROR).await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::sample::{self, NOW},
        cli::table::Look,
    };

    #[track_caller]
    fn check(document: &StatusDocument, size: (usize, usize), expected: &str) {
        let now = Time::new(NOW, 0);
        let local = |at: Time| time::local(at, now, &TimeZone::UTC);
        let shown = |colour| {
            let text = render(document, &Look { now, width: size.0, colour, local: &local });
            frame(&text, size, &local(now), Paint { colour })
        };
        let plain = shown(false);
        // As the terminal takes it: home, each line cleared to its end, the rest of the screen cleared.
        let drawn = plain.strip_prefix("\u{1b}[H").unwrap().strip_suffix("\u{1b}[J").unwrap();
        assert_eq!(drawn.replace("\u{1b}[K\r\n", "\n"), expected, "\n--- drawn:\n{drawn}");
        assert_eq!(drawn.matches('\r').count(), drawn.matches("\u{1b}[K\r\n").count());
        assert!(expected.lines().count() <= size.1, "higher than the screen");
        assert_eq!(anstream::adapter::strip_str(&shown(true)).to_string(), expected.replace('\n', "\r\n"));
    }

    #[test]
    fn a_frame_is_the_table_with_the_time_below() {
        let accounts =
            [sample::account("jane@me.com", vec![sample::healthy("mutt", None, 3), sample::dead("nas", None)])];
        check(
            &sample::document(&accounts),
            (80, 24),
            "\
jane@me.com
  ✓ mutt  healthy  accepted 3 min ago · next check in 41 min
  ✗ nas   revoked  accepted 6 h ago · next check in 23 h
      Make a new one: account.apple.com → Sign-In and Security → App-Specific
      Passwords, then:
      keypulse replace nas
      IMAP: NO [AUTHENTICATIONFAILED] Authentication Failed
      SMTP: 535 5.7.8 Error: authentication failed

1 healthy, 1 revoked · daemon running since 14:02

20:00 · Ctrl-C ends",
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        check(
            &sample::document(&sample::accounts()),
            (80, 8),
            "\
johnappleseed@icloud.com
  ✗ thunderbird            revoked  accepted 6 h ago · next check in 23 h
  ✗ nas          Synology  revoked  accepted 6 h ago · next check in 23 h

  What happened  Stopped between 14:00 and 19:31. Most likely the Apple Account
                 password was changed or reset, which revokes every app

14 more lines · 20:00 · Ctrl-C ends",
        );
    }
}
