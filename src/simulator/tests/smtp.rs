//! Submission when nothing is wrong.

use super::*;
use crate::simulator::{Answer, Mechanism};

#[tokio::test]
async fn lists_its_extensions_as_icloud_does() {
    let fixture = Fixture::new().await;
    let mut client = fixture.plain(Service::Smtp).await.unwrap();
    assert!(client.line().await.starts_with("220 "));
    client.send("EHLO localhost").await;
    let before = client.until("250 ").await;
    assert!(before.contains(&"250-STARTTLS".into()) && !before.join("\n").contains("AUTH"), "{before:?}");
    let mut client = fixture.ready(Service::Smtp).await;
    client.send("EHLO localhost").await;
    let after = client.until("250 ").await;
    assert_eq!(
        after[1..],
        [
            "250-PIPELINING",
            "250-SIZE 28319744",
            "250-ETRN",
            "250-AUTH LOGIN PLAIN ATOKEN ATOKEN2 WSTOKEN WETOKEN XOAUTH2",
            "250-ENHANCEDSTATUSCODES",
            "250-8BITMIME",
            "250-DSN",
            "250 SMTPUTF8"
        ]
    );
}

#[tokio::test]
async fn takes_the_full_address_only() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.login(Service::Smtp).await, "235 2.7.0 Authentication successful");
    let mut client = fixture.ready(Service::Smtp).await;
    let answer = client.ask(&Fixture::command(Service::Smtp, "john", &fixture.password)).await;
    assert!(answer.starts_with("535 5.7.8 Error: authentication failed"), "{answer}");
    let seen = fixture.world.logins().pop().unwrap();
    assert_eq!((seen.account.as_deref(), seen.valid), (Some(ADDRESS), false));
    assert_eq!(fixture.world.failed_logins(ADDRESS), 1);
}

#[tokio::test]
async fn takes_plain_and_login_with_and_without_an_initial_response() {
    let fixture = Fixture::new().await;
    let accepted = "235 2.7.0 Authentication successful";
    let (name, password) = (BASE64_STANDARD.encode(ADDRESS), BASE64_STANDARD.encode(&fixture.password));
    let mut client = fixture.ready(Service::Smtp).await;
    assert_eq!(client.ask("AUTH PLAIN").await, "334");
    assert_eq!(client.ask(&plain(ADDRESS, &fixture.password)).await, accepted);
    let mut client = fixture.ready(Service::Smtp).await;
    assert_eq!(client.ask("auth login").await, "334 VXNlcm5hbWU6");
    assert_eq!(client.ask(&name).await, "334 UGFzc3dvcmQ6");
    assert_eq!(client.ask(&password).await, accepted);
    let mut client = fixture.ready(Service::Smtp).await;
    assert_eq!(client.ask(&format!("AUTH LOGIN {name}")).await, "334 UGFzc3dvcmQ6");
    assert_eq!(client.ask(&password).await, accepted);
    let mechanisms: Vec<_> = fixture.world.logins().into_iter().map(|login| login.mechanism).collect();
    assert_eq!(mechanisms, [Mechanism::Plain, Mechanism::SaslLogin, Mechanism::SaslLogin]);
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_open_and_counts_each_command() {
    let fixture = Fixture::new().await;
    let mut client = fixture.ready(Service::Smtp).await;
    let wrong = Fixture::command(Service::Smtp, ADDRESS, "wrong");
    assert_eq!(client.ask(&wrong).await, "535 5.7.8 Error: authentication failed: authentication failure");
    assert!(client.ask(&wrong).await.starts_with("535 "));
    assert!(client.ask(&Fixture::command(Service::Smtp, ADDRESS, &fixture.password)).await.starts_with("235 "));
    assert!(client.ask(&wrong).await.starts_with("503 "));
    let seen: Vec<_> = fixture.world.logins().iter().map(|login| (login.auth_commands, login.answer)).collect();
    let expected = [(1, Answer::Rejected), (2, Answer::Rejected), (3, Answer::Accepted), (4, Answer::Otherwise)];
    assert_eq!(seen, expected);
    assert_eq!(fixture.world.failed_logins(ADDRESS), 2);
}

#[tokio::test]
async fn what_cannot_be_a_login_is_told_apart() {
    let fixture = Fixture::new().await;
    let mut client = fixture.ready(Service::Smtp).await;
    for (command, expected) in [
        ("AUTH CRAM-MD5", "504 5.5.4"),
        ("AUTH PLAIN ***", "501 5.5.2"),
        ("AUTH PLAIN =", "501 5.5.2"),
        ("MAIL FROM:<john@icloud.com>", "530 5.7.0"),
        ("STARTTLS", "502 5.5.1"),
        ("NOOP", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("HELO x", "250 p00"),
        ("VRFY john", "502 5.5.2"),
    ] {
        let answer = client.ask(command).await;
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
    assert_eq!(client.ask("AUTH PLAIN").await, "334");
    assert!(client.ask("*").await.starts_with("501 5.7.0"));
    assert_eq!(fixture.world.logins(), []);
}

#[tokio::test]
async fn a_foreign_sender_is_refused_after_a_good_login() {
    let fixture = Fixture::new().await;
    let mut client = fixture.ready(Service::Smtp).await;
    client.ask(&Fixture::command(Service::Smtp, ADDRESS, &fixture.password)).await;
    assert!(client.ask("MAIL FROM:<x@example.org>").await.starts_with("550 5.7.0 From address is not"));
    assert!(client.ask("MAIL FROM:<John@iCloud.com>").await.starts_with("250 "));
    client.send("QUIT").await;
    assert_eq!(client.rest().await, (b"221 2.0.0 Bye\r\n".to_vec(), End::Closed));
}

#[tokio::test]
async fn a_password_in_the_clear_is_refused_and_seen() {
    let fixture = Fixture::new().await;
    let mut client = fixture.plain(Service::Smtp).await.unwrap();
    client.line().await;
    let answer = client.ask(&Fixture::command(Service::Smtp, ADDRESS, &fixture.password)).await;
    assert_eq!(answer, "530 5.7.0 Must issue a STARTTLS command first");
    assert!(!fixture.world.logins()[0].encrypted);
}

#[tokio::test]
async fn implicit_tls_serves_as_well() {
    let fixture = Fixture::secured(Security::Implicit).await;
    let mut client = fixture.tls(Service::Smtp).await.unwrap();
    assert!(client.line().await.starts_with("220 "));
    assert!(client.ask(&Fixture::command(Service::Smtp, ADDRESS, &fixture.password)).await.starts_with("235 "));
}

#[tokio::test]
async fn a_line_over_the_limit_ends_the_connection() {
    let fixture = Fixture::new().await;
    let mut client = fixture.ready(Service::Smtp).await;
    client.send(&"x".repeat(9000)).await;
    assert_eq!(client.rest().await, (b"500 5.5.2 Error: line too long\r\n".to_vec(), End::Closed));
}
