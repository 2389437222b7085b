//! What goes over loopback, captured by tcpdump.

use std::{fs, path::PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Component, clean};

/// A capture that runs until it is read.
pub struct Capture {
    // First: stopped before its directory goes.
    component: Component,
    dir: TempDir,
}

impl Capture {
    /// Records every packet from or to these ports of this machine.
    #[track_caller]
    pub fn of(ports: &[u16]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let filter = ports.iter().map(|port| format!("tcp port {port}")).collect::<Vec<_>>().join(" or ");
        let mut command = clean("tcpdump");
        // Whole packets, each written down at once, through a buffer that loses none; and no other user, who could not write.
        command.args(["-i", "lo", "-s", "0", "-U", "--immediate-mode", "-B", "32768", "-Z", "root", "-w"]);
        let component =
            Component::spawn("tcpdump", command.arg(dir.path().join("wire")).arg(filter), &dir.path().join("log"));
        component.until("listening", || component.log().contains("listening on").then_some(()));
        Self { component, dir }
    }

    /// Ends it; the packets, one behind the other.
    #[track_caller]
    pub fn end(self) -> Vec<u8> {
        self.component.signal(Signal::INT);
        assert!(self.component.wait().success(), "{}", self.component.log());
        let log = self.component.log();
        assert!(log.contains("\n0 packets dropped by kernel"), "{log}");
        fs::read(self.file()).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("wire")
    }
}
