//! Which request gets which answer.
//!
//! Decides the form of requests and answers: paths, methods, bodies, status codes. What the answers say is the daemon's.

mod past;

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Response, StatusCode,
    body::{Body as _, Bytes, Frame, Incoming},
    header,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    net::UnixStream,
    sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot},
    time::{timeout, timeout_at},
};

use super::{
    LONGEST_WAIT, Problem, Request, StatusDocument, StreamEvent, TroubleKind, USUAL_WAIT, metrics,
    server::{Peer, Shared},
};
use crate::{
    config::duration,
    health::name::{Address, CredentialName},
};

/// The largest request line and headers, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;

/// The largest body, in bytes.
const LARGEST_BODY: usize = 16 * 1024;

/// What of too large a body is still read, so that its sender comes to read the answer.
const LARGEST_WASTE: usize = 1024 * 1024;

/// hyper's buffer. Heads between the two sizes get an answer of ours, larger ones a bare 431 of hyper's.
pub(super) const LARGEST_READ: usize = 2 * LARGEST_HEAD;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// `POST /v1/check`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBody {
    #[serde(default)]
    pub(super) names: Vec<String>,
    #[serde(default = "usual_wait_s")]
    pub(super) wait_s: u64,
}

fn usual_wait_s() -> u64 {
    USUAL_WAIT.as_secs()
}

/// `POST /v1/snooze`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnoozeBody {
    pub(super) target: String,
    /// As in the configuration: `24h`.
    #[serde(rename = "for")]
    pub(super) length: String,
}

/// `POST /v1/unsnooze`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnsnoozeBody {
    pub(super) target: String,
}

/// `POST /v1/pause`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    /// As in the configuration: `24h`. Null or left out: until `/v1/resume`.
    #[serde(rename = "for", default)]
    pub(super) length: Option<String>,
}

/// `POST /v1/ration/reserve`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveBody {
    pub(super) account: String,
}

/// `POST /v1/ration/settle`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettleBody {
    pub(super) id: u64,
    pub(super) rejected: bool,
}

/// A request that takes no parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoBody {}

/// The answer to any request.
pub(super) async fn answer(request: hyper::Request<Incoming>, shared: &Shared, peer: &Peer) -> Response<Body> {
    route(request, shared, peer).await.unwrap_or_else(|problem| problem_response(&problem))
}

async fn route(
    request: hyper::Request<Incoming>,
    shared: &Shared,
    peer: &Peer,
) -> Result<Response<Body>, Box<Problem>> {
    if !peer.is_friend {
        let detail = "only the user whose keypulse this is, and root, may ask it";
        return Err(Problem::new(StatusCode::FORBIDDEN, Problem::NOT_YOURS, detail).into());
    }
    let (head, body) = request.into_parts();
    if size_of(&head) > LARGEST_HEAD {
        let detail = format!("the request line and headers may have {LARGEST_HEAD} bytes");
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Problem::TOO_LARGE, detail).into());
    }
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let (allow, taken) = match path {
        "/v1/status" | "/v1/history" | "/v1/explain" | "/metrics" | "/healthz" => {
            ("GET, HEAD", head.method == Method::GET || head.method == Method::HEAD)
        }
        "/v1/events" => ("GET", head.method == Method::GET),
        "/v1/check" | "/v1/snooze" | "/v1/unsnooze" | "/v1/pause" | "/v1/resume" | "/v1/reload"
        | "/v1/ration/reserve" | "/v1/ration/settle" => ("POST", head.method == Method::POST),
        _ => {
            let detail = "there is nothing at this path; `GET /v1/status` shows the status";
            return Err(Problem::new(StatusCode::NOT_FOUND, Problem::UNKNOWN_PATH, detail).into());
        }
    };
    if !taken {
        return Ok(wrong_method(allow));
    }
    let body = if head.method == Method::POST { read(body, shared, peer).await? } else { Bytes::new() };
    match path {
        "/v1/status" => status(shared, &names_in(query)?).await,
        "/metrics" => metrics(shared, &names_in(query)?).await,
        "/v1/history" => {
            let query = past::history_query(query)?;
            let changes = ask(shared, |reply| Request::History { query, reply }).await?.map_err(Problem::from)?;
            Ok(json(StatusCode::OK, &changes))
        }
        "/v1/explain" => {
            let target = past::explain_target(query)?;
            let answer = ask(shared, |reply| Request::Explain { target, reply }).await?.map_err(Problem::from)?;
            Ok(json(StatusCode::OK, &answer))
        }
        "/v1/events" => events(shared, peer).await,
        "/v1/check" => check(shared, parse(&body)?).await,
        "/v1/snooze" => snooze(shared, parse(&body)?).await,
        "/v1/unsnooze" => unsnooze(shared, parse(&body)?).await,
        "/v1/pause" => pause(shared, &parse(&body)?).await,
        "/v1/resume" => resume(shared, &parse(&body)?).await,
        "/v1/reload" => reload(shared, &parse(&body)?).await,
        "/v1/ration/reserve" => reserve(shared, &parse(&body)?).await,
        "/v1/ration/settle" => settle(shared, &parse(&body)?).await,
        _ => {
            ask(shared, |reply| Request::Ping { reply }).await?;
            Ok(json(StatusCode::OK, &serde_json::json!({"status": "ok"})))
        }
    }
}

async fn status(shared: &Shared, names: &[String]) -> Result<Response<Body>, Box<Problem>> {
    let document = document_of(shared, known_names(names)?).await?;
    Ok(json(StatusCode::OK, &document))
}

async fn metrics(shared: &Shared, names: &[String]) -> Result<Response<Body>, Box<Problem>> {
    let document = document_of(shared, known_names(names)?).await?;
    let tally = ask(shared, |reply| Request::Tally { reply }).await?.map_err(Problem::unreadable)?;
    let text = metrics::render(&document, &tally);
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    let content_type = header::HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

async fn document_of(shared: &Shared, names: Vec<CredentialName>) -> Result<StatusDocument, Box<Problem>> {
    Ok(ask(shared, |reply| Request::Status { names, reply }).await?.map_err(Problem::from)?)
}

async fn check(shared: &Shared, body: CheckBody) -> Result<Response<Body>, Box<Problem>> {
    let wait = Duration::from_secs(body.wait_s);
    if wait > LONGEST_WAIT {
        let detail = format!("`wait_s` is at most {}", LONGEST_WAIT.as_secs());
        return Err(Problem::bad_request(detail).into());
    }
    let names = known_names(&body.names)?;
    let (reply, answer) = oneshot::channel();
    send(shared, Request::Check { names: names.clone(), wait, reply }).await?;
    match timeout(wait, answer).await {
        Ok(Ok(done)) => Ok(json(StatusCode::OK, &done.map_err(Problem::from)?)),
        Ok(Err(_)) => Err(why_not(shared).await),
        Err(_) => Ok(json(StatusCode::ACCEPTED, &document_of(shared, names).await?)),
    }
}

async fn snooze(shared: &Shared, body: SnoozeBody) -> Result<Response<Body>, Box<Problem>> {
    let (target, length) = (body.target, length(&body.length)?);
    let document = ask(shared, |reply| Request::Snooze { target, length, reply }).await?.map_err(Problem::from)?;
    Ok(json(StatusCode::OK, &document))
}

async fn unsnooze(shared: &Shared, body: UnsnoozeBody) -> Result<Response<Body>, Box<Problem>> {
    let target = body.target;
    let document = ask(shared, |reply| Request::Unsnooze { target, reply }).await?.map_err(Problem::from)?;
    Ok(json(StatusCode::OK, &document))
}

async fn pause(shared: &Shared, body: &PauseBody) -> Result<Response<Body>, Box<Problem>> {
    let length = body.length.as_deref().map(length).transpose()?;
    let document = ask(shared, |reply| Request::Pause { length, reply }).await?;
    Ok(json(StatusCode::OK, &document))
}

async fn resume(shared: &Shared, NoBody {}: &NoBody) -> Result<Response<Body>, Box<Problem>> {
    let document = ask(shared, |reply| Request::Resume { reply }).await?;
    Ok(json(StatusCode::OK, &document))
}

/// A time to be quiet, which has some length.
fn length(text: &str) -> Result<Duration, Box<Problem>> {
    match duration::parse(text) {
        Ok(length) if length.is_zero() => Err(Problem::bad_request("`for`: it is over at once").into()),
        Ok(length) => Ok(length),
        Err(error) => Err(Problem::bad_request(format!("`for`: {error}; {}", error.remedy())).into()),
    }
}

async fn reload(shared: &Shared, NoBody {}: &NoBody) -> Result<Response<Body>, Box<Problem>> {
    let document = ask(shared, |reply| Request::Reload { reply }).await?.map_err(|why| {
        let detail = format!("the old configuration stays: {why}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Problem::INVALID_CONFIGURATION, detail)
    })?;
    Ok(json(StatusCode::OK, &document))
}

async fn reserve(shared: &Shared, body: &ReserveBody) -> Result<Response<Body>, Box<Problem>> {
    let account = Address::new(&body.account).map_err(|why| Problem::bad_request(format!("`account`: {why}")))?;
    let reservation = ask(shared, |reply| Request::Reserve { account, reply }).await?.map_err(Problem::from)?;
    Ok(json(StatusCode::OK, &reservation))
}

async fn settle(shared: &Shared, body: &SettleBody) -> Result<Response<Body>, Box<Problem>> {
    let (id, rejected) = (body.id, body.rejected);
    ask(shared, |reply| Request::Settle { id, rejected, reply }).await?.map_err(|_| {
        let detail = format!("no login is reserved under {id}: it was settled before, or by another daemon");
        Problem::new(StatusCode::NOT_FOUND, Problem::UNKNOWN_RESERVATION, detail)
    })?;
    Ok(json(StatusCode::OK, &serde_json::json!({})))
}

/// Server-sent events (WHATWG HTML, section 9.2), from now on.
async fn events(shared: &Shared, peer: &Peer) -> Result<Response<Body>, Box<Problem>> {
    let slot = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        let detail = format!("{} event streams are open already; close one", shared.limits.streams);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Problem::TOO_MANY_STREAMS, detail)
    })?;
    let watch = peer.watch.as_ref().and_then(|fd| fd.try_clone().ok()).and_then(|fd| {
        let stream = std::os::unix::net::UnixStream::from(fd);
        UnixStream::from_std(stream).ok()
    });
    let happened = ask(shared, |reply| Request::Subscribe { reply }).await?;
    let (frames, waiting) = mpsc::channel(shared.limits.backlog);
    let (cut, stall) = (Arc::clone(&peer.cut), shared.limits.stall);
    tokio::spawn(async move {
        if forward(happened, frames, stall, watch).await == Ended::ReaderTooSlow {
            cut.notify_one();
        }
    });
    let body = stream::unfold(
        (waiting, slot),
        |(mut waiting, slot): (mpsc::Receiver<Bytes>, OwnedSemaphorePermit)| async move {
            waiting.recv().await.map(|frame| (Ok(Frame::data(frame)), (waiting, slot)))
        },
    );
    let mut response = Response::new(StreamBody::new(body).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(PartialEq, Eq)]
enum Ended {
    ByDaemon,
    ByReader,
    ReaderTooSlow,
}

/// Carries events to one reader. Dropping `frames` ends the stream; a reader that went away or does not keep up ends it too,
/// so that it holds no slot.
async fn forward(
    mut happened: broadcast::Receiver<StreamEvent>,
    frames: mpsc::Sender<Bytes>,
    stall: Duration,
    watch: Option<UnixStream>,
) -> Ended {
    let gone = async {
        match &watch {
            Some(socket) => until_closed(socket).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(gone);
    loop {
        tokio::select! {
            event = happened.recv() => match event {
                // Many events at once are no fault of the reader, so there is some time.
                Ok(event) => match frames.send_timeout(Bytes::from(event.frame()), stall).await {
                    Ok(()) => {}
                    Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Ended::ReaderTooSlow,
                    Err(mpsc::error::SendTimeoutError::Closed(_)) => return Ended::ByReader,
                },
                Err(broadcast::error::RecvError::Lagged(_)) => return Ended::ReaderTooSlow,
                Err(broadcast::error::RecvError::Closed) => return Ended::ByDaemon,
            },
            () = frames.closed() => return Ended::ByReader,
            () = &mut gone => return Ended::ByReader,
        }
    }
}

/// Until the client closed its side. What it sends meanwhile is no request any more and is thrown away.
async fn until_closed(socket: &UnixStream) {
    let mut scrap = [0; 256];
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut scrap) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Asks the daemon's loop and waits for its answer, but not for ever.
async fn ask<T>(shared: &Shared, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Box<Problem>> {
    let (reply, answer) = oneshot::channel();
    send(shared, request(reply)).await?;
    match timeout(shared.limits.answer, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(why_not(shared).await),
        Err(_) => Err(Problem::no_answer().into()),
    }
}

/// Why the loop took a request and gave no answer: it stops, or can write nothing down.
async fn why_not(shared: &Shared) -> Box<Problem> {
    let (reply, answer) = oneshot::channel();
    if let Err(problem) = send(shared, Request::Status { names: Vec::new(), reply }).await {
        return problem;
    }
    let Ok(Ok(Ok(document))) = timeout(shared.limits.answer, answer).await else { return Problem::no_answer().into() };
    let unwritable = document.troubles.into_iter().find(|trouble| trouble.kind == TroubleKind::StateUnwritable);
    match unwritable {
        Some(trouble) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, Problem::UNWRITABLE, trouble.text).into(),
        None => Problem::no_answer().into(),
    }
}

async fn send(shared: &Shared, request: Request) -> Result<(), Box<Problem>> {
    match timeout(shared.limits.answer, shared.requests.send(request)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Problem::no_answer().into()),
    }
}

/// The whole body, within the limits of size and time.
async fn read(mut body: Incoming, shared: &Shared, peer: &Peer) -> Result<Bytes, Box<Problem>> {
    let (mut kept, mut seen) = (Vec::new(), 0_usize);
    let arrives = async {
        while seen <= LARGEST_WASTE && !body.is_end_stream() {
            let Some(frame) = body.frame().await else { break };
            let frame = frame.map_err(|_| Problem::bad_request("the body ended before its length"))?;
            let Ok(data) = frame.into_data() else { continue };
            seen = seen.saturating_add(data.len());
            if seen <= LARGEST_BODY {
                kept.extend_from_slice(&data);
            }
        }
        Ok(())
    };
    match timeout_at(peer.deadline(&shared.limits), arrives).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => return Err(Box::new(problem)),
        Err(_) => {
            let detail = format!("the request did not arrive within {} s", shared.limits.arrival.as_secs_f32());
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Problem::TOO_SLOW, detail).into());
        }
    }
    if seen > LARGEST_BODY {
        let detail = format!("a body may have {LARGEST_BODY} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Problem::TOO_LARGE, detail).into());
    }
    Ok(kept.into())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<Problem>> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("the body: {error}")).into())
}

/// `name=…`, as often as wanted.
fn names_in(query: &str) -> Result<Vec<String>, Box<Problem>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some(("name", value)) => percent_decoded(value)
                .ok_or_else(|| Problem::bad_request("`name` is not percent-encoded UTF-8 (RFC 3986)").into()),
            _ => Err(Problem::bad_request("the only parameter here is `name`").into()),
        })
        .collect()
}

/// A name of the wrong shape is an unknown one.
fn known_names(names: &[String]) -> Result<Vec<CredentialName>, Box<Problem>> {
    let valid = |name: &String| {
        CredentialName::new(name).map_err(|why| {
            // Told back to the client: as much as a name may have.
            let name: String = name.chars().take(64).collect();
            Problem::unknown_name(format!("no credential is named {name:?}: {why}"))
        })
    };
    Ok(names.iter().map(valid).collect::<Result<_, _>>()?)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit()? * 16 + digit()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The bytes of the request line and headers, as most clients write them.
fn size_of(head: &hyper::http::request::Parts) -> usize {
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    let line = head.method.as_str().len() + path + " HTTP/1.1\r\n".len() + 1;
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    response(status, "application/json", body)
}

fn problem_response(problem: &Problem) -> Response<Body> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, "application/problem+json", problem);
    // After these the rest of the request is unread, or its sender has no business here.
    if matches!(problem.code.as_str(), Problem::NOT_YOURS | Problem::TOO_LARGE | Problem::TOO_SLOW) {
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}

/// RFC 9110, section 15.5.6: with the methods that the path takes.
fn wrong_method(allow: &'static str) -> Response<Body> {
    let detail = format!("this path takes {allow}");
    let mut response = problem_response(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, Problem::WRONG_METHOD, detail));
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
    response
}

fn response(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response<Body> {
    // Plain structs with string keys: there is nothing in them that JSON cannot write.
    let mut text = serde_json::to_vec(body).unwrap_or_default();
    text.push(b'\n');
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
