//! What is to be told, to whom, and whether it was.
//!
//! One message per event of an incident and channel, kept until it went out or the incident is over. A message that may have
//! gone out just before the process died is not sent a second time; on the desktop it is put back silently.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::schedule::{Policy, Timestamp};

/// A way to tell people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A desktop notification, which stays until the incident is over.
    Desktop,
    /// The hook command.
    Hook,
    /// E-mail.
    Email,
}

impl Channel {
    /// All, in the order in which they are named.
    pub const ALL: [Self; 3] = [Self::Desktop, Self::Hook, Self::Email];

    /// The word used in logs and commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Hook => "hook",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tidings {
    /// It was declared.
    Opened,
    /// Its cause or its credentials changed.
    Changed,
    /// It stands still.
    Reminder,
    /// It is over.
    Resolved,
    /// The desktop lost it; it is put back without a sound.
    PutBack,
}

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Grows by one with each.
    pub id: u64,
    /// Of which incident.
    pub incident: u64,
    /// To whom.
    pub channel: Channel,
    /// What.
    pub tidings: Tidings,
    /// Where it stands.
    pub state: Post,
    /// What the channel wants to see again to replace or withdraw it.
    pub receipt: Option<String>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Post {
    /// It waits for its next try.
    Due {
        /// Not before this.
        at: Timestamp,
        /// Tries that failed.
        tries: u32,
    },
    /// It is being handed over.
    Underway {
        /// Tries that failed before.
        tries: u32,
    },
    /// E-mail: the server is given it now, and it counts as told unless the server refuses it.
    Given {
        /// Tries that failed before.
        tries: u32,
    },
    /// It went out.
    Done {
        /// When.
        at: Timestamp,
    },
    /// It is not needed any more, or can never go out.
    Dropped,
}

/// The messages of one account's incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    deliveries: Vec<Delivery>,
}

impl Outbox {
    /// From what was stored.
    #[must_use]
    pub fn restore(mut deliveries: Vec<Delivery>) -> Self {
        // They go out in the order in which they were added.
        deliveries.sort_unstable_by_key(|delivery| delivery.id);
        Self { deliveries }
    }

    /// All messages, oldest first.
    #[must_use]
    pub fn all(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Adds a message for `channel`, not before `at`, unless an earlier one that is still waiting will say it anyway.
    pub fn add(&mut self, id: u64, incident: u64, channel: Channel, tidings: Tidings, at: Timestamp) {
        let mut waiting = false;
        let mut told = false;
        for delivery in self.deliveries.iter_mut().filter(|d| d.incident == incident && d.channel == channel) {
            match delivery.state {
                Post::Due { .. } => {
                    waiting = true;
                    if tidings == Tidings::Resolved {
                        delivery.state = Post::Dropped;
                    }
                }
                Post::Underway { .. } | Post::Given { .. } | Post::Done { .. } => told = true,
                Post::Dropped => {}
            }
        }
        let needed = match tidings {
            Tidings::Opened => true,
            Tidings::Changed | Tidings::Reminder | Tidings::PutBack => !waiting,
            Tidings::Resolved => told,
        };
        if needed {
            let state = Post::Due { at, tries: 0 };
            self.deliveries.push(Delivery { id, incident, channel, tidings, state, receipt: None });
        }
    }

    /// The messages to hand over now, marked as under way. One per channel at a time, so that they arrive in order.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for channel in Channel::ALL {
            let mut of_channel = self.deliveries.iter_mut().filter(|delivery| delivery.channel == channel);
            let next = of_channel.find(|delivery| !delivery.state.is_settled());
            if let Some(delivery) = next
                && let Post::Due { at, tries } = delivery.state
                && at <= now
            {
                delivery.state = Post::Underway { tries };
                taken.push(delivery.clone());
            }
        }
        taken
    }

    /// The time of the next try: of the first message that waits on each channel, since the others wait behind it.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let first = |channel| self.deliveries.iter().find(|d| d.channel == channel && !d.state.is_settled());
        let first = Channel::ALL.into_iter().filter_map(first);
        first
            .filter_map(|delivery| match delivery.state {
                Post::Due { at, .. } => Some(at),
                Post::Underway { .. } | Post::Given { .. } | Post::Done { .. } | Post::Dropped => None,
            })
            .min()
    }

    /// A message went out.
    pub fn delivered(&mut self, id: u64, receipt: Option<String>, now: Timestamp) -> Option<&Delivery> {
        let delivery = self.deliveries.iter_mut().find(|delivery| delivery.id == id)?;
        delivery.state = Post::Done { at: now };
        delivery.receipt = receipt;
        Some(delivery)
    }

    /// A message is given to its channel now: from here on it may have gone out, whatever becomes of us.
    pub fn given(&mut self, id: u64) {
        if let Some(delivery) = self.deliveries.iter_mut().find(|delivery| delivery.id == id)
            && let Post::Underway { tries } = delivery.state
        {
            delivery.state = Post::Given { tries };
        }
    }

    /// A message could not go out: it is tried again, ever later; unless its incident was over meanwhile.
    pub fn failed(&mut self, id: u64, policy: &Policy, now: Timestamp) {
        let Some(at) = self.deliveries.iter().position(|delivery| delivery.id == id) else { return };
        let Some(Delivery {
            incident, channel, state: Post::Underway { tries } | Post::Given { tries }, tidings, ..
        }) = self.deliveries.get(at).cloned()
        else {
            return;
        };
        let of_it = |delivery: &Delivery| delivery.incident == incident && delivery.channel == channel;
        let end = |delivery: &&mut Delivery| of_it(delivery) && delivery.tidings == Tidings::Resolved;
        let over = tidings != Tidings::Resolved && self.deliveries.iter_mut().any(|delivery| end(&&mut *delivery));
        let state = if over { Post::Dropped } else { Post::Due { at: now + wait(tries, policy), tries: tries + 1 } };
        self.deliveries.iter_mut().skip(at).take(1).for_each(|delivery| delivery.state = state);
        if over && !self.was_told(incident, channel) {
            // Nobody heard of it, so nobody needs to hear that it is over.
            self.deliveries.iter_mut().filter(end).for_each(|delivery| delivery.state = Post::Dropped);
        }
    }

    /// What was kept back for a little while goes out now.
    pub fn tell_now(&mut self, now: Timestamp) {
        for delivery in &mut self.deliveries {
            if let Post::Due { at, tries: 0 } = &mut delivery.state {
                *at = now.min(*at);
            }
        }
    }

    /// A channel can be reached again: what waits for it goes out now.
    pub fn channel_ready(&mut self, channel: Channel, now: Timestamp) {
        for delivery in self.deliveries.iter_mut().filter(|delivery| delivery.channel == channel) {
            if let Post::Due { at, .. } = &mut delivery.state {
                *at = now.min(*at);
            }
        }
    }

    /// What waits to be said of an incident is not said before `until`.
    pub fn hold(&mut self, incident: u64, until: Timestamp) {
        for delivery in self.deliveries.iter_mut().filter(|delivery| delivery.incident == incident) {
            if let Post::Due { at, .. } = &mut delivery.state {
                *at = until.max(*at);
            }
        }
    }

    /// What was held back of an incident is said now.
    pub fn release(&mut self, incident: u64, now: Timestamp) {
        for delivery in self.deliveries.iter_mut().filter(|delivery| delivery.incident == incident) {
            if let Post::Due { at, .. } = &mut delivery.state {
                *at = now.min(*at);
            }
        }
    }

    /// What the channel was last given back: the thing that now stands there.
    #[must_use]
    pub fn receipt(&self, incident: u64, channel: Channel) -> Option<&str> {
        let mut of_channel = self.deliveries.iter().rev().filter(|d| d.incident == incident && d.channel == channel);
        of_channel.find_map(|delivery| delivery.receipt.as_deref())
    }

    /// Whether people were told of the incident on this channel.
    #[must_use]
    pub fn was_told(&self, incident: u64, channel: Channel) -> bool {
        self.deliveries.iter().any(|d| {
            d.incident == incident
                && d.channel == channel
                && matches!(d.state, Post::Done { .. } | Post::Given { .. } | Post::Underway { .. })
        })
    }

    /// When a desktop message that was lost stands again: at once; ever later where it is lost again and again, as with a
    /// service that dies of it.
    #[must_use]
    pub fn put_back_at(&self, incident: u64, policy: &Policy, now: Timestamp) -> Timestamp {
        let told = self.deliveries.iter().rev().filter(|d| d.incident == incident && d.channel == Channel::Desktop);
        let again: Vec<&Delivery> = told.take_while(|delivery| delivery.tidings == Tidings::PutBack).collect();
        let times = u32::try_from(again.len()).unwrap_or(u32::MAX);
        match again.first().map(|latest| latest.state) {
            Some(Post::Done { at }) => now.max(at + wait(times.saturating_sub(1), policy)),
            Some(Post::Due { .. } | Post::Underway { .. } | Post::Given { .. } | Post::Dropped) | None => now,
        }
    }

    /// Whether nothing of this incident is still to go out.
    #[must_use]
    pub fn is_settled_for(&self, incident: u64) -> bool {
        let mut of_incident = self.deliveries.iter().filter(|delivery| delivery.incident == incident);
        of_incident.all(|delivery| matches!(delivery.state, Post::Done { .. } | Post::Dropped))
    }

    /// Whether nothing of this incident is still to go out on `channel`.
    #[must_use]
    pub fn is_settled_on(&self, incident: u64, channel: Channel) -> bool {
        let mut of_channel = self.deliveries.iter().filter(|d| d.incident == incident && d.channel == channel);
        of_channel.all(|delivery| delivery.state.is_settled())
    }

    /// What stood on the desktop for this incident does not any more, by the person's wish.
    pub fn forget_receipt(&mut self, incident: u64) {
        let of_incident = |d: &&mut Delivery| d.incident == incident && d.channel == Channel::Desktop;
        self.deliveries.iter_mut().filter(of_incident).for_each(|delivery| delivery.receipt = None);
    }

    /// A message must wait until `at`; nobody failed.
    pub fn postpone(&mut self, id: u64, at: Timestamp) {
        if let Some(delivery) = self.deliveries.iter_mut().find(|delivery| delivery.id == id)
            && let Post::Underway { tries } = delivery.state
        {
            delivery.state = Post::Due { at, tries };
        }
    }

    /// Forgets the messages of an incident that is over.
    pub fn forget(&mut self, incident: u64) {
        self.deliveries.retain(|delivery| delivery.incident != incident);
    }

    /// Marks what may have gone out when the process died as gone out; gives the incidents and channels concerned. An e-mail
    /// that no server was given yet is sent again.
    pub fn after_restart(&mut self, now: Timestamp) -> Vec<(u64, Channel)> {
        let mut lost = Vec::new();
        for delivery in &mut self.deliveries {
            match (delivery.state, delivery.channel) {
                (Post::Underway { tries }, Channel::Email) => delivery.state = Post::Due { at: now, tries },
                (Post::Underway { .. } | Post::Given { .. }, _) => {
                    delivery.state = Post::Done { at: now };
                    lost.push((delivery.incident, delivery.channel));
                }
                (Post::Due { .. } | Post::Done { .. } | Post::Dropped, _) => {}
            }
        }
        lost
    }
}

/// 10 s, 1, 5, 15 min, then every hour; shorter where the policy is, as it may be on loopback.
fn wait(tries: u32, policy: &Policy) -> Duration {
    let seconds = match tries {
        0 => 10,
        1 => 60,
        2 => 300,
        3 => 900,
        4.. => 3600,
    };
    Duration::from_secs(seconds).min(policy.interval)
}

impl Post {
    /// Whether nothing more is to be done for the message.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Due { .. } | Self::Underway { .. } | Self::Given { .. } => false,
            Self::Done { .. } | Self::Dropped => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_behind_one_that_cannot_go_out_yet_is_not_due() {
        let now = Timestamp::from_millis(1_000_000);
        let mut outbox = Outbox::default();
        outbox.add(1, 7, Channel::Hook, Tidings::Opened, now);
        assert_eq!(outbox.take_due(now).len(), 1);
        outbox.failed(1, &Policy::default(), now);
        outbox.add(2, 8, Channel::Hook, Tidings::Opened, now);
        // Otherwise the loop would wake for it again and again, and find nothing to do.
        assert_eq!(outbox.next_due(), Some(now + Duration::from_secs(10)));
        assert_eq!(outbox.take_due(now), []);
        outbox.add(3, 8, Channel::Desktop, Tidings::Opened, now);
        assert_eq!(outbox.next_due(), Some(now), "another channel does not wait");
        assert_eq!(outbox.take_due(now).len(), 1);
        assert_eq!(outbox.next_due(), Some(now + Duration::from_secs(10)));
    }

    fn states(outbox: &Outbox) -> Vec<Post> {
        outbox.all().iter().map(|delivery| delivery.state).collect()
    }

    #[test]
    fn an_email_is_lost_or_doubled_by_no_crash_but_one_after_it_was_given() {
        let now = Timestamp::from_millis(1_000_000);
        let mut outbox = Outbox::default();
        outbox.add(1, 7, Channel::Email, Tidings::Opened, now);
        outbox.add(2, 7, Channel::Hook, Tidings::Opened, now);
        outbox.take_due(now);
        let mut early = outbox.clone();
        assert_eq!(early.after_restart(now), [(7, Channel::Hook)], "a hook may have told somebody");
        assert_eq!(states(&early), [Post::Due { at: now, tries: 0 }, Post::Done { at: now }]);
        outbox.given(1);
        assert_eq!(outbox.after_restart(now).len(), 2);
        assert_eq!(states(&outbox), [Post::Done { at: now }; 2]);
    }

    #[test]
    fn what_could_not_be_told_before_it_was_over_is_not_told_after() {
        let now = Timestamp::from_millis(1_000_000);
        let mut outbox = Outbox::default();
        outbox.add(1, 7, Channel::Email, Tidings::Opened, now);
        outbox.take_due(now);
        outbox.add(2, 7, Channel::Email, Tidings::Resolved, now);
        let mut told = outbox.clone();
        outbox.failed(1, &Policy::default(), now);
        assert_eq!(states(&outbox), [Post::Dropped; 2]);
        told.delivered(1, None, now);
        assert_eq!(told.take_due(now).len(), 1, "but its end is, where it was told");
    }
}
