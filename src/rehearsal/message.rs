//! What a channel would have been given in a rehearsal, word for word, marked as a test.
//!
//! Never gives it to anybody.

use super::perform::Played;
use crate::{
    api::{IncidentEvent, IncidentMessage},
    health::{
        alert,
        incident::IncidentCause,
        name::Address,
        outbox::{Channel, Tidings},
    },
    host::{clock, letter},
};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// For whom.
    pub channel: Channel,
    /// What became of the incident.
    pub tidings: Tidings,
    /// Its cause.
    pub cause: IncidentCause,
    /// Whose it is.
    pub account: Address,
    /// Its number within the play.
    pub incident: u64,
    /// The words for a person; the title begins with "Test:".
    pub words: alert::Message,
    /// The object for a hook.
    pub payload: IncidentMessage,
}

impl Message {
    /// The event of it for hooks.
    #[must_use]
    pub fn event(&self) -> IncidentEvent {
        IncidentEvent::from(self.tidings)
    }
}

/// Every message that a channel took.
pub(super) fn messages(played: &[Played]) -> Vec<Message> {
    let told = played.iter().flat_map(|act| &act.told);
    told.filter_map(|(told, offset)| {
        let (account, delivery) = (&told.order.account, &told.order.delivery);
        let incident = account.incident.as_ref()?;
        let local = |at| clock::local(at, told.at, *offset);
        let (tidings, credentials) = (delivery.tidings, &account.credentials);
        let for_programs = alert::letter(tidings, &account.address, incident, credentials, &local).test();
        let words = match delivery.channel {
            Channel::Desktop => alert::message(tidings, &account.address, incident, credentials, &local).test(),
            Channel::Hook => for_programs.clone(),
            Channel::Email => {
                let sender = letter::sender(told.at, *offset);
                let dated = |at| letter::dated(at, *offset);
                alert::mail(tidings, &account.address, incident, credentials, &dated, &sender).test()
            }
        };
        Some(Message {
            channel: delivery.channel,
            tidings,
            cause: incident.cause,
            account: account.address.clone(),
            incident: incident.id,
            words,
            payload: IncidentMessage::build(IncidentEvent::from(tidings), account, incident, for_programs, *offset),
        })
    })
    .collect()
}
