//! What happens, as it is told to other programs: the stream `GET /v1/events` and the object that hooks are given.
//!
//! Decides the form of each event and its framing as a server-sent event (WHATWG HTML, section 9.2). Keeps no history.

use serde::{Deserialize, Serialize};

use super::{
    Time,
    document::{AccountDocument, IncidentDocument, SCHEMA},
};
use crate::health::{
    alert::Message,
    credential::{Health, Transition},
    incident::{Incident, IncidentCause},
    name::{Address, CredentialName},
    outbox::Tidings,
    view::AccountStatus,
};

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// A credential's health changed.
    Transition(TransitionDocument),
    /// People are told of an incident.
    Incident(IncidentMessage),
}

/// A change of health, as the history shows it; with `from` and `to` the same, of the cause behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionDocument {
    /// Grows by one with each.
    pub id: u64,
    /// When.
    pub at: Time,
    /// Whose.
    pub account: Address,
    /// Which.
    pub credential: CredentialName,
    /// From.
    pub from: Health,
    /// To.
    pub to: Health,
    /// The cause of the account's incident at that moment.
    pub cause: Option<IncidentCause>,
    /// Concluded from its siblings, not asked itself.
    pub presumed: bool,
    /// Why, in words. (Beyond the contract.)
    #[serde(default)]
    pub reason: String,
}

impl TransitionDocument {
    /// The wall clock is `offset_ms` ahead of keypulse's time line.
    #[must_use]
    pub fn build(transition: &Transition, offset_ms: i64) -> Self {
        Self {
            id: transition.id,
            at: Time::new(transition.at, offset_ms),
            account: transition.account.clone(),
            credential: transition.credential.clone(),
            from: transition.from,
            to: transition.to,
            cause: transition.cause,
            presumed: transition.presumed,
            reason: transition.reason.clone(),
        }
    }
}

/// What became of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncidentEvent {
    /// It is new.
    #[serde(rename = "incident-opened")]
    Opened,
    /// Its cause or its credentials changed.
    #[serde(rename = "incident-changed")]
    Changed,
    /// It still stands.
    #[serde(rename = "incident-reminder")]
    Reminder,
    /// It is over.
    #[serde(rename = "incident-resolved")]
    Resolved,
}

impl IncidentEvent {
    /// The word used in JSON and in `KEYPULSE_EVENT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "incident-opened",
            Self::Changed => "incident-changed",
            Self::Reminder => "incident-reminder",
            Self::Resolved => "incident-resolved",
        }
    }
}

impl From<Tidings> for IncidentEvent {
    fn from(tidings: Tidings) -> Self {
        match tidings {
            Tidings::Opened | Tidings::PutBack => Self::Opened,
            Tidings::Changed => Self::Changed,
            Tidings::Reminder => Self::Reminder,
            Tidings::Resolved => Self::Resolved,
        }
    }
}

/// The object that a hook reads on its standard input, and the data of the stream's `incident`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentMessage {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What became of it.
    pub event: IncidentEvent,
    /// The account as in the status document, with this incident.
    pub account: AccountDocument,
    /// The same for people. (Beyond the contract; none from a daemon of before.)
    #[serde(default)]
    pub message: Option<Words>,
}

/// What a person reads: plain text, with the way to Apple in words and no link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// One line.
    pub title: String,
    /// A few.
    pub body: String,
}

impl From<Message> for Words {
    fn from(Message { title, body, critical: _ }: Message) -> Self {
        Self { title, body }
    }
}

impl IncidentMessage {
    /// `incident` takes the place of the account's open one, so that a closed incident can be told; `words` are
    /// [`alert::letter`](crate::health::alert::letter)'s.
    #[must_use]
    pub fn build(
        event: IncidentEvent,
        account: &AccountStatus,
        incident: &Incident,
        words: Message,
        offset_ms: i64,
    ) -> Self {
        let mut account = AccountDocument::build(account, offset_ms);
        account.incident = Some(IncidentDocument::build(incident, offset_ms));
        Self { schema: SCHEMA, event, account, message: Some(words.into()) }
    }
}

impl StreamEvent {
    const TRANSITION: &str = "transition";
    const INCIDENT: &str = "incident";

    /// The event's name in the stream.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transition(_) => Self::TRANSITION,
            Self::Incident(_) => Self::INCIDENT,
        }
    }

    /// Its data: one line of JSON.
    #[must_use]
    pub fn data(&self) -> String {
        let json = match self {
            Self::Transition(transition) => serde_json::to_string(transition),
            Self::Incident(message) => serde_json::to_string(message),
        };
        // Plain structs with string keys: there is nothing in them that JSON cannot write.
        json.unwrap_or_default()
    }

    /// The event on the wire.
    pub(super) fn frame(&self) -> String {
        format!("event: {}\ndata: {}\n\n", self.name(), self.data())
    }

    /// The event in one block of lines between two empty lines. `None`: a comment, or an event of a later keypulse.
    pub(super) fn parse(block: &str) -> Result<Option<Self>, serde_json::Error> {
        let (mut name, mut data) = ("", String::new());
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value,
                "data" => data.push_str(value),
                _ => {}
            }
        }
        match name {
            Self::TRANSITION => serde_json::from_str(&data).map(Self::Transition).map(Some),
            Self::INCIDENT => serde_json::from_str(&data).map(Self::Incident).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::sample;

    fn transition() -> StreamEvent {
        StreamEvent::Transition(TransitionDocument::build(
            &Transition {
                id: 42,
                at: sample::NOW,
                account: Address::new("jane@me.com").unwrap(),
                credential: sample::name("mutt"),
                from: Health::Healthy,
                to: Health::Suspect,
                reason: "refused by imap".into(),
                cause: None,
                presumed: false,
            },
            0,
        ))
    }

    #[test]
    fn a_transition_is_framed_as_the_contract_has_it() {
        let expected = concat!(
            "event: transition\n",
            r#"data: {"id":42,"at":"2026-11-22T20:00:00Z","account":"jane@me.com","credential":"mutt","#,
            r#""from":"healthy","to":"suspect","cause":null,"presumed":false,"reason":"refused by imap"}"#,
            "\n\n",
        );
        assert_eq!(transition().frame(), expected);
        assert_eq!(StreamEvent::parse(expected).unwrap(), Some(transition()));
    }

    #[test]
    fn a_resolved_incident_carries_the_closed_one() {
        let mut account = sample::accounts().remove(0);
        let mut closed = account.incident.take().unwrap();
        closed.resolved_at = Some(sample::NOW);
        let words = Message { title: "iCloud works again".to_owned(), body: "…".to_owned(), critical: false };
        let message = IncidentMessage::build(IncidentEvent::Resolved, &account, &closed, words, 0);
        let json = serde_json::to_value(&message).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["event"], "incident-resolved");
        assert_eq!(json["account"]["address"], "johnappleseed@icloud.com");
        assert_eq!(json["account"]["incident"]["resolved_at"], "2026-11-22T20:00:00Z");
        assert_eq!(json["message"], serde_json::json!({"title": "iCloud works again", "body": "…"}));
        let event = StreamEvent::Incident(message);
        assert_eq!(StreamEvent::parse(&event.frame()).unwrap(), Some(event));
    }

    #[test]
    fn events_are_named_as_serde_names_them() {
        for event in [IncidentEvent::Opened, IncidentEvent::Changed, IncidentEvent::Reminder, IncidentEvent::Resolved] {
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
    }

    #[test]
    fn comments_and_later_events_are_passed_over() {
        assert_eq!(StreamEvent::parse(": still here\n\n").unwrap(), None);
        assert_eq!(StreamEvent::parse("event: weather\ndata: {}\n\n").unwrap(), None);
        assert!(StreamEvent::parse("event: transition\ndata: {}\n\n").is_err());
    }
}
