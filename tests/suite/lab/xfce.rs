//! Xfce's notification service on an X server of its own: one that shows actions as buttons.

use std::fs;

use tempfile::TempDir;

use super::{Bus, Component, Display};

/// Where Debian puts it, and what it keeps its settings with. Neither is started on demand on a test's bus.
const PROGRAMS: [(&str, &str); 2] = [("xfce4/xfconf/xfconfd", "org.xfce.Xfconf"), (NOTIFYD, NAME)];
const NOTIFYD: &str = "xfce4/notifyd/xfce4-notifyd";
const NAME: &str = "org.freedesktop.Notifications";

/// A running xfce4-notifyd.
pub struct Xfce {
    // First: stopped before their display and directory go.
    _components: Vec<Component>,
    /// Where it shows things.
    pub display: Display,
    _home: TempDir,
}

impl Xfce {
    /// Starts one on `bus`.
    #[track_caller]
    pub fn start(bus: &Bus) -> Self {
        let (home, display) = (tempfile::tempdir().unwrap(), Display::start());
        let libraries = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let start = |(program, name): (&str, &str)| {
            let mut command = bus.client(&format!("{libraries}/{program}"));
            command.env("DISPLAY", display.name()).env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
            command.env("NO_AT_BRIDGE", "1").env("LANG", "C.UTF-8");
            let log = program.rsplit('/').next().unwrap();
            let component = Component::spawn(log, &command, &home.path().join(log));
            component.until("its name on the bus", || bus.has(name).then_some(()));
            component
        };
        fs::create_dir(home.path().join(".config")).unwrap();
        let components = PROGRAMS.map(start).into();
        Self { _components: components, display, _home: home }
    }
}
