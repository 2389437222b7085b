//! A name that nothing has, and the near ones that there are.
//!
//! The one place that words it, for the command line and for the socket.

use std::fmt;

use crate::config;

/// Nothing has this name. Displays as a sentence with the near names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: Vec<String>,
}

impl UnknownName {
    /// Names are listed up to so many.
    const SHOWN: usize = 10;

    /// No credential has this name; `known` are those that there are.
    pub fn credential(name: impl fmt::Display, known: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self::of("credential", name, known)
    }

    /// Neither a credential nor an account has this name; `known` are the names and addresses that there are.
    pub fn target(name: impl fmt::Display, known: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self::of("credential or account", name, known)
    }

    /// The name in question.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn of(what: &'static str, name: impl fmt::Display, known: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self { what, name: name.to_string(), known: known.into_iter().map(|known| known.to_string()).collect() }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, name, known } = self;
        write!(f, "no {what} is named {name:?}")?;
        if known.is_empty() {
            return f.write_str(": none is configured yet (`keypulse add NAME --account ADDRESS`)");
        }
        f.write_str("; ")?;
        if let Some(near) = config::near(name, known.iter().map(String::as_str)) {
            write!(f, "did you mean {near}? ")?;
        }
        let listed: Vec<&str> = known.iter().take(Self::SHOWN).map(String::as_str).collect();
        let more = if known.len() > Self::SHOWN { ", … (`keypulse status` shows all)" } else { "" };
        write!(f, "there are: {}{more}", listed.join(", "))
    }
}

impl std::error::Error for UnknownName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unknown: &UnknownName, expected: &str) {
        assert_eq!(unknown.to_string(), expected);
    }

    #[test]
    fn the_near_names_are_listed() {
        let known = ["thunderbird", "nas"];
        check(
            &UnknownName::credential("thunderbrid", known),
            "no credential is named \"thunderbrid\"; did you mean thunderbird? there are: thunderbird, nas",
        );
        check(&UnknownName::credential("aerc", known), "no credential is named \"aerc\"; there are: thunderbird, nas");
        check(
            &UnknownName::target("jon@me.com", ["nas", "john@me.com"]),
            "no credential or account is named \"jon@me.com\"; did you mean john@me.com? there are: nas, john@me.com",
        );
        check(
            &UnknownName::credential("aerc", [""; 0]),
            "no credential is named \"aerc\": none is configured yet (`keypulse add NAME --account ADDRESS`)",
        );
        let many = (0..12).map(|number| format!("n{number}"));
        check(
            &UnknownName::credential("x\u{1b}", many),
            "no credential is named \"x\\u{1b}\"; there are: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, … (`keypulse status` \
             shows all)",
        );
    }
}
