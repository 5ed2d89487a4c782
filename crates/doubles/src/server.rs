//! The server of a double: its own accept loop, so that it can refuse and drop
//! connections, and one short way from request to answer.
//!
//! A request passes the gate (faults that come before the records), then the
//! API. The lock is held for the work on the records only, never while waiting.

use crate::answer::{self, Answer};
use crate::control;
use crate::double::Shared;
use crate::effect::Operation;
use crate::faults::{BadAnswer, Down, Faults};
use crate::kind::Kind;
use crate::store::{Query, Reply, Write};
use bytes::Bytes;
use http::header::{AUTHORIZATION, IF_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The most records a page holds, however many are asked for.
pub const MAX_PAGE: usize = 1_000;
/// Records a page holds if the request names no number.
const DEFAULT_PAGE: usize = 50;
const MAX_BODY: usize = 16 << 20;

/// What a double was asked, and how it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that came in, control requests not counted.
    pub requests: u64,
    /// Of these, writes.
    pub writes: u64,
    /// Answered 503 by [`Faults::unavailable`].
    pub unavailable: u64,
    /// Answered 429 by [`Faults::rate_limit`].
    pub limited: u64,
    /// Carried out, the answer lost by [`Faults::lost`].
    pub lost: u64,
    /// Answered 401.
    pub unauthorised: u64,
    /// Webhooks that were answered 2xx.
    pub hooks_delivered: u64,
    /// Webhooks that were given up.
    pub hooks_given_up: u64,
}

/// Listens for as long as the double lives.
pub(crate) async fn serve(shared: Arc<Shared>, address: SocketAddr, listener: TcpListener) {
    let mut down = shared.down.subscribe();
    let mut listening = Some(listener);
    loop {
        let state = *down.borrow_and_update();
        if state == Some(Down::Refused) {
            listening = None;
            if down.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(listener) = &listening else {
            match TcpListener::bind(address).await {
                Ok(listener) => listening = Some(listener),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            continue;
        };
        tokio::select! {
            changed = down.changed() => if changed.is_err() { return },
            accepted = listener.accept() => if let (Ok((stream, _)), None) = (accepted, state) {
                tokio::spawn(connection(Arc::clone(&shared), stream, shared.down.subscribe()));
            },
        }
    }
}

/// One connection; it ends when the double goes down.
async fn connection(shared: Arc<Shared>, stream: TcpStream, mut down: watch::Receiver<Option<Down>>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { handle(&shared, request).await }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service);
    let gone = async {
        while down.borrow_and_update().is_none() {
            if down.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // A broken connection is the client's affair, or was asked for.
        _ = serving => {}
        () = gone => {}
    }
}

/// Faults that come before the records.
enum Gate {
    Open { lose: bool },
    Shut(Response<Answer>),
}

async fn handle(shared: &Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Answer>> {
    if request.uri().path().starts_with(control::PREFIX) {
        return Ok(control::handle(shared, request).await);
    }
    let faults = shared.faults();
    if faults.hang {
        pending::<()>().await;
    }
    if faults.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    }
    let is_write = request.method() != Method::GET;
    match gate(shared, &faults, &request, is_write) {
        Gate::Shut(response) => Ok(response),
        Gate::Open { .. } if !is_write => Ok(read(shared, &faults, &request)),
        Gate::Open { lose } => {
            let response = write(shared, request).await;
            if lose { Err(io::Error::other("the answer is lost on purpose")) } else { Ok(response) }
        }
    }
}

fn gate(shared: &Shared, faults: &Faults, request: &Request<Incoming>, is_write: bool) -> Gate {
    let mut draws = shared.draws();
    draws.counts.requests += 1;
    draws.counts.writes += u64::from(is_write);
    let later = |status, message| {
        let reply = Reply::error(status, message);
        let response = answer::json(reply.status, reply.body);
        Gate::Shut(if faults.no_retry_after { response } else { answer::come_back(response, 1) })
    };
    if let Some(rate) = faults.rate_limit
        && !draws.bucket.take(rate)
    {
        draws.counts.limited += 1;
        return later(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    }
    let kind = shared.kind;
    if request.headers().get(AUTHORIZATION).is_none_or(|given| given != kind.authorization()) {
        draws.counts.unauthorised += 1;
        let reply = Reply::error(StatusCode::UNAUTHORIZED, "who are you?");
        return Gate::Shut(answer::json(reply.status, reply.body));
    }
    if let Some(BadAnswer::Redirect(to)) = &faults.answer {
        let mut response = answer::json(StatusCode::TEMPORARY_REDIRECT, "");
        if let Ok(to) = HeaderValue::try_from(to) {
            response.headers_mut().insert(LOCATION, to);
        }
        return Gate::Shut(response);
    }
    if is_write && draws.happens(faults.unavailable) {
        draws.counts.unavailable += 1;
        let reply = Reply::error(StatusCode::SERVICE_UNAVAILABLE, "not now");
        return Gate::Shut(answer::json(reply.status, reply.body));
    }
    let lose = is_write && draws.happens(faults.lost);
    draws.counts.lost += u64::from(lose);
    Gate::Open { lose }
}

fn read(shared: &Shared, faults: &Faults, request: &Request<Incoming>) -> Response<Answer> {
    let kind = shared.kind;
    match faults.answer {
        Some(BadAnswer::Html) => {
            return answer::json(StatusCode::OK, "<html><body>Under maintenance</body></html>");
        }
        Some(BadAnswer::Huge(length)) => return answer::huge(length),
        Some(BadAnswer::Deep(levels)) => {
            return answer::json(StatusCode::OK, "[".repeat(levels) + &"]".repeat(levels));
        }
        Some(BadAnswer::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return answer::json(status, Reply::error(status, "as asked").body);
        }
        _ => {}
    }
    let path = request.uri().path();
    if path == kind.path() {
        return match query(kind, request.uri().query().unwrap_or_default(), faults) {
            Ok(query) => list(shared, &query, faults),
            Err(message) => {
                answer::json(StatusCode::BAD_REQUEST, Reply::error(StatusCode::BAD_REQUEST, &message).body)
            }
        };
    }
    match id_of(kind, path) {
        Some(id) => respond(kind, shared.store().get(id)),
        None => respond(kind, Reply::error(StatusCode::NOT_FOUND, "no such page")),
    }
}

fn query(kind: Kind, text: &str, faults: &Faults) -> Result<Query, String> {
    let mut query = Query { limit: DEFAULT_PAGE, ..Query::default() };
    let endless = faults.answer == Some(BadAnswer::Endless);
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let bad = || format!("{name} cannot be {value}");
        match &*name {
            "since" if !endless => query.since = Some(kind.parse_since(&value).ok_or_else(bad)?),
            "offset" if !endless => query.offset = value.parse().map_err(|_| bad())?,
            "limit" => query.limit = value.parse::<usize>().map_err(|_| bad())?.min(MAX_PAGE),
            name if name == kind.natural_field() => query.natural = Some(value.into_owned()),
            _ => {}
        }
    }
    Ok(query)
}

fn list(shared: &Shared, query: &Query, faults: &Faults) -> Response<Answer> {
    let mut listed = shared.store().list(query);
    match faults.answer {
        Some(BadAnswer::WithoutId) => {
            if let Some(first) = listed.records.first_mut() {
                *first = without_id(first);
            }
        }
        Some(BadAnswer::DuplicateIds) => {
            if let Some(first) = listed.records.first().cloned() {
                listed.records.push(first);
            }
        }
        _ => {}
    }
    let length: usize = listed.records.iter().map(|record| record.len() + 1).sum();
    let mut body = Vec::with_capacity(length + 64);
    if shared.kind == Kind::Clerk {
        body.extend_from_slice(br#"{"items":"#);
    }
    body.push(b'[');
    for (i, record) in listed.records.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        body.extend_from_slice(record);
    }
    body.push(b']');
    if shared.kind == Kind::Clerk {
        body.extend_from_slice(format!(r#","total":{}}}"#, listed.total).as_bytes());
    }
    if faults.answer == Some(BadAnswer::Truncated) {
        body.truncate(body.len() / 2);
    }
    answer::json(StatusCode::OK, body)
}

fn without_id(record: &Bytes) -> Bytes {
    let mut record: serde_json::Map<_, _> = serde_json::from_slice(record).unwrap_or_default();
    record.remove("id");
    serde_json::to_vec(&record).unwrap_or_default().into()
}

async fn write(shared: &Shared, request: Request<Incoming>) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let kind = shared.kind;
    let path = parts.uri.path();
    let operation = match (&parts.method, path == kind.path()) {
        (&Method::POST, true) => Some(Operation::Create),
        (&Method::PATCH, false) => Some(Operation::Update),
        (&Method::DELETE, false) => Some(Operation::Delete),
        _ => None,
    };
    let Some(operation) = operation else {
        return respond(kind, Reply::error(StatusCode::METHOD_NOT_ALLOWED, "not like this"));
    };
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return respond(kind, Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "too much"));
    };
    let body = body.to_bytes();
    let write = Write {
        operation,
        id: id_of(kind, path),
        body: &body,
        key: parts.headers.get("idempotency-key").and_then(|key| key.to_str().ok()),
        only_if: if_match(kind, &parts.headers),
        by_user: false,
    };
    let now = Shared::now();
    let reply = shared.store().write(write, now);
    respond(kind, reply)
}

/// The version in `If-Match`; only the clerk looks at it. One that cannot be
/// read is no version of ours.
fn if_match(kind: Kind, headers: &HeaderMap) -> Option<i64> {
    let given = headers.get(IF_MATCH).filter(|_| kind == Kind::Clerk)?.to_str().ok()?;
    if given == "*" {
        return None;
    }
    Some(given.trim_matches('"').parse().unwrap_or(-1))
}

fn id_of(kind: Kind, path: &str) -> Option<u64> {
    kind.parse_id(path.strip_prefix(kind.path())?.strip_prefix('/')?)
}

fn respond(kind: Kind, reply: Reply) -> Response<Answer> {
    let response = answer::json(reply.status, reply.body);
    match reply.stamp {
        Some(stamp) if kind == Kind::Clerk => answer::tagged(response, stamp),
        _ => response,
    }
}

/// Chance and measure: what of a double is neither records nor settings.
pub(crate) struct Draws {
    pub(crate) counts: Counts,
    rng: fastrand::Rng,
    bucket: Bucket,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { counts: Counts::default(), rng: fastrand::Rng::with_seed(seed), bucket: Bucket::default() }
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.f64() < share
    }
}

/// A token bucket that holds a tenth of a second.
#[derive(Default)]
struct Bucket {
    tokens: f64,
    filled: Option<Instant>,
}

impl Bucket {
    fn take(&mut self, rate: u32) -> bool {
        let (now, rate) = (Instant::now(), f64::from(rate));
        let most = (rate / 10.0).max(1.0);
        let grown = self.filled.map_or(most, |filled| now.duration_since(filled).as_secs_f64() * rate);
        self.tokens = (self.tokens + grown).min(most);
        self.filled = Some(now);
        let served = self.tokens >= 1.0;
        if served {
            self.tokens -= 1.0;
        }
        served
    }
}
