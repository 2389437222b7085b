//! Where the socket lies: its directory, its mode, and whose it is.
//!
//! Never replaces anything but a socket on which nobody listens, and never removes anything but its own socket.

use std::{
    error, fmt, fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};

use crate::place;

/// The longest path of a socket, in bytes: macOS takes 103, and one limit serves both systems.
pub const LONGEST_PATH: usize = 103;

/// How long another listener may take to show that it lives.
const KNOCK: Duration = Duration::from_secs(1);

/// A bound socket. Dropping it removes the file, if it is still this one.
#[derive(Debug)]
pub struct Listener {
    pub(super) inner: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
}

impl Listener {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Another daemon may have taken the place of a socket that somebody removed by hand.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the directory (0700) if it is missing, and the socket (0600) in it.
///
/// # Errors
/// Where nothing can be bound, or something else is in the way.
pub async fn bind(path: &Path) -> Result<Listener, BindError> {
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        return Err(BindError::TooLong { path: path.into(), length });
    }
    make_directory(path)?;
    let failed = |source| BindError::Bind { path: path.into(), source };
    let inner = match UnixListener::bind(path) {
        Ok(inner) => inner,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path).await?;
            UnixListener::bind(path).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    // Until this line the mode is the umask's. Setting the umask would touch files that other threads make just now; the
    // directory is ours alone where keypulse made it, and every peer's user is checked anyway.
    let found = fs::symlink_metadata(path).map_err(failed)?;
    if !found.file_type().is_socket() {
        return Err(BindError::InTheWay { path: path.into(), what: describe(&found) });
    }
    let listener = Listener { inner, path: path.into(), identity: identity(&found) };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

fn make_directory(path: &Path) -> Result<(), BindError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    place::directory(directory).map_err(|source| BindError::Directory { path: directory.into(), source })
}

/// Removes `path` if it is a socket on which nobody listens.
async fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Bind { path: path.into(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::InTheWay { path: path.into(), what: describe(&found) });
    }
    // Whatever is not a plain "nobody listens" counts as a listener: one too busy to answer must not lose its socket.
    match timeout(KNOCK, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(_) | Err(_) => return Err(BindError::InUse { path: path.into() }),
    }
    match fs::symlink_metadata(path) {
        Ok(again) if identity(&again) == identity(&found) => fs::remove_file(path).map_err(failed),
        // Another daemon was quicker; binding will say so.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn identity(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn describe(found: &fs::Metadata) -> &'static str {
    let kind = found.file_type();
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else {
        "a file that is no socket"
    }
}

/// Why the socket could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The path does not fit into a socket's address.
    TooLong {
        /// Which.
        path: PathBuf,
        /// In bytes.
        length: usize,
    },
    /// The directory could not be made.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is there that keypulse does not replace.
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Somebody listens there.
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The system refused.
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { path, length } => write!(
                f,
                "open the socket: its path has {length} bytes and at most {LONGEST_PATH} are possible; choose a shorter one \
                 with --socket or KEYPULSE_SOCKET: {}",
                path.display()
            ),
            Self::Directory { path, .. } => write!(f, "use the socket's directory {}", path.display()),
            Self::InTheWay { path, what } => {
                write!(
                    f,
                    "open the socket: {} is {what}; remove it, or choose another path with --socket",
                    path.display()
                )
            }
            Self::InUse { path } => write!(
                f,
                "open the socket: another keypulse listens on {}; stop it first, or give this one a path of its own with \
                 --socket",
                path.display()
            ),
            Self::Bind { path, .. } => write!(f, "open the socket {}", path.display()),
        }
    }
}

impl error::Error for BindError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Directory { source, .. } | Self::Bind { source, .. } => Some(source),
            Self::TooLong { .. } | Self::InTheWay { .. } | Self::InUse { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener as StdListener};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn the_socket_is_the_users_alone_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/keypulse.sock");
        let listener = bind(&path).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&directory.path().join("a/b")), 0o700);
        assert_eq!(listener.path(), path);
        drop(listener);
        assert!(!path.exists());
        assert!(directory.path().join("a/b").exists());
    }

    #[tokio::test]
    async fn a_directory_that_is_there_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let _listener = bind(&directory.path().join("keypulse.sock")).await.unwrap();
        assert_eq!(mode(directory.path()), 0o755);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keypulse.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "as after kill -9");
        let _listener = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_but_a_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "precious").unwrap();
        let link = directory.path().join("link");
        symlink(&file, &link).unwrap();
        let dangling = directory.path().join("dangling");
        symlink(directory.path().join("nowhere"), &dangling).unwrap();
        for path in [&file, &link, &dangling, &directory.path().to_path_buf()] {
            let refused = bind(path).await.unwrap_err();
            assert!(matches!(refused, BindError::InTheWay { .. }), "{}: {refused:?}", path.display());
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        assert!(!directory.path().join("nowhere").exists());
    }

    #[tokio::test]
    async fn a_socket_of_somebody_else_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keypulse.sock");
        let first = bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let second = bind(&path).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_over_103_bytes_is_an_error_that_names_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let of = |length: usize| {
            let before = directory.path().as_os_str().len() + 1;
            directory.path().join("s".repeat(length - before))
        };
        assert!(bind(&of(103)).await.is_ok());
        let refused = bind(&of(104)).await.unwrap_err();
        assert!(refused.to_string().contains("104 bytes and at most 103"), "{refused}");
    }
}
