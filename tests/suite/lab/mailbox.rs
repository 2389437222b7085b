//! A mailbox: what Postfix delivered, read back from Dovecot by Python's own IMAP and mail parser.

use serde::Deserialize;

use super::{
    Mail,
    process::{clean, run, until},
};

/// Logs in, and prints every message as a program for mail reads it.
const READER: &str = r#"
import email, email.policy, imaplib, json, ssl, sys
port, ca, user, password = sys.argv[1:]
box = imaplib.IMAP4_SSL("127.0.0.1", int(port), ssl_context=ssl.create_default_context(cafile=ca))
box.login(user, password)
box.select("INBOX", readonly=True)
found = []
for number in box.search(None, "ALL")[1][0].split():
    raw = box.fetch(number, "(BODY.PEEK[])")[1][0][1]
    message = email.message_from_bytes(raw, policy=email.policy.default)
    found.append({"subject": message["Subject"], "from": message["From"], "to": message["To"], "id": message["Message-ID"],
        "references": message["References"], "auto": message["Auto-Submitted"], "date": message["Date"],
        "kind": message.get_content_type(), "text": message.get_content().replace("\r\n", "\n"), "raw": raw.decode()})
box.logout()
print(json.dumps(found))
"#;

/// A message as it arrived.
#[derive(Clone, Debug, Deserialize)]
pub struct Letter {
    /// `Subject`, decoded.
    pub subject: String,
    /// `From`.
    pub from: String,
    /// `To`.
    pub to: String,
    /// `Message-ID`.
    pub id: String,
    /// `References`.
    pub references: String,
    /// `Auto-Submitted`.
    pub auto: String,
    /// `Date`.
    pub date: String,
    /// Its content type.
    pub kind: String,
    /// The text, decoded.
    pub text: String,
    /// All of it, as it came.
    pub raw: String,
}

/// Somebody who gets mail.
pub struct Mailbox<'mail> {
    mail: &'mail Mail,
}

impl<'mail> Mailbox<'mail> {
    /// The one address that Postfix delivers to.
    pub const ADDRESS: &'static str = "me@example.org";
    const PASSWORD: &'static str = "My-Own-Mailbox-1";

    /// Opens it.
    pub fn of(mail: &'mail Mail) -> Self {
        mail.dovecot.set_password(Self::ADDRESS, Self::PASSWORD);
        Self { mail }
    }

    /// What is in it, oldest first.
    #[track_caller]
    pub fn letters(&self) -> Vec<Letter> {
        let mut reader = clean("python3");
        reader.args(["-c", READER, &self.mail.dovecot.implicit_port().to_string()]);
        reader.arg(self.mail.certificates.ca()).args([Self::ADDRESS, Self::PASSWORD]);
        serde_json::from_str(&run(&mut reader, "").ok()).unwrap()
    }

    /// Waits for a message with this in its subject.
    #[track_caller]
    pub fn until(&self, subject: &str) -> Letter {
        until(&format!("mail about {subject:?}"), || {
            self.letters().into_iter().find(|letter| letter.subject.contains(subject))
        })
    }

    /// The subjects, oldest first.
    #[track_caller]
    pub fn subjects(&self) -> Vec<String> {
        self.letters().into_iter().map(|letter| letter.subject).collect()
    }
}
