//! vdirsyncer's `~/.vdirsyncer/config` (its documentation, "Storages" and "Storing passwords").
//!
//! Python's INI dialect with JSON values. `password.fetch` says how the password is got.

use std::path::Path;

use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place, Text},
    ini::{self, Section},
    shell, url,
};

pub(super) fn roots(place: &Place) -> Roots {
    if let Some(path) = place.variable("VDIRSYNCER_CONFIG") {
        return vec![vec![place.expand(&path.to_string_lossy())]];
    }
    vec![vec![place.home.join(".vdirsyncer/config"), place.config_home.join("vdirsyncer/config")]]
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let sections = ini::python(&text).map_err(|(line, why)| Fault::new(path, line, why))?;
    let mut entries = Vec::new();
    for section in &sections {
        let Some(name) = section.name.strip_prefix("storage ") else { continue };
        let string = |key| string(section, key, path);
        let service = match string("type")?.as_deref().map(String::as_str) {
            Some("caldav") => Use::Caldav,
            Some("carddav") => Use::Carddav,
            Some(_) | None => continue,
        };
        let url = string("url")?.and_then(|url| url::parse(&url));
        let at = section.key("url").map_or(section.line, |key| key.line);
        let (secret, line) = if let Some(password) = string("password")? {
            (Secret::Plain(password), section.key("password").map_or(at, |key| key.line))
        } else if let Some(fetch) = section.key("password.fetch") {
            let words: Vec<String> =
                serde_json::from_str(&fetch.value).map_err(|_| Fault::new(path, fetch.line, "no list of texts"))?;
            (fetched(&words, disk.place), fetch.line)
        } else {
            (Secret::Netrc("from ~/.netrc, where vdirsyncer finds it there".to_owned()), at)
        };
        entries.push(Entry {
            name: name.trim().to_owned(),
            file: path.to_owned(),
            line,
            service,
            host: url.map(|url| url.host),
            username: string("username")?.map(|name| name.to_string()),
            beside: None,
            secret,
        });
    }
    Ok(entries)
}

/// `["command", "pass", "show", "x"]`, `["shell", "…"]`, `["prompt", "…"]`. vdirsyncer takes `~` in every word as the home.
fn fetched(words: &[String], place: &Place) -> Secret {
    let expanded = |words: &[String]| -> Vec<String> {
        words.iter().map(|word| place.expand(word).to_string_lossy().into_owned()).collect()
    };
    match words {
        [how, command @ ..] if how == "command" && !command.is_empty() => Secret::Command(expanded(command)),
        [how, one] if how == "shell" => shell::command(&place.expand(one).to_string_lossy())
            .map_or_else(|| Secret::Unknown("from an empty command".to_owned()), Secret::Command),
        // What follows are the shell's arguments.
        [how, command @ ..] if how == "shell" && !command.is_empty() => {
            Secret::Command([vec!["sh".to_owned(), "-c".to_owned()], expanded(command)].concat())
        }
        [how, ..] if how == "prompt" => Secret::Unknown("asked for when vdirsyncer runs".to_owned()),
        _ => Secret::Unknown("in a way that vdirsyncer does not document".to_owned()),
    }
}

/// A value that must be a text where it is given.
fn string(section: &Section, key: &str, path: &Path) -> Result<Option<Text>, Fault> {
    let Some(key) = section.key(key) else { return Ok(None) };
    serde_json::from_str::<Option<String>>(&key.value)
        .map(|value| value.map(Zeroizing::new))
        .map_err(|_| Fault::new(path, key.line, "the value is no text in quotes"))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn storages_with_every_kind_of_password() {
        let text = r#"[general]
status_path = "~/.vdirsyncer/status/"

[pair cal]
a = "local"
b = "remote"
collections = ["from a", "from b"]

[storage local]
type = "filesystem"
path = "~/.calendars/"
fileext = ".ics"

[storage remote]
type = "caldav"
# We can simplify this URL here as well. In theory it shouldn't matter.
url = "https://caldav.icloud.com/"
username = "johnappleseed@icloud.com"
password.fetch = ["command", "pass", "show",
    "icloud/dav"]

[storage contacts]
type = "carddav"
url = "https://contacts.icloud.com/"
username = "john@gmail.com"
password = "abcd-efgh-ijkl-mnop"

[storage shell]
type = "carddav"
url = "https://contacts.icloud.com/"
username.fetch = ["command", "whoami"]
password.fetch = ["shell", "~/bin/pw | head -n1"]

[storage prompt]
type = "caldav"
url = "https://p42-caldav.icloud.com/123/calendars/"
username = "x@me.com"
password.fetch = ["prompt", "Password"]
"#;
        assert_eq!(
            found(read, text),
            [
                "19 remote caldav caldav.icloud.com johnappleseed@icloud.com command pass|show|icloud/dav",
                "26 contacts carddav contacts.icloud.com john@gmail.com plain abcd-efgh-ijkl-mnop",
                "32 shell carddav contacts.icloud.com - command sh|-c|/home/me/bin/pw | head -n1",
                "38 prompt caldav p42-caldav.icloud.com x@me.com unknown asked for when vdirsyncer runs",
            ]
        );
        assert_eq!(found(read, "[storage a]\ntype = \"caldav\"\nurl = nope\n"), ["3: the value is no text in quotes"]);
    }
}
