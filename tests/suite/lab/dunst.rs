//! dunst on an X server of its own: a real notification service that shows real pixels.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Bus, Component,
    process::{clean, run, until},
};

const NAME: &str = "org.freedesktop.Notifications";

/// Nothing follows the mouse, nothing goes by itself, everything has its place.
const CONFIGURATION: &str = "[global]
    follow = none
    origin = top-right
    width = 600
    font = Sans 10
    markup = full
    idle_threshold = 0
    show_indicators = yes
    notification_limit = 20
";

/// A running X server without a screen.
pub struct Display {
    // First: stopped before its directory goes.
    component: Component,
    number: String,
    _dir: TempDir,
}

impl Display {
    /// Starts one on a free display number.
    #[track_caller]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let errors = fs::File::create(&log).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = clean("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"]);
        let component = Component::spawn_with("Xvfb", &command, &log, |command| {
            command.stdin(Stdio::null()).stdout(Stdio::from(writer)).stderr(errors);
        });
        // It writes the number once it listens; the pipe ends if it dies.
        let mut number = String::new();
        BufReader::new(reader).read_line(&mut number).unwrap();
        assert!(!number.trim().is_empty(), "Xvfb gave no display number\n{}", component.log());
        Self { component, number: number.trim().to_owned(), _dir: dir }
    }

    /// For `DISPLAY`.
    pub fn name(&self) -> String {
        format!(":{}", self.number)
    }

    /// What is on the screen, as a PNG file.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        assert!(self.component.ended().is_none(), "Xvfb is gone");
        run(clean("import").args(["-display", &self.name(), "-window", "root"]).arg(path), "").ok();
    }
}

/// A running dunst.
pub struct Dunst<'bus> {
    // First: stopped before its display and directory go.
    component: Option<Component>,
    bus: &'bus Bus,
    display: Display,
    home: TempDir,
}

impl<'bus> Dunst<'bus> {
    /// Starts one on `bus`.
    #[track_caller]
    pub fn start(bus: &'bus Bus) -> Self {
        let home = tempfile::tempdir().unwrap();
        // It offers several actions in a menu: a program that is given a line for each and prints the chosen one.
        let menu = home.path().join("menu");
        let program = format!("#!/bin/sh\ngrep -F -f {}/choice\n", home.path().display());
        fs::write(&menu, program).unwrap();
        fs::set_permissions(&menu, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(home.path().join("dunstrc"), format!("{CONFIGURATION}    dmenu = {}\n", menu.display())).unwrap();
        bus.account().give(home.path());
        let mut dunst = Self { component: None, bus, display: Display::start(), home };
        dunst.restart();
        dunst
    }

    /// Stops it: the notification service leaves the bus, and what it showed is gone.
    #[track_caller]
    pub fn stop(&mut self) {
        self.component = None;
        self.bus.wait_without(NAME);
    }

    /// It hangs: it stays on the bus and answers nothing.
    pub fn freeze(&self) {
        self.component.as_ref().unwrap().signal_group(Signal::STOP);
    }

    /// Goes on after `freeze`, with all that was asked meanwhile.
    pub fn thaw(&self) {
        self.component.as_ref().unwrap().signal_group(Signal::CONT);
    }

    /// Starts it (again), showing nothing.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        let mut command = self.bus.client("dunst");
        command.arg("-conf").arg(self.home.path().join("dunstrc"));
        command.env("DISPLAY", self.display.name()).env("HOME", self.home.path());
        let component = Component::spawn("dunst", &command, &self.home.path().join("log"));
        component.until("its name on the bus", || self.bus.has(NAME).then_some(()));
        self.component = Some(component);
    }

    /// How many notifications are on the screen.
    #[track_caller]
    pub fn displayed(&self) -> usize {
        self.dunstctl(["count", "displayed"]).trim().parse().unwrap()
    }

    /// Waits until so many are on the screen.
    #[track_caller]
    pub fn wait_displayed(&self, count: usize) {
        until(&format!("{count} notifications on the screen"), || (self.displayed() == count).then_some(()));
    }

    /// Do Not Disturb, as the person switches it on and off.
    #[track_caller]
    pub fn do_not_disturb(&self, on: bool) {
        self.dunstctl(["set-paused", if on { "true" } else { "false" }]);
    }

    /// How many wait for the end of Do Not Disturb.
    #[track_caller]
    pub fn waiting(&self) -> usize {
        self.dunstctl(["count", "waiting"]).trim().parse().unwrap()
    }

    /// What was shown and is gone, newest first, as `dunstctl history` has it: `summary.data`, `body.data`, …
    #[track_caller]
    pub fn history(&self) -> Vec<Value> {
        let history: Value = serde_json::from_str(&self.dunstctl(["history"])).unwrap();
        history["data"][0].as_array().unwrap().clone()
    }

    /// Chooses an action by its label, as a person does from dunst's menu, until `done`: the sender begins to listen only
    /// after the notification stands.
    #[track_caller]
    pub fn choose<T>(&self, label: &str, mut done: impl FnMut() -> Option<T>) -> T {
        fs::write(self.home.path().join("choice"), label).unwrap();
        let mut clicked: Option<Instant> = None;
        until(&format!("what follows from {label:?}"), || {
            // A person clicks again only after a while.
            if clicked.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) {
                self.dunstctl(["context"]);
                clicked = Some(Instant::now());
            }
            done()
        })
    }

    /// Does what a person's click on "close" does, to all.
    #[track_caller]
    pub fn dismiss_all(&self) {
        self.dunstctl(["close-all"]);
    }

    /// What is on the screen, as a PNG file.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        self.display.screenshot(path);
    }

    /// Where it shows things.
    pub fn display(&self) -> &Display {
        &self.display
    }

    #[track_caller]
    fn dunstctl<const N: usize>(&self, arguments: [&str; N]) -> String {
        run(self.bus.client("dunstctl").args(arguments), "").ok()
    }
}
