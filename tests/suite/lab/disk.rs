//! A disk of its own: one so small that it can be filled, a tmpfs; or one that breaks, ext4 in a file. Needs root, as the whole
//! laboratory.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::{NamedTempFile, TempDir};

use super::{Output, process::run, until};

/// A mounted file system. Unmounted when dropped.
pub struct Disk {
    place: TempDir,
    /// Of one that breaks.
    image: Option<NamedTempFile>,
}

impl Disk {
    /// An empty one of this many KiB.
    #[track_caller]
    pub fn new(kib: u32) -> Self {
        let place = tempfile::Builder::new().prefix("disk").tempdir().unwrap();
        let options = format!("size={kib}k,mode=700");
        command("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], Some(place.path())).ok();
        Self { place, image: None }
    }

    /// An empty one that can break.
    #[track_caller]
    pub fn fragile() -> Self {
        let image = NamedTempFile::new().unwrap();
        image.as_file().set_len(32 << 20).unwrap();
        command("mkfs.ext4", &["-q", "-F"], Some(image.path())).ok();
        let disk = Self { place: tempfile::Builder::new().prefix("disk").tempdir().unwrap(), image: Some(image) };
        disk.mount();
        disk
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
        command("mount", &["-o", options], Some(self.place.path())).ok();
    }

    /// Takes from everybody, root included, the right to change a file, also where it is open; or gives it back. On a fragile
    /// one. (To write to a mapped one is then SIGBUS.)
    #[track_caller]
    pub fn seal(&self, name: &str, sealed: bool) {
        command("chattr", &[if sealed { "+i" } else { "-i" }], Some(&self.path(name))).ok();
    }

    /// The fragile one is found broken: from now on the kernel writes nothing on it, for nobody, until it is repaired.
    #[track_caller]
    pub fn break_down(&self) {
        let device = command("findmnt", &["--noheadings", "--output", "SOURCE"], Some(self.place.path())).ok();
        let device = device.rsplit('/').next().unwrap().to_owned();
        // What is mapped is clean then: to write there must not be the end either.
        command("sync", &["-f"], Some(self.place.path())).ok();
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").unwrap();
        until("a disk on which nothing can be written", || File::create(self.path("probe")).is_err().then_some(()));
    }

    /// Repairs it, as a person or the next boot does. Nobody may hold a file on it open.
    #[track_caller]
    pub fn repair(&self) {
        command("umount", &[], Some(self.place.path())).ok();
        let image = self.image.as_ref().unwrap();
        // 1: it found errors and corrected them (`e2fsck(8)`).
        let repaired = command("e2fsck", &["-f", "-y"], Some(image.path()));
        assert!(repaired.code <= 1, "{repaired:?}");
        self.mount();
    }

    #[track_caller]
    fn mount(&self) {
        let image = self.image.as_ref().unwrap().path().to_str().unwrap();
        command("mount", &["-o", "loop,errors=remount-ro", image], Some(self.place.path())).ok();
    }
}

#[track_caller]
fn command(program: &str, arguments: &[&str], path: Option<&Path>) -> Output {
    run(super::clean(program).args(arguments).args(path), "")
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever is still on it (a test that failed) goes in its own time.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.place.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "cannot unmount");
    }
}
