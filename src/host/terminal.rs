//! Runs a command in the person's terminal. Only ever called for a click of the person's.
//!
//! Decides which program is their terminal: what they say with `$TERMINAL`, what the desktop says, then what is installed.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use super::launch::launch;

/// Terminals, and what stands between them and the command. `xdg-terminal-exec` and Debian's `x-terminal-emulator` are what
/// the desktop says.
const TERMINALS: [(&str, &[&str]); 16] = [
    ("xdg-terminal-exec", &[]),
    ("x-terminal-emulator", &["-e"]),
    ("ptyxis", &["--"]),
    ("kgx", &["--"]),
    ("gnome-terminal", &["--"]),
    ("konsole", &["-e"]),
    ("xfce4-terminal", &["-x"]),
    ("mate-terminal", &["-x"]),
    ("foot", &[]),
    ("alacritty", &["-e"]),
    ("kitty", &[]),
    ("ghostty", &["-e"]),
    ("wezterm", &["start", "--"]),
    ("urxvt", &["-e"]),
    ("st", &["-e"]),
    ("xterm", &["-e"]),
];

/// Runs the command and keeps the window open until the person has read what it said.
const STAY: &str = r#""$@"; code=$?; printf '\nPress Enter to close this window. '; read -r _; exit $code"#;

/// No terminal took the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTerminal;

impl fmt::Display for NoTerminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("open a terminal: none was found that works; name yours in the variable TERMINAL")
    }
}

impl std::error::Error for NoTerminal {}

/// Runs `command` in the first terminal that does not fail at once; its name.
///
/// # Errors
/// Where there is none.
pub async fn run(command: &[OsString]) -> Result<String, NoTerminal> {
    let wish = std::env::var("TERMINAL").unwrap_or_default();
    let directories: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let stay = ["sh", "-c", STAY, "keypulse"].map(OsString::from);
    for (program, before) in candidates(&wish, |program| is_there(program, &directories)) {
        let arguments: Vec<OsString> =
            before.into_iter().map(OsString::from).chain(stay.clone()).chain(command.iter().cloned()).collect();
        match launch(&program, &arguments).await {
            Ok(true) => return Ok(program),
            Ok(false) => tracing::debug!(program, "this terminal ended at once"),
            Err(error) => tracing::debug!(program, %error, "failed to start this terminal"),
        }
    }
    Err(NoTerminal)
}

/// Terminals in the order in which they are tried, each with what stands between it and the command.
fn candidates(wish: &str, is_there: impl Fn(&str) -> bool) -> Vec<(String, Vec<String>)> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut wish = wish.split_whitespace();
    let wanted = wish.next().map(|program| {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program);
        let known = TERMINALS.iter().find(|(terminal, _)| *terminal == name);
        let before = known.map_or(&["-e"][..], |(_, before)| *before);
        (program.to_owned(), wish.map(str::to_owned).chain(owned(before)).collect())
    });
    let installed = TERMINALS.iter().map(|(program, before)| ((*program).to_owned(), owned(before)));
    wanted.into_iter().chain(installed).filter(|(program, _)| is_there(program)).collect()
}

fn is_there(program: &str, directories: &[PathBuf]) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    directories.iter().any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wish: &str, installed: &[&str], expected: &[(&str, &str)]) {
        let found = candidates(wish, |program| installed.contains(&program));
        let found: Vec<_> = found.iter().map(|(program, before)| (program.as_str(), before.join(" "))).collect();
        let expected: Vec<_> = expected.iter().map(|(program, before)| (*program, (*before).to_owned())).collect();
        assert_eq!(found, expected, "TERMINAL={wish}");
    }

    #[test]
    fn the_persons_wish_comes_first_then_the_desktops() {
        check("", &[], &[]);
        check("", &["xterm", "x-terminal-emulator"], &[("x-terminal-emulator", "-e"), ("xterm", "-e")]);
        check("foot", &["foot", "xterm"], &[("foot", ""), ("foot", ""), ("xterm", "-e")]);
        check("/opt/kitty --single-instance", &["/opt/kitty"], &[("/opt/kitty", "--single-instance")]);
        check("myterm -x", &["myterm", "wezterm"], &[("myterm", "-x -e"), ("wezterm", "start --")]);
        check("gone", &["konsole"], &[("konsole", "-e")]);
    }

    #[test]
    fn a_directory_is_no_terminal() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("xterm")).unwrap();
        std::fs::write(directory.path().join("foot"), "").unwrap();
        let directories = [directory.path().to_owned()];
        assert!(!is_there("xterm", &directories) && is_there("foot", &directories));
        assert!(is_there(directory.path().join("foot").to_str().unwrap(), &[]));
    }
}
