//! What both services have in common: the order of stages, the login with its note, the end from outside.
//!
//! Decides nothing of the protocols: those are in `imap.rs` and `smtp.rs`.

use std::sync::Arc;

use super::{
    Security,
    ca::Certificates,
    connection::Connection,
    fault::{Fault, Stage},
    login::{Answer, Mechanism, Pair},
    script::{Action, Ending},
    state::Farewell,
    wire::{Over, Wire, with_tag},
};
use crate::health::evidence::Service;

/// One connection from its first byte to its last.
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) connection: Connection,
    pub(super) service: Service,
    pub(super) security: Security,
    pub(super) certificates: Arc<Certificates>,
}

/// What to say to a login when no fault says otherwise.
pub(super) struct Answers {
    /// To a right pair.
    pub(super) accepted: String,
    /// To a wrong one.
    pub(super) rejected: String,
    /// To one that came in the clear or although logins are switched off.
    pub(super) not_offered: String,
}

impl Session {
    /// The stages before the greeting.
    pub(super) async fn begin(&mut self) -> Result<(), Over> {
        self.strike(Stage::Connect, "").await?;
        match self.security {
            Security::Implicit => self.handshake().await,
            Security::StartTls => Ok(()),
        }
    }

    /// Completes TLS, or what a fault makes of it.
    pub(super) async fn handshake(&mut self) -> Result<(), Over> {
        self.wire.hello().await?;
        if self.strike(Stage::Handshake, "").await?.is_some() {
            return Err(self.wire.end(Ending::Truncated));
        }
        self.wire.encrypt(self.certificates.acceptor(self.connection.fault.as_ref())).await?;
        self.strike(Stage::AfterTls, "").await.map(|_| ())
    }

    /// Lets the connection's fault strike, if this is its stage. Returns what was said in place of the usual.
    pub(super) async fn strike(&mut self, stage: Stage, tag: &str) -> Result<Option<String>, Over> {
        let action = self.connection.fault.as_ref().and_then(|fault| fault.at(stage, self.service, self.security));
        let Some(action) = action else { return Ok(None) };
        let said = self.wire.carry_out(action, tag).await?;
        if stage == Stage::Connect {
            // Whoever says something here has said it all: it is a web server, or nobody's.
            return Err(self.wire.end(Ending::Orderly));
        }
        Ok(Some(said))
    }

    /// Whether STARTTLS is to be had at this point.
    pub(super) fn offers_starttls(&self) -> bool {
        self.security == Security::StartTls
            && !self.wire.encrypted()
            && !self.connection.suffers(&Fault::StartTlsNotOffered)
    }

    /// Whether a password is taken at this point: never in the clear (facts 1.6, 1.7).
    pub(super) fn offers_login(&self) -> bool {
        self.wire.encrypted() && !self.connection.suffers(&Fault::LoginDisabled)
    }

    /// Says go ahead and completes TLS; with what the fault injects, in one write.
    pub(super) async fn go_ahead(&mut self, words: &str) -> Result<(), Over> {
        let injected = match &self.connection.fault {
            Some(Fault::InjectedBeforeTls(bytes)) => bytes.as_str(),
            Some(_) | None => "",
        };
        let bytes = [words, "\r\n", injected].concat();
        self.wire.raw(bytes.as_bytes()).await?;
        self.handshake().await
    }

    /// Judges a pair, notes it, answers. Returns what was said and what that means.
    pub(super) async fn login(
        &mut self,
        mechanism: Mechanism,
        pair: Pair,
        tag: &str,
        answers: Answers,
    ) -> Result<(String, Answer), Over> {
        let judgement = self.connection.judge(&pair).await;
        let at = |stage| judgement.fault.as_ref().and_then(|fault| fault.at(stage, self.service, self.security));
        let (action, afterwards) = (at(Stage::Login), at(Stage::AfterLogin));
        let usual = if !self.offers_login() {
            answers.not_offered
        } else if judgement.taken {
            answers.accepted
        } else {
            answers.rejected
        };
        let answer = match &action {
            None => Answer::of(self.service, tag, &usual),
            Some(Action::Say(bytes)) => Answer::of(self.service, tag, &String::from_utf8_lossy(&with_tag(bytes, tag))),
            Some(Action::Hang | Action::End(_) | Action::Endless(..)) => Answer::Otherwise,
        };
        // Noted first: whoever has read the answer finds it in the log.
        self.connection.note(mechanism, self.wire.encrypted(), pair, &judgement, answer);
        let said = if let Some(action) = action {
            self.wire.carry_out(action, tag).await?
        } else {
            self.wire.say(&usual).await?;
            usual
        };
        if let Some(action) = afterwards {
            self.wire.carry_out(action, tag).await?;
        }
        Ok((said, answer))
    }

    /// The next line, unless the session is ended from outside before it comes.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, Over> {
        let farewell = tokio::select! {
            line = self.wire.line() => match line? {
                Some(line) => return Ok(line),
                None => None,
            },
            farewell = self.connection.dismissed() => Some(farewell),
        };
        let words = match (farewell, self.service) {
            (None, Service::Imap) => "* BYE Line too long",
            (None, Service::Smtp) => "500 5.5.2 Error: line too long",
            (Some(Farewell::Bye), Service::Imap) => "* BYE Session is no longer valid",
            (Some(Farewell::Bye), Service::Smtp) => "421 4.7.0 Session is no longer valid",
            (Some(Farewell::Cut), _) => return Err(self.wire.end(Ending::Truncated)),
        };
        self.wire.say(words).await?;
        Err(self.wire.end(Ending::Orderly))
    }
}
