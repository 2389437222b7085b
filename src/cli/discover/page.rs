//! What was found, for people: an account after the other, each password with its place, its way and what to do next.
//!
//! Pure: the same findings and width give the same text.

use std::path::Path;

use crate::{
    cli::style::{FAINT, GOOD, HEADING, Paint, WARNING, printable, wrapped},
    config::discover::{
        Discovery, Login, Trouble, Use, Way,
        offers::{Household, Offer},
    },
    health::name::{Address, CredentialName},
};

/// How far the keyring was searched.
pub(super) enum Ring {
    /// Not at all: another directory was named.
    NotAsked,
    /// All of it.
    Searched,
    /// A part is locked.
    Locked,
    /// It could not be asked; holds why.
    Failed(String),
}

pub(super) struct Page<'a> {
    pub(super) found: &'a Discovery,
    pub(super) households: &'a [Household],
    pub(super) ring: &'a Ring,
    pub(super) home: &'a Path,
    pub(super) config: &'a Path,
    pub(super) width: usize,
}

/// Colours are taken out again where they are not wanted.
const PAINT: Paint = Paint { colour: true };

impl Page<'_> {
    pub(super) fn render(&self) -> String {
        let mut lines = Vec::new();
        for household in self.households {
            let name = household
                .address
                .as_ref()
                .map_or("An Apple Account whose iCloud Mail address is not told", Address::as_str);
            self.put(&mut lines, 0, name, Some(HEADING));
            for offer in &household.offers {
                self.offer(offer, household.address.as_ref(), &mut lines);
            }
            for conflict in &household.conflicts {
                self.put(&mut lines, 2, &format!("! {conflict}"), Some(WARNING));
            }
            lines.push(String::new());
        }
        if self.households.is_empty() {
            self.nothing(&mut lines);
        }
        self.troubles(&mut lines);
        self.remarks(&mut lines);
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.join("\n") + "\n"
    }

    fn offer(&self, offer: &Offer, address: Option<&Address>, lines: &mut Vec<String>) {
        let mut services: Vec<&str> = Vec::new();
        for login in &offer.logins {
            let service = match login.service {
                Use::Imap => "IMAP",
                Use::Smtp => "SMTP",
                Use::Caldav => "calendars",
                Use::Carddav => "contacts",
            };
            if !services.contains(&service) {
                services.push(service);
            }
        }
        let title = format!("{} · {}", offer.program.title(), services.join(", "));
        self.put(lines, 2, &title, None);
        for place in self.places(&offer.logins) {
            self.put(lines, 4, &place, Some(FAINT));
        }
        let Some(way) = offer.logins.first().map(|login| &login.way) else { return };
        self.put(lines, 4, &told(way), None);
        let name = &offer.name;
        if offer.watched {
            self.put(lines, 4, &format!("✓ watched as {name}"), Some(GOOD));
        } else if offer.source.is_none() {
            let address = address.map_or("ADDRESS", Address::as_str);
            self.put(lines, 4, &format!("→ keypulse add {name} --account {address}"), Some(WARNING));
        } else if address.is_none() {
            let next = format!("→ add it under [[account]] by hand, or: keypulse add {name} --account ADDRESS");
            self.put(lines, 4, &next, Some(WARNING));
        } else {
            self.put(lines, 4, &format!("→ not watched; --write adds it as {name}"), Some(WARNING));
        }
    }

    /// File and lines of the logins, each file once.
    fn places(&self, logins: &[Login]) -> Vec<String> {
        let mut places: Vec<(String, Vec<usize>)> = Vec::new();
        for login in logins {
            let Some(file) = &login.file else { continue };
            let file = self.short(file);
            let at = places.iter().position(|(known, _)| *known == file).unwrap_or(places.len());
            if at == places.len() {
                places.push((file, Vec::new()));
            }
            if let (Some((_, lines)), Some(line)) = (places.get_mut(at), login.line)
                && !lines.contains(&line)
            {
                lines.push(line);
            }
        }
        let joined = |lines: Vec<usize>| lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        places.into_iter().map(|(file, lines)| format!("{file}:{}", joined(lines))).collect()
    }

    fn nothing(&self, lines: &mut Vec<String>) {
        lines.push("No iCloud logins found. Looked for:".to_owned());
        let mut files: Vec<String> = self.found.looked.iter().map(|file| self.short(file)).collect();
        files.dedup();
        self.put(lines, 2, &files.join("  "), Some(FAINT));
        lines.push(String::new());
        self.put(lines, 0, "A password that is kept elsewhere: keypulse add NAME --account ADDRESS", None);
        lines.push(String::new());
    }

    fn troubles(&self, lines: &mut Vec<String>) {
        if self.found.troubles.is_empty() {
            return;
        }
        lines.push(PAINT.paint(HEADING, "Passed over"));
        for Trouble { file, line, why } in &self.found.troubles {
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            self.put(lines, 2, &format!("{}{line}: {}", self.short(file), why), None);
        }
        lines.push(String::new());
    }

    fn remarks(&self, lines: &mut Vec<String>) {
        let ring = match self.ring {
            Ring::NotAsked | Ring::Searched => None,
            Ring::Locked => Some("The keyring is locked, or a part of it: what is in there was not seen.".to_owned()),
            Ring::Failed(why) => Some(format!("The keyring was not searched: {why}.")),
        };
        if let Some(ring) = ring {
            self.put(lines, 0, &ring, None);
        }
        let offers =
            || self.households.iter().flat_map(|household| household.offers.iter().map(move |it| (household, it)));
        let mail = |login: &Login| matches!(login.service, Use::Imap | Use::Smtp);
        if offers().any(|(_, offer)| offer.source.is_some() && !offer.logins.iter().any(mail)) {
            let dav = "An app-specific password opens mail, calendars and contacts alike: one that is used for calendars or \
                       contacts is watched over IMAP and SMTP.";
            self.put(lines, 0, dav, None);
        }
        let new = offers().filter(|(at, it)| at.address.is_some() && it.source.is_some() && !it.watched).count();
        if new > 0 {
            let what = if new == 1 { "the one".to_owned() } else { format!("the {new}") };
            let next =
                format!("keypulse discover --write watches {what} that keypulse can read: {}", self.short(self.config));
            self.put(lines, 0, &next, None);
        }
    }

    fn short(&self, path: &Path) -> String {
        short(path, self.home)
    }

    fn put(&self, lines: &mut Vec<String>, indent: usize, text: &str, style: Option<anstyle::Style>) {
        put(lines, self.width, indent, text, style);
    }
}

/// What `--write` did.
pub(super) fn written(added: &[(CredentialName, Address)], config: &Path, home: &Path, width: usize) -> String {
    let mut lines = vec![String::new()];
    let file = short(config, home);
    let text = if added.is_empty() {
        format!("Nothing to add to {file}: what keypulse can read is watched already.")
    } else {
        let names: Vec<&str> = added.iter().map(|(name, _)| name.as_str()).collect();
        format!("Added to {file}: {}", names.join(", "))
    };
    put(&mut lines, width, 0, &text, None);
    lines.join("\n") + "\n"
}

/// How the program gets the password, in words.
fn told(way: &Way) -> String {
    match way {
        Way::Command(words) => {
            let shown = match words.as_slice() {
                [sh, c, text] if sh == "sh" && c == "-c" => text.clone(),
                words => words.join(" "),
            };
            format!("from: {shown}")
        }
        Way::Plain(_) => "in plain text in a file: better in the keyring, or behind a command".to_owned(),
        Way::Keyring(_) => "in the keyring".to_owned(),
        Way::Unknown(why) => why.clone(),
    }
}

fn short(path: &Path, home: &Path) -> String {
    let text = match path.strip_prefix(home) {
        Ok(below) => format!("~/{}", below.display()),
        Err(_) => path.display().to_string(),
    };
    printable(&text)
}

/// Lines of at most `width` columns, those after the first indented further.
fn put(lines: &mut Vec<String>, width: usize, indent: usize, text: &str, style: Option<anstyle::Style>) {
    let room = width.saturating_sub(indent + 2).max(20);
    for (number, line) in wrapped(&printable(text), room).into_iter().enumerate() {
        let margin = " ".repeat(indent + if number == 0 { 0 } else { 2 });
        lines.push(margin + &style.map_or_else(|| line.clone(), |style| PAINT.paint(style, &line)));
    }
}

#[cfg(test)]
mod tests;
