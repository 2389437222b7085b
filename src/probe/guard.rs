//! Bounds on what a server can make us read: bytes in all, the length of a line, the size of an IMAP literal.
//!
//! async-imap allocates 495 MB at once for a 40-byte `{500000000}`, and lettre looks at the length of a line only after its
//! end (`facts/crates.md` P5, P10). So both read through a [`Guard`], which withholds whatever breaks a bound. It never
//! looks at what the bytes mean.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Bytes read in one attempt.
const TOTAL: usize = 256 * 1024;
/// Bytes of one line.
const LINE: usize = 8 * 1024;
/// Bytes of one IMAP literal.
const LITERAL: u64 = 64 * 1024;

/// Which bound was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    Total,
    Line,
    Literal,
    BareLineFeed,
}

impl Excess {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "the server sent more than 256 KiB",
            Self::Line => "the server sent a line of more than 8 KiB",
            Self::Literal => "the server announced a literal of more than 64 KiB",
            Self::BareLineFeed => "the server ended a line without a carriage return",
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Excess {}

/// A stream whose reading side is bounded.
#[derive(Debug)]
pub(super) struct Guard<S> {
    inner: S,
    scan: Scan,
}

impl<S> Guard<S> {
    /// For IMAP: a line that ends in `{n}` is followed by `n` bytes that are no lines (RFC 3501, section 4.3).
    pub(super) const fn imap(inner: S) -> Self {
        Self { inner, scan: Scan::new(true) }
    }

    /// For SMTP: lines only.
    pub(super) const fn smtp(inner: S) -> Self {
        Self { inner, scan: Scan::new(false) }
    }

    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

#[derive(Debug)]
struct Scan {
    literals: bool,
    total: usize,
    line: usize,
    after_return: bool,
    brace: Brace,
    skip: u64,
}

/// How much of a `{n}` at the end of a line was seen.
#[derive(Debug)]
enum Brace {
    None,
    Open(u64),
    Closed(u64),
}

impl Scan {
    const fn new(literals: bool) -> Self {
        Self { literals, total: 0, line: 0, after_return: false, brace: Brace::None, skip: 0 }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Excess> {
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL {
            return Err(Excess::Total);
        }
        bytes.iter().try_for_each(|byte| self.take_byte(*byte))
    }

    fn take_byte(&mut self, byte: u8) -> Result<(), Excess> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        if byte == b'\n' {
            if !self.after_return {
                return Err(Excess::BareLineFeed);
            }
            if let Brace::Closed(size) = self.brace
                && self.literals
            {
                if size > LITERAL {
                    return Err(Excess::Literal);
                }
                self.skip = size;
            }
            self.brace = Brace::None;
            self.line = 0;
        } else {
            self.line += 1;
            if self.line > LINE {
                return Err(Excess::Line);
            }
            self.brace = match (byte, &self.brace) {
                (b'{', _) => Brace::Open(0),
                (b'0'..=b'9', Brace::Open(size)) => {
                    Brace::Open(size.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
                }
                (b'}', Brace::Open(size)) | (b'\r', Brace::Closed(size)) => Brace::Closed(*size),
                (_, Brace::None | Brace::Open(_) | Brace::Closed(_)) => Brace::None,
            };
        }
        self.after_return = byte == b'\r';
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        if let Err(excess) = self.scan.take(new) {
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, excess)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
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

/// Reads a stream line by line: the part of a dialogue before the libraries take over.
pub(super) struct Lines<S> {
    stream: Guard<S>,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    pub(super) const fn new(stream: Guard<S>) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next line without its end. End of file is an error, within a line or not.
    pub(super) async fn next(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.buffer.split_off(end + 2);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a line of ours. Never a credential: this side of the dialogue may be plain text.
    pub(super) async fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// Whether the server said more than it was asked.
    pub(super) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The stream. What was read beyond the last line is thrown away: check [`Self::has_more`] first.
    pub(super) fn into_guard(self) -> Guard<S> {
        self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(literals: bool, text: &[u8], expected: Result<(), Excess>) {
        let whole = Scan::new(literals).take(text);
        let mut scan = Scan::new(literals);
        let bytewise = text.iter().try_for_each(|byte| scan.take(&[*byte]));
        assert_eq!((whole, bytewise), (expected, expected));
    }

    #[test]
    fn bounds_hold_however_the_bytes_arrive() {
        check(true, b"* OK hello\r\nK1 OK\r\n", Ok(()));
        check(true, b"* OK\n", Err(Excess::BareLineFeed));
        check(true, b"* LIST () \"/\" {500000000}\r\n", Err(Excess::Literal));
        check(true, b"* LIST () \"/\" {99999999999999999999999}\r\n", Err(Excess::Literal));
        check(true, b"* LIST () \"/\" {3}\r\na\nb {2}\r\n\n\n\r\n", Ok(()));
        check(true, b"* OK {99999999} text\r\n", Ok(()));
        check(false, b"250 {500000000}\r\n250 x\r\n", Ok(()));
        check(true, &[b'x'; LINE], Ok(()));
        check(true, &[b'x'; LINE + 1], Err(Excess::Line));
        check(false, &b"x\r\n".repeat(TOTAL / 3), Ok(()));
        check(false, &b"x\r\n".repeat(TOTAL / 3 + 1), Err(Excess::Total));
    }

    #[tokio::test]
    async fn what_breaks_a_bound_is_withheld() {
        let mut guard = Guard::imap(&b"* OK {500000000}\r\n"[..]);
        let mut read = Vec::new();
        let error = guard.read_to_end(&mut read).await.unwrap_err();
        assert!(read.is_empty());
        assert_eq!(error.get_ref().and_then(|e| e.downcast_ref()), Some(&Excess::Literal));
    }
}
