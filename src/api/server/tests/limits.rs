//! How much, how slowly, how many at once.

use super::*;

/// A status request of exactly `size` bytes of request line and headers.
fn request_of(size: usize) -> String {
    let around = "GET /v1/status HTTP/1.1\r\nX-Filler: \r\nConnection: close\r\n\r\n".len();
    let filler = "x".repeat(size - around);
    format!("GET /v1/status HTTP/1.1\r\nX-Filler: {filler}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn headers_over_8_kib_are_refused() {
    let house = House::new().await;
    check(&house.raw(&request_of(8 * 1024)).await, 200, JSON, "schema");
    check_problem(&house.raw(&request_of(8 * 1024 + 1)).await, 431, "too-large");
    let huge = house.raw(&request_of(100 * 1024)).await;
    assert!(huge.starts_with("HTTP/1.1 431 "), "{huge}");
}

#[tokio::test]
async fn bodies_over_16_kib_are_refused() {
    let house = House::new().await;
    let body = |size: usize| format!("{{}}{}", " ".repeat(size - 2));
    check(&house.post("/v1/check", &body(16 * 1024)).await, 200, JSON, "schema");
    check_problem(&house.post("/v1/check", &body(16 * 1024 + 1)).await, 413, "too-large");
    check_problem(&house.post("/v1/check", &body(700 * 1024)).await, 413, "too-large");
    let chunk = format!("5000\r\n{}\r\n0\r\n\r\n", " ".repeat(0x5000));
    let chunked = format!("POST /v1/check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    check_problem(&house.raw(&chunked).await, 413, "too-large");
}

#[tokio::test]
async fn a_request_must_arrive_in_time() {
    let arrival = Duration::from_millis(300);
    let house = House::with(Limits { arrival, ..Limits::default() }).await;
    for slow in ["", "GET /v1/status HT", "GET /v1/status HTTP/1.1\r\nHost: k\r\n"] {
        let begun = Instant::now();
        assert_eq!(house.raw(slow).await, "", "closed without an answer");
        assert!(begun.elapsed() >= arrival);
    }
    let half = house.raw("POST /v1/check HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"names\":").await;
    check_problem(&half, 408, "too-slow");
    assert!(half.contains("connection: close"), "{half}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_but_the_next_request_has_its_own_time() {
    let house = House::with(Limits { arrival: Duration::from_millis(1500), ..Limits::default() }).await;
    let mut stream = house.connect().await;
    let mut answer = [0; 4096];
    for _ in 0..3 {
        // In all longer than one request may take.
        sleep(Duration::from_millis(600)).await;
        stream.write_all(b"POST /v1/check HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        let read = timeout(LONG, stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"));
    }
    assert_eq!(read_all(&mut stream).await.matches("HTTP/1.1").count(), 0);
}

#[tokio::test]
async fn a_loop_that_does_not_answer_is_a_503() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keypulse.sock");
    let listener = bind(&path).await.unwrap();
    let (requests, mut unheard) = mpsc::channel(1);
    let limits = Limits { answer: Duration::from_millis(100), ..Limits::default() };
    let server = tokio::spawn(async move { match serve(listener, requests, limits).await {} });
    let client = Client::new(&path);
    // The first fills the channel, the second finds it full; then nobody is there any more.
    for _ in 0..2 {
        let error = client.status(&[]).await.unwrap_err();
        assert!(error.is_problem(Problem::NO_ANSWER), "{error}");
    }
    let error = client.check(&[], Duration::ZERO).await.unwrap_err();
    assert!(error.is_problem(Problem::NO_ANSWER), "{error}");
    unheard.close();
    drop(unheard);
    assert!(client.reload().await.unwrap_err().is_problem(Problem::NO_ANSWER));
    server.abort();
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let house = House::with(Limits { connections: 2, ..Limits::default() }).await;
    let (first, second) = (house.connect().await, house.connect().await);
    let client = house.client();
    let mut waiting = tokio::spawn(async move { client.status(&[]).await });
    assert!(timeout(Duration::from_millis(100), &mut waiting).await.is_err(), "both places are taken");
    drop((first, second));
    assert!(timeout(LONG, waiting).await.unwrap().unwrap().is_ok());
}
