//! Messages of two incidents on two channels: none takes another's place.

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

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const LATER: Timestamp = Timestamp::from_millis(2_000_000);

/// Opening messages: 1 and 2 of incident 7 on the desktop and the hook, 3 and 4 of incident 8.
fn four() -> Outbox {
    let mut outbox = Outbox::default();
    for (id, incident, channel) in
        [(1, 7, Channel::Desktop), (2, 7, Channel::Hook), (3, 8, Channel::Desktop), (4, 8, Channel::Hook)]
    {
        outbox.add(id, incident, channel, Tidings::Opened, NOW);
    }
    outbox
}

/// All four went out, each with a receipt of its own.
fn told() -> Outbox {
    let mut outbox = four();
    for _ in 0..2 {
        for delivery in outbox.take_due(NOW) {
            outbox.delivered(delivery.id, Some(delivery.id.to_string()), NOW);
        }
    }
    outbox
}

fn ids(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

fn waiting(outbox: &Outbox) -> Vec<(u64, Timestamp)> {
    let due = |delivery: &Delivery| match delivery.state {
        Post::Due { at, .. } => Some((delivery.id, at)),
        Post::Underway { .. } | Post::Given { .. } | Post::Done { .. } | Post::Dropped => None,
    };
    outbox.all().iter().filter_map(due).collect()
}

#[test]
fn each_channel_is_given_one_message_at_a_time_in_their_order() {
    let mut outbox = four();
    assert_eq!(ids(&outbox.take_due(NOW)), [1, 2]);
    assert_eq!(outbox.take_due(NOW), []);
    outbox.delivered(2, None, NOW);
    assert_eq!(ids(&outbox.take_due(NOW)), [4], "the desktop is still busy");
}

#[test]
fn what_is_said_of_one_incident_says_nothing_of_another() {
    let mut outbox = four();
    outbox.add(5, 9, Channel::Desktop, Tidings::Resolved, NOW);
    assert_eq!(ids(outbox.all()), [1, 2, 3, 4], "nobody was told that it began");
    outbox.add(6, 7, Channel::Desktop, Tidings::Changed, NOW);
    assert_eq!(ids(outbox.all()), [1, 2, 3, 4], "what waits will say it");
    outbox.add(7, 7, Channel::Hook, Tidings::Resolved, NOW);
    assert_eq!(waiting(&outbox), [(1, NOW), (3, NOW), (4, NOW)], "it never began for the hook, and is over");

    let mut outbox = told();
    outbox.add(5, 7, Channel::Hook, Tidings::Changed, NOW);
    outbox.add(6, 8, Channel::Hook, Tidings::Resolved, NOW);
    assert_eq!(waiting(&outbox), [(5, NOW), (6, NOW)]);
}

#[test]
fn what_stands_on_a_channel_is_what_was_given_back_there_last() {
    let mut outbox = told();
    let stands = |outbox: &Outbox, incident, channel| outbox.receipt(incident, channel).map(str::to_owned);
    assert_eq!(stands(&outbox, 7, Channel::Desktop).as_deref(), Some("1"));
    assert_eq!(stands(&outbox, 8, Channel::Desktop).as_deref(), Some("3"));
    assert_eq!(stands(&outbox, 8, Channel::Hook).as_deref(), Some("4"));
    assert_eq!(stands(&outbox, 9, Channel::Hook), None);
    outbox.add(5, 8, Channel::Desktop, Tidings::Changed, NOW);
    assert_eq!(stands(&outbox, 8, Channel::Desktop).as_deref(), Some("3"), "until the new one is shown");
    outbox.take_due(NOW);
    outbox.delivered(5, Some("5".to_owned()), NOW);
    assert_eq!(stands(&outbox, 8, Channel::Desktop).as_deref(), Some("5"));
    outbox.forget_receipt(8);
    assert_eq!(stands(&outbox, 8, Channel::Desktop), None, "the person closed it");
    assert_eq!(stands(&outbox, 8, Channel::Hook).as_deref(), Some("4"));
    assert_eq!(stands(&outbox, 7, Channel::Desktop).as_deref(), Some("1"));
}

#[test]
fn who_was_told_is_known_by_incident_and_channel() {
    let mut outbox = four();
    outbox.take_due(NOW);
    assert!(outbox.was_told(7, Channel::Hook), "as good as told");
    assert!(!outbox.was_told(8, Channel::Hook) && !outbox.was_told(9, Channel::Hook));
    outbox.delivered(2, None, NOW);
    assert!(outbox.is_settled_on(7, Channel::Hook) && !outbox.is_settled_on(7, Channel::Desktop));
    assert!(!outbox.is_settled_on(8, Channel::Hook));
    assert!(!outbox.is_settled_for(7));
    outbox.delivered(1, None, NOW);
    assert!(outbox.is_settled_for(7) && !outbox.is_settled_for(8));
    outbox.forget(7);
    assert_eq!(ids(outbox.all()), [3, 4]);
}

#[test]
fn what_is_held_back_of_an_incident_waits_alone() {
    let mut outbox = four();
    outbox.hold(7, LATER);
    assert_eq!(waiting(&outbox), [(1, LATER), (2, LATER), (3, NOW), (4, NOW)]);
    outbox.release(8, NOW);
    assert_eq!(waiting(&outbox)[0], (1, LATER));
    outbox.channel_ready(Channel::Hook, NOW);
    assert_eq!(waiting(&outbox)[..2], [(1, LATER), (2, NOW)]);
    outbox.release(7, NOW);
    assert_eq!(waiting(&outbox)[0], (1, NOW));
}

#[test]
fn what_failed_is_not_hurried_by_the_end_of_a_grace() {
    let mut outbox = four();
    outbox.take_due(NOW);
    outbox.failed(1, &Policy::default(), NOW);
    outbox.postpone(2, LATER);
    outbox.hold(8, LATER);
    assert_eq!(waiting(&outbox)[..2], [(1, NOW + Duration::from_secs(10)), (2, LATER)]);
    outbox.tell_now(NOW);
    let soon = NOW + Duration::from_secs(10);
    assert_eq!(waiting(&outbox), [(1, soon), (2, NOW), (3, NOW), (4, NOW)], "nobody failed but the desktop");
}

#[test]
fn a_channel_that_fails_is_tried_ever_later_and_never_gives_up() {
    let mut outbox = Outbox::default();
    outbox.add(1, 7, Channel::Hook, Tidings::Opened, NOW);
    let mut at = NOW;
    let waits: Vec<u64> = (0..7)
        .map(|_| {
            assert_eq!(ids(&outbox.take_due(at)), [1]);
            outbox.failed(1, &Policy::default(), at);
            let (_, next) = waiting(&outbox)[0];
            let wait = next.since(at).as_secs();
            at = next;
            wait
        })
        .collect();
    assert_eq!(waits, [10, 60, 300, 900, 3600, 3600, 3600]);
}

#[test]
fn what_was_lost_once_is_put_back_at_once_whatever_the_hook_did() {
    let mut outbox = told();
    let policy = Policy::default();
    assert_eq!(outbox.put_back_at(7, &policy, LATER), LATER);
    outbox.add(5, 8, Channel::Desktop, Tidings::PutBack, NOW);
    outbox.take_due(NOW);
    outbox.delivered(5, None, LATER);
    assert_eq!(outbox.put_back_at(7, &policy, LATER), LATER, "that was another incident");
    assert_eq!(outbox.put_back_at(8, &policy, LATER), LATER + Duration::from_secs(10));
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

#[test]
fn the_next_try_is_that_of_whatever_channel_is_due_first() {
    let mut outbox = Outbox::default();
    for (id, channel, at) in [(1, Channel::Desktop, LATER), (2, Channel::Hook, LATER), (3, Channel::Email, NOW)] {
        outbox.add(id, 7, channel, Tidings::Opened, at);
    }
    assert_eq!(outbox.next_due(), Some(NOW));
}

#[test]
fn what_could_not_be_said_of_one_incident_is_not_dropped_since_another_is_over() {
    let mut outbox = four();
    for delivery in outbox.take_due(NOW) {
        assert_eq!(delivery.incident, 7);
    }
    outbox.delivered(1, None, NOW);
    assert_eq!(ids(&outbox.take_due(NOW)), [3]);
    outbox.delivered(3, None, NOW);
    outbox.add(5, 7, Channel::Desktop, Tidings::Resolved, NOW);
    outbox.add(6, 8, Channel::Hook, Tidings::Resolved, NOW);
    outbox.failed(2, &Policy::default(), NOW);
    assert!(matches!(states(&outbox)[1], Post::Due { tries: 1, .. }), "{:?}", states(&outbox));
}

#[test]
fn who_heard_of_it_hears_that_it_is_over_though_a_change_could_not_be_said() {
    let mut outbox = told();
    outbox.add(5, 7, Channel::Hook, Tidings::Changed, NOW);
    assert_eq!(ids(&outbox.take_due(NOW)), [5]);
    outbox.add(6, 7, Channel::Hook, Tidings::Resolved, NOW);
    outbox.failed(5, &Policy::default(), NOW);
    assert_eq!(states(&outbox)[4], Post::Dropped);
    assert_eq!(ids(&outbox.take_due(NOW)), [6]);
}
