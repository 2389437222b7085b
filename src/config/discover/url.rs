//! `scheme://user:password@host:port/…` as mail programs write it (RFC 3986, section 3.2).
//!
//! Takes more than the RFC allows: people write their address as user name without `%40`. Pure.

use zeroize::Zeroizing;

use super::disk::Text;

/// What of a URL matters here.
pub(super) struct Url {
    /// In lower case.
    pub(super) scheme: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<Text>,
    pub(super) host: String,
}

pub(super) fn parse(text: &str) -> Option<Url> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // The last `@`: there may be one in the name.
    let (login, server) = match authority.rsplit_once('@') {
        Some((login, server)) => (Some(login), server),
        None => (None, authority),
    };
    let host = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => server.split(':').next().unwrap_or_default(),
    };
    let (user, password) = match login.map(|login| login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)))) {
        Some((user, password)) => (Some(decoded(user).to_string()), password.map(decoded)),
        None => (None, None),
    };
    let user = user.filter(|user| !user.is_empty());
    let password = password.filter(|password| !password.is_empty());
    Some(Url { scheme: scheme.trim().to_lowercase(), user, password, host: host.to_lowercase() })
}

/// Percent-encoding taken off; what is none stays.
fn decoded(text: &str) -> Text {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| {
            tail.get(at).and_then(|digit| char::from(*digit).to_digit(16)).and_then(|d| u8::try_from(d).ok())
        };
        (rest, bytes) = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                (tail.get(2..).unwrap_or_default(), bytes)
            }
            (other, _, _) => {
                bytes.push(*other);
                (tail, bytes)
            }
        };
    }
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: [&str; 4]) {
        let Url { scheme, user, password, host } = parse(text).unwrap();
        let password = password.map_or_else(|| "-".to_owned(), |password| password.to_string());
        assert_eq!([&scheme, &user.unwrap_or_else(|| "-".to_owned()), &password, &host].map(String::as_str), expected);
    }

    #[test]
    fn the_parts_are_found_in_what_people_write() {
        check(
            "imaps://john%40me.com:ab%3Acd@imap.mail.me.com:993/INBOX",
            ["imaps", "john@me.com", "ab:cd", "imap.mail.me.com"],
        );
        check("smtp://john@me.com@smtp.mail.me.com:587/", ["smtp", "john@me.com", "-", "smtp.mail.me.com"]);
        check("imap://Imap.Mail.ME.com", ["imap", "-", "-", "imap.mail.me.com"]);
        check("https://caldav.icloud.com/a@b:c", ["https", "-", "-", "caldav.icloud.com"]);
        check("imap://:@[::1]:143", ["imap", "-", "-", "::1"]);
        check("x://%zz%4@h", ["x", "%zz%4", "-", "h"]);
        assert!(parse("imap.mail.me.com").is_none());
    }
}
