//! Where passwords come from, and the one type that holds them.
//!
//! [`Reader`] reads a password from its [`Source`]: bounded in time, off the main loop, and in the background without ever
//! opening a dialog. What cannot be read is [`Unavailable`], with words that say what to do. Never decides what to do
//! with a password, and keeps none.

mod command;
mod complaint;
mod digest;
mod file;
mod keyring;
mod password;
mod program;
mod wipe;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use zeroize::Zeroizing;

pub use digest::DigestKey;
pub use keyring::Listing;
pub use password::{AppPassword, Malformed};
pub use program::{EntryError, Find, ProgramEntry};
pub use wipe::{Wiping, wipe_stack, wiped};

use crate::health::evidence::Cause;

/// Where a password is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The system's keyring, by service and user name: what keypulse itself writes.
    Keyring {
        /// The `service` attribute.
        service: String,
        /// The `username` attribute (the account on macOS).
        username: String,
    },
    /// Linux: the one item of the Secret Service that has all these attributes.
    Attributes(BTreeMap<String, String>),
    /// The first line of a command's standard output.
    Command(Vec<String>),
    /// The first line of a file; `~/` is the home directory.
    File(PathBuf),
    /// Plain text in the configuration file of another program.
    Program(ProgramEntry),
}

/// On whose behalf a password is read. Only a person may be shown a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A timer, a wake-up, a network change: nothing may open (`verdicts.md`, part 6, *No prompts*).
    Background,
    /// Somebody waits for the answer and can type.
    ByPerson,
}

/// Why a password could not be read. Displays as a phrase in lower case that fits after "failed to read the password: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// `secret-unavailable` or `secret-malformed`.
    pub cause: Cause,
    /// What is wrong, in words that help: "the keyring is locked". At most 200 printable characters, without the secret.
    pub detail: String,
}

/// How the system's keyring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyringState {
    /// It gives out passwords.
    Open,
    /// A part of it, or all, is locked.
    Locked,
    /// That shows when it is asked for a password.
    Unknown,
}

/// Reads passwords. Cheap to make: the keyring's thread starts with the first read that needs it.
#[derive(Debug, Default)]
pub struct Reader {
    limits: Limits,
    files: file::Files,
    commands: command::Commands,
    keyring: keyring::Keyring,
}

/// How long each kind of source may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The keyring, without a dialog.
    keyring: Duration,
    /// The keyring's dialog, from its opening to the answer.
    dialog: Duration,
    /// A command, in the background. Well under the watchdog and the interval; enough for `pass` with a smart card.
    command_background: Duration,
    /// A command that a person waits for, who may have to type.
    command_by_person: Duration,
    /// A file: on a network file system a read can hang.
    file: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keyring: Duration::from_secs(5),
            dialog: Duration::from_secs(60),
            command_background: Duration::from_secs(20),
            command_by_person: Duration::from_secs(30),
            file: Duration::from_secs(2),
        }
    }
}

impl Reader {
    /// A reader with nothing open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one password, with any shape where `any_shape` says so. Needs a tokio runtime with IO and time.
    ///
    /// # Errors
    /// [`Unavailable`]: `secret-unavailable` when there is nothing to read, `secret-malformed` when what is there is no
    /// app-specific password.
    pub async fn read(&self, source: &Source, any_shape: bool, asked: Asked) -> Result<AppPassword, Unavailable> {
        let limits = &self.limits;
        let (secret, whence) = match source {
            Source::Keyring { service, username } => {
                let item = keyring::Item::named(service, username);
                (self.keyring.get(item, asked, limits).await?, "the keyring's item".to_owned())
            }
            Source::Attributes(attributes) => {
                let item = keyring::Item::with(attributes);
                (self.keyring.get(item, asked, limits).await?, "the keyring's item".to_owned())
            }
            Source::Command(command) => {
                (self.commands.read(command, asked, limits).await?, format!("the output of {}", command::name(command)))
            }
            Source::File(path) => (self.files.read(path, limits.file).await?, format!("the file {}", path.display())),
            Source::Program(entry) => {
                let text = self.files.read_whole(&entry.file, limits.file).await?;
                (entry.password_in(&text)?, format!("the entry {} of {}", entry.entry, entry.file.display()))
            }
        };
        password_of(&secret, &whence, any_shape)
    }

    /// Makes sure that an item can be written to the system's keyring, before anybody types a password for it. A person
    /// waits: a locked keyring may ask to be unlocked.
    ///
    /// # Errors
    /// [`Unavailable`] when there is no keyring, or it stays locked.
    pub async fn open_keyring(&self, service: &str, username: &str) -> Result<(), Unavailable> {
        self.keyring.open(&keyring::Item::named(service, username), &self.limits).await
    }

    /// Stores a password in the system's keyring, in place of the one that is there. A person waits: a locked keyring may
    /// ask to be unlocked.
    ///
    /// # Errors
    /// [`Unavailable`] when the keyring does not take it.
    pub async fn store_in_keyring(
        &self,
        service: &str,
        username: &str,
        label: &str,
        password: &AppPassword,
    ) -> Result<(), Unavailable> {
        self.keyring.set(keyring::Item::named(service, username), label, password, &self.limits).await
    }

    /// What the items of the system's keyring are known by. Unlocks nothing and opens no dialog.
    ///
    /// # Errors
    /// [`Unavailable`] when the keyring cannot be asked.
    pub async fn list_keyring(&self) -> Result<Listing, Unavailable> {
        keyring::list(&self.limits).await
    }

    /// Removes a password from the system's keyring; `false` where there was none. A person waits.
    ///
    /// # Errors
    /// [`Unavailable`] when the keyring cannot be asked.
    pub async fn delete_from_keyring(&self, service: &str, username: &str) -> Result<bool, Unavailable> {
        self.keyring.delete(keyring::Item::named(service, username), &self.limits).await
    }

    /// Whether the system's keyring can be used, without asking anybody.
    ///
    /// # Errors
    /// [`Unavailable`]: there is none, or it does not answer.
    pub async fn keyring_state(&self) -> Result<KeyringState, Unavailable> {
        keyring::state(&self.limits).await
    }

    /// Lets commands that timed out be tried again in the background: call it when the keyring or the desktop session was
    /// unlocked.
    pub fn forget_timeouts(&self) {
        self.commands.forget_timeouts();
    }
}

impl Unavailable {
    /// `secret-unavailable`.
    fn new(detail: impl AsRef<str>) -> Self {
        Self { cause: Cause::SecretUnavailable, detail: printable(detail.as_ref(), 200) }
    }

    /// `secret-malformed`.
    fn malformed(detail: impl AsRef<str>) -> Self {
        Self { cause: Cause::SecretMalformed, detail: printable(detail.as_ref(), 200) }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Unavailable {}

/// What a source gave, as a password. Commands and files have cut it to the first line already.
fn password_of(secret: &[u8], whence: &str, any_shape: bool) -> Result<AppPassword, Unavailable> {
    let secret = secret.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(secret);
    let Ok(text) = std::str::from_utf8(secret) else {
        return Err(Unavailable::malformed(format!("{whence} is not UTF-8 text; it was not sent")));
    };
    let taken = if any_shape { AppPassword::any_shape(text) } else { AppPassword::parse(text) };
    taken.map_err(|malformed| match malformed {
        Malformed::Empty => Unavailable::new(format!("{whence} is empty")),
        Malformed::NotAppSpecific | Malformed::ControlCharacter | Malformed::TooLong => {
            Unavailable::malformed(format!("{whence}: {malformed}"))
        }
    })
}

/// The longest first line that is looked at, in bytes.
const MAX_LINE: usize = 4096;

/// Gathers the first line of a stream that arrives in pieces, in memory that is overwritten afterwards.
struct FirstLine {
    /// Never grows beyond what it begins with: growing would leave a copy behind.
    line: Zeroizing<Vec<u8>>,
    complete: bool,
}

/// A first line longer than 4 KiB.
struct LineTooLong;

impl FirstLine {
    fn new() -> Self {
        Self { line: Zeroizing::new(Vec::with_capacity(MAX_LINE)), complete: false }
    }

    /// Takes the next piece; what follows the first line is ignored.
    fn push(&mut self, piece: &[u8]) -> Result<(), LineTooLong> {
        if self.complete {
            return Ok(());
        }
        let mut parts = piece.splitn(2, |byte| *byte == b'\n');
        let part = parts.next().unwrap_or_default();
        self.complete = parts.next().is_some();
        if self.line.len() + part.len() > MAX_LINE {
            return Err(LineTooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }
}

/// At most `limit` characters of a text, none of which moves a cursor, hides, or reorders a line.
fn printable(text: &str, limit: usize) -> String {
    let mut shown: String = text.trim().chars().map(crate::classify::redact::printable).take(limit + 1).collect();
    if let Some((cut, _)) = shown.char_indices().nth(limit) {
        shown.truncate(cut);
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &[u8], any_shape: bool, expected: Result<&str, (Cause, &str)>) {
        let got = password_of(secret, "the file x", any_shape);
        let got = got.map(|password| password.expose(str::to_owned)).map_err(|error| (error.cause, error.detail));
        assert_eq!(got, expected.map(str::to_owned).map_err(|(cause, detail)| (cause, detail.to_owned())));
    }

    #[test]
    fn empty_is_unavailable_and_another_shape_is_malformed() {
        let plain = "abcd-efgh-ijkl-mnop";
        check(b"abcdefghijklmnop\r", false, Ok(plain));
        check("\u{feff}abcd efgh ijkl mnop".as_bytes(), false, Ok(plain));
        check("\u{feff}Main-Password-1\r".as_bytes(), true, Ok("Main-Password-1"));
        check(b"", false, Err((Cause::SecretUnavailable, "the file x is empty")));
        check(b" \r", false, Err((Cause::SecretUnavailable, "the file x is empty")));
        check(b"\r", true, Err((Cause::SecretUnavailable, "the file x is empty")));
        let refused = "the file x: it is not of the form xxxx-xxxx-xxxx-xxxx (lower-case letters), so it is probably the main \
                       password; it was not sent";
        check(b"Main-Password-1", false, Err((Cause::SecretMalformed, refused)));
        check(b"\xff\xfe", true, Err((Cause::SecretMalformed, "the file x is not UTF-8 text; it was not sent")));
        let control = "the file x: it holds a control character; it was not sent";
        check(b"a\tb", true, Err((Cause::SecretMalformed, control)));
    }

    #[test]
    fn details_are_short_and_printable() {
        assert_eq!(printable(" a\u{1b}[31mb\nc\u{202e}d\u{200b} ", 200), "a\u{fffd}[31mb c\u{fffd}d\u{fffd}");
        let long = printable(&"ä".repeat(300), 200);
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with('…'));
        assert_eq!(printable(&"x".repeat(200), 200), "x".repeat(200));
    }

    #[test]
    fn the_first_line_is_the_same_however_it_arrives() {
        let text = b"abcd\nefgh\n";
        for cut in 0..=text.len() {
            let mut first = FirstLine::new();
            for piece in [&text[..cut], &text[cut..]] {
                assert!(first.push(piece).is_ok());
            }
            assert_eq!(first.line.as_slice(), b"abcd");
        }
        let mut first = FirstLine::new();
        assert!(first.push(&[b'x'; MAX_LINE]).is_ok());
        assert!(first.push(b"\nyyy").is_ok());
        assert!(first.push(&[b'y'; 2 * MAX_LINE]).is_ok(), "what follows the first line may be long");
        assert!(FirstLine::new().push(&[b'x'; MAX_LINE + 1]).is_err());
    }

    #[test]
    fn a_reader_can_be_shared_between_tasks() {
        fn shareable<T: Send + Sync>(_: &T) {}
        shareable(&Reader::new());
    }
}
