//! `keypulse config check`, `path` and `show`.
//!
//! Decides what they print. Prints nothing itself, and gives no exit code: a [`ConfigError`] is 78 where the commands are
//! wired.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::{self, Config, ConfigError};

/// What a command has to say, for people and for programs (`--json`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For people; ends with a newline.
    pub text: String,
    /// For programs.
    pub json: Value,
}

/// `config check`: reads everything and says that it is right.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(path: &Path) -> Result<Answer, ConfigError> {
    let config = config::load(path)?;
    let accounts = config.accounts.len();
    let credentials = config.accounts.iter().map(|account| account.credentials.len()).sum::<usize>();
    let mut text = format!(
        "{} is right: {}, {}\n",
        path.display(),
        counted(accounts, "account", "accounts"),
        counted(credentials, "credential", "credentials")
    );
    if credentials == 0 {
        text.push_str("nothing is watched yet; `keypulse add NAME --account ADDRESS` adds a password\n");
    }
    let json =
        json!({ "path": path.to_string_lossy(), "valid": true, "accounts": accounts, "credentials": credentials });
    Ok(Answer { text, json })
}

/// `config check --json` of a configuration that is wrong.
#[must_use]
pub fn wrong(path: &Path, error: &ConfigError) -> Value {
    json!({ "path": path.to_string_lossy(), "valid": false, "error": error.summary() })
}

/// `config path`: where the configuration is or would be.
#[must_use]
pub fn path(path: &Path) -> Answer {
    let json = json!({ "path": path.to_string_lossy(), "exists": path.exists() });
    Answer { text: format!("{}\n", path.display()), json }
}

/// `config show`: the configuration in effect, with defaults. It holds no password, only where passwords are.
///
/// # Errors
/// Everything that is wrong with it.
pub fn show(path: &Path) -> Result<Answer, ConfigError> {
    let config = config::load(path)?;
    Ok(Answer { text: format!("# {}\n\n{config}", path.display()), json: as_json(&config) })
}

/// The same names and values as in TOML.
fn as_json(config: &Config) -> Value {
    // What `Display` writes is TOML by a test of its own.
    toml::from_str(&config.to_string()).unwrap_or(Value::Null)
}

pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use super::*;

    const TEXT: &str = "[[account]]\naddress = \"a@icloud.com\"\n[[account.credential]]\nname = \"mutt\"\n";

    fn file(text: &str) -> io::Result<(tempfile::TempDir, std::path::PathBuf)> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("config.toml");
        fs::write(&path, text)?;
        Ok((directory, path))
    }

    #[test]
    fn check_counts_what_is_watched() {
        let (_directory, path) = file(TEXT).unwrap();
        let answer = check(&path).unwrap();
        assert_eq!(answer.text, format!("{} is right: 1 account, 1 credential\n", path.display()));
        assert_eq!(answer.json["credentials"], 1);
        let (_directory, path) = file("").unwrap();
        assert!(check(&path).unwrap().text.contains("no accounts, no credentials\nnothing is watched yet"));
    }

    #[test]
    fn a_missing_file_says_how_to_make_one() {
        let error = check(Path::new("/nonexistent/config.toml")).unwrap_err();
        assert!(error.is_missing());
        assert!(error.to_string().contains("`keypulse add NAME --account ADDRESS`"), "{error}");
        assert_eq!(super::path(Path::new("/nonexistent/config.toml")).json["exists"], false);
    }

    #[test]
    fn show_fills_in_the_defaults_and_reads_back() {
        let (_directory, path) = file(TEXT).unwrap();
        let answer = show(&path).unwrap();
        assert!(answer.text.contains("\ninterval = \"1h\"\n"), "{}", answer.text);
        assert!(answer.text.contains("secret.keyring = { service = \"keypulse\", username = \"mutt\" }"));
        assert_eq!(config::parse(&answer.text, &path).unwrap(), config::load(&path).unwrap());
        assert_eq!(answer.json["schedule"]["confirm"], json!(["2m", "15m"]));
        assert_eq!(answer.json["account"][0]["credential"][0]["name"], "mutt");
    }
}
