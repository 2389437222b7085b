//! What a server's bytes mean, read in another way than the probes read them: lines and literals, the first answer with the
//! login's tag, the reply whose turn it is.
//!
//! Shares no code with what it judges. Says only what must hold; whatever it does not forbid may be inconclusive.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use super::{Beginning, OTHER_NAME, SECRET, Script, USER};
use crate::health::evidence::Service;

/// Whether these words may count as an acceptance.
pub(super) fn accepts(service: Service, script: &Script) -> bool {
    match service {
        Service::Imap => imap_answer(script).is_some_and(|(answer, _)| words(&answer).next() == Some("ok")),
        Service::Smtp => smtp_answer(script).is_some_and(|(code, _)| code == "235"),
    }
}

/// Whether these words may count as a refusal of the pair.
pub(super) fn refuses(service: Service, script: &Script) -> bool {
    match service {
        Service::Imap => imap_answer(script).is_some_and(|(answer, asides)| {
            let temporary = asides.iter().any(|aside| {
                let (_, code, text) = parts(aside);
                ["unavailable", "limit", "inuse", "overquota"].contains(&code) || is_temporary(text)
            });
            let (status, code, text) = parts(&answer);
            status == "no" && code == "authenticationfailed" && !is_temporary(text) && !temporary
        }),
        Service::Smtp => smtp_answer(script).is_some_and(|(code, text)| code == "535" && !is_temporary(&text)),
    }
}

/// What a person may see: at most 200 characters, each of which has a place and a meaning of its own, and nothing secret.
#[track_caller]
pub(super) fn fit_to_show(text: &str) {
    assert!(text.chars().count() <= 200, "{} characters: {text:?}", text.chars().count());
    let unfit: Vec<char> =
        text.chars().filter(|character| character.is_control() || is_invisible(*character)).collect();
    assert!(unfit.is_empty(), "{unfit:?} in {text:?}");
    assert!(!betrays(text), "a name or a secret in {text:?}");
}

/// Whether it holds a name of the account, or eight characters in a row of the secret in one of its forms.
pub(super) fn betrays(text: &str) -> bool {
    let text = text.to_lowercase();
    let encoded = |bytes: &str| STANDARD_NO_PAD.encode(bytes).to_lowercase();
    let sasl = encoded(&["", USER, SECRET].join("\0"));
    let forms = [SECRET.to_owned(), SECRET.replace('-', ""), encoded(SECRET), sasl];
    let leaks = forms.iter().any(|form| {
        let form: Vec<char> = form.chars().collect();
        form.windows(8).any(|piece| text.contains(&piece.iter().collect::<String>()))
    });
    let local_part = USER.split('@').next().unwrap_or_default();
    leaks || [local_part, OTHER_NAME].iter().any(|name| text.contains(name))
}

/// Characters without ink, or that change how others are written: Unicode's Default_Ignorable_Code_Point but emoji's variation selectors, line and paragraph
/// separators, interlinear annotation.
fn is_invisible(character: char) -> bool {
    matches!(u32::from(character),
        0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x2028..=0x202e
        | 0x2060..=0x206f | 0x3164 | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0x1bca0..=0x1bca3
        | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// Words that look like an address are hidden before anything is judged: a name may be "temporary".
fn is_temporary(text: &str) -> bool {
    words(text).any(|word| word.contains("temporar") && !word.contains('@'))
}

/// `no [code arguments] text` into its parts; what is missing is empty.
fn parts(line: &str) -> (&str, &str, &str) {
    let line = line.trim();
    let (status, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let Some((inside, text)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return (status, "", rest);
    };
    (status, words(inside).next().unwrap_or_default(), text)
}

/// The server's answer to the login in lower case, without its tag; and the untagged `NO` and `BAD` since the login was due.
/// `None` where it said goodbye before, or never answered.
fn imap_answer(script: &Script) -> Option<(String, Vec<String>)> {
    let stream = script.turns.concat();
    let mut frames = frames(&stream).into_iter();
    if script.beginning == Beginning::InTheClear {
        frames.find(|frame| frame.starts_with("k1 "))?;
    }
    let mut asides = Vec::new();
    for (at, frame) in frames.enumerate() {
        if let Some(answer) = frame.strip_prefix("k3 ") {
            return Some((answer.to_owned(), asides));
        }
        let aside = frame.strip_prefix("* ").unwrap_or_default();
        match parts(aside).0 {
            "bye" => return None,
            "no" | "bad" if at > 0 || script.beginning != Beginning::Implicit => asides.push(aside.to_owned()),
            _ if frame.starts_with("k2 ") => asides.clear(),
            _ => {}
        }
    }
    None
}

/// The first line of each response, in lower case: a line of data that ends in `{n}` goes on after `n` bytes. The text of a
/// status holds no literal (RFC 3501, section 9: `resp-text`).
fn frames(stream: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    let mut rest = stream;
    let mut first: Option<String> = None;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let (line, after) = rest.split_at(end);
        let text = String::from_utf8_lossy(line).to_lowercase();
        let mut after = after.get(2..).unwrap_or_default();
        let literal = text.strip_suffix('}').and_then(|text| text.rsplit_once('{')?.1.parse::<usize>().ok());
        let first_line = first.get_or_insert(text);
        let status = words(first_line).nth(1).unwrap_or_default();
        let is_data = first_line.starts_with("* ") && !["ok", "no", "bad", "bye", "preauth"].contains(&status);
        match literal {
            Some(length) if is_data => after = after.get(length..).unwrap_or_default(),
            _ => frames.extend(first.take()),
        }
        rest = after;
    }
    frames
}

/// Code and text, in lower case, of the reply whose turn it is to answer AUTH.
fn smtp_answer(script: &Script) -> Option<(String, String)> {
    let stream = script.turns.concat();
    let text = String::from_utf8_lossy(&stream).to_lowercase();
    let mut replies = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.split_inclusive("\r\n").map_while(|line| line.strip_suffix("\r\n")) {
        let Some((code, rest)) = line.split_at_checked(3) else { break };
        let (known, said) = open.get_or_insert_with(|| (code.to_owned(), String::new()));
        if known != code {
            break;
        }
        said.push(' ');
        said.push_str(rest.get(1..).unwrap_or_default());
        if !rest.starts_with('-') {
            replies.extend(open.take());
        }
        if replies.len() > 16 {
            break;
        }
    }
    let before = match script.beginning {
        Beginning::Implicit => 2,
        Beginning::Upgraded => 1,
        Beginning::InTheClear => 4,
    };
    let mut replies = replies.into_iter().skip(before);
    let first = replies.next()?;
    if first.0 == "334" { replies.next() } else { Some(first) }
}
