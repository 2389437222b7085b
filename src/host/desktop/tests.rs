//! The channel against dunst on a virtual screen, and against a service of our own for what dunst never does.
//!
//! The address of the bus is the environment's, and that is the process's: each test runs itself once more, in a process
//! with a bus address of its own.

mod fake;
mod session;

use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::{Desktop, DesktopEvent, Notice, Offer, ShownAs};
use crate::health::alert::Message;
use fake::{Fake, Nature};
use session::{Bus, Dunst, again, in_session, until};

fn message(title: &str) -> Message {
    Message { title: title.to_owned(), body: "Can no longer log in: <Mail> & \"co\".".to_owned(), critical: true }
}

fn notice(title: &str) -> Notice {
    Notice { incident: 7, message: message(title), offers: Offer::ALL, silent: false, replaces: None }
}

/// The next event; a test that waits for one that never comes is stuck.
async fn next(events: &mut Receiver<DesktopEvent>) -> DesktopEvent {
    tokio::time::timeout(Duration::from_secs(60), events.recv()).await.expect("an event within a minute").unwrap()
}

async fn shown(events: &mut Receiver<DesktopEvent>) -> ShownAs {
    let event = next(events).await;
    let DesktopEvent::Shown { incident: 7, shown_as } = event else { panic!("{event:?}") };
    shown_as
}

async fn failed(events: &mut Receiver<DesktopEvent>) -> String {
    let event = next(events).await;
    let DesktopEvent::Failed { incident: 7, reason } = event else { panic!("{event:?}") };
    reason
}

async fn started(test: bool) -> (Desktop, Receiver<DesktopEvent>) {
    let (desktop, mut events) = Desktop::start(test);
    assert_eq!(next(&mut events).await, DesktopEvent::Appeared);
    (desktop, events)
}

const LOST: DesktopEvent = DesktopEvent::Lost { incident: 7 };
const CLOSED: DesktopEvent = DesktopEvent::ClosedByPerson { incident: 7 };

#[test]
fn where_it_stands_survives_the_store() {
    let there = ShownAs { id: 17, owner: ":1.42".to_owned(), bus: "0123abcd".to_owned() };
    assert_eq!(there.to_string().parse(), Ok(there));
    for wrong in ["", "a b", "a b c", "a b 1 d", "a b -1"] {
        assert!(wrong.parse::<ShownAs>().is_err(), "{wrong}");
    }
}

#[test]
fn dunst_shows_replaces_and_closes() {
    in_session("dunst_shows_replaces_and_closes", async || {
        let _bus = Bus::start().await;
        let dunst = Dunst::start().await;
        let (desktop, mut events) = started(true).await;

        desktop.show(notice("first"));
        let first = shown(&mut events).await;
        assert_eq!(dunst.displayed().await, 1);
        desktop.show(notice("second"));
        assert_eq!(shown(&mut events).await, first);
        assert_eq!(dunst.displayed().await, 1);

        desktop.withdraw(7, Some(first));
        until(async || dunst.displayed().await == 0).await;
        let history = dunst.history().await;
        assert!(history.contains("Test: second") && !history.contains("first"), "{history}");
        assert!(history.contains(r"&lt;Mail&gt; &amp; &quot;co&quot;"), "{history}");

        desktop.note(message("works again"));
        until(async || dunst.displayed().await == 1).await;
    });
}

#[test]
fn a_restart_of_keypulse_replaces_and_closes_its_own() {
    in_session("a_restart_of_keypulse_replaces_and_closes_its_own", async || {
        let _bus = Bus::start().await;
        let dunst = Dunst::start().await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("first run"));
        let first = shown(&mut events).await;
        drop(desktop);
        while events.recv().await.is_some() {}
        assert_eq!(dunst.displayed().await, 1);

        let (desktop, mut events) = started(false).await;
        desktop.show(Notice { replaces: Some(first.clone()), ..notice("second run") });
        assert_eq!(shown(&mut events).await, first);
        assert_eq!(dunst.displayed().await, 1);
        drop(desktop);
        while events.recv().await.is_some() {}

        let (desktop, _events) = started(false).await;
        desktop.withdraw(7, Some(ShownAs { bus: "another".to_owned(), ..first.clone() }));
        desktop.withdraw(7, Some(first));
        until(async || dunst.displayed().await == 0).await;
    });
}

#[test]
fn what_an_earlier_run_left_is_looked_after() {
    in_session("what_an_earlier_run_left_is_looked_after", async || {
        let _bus = Bus::start().await;
        let service = Fake::start(Nature { capable: true, ..Nature::default() }).await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("first run"));
        let first = shown(&mut events).await;
        drop(desktop);
        while events.recv().await.is_some() {}

        let (desktop, mut events) = started(false).await;
        desktop.adopt(7, first.clone());
        assert_eq!(again(|| service.close(first.id, 2), next(&mut events)).await, CLOSED);
        desktop.adopt(7, first.clone());
        service.leave().await;
        let gone = loop {
            let event = next(&mut events).await;
            // Clicks that came after the first.
            if event != CLOSED {
                break event;
            }
        };
        assert_eq!(gone, DesktopEvent::Vanished);
        assert_eq!(next(&mut events).await, LOST);
        // Once: what is lost is nobody's to look after.
        let _service = Fake::start(Nature { capable: true, ..Nature::default() }).await;
        assert_eq!(next(&mut events).await, DesktopEvent::Appeared);
        desktop.show(Notice { silent: true, replaces: Some(first.clone()), ..notice("put back") });
        assert_ne!(shown(&mut events).await, first);
    });
}

#[test]
fn what_went_with_an_earlier_run_or_its_session_is_lost() {
    in_session("what_went_with_an_earlier_run_or_its_session_is_lost", async || {
        let _bus = Bus::start().await;
        let _gnome = Fake::start(Nature { capable: true, minds_sender: true, ..Nature::default() }).await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("first run"));
        let first = shown(&mut events).await;
        drop(desktop);
        while events.recv().await.is_some() {}

        let (desktop, mut events) = started(false).await;
        desktop.adopt(7, first.clone());
        assert_eq!(next(&mut events).await, LOST);
        desktop.adopt(7, ShownAs { bus: "of yesterday".to_owned(), ..first.clone() });
        assert_eq!(next(&mut events).await, LOST);
        desktop.adopt(7, ShownAs { owner: ":1.9999".to_owned(), ..first });
        assert_eq!(next(&mut events).await, LOST);
    });
}

#[test]
fn the_person_closes_and_clicks() {
    in_session("the_person_closes_and_clicks", async || {
        let _bus = Bus::start().await;
        let dunst = Dunst::start().await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("to be closed"));
        shown(&mut events).await;
        dunst.control("close").await;
        assert_eq!(next(&mut events).await, CLOSED);

        desktop.show(notice("to be clicked"));
        shown(&mut events).await;
        // The listener begins after the notification stands; a click needs a person's time.
        let clicked = again(|| dunst.choose("Open Apple Account"), next(&mut events)).await;
        assert_eq!(clicked, DesktopEvent::Chosen { incident: 7, offer: Offer::OpenAccount });
        until(async || session::opened() == "https://account.apple.com/account/manage\n").await;
    });
}

#[test]
fn without_a_service_nothing_is_lost() {
    in_session("without_a_service_nothing_is_lost", async || {
        let _bus = Bus::start().await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("too early"));
        assert_eq!(failed(&mut events).await, "no notification service runs on the session bus");
        let dunst = Dunst::start().await;
        assert_eq!(next(&mut events).await, DesktopEvent::Appeared);
        desktop.show(notice("in time"));
        let there = shown(&mut events).await;

        drop(dunst);
        assert_eq!(next(&mut events).await, DesktopEvent::Vanished);
        assert_eq!(next(&mut events).await, LOST);
        let dunst = Dunst::start().await;
        assert_eq!(next(&mut events).await, DesktopEvent::Appeared);
        desktop.show(Notice { silent: true, replaces: Some(there.clone()), ..notice("put back") });
        let back = shown(&mut events).await;
        assert_eq!((back.bus, back.owner == there.owner), (there.bus, false));
        assert_eq!(dunst.displayed().await, 1);
    });
}

#[test]
fn the_bus_may_come_late_and_go() {
    in_session("the_bus_may_come_late_and_go", async || {
        let (desktop, mut events) = Desktop::start(false);
        desktop.show(notice("no desktop yet"));
        assert_eq!(failed(&mut events).await, "there is no session bus");
        let bus = Bus::start().await;
        assert_eq!(next(&mut events).await, DesktopEvent::Appeared);
        let service = Fake::start(Nature::default()).await;
        assert_eq!(next(&mut events).await, DesktopEvent::Appeared);
        desktop.show(notice("here"));
        shown(&mut events).await;

        drop(bus);
        let mut gone = [next(&mut events).await, next(&mut events).await];
        gone.sort_by_key(|event| *event == LOST);
        assert_eq!(gone, [DesktopEvent::Vanished, LOST]);
        drop(service);
        let _bus = Bus::start().await;
        assert_eq!(next(&mut events).await, DesktopEvent::Appeared);
    });
}

#[test]
fn a_notification_is_as_the_contract_says() {
    in_session("a_notification_is_as_the_contract_says", async || {
        let _bus = Bus::start().await;
        let plain = Fake::start(Nature::default()).await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("title"));
        shown(&mut events).await;
        let [call] = plain.calls().try_into().unwrap();
        assert_eq!((call.app.as_str(), call.replaces, call.timeout), ("keypulse", 0, 0));
        assert_eq!(call.icon, "dialog-password", "nobody installed ours");
        assert_eq!(call.title, "title");
        assert_eq!(call.body, "Can no longer log in: <Mail> & \"co\".", "no markup where it is not known");
        assert_eq!(call.actions, Vec::<String>::new());
        assert_eq!(
            call.hints,
            [r#"category="network.error""#, r#"desktop-entry="keypulse""#, "resident=true", "urgency=2"]
        );

        let icon = session::install_icon();
        desktop.show(Notice { silent: true, message: Message { critical: false, ..message("title") }, ..notice("") });
        shown(&mut events).await;
        let call = plain.calls().pop().unwrap();
        assert_eq!(call.icon, icon);
        assert!(call.hints.contains(&"suppress-sound=true".to_owned()), "{call:?}");
        assert!(call.hints.contains(&"urgency=1".to_owned()), "{call:?}");
        assert_eq!(call.replaces, 1);
    });
}

#[test]
fn a_service_that_minds_the_sender_gets_its_replacement() {
    in_session("a_service_that_minds_the_sender_gets_its_replacement", async || {
        let _bus = Bus::start().await;
        let gnome = Fake::start(Nature { minds_sender: true, capable: true, ..Nature::default() }).await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("first"));
        let first = shown(&mut events).await;
        desktop.show(Notice { replaces: Some(first.clone()), ..notice("second") });
        assert_eq!(shown(&mut events).await, first);
        assert_eq!(gnome.standing(), [(first.id, "second".to_owned())]);

        let clicked = again(|| gnome.act(first.id, "snooze"), next(&mut events)).await;
        assert_eq!(clicked, DesktopEvent::Chosen { incident: 7, offer: Offer::Snooze });
        assert_eq!(again(|| gnome.close(first.id, 2), next_but_actions(&mut events)).await, CLOSED);

        desktop.show(notice("third"));
        let third = shown(&mut events).await;
        desktop.withdraw(7, None);
        until(async || gnome.standing() == [(first.id, "second".to_owned())]).await;
        assert_ne!(third, first);
    });
}

async fn next_but_actions(events: &mut Receiver<DesktopEvent>) -> DesktopEvent {
    loop {
        let event = next(events).await;
        if !matches!(event, DesktopEvent::Chosen { .. }) {
            return event;
        }
    }
}

#[test]
fn a_slow_service_shows_it_once_with_the_newest_words() {
    in_session("a_slow_service_shows_it_once_with_the_newest_words", async || {
        let _bus = Bus::start().await;
        let slow = Fake::start(Nature { holds_notify: true, ..Nature::default() }).await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("old"));
        assert_eq!(failed(&mut events).await, "the notification service does not answer within 5 s");
        desktop.show(notice("newer"));
        failed(&mut events).await;
        desktop.show(notice("newest"));
        failed(&mut events).await;
        slow.let_go();
        let there = shown(&mut events).await;
        assert_eq!(slow.standing(), [(there.id, "newest".to_owned())]);
        assert_eq!(slow.calls().len(), 2);
    });
}

#[test]
fn what_was_withdrawn_from_a_slow_service_does_not_stay() {
    in_session("what_was_withdrawn_from_a_slow_service_does_not_stay", async || {
        let _bus = Bus::start().await;
        let slow = Fake::start(Nature { holds_notify: true, ..Nature::default() }).await;
        let (desktop, _events) = started(false).await;
        desktop.show(notice("late"));
        until(async || slow.calls().len() == 1).await;
        desktop.withdraw(7, None);
        slow.let_go();
        until(async || slow.closings() == 1 && slow.standing().is_empty()).await;
    });
}

#[test]
fn an_order_does_not_wait_for_the_first_event() {
    in_session("an_order_does_not_wait_for_the_first_event", async || {
        let _bus = Bus::start().await;
        let service = Fake::start(Nature::default()).await;
        let (desktop, mut events) = Desktop::start(false);
        desktop.show(notice("at once"));
        desktop.note(message("passing"));
        until(async || service.calls().len() == 2).await;
        let seen = [next(&mut events).await, next(&mut events).await];
        assert!(seen.iter().any(|event| matches!(event, DesktopEvent::Shown { .. })), "{seen:?}");
        assert!(seen.contains(&DesktopEvent::Appeared), "{seen:?}");
        let passing = service.calls().into_iter().find(|call| call.title == "passing").unwrap();
        assert_eq!(passing.timeout, -1);
        assert!(passing.hints.contains(&"transient=true".to_owned()), "{passing:?}");
    });
}

#[test]
fn a_service_that_hangs_gets_no_queue() {
    in_session("a_service_that_hangs_gets_no_queue", async || {
        let _bus = Bus::start().await;
        let dead = Fake::start(Nature { hangs: true, ..Nature::default() }).await;
        let (desktop, mut events) = started(false).await;
        desktop.show(notice("into the void"));
        assert_eq!(failed(&mut events).await, "the notification service does not answer within 5 s");
        assert_eq!(dead.calls().len(), 0);
    });
}
