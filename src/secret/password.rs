//! Temporary stand-in with the agreed interface: the real type comes with the secrets.

use std::fmt;

use zeroize::Zeroizing;

/// A password.
pub struct AppPassword(Zeroizing<String>);
/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
/// Key.
pub struct DigestKey;

impl AppPassword {
    /// Takes an app-specific password.
    ///
    /// # Errors
    /// If it is not of the shape.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let groups: Vec<&str> = text.split('-').collect();
        let fits =
            groups.len() == 4 && groups.iter().all(|g| g.len() == 4 && g.bytes().all(|b| b.is_ascii_lowercase()));
        if fits { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(Malformed) }
    }

    /// Takes a password of any shape.
    ///
    /// # Errors
    /// If it is empty, too long or holds control characters.
    pub fn any_shape(text: &str) -> Result<Self, Malformed> {
        let text = text.trim_end_matches(['\r', '\n']);
        let fits = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
        if fits { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(Malformed) }
    }

    /// Lends the password.
    pub fn expose<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        f(&self.0)
    }
}

impl fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppPassword(…)")
    }
}
