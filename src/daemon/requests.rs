//! What the socket asks, answered from the loop.

use tracing::{error, info};

use super::{Daemon, RunError, Waiting};
use crate::{
    api::{ExplainDocument, RationUsedUp, Request, Reservation, Time, UnknownName, UnknownReservation},
    health::{event::Event, name::CredentialName},
};

impl Daemon {
    /// Answers a request, or keeps its reply until its rounds are done. One that cannot be written down now gets none: the
    /// socket then says why.
    pub(super) fn request(&mut self, request: Request) -> Result<(), RunError> {
        // A reply that cannot be sent belongs to a client that went away.
        match request {
            Request::Status { names, reply } => {
                let _ = reply.send(self.document().only(&names));
            }
            Request::Check { names, wait: _, reply } => {
                if let Some(unknown) = self.unknown(&names) {
                    let _ = reply.send(Err(unknown));
                    return Ok(());
                }
                self.next_request += 1;
                let request = self.next_request;
                self.waiting.retain(|_, waiting| !waiting.reply.is_closed());
                self.waiting.insert(request, Waiting { names: names.clone(), reply });
                if !self.wish(Event::Check { request, names })? {
                    self.waiting.remove(&request);
                }
            }
            Request::Subscribe { reply } => {
                let _ = reply.send(self.stream.subscribe());
            }
            Request::Snooze { target, length, reply } => {
                let answer = match self.heart.snoozable(&target) {
                    Ok(account) => self.snooze(account, length)?.then(|| Ok(self.document())),
                    Err(error) => Some(Err(error)),
                };
                if let Some(answer) = answer {
                    let _ = reply.send(answer);
                }
            }
            Request::Unsnooze { target, reply } => {
                let answer = match self.heart.account_of(&target) {
                    Ok(account) => self.wish(Event::Unsnooze { account })?.then(|| Ok(self.document())),
                    Err(unknown) => Some(Err(unknown)),
                };
                if let Some(answer) = answer {
                    let _ = reply.send(answer);
                }
            }
            Request::Pause { length, reply } => {
                if self.wish(Event::Pause { length })? {
                    info!("paused: nothing is done by itself");
                    let _ = reply.send(self.document());
                }
            }
            Request::Resume { reply } => {
                if self.wish(Event::Resume)? {
                    info!("resumed");
                    let _ = reply.send(self.document());
                }
            }
            Request::History { query, reply } => {
                let _ = reply.send(self.heart.past().history(&query));
            }
            Request::Explain { target, reply } => {
                let daemon = self.document().daemon;
                let answer = self.heart.past().explain(target.as_deref());
                let _ = reply.send(answer.map(|document| Box::new(ExplainDocument { daemon, ..document })));
            }
            Request::Reload { reply } => {
                let _ = reply.send(self.reload()?);
            }
            Request::Reserve { account, reply } => {
                if !self.can_write()? {
                    return Ok(());
                }
                let answer = match self.heart.reserve(&account) {
                    Err(error) => return self.stand_still(error).map(drop),
                    Ok(Ok(id)) => {
                        let left = self.heart.engine().logins_left(&account, self.heart.now());
                        Ok(Reservation { id, left })
                    }
                    Ok(Err(frees_at)) => {
                        Err(RationUsedUp { frees_at: Some(Time::new(frees_at, self.heart.offset_ms())) })
                    }
                };
                let _ = reply.send(answer);
            }
            Request::Settle { id, rejected, reply } => {
                if !self.can_write()? {
                    return Ok(());
                }
                match self.heart.settle(id, rejected) {
                    Err(error) => return self.stand_still(error).map(drop),
                    Ok(known) => drop(reply.send(if known { Ok(()) } else { Err(UnknownReservation) })),
                }
            }
            Request::Tally { reply } => {
                let _ = reply.send(self.heart.tally().map_err(|error| error.to_string()));
            }
            Request::Ping { reply } => {
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    fn unknown(&self, names: &[CredentialName]) -> Option<UnknownName> {
        let unknown = names.iter().find(|name| !self.heart.engine().knows(name))?;
        error!("asked for an unknown credential: {unknown}");
        let accounts = &self.heart.config().accounts;
        let known = accounts.iter().flat_map(|account| &account.credentials).map(|credential| &credential.name);
        Some(UnknownName::credential(unknown, known))
    }
}
