//! What is iCloud's: servers, addresses, and which address a login belongs to.
//!
//! Pure.

use super::{Login, Use};
use crate::health::name::Address;

/// Domains of iCloud's servers: `imap.mail.me.com`, `p04-imap.mail.me.com`, `p42-caldav.icloud.com`, `mail.mac.com`, and those
/// of China (`facts/icloud.md` 1.6, 1.7, 7.2, 7.3).
const SERVERS: [&str; 4] = ["me.com", "mac.com", "icloud.com", "icloud.com.cn"];

/// What the names of those servers say. `www.icloud.com` takes no app-specific password.
const USES: [&str; 6] = ["imap", "smtp", "mail", "caldav", "carddav", "contacts"];

/// Domains of iCloud Mail's addresses. The same name before the `@` is the same mailbox in all three.
const ADDRESSES: [&str; 3] = ["icloud.com", "me.com", "mac.com"];

/// Whether a host, in lower case, is one of iCloud's.
pub(super) fn is_host(host: &str) -> bool {
    let Some(name) = SERVERS.iter().find_map(|domain| host.strip_suffix(domain)?.strip_suffix('.')) else {
        return false;
    };
    USES.iter().any(|kind| name.contains(kind))
}

/// Whether a login is one at iCloud: by its server, or by its address where the server says nothing (a tunnel on this
/// machine, a command that prints it).
pub(super) fn is_login(host: Option<&str>, username: Option<&str>) -> bool {
    match host {
        Some(host) if is_host(host) => true,
        None | Some("localhost" | "127.0.0.1" | "::1") => username.is_some_and(|name| of_icloud(name).is_some()),
        Some(_) => false,
    }
}

/// The text as an iCloud Mail address, if it is one.
pub(super) fn of_icloud(text: &str) -> Option<Address> {
    let address = Address::new(text.trim()).ok()?;
    let key = address.key();
    let (_, domain) = key.split_once('@')?;
    ADDRESSES.contains(&domain).then_some(address)
}

/// The address that a login itself tells: its user name, or the sender that stands beside it.
pub(super) fn address(username: Option<&str>, beside: Option<&str>) -> Option<Address> {
    // "John Appleseed <johnappleseed@icloud.com>".
    let bare =
        |text: &str| text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end().trim_end_matches('>')).to_owned();
    let beside = beside.and_then(|text| of_icloud(&bare(text)));
    match username.map(|name| (of_icloud(name), name.contains('@'))) {
        Some((Some(address), _)) => Some(address),
        // The short name of an address that may be an alias: only where they agree.
        Some((None, false)) => beside.filter(|beside| username.is_some_and(|name| same_name(beside, name))),
        // An Apple Account under another provider's address, or no name at all: what stands beside it.
        Some((None, true)) | None => beside,
    }
}

fn same_name(address: &Address, name: &str) -> bool {
    address.local_part().eq_ignore_ascii_case(name)
}

/// Finds the addresses of short user names: as another login writes it, else at `icloud.com`. One mailbox gets one address, in
/// the form that is written most.
pub(super) fn settle(logins: &mut [Login]) {
    let written: Vec<Address> = logins.iter().filter_map(|login| login.address.clone()).collect();
    let best = |name: &str| {
        let mut forms: Vec<&Address> = written.iter().filter(|address| same_name(address, name)).collect();
        let count = |form: &Address| written.iter().filter(|other| *other == form).count();
        // The first of those that are written most: `max_by_key` takes the last.
        forms.reverse();
        forms.into_iter().max_by_key(|form| count(form)).cloned()
    };
    for login in logins.iter_mut() {
        match (&login.address, &login.username, login.service) {
            (Some(address), _, _) => login.address = best(address.local_part()),
            (None, Some(name), Use::Imap | Use::Smtp) if !name.contains('@') => {
                login.address = best(name).or_else(|| Address::new(&format!("{name}@icloud.com")).ok());
            }
            // For calendars and contacts the name is the Apple Account's, which can be at any provider.
            (None, Some(_) | None, Use::Imap | Use::Smtp | Use::Caldav | Use::Carddav) => {}
        }
    }
}

/// Whether two addresses are of the same mailbox.
#[must_use]
pub fn same_mailbox(one: &Address, other: &Address) -> bool {
    one == other
        || one.local_part().eq_ignore_ascii_case(other.local_part())
            && [one, other].into_iter().all(|address| of_icloud(address.as_str()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_icloud_are_known_and_others_are_not() {
        for host in [
            "imap.mail.me.com",
            "smtp.mail.me.com",
            "p04-imap.mail.me.com",
            "p03-smtp.mail.me.com",
            "mail.mac.com",
            "caldav.icloud.com",
            "p42-caldav.icloud.com",
            "contacts.icloud.com",
            "caldav.icloud.com.cn",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "me.com",
            ".me.com",
            "imap.notme.com",
            "icloud.com.example.org",
            "imap.gmail.com",
            "",
            "imac.com",
            "www.icloud.com",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn an_address_counts_where_the_server_says_nothing() {
        let name = Some("johnappleseed@icloud.com");
        assert!(is_login(None, name) && is_login(Some("localhost"), name) && is_login(Some("imap.mail.me.com"), None));
        assert!(!is_login(Some("imap.fastmail.com"), name));
        assert!(!is_login(None, Some("johnappleseed")) && !is_login(None, None));
    }

    #[track_caller]
    fn tells(username: Option<&str>, beside: Option<&str>, expected: Option<&str>) {
        assert_eq!(address(username, beside).as_ref().map(Address::as_str), expected);
    }

    #[test]
    fn the_address_is_the_name_or_stands_beside_it() {
        tells(Some("john@me.com"), Some("other@icloud.com"), Some("john@me.com"));
        tells(Some("john"), Some("John <john@icloud.com>"), Some("john@icloud.com"));
        tells(Some("john"), Some("alias@icloud.com"), None);
        tells(Some("john"), None, None);
        tells(Some("john@gmail.com"), Some("john@mac.com"), Some("john@mac.com"));
        tells(None, Some("john@example.org"), None);
    }

    #[test]
    fn one_mailbox_has_one_account() {
        let same = |a: &str, b: &str| same_mailbox(&Address::new(a).unwrap(), &Address::new(b).unwrap());
        assert!(same("john@icloud.com", "John@me.com") && same("a@b.org", "A@b.org"));
        assert!(!same("john@icloud.com", "john@gmail.com") && !same("john@icloud.com", "jane@icloud.com"));
    }
}
