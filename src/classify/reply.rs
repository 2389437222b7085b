//! One reply of a server, taken apart: status and response code of IMAP, reply code and enhanced status code of SMTP.
//!
//! Decides nothing. Codes are read from the raw text, since imap-proto leaves codes it does not know in the text and cuts
//! a character off texts after codes it knows (`facts/crates.md` P1, P3); texts are redacted only after the codes are taken
//! out, so that a user name that looks like part of a code spoils none.

use std::fmt;

use super::redact::{MARK, Redactor, without_named_user};

/// The status word of an IMAP response (RFC 3501, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// Not understood.
    Bad,
    /// The server hangs up; always untagged.
    Bye,
    /// A greeting: no login needed; always untagged.
    Preauth,
}

impl Status {
    const ALL: [Self; 5] = [Self::Ok, Self::No, Self::Bad, Self::Bye, Self::Preauth];

    /// As the protocol writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::Bye => "BYE",
            Self::Preauth => "PREAUTH",
        }
    }
}

/// The response codes (RFC 3501 section 7.1, RFC 5530) that decide something. They are never redacted.
const CODES: [&str; 11] = [
    "AUTHENTICATIONFAILED",
    "UNAVAILABLE",
    "LIMIT",
    "INUSE",
    "OVERQUOTA",
    "ALERT",
    "EXPIRED",
    "AUTHORIZATIONFAILED",
    "CONTACTADMIN",
    "PRIVACYREQUIRED",
    "CAPABILITY",
];

/// A status response of IMAP, without its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImapReply {
    /// The status word.
    pub status: Status,
    /// The response code in upper case, without arguments (a referral's hold the user name).
    pub code: Option<String>,
    /// The text, redacted.
    pub text: String,
}

impl ImapReply {
    /// Reads `NO [CODE arguments] text`; the text may follow the bracket without a space, or be absent. `None` if it
    /// starts with no status word.
    #[must_use]
    pub fn parse(line: &str, redactor: &Redactor) -> Option<Self> {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let status = Status::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(word))?;
        let (code, text) = split_code(rest);
        let code = code.map(|code| {
            let code = code.to_ascii_uppercase();
            if CODES.contains(&code.as_str()) || redactor.clean(&code) == code { code } else { MARK.to_owned() }
        });
        let text = redactor.clean(text);
        let text = if status == Status::Ok { without_named_user(&text) } else { text };
        Some(Self { status, code, text })
    }

    /// Whether it carries this response code. Codes are compared without regard to case.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(code))
    }
}

impl fmt::Display for ImapReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.status.as_str())?;
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

/// `[CODE arguments] text` into code and text. What is no atom of a sensible length is no code.
fn split_code(rest: &str) -> (Option<&str>, &str) {
    let rest = rest.trim_start();
    let Some((inside, text)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return (None, rest);
    };
    let code = inside.trim_start().split(' ').next().unwrap_or_default();
    let is_atom = (1..=40).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){}%*\"\\[]".contains(&byte));
    if is_atom { (Some(code), text) } else { (None, rest) }
}

/// A reply of SMTP (RFC 5321, section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpReply {
    /// The reply code, 200 to 599.
    pub code: u16,
    /// The enhanced status code (RFC 3463), where the reply starts with one of its own class (RFC 2034, section 4).
    pub enhanced: Option<String>,
    /// The text of all lines, redacted, the enhanced code taken out.
    pub text: String,
}

impl SmtpReply {
    /// Joins the texts of the lines of one reply.
    #[must_use]
    pub fn new<'a>(code: u16, lines: impl IntoIterator<Item = &'a str>, redactor: &Redactor) -> Self {
        let mut enhanced: Option<String> = None;
        let mut text = String::new();
        for line in lines {
            let line = line.trim();
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = if is_enhanced(word, code) && enhanced.as_deref().is_none_or(|earlier| earlier == word) {
                enhanced = Some(word.to_owned());
                rest
            } else {
                line
            };
            if !text.is_empty() && !rest.is_empty() {
                text.push(' ');
            }
            text.push_str(rest);
        }
        let text = redactor.clean(&text);
        let text = if (200..300).contains(&code) { without_named_user(&text) } else { text };
        Self { code, enhanced, text }
    }

    /// `535 5.7.8`, or the reply code alone.
    #[must_use]
    pub fn codes(&self) -> String {
        self.enhanced.as_ref().map_or_else(|| self.code.to_string(), |enhanced| format!("{} {enhanced}", self.code))
    }
}

impl fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.codes())?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

/// `class.subject.detail`, each of at most three digits, its class that of the reply code.
fn is_enhanced(word: &str, code: u16) -> bool {
    let mut parts = word.split('.');
    let class = parts.next().and_then(|class| class.parse::<u16>().ok());
    let rest: Vec<&str> = parts.collect();
    class == Some(code / 100)
        && rest.len() == 2
        && rest.iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn imap(line: &str, code: Option<&str>, text: &str, shown: &str) {
        let reply = ImapReply::parse(line, &Redactor::new(["fail"])).unwrap();
        assert_eq!((reply.code.as_deref(), reply.text.as_str()), (code, text), "{line}");
        assert_eq!(reply.to_string(), shown, "{line}");
    }

    #[test]
    fn response_codes_are_read_from_the_raw_text() {
        imap("NO [AUTHENTICATIONFAILED] No", Some("AUTHENTICATIONFAILED"), "No", "NO [AUTHENTICATIONFAILED] No");
        imap("no [authenticationfailed]No", Some("AUTHENTICATIONFAILED"), "No", "NO [AUTHENTICATIONFAILED] No");
        imap("NO [ALERT]é", Some("ALERT"), "é", "NO [ALERT] é");
        imap("BAD  [UNAVAILABLE]", Some("UNAVAILABLE"), "", "BAD [UNAVAILABLE]");
        imap("NO [REFERRAL imap://jane@x/] go", Some("REFERRAL"), "go", "NO [REFERRAL] go");
        imap("NO [UNAVAILABLE no bracket", None, "[UNAVAILABLE no bracket", "NO [UNAVAILABLE no bracket");
        imap("NO [] x", None, "[] x", "NO [] x");
        imap("NO [a(b] x", None, "[a(b] x", "NO [a(b] x");
        imap("NO", None, "", "NO");
        imap("OK User jane logged in", None, "User *** logged in", "OK User *** logged in");
        imap("NO [x-fail] fail", Some("***"), "***", "NO [***] ***");
        assert_eq!(ImapReply::parse("HTTP/1.1 400", &Redactor::new([])), None);
        assert_eq!(ImapReply::parse("", &Redactor::new([])), None);
    }

    #[track_caller]
    fn smtp(code: u16, lines: &[&str], codes: &str, text: &str) {
        let reply = SmtpReply::new(code, lines.iter().copied(), &Redactor::new([]));
        assert_eq!((reply.codes().as_str(), reply.text.as_str()), (codes, text), "{lines:?}");
    }

    #[test]
    fn enhanced_codes_agree_with_the_reply_code() {
        smtp(535, &["5.7.8 Error: authentication failed: x"], "535 5.7.8", "Error: authentication failed: x");
        smtp(
            535,
            &["5.7.8 Username and", "5.7.8 Password not accepted"],
            "535 5.7.8",
            "Username and Password not accepted",
        );
        smtp(535, &["4.7.8 no"], "535", "4.7.8 no");
        smtp(535, &[""], "535", "");
        smtp(535, &["5.7.8"], "535 5.7.8", "");
        smtp(454, &["4.7.0 Temporary"], "454 4.7.0", "Temporary");
        smtp(550, &["5.7 no", "5.7.1000 no"], "550", "5.7 no 5.7.1000 no");
        smtp(235, &["2.7.0 user jane is in"], "235 2.7.0", "user *** is in");
    }
}
