//! `doctor` and `report`: on machines where all is well and where something is not.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use keypulse::{
    health::evidence::Service,
    simulator::{Fault, Stage},
};
use serde_json::Value;

use crate::lab::{Bus, ICloud, Keypulse, Keyring, Settings};

const ADDRESS: &str = "johnappleseed@icloud.com";

/// One person with a password on the simulator.
fn home() -> (ICloud, Keypulse, String) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let password = icloud.world.new_password(ADDRESS);
    let secret = keypulse.secret("mutt", &password);
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("mutt", &secret));
    (icloud, keypulse, password)
}

/// What the doctor finds; nothing was logged in.
#[track_caller]
fn examined(icloud: &ICloud, keypulse: &Keypulse) -> (i32, Value) {
    let before = icloud.world.logins().len();
    let output = keypulse.command(&["doctor", "--json"]);
    assert_eq!(icloud.world.logins().len(), before, "no login is made");
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(document["schema"], 1);
    let overall = ["ok", "warning", "failure"].iter().position(|word| document["overall"] == *word).unwrap();
    assert_eq!(usize::try_from(output.code).unwrap(), overall, "{output:?}");
    for check in document["checks"].as_array().unwrap() {
        assert_eq!(
            check["remedy"].is_null(),
            check["grade"] == "ok",
            "what is not ok has a remedy, and only that: {check}"
        );
    }
    (output.code, document)
}

/// The grade and words of a check, of the one of several.
#[track_caller]
fn found(document: &Value, check: &str, of: &str) -> (String, String) {
    let mut checks = document["checks"].as_array().unwrap().iter();
    let mine = |it: &&Value| it["check"] == check && it["of"].as_str().unwrap_or_default().contains(of);
    let line = checks.find(mine).unwrap_or_else(|| panic!("no {check} {of} in {document:#}"));
    let remedy = line["remedy"].as_str().unwrap_or_default();
    (line["grade"].as_str().unwrap().to_owned(), format!("{} → {remedy}", line["says"].as_str().unwrap()))
}

#[track_caller]
fn says(document: &Value, check: &str, of: &str, grade: &str, text: &str) {
    let (is, said) = found(document, check, of);
    assert_eq!(is, grade, "{said}");
    assert!(said.contains(text), "{text:?} is not in {said:?}");
}

#[test]
fn where_all_is_well_it_says_so() {
    let (icloud, keypulse, _) = home();
    // Its own checks would make logins meanwhile.
    let text = fs::read_to_string(keypulse.config_file()).unwrap();
    keypulse.configure_text(&text.replace("interval = \"500ms\"", "interval = \"12h\"").replace("\"1h\"", "\"30h\""));
    let daemon = keypulse.run();
    daemon.until("the first round over", |status| {
        let mutt = crate::lab::credential(status, "mutt");
        mutt["health"] == "healthy" && !mutt["next_check_at"].is_null()
    });
    let (_, document) = examined(&icloud, &keypulse);
    says(&document, "configuration", "", "ok", "1 account, 1 password");
    says(&document, "password", "mutt", "ok", "read from a file, of the right shape");
    says(&document, "keyring", "", "ok", "no password is kept in one");
    says(&document, "server", &icloud.port(Service::Imap).to_string(), "ok", "answers, encrypted and trusted");
    says(&document, "server", &icloud.port(Service::Smtp).to_string(), "ok", "answers, encrypted and trusted");
    says(&document, "clock", "", "ok", "fits the servers' certificates");
    says(&document, "daemon", "", "ok", "running since");
    says(&document, "socket", "", "ok", "for you alone");
    says(&document, "ration", ADDRESS, "ok", "0 of 12 failed logins");
    says(&document, "state", "", "ok", "sound, schema");
    // What this machine of tests lacks: a way to tell anybody, and a service manager.
    says(&document, "desktop", "", "warning", "no other way to tell you");
    let table = keypulse.command(&["doctor"]);
    assert!(table.stdout.contains("✓ configuration  ") && table.stdout.ends_with(" ok\n"), "{table:?}");
    assert!(table.stdout.lines().all(|line| line.chars().count() <= 80), "{}", table.stdout);
    assert!(!table.stdout.contains('\u{1b}'), "{table:?}");
}

#[test]
fn everything_that_is_wrong_is_named_with_its_remedy() {
    let keypulse = Keypulse::new();
    let icloud = ICloud::start();
    let (code, document) = examined(&icloud, &keypulse);
    assert_eq!(code, 2);
    says(&document, "configuration", "", "failure", "there is none yet");
    says(&document, "configuration", "", "failure", "→ keypulse setup");
    says(&document, "daemon", "", "failure", "none runs: nothing is watched");
    says(&document, "state", "", "ok", "none yet");
    keypulse.configure_text("[schedule]\ninterval = 7\n");
    says(&examined(&icloud, &keypulse).1, "configuration", "", "failure", "config.toml:2:12");

    let open = keypulse.secret("open", "abcd-efgh-ijkl-mnop");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let main = keypulse.secret("main", "Correct Horse 1!");
    let settings = Settings::for_icloud(&icloud)
        .hook(&["/no/such/hook"])
        .account(ADDRESS)
        .credential_file("open", &open)
        .credential_file("main", &main)
        .credential_file("missing", &keypulse.home().join("missing"))
        .credential("failing", "secret.command = [\"sh\", \"-c\", \"echo no such entry >&2; exit 1\"]")
        .credential("ring", "");
    keypulse.configure(&settings);
    let (code, document) = examined(&icloud, &keypulse);
    assert_eq!(code, 2);
    says(&document, "password", "open", "failure", "chmod 600");
    says(&document, "password", "main", "failure", "xxxx-xxxx-xxxx-xxxx");
    says(&document, "password", "missing", "failure", "→ ls -l ");
    says(&document, "password", "failing", "failure", "no such entry");
    says(&document, "password", "ring", "failure", "no D-Bus session");
    says(&document, "keyring", "", "failure", "no D-Bus session");
    says(&document, "hook", "", "failure", "/no/such/hook");
    assert!(!document.to_string().contains("Correct Horse") && !document.to_string().contains("ijkl"), "{document:#}");
}

#[test]
fn servers_are_told_apart_from_what_stands_between() {
    let (icloud, keypulse, _) = home();
    let text = fs::read_to_string(keypulse.config_file()).unwrap();
    keypulse.configure_text(&text.replace("timeout = \"10s\"", "timeout = \"1s\""));
    let [imap, smtp] = [Service::Imap, Service::Smtp].map(|service| icloud.port(service).to_string());
    let with = |service, fault| {
        icloud.world.set_fault(service, Some(fault));
        let document = examined(&icloud, &keypulse).1;
        icloud.world.set_fault(service, None);
        document
    };
    let document = with(Service::Imap, Fault::UntrustedIssuer);
    says(&document, "server", &imap, "failure", "The certificate was issued by ");
    says(&document, "server", &imap, "failure", "→ openssl s_client -connect ");
    says(&document, "server", &smtp, "ok", "trusted");
    let document = with(Service::Smtp, Fault::CertificateExpired);
    says(&document, "server", &smtp, "failure", "which is not now");
    says(&document, "clock", "", "ok", "fits the servers' certificates");
    icloud.world.set_fault(Service::Imap, Some(Fault::CertificateExpired));
    let document = with(Service::Smtp, Fault::CertificateExpired);
    icloud.world.set_fault(Service::Imap, None);
    says(&document, "clock", "", "failure", "the clock is ahead, or the certificate is no good");
    let document = with(Service::Imap, Fault::ConnectionRefused);
    says(&document, "server", &imap, "failure", "refused the connection");
    let document = with(Service::Smtp, Fault::StartTlsNotOffered);
    says(&document, "server", &smtp, "failure", "takes the encryption out");
    let document = with(Service::Imap, Fault::HttpForMail);
    says(&document, "server", &imap, "failure", "sign in to the network");
    let begun = Instant::now();
    let document = with(Service::Imap, Fault::Hang(Stage::Handshake));
    says(&document, "server", &imap, "failure", "no answer within 1s");
    assert!(begun.elapsed().as_secs() < 10, "a server that hangs is given up");
}

/// What a firewall does that drops packets: a port whose queue is full gets no answer either (`listen(2)`).
#[test]
fn a_blocked_port_is_told_from_a_closed_one() {
    let (icloud, keypulse, _) = home();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (blocked, mut queue) = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        (socket.listen(1).unwrap(), Vec::new())
    });
    let address = blocked.local_addr().unwrap();
    // More than it takes in; who is not taken in gets no answer.
    while let Ok(waiting) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        queue.push(waiting);
        assert!(queue.len() < 20, "the queue is never full");
    }
    let [port, smtp] = [address.port(), icloud.port(Service::Smtp)];
    let text = fs::read_to_string(keypulse.config_file()).unwrap().replace("timeout = \"10s\"", "timeout = \"2s\"");
    keypulse.configure_text(&text.replace(&format!("port = {smtp}"), &format!("port = {port}")));
    let document = examined(&icloud, &keypulse).1;
    let firewall = format!(
        "port {port} does not answer, although the other server does: a firewall of this network blocks {port}, most likely; \
         passwords cannot be tried for smtp here → nc -vz 127.0.0.1 {port}"
    );
    says(&document, "server", &port.to_string(), "failure", &firewall);
    says(&document, "server", &icloud.port(Service::Imap).to_string(), "ok", "answers");
    drop((queue, blocked));
    let document = examined(&icloud, &keypulse).1;
    says(&document, "server", &port.to_string(), "failure", "refused the connection");
}

#[test]
fn a_locked_keyring_is_named() {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    let icloud = ICloud::start();
    let keypulse = Keypulse::new().on(&bus);
    let settings = Settings::for_icloud(&icloud).account(ADDRESS).credential("mutt", "");
    keypulse.configure(&settings);
    keyring.store("keypulse", "mutt", &icloud.world.new_password(ADDRESS));
    let document = examined(&icloud, &keypulse).1;
    says(&document, "password", "mutt", "ok", "read from the keyring");
    says(&document, "keyring", "", "ok", "reachable and unlocked");
    keyring.lock();
    let document = examined(&icloud, &keypulse).1;
    says(&document, "password", "mutt", "failure", "locked");
    says(&document, "keyring", "", "failure", "→ keypulse check");
}

#[test]
fn a_damaged_state_and_open_doors_are_seen() {
    let (icloud, keypulse, _) = home();
    assert_eq!(keypulse.command(&["check"]).code, 0);
    fs::set_permissions(keypulse.state_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    says(&examined(&icloud, &keypulse).1, "state", "", "warning", "→ chmod 700 ");
    fs::set_permissions(keypulse.state_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(keypulse.state_dir().join("keypulse.sqlite"), "not a database, by no means at all").unwrap();
    says(&examined(&icloud, &keypulse).1, "state", "", "failure", "→ stop keypulse, then: mv ");
}

#[test]
fn the_ration_that_is_used_up_is_told() {
    let (icloud, keypulse, password) = home();
    let text = fs::read_to_string(keypulse.config_file()).unwrap();
    keypulse.configure_text(&format!("[limits]\nfailed_logins_per_account = 8\n{text}"));
    assert_eq!(keypulse.command(&["check"]).code, 0);
    icloud.world.revoke(ADDRESS, &password);
    for _ in 0..12 {
        keypulse.command(&["check", "mutt"]);
    }
    let document = examined(&icloud, &keypulse).1;
    says(&document, "ration", ADDRESS, "warning", "of 8 failed logins in 24 h: no automatic login before");
}

#[test]
fn a_report_holds_no_secret_no_name_and_no_place_of_a_person() {
    const OTHER: &str = "jane.doe@icloud.com";
    let icloud = ICloud::start();
    let keypulse = Keypulse::new().env("USER", "quentin").env("XDG_CURRENT_DESKTOP", "GNOME");
    let passwords = [(); 3].map(|()| icloud.world.new_password(ADDRESS));
    let [first, second, _] = ["mutt", "nas", "phone"].map(|name| {
        let at = ["mutt", "nas", "phone"].iter().position(|it| *it == name).unwrap();
        keypulse.secret(name, &passwords[at])
    });
    let hook = keypulse.home().join("bin/tell-quentin");
    let settings = Settings::for_icloud(&icloud)
        .hook(&[hook.to_str().unwrap(), "hook-argument"])
        .set("notify.email", "to", "\"mom@family.example\"")
        .set("notify.email", "from", "\"quentin@family.example\"")
        .set("notify.email", "host", "\"smtp.family.example\"")
        .set("notify.email", "username", "\"family-mailer\"")
        .set("notify.email", "secret", "{ command = [\"echo\", \"email-secret-1\"] }")
        .account(ADDRESS)
        .credential_file("mutt", &first)
        .credential_file("nas", &second)
        .credential("phone", &format!("secret.command = [\"printf\", \"%s\", \"{}\"]", passwords[2]))
        .account(OTHER)
        .credential(
            "evolution",
            "secret.keyring = { attributes = { server = \"imap.mail.me.com\", user = \"janedoe77\" } }",
        )
        .credential("gone", "secret.file = \"/home/somebody/private/gone\"");
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    daemon.until("all of the account healthy", |status| status["counts"]["healthy"] == 3);
    icloud.world.reset_main_password(ADDRESS);
    daemon.until_health("nas", "revoked");

    let report = keypulse.command(&["report"]);
    assert_eq!((report.code, &*report.stderr), (0, ""), "{report:?}");
    let json = keypulse.command(&["report", "--json"]);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let undashed: Vec<String> = passwords.iter().map(|password| password.replace('-', "")).collect();
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let home = keypulse.home().to_str().unwrap();
    let mut private: Vec<&str> = passwords.iter().chain(&undashed).map(String::as_str).collect();
    private.extend([ADDRESS, OTHER, "johnappleseed", "jane.doe", "janedoe77", home, &home[5..], "quentin", &hostname]);
    private.extend(["family", "mom@", "email-secret", "hook-argument", "somebody", "printf", "@"]);
    for text in [&report.stdout, &json.stdout] {
        for private in &private {
            assert!(!text.to_lowercase().contains(&private.to_lowercase()), "{private:?} is in:\n{text}");
        }
    }
    // What helps is there.
    for useful in [
        "# keypulse report",
        env!("CARGO_PKG_VERSION"),
        "✗ password       gone: ",
        "mutt of address-",
        "healthy -> suspect",
        "suspect -> revoked",
        "rejected AUTHENTICATIONFAILED, ",
        "rejected 535 5.7.8, ",
        "accepted",
        "desktop     GNOME",
        "~/.config/keypulse/config.toml",
    ] {
        assert!(report.stdout.contains(useful), "{useful:?} is not in:\n{}", report.stdout);
    }
    assert!(report.stdout.lines().all(|line| line.chars().count() <= 80), "{}", report.stdout);
    assert_eq!(report.stdout.matches("```").count() % 2, 0);
    assert!(
        document["attempts"].as_array().unwrap().iter().any(|attempt| attempt["code"] == "535 5.7.8"),
        "{document:#}"
    );
    assert_eq!(document["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "password").count(), 5);
}
