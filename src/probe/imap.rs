//! The IMAP side of an attempt, with async-imap as parser and framing.
//!
//! Writes its commands itself: async-imap logs whole commands at trace level, and its `login` throws away untagged `BYE` and
//! response codes it does not know (`facts/crates.md` P2, P3, P4). Sends exactly one AUTHENTICATE or LOGIN per connection.
//! Decides nothing.

use async_imap::imap_proto::Response;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::{
    Attempt, Session, Terms,
    guard::{Guard, Lines},
    tls::{self, Secure},
};
use crate::{
    classify::{
        Heard, Stage, is_temporary_sign,
        reply::{ImapReply, Status},
    },
    secret::AppPassword,
};

pub(super) type Client = async_imap::Client<Guard<Secure>>;

const STARTTLS_TAG: &str = "K1";
const CAPABILITY_TAG: &str = "K2";
const LOGIN_TAG: &str = "K3";
const LOGOUT_TAG: &str = "K4";

const NOT_IMAP: Heard = Heard::Violation("the server's words are not IMAP");

/// The part in plain text, up to the moment when TLS is due (RFC 3501, section 6.2.1). Holds no credential; whatever it
/// learned is forgotten.
pub(super) async fn upgrade<S>(stream: S, terms: &Terms<'_>) -> Result<S, Heard>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut lines = Lines::new(Guard::imap(stream));
    let greeting = next_line(&mut lines, Stage::Greeting, terms).await?;
    if tls::is_http(greeting.as_bytes()) {
        return Err(Heard::PlainText { http: true });
    }
    let reply = greeting.strip_prefix("* ").and_then(|rest| ImapReply::parse(rest, terms.redactor)).ok_or(NOT_IMAP)?;
    if reply.status != Status::Ok {
        return Err(Heard::Imap { stage: Stage::Greeting, reply, before: None });
    }
    if capabilities(&greeting).is_some_and(|offered| !offered.has("STARTTLS")) {
        return Err(Heard::StartTlsMissing);
    }
    let stage = Stage::StartTls;
    let command = format!("{STARTTLS_TAG} STARTTLS");
    let sent = async { lines.send(&command).await.map_err(|error| tls::heard_in_clear(&error, stage)) };
    terms.deadline.bound(stage, sent).await?;
    loop {
        let line = next_line(&mut lines, stage, terms).await?;
        let (tag, rest) = line.split_once(' ').ok_or(NOT_IMAP)?;
        let reply = ImapReply::parse(rest, terms.redactor);
        match (tag, reply) {
            (STARTTLS_TAG, Some(reply)) if reply.status == Status::Ok => break,
            (STARTTLS_TAG, Some(reply)) => return Err(Heard::Imap { stage, reply, before: None }),
            ("*", Some(reply)) if reply.status == Status::Bye => {
                return Err(Heard::Imap { stage, reply, before: None });
            }
            ("*", _) => {}
            _ => return Err(NOT_IMAP),
        }
    }
    // Whatever came with the answer came in plain text, from anybody, and would be read as if it were secure.
    if lines.has_more() {
        return Err(Heard::Violation("the server sent plain text after it agreed to STARTTLS; it was thrown away"));
    }
    Ok(lines.into_guard().into_inner())
}

/// Greeting (unless it came before STARTTLS), capabilities, login. `Ok` is the answer to the login.
pub(super) async fn login(secure: Secure, upgraded: bool, attempt: &Attempt<'_>) -> Result<(Heard, Session), Heard> {
    let mut dialogue = Dialogue { client: Client::new(Guard::imap(secure)), attempt };
    // What was announced before STARTTLS does not count (RFC 3501, section 6.2.1).
    let greeted = if upgraded { None } else { dialogue.greeting().await? };
    let offered = match greeted {
        Some(offered) => offered,
        None => dialogue.capability().await?,
    };
    let method = Method::choose(&offered, attempt.password.expose(str::is_ascii) && attempt.username.is_ascii())?;
    let heard = dialogue.authenticate(method).await?;
    Ok((heard, Session::Imap(Box::new(dialogue.client))))
}

/// LOGOUT, and close_notify. iCloud may hang up at once after a refused login (`facts/icloud.md` 3.6).
pub(super) async fn farewell(mut client: Client) {
    let command = format!("{LOGOUT_TAG} LOGOUT\r\n");
    if client.get_mut().write_all(command.as_bytes()).await.is_ok() && client.get_mut().flush().await.is_ok() {
        while let Ok(Some(response)) = client.read_response().await {
            if matches!(response.parsed(), Response::Done { .. }) {
                break;
            }
        }
    }
    let _ = client.get_mut().shutdown().await;
}

/// What the connection is made of. What the server said beyond its answer to the login is forgotten.
pub(super) fn into_stream(client: Client) -> Secure {
    client.into_inner().into_inner()
}

async fn next_line<S: AsyncRead + AsyncWrite + Unpin>(
    lines: &mut Lines<S>,
    stage: Stage,
    terms: &Terms<'_>,
) -> Result<String, Heard> {
    let next = async { lines.next().await.map_err(|error| tls::heard_in_clear(&error, stage)) };
    terms.deadline.bound(stage, next).await
}

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// AUTHENTICATE PLAIN, the message with the command (RFC 4959) or after a continuation.
    Plain { initial: bool },
    /// LOGIN.
    Login,
}

impl Method {
    fn choose(offered: &Capabilities, ascii: bool) -> Result<Self, Heard> {
        let plain = offered.has("AUTH=PLAIN");
        let initial = offered.has("SASL-IR");
        let disabled = offered.has("LOGINDISABLED");
        if plain && (initial || disabled || !ascii) {
            Ok(Self::Plain { initial })
        } else if disabled {
            Err(Heard::LoginNotOffered("the server takes no logins (LOGINDISABLED); none was sent"))
        } else {
            Ok(Self::Login)
        }
    }
}

/// Capability names in upper case.
#[derive(Debug, Default, PartialEq, Eq)]
struct Capabilities(Vec<String>);

impl Capabilities {
    fn of(list: &str) -> Self {
        Self(list.split_ascii_whitespace().map(str::to_ascii_uppercase).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}

/// From `… [CAPABILITY …] …` or `* CAPABILITY …`. Read from the raw line: imap-proto takes no list without IMAP4rev1
/// (`facts/crates.md` P6).
fn capabilities(line: &str) -> Option<Capabilities> {
    const CODE: &str = "[CAPABILITY ";
    const DATA: &str = "* CAPABILITY ";
    let upper = line.to_ascii_uppercase();
    if let Some(list) = upper.strip_prefix(DATA) {
        return Some(Capabilities::of(list));
    }
    let (_, rest) = upper.split_once(CODE)?;
    rest.split_once(']').map(|(list, _)| Capabilities::of(list))
}

/// One response, told apart.
enum Said {
    /// `+ text`.
    Continue(String),
    /// A response with a tag.
    Tagged(String, Option<ImapReply>),
    /// Anything untagged: its line, and the status response in it, if it is one.
    Untagged(String, Option<ImapReply>),
}

struct Dialogue<'a> {
    client: Client,
    attempt: &'a Attempt<'a>,
}

impl Dialogue<'_> {
    async fn greeting(&mut self) -> Result<Option<Capabilities>, Heard> {
        match self.next(Stage::Greeting).await? {
            Said::Untagged(line, Some(reply)) if reply.status == Status::Ok => Ok(capabilities(&line)),
            Said::Untagged(_, Some(reply)) => Err(Heard::Imap { stage: Stage::Greeting, reply, before: None }),
            Said::Untagged(_, None) | Said::Tagged(..) | Said::Continue(_) => Err(NOT_IMAP),
        }
    }

    /// iCloud once answered CAPABILITY with a bare `OK !!`: no list is no error, LOGIN needs none.
    async fn capability(&mut self) -> Result<Capabilities, Heard> {
        let stage = Stage::Capability;
        self.send(format!("{CAPABILITY_TAG} CAPABILITY\r\n").as_bytes(), stage).await?;
        let mut offered = Capabilities::default();
        loop {
            match self.next(stage).await? {
                Said::Tagged(tag, Some(reply)) if tag == CAPABILITY_TAG && reply.status == Status::Ok => {
                    return Ok(offered);
                }
                Said::Tagged(tag, Some(reply)) if tag == CAPABILITY_TAG => {
                    return Err(Heard::Imap { stage, reply, before: None });
                }
                Said::Untagged(_, Some(reply)) if reply.status == Status::Bye => {
                    return Err(Heard::Imap { stage, reply, before: None });
                }
                Said::Untagged(line, _) => offered = capabilities(&line).unwrap_or(offered),
                Said::Tagged(..) | Said::Continue(_) => return Err(NOT_IMAP),
            }
        }
    }

    /// The one login of this connection, and its answer.
    async fn authenticate(&mut self, method: Method) -> Result<Heard, Heard> {
        let stage = Stage::Login;
        self.send(&self.command(method), stage).await?;
        // A server that ignores an initial response asks for it with an empty challenge: still the same AUTHENTICATE.
        let mut message_due = method != Method::Login;
        let mut before = None;
        loop {
            match self.next(stage).await? {
                Said::Tagged(tag, Some(reply)) if tag == LOGIN_TAG => return Ok(Heard::Imap { stage, reply, before }),
                // Not the end of the matter for some servers, but no answer on the pair can be trusted after it.
                Said::Untagged(_, Some(reply)) if reply.status == Status::Bye => {
                    return Err(Heard::Imap { stage, reply, before: None });
                }
                Said::Untagged(_, Some(reply)) => {
                    let counts = reply.status != Status::Ok || reply.has_code("ALERT");
                    // A temporary sign is not forgotten over whatever else is said before the answer.
                    if counts && !before.as_ref().is_some_and(is_temporary_sign) {
                        before = Some(reply);
                    }
                }
                Said::Untagged(_, None) => {}
                Said::Continue(challenge) if message_due && challenge.is_empty() => {
                    message_due = false;
                    let message = self.attempt.sasl_plain();
                    let mut line = Zeroizing::new(Vec::with_capacity(message.len() + 2));
                    line.extend_from_slice(message.as_bytes());
                    line.extend_from_slice(b"\r\n");
                    self.send(&line, stage).await?;
                }
                // PLAIN has no further challenge. Hang up rather than cancel: the refusal that follows a cancelled exchange
                // would read like a refusal of the pair.
                Said::Continue(_) => return Err(Heard::Violation("the server asked for more than the login holds")),
                Said::Tagged(..) => return Err(NOT_IMAP),
            }
        }
    }

    fn command(&self, method: Method) -> Zeroizing<Vec<u8>> {
        match method {
            Method::Plain { initial } => {
                let message = if initial { self.attempt.sasl_plain() } else { Zeroizing::default() };
                let mut line = Zeroizing::new(Vec::with_capacity(message.len() + 64));
                line.extend_from_slice(format!("{LOGIN_TAG} AUTHENTICATE PLAIN").as_bytes());
                if initial {
                    line.push(b' ');
                    line.extend_from_slice(message.as_bytes());
                }
                line.extend_from_slice(b"\r\n");
                line
            }
            Method::Login => login_command(self.attempt.username, self.attempt.password),
        }
    }

    /// Past async-imap's own encoder, which logs what it sends.
    async fn send(&mut self, bytes: &[u8], stage: Stage) -> Result<(), Heard> {
        let stream = self.client.get_mut();
        let sending = async {
            stream.write_all(bytes).await.map_err(|error| tls::heard(&error, stage))?;
            stream.flush().await.map_err(|error| tls::heard(&error, stage))
        };
        self.attempt.terms.deadline.bound(stage, sending).await
    }

    async fn next(&mut self, stage: Stage) -> Result<Said, Heard> {
        let reading = async {
            match self.client.read_response().await {
                Ok(response) => response.ok_or(Heard::Lost(stage)),
                Err(error) => Err(tls::heard(&error, stage)),
            }
        };
        let response = self.attempt.terms.deadline.bound(stage, reading).await?;
        let raw: &[u8] = response.borrow_owner();
        let end = raw.windows(2).position(|pair| pair == b"\r\n").unwrap_or(raw.len());
        let line = String::from_utf8_lossy(raw.get(..end).unwrap_or_default()).into_owned();
        let after_tag = line.split_once(' ').map_or("", |(_, rest)| rest);
        let parse = |rest| ImapReply::parse(rest, self.attempt.terms.redactor);
        #[expect(clippy::wildcard_enum_match_arm, reason = "every other response is untagged data, and of no interest")]
        Ok(match response.parsed() {
            Response::Continue(_) => Said::Continue(line.trim_start_matches('+').trim().to_owned()),
            Response::Done { tag, .. } => Said::Tagged(tag.0.clone(), parse(after_tag)),
            Response::Data { .. } => Said::Untagged(line.clone(), parse(after_tag)),
            _ => Said::Untagged(line.clone(), None),
        })
    }
}

/// `LOGIN "user" "password"`, quoted as RFC 3501, section 4.3 has it. No literals: iCloud has no LITERAL+.
fn login_command(username: &str, password: &AppPassword) -> Zeroizing<Vec<u8>> {
    password.expose(|secret| {
        let mut line = Zeroizing::new(Vec::with_capacity(2 * (username.len() + secret.len()) + 64));
        line.extend_from_slice(format!("{LOGIN_TAG} LOGIN").as_bytes());
        for text in [username, secret] {
            line.extend_from_slice(b" \"");
            for byte in text.bytes() {
                if byte == b'"' || byte == b'\\' {
                    line.push(b'\\');
                }
                line.push(byte);
            }
            line.push(b'"');
        }
        line.extend_from_slice(b"\r\n");
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offered: &str, ascii: bool, expected: Option<Method>) {
        assert_eq!(Method::choose(&Capabilities::of(offered), ascii).ok(), expected, "{offered}");
    }

    #[test]
    fn the_method_is_chosen_once_from_the_capabilities() {
        check("IMAP4rev1 SASL-IR AUTH=ATOKEN AUTH=PLAIN", true, Some(Method::Plain { initial: true }));
        check("imap4rev1 sasl-ir auth=plain", true, Some(Method::Plain { initial: true }));
        check("IMAP4rev1 AUTH=PLAIN", true, Some(Method::Login));
        check("IMAP4rev1 AUTH=PLAIN", false, Some(Method::Plain { initial: false }));
        check("IMAP4rev1 AUTH=PLAIN LOGINDISABLED", true, Some(Method::Plain { initial: false }));
        check("IMAP4rev1 SASL-IR AUTH=XOAUTH2 LOGINDISABLED", true, None);
        check("", true, Some(Method::Login));
    }

    #[test]
    fn capabilities_are_read_from_greeting_and_data() {
        let greeting = "* OK [CAPABILITY st11p00mm-iscream022 15E205 XAPPLEPUSHSERVICE IMAP4 IMAP4rev1 SASL-IR \
                        AUTH=ATOKEN AUTH=PLAIN] iSCREAM ready...";
        assert!(capabilities(greeting).unwrap().has("AUTH=PLAIN"));
        assert!(capabilities("* capability IMAP4rev2 AUTH=PLAIN ").unwrap().has("AUTH=PLAIN"));
        assert_eq!(capabilities("* OK hello"), None);
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        let password = AppPassword::any_shape(r#"a"b\c"#).unwrap();
        assert_eq!(login_command("jane", &password).as_slice(), b"K3 LOGIN \"jane\" \"a\\\"b\\\\c\"\r\n");
    }
}
