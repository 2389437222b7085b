//! What a login taught, written into the tables that are there: the form of a user name, and that a password goes out as it is.
//!
//! Changes the value of a key, or adds the key below the one that names its table; everything else stays as it was.

use std::path::Path;

use super::{
    edit::{EditError, verified},
    layout::{Owner, line_end, line_start, value_of},
    parse,
    show::quote,
};
use crate::health::{
    evidence::{PerService, Service},
    name::{Address, CredentialName},
};

/// Sets the user names of an account that is there. Those that are right already are not touched.
///
/// # Errors
/// Where the text is no valid configuration, has no such account, or is written in a way this cannot edit.
pub fn set_usernames(
    text: &str,
    path: &Path,
    address: &Address,
    usernames: &PerService<String>,
) -> Result<String, EditError> {
    let mut intended = parse(text, path).map_err(EditError::Broken)?;
    let index = intended.accounts.iter().position(|account| account.address == *address).ok_or(EditError::Unclear)?;
    let account = intended.accounts.get_mut(index).ok_or(EditError::Unclear)?;
    let mut edited = text.to_owned();
    // SMTP first: each is put right below the address, so that IMAP comes to stand above it.
    for service in [Service::Smtp, Service::Imap] {
        let username = usernames.of(service);
        if account.usernames.of(service) != username {
            edited = set(&edited, Owner::Account(index), &format!("{service}_username"), &quote(username), "address")?;
            account.usernames.of_mut(service).clone_from(username);
        }
    }
    verified(edited, path, &intended)
}

/// Has the password of a credential that is there sent as it is stored.
///
/// # Errors
/// As [`set_usernames`].
pub fn set_any_shape(text: &str, path: &Path, name: &CredentialName) -> Result<String, EditError> {
    let mut intended = parse(text, path).map_err(EditError::Broken)?;
    let found = intended.accounts.iter_mut().enumerate().find_map(|(i, account)| {
        let credentials = account.credentials.iter_mut().enumerate();
        let mut named = credentials.filter(|(_, credential)| credential.name == *name);
        named.next().map(|(j, credential)| (Owner::Credential(i, j), credential))
    });
    let (owner, credential) = found.ok_or_else(|| EditError::NoSuchName(name.clone()))?;
    credential.any_shape = true;
    verified(set(text, owner, "any_shape", "true", "name")?, path, &intended)
}

/// The text with `key = value` in the table of `owner`, below `anchor` where the key is not there yet.
fn set(text: &str, owner: Owner, key: &str, value: &str, anchor: &str) -> Result<String, EditError> {
    if let Some(place) = value_of(text, owner, key)? {
        let mut edited = text.to_owned();
        edited.replace_range(place, value);
        return Ok(edited);
    }
    let anchor = value_of(text, owner, anchor)?.ok_or(EditError::Inline("credential"))?;
    let line = text.get(line_start(text, anchor.start)..).unwrap_or_default();
    let indent: String = line.chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (before, after) = text.split_at_checked(line_end(text, anchor.end)).ok_or(EditError::Unclear)?;
    let gap = if before.ends_with('\n') { "" } else { newline };
    Ok(format!("{before}{gap}{indent}{key} = {value}{newline}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/c/config.toml";
    const TEXT: &str = "# Top.\n[[account]]\naddress = \"a@icloud.com\" # mine\n\n[[account.credential]]\nname = \"one\"\n\n\
                        [[account]]\n  smtp_username = 'b'   # odd\n  address = \"b@icloud.com\"";

    fn names(imap: &str, smtp: &str) -> PerService<String> {
        PerService { imap: imap.to_owned(), smtp: smtp.to_owned() }
    }

    #[track_caller]
    fn check(text: &str, address: &str, usernames: &PerService<String>, expected: &str) {
        let edited = set_usernames(text, Path::new(PATH), &Address::new(address).unwrap(), usernames);
        assert_eq!(edited.unwrap_or_else(|error| panic!("{error}\n{text}")), expected);
    }

    #[test]
    fn user_names_stand_below_the_address() {
        let both = "# mine\nimap_username = \"x\"\nsmtp_username = \"y\"\n\n[[account.credential]]";
        check(TEXT, "A@icloud.com", &names("x", "y"), &TEXT.replace("# mine\n\n[[account.credential]]", both));
        check(TEXT, "a@icloud.com", &names("a", "a@icloud.com"), TEXT);
        let edited = format!("{TEXT}\n  imap_username = \"q\\\"\"\n");
        check(TEXT, "b@icloud.com", &names("q\"", "b"), &edited);
    }

    #[test]
    fn a_user_name_that_is_there_is_changed_in_place() {
        check(TEXT, "b@icloud.com", &names("b", "b@icloud.com"), &TEXT.replace("'b' ", "\"b@icloud.com\" "));
        let windows = "[[account]]\r\naddress = \"a@icloud.com\"\r\n";
        let edited = format!("{windows}imap_username = \"x\"\r\n");
        check(windows, "a@icloud.com", &names("x", "a@icloud.com"), &edited);
    }

    #[test]
    fn any_shape_stands_below_the_name() {
        let set = |text: &str| set_any_shape(text, Path::new(PATH), &CredentialName::new("one").unwrap());
        let edited = TEXT.replace("name = \"one\"\n", "name = \"one\"\nany_shape = true\n");
        assert_eq!(set(TEXT).unwrap(), edited);
        assert_eq!(set(&edited).unwrap(), edited);
        assert_eq!(set(&edited.replace("true", "false")).unwrap(), edited);
        let inline = "[[account]]\naddress = \"a@icloud.com\"\ncredential = [{ name = \"one\" }]\n";
        assert!(set(inline).unwrap_err().to_string().contains("`credential = […]`"));
        assert!(set(&TEXT.replace("one", "two")).unwrap_err().to_string().contains("no credential has that name"));
    }
}
