//! The daemon's end of the socket: takes connections, holds them to their limits, and answers.
//!
//! HTTP/1.1 (RFC 9112) over a Unix socket. Decides who may ask, how much and how slowly. Keeps no state of the daemon's and
//! never blocks its loop: every question goes through a bounded channel and every answer has a deadline.

use std::{
    convert::Infallible,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::UnixStream,
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Listener, Request, routes,
    spare::{Spare, is_out_of_files},
};
use crate::place::is_friend;

/// What one client may take. The sizes of headers and bodies are fixed: see `routes.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request may take to arrive: from the opening of the connection, or from the answer before it.
    pub arrival: Duration,
    /// How long the daemon's loop may take to answer.
    pub answer: Duration,
    /// How many connections there may be; more wait until one ends.
    pub connections: usize,
    /// How many of other users, beside those, may be told at once that they have no business here; more are just closed.
    pub strangers: usize,
    /// How many of them may be event streams, which last.
    pub streams: usize,
    /// How many events may wait for a reader of a stream.
    pub backlog: usize,
    /// How long they may wait once there are so many, before the reader is cut off.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            arrival: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            // So many that the silent ones among a person's programs keep no other waiting. Each takes two file descriptors,
            // of which macOS gives a process 256.
            connections: if cfg!(target_os = "macos") { 64 } else { 256 },
            strangers: 8,
            streams: 32,
            backlog: 64,
            stall: Duration::from_secs(5),
        }
    }
}

/// What the routes need of the server.
pub(super) struct Shared {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) limits: Limits,
    pub(super) streams: Arc<Semaphore>,
}

/// What the routes need of one connection.
pub(super) struct Peer {
    /// The daemon's user, or root.
    pub(super) is_friend: bool,
    /// A second handle on the same socket, to see a client go that only listens. hyper owns the first.
    pub(super) watch: Option<std::os::fd::OwnedFd>,
    /// Ends the connection at once.
    pub(super) cut: Arc<Notify>,
    opened: Instant,
    /// When the last answer was ready, in milliseconds after `opened`.
    answered: AtomicU64,
}

impl Peer {
    /// When the request being read must have arrived.
    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        self.opened + Duration::from_millis(self.answered.load(Ordering::Relaxed)) + limits.arrival
    }

    fn note_answer(&self) {
        let elapsed = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.answered.store(elapsed, Ordering::Relaxed);
    }
}

/// Answers on `listener` until it is dropped; open connections end with it.
///
/// # Panics
/// When answering a request panicked: a panic ends the daemon, and its supervisor restarts it.
pub async fn serve(listener: Listener, requests: mpsc::Sender<Request>, limits: Limits) -> Infallible {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let strangers = Arc::new(Semaphore::new(limits.strangers));
    let streams = Arc::new(Semaphore::new(limits.streams));
    let shared = Arc::new(Shared { requests, limits, streams });
    let mut connections = JoinSet::new();
    let mut spare = Spare::new();
    loop {
        tokio::select! {
            (stream, is_friend) = take_one(&listener, &mut spare) => {
                // Others take no place of the person's, however many they are. The semaphores are never closed.
                let slot = if is_friend {
                    Arc::clone(&slots).acquire_owned().await.ok()
                } else {
                    Arc::clone(&strangers).try_acquire_owned().ok()
                };
                if let Some(slot) = slot {
                    connections.spawn(connection(stream, is_friend, Arc::clone(&shared), slot));
                }
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        }
    }
}

/// The next connection, and whether it is the daemon's user's or root's.
async fn take_one(listener: &Listener, spare: &mut Spare) -> (UnixStream, bool) {
    spare.take_back();
    loop {
        match listener.inner.accept().await {
            Ok((stream, _)) => {
                spare.note_success();
                let is_friend = stream.peer_cred().is_ok_and(|peer| is_friend(peer.uid()));
                return (stream, is_friend);
            }
            Err(error) => {
                if spare.is_news() {
                    tracing::warn!("failed to take a connection on the socket: {error}");
                }
                // The one who asks now most likely wants to know why nothing works.
                if !is_out_of_files(&error) || !spare.give() {
                    // It will not be better at once.
                    sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }
}

async fn connection(stream: UnixStream, is_friend: bool, shared: Arc<Shared>, _slot: OwnedSemaphorePermit) {
    let peer = Arc::new(Peer {
        is_friend,
        watch: stream.as_fd().try_clone_to_owned().ok(),
        cut: Arc::new(Notify::new()),
        opened: Instant::now(),
        answered: AtomicU64::new(0),
    });
    let service = service_fn(|request| {
        let (shared, peer) = (Arc::clone(&shared), Arc::clone(&peer));
        async move {
            let answer = routes::answer(request, &shared, &peer).await;
            peer.note_answer();
            Ok::<_, Infallible>(answer)
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.arrival)
        .max_buf_size(routes::LARGEST_READ)
        // Programs like socat close their side after the request, and still want the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = http => if let Err(error) = ended {
            tracing::debug!(%error, "a connection on the socket ended early");
        },
        () = peer.cut.notified() => tracing::debug!("cut off a reader of events that did not keep up"),
    }
}

#[cfg(test)]
mod tests;
