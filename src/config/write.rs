//! Writing the configuration so that it is there whole or not at all.
//!
//! Follows a symbolic link to the file behind it (people keep their configuration in repositories), keeps that file's mode
//! and owner, and refuses to write over what somebody changed in the meantime. Makes directories 0700 and new files 0600;
//! changes the mode of nothing that exists.

use std::{
    error, fmt,
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown},
    path::{Path, PathBuf},
};

/// Symbolic links that are followed before it is called a loop: what Linux does.
const LINKS: usize = 40;

/// Why a file was not written. Displays as a phrase that fits after "failed to".
#[derive(Debug)]
pub enum WriteError {
    /// It is not as it was when it was read.
    Changed(PathBuf),
    /// The system said no; holds what was tried, on what.
    Io(&'static str, PathBuf, io::Error),
}

/// Writes a file whole. `expected` is what was read before the edit, `None` where there was no file.
///
/// # Errors
/// Where the file is not as expected, or the system refuses a step. The old file is then still there, unchanged.
pub fn write_atomically(path: &Path, expected: Option<&str>, text: &str) -> Result<(), WriteError> {
    let target = follow(path)?;
    let failed = |tried, on: &Path| {
        let on = on.to_owned();
        move |error| WriteError::Io(tried, on, error)
    };
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("make the directory", directory))?;
    // 0600 from the start: tempfile's default.
    let temporary = tempfile::Builder::new().prefix(".keypulse-").tempfile_in(directory);
    let mut temporary = temporary.map_err(failed("write to the directory", directory))?;
    let write = |file: &mut File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    write(temporary.as_file_mut()).map_err(failed("write a copy of", &target))?;
    match fs::read(&target) {
        Ok(bytes) if Some(bytes.as_slice()) == expected.map(str::as_bytes) => {
            let old = fs::metadata(&target).map_err(failed("look at", &target))?;
            keep(&old, temporary.as_file()).map_err(failed("keep owner and mode of", &target))?;
            temporary.persist(&target).map_err(|error| failed("replace", &target)(error.error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && expected.is_none() => {
            temporary.persist_noclobber(&target).map_err(|error| {
                if error.error.kind() == io::ErrorKind::AlreadyExists {
                    return WriteError::Changed(target.clone());
                }
                failed("make", &target)(error.error)
            })?;
        }
        Ok(_) => return Err(WriteError::Changed(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(WriteError::Changed(target)),
        Err(error) => return Err(failed("read", &target)(error)),
    }
    // The file is in place; a file system that cannot sync a directory does not make that untrue.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// The file behind symbolic links, there or not.
fn follow(path: &Path) -> Result<PathBuf, WriteError> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new("")).join(link),
            // Not a link, or not there.
            Err(_) => return Ok(path),
        }
    }
    Err(WriteError::Io("follow the symbolic links of", path, io::Error::other("they form a loop")))
}

/// Gives the new file the mode and, where another user's file is edited by root, the owner of the old one.
fn keep(old: &fs::Metadata, new: &File) -> io::Result<()> {
    let made = new.metadata()?;
    if old.uid() != made.uid() {
        fchown(new, Some(old.uid()), Some(old.gid()))?;
    } else if old.gid() != made.gid() {
        // A group we are not in cannot be given away; the file is still its owner's.
        let _ = fchown(new, None, Some(old.gid()));
    }
    new.set_permissions(old.permissions())
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(path) => {
                write!(f, "write {}: it was changed in the meantime; run the command again", path.display())
            }
            Self::Io(tried, path, _) => write!(f, "{tried} {}", path.display()),
        }
    }
}

impl error::Error for WriteError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Changed(_) => None,
            Self::Io(_, _, error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_new_file_is_0600_in_directories_made_0700() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/config.toml");
        write_atomically(&path, None, "x = 1\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "x = 1\n");
        assert_eq!((mode(&path), mode(path.parent().unwrap()), mode(&root.path().join("a"))), (0o600, 0o700, 0o700));
        assert_eq!(names(path.parent().unwrap()), ["config.toml"]);
    }

    #[test]
    fn an_existing_file_keeps_its_mode_and_an_existing_directory_its_own() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("config.toml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        write_atomically(&path, Some("old"), "new").unwrap();
        assert_eq!((mode(&path), mode(root.path())), (0o640, 0o755));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_symbolic_link_stays_and_its_target_is_written() {
        let root = tempfile::tempdir().unwrap();
        let (link, middle, target) =
            (root.path().join("config.toml"), root.path().join("middle"), root.path().join("dotfiles/keypulse.toml"));
        symlink("middle", &link).unwrap();
        symlink(&target, &middle).unwrap();
        // The target need not be there yet.
        write_atomically(&link, None, "one").unwrap();
        write_atomically(&link, Some("one"), "two").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "two");
        assert!(
            fs::symlink_metadata(&link).unwrap().is_symlink() && fs::symlink_metadata(&middle).unwrap().is_symlink()
        );
        let circle = root.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert!(write_atomically(&circle, None, "x").unwrap_err().to_string().contains("symbolic links"));
    }

    #[test]
    fn a_file_changed_in_the_meantime_is_not_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("config.toml");
        let changed = |expected| matches!(write_atomically(&path, expected, "new"), Err(WriteError::Changed(_)));
        assert!(changed(Some("old")), "it is gone");
        fs::write(&path, "other").unwrap();
        assert!(changed(Some("old")) && changed(None));
        assert_eq!(fs::read_to_string(&path).unwrap(), "other");
        assert_eq!(names(root.path()), ["config.toml"]);
    }

    #[test]
    fn what_the_system_refuses_is_told_with_the_path() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = write_atomically(&file.join("config.toml"), None, "x").unwrap_err();
        assert_eq!(error.to_string(), format!("make the directory {}", file.display()));
        assert!(error::Error::source(&error).is_some());
    }
}
