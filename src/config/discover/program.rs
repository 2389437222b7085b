//! The programs: their names, where their files are, and who reads them.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    aerc,
    disk::{Disk, Fault, Place},
    entry::{Entry, find},
    git, goa, goimapnotify, himalaya, kmail, mbsync, msmtp, mutt, netrc, offlineimap, thunderbird, vdirsyncer,
};
use crate::secret::Find;

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
    /// KMail.
    Kmail,
    /// `~/.netrc`, which many programs read.
    Netrc,
    /// An item of the Secret Service: Evolution's, Geary's, anybody's.
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

/// Where a program's files are, and how they are read.
pub(super) struct Files {
    pub(super) roots: Roots,
    pub(super) read: Read,
}

/// Reads a program's file and what it includes. What is no login is passed over; an error drops the file.
pub(super) type Read = fn(&mut Disk, &Path) -> Result<Vec<Entry>, Fault>;

/// Where a program looks: of each list the first that is there.
pub(super) type Roots = Vec<Vec<PathBuf>>;

impl Program {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
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
        Self::Kmail,
        Self::Netrc,
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
            Self::Kmail => "kmail",
            Self::Netrc => "netrc",
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
            Self::Kmail => "KMail",
            Self::Netrc => "netrc",
            Self::SecretService => "keyring",
            Self::Keychain => "Keychain",
        }
    }

    /// Its name and its reader, where its files can hold a password in plain text.
    pub(in crate::config) fn plain_text(self) -> Option<(&'static str, Find)> {
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
            Self::Netrc => |text, entry| find(netrc::read, text, entry),
            Self::Thunderbird | Self::Goa | Self::Kmail | Self::SecretService | Self::Keychain => return None,
        };
        Some((self.as_str(), find))
    }

    /// `None`: it keeps its logins in no file.
    pub(super) fn files(self, place: &Place) -> Option<Files> {
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
            Self::Kmail => (kmail::roots(place), kmail::read),
            Self::Netrc => (netrc::roots(place), netrc::read),
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
