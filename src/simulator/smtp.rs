//! Message submission as iCloud speaks it (facts 4.1 to 4.9): Postfix, by all that is known, behind STARTTLS.
//!
//! Takes no mail: a session ends with the login, or with the answer to MAIL.

use super::{
    fault::Stage,
    login::{Answer, Mechanism, Pair, decode},
    script::Ending,
    session::{Answers, Session},
    wire::Over,
};

/// The host as it calls itself (fact 4.4).
const HOST: &str = "p00-icloudmta-asmtp-simulator";
/// The mechanisms after STARTTLS (fact 4.3).
const MECHANISMS: &str = "AUTH LOGIN PLAIN ATOKEN ATOKEN2 WSTOKEN WETOKEN XOAUTH2";

/// Speaks SMTP until the connection is over.
pub(super) async fn serve(session: &mut Session) -> Result<(), Over> {
    session.begin().await?;
    let mut smtp = Smtp { session, authenticated: None, refusing: false };
    smtp.greet().await?;
    loop {
        let line = smtp.session.line().await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        smtp.answer(&line).await?;
    }
}

struct Smtp<'a> {
    session: &'a mut Session,
    /// The full address that logged in.
    authenticated: Option<String>,
    /// The greeting was a refusal: only QUIT is taken (RFC 5321 §3.1).
    refusing: bool,
}

impl Smtp<'_> {
    async fn greet(&mut self) -> Result<(), Over> {
        if let Some(said) = self.session.strike(Stage::Greeting, "").await? {
            self.refusing = !said.starts_with('2');
            return self.unless_421(&said);
        }
        self.session.wire.say(&format!("220 {HOST} ESMTP")).await
    }

    /// 421 announces the end (RFC 5321 §3.8).
    fn unless_421(&mut self, said: &str) -> Result<(), Over> {
        if said.starts_with("421") {
            return Err(self.session.wire.end(Ending::Orderly));
        }
        Ok(())
    }

    async fn answer(&mut self, line: &str) -> Result<(), Over> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb.trim().to_ascii_uppercase().as_str() {
            "QUIT" => {
                self.session.wire.say("221 2.0.0 Bye").await?;
                Err(self.session.wire.end(Ending::Orderly))
            }
            "AUTH" if self.refusing || self.authenticated.is_some() => {
                let (mechanism, message) = rest.split_once(' ').unwrap_or((rest, ""));
                let plain = mechanism.eq_ignore_ascii_case("PLAIN");
                let mechanism = if plain { Mechanism::Plain } else { Mechanism::SaslLogin };
                let pair = if plain { Pair::from_plain(message.as_bytes()) } else { None };
                let encrypted = self.session.wire.encrypted();
                self.session.connection.note_unanswered(mechanism, encrypted, pair.unwrap_or_default());
                self.session.wire.say("503 5.5.1 Error: bad sequence of commands").await
            }
            _ if self.refusing => self.session.wire.say("503 5.5.1 Error: bad sequence of commands").await,
            "EHLO" => self.ehlo().await,
            "HELO" => self.session.wire.say(&format!("250 {HOST}")).await,
            "STARTTLS" => self.starttls().await,
            "AUTH" => self.auth(rest).await,
            "NOOP" | "RSET" => self.session.wire.say("250 2.0.0 Ok").await,
            "MAIL" => self.mail(rest).await,
            _ => self.session.wire.say("502 5.5.2 Error: command not recognized").await,
        }
    }

    async fn ehlo(&mut self) -> Result<(), Over> {
        if let Some(said) = self.session.strike(Stage::Capability, "").await? {
            return self.unless_421(&said);
        }
        // The list and its order after STARTTLS: fact 4.3. The one before it is not known (fact 4.5).
        let mut lines = vec![HOST, "PIPELINING", "SIZE 28319744", "ETRN"];
        if self.session.offers_starttls() {
            lines.push("STARTTLS");
        }
        if self.session.offers_login() {
            lines.push(MECHANISMS);
        }
        lines.extend(["ENHANCEDSTATUSCODES", "8BITMIME", "DSN"]);
        self.session.wire.say(&format!("250-{}\r\n250 SMTPUTF8", lines.join("\r\n250-"))).await
    }

    async fn starttls(&mut self) -> Result<(), Over> {
        if !self.session.offers_starttls() {
            return self.session.wire.say("502 5.5.1 Error: command not implemented").await;
        }
        if let Some(said) = self.session.strike(Stage::StartTls, "").await? {
            return self.unless_421(&said);
        }
        self.session.go_ahead("220 2.0.0 Ready to start TLS").await
    }

    /// AUTH (RFC 4954) with PLAIN and LOGIN, each with or without an initial response.
    async fn auth(&mut self, arguments: &str) -> Result<(), Over> {
        let mut words = arguments.split_whitespace();
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let initial = words.next().map(str::as_bytes).map(<[u8]>::to_vec);
        let pair = match mechanism.as_str() {
            "PLAIN" => {
                let Some(message) = self.response(initial, "").await? else { return Ok(()) };
                Pair::from_plain(&message).map(Pair::oneself)
            }
            "LOGIN" => {
                let Some(username) = self.response(initial, "VXNlcm5hbWU6").await? else { return Ok(()) };
                let Some(password) = self.response(None, "UGFzc3dvcmQ6").await? else { return Ok(()) };
                decode(&username).zip(decode(&password)).map(|(username, password)| Pair { username, password })
            }
            _ => return self.session.wire.say("504 5.5.4 Unrecognized authentication type").await,
        };
        let Some(pair) = pair else {
            return self.session.wire.say("501 5.5.2 Error: cannot decode the response").await;
        };
        let (mechanism, reason) = if mechanism == "PLAIN" {
            (Mechanism::Plain, "authentication failure")
        } else {
            // Postfix echoes the last challenge (fact 4.4 and its use).
            (Mechanism::SaslLogin, "UGFzc3dvcmQ6")
        };
        let answers = Answers {
            accepted: "235 2.7.0 Authentication successful".into(),
            // The connection stays open after it (fact 4.7).
            rejected: format!("535 5.7.8 Error: authentication failed: {reason}"),
            not_offered: if self.session.wire.encrypted() {
                "503 5.5.1 Error: authentication not enabled".into()
            } else {
                "530 5.7.0 Must issue a STARTTLS command first".into()
            },
        };
        let username = pair.username.clone();
        let (said, answer) = self.session.login(mechanism, pair, "", answers).await?;
        self.authenticated = (answer == Answer::Accepted).then_some(username);
        self.unless_421(&said)
    }

    /// The initial response, or the answer to a challenge. `None` where the client cancelled (RFC 4954 §4).
    async fn response(&mut self, initial: Option<Vec<u8>>, challenge: &str) -> Result<Option<Vec<u8>>, Over> {
        if let Some(initial) = initial {
            return Ok(Some(initial));
        }
        self.session.wire.say(&format!("334 {challenge}")).await?;
        let line = self.session.line().await?;
        if line == b"*" {
            self.session.wire.say("501 5.7.0 Authentication aborted").await?;
            return Ok(None);
        }
        Ok(Some(line))
    }

    /// Any other sender than the account's is refused after a good login (fact 4.9).
    async fn mail(&mut self, arguments: &str) -> Result<(), Over> {
        let text = match &self.authenticated {
            None => "530 5.7.0 Authentication required",
            Some(own) if arguments.to_ascii_lowercase().contains(&format!("<{}>", own.to_ascii_lowercase())) => {
                "250 2.1.0 Ok"
            }
            Some(_) => "550 5.7.0 From address is not one of your addresses",
        };
        self.session.wire.say(text).await
    }
}
