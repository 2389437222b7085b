//! Evolution's accounts: a key file of GLib for each below `evolution/sources`, named by the account's id.
//!
//! The password is an item of the keyring that carries the id and nothing else.

use std::{fs, path::Path};

use super::{
    Program, Use,
    disk::{Disk, Place},
    icloud, ini,
    keyring::Owned,
};

/// The attribute of an item that holds the id.
pub(super) const ATTRIBUTE: &str = "e-source-uid";

/// More than anybody has.
const MOST_FILES: usize = 300;

/// The accounts at iCloud.
pub(super) fn accounts(disk: &mut Disk, place: &Place) -> Vec<Owned> {
    let directory = place.config_home.join("evolution/sources");
    let mut files: Vec<_> =
        fs::read_dir(directory).into_iter().flatten().take(MOST_FILES).flatten().map(|it| it.path()).collect();
    files.sort();
    files
        .iter()
        .filter(|file| file.extension().is_some_and(|it| it == "source"))
        .filter_map(|file| account(disk, file))
        .collect()
}

fn account(disk: &mut Disk, file: &Path) -> Option<Owned> {
    let text = disk.open(file)?;
    let sections = match ini::glib(&text) {
        Ok(sections) => sections,
        Err((line, why)) => {
            disk.trouble(super::Fault::new(file, line, why));
            return None;
        }
    };
    let section = |name: &str| sections.iter().find(|section| section.name == name);
    let login = section("Authentication")?;
    let host = login.key("host")?;
    let backend = |name: &str| section(name).and_then(|section| section.value("backendname")).unwrap_or_default();
    let service = if backend("Mail Transport") == "smtp" {
        Use::Smtp
    } else if section("Calendar").or(section("Task List")).or(section("Memo List")).is_some() {
        Use::Caldav
    } else if section("Address Book").is_some() {
        Use::Carddav
    } else {
        Use::Imap
    };
    let name = host.value.trim().to_lowercase();
    let id = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    icloud::is_host(&name).then(|| Owned {
        program: Program::SecretService,
        item: [(ATTRIBUTE.to_owned(), id)].into(),
        file: file.to_owned(),
        line: host.line,
        service,
        host: name,
        user: login.value("user").map(str::to_owned).filter(|user| !user.is_empty()),
    })
}
