//! The keyring against a real gnome-keyring on a private D-Bus session.
//!
//! The bus is found through the environment, which belongs to the process: so each test runs a part of this file, marked
//! `ignore`, in a process of its own. Needs `dbus-daemon` and `gnome-keyring-daemon`.

use std::{
    fs::{self, DirBuilder},
    io::{BufRead, BufReader, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::StreamExt;
use zbus::{Connection, MessageStream, OwnedObjectPath, OwnedVariant, Proxy, Variant};

use crate::secret::{AppPassword, Asked, Limits, Reader, Source};

const FIRST: &str = "abcd-efgh-ijkl-mnop";
const SECOND: &str = "qrst-uvwx-yzab-cdef";

#[test]
fn gnome_keyring_from_the_first_password_to_the_last() {
    let home = tempfile::tempdir().unwrap();
    let (_bus, address) = start_bus(home.path());
    run_inside("inside_a_session", home.path(), &address);
}

#[test]
fn without_a_bus_the_answer_says_so() {
    let home = tempfile::tempdir().unwrap();
    run_inside("inside_no_session", home.path(), &format!("unix:path={}", home.path().join("no-bus").display()));
}

#[tokio::test]
#[ignore = "runs in a process of its own, see gnome_keyring_from_the_first_password_to_the_last"]
async fn inside_a_session() {
    let reader = Reader::new();
    let source = named("thunderbird");
    let no_service = "no keyring service runs (org.freedesktop.secrets)";
    check(&reader, &source, Asked::Background, Err(no_service)).await;

    // Stored and read. The service came after the first try: nothing remembers that there was none.
    let mut service = start_keyring();
    wait_for_keyring().await;
    check(&reader, &source, Asked::Background, Err("the keyring has no such item")).await;
    assert_eq!(reader.delete_from_keyring("keypulse", "thunderbird").await, Ok(false));
    store(&reader, "thunderbird", FIRST).await;
    check(&reader, &source, Asked::Background, Ok(FIRST)).await;
    store(&reader, "thunderbird", SECOND).await;
    check(&reader, &source, Asked::Background, Ok(SECOND)).await;
    store(&reader, "thunderbird", FIRST).await;
    let labels = secret_tool(&["search", "--all", "service", "keypulse"]);
    assert!(labels.contains("label = keypulse: thunderbird (johnappleseed@icloud.com)"), "{labels}");

    // By attributes: exactly one.
    let attributes = |pairs: &[(&str, &str)]| {
        Source::Attributes(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    store(&reader, "mutt", SECOND).await;
    check(&reader, &attributes(&[("username", "mutt")]), Asked::Background, Ok(SECOND)).await;
    check(&reader, &attributes(&[("service", "keypulse")]), Asked::Background, Err("several items")).await;
    check(&reader, &attributes(&[("server", "imap")]), Asked::ByPerson, Err("the keyring has no such item")).await;

    // Locked: said, and nothing opened. A person is asked, in vain without a screen.
    let watch = Watch::start().await;
    lock().await;
    for _ in 0..3 {
        check(&reader, &source, Asked::Background, Err("the keyring is locked; unlock it")).await;
        check(&reader, &attributes(&[("username", "mutt")]), Asked::Background, Err("the keyring is locked")).await;
        let partly = "the keyring has no such item in what is unlocked";
        check(&reader, &named("nobody"), Asked::Background, Err(partly)).await;
    }
    assert_eq!(watch.stop().await, Vec::<String>::new(), "calls that ask the person");
    let watch = Watch::start().await;
    check(&reader, &source, Asked::ByPerson, Err("the keyring is locked, and its dialog was closed")).await;
    assert_eq!(watch.stop().await, ["Unlock", "Prompt"], "the watch sees what it has to see");
    unlock().await;
    check(&reader, &source, Asked::Background, Ok(FIRST)).await;

    // Restarted: the crate's session is stale and is opened anew.
    stop(&mut service);
    check(&reader, &source, Asked::Background, Err(no_service)).await;
    let mut service = start_keyring();
    wait_for_keyring().await;
    check(&reader, &source, Asked::Background, Ok(FIRST)).await;

    // Hung: given up in time; and again in order when it goes on.
    let hasty =
        Reader { limits: Limits { keyring: Duration::from_millis(200), ..Limits::default() }, ..Reader::default() };
    signal(&service, rustix::process::Signal::STOP);
    check(&hasty, &source, Asked::Background, Err("the keyring did not answer within 0.2 s")).await;
    signal(&service, rustix::process::Signal::CONT);
    check(&reader, &source, Asked::Background, Ok(FIRST)).await;

    assert_eq!(reader.delete_from_keyring("keypulse", "thunderbird").await, Ok(true));
    assert_eq!(reader.delete_from_keyring("keypulse", "thunderbird").await, Ok(false));
    check(&reader, &source, Asked::Background, Err("the keyring has no such item")).await;
    stop(&mut service);
}

#[tokio::test]
#[ignore = "runs in a process of its own, see without_a_bus_the_answer_says_so"]
async fn inside_no_session() {
    let reader = Reader::new();
    for asked in [Asked::Background, Asked::ByPerson] {
        check(&reader, &named("thunderbird"), asked, Err("there is no D-Bus session")).await;
    }
    let password = AppPassword::parse(FIRST).unwrap();
    let refused = reader.store_in_keyring("keypulse", "thunderbird", "x", &password).await.unwrap_err();
    assert!(refused.detail.starts_with("there is no D-Bus session"), "{refused}");
}

fn named(username: &str) -> Source {
    Source::Keyring { service: "keypulse".to_owned(), username: username.to_owned() }
}

async fn store(reader: &Reader, username: &str, password: &str) {
    let password = AppPassword::parse(password).unwrap();
    let label = format!("keypulse: {username} (johnappleseed@icloud.com)");
    reader.store_in_keyring("keypulse", username, &label, &password).await.unwrap();
}

/// `expected`: the password, or how the detail begins.
async fn check(reader: &Reader, source: &Source, asked: Asked, expected: Result<&str, &str>) {
    match (reader.read(source, false, asked).await, expected) {
        (Ok(password), Ok(expected)) => assert_eq!(password.expose(str::to_owned), expected),
        (Err(error), Err(expected)) => assert!(error.detail.starts_with(expected), "{} / {expected}", error.detail),
        (got, expected) => panic!("{got:?} instead of {expected:?} for {source:?}"),
    }
}

/// A process that ends with its test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A session bus that starts no services by itself.
fn start_bus(home: &Path) -> (Ends, String) {
    let configuration = home.join("bus.conf");
    let socket = home.join("bus");
    let text = format!(
        r#"<busconfig><type>session</type><listen>unix:path={}</listen><policy context="default">
           <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#,
        socket.display()
    );
    fs::write(&configuration, text).unwrap();
    let mut bus = Command::new("dbus-daemon")
        .args(["--nofork", "--print-address", "--config-file"])
        .arg(&configuration)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("dbus-daemon is installed");
    let mut address = String::new();
    BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (Ends(bus), address.trim().to_owned())
}

fn run_inside(test: &str, home: &Path, address: &str) {
    for directory in ["data", "run"] {
        DirBuilder::new().mode(0o700).create(home.join(directory)).unwrap();
    }
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored"])
        .env("DBUS_SESSION_BUS_ADDRESS", address)
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{errors}");
}

fn start_keyring() -> Ends {
    let mut service = Command::new("gnome-keyring-daemon")
        .args(["--foreground", "--unlock", "--components=secrets"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("gnome-keyring-daemon is installed");
    service.stdin.take().unwrap().write_all(b"pw").unwrap();
    Ends(service)
}

/// Until the service is there and its login collection is open.
async fn wait_for_keyring() {
    loop {
        let bus = Connection::session().await.unwrap();
        let collection =
            at(&bus, "/org/freedesktop/secrets/aliases/default", "org.freedesktop.Secret.Collection").await;
        if collection.get_property::<bool>("Locked").await.is_ok_and(|locked| !locked) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn stop(service: &mut Ends) {
    service.0.kill().unwrap();
    service.0.wait().unwrap();
}

fn signal(service: &Ends, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_child(&service.0);
    rustix::process::kill_process(id, signal).unwrap();
}

fn secret_tool(arguments: &[&str]) -> String {
    let output = Command::new("secret-tool").args(arguments).output().expect("secret-tool is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn at(bus: &Connection, path: &'static str, interface: &'static str) -> Proxy<'static> {
    Proxy::new(bus, "org.freedesktop.secrets", path, interface).await.unwrap()
}

const SECRETS: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";

async fn login(service: &Proxy<'_>) -> OwnedObjectPath {
    service.call("ReadAlias", &("default",)).await.unwrap()
}

async fn lock() {
    let bus = Connection::session().await.unwrap();
    let service = at(&bus, SECRETS, SERVICE).await;
    let collection = login(&service).await;
    let (locked, _): (Vec<OwnedObjectPath>, OwnedObjectPath) =
        service.call("Lock", &(vec![collection],)).await.unwrap();
    assert_eq!(locked.len(), 1);
}

/// As the login manager does it: with the password, without a dialog.
async fn unlock() {
    let bus = Connection::session().await.unwrap();
    let service = at(&bus, SECRETS, SERVICE).await;
    let (_, session): (OwnedVariant, OwnedObjectPath) =
        service.call("OpenSession", &("plain", Variant::from(""))).await.unwrap();
    let secret = (session, Vec::<u8>::new(), b"pw".to_vec(), "text/plain");
    let inner = at(&bus, SECRETS, "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface").await;
    let collection = login(&service).await;
    let () = inner.call("UnlockWithMasterPassword", &(collection, secret)).await.unwrap();
}

/// Sees every call on the bus that makes the keyring ask the person.
struct Watch {
    seen: MessageStream,
}

impl Watch {
    async fn start() -> Self {
        let bus = Connection::session().await.unwrap();
        let rules = [
            "type='method_call',interface='org.freedesktop.Secret.Service',member='Unlock'",
            "type='method_call',interface='org.freedesktop.Secret.Prompt'",
            "type='method_call',member='EndOfWatch'",
        ];
        let seen = MessageStream::from(bus.clone());
        bus.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus.Monitoring"),
            "BecomeMonitor",
            &(rules.as_slice(), 0_u32),
        )
        .await
        .unwrap();
        Self { seen }
    }

    /// The members that were called until now.
    async fn stop(mut self) -> Vec<String> {
        let bus = Connection::session().await.unwrap();
        let service = at(&bus, SECRETS, SERVICE).await;
        // An unknown method: its error is our answer, and the watch has seen everything before it.
        service.call_method("EndOfWatch", &()).await.unwrap_err();
        let mut members = Vec::new();
        while let Some(message) = self.seen.next().await {
            let message = message.unwrap();
            let header = message.header();
            match header.member().map(ToString::to_string) {
                Some(end) if end == "EndOfWatch" => break,
                Some(member) if header.message_type() == zbus::message::Type::MethodCall => members.push(member),
                Some(_) | None => {}
            }
        }
        members
    }
}
