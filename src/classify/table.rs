//! The classification table: one row per reply known from `facts/icloud.md`, and every row of the causes.

use super::{
    redact::Redactor,
    reply::{ImapReply, SmtpReply},
    *,
};

const ACCEPTED: Finding = Finding::Accepted;
const REJECTED: Finding = Finding::Rejected;
const UNAVAILABLE: Finding = Finding::Inconclusive(Cause::Unavailable);
const THROTTLED: Finding = Finding::Inconclusive(Cause::Throttled);
const OTHERWISE: Finding = Finding::Inconclusive(Cause::RefusedOtherwise);
const VIOLATION: Finding = Finding::Inconclusive(Cause::ProtocolViolation);
const NO_TLS: Finding = Finding::Inconclusive(Cause::TlsNotOffered);

fn redactor() -> Redactor {
    Redactor::new(["temporary.rate@icloud.com"])
}

#[track_caller]
fn imap(stage: Stage, line: &str, finding: Finding, code: Option<&str>) {
    let reply = ImapReply::parse(line, &redactor()).unwrap();
    let (found, with) = classify(&Heard::Imap { stage, reply, before: None });
    assert_eq!((found, with.as_deref()), (finding, code), "{line}");
}

#[track_caller]
fn smtp(stage: Stage, code: u16, text: &str, finding: Finding, codes: &str) {
    let reply = SmtpReply::new(code, [text], &redactor());
    let (found, with) = classify(&Heard::Smtp { stage, reply });
    assert_eq!((found, with.as_deref()), (finding, Some(codes)), "{code} {text}");
}

#[test]
fn imap_replies_to_a_login_known_from_icloud() {
    let login = |line: &str, finding, code: Option<&str>| imap(Stage::Login, line, finding, code);
    // 2.7, 2.9
    login("OK user xxxxxxxxx logged in", ACCEPTED, None);
    login("OK user xxxxxxxxx authenticated", ACCEPTED, None);
    login("OK [CAPABILITY IMAP4rev1 IDLE] User x logged in", ACCEPTED, Some("CAPABILITY"));
    login("OK !!", ACCEPTED, None);
    // 3.1
    login("NO [AUTHENTICATIONFAILED] Authentication failed", REJECTED, Some("AUTHENTICATIONFAILED"));
    login("NO [AUTHENTICATIONFAILED] Authentication Failed", REJECTED, Some("AUTHENTICATIONFAILED"));
    login("no [AuthenticationFailed]", REJECTED, Some("AUTHENTICATIONFAILED"));
    login("NO [AUTHENTICATIONFAILED]Authentication failed", REJECTED, Some("AUTHENTICATIONFAILED"));
    // 3.4, 3.5
    login("BAD [UNAVAILABLE] Service temporarily unavailable", UNAVAILABLE, Some("UNAVAILABLE"));
    login("NO [UNAVAILABLE] Service temporarily unavailable", UNAVAILABLE, Some("UNAVAILABLE"));
    login("NO Service temporarily unavailable", UNAVAILABLE, None);
    // 2.9, and the answer to an empty password (peers.md 0.3)
    login("BAD Parse Error (took 0 ms)", VIOLATION, None);
    login("BAD tag LOGIN username password", VIOLATION, None);
}

#[test]
fn imap_replies_to_a_login_known_from_the_standards() {
    let login = |line: &str, finding, code: Option<&str>| imap(Stage::Login, line, finding, code);
    login("NO [LIMIT] Slow down", THROTTLED, Some("LIMIT"));
    login("NO [INUSE] Mailbox in use", THROTTLED, Some("INUSE"));
    login("BAD [OVERQUOTA] Full", THROTTLED, Some("OVERQUOTA"));
    login("NO [UNAVAILABLE] Too many connections", THROTTLED, Some("UNAVAILABLE"));
    login("NO [UNAVAILABLE] Login rate exceeded", THROTTLED, Some("UNAVAILABLE"));
    login("NO [UNAVAILABLE] The server does not operate", UNAVAILABLE, Some("UNAVAILABLE"));
    login("NO Temporary failure, separate servers", UNAVAILABLE, None);
    login("NO temporarily rate-limited", THROTTLED, None);
    for code in ["ALERT", "EXPIRED", "AUTHORIZATIONFAILED", "CONTACTADMIN", "PRIVACYREQUIRED"] {
        login(&format!("NO [{code}] Please log in via your web browser"), OTHERWISE, Some(code));
    }
    login("NO Authentication failed", OTHERWISE, None);
    login("NO [AUTHENTICATIONFAILEDX] x", OTHERWISE, Some("AUTHENTICATIONFAILEDX"));
    login("NO [ALERT] [AUTHENTICATIONFAILED] Authentication failed", OTHERWISE, Some("ALERT"));
    login("BAD [AUTHENTICATIONFAILED] Authentication failed", VIOLATION, Some("AUTHENTICATIONFAILED"));
}

#[test]
fn a_temporary_sign_outweighs_the_code() {
    let code = Some("AUTHENTICATIONFAILED");
    imap(Stage::Login, "NO [AUTHENTICATIONFAILED] Temporary authentication failure", UNAVAILABLE, code);
    imap(Stage::Login, "NO [AUTHENTICATIONFAILED] temporarily: too many logins", THROTTLED, code);
    // Hurry alone is no temporary sign: the refusal stands.
    imap(Stage::Login, "NO [AUTHENTICATIONFAILED] Too many failures", REJECTED, code);
    smtp(Stage::Login, 535, "5.7.8 Temporary authentication failure", UNAVAILABLE, "535 5.7.8");
    let tagged = ImapReply::parse("NO [AUTHENTICATIONFAILED] Authentication failed", &redactor()).unwrap();
    let before = |line| ImapReply::parse(line, &redactor());
    let heard = |line| classify(&Heard::Imap { stage: Stage::Login, reply: tagged.clone(), before: before(line) }).0;
    assert_eq!(heard("NO [UNAVAILABLE] Directory is down"), UNAVAILABLE);
    assert_eq!(heard("NO [LIMIT] Slow down"), THROTTLED);
    assert_eq!(heard("OK [ALERT] Read our news"), REJECTED);
}

#[test]
fn a_user_name_is_no_sign() {
    imap(Stage::Login, "NO [AUTHENTICATIONFAILED] temporary.rate", REJECTED, Some("AUTHENTICATIONFAILED"));
    smtp(Stage::Login, 535, "5.7.8 no temporary.rate@icloud.com", REJECTED, "535 5.7.8");
    smtp(Stage::Login, 454, "4.7.0 no temporary.rate", UNAVAILABLE, "454 4.7.0");
}

#[test]
fn imap_never_rejects_outside_the_tagged_no_of_a_login() {
    for stage in [Stage::Greeting, Stage::Capability] {
        imap(stage, "NO [AUTHENTICATIONFAILED] x", OTHERWISE, Some("AUTHENTICATIONFAILED"));
        imap(stage, "BAD x", VIOLATION, None);
        imap(stage, "OK x", VIOLATION, None);
    }
    imap(Stage::Login, "BYE [AUTHENTICATIONFAILED] x", UNAVAILABLE, Some("AUTHENTICATIONFAILED"));
    imap(Stage::Login, "BYE [UNAVAILABLE] Server shutting down", UNAVAILABLE, Some("UNAVAILABLE"));
    imap(Stage::Greeting, "BYE Too many connections", THROTTLED, None);
    imap(Stage::Greeting, "BYE [LIMIT] x", THROTTLED, Some("LIMIT"));
    imap(Stage::Greeting, "BYE x", UNAVAILABLE, None);
    imap(Stage::Greeting, "PREAUTH hello", OTHERWISE, None);
    imap(Stage::StartTls, "NO [AUTHENTICATIONFAILED] x", NO_TLS, Some("AUTHENTICATIONFAILED"));
    imap(Stage::StartTls, "BAD temporarily x", NO_TLS, None);
    imap(Stage::StartTls, "BYE x", UNAVAILABLE, None);
}

#[test]
fn smtp_replies_to_auth() {
    let auth = |code, text: &str, finding, codes: &str| smtp(Stage::Login, code, text, finding, codes);
    // 4.6, 4.7, 4.4
    auth(235, "2.7.0 Authentication successful", ACCEPTED, "235 2.7.0");
    auth(535, "5.7.8 Error: authentication failed: authentication failure", REJECTED, "535 5.7.8");
    auth(535, "", REJECTED, "535");
    auth(535, "5.7.3 Authentication unsuccessful", REJECTED, "535 5.7.3");
    auth(454, "4.7.0 Temporary authentication failure: Connection lost", UNAVAILABLE, "454 4.7.0");
    auth(421, "4.7.0 Try again later, closing connection", UNAVAILABLE, "421 4.7.0");
    auth(421, "4.7.0 Too many errors", THROTTLED, "421 4.7.0");
    auth(450, "4.7.1 Error: rate limit", THROTTLED, "450 4.7.1");
    auth(451, "Local error", UNAVAILABLE, "451");
    for code in [530, 534, 538, 501, 503, 504, 550, 554] {
        auth(code, "no", OTHERWISE, &code.to_string());
    }
    auth(550, "5.7.1 You have exceeded your daily sending limit", OTHERWISE, "550 5.7.1");
    auth(250, "ok", VIOLATION, "250");
    auth(334, "", VIOLATION, "334");
}

#[test]
fn smtp_never_rejects_outside_the_answer_to_auth() {
    for stage in [Stage::Greeting, Stage::Capability] {
        smtp(stage, 535, "5.7.8 no", OTHERWISE, "535 5.7.8");
        smtp(stage, 554, "5.7.1 no", OTHERWISE, "554 5.7.1");
        smtp(stage, 421, "4.3.2 no", UNAVAILABLE, "421 4.3.2");
        smtp(stage, 235, "2.7.0 yes", VIOLATION, "235 2.7.0");
    }
    smtp(Stage::StartTls, 454, "4.7.0 TLS not available due to temporary reason", NO_TLS, "454 4.7.0");
    smtp(Stage::StartTls, 502, "no", NO_TLS, "502");
    smtp(Stage::StartTls, 421, "closing", UNAVAILABLE, "421");
}

#[track_caller]
fn own(heard: &Heard, cause: Cause) {
    assert_eq!(classify(heard), (Finding::Inconclusive(cause), None), "{heard}");
}

#[test]
fn everything_but_a_reply_is_inconclusive() {
    own(&Heard::NoNetwork("no route".into()), Cause::Offline);
    own(&Heard::Unreachable("refused".into()), Cause::Unreachable);
    for stage in [Stage::Resolving, Stage::Connecting, Stage::Tls, Stage::Greeting, Stage::StartTls, Stage::Login] {
        own(&Heard::Silence(stage, Some(Duration::from_secs(30))), Cause::TimedOut);
        own(&Heard::Silence(stage, None), Cause::TimedOut);
        own(&Heard::Lost(stage), Cause::ConnectionLost);
    }
    own(&Heard::PlainText { http: true }, Cause::CaptivePortal);
    own(&Heard::PlainText { http: false }, Cause::CaptivePortal);
    own(&Heard::TlsFailed("expired".into()), Cause::TlsFailed);
    own(&Heard::StartTlsMissing, Cause::TlsNotOffered);
    own(&Heard::LoginNotOffered("disabled"), Cause::RefusedOtherwise);
    own(&Heard::Violation("garbage"), Cause::ProtocolViolation);
    own(&Heard::Panicked, Cause::ProtocolViolation);
    own(&Heard::Interrupted, Cause::ConnectionLost);
}

#[test]
fn silence_and_loss_say_what_was_awaited() {
    let limit = Some(Duration::from_secs(30));
    let silence = Heard::Silence(Stage::Capability, limit).to_string();
    assert_eq!(silence, "no answer within 30s while waiting for the list of capabilities");
    assert_eq!(Heard::Silence(Stage::Tls, None).to_string(), "no answer while waiting for the TLS handshake");
    assert_eq!(Heard::Lost(Stage::Login).to_string(), "the connection ended while waiting for the answer to the login");
}

#[test]
fn temporary_signs_are_known_by_code_or_text() {
    let sign = |line| is_temporary_sign(&ImapReply::parse(line, &redactor()).unwrap());
    assert!(sign("NO [LIMIT] x") && sign("NO [UNAVAILABLE] x") && sign("NO temporarily x"));
    assert!(!sign("NO [AUTHENTICATIONFAILED] x") && !sign("NO [ALERT] too many"));
}

#[test]
fn outcomes_carry_the_servers_words() {
    let reply = ImapReply::parse("NO [AUTHENTICATIONFAILED] Authentication Failed", &redactor());
    let outcome = Heard::Imap { stage: Stage::Login, reply: reply.unwrap(), before: None }.into_outcome(None);
    assert_eq!(outcome.finding, REJECTED);
    assert_eq!(outcome.code.as_deref(), Some("AUTHENTICATIONFAILED"));
    assert_eq!(outcome.detail.as_deref(), Some("NO [AUTHENTICATIONFAILED] Authentication Failed"));
    let reply = SmtpReply::new(535, ["5.7.8 ".to_owned() + &"x".repeat(400)].iter().map(String::as_str), &redactor());
    let outcome = Heard::Smtp { stage: Stage::Login, reply }.into_outcome(Some(Duration::ZERO));
    assert_eq!(outcome.detail.unwrap().chars().count(), 200);
}
