//! Directories and files that are the person's alone: made so, and refused where somebody else could have laid a trap.
//!
//! In a directory like /tmp anybody can put a link or a directory under a name that we are about to use, and have us write
//! where he wants or read what he wrote. Decides whose places are used; never changes the mode of what is there.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

/// Anybody may write.
const OPEN_TO_ALL: u32 = 0o002;
/// … but only remove what is his own.
const STICKY: u32 = 0o1000;

/// Whether `uid` may be trusted: this user or root.
#[must_use]
pub fn is_friend(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Makes a directory, and those above it, with mode 0700 where they are missing.
///
/// # Errors
/// Where it cannot be made, is or is led to by a thing of another user, or is one in which anybody may exchange files.
pub fn directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let (named, found) = (fs::symlink_metadata(path)?, fs::metadata(path)?);
    // A link of one's own leads where one wants it, to another disk for instance.
    if named.is_symlink() && !is_friend(named.uid()) {
        return Err(refused(format!("it is a symbolic link of another user (uid {})", named.uid())));
    }
    if !is_friend(found.uid()) {
        return Err(refused(format!("it belongs to another user (uid {})", found.uid())));
    }
    if found.mode() & OPEN_TO_ALL != 0 && found.mode() & STICKY == 0 {
        return Err(refused("any user may exchange the files in it; take that right away with chmod o-w".to_owned()));
    }
    Ok(())
}

/// Opens a file, of mode 0600 where it is made, and never what a symbolic link in its place leads to.
///
/// # Errors
/// Where it cannot be opened, or is a symbolic link.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options.mode(0o600).custom_flags(flags).open(path).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return refused("it is a symbolic link; put the file itself there".to_owned());
        }
        error
    })
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    use super::*;

    const SOMEBODY: u32 = 61_202;

    #[track_caller]
    fn check(path: &Path, expected: Result<(), &str>) {
        let made = directory(path).map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(made, Ok(())),
            Err(part) => assert!(made.as_ref().is_err_and(|why| why.contains(part)), "{part} expected: {made:?}"),
        }
    }

    #[test]
    fn only_directories_of_friends_are_used() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let mode = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        check(&at("a/b"), Ok(()));
        assert_eq!(fs::metadata(at("a/b")).unwrap().mode() & 0o7777, 0o700);
        mode("a/b", 0o775);
        check(&at("a/b"), Ok(()));
        mode("a/b", 0o777);
        check(&at("a/b"), Err("any user may exchange"));
        mode("a/b", 0o1777);
        check(&at("a/b"), Ok(()));

        symlink(at("a"), at("link")).unwrap();
        check(&at("link"), Ok(()));
        assert!(rustix::process::geteuid().is_root(), "this test gives files to another user: run it as root");
        lchown(at("link"), Some(SOMEBODY), None).unwrap();
        check(&at("link"), Err("a symbolic link of another user (uid 61202)"));
        chown(at("a/b"), Some(SOMEBODY), None).unwrap();
        check(&at("a/b"), Err("it belongs to another user (uid 61202)"));
        fs::write(at("file"), "").unwrap();
        assert!(directory(&at("file")).is_err());
    }

    #[test]
    fn a_link_in_place_of_a_file_is_refused_and_what_it_leads_to_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let (precious, link, dangling) =
            (home.path().join("precious"), home.path().join("link"), home.path().join("dangling"));
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, &link).unwrap();
        symlink(home.path().join("nowhere"), &dangling).unwrap();
        for path in [&link, &dangling] {
            let refused = open(path, OpenOptions::new().create(true).write(true).truncate(true)).unwrap_err();
            assert_eq!(refused.to_string(), "it is a symbolic link; put the file itself there");
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert!(!home.path().join("nowhere").exists());
        let made = home.path().join("made");
        open(&made, OpenOptions::new().create(true).write(true)).unwrap();
        assert_eq!(fs::metadata(made).unwrap().mode() & 0o7777, 0o600);
    }
}
