//! The picture of a notification: keypulse's own where a package installed it, else the theme's picture of a password.
//!
//! Looks where programs leave their pictures (Icon Theme Specification, "Directory Layout"). Never reads the picture itself.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The name of our own.
const OWN: &str = "keypulse";
/// One of the standard names (Icon Naming Specification) that nearly every theme has.
const STANDARD: &str = "dialog-password";
/// Below a data directory. Themes without a picture of their own for a program take hicolor's.
const FILE: &str = "icons/hicolor/scalable/apps/keypulse.svg";

/// What a notification names as its picture. Looked for each time: a package may come and go.
pub(super) fn icon() -> String {
    let directories = data_directories(std::env::home_dir(), |name| std::env::var_os(name));
    named(directories.iter().map(|directory| directory.join(FILE)).find(|file| file.is_file()).as_deref())
}

/// As an address, since dunst looks for names in no theme unless told to; by its name where an address would have to be
/// escaped (Desktop Notifications Specification, "Icons and Images": either is allowed).
fn named(found: Option<&Path>) -> String {
    let is_plain = |path: &&str| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
    match found {
        None => STANDARD.to_owned(),
        Some(file) => file.to_str().filter(is_plain).map_or_else(|| OWN.to_owned(), |path| format!("file://{path}")),
    }
}

/// The person's own first (XDG Base Directory Specification). Relative ones are ignored, as it says.
fn data_directories(home: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let given = |name| variable(name).filter(|value| !value.is_empty());
    let own = given("XDG_DATA_HOME").map(PathBuf::from).or_else(|| Some(home?.join(".local/share")));
    let others = given("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    own.into_iter().chain(std::env::split_paths(&others)).filter(|path| path.is_absolute()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_for_where_the_specification_says() {
        #[track_caller]
        fn check(home: Option<&str>, variables: &[(&str, &str)], expected: &[&str]) {
            let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            let found = data_directories(home.map(PathBuf::from), variable);
            assert_eq!(found, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
        check(Some("/home/me"), &[], &["/home/me/.local/share", "/usr/local/share", "/usr/share"]);
        check(None, &[("XDG_DATA_HOME", ""), ("XDG_DATA_DIRS", "")], &["/usr/local/share", "/usr/share"]);
        check(Some("/home/me"), &[("XDG_DATA_HOME", "/d"), ("XDG_DATA_DIRS", "/a:b:/c")], &["/d", "/a", "/c"]);
        check(Some("/home/me"), &[("XDG_DATA_HOME", "d"), ("XDG_DATA_DIRS", "/a")], &["/a"]);
    }

    #[test]
    fn it_is_an_address_a_name_or_the_standard_one() {
        assert_eq!(named(None), "dialog-password");
        assert_eq!(named(Some(Path::new("/usr/share/k.svg"))), "file:///usr/share/k.svg");
        assert_eq!(named(Some(Path::new("/home/j d/k.svg"))), "keypulse");
        assert_eq!(named(Some(Path::new("/home/é/k.svg"))), "keypulse");
    }
}
