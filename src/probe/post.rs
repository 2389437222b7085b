//! A message handed to a submission server (RFC 6409): the way of an attempt up to its login, then MAIL, RCPT, DATA.
//!
//! One AUTH and one message per connection. Asks the caller before the message is given, since from there on nobody
//! can tell whether it went out. Retries nothing and decides nothing about passwords.

use std::{pin::pin, sync::Arc, time::Duration};

use lettre::{
    Message,
    transport::smtp::commands::{Data, Mail, Rcpt},
};
use tokio::time::timeout;

use super::{Deadline, FAREWELL, Prober, Session, Target, Terms, contained, ear::RawReply, redactor, smtp};
use crate::{
    classify::{Heard, Stage, redact::shown},
    health::evidence::Outcome,
    secret::AppPassword,
};

/// For MAIL, RCPT and DATA together.
const ENVELOPE: Duration = Duration::from_secs(60);
/// For the answer to the message. A server that looks into it may take long (RFC 5321, section 4.5.3.2.6, knows ten minutes).
const VERDICT: Duration = Duration::from_secs(5 * 60);

/// What became of a message. Words are the server's, redacted, or ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The server has it.
    Taken,
    /// There was no login; or none was accepted.
    NotIn {
        /// What was heard.
        outcome: Outcome,
        /// It was a 5xx in answer to AUTH: it will be no other the next time.
        refused: bool,
    },
    /// Logged in, and the server takes no such message.
    Refused(String),
    /// Logged in, and the connection failed before the message was given.
    Lost(String),
    /// The message was given, and no answer came: it may arrive or not.
    Unanswered(String),
    /// The caller did not want the message to be given any more.
    Withheld,
}

impl Prober {
    /// Logs in at `target` and hands over `letter`. `giving` is awaited right before the message itself is sent; where it says
    /// no, nothing is. Dropping the future ends it all. A panic inside is `Lost`, or `Unanswered`.
    pub async fn post(
        self: Arc<Self>,
        target: Target,
        password: Arc<AppPassword>,
        letter: Message,
        giving: impl Future<Output = bool> + Send + 'static,
    ) -> Posted {
        let given = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = Arc::clone(&given);
        let giving = async move {
            let goes = giving.await;
            given.store(goes, std::sync::atomic::Ordering::Relaxed);
            goes
        };
        let sending = contained(async move { self.hand_over(&target, &password, &letter, giving).await });
        sending.await.unwrap_or_else(|heard| {
            let words = shown(&heard.to_string());
            if seen.load(std::sync::atomic::Ordering::Relaxed) {
                Posted::Unanswered(words)
            } else {
                Posted::Lost(words)
            }
        })
    }

    async fn hand_over(
        &self,
        target: &Target,
        password: &AppPassword,
        letter: &Message,
        giving: impl Future<Output = bool> + Send,
    ) -> Posted {
        let redactor = redactor(target, password);
        let terms = Terms { redactor: &redactor, deadline: Deadline::of(target.timeout) };
        let not_in = |heard: Heard, took| {
            let refused =
                matches!(&heard, Heard::Smtp { stage: Stage::Login, reply } if (500..600).contains(&reply.code));
            Posted::NotIn { outcome: heard.into_outcome(took), refused }
        };
        let (talked, took) = match self.reach(target, password, terms).await {
            Ok(reached) => reached,
            Err(heard) => return not_in(heard, None),
        };
        let (heard, mut dialogue) = match talked {
            Ok((heard, Session::Smtp(dialogue))) => (heard, dialogue),
            // A target for mail is SMTP.
            Ok((heard, Session::Imap(_))) | Err(heard) => return not_in(heard, Some(took)),
        };
        let posted = if matches!(&heard, Heard::Smtp { reply, .. } if reply.code == 235) {
            submit(&mut dialogue, letter, terms, giving).await
        } else {
            not_in(heard, Some(took))
        };
        match posted {
            // In the middle of DATA there is no QUIT; without an answer nobody listens.
            Posted::Withheld | Posted::Unanswered(_) | Posted::Lost(_) => {}
            Posted::Taken | Posted::NotIn { .. } | Posted::Refused(_) => {
                let _ = timeout(FAREWELL, smtp::farewell(*dialogue)).await;
            }
        }
        posted
    }
}

/// From MAIL to the answer to the message (RFC 5321, section 3.3).
async fn submit(
    dialogue: &mut smtp::Dialogue,
    letter: &Message,
    terms: Terms<'_>,
    giving: impl Future<Output = bool>,
) -> Posted {
    let envelope = Terms { deadline: Deadline::of(ENVELOPE), ..terms };
    let mail = Mail::new(letter.envelope().from().cloned(), Vec::new()).to_string();
    let receivers = letter.envelope().to().iter().map(|to| (Rcpt::new(to.clone(), Vec::new()).to_string(), 2));
    for (line, wanted) in std::iter::once((mail, 2)).chain(receivers).chain([(Data.to_string(), 3)]) {
        match say(dialogue, &line, envelope).await {
            Ok(reply) if reply.code / 100 == wanted => {}
            Ok(reply) => return Posted::Refused(shown(&reply.read(&terms).to_string())),
            Err(heard) => return Posted::Lost(shown(&heard.to_string())),
        }
    }
    if !giving.await {
        return Posted::Withheld;
    }
    let deadline = Deadline::of(VERDICT);
    // The end of the message brings the last line end with it.
    let text = letter.formatted();
    let text = text.strip_suffix(b"\r\n").unwrap_or(&text);
    let smtp::Dialogue { client, replies } = dialogue;
    let giving = async { Ok(smtp::hear(pin!(client.message(text)), replies, Stage::Message).await?.0) };
    match deadline.bound(Stage::Message, giving).await {
        Ok(reply) if (200..300).contains(&reply.code) => Posted::Taken,
        Ok(reply) => Posted::Refused(shown(&reply.read(&terms).to_string())),
        Err(heard) => Posted::Unanswered(shown(&heard.to_string())),
    }
}

async fn say(dialogue: &mut smtp::Dialogue, line: &str, terms: Terms<'_>) -> Result<RawReply, Heard> {
    let smtp::Dialogue { client, replies } = dialogue;
    // What is here already is no answer to what comes now.
    if replies.try_recv().is_ok() {
        return Err(Heard::Violation("the server spoke out of turn"));
    }
    let saying = async { Ok(smtp::hear(pin!(client.command(line)), replies, Stage::Message).await?.0) };
    terms.deadline.bound(Stage::Message, saying).await
}
