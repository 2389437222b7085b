//! The status of a stored state file: rows and bytes of it as they come, shown in every format, and an engine that goes on from it.

#![no_main]

use std::path::Path;

use keypulse::cli::hostile::Examiner;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static EXAMINER: (Examiner, TempDir) = {
        // In memory, where there is such a place: every run writes a database.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        (Examiner::new(directory.path()), directory)
    };
}

fuzz_target!(|bytes: &[u8]| {
    let _ = EXAMINER.with(|(examiner, _)| examiner.examine(bytes));
});
