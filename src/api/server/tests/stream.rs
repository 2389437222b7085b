//! The stream of events and its readers.

use super::*;

#[tokio::test]
async fn events_are_streamed_as_they_happen() {
    let house = House::new().await;
    let mut raw = house.connect().await;
    raw.write_all(b"GET /v1/events HTTP/1.1\r\n\r\n").await.unwrap();
    let mut head = [0; 4096];
    let read = timeout(LONG, raw.read(&mut head)).await.unwrap().unwrap();
    check(&String::from_utf8_lossy(&head[..read]), 200, "text/event-stream", "no-store");
    let mut events = house.client().events().await.unwrap();
    for id in 1..=3 {
        house.events.send(event(id)).unwrap();
        assert_eq!(timeout(LONG, events.next()).await.unwrap().unwrap(), Some(event(id)));
    }
    let mut text = String::new();
    while !text.contains("\"id\":3") {
        let read = timeout(LONG, raw.read(&mut head)).await.unwrap().unwrap();
        text.push_str(&String::from_utf8_lossy(&head[..read]));
    }
    assert!(text.contains("event: transition\ndata: {\"id\":1,\"at\":\"2026-11-22T20:00:00Z\""), "{text}");
}

#[tokio::test]
async fn a_reader_that_does_not_keep_up_is_dropped() {
    let house = House::with(Limits { backlog: 8, stall: Duration::from_millis(100), ..Limits::default() }).await;
    let mut slow = house.connect().await;
    slow.write_all(b"GET /v1/events HTTP/1.1\r\n\r\n").await.unwrap();
    let mut quick = house.client().events().await.unwrap();
    // More than the socket's own buffer takes; the one that reads gets each.
    for id in 0..5000 {
        house.events.send(event(id)).unwrap();
        assert_eq!(timeout(LONG, quick.next()).await.unwrap().unwrap(), Some(event(id)));
    }
    let text = read_all(&mut slow).await;
    assert!(text.contains("\"id\":0,") && !text.contains("\"id\":4999,"), "cut off in between");
}

#[tokio::test]
async fn a_reader_that_went_away_frees_its_place() {
    let house = House::with(Limits { streams: 1, ..Limits::default() }).await;
    for _ in 0..3 {
        let mut events = timeout(LONG, async {
            loop {
                match house.client().events().await {
                    Ok(events) => return events,
                    Err(error) => assert!(error.is_problem(Problem::TOO_MANY_STREAMS), "{error}"),
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the place is freed without any event");
        let second = house.client().events().await.unwrap_err();
        assert!(second.is_problem(Problem::TOO_MANY_STREAMS), "{second}");
        house.events.send(event(1)).unwrap();
        assert_eq!(events.next().await.unwrap(), Some(event(1)));
    }
}

#[tokio::test]
async fn the_stream_ends_with_the_daemon() {
    let house = House::new().await;
    let mut events = house.client().events().await.unwrap();
    let House { events: sender, _loop: turning, .. } = &house;
    drop(sender.clone());
    turning.abort();
    let House { events: sender, .. } = house;
    drop(sender);
    // The aborted loop holds the other sender until it is polled once more.
    assert_eq!(timeout(LONG, events.next()).await.unwrap().unwrap(), None);
}
