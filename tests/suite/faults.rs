//! Everything that can go wrong with a service, through the real daemon: what it is called, that no password went where it
//! must not, and that nothing but a refusal of the pair itself is ever taken for one.
//!
//! The daemon checks only on request here. Each row of a table sets its fault on both services, asks for a round and reads
//! the status document.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, time::Duration};

use keypulse::{
    health::evidence::Service,
    simulator::{Answer, Fault, Security, Stage},
};
use serde_json::{Value, json};

use crate::{
    hostile::{assert_bounded, peak_kib},
    lab::{ICloud, Keypulse, Running, Settings, account, credential},
};

pub const ADDRESS: &str = "johnappleseed@icloud.com";
pub const NAME: &str = "thunderbird";

/// What one service's entry in the status document says.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// `accepted`, `rejected`, or the cause of an inconclusive one.
    word: &'static str,
    code: Option<&'static str>,
    /// Whether the password was sent.
    sent: bool,
}

/// The password was not sent.
pub const fn unsent(word: &'static str) -> Said {
    Said { word, code: None, sent: false }
}

/// The password was sent.
pub const fn sent(word: &'static str) -> Said {
    Said { word, code: None, sent: true }
}

impl Said {
    pub const fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }
}

pub const IMAP_OK: Said = sent("accepted");
pub const SMTP_OK: Said = sent("accepted").code("235 2.7.0");
const LOST: Said = unsent("connection-lost");
const GONE: Said = unsent("unreachable");
pub const VIOLATION: Said = unsent("protocol-violation");

/// The faults of IMAP and SMTP, and what they are called: IMAP with implicit TLS, with STARTTLS, SMTP likewise.
#[derive(Clone, Debug)]
pub struct Row {
    pub faults: [Fault; 2],
    pub said: [Said; 4],
}

pub fn row(fault: Fault, said: [Said; 4]) -> Row {
    Row { faults: [fault.clone(), fault], said }
}

pub fn all(fault: Fault, said: Said) -> Row {
    row(fault, [said; 4])
}

pub fn by_service(fault: Fault, imap: Said, smtp: Said) -> Row {
    row(fault, [imap, imap, smtp, smtp])
}

/// Both services, by how TLS begins.
fn by_security(fault: Fault, implicit: Said, starttls: Said) -> Row {
    row(fault, [implicit, starttls, implicit, starttls])
}

/// These words at that stage.
pub fn replies(stage: Stage, imap: &str, smtp: &str, said: [Said; 2]) -> Row {
    let faults = [imap, smtp].map(|text| Fault::Reply(stage, text.to_owned()));
    Row { faults, said: [said[0], said[0], said[1], said[1]] }
}

/// Bytes in the clear behind the go-ahead of STARTTLS that a careless client takes for the server's.
fn injected() -> Row {
    let forged = |lines: &[&str]| Fault::InjectedBeforeTls([&lines.join("\r\n"), "\r\n"].concat());
    let imap: Vec<String> = (1..9).map(|n| format!("K{n} NO [AUTHENTICATIONFAILED] forged")).collect();
    let imap: Vec<&str> = imap.iter().map(String::as_str).collect();
    Row {
        faults: [forged(&imap), forged(&["250-forged", "250 AUTH PLAIN", "535 5.7.8 forged"])],
        said: [IMAP_OK, VIOLATION, SMTP_OK, VIOLATION],
    }
}

/// Faults that answer at once.
#[expect(clippy::too_many_lines, reason = "one row per fault")]
fn table() -> Vec<Row> {
    let mut rows = vec![
        // The network.
        all(Fault::ConnectionRefused, GONE),
        all(Fault::Close(Stage::Connect), LOST),
        all(Fault::Truncate(Stage::Connect), LOST),
        all(Fault::Reset(Stage::Connect), GONE),
        all(Fault::Close(Stage::Greeting), LOST),
        all(Fault::Truncate(Stage::Greeting), LOST),
        by_security(Fault::Reset(Stage::Greeting), LOST, GONE),
        // With implicit TLS, IMAP's capabilities come with the greeting; SMTP's first EHLO comes before STARTTLS.
        row(Fault::Close(Stage::Capability), [IMAP_OK, LOST, LOST, LOST]),
        row(Fault::Reset(Stage::Capability), [IMAP_OK, LOST, LOST, GONE]),
        row(Fault::Close(Stage::StartTls), [IMAP_OK, LOST, SMTP_OK, LOST]),
        row(Fault::Reset(Stage::StartTls), [IMAP_OK, GONE, SMTP_OK, GONE]),
        all(Fault::Close(Stage::Handshake), LOST),
        all(Fault::Reset(Stage::Handshake), GONE),
        all(Fault::Close(Stage::AfterTls), LOST),
        all(Fault::Truncate(Stage::AfterTls), LOST),
        all(Fault::Reset(Stage::AfterTls), LOST),
        all(Fault::Close(Stage::Login), sent("connection-lost")),
        all(Fault::Truncate(Stage::Login), sent("connection-lost")),
        all(Fault::Reset(Stage::Login), sent("connection-lost")),
        // The end after the answer changes nothing.
        by_service(Fault::Close(Stage::AfterLogin), IMAP_OK, SMTP_OK),
        by_service(Fault::Truncate(Stage::AfterLogin), IMAP_OK, SMTP_OK),
        by_service(Fault::Reset(Stage::AfterLogin), IMAP_OK, SMTP_OK),
        by_service(Fault::Hang(Stage::AfterLogin), IMAP_OK, SMTP_OK),
        // TLS.
        all(Fault::UntrustedIssuer, unsent("tls-failed")),
        all(Fault::CertificateExpired, unsent("tls-failed")),
        all(Fault::CertificateNameMismatch, unsent("tls-failed")),
        all(Fault::HandshakeFailure, unsent("tls-failed")),
        all(Fault::HttpForMail, unsent("captive-portal")),
        // Whoever has just agreed to STARTTLS is no captive portal.
        by_security(Fault::PlainTextForTls, unsent("captive-portal"), VIOLATION),
        row(Fault::StartTlsNotOffered, [IMAP_OK, unsent("tls-not-offered"), SMTP_OK, unsent("tls-not-offered")]),
        row(
            Fault::StartTlsRefused,
            [IMAP_OK, unsent("tls-not-offered"), SMTP_OK, unsent("tls-not-offered").code("454 4.7.0")],
        ),
        injected(),
        // Before the login.
        by_service(
            Fault::ByeGreeting,
            unsent("unavailable").code("UNAVAILABLE"),
            unsent("unavailable").code("421 4.3.2"),
        ),
        by_service(Fault::PreauthGreeting, unsent("refused-otherwise"), SMTP_OK),
        all(Fault::LoginDisabled, unsent("refused-otherwise")),
        row(
            Fault::CapabilityUnavailable,
            [
                IMAP_OK,
                unsent("unavailable").code("UNAVAILABLE"),
                unsent("unavailable").code("454 4.7.0"),
                unsent("unavailable").code("454 4.7.0"),
            ],
        ),
        replies(
            Stage::Greeting,
            "* BYE [LIMIT] Too many connections",
            "421 4.7.0 Too many connections",
            [unsent("throttled").code("LIMIT"), unsent("throttled").code("421 4.7.0")],
        ),
        replies(
            Stage::Greeting,
            "* NO [AUTHENTICATIONFAILED] not at this stage",
            "535 5.7.8 not at this stage",
            [unsent("refused-otherwise").code("AUTHENTICATIONFAILED"), unsent("refused-otherwise").code("535 5.7.8")],
        ),
        // In answer to the login.
        by_service(Fault::Unavailable, sent("unavailable").code("UNAVAILABLE"), sent("unavailable").code("454 4.7.0")),
        by_service(
            Fault::UnavailableNo,
            sent("unavailable").code("UNAVAILABLE"),
            sent("unavailable").code("451 4.3.0"),
        ),
        by_service(
            Fault::TemporaryWords,
            sent("unavailable").code("AUTHENTICATIONFAILED"),
            sent("unavailable").code("535 5.7.8"),
        ),
        by_service(Fault::Throttled, sent("throttled").code("LIMIT"), sent("throttled").code("421 4.7.0")),
        by_service(Fault::ByeAtLogin, sent("unavailable").code("UNAVAILABLE"), sent("unavailable").code("421 4.3.2")),
        by_service(Fault::Alert, sent("refused-otherwise").code("ALERT"), sent("refused-otherwise").code("534 5.7.9")),
        by_service(Fault::WrongTag, sent("protocol-violation"), sent("protocol-violation").code("250 2.0.0")),
        by_service(
            Fault::ControlText,
            sent("refused-otherwise").code("CONTACTADMIN"),
            sent("refused-otherwise").code("550 5.7.1"),
        ),
        all(Fault::ParserTrap, sent("protocol-violation")),
        by_service(Fault::AcceptDead, IMAP_OK, SMTP_OK),
        all(Fault::Garbage(Stage::Login), sent("protocol-violation")),
        all(Fault::Garbage(Stage::Greeting), VIOLATION),
        row(Fault::Garbage(Stage::Capability), [IMAP_OK, VIOLATION, VIOLATION, VIOLATION]),
    ];
    let login = |imap, smtp, said| replies(Stage::Login, imap, smtp, said);
    let otherwise = sent("refused-otherwise");
    rows.extend([
        login("NO [EXPIRED] Expired", "530 5.7.0 First", [otherwise.code("EXPIRED"), otherwise.code("530 5.7.0")]),
        login(
            "NO [AUTHORIZATIONFAILED] Not allowed",
            "538 5.7.11 Encrypt",
            [otherwise.code("AUTHORIZATIONFAILED"), otherwise.code("538 5.7.11")],
        ),
        login(
            "NO [PRIVACYREQUIRED] No",
            "504 5.5.4 No",
            [otherwise.code("PRIVACYREQUIRED"), otherwise.code("504 5.5.4")],
        ),
        login("NO Login refused", "550 5.7.1 No", [otherwise, otherwise.code("550 5.7.1")]),
        login(
            "NO [INUSE] Too many sessions",
            "450 4.7.1 rate limit exceeded",
            [sent("throttled").code("INUSE"), sent("throttled").code("450 4.7.1")],
        ),
        login(
            "NO [OVERQUOTA] Full",
            "452 4.2.2 Full",
            [sent("throttled").code("OVERQUOTA"), sent("unavailable").code("452 4.2.2")],
        ),
        login(
            "BAD Parse Error (took 0 ms)",
            "334 bm90IFBMQUlO",
            [sent("protocol-violation"), sent("protocol-violation")],
        ),
    ]);
    rows
}

/// A daemon that checks on request, with one healthy credential.
pub struct Patient {
    pub icloud: ICloud,
    pub keypulse: Keypulse,
    pub password: String,
}

impl Patient {
    pub fn new(icloud: ICloud, change: impl FnOnce(Settings) -> Settings) -> Self {
        let keypulse = Keypulse::new().env("KEYPULSE_LOG", "trace");
        let password = icloud.world.new_password(ADDRESS);
        let secret = keypulse.secret(NAME, &password);
        let settings = Settings::for_icloud(&icloud).only_on_request().account(ADDRESS).credential_file(NAME, &secret);
        keypulse.configure(&change(settings));
        Self { icloud, keypulse, password }
    }

    /// A round now; the credential afterwards.
    #[track_caller]
    pub fn check(&self) -> Value {
        let document = check(&self.keypulse, NAME);
        assert_eq!(account(&document, ADDRESS)["incident"], Value::Null);
        credential(&document, NAME).clone()
    }

    /// Both services with this fault: they are called what the row says, and the credential stays healthy.
    #[track_caller]
    pub fn examine(&self, row: &Row) {
        for (service, fault) in Service::ALL.into_iter().zip(&row.faults) {
            self.icloud.world.set_fault(service, Some(fault.clone()));
        }
        let before = self.icloud.world.logins().len();
        let status = self.check();
        let logins = self.icloud.world.logins();
        for (index, service) in Service::ALL.into_iter().enumerate() {
            let starttls = usize::from(self.icloud.security(service) == Security::StartTls);
            let expected = row.said[2 * index + starttls];
            let said = &status["services"][index];
            let which = format!("{:?} on {service} ({:?})", row.faults[index], self.icloud.security(service));
            let finding = match expected.word {
                word @ ("accepted" | "rejected") => json!([word, null, expected.code]),
                cause => json!(["inconclusive", cause, expected.code]),
            };
            assert_eq!(json!([said["finding"], said["cause"], said["code"]]), finding, "{which}: {said:#}");
            assert!(expected.word == "accepted" || said["detail"].as_str().is_some_and(|d| !d.is_empty()), "{which}");
            let sent = logins[before..].iter().any(|login| login.service == service);
            assert_eq!(sent, expected.sent, "{which}: a password was sent");
        }
        assert_eq!(status["health"], "healthy", "{row:?}: {status:#}");
    }

    /// No login in the clear, none refused, no second login command on one connection, and none of it in the log.
    #[track_caller]
    pub fn acquit(&self, daemon: &Running<'_>) {
        self.icloud.set_fault(None);
        assert_eq!(self.check()["health"], "healthy");
        assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], 0);
        for login in self.icloud.world.logins() {
            assert!(login.encrypted && login.auth_commands == 1, "{login:?}");
        }
        assert_clean(&daemon.log(), &self.password);
    }
}

/// A round now, and the document when it is done.
#[track_caller]
pub fn check(keypulse: &Keypulse, name: &str) -> Value {
    let body = json!({ "names": [name], "wait_s": 60 }).to_string();
    let response = keypulse.request("POST", "/v1/check", &body).expect("an answer on the socket");
    assert_eq!(response.code, 200, "{response:?}");
    assert_printable(&response.body);
    response.json()
}

/// Neither the password nor its pieces, nor anything a terminal obeys.
#[track_caller]
fn assert_clean(text: &str, password: &str) {
    let folded = text.to_lowercase();
    assert!(!folded.contains(password) && !folded.contains(&password.replace('-', "")), "a password in:\n{text}");
    assert_printable(text);
}

#[track_caller]
pub fn assert_printable(text: &str) {
    let hostile = |c: &char| match c {
        '\n' | '\t' => false,
        // What turns the writing around, or is not there to the eye (Unicode TR 36, section 2.5).
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        c => c.is_control(),
    };
    let found: BTreeSet<char> = text.chars().filter(hostile).collect();
    assert!(found.is_empty(), "{found:?} in:\n{text}");
}

#[test]
fn each_fault_has_its_name_and_none_is_a_refusal() {
    let patient = Patient::new(ICloud::start(), |settings| settings);
    let daemon = patient.keypulse.run();
    daemon.until_health(NAME, "healthy");
    for row in table() {
        patient.examine(&row);
    }
    patient.acquit(&daemon);
}

#[test]
fn each_fault_has_its_name_also_where_imap_has_starttls_and_smtp_implicit_tls() {
    let patient = Patient::new(ICloud::the_other_way_round(), |settings| settings);
    let daemon = patient.keypulse.run();
    daemon.until_health(NAME, "healthy");
    for row in table() {
        patient.examine(&row);
    }
    patient.acquit(&daemon);
}

#[test]
fn silence_is_timed_out_at_every_stage() {
    for icloud in [ICloud::start(), ICloud::the_other_way_round()] {
        let patient = Patient::new(icloud, |settings| settings);
        let daemon = patient.keypulse.run();
        daemon.until_health(NAME, "healthy");
        // Only now so short: the healthy round may take what it takes on a busy machine.
        let text = fs::read_to_string(patient.keypulse.config_file()).unwrap();
        patient.keypulse.configure_text(&text.replace("timeout = \"10s\"", "timeout = \"400ms\""));
        daemon.reload();
        daemon.until_log("configuration read again");
        let (silent, before) = (unsent("timed-out"), peak_kib(daemon.pid()));
        for row in [
            all(Fault::Hang(Stage::Connect), silent),
            all(Fault::Hang(Stage::Greeting), silent),
            row(Fault::Hang(Stage::Capability), [IMAP_OK, silent, silent, silent]),
            row(Fault::Hang(Stage::StartTls), [IMAP_OK, silent, SMTP_OK, silent]),
            all(Fault::Hang(Stage::Handshake), silent),
            all(Fault::Hang(Stage::AfterTls), silent),
            all(Fault::Hang(Stage::Login), sent("timed-out")),
            // Every read brings a byte, and the whole does not come in time all the same.
            all(Fault::Drip(Duration::from_millis(20)), silent),
        ] {
            patient.examine(&row);
        }
        assert_bounded(daemon.pid(), before);
        patient.keypulse.configure_text(&text);
        daemon.reload();
        patient.acquit(&daemon);
    }
}

#[test]
fn a_secret_that_cannot_be_read_or_is_malformed_makes_no_connection() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let home = keypulse.home();
    let open = keypulse.secret("open", "abcd-efgh-ijkl-mnop");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let empty = keypulse.secret("empty", "");
    let main_password = keypulse.secret("main", "Correct-Horse-9");
    let settings = Settings::for_icloud(&icloud)
        .only_on_request()
        .account(ADDRESS)
        .credential_file("missing", &home.join("nowhere"))
        .credential_file("open", &open)
        .credential_file("empty", &empty)
        .credential_file("directory", home)
        .credential_command("failing", &["sh", "-c", "echo no such entry >&2; exit 1"])
        .credential_command("silent", &["true"])
        .credential_command("absent", &["/nowhere/pass"])
        .credential_keyring("keyring")
        .credential_file("malformed", &main_password);
    keypulse.configure(&settings);
    let daemon = keypulse.run();
    let cases = ["missing", "open", "empty", "directory", "failing", "silent", "absent", "keyring", "malformed"];
    for name in cases {
        daemon.until_health(name, "unreadable");
        let status = credential(&check(&keypulse, name), name).clone();
        assert_eq!(status["health"], "unreadable", "{status:#}");
        assert!(status["unreadable"].as_str().is_some_and(|why| !why.is_empty()), "{status:#}");
        let cause = if name == "malformed" { "secret-malformed" } else { "secret-unavailable" };
        for said in status["services"].as_array().unwrap() {
            assert_eq!(json!([said["finding"], said["cause"]]), json!(["inconclusive", cause]), "{status:#}");
            assert_eq!(said["duration_ms"], Value::Null, "{status:#}");
        }
    }
    let open_why = credential(&daemon.status_json(), "open")["unreadable"].as_str().unwrap().to_owned();
    assert!(open_why.contains("chmod 600"), "{open_why}");
    assert_eq!(icloud.connections(), 0);
    assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], 0);
    let shown = keypulse.command(&["status"]);
    assert_eq!(shown.code, 1, "{shown:?}");
    for text in [daemon.log(), shown.stdout, daemon.status_json().to_string()] {
        assert!(!text.contains("Correct") && !text.contains("Horse"), "{text}");
    }
}

#[test]
fn a_name_that_does_not_resolve_is_offline() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret(NAME, "abcd-efgh-ijkl-mnop");
    // Hosts elsewhere have least durations: the defaults serve.
    let mut settings = Settings::default().extra_ca(&icloud.ca()).set("notify", "desktop", "false");
    for service in ["imap", "smtp"] {
        settings = settings.set(service, "host", "\"keypulse.invalid\"");
    }
    keypulse.configure(&settings.account(ADDRESS).credential_file(NAME, &secret));
    let output = keypulse.command(&["check", "--json"]);
    assert_eq!(output.code, 1, "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let status = credential(&document, NAME);
    assert_eq!(status["health"], "unknown");
    for said in status["services"].as_array().unwrap() {
        assert_eq!(said["cause"], "offline", "{status:#}");
        assert_eq!(said["duration_ms"], Value::Null, "{status:#}");
    }
    assert_eq!(account(&document, ADDRESS)["failed_logins_24h"], 0);
}

/// A daemon with a pair that is wrong, and fails as often as the test likes.
fn refused() -> (ICloud, Keypulse) {
    let icloud = ICloud::start();
    icloud.world.add_account(ADDRESS);
    let keypulse = Keypulse::new();
    let secret = keypulse.secret(NAME, "wxyz-wxyz-wxyz-wxyz");
    let settings = Settings::for_icloud(&icloud)
        .only_on_request()
        .set("limits", "failed_logins_per_account", "100")
        .account(ADDRESS)
        .credential_file(NAME, &secret);
    keypulse.configure(&settings);
    (icloud, keypulse)
}

#[test]
fn a_refusal_is_one_however_the_connection_ends() {
    let (icloud, keypulse) = refused();
    let daemon = keypulse.run();
    daemon.until_health(NAME, "rejected");
    let imap = sent("rejected").code("AUTHENTICATIONFAILED");
    let smtp = sent("rejected").code("535 5.7.8");
    let after = Stage::AfterLogin;
    let usual = [Fault::Close(after), Fault::Truncate(after), Fault::Reset(after), Fault::Hang(after)];
    let odd = [
        // The code decides, whatever the text and its alphabet.
        (Fault::EightBitText, imap, smtp),
        // A bare 535 is one (RFC 5321, section 4.2); a NO without a code can be anything.
        (Fault::NoWithoutCode, sent("refused-otherwise"), sent("rejected").code("535")),
    ];
    for (fault, imap, smtp) in usual.into_iter().map(|fault| (fault, imap, smtp)).chain(odd) {
        icloud.set_fault(Some(&fault));
        let document = check(&keypulse, NAME);
        let status = credential(&document, NAME);
        assert_eq!(status["health"], "rejected", "{fault:?}: {status:#}");
        for (said, expected) in status["services"].as_array().unwrap().iter().zip([imap, smtp]) {
            let word = said["cause"].as_str().or(said["finding"].as_str());
            assert_eq!((word, said["code"].as_str()), (Some(expected.word), expected.code), "{fault:?}: {status:#}");
        }
    }
    assert!(icloud.world.logins().iter().all(|login| login.auth_commands == 1 && login.encrypted));
    let rejected = icloud.world.logins().iter().filter(|login| login.answer == Answer::Rejected).count();
    assert_eq!(account(&daemon.status_json(), ADDRESS)["failed_logins_24h"], rejected);
}

#[test]
fn a_line_that_ends_with_a_bare_line_feed_is_no_refusal() {
    let (icloud, keypulse) = refused();
    icloud.set_fault(Some(&Fault::BareLineFeed));
    let text = fs::read_to_string(keypulse.config_file()).unwrap();
    keypulse.configure_text(&text.replace("timeout = \"10s\"", "timeout = \"1s\""));
    let daemon = keypulse.run();
    let status = daemon.until("both services asked", |status| {
        credential(status, NAME)["services"].as_array().is_some_and(|services| services.len() == 2)
    });
    let status = credential(&status, NAME);
    assert_eq!(status["health"], "unknown", "{status:#}");
    for said in status["services"].as_array().unwrap() {
        assert_eq!(said["finding"], "inconclusive", "{status:#}");
    }
}

#[test]
fn one_service_that_refuses_what_the_other_accepts_is_degraded_and_never_revoked() {
    for (refusing, accepting) in [(Service::Imap, Service::Smtp), (Service::Smtp, Service::Imap)] {
        let icloud = ICloud::start();
        let keypulse = Keypulse::new();
        let secret = keypulse.secret(NAME, &icloud.world.new_password(ADDRESS));
        let settings = Settings::for_icloud(&icloud)
            .set("schedule", "interval", "\"60ms\"")
            .set("schedule", "confirm", "[\"30ms\", \"60ms\"]")
            .account(ADDRESS)
            .credential_file(NAME, &secret);
        keypulse.configure(&settings);
        let daemon = keypulse.run();
        daemon.until_health(NAME, "healthy");
        icloud.world.set_fault(refusing, Some(Fault::RejectValid));
        daemon.until_health(NAME, "degraded");
        // Far more rounds than any confirmation needs.
        let seen = icloud.world.connections(accepting);
        let status = daemon.until("twenty more rounds", |status| {
            let health = &credential(status, NAME)["health"];
            assert_eq!(health, "degraded", "{refusing} refuses: {status:#}");
            icloud.world.connections(accepting) >= seen + 20
        });
        assert_eq!(account(&status, ADDRESS)["incident"], Value::Null);
        // The service that refuses rests in between.
        let failed = icloud.world.failed_logins(ADDRESS);
        assert!(failed <= 8, "{failed} failed logins");
        icloud.world.set_fault(refusing, None);
        check(&keypulse, NAME);
        daemon.until_health(NAME, "healthy");
    }
}
