//! The SMTP side of an attempt: the part before TLS by hand, the dialogue after it by lettre, every reply heard as it was sent.
//!
//! lettre keeps plain-text bytes across its STARTTLS upgrade, so that an injected `535` would pass for the server's (P7); its
//! errors lose codes, and texts that are not UTF-8 (P9, P11; all in `facts/crates.md`). So it gets a stream on which TLS is up
//! already, through an [`Ear`] that reads the replies before lettre does. Sends exactly one AUTH per connection, PLAIN only.
//! Decides nothing.

use std::{
    io,
    net::Ipv4Addr,
    pin::{Pin, pin},
};

use lettre::transport::smtp::{client::AsyncSmtpConnection, extension::ClientId};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::{
    Attempt, Session, Terms,
    ear::{Ear, RawReply, Replies, Unheard},
    guard::{Guard, Lines},
    tls::{self, Secure},
};
use crate::classify::{Heard, Stage};

pub(super) type Client = AsyncSmtpConnection;

/// A connection after the answer to AUTH, and what is still heard on it.
pub(super) struct Dialogue {
    pub(super) client: Client,
    pub(super) replies: Replies,
}

/// A neutral name: the machine's own is nobody's business (RFC 5321, section 4.1.3).
const EHLO: &str = "EHLO [127.0.0.1]";
const NOT_SMTP: Heard = Heard::Violation("the server's words are not SMTP");

/// The part in plain text, up to the moment when TLS is due (RFC 3207). Holds no credential; whatever it learned is forgotten.
pub(super) async fn upgrade<S>(stream: S, terms: &Terms<'_>) -> Result<S, Heard>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut lines = Lines::new(Guard::smtp(stream));
    expect(220, next_reply(&mut lines, Stage::Greeting, true, terms).await?, Stage::Greeting, terms)?;
    send(&mut lines, EHLO, Stage::Capability, terms).await?;
    let offered = next_reply(&mut lines, Stage::Capability, true, terms).await?;
    let offered = expect(250, offered, Stage::Capability, terms)?;
    if offered.parameters("STARTTLS").next().is_none() {
        return Err(Heard::StartTlsMissing);
    }
    send(&mut lines, "STARTTLS", Stage::StartTls, terms).await?;
    expect(220, next_reply(&mut lines, Stage::StartTls, true, terms).await?, Stage::StartTls, terms)?;
    if lines.has_more() {
        return Err(Heard::Violation("the server sent plain text after it agreed to STARTTLS; it was thrown away"));
    }
    Ok(lines.into_guard().into_inner())
}

/// Greeting (unless it came before STARTTLS), EHLO, AUTH. `Ok` is the answer to AUTH.
pub(super) async fn login(secure: Secure, upgraded: bool, attempt: &Attempt<'_>) -> Result<(Heard, Session), Heard> {
    let mut guard = Guard::smtp(secure);
    if !upgraded {
        let mut lines = Lines::new(guard);
        let greeting = next_reply(&mut lines, Stage::Greeting, false, &attempt.terms).await?;
        expect(220, greeting, Stage::Greeting, &attempt.terms)?;
        if lines.has_more() {
            return Err(Heard::Violation("the server spoke out of turn"));
        }
        guard = lines.into_guard();
    }
    let (ear, mut replies) = Ear::new(guard);
    let (offered, client) = greet(ear, &mut replies, attempt).await?;
    let plain = offered.parameters("AUTH").any(|mechanism| mechanism.eq_ignore_ascii_case("PLAIN"));
    if !plain {
        return Err(Heard::LoginNotOffered("the server does not offer AUTH PLAIN; no login was sent"));
    }
    let mut client = client;
    let reply = authenticate(&mut client, &mut replies, attempt).await?;
    let heard = Heard::Smtp { stage: Stage::Login, reply: reply.read(&attempt.terms) };
    Ok((heard, Session::Smtp(Box::new(Dialogue { client, replies }))))
}

/// QUIT. Not lettre's `quit`, which says it twice where the first has no good answer.
pub(super) async fn farewell(mut dialogue: Dialogue) {
    let _ = dialogue.client.command("QUIT\r\n").await;
}

/// EHLO inside TLS, by lettre. A refusal ends it here: lettre would say QUIT and wait for an answer first (P9).
async fn greet(ear: Ear, replies: &mut Replies, attempt: &Attempt<'_>) -> Result<(RawReply, Client), Heard> {
    let stage = Stage::Capability;
    let name = ClientId::Ipv4(Ipv4Addr::LOCALHOST);
    let greeting = async {
        let mut connecting = pin!(AsyncSmtpConnection::connect_with_transport(Box::new(ear), &name));
        let (offered, connected) = hear(connecting.as_mut(), replies, stage).await?;
        let offered = expect(250, offered, stage, &attempt.terms)?;
        let connected = match connected {
            Some(connected) => connected,
            None => connecting.await,
        };
        Ok((offered, connected.map_err(|_| NOT_SMTP)?))
    };
    attempt.terms.deadline.bound(stage, greeting).await
}

/// The one AUTH of this connection, and its last reply.
async fn authenticate(client: &mut Client, replies: &mut Replies, attempt: &Attempt<'_>) -> Result<RawReply, Heard> {
    // What is here already was sent before it was asked for: no answer to what comes now.
    if replies.try_recv().is_ok() {
        return Err(Heard::Violation("the server spoke out of turn"));
    }
    let message = attempt.sasl_plain();
    let mut line = Zeroizing::new(String::with_capacity(message.len() + 16));
    line.push_str("AUTH PLAIN ");
    line.push_str(&message);
    line.push_str("\r\n");
    let first = say(client, &line, replies, attempt).await?;
    if first.code != 334 {
        return Ok(first);
    }
    // A server that ignores an initial response asks for it with an empty challenge (RFC 4954, section 4): still the same
    // AUTH. PLAIN has no other challenge. Hang up rather than cancel: the refusal of a cancelled exchange would read like a
    // refusal of the pair.
    let unasked = Heard::Violation("the server asked for more than the login holds");
    if first.lines.iter().any(|line| !line.trim().is_empty()) {
        return Err(unasked);
    }
    line.replace_range(.."AUTH PLAIN ".len(), "");
    let second = say(client, &line, replies, attempt).await?;
    if second.code == 334 { Err(unasked) } else { Ok(second) }
}

async fn say(client: &mut Client, line: &str, replies: &mut Replies, attempt: &Attempt<'_>) -> Result<RawReply, Heard> {
    let saying = async { Ok(hear(pin!(client.command(line)), replies, Stage::Login).await?.0) };
    attempt.terms.deadline.bound(Stage::Login, saying).await
}

/// Lets lettre work until a reply was heard; its own result, if it is there by then.
pub(super) async fn hear<F: Future>(
    mut doing: Pin<&mut F>,
    replies: &mut Replies,
    stage: Stage,
) -> Result<(RawReply, Option<F::Output>), Heard> {
    let (heard, output) = tokio::select! {
        biased;
        Some(heard) = replies.recv() => (heard, None),
        // Ready without a reply: it could not write.
        output = &mut doing => (replies.try_recv().unwrap_or(Err(Unheard::Io(io::ErrorKind::BrokenPipe.into()))), Some(output)),
    };
    match heard {
        Ok(reply) => Ok((reply, output)),
        Err(Unheard::NotSmtp) => Err(NOT_SMTP),
        Err(Unheard::Io(error)) => Err(tls::heard(&error, stage)),
    }
}

async fn send<S>(lines: &mut Lines<S>, line: &str, stage: Stage, terms: &Terms<'_>) -> Result<(), Heard>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sending = async { lines.send(line).await.map_err(|error| tls::heard_in_clear(&error, stage)) };
    terms.deadline.bound(stage, sending).await
}

async fn next_reply<S: AsyncRead + AsyncWrite + Unpin>(
    lines: &mut Lines<S>,
    stage: Stage,
    in_clear: bool,
    terms: &Terms<'_>,
) -> Result<RawReply, Heard> {
    let heard = if in_clear { tls::heard_in_clear } else { tls::heard };
    let reading = async {
        let mut partial = None;
        loop {
            let line = lines.next().await.map_err(|error| heard(&error, stage))?;
            if in_clear && tls::is_http(line.as_bytes()) {
                return Err(Heard::PlainText { http: true });
            }
            if let Some(reply) = RawReply::add(&mut partial, &line).map_err(|_| NOT_SMTP)? {
                return Ok(reply);
            }
        }
    };
    terms.deadline.bound(stage, reading).await
}

fn expect(code: u16, reply: RawReply, stage: Stage, terms: &Terms<'_>) -> Result<RawReply, Heard> {
    if reply.code == code { Ok(reply) } else { Err(Heard::Smtp { stage, reply: reply.read(terms) }) }
}
