//! The files that a search may read: where, how large, how many, how deep.
//!
//! Decides every limit, and what is said of a file that cannot be read. Opens regular files only, so that a FIFO or a device
//! cannot make a search hang.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::config::paths::Environment;

/// The largest file that is read, in bytes. Thunderbird's preferences are the largest that people have, under 1 MiB.
const LARGEST: usize = 4 << 20;
/// How deep files may include each other.
const DEEPEST: usize = 16;
/// How many files are read in all.
const MOST_FILES: usize = 500;
/// How many troubles are kept. Nobody reads more.
const MOST_TROUBLES: usize = 50;

/// Whose files are searched.
#[derive(Clone, Debug)]
pub struct Place {
    /// The home directory.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`.
    pub config_home: PathBuf,
    /// Whether it is the person's own: then the environment and the system's files count, too.
    own: bool,
    variable: fn(&str) -> Option<OsString>,
}

impl Place {
    /// The person's own home; none where there is no home directory.
    #[must_use]
    pub fn own(environment: &Environment) -> Option<Self> {
        let home = environment.home.clone()?;
        let config_home = environment.config_home.clone().unwrap_or_else(|| home.join(".config"));
        Some(Self { home, config_home, own: true, variable: |name| std::env::var_os(name) })
    }

    /// A directory as if it were the home directory, with `.config` in it.
    #[must_use]
    pub fn below(home: &Path) -> Self {
        let home = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
        let config_home = home.join(".config");
        Self { home, config_home, own: false, variable: |_| None }
    }

    /// No place at all: for the text of one file.
    pub(super) fn nowhere() -> Self {
        Self::below(Path::new("/nonexistent"))
    }

    /// A variable of the environment, as far as it holds here.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        match name {
            "HOME" => Some(self.home.clone().into()),
            "XDG_CONFIG_HOME" => Some(self.config_home.clone().into()),
            other => (self.variable)(other).filter(|value| !value.is_empty()),
        }
    }

    /// A file of the system, where it holds here.
    pub(super) fn system(&self, path: &str) -> Option<PathBuf> {
        self.own.then(|| PathBuf::from(path))
    }

    /// `~` and `~/` are the home directory. `~other` stays: nobody's files but the person's are searched.
    pub(super) fn expand(&self, path: &str) -> PathBuf {
        match path.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => self.home.join(rest.trim_start_matches('/')),
            Some(_) | None => PathBuf::from(path),
        }
    }
}

/// A file that could not be read or understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where it is about one.
    pub line: Option<usize>,
    /// Why, as a phrase for people. Never holds what stands in the file.
    pub why: String,
}

/// Why a file was given up.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn new(file: &Path, line: usize, why: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, why: why.into() }
    }
}

/// The text of a file, overwritten when it goes: a password may stand in it.
pub(super) type Text = Zeroizing<String>;

/// What may be read, and what came of it.
pub(super) struct Disk<'a> {
    pub(super) place: &'a Place,
    pub(super) troubles: Vec<Trouble>,
    pub(super) looked: Vec<PathBuf>,
    /// Instead of any file: this text, once.
    only: Option<Text>,
    is_only: bool,
    opened: usize,
    /// The files that are being read: each was included by the one before.
    way_down: Vec<PathBuf>,
}

impl<'a> Disk<'a> {
    pub(super) fn of(place: &'a Place) -> Self {
        Self {
            place,
            troubles: Vec::new(),
            looked: Vec::new(),
            only: None,
            is_only: false,
            opened: 0,
            way_down: Vec::new(),
        }
    }

    /// The text of one file; there are no others.
    pub(super) fn only(place: &'a Place, text: &str) -> Self {
        Self { only: Some(Zeroizing::new(text.to_owned())), is_only: true, ..Self::of(place) }
    }

    pub(super) fn trouble(&mut self, Fault { file, line, why }: Fault) {
        self.say(Trouble { file, line: Some(line).filter(|line| *line > 0), why });
    }

    fn say(&mut self, trouble: Trouble) {
        if self.troubles.len() < MOST_TROUBLES && !self.troubles.contains(&trouble) {
            self.troubles.push(trouble);
        }
    }

    /// The text of a file; none where it is not there or cannot be read, which is said.
    pub(super) fn open(&mut self, path: &Path) -> Option<Text> {
        if self.is_only {
            return self.only.take();
        }
        self.opened += 1;
        let read =
            if self.opened > MOST_FILES { Err(format!("not read: more than {MOST_FILES} files")) } else { text(path) };
        match read {
            Ok(text) => Some(text),
            Err(why) => {
                self.say(Trouble { file: path.to_owned(), line: None, why });
                None
            }
        }
    }

    /// Reads a file that another one includes, on its `line`; none where that cannot be done, which is said.
    pub(super) fn included<T>(
        &mut self,
        path: &Path,
        from: &Path,
        line: usize,
        read: impl FnOnce(&mut Self, &str) -> T,
    ) -> Option<T> {
        if self.is_only {
            return None;
        }
        let refused = |why: String| Fault::new(from, line, why);
        let shown = match path.strip_prefix(&self.place.home) {
            Ok(below) => format!("~/{}", below.display()),
            Err(_) => path.display().to_string(),
        };
        let Ok(whole) = path.canonicalize() else {
            self.trouble(refused(format!("includes {shown}, which is not there or not readable")));
            return None;
        };
        if self.way_down.contains(&whole) || from.canonicalize().is_ok_and(|from| from == whole) {
            self.trouble(refused(format!("includes {shown}, which includes this file")));
            return None;
        }
        if self.way_down.len() >= DEEPEST {
            self.trouble(refused(format!("includes {shown}: more than {DEEPEST} files deep")));
            return None;
        }
        let text = self.open(path)?;
        self.way_down.push(from.canonicalize().unwrap_or_else(|_| from.to_owned()));
        let result = read(self, &text);
        self.way_down.pop();
        Some(result)
    }
}

fn text(path: &Path) -> Result<Text, String> {
    let words = |error: &io::Error| {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the system's list is long; the rest reads the same to people"
        )]
        match error.kind() {
            io::ErrorKind::NotFound => "a link to nothing".to_owned(),
            io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
            _ => format!("cannot be read: {error}"),
        }
    };
    // Looked at before it is opened, since opening a device can do something.
    if !path.metadata().map_err(|error| words(&error))?.is_file() {
        return Err("not a regular file".to_owned());
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .map_err(|error| words(&error))?;
    let expected = file.metadata().map_err(|error| words(&error))?.len();
    // Its final size from the beginning: growing would leave a copy behind.
    let expected = usize::try_from(expected).unwrap_or(LARGEST).min(LARGEST) + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected));
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| words(&error))?;
    if bytes.len() > LARGEST {
        return Err(format!("larger than {} MiB", LARGEST >> 20));
    }
    if bytes.contains(&0) {
        return Err("not a text".to_owned());
    }
    // Old files have comments in other encodings; what counts is ASCII.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    Ok(Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
}
