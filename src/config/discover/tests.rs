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
                Secret::Netrc(why) | Secret::Unknown(why) => format!("unknown {why}"),
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
                     machine |login |macdef |\\[network\\]|ImapServer=|Transport 5|auth=true|imap.server=|sasl.plain.password.raw=|sendemail|smtpPass|include|path|user_pref\\(|mail.server.server1|accounts|backend|auth|raw|- |&a|\\*a|!!|<<|\
                     imap.mail.me.com|\u{e4}|\u{feff}|[ -~]{0,6})";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// No panic, no hang, no entry without a place, whatever stands in a file.
    #[test]
    fn garbage_ends_quietly(pieces in proptest::collection::vec(WORDS, 0..40)) {
        let text = pieces.concat();
        // To YAML a carriage return alone ends a line, too (YAML 1.2.2, section 5.4).
        let lines = text.split(['\n', '\r']).count();
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
    fn small_readers_end_quietly(text in "(\\PC|['\"\\\\\\[\\](),.=$`@:/%]|check_output\\(|://|popen\\(){0,60}") {
        drop((shell::command(&text), python::command(&text), url::parse(&text)));
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

/// What takes a time that grows with the square of the file, or worse, would not end here.
#[test]
fn large_files_end_soon() {
    let numbered = |text: &str| (0..20_000).map(|n| text.replace('#', &n.to_string())).collect::<String>();
    let level = |n: usize| format!("a{n}={}\n", format!("%(a{})s", n - 1).repeat(50));
    let levels: Vec<String> = (1..10).map(level).collect();
    let branches = ["[DEFAULT]\na0=\n", &levels.concat(), "[Repository R]\ntype=IMAP\nremotehost=%(a9)s\n"].concat();
    let texts = [
        numbered("[s#]\nk#=v\n"),
        "[s]\n".to_owned() + &numbered("k#=v\n"),
        numbered("account a#\nhost smtp.mail.me.com\n"),
        numbered("IMAPAccount a#\nHost imap.mail.me.com\nPass x\n\n"),
        numbered("set my_a#=x$my_a\nset my_a=$my_a$my_a#y\n"),
        "set my_a=".to_owned() + &"``".repeat(100_000),
        numbered("account-hook x# 'set imap_pass=#'\n"),
        numbered("[sendemail \"i#\"]\nsmtpserver=smtp.mail.me.com\nsmtpuser=#\n"),
        numbered("user_pref(\"calendar.registry.#.uri\", \"https://caldav.icloud.com/#\");\n"),
        numbered("[accounts.a#]\nemail=\"a\"\nbackend.host=\"imap.mail.me.com\"\n"),
        numbered("- host: imap.mail.me.com\n  password: x#\n"),
        numbered("machine imap.mail.me.com login a# password \"x\"\n"),
        numbered("macdef a\n"),
        "\"".repeat(200_000),
        "[".repeat(200_000),
        "{a: ".repeat(100_000),
        "\\\n".repeat(100_000),
        branches,
    ];
    let place = Place::nowhere();
    for text in texts {
        for program in Program::ALL {
            let Some(Files { read, .. }) = program.files(&place) else { continue };
            drop(read(&mut Disk::only(&place, &text), Path::new("/f")));
        }
    }
}
