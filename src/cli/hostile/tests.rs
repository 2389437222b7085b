//! Lives of the engine, written down as the store writes them, and then spoilt.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// What a number, a word or a whole value may be instead.
const PIECES: [&str; 16] = [
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "4294967295",
    "-1",
    "1e999",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "\"\\u001b[2J\\u202e\"",
    "\u{1b}]0;owned\u{7}",
    "thunderbird",
    "\"revoked\"",
    "\0",
];

/// The rows of a state in which everything has happened, in the form of the seeds.
fn rows() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let examiner = Examiner::new(directory.path());
    let digest = |byte| crate::health::name::Digest([byte; 32]);
    let fingerprint = |byte| Fingerprint {
        secret: digest(byte),
        pairs: crate::health::evidence::PerService { imap: digest(byte + 1), smtp: digest(byte + 2) },
    };
    let outside = Moody { fingerprints: vec![fingerprint(1), fingerprint(4), fingerprint(7)], turn: 0 };
    let mut stage = Stage::new(examiner.setup(), outside, 7, NOW - GOES_ON);
    stage.run(GOES_ON);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (address, stored) in &stage.memory().accounts {
        let mut row = |columns: &[&str]| rows.push(columns.iter().map(ToString::to_string).collect());
        row(&["accounts", address, &json(&stored.memory)]);
        for (position, credential) in stored.credentials.iter().enumerate() {
            row(&["credentials", address, credential.name.as_str(), &position.to_string(), &json(credential)]);
        }
        for (number, login) in stored.logins.iter().enumerate() {
            row(&["pairs", address, &number.to_string(), "imap", "smtp", &json(login)]);
        }
        for spent in &stored.spent {
            row(&["ration", &spent.id.to_string(), address, &spent.at.as_millis().to_string()]);
        }
        for file in &stored.incidents {
            row(&["incidents", &file.incident.id.to_string(), address, "\0", &json(file)]);
        }
        for delivery in &stored.deliveries {
            let (id, incident) = (delivery.id.to_string(), delivery.incident.to_string());
            row(&["deliveries", &id, address, &incident, delivery.channel.as_str(), "0", &json(delivery)]);
        }
    }
    for change in stage.log.transitions.iter().rev().take(12) {
        let (at, account) = (change.at.as_millis().to_string(), change.account.key());
        let columns = ["transitions", &change.id.to_string(), &at, &account, change.credential.as_str(), &json(change)];
        rows.push(columns.iter().map(ToString::to_string).collect());
    }
    let anchor = crate::health::schedule::Anchor { boot: None, since_boot_ms: 5, wall_ms: NOW.as_millis(), at: NOW };
    rows.push(vec!["meta".into(), "anchor".into(), json(&anchor)]);
    let rows: Vec<String> = rows.iter().map(|row| row.join("\u{1f}")).collect();
    rows.join("\u{1e}").into_bytes()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

thread_local! {
    /// One for all cases, in memory where there is such a place: every case writes a database.
    static EXAMINER: (Examiner, tempfile::TempDir) = {
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        (Examiner::new(directory.path()), directory)
    };
}

static ROWS_OF_A_LIFE: LazyLock<Vec<u8>> = LazyLock::new(rows);

fn state(changes: &[u8], rows: &[u8]) -> Vec<u8> {
    let count = u8::try_from(changes.len() / 4).unwrap();
    [&[count], changes, rows].concat()
}

#[test]
fn a_state_as_it_was_written_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let examiner = Examiner::new(directory.path());
    assert!(examiner.examine(&state(&[], &ROWS_OF_A_LIFE)));
    let document = Stored::look(&examiner.config, &examiner.paths).unwrap().document();
    assert!(document.credentials().any(|credential| credential.last_checked_at.is_some()), "{document:#?}");
    if let Some(path) = std::env::var_os("KEYPULSE_WRITE_SEED") {
        fs::write(path, state(&[], &ROWS_OF_A_LIFE)).unwrap();
    }
}

#[test]
fn names_in_a_damaged_state_move_no_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let examiner = Examiner::new(directory.path());
    let rows = String::from_utf8(ROWS_OF_A_LIFE.clone()).unwrap();
    assert!(!examiner.examine(&state(&[], rows.replace("\"nas\"", "\"\\u001b[2Jnas\"").as_bytes())));
    assert!(!examiner.examine(&state(
        &[],
        rows.replace("\"routine\"", "\"\\u001b[2J\"").replace("\"health\":\"", "\"health\":\"\\u001b[2J").as_bytes()
    )));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_damaged_state_is_shown_or_refused(
        cut in proptest::option::weighted(0.3, (any::<Index>(), 1_usize..200)),
        numbers in vec((any::<Index>(), any::<Index>()), 0..4),
        pieces in vec((any::<Index>(), any::<Index>()), 0..3),
        bytes in proptest::option::weighted(0.3, vec(any::<u8>(), 4..64)),
    ) {
        let mut rows = ROWS_OF_A_LIFE.clone();
        for (which, piece) in numbers {
            // A value that is a number becomes another, so that the row can still be read.
            let starts: Vec<usize> = (1..rows.len()).filter(|at| rows[*at].is_ascii_digit() && !rows[at - 1].is_ascii_digit()).collect();
            let start = *which.get(&starts);
            let length = rows[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            rows.splice(start..start + length, piece.get(&PIECES[..5]).bytes());
        }
        for (at, piece) in pieces {
            let at = at.index(rows.len());
            rows.splice(at..at, piece.get(&PIECES).bytes());
        }
        if let Some((at, length)) = cut {
            let at = at.index(rows.len());
            rows.drain(at..(at + length).min(rows.len()));
        }
        let mut bytes = bytes.unwrap_or_default();
        bytes.truncate(bytes.len() / 4 * 4);
        let _ = EXAMINER.with(|(examiner, _)| examiner.examine(&state(&bytes, &rows)));
    }
}
