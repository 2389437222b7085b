//! Servers and programs that mean harm: what they say fills no memory, moves no terminal and marks nothing up.

use std::{fmt::Write as _, fs};

use keypulse::{
    health::evidence::Service,
    simulator::{Fault, Stage},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    faults::{
        ADDRESS, IMAP_OK, NAME, Patient, Row, SMTP_OK, VIOLATION, all, assert_printable, check, replies, row, sent,
    },
    lab::{Bus, Dunst, ICloud, Keypulse, Settings, run, until},
    notifications::picture,
};

/// Clears the screen, sets the title, colours, turns the writing round, hides, rings, marks up and opens a link.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m \u{202e}txet \u{7f}\u{85}\u{feff}\u{2066}\u{200b} \r \
                       <b>bold</b> &lt;i&gt; <a href=\"https://evil.example\">call us</a> <img src=\"/etc/passwd\"/> x";
/// More than anything may add to the memory of an idle daemon.
const MOST_KIB: u64 = 4 * 1024;

/// The most memory a process ever had, in KiB.
pub fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// It never had much more than `before`, which it had when idle.
#[track_caller]
pub fn assert_bounded(pid: u32, before: u64) {
    let grown = peak_kib(pid) - before;
    assert!(grown <= MOST_KIB, "{grown} KiB more than {before}");
}

/// Faults that would fill the memory of a careless client.
fn floods() -> Vec<Row> {
    let sent = sent("protocol-violation");
    let mut rows = Vec::new();
    for make in [Fault::EndlessLine as fn(Stage) -> Fault, Fault::Flood, Fault::HugeLiteral] {
        rows.extend([
            all(make(Stage::Greeting), VIOLATION),
            row(make(Stage::Capability), [IMAP_OK, VIOLATION, VIOLATION, VIOLATION]),
            all(make(Stage::Login), sent),
        ]);
    }
    rows
}

/// Lists of capabilities, and answers, that do end: as long as a server with many extensions may make them, and longer.
fn huge() -> Vec<Row> {
    let lines = |line: &str, count: usize, end: &str| {
        let mut text = String::new();
        (0..count).for_each(|number| write!(text, "{line}{number:08}\r\n").unwrap());
        text + end
    };
    let asides = |count, end: &str| lines("* OK [X-LOREM-IPSUM] still working on it, number ", count, end);
    let capability = |count| asides(count, "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n{tag} OK done");
    let ehlo = |count| lines("250-X-LOREM-IPSUM-", count, "250-STARTTLS\r\n250 AUTH PLAIN LOGIN");
    let literals = |count| lines("* LIST () \"/\" {8}\r\n", count, "{tag} OK done");
    let refusal = |count| lines("535-5.7.8 still thinking about it, number ", count, "535 5.7.8 no");
    let capabilities = |count, said| Row {
        faults: [capability(count), ehlo(count)].map(|text| Fault::Reply(Stage::Capability, text)),
        said,
    };
    let (few, many) = (90, 50_000);
    vec![
        capabilities(few, [IMAP_OK, IMAP_OK, SMTP_OK, SMTP_OK]),
        capabilities(many, [IMAP_OK, VIOLATION, VIOLATION, VIOLATION]),
        replies(Stage::Login, &asides(few, "{tag} OK done"), "235 2.7.0 yes", [IMAP_OK, SMTP_OK]),
        replies(Stage::Login, &asides(many, "{tag} OK done"), &refusal(many), [sent("protocol-violation"); 2]),
        replies(Stage::Login, &literals(few), "235 2.7.0 yes", [IMAP_OK, SMTP_OK]),
        replies(Stage::Login, &literals(many), "235 2.7.0 yes", [sent("protocol-violation"), SMTP_OK]),
    ]
}

#[test]
fn endless_and_huge_answers_fill_no_memory() {
    for icloud in [ICloud::start(), ICloud::the_other_way_round()] {
        let patient = Patient::new(icloud, |settings| settings);
        let daemon = patient.keypulse.run();
        daemon.until_health(NAME, "healthy");
        patient.check();
        let before = peak_kib(daemon.pid());
        for row in floods().into_iter().chain(huge()) {
            patient.examine(&row);
        }
        assert_bounded(daemon.pid(), before);
        patient.acquit(&daemon);
    }
}

/// Everything that shows what a server said, on a terminal without colours and with: nothing in it moves one.
#[track_caller]
fn assert_shown_harmlessly(keypulse: &Keypulse) {
    for arguments in [&["status"][..], &["explain"], &["explain", NAME], &["history"], &["list"], &["doctor"]] {
        let plain = keypulse.command(arguments);
        assert_printable(&(plain.stdout + &plain.stderr));
        let mut coloured = keypulse.program();
        let coloured = run(coloured.args(arguments).env("CLICOLOR_FORCE", "1"), "");
        assert_printable(&without_colours(&(coloured.stdout + &coloured.stderr)));
    }
    for arguments in [&["status"][..], &["explain"], &["history"]] {
        let json = keypulse.command(&[arguments, &["--json"]].concat()).stdout;
        assert!(json.starts_with(['[', '{']), "{arguments:?}: {json}");
        assert_printable(&json);
    }
    for format in ["oneline", "waybar", "prometheus"] {
        assert_printable(&keypulse.command(&["status", "--format", format]).stdout);
    }
}

#[test]
fn no_text_of_a_server_or_program_reaches_a_terminal_as_it_is() {
    let patient = Patient::new(ICloud::start(), |settings| settings);
    let text = fs::read_to_string(patient.keypulse.config_file()).unwrap();
    let lines = broken(&patient.keypulse);
    patient.keypulse.configure_text(&format!("{text}\n[[account.credential]]\nname = \"broken\"\n{lines}\n"));
    let daemon = patient.keypulse.run();
    daemon.until_health(NAME, "healthy");
    daemon.until_health("broken", "unreadable");
    let mut explained = String::new();
    let faults = [
        Fault::ControlText,
        Fault::Reply(Stage::Greeting, format!("* BYE {HOSTILE}")),
        Fault::Reply(Stage::Greeting, format!("554 {HOSTILE}")),
        Fault::Reply(Stage::Login, format!("NO [{HOSTILE}] {HOSTILE}")),
        Fault::Reply(Stage::Login, format!("550 5.7.1 {HOSTILE}")),
        Fault::Garbage(Stage::Login),
        Fault::EightBitText,
    ];
    for fault in faults {
        patient.icloud.world.set_fault(Service::Imap, Some(fault.clone()));
        // EightBitText refuses: on one service only, and the other proves that the pair lives.
        let smtp = Some(fault.clone()).filter(|fault| *fault != Fault::EightBitText);
        patient.icloud.world.set_fault(Service::Smtp, smtp);
        // Times are whole seconds: what came within the second of the last acceptance is taken for older.
        until("the words are shown", || {
            check(&patient.keypulse, NAME);
            let shown = patient.keypulse.command(&["status"]).stdout;
            (shown.contains("IMAP:") || fault == Fault::EightBitText).then_some(())
        });
        assert_shown_harmlessly(&patient.keypulse);
        explained += &patient.keypulse.command(&["explain", NAME]).stdout;
        patient.icloud.set_fault(None);
        check(&patient.keypulse, NAME);
    }
    for word in ["txet", "bold", "call"] {
        assert!(explained.contains(word), "the words themselves are shown, but not {word:?}: {explained}");
    }
    let past = patient.keypulse.command(&["history"]).stdout;
    assert!(past.contains("txet"), "the words themselves are shown: {past}");
    assert_printable(&daemon.log());
}

/// The text without the sequences that set colours, which are keypulse's own.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('m') {
            Some((codes, rest)) if codes.chars().all(|c| c.is_ascii_digit() || c == ';') => plain.push_str(rest),
            _ => plain.push_str(&["\u{1b}[", part].concat()),
        }
    }
    plain
}

/// A program that is asked for a password and complains, with all that a terminal or a notification service obeys.
fn broken(keypulse: &Keypulse) -> String {
    let script = keypulse.home().join("broken");
    fs::write(&script, format!("printf '%s' '{HOSTILE}' >&2\nexit 1\n")).unwrap();
    format!("secret.command = {}", json!(["sh", script]))
}

#[test]
fn no_text_of_a_program_reaches_a_notification_as_it_is() {
    let (bus, icloud) = (Bus::start(), ICloud::start());
    let dunst = Dunst::start(&bus);
    let monitor = bus.monitor();
    let keypulse = Keypulse::new().on(&bus);
    let lines = format!("app = \"<b>Tom</b> & Jerry\"\n{}", broken(&keypulse));
    keypulse.configure(&Settings::for_icloud(&icloud).desktop().account(ADDRESS).credential("broken", &lines));
    let daemon = keypulse.run();
    daemon.until_health("broken", "unreadable");
    assert!(daemon.terminate().0.success());
    // What lasts for a day is told: it began so long ago.
    age(&keypulse, 25 * 60 * 60 * 1000);

    let daemon = keypulse.run();
    let shown = monitor.notified("cannot be checked");
    let (before, body) = shown.body.split_once("Cannot be read").expect("the reason");
    assert!(before.contains("&lt;b&gt;Tom&lt;/b&gt; &amp; Jerry"), "{shown:?}");
    assert!(body.contains("txet") && body.contains("&lt;b&gt;bold&lt;/b&gt;"), "the words themselves: {shown:?}");
    assert!(body.contains("&amp;lt;i&amp;gt;"), "an entity is no markup either: {shown:?}");
    // The title is no markup (Desktop Notifications Specification, "Basic Design"); the text is.
    assert!(shown.summary.contains("(<b>Tom</b> & Jerry)"), "{shown:?}");
    assert!(!shown.body.contains(['<', '>']), "markup: {shown:?}");
    assert_printable(&shown.summary);
    assert_printable(&shown.body);
    dunst.wait_displayed(1);
    picture(&dunst, "hostile");
    dunst.dismiss_all();
    // dunst kept the words, not what they would mark up.
    let kept = until("what was shown", || dunst.history().into_iter().next());
    let body = kept["body"]["data"].as_str().unwrap();
    assert!(body.contains("&lt;b&gt;bold"), "{kept:#}");
    drop(daemon);
}

/// Everything that is remembered of credentials began so many milliseconds earlier.
fn age(keypulse: &Keypulse, millis: i64) {
    let database = Connection::open(keypulse.state_dir().join("keypulse.sqlite")).unwrap();
    let memory: String = database.query_row("SELECT memory FROM credentials", (), |row| row.get(0)).unwrap();
    let mut memory: Value = serde_json::from_str(&memory).unwrap();
    for pointer in ["/since", "/unreadable/since"] {
        let since = memory.pointer_mut(pointer).unwrap();
        *since = json!(since.as_i64().unwrap() - millis);
    }
    assert_eq!(database.execute("UPDATE credentials SET memory = ?", [memory.to_string()]).unwrap(), 1);
}
