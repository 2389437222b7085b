//! One connection as the sessions see it: bounded lines in, text out, TLS on top, and an end.
//!
//! Carries out what `script.rs` decides. Knows neither IMAP nor SMTP.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::script::{Action, Ending};

/// The longest line taken from a client, its end included, and the longest literal.
pub(super) const LINE_LIMIT: usize = 8 * 1024;
/// How long the other side may take to close after we have, before the socket is dropped all the same.
const LINGER: Duration = Duration::from_secs(2);

/// The connection is over, or is to be ended: nothing more is read or said by the session.
#[derive(Debug)]
pub(super) struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// The bytes beneath.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// A handshake failed and took the socket with it.
    Gone,
}

/// A connection with its input buffer.
pub(super) struct Wire {
    stream: Stream,
    input: Vec<u8>,
    pause: Option<Duration>,
    ending: Ending,
}

impl Wire {
    /// Over a fresh TCP connection. With `pause`, everything said goes out byte by byte.
    pub(super) fn new(tcp: TcpStream, pause: Option<Duration>) -> Self {
        // A reply must not wait for the acknowledgement of the one before; without effect where it fails.
        let _ = tcp.set_nodelay(true);
        Self { stream: Stream::Plain(tcp), input: Vec::new(), pause, ending: Ending::default() }
    }

    /// Whether TLS is up.
    pub(super) const fn encrypted(&self) -> bool {
        match self.stream {
            Stream::Tls(_) => true,
            Stream::Plain(_) | Stream::Gone => false,
        }
    }

    /// Waits for the first bytes of a ClientHello and leaves them where they are.
    pub(super) async fn hello(&self) -> Result<(), Over> {
        match &self.stream {
            Stream::Plain(tcp) => {
                if tcp.peek(&mut [0]).await? == 0 {
                    return Err(Over);
                }
                Ok(())
            }
            Stream::Tls(_) | Stream::Gone => Ok(()),
        }
    }

    /// Completes the TLS handshake. What came in the clear before it is thrown away (RFC 3207 §4.2).
    pub(super) async fn encrypt(&mut self, acceptor: &TlsAcceptor) -> Result<(), Over> {
        self.input.clear();
        match std::mem::replace(&mut self.stream, Stream::Gone) {
            Stream::Plain(tcp) => {
                self.stream = Stream::Tls(Box::new(acceptor.accept(tcp).await?));
                Ok(())
            }
            Stream::Tls(_) | Stream::Gone => Err(Over),
        }
    }

    /// The next line without its end (CR LF or LF). `None` where it is longer than [`LINE_LIMIT`]. Loses nothing when
    /// dropped half way.
    pub(super) async fn line(&mut self) -> Result<Option<Vec<u8>>, Over> {
        loop {
            if let Some(end) = self.input.iter().take(LINE_LIMIT).position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                return Ok(Some(line));
            }
            if self.input.len() >= LINE_LIMIT {
                return Ok(None);
            }
            self.fill().await?;
        }
    }

    /// The next `length` bytes: a literal (RFC 3501 §4.3). The caller holds `length` to [`LINE_LIMIT`].
    pub(super) async fn literal(&mut self, length: usize) -> Result<Vec<u8>, Over> {
        while self.input.len() < length {
            self.fill().await?;
        }
        Ok(self.input.drain(..length).collect())
    }

    async fn fill(&mut self) -> Result<(), Over> {
        let mut chunk = [0; 1024];
        let count = match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(&mut chunk).await?,
            Stream::Tls(tls) => tls.read(&mut chunk).await?,
            Stream::Gone => 0,
        };
        match chunk.get(..count) {
            None | Some([]) => Err(Over),
            Some(bytes) => {
                self.input.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Says `text` and a line end.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), Over> {
        self.raw(&[text.as_bytes(), b"\r\n"].concat()).await
    }

    /// Says these bytes.
    pub(super) async fn raw(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let Some(pause) = self.pause else { return self.write(bytes).await };
        for byte in bytes {
            self.write(&[*byte]).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(bytes).await?,
            Stream::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await?;
            }
            Stream::Gone => return Err(Over),
        }
        Ok(())
    }

    /// Carries out a fault. Returns what was said, where the session may go on after it.
    pub(super) async fn carry_out(&mut self, action: Action, tag: &str) -> Result<String, Over> {
        match action {
            Action::Hang => {
                self.drain().await;
                Err(Over)
            }
            Action::End(ending) => Err(self.end(ending)),
            Action::Say(bytes) => {
                let bytes = with_tag(&bytes, tag);
                self.raw(&bytes).await?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Action::Endless(first, again) => {
                self.raw(&first).await?;
                loop {
                    self.raw(&again).await?;
                }
            }
        }
    }

    /// Notes how the connection shall end.
    pub(super) const fn end(&mut self, ending: Ending) -> Over {
        self.ending = ending;
        Over
    }

    /// Ends the connection. Waits for the other side's FIN, so that our last bytes are not lost to a RST.
    pub(super) async fn finish(mut self) {
        match (self.ending, &mut self.stream) {
            (_, Stream::Gone) => return,
            (Ending::Reset, stream) => {
                let _ = tcp(stream).map(|tcp| tcp.set_zero_linger());
                return;
            }
            (Ending::Orderly, Stream::Tls(tls)) => {
                let _ = tls.shutdown().await;
            }
            (Ending::Orderly | Ending::Truncated, stream) => {
                if let Some(tcp) = tcp(stream) {
                    let _ = tcp.shutdown().await;
                }
            }
        }
        let _ = tokio::time::timeout(LINGER, self.drain()).await;
    }

    /// Reads and forgets until the client leaves.
    pub(super) async fn drain(&mut self) {
        if let Some(tcp) = tcp(&mut self.stream) {
            let mut chunk = [0; 1024];
            while tcp.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
        }
    }
}

/// The socket beneath.
fn tcp(stream: &mut Stream) -> Option<&mut TcpStream> {
    match stream {
        Stream::Plain(tcp) => Some(tcp),
        Stream::Tls(tls) => Some(tls.get_mut().0),
        Stream::Gone => None,
    }
}

/// `bytes` with the client's tag in place of `{tag}`.
pub(super) fn with_tag(bytes: &[u8], tag: &str) -> Vec<u8> {
    const MARK: &[u8] = b"{tag}";
    let mut rest = bytes;
    let mut out = Vec::with_capacity(bytes.len() + tag.len());
    while let Some((first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(MARK) {
            out.extend_from_slice(tag.as_bytes());
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}
