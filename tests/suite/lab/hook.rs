//! A hook that writes down what it was told.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::Keypulse;

/// What a person's hook was given, one JSON object per event.
pub struct Hook {
    told: PathBuf,
}

impl Hook {
    /// A hook for this person; `command` goes into the settings.
    pub fn of(keypulse: &Keypulse) -> Self {
        Self { told: keypulse.home().join("told") }
    }

    /// For `notify.hook.command`.
    pub fn command(&self) -> [String; 3] {
        ["sh".to_owned(), "-c".to_owned(), format!("exec cat >>{}", self.told.display())]
    }

    /// Every event so far, in order.
    #[track_caller]
    pub fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.told).unwrap_or_default();
        // The last line may be half written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The names of every event so far, in order.
    #[track_caller]
    pub fn events(&self) -> Vec<String> {
        self.told().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for an event, and returns it.
    #[track_caller]
    pub fn until(&self, event: &str) -> Value {
        super::until(&format!("the hook told of {event}"), || {
            self.told().into_iter().find(|told| told["event"] == event)
        })
    }
}
