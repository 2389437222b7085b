//! What ends an attempt before the login: nothing is sent then.

use super::*;

#[tokio::test]
async fn what_is_injected_before_the_upgrade_is_never_believed() {
    let cause = Cause::ProtocolViolation;
    let injected = "220 go\r\n250 AUTH PLAIN\r\n535 5.7.8 injected\r\n";
    let script = vec![say("220 hi\r\n"), Do::Hear("EHLO"), say("250-x\r\n250 STARTTLS\r\n"), Do::Hear("STARTTLS")];
    let script = [script, vec![say(injected)]].concat();
    unsent(Service::Smtp, TlsMode::StartTls, script, cause).await;
    let injected = "K1 OK go\r\n* CAPABILITY IMAP4rev1\r\nK2 OK x\r\nK3 NO [AUTHENTICATIONFAILED] x\r\n";
    let script = vec![say("* OK hi\r\n"), Do::Hear("K1 STARTTLS"), say(injected)];
    unsent(Service::Imap, TlsMode::StartTls, script, cause).await;
    // The same a moment later: the handshake meets it.
    let late = vec![say("* OK hi\r\n"), Do::Hear("K1 STARTTLS"), say("K1 OK go\r\n"), Do::HearByte, say("K2 OK x\r\n")];
    unsent(Service::Imap, TlsMode::StartTls, late, cause).await;
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let (starttls, cause) = (TlsMode::StartTls, Cause::TlsNotOffered);
    let stripped = vec![say("220 hi\r\n"), Do::Hear("EHLO"), say(EHLO)];
    unsent(Service::Smtp, starttls, stripped, cause).await;
    let offered = vec![say("220 hi\r\n"), Do::Hear("EHLO"), say("250-x\r\n250 STARTTLS\r\n"), Do::Hear("STARTTLS")];
    unsent(Service::Smtp, starttls, [offered, vec![say("454 4.7.0 later\r\n")]].concat(), cause).await;
    unsent(Service::Imap, starttls, vec![say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n")], cause).await;
    unsent(Service::Imap, starttls, vec![say("* OK hi\r\n"), Do::Hear("K1 STARTTLS"), say("K1 BAD no\r\n")], cause)
        .await;
}

#[tokio::test]
async fn greetings_that_end_it_end_it() {
    let implicit = |script| async { unsent(Service::Imap, TlsMode::Implicit, script, Cause::Unavailable).await };
    implicit(vec![say("* BYE overloaded\r\n"), Do::Hang]).await;
    unsent(Service::Imap, TlsMode::StartTls, vec![say("* BYE Too many\r\n")], Cause::Throttled).await;
    let otherwise = Cause::RefusedOtherwise;
    unsent(Service::Imap, TlsMode::Implicit, vec![say("* PREAUTH hi\r\n"), Do::Hang], otherwise).await;
    unsent(Service::Imap, TlsMode::StartTls, vec![say("* PREAUTH hi\r\n"), Do::Hang], otherwise).await;
    let disabled = vec![say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n"), Do::Hang];
    unsent(Service::Imap, TlsMode::Implicit, disabled, otherwise).await;
    unsent(Service::Smtp, TlsMode::StartTls, vec![say("554 5.7.1 no\r\n")], otherwise).await;
    unsent(Service::Smtp, TlsMode::Implicit, vec![say("535 5.7.8 no\r\n")], otherwise).await;
    unsent(Service::Smtp, TlsMode::Implicit, vec![say("421 4.3.2 no\r\n")], Cause::Unavailable).await;
    // A server that refuses EHLO and never answers QUIT: lettre alone would wait for ever.
    let mute = vec![say("220 hi\r\n"), Do::Hear("EHLO"), say("500 5.5.1 what\r\n"), Do::Hang];
    unsent(Service::Smtp, TlsMode::Implicit, mute, otherwise).await;
    let no_plain = vec![say("220 hi\r\n"), Do::Hear("EHLO"), say("250-x\r\n250 AUTH LOGIN\r\n"), Do::Hang];
    unsent(Service::Smtp, TlsMode::Implicit, no_plain, otherwise).await;
}

#[tokio::test]
async fn plain_text_where_tls_was_due_is_a_captive_portal() {
    let http = vec![say("HTTP/1.1 400 Bad Request\r\n\r\n"), Do::Hang];
    for service in Service::ALL {
        let outcome = unsent(service, TlsMode::Implicit, http.clone(), Cause::CaptivePortal).await;
        assert!(outcome.detail.unwrap().contains("HTTP"));
        unsent(service, TlsMode::StartTls, http.clone(), Cause::CaptivePortal).await;
    }
}

#[tokio::test]
async fn credentials_never_follow_a_bad_certificate() {
    for (shown, word) in [
        (Shown::Expired, "expired"),
        (Shown::OtherName, "another name"),
        (Shown::OtherCa, "nobody this machine trusts"),
    ] {
        for tls in [TlsMode::Implicit, TlsMode::StartTls] {
            for (service, script) in [(Service::Imap, imap(tls, &[])), (Service::Smtp, smtp(tls, &[]))] {
                let server = Scripted::start(service, tls, shown, script).await;
                let outcome = server.ask().await;
                assert_eq!(outcome.finding, inconclusive(Cause::TlsFailed), "{outcome:?}");
                assert!(outcome.detail.as_deref().unwrap().contains(word), "{outcome:?}");
                let log = server.log();
                assert_eq!((log.logins(), log.resumed.len()), (0, 0), "a login, or a session");
            }
        }
    }
}
