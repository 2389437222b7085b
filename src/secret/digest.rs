//! Keyed digests: how keypulse knows a password again without keeping it.
//!
//! Decides what goes into a digest. Without the key, which is random and never leaves the state directory, a digest says
//! nothing about the password. Never writes a password anywhere.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use super::{AppPassword, wipe_stack};
use crate::{
    health::{
        evidence::{PerService, Service},
        name::{Digest, Fingerprint},
    },
    place,
};

/// The key's name in the state directory.
const FILE: &str = "digest.key";
const KEY_BYTES: usize = 32;

/// The key of this installation.
pub struct DigestKey(hmac::Key);

impl DigestKey {
    /// Reads `digest.key` in `state_dir`, or makes both: the directory 0700, the file 0600 with 32 random bytes. The file
    /// appears whole or not at all, and of two processes that make it at once, both get the same key.
    ///
    /// # Errors
    /// The directory or the file cannot be made or read, or the file is not 32 bytes long. A damaged key is never
    /// replaced in silence: every remembered password would look new.
    pub fn load_or_create(state_dir: &Path) -> io::Result<Self> {
        let about = |what: &str, path: &Path, error: &io::Error| {
            io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
        };
        place::directory(state_dir).map_err(|error| about("use the directory", state_dir, &error))?;
        let path = state_dir.join(FILE);
        let open = || place::open(&path, File::options().read(true));
        match open() {
            Ok(file) => return Self::read(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(about("open", &path, &error)),
        }
        Self::create(state_dir, &path).map_err(|error| about("create", &path, &error))?;
        // Read back what is there: another process may have been first.
        Self::read(open().map_err(|error| about("open", &path, &error))?, &path)
    }

    /// What is remembered of `password` as the account with these login names uses it.
    pub fn fingerprint(&self, password: &AppPassword, usernames: &PerService<String>) -> Fingerprint {
        let pair = |service: Service| self.digest(&["pair", service.as_str(), usernames.of(service)], password);
        Fingerprint {
            secret: self.digest(&["secret"], password),
            pairs: PerService { imap: pair(Service::Imap), smtp: pair(Service::Smtp) },
        }
    }

    /// What a login at a submission server is remembered by.
    pub fn mail(&self, password: &AppPassword, host: &str, port: u16, username: &str) -> Digest {
        self.digest(&["mail", host, &port.to_string(), username], password)
    }

    /// What the key itself is known by, without saying anything of it: the state notes it, so that it is never read with another
    /// key, to which every remembered password would look new.
    pub fn mark(&self) -> Digest {
        signed(begun(&self.0, &["key"]))
    }

    /// Each part goes in behind its length, so that no two lists of parts read the same. The digest outlives versions: the
    /// order and the words are part of the stored state.
    fn digest(&self, context: &[&str], password: &AppPassword) -> Digest {
        let mut hmac = begun(&self.0, context);
        password.expose(|secret| part(&mut hmac, secret.as_bytes()));
        let digest = signed(hmac);
        // The password went through the hash's block.
        wipe_stack();
        digest
    }

    fn read(file: File, path: &Path) -> io::Result<Self> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() == KEY_BYTES {
            return Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
        }
        let problem = format!(
            "{} does not hold a key of {KEY_BYTES} bytes; restore it from a backup, or move it away: keypulse then begins \
             anew, without what it knew",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, problem))
    }

    fn create(state_dir: &Path, path: &Path) -> io::Result<()> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new().fill(&mut *key).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let mut file = tempfile::Builder::new()
            .prefix(".digest.key.")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(state_dir)?;
        file.write_all(&*key)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => File::open(state_dir)?.sync_all(),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
        }
    }
}

fn begun(key: &hmac::Key, context: &[&str]) -> hmac::Context {
    let mut hmac = hmac::Context::with_key(key);
    for text in context {
        part(&mut hmac, text.as_bytes());
    }
    hmac
}

fn part(hmac: &mut hmac::Context, bytes: &[u8]) {
    hmac.update(&(bytes.len() as u64).to_be_bytes());
    hmac.update(bytes);
}

fn signed(hmac: hmac::Context) -> Digest {
    let mut digest = [0; 32];
    digest.iter_mut().zip(hmac.sign().as_ref()).for_each(|(to, from)| *to = *from);
    Digest(digest)
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn names(imap: &str, smtp: &str) -> PerService<String> {
        PerService { imap: imap.to_owned(), smtp: smtp.to_owned() }
    }

    fn password(text: &str) -> AppPassword {
        AppPassword::any_shape(text).unwrap()
    }

    #[test]
    fn the_key_is_made_once_and_private() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state/keypulse");
        let usernames = names("john", "john@icloud.com");
        let first = DigestKey::load_or_create(&state).unwrap().fingerprint(&password("abc"), &usernames);
        let again = DigestKey::load_or_create(&state).unwrap().fingerprint(&password("abc"), &usernames);
        assert_eq!(first, again);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join(FILE)), 0o600);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "no temporary file is left");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(
            first,
            DigestKey::load_or_create(other.path()).unwrap().fingerprint(&password("abc"), &usernames),
            "every installation has its own key"
        );
    }

    #[test]
    fn two_that_make_it_at_once_get_one_key() {
        let home = tempfile::tempdir().unwrap();
        let secrets: Vec<_> = thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        DigestKey::load_or_create(home.path()).unwrap().fingerprint(&password("abc"), &names("j", "j"))
                    })
                })
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap().secret).collect()
        });
        assert!(secrets.windows(2).all(|two| two[0] == two[1]));
    }

    #[test]
    fn a_damaged_key_is_refused_and_kept() {
        for length in [0, 31, 33, 4096] {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join(FILE), vec![7; length]).unwrap();
            let error = DigestKey::load_or_create(home.path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("digest.key does not hold a key of 32 bytes"), "{error}");
            assert_eq!(fs::metadata(home.path().join(FILE)).unwrap().len(), length as u64);
        }
    }

    #[test]
    fn equal_pairs_are_equal_and_no_others() {
        let key = DigestKey(hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]));
        let base = key.fingerprint(&password("abc"), &names("john", "john"));
        assert_ne!(base.pairs.imap, base.pairs.smtp, "the same pair on another service is another pair");
        assert_ne!(base.secret, base.pairs.imap);
        let moved = key.fingerprint(&password("c"), &names("johnab", "johnab"));
        assert_ne!(base.pairs, moved.pairs, "user name and secret do not run into each other");
        let renamed = key.fingerprint(&password("abc"), &names("john", "john@icloud.com"));
        assert_eq!(base.secret, renamed.secret);
        assert_eq!(base.pairs.imap, renamed.pairs.imap);
        assert_ne!(base.pairs.smtp, renamed.pairs.smtp);
    }

    /// What is stored today must be known again by every later version.
    #[test]
    fn the_digest_does_not_change_between_versions() {
        let key = DigestKey(hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]));
        let print = key.fingerprint(&password("abcd-efgh-ijkl-mnop"), &names("john", "john@icloud.com"));
        assert_eq!(
            format!("{:?} {:?} {:?} {:?}", print.secret, print.pairs.imap, print.pairs.smtp, key.mark()),
            "a6f389b0 4e51d35b 1558ebae 0dfefc99"
        );
    }

    #[test]
    fn the_key_is_not_shown() {
        let key = DigestKey(hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]));
        assert_eq!(format!("{key:?}"), "DigestKey(redacted)");
    }
}
