//! The names by which things are known: addresses, credentials, digests of secrets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The iCloud Mail address of an Apple Account. Compared without regard to case, shown as the person wrote it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl TryFrom<String> for Address {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl Address {
    /// Takes what looks like an address: one `@` with something on both sides, no space or control character, at most 254
    /// characters (RFC 5321, section 4.5.3.1).
    ///
    /// # Errors
    /// A phrase that says what is wrong.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let Some((local, domain)) = text.split_once('@') else { return Err("an address has the form name@icloud.com") };
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err("an address has the form name@icloud.com");
        }
        if text.len() > 254 {
            return Err("an address has at most 254 characters");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("an address holds no spaces");
        }
        Ok(Self(text.to_owned()))
    }

    /// As the person wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lower case: the form in which it is compared and stored.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// The part before the `@`: the IMAP user name unless another is configured (`facts/icloud.md` 1.6).
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Address {}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a credential: unique in the configuration, `[A-Za-z0-9._-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CredentialName(String);

impl TryFrom<String> for CredentialName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl CredentialName {
    /// Takes a name of the allowed shape.
    ///
    /// # Errors
    /// A phrase that says what is allowed.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits { Ok(Self(text.to_owned())) } else { Err("a name has 1 to 64 of the characters A-Z a-z 0-9 . _ -") }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A keyed digest: recognises a secret, or a user name with its secret, without telling it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Eight hexadecimal digits: enough to tell the few secrets of an account apart, and fit to show.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{self:?}")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is remembered of one secret as one account uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The secret alone: equal in every credential that holds the same one.
    pub secret: Digest,
    /// The pair of user name and secret, per service.
    pub pairs: super::evidence::PerService<Digest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_was_written_and_compared_without_regard_to_case() {
        let address = Address::new("John@iCloud.com").unwrap();
        assert_eq!(
            (address.as_str(), address.local_part(), address.key().as_str()),
            ("John@iCloud.com", "John", "john@icloud.com")
        );
        assert_eq!((address.to_string(), format!("{address:?}")), ("John@iCloud.com".into(), "John@iCloud.com".into()));
        assert_eq!(address, Address::new("jOHN@icloud.COM").unwrap());
        assert_ne!(address, Address::new("jane@icloud.com").unwrap());
    }

    #[test]
    fn names_hold_nothing_that_a_shell_minds() {
        for name in ["mutt", "NAS.2_a-b", &"x".repeat(64)] {
            assert!(CredentialName::new(name).is_ok(), "{name}");
        }
        let minded = (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| !c.is_ascii_alphanumeric());
        for character in minded.filter(|c| !"._-".contains(*c)) {
            assert!(CredentialName::new(&format!("a{character}b")).is_err(), "{character:?}");
        }
        assert!(CredentialName::new("").is_err() && CredentialName::new(&"x".repeat(65)).is_err());
    }
}
