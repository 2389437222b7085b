//! Words that no server should say: known replies, cut, doubled and mixed. The oracle in `hostile/oracle.rs` says what they
//! must not be taken for. `fuzz/` does the same for hours.

use std::{collections::BTreeMap, fs};

use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::probe::hostile::{Beginning, Script, examine};

/// Scripts that leave the client waiting cost this each.
const IMPATIENT: Duration = Duration::from_millis(20);
const PATIENT: Duration = Duration::from_secs(20);

/// What has a meaning in one of the protocols, or for a terminal.
const PIECES: [&[u8]; 32] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\x1e",
    b"K3 ",
    b"K2 OK x\r\n",
    b"* ",
    b"+ \r\n",
    b"NO [AUTHENTICATIONFAILED] ",
    b"BAD [UNAVAILABLE] ",
    b"* BYE [LIMIT] x\r\n",
    b"* NO [UNAVAILABLE] x\r\n",
    b"OK [ALERT]\xc3\xa9\r\n",
    b"[",
    b"]",
    b"{3}\r\n",
    b"{65536}\r\n",
    b"{500000000}\r\n",
    b"{18446744073709551616}\r\n",
    b"temporarily ",
    b"too many ",
    b"535 5.7.8 no\r\n",
    b"535-5.7.8 ",
    b"235 2.7.0 yes\r\n",
    b"334 \r\n",
    b"421 ",
    b"johnappleseed@icloud.com",
    b"abcd-efgh-ijkl-mnop",
    b"\x1b[2J\x07",
    b"\0",
    b"\xff\xfe",
    b"\xe2\x80\xae",
];

/// The known replies of a service, by name.
fn seeds(service: Service) -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(service.as_str());
    let seeds: BTreeMap<_, _> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    assert!(seeds.len() > 50, "{} known replies of {service}", seeds.len());
    seeds
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn known_replies_are_what_their_names_say() {
    for service in Service::ALL {
        for (name, bytes) in seeds(service) {
            let script = Script::parse(&bytes);
            let hangs = script.hangs || name == "cut-off";
            let outcome = runtime().block_on(examine(service, &script, if hangs { IMPATIENT } else { PATIENT }));
            for (start, finding) in [("accepted", ACCEPTED), ("rejected", REJECTED)] {
                assert!(!name.starts_with(start) || outcome.finding == finding, "{name}: {outcome:?}");
            }
        }
    }
}

/// Found by a fuzzer: lettre panics at such a line. An attempt outlives that, but it is no way to say what is wrong.
#[test]
fn an_extension_without_a_name_is_not_left_to_the_parser() {
    let script = Script::parse(&seeds(Service::Smtp)["extension-blank"]);
    let outcome = runtime().block_on(examine(Service::Smtp, &script, PATIENT));
    assert_eq!(outcome.finding, Finding::Inconclusive(Cause::ProtocolViolation));
    assert_eq!(outcome.detail.as_deref(), Some("the server's words are not SMTP"));
}

/// One change of a script.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index, usize),
    Double(Index, usize),
    Insert(Index, Vec<u8>),
    Overwrite(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        4 => any::<Index>().prop_map(|at| at.get(&PIECES).to_vec()),
        1 => vec(any::<u8>(), 1..8),
        1 => "[ -~]{0,12}".prop_map(String::into_bytes),
    ];
    prop_oneof![
        (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<Index>(), 1_usize..80).prop_map(|(at, length)| Change::Double(at, length)),
        (any::<Index>(), piece).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Overwrite(at, byte)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let place = |at: &Index| at.index(bytes.len().max(1)).min(bytes.len());
        match change {
            Change::Cut(at, length) => {
                let at = place(at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Double(at, length) => {
                let at = place(at);
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            Change::Insert(at, piece) => {
                let at = place(at);
                bytes.splice(at..at, piece.iter().copied());
            }
            Change::Overwrite(at, byte) => {
                let at = place(at);
                bytes.splice(at..(at + 1).min(bytes.len()), [*byte]);
            }
        }
    }
    bytes
}

/// A known reply with some changes; now and then the end of another behind it.
fn mutant(service: Service) -> impl Strategy<Value = Script> {
    let seeds: Vec<Vec<u8>> = seeds(service).into_values().collect();
    let other = seeds.clone();
    (any::<Index>(), vec(change(), 1..6), proptest::option::weighted(0.2, (any::<Index>(), any::<Index>()))).prop_map(
        move |(seed, changes, tail)| {
            let mut bytes = changed(seed.get(&seeds).clone(), &changes);
            if let Some((from, at)) = tail {
                let from = from.get(&other);
                bytes.extend_from_slice(&from[at.index(from.len())..]);
            }
            Script::parse(&bytes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn spoilt_replies_of_imap_are_taken_for_nothing_they_are_not(script in mutant(Service::Imap)) {
        runtime().block_on(examine(Service::Imap, &script, IMPATIENT));
    }

    #[test]
    fn spoilt_replies_of_smtp_are_taken_for_nothing_they_are_not(script in mutant(Service::Smtp)) {
        runtime().block_on(examine(Service::Smtp, &script, IMPATIENT));
    }

    #[test]
    fn a_plain_refusal_is_never_missed(text in "[a-zA-Z0-9 .,:;!?()<>/-]{0,160}", pipe in prop::sample::select(vec![1, 7, 4096])) {
        prop_assume!(!text.to_lowercase().contains("temporar"));
        let refusal = |greeting: &str, turns: &[String]| Script {
            beginning: Beginning::Implicit,
            hangs: false,
            pipe,
            turns: std::iter::once(greeting).chain(turns.iter().map(String::as_str)).map(Vec::from).collect(),
        };
        let imap = refusal(GREETING, &[format!("K3 NO [AUTHENTICATIONFAILED] {text}\r\n")]);
        prop_assert_eq!(runtime().block_on(examine(Service::Imap, &imap, PATIENT)).finding, REJECTED);
        let smtp = refusal("220 hi\r\n", &[EHLO.to_owned(), format!("535 5.7.8 {text}\r\n")]);
        prop_assert_eq!(runtime().block_on(examine(Service::Smtp, &smtp, PATIENT)).finding, REJECTED);
    }
}
