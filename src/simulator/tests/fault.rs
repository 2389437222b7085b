//! Each fault on the wire.

use futures_util::future::join_all;

use super::*;
use crate::simulator::{Answer, Stage};

/// What a client meets that does everything right up to the login: the last words before the end, and the end.
async fn meet(fixture: &Fixture, service: Service, security: Security, due: Due) -> (String, End) {
    let mut client = match fixture.plain(service).await {
        Ok(client) => client,
        Err(error) => return (String::new(), end_of(&error)),
    };
    client.due = due;
    let greeted = |line: &str| line.starts_with("* OK [") || line.starts_with("220 p00");
    if security == Security::StartTls {
        if let Some(end) = client.unless(greeted).await {
            return end;
        }
        client.send(if service == Service::Imap { "s STARTTLS" } else { "STARTTLS" }).await;
        if let Some(end) = client.unless(|line| line.starts_with("s OK") || line.starts_with("220 ")).await {
            return end;
        }
    }
    match timeout(client.patience(), client.upgrade(&fixture.connector())).await {
        Err(_) => return (String::new(), End::Silent),
        Ok(Err(error)) => return (String::new(), end_of(&error)),
        Ok(Ok(())) => {}
    }
    if security == Security::Implicit
        && let Some(end) = client.unless(greeted).await
    {
        return end;
    }
    client.send(&Fixture::command(service, ADDRESS, &fixture.password)).await;
    client.words().await
}

/// The fault by way of the default security, the only one that matters for what is said after TLS.
async fn check(fault: Fault, imap: (&str, End), smtp: (&str, End)) {
    let fixture = Fixture::new().await;
    for (service, security, expected) in
        [(Service::Imap, Security::Implicit, imap), (Service::Smtp, Security::StartTls, smtp)]
    {
        fixture.fault(service, fault.clone());
        let due = if expected.1 == End::Silent { Due::Words } else { Due::End };
        let (words, end) = meet(&fixture, service, security, due).await;
        let words = words.replace("\r\n", "|");
        assert_eq!((words.as_str(), end), expected, "{fault:?} on {service}");
    }
}

const IMAP_OK: (&str, End) = ("a OK user john logged in|", End::Silent);
const SMTP_OK: (&str, End) = ("235 2.7.0 Authentication successful|", End::Silent);

#[tokio::test]
async fn the_login_can_be_answered_in_every_way() {
    let say = |imap, smtp| ((imap, End::Silent), (smtp, End::Silent));
    let table = [
        (
            Fault::RejectValid,
            say(
                "a NO [AUTHENTICATIONFAILED] Authentication Failed|",
                "535 5.7.8 Error: authentication failed: authentication failure|",
            ),
        ),
        (
            Fault::Unavailable,
            say(
                "a BAD [UNAVAILABLE] Service temporarily unavailable|",
                "454 4.7.0 Temporary authentication failure: Connection lost to authentication server|",
            ),
        ),
        (Fault::UnavailableNo, say("a NO [UNAVAILABLE] Try again later|", "451 4.3.0 Error: queue file write error|")),
        (
            Fault::Throttled,
            (
                ("a NO [LIMIT] Too many login attempts|", End::Silent),
                ("421 4.7.0 Error: too many login attempts|", End::Closed),
            ),
        ),
        (
            Fault::ByeAtLogin,
            (
                ("* BYE [UNAVAILABLE] Server shutting down|", End::Closed),
                ("421 4.3.2 Server shutting down|", End::Closed),
            ),
        ),
        (Fault::NoWithoutCode, say("a NO Login refused|", "535|")),
        (Fault::WrongTag, say("ZZ9999 OK user nobody logged in|", "250 2.0.0 Ok|")),
        (Fault::ParserTrap, say("a NO [ALERT]é|", "535-5.7.8 one|235 2.7.0 two|")),
        (
            Fault::BareLineFeed,
            say("a NO [AUTHENTICATIONFAILED] Authentication Failed\n", "535 5.7.8 Error: authentication failed\n"),
        ),
        (
            Fault::EightBitText,
            say(
                "a NO [AUTHENTICATIONFAILED] \u{fffd}chec d'authentification|",
                "535 5.7.8 \u{fffd}chec d'authentification|",
            ),
        ),
        (Fault::Drip(Duration::from_millis(1)), (IMAP_OK, SMTP_OK)),
        (Fault::AcceptDead, (IMAP_OK, SMTP_OK)),
    ];
    join_all(table.map(|(fault, (imap, smtp))| check(fault, imap, smtp))).await;
}

#[tokio::test]
async fn custom_replies_are_said_at_their_stage() {
    let fixture = Fixture::new().await;
    for (service, security, stage, text, expected) in [
        (Service::Imap, Security::Implicit, Stage::Login, "NO [EXPIRED] x", ("a NO [EXPIRED] x\r\n", End::Silent)),
        (Service::Imap, Security::Implicit, Stage::Greeting, "* BYE x", ("* BYE x\r\n", End::Closed)),
        (Service::Smtp, Security::StartTls, Stage::Login, "534 5.7.9 x", ("534 5.7.9 x\r\n", End::Silent)),
        (Service::Smtp, Security::StartTls, Stage::Greeting, "554 5.7.1 x", ("554 5.7.1 x\r\n", End::Silent)),
        (Service::Smtp, Security::StartTls, Stage::StartTls, "454 4.7.0 x", ("454 4.7.0 x\r\n", End::Silent)),
    ] {
        fixture.fault(service, Fault::Reply(stage, text.into()));
        let due = if expected.1 == End::Silent { Due::Words } else { Due::End };
        let (words, end) = meet(&fixture, service, security, due).await;
        assert_eq!((words.as_str(), end), expected, "{text}");
    }
    fixture.fault(Service::Smtp, Fault::Reply(Stage::Capability, "250-x\r\n250 auth plain".into()));
    let mut client = fixture.plain(Service::Smtp).await.unwrap();
    client.line().await;
    client.send("EHLO localhost").await;
    assert_eq!(client.until("250 ").await, ["250-x", "250 auth plain"]);
}

#[tokio::test]
async fn connections_end_at_every_stage_in_every_way() {
    use Security::{Implicit, StartTls};
    for (service, security) in [(Service::Imap, Implicit), (Service::Smtp, StartTls), (Service::Imap, StartTls)] {
        let stages = Stage::ALL.into_iter().filter(|stage| match stage {
            Stage::StartTls => security == StartTls,
            // Not asked by this client.
            Stage::Capability => false,
            Stage::Connect
            | Stage::Greeting
            | Stage::Handshake
            | Stage::AfterTls
            | Stage::Login
            | Stage::AfterLogin => true,
        });
        join_all(stages.map(|stage| ends_at(stage, service, security))).await;
    }
}

async fn ends_at(stage: Stage, service: Service, security: Security) {
    let fixture = Fixture::secured(security).await;
    // A plain socket ends in one way only; TLS tells an orderly end from a cut.
    let in_tls = match stage {
        Stage::AfterTls | Stage::Login | Stage::AfterLogin => true,
        Stage::Greeting => security == Security::Implicit,
        Stage::Connect | Stage::Handshake | Stage::StartTls | Stage::Capability => false,
    };
    let handshaking = stage == Stage::Handshake || (stage == Stage::Connect && security == Security::Implicit);
    let fin = if handshaking { End::Truncated } else { End::Closed };
    let answered = stage == Stage::AfterLogin;
    for (fault, expected, due) in [
        (Fault::Hang(stage), End::Silent, if answered { Due::Words } else { Due::Nothing }),
        (Fault::Close(stage), fin, Due::End),
        (Fault::Truncate(stage), if in_tls { End::Truncated } else { fin }, Due::End),
        (Fault::Reset(stage), End::Reset, Due::End),
    ] {
        fixture.fault(service, fault.clone());
        let (words, end) = meet(&fixture, service, security, due).await;
        assert_eq!(end, expected, "{fault:?} on {service} with {security:?}, after {words:?}");
        // A RST may overtake the answer before it: the words are there or not.
        if fault != Fault::Reset(Stage::AfterLogin) {
            assert_eq!(words.is_empty(), !answered, "{fault:?} on {service}: {words:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_port_listens_again_on_the_same_number() {
    let fixture = Fixture::new().await;
    for service in Service::ALL {
        let address = fixture.simulator.addr(service);
        for _ in 0..3 {
            fixture.fault(service, Fault::ConnectionRefused);
            let error = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            fixture.fault(service, None);
            assert_eq!(fixture.simulator.addr(service), address);
            assert!(fixture.login(service).await.contains("OK user") || service == Service::Smtp);
        }
    }
}

#[tokio::test]
async fn bad_certificates_are_told_apart_and_nothing_is_said_in_them() {
    for security in [Security::Implicit, Security::StartTls] {
        let fixture = Fixture::secured(security).await;
        for service in Service::ALL {
            for (fault, expected) in [
                (Fault::UntrustedIssuer, "UnknownIssuer"),
                (Fault::CertificateExpired, "certificate expired"),
                (Fault::CertificateNameMismatch, "certificate not valid for name"),
                (Fault::HandshakeFailure, "HandshakeFailure"),
                (Fault::PlainTextForTls, "corrupt message"),
            ] {
                fixture.fault(service, fault.clone());
                let result = match security {
                    Security::Implicit => fixture.tls(service).await,
                    Security::StartTls => fixture.starttls(service).await,
                };
                let error = result.err().expect("a failed handshake").to_string();
                assert!(error.contains(expected), "{fault:?} on {service}: {error}");
            }
        }
        assert_eq!(fixture.world.logins(), []);
    }
}

#[tokio::test]
async fn a_web_server_answers_in_its_own_way() {
    let fixture = Fixture::new().await;
    fixture.fault(Service::Imap, Fault::HttpForMail);
    fixture.fault(Service::Smtp, Fault::HttpForMail);
    let mut client = fixture.plain(Service::Imap).await.unwrap();
    assert!(client.ask("\x16\x03\x01").await.starts_with("HTTP/1.1 400 "));
    let mut client = fixture.plain(Service::Smtp).await.unwrap();
    assert!(client.line().await.starts_with("HTTP/1.1 302 "));
    assert_eq!(client.rest().await.1, End::Closed);
}

#[tokio::test]
async fn bytes_are_injected_in_the_clear_and_a_valid_session_follows() {
    let fixture = Fixture::secured(Security::StartTls).await;
    for service in Service::ALL {
        fixture.fault(service, Fault::InjectedBeforeTls("535 5.7.8 forged\r\n".into()));
        let mut client = fixture.plain(service).await.unwrap();
        client.line().await;
        client.send(if service == Service::Imap { "s STARTTLS" } else { "STARTTLS" }).await;
        client.due = Due::Words;
        let (words, _) = client.rest().await;
        assert!(words.ends_with(b"\r\n535 5.7.8 forged\r\n"));
        client.upgrade(&fixture.connector()).await.unwrap();
        let answer = client.ask(&Fixture::command(service, ADDRESS, &fixture.password)).await;
        assert!(answer.starts_with("a OK") || answer.starts_with("235 "), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_offered_is_not_taken() {
    let fixture = Fixture::secured(Security::StartTls).await;
    for service in Service::ALL {
        let list = if service == Service::Imap { "c CAPABILITY" } else { "EHLO localhost" };
        let done = if service == Service::Imap { "c OK" } else { "250 " };
        for fault in [Fault::StartTlsNotOffered, Fault::StartTlsRefused] {
            fixture.fault(service, fault.clone());
            let mut client = fixture.plain(service).await.unwrap();
            client.line().await;
            client.send(list).await;
            let offered = client.until(done).await.join("\n");
            assert_eq!(offered.contains("STARTTLS"), fault == Fault::StartTlsRefused, "{offered}");
            let answer = client.ask(if service == Service::Imap { "s STARTTLS" } else { "STARTTLS" }).await;
            let expected = match (service, fault) {
                (Service::Imap, _) => "s BAD",
                (Service::Smtp, Fault::StartTlsRefused) => "454 4.7.0",
                (Service::Smtp, _) => "502 5.5.1",
            };
            assert!(answer.starts_with(expected), "{answer}");
        }
        fixture.fault(service, Fault::LoginDisabled);
        let mut client = fixture.starttls(service).await.unwrap();
        client.send(list).await;
        let offered = client.until(done).await.join("\n");
        assert!(!offered.contains("AUTH") && (service == Service::Smtp || offered.contains("LOGINDISABLED")));
        let answer = client.ask(&Fixture::command(service, ADDRESS, &fixture.password)).await;
        assert!(answer.starts_with("a NO [PRIVACYREQUIRED]") || answer.starts_with("503 "), "{answer}");
        fixture.fault(service, Fault::CapabilityUnavailable);
        let mut client = fixture.plain(service).await.unwrap();
        client.line().await;
        let answer = client.ask(list).await;
        assert!(answer.starts_with("c BAD [UNAVAILABLE]") || answer.starts_with("454 "), "{answer}");
    }
}

#[tokio::test]
async fn greetings_refuse_and_preauthenticate() {
    check(
        Fault::ByeGreeting,
        ("* BYE [UNAVAILABLE] Service temporarily unavailable|", End::Closed),
        ("421 4.3.2 Service shutting down|", End::Closed),
    )
    .await;
    check(Fault::PreauthGreeting, ("* PREAUTH IMAP4rev1 logged in as somebody|", End::Silent), SMTP_OK).await;
}

#[tokio::test]
async fn a_refusing_greeting_takes_nothing_but_quit_and_sees_a_password_all_the_same() {
    let fixture = Fixture::new().await;
    fixture.fault(Service::Smtp, Fault::Reply(Stage::Greeting, "554 5.7.1 no".into()));
    let mut client = fixture.plain(Service::Smtp).await.unwrap();
    client.line().await;
    assert!(client.ask("EHLO x").await.starts_with("503 "));
    assert!(client.ask(&Fixture::command(Service::Smtp, ADDRESS, &fixture.password)).await.starts_with("503 "));
    let seen = &fixture.world.logins()[0];
    assert_eq!((seen.username.as_str(), seen.encrypted, seen.answer), (ADDRESS, false, Answer::Otherwise));
    assert!(client.ask("QUIT").await.starts_with("221 "));
}

#[tokio::test]
async fn what_is_not_the_protocol_comes_without_end() {
    let fixture = Fixture::new().await;
    for (service, security) in [(Service::Imap, Security::Implicit), (Service::Smtp, Security::StartTls)] {
        for stage in [Stage::Greeting, Stage::Login] {
            for fault in [Fault::EndlessLine(stage), Fault::Flood(stage), Fault::HugeLiteral(stage)] {
                fixture.fault(service, fault.clone());
                let (words, end) = meet(&fixture, service, security, Due::End).await;
                assert_eq!(end, End::Endless, "{fault:?} on {service}");
                let lines = words.lines().count();
                assert_eq!(lines > 100, fault == Fault::Flood(stage), "{fault:?} on {service}: {lines} lines");
                let literal = words.starts_with("* LIST () \"/\" {500000000}\r\n");
                assert_eq!(literal, fault == Fault::HugeLiteral(stage) && service == Service::Imap, "{fault:?}");
            }
            fixture.fault(service, Fault::Garbage(stage));
            let (words, end) = meet(&fixture, service, security, Due::Words).await;
            assert!(words.starts_with('\0') && end == End::Silent, "{words:?}");
        }
    }
    timeout(LIMIT, fixture.world.until(|w| Service::ALL.iter().all(|s| w.open_connections(*s) == 0))).await.unwrap();
}

#[tokio::test]
async fn refusals_hold_what_a_terminal_must_not_see() {
    let fixture = Fixture::new().await;
    for service in Service::ALL {
        fixture.fault(service, Fault::ControlText);
        let answer = fixture.login(service).await;
        assert!(answer.contains("\x1b[2J") && answer.contains('\u{202e}') && answer.contains("<b>"), "{answer:?}");
        fixture.fault(service, Fault::Alert);
        let answer = fixture.login(service).await;
        assert!(answer.starts_with("* NO [ALERT]") || answer.starts_with("534-5.7.9"), "{answer:?}");
        fixture.fault(service, Fault::TemporaryWords);
        assert!(fixture.login(service).await.contains("Temporary authentication failure"));
    }
}

#[tokio::test]
async fn a_dead_password_is_taken_where_revocation_has_not_come_through() {
    let fixture = Fixture::new().await;
    fixture.world.reset_main_password(ADDRESS);
    fixture.world.set_account_fault(ADDRESS, Service::Imap, Some(Fault::AcceptDead));
    assert!(fixture.login(Service::Imap).await.starts_with("a OK"));
    assert!(fixture.login(Service::Smtp).await.starts_with("535 "));
    let seen = &fixture.world.logins()[0];
    assert_eq!((seen.valid, seen.answer), (false, Answer::Accepted));
}

#[tokio::test]
async fn a_fault_of_one_account_spares_the_others() {
    let fixture = Fixture::new().await;
    let other = fixture.world.new_password("jane@icloud.com");
    fixture.world.set_account_fault(ADDRESS, Service::Imap, Some(Fault::RejectValid));
    assert!(fixture.login(Service::Imap).await.starts_with("a NO [AUTH"));
    let mut client = fixture.ready(Service::Imap).await;
    assert!(client.ask(&Fixture::command(Service::Imap, "jane", &other)).await.starts_with("a OK"));
    // It goes before the fault of the service, and can be ended.
    fixture.fault(Service::Imap, Fault::Unavailable);
    assert!(fixture.login(Service::Imap).await.starts_with("a NO [AUTH"));
    fixture.world.set_account_fault(ADDRESS, Service::Imap, None);
    assert!(fixture.login(Service::Imap).await.starts_with("a BAD [UNAVAILABLE]"));
}

#[tokio::test]
#[should_panic(expected = "strikes before the server knows the account")]
async fn a_fault_before_the_login_cannot_be_one_accounts() {
    Fixture::new().await.world.set_account_fault(ADDRESS, Service::Imap, Some(Fault::ConnectionRefused));
}

#[tokio::test]
async fn no_fault_outlives_itself() {
    for security in [Security::Implicit, Security::StartTls] {
        let fixture = Fixture::secured(security).await;
        for service in Service::ALL {
            for fault in Fault::samples(security) {
                fixture.fault(service, fault.clone());
                // Begun and left alone: what matters is that the next one is served.
                drop(fixture.plain(service).await);
            }
            fixture.fault(service, None);
            let (words, end) = meet(&fixture, service, security, Due::Words).await;
            assert!(words.starts_with("a OK") || words.starts_with("235 "), "{words:?} {end:?}");
        }
    }
}
