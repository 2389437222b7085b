//! `keypulse demo`, as a person runs it: told to the end, interrupted, kept; and nothing is left of it.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::lab::{Bus, Component, Dunst, Event, Keypulse, Output, Urgency, clean, run};

/// What the issue allows.
const LONGEST: Duration = Duration::from_secs(30);

const ALL_REVOKED: &str = "Test: All iCloud app passwords revoked: johnappleseed@icloud.com";
const WORKS_AGAIN: &str = "Test: iCloud works again";

/// A person whose variables all point to places that the demonstration must not touch, and where its directory goes.
fn person() -> (Keypulse, PathBuf) {
    let person = Keypulse::new();
    let temporary = person.home().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let theirs = |name: &str| person.home().join("theirs").join(name).display().to_string();
    let (config, state, socket) = (theirs("config.toml"), theirs("state"), theirs("keypulse.sock"));
    let person = person
        .env("TMPDIR", &temporary.display().to_string())
        .env("KEYPULSE_CONFIG", &config)
        .env("KEYPULSE_STATE_DIR", &state)
        .env("KEYPULSE_SOCKET", &socket);
    (person, temporary)
}

/// Everything in a home, but what the tests themselves put there.
fn left_in(home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![home.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                directories.push(entry.clone());
            }
            found.push(entry);
        }
    }
    let ours = [home.join("tmp"), home.join("run"), home.join("demo.log")];
    found.retain(|path| !ours.contains(path));
    found
}

#[track_caller]
fn check_nothing_left(keypulse: &Keypulse) {
    assert_eq!(left_in(keypulse.home()), Vec::<PathBuf>::new());
}

/// That each of these is said, in this order.
#[track_caller]
fn check_told(said: &str, expected: &[&str]) {
    let mut rest = said;
    for part in expected {
        let at = rest.find(part);
        let at = at.unwrap_or_else(|| panic!("{part:?} is not said, or not where it should be:\n{said}"));
        rest = &rest[at + part.len()..];
    }
}

/// Waits until so much is said.
#[track_caller]
fn until_said(demo: &Component, text: &str) {
    demo.until(&format!("{text:?}"), || demo.log().contains(text).then_some(()));
}

/// keypulse in a terminal of 80 columns and 40 lines, as tmux makes one.
struct Terminal {
    // First: stopped before its directory goes.
    server: Component,
    dir: TempDir,
}

impl Terminal {
    /// Runs keypulse with these arguments, then says "code" with its exit code.
    #[track_caller]
    fn run(keypulse: &Keypulse, arguments: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = clean("tmux");
        let program = keypulse.program();
        command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.arg("-S").arg(dir.path().join("socket")).args(["-f", "/dev/null", "-D"]);
        let server = Component::spawn("tmux", &command, &dir.path().join("log"));
        let terminal = Self { server, dir };
        // The shell outlives Ctrl-C, and the terminal the shell's last word.
        let program = program.get_program().display();
        let line = format!("trap : INT; '{program}' {arguments}; echo \"code $?\"; read nothing");
        // Asked before there is one, tmux would start a server of its own.
        terminal.server.until("a listening server", || UnixStream::connect(terminal.dir.path().join("socket")).ok());
        terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "40", &line]).ok();
        terminal
    }

    /// Everything that was written to it, as it looks now.
    #[track_caller]
    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-"]).ok()
    }

    #[track_caller]
    fn until(&self, text: &str) {
        self.server.until(&format!("{text:?} on the terminal"), || self.text().contains(text).then_some(()));
    }

    /// Presses keys, as tmux names them.
    #[track_caller]
    fn keys(&self, keys: &str) {
        self.tmux(&["send-keys", keys]).ok();
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = clean("tmux");
        run(command.arg("-u").arg("-S").arg(self.dir.path().join("socket")).args(arguments), "")
    }
}

#[test]
fn the_whole_story_is_told_and_nothing_is_left() {
    let (keypulse, _) = person();
    let begun = Instant::now();
    let said = keypulse.command(&["demo"]).ok();
    assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());
    check_told(
        &said,
        &[
            "All is well",
            "7 healthy",
            "main password reset",
            "  suspect\n",
            "NO [AUTHENTICATIONFAILED]",
            "is well: ",
            "@icloud.com is accepted",
            "  revoked\n",
            "incident     main-password-reset",
            "not shown: there is no session bus",
            ALL_REVOKED,
            "Thunderbird, cron mail and 2 more",
            "keypulse replace --account johnappleseed@icloud.com",
            "4 revoked",
            "4 new passwords stored",
            "incident     over",
            "All is well again",
            "7 healthy",
        ],
    );
    for name in ["thunderbird", "msmtp", "nas", "phone"] {
        check_told(&said, &[&format!("✗ {name:11}  revoked"), &format!("✓ {name:11}  healthy")]);
    }
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "control codes on a pipe:\n{said:?}");
    let widest = said.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 80, "{widest} columns:\n{said}");
    check_nothing_left(&keypulse);
}

#[test]
fn the_notification_shows_on_the_desktop_and_goes_at_the_end() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let monitor = bus.monitor();
    let (keypulse, _) = person();
    let keypulse = keypulse.on(&bus);
    let begun = Instant::now();
    let terminal = Terminal::run(&keypulse, "demo");
    dunst.wait_displayed(1);
    terminal.until("code 0");
    // With its pauses for a reader's eye.
    assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());

    let said = terminal.text();
    check_told(&said, &["shown on your desktop", ALL_REVOKED, "notification withdrawn", WORKS_AGAIN, "7 healthy"]);
    assert!(!said.contains('…'), "something that turned was not taken away, or a name did not fit:\n{said}");
    let shown = monitor.notified(ALL_REVOKED);
    assert_eq!(shown.urgency, Urgency::Critical);
    assert!(shown.body.contains("Most likely the Apple Account password was changed"), "{shown:?}");
    let noted = monitor.notified(WORKS_AGAIN);
    assert!(monitor.notifications().iter().all(|it| it.summary.starts_with("Test: ")), "{:?}", monitor.notifications());
    for id in [shown.id, noted.id] {
        monitor.until("its end", |events| {
            let ended = |event: &&Event| matches!(event, Event::Closed { id: closed, .. } if Some(*closed) == id);
            events.iter().find(ended).cloned()
        });
    }
    assert_eq!(dunst.displayed(), 0);
    check_nothing_left(&keypulse);
}

#[test]
fn ctrl_c_takes_the_notification_along() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let (keypulse, _) = person();
    let keypulse = keypulse.on(&bus);
    let terminal = Terminal::run(&keypulse, "demo");
    terminal.until("shown on your desktop");
    assert_eq!(dunst.displayed(), 1);
    let begun = Instant::now();
    terminal.keys("C-c");
    terminal.until("code 130");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let said = terminal.text();
    check_told(&said, &["shown on your desktop", "\nkeypulse: interrupted; nothing is left behind\ncode 130"]);
    dunst.wait_displayed(0);
    check_nothing_left(&keypulse);
}

#[test]
fn an_interrupted_story_leaves_nothing_behind() {
    #[track_caller]
    fn check(when: &str, signal: Signal, code: i32) {
        let (keypulse, temporary) = person();
        let demo = keypulse.spawn(&["demo"]);
        until_said(&demo, when);
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
        let begun = Instant::now();
        demo.signal(signal);
        let status = demo.wait();
        assert!(begun.elapsed() < Duration::from_secs(2), "{when}: {:?}", begun.elapsed());
        assert_eq!(status.code(), Some(code), "{when}: {}", demo.log());
        assert!(demo.log().contains("interrupted; nothing is left behind"), "{}", demo.log());
        check_nothing_left(&keypulse);
    }
    check("7 healthy", Signal::TERM, 143);
    check("main password reset", Signal::INT, 130);
    check("suspect", Signal::HUP, 129);
}

#[test]
fn a_kept_demonstration_answers_status_and_check_until_it_is_ended() {
    let (keypulse, _) = person();
    let demo = keypulse.spawn(&["demo", "--keep"]);
    until_said(&demo, "Ctrl-C ends it");
    let commands: Vec<String> =
        demo.log().lines().filter(|line| line.contains(" --socket ")).map(|line| line.trim().to_owned()).collect();
    assert_eq!(commands.len(), 2, "{}", demo.log());
    for (command, verb) in commands.iter().zip(["status", "check"]) {
        assert!(command.ends_with(verb), "{command}");
        // As pasted into another terminal.
        let said = run(clean("sh").args(["-c", command]).env("HOME", keypulse.home()), "").ok();
        check_told(&said, &["johnappleseed@icloud.com", "✓ thunderbird", "7 healthy", "daemon running since"]);
    }
    let begun = Instant::now();
    demo.signal(Signal::INT);
    assert_eq!(demo.wait().code(), Some(0), "{}", demo.log());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    check_nothing_left(&keypulse);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let (keypulse, _) = person();
    let mut shell = clean("sh");
    let program = keypulse.program();
    for (key, value) in program.get_envs() {
        shell.env(key, value.unwrap());
    }
    let line =
        format!("{{ '{}' demo; echo \"code $?\" >&2; }} | head -n 3 >/dev/null", program.get_program().display());
    let output = run(shell.args(["-c", &line]), "");
    assert_eq!(output.stderr, "code 0\n");
    check_nothing_left(&keypulse);
}

#[test]
fn it_takes_no_configuration_and_no_socket() {
    let (keypulse, _) = person();
    for option in ["--config", "--socket"] {
        let output = keypulse.command(&["demo", option, "/tmp/x"]);
        assert_eq!(output.code, 64, "{output:?}");
        assert!(output.stderr.contains("of its own"), "{output:?}");
    }
    check_nothing_left(&keypulse);
}
