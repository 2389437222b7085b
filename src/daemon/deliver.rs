//! Messages on their way to their channels.
//!
//! How each went comes back as `Event::Delivered`.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::{Daemon, RunError, Told, hands::Effect, mail::MailStep, trouble::chain};
use crate::{
    api::{IncidentEvent, IncidentMessage},
    health::{
        alert::{self, Message},
        event::{Event, Handover, Order},
        incident::Incident,
        outbox::{Channel, Tidings},
        view::AccountStatus,
    },
    host::{
        clock,
        desktop::{Desktop, DesktopEvent, Notice, Offer, ShownAs},
        hook::{self, HookError, HookEvent},
    },
};

/// How long quiet hours are believed to last: the clock may be set meanwhile, and the machine go to another time zone.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// A message on its way to the desktop.
pub(super) struct Showing {
    /// The delivery that waits for the answer.
    pub(super) id: u64,
    /// As it is shown.
    pub(super) message: Message,
}

/// What the tasks that hand messages over want of the loop.
pub(super) enum Handing {
    /// An e-mail's.
    Mail(Box<MailStep>),
    /// A hook was run.
    Hook {
        /// The message.
        id: u64,
        /// Of what it was told.
        event: IncidentEvent,
        /// How that went.
        result: Result<(), HookError>,
    },
}

impl From<MailStep> for Handing {
    fn from(step: MailStep) -> Self {
        Self::Mail(Box::new(step))
    }
}

impl Daemon {
    /// What a task that hands a message over wants.
    pub(super) fn handing(&mut self, handing: Handing) -> Result<(), RunError> {
        match handing {
            Handing::Mail(step) => self.mail_step(*step),
            Handing::Hook { id, event, result } => self.hooked(id, event, result),
        }
    }

    /// The same while the daemon ends.
    pub(super) fn last_handing(&mut self, handing: Handing) -> Result<(), RunError> {
        match handing {
            Handing::Mail(step) => self.last_mail_step(*step),
            Handing::Hook { id, event, result } => self.hooked(id, event, result),
        }
    }

    /// Hands a message to its channel.
    pub(super) fn deliver(&mut self, order: &Order) {
        match order.delivery.channel {
            Channel::Desktop => self.deliver_to_desktop(order),
            Channel::Hook => self.deliver_to_hook(order),
            Channel::Email => self.deliver_by_mail(order),
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
        drop(self.heart.hands.effects().send(Effect::Delivered { id, result }));
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
            debug!("desktop notification waits for the end of the quiet hours");
            return self.answer(id, Handover::NotBefore(now + wait.min(LOOK_AGAIN)));
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
        let message = self.incident_message(order.delivery.tidings, &order.account, &incident);
        let told = HookEvent {
            event,
            account: order.account.address.clone(),
            cause: incident.cause,
            // Plain structs with string keys: there is nothing in them that JSON cannot hold.
            payload: serde_json::to_value(&message).unwrap_or_default(),
            test: self.options.test,
        };
        let steps = self.mailroom.steps.clone();
        self.heart.hands.spawn(async move {
            let result = hook::run(&hook.command, told).await;
            drop(steps.send(Handing::Hook { id, event, result }));
        });
    }

    /// An incident as other programs are told of it.
    pub(super) fn incident_message(
        &self,
        tidings: Tidings,
        account: &AccountStatus,
        incident: &Incident,
    ) -> IncidentMessage {
        let (now, offset) = (self.heart.now(), self.heart.offset_ms());
        let local = |at| clock::local(at, now, offset);
        let words = alert::letter(tidings, &account.address, incident, &account.credentials, &local);
        let words = if self.options.test { words.test() } else { words };
        IncidentMessage::build(IncidentEvent::from(tidings), account, incident, words, offset)
    }

    fn hooked(&mut self, id: u64, event: IncidentEvent, result: Result<(), HookError>) -> Result<(), RunError> {
        let result = match result {
            Ok(()) => {
                info!("hook told of {}, exit status 0", event.as_str());
                self.complaints.remove(&Channel::Hook);
                Handover::Done(None)
            }
            // It got the event: running it again would tell people twice.
            Err(error) if error.was_started() => {
                warn!("failed to run the hook: {}", chain(&error));
                Handover::Done(None)
            }
            Err(error) => {
                let hint = "it is tried again; `keypulse doctor` looks at it";
                self.complain(Channel::Hook, format!("failed to run the hook: {} ({hint})", chain(&error)));
                Handover::Failed
            }
        };
        self.step(Event::Delivered { id, result })
    }

    /// Warns of a channel that does not work, once for each way in which it does not.
    pub(super) fn complain(&mut self, channel: Channel, words: String) {
        if self.complaints.get(&channel) == Some(&words) {
            debug!("{words}, still");
        } else {
            warn!("{words}");
            self.complaints.insert(channel, words);
        }
    }
}
