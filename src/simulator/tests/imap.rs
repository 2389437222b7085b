//! IMAP when nothing is wrong.

use super::*;
use crate::simulator::{Answer, ImapNames, Mechanism};

async fn imap() -> (Fixture, Client) {
    let fixture = Fixture::new().await;
    let client = fixture.ready(Service::Imap).await;
    (fixture, client)
}

#[tokio::test]
async fn greets_as_icloud_does() {
    let fixture = Fixture::new().await;
    let mut client = fixture.tls(Service::Imap).await.unwrap();
    let greeting = client.line().await;
    let capabilities = "* OK [CAPABILITY XAPPLEPUSHSERVICE IMAP4 IMAP4rev1 SASL-IR AUTH=ATOKEN AUTH=PLAIN AUTH=ATOKEN2 \
        AUTH=XOAUTH2] (";
    assert!(greeting.starts_with(capabilities), "{greeting}");
    client.send("c CAPABILITY").await;
    assert_eq!(client.until("c OK").await.len(), 2);
}

#[tokio::test]
async fn takes_the_short_name_and_the_full_address() {
    let fixture = Fixture::new().await;
    for name in ["john", ADDRESS, "JOHN@me.com"] {
        let command = Fixture::command(Service::Imap, name, &fixture.password);
        let answer = fixture.ready(Service::Imap).await.ask(&command).await;
        assert_eq!(answer.to_lowercase(), "a ok user john logged in");
    }
    fixture.world.set_imap_names(ADDRESS, ImapNames::Short);
    assert!(fixture.login(Service::Imap).await.starts_with("a NO [AUTHENTICATIONFAILED]"));
}

#[tokio::test]
async fn takes_authenticate_plain_with_and_without_an_initial_response() {
    let (fixture, mut client) = imap().await;
    let message = plain("john", &fixture.password);
    assert_eq!(client.ask(&format!("a AUTHENTICATE PLAIN {message}")).await, "a OK user john authenticated");
    let mut client = fixture.ready(Service::Imap).await;
    assert_eq!(client.ask("b authenticate plain").await, "+");
    assert_eq!(client.ask(&message).await, "b OK user john authenticated");
    let mechanisms: Vec<_> = fixture.world.logins().into_iter().map(|login| login.mechanism).collect();
    assert_eq!(mechanisms, [Mechanism::Plain, Mechanism::Plain]);
    let mut client = fixture.ready(Service::Imap).await;
    assert_eq!(client.ask("c AUTHENTICATE PLAIN").await, "+");
    assert!(client.ask("*").await.starts_with("c BAD"));
    assert!(client.ask("d AUTHENTICATE CRAM-MD5").await.starts_with("d NO"));
    assert_eq!(fixture.world.logins().len(), 2);
}

#[tokio::test]
async fn takes_login_in_atoms_quotes_and_literals() {
    let fixture = Fixture::new().await;
    let password = &fixture.password;
    fixture.world.set_password(ADDRESS, "quo\"te \\ back");
    for command in [format!("a login john {password}"), "a LOGIN \"john\" \"quo\\\"te \\\\ back\"".into()] {
        let mut client = fixture.ready(Service::Imap).await;
        assert_eq!(client.ask(&command).await, "a OK user john logged in");
    }
    let mut client = fixture.ready(Service::Imap).await;
    assert!(client.ask("a LOGIN {4}").await.starts_with("+ "));
    assert!(client.ask("john {19}").await.starts_with("+ "));
    assert_eq!(client.ask(password).await, "a OK user john logged in");
    let mut client = fixture.ready(Service::Imap).await;
    assert_eq!(client.ask("a LOGIN john {99999}").await, "* BYE Literal too long");
    assert!(fixture.ready(Service::Imap).await.ask("a LOGIN \"john").await.starts_with("a BAD Parse Error"));
}

#[tokio::test]
async fn a_refused_login_ends_the_connection_on_the_next_command() {
    for next in ["b CAPABILITY", "b LOGOUT", "b LOGIN john wrong", "b AUTHENTICATE PLAIN"] {
        let (fixture, mut client) = imap().await;
        let refusal = client.ask("a LOGIN john wrong").await;
        assert_eq!(refusal, "a NO [AUTHENTICATIONFAILED] Authentication Failed");
        client.due = Due::Nothing;
        assert_eq!(client.rest().await.1, End::Silent);
        client.due = Due::End;
        client.send(next).await;
        assert_eq!(client.rest().await, (Vec::new(), End::Truncated), "{next}");
        assert_eq!(fixture.world.failed_logins(ADDRESS), 1, "{next}");
        let commands: Vec<_> = fixture.world.logins().iter().map(|login| login.auth_commands).collect();
        let expected: &[u32] = if next.contains("LOGIN") || next.contains("AUTH") { &[1, 2] } else { &[1] };
        assert_eq!(commands, expected, "{next}");
    }
}

#[tokio::test]
async fn a_non_empty_authorization_identity_is_refused() {
    let (fixture, mut client) = imap().await;
    let message = BASE64_STANDARD.encode(format!("john\0john\0{}", fixture.password));
    let answer = client.ask(&format!("a AUTHENTICATE PLAIN {message}")).await;
    assert!(answer.starts_with("a NO [AUTHENTICATIONFAILED]"), "{answer}");
}

#[tokio::test]
async fn a_session_has_what_a_watch_needs() {
    let (fixture, mut client) = imap().await;
    assert!(client.ask("a IDLE").await.starts_with("a BAD"));
    assert!(client.ask(&Fixture::command(Service::Imap, "john", &fixture.password)).await.starts_with("a OK"));
    client.send("b CAPABILITY").await;
    let capabilities = client.until("b OK").await.join("\n");
    assert!(capabilities.contains(" ID IDLE ") && !capabilities.contains("LITERAL+"), "{capabilities}");
    client.send("c EXAMINE INBOX").await;
    let lines = client.until("c ").await;
    assert!(lines.contains(&"* 0 EXISTS".into()), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "c OK [READ-ONLY] EXAMINE completed");
    assert_eq!(client.ask("d IDLE").await, "+ idling");
    assert_eq!(client.ask("DONE").await, "d OK IDLE completed");
    assert_eq!(client.ask("e IDLE").await, "+ idling");
    assert!(client.ask("f NOOP").await.starts_with("e BAD DONE is the only command"));
    assert_eq!(client.ask("g SELECT INBOX (CONDSTORE ANNOTATE)").await, "g BAD Unexpected extra arguments");
    assert_eq!(client.ask("h NOOP").await, "h OK NOOP completed");
    assert!(client.ask("i ID NIL").await.starts_with("* ID ("));
    assert_eq!(client.line().await, "i OK ID completed");
    assert!(client.ask("j FETCH 1 ALL").await.starts_with("j BAD Parse Error"));
    client.send("k LOGOUT").await;
    assert_eq!(client.rest().await, (b"* BYE Logging out\r\nk OK LOGOUT completed\r\n".to_vec(), End::Closed));
}

#[tokio::test]
async fn starttls_comes_before_any_login() {
    let fixture = Fixture::secured(Security::StartTls).await;
    let mut client = fixture.plain(Service::Imap).await.unwrap();
    let greeting = client.line().await;
    assert!(greeting.contains(" STARTTLS LOGINDISABLED]"), "{greeting}");
    assert!(client.ask(&Fixture::command(Service::Imap, "john", &fixture.password)).await.contains("PRIVACYREQUIRED"));
    let seen = fixture.world.logins().pop().unwrap();
    assert_eq!((seen.encrypted, seen.valid, seen.answer), (false, true, Answer::Otherwise));
    let mut client = fixture.starttls(Service::Imap).await.unwrap();
    client.send("c CAPABILITY").await;
    let capabilities = client.until("c OK").await.join("\n");
    assert!(capabilities.contains("AUTH=PLAIN") && !capabilities.contains("STARTTLS"), "{capabilities}");
    assert!(client.ask(&Fixture::command(Service::Imap, "john", &fixture.password)).await.starts_with("a OK"));
}

#[tokio::test]
async fn what_was_said_in_the_clear_is_forgotten_at_the_upgrade() {
    let fixture = Fixture::secured(Security::StartTls).await;
    let mut client = fixture.plain(Service::Imap).await.unwrap();
    client.line().await;
    client.send("s STARTTLS\r\nx NOOP").await;
    assert!(client.line().await.starts_with("s OK"));
    client.upgrade(&fixture.connector()).await.unwrap();
    assert_eq!(client.ask("y NOOP").await, "y OK NOOP completed");
}

#[tokio::test]
async fn a_line_over_the_limit_ends_the_connection() {
    let (_fixture, mut client) = imap().await;
    client.send(&"x".repeat(9000)).await;
    assert_eq!(client.rest().await, (b"* BYE Line too long\r\n".to_vec(), End::Closed));
}
