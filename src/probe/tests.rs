//! The probes against scripted servers on loopback: real sockets, real TLS, real time.

mod answers;
mod hostile;
mod posted;
mod unsent;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{scripted::*, *};
use crate::health::evidence::{Cause, Finding};

const REJECTED: Finding = Finding::Rejected;
const ACCEPTED: Finding = Finding::Accepted;
const GREETING: &str =
    "* OK [CAPABILITY XAPPLEPUSHSERVICE IMAP4 IMAP4rev1 SASL-IR AUTH=ATOKEN AUTH=PLAIN] (2428B47) p00\r\n";
const EHLO: &str = "250-smtp\r\n250-PIPELINING\r\n250-AUTH LOGIN PLAIN ATOKEN\r\n250 8BITMIME\r\n";
const FAILED: &str = "K3 NO [AUTHENTICATIONFAILED] Authentication Failed\r\n";

fn inconclusive(cause: Cause) -> Finding {
    Finding::Inconclusive(cause)
}

/// iCloud's IMAP up to the login, then `answer`.
fn imap(tls: TlsMode, answer: &[Do]) -> Vec<Do> {
    let mut script = match tls {
        TlsMode::Implicit => vec![say(GREETING)],
        TlsMode::StartTls => vec![
            say("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n"),
            Do::Hear("K1 STARTTLS"),
            say("K1 OK go\r\n"),
            Do::Tls,
            Do::Hear("K2 CAPABILITY"),
            say("* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nK2 OK done\r\n"),
        ],
    };
    script.push(Do::Hear("K3 AUTHENTICATE PLAIN "));
    script.extend_from_slice(answer);
    script
}

/// iCloud's SMTP up to AUTH, then `answer`.
fn smtp(tls: TlsMode, answer: &[Do]) -> Vec<Do> {
    let mut script = vec![say("220 ready\r\n"), Do::Hear("EHLO [127.0.0.1]")];
    if tls == TlsMode::StartTls {
        let start = [
            say("250-smtp\r\n250 STARTTLS\r\n"),
            Do::Hear("STARTTLS"),
            say("220 go\r\n"),
            Do::Tls,
            Do::Hear("EHLO [127.0.0.1]"),
        ];
        script.extend(start);
    }
    script.extend([say(EHLO), Do::Hear("AUTH PLAIN ")]);
    script.extend_from_slice(answer);
    script
}

/// Asks once. Never more than one login on a connection, whatever comes.
async fn ask(service: Service, tls: TlsMode, script: Vec<Do>) -> (Outcome, usize) {
    // No script here waits for the limit: it is for a machine with much to do.
    let server = Scripted::start(service, tls, Shown::Good, script).await.patience(Duration::from_secs(60));
    let outcome = server.ask().await;
    let logins = server.log().logins();
    assert!(logins <= 1, "{logins} logins on one connection");
    (outcome, logins)
}

async fn imap_says(answer: &[Do], finding: Finding, code: Option<&str>) -> Outcome {
    let (outcome, logins) = ask(Service::Imap, TlsMode::Implicit, imap(TlsMode::Implicit, answer)).await;
    assert_eq!((outcome.finding, outcome.code.as_deref(), logins), (finding, code, 1), "{outcome:?}");
    outcome
}

async fn smtp_says(answer: &[Do], finding: Finding, code: Option<&str>) -> Outcome {
    let (outcome, logins) = ask(Service::Smtp, TlsMode::StartTls, smtp(TlsMode::StartTls, answer)).await;
    assert_eq!((outcome.finding, outcome.code.as_deref(), logins), (finding, code, 1), "{outcome:?}");
    outcome
}

/// A dialogue that must end before the login.
async fn unsent(service: Service, tls: TlsMode, script: Vec<Do>, cause: Cause) -> Outcome {
    let (outcome, logins) = ask(service, tls, script).await;
    assert_eq!((outcome.finding, logins), (inconclusive(cause), 0), "{outcome:?}");
    outcome
}

#[tokio::test]
async fn a_silent_server_is_timed_out_at_every_stage() {
    let quick = Duration::from_millis(150);
    for (service, tls, script, stage) in [
        (Service::Imap, TlsMode::Implicit, vec![Do::Hang], "the greeting"),
        (Service::Imap, TlsMode::StartTls, vec![Do::Hang], "the greeting"),
        (Service::Smtp, TlsMode::StartTls, vec![say("220 hi\r\n"), Do::Hang], "capabilities"),
        (Service::Imap, TlsMode::Implicit, imap(TlsMode::Implicit, &[Do::Hang]), "the login"),
        (Service::Smtp, TlsMode::Implicit, smtp(TlsMode::Implicit, &[Do::Hang]), "the login"),
    ] {
        let server = Scripted::start(service, tls, Shown::Good, script).await.patience(quick);
        let outcome = server.ask().await;
        assert_eq!(outcome.finding, inconclusive(Cause::TimedOut));
        assert!(outcome.detail.as_deref().unwrap().ends_with(stage), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_farewell_without_answer_changes_and_delays_nothing() {
    let script = imap(TlsMode::Implicit, &[say(FAILED), Do::Hang]);
    let server = Scripted::start(Service::Imap, TlsMode::Implicit, Shown::Good, script).await;
    let outcome = server.ask().await;
    assert_eq!(outcome.finding, REJECTED);
    assert!(outcome.took.unwrap() < FAREWELL);
}

#[tokio::test]
async fn the_second_connection_resumes_the_tls_session() {
    let script = imap(TlsMode::Implicit, &[say(FAILED)]);
    let server = Scripted::start(Service::Imap, TlsMode::Implicit, Shown::Good, script).await;
    server.ask().await;
    server.ask().await;
    assert_eq!(server.log().resumed, [false, true]);
    assert_eq!(server.log().logins(), 2);
}

#[tokio::test]
async fn passwords_of_any_shape_and_odd_user_names_are_sent_whole_or_not_at_all() {
    let script = vec![say("* OK [CAPABILITY IMAP4rev1] hi\r\n"), Do::Hear("K3 LOGIN"), say("K3 OK done\r\n")];
    let server = Scripted::start(Service::Imap, TlsMode::Implicit, Shown::Good, script).await;
    server.ask_with(AppPassword::any_shape("a \"b\\ c").unwrap()).await;
    assert!(server.log().lines.contains(&r#"K3 LOGIN "johnappleseed@icloud.com" "a \"b\\ c""#.to_owned()));
    let target = Target {
        service: Service::Imap,
        server: Server { host: "127.0.0.1".into(), port: 1, tls: TlsMode::Implicit },
        username: "jane\r\nK9 LOGOUT".into(),
        other_names: Vec::new(),
        timeout: Duration::from_secs(1),
    };
    let outcome =
        Arc::new(Prober::new(None).unwrap()).attempt(target, AppPassword::parse(SECRET).unwrap().into()).await;
    assert_eq!((outcome.finding, outcome.took), (inconclusive(Cause::RefusedOtherwise), None));
}

#[tokio::test]
async fn a_dropped_attempt_hangs_up() {
    let script = imap(TlsMode::Implicit, &[Do::Hear("never")]);
    let server = Scripted::start(Service::Imap, TlsMode::Implicit, Shown::Good, script).await;
    {
        let asking = server.ask();
        tokio::pin!(asking);
        while server.log().logins() == 0 {
            tokio::select! {
                biased;
                _ = &mut asking => panic!("there was no answer"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    server.heard_out().await;
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let missing = Prober::new(Some(Path::new("/nowhere/ca.pem"))).err().unwrap();
    assert!(missing.to_string().contains("/nowhere/ca.pem"));
    assert!(std::error::Error::source(&missing).is_some());
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(Prober::new(Some(empty.path())).err().unwrap().to_string().contains("holds no certificate"));
}

#[tokio::test]
async fn a_panic_in_an_attempt_shows_no_server_text() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (before, recorded) = (panic::take_hook(), Arc::clone(&seen));
    panic::set_hook(Box::new(move |info| {
        recorded.lock().unwrap().push(info.to_string());
        before(info);
    }));
    hush_panics();
    let script = imap(TlsMode::Implicit, &[say("* OK [ALERT]é secret words\r\n"), Do::Hang]);
    let (outcome, _) = ask(Service::Imap, TlsMode::Implicit, script).await;
    assert_eq!(outcome.finding, inconclusive(Cause::ProtocolViolation));
    assert!(!outcome.detail.unwrap().contains("secret words"));
    assert!(!seen.lock().unwrap().iter().any(|message| message.contains("secret words")));
}
