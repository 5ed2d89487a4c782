//! The server itself: our own accept loop, because a server that faces senders
//! of webhooks needs bounds that the ready-made one has not: on the time a
//! header may take, on connections at once and from one address, on bodies, and on a
//! reader that does not read.

mod addresses;
mod patient;

use crate::desk::Desk;
use crate::error::ServeError;
use crate::hooks::{HookRoute, Hooks, Intake};
use crate::token::{Access, AccessFile};
use addresses::{Addresses, Guest};
use axum::Router;
use http::HeaderValue;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use patient::Patient;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The wait after the system refused a connection, as when files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds on what comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections_max: usize,
    /// Connections at once from one address; more are closed.
    pub connections_per_address_max: usize,
    /// Whether loopback, where proxies are, may have more of them.
    pub spares_loopback: bool,
    /// Webhooks taken in at once; more hear 429.
    pub hooks_max: usize,
    /// The most memory that their bodies may take at once, in bytes; more hear 429.
    pub hook_bytes_max: usize,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
    /// How long the head of a request may take; also how long a connection may idle.
    pub head_patience: Duration,
    /// How long a body may take.
    pub body_patience: Duration,
    /// How long the other end may take to read the next part of an answer.
    pub write_patience: Duration,
    /// How long the engine may take to answer.
    pub answer_patience: Duration,
    /// How long requests under way may take to end when the server stops.
    pub stop_patience: Duration,
}

impl Default for Limits {
    /// 1,024 connections, 64 from one address but loopback, 512 webhooks at once in 32 MB,
    /// 1 MB a body, 10 s for head and body and for each part that is written, 30 s for the
    /// answer, 5 s at the end.
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            connections_per_address_max: 64,
            spares_loopback: true,
            hooks_max: 512,
            hook_bytes_max: 32_000_000,
            body_bytes_max: 1_000_000,
            head_patience: Duration::from_secs(10),
            body_patience: Duration::from_secs(10),
            write_patience: Duration::from_secs(10),
            answer_patience: Duration::from_secs(30),
            stop_patience: Duration::from_secs(5),
        }
    }
}

/// What a server is made of.
#[derive(Debug)]
pub struct Options {
    /// Where to listen; port 0 for any free one.
    pub address: SocketAddr,
    /// Who answers.
    pub desk: Desk,
    /// Where webhooks come in.
    pub hooks: Vec<HookRoute>,
    /// Where to leave the file that tells commands how to ask; nowhere if nothing.
    pub data_dir: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
}

/// What every request may use.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) desk: Desk,
    pub(crate) hooks: Hooks,
    pub(crate) intake: Intake,
    pub(crate) access: Access,
    pub(crate) address: SocketAddr,
    pub(crate) limits: Limits,
    pub(crate) verifying: Mutex<()>,
    pub(crate) exporting: Mutex<()>,
}

/// The other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A running server. Dropping it ends it without waiting for anybody.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    access: Access,
    file: Option<AccessFile>,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> &str {
        &self.access.url
    }

    /// How to ask it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Takes no more connections, lets requests under way end, and removes the
    /// access file.
    pub async fn stop(mut self) {
        drop(self.file.take());
        self.stop.send_replace(true);
        if let Err(why) = (&mut self.ended).await {
            tracing::warn!(%why, "the management server did not end by itself");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

/// Listens and answers until it is stopped.
///
/// # Errors
/// If the address cannot be had, two webhooks share a path, or the access file
/// cannot be written.
pub async fn serve(options: Options) -> Result<Serving, ServeError> {
    let Options { address, desk, hooks, data_dir, limits } = options;
    let hooks = by_path(hooks)?;
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let access = Access::new(format!("http://{}", reachable(address)))?;
    let file = data_dir.map(|dir| access.write(&dir)).transpose()?;
    let (verifying, exporting) = (Mutex::new(()), Mutex::new(()));
    let intake = Intake::new(&limits);
    let access_of = access.clone();
    let room =
        Arc::new(Room { desk, hooks, intake, access: access_of, address, limits, verifying, exporting });
    let (stop, stopped) = watch::channel(false);
    let ended = tokio::spawn(accept(listener, crate::api::router(room), limits, stopped));
    Ok(Serving { address, access, file, stop, ended })
}

fn by_path(routes: Vec<HookRoute>) -> Result<Hooks, ServeError> {
    let mut hooks = Hooks::new();
    for route in routes {
        let reserved = route.path == "/healthz" || route.path == "/api" || route.path.starts_with("/api/");
        if reserved || hooks.contains_key(&route.path) {
            return Err(ServeError::SamePath { path: route.path });
        }
        hooks.insert(route.path.clone(), route);
    }
    Ok(hooks)
}

/// The address to ask at: one that listens everywhere is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip: std::net::IpAddr = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, address.port())
}

async fn accept(listener: TcpListener, router: Router, limits: Limits, mut stopped: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(limits.connections_max.max(1)));
    let addresses = Addresses::new(limits.connections_per_address_max, limits.spares_loopback);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = tokio::select! {
            () = until(&mut stopped) => break,
            next = one(&listener, &slots) => next,
        };
        match next {
            Ok((stream, peer, slot)) => {
                // Who has too many already is not even told so: that would cost us more than him.
                let Some(guest) = addresses.enter(peer) else { continue };
                let seat = Seat { peer, _slot: slot, _guest: guest };
                connections.spawn(connection(stream, seat, router.clone(), limits, stopped.clone()));
            }
            Err(why) => {
                tracing::warn!(%why, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.stop_patience, all).await.is_err() {
        tracing::warn!("requests under way were cut off");
    }
}

/// What a connection takes of what all share, until it ends.
struct Seat {
    peer: IpAddr,
    _slot: OwnedSemaphorePermit,
    _guest: Guest,
}

async fn one(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer.ip().to_canonical(), slot))
}

async fn connection(
    stream: TcpStream,
    seat: Seat,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    // Small answers must not wait for each other.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.head_patience).max_buf_size(HEAD_BYTES_MAX);
    let (peer, router) = (Peer(seat.peer), TowerToHyperService::new(router));
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let answering = router.call(request);
        async move {
            let mut answer = answering.await;
            // A proxy that took another header for the length would see what comes next as a
            // request of somebody else: nothing comes next.
            if let (Ok(answer), true) = (&mut answer, chunked) {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            answer
        }
    });
    let stream = Patient::new(stream, limits.write_patience);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = until(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(why) = result {
        tracing::debug!(%why, "a connection broke off");
    }
    drop(seat);
}

/// Waits until the server is to stop, also because nobody holds it any more.
/// The guard that the wait ends with is not held on: it would block the others.
async fn until(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}
