//! A witness on a bus: what was asked of the notification service, and what it answered.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{Account, Component};

const NOTIFICATIONS: &str = "org.freedesktop.Notifications";

/// The urgency hint of the Desktop Notifications Specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// 0.
    Low,
    /// 1, and when no hint is given.
    Normal,
    /// 2.
    Critical,
}

/// One call of `Notify`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The id that the service gave; None while it has not answered, or where it refused.
    pub id: Option<u32>,
    /// The unique name of the connection that sent it.
    pub sender: String,
    /// Who says it.
    pub app_name: String,
    /// The id to be replaced, or 0.
    pub replaces_id: u32,
    /// The title.
    pub summary: String,
    /// The text, markup as sent.
    pub body: String,
    /// Keys and labels in turn.
    pub actions: Vec<String>,
    /// The urgency hint.
    pub urgency: Urgency,
    /// The category hint.
    pub category: Option<String>,
    /// All hints, each as `{"type": …, "data": …}`.
    pub hints: BTreeMap<String, Value>,
    /// Milliseconds; 0 is never, -1 leaves it to the service.
    pub expire_timeout: i64,
}

/// What happened to notifications, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody asked to show one.
    Notify(Notification),
    /// Its sender asked to close it.
    CloseNotification(u32),
    /// It is gone: 1 expired, 2 dismissed by the person, 3 closed by its sender, 4 undefined.
    Closed {
        /// Which.
        id: u32,
        /// Why.
        reason: u32,
    },
    /// The person chose an action.
    ActionInvoked {
        /// Which notification.
        id: u32,
        /// Which action.
        key: String,
    },
}

/// A running witness.
pub struct Monitor {
    // First: stopped before its directory goes.
    component: Component,
    dir: TempDir,
}

impl Monitor {
    /// Returns once every further message is seen.
    #[track_caller]
    pub(super) fn start(account: Account, address: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = account.clean("busctl");
        command.arg(format!("--address={address}")).args(["--json=short", "monitor"]);
        let (log, messages) = (dir.path().join("log"), dir.path().join("messages"));
        let errors = fs::File::create(&log).unwrap();
        let output = fs::File::create(&messages).unwrap();
        let component = Component::spawn_with("busctl monitor", &command, &log, |command| {
            command.stdin(std::process::Stdio::null()).stdout(output).stderr(errors);
        });
        component.until("monitoring", || component.log().contains("Monitoring bus message stream").then_some(()));
        Self { component, dir }
    }

    /// Every message so far, as `busctl` writes them.
    pub fn messages(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).unwrap();
        // The last line may be half written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every call of this method so far: how a test proves that nobody asked for a dialog.
    pub fn calls(&self, interface: &str, member: &str) -> Vec<Value> {
        let mut messages = self.messages();
        messages.retain(|message| {
            message["type"] == "method_call" && message["interface"] == interface && message["member"] == member
        });
        messages
    }

    /// What happened to notifications so far.
    pub fn events(&self) -> Vec<Event> {
        let messages = self.messages();
        messages.iter().filter_map(|message| event(message, &messages)).collect()
    }

    /// Every notification so far that the service took, replaced ones included.
    pub fn notifications(&self) -> Vec<Notification> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Notify(notification) => notification.id.is_some().then_some(notification),
                Event::CloseNotification(_) | Event::Closed { .. } | Event::ActionInvoked { .. } => None,
            })
            .collect()
    }

    /// Waits until `state` finds what it looks for in what happened so far.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut state: impl FnMut(&[Event]) -> Option<T>) -> T {
        self.component.until(what, || state(&self.events()))
    }

    /// Waits for a notification whose title contains `text`, taken by the service.
    #[track_caller]
    pub fn notified(&self, text: &str) -> Notification {
        self.component.until(&format!("a notification about {text:?}"), || {
            self.notifications().into_iter().find(|notification| notification.summary.contains(text))
        })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("messages")
    }
}

fn event(message: &Value, all: &[Value]) -> Option<Event> {
    if message["interface"] != NOTIFICATIONS {
        return None;
    }
    let data = &message["payload"]["data"];
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    match (message["type"].as_str()?, message["member"].as_str()?) {
        ("method_call", "Notify") => Some(Event::Notify(notification(message, all))),
        ("method_call", "CloseNotification") => Some(Event::CloseNotification(number(&data[0]))),
        ("signal", "NotificationClosed") => Some(Event::Closed { id: number(&data[0]), reason: number(&data[1]) }),
        ("signal", "ActionInvoked") => Some(Event::ActionInvoked { id: number(&data[0]), key: text(&data[1]) }),
        _ => None,
    }
}

fn notification(message: &Value, all: &[Value]) -> Notification {
    let data = &message["payload"]["data"];
    let hints: BTreeMap<_, _> =
        data[6].as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let answer = all.iter().find(|answer| {
        answer["type"] == "method_return"
            && answer["destination"] == message["sender"]
            && answer["reply_cookie"] == message["cookie"]
    });
    Notification {
        id: answer.map(|answer| u32::try_from(answer["payload"]["data"][0].as_u64().unwrap()).unwrap()),
        sender: text(&message["sender"]),
        app_name: text(&data[0]),
        replaces_id: u32::try_from(data[1].as_u64().unwrap()).unwrap(),
        summary: text(&data[3]),
        body: text(&data[4]),
        actions: data[5].as_array().unwrap().iter().map(text).collect(),
        urgency: match hints.get("urgency").and_then(|hint| hint["data"].as_u64()) {
            None | Some(1) => Urgency::Normal,
            Some(0) => Urgency::Low,
            Some(2) => Urgency::Critical,
            Some(other) => panic!("urgency {other}"),
        },
        category: hints.get("category").map(|hint| text(&hint["data"])),
        hints,
        expire_timeout: data[7].as_i64().unwrap(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
