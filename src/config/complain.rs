//! serde's and TOML's complaints in our words, each with a remedy and, for a mistyped key, the one that was meant.
//!
//! Decides wording only. The values complained about are never repeated: the line is shown beside the message, masked.

use std::ops::Range;

use super::{error::Problem, excerpt::quoted, raw::KEYS};

/// The one problem that ended the reading of `text`.
pub(super) fn problem(text: &str, mut error: toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(text.len()..text.len());
    // Only without its input does the error tell which key it was at.
    error.set_input(None);
    let said = error.to_string();
    let path = said.lines().last().and_then(|line| line.strip_prefix("in `")?.strip_suffix('`')).unwrap_or_default();
    let (message, remedy) = if let Some(rest) = error.message().strip_prefix("unknown field `") {
        let key = rest.rsplit_once("`, expected ").map_or(rest, |(key, _)| key);
        unknown_key(path, key)
    } else if let Some(rest) = error.message().strip_prefix("invalid type: ") {
        wrong_type(path, rest)
    } else {
        syntax(error.message(), text, &span)
    };
    Problem::new(text, span, &message, &remedy)
}

fn unknown_key(path: &str, key: &str) -> (String, String) {
    let place = if path.is_empty() { "at the top of the file".to_owned() } else { format!("in {}", header(path)) };
    let message = format!("unknown key {} {place}", quoted(key));
    let siblings = keys_of(path);
    let remedy = if let Some(near) = near(key, siblings.iter().map(|(name, _)| *name)) {
        format!("did you mean `{near}`?")
    } else if is_password_word(key) {
        NO_PASSWORDS.to_owned()
    } else if let Some((table, name)) = elsewhere(key) {
        format!("`{name}` belongs in {}", header(table))
    } else if siblings.is_empty() {
        "take it out".to_owned()
    } else {
        let names: Vec<_> = siblings.iter().map(|(name, _)| *name).collect();
        format!("take it out; known here: {}", names.join(", "))
    };
    (message, remedy)
}

const NO_PASSWORDS: &str = "a password never stands in this file; say where it is kept, such as \
                            `secret.command = [\"pass\", \"show\", \"icloud/mutt\"]`";

fn wrong_type(path: &str, said: &str) -> (String, String) {
    let key = path.rsplit('.').next().unwrap_or_default();
    let (found, expected) = said.rsplit_once(", expected ").unwrap_or((said, ""));
    let too_large = found.ends_with(" as i128") || found.ends_with(" as u128");
    let found = [
        ("string", "text"),
        ("integer", "a number"),
        ("floating point", "a number with a fraction"),
        ("boolean", "true or false"),
        ("map", "a table"),
        ("sequence", "a list"),
    ]
    .iter()
    .find(|(word, _)| found.starts_with(word))
    .map_or("something else", |(_, words)| *words);
    let expected = match expected {
        "a string" => "text in quotes",
        "i64" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ => "a table",
    };
    let message = if too_large {
        format!("the number of {} is far too large", quoted(key))
    } else {
        format!("{} is {found} where {expected} is due", quoted(key))
    };
    let example = path
        .rsplit_once('.')
        .map_or_else(|| keys_of(""), |(table, _)| keys_of(table))
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, example)| *example);
    let remedy = match example {
        _ if key == "secret" && found == "text" => NO_PASSWORDS.to_owned(),
        Some(example) if example.starts_with("[[") => format!("write it as `{example}`, in two pairs of brackets"),
        Some(example) if example.starts_with(&format!("[{path}]")) => {
            format!("write it as `{example}`, its keys below")
        }
        Some(example) => format!("write it like `{key} = {example}`"),
        None => format!("write {expected}"),
    };
    (message, remedy)
}

fn syntax(said: &str, text: &str, span: &Range<usize>) -> (String, String) {
    let found = text.get(span.clone()).unwrap_or_default();
    let (what, _) = said.split_once(", expected ").unwrap_or((said, ""));
    let (message, remedy) = match what {
        "duplicate key" => (format!("{} is given twice", quoted(found)), "keep one of the two"),
        "string values must be quoted" if found.is_empty() => {
            ("a value is missing".to_owned(), "write `key = value`, or take the line out")
        }
        "string values must be quoted" => (
            "this is no value; perhaps text without quotes".to_owned(),
            "put text in quotes, such as `interval = \"1h\"`",
        ),
        "key with no value" => ("a key without a value".to_owned(), "write `key = value`, with an equals sign"),
        "unclosed table" | "unclosed array of tables" => {
            ("the header is not closed".to_owned(), "close it: `[schedule]`, `[[account]]`")
        }
        "invalid basic string" | "invalid literal string" => (
            "the text is not closed, or holds a character that it cannot".to_owned(),
            "close it with the same quote on its line",
        ),
        "missing escaped value" => (
            "a backslash that begins nothing".to_owned(),
            "write `\\\\` for a backslash, or put the text in single quotes",
        ),
        other => (
            other.to_lowercase(),
            "see config.example.toml for how things are written, and https://toml.io for the rules",
        ),
    };
    (message, remedy.to_owned())
}

/// A table as its header is written.
fn header(path: &str) -> String {
    match path {
        "account" | "account.credential" => format!("[[{path}]]"),
        _ => match path.strip_prefix("account.credential.") {
            Some(inner) => format!("`{inner}` of a credential"),
            None => format!("[{path}]"),
        },
    }
}

fn keys_of(path: &str) -> &'static [(&'static str, &'static str)] {
    KEYS.iter().find(|(table, _)| *table == path).map_or(&[], |(_, keys)| keys)
}

/// Another table that has this key.
fn elsewhere(key: &str) -> Option<(&'static str, &'static str)> {
    // "host" or "command" could be meant for many; only a key with one home is sent there.
    let mut homes = KEYS.iter().flat_map(|(table, keys)| keys.iter().map(move |(name, _)| (*table, *name)));
    let matching: Vec<_> = homes.by_ref().filter(|(table, name)| !table.is_empty() && same(name, key)).collect();
    match matching.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

fn is_password_word(key: &str) -> bool {
    ["password", "passwd", "pass", "passphrase", "app_password"].iter().any(|word| same(word, key))
}

/// Case and the kind of dash aside.
fn same(a: &str, b: &str) -> bool {
    normal(a) == normal(b)
}

fn normal(word: &str) -> Vec<char> {
    word.chars().take(64).flat_map(char::to_lowercase).map(|c| if c == '-' { '_' } else { c }).collect()
}

/// The candidate that was most likely meant: at most a third of the letters wrong.
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = normal(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &normal(candidate)), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to change, add, drop or swap with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, j + 1) + 1).min(at(&row, j) + 1).min(at(&last, j) + usize::from(ca != cb));
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn meant(word: &str, expected: Option<&str>) {
        assert_eq!(
            near(word, ["interval", "jitter", "confirm", "retest_revoked", "idle", "to", "from"]),
            expected,
            "{word}"
        );
    }

    #[test]
    fn the_nearest_key_is_found_and_nothing_far() {
        meant("intervall", Some("interval"));
        meant("inteval", Some("interval"));
        meant("itnerval", Some("interval"));
        meant("INTERVAL", Some("interval"));
        meant("retest-revoked", Some("retest_revoked"));
        meant("confirmations", None);
        meant("form", Some("from"));
        meant("password", None);
        meant("", None);
        meant("x", None);
    }

    #[test]
    fn every_table_and_key_is_known_to_serde() {
        use super::super::raw::RawConfig;
        for (table, keys) in KEYS {
            let text = match *table {
                "" => "no_such_key = 1".to_owned(),
                "account" => "[[account]]\nno_such_key = 1".to_owned(),
                "account.credential" => "[[account]]\n[[account.credential]]\nno_such_key = 1".to_owned(),
                _ => match table.strip_prefix("account.credential.") {
                    Some(inner) => format!("[[account]]\n[[account.credential]]\n{inner}.no_such_key = 1"),
                    None => format!("[{table}]\nno_such_key = 1"),
                },
            };
            let error = toml::from_str::<RawConfig>(&text).expect_err(table);
            let expected: Vec<_> = error.message().split('`').skip(3).step_by(2).collect();
            let known: Vec<_> = keys.iter().map(|(name, _)| *name).collect();
            let (mut expected, mut sorted) = (expected, known);
            expected.sort_unstable();
            sorted.sort_unstable();
            assert_eq!(expected, sorted, "[{table}]");
        }
    }
}
