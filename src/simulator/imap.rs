//! IMAP as iCloud speaks it (facts 2.1 to 2.10, 3.1 to 3.6), as far as a login, IDLE and EXAMINE need it.
//!
//! Holds no mail: every mailbox is empty. Never parses more than it must: unknown syntax is `BAD Parse Error`, as there.

use super::{
    Idling,
    fault::Stage,
    login::{Answer, Mechanism, Pair},
    script::Ending,
    session::{Answers, Session},
    wire::{LINE_LIMIT, Over},
};

/// Before the login (fact 2.1), password mechanisms left out.
const BEFORE: &str = "XAPPLEPUSHSERVICE IMAP4 IMAP4rev1";
/// The password mechanisms (facts 2.1, 2.3).
const MECHANISMS: &str = "SASL-IR AUTH=ATOKEN AUTH=PLAIN AUTH=ATOKEN2 AUTH=XOAUTH2";
/// After the login (fact 2.5): no LITERAL+.
const AFTER: &str = "XAPPLEPUSHSERVICE IMAP4 IMAP4rev1 CONDSTORE ENABLE QRESYNC QUOTA XAPPLELITERAL NAMESPACE UIDPLUS \
    UNSELECT SORT ESEARCH ESORT CONTEXT=SORT WITHIN SASL-IR ID IDLE X-APPLE-REMOTE-LINKS LIST-STATUS";
/// Build and host, the varying part of the greeting (fact 2.1).
const HOST: &str = "(2428B47-26126cfe23cd) p00-iscream-simulator";
/// How many literals one command may hold: LOGIN has two.
const LITERALS: usize = 4;

/// Speaks IMAP until the connection is over.
pub(super) async fn serve(session: &mut Session) -> Result<(), Over> {
    session.begin().await?;
    let mut imap = Imap { session, authenticated: false, selected: false, doomed: false };
    imap.greet().await?;
    loop {
        let command = imap.command().await?;
        imap.answer(&command).await?;
    }
}

struct Imap<'a> {
    session: &'a mut Session,
    authenticated: bool,
    /// A mailbox is open.
    selected: bool,
    /// A login was refused: the next command ends the connection (fact 3.6).
    doomed: bool,
}

/// A command: its tag, its name in capitals, its arguments with quotes and literals undone.
struct Command {
    tag: String,
    name: String,
    arguments: Vec<Vec<u8>>,
}

impl Imap<'_> {
    async fn greet(&mut self) -> Result<(), Over> {
        if let Some(said) = self.session.strike(Stage::Greeting, "").await? {
            return self.unless_bye(&said);
        }
        let greeting = format!("* OK [CAPABILITY {}] {HOST}", self.capabilities());
        self.session.wire.say(&greeting).await
    }

    fn unless_bye(&mut self, said: &str) -> Result<(), Over> {
        if said.lines().any(|line| line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("* BYE"))) {
            return Err(self.session.wire.end(Ending::Orderly));
        }
        Ok(())
    }

    fn capabilities(&self) -> String {
        if self.authenticated {
            return AFTER.into();
        }
        let starttls = if self.session.offers_starttls() { " STARTTLS" } else { "" };
        let login = if self.session.offers_login() { MECHANISMS } else { "LOGINDISABLED" };
        format!("{BEFORE}{starttls} {login}")
    }

    /// The next command that can be read; others are answered here.
    async fn command(&mut self) -> Result<Command, Over> {
        loop {
            let mut words = Vec::new();
            let mut literals = 0;
            let readable = loop {
                let line = self.session.line().await?;
                if !split(&line, &mut words) {
                    break false;
                }
                let Some(length) = words.last().and_then(|word| literal_length(word)) else { break true };
                literals += 1;
                if length > LINE_LIMIT || literals > LITERALS {
                    self.session.wire.say("* BYE Literal too long").await?;
                    return Err(self.session.wire.end(Ending::Orderly));
                }
                words.pop();
                self.session.wire.say("+ Ready for literal data").await?;
                words.push(self.session.wire.literal(length).await?);
            };
            let mut words = words.into_iter();
            let mut text = || words.next().and_then(|word| String::from_utf8(word).ok());
            let (tag, name) = (text(), text());
            match (readable, tag, name) {
                (true, Some(tag), Some(name)) => {
                    return Ok(Command { tag, name: name.to_ascii_uppercase(), arguments: words.collect() });
                }
                (_, tag, _) => {
                    let tag = tag.unwrap_or_else(|| "*".into());
                    self.bad(&tag).await?;
                }
            }
        }
    }

    async fn answer(&mut self, command: &Command) -> Result<(), Over> {
        let tag = command.tag.as_str();
        if self.doomed {
            self.note_unanswered(command);
            return Err(self.session.wire.end(Ending::Truncated));
        }
        self.session.connection.note_command(&command.name);
        match (command.name.as_str(), self.authenticated) {
            ("CAPABILITY", _) => {
                if let Some(said) = self.session.strike(Stage::Capability, tag).await? {
                    return self.unless_bye(&said);
                }
                // The blank at the end and the words `OK !!` are iCloud's (fact 2.9).
                let text = format!("* CAPABILITY {} \r\n{tag} OK !!", self.capabilities());
                self.session.wire.say(&text).await
            }
            ("NOOP" | "CHECK", _) | ("CLOSE" | "UNSELECT", true) => self.completed(command).await,
            ("LOGOUT", _) => {
                self.session.wire.say(&format!("* BYE Logging out\r\n{tag} OK LOGOUT completed")).await?;
                Err(self.session.wire.end(Ending::Orderly))
            }
            ("ID", _) => {
                self.session.wire.say("* ID (\"name\" \"iscream\" \"version\" \"simulator\")").await?;
                self.completed(command).await
            }
            ("STARTTLS", false) => self.starttls(tag).await,
            ("LOGIN" | "AUTHENTICATE", true) => {
                self.note_unanswered(command);
                self.bad(tag).await
            }
            ("LOGIN", false) => self.login(command).await,
            ("AUTHENTICATE", false) => self.authenticate(command).await,
            ("IDLE", true) => self.idle(tag).await,
            ("SELECT" | "EXAMINE", true) => self.select(command).await,
            // For other programs: an empty INBOX and nothing else.
            ("LIST", true) => self.untagged("* LIST (\\HasNoChildren) \"/\" INBOX", command).await,
            ("STATUS", true) => self.untagged("* STATUS INBOX (MESSAGES 0 UNSEEN 0)", command).await,
            ("SEARCH" | "UID", true) => self.untagged("* SEARCH", command).await,
            _ => self.bad(tag).await,
        }
    }

    /// What iCloud says to syntax it does not know (fact 2.9).
    async fn bad(&mut self, tag: &str) -> Result<(), Over> {
        self.session.wire.say(&format!("{tag} BAD Parse Error (took 0 ms)")).await
    }

    /// Remembers a login that gets no answer: one command too many.
    fn note_unanswered(&mut self, command: &Command) {
        let (mechanism, pair) = match (command.name.as_str(), command.arguments.as_slice()) {
            ("LOGIN", arguments) => (Mechanism::ImapLogin, login_pair(arguments)),
            ("AUTHENTICATE", [_, message]) => (Mechanism::Plain, Pair::from_plain(message)),
            ("AUTHENTICATE", _) => (Mechanism::Plain, None),
            _ => return,
        };
        let encrypted = self.session.wire.encrypted();
        self.session.connection.note_unanswered(mechanism, encrypted, pair.unwrap_or_default());
    }

    async fn untagged(&mut self, data: &str, command: &Command) -> Result<(), Over> {
        self.session.wire.say(data).await?;
        self.completed(command).await
    }

    async fn completed(&mut self, command: &Command) -> Result<(), Over> {
        self.session.wire.say(&format!("{} OK {} completed", command.tag, command.name)).await
    }

    async fn starttls(&mut self, tag: &str) -> Result<(), Over> {
        if !self.session.offers_starttls() {
            return self.bad(tag).await;
        }
        if let Some(said) = self.session.strike(Stage::StartTls, tag).await? {
            return self.unless_bye(&said);
        }
        self.session.go_ahead(&format!("{tag} OK Begin TLS negotiation now")).await
    }

    async fn login(&mut self, command: &Command) -> Result<(), Over> {
        match login_pair(&command.arguments) {
            Some(pair) => self.attempt(Mechanism::ImapLogin, pair, command, "logged in").await,
            None => self.bad(&command.tag).await,
        }
    }

    /// AUTHENTICATE PLAIN with or without an initial response (RFC 4959; fact 2.4).
    async fn authenticate(&mut self, command: &Command) -> Result<(), Over> {
        let tag = &command.tag;
        let message = match command.arguments.as_slice() {
            [mechanism, initial @ ..] if mechanism.eq_ignore_ascii_case(b"PLAIN") && initial.len() < 2 => {
                if let Some(initial) = initial.first() {
                    initial.clone()
                } else {
                    // Without the blank that RFC 3501 §7.5 asks for (fact 2.9).
                    self.session.wire.say("+").await?;
                    self.session.line().await?
                }
            }
            _ => return self.session.wire.say(&format!("{tag} NO Unsupported authentication mechanism")).await,
        };
        match Pair::from_plain(&message) {
            Some(pair) => self.attempt(Mechanism::Plain, pair, command, "authenticated").await,
            None => self.bad(tag).await,
        }
    }

    async fn attempt(&mut self, mechanism: Mechanism, pair: Pair, command: &Command, done: &str) -> Result<(), Over> {
        let tag = &command.tag;
        let name = pair.username.split_once('@').map_or(pair.username.as_str(), |(short, _)| short);
        // The account's name is in the answer (fact 2.7).
        let accepted = format!("{tag} OK user {name} {done}");
        let rejected = format!("{tag} NO [AUTHENTICATIONFAILED] Authentication Failed");
        let not_offered = format!("{tag} NO [PRIVACYREQUIRED] Logins are disabled");
        let answers = Answers { accepted, rejected, not_offered };
        let (said, answer) = self.session.login(mechanism, pair, tag, answers).await?;
        self.authenticated = answer == Answer::Accepted;
        self.doomed = said.lines().any(|line| line.starts_with(&format!("{tag} NO")));
        self.unless_bye(&said)
    }

    /// IDLE (RFC 2177; fact 2.10): nothing ever happens, and only DONE is taken.
    async fn idle(&mut self, tag: &str) -> Result<(), Over> {
        match self.session.connection.idling() {
            Idling::InMailbox if !self.selected => {
                return self.session.wire.say(&format!("{tag} BAD No mailbox selected")).await;
            }
            Idling::Never => return self.bad(tag).await,
            Idling::Anywhere | Idling::InMailbox => {}
        }
        self.session.wire.say("+ idling").await?;
        self.session.connection.note_idle(true);
        let done = self.session.line().await;
        self.session.connection.note_idle(false);
        let text = if done?.eq_ignore_ascii_case(b"DONE") {
            "OK IDLE completed"
        } else {
            "BAD DONE is the only command allowed after IDLE"
        };
        self.session.wire.say(&format!("{tag} {text}")).await
    }

    /// The INBOX, empty; there is no other mailbox.
    async fn select(&mut self, command: &Command) -> Result<(), Over> {
        let tag = &command.tag;
        let text = match command.arguments.as_slice() {
            [mailbox] if mailbox.eq_ignore_ascii_case(b"INBOX") => {
                self.selected = true;
                let mode = if command.name == "EXAMINE" { "READ-ONLY" } else { "READ-WRITE" };
                format!(
                    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* 0 EXISTS\r\n* 0 RECENT\r\n\
                    * OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 1]\r\n{tag} OK [{mode}] {} completed",
                    command.name
                )
            }
            [_] => format!("{tag} NO Mailbox does not exist"),
            [] => format!("{tag} BAD Parse Error (took 0 ms)"),
            // Fact 2.9.
            _ => format!("{tag} BAD Unexpected extra arguments"),
        };
        self.session.wire.say(&text).await
    }
}

/// The two arguments of LOGIN.
fn login_pair(arguments: &[Vec<u8>]) -> Option<Pair> {
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    match arguments {
        [username, password] => Some(Pair { username: text(username), password: text(password) }),
        _ => None,
    }
}

/// Splits a line at its blanks and undoes quotes (RFC 3501 §4.3). `false` where a quote is left open.
fn split(line: &[u8], words: &mut Vec<Vec<u8>>) -> bool {
    let mut bytes = line.iter().copied().peekable();
    while let Some(first) = bytes.next() {
        match first {
            b' ' => {}
            b'"' => {
                let mut word = Vec::new();
                loop {
                    match bytes.next() {
                        Some(b'"') => break,
                        Some(b'\\') => word.extend(bytes.next()),
                        Some(byte) => word.push(byte),
                        None => return false,
                    }
                }
                words.push(word);
            }
            _ => {
                let mut word = vec![first];
                while let Some(byte) = bytes.next_if(|byte| *byte != b' ') {
                    word.push(byte);
                }
                words.push(word);
            }
        }
    }
    true
}

/// The length in `{123}`. `{123+}` is none: iCloud has no LITERAL+ (fact 2.6).
fn literal_length(word: &[u8]) -> Option<usize> {
    let digits = word.strip_prefix(b"{")?.strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
