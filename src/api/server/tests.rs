//! Through real Unix sockets: what a client may ask, and who.

mod limits;
mod stream;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener as StdListener, process::CommandExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast,
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::{
    api::{
        BindError, Client, ClientError, DaemonInfo, Problem, RationUsedUp, Reservation, SnoozeError, StatusDocument,
        StreamEvent, Time, TransitionDocument, UnknownName, UnknownReservation, bind, sample,
    },
    health::{
        credential::Health,
        name::{Address, CredentialName},
        schedule::Timestamp,
    },
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A server with a stand-in for the daemon's loop.
struct House {
    path: PathBuf,
    events: broadcast::Sender<StreamEvent>,
    /// What the loop was asked.
    asked: Arc<Mutex<Vec<String>>>,
    _server: JoinHandle<()>,
    _loop: JoinHandle<()>,
    _directory: TempDir,
}

impl House {
    async fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/keypulse.sock");
        let listener = bind(&path).await.unwrap();
        let (requests, mut asked) = mpsc::channel(16);
        let server = tokio::spawn(async move { match serve(listener, requests, limits).await {} });
        let (events, _) = broadcast::channel(1024);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (sender, log) = (events.clone(), Arc::clone(&seen));
        let turning = tokio::spawn(async move {
            while let Some(request) = asked.recv().await {
                log.lock().unwrap().push(format!("{request:?}"));
                answer(request, &sender);
            }
        });
        Self { path, events, asked: seen, _server: server, _loop: turning, _directory: directory }
    }

    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    fn client(&self) -> Client {
        Client::new(&self.path)
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }

    /// Everything that comes back until the server closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }

    async fn get(&self, target: &str) -> String {
        self.raw(&format!("GET {target} HTTP/1.1\r\nHost: keypulse\r\nConnection: close\r\n\r\n")).await
    }

    async fn post(&self, target: &str, body: &str) -> String {
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nHost: keypulse\r\nConnection: close\r\nContent-Length: {length}");
        self.raw(&format!("{head}\r\n\r\n{body}")).await
    }
}

fn answer(request: Request, events: &broadcast::Sender<StreamEvent>) {
    let document = |names: &[CredentialName]| sample::document(&sample::accounts()).only(names);
    match request {
        Request::Check { names, reply, .. } if names.iter().any(|name| name.as_str() == "nas") => {
            // A round that does not end: the reply stays with this task.
            tokio::spawn(async move {
                let _reply = reply;
                std::future::pending::<()>().await;
            });
        }
        Request::Status { names, reply } | Request::Check { names, reply, .. } => {
            let _ = reply.send(document(&names));
        }
        Request::Snooze { target, length, reply } if target == "nas" => {
            assert_eq!(length, Duration::from_secs(36 * 3600));
            let _ = reply.send(Ok(sample::document(&sample::accounts())));
        }
        Request::Snooze { target, reply, .. } if target == "mutt" => {
            let _ = reply.send(Err(SnoozeError::NothingStands(Address::new("jane@me.com").unwrap())));
        }
        Request::Snooze { target, reply, .. } => {
            let _ = reply.send(Err(SnoozeError::Unknown(UnknownName::target(target, ["nas"]))));
        }
        Request::Unsnooze { target, reply } => {
            let known = target == "nas" || target == "jane@me.com";
            let all = sample::document(&sample::accounts());
            let _ = reply.send(if known { Ok(all) } else { Err(UnknownName::target(target, ["nas"])) });
        }
        Request::Pause { length, reply } => {
            let daemon = DaemonInfo {
                paused_until: Some(length.map_or(Timestamp::END, |length| sample::NOW + length)),
                ..sample::daemon()
            };
            let _ = reply.send(StatusDocument::build(&sample::accounts(), Some(daemon), sample::NOW, 0));
        }
        Request::Resume { reply } => {
            let _ = reply.send(sample::document(&sample::accounts()));
        }
        Request::Subscribe { reply } => {
            let _ = reply.send(events.subscribe());
        }
        Request::Explain { target, reply } => {
            let _ = reply.send(sample::explained(target.as_deref()));
        }
        Request::History { query, reply } => {
            let _ = reply.send(sample::history(&query));
        }
        Request::Reload { reply } => {
            let _ = reply.send(Err("config.toml:3:1: unknown key `intervall`".into()));
        }
        Request::Reserve { account, reply } if account.as_str().starts_with("spent") => {
            let _ = reply.send(Err(RationUsedUp { frees_at: Some(Time::new(sample::NOW, 0)) }));
        }
        Request::Reserve { reply, .. } => {
            let _ = reply.send(Ok(Reservation { id: 9, left: 3 }));
        }
        Request::Settle { id: 9, reply, .. } => {
            let _ = reply.send(Ok(()));
        }
        Request::Settle { reply, .. } => {
            let _ = reply.send(Err(UnknownReservation));
        }
        Request::Tally { reply } => {
            let _ = reply.send(Ok(crate::health::tally::Tally::default()));
        }
        Request::Ping { reply } => {
            let _ = reply.send(());
        }
    }
}

async fn read_all(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    // The other side may reset after its answer; what came before counts.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8(bytes).unwrap()
}

fn event(id: u64) -> StreamEvent {
    StreamEvent::Transition(TransitionDocument {
        id,
        at: Time::new(sample::NOW, 0),
        account: Address::new("jane@me.com").unwrap(),
        credential: sample::name("mutt"),
        from: Health::Healthy,
        to: Health::Suspect,
        cause: None,
        presumed: false,
        reason: "refused by imap".into(),
    })
}

#[track_caller]
fn check(answer: &str, status: u16, content_type: &str, holds: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status} expected: {answer}");
    assert!(answer.contains(&format!("content-type: {content_type}\r\n")), "{content_type} expected: {answer}");
    assert!(answer.contains(holds), "{holds} expected: {answer}");
}

#[track_caller]
fn check_problem(answer: &str, status: u16, code: &str) {
    check(answer, status, "application/problem+json", &format!(r#""code":"{code}""#));
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert_eq!((problem.kind.as_str(), problem.status), ("about:blank", status));
    assert!(!problem.detail.is_empty());
}

const JSON: &str = "application/json";

#[tokio::test]
async fn every_route_answers() {
    let house = House::new().await;
    check(&house.get("/v1/status").await, 200, JSON, r#""overall":"critical""#);
    check(&house.get("/v1/status?name=mutt").await, 200, JSON, r#""overall":"ok""#);
    check(&house.get("/v1/status?name=mutt&name=n%61s").await, 200, JSON, r#""revoked":1"#);
    let change =
        r#""credential":"thunderbird","from":"suspect","to":"revoked","cause":"main-password-reset","presumed":false"#;
    check(&house.get("/v1/history").await, 200, JSON, change);
    let one = house.get("/v1/history?name=thunderb%69rd&since=1h&limit=1").await;
    check(&one, 200, JSON, r#"[{"id":43,"at":"2026-11-22T19:48:00Z","account":"johnappleseed@icloud.com""#);
    assert!(!one.contains(r#""id":42"#), "{one}");
    check(&house.get("/v1/history?since=2026-11-22T19:48:01Z").await, 200, JSON, "[]");
    check(&house.get("/v1/explain").await, 200, JSON, r#""accounts":[]"#);
    check(&house.get("/v1/explain?target=johnappleseed%40icloud.com").await, 200, JSON, r#""schema":1"#);
    check(&house.get("/healthz").await, 200, JSON, r#"{"status":"ok"}"#);
    check(&house.post("/v1/check", r#"{"names":["mutt"],"wait_s":5}"#).await, 200, JSON, r#""overall":"ok""#);
    check(&house.post("/v1/check", "").await, 200, JSON, r#""schema":1"#);
    check(&house.post("/v1/check", "{}").await, 200, JSON, r#""schema":1"#);
    check(&house.post("/v1/ration/reserve", r#"{"account":"jane@me.com"}"#).await, 200, JSON, r#"{"id":9,"left":3}"#);
    check(&house.post("/v1/ration/settle", r#"{"id":9,"rejected":true}"#).await, 200, JSON, "{}");
    check(&house.post("/v1/snooze", r#"{"target":"nas","for":"1d 12h"}"#).await, 200, JSON, r#""overall":"critical""#);
    check(&house.post("/v1/unsnooze", r#"{"target":"jane@me.com"}"#).await, 200, JSON, r#""schema":1"#);
    let an_hour = r#""paused_until":"2026-11-22T21:00:00Z""#;
    check(&house.post("/v1/pause", r#"{"for":"1h"}"#).await, 200, JSON, an_hour);
    for without_an_end in ["", "{}", r#"{"for":null}"#] {
        check(&house.post("/v1/pause", without_an_end).await, 200, JSON, r#""paused_until":"9999-12-30T22:00:00Z""#);
    }
    check(&house.post("/v1/resume", "").await, 200, JSON, r#""paused_until":null"#);
    let head = house.raw("HEAD /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn every_mistake_is_a_problem_that_says_what_was_wrong() {
    let house = House::new().await;
    check_problem(&house.get("/v1/status?name=moot").await, 404, "unknown-name");
    check_problem(&house.get("/v1/status?name=no%20name").await, 404, "unknown-name");
    check_problem(&house.get("/v1/status?name=%fg").await, 400, "bad-request");
    check_problem(&house.get("/v1/status?nmae=mutt").await, 400, "bad-request");
    check_problem(&house.get("/v1/history?name=moot").await, 404, "unknown-name");
    check_problem(&house.get("/v1/history?name=no%20name").await, 404, "unknown-name");
    for query in ["limit=0", "limit=1001", "limit=some", "since=yesterday", "since=%fg", "nmae=mutt", "limit"] {
        check_problem(&house.get(&format!("/v1/history?{query}")).await, 400, "bad-request");
    }
    check_problem(&house.post("/v1/history", "").await, 405, "wrong-method");
    check_problem(&house.get("/v1/explain?target=moot").await, 404, "unknown-name");
    check_problem(&house.get("/v1/explain?target=a&target=b").await, 400, "bad-request");
    check_problem(&house.get("/v1/explain?name=a").await, 400, "bad-request");
    check_problem(&house.get("/").await, 404, "unknown-path");
    check_problem(&house.get("/metric").await, 404, "unknown-path");
    check_problem(&house.get("/v1/check").await, 405, "wrong-method");
    check_problem(&house.post("/v1/status", "").await, 405, "wrong-method");
    check_problem(&house.post("/v1/events", "").await, 405, "wrong-method");
    check_problem(&house.post("/v1/check", r#"{"names":["moot"]}"#).await, 404, "unknown-name");
    check_problem(&house.post("/v1/check", r#"{"name":["mutt"]}"#).await, 400, "bad-request");
    check_problem(&house.post("/v1/check", r#"{"wait_s":601}"#).await, 400, "bad-request");
    check_problem(&house.post("/v1/check", r#"{"wait_s":-1}"#).await, 400, "bad-request");
    check_problem(&house.post("/v1/check", "names=mutt").await, 400, "bad-request");
    check_problem(&house.get("/v1/snooze").await, 405, "wrong-method");
    check_problem(&house.post("/v1/snooze", r#"{"target":"mutt","for":"24h"}"#).await, 409, "nothing-to-snooze");
    check_problem(&house.post("/v1/snooze", r#"{"target":"moot","for":"24h"}"#).await, 404, "unknown-name");
    check_problem(&house.post("/v1/unsnooze", r#"{"target":"moot"}"#).await, 404, "unknown-name");
    for wrong in [r#"{"target":"nas"}"#, r#"{"for":"24h"}"#, r#"{"target":"nas","for":24}"#] {
        check_problem(&house.post("/v1/snooze", wrong).await, 400, "bad-request");
    }
    for wrong in ["24", "0s", "", "ever", "11000d"] {
        check_problem(&house.post("/v1/pause", &format!(r#"{{"for":"{wrong}"}}"#)).await, 400, "bad-request");
    }
    check_problem(&house.post("/v1/reload", r#"{"now":true}"#).await, 400, "bad-request");
    check_problem(&house.post("/v1/reload", "").await, 422, "invalid-configuration");
    check_problem(&house.post("/v1/ration/reserve", r#"{"account":"jane"}"#).await, 400, "bad-request");
    check_problem(&house.post("/v1/ration/reserve", r#"{"account":"spent@me.com"}"#).await, 429, "ration-used-up");
    check_problem(&house.post("/v1/ration/settle", r#"{"id":1,"rejected":false}"#).await, 404, "unknown-reservation");
    let allow = house.get("/v1/check").await;
    assert!(allow.contains("allow: POST\r\n"), "{allow}");
}

#[tokio::test]
async fn a_check_that_takes_too_long_answers_202_with_the_status_now() {
    let house = House::new().await;
    check(&house.post("/v1/check", r#"{"names":["nas"],"wait_s":0}"#).await, 202, JSON, r#""name":"nas""#);
    let checked = house.client().check(&[sample::name("nas")], Duration::from_millis(1)).await.unwrap();
    assert!(!checked.done);
    assert!(house.asked.lock().unwrap().iter().any(|request| request.contains("wait: 1s")), "rounded up");
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte_and_many_on_one_connection() {
    let house = House::new().await;
    let mut stream = house.connect().await;
    let request = "POST /v1/check HTTP/1.1\r\nHost: k\r\nContent-Length: 16\r\n\r\n{\"names\":[\"mutt\"";
    let rest = "]}GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    for byte in request.replace("16", "18").bytes().chain(rest.bytes()) {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let answers = read_all(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert!(answers.ends_with("{\"status\":\"ok\"}\n"), "{answers}");
}

#[tokio::test]
async fn a_client_may_close_its_side_after_the_request() {
    let house = House::new().await;
    let mut stream = house.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_all(&mut stream).await.contains("200 OK"));
}

#[tokio::test]
async fn the_client_understands_every_answer() {
    let house = House::new().await;
    let client = house.client();
    assert_eq!(client.status(&[]).await.unwrap(), sample::document(&sample::accounts()));
    assert_eq!(client.status(&[sample::name("mutt")]).await.unwrap().counts.healthy, 1);
    let unknown = client.status(&[sample::name("moot")]).await.unwrap_err();
    assert!(unknown.is_problem(Problem::UNKNOWN_NAME));
    assert!(unknown.to_string().contains("no credential is named \"moot\""), "{unknown}");
    assert!(client.check(&[], Duration::from_secs(1)).await.unwrap().done);
    let refused = client.reload().await.unwrap_err();
    assert!(refused.to_string().contains("config.toml:3:1: unknown key"), "{refused}");
    let jane = Address::new("jane@me.com").unwrap();
    assert_eq!(client.reserve(&jane).await.unwrap(), Reservation { id: 9, left: 3 });
    client.settle(9, false).await.unwrap();
    client.snooze("nas", Duration::from_secs(36 * 3600)).await.unwrap();
    let nothing = client.snooze("mutt", Duration::from_secs(60)).await.unwrap_err();
    assert!(nothing.is_problem(Problem::NOTHING_TO_SNOOZE), "{nothing}");
    client.unsnooze("nas").await.unwrap();
    assert_eq!(client.pause(None).await.unwrap().paused_until, Some(Time::END));
    assert_eq!(client.resume().await.unwrap().paused_until, None);
    let spent = client.reserve(&Address::new("spent@me.com").unwrap()).await.unwrap_err();
    let ClientError::Problem(problem) = spent else { panic!("{spent}") };
    assert_eq!(problem.frees_at, Some(Time::new(sample::NOW, 0)));
}

#[tokio::test]
async fn the_client_says_why_there_is_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Client::new(directory.path().join("none.sock")).status(&[]).await.unwrap_err();
    assert!(matches!(missing, ClientError::NoDaemon { .. }), "{missing:?}");
    assert!(missing.to_string().contains("none listens on"), "{missing}");

    let stale = directory.path().join("stale.sock");
    drop(StdListener::bind(&stale).unwrap());
    let refused = Client::new(&stale).status(&[]).await.unwrap_err();
    assert!(matches!(refused, ClientError::NoDaemon { .. }), "{refused:?}");

    for (name, answer) in [("html", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), ("mail", "* OK ready\r\n")] {
        let path = directory.path().join(name);
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let broken = Client::new(&path).status(&[]).await.unwrap_err();
        assert!(matches!(broken, ClientError::Broken(_)), "{broken:?}");
    }
}

/// Prints what comes back on the socket that is its argument.
const ASK: &str = "
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'GET /v1/status HTTP/1.1\\r\\n\\r\\n')
while data := s.recv(65536):
    sys.stdout.write(data.decode())
";

async fn asked_by(uid: u32, path: &Path) -> (String, String) {
    let mut command = std::process::Command::new("python3");
    command.args(["-c", ASK]).arg(path).uid(uid).gid(uid).current_dir("/");
    let output = timeout(LONG, tokio::process::Command::from(command).output()).await.unwrap().expect("python3 runs");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn another_user_is_turned_away() {
    const NOBODY: u32 = 65534;
    assert!(rustix::process::geteuid().is_root(), "this test starts a program as another user: run it as root");
    let house = House::new().await;
    let (_, refused) = asked_by(NOBODY, &house.path).await;
    assert!(refused.contains("Permission denied"), "the modes keep others out: {refused}");

    // With the doors open there is still the check of the peer.
    let parents = [house.path.parent().unwrap(), house.path.parent().unwrap().parent().unwrap()];
    for directory in parents {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&house.path, fs::Permissions::from_mode(0o666)).unwrap();
    let (answer, _) = asked_by(NOBODY, &house.path).await;
    check_problem(&answer, 403, "not-yours");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(house.asked.lock().unwrap().is_empty(), "the daemon's loop hears nothing of it");
}

#[test]
fn answers_have_types_that_cross_threads() {
    fn check<T: Send + 'static>() {}
    check::<Result<StatusDocument, UnknownName>>();
    check::<Request>();
    check::<ClientError>();
}

#[tokio::test]
async fn a_second_listener_is_refused() {
    let house = House::new().await;
    let refused = bind(&house.path).await.unwrap_err();
    assert!(matches!(refused, BindError::InUse { .. }), "{refused:?}");
    assert!(refused.to_string().contains("another keypulse listens on"), "{refused}");
    assert!(house.client().status(&[]).await.is_ok(), "the first goes on");
}

#[tokio::test]
async fn metrics_are_text_for_prometheus() {
    let house = House::new().await;
    let answer = house.get("/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let expected =
        crate::api::metrics::render(&sample::document(&sample::accounts()), &crate::health::tally::Tally::default());
    assert_eq!(body, expected);
    assert_eq!(house.client().metrics(&[]).await.unwrap(), expected);
    let one = house.client().metrics(&[sample::name("mutt")]).await.unwrap();
    assert!(one.contains("credential=\"mutt\"") && !one.contains("credential=\"nas\""), "{one}");
    assert!(house.client().metrics(&[sample::name("moot")]).await.unwrap_err().is_problem(Problem::UNKNOWN_NAME));
}
