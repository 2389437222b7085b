//! The stream of events on the socket.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    contract::{check_account, is_whole_second},
    lab::{DEADLINE, Keypulse, Mail, Settings, until},
};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OLD: &str = "abcd-efgh-ijkl-mnop";
const NEW: &str = "qrst-uvwx-yzab-cdef";

#[test]
fn events_stream_transitions_and_incidents() {
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mutt", OLD);
    keypulse.configure(&Settings::for_mail(&mail).account(ADDRESS).credential_file("mutt", &secret));
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    let mut stream = Stream::open(&keypulse);
    mail.dovecot.set_password(ADDRESS, NEW);
    let suspected = stream.until("transition", |data| data["to"] == "suspect");
    let keys: Vec<_> = suspected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["account", "at", "cause", "credential", "from", "id", "presumed", "reason", "to"]);
    assert_eq!((&suspected["credential"], &suspected["from"]), (&json!("mutt"), &json!("healthy")));
    assert!(is_whole_second(suspected["at"].as_str().unwrap()), "{suspected}");
    let opened = stream.until("incident", |data| data["event"] == "incident-opened");
    assert_eq!((&opened["schema"], &opened["account"]["address"]), (&json!(1), &json!(ADDRESS)));
    check_account(&opened["account"]);
    let revoked = stream.until("transition", |data| data["to"] == "revoked");
    assert_eq!(revoked["cause"], "reset-or-revoked");
    assert!(revoked["id"].as_u64() > suspected["id"].as_u64());

    keypulse.secret("mutt", NEW);
    stream.until("transition", |data| data["to"] == "healthy");
    let resolved = stream.until("incident", |data| data["event"] == "incident-resolved");
    assert!(resolved["account"]["incident"]["resolved_at"].is_string(), "{resolved:#}");
    // As for hooks: the object, and the words for people.
    for event in [&opened, &resolved] {
        let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["account", "event", "message", "schema"], "{event:#}");
        assert!(event["message"]["title"].as_str().unwrap().ends_with(ADDRESS), "{event:#}");
    }
}

/// A reader of `GET /v1/events`, as curl is one.
struct Stream {
    socket: UnixStream,
    text: String,
}

impl Stream {
    fn open(keypulse: &Keypulse) -> Self {
        let mut socket = UnixStream::connect(keypulse.socket()).unwrap();
        socket.write_all(b"GET /v1/events HTTP/1.1\r\nHost: keypulse\r\n\r\n").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut stream = Self { socket, text: String::new() };
        until("the head of the stream", || {
            stream.read();
            stream.text.contains("\r\n\r\n").then_some(())
        });
        assert!(
            stream.text.starts_with("HTTP/1.1 200") && stream.text.contains("text/event-stream"),
            "{}",
            stream.text
        );
        stream
    }

    fn read(&mut self) {
        let mut bytes = [0; 4096];
        // Nothing new within the time is no error here.
        if let Ok(count) = self.socket.read(&mut bytes) {
            assert!(count > 0, "the stream ended: {}", self.text);
            self.text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// Waits for an event of this name whose data satisfies `wanted`, among all so far.
    #[track_caller]
    fn until(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.events().into_iter().find(|(event, data)| event == name && wanted(data));
            if let Some((_, data)) = found {
                return data;
            }
            assert!(begun.elapsed() < DEADLINE, "no such {name} in\n{}", self.text);
            self.read();
        }
    }

    /// Each event comes in one chunk: `event: …` and `data: …`.
    fn events(&self) -> Vec<(String, Value)> {
        let mut lines = self.text.lines();
        let mut events = Vec::new();
        while let Some(line) = lines.next() {
            if let Some(event) = line.strip_prefix("event: ")
                && let Some(data) = lines.find_map(|line| line.strip_prefix("data: "))
                && let Ok(data) = serde_json::from_str(data)
            {
                events.push((event.to_owned(), data));
            }
        }
        events
    }
}
