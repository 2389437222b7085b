//! Hears the replies of SMTP as they were sent, before lettre reads them.
//!
//! lettre's errors lose codes and texts (`facts/crates.md` P9, P11). So the stream it works on passes every reply on, whole.
//! Decides nothing.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};

use super::{Terms, guard::Guard, tls::Secure};
use crate::classify::reply::SmtpReply;

/// Lines of one reply. lettre parses a reply anew with each of its lines, on our only thread.
const LINES: usize = 100;

/// A reply as it was sent (RFC 5321, section 4.2.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawReply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

pub(super) struct NotAReply;

impl RawReply {
    /// Takes the next line; `Some` with the last. The text may be missing, space and all (RFC 5321, section 4.2).
    pub(super) fn add(partial: &mut Option<Self>, line: &str) -> Result<Option<Self>, NotAReply> {
        let (digits, rest) = line.split_at_checked(3).ok_or(NotAReply)?;
        let code =
            digits.parse::<u16>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit())).ok_or(NotAReply)?;
        let (last, text) = match rest.split_at_checked(1) {
            None => (true, ""),
            Some((" ", text)) => (true, text),
            Some(("-", text)) => (false, text),
            Some(_) => return Err(NotAReply),
        };
        let reply = partial.get_or_insert_with(|| Self { code, lines: Vec::new() });
        if reply.code != code || !(200..600).contains(&code) || reply.lines.len() >= LINES {
            return Err(NotAReply);
        }
        reply.lines.push(text.to_owned());
        Ok(if last { partial.take() } else { None })
    }

    pub(super) fn read(&self, terms: &Terms<'_>) -> SmtpReply {
        SmtpReply::new(self.code, self.lines.iter().map(String::as_str), terms.redactor)
    }

    /// The parameters of an extension in a reply to EHLO, preceded by its keyword. Case does not matter (RFC 5321, section
    /// 4.1.1.1), and `AUTH=PLAIN` is how old servers write it.
    pub(super) fn parameters<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.lines.iter().skip(1).map(|line| line.split([' ', '=']).filter(|word| !word.is_empty()));
        lines.filter(move |words| words.clone().next().is_some_and(|word| word.eq_ignore_ascii_case(keyword))).flatten()
    }
}

/// What ended the hearing.
pub(super) enum Unheard {
    NotSmtp,
    Io(io::Error),
}

pub(super) type Replies = mpsc::UnboundedReceiver<Result<RawReply, Unheard>>;

/// The stream lettre works on: first yields a greeting of our own, which lettre always wants, then what the server sends; and
/// passes on every reply, as it was, to whoever judges. Bounded by the guard below it.
pub(super) struct Ear {
    greeting: &'static [u8],
    inner: Guard<Secure>,
    line: Vec<u8>,
    partial: Option<RawReply>,
    /// The answer to EHLO was heard.
    greeted: bool,
    tell: mpsc::UnboundedSender<Result<RawReply, Unheard>>,
}

impl Ear {
    pub(super) fn new(inner: Guard<Secure>) -> (Self, Replies) {
        let (tell, replies) = mpsc::unbounded_channel();
        (Self { greeting: b"220 x\r\n", inner, line: Vec::new(), partial: None, greeted: false, tell }, replies)
    }

    fn listen(&mut self, bytes: &[u8]) -> Result<(), NotAReply> {
        for byte in bytes {
            self.line.push(*byte);
            if let Some(line) = self.line.strip_suffix(b"\r\n") {
                let heard = RawReply::add(&mut self.partial, &String::from_utf8_lossy(line));
                self.line.clear();
                if let Some(reply) = heard? {
                    // No extension has a blank name (RFC 5321, section 4.1.1.1), and lettre panics at one.
                    let blank = |line: &String| !line.is_empty() && line.trim().is_empty();
                    if !std::mem::replace(&mut self.greeted, true) && reply.lines.iter().any(blank) {
                        return Err(NotAReply);
                    }
                    self.tell(Ok(reply));
                }
            }
        }
        Ok(())
    }

    /// Nobody listens any more once the verdict is known.
    fn tell(&self, heard: Result<RawReply, Unheard>) {
        let _ = self.tell.send(heard);
    }
}

impl AsyncRead for Ear {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let (now, later) = self.greeting.split_at(self.greeting.len().min(buf.remaining()));
            buf.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        // lettre learns no more than that it ended; the error itself goes to whoever judges.
        let (unheard, kind) = match ready!(Pin::new(&mut self.inner).poll_read(cx, buf)) {
            Ok(()) => {
                let new = buf.filled().get(before..).unwrap_or_default();
                if new.is_empty() {
                    self.tell(Err(Unheard::Io(io::ErrorKind::UnexpectedEof.into())));
                    return Poll::Ready(Ok(()));
                }
                match self.listen(new) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(NotAReply) => (Unheard::NotSmtp, io::ErrorKind::InvalidData),
                }
            }
            Err(error) => {
                let kind = error.kind();
                (Unheard::Io(error), kind)
            }
        };
        buf.set_filled(before);
        self.tell(Err(unheard));
        Poll::Ready(Err(kind.into()))
    }
}

impl AsyncWrite for Ear {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// lettre wants its streams printable.
impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}

impl AsyncTokioStream for Ear {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u16, &[&str])>) {
        let mut partial = None;
        let mut lines = text.lines();
        let found = lines.find_map(|line| RawReply::add(&mut partial, line).transpose());
        let found = found.and_then(Result::ok).map(|reply| (reply.code, reply.lines));
        let expected = expected.map(|(code, lines)| (code, lines.iter().map(ToString::to_string).collect()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn replies_are_read_as_the_standard_has_them() {
        check("220 hi", Some((220, &["hi"])));
        check("535", Some((535, &[""])));
        check("535 ", Some((535, &[""])));
        check("571 x", Some((571, &["x"])));
        check("250-a\n250-b\n250 c\n", Some((250, &["a", "b", "c"])));
        check("250-a\n550 b\n", None);
        check("635 x", None);
        check("+35 x", None);
        check("53é x", None);
        check("5355 x", None);
        check("OK", None);
    }

    #[test]
    fn extensions_are_found_in_any_case() {
        let reply = |lines: &[&str]| RawReply { code: 250, lines: lines.iter().map(ToString::to_string).collect() };
        let plain = |lines: &[&str]| reply(lines).parameters("AUTH").any(|m| m.eq_ignore_ascii_case("PLAIN"));
        assert!(plain(&["host", "SIZE 28319744", "AUTH LOGIN PLAIN ATOKEN"]));
        assert!(plain(&["host", "auth plain"]));
        assert!(plain(&["host", "AUTH=LOGIN PLAIN"]));
        assert!(!plain(&["AUTH PLAIN", "AUTH LOGIN"]));
        assert!(!plain(&["host", "XAUTH PLAIN", " "]));
        assert!(reply(&["host", "starttls"]).parameters("STARTTLS").next().is_some());
    }
}
