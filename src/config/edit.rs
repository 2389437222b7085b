//! Changes to the person's own file: a credential added, a credential taken out, everything else left as it was.
//!
//! Edits are cuts and insertions in the text at the places that `toml_edit` tells, so that comments, order, spaces and line
//! ends stay. Every result is read again and must mean exactly what was intended; otherwise there is an error and no text.
//! Edits only `[[account]]` and `[[account.credential]]` tables, and writes no file but in [`write_atomically`].

use std::{error, fmt, ops::Range, path::Path};

pub use super::write::{WriteError, write_atomically};
use super::{
    Account, Config, ConfigError, Credential, EmailVia, default_secret,
    layout::{LayoutError, Owner, blocks, ends_blank, headers, is_blank},
    parse,
    show::{list, quote, source},
};
use crate::{
    health::{
        evidence::{PerService, Service, Services},
        name::{Address, CredentialName},
    },
    secret::{ProgramEntry, Source},
};

/// Why a text could not be edited. Displays as a phrase that fits after "failed to".
#[derive(Debug)]
pub enum EditError {
    /// The configuration is wrong as it is.
    Broken(ConfigError),
    /// A credential of this name is there, in the account of this address.
    NameTaken(CredentialName, Address),
    /// No credential has this name.
    NoSuchName(CredentialName),
    /// `notify.email` sends through this credential.
    SendsMail(CredentialName),
    /// The accounts are written as `account = […]` or their credentials as `credential = […]`; holds which.
    Inline(&'static str),
    /// `secret.file` would be relative, or is not UTF-8, which TOML is.
    UnfitPath,
    /// The edited text would not mean what was intended.
    Unclear,
}

/// What was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The address of its account.
    pub address: Address,
    /// The credential.
    pub credential: Credential,
    /// Whether its account went with it: the credential was its last, and it held nothing but its address.
    pub with_account: bool,
}

/// Adds a credential, and its account where that is not there yet. The user names are written into a new account where they
/// are not the default; those of an existing account stay.
///
/// # Errors
/// Where the text is no valid configuration, has a credential of that name, or is written in a way this cannot edit.
pub fn add_credential(
    text: &str,
    path: &Path,
    address: &Address,
    usernames: Option<&PerService<String>>,
    credential: &Credential,
) -> Result<String, EditError> {
    let mut intended = parse(text, path).map_err(EditError::Broken)?;
    if let Some((account, taken)) = intended.find(&credential.name) {
        return Err(EditError::NameTaken(taken.name.clone(), account.address.clone()));
    }
    if let Source::File(file) | Source::Program(ProgramEntry { file, .. }) = &credential.secret
        && (file.is_relative() || file.to_str().is_none())
    {
        return Err(EditError::UnfitPath);
    }
    let headers = headers(text)?;
    let existing = intended.accounts.iter().position(|account| account.address == *address);
    let mut tables = Vec::new();
    let at = if let Some(index) = existing {
        let last = headers.iter().rfind(|header| header.owner.account() == Some(index));
        last.map(|last| last.block(text, &headers).end).ok_or(EditError::Unclear)?
    } else {
        let default = PerService { imap: address.local_part().to_owned(), smtp: address.as_str().to_owned() };
        let usernames = usernames.unwrap_or(&default);
        tables.push(account_table(address, usernames, &default));
        let account = Account { address: address.clone(), usernames: usernames.clone(), credentials: Vec::new() };
        intended.accounts.push(account);
        text.len()
    };
    tables.push(credential_table(credential));
    if let Some(account) = intended.accounts.iter_mut().find(|account| account.address == *address) {
        account.credentials.push(credential.clone());
    }
    verified(insert(text, at, &tables.join("\n")), path, &intended)
}

/// Takes a credential out, with the comments in and right above it. The account goes with its last credential where it holds
/// nothing but its address and no comment; otherwise it stays, because it says something that somebody may want again.
///
/// # Errors
/// Where the text is no valid configuration, has no such credential or still needs it, or is written in a way this cannot
/// edit.
pub fn remove_credential(text: &str, path: &Path, name: &CredentialName) -> Result<(String, Removed), EditError> {
    let mut intended = parse(text, path).map_err(EditError::Broken)?;
    let place = intended.accounts.iter().enumerate().find_map(|(i, account)| {
        account.credentials.iter().position(|credential| credential.name == *name).map(|j| (i, j))
    });
    let (i, j) = place.ok_or_else(|| EditError::NoSuchName(name.clone()))?;
    if let Some(email) = &intended.notify.email
        && email.via == EmailVia::Credential(name.clone())
    {
        return Err(EditError::SendsMail(name.clone()));
    }
    let headers = headers(text)?;
    let mut ranges = blocks(text, &headers, Owner::Credential(i, j));
    if ranges.is_empty() {
        return Err(EditError::Inline("credential"));
    }
    let account = intended.accounts.get_mut(i).ok_or(EditError::Unclear)?;
    let credential = account.credentials.remove(j);
    let address = account.address.clone();
    let own = blocks(text, &headers, Owner::Account(i));
    let with_account = account.credentials.is_empty() && own.iter().all(|range| is_bare(text, range));
    if with_account {
        intended.accounts.remove(i);
        ranges.extend(own);
        ranges.sort_by_key(|range| range.start);
    }
    let edited = ranges.into_iter().rev().fold(text.to_owned(), |text, range| cut(&text, range));
    Ok((verified(edited, path, &intended)?, Removed { address, credential, with_account }))
}

/// The text if it means what was intended. A check of the edit against the reader: what surprises one is seen by the other.
pub(super) fn verified(text: String, path: &Path, intended: &Config) -> Result<String, EditError> {
    match parse(&text, path) {
        Ok(config) if config == *intended => Ok(text),
        Ok(_) | Err(_) => Err(EditError::Unclear),
    }
}

fn account_table(address: &Address, usernames: &PerService<String>, default: &PerService<String>) -> String {
    let mut lines = vec!["[[account]]".to_owned(), format!("address = {}", quote(address.as_str()))];
    if usernames.imap != default.imap {
        lines.push(format!("imap_username = {}", quote(&usernames.imap)));
    }
    if usernames.smtp != default.smtp {
        lines.push(format!("smtp_username = {}", quote(&usernames.smtp)));
    }
    lines.join("\n") + "\n"
}

fn credential_table(credential: &Credential) -> String {
    let mut lines = vec!["[[account.credential]]".to_owned(), format!("name = {}", quote(credential.name.as_str()))];
    if let Some(app) = &credential.app {
        lines.push(format!("app = {}", quote(app)));
    }
    if credential.services != Services::BOTH {
        lines.push(format!("services = {}", list(credential.services.iter().map(Service::as_str))));
    }
    if credential.secret != default_secret(&credential.name) {
        lines.push(format!("secret.{}", source(&credential.secret, false)));
    }
    if credential.any_shape {
        lines.push("any_shape = true".to_owned());
    }
    lines.join("\n") + "\n"
}

/// Whether an account's lines say its address and nothing else.
fn is_bare(text: &str, range: &Range<usize>) -> bool {
    let lines = text.get(range.clone()).unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty());
    let mut said = lines.map(|line| !line.contains('#') && (line.starts_with('[') || line.starts_with("address")));
    said.all(|bare| bare)
}

fn insert(text: &str, at: usize, tables: &str) -> String {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let mut edited = before.to_owned();
    // A byte order mark alone is nothing yet.
    if !before.trim_start_matches('\u{feff}').is_empty() {
        if !before.ends_with('\n') {
            edited.push_str(newline);
        }
        if !ends_blank(&edited) {
            edited.push_str(newline);
        }
    }
    edited.push_str(&tables.replace('\n', newline));
    if !after.is_empty() && !is_blank(after) {
        edited.push_str(newline);
    }
    edited + after
}

/// Takes whole lines out, and with them one of the blank lines that would then stand together.
fn cut(text: &str, range: Range<usize>) -> String {
    let before = text.get(..range.start).unwrap_or_default();
    let mut after = text.get(range.end..).unwrap_or_default();
    if (before.is_empty() || ends_blank(before)) && is_blank(after) {
        after = after.split_once('\n').map_or("", |(_, rest)| rest);
    }
    if after.is_empty() {
        let newline = if before.ends_with("\r\n") { "\r\n" } else { "\n" };
        let kept = before.trim_end();
        return if kept.is_empty() { String::new() } else { format!("{kept}{newline}") };
    }
    format!("{before}{after}")
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "edit a configuration that is wrong as it is: {}", error.summary()),
            Self::NameTaken(name, address) => {
                write!(f, "add {name}: the account {address} has a credential of that name; choose another name")
            }
            Self::NoSuchName(name) => {
                write!(f, "remove {name}: no credential has that name; `keypulse status` lists them")
            }
            Self::SendsMail(name) => write!(
                f,
                "remove {name}: [notify.email] sends through it; give that another `credential` or a server of its own first"
            ),
            Self::Inline(key) => write!(
                f,
                "edit the configuration: it has `{key} = […]` in one piece; edit it by hand, or write it as \
                 [[account]] and [[account.credential]] tables"
            ),
            Self::UnfitPath => {
                f.write_str("write the secret's file into the configuration: name its whole path, in UTF-8")
            }
            Self::Unclear => f.write_str(
                "edit the configuration without risk for what else is in it; edit it by hand, nothing was changed",
            ),
        }
    }
}

impl error::Error for EditError {}

impl From<LayoutError> for EditError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Inline => Self::Inline("account"),
            LayoutError::Unreadable => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: &str = "/c/config.toml";

    fn address(text: &str) -> Address {
        Address::new(text).unwrap()
    }

    fn name(text: &str) -> CredentialName {
        CredentialName::new(text).unwrap()
    }

    fn plain(text: &str) -> Credential {
        let name = name(text);
        let secret = default_secret(&name);
        Credential { name, app: None, services: Services::BOTH, secret, any_shape: false }
    }

    fn add(text: &str, to: &str, credential: &Credential) -> Result<String, EditError> {
        add_credential(text, Path::new(PATH), &address(to), None, credential)
    }

    fn remove(text: &str, which: &str) -> Result<(String, Removed), EditError> {
        remove_credential(text, Path::new(PATH), &name(which))
    }

    #[track_caller]
    fn added(text: &str, to: &str, expected: &str) {
        let edited = add(text, to, &plain("new")).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(edited, expected, "\n{edited}");
    }

    #[track_caller]
    fn removed(text: &str, which: &str, expected: &str) {
        let (edited, _) = remove(text, which).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(edited, expected, "\n{edited}");
    }

    const NEW: &str = "[[account.credential]]\nname = \"new\"\n";

    /// Comments at every place, values on several lines, a table between account and credential, and no newline at the end.
    const RICH: &str = "# About this file.\n\n[schedule] # often\ninterval = '2h'   # own\n\n# Mine.\n[[account]]\n\
        address = \"a@icloud.com\"\n\n# The first.\n[[account.credential]]\nname = \"one\"\nsecret.command = [\n  \"pass\", # it\n  \
        \"one\",\n]\n# secret.file = \"/one\"\n\n# Not of anybody.\n\n[watch]\nidle = true\n\n[[account.credential]]\nname = \
        \"two\"\n# Yours.\n[[account]]\naddress = \"b@icloud.com\"\n[[account.credential]]\nname = \"three\"\n\
        [account.credential.secret]\nfile = \"/three\" # there";

    #[test]
    fn the_first_credential_brings_its_account() {
        let new = format!("[[account]]\naddress = \"a@icloud.com\"\n\n{NEW}");
        added("", "a@icloud.com", &new);
        added("# Nothing yet.", "a@icloud.com", &format!("# Nothing yet.\n\n{new}"));
        added("[watch]\nidle = true\n\n", "a@icloud.com", &format!("[watch]\nidle = true\n\n{new}"));
        added("\u{feff}", "a@icloud.com", &format!("\u{feff}{new}"));
        added(RICH, "c@icloud.com", &format!("{RICH}\n\n{}", new.replace("a@", "c@")));
        let example = include_str!("../../config.example.toml");
        added(example, "a@icloud.com", &format!("{example}\n{new}"));
    }

    #[test]
    fn another_credential_goes_to_its_account_whatever_the_case() {
        let at = RICH.find("# Yours").unwrap();
        let expected = format!("{}\n{NEW}\n{}", &RICH[..at], &RICH[at..]);
        added(RICH, "A@iCloud.com", &expected);
        added(RICH, "b@icloud.com", &format!("{RICH}\n\n{NEW}"));
        let bare = "[[account]]\naddress = \"a@icloud.com\"\n# Here it was quiet.\n\n# End.\n";
        added(bare, "a@icloud.com", &bare.replace("quiet.\n", &format!("quiet.\n\n{NEW}")));
    }

    #[test]
    fn the_file_keeps_its_line_ends() {
        let text = "[[account]]\r\naddress = \"a@icloud.com\"\r\n";
        added(text, "a@icloud.com", &format!("{text}\r\n{}", NEW.replace('\n', "\r\n")));
        let (back, removed) = remove(&format!("{text}\r\n{}", NEW.replace('\n', "\r\n")), "new").unwrap();
        assert_eq!((back.as_str(), removed.with_account), ("", true));
    }

    #[test]
    fn everything_but_defaults_is_written() {
        let credential = Credential {
            app: Some("The \"Mutt\"".into()),
            services: Services { imap: true, smtp: false },
            secret: Source::Command(vec!["pass".into(), "show".into(), "abcd-efgh-ijkl-mnop".into()]),
            any_shape: true,
            ..plain("mutt")
        };
        let usernames = PerService { imap: "a@icloud.com".into(), smtp: "a@icloud.com".into() };
        let path = Path::new(PATH);
        assert_eq!(
            add_credential("", path, &address("a@icloud.com"), Some(&usernames), &credential).unwrap(),
            "[[account]]\naddress = \"a@icloud.com\"\nimap_username = \"a@icloud.com\"\n\n[[account.credential]]\n\
             name = \"mutt\"\napp = \"The \\\"Mutt\\\"\"\nservices = [\"imap\"]\n\
             secret.command = [\"pass\", \"show\", \"abcd-efgh-ijkl-mnop\"]\nany_shape = true\n"
        );
        let file = Credential { secret: Source::File("/run/pw".into()), ..plain("nas") };
        assert!(add("", "a@icloud.com", &file).unwrap().ends_with("secret.file = \"/run/pw\"\n"));
    }

    #[test]
    fn a_removal_takes_its_own_comments_and_leaves_the_others() {
        let start = RICH.find("# The first").unwrap();
        let end = RICH.find("# Not of anybody").unwrap();
        removed(RICH, "one", &format!("{}{}", &RICH[..start], &RICH[end..]));
        let start = RICH.find("[[account.credential]]\nname = \"two\"").unwrap();
        let end = RICH.find("# Yours").unwrap();
        removed(RICH, "two", &format!("{}{}", &RICH[..start], &RICH[end..]));
        let (_, one) = remove(RICH, "one").unwrap();
        assert_eq!(
            (one.address.as_str(), one.credential.name.as_str(), one.with_account),
            ("a@icloud.com", "one", false)
        );
        assert_eq!(one.credential.secret, Source::Command(vec!["pass".into(), "one".into()]));
    }

    #[test]
    fn an_account_goes_with_its_last_credential_unless_it_says_more() {
        // "Yours." touches the account, so it is about it.
        let at = RICH.find("[[account.credential]]\nname = \"three\"").unwrap();
        removed(RICH, "three", &RICH[..at]);
        let text =
            "# Top.\n\n[[account]]\naddress = \"a@icloud.com\"\n\n[[account.credential]]\nname = \"x\"\n\n[watch]\n";
        removed(text, "x", "# Top.\n\n[watch]\n");
        let more = text.replace("icloud.com\"\n", "icloud.com\"\nimap_username = \"b\"\n");
        assert!(remove(&more, "x").unwrap().0.contains("imap_username"));
        assert!(remove(&text.replace("com\"\n", "com\" # mine\n"), "x").unwrap().0.contains("[[account]]"));
    }

    #[test]
    fn what_cannot_be_edited_says_why() {
        let says = |result: Result<String, EditError>, expected: &str| {
            let error = result.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        says(add("[watch]\nx = 1", "a@icloud.com", &plain("new")), "/c/config.toml:2:1: unknown key `x` in [watch]");
        says(add(RICH, "c@icloud.com", &plain("three")), "the account b@icloud.com has a credential of that name");
        says(remove(RICH, "four").map(|(text, _)| text), "no credential has that name");
        let inline = "account = [{ address = \"a@icloud.com\", credential = [{ name = \"x\" }] }]\n";
        says(add(inline, "a@icloud.com", &plain("new")), "`account = […]`");
        says(remove(inline, "x").map(|(text, _)| text), "`account = […]`");
        let inline = "[[account]]\naddress = \"a@icloud.com\"\ncredential = [{ name = \"x\" }]\n";
        says(remove(inline, "x").map(|(text, _)| text), "`credential = […]`");
        says(add(inline, "a@icloud.com", &plain("new")), "nothing was changed");
        let mail = "[notify.email]\nto = \"a@b\"\nfrom = \"a@b\"\ncredential = \"two\"\n\n";
        says(remove(&format!("{mail}{RICH}"), "two").map(|(text, _)| text), "[notify.email] sends through it");
        let relative = Credential { secret: Source::File("pw".into()), ..plain("x") };
        says(add("", "a@icloud.com", &relative), "name its whole path");
    }

    proptest! {
        #[test]
        fn what_was_added_can_be_taken_out_again(which in 0_usize..4, account in "[abc]", start in any::<bool>()) {
            let example = include_str!("../../config.example.toml");
            let text = ["", RICH, example, "[[account]]\naddress = \"a@icloud.com\"\nimap_username = \"x\"\n"][which];
            let text = if start { format!("# Top.\n\n{text}") } else { text.to_owned() };
            let edited = add(&text, &format!("{account}@icloud.com"), &plain("new")).unwrap();
            let (back, _) = remove(&edited, "new").unwrap();
            let said = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(said(&back), said(&text));
        }
    }
}
