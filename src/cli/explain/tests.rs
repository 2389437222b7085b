//! What `explain` prints, word for word: `sample.json` is the document, `sample.txt` the text.

use jiff::tz::TimeZone;

use super::*;
use crate::{
    api::{Time, time::local},
    cli::style,
};

const DOCUMENT: &str = include_str!("sample.json");

fn shown(document: &ExplainDocument, width: usize, colour: bool) -> String {
    let now = document.generated_at;
    let local = |time: Time| local(time, now, &TimeZone::UTC);
    render(document, &Look { now, width, colour, local: &local })
}

#[test]
fn the_chain_is_told_from_the_logins_to_the_verdict() {
    let document: ExplainDocument = serde_json::from_str(DOCUMENT).unwrap();
    let plain = shown(&document, 80, false);
    assert_eq!(plain, include_str!("sample.txt"), "\n--- shown:\n{plain}");
    assert_eq!(
        anstream::adapter::strip_str(&shown(&document, 80, true)).to_string(),
        plain,
        "colours change no letter"
    );
    for width in [80, 60, 40] {
        let shown = shown(&document, width, false);
        assert!(shown.lines().all(|line| style::columns(line) <= width), "wider than {width}:\n{shown}");
    }
}

#[test]
fn without_a_daemon_or_passwords_it_says_so() {
    let document: ExplainDocument = serde_json::from_str(DOCUMENT).unwrap();
    let alone = ExplainDocument { daemon: None, ..document };
    let text = shown(&alone, 80, false);
    assert!(text.ends_with("\n\nThe daemon is not running: nothing is checked until it is.\n"), "{text}");
    assert!(!text.contains("Next check"), "{text}");
    let empty = ExplainDocument { accounts: vec![], ..alone };
    let words = "No passwords watched. Watch one: keypulse add NAME --account ADDRESS\n";
    assert_eq!(shown(&empty, 80, false), words);
}

#[test]
fn programs_get_every_field_also_the_empty_ones() {
    let document: ExplainDocument = serde_json::from_str(DOCUMENT).unwrap();
    let again = serde_json::to_string_pretty(&document).unwrap() + "\n";
    assert_eq!(again, DOCUMENT, "\n--- written:\n{again}");
}
