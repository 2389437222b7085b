//! Thunderbird's `prefs.js`, in each profile that `profiles.ini` names.
//!
//! Finds servers and user names of mail, calendars and address books. The passwords are encrypted by Thunderbird: they are
//! asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    ini, url,
};

const WHY: &str = "in Thunderbird's own password store";

pub(super) fn roots(place: &Place) -> Roots {
    let home = &place.home;
    [
        home.join(".thunderbird/profiles.ini"),
        place.config_home.join("thunderbird/profiles.ini"),
        home.join(".var/app/org.mozilla.Thunderbird/.thunderbird/profiles.ini"),
        home.join("snap/thunderbird/common/.thunderbird/profiles.ini"),
        home.join("Library/Thunderbird/profiles.ini"),
    ]
    .map(|path| vec![path])
    .into()
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let sections = ini::glib(&text).map_err(|(line, why)| Fault::new(path, line, why))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut entries = Vec::new();
    for section in sections.iter().filter(|section| section.name.starts_with("Profile")) {
        let Some(profile) = section.value("path") else { continue };
        let preferences = directory.join(profile).join("prefs.js");
        // A profile that was never used has none.
        if preferences.exists() {
            let read = |_: &mut Disk, text: &str| logins(text, &preferences);
            entries.extend(disk.included(&preferences, path, section.line, read).into_iter().flatten());
        }
    }
    Ok(entries)
}

/// A preference and its line.
type Preferences = BTreeMap<String, (String, usize)>;

fn logins(text: &str, file: &Path) -> Vec<Entry> {
    let preferences = preferences(text);
    let get = |name: String| preferences.get(&name).map(|(value, _)| value.clone());
    let entry = |name: &str, line: usize, service: Use, host: Option<String>, username: Option<String>| Entry {
        name: name.to_owned(),
        file: file.to_owned(),
        line,
        service,
        host,
        username,
        beside: None,
        secret: Secret::Unknown(WHY.to_owned()),
    };
    let mut entries = Vec::new();
    for (name, (value, line)) in &preferences {
        let host = || url::parse(value).map(|url| url.host);
        if let Some(server) = name.strip_prefix("mail.server.").and_then(|rest| rest.strip_suffix(".hostname")) {
            let get = |key: &str| get(format!("mail.server.{server}.{key}"));
            if get("type").as_deref() == Some("imap") {
                // A server that was changed later keeps its old name beside the one in use.
                let host = get("realhostname").unwrap_or_else(|| value.clone());
                let user = get("realuserName").or_else(|| get("userName"));
                entries.push(entry(server, *line, Use::Imap, Some(host), user));
            }
        } else if let Some(server) =
            name.strip_prefix("mail.smtpserver.").and_then(|rest| rest.strip_suffix(".hostname"))
        {
            let user = get(format!("mail.smtpserver.{server}.username"));
            entries.push(entry(server, *line, Use::Smtp, Some(value.clone()), user));
        } else if let Some(calendar) =
            name.strip_prefix("calendar.registry.").and_then(|rest| rest.strip_suffix(".uri"))
        {
            let user = get(format!("calendar.registry.{calendar}.username"));
            entries.push(entry(calendar, *line, Use::Caldav, host(), user));
        } else if let Some(book) =
            name.strip_prefix("ldap_2.servers.").and_then(|rest| rest.strip_suffix(".carddav.url"))
        {
            let user = get(format!("ldap_2.servers.{book}.carddav.username"));
            entries.push(entry(book, *line, Use::Carddav, host(), user));
        }
    }
    entries.sort_by_key(|entry| entry.line);
    // Each calendar of an account is listed: one login.
    let mut seen = BTreeSet::new();
    entries.retain(|entry| {
        let login = (entry.service, entry.host.clone(), entry.username.clone());
        let dav = matches!(entry.service, Use::Caldav | Use::Carddav);
        seen.insert(login) || !dav
    });
    entries
}

/// `user_pref("name", "text");`, one per line; other values do not matter here.
fn preferences(text: &str) -> Preferences {
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(line, content)| {
            let rest = content.trim_start().strip_prefix("user_pref(")?;
            let (name, rest) = literal(rest)?;
            let (value, _) = literal(rest.trim_start().strip_prefix(',')?)?;
            Some((name, (value, line)))
        })
        .collect()
}

/// A text in double quotes with JavaScript's escapes, and what follows.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut characters = text.trim_start().strip_prefix('"')?.chars();
    let mut value = String::new();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                kind @ ('u' | 'x') => {
                    let digits = if kind == 'u' { 4 } else { 2 };
                    let code: String = characters.by_ref().take(digits).collect();
                    let code = u32::from_str_radix(&code, 16).ok()?;
                    value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                other => value.push(other),
            },
            plain => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn servers_of_every_profile() {
        let home = tempfile::tempdir().unwrap();
        let profile = home.path().join(".thunderbird/ab12cd34.default-release");
        fs::create_dir_all(&profile).unwrap();
        let ini = home.path().join(".thunderbird/profiles.ini");
        fs::write(
            &ini,
            "[Install1]\nDefault=ab12cd34.default-release\n\n[Profile1]\nName=default\nIsRelative=1\nPath=unused\n\n\
             [Profile0]\nName=default-release\nIsRelative=1\nPath=ab12cd34.default-release\n",
        )
        .unwrap();
        fs::write(
            profile.join("prefs.js"),
            r#"// Mozilla User Preferences
user_pref("calendar.registry.1.uri", "https://caldav.icloud.com/123/calendars/home/");
user_pref("calendar.registry.1.username", "john@gmail.com");
user_pref("calendar.registry.2.uri", "https://caldav.icloud.com/123/calendars/work/");
user_pref("calendar.registry.2.username", "john@gmail.com");
user_pref("mail.server.server1.hostname", "Local Folders");
user_pref("mail.server.server1.type", "none");
user_pref("mail.server.server2.hostname", "imap.mail.me.com");
user_pref("mail.server.server2.port", 993);
user_pref("mail.server.server2.type", "imap");
user_pref("mail.server.server2.userName", "john\u0061ppleseed");
user_pref("mail.smtpserver.smtp1.hostname", "smtp.mail.me.com");
user_pref("mail.smtpserver.smtp1.username", "johnappleseed@icloud.com");
"#,
        )
        .unwrap();
        let place = Place::below(home.path());
        let entries = read(&mut Disk::of(&place), &ini).unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|e| {
                format!(
                    "{} {} {} {}",
                    e.line,
                    e.service.as_str(),
                    e.host.as_ref().unwrap(),
                    e.username.as_ref().unwrap()
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "2 caldav caldav.icloud.com john@gmail.com",
                "8 imap imap.mail.me.com johnappleseed",
                "12 smtp smtp.mail.me.com johnappleseed@icloud.com",
            ]
        );
    }
}
