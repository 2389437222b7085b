//! Passwords in files.
//!
//! Decides which files are fit to hold one: a regular file of ours (or root's) that others cannot read. Opens nothing
//! else, so that a FIFO or a device cannot make a check hang, and never writes.

use std::{
    collections::HashMap,
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::{FirstLine, Unavailable, wipe_stack};

type Secret = Zeroizing<Vec<u8>>;

/// Reads files, each on a thread where it may block.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Reads that outlived their limit: a dead network file system would otherwise take one more thread at each check.
    hung: Mutex<HashMap<PathBuf, JoinHandle<Result<Secret, Unavailable>>>>,
}

impl Files {
    /// The first line of a file.
    pub(super) async fn read(&self, path: &Path, limit: Duration) -> Result<Secret, Unavailable> {
        let path = expand_home(path)?;
        self.bounded(path, limit, |path| read_now(path, first_line)).await
    }

    /// All of a file, up to 1 MiB.
    pub(super) async fn read_whole(&self, path: &Path, limit: Duration) -> Result<Secret, Unavailable> {
        let path = expand_home(path)?;
        self.bounded(path, limit, |path| read_now(path, whole)).await
    }

    async fn bounded(
        &self,
        path: PathBuf,
        limit: Duration,
        read: impl FnOnce(&Path) -> Result<Secret, Unavailable> + Send + 'static,
    ) -> Result<Secret, Unavailable> {
        let too_late = || {
            let within = limit.as_secs_f32();
            Unavailable::new(format!("the file system of {} did not answer within {within} s", path.display()))
        };
        {
            let mut hung = self.hung.lock().unwrap_or_else(PoisonError::into_inner);
            hung.retain(|_, task| !task.is_finished());
            if hung.contains_key(&path) {
                return Err(too_late());
            }
        }
        let mut task = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let secret = read(&path);
                wipe_stack();
                secret
            }
        });
        match tokio::time::timeout(limit, &mut task).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err(Unavailable::new(format!("reading the file {} was interrupted", path.display()))),
            Err(_) => {
                let error = too_late();
                self.hung.lock().unwrap_or_else(PoisonError::into_inner).insert(path, task);
                Err(error)
            }
        }
    }
}

/// `~/` is the home directory, as in every shell.
fn expand_home(path: &Path) -> Result<PathBuf, Unavailable> {
    let Ok(below) = path.strip_prefix("~") else { return Ok(path.to_owned()) };
    match std::env::home_dir() {
        Some(home) if !home.as_os_str().is_empty() => Ok(home.join(below)),
        Some(_) | None => {
            Err(Unavailable::new(format!("the file {} cannot be found: there is no home directory", path.display())))
        }
    }
}

fn read_now(
    path: &Path,
    take: fn(File, &Path) -> io::Result<Result<Secret, Unavailable>>,
) -> Result<Secret, Unavailable> {
    let unreadable = |error: &io::Error| {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the system's list is long; the rest reads the same to people"
        )]
        Unavailable::new(match error.kind() {
            io::ErrorKind::NotFound => format!("the file {} does not exist", path.display()),
            io::ErrorKind::PermissionDenied => format!("the file {} may not be read by this user", path.display()),
            _ => format!("the file {} cannot be read: {error}", path.display()),
        })
    };
    // Looked at before it is opened, since opening a device can do something; and again once it is open, since it may have
    // been exchanged. Without O_NONBLOCK a FIFO put there in between would hang the open.
    judge(path, &path.metadata().map_err(|error| unreadable(&error))?)?;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .map_err(|error| unreadable(&error))?;
    judge(path, &file.metadata().map_err(|error| unreadable(&error))?)?;
    take(file, path).map_err(|error| unreadable(&error))?
}

fn first_line(mut file: File, path: &Path) -> io::Result<Result<Secret, Unavailable>> {
    let mut first = FirstLine::new();
    let mut piece = Zeroizing::new(vec![0; 1024]);
    while !first.complete {
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        if first.push(piece.get(..count).unwrap_or_default()).is_err() {
            let detail = format!("the first line of the file {} is longer than 4 KiB: no password", path.display());
            return Ok(Err(Unavailable::new(detail)));
        }
    }
    Ok(Ok(first.line))
}

/// The largest file that is read whole, in bytes: a configuration.
const MAX_FILE: usize = 1 << 20;

fn whole(mut file: File, path: &Path) -> io::Result<Result<Secret, Unavailable>> {
    // Its final size from the beginning, as far as is known: growing would leave a copy behind.
    let expected = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_FILE).min(MAX_FILE) + 2;
    let mut text = Zeroizing::new(Vec::with_capacity(expected));
    (&mut file).take(MAX_FILE as u64 + 1).read_to_end(&mut text)?;
    if text.len() > MAX_FILE {
        return Ok(Err(Unavailable::new(format!("the file {} is larger than 1 MiB", path.display()))));
    }
    Ok(Ok(text))
}

/// A file fit to hold a password: regular, ours or root's, closed to others.
fn judge(path: &Path, metadata: &Metadata) -> Result<(), Unavailable> {
    let shown = path.display();
    if !metadata.is_file() {
        return Err(Unavailable::new(format!("{shown} is not a regular file")));
    }
    let ours = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != ours && owner != 0 {
        return Err(Unavailable::new(format!("the file {shown} belongs to another user (uid {owner})")));
    }
    // systemd hands credentials to a service with an access control list; the group bits are then the list's mask.
    let group_is_mask = owner == 0 && is_systemd_credential(path);
    let others = if group_is_mask { 0o004 } else { 0o044 };
    if metadata.mode() & others != 0 {
        let path = quoted(path);
        let remedy = if owner == ours {
            format!("chmod 600 {path}")
        } else {
            // Closing it would shut us out as well.
            format!("sudo chown {ours} {path} && chmod 600 {path}")
        };
        return Err(Unavailable::new(format!("the file is readable by others; run: {remedy}")));
    }
    Ok(())
}

/// Whether systemd put it there (systemd.exec(5), `LoadCredential=`).
fn is_systemd_credential(path: &Path) -> bool {
    path.starts_with("/run/credentials")
        || std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|directory| path.starts_with(directory))
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_alphanumeric() || "/._-+@%:=,".contains(character);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::{
            fs::{PermissionsExt, chown, symlink},
            net::UnixListener,
        },
        sync::mpsc,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// A directory with a file `secret` of this text and mode.
    fn with(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (home, path)
    }

    async fn read(path: &Path) -> Result<String, String> {
        match Files::default().read(path, LIMIT).await {
            Ok(secret) => Ok(String::from_utf8(secret.to_vec()).unwrap()),
            Err(error) => {
                assert_eq!(error.cause, crate::health::evidence::Cause::SecretUnavailable);
                Err(error.detail)
            }
        }
    }

    #[tokio::test]
    async fn the_first_line_is_read() {
        for (text, expected) in [
            ("abcd-efgh-ijkl-mnop\n", "abcd-efgh-ijkl-mnop"),
            ("abcd\nefgh", "abcd"),
            ("abcd", "abcd"),
            ("", ""),
            ("\nabcd", ""),
        ] {
            let (_home, path) = with(text.as_bytes(), 0o600);
            assert_eq!(read(&path).await, Ok(expected.to_owned()), "{text:?}");
        }
        let (_home, path) = with(&[b"abcd\n".as_slice(), &vec![b'x'; 100_000]].concat(), 0o400);
        assert_eq!(read(&path).await, Ok("abcd".to_owned()), "what follows may be long");
    }

    #[tokio::test]
    async fn a_file_readable_by_others_is_refused_with_the_remedy() {
        for mode in [0o644, 0o640, 0o604, 0o660, 0o777] {
            let (_home, path) = with(b"abcd", mode);
            let remedy = format!("the file is readable by others; run: chmod 600 {}", path.display());
            assert_eq!(read(&path).await, Err(remedy), "{mode:o}");
        }
        for mode in [0o600, 0o400, 0o711] {
            let (_home, path) = with(b"abcd", mode);
            assert_eq!(read(&path).await, Ok("abcd".to_owned()), "{mode:o}");
        }
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused_at_once() {
        let home = tempfile::tempdir().unwrap();
        let missing = home.path().join("missing");
        assert_eq!(read(&missing).await, Err(format!("the file {} does not exist", missing.display())));
        let fifo = home.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let socket = home.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&fifo, &socket, home.path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            assert_eq!(read(path).await, Err(format!("{} is not a regular file", path.display())));
        }
    }

    #[tokio::test]
    async fn a_symbolic_link_is_followed_and_its_target_judged() {
        let (home, path) = with(b"abcd", 0o600);
        let link = home.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read(&link).await, Ok("abcd".to_owned()));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(read(&link).await.unwrap_err().contains("readable by others"));
        fs::remove_file(&path).unwrap();
        assert!(read(&link).await.unwrap_err().contains("does not exist"));
    }

    #[tokio::test]
    async fn another_users_file_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a file away; root's own reads cover the rest.
        }
        let (_home, path) = with(b"abcd", 0o600);
        chown(&path, Some(12345), None).unwrap();
        let refused = format!("the file {} belongs to another user (uid 12345)", path.display());
        assert_eq!(read(&path).await, Err(refused));
    }

    #[tokio::test]
    async fn a_long_first_line_is_refused() {
        let (_home, path) = with(&[b'x'; 5000], 0o600);
        assert!(read(&path).await.unwrap_err().contains("longer than 4 KiB"));
    }

    #[tokio::test]
    async fn a_hanging_file_system_takes_one_thread_only() {
        let files = Files::default();
        let path = PathBuf::from("/net/secret");
        let limit = Duration::from_millis(20);
        let (release, hang) = mpsc::channel::<()>();
        let late = "the file system of /net/secret did not answer within 0.02 s";
        let hanging = move |_: &Path| {
            hang.recv().ok();
            Ok(Secret::default())
        };
        assert_eq!(files.bounded(path.clone(), limit, hanging).await.unwrap_err().detail, late);
        let again = files.bounded(path.clone(), limit, |_| unreachable!("the first read still hangs")).await;
        assert_eq!(again.unwrap_err().detail, late);
        release.send(()).unwrap();
        while files.bounded(path.clone(), LIMIT, |_| Ok(Secret::default())).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn home_is_expanded_and_paths_are_quoted() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(expand_home(Path::new("~/a/b")).unwrap(), home.join("a/b"));
        assert_eq!(expand_home(Path::new("/a/~/b")).unwrap(), Path::new("/a/~/b"));
        assert_eq!(expand_home(Path::new("~other/b")).unwrap(), Path::new("~other/b"));
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn systemd_credentials_may_have_group_bits() {
        assert!(is_systemd_credential(Path::new("/run/credentials/keypulse.service/icloud")));
        assert!(!is_systemd_credential(Path::new("/run/credentials-of-mine/icloud")));
    }
}
