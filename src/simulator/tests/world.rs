//! The handle: what is changed takes effect, what is done is seen.

use super::*;
use crate::simulator::{Answer, Farewell};

#[tokio::test]
async fn a_main_password_reset_kills_every_password_of_that_account_only() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (second, other) = (world.new_password(ADDRESS), world.new_password("jane@icloud.com"));
    world.reset_main_password(ADDRESS);
    for (address, password, expected) in
        [(ADDRESS, &fixture.password, "535 "), (ADDRESS, &second, "535 "), ("jane@icloud.com", &other, "235 ")]
    {
        let mut client = fixture.ready(Service::Smtp).await;
        let answer = client.ask(&Fixture::command(Service::Smtp, address, password)).await;
        assert!(answer.starts_with(expected), "{address}: {answer}");
    }
    assert_eq!((world.live_passwords(ADDRESS), world.live_passwords("jane@icloud.com")), (0, 1));
    assert_eq!((world.failed_logins(ADDRESS), world.failed_logins("jane@icloud.com")), (2, 0));
}

#[tokio::test]
async fn a_revocation_kills_one_password() {
    let fixture = Fixture::new().await;
    let second = fixture.world.new_password(ADDRESS);
    fixture.world.revoke(ADDRESS, &fixture.password);
    assert!(fixture.login(Service::Imap).await.starts_with("a NO"));
    let mut client = fixture.ready(Service::Imap).await;
    assert!(client.ask(&Fixture::command(Service::Imap, ADDRESS, &second)).await.starts_with("a OK"));
}

#[tokio::test]
#[should_panic(expected = "has 25 app-specific passwords already")]
async fn the_twenty_sixth_password_is_refused() {
    let world = Fixture::new().await.world;
    for _ in 0..25 {
        world.new_password(ADDRESS);
    }
}

#[tokio::test]
async fn open_sessions_end_as_told() {
    let options = Options { revocation_ends_sessions: Some(Farewell::Bye), ..Options::default() };
    let fixture = Fixture::with(options).await;
    let world = &fixture.world;
    let kept = world.new_password(ADDRESS);
    let mut clients = Vec::new();
    for password in [&fixture.password, &kept] {
        let mut client = fixture.ready(Service::Imap).await;
        client.ask(&Fixture::command(Service::Imap, "john", password)).await;
        assert_eq!(client.ask("b IDLE").await, "+ idling");
        clients.push(client);
    }
    assert_eq!(world.open_sessions(ADDRESS), 2);
    world.revoke(ADDRESS, &fixture.password);
    let told = clients[0].rest().await;
    assert_eq!(told, (b"* BYE Session is no longer valid\r\n".to_vec(), End::Closed));
    assert_eq!(clients[1].ask("DONE").await, "b OK IDLE completed");
    world.disconnect(ADDRESS, Farewell::Cut);
    assert_eq!(clients[1].rest().await, (Vec::new(), End::Truncated));
    drop(clients);
    timeout(LIMIT, world.until(|world| world.open_sessions(ADDRESS) == 0)).await.unwrap();
}

#[tokio::test]
async fn sessions_outlive_a_revocation_by_default() {
    let fixture = Fixture::new().await;
    let mut client = fixture.ready(Service::Imap).await;
    client.ask(&Fixture::command(Service::Imap, "john", &fixture.password)).await;
    fixture.world.reset_main_password(ADDRESS);
    assert_eq!(client.ask("b NOOP").await, "b OK NOOP completed");
}

#[tokio::test]
async fn one_can_wait_for_what_clients_do() {
    let fixture = Fixture::new().await;
    let world = fixture.world.clone();
    let waiter = tokio::spawn(async move { world.until(|world| world.logins().len() == 2).await });
    fixture.login(Service::Imap).await;
    assert!(!waiter.is_finished());
    fixture.login(Service::Smtp).await;
    timeout(LIMIT, waiter).await.unwrap().unwrap();
    let seen: Vec<_> = fixture.world.logins().iter().map(|l| (l.service, l.answer, l.valid, l.encrypted)).collect();
    let expected = |service| (service, Answer::Accepted, true, true);
    assert_eq!(seen, [expected(Service::Imap), expected(Service::Smtp)]);
    assert_eq!((fixture.world.connections(Service::Imap), fixture.world.connections(Service::Smtp)), (1, 1));
    timeout(LIMIT, fixture.world.until(|w| Service::ALL.iter().all(|s| w.open_connections(*s) == 0))).await.unwrap();
}

#[tokio::test]
async fn no_password_is_shown() {
    let fixture = Fixture::new().await;
    fixture.login(Service::Imap).await;
    let shown = format!("{:?} {:?} {:?}", fixture.world, fixture.simulator, fixture.world.logins());
    assert!(shown.contains(ADDRESS) && !shown.contains(&fixture.password), "{shown}");
}

#[tokio::test]
async fn a_dropped_simulator_leaves_no_port_and_no_connection() {
    let fixture = Fixture::new().await;
    fixture.fault(Service::Smtp, Fault::Hang(crate::simulator::Stage::Connect));
    let mut session = fixture.ready(Service::Imap).await;
    let mut hanging = fixture.plain(Service::Smtp).await.unwrap();
    fixture.world.until(|world| world.open_connections(Service::Smtp) == 1).await;
    let Fixture { simulator, world, .. } = fixture;
    let ports = [simulator.imap_addr(), simulator.smtp_addr()];
    drop(simulator);
    for port in ports {
        assert_eq!(TcpStream::connect(port).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
    timeout(LIMIT, world.until(|w| Service::ALL.iter().all(|s| w.open_connections(*s) == 0))).await.unwrap();
    assert_ne!(session.rest().await.1, End::Silent);
    assert_ne!(hanging.rest().await.1, End::Silent);
    world.set_fault(Service::Imap, None);
    assert!(TcpStream::connect(ports[0]).await.is_err());
}
