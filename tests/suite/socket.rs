//! Who gets at the socket of the real daemon, how slowly and how much at once; and what may lie where it and the state are to
//! be.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _, lchown, symlink},
        net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use crate::lab::{Component, DEADLINE, ICloud, Keypulse, Output, Running, Settings, clean, run, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
/// Users without accounts, of these tests alone: whose keypulse it is, and somebody else.
const OWNER: u32 = 61_203;
const OTHER: u32 = 61_204;

/// Asks for the status as often as its second argument says, over as many connections at once; prints what comes back on the
/// first of them.
const ASK: &str = r#"
import socket, sys
path, many = sys.argv[1], int(sys.argv[2])
held = []
for _ in range(many):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    held.append(s)
print("connected", flush=True)
if many > 1:
    sys.stdin.read()
held[0].sendall(b"GET /v1/status HTTP/1.1\r\n\r\n")
while data := held[0].recv(65536):
    sys.stdout.write(data.decode())
"#;

/// One healthy credential, checked again and again.
fn watched(icloud: &ICloud) -> Keypulse {
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mutt", &icloud.world.new_password(ADDRESS));
    keypulse.configure(&Settings::for_icloud(icloud).account(ADDRESS).credential_file("mutt", &secret));
    keypulse
}

fn as_user(user: u32, program: &str) -> std::process::Command {
    let (mut command, id) = (clean("setpriv"), user.to_string());
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--pdeathsig", "KILL", "--", program]);
    command.current_dir("/");
    command
}

fn asked_by(user: u32, keypulse: &Keypulse) -> Output {
    run(as_user(user, "/usr/bin/python3").args(["-c", ASK]).arg(keypulse.socket()).arg("1"), "")
}

/// What the daemon says, and that its checks go on meanwhile.
#[track_caller]
fn unhurt(daemon: &Running<'_>, icloud: &ICloud) {
    let before = icloud.world.logins().len();
    let status = daemon.until("two more rounds", |_| icloud.world.logins().len() >= before + 4);
    assert_eq!(status["overall"], "ok", "{status:#}");
}

#[test]
fn other_users_are_refused_by_modes_and_by_name() {
    let icloud = ICloud::start();
    let keypulse = watched(&icloud).of(OWNER);
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let directory = keypulse.socket().parent().unwrap().to_owned();
    assert_eq!((mode(&directory), mode(&keypulse.socket())), (0o700, 0o600));

    let allowed = asked_by(OWNER, &keypulse);
    assert!(allowed.stdout.contains("HTTP/1.1 200 OK") && allowed.stdout.contains(ADDRESS), "{allowed:?}");
    // `Running::until_health` was root.
    let refused = asked_by(OTHER, &keypulse);
    assert!(refused.code != 0 && refused.stderr.contains("Permission denied"), "{refused:?}");

    // With all doors open there is still the daemon's own look at who it is.
    for path in [keypulse.home(), &keypulse.home().join("run"), &directory] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(keypulse.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let refused = asked_by(OTHER, &keypulse);
    assert!(refused.stdout.contains("HTTP/1.1 403 Forbidden") && !refused.stdout.contains(ADDRESS), "{refused:?}");
    assert!(refused.stdout.contains(r#""code":"not-yours""#), "{refused:?}");

    // Nor do their connections take the place of others, however many they are.
    let log = keypulse.home().join("crowd");
    let (reader, _writer) = std::io::pipe().unwrap();
    let crowd = Component::spawn_with(
        "a crowd",
        as_user(OTHER, "/usr/bin/python3").args(["-c", ASK]).arg(keypulse.socket()).arg("600"),
        &log,
        |command| {
            let file = fs::File::create(&log).unwrap();
            command.stdin(reader).stdout(file.try_clone().unwrap()).stderr(file);
        },
    );
    crowd.until("its connections", || crowd.log().contains("connected").then_some(()));
    unhurt(&daemon, &icloud);
    let allowed = asked_by(OWNER, &keypulse);
    assert!(allowed.stdout.contains("HTTP/1.1 200 OK"), "{allowed:?}");
}

/// All that comes back before the daemon closes; it may reset what it did not read.
#[track_caller]
fn answer(stream: &mut UnixStream) -> String {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the daemon closes it: {error}"),
    }
    String::from_utf8(bytes).unwrap()
}

/// Listens where its argument says, for anybody, and answers whatever is asked.
const POSE: &str = r#"
import socket, sys, os
os.umask(0)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("listening", flush=True)
while True:
    c = s.accept()[0]
    try:
        c.recv(65536)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    except OSError:
        pass
    c.close()
"#;

#[test]
fn somebody_elses_daemon_is_not_believed() {
    // Where anybody may put what he likes.
    let shared = tempfile::tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let socket = shared.path().join("keypulse.sock");
    let (mut pose, log) = (as_user(OTHER, "/usr/bin/python3"), shared.path().join("log"));
    let poser = Component::spawn("somebody else's daemon", pose.args(["-c", POSE]).arg(&socket), &log);
    poser.until("its socket", || poser.log().contains("listening").then_some(()));

    let icloud = ICloud::start();
    let keypulse = watched(&icloud).of(OWNER).env("KEYPULSE_SOCKET", socket.to_str().unwrap());
    for arguments in [&["check"][..], &["pause"], &["events"], &["status"]] {
        let output = keypulse.command(arguments);
        assert!(
            output.code != 0 && output.stderr.contains(&format!("user {OTHER} listens")),
            "{arguments:?}: {output:?}"
        );
    }
    let refused = keypulse.command(&["run"]);
    assert!(refused.code == 1 && refused.stderr.contains(socket.to_str().unwrap()), "{refused:?}");
}

#[test]
fn two_hundred_slow_and_oversized_requests_at_once_hurt_nobody() {
    let icloud = ICloud::start();
    let keypulse = watched(&icloud);
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    let long = "x".repeat(9 * 1024);
    let requests = [
        (String::new(), ""),
        ("GET /v1/sta".to_owned(), ""),
        ("GET /v1/status HTTP/1.1\r\nHost: keypulse\r\n".to_owned(), ""),
        ("POST /v1/check HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"names\"".to_owned(), "HTTP/1.1 408 "),
        (format!("GET /v1/status HTTP/1.1\r\nX-Filler: {long}\r\n\r\n"), "HTTP/1.1 431 "),
        (format!("POST /v1/check HTTP/1.1\r\nContent-Length: 18000\r\n\r\n{long}{long}"), "HTTP/1.1 413 "),
        ("POST /v1/check HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), "HTTP/1.1 4"),
        ("\0\u{1}\u{2} no HTTP at all\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
    ];
    let mut crowd = Vec::new();
    for (request, expected) in requests.iter().cycle().take(200) {
        let mut stream = UnixStream::connect(keypulse.socket()).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        crowd.push((stream, expected));
    }
    unhurt(&daemon, &icloud);
    let status = keypulse.command(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    for (stream, expected) in &mut crowd {
        let answer = answer(stream);
        assert!(answer.starts_with(*expected) && (!expected.is_empty() || answer.is_empty()), "{expected}: {answer}");
    }
    unhurt(&daemon, &icloud);
    assert_eq!(icloud.world.failed_logins(ADDRESS), 0);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let icloud = ICloud::start();
    let keypulse = watched(&icloud);
    let daemon = keypulse.run();
    let request = "POST /v1/check HTTP/1.1\r\nHost: keypulse\r\nConnection: close\r\nContent-Length: 31\r\n\r\n\
                   {\"names\":[\"mutt\"],\"wait_s\":60}\n";
    let mut stream = UnixStream::connect(keypulse.socket()).unwrap();
    for byte in request.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let answer = answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""health":"healthy""#), "{answer}");
    unhurt(&daemon, &icloud);
}

/// The daemon does not start, says this, and leaves the thing at `path` as it is.
#[track_caller]
fn refuses(keypulse: &Keypulse, path: &Path, word: &str) {
    let before = fs::symlink_metadata(path).unwrap();
    let output = keypulse.command(&["run"]);
    assert_eq!(output.code, 1, "{word}: {output:?}");
    assert!(output.stderr.contains(word) && output.stderr.contains(path.to_str().unwrap()), "{word}: {output:?}");
    let after = fs::symlink_metadata(path).unwrap();
    assert_eq!((before.file_type(), before.len()), (after.file_type(), after.len()), "{word}");
}

#[test]
fn a_stale_socket_is_replaced_and_nothing_else() {
    let icloud = ICloud::start();
    let keypulse = watched(&icloud);
    let socket = keypulse.socket();
    keypulse.run().kill9();
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket(), "as after a power cut");
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");

    assert!(daemon.terminate().0.success());
    assert!(!socket.exists(), "its own socket goes with it");

    let precious = keypulse.home().join("precious");
    fs::write(&precious, "precious").unwrap();
    fs::write(&socket, "a file").unwrap();
    refuses(&keypulse, &socket, "a file that is no socket");
    fs::remove_file(&socket).unwrap();
    for target in [&precious, &keypulse.home().join("nowhere")] {
        symlink(target, &socket).unwrap();
        refuses(&keypulse, &socket, "a symbolic link");
        fs::remove_file(&socket).unwrap();
    }
    run(clean("mkfifo").arg(&socket), "").ok();
    refuses(&keypulse, &socket, "a file that is no socket");
    fs::remove_file(&socket).unwrap();
    fs::create_dir(&socket).unwrap();
    refuses(&keypulse, &socket, "a directory");
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    assert!(!keypulse.home().join("nowhere").exists());
}

#[test]
fn links_and_directories_of_others_are_refused() {
    let icloud = ICloud::start();
    let keypulse = watched(&icloud);
    let trap = keypulse.home().join("trap");
    fs::create_dir(&trap).unwrap();
    let (state, run_directory) = (keypulse.state_dir(), keypulse.socket().parent().unwrap().to_owned());
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    for directory in [&state, &run_directory] {
        symlink(&trap, directory).unwrap();
        lchown(directory, Some(OTHER), Some(OTHER)).unwrap();
        refuses(&keypulse, directory, "a symbolic link of another user");
        fs::remove_file(directory).unwrap();
        fs::create_dir(directory).unwrap();
        lchown(directory, Some(OTHER), Some(OTHER)).unwrap();
        refuses(&keypulse, directory, "it belongs to another user");
        lchown(directory, Some(0), Some(0)).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
        refuses(&keypulse, directory, "any user may exchange the files in it");
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert_eq!(fs::read_dir(&trap).unwrap().count(), 0, "nothing was written where the links led");

    let precious = keypulse.home().join("precious");
    fs::write(&precious, "precious").unwrap();
    for name in ["lock", "keypulse.sqlite", "digest.key"] {
        let file = state.join(name);
        let _ = fs::remove_file(&file);
        symlink(&precious, &file).unwrap();
        refuses(&keypulse, &file, "it is a symbolic link");
        fs::remove_file(&file).unwrap();
    }
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    until("its socket", || keypulse.socket().exists().then_some(()));
}
