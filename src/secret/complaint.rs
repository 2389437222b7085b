//! Why a command failed, in words that never hold what it printed.
//!
//! Pure: looks at how it ended and at the first line of its complaints.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use zeroize::Zeroizing;

use super::{AppPassword, Asked, printable};

/// Why a command failed, with the first line of its own errors.
pub(super) fn failure(name: &str, status: ExitStatus, errors: &[u8], output: &[u8], asked: Asked) -> String {
    let end = match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    };
    let said = without_secrets(&String::from_utf8_lossy(errors), output);
    let colon = if said.is_empty() { "" } else { ": " };
    let wanted_to_ask = ["pinentry", "ioctl", "/dev/tty", "terminal"].iter().any(|word| said.contains(word));
    match asked {
        Asked::Background if wanted_to_ask => {
            format!(
                "the command {name} wanted to ask, which nothing may in the background; run `keypulse check`{colon}{said}"
            )
        }
        Asked::Background | Asked::ByPerson => format!("the command {name} {end}{colon}{said}"),
    }
}

/// A command's complaint, without what it also printed and without anything that looks like an app-specific password: some
/// print the whole line they cannot parse.
fn without_secrets(complaint: &str, output: &[u8]) -> String {
    let output = Zeroizing::new(String::from_utf8_lossy(output).trim().to_owned());
    if output.len() > 3 && complaint.contains(output.as_str()) {
        return String::new();
    }
    let separates = |character: char| !character.is_alphanumeric() && character != '-';
    let words = complaint.split_inclusive(separates).map(|word| {
        let bare = word.trim_end_matches(separates);
        if AppPassword::parse(bare).is_ok() { word.replace(bare, "[removed]") } else { word.to_owned() }
    });
    printable(&words.collect::<String>(), 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: i32, errors: &str, asked: Asked, expected: &str) {
        let said = failure("`pass`", ExitStatus::from_raw(status), errors.as_bytes(), b"Main-Password-1", asked);
        assert_eq!(said, expected);
    }

    #[test]
    fn the_end_and_the_complaint_are_told() {
        let (by, background) = (Asked::ByPerson, Asked::Background);
        check(0x0200, "gpg: no key", background, "the command `pass` failed with exit status 2: gpg: no key");
        check(0x0100, "", background, "the command `pass` failed with exit status 1");
        check(9, "", by, "the command `pass` was ended by signal 9");
        check(0x0200, "gpg: No pinentry", by, "the command `pass` failed with exit status 2: gpg: No pinentry");
        let wanted = "the command `pass` wanted to ask, which nothing may in the background; run `keypulse check`: ";
        for complaint in ["gpg: No pinentry", "Inappropriate ioctl for device", "cannot open /dev/tty"] {
            check(0x0200, complaint, background, &format!("{wanted}{complaint}"));
        }
    }

    #[test]
    fn a_secret_is_cut_out() {
        let at = |complaint: &str| without_secrets(complaint, b"Main-Password-1\n");
        assert_eq!(at("bad: 'abcd-efgh-ijkl-mnop'."), "bad: '[removed]'.");
        assert_eq!(at("bad:abcdefghijklmnop,line 1"), "bad:[removed],line 1");
        assert_eq!(at("bad line Main-Password-1"), "");
        assert_eq!(at(&"x".repeat(500)).chars().count(), 120);
        assert_eq!(without_secrets("no output at all", b""), "no output at all");
    }
}
