//! The accept loop: bounded connections, patience that ends, and an end within 30 s whatever clients do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::HttpState;
use super::guests::Guests;
use super::held::Held;
use super::idle::{Busy, Connection, Waiting};
use super::socket::{Patience, Watched};
use crate::config::HttpConfig;

/// Time between two requests of a connection. Above the 30 s or so that clients keep a connection for, so that they close first.
const IDLE: Duration = Duration::from_mins(1);
/// Time a client may take to accept a piece of a reply.
const STALL: Duration = Duration::from_secs(30);
/// Time in which a client may read the last reply.
const LINGER: Duration = Duration::from_secs(2);
/// Time for which connections are still accepted after the signal, until balancers have seen `/readyz` fail.
const GRACE: Duration = Duration::from_secs(1);
/// The part of `http.drain` that is left to streams to say why they end.
const FAREWELL: u32 = 5;
/// Time for tasks to notice that they were cut off.
const CUT: Duration = Duration::from_secs(1);
/// Pause after the system refused a connection, as when descriptors run out.
const REFUSED: Duration = Duration::from_millis(100);
/// Largest head of a request, bytes.
const MAX_HEAD: usize = 64 << 10;

/// The part of all places that one client may hold without a credential once places run out: one in sixteen.
const SHARE_OF_CLIENT: usize = 16;
/// Places beside `http.max_connections` that answer health checks alone, so that a full server still tells that it lives.
const KEPT_PLACES: usize = 8;

/// A connection's place.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Whether it is one of the places kept for health checks.
    health_only: bool,
}

/// Marks a request on a connection that answers health checks alone, since the server is full.
#[derive(Debug, Clone, Copy)]
pub(super) struct HealthOnly;

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off because their requests did not end in time.
    pub cut_off: usize,
}

/// Serves until `stop`, then drains: `/readyz` fails at once, connections are accepted for another second, requests under way
/// get `http.drain`, streams a little less, so that each can say why it ends, and what is left then is cut off. Returns within `http.drain` and 3 s of `stop`, whatever clients do.
pub async fn serve(listener: TcpListener, state: HttpState, stop: CancellationToken) -> Drained {
    let (config, draining, ending) = (state.config.clone(), state.draining.clone(), state.ending.clone());
    let server = Server { ending, ..Server::new(super::router(state), &config.http, draining) };
    server.run(listener, stop).await
}

/// A server and its limits.
struct Server {
    app: Router,
    patience: Patience,
    grace: Duration,
    drain: Duration,
    draining: Arc<AtomicBool>,
    /// Connections at once, beside those that are kept for health checks.
    most: usize,
    places: Arc<Semaphore>,
    kept_places: Arc<Semaphore>,
    waiting: Waiting,
    guests: Guests,
    tasks: TaskTracker,
    /// Cancelled when connections must end after their request.
    closing: CancellationToken,
    /// Cancelled when streams must end.
    ending: CancellationToken,
    /// Cancelled when connections must end now.
    cut: CancellationToken,
}

impl Server {
    fn new(app: Router, config: &HttpConfig, draining: Arc<AtomicBool>) -> Self {
        Self {
            app,
            patience: Patience { head: config.header_timeout, idle: IDLE, stall: STALL, linger: LINGER },
            grace: GRACE.min(config.drain),
            drain: config.drain,
            draining,
            most: config.max_connections,
            places: Arc::new(Semaphore::new(config.max_connections)),
            kept_places: Arc::new(Semaphore::new(KEPT_PLACES)),
            waiting: Waiting::default(),
            guests: Guests::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            ending: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    async fn run(self, listener: TcpListener, stop: CancellationToken) -> Drained {
        let (draining, grace) = (self.draining.clone(), self.grace);
        let mut end = pin!(async move {
            stop.cancelled().await;
            draining.store(true, Ordering::Relaxed);
            sleep(grace).await;
        });
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                accepted = self.accept(&listener) => accepted,
            };
            let Some((socket, peer, place)) = accepted else { continue };
            self.tasks.spawn(self.connection(socket, peer, place));
        }
        drop(listener);
        self.drain().await
    }

    /// The next connection and its place among `max_connections`. When all are taken, another connection makes room: so nobody
    /// can fill the server by opening connections and saying little.
    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, SocketAddr, Place)> {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(REFUSED).await;
                return None;
            }
        };
        // Without this a lone client on a kept connection waits some 40 ms for each reply.
        let _ = socket.set_nodelay(true);
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Some((socket, peer, Place { _permit: permit, health_only: false }));
        }
        self.make_room();
        if let Ok(permit) = timeout(REFUSED, self.places.clone().acquire_owned()).await {
            return Some((socket, peer, Place { _permit: permit.ok()?, health_only: false }));
        }
        let permit = self.kept_places.clone().try_acquire_owned().ok()?;
        Some((socket, peer, Place { _permit: permit, health_only: true }))
    }

    /// Ends one connection: of the client that holds more than its share without a credential, else of all guests where these
    /// hold half of the places, else the one that has waited longest for a request, else any guest.
    fn make_room(&self) {
        let share = self.most / SHARE_OF_CLIENT;
        let greedy =
            self.guests.cut_of_greediest(share) || self.guests.len() > self.most / 2 && self.guests.cut_oldest();
        if !greedy && !self.waiting.close_longest() {
            self.guests.cut_oldest();
        }
    }

    /// Serves one connection to its end.
    fn connection(&self, socket: TcpStream, peer: SocketAddr, place: Place) -> impl Future<Output = ()> + use<> {
        let connection = self.waiting.enter(&self.guests, peer.ip());
        let (closing, cut) = (self.closing.clone(), self.cut.clone());
        let (app, patience) = (self.app.clone(), self.patience);
        async move {
            let health_only = place.health_only.then_some(HealthOnly);
            let _place = place;
            let must_close = connection.must_close().clone();
            let must_end = connection.must_end().clone();
            let io = TokioIo::new(Watched::new(socket, connection.clone(), patience));
            let service =
                service_fn(move |request| answer(app.clone(), connection.clone(), peer, health_only, request));
            let mut http = http1::Builder::new();
            // The socket itself watches heads; hyper's timer would count idle time as part of them.
            http.header_read_timeout(None).max_header_size(MAX_HEAD);
            let mut serving = pin!(http.serve_connection(io, service));
            let evicted = tokio::select! {
                _ = serving.as_mut() => return,
                () = cut.cancelled() => return,
                () = must_end.cancelled() => return,
                () = must_close.cancelled() => true,
                () = closing.cancelled() => false,
            };
            serving.as_mut().graceful_shutdown();
            let patience = if evicted { REFUSED } else { Duration::MAX };
            tokio::select! {
                _ = serving => {}
                () = cut.cancelled() => {}
                () = must_end.cancelled() => {}
                () = sleep(patience) => {}
            }
        }
    }

    async fn drain(self) -> Drained {
        self.tasks.close();
        self.closing.cancel();
        let farewell = self.drain / FAREWELL;
        if timeout(self.drain.saturating_sub(farewell), self.tasks.wait()).await.is_ok() {
            return Drained { cut_off: 0 };
        }
        self.ending.cancel();
        if timeout(farewell, self.tasks.wait()).await.is_ok() {
            return Drained { cut_off: 0 };
        }
        let cut_off = self.tasks.len();
        tracing::warn!(connections = cut_off, "requests did not end in time and are cut off");
        self.cut.cancel();
        let _ = timeout(CUT, self.tasks.wait()).await;
        Drained { cut_off }
    }
}

async fn answer(
    mut app: Router,
    connection: Connection,
    peer: SocketAddr,
    health_only: Option<HealthOnly>,
    mut request: Request<Incoming>,
) -> Result<Response<Held<Busy>>, Infallible> {
    let busy = connection.begin();
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(connection);
    if let Some(health_only) = health_only {
        request.extensions_mut().insert(health_only);
    }
    let response = app.call(request).await?;
    // The connection is busy until the reply is sent or dropped.
    Ok(response.map(|body| Held { body, _guard: busy }))
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
