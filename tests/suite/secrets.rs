//! Where a secret must never be: on the wire outside TLS, in a log, a file, an error, an answer, an argument, an environment,
//! a core file, or, once nothing is under way, in memory. Watched over the whole life of a daemon.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keypulse::{
    health::evidence::Service,
    simulator::{Fault, Stage},
};
use rustix::process::Signal;
use serde_json::json;

use crate::lab::{
    Bus, Capture, Component, ICloud, Keypulse, Keyring, Mail, Mailbox, Memory, Running, Settings, Terminal, Tls,
    account, clean, run, until,
};

const LOCAL_PART: &str = "johnappleseed";
const ADDRESS: &str = "johnappleseed@icloud.com";
/// Who sends the mails.
const SENDER: &str = "nas@example.org";
/// Every name under which a password is sent.
const USERS: [&str; 3] = [LOCAL_PART, ADDRESS, SENDER];
/// Not of the app-specific shape; every way to write it down makes another text of it.
const ODD: &str = "tr0ub4dor&3 \"ß\" 100%/+=\\";
const MALFORMED: &str = "Correct-Horse-Battery-7";
/// A user without an account, of these tests alone.
const SOMEBODY: u32 = 61_201;

/// Everything a password could look like where somebody wrote it down.
fn faces(password: &str) -> Vec<String> {
    let bytes = password.as_bytes();
    let each = |show: fn(&mut String, u8)| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            show(&mut text, *byte);
            text
        })
    };
    let mut faces = vec![
        password.to_owned(),
        password.replace('-', ""),
        password.replace('-', " "),
        password.replace('\\', r"\\").replace('"', "\\\""),
        STANDARD.encode(password),
        each(|text, byte| write!(text, "{byte:02x}").unwrap()),
        each(|text, byte| {
            // RFC 3986, section 2.3
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if plain { text.push(char::from(byte)) } else { write!(text, "%{byte:02X}").unwrap() }
        }),
        format!("{bytes:?}").trim_matches(['[', ']']).to_owned(),
    ];
    for user in USERS {
        faces.push(STANDARD.encode(format!("\0{user}\0{password}")));
        faces.push(STANDARD.encode(format!("{user}\0{user}\0{password}")));
    }
    faces
}

/// Parts of them that would still help somebody: half of the characters.
fn pieces(password: &str) -> BTreeSet<String> {
    let mut pieces = BTreeSet::new();
    let mut cut = |text: &str, length: usize| {
        let windows = text.as_bytes().windows(length);
        pieces.extend(windows.filter_map(|piece| String::from_utf8(piece.to_vec()).ok()));
    };
    cut(password, 10);
    cut(&password.replace('-', ""), 8);
    for user in USERS {
        // Where the password's own characters begin.
        let message = STANDARD.encode(format!("\0{user}\0{password}"));
        cut(&message[(user.len() + 2).div_ceil(3) * 4..], 12);
    }
    pieces
}

/// No secret, in none of its faces.
#[track_caller]
pub fn no_secret_in(place: &str, text: impl AsRef<[u8]>, secrets: &[&str]) {
    // One character per byte: the standard library finds texts faster than bytes.
    let latin: String = text.as_ref().iter().copied().map(char::from).collect();
    for face in secrets.iter().flat_map(|secret| faces(secret)) {
        let face: String = face.bytes().map(char::from).collect();
        assert!(!latin.contains(&face), "{place} holds {face}");
    }
}

/// Every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] });
    files.filter(|path| path.is_file()).collect()
}

/// Where a process holds pieces of these.
fn held(pid: u32, secrets: &[&str]) -> Vec<String> {
    let pieces: BTreeSet<String> = secrets.iter().flat_map(|secret| pieces(secret)).collect();
    Memory::of(pid).expect("the process is there").find(pieces.iter().map(String::as_str))
}

/// A login is under way, and the process needs its password for it.
#[track_caller]
fn until_held(daemon: &Running<'_>, keypulse: &Keypulse, icloud: &ICloud, secrets: &[&str]) {
    icloud.set_fault(Some(&Fault::Hang(Stage::Login)));
    let answer = keypulse.request("POST", "/v1/check", r#"{"wait_s":0}"#).unwrap();
    assert_eq!(answer.code, 202, "{answer:?}");
    until("a password in memory, where this looks", || (!held(daemon.pid(), secrets).is_empty()).then_some(()));
}

/// A daemon's life: passwords from every source, accepted, refused, replaced and added at a terminal; a wrong one, a command
/// that prints its own in vain, a configuration read again. Ends in the middle of a login.
#[track_caller]
fn live(icloud: &ICloud) {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    let keypulse = Keypulse::new().on(&bus).env("KEYPULSE_LOG", "trace");
    let [file, command, stored, complains] = std::array::from_fn(|_| icloud.world.new_password(ADDRESS));
    icloud.world.set_password(ADDRESS, ODD);
    let script = "cat \"$0\"; cat \"$0\" >&2; exit 1";
    let (told, path) = (keypulse.home().join("told"), |name: &str, secret: &str| keypulse.secret(name, secret));
    keyring.store("keypulse", "stored", &stored);
    let settings = Settings::for_icloud(icloud)
        .set("limits", "failed_logins_per_account", "60")
        .hook(&["sh", "-c", &format!("exec >>{}; env; exec cat", told.display())])
        .account(ADDRESS)
        .credential_file("file", &path("file", &file))
        .credential_command("command", &["cat", path("command", &command).to_str().unwrap()])
        .credential_keyring("stored")
        .credential("odd", &format!("any_shape = true\nsecret.file = {}", json!(path("odd", ODD))))
        .credential_file("mistake", &path("mistake", MALFORMED))
        .credential_command("complains", &["sh", "-c", script, path("complains", &complains).to_str().unwrap()]);
    keypulse.configure(&settings);
    let wire = Capture::of(&Service::ALL.map(|service| icloud.port(service)));
    let daemon = keypulse.run();
    let mut said = String::new();
    let mut ask = |arguments: &[&str]| {
        let output = keypulse.command(arguments);
        writeln!(said, "{arguments:?} {}\n{}\n{}", output.code, output.stdout, output.stderr).unwrap();
    };
    let old = ["file", "command", "stored", "odd"];
    for name in old {
        daemon.until_health(name, "healthy");
    }
    daemon.until_health("mistake", "unreadable");
    daemon.until_health("complains", "unreadable");
    ask(&["check"]);

    icloud.world.reset_main_password(ADDRESS);
    for name in old {
        daemon.until_health(name, "revoked");
    }
    ask(&["status"]);
    ask(&["explain"]);
    let [changed, typed, added] = std::array::from_fn(|_| icloud.world.new_password(ADDRESS));
    keypulse.secret("file", &changed);
    let mut replace = Terminal::run(&keypulse, &["replace", "stored"]);
    replace.password("New password, not shown", &typed);
    replace.next("Replaced: stored");
    assert_eq!(replace.end(), (Some(0), true), "{}", replace.screen());
    let mut add = Terminal::run(&keypulse, &["add", "added", "--account", ADDRESS]);
    add.password("App-specific password for added", &added);
    add.next("added is watched");
    assert_eq!(add.end(), (Some(0), true), "{}", add.screen());
    daemon.reload();
    for name in ["file", "stored", "added"] {
        daemon.until_health(name, "healthy");
    }

    let secrets = [ODD, MALFORMED, &file, &command, &stored, &complains, &changed, &typed, &added];
    for arguments in [
        &["status", "--json"][..],
        &["explain", "--json"],
        &["list"],
        &["history"],
        &["report"],
        &["doctor"],
        &["config", "show"],
    ] {
        ask(arguments);
    }
    for path in ["/v1/status", "/v1/explain", "/v1/history", "/metrics", "/v1/check"] {
        said.push_str(&keypulse.request("GET", path, "").unwrap().body);
    }
    for name in old.iter().chain(&["mistake", "complains", "added"]) {
        assert!(said.contains(name), "{name} in {said}");
    }
    no_secret_in("what commands and the socket said", &said, &secrets);
    no_secret_in("the screen of replace", replace.screen(), &secrets);
    no_secret_in("the screen of add", add.screen(), &secrets);

    until_held(&daemon, &keypulse, icloud, &[&changed, &typed, &added]);
    for name in ["cmdline", "environ", "comm", "status"] {
        let path = format!("/proc/{}/{name}", daemon.pid());
        no_secret_in(&path, fs::read(&path).unwrap(), &secrets);
    }
    let log = daemon.log();
    assert!(log.contains("attempt ended") && log.contains("configuration read again"), "that it is wordy: {log}");
    no_secret_in("the log", &log, &secrets);
    daemon.kill9();
    let told = fs::read_to_string(told).unwrap();
    assert!(told.contains("incident-opened") && told.contains("KEYPULSE_CAUSE="), "{told}");
    no_secret_in("what the hook was given", &told, &secrets);
    for path in files_below(&keypulse.home().join(".local")).into_iter().chain([keypulse.config_file()]) {
        no_secret_in(&path.display().to_string(), fs::read(&path).unwrap(), &secrets);
    }
    let wire = wire.end();
    let plain: String = wire.iter().copied().map(char::from).collect();
    assert!(plain.contains("STARTTLS\r\n"), "what is sent in the clear is seen");
    no_secret_in("the wire", &wire, &secrets);
    for piece in secrets.iter().flat_map(|secret| pieces(secret)) {
        assert!(!plain.contains(&piece), "the wire holds {piece}");
    }
}

#[test]
fn no_secret_leaves_a_daemon_all_its_life() {
    live(&ICloud::start());
}

#[test]
fn no_secret_leaves_a_daemon_where_tls_begins_the_other_way_round() {
    live(&ICloud::the_other_way_round());
}

#[test]
fn after_a_check_no_copy_of_a_secret_is_in_memory() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let keyring = Keyring::start(&bus);
    let keypulse = Keypulse::new().on(&bus);
    let passwords: [String; 4] = std::array::from_fn(|_| icloud.world.new_password(ADDRESS));
    let [file, command, stored, program] = &passwords;
    icloud.world.set_password(ADDRESS, ODD);
    keyring.store("keypulse", "stored", stored);
    let other = format!("[Account x]\nremoterepository = R\n\n[Repository R]\ntype = IMAP\nremotepass = {program}\n");
    let settings = Settings::for_icloud(&icloud)
        .only_on_request()
        .account(ADDRESS)
        .credential_file("file", &keypulse.secret("file", file))
        .credential_command("command", &["cat", keypulse.secret("command", command).to_str().unwrap()])
        .credential_keyring("stored")
        .credential("odd", &format!("any_shape = true\nsecret.file = {}", json!(keypulse.secret("odd", ODD))))
        .credential(
            "program",
            &format!(
                "secret.program = {{ name = \"offlineimap\", file = {}, entry = \"R\" }}",
                json!(keypulse.secret("offlineimaprc", &other))
            ),
        );
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    let secrets: Vec<&str> = passwords.iter().map(String::as_str).chain([ODD]).collect();
    for name in ["file", "command", "stored", "odd", "program"] {
        daemon.until_health(name, "healthy");
    }
    for round in 0..3 {
        let answer = keypulse.request("POST", "/v1/check", r#"{"wait_s":60}"#).unwrap();
        assert_eq!(answer.code, 200, "{answer:?}");
        until(&format!("memory without a secret after round {round}"), || {
            let found = held(daemon.pid(), &secrets);
            if !found.is_empty() {
                eprintln!("still there: {found:#?}");
            }
            found.is_empty().then_some(())
        });
    }
    // A refused one leaves no more.
    icloud.world.reset_main_password(ADDRESS);
    let answer = keypulse.request("POST", "/v1/check", r#"{"wait_s":60}"#).unwrap();
    assert_eq!(answer.code, 200, "{answer:?}");
    until("memory without a refused secret", || held(daemon.pid(), &secrets).is_empty().then_some(()));
}

#[test]
fn a_mail_leaves_no_secret_behind() {
    const OLD: &str = "abcd-efgh-ijkl-mnop";
    const NEW: &str = "qrst-uvwx-yzab-cdef";
    let mail = Mail::start();
    mail.dovecot.set_password(ADDRESS, OLD);
    mail.dovecot.set_password(SENDER, ODD);
    let keypulse = Keypulse::new().env("KEYPULSE_LOG", "trace");
    let settings = Settings::for_mail(&mail)
        .email(mail.postfix.starttls_port(), Tls::StartTls, SENDER, &keypulse.secret("sender", ODD))
        .account(ADDRESS)
        .credential_file("mutt", &keypulse.secret("mutt", OLD));
    keypulse.configure(&settings);
    let wire = Capture::of(&[mail.dovecot.implicit_port(), mail.postfix.starttls_port()]);
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    mail.dovecot.set_password(ADDRESS, NEW);
    Mailbox::of(&mail).until("revoked");
    daemon.until("told", |status| account(status, ADDRESS)["incident"]["notified_at"].is_string());
    let secrets = [OLD, ODD];
    until("memory without a secret", || held(daemon.pid(), &secrets).is_empty().then_some(()));
    no_secret_in("the log", daemon.log(), &secrets);
    no_secret_in("the status document", daemon.status_json().to_string(), &secrets);
    daemon.kill9();
    for path in files_below(&keypulse.home().join(".local")) {
        no_secret_in(&path.display().to_string(), fs::read(&path).unwrap(), &secrets);
    }
    let wire: String = wire.end().into_iter().map(char::from).collect();
    assert!(wire.contains("STARTTLS\r\n"), "what is sent in the clear is seen");
    for piece in secrets.iter().flat_map(|secret| pieces(secret)) {
        assert!(!wire.contains(&piece), "the wire holds {piece}");
    }
}

/// Who owns what `/proc` shows of a process: root, where it is not dumpable.
fn owner(pid: u32, file: &str) -> u32 {
    fs::metadata(format!("/proc/{pid}/{file}")).unwrap().uid()
}

#[test]
fn nobody_but_root_looks_into_the_process_and_it_leaves_no_core() {
    let icloud = ICloud::start();
    let password = icloud.world.new_password(ADDRESS);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("file", &password);
    let keypulse = keypulse.started_by(&["prlimit", "--core=unlimited:unlimited", "--"]).of(SOMEBODY);
    keypulse
        .configure(&Settings::for_icloud(&icloud).only_on_request().account(ADDRESS).credential_file("file", &secret));
    let daemon = keypulse.run();
    daemon.until_health("file", "healthy");
    let look = |file: &str| {
        let mut command = as_somebody("head");
        command.args(["--bytes=1", &format!("/proc/{}/{file}", daemon.pid())]);
        run(&mut command, "")
    };
    for file in ["environ", "maps", "mem"] {
        assert_eq!(owner(daemon.pid(), file), 0, "{file}");
        let output = look(file);
        assert!(output.code != 0 && output.stderr.contains("Permission denied"), "{file}: {output:?}");
    }
    // The witness: what is not hardened is the user's own to look into.
    let other = Component::spawn("sleep", as_somebody("sleep").arg("600"), &keypulse.home().join("log"));
    other.until("it is the user's", || (owner(other.pid(), "environ") == SOMEBODY).then_some(()));

    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().filter(|word| *word == "0").count(), 2, "{cores}");
    until_held(&daemon, &keypulse, &icloud, &[&password]);
    daemon.signal(Signal::ABORT);
    let status = daemon.wait();
    assert_eq!((status.signal(), status.core_dumped()), (Some(Signal::ABORT.as_raw()), false), "{status:?}");
    for path in files_below(keypulse.home()) {
        // The program itself is there, too: it knows no password, and is large.
        if path != secret && path != keypulse.home().join("keypulse") {
            no_secret_in(&path.display().to_string(), fs::read(&path).unwrap(), &[&password]);
        }
    }
}

fn as_somebody(program: &str) -> Command {
    let mut command = clean("setpriv");
    let id = SOMEBODY.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--pdeathsig", "KILL", "--", program]);
    command
}

#[test]
fn commands_that_take_passwords_are_closed_too() {
    let (icloud, bus) = (ICloud::start(), Bus::start());
    let _keyring = Keyring::start(&bus);
    icloud.world.add_account(ADDRESS);
    let keypulse = Keypulse::with(&Settings::for_icloud(&icloud)).on(&bus);
    let terminal = Terminal::run(&keypulse, &["add", "mutt", "--account", ADDRESS]);
    terminal.until("App-specific password for mutt");
    let ours = fs::read_dir("/proc").unwrap().find_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(format!("/proc/{pid}/environ")).ok()?;
        let home = format!("HOME={}\0", keypulse.home().display());
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (line.contains(&home) && name.trim() == "keypulse").then_some(pid)
    });
    let limits = fs::read_to_string(format!("/proc/{}/limits", ours.expect("its process"))).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().filter(|word| *word == "0").count(), 2, "{cores}");
}
