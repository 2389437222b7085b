//! Which program this process is, and whether another one has taken its place on the disk since: after an upgrade the old one
//! goes on until it is started anew.
//!
//! The process says it of itself. Others may not look: it is closed, as it holds passwords (`harden.rs`). Decides nothing.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What the kernel adds to the name of a file that is gone (`proc(5)`).
const GONE: &str = " (deleted)";

/// The program of this process.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    /// Device and inode: while it runs, no other file can have them.
    file: (u64, u64),
}

impl Program {
    /// Looks which it is. `None` where the system does not say.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let path = std::env::current_exe().ok()?;
        let path = path.to_str().and_then(|path| path.strip_suffix(GONE)).map(PathBuf::from).unwrap_or(path);
        Some(Self { file: identity(&running(&path).ok()?), path })
    }

    /// Where it was when it was started.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another file is there now, or none.
    #[must_use]
    pub fn was_replaced(&self) -> bool {
        fs::metadata(&self.path).map_or(true, |file| identity(&file) != self.file)
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// The file that runs, also where it was replaced before anybody looked.
#[cfg(target_os = "linux")]
fn running(_path: &Path) -> io::Result<Metadata> {
    fs::metadata("/proc/self/exe")
}

/// The file that is there: macOS knows no name for the one that runs.
#[cfg(not(target_os = "linux"))]
fn running(path: &Path) -> io::Result<Metadata> {
    fs::metadata(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_its_place_is_seen() {
        let this = Program::of_this_process().unwrap();
        assert_eq!(this.path(), std::env::current_exe().unwrap());
        assert!(!this.was_replaced());
        let home = tempfile::tempdir().unwrap();
        let (path, new) = (home.path().join("keypulse"), home.path().join("new"));
        fs::write(&path, "old").unwrap();
        let program = Program { file: identity(&fs::metadata(&path).unwrap()), path: path.clone() };
        assert!(!program.was_replaced());
        // Held open, as a program that runs is: its number is not given to another file.
        let _held = fs::File::open(&path).unwrap();
        fs::write(&new, "new").unwrap();
        fs::rename(&new, &path).unwrap();
        assert!(program.was_replaced());
        fs::remove_file(&path).unwrap();
        assert!(program.was_replaced());
    }
}
