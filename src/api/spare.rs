//! A file descriptor kept for bad times: with it the socket still answers where the process may open no further file.
//!
//! Decides nothing and says nothing.

use std::{fs::File, io};

use rustix::io::Errno;

/// One descriptor, given up for a connection and taken back when there is one again.
#[derive(Debug)]
pub(super) struct Spare {
    file: Option<File>,
    /// The present want has been told of.
    told: bool,
}

impl Spare {
    pub(super) fn new() -> Self {
        Self { file: any().ok(), told: false }
    }

    /// Whether this is the first connection that could not be taken since all was well.
    pub(super) const fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// A connection was taken. Where that did not need the spare one, the want is over.
    pub(super) const fn note_success(&mut self) {
        self.told &= self.file.is_none();
    }

    /// Makes room for one descriptor. Whether there was one to give.
    pub(super) fn give(&mut self) -> bool {
        self.file.take().is_some()
    }

    /// Takes one back, if it was given and there is one.
    pub(super) fn take_back(&mut self) {
        if self.file.is_none() {
            self.file = any().ok();
        }
    }
}

/// Whether this is for lack of file descriptors, the process's or the system's.
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Whether none is left just now.
#[must_use]
pub fn out_of_files() -> bool {
    any().is_err_and(|error| is_out_of_files(&error))
}

fn any() -> io::Result<File> {
    File::open("/dev/null")
}
