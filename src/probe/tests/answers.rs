//! What comes in answer to a login.

use super::*;

#[tokio::test]
async fn both_services_accept_and_reject_in_both_modes_with_one_login() {
    for tls in [TlsMode::Implicit, TlsMode::StartTls] {
        let script = imap(tls, &[say("K3 OK user jappleseed authenticated\r\n")]);
        let (outcome, logins) = ask(Service::Imap, tls, script).await;
        assert_eq!((outcome.finding, logins), (ACCEPTED, 1), "{outcome:?}");
        assert_eq!(outcome.detail.as_deref(), Some("OK user *** authenticated"));
        assert!(outcome.took.is_some());
        let (outcome, logins) = ask(Service::Imap, tls, imap(tls, &[say(FAILED)])).await;
        assert_eq!((outcome.finding, logins), (REJECTED, 1), "{outcome:?}");
        assert_eq!(outcome.code.as_deref(), Some("AUTHENTICATIONFAILED"));
        let script = smtp(tls, &[say("235 2.7.0 Authentication successful\r\n")]);
        let (outcome, logins) = ask(Service::Smtp, tls, script).await;
        assert_eq!((outcome.finding, outcome.code.as_deref(), logins), (ACCEPTED, Some("235 2.7.0"), 1), "{outcome:?}");
        let script = smtp(tls, &[say("535 5.7.8 Error: authentication failed\r\n")]);
        let (outcome, logins) = ask(Service::Smtp, tls, script).await;
        assert_eq!((outcome.finding, outcome.code.as_deref(), logins), (REJECTED, Some("535 5.7.8"), 1), "{outcome:?}");
        assert_eq!(outcome.detail.as_deref(), Some("535 5.7.8 Error: authentication failed"));
    }
}

#[tokio::test]
async fn the_login_is_what_the_standard_has_and_then_comes_the_farewell() {
    let message = STANDARD.encode(format!("\0{USER}\0{SECRET}"));
    let server =
        Scripted::start(Service::Imap, TlsMode::Implicit, Shown::Good, imap(TlsMode::Implicit, &[say(FAILED)])).await;
    server.ask().await;
    assert_eq!(server.log().lines, [format!("K3 AUTHENTICATE PLAIN {message}"), "K4 LOGOUT".into()]);
    let script = smtp(TlsMode::Implicit, &[say("535 5.7.8 no\r\n")]);
    let server = Scripted::start(Service::Smtp, TlsMode::Implicit, Shown::Good, script).await;
    server.ask().await;
    assert_eq!(server.log().lines, ["EHLO [127.0.0.1]".into(), format!("AUTH PLAIN {message}"), "QUIT".into()]);
}

#[tokio::test]
async fn login_is_used_where_plain_has_no_initial_response() {
    let script = vec![
        say("* OK hi\r\n"),
        Do::Hear("K2 CAPABILITY"),
        say("K2 OK !!\r\n"),
        Do::Hear("K3 LOGIN \"johnappleseed@icloud.com\" \"abcd-efgh-ijkl-mnop\""),
        say("K3 OK done\r\n"),
    ];
    assert_eq!(ask(Service::Imap, TlsMode::Implicit, script).await.0.finding, ACCEPTED);
    let script = vec![
        say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi\r\n"),
        Do::Hear("K3 AUTHENTICATE PLAIN"),
        say("+\r\n"),
        Do::Hear("AGpv"),
        say("K3 OK done\r\n"),
    ];
    assert_eq!(ask(Service::Imap, TlsMode::Implicit, script).await.0.finding, ACCEPTED);
}

#[tokio::test]
async fn continuations_are_answered_once() {
    let again = [say("+ \r\n"), Do::Hear("AGpv"), say(FAILED)];
    imap_says(&again, REJECTED, Some("AUTHENTICATIONFAILED")).await;
    let twice = [say("+ \r\n"), Do::Hear("AGpv"), say("+ \r\n"), Do::Hang];
    imap_says(&twice, inconclusive(Cause::ProtocolViolation), None).await;
    imap_says(&[say("+ Z28=\r\n"), Do::Hang], inconclusive(Cause::ProtocolViolation), None).await;
    let again = [say("334 \r\n"), Do::Hear("AGpv"), say("535 5.7.8 no\r\n")];
    smtp_says(&again, REJECTED, Some("535 5.7.8")).await;
    let twice = [say("334 \r\n"), Do::Hear("AGpv"), say("334 \r\n"), Do::Hang];
    smtp_says(&twice, inconclusive(Cause::ProtocolViolation), None).await;
    smtp_says(&[say("334 Z28=\r\n"), Do::Hang], inconclusive(Cause::ProtocolViolation), None).await;
}

#[tokio::test]
async fn temporary_answers_never_reject() {
    let busy = say("K3 BAD [UNAVAILABLE] Service temporarily unavailable\r\n");
    imap_says(&[busy], inconclusive(Cause::Unavailable), Some("UNAVAILABLE")).await;
    let bye = say("* BYE [UNAVAILABLE] Later\r\nK3 NO [AUTHENTICATIONFAILED] no\r\n");
    imap_says(&[bye], inconclusive(Cause::Unavailable), Some("UNAVAILABLE")).await;
    let aside = say("* NO [UNAVAILABLE] Directory\r\nK3 NO [AUTHENTICATIONFAILED] no\r\n");
    imap_says(&[aside], inconclusive(Cause::Unavailable), Some("AUTHENTICATIONFAILED")).await;
    let news = say("* NO [LIMIT] Slow\r\n* OK [ALERT] News\r\nK3 NO [AUTHENTICATIONFAILED] no\r\n");
    imap_says(&[news], inconclusive(Cause::Throttled), Some("AUTHENTICATIONFAILED")).await;
    smtp_says(&[say("454 4.7.0 Temporary\r\n")], inconclusive(Cause::Unavailable), Some("454 4.7.0")).await;
    smtp_says(&[say("421 Too many\r\n"), Do::Close], inconclusive(Cause::Throttled), Some("421")).await;
}

#[tokio::test]
async fn the_end_of_the_connection_counts_only_before_the_answer() {
    imap_says(&[Do::Close], inconclusive(Cause::ConnectionLost), None).await;
    imap_says(&[say("K3 NO [AUTHENT"), Do::Close], inconclusive(Cause::ConnectionLost), None).await;
    imap_says(&[say(FAILED), Do::Close], REJECTED, Some("AUTHENTICATIONFAILED")).await;
    smtp_says(&[Do::Close], inconclusive(Cause::ConnectionLost), None).await;
    smtp_says(&[say("535-5.7.8 a\r\n"), Do::Close], inconclusive(Cause::ConnectionLost), None).await;
    smtp_says(&[say("535 5.7.8 no\r\n"), Do::Close], REJECTED, Some("535 5.7.8")).await;
    unsent(Service::Imap, TlsMode::Implicit, vec![Do::Close], Cause::ConnectionLost).await;
    unsent(
        Service::Smtp,
        TlsMode::StartTls,
        vec![say("220 hi\r\n"), Do::Hear("EHLO"), Do::Close],
        Cause::ConnectionLost,
    )
    .await;
}

#[tokio::test]
async fn odd_but_clear_answers_of_smtp_are_understood() {
    smtp_says(&[say("535\r\n")], REJECTED, Some("535")).await;
    smtp_says(&[say("535-5.7.8 Bad\r\n535 5.7.8 pair\r\n")], REJECTED, Some("535 5.7.8")).await;
    smtp_says(&[say("571 5.7.1 no\r\n")], inconclusive(Cause::RefusedOtherwise), Some("571 5.7.1")).await;
    let echo = STANDARD.encode(format!("\0{USER}\0{SECRET}"));
    let outcome = smtp_says(&[Do::Say(format!("535 5.7.8 Error: {echo}\r\n"))], REJECTED, Some("535 5.7.8")).await;
    assert_eq!(outcome.detail.as_deref(), Some("535 5.7.8 Error: ***"));
}

#[tokio::test]
async fn what_is_no_protocol_is_a_violation() {
    let violation = inconclusive(Cause::ProtocolViolation);
    imap_says(&[say("K3 NO [ALERT]é\r\n"), Do::Hang], violation, None).await;
    imap_says(&[say("A1 NO [AUTHENTICATIONFAILED] x\r\n"), Do::Hang], violation, None).await;
    imap_says(&[say("* LIST () \"/\" {500000000}\r\n"), Do::Hang], violation, None).await;
    imap_says(&[Do::Flood(b"* OK x"), Do::Hang], violation, None).await;
    imap_says(&[Do::Flood(b"* OK x\r\n"), Do::Hang], violation, None).await;
    smtp_says(&[Do::Flood(b"535-x"), Do::Hang], violation, None).await;
    smtp_says(&[Do::Flood(b"535-x\r\n"), Do::Hang], violation, None).await;
    smtp_says(&[say("535 5.7.8 no\n"), Do::Hang], violation, None).await;
    smtp_says(&[say("635 no\r\n"), Do::Hang], violation, None).await;
    smtp_says(&[say("535-a\r\n235 b\r\n"), Do::Hang], violation, None).await;
    unsent(Service::Imap, TlsMode::Implicit, vec![Do::Flood(b"x")], Cause::ProtocolViolation).await;
    unsent(Service::Smtp, TlsMode::StartTls, vec![Do::Flood(b"x")], Cause::ProtocolViolation).await;
    let early = vec![say("220 hi\r\n"), Do::Hear("EHLO"), Do::Say(format!("{EHLO}535 5.7.8 early\r\n")), Do::Hang];
    unsent(Service::Smtp, TlsMode::Implicit, early, Cause::ProtocolViolation).await;
}
