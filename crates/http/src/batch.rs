//! Many writes in one request, each with an outcome of its own.
//!
//! Whoever writes waits a little for others; the first whose wait is over, or
//! who makes the batch full, sends for all. An answer that is lost is lost for
//! all of them. A batch that is refused as a whole is sent again in halves, in
//! the end one by one, so that a write which spoils a batch spoils only itself.

use crate::decode;
use crate::error::SpecError;
use crate::fill::{self, Filling, Names};
use crate::request::{Ask, Parts};
use crate::spec::{BaseUrl, BatchOperation, BatchSpec, FieldPath};
use crate::wire::{Answer, Lost, Wire};
use crate::write::{self, Doing};
use bytes::Bytes;
use hms_sync_connector::WriteRequest;
use http::header::{ACCEPT, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use minijinja::Value;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a side that takes no batches is left alone with them.
const OFF: Duration = Duration::from_mins(1);

/// What templates of an item may name.
const KNOWN: [&str; 7] = ["method", "path", "headers", "body", "id", "record", "key"];

/// A batch endpoint, set up.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) ask: Ask,
    prefix: String,
    operations: Vec<BatchOperation>,
    max_items: usize,
    max_wait: Duration,
    items: FieldPath,
    item: Filling,
    results: FieldPath,
    status: Option<FieldPath>,
    body: FieldPath,
    headers: Option<FieldPath>,
    error: Option<FieldPath>,
    queue: Mutex<Vec<Waiting>>,
    off_until: Mutex<Option<Instant>>,
}

/// A write that waits for others to go with it.
#[derive(Debug)]
struct Waiting {
    item: Item,
    told: oneshot::Sender<Told>,
}

type Told = Result<Answer, Lost>;

/// One write of a batch.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its own request, for when it goes alone.
    request: reqwest::Request,
    id: Json,
    record: Json,
    key: String,
}

impl Item {
    pub(crate) fn new(request: reqwest::Request, write: &WriteRequest, id: Option<Json>) -> Self {
        let id = id.unwrap_or_else(|| "".into());
        Self { request, id, record: (*write.whole).clone(), key: write.key.as_str().to_owned() }
    }

    fn json(&self) -> Option<Json> {
        let bytes = match self.request.body() {
            Some(body) => body.as_bytes()?,
            None => return Some(Json::Null),
        };
        serde_json::from_slice(bytes).ok()
    }

    fn names(&self, batch: &Batch) -> Result<Names, String> {
        let url = self.request.url();
        let below = url.as_str().strip_prefix(&batch.prefix).unwrap_or(url.path());
        let mut names = Map::new();
        for name in KNOWN.into_iter().filter(|name| batch.item.uses(name)) {
            let json = match name {
                "method" => self.request.method().as_str().into(),
                "path" => below.into(),
                "headers" => own(self.request.headers()),
                "body" => self.json().ok_or("the body is no JSON")?,
                "id" => self.id.clone(),
                "record" => self.record.clone(),
                _ => self.key.as_str().into(),
            };
            names.insert(name.to_owned(), json);
        }
        Ok(Names(names))
    }
}

/// The headers of a write that are not those of every request to the side.
fn own(headers: &HeaderMap) -> Json {
    let own = headers.iter().filter(|(name, value)| **name != ACCEPT && !value.is_sensitive());
    own.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.into())))
        .collect::<Map<_, _>>()
        .into()
}

impl Batch {
    pub(crate) fn new(key: &str, base: &BaseUrl, spec: &BatchSpec) -> Result<Self, SpecError> {
        let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
        let parameters = BTreeMap::new();
        let parts = Parts {
            path: &spec.path,
            parameters: &parameters,
            headers: &spec.request_headers,
            selector: None,
        };
        let ask = Ask::new(key, write::method(spec.method), base, &parts, &[])?;
        if spec.max_items == 0 {
            return Err(bad("max_items", "must be 1 at least"));
        }
        if spec.operations.is_empty() {
            return Err(bad("operations", "names none"));
        }
        let item = match &spec.item {
            Some(tree) => Filling::new(tree, &KNOWN).map_err(|e| bad("item", &e.to_string()))?,
            None => usual_item(),
        };
        if !item.uses("body") && !item.uses("record") {
            return Err(bad("item", "has neither `{{ body }}` nor `{{ record }}`: it says nothing"));
        }
        Ok(Self {
            ask,
            prefix: base.prefix().to_owned(),
            operations: spec.operations.clone(),
            max_items: spec.max_items.into(),
            max_wait: spec.max_wait.0,
            items: spec.items_path.clone(),
            item,
            results: spec.results_path.clone(),
            status: spec.status_field.clone(),
            body: spec.body_field.clone(),
            headers: spec.headers_field.clone(),
            error: spec.error_field.clone(),
            queue: Mutex::default(),
            off_until: Mutex::default(),
        })
    }

    /// Whether each item carries the idempotency key of its write.
    pub(crate) fn carries_keys(&self) -> bool {
        self.item.uses("key") || self.item.uses("headers")
    }

    /// Whether a write can go with others. One that depends on a version must not lose that.
    pub(crate) fn takes(&self, doing: Doing, request: &reqwest::Request) -> bool {
        let operation = match doing {
            Doing::Create => BatchOperation::Create,
            Doing::Update => BatchOperation::Update,
            Doing::Delete => BatchOperation::Delete,
            Doing::Undelete | Doing::Raw => return false,
        };
        let headers = request.headers();
        let conditional = [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE];
        let carried = self.item.uses("headers") || !conditional.iter().any(|name| headers.contains_key(name));
        let is_json = headers.get(CONTENT_TYPE).is_none_or(|value| value.as_bytes().ends_with(b"json"));
        self.operations.contains(&operation) && carried && is_json && !self.is_off()
    }

    fn is_off(&self) -> bool {
        let until = *self.off_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Sends a write with others; answers as if it had gone alone.
    pub(crate) async fn send(&self, wire: &Wire, item: Item) -> Told {
        let (told, mut answer) = oneshot::channel();
        let full = self.enter(Waiting { item, told });
        let batch = match full {
            Some(batch) => batch,
            None => match tokio::time::timeout(self.max_wait, &mut answer).await {
                Ok(answer) => return answer.unwrap_or_else(|_| given_up()),
                // Empty if somebody else is sending ours just now.
                Err(_) => self.leave(),
            },
        };
        if !batch.is_empty() {
            self.send_all(wire, batch).await;
        }
        answer.await.unwrap_or_else(|_| given_up())
    }

    /// Puts a write into the queue; answers with all of them if it is full.
    fn enter(&self, waiting: Waiting) -> Option<Vec<Waiting>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(waiting);
        (queue.len() >= self.max_items).then(|| std::mem::take(&mut *queue))
    }

    fn leave(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *queue)
    }

    async fn send_all(&self, wire: &Wire, batch: Vec<Waiting>) {
        let mut left = vec![batch];
        while let Some(mut part) = left.pop() {
            // Nobody waits for these any more: the engine has stopped.
            part.retain(|waiting| !waiting.told.is_closed());
            if part.is_empty() {
                continue;
            }
            if part.len() == 1 || self.is_off() {
                for Waiting { item, told } in part {
                    drop(told.send(self.ask.send(wire, item.request).await));
                }
                continue;
            }
            let answer = match self.request(wire, &part) {
                Ok(request) => self.ask.send(wire, request).await,
                Err(why) => Err(Lost::NotSent(why)),
            };
            match answer {
                Ok(answer) if answer.is_success() => self.tell_each(wire, part, &answer),
                Ok(answer) if spoilt(answer.status) && !answer.is_judged() => {
                    if is_none(answer.status) {
                        let mut off = self.off_until.lock().unwrap_or_else(PoisonError::into_inner);
                        *off = Some(Instant::now() + OFF);
                    }
                    let half = part.split_off(part.len() / 2);
                    left.extend([half, part]);
                }
                Ok(answer) => tell_all(part, || Ok(copy(&answer))),
                Err(Lost::NotSent(why)) => tell_all(part, || Err(Lost::NotSent(why.clone()))),
                Err(Lost::Held(why, wait)) => tell_all(part, || Err(Lost::Held(why.clone(), wait))),
                Err(Lost::Sent(why)) => tell_all(part, || Err(Lost::Sent(why.clone()))),
            }
        }
    }

    fn request(&self, wire: &Wire, part: &[Waiting]) -> Result<reqwest::Request, String> {
        let mut items = Vec::with_capacity(part.len());
        for Waiting { item, .. } in part {
            let names = item.names(self)?;
            items.push(self.item.fill(&names, &names.value())?);
        }
        let parts: Vec<&str> = self.items.parts().collect();
        let body = fill::wrap(parts.into_iter(), Json::Array(items));
        let mut request = self.ask.request(wire, &Value::UNDEFINED, &[])?;
        Wire::put(&mut request, serde_json::to_vec(&body).map_err(|e| e.to_string())?);
        Ok(request)
    }

    /// Tells each what its part of the answer says.
    fn tell_each(&self, wire: &Wire, part: Vec<Waiting>, answer: &Answer) {
        let results = match self.results(answer, part.len()) {
            Ok(results) => results,
            Err(why) => {
                let why = format!("{}: {}: {why}", self.ask.label, answer.words());
                return tell_all(part, || Err(Lost::Sent(why.clone())));
            }
        };
        for (Waiting { told, .. }, result) in part.into_iter().zip(results) {
            drop(told.send(self.result(wire, result, answer.status).map_err(Lost::Sent)));
        }
    }

    fn results(&self, answer: &Answer, wanted: usize) -> Result<Vec<Json>, String> {
        let body = answer.body.as_ref().map_err(Clone::clone)?;
        match self.results.take(decode::parse(body)?) {
            Some(Json::Array(results)) if results.len() == wanted => Ok(results),
            Some(Json::Array(results)) => Err(format!("{} results for {wanted} writes", results.len())),
            Some(_) | None => Err(format!("there is no list of results at `{}`", self.results)),
        }
    }

    /// One result as the answer that its write would have got alone.
    fn result(&self, wire: &Wire, result: Json, whole: StatusCode) -> Result<Answer, String> {
        let given = match &self.status {
            Some(path) => Some(
                path.get(&result)
                    .and_then(status)
                    .ok_or_else(|| format!("{}: a result has no status at `{path}`", self.ask.label))?,
            ),
            None => None,
        };
        let wrong = |json: &Json| match json {
            Json::Null | Json::Bool(false) => false,
            Json::Array(errors) => !errors.is_empty(),
            Json::Object(error) => !error.is_empty(),
            Json::String(error) => !error.is_empty(),
            Json::Bool(true) | Json::Number(_) => true,
        };
        let refused = self.error.as_ref().and_then(|path| path.get(&result)).is_some_and(wrong);
        let status = match given {
            Some(status) if !(refused && status.is_success()) => status,
            None if !refused => whole,
            Some(_) | None => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let headers = self.headers.as_ref().and_then(|path| path.get(&result));
        let headers = headers.and_then(Json::as_object).map(header_map).unwrap_or_default();
        let body = if refused { Some(result) } else { self.body.take(result) };
        let body = serde_json::to_vec(&body.unwrap_or_default()).map_err(|e| e.to_string())?;
        Ok(wire.judged(status, headers, Ok(Bytes::from(body)), self.ask.own.as_ref()))
    }
}

fn usual_item() -> Filling {
    let name = |name: &str| (name.to_owned(), Filling::Name(vec![name.to_owned()]));
    Filling::Map(vec![name("method"), name("path"), name("body")])
}

fn status(json: &Json) -> Option<StatusCode> {
    let code = match json {
        Json::Number(n) => u16::try_from(n.as_u64()?).ok()?,
        // `201 Created`, as some write it.
        Json::String(text) => text.split(' ').next()?.parse().ok()?,
        _ => return None,
    };
    StatusCode::from_u16(code).ok()
}

fn header_map(members: &Map<String, Json>) -> HeaderMap {
    let pair = |(name, value): (&String, &Json)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.as_str()?).ok()?))
    };
    members.iter().filter_map(pair).collect()
}

/// Whether a batch was refused as a whole, and may not be in parts.
fn spoilt(status: StatusCode) -> bool {
    let later = [
        StatusCode::UNAUTHORIZED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::LOCKED,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_client_error() && !later.contains(&status) || status == StatusCode::NOT_IMPLEMENTED
}

/// Whether there is no such thing as a batch there.
fn is_none(status: StatusCode) -> bool {
    let none = [
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::GONE,
        StatusCode::NOT_IMPLEMENTED,
    ];
    none.contains(&status)
}

fn tell_all(part: Vec<Waiting>, told: impl Fn() -> Told) {
    for waiting in part {
        drop(waiting.told.send(told()));
    }
}

fn copy(answer: &Answer) -> Answer {
    Answer {
        status: answer.status,
        headers: answer.headers.clone(),
        body: answer.body.clone(),
        judged: answer.judged.clone(),
        hidden: answer.hidden.clone(),
    }
}

/// Whoever sent for us stopped in the middle.
fn given_up() -> Told {
    Err(Lost::Sent("the batch that it went with was given up".to_owned()))
}
