//! iCloud logins in the configuration of other programs: which login, in which file and line, and how the program gets its
//! password.
//!
//! One file per program, each written from that program's own documentation. Reads files and nothing else: runs nothing that
//! it finds, connects to nothing, changes nothing, and keeps no password. The same parsers read a password that stands in
//! such a file in plain text (`secret.program`), when it is asked for.

mod aerc;
mod disk;
mod evolution;
mod git;
mod goa;
mod goimapnotify;
mod himalaya;
mod icloud;
mod ini;
mod keyring;
mod mbsync;
mod msmtp;
mod mutt;
pub mod offers;
mod offlineimap;
mod python;
mod shell;
mod thunderbird;
mod url;
mod vdirsyncer;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use self::disk::{Disk, Fault};
pub use self::{
    disk::{Place, Trouble},
    icloud::same_mailbox,
    keyring::Attributes,
};
use crate::{
    config::excerpt::has_app_password,
    health::name::Address,
    secret::{EntryError, Find, ProgramEntry, Source},
};

/// The programs whose logins are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// mbsync, of isync.
    Mbsync,
    /// msmtp.
    Msmtp,
    /// Mutt.
    Mutt,
    /// NeoMutt.
    Neomutt,
    /// aerc.
    Aerc,
    /// Himalaya.
    Himalaya,
    /// OfflineIMAP.
    Offlineimap,
    /// goimapnotify.
    Goimapnotify,
    /// vdirsyncer: calendars and contacts.
    Vdirsyncer,
    /// `git send-email`.
    Git,
    /// Thunderbird.
    Thunderbird,
    /// GNOME Online Accounts.
    Goa,
    /// An item of the Secret Service: Evolution's, Geary's, KMail's, anybody's.
    SecretService,
    /// An internet password of the macOS Keychain.
    Keychain,
}

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Receiving mail.
    Imap,
    /// Sending mail.
    Smtp,
    /// Calendars (RFC 4791).
    Caldav,
    /// Contacts (RFC 6352).
    Carddav,
}

/// How a program gets the password of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a command, as the program runs it.
    Command(Vec<String>),
    /// In plain text in a file; the source reads it there.
    Plain(Source),
    /// From an item of the keyring.
    Keyring(Source),
    /// keypulse cannot tell, or cannot read it; holds why, as a phrase for people.
    Unknown(String),
}

/// A login that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whose it is.
    pub program: Program,
    /// The file, where it is one.
    pub file: Option<PathBuf>,
    /// The line in it, from 1: of the password where there is one, else of the login.
    pub line: Option<usize>,
    /// What it is for.
    pub service: Use,
    /// The server; not known where the program asks a command for it.
    pub host: Option<String>,
    /// The user name; not known where the program asks a command for it.
    pub username: Option<String>,
    /// The iCloud Mail address of the account, as far as it can be told.
    pub address: Option<Address>,
    /// How the program gets the password.
    pub way: Way,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// In the order of the programs, then as they stand in the files.
    pub logins: Vec<Login>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// The files that were looked for, whether or not they are there.
    pub looked: Vec<PathBuf>,
}

/// Reads the files of every program.
#[must_use]
pub fn discover(place: &Place) -> Discovery {
    let mut disk = Disk::of(place);
    let mut logins = Vec::new();
    for program in Program::ALL {
        let Some(Files { roots, read }) = program.files(place) else { continue };
        for root in roots.existing(&mut disk) {
            match read(&mut disk, &root) {
                Ok(entries) => logins.extend(entries.into_iter().filter_map(|entry| entry.login(program, &mut disk))),
                Err(fault) => disk.trouble(fault),
            }
        }
    }
    icloud::settle(&mut logins);
    let Disk { troubles, looked, .. } = disk;
    Discovery { logins, troubles, looked }
}

impl Discovery {
    /// Adds the logins among the items of the keyring, told by their attributes; `program` says of which keyring.
    pub fn add_keyring(&mut self, items: &[Attributes], program: Program, place: &Place) {
        let mut disk = Disk::of(place);
        self.logins.extend(keyring::logins(items, program, &mut disk, place));
        self.troubles.extend(disk.troubles);
        icloud::settle(&mut self.logins);
    }

    /// The logins whose password comes from this source.
    pub fn using<'a>(&'a self, source: &'a Source) -> impl Iterator<Item = &'a Login> {
        self.logins.iter().filter(|login| login.way.source().is_some_and(|it| offers::same_source(&it, source)))
    }
}

/// Where a program's files are, and how they are read.
struct Files {
    roots: Roots,
    read: Read,
}

/// Reads a program's file and what it includes. What is no login is passed over; an error drops the file.
type Read = fn(&mut Disk, &Path) -> Result<Vec<Entry>, Fault>;

/// Where a program looks.
enum Roots {
    /// The first of them that is there.
    First(Vec<PathBuf>),
    /// All that are there.
    All(Vec<PathBuf>),
}

impl Roots {
    fn existing(self, disk: &mut Disk) -> Vec<PathBuf> {
        let (paths, most) = match self {
            Self::First(paths) => (paths, 1),
            Self::All(paths) => (paths, usize::MAX),
        };
        disk.looked.extend(paths.iter().cloned());
        // A link to nothing is there, too: that it cannot be read is worth a word.
        paths.into_iter().filter(|path| path.symlink_metadata().is_ok()).take(most).collect()
    }
}

impl Program {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::Mbsync,
        Self::Msmtp,
        Self::Mutt,
        Self::Neomutt,
        Self::Aerc,
        Self::Himalaya,
        Self::Offlineimap,
        Self::Goimapnotify,
        Self::Vdirsyncer,
        Self::Git,
        Self::Thunderbird,
        Self::Goa,
        Self::SecretService,
        Self::Keychain,
    ];

    /// Its name in the configuration and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mbsync => "mbsync",
            Self::Msmtp => "msmtp",
            Self::Mutt => "mutt",
            Self::Neomutt => "neomutt",
            Self::Aerc => "aerc",
            Self::Himalaya => "himalaya",
            Self::Offlineimap => "offlineimap",
            Self::Goimapnotify => "goimapnotify",
            Self::Vdirsyncer => "vdirsyncer",
            Self::Git => "git",
            Self::Thunderbird => "thunderbird",
            Self::Goa => "goa",
            Self::SecretService => "secret-service",
            Self::Keychain => "keychain",
        }
    }

    /// As people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Mbsync => "mbsync",
            Self::Msmtp => "msmtp",
            Self::Mutt => "Mutt",
            Self::Neomutt => "NeoMutt",
            Self::Aerc => "aerc",
            Self::Himalaya => "Himalaya",
            Self::Offlineimap => "OfflineIMAP",
            Self::Goimapnotify => "goimapnotify",
            Self::Vdirsyncer => "vdirsyncer",
            Self::Git => "git send-email",
            Self::Thunderbird => "Thunderbird",
            Self::Goa => "GNOME Online Accounts",
            Self::SecretService => "keyring",
            Self::Keychain => "Keychain",
        }
    }

    /// Its name and its reader, where its files can hold a password in plain text.
    pub(super) fn plain_text(self) -> Option<(&'static str, Find)> {
        let find: Find = match self {
            Self::Mbsync => |text, entry| find(mbsync::read, text, entry),
            Self::Msmtp => |text, entry| find(msmtp::read, text, entry),
            Self::Aerc => |text, entry| find(aerc::read, text, entry),
            Self::Offlineimap => |text, entry| find(offlineimap::read, text, entry),
            Self::Vdirsyncer => |text, entry| find(vdirsyncer::read, text, entry),
            Self::Mutt | Self::Neomutt => |text, entry| find(mutt::read, text, entry),
            Self::Himalaya => |text, entry| find(himalaya::read, text, entry),
            Self::Goimapnotify => |text, entry| find(goimapnotify::read, text, entry),
            Self::Git => |text, entry| find(git::read, text, entry),
            Self::Thunderbird | Self::Goa | Self::SecretService | Self::Keychain => return None,
        };
        Some((self.as_str(), find))
    }

    /// `None`: it keeps its logins in no file.
    fn files(self, place: &Place) -> Option<Files> {
        let (roots, read): (Roots, Read) = match self {
            Self::Mbsync => (mbsync::roots(place), mbsync::read),
            Self::Msmtp => (msmtp::roots(place), msmtp::read),
            Self::Aerc => (aerc::roots(place), aerc::read),
            Self::Offlineimap => (offlineimap::roots(place), offlineimap::read),
            Self::Vdirsyncer => (vdirsyncer::roots(place), vdirsyncer::read),
            Self::Mutt => (mutt::mutt_roots(place), mutt::read),
            Self::Neomutt => (mutt::neomutt_roots(place), mutt::read),
            Self::Himalaya => (himalaya::roots(place), himalaya::read),
            Self::Goimapnotify => (goimapnotify::roots(place), goimapnotify::read),
            Self::Git => (git::roots(place), git::read),
            Self::Thunderbird => (thunderbird::roots(place), thunderbird::read),
            Self::Goa => (goa::roots(place), goa::read),
            Self::SecretService | Self::Keychain => return None,
        };
        Some(Files { roots, read })
    }
}

impl Use {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
            Self::Caldav => "caldav",
            Self::Carddav => "carddav",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Way {
    /// The word in JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Plain(_) => "plain",
            Self::Keyring(_) => "keyring",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The source that keypulse can read; none where the password has to be asked for.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Command(words) => Some(Source::Command(words.clone())),
            Self::Plain(source) | Self::Keyring(source) => Some(source.clone()),
            Self::Unknown(_) => None,
        }
    }
}

/// A login in a file, with the password if it stands there. For any server; which are iCloud's is decided later.
struct Entry {
    /// What it is called in its program's words; unique in the file, where the program wants it so.
    name: String,
    file: PathBuf,
    line: usize,
    service: Use,
    host: Option<String>,
    username: Option<String>,
    /// An address that stands beside it, such as the sender's.
    beside: Option<String>,
    secret: Secret,
}

/// How an entry gets its password. No `Debug`: it may hold it.
#[derive(Clone)]
enum Secret {
    /// It stands there.
    Plain(Zeroizing<String>),
    /// The first line of a file.
    File(PathBuf),
    Command(Vec<String>),
    Keyring(Source),
    Unknown(String),
}

impl Entry {
    /// The login, if it is one at iCloud. The password is dropped here.
    fn login(self, program: Program, disk: &mut Disk) -> Option<Login> {
        let Self { name, file, line, service, host, username, beside, secret } = self;
        let tidy = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let host = host.and_then(tidy).map(|host| host.trim_end_matches('.').to_lowercase());
        let username = username.and_then(tidy);
        if !icloud::is_login(host.as_deref(), username.as_deref()) {
            return None;
        }
        let way = match secret {
            Secret::Plain(password) => in_plain_text(program, &file, &name, &password, disk),
            Secret::File(path) => Way::Plain(Source::File(path)),
            Secret::Command(words) if holds_password(&words) => {
                Way::Unknown("a command that holds the password itself; better keep it in the keyring".to_owned())
            }
            Secret::Command(words) => Way::Command(words),
            Secret::Keyring(source) => Way::Keyring(source),
            Secret::Unknown(why) => Way::Unknown(why),
        };
        let address = icloud::address(username.as_deref(), beside.as_deref());
        Some(Login { program, file: Some(file), line: Some(line), service, host, username, address, way })
    }
}

/// Whether a command prints a password that stands in it. It must get neither into the configuration nor onto a screen.
fn holds_password(words: &[String]) -> bool {
    let text = match words {
        [sh, c, text] if sh == "sh" && c == "-c" => text.trim_start(),
        _ => words.first().map_or("", String::as_str),
    };
    let program = text.split_whitespace().next().unwrap_or_default();
    matches!(program.rsplit('/').next(), Some("echo" | "printf")) || words.iter().any(|word| has_app_password(word))
}

/// The password as a source, if the file alone tells it by its entry's name: that is how it is going to be read.
fn in_plain_text(program: Program, file: &Path, entry: &str, password: &Zeroizing<String>, disk: &mut Disk) -> Way {
    let readable = program.plain_text().filter(|(_, find)| {
        disk.open(file).is_some_and(|text| find(&text, entry).is_ok_and(|found| found == *password))
    });
    match readable {
        Some((name, find)) => {
            let (file, entry) = (file.to_owned(), entry.to_owned());
            Way::Plain(Source::Program(ProgramEntry { name, file, entry, find }))
        }
        None => Way::Unknown("plain text that stands there more than once, or is put together".to_owned()),
    }
}

/// The password of an entry in a text.
fn find(read: Read, text: &str, entry: &str) -> Result<Zeroizing<String>, EntryError> {
    let place = Place::nowhere();
    let entries = read(&mut Disk::only(&place, text), Path::new(""))
        .map_err(|Fault { line, why, .. }| EntryError::Unparsable(line, why))?;
    let mut found = false;
    let mut password: Option<Zeroizing<String>> = None;
    for entry in entries.into_iter().filter(|it| it.name == entry) {
        found = true;
        let Secret::Plain(plain) = entry.secret else { continue };
        if password.as_ref().is_some_and(|other| *other != plain) {
            return Err(EntryError::Several);
        }
        password = Some(plain);
    }
    password.ok_or(if found { EntryError::NotPlain } else { EntryError::Missing })
}

#[cfg(test)]
mod tests;
