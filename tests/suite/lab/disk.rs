//! A disk of its own, so small that it can be filled: a tmpfs in a temporary directory. Needs root, as the whole laboratory.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use super::process::run;

/// A mounted file system. Unmounted when dropped.
pub struct Disk {
    place: TempDir,
}

impl Disk {
    /// An empty one of this many KiB.
    #[track_caller]
    pub fn new(kib: u32) -> Self {
        let place = tempfile::Builder::new().prefix("disk").tempdir().unwrap();
        let options = format!("size={kib}k,mode=700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place.path()), "").ok();
        Self { place }
    }

    /// A path on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Fills it to the last block.
    #[track_caller]
    pub fn fill(&self) {
        let mut file = File::create(self.path("ballast")).unwrap();
        while file.write_all(&[0x5a; 4096]).is_ok() {}
    }

    /// Makes room again.
    #[track_caller]
    pub fn free(&self) {
        fs::remove_file(self.path("ballast")).unwrap();
    }

    /// Whether nothing may be written on it. Nobody may hold a file on it open for writing.
    #[track_caller]
    pub fn read_only(&self, read_only: bool) {
        let options = if read_only { "remount,ro" } else { "remount,rw" };
        run(Command::new("mount").args(["-o", options]).arg(self.place.path()), "").ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever is still on it (a test that failed) goes in its own time.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.place.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "cannot unmount");
    }
}
