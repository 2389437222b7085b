//! Takes names out of a text that goes to strangers: the same name becomes the same made-up word, in one report only.
//!
//! Decides what is a name: everything the configuration has of the kind, this machine and its user, and whatever looks like
//! an address or a home directory. Keeps no secret back by itself: none comes here.

use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

use crate::{
    config::{Config, EmailVia, icloud},
    health::evidence::Service,
    secret::Source,
};

/// Shorter names are replaced only where they stand as words.
const SHORT: usize = 6;
/// Names that say nothing of a person.
const COMMON: [&str; 8] = ["icloud.com", "me.com", "mac.com", "localhost", "icloud", "imap", "smtp", "mail"];
/// Where home directories are.
const HOMES: [&str; 3] = ["/home/", "/Users/", "/var/home/"];

/// What a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `address-1f2e3d`.
    Address,
    /// `user-1f2e3d`.
    User,
    /// `host-1f2e3d`.
    Host,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
            Self::Host => "host",
        }
    }
}

/// Knows the names, and what stands for each.
pub(super) struct Disguise {
    key: hmac::Key,
    /// In lower case, the longest first.
    names: Vec<(Vec<char>, String)>,
}

impl Disguise {
    /// Nothing known yet. The key is random and forgotten with the report: nobody can try names on the made-up words.
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        // Without randomness the words would tell something to who tries all names; the zero key of a system that is so
        // broken is the least of its troubles.
        let _ = SystemRandom::new().fill(&mut key);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), names: Vec::new() }
    }

    /// The names of a configuration.
    pub(super) fn with_config(mut self, config: &Config) -> Self {
        for account in &config.accounts {
            self.learn(Kind::Address, account.address.as_str());
            for service in Service::ALL {
                self.learn(Kind::User, account.usernames.of(service));
            }
            for credential in &account.credentials {
                match &credential.secret {
                    // Where it is the credential's own name it is nobody's.
                    Source::Keyring { username, .. } if *username != credential.name.to_string() => {
                        self.learn(Kind::User, username);
                    }
                    Source::Attributes(attributes) => {
                        let naming = |name: &str| ["user", "account", "login"].iter().any(|word| name.contains(word));
                        for (_, value) in attributes.iter().filter(|(name, _)| naming(name)) {
                            self.learn(Kind::User, value);
                        }
                    }
                    Source::Program(entry) => self.learn(Kind::User, &entry.entry),
                    Source::Keyring { .. } | Source::Command(_) | Source::File(_) => {}
                }
            }
        }
        for service in Service::ALL {
            let server = config.servers.of(service);
            if !server.is_loopback() && server.host != icloud().of(service).host {
                self.learn(Kind::Host, &server.host);
            }
        }
        if let Some(email) = &config.notify.email {
            self.learn(Kind::Address, email.to.as_ref());
            self.learn(Kind::Address, email.from.as_ref());
            if let EmailVia::Server { server, username, .. } = &email.via {
                self.learn(Kind::Host, &server.host);
                self.learn(Kind::User, username);
            }
        }
        self
    }

    /// One more name; of an address also its parts.
    pub(super) fn learn(&mut self, kind: Kind, name: &str) {
        if let Some((local, domain)) = name.rsplit_once('@') {
            self.add(Kind::Address, name);
            self.learn(Kind::User, local);
            self.learn(Kind::Host, domain);
        } else {
            self.add(kind, name);
        }
    }

    /// A directory that stands for something; the text shows `instead`.
    pub(super) fn learn_place(&mut self, path: &str, instead: &str) {
        // The root directory says nothing of anybody.
        if path.len() > 1 {
            self.insert(path.chars().map(fold).collect(), instead.to_owned());
        }
    }

    fn add(&mut self, kind: Kind, name: &str) {
        let name: Vec<char> = name.chars().map(fold).collect();
        if !COMMON.iter().any(|common| common.chars().eq(name.iter().copied())) {
            let word = self.word(kind, &name);
            self.insert(name, word);
        }
    }

    fn insert(&mut self, name: Vec<char>, word: String) {
        if name.is_empty() || self.names.iter().any(|(known, _)| *known == name) {
            return;
        }
        self.names.push((name, word));
        // A whole address before its first part.
        self.names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    }

    fn word(&self, kind: Kind, name: &[char]) -> String {
        let name: String = name.iter().collect();
        let tag = hmac::sign(&self.key, name.as_bytes());
        let number = tag.as_ref().iter().take(3).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{}-{number:06x}", kind.as_str())
    }

    /// The text without the names.
    pub(super) fn hide(&self, text: &str) -> String {
        self.addresses(&self.homes(&self.known(text)))
    }

    fn known(&self, text: &str) -> String {
        let original: Vec<char> = text.chars().collect();
        let folded: Vec<char> = original.iter().copied().map(fold).collect();
        let (mut hidden, mut at) = (String::with_capacity(text.len()), 0);
        while let Some(character) = original.get(at) {
            let rest = folded.get(at..).unwrap_or_default();
            let before = at.checked_sub(1).and_then(|before| folded.get(before));
            let stands = |name: &[char]| {
                let is_word = |c: Option<&char>| !c.is_some_and(|c| c.is_alphanumeric());
                rest.starts_with(name) && (name.len() >= SHORT || is_word(before) && is_word(rest.get(name.len())))
            };
            if let Some((name, word)) = self.names.iter().find(|(name, _)| stands(name)) {
                hidden.push_str(word);
                at += name.len();
            } else {
                hidden.push(*character);
                at += 1;
            }
        }
        hidden
    }

    /// Whoever's home directories.
    fn homes(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for homes in HOMES {
            let mut parts = text.split(homes);
            let mut hidden = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let end =
                    part.find(|c: char| c == '/' || c.is_whitespace() || "\"'`:;,".contains(c)).unwrap_or(part.len());
                let (user, rest) = part.split_at(end);
                hidden.push_str(homes);
                if user.is_empty() || is_made_up(user) {
                    hidden.push_str(user);
                } else {
                    hidden.push_str(&self.word(Kind::User, &user.chars().map(fold).collect::<Vec<_>>()));
                }
                hidden.push_str(rest);
            }
            text = hidden;
        }
        text
    }

    /// Whatever looks like an address.
    fn addresses(&self, text: &str) -> String {
        let characters: Vec<char> = text.chars().collect();
        let (mut hidden, mut word) = (String::with_capacity(text.len()), Vec::new());
        for character in characters.into_iter().chain(['\n']) {
            if in_address(character) {
                word.push(character);
                continue;
            }
            let at = word.iter().position(|c| *c == '@');
            if at.is_some_and(|at| at > 0 && at + 1 < word.len()) {
                let name: Vec<char> = word.iter().copied().map(fold).collect();
                hidden.push_str(&self.word(Kind::Address, &name));
            } else {
                hidden.extend(&word);
            }
            word.clear();
            hidden.push(character);
        }
        hidden.pop();
        hidden
    }
}

fn is_made_up(word: &str) -> bool {
    word.split_once('-').is_some_and(|(kind, hex)| {
        ["address", "user", "host"].contains(&kind) && hex.len() == 6 && hex.chars().all(|c| c.is_ascii_hexdigit())
    })
}

fn in_address(character: char) -> bool {
    character.is_alphanumeric() || "@.!#$%&*+-=?^_{|}~".contains(character)
}

/// One character for one, so that places in the folded text are places in the text.
fn fold(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disguise() -> Disguise {
        let mut disguise = Disguise::new();
        disguise.learn(Kind::Address, "JohnAppleseed@icloud.com");
        disguise.learn(Kind::User, "joe");
        disguise.learn(Kind::Host, "mail.example.org");
        disguise
    }

    #[track_caller]
    fn check(text: &str, shown: &[&str], gone: &[&str]) {
        let hidden = disguise().hide(text);
        for text in shown {
            assert!(hidden.contains(text), "{text:?} is not in {hidden:?}");
        }
        for text in gone {
            assert!(!hidden.to_lowercase().contains(&text.to_lowercase()), "{text:?} is in {hidden:?}");
        }
    }

    #[test]
    fn names_are_replaced_wherever_they_stand() {
        check("to johnappleseed@iCloud.com: no", &["to address-", ": no"], &["johnappleseed", "@"]);
        check("xJOHNAPPLESEEDx", &["xuser-", "x"], &["johnappleseed"]);
        check("joe's, /srv/joe/x, joey", &["user-", "/srv/user-", "joey"], &["joe'", "/joe/"]);
        check(
            "mail.example.org:587 and smtp.mail.me.com:587",
            &["host-", ":587 and smtp.mail.me.com:587"],
            &["example"],
        );
    }

    #[test]
    fn what_looks_like_an_address_or_a_home_is_replaced_although_nobody_knows_it() {
        check("<a.b+c@x.example>, (jane@me.com)", &["<address-", ">, (address-", ")"], &["@", "jane", "a.b"]);
        check("/home/jane/.muttrc: /Users/Jane Doe/x", &["/home/user-", "/.muttrc: /Users/user-"], &["jane"]);
        check("/home/joe/x", &["/home/user-", "/x"], &["joe"]);
        check("a @ b, @x, x@, NO [X]", &["a @ b, @x, x@, NO [X]"], &[]);
    }

    #[test]
    fn the_same_name_is_the_same_word_in_one_report_and_another_in_the_next() {
        let one = disguise();
        let word = one.hide("johnappleseed");
        assert_eq!(one.hide("JohnAppleseed"), word);
        assert_eq!(one.hide(&word), word, "a made-up word stays");
        let twice = one.hide("johnappleseed@icloud.com /home/jane/");
        assert_eq!(one.hide(&twice), twice);
        assert_ne!(disguise().hide("johnappleseed"), word, "names cannot be tried on it");
    }
}
