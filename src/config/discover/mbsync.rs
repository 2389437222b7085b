//! mbsync's `~/.mbsyncrc` (mbsync(1), "CONFIGURATION").
//!
//! Sections begin with a keyword and end with an empty line. Arguments are words, in quotes where they hold spaces. An account
//! can also stand inside of a store.

use std::path::Path;

use zeroize::Zeroizing;

use super::{
    Entry, Roots, Secret, Use,
    disk::{Disk, Fault, Place},
    shell,
};

pub(super) fn roots(place: &Place) -> Roots {
    // isync 1.5 looks in the configuration directory first.
    vec![vec![place.config_home.join("isyncrc"), place.home.join(".mbsyncrc")]]
}

pub(super) fn read(disk: &mut Disk, path: &Path) -> Result<Vec<Entry>, Fault> {
    let Some(text) = disk.open(path) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    let mut section: Option<Section> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let Some(mut words) = words(content).map_err(|why| Fault::new(path, line, why))? else { continue };
        if words.is_empty() {
            entries.extend(section.take().and_then(|section| section.entry(path)));
            continue;
        }
        let keyword = words.remove(0).to_lowercase();
        let argument = words.into_iter().next();
        match keyword.as_str() {
            "imapaccount" | "imapstore" => {
                entries.extend(section.take().and_then(|section| section.entry(path)));
                section = argument.map(|name| Section::new(&name));
            }
            "maildirstore" | "channel" | "group" => {
                entries.extend(section.take().and_then(|section| section.entry(path)));
            }
            keyword => {
                if let (Some(section), Some(argument)) = (&mut section, argument) {
                    section.take(keyword, argument, line);
                }
            }
        }
    }
    entries.extend(section.take().and_then(|section| section.entry(path)));
    Ok(entries)
}

type Word = Zeroizing<String>;

/// The words of a line. None for a comment, no words for an empty line, which ends a section.
fn words(line: &str) -> Result<Option<Vec<Word>>, &'static str> {
    let (mut words, mut word) = (Vec::new(), None::<Word>);
    let (mut escaped, mut quoted) = (false, false);
    for character in line.chars() {
        if escaped {
            word.get_or_insert_default().push(character);
            escaped = false;
            continue;
        }
        match character {
            '\\' => escaped = true,
            '"' => {
                word.get_or_insert_default();
                quoted = !quoted;
            }
            space if space.is_ascii_whitespace() && !quoted => words.extend(word.take()),
            '#' if word.is_none() && !quoted => {
                return Ok(if words.is_empty() { None } else { Some(words) });
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    match (quoted, escaped) {
        (true, _) => Err("a quote is not closed"),
        (false, true) => Err("nothing follows the backslash"),
        (false, false) => {
            words.extend(word);
            Ok(Some(words))
        }
    }
}

/// An account, or a store that may hold one.
struct Section {
    name: String,
    host: Option<(String, usize)>,
    user: Option<String>,
    secret: Option<(Secret, usize)>,
}

impl Section {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), host: None, user: None, secret: None }
    }

    fn take(&mut self, keyword: &str, argument: Word, line: usize) {
        match keyword {
            "host" => {
                // Old versions had the protocol before the name.
                let name = argument.trim_start_matches("imaps:").trim_start_matches("imap:");
                self.host = Some((name.to_owned(), line));
            }
            "user" => self.user = Some(argument.to_string()),
            // The command goes before the text, wherever they stand.
            "pass" if !matches!(self.secret, Some((Secret::Command(_), _))) => {
                self.secret = Some((Secret::Plain(argument), line));
            }
            "passcmd" => {
                // `+` only says that the command does its own asking.
                let command = shell::command(argument.strip_prefix('+').unwrap_or(&argument));
                self.secret = command.map(|command| (Secret::Command(command), line));
            }
            "usekeychain"
                if self.secret.is_none() && matches!(argument.to_lowercase().as_str(), "yes" | "true" | "on" | "1") =>
            {
                self.secret = Some((Secret::Unknown("in the Keychain, where mbsync put it".to_owned()), line));
            }
            _ => {}
        }
    }

    fn entry(self, file: &Path) -> Option<Entry> {
        let Self { name, host, user, secret } = self;
        let (host, host_line) = host?;
        let (secret, line) =
            secret.unwrap_or_else(|| (Secret::Unknown("asked for when mbsync runs".to_owned()), host_line));
        Some(Entry {
            name,
            file: file.to_owned(),
            line,
            service: Use::Imap,
            host: Some(host),
            username: user,
            beside: None,
            secret,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::found, *};

    #[test]
    fn accounts_of_their_own_and_in_stores() {
        let text = r#"
# iCloud, with everything that may stand in such a file.
IMAPAccount icloud
Host imap.mail.me.com
Port 993
User johnappleseed
PassCmd "pass show icloud"
TLSType IMAPS

IMAPStore icloud-remote
Account icloud

MaildirStore icloud-local
Path ~/Mail/
Inbox "~/Mail/In Box"

	imapstore second
	# a comment does not end a section
	HOST imaps:imap.mail.me.com
	User "jane@me.com"   # trailing
	PASSCMD "+gpg -q -d \"$HOME/pw file.gpg\" | head -n1"

IMAPAccount old
Host p04-imap.mail.me.com
User jane@mac.com
Pass abcd-efgh-ijkl-mnop

IMAPAccount asks
Host imap.mail.me.com
User john

IMAPAccount elsewhere
Host imap.example.org
User john
Pass "not \"ours\""
"#;
        assert_eq!(
            found(read, text),
            [
                "7 icloud imap imap.mail.me.com johnappleseed command pass|show|icloud",
                r#"21 second imap imap.mail.me.com jane@me.com command sh|-c|gpg -q -d "$HOME/pw file.gpg" | head -n1"#,
                "26 old imap p04-imap.mail.me.com jane@mac.com plain abcd-efgh-ijkl-mnop",
                "29 asks imap imap.mail.me.com john unknown asked for when mbsync runs",
                "35 elsewhere imap imap.example.org john plain not \"ours\"",
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_says_the_line() {
        assert_eq!(found(read, "IMAPAccount a\nHost \"imap"), ["2: a quote is not closed"]);
        assert_eq!(found(read, "Host imap\\"), ["1: nothing follows the backslash"]);
        assert_eq!(found(read, "Host imap.mail.me.com\nUser x"), Vec::<String>::new());
    }
}
