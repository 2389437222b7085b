//! What SECURITY.md claims is shown by tests that exist, and what it says of the sources holds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::source::tokens;

/// Every source file below a directory of the repository.
fn sources(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn holds(path: &Path, word: &str) -> bool {
    tokens(&fs::read_to_string(path).unwrap()).iter().any(|token| token.text == word)
}

#[test]
fn unsafe_code_is_in_one_file() {
    let found: Vec<_> = ["src", "tests"].into_iter().flat_map(sources).filter(|path| holds(path, "unsafe")).collect();
    assert_eq!(found, [Path::new(env!("CARGO_MANIFEST_DIR")).join("src/secret/wipe.rs")]);
}
