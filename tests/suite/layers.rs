//! Imports point down, and the pure core touches nothing: read from the sources, so that no later change forgets it.
//!
//! Tests inside the library (`#[cfg(test)]` modules) may name what they like.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::source::{Token, paths, tokens, without_tests};

/// Who may name whom. From bottom to top: an arrow to a later line cannot be written here (a test says so). Neighbours name
/// each other only where it is said.
const ARROWS: [(&str, &[&str]); 13] = [
    ("place", &[]),
    ("health", &[]),
    ("classify", &["health"]),
    ("secret", &["place", "health", "classify"]),
    ("config", &["health", "classify", "secret"]),
    ("store", &["place", "health"]),
    ("api", &["place", "health", "config"]),
    ("probe", &["health", "classify", "secret", "config"]),
    ("host", &["health", "classify", "secret", "config", "api"]),
    ("simulator", &["health", "secret", "config"]),
    ("rehearsal", &["health", "secret", "config", "api", "probe", "host", "simulator"]),
    ("daemon", &["health", "classify", "secret", "config", "store", "api", "probe", "host"]),
    (
        "cli",
        &[
            "health",
            "classify",
            "secret",
            "config",
            "store",
            "api",
            "probe",
            "host",
            "simulator",
            "rehearsal",
            "daemon",
        ],
    ),
];

/// No network, no file, no clock, no randomness, no log line; of other crates only these, which compute and touch nothing.
/// `classify` blots out secrets in server texts, also in Base64.
const PURE: [(&str, &[&str]); 2] = [("health", &["serde"]), ("classify", &["serde", "base64", "zeroize"])];

/// What of the standard library the pure core may name.
const PURE_STD: [&str; 21] = [
    "array",
    "ascii",
    "borrow",
    "cmp",
    "collections",
    "convert",
    "error",
    "fmt",
    "hash",
    "iter",
    "marker",
    "mem",
    "num",
    "ops",
    "option",
    "rc",
    "result",
    "slice",
    "str",
    "string",
    "time::Duration",
];

/// Names that the pure core has no use for, wherever they come from. Hash maps walk in a random order.
const IMPURE_NAMES: [&str; 12] = [
    "async",
    "await",
    "dbg",
    "eprint",
    "eprintln",
    "print",
    "println",
    "HashMap",
    "HashSet",
    "Instant",
    "RandomState",
    "SystemTime",
];

#[test]
fn no_import_runs_up() {
    let found = findings(wrong_arrows);
    assert!(found.is_empty(), "imports against the layers (tests/suite/layers.rs):\n{}", found.join("\n"));
}

#[test]
fn the_pure_core_touches_nothing() {
    let dependencies = dependencies();
    assert!(dependencies.contains("tokio") && dependencies.contains("sd_notify"), "{dependencies:?}");
    let found = findings(|file| impurities(file, &dependencies));
    assert!(found.is_empty(), "not pure (tests/suite/layers.rs):\n{}", found.join("\n"));
}

#[test]
fn the_table_has_every_module_and_points_down() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let (tokens, _) = without_tests(&tokens(&text));
    let declared: BTreeSet<_> =
        tokens.windows(2).filter(|pair| pair[0].text == "mod").map(|pair| pair[1].text.clone()).collect();
    assert_eq!(declared, ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (place, (name, below)) in ARROWS.iter().enumerate() {
        for target in *below {
            assert!(ARROWS[..place].iter().any(|(lower, _)| lower == target), "{name} -> {target} runs up");
        }
    }
}

#[test]
fn a_forbidden_arrow_is_seen() {
    #[track_caller]
    fn check(path: &str, text: &str, wrong: usize) {
        let (tokens, _) = without_tests(&tokens(text));
        let file = File { path: PathBuf::from(path), tokens };
        let found = [wrong_arrows(&file), impurities(&file, &dependencies())].concat();
        assert_eq!(found.len(), wrong, "{path}: {text}\n{}", found.join("\n"));
    }
    check("src/config/mod.rs", "use crate::{health::name::Address, secret::Source};", 0);
    check("src/config/mod.rs", "use crate::{health::name::Address, store::Store};", 1);
    check("src/config/mod.rs", "fn f() { crate::daemon::run() }", 1);
    check("src/config/mod.rs", "use super::daemon;", 1);
    check("src/config/mod.rs", "mod inner { use super::Config; }", 0);
    check("src/config/mod.rs", "#[cfg(test)] mod tests { use crate::simulator::Simulator; }", 0);
    check("src/config/edit.rs", "use super::Config; pub(crate) fn f() {}", 0);
    check("src/config/edit.rs", "use super::super::health::Address;", 1);
    check("src/store.rs", "use super::api::Request;", 1);
    check("src/store.rs", "use crate::*;", 1);
    check("src/store.rs", "use crate as all;", 1);
    check("src/health/view.rs", "use std::{collections::BTreeMap, fmt, time::Duration}; use serde::Serialize;", 0);
    check("src/health/view.rs", "use std::{fs, time::{Duration, Instant}};", 3);
    check("src/health/view.rs", "fn f() { tokio::spawn(g()); std::time::SystemTime::now(); println!() }", 4);
    check("src/health/view.rs", "use std::collections::HashMap;", 1);
    check("src/classify.rs", "use tracing::info;", 1);
}

/// A source file without its tests.
struct File {
    /// From the repository's root.
    path: PathBuf,
    tokens: Vec<Token>,
}

impl File {
    /// The module of the crate's root that it belongs to.
    fn module(&self) -> String {
        let first = self.path.iter().nth(1).unwrap();
        Path::new(first).file_stem().unwrap().to_string_lossy().into_owned()
    }

    /// Whether `super` is the crate's root here.
    fn is_root_of_module(&self) -> bool {
        self.path.iter().count() == 2 || self.path.ends_with("mod.rs") && self.path.iter().count() == 3
    }

    fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }
}

fn wrong_arrows(file: &File) -> Vec<String> {
    let module = file.module();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![file.finding(1, &format!("`{module}` is not in the table"))];
    };
    let mut found = Vec::new();
    for path in paths(&file.tokens) {
        let names: Vec<_> = path.names.iter().map(String::as_str).collect();
        let target = match names.as_slice() {
            ["super", "super", ..] => {
                found.push(file.finding(path.line, "`super::super`: say `crate::` and the module"));
                continue;
            }
            ["super", target, ..] if file.is_root_of_module() && path.depth == 0 => *target,
            ["crate", target, ..] => *target,
            _ => continue,
        };
        if target != module && !allowed.contains(&target) {
            found.push(file.finding(path.line, &format!("`{module}` may not name `{target}`")));
        }
    }
    // `use crate as x` would hide every arrow; `pub(crate)` hides none.
    for (index, token) in file.tokens.iter().enumerate().filter(|(_, token)| token.text == "crate") {
        let next = file.tokens.get(index + 1).map(|token| &*token.text);
        if !matches!(next, Some("::" | ")")) {
            found.push(file.finding(token.line, "`crate` stands alone: say which module"));
        }
    }
    found
}

fn impurities(file: &File, dependencies: &BTreeSet<String>) -> Vec<String> {
    let Some((_, crates)) = PURE.iter().find(|(name, _)| *name == file.module()) else { return Vec::new() };
    let mut found = Vec::new();
    for path in paths(&file.tokens) {
        let head = &*path.names[0];
        let rest = path.names[1..].join("::");
        let within = |allowed: &str| rest == allowed || rest.starts_with(&format!("{allowed}::"));
        if matches!(head, "std" | "core" | "alloc") && !PURE_STD.iter().any(|allowed| within(allowed))
            || dependencies.contains(head) && !crates.contains(&head)
        {
            found.push(file.finding(path.line, &format!("`{}`", path.names.join("::"))));
        }
    }
    for token in &file.tokens {
        if IMPURE_NAMES.contains(&&*token.text) {
            found.push(file.finding(token.line, &format!("`{}`", token.text)));
        }
    }
    found
}

/// What `check` finds in all files of the library.
fn findings(check: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    let (mut files, mut tests) = (Vec::new(), BTreeSet::new());
    for path in paths {
        let (tokens, test_files) = without_tests(&tokens(&fs::read_to_string(&path).unwrap()));
        // `mod tests;` in a/mod.rs is a/tests.rs, in a.rs it is a/tests.rs too.
        let directory =
            if path.ends_with("mod.rs") { path.parent().unwrap().to_owned() } else { path.with_extension("") };
        for name in test_files {
            tests.insert(directory.join(&name).join("mod.rs"));
            tests.insert(directory.join(name).with_extension("rs"));
        }
        files.push((path, tokens));
    }
    assert!(files.len() > 10, "the sources are elsewhere");
    // … and what stands below a file of tests is one, too.
    let is_test =
        |path: &Path| tests.contains(path) || tests.iter().any(|file| path.starts_with(file.with_extension("")));
    files
        .into_iter()
        .filter(|(path, _)| !is_test(path) && !path.ends_with("src/lib.rs") && !path.ends_with("src/main.rs"))
        .flat_map(|(path, tokens)| check(&File { path: path.strip_prefix(root()).unwrap().to_owned(), tokens }))
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The crates of Cargo.toml, as sources name them.
fn dependencies() -> BTreeSet<String> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let mut names: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().cloned().collect();
    for target in manifest["target"].as_table().into_iter().flat_map(toml::Table::values) {
        names.extend(target["dependencies"].as_table().unwrap().keys().cloned());
    }
    names.into_iter().map(|name| name.replace('-', "_")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
