//! What holds for all parsers.

use proptest::prelude::*;

use std::path::Path;

use super::{program::Read, *};

/// What a parser finds in a text, one line each, passwords included: `LINE ENTRY SERVICE HOST USER KIND HOW`. Or the fault.
pub(super) fn found(read: Read, text: &str) -> Vec<String> {
    let place = Place::below(Path::new("/home/me"));
    let entries = match read(&mut Disk::only(&place, text), Path::new("/home/me/file")) {
        Ok(entries) => entries,
        Err(Fault { line, why, .. }) => return vec![format!("{line}: {why}")],
    };
    let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    entries
        .iter()
        .map(|entry| {
            let how = match &entry.secret {
                Secret::Plain(password) => format!("plain {}", password.as_str()),
                Secret::File(path) => format!("file {}", path.display()),
                Secret::Command(words) => format!("command {}", words.join("|")),
                Secret::Keyring(source) => format!("keyring {source:?}"),
                Secret::Unknown(why) => format!("unknown {why}"),
            };
            let Entry { name, line, service, host, username, .. } = entry;
            format!("{line} {name} {} {} {} {how}", service.as_str(), told(host), told(username))
        })
        .collect()
}

/// Words that parsers look for, so that garbage gets past their first line.
const WORDS: &str = "(IMAPAccount|IMAPStore|Host|User|PassCmd|Pass|account|defaults|host|password|passwordeval|set |imap_pass|\
                     imap_user|folder|smtp_url|source |account-hook|push|imaps://|smtp://|@|:|\\[|\\]|\\{|\\}|=|\"|'|`|\\\\|\n|\n |\t|#|;|\
                     \\$HOME|~|%\\(|%40|Repository |remotepass|remotepasseval|check_output\\(|storage |password.fetch|url|\
                     sendemail|smtpPass|include|path|user_pref\\(|mail.server.server1|accounts|backend|auth|raw|- |&a|\\*a|!!|<<|\
                     imap.mail.me.com|\u{e4}|\u{feff}|[ -~]{0,6})";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// No panic, no hang, no entry without a place, whatever stands in a file.
    #[test]
    fn garbage_ends_quietly(pieces in proptest::collection::vec(WORDS, 0..40)) {
        let text = pieces.concat();
        let lines = text.lines().count().max(1);
        let place = Place::nowhere();
        for program in Program::ALL {
            let Some(Files { read, .. }) = program.files(&place) else { continue };
            match read(&mut Disk::only(&place, &text), Path::new("/f")) {
                Ok(entries) => prop_assert!(entries.iter().all(|entry| (1..=lines).contains(&entry.line)), "{program}"),
                Err(fault) => prop_assert!(fault.line <= lines + 1 && !fault.why.is_empty(), "{program}"),
            }
        }
    }

    #[test]
    fn any_text_ends_quietly(text in "\\PC{0,200}(\n\\PC{0,80}){0,5}") {
        let place = Place::nowhere();
        for program in Program::ALL {
            let Some(Files { read, .. }) = program.files(&place) else { continue };
            drop(read(&mut Disk::only(&place, &text), Path::new("/f")));
        }
    }
}
