//! Messages on their way to their channels.
//!
//! How each went comes back as `Event::Delivered`.

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Daemon, Told, heart::Effect};
use crate::{
    api::{IncidentEvent, IncidentMessage},
    health::{
        alert::{self, Message},
        event::{Handover, Order},
        outbox::{Channel, Tidings},
    },
    host::{
        clock,
        desktop::{Desktop, DesktopEvent, Notice, Offer, ShownAs},
        hook::{self, HookEvent},
    },
};

/// A message on its way to the desktop.
pub(super) struct Showing {
    /// The delivery that waits for the answer.
    pub(super) id: u64,
    /// As it is shown.
    pub(super) message: Message,
}

impl Daemon {
    /// Hands a message to its channel.
    pub(super) fn deliver(&mut self, order: &Order) {
        match order.delivery.channel {
            Channel::Desktop => self.deliver_to_desktop(order),
            Channel::Hook => self.deliver_to_hook(order),
        }
    }

    /// Starts or ends the desktop channel, as the configuration says.
    pub(super) fn mind_desktop(&mut self, events: &mut Option<mpsc::Receiver<DesktopEvent>>) {
        match (self.heart.config().notify.desktop, self.desktop.take()) {
            (true, None) => {
                let (desktop, happening) = Desktop::start(self.options.test);
                for (incident, shown) in self.left_on_desktop() {
                    desktop.adopt(incident, shown);
                }
                *events = Some(happening);
                self.desktop = Some(desktop);
                self.clear_snoozed();
            }
            (false, Some(desktop)) => {
                for (incident, shown) in self.left_on_desktop() {
                    desktop.withdraw(incident, Some(shown));
                }
                // Nobody will say any more what became of these.
                for Showing { id, .. } in std::mem::take(&mut self.showing).into_values() {
                    self.answer(id, Handover::Done(None));
                }
                *events = None;
            }
            (_, desktop) => self.desktop = desktop,
        }
    }

    /// Writes down where messages on their way to the desktop came to stand: the next run would put them there a second
    /// time, and could never close the first. No login comes of it: those begin with a secret, and none is read any more.
    pub(super) async fn hear_the_desktop_out(&mut self, events: &mut Option<mpsc::Receiver<DesktopEvent>>) {
        while !self.showing.is_empty() {
            let Some(event) = super::next(events.as_mut()).await else { return };
            if let Err(error) = self.desktop_event(event) {
                warn!("failed to {error}");
                return;
            }
        }
    }

    /// What stands on the desktop as far as is known.
    fn left_on_desktop(&self) -> Vec<(u64, ShownAs)> {
        let standing = self.heart.engine().standing_on(Channel::Desktop);
        standing.into_iter().filter_map(|(incident, receipt)| Some((incident, receipt.parse().ok()?))).collect()
    }

    pub(super) fn answer(&self, id: u64, result: Handover) {
        drop(self.heart.effects().send(Effect::Delivered { id, result }));
    }

    fn deliver_to_desktop(&mut self, order: &Order) {
        let (id, tidings) = (order.delivery.id, order.delivery.tidings);
        let Some(desktop) = self.desktop.clone() else {
            // Switched off since: there is nobody to tell.
            return self.answer(id, Handover::Done(None));
        };
        let Some(incident) = &order.account.incident else { return self.answer(id, Handover::Done(None)) };
        let (now, offset) = (self.heart.now(), self.heart.offset_ms());
        if let Some(hours) = self.heart.config().notify.quiet_hours
            && let Some(wait) = clock::quiet_for(hours, now, offset)
            && !matches!(tidings, Tidings::Resolved | Tidings::PutBack)
        {
            info!("desktop notification waits for the end of the quiet hours");
            return self.answer(id, Handover::NotBefore(now + wait));
        }
        let local = |at| clock::local(at, now, offset);
        let account = &order.account;
        let message = alert::message(tidings, &account.address, incident, &account.credentials, &local);
        let shown = order.delivery.receipt.as_deref().and_then(|receipt| receipt.parse().ok());
        if tidings == Tidings::Resolved {
            desktop.withdraw(incident.id, shown);
            self.tell(Told::Withdrawn(desktop.marked(message.clone())));
            desktop.note(message);
            return self.answer(id, Handover::Done(None));
        }
        self.showing.insert(incident.id, Showing { id, message: desktop.marked(message.clone()) });
        // Nothing died where it is told once, so there is nothing to replace.
        let offers = if incident.cause.is_told_once() { &[Offer::Snooze] } else { Offer::ALL };
        let silent = tidings == Tidings::PutBack;
        desktop.show(Notice { incident: incident.id, message, offers, silent, replaces: shown });
    }

    fn deliver_to_hook(&mut self, order: &Order) {
        let id = order.delivery.id;
        let Some(hook) = self.heart.config().notify.hook.clone() else { return self.answer(id, Handover::Done(None)) };
        let Some(incident) = order.account.incident.clone() else { return self.answer(id, Handover::Done(None)) };
        let event = IncidentEvent::from(order.delivery.tidings);
        let message = IncidentMessage::build(event, &order.account, &incident, self.heart.offset_ms());
        let told = HookEvent {
            event,
            account: order.account.address.clone(),
            cause: incident.cause,
            // Plain structs with string keys: there is nothing in them that JSON cannot hold.
            payload: serde_json::to_value(&message).unwrap_or_default(),
            test: self.options.test,
        };
        let effects = self.heart.effects();
        self.heart.spawn(async move {
            let result = match hook::run(&hook.command, told).await {
                Ok(()) => {
                    info!("hook told of {}", event.as_str());
                    Handover::Done(None)
                }
                Err(error) => {
                    warn!("failed to run the hook: {}", chain(&error));
                    // It got the event: running it again would tell people twice.
                    if error.was_started() { Handover::Done(None) } else { Handover::Failed }
                }
            };
            drop(effects.send(Effect::Delivered { id, result }));
        });
    }
}

/// An error with its reasons, on one line for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let reasons = std::iter::successors(error.source(), |reason| reason.source());
    reasons.fold(error.to_string(), |text, reason| format!("{text}: {reason}"))
}
