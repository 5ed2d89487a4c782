//! Writing, and finding out from the answer what became of it.
//!
//! Every answer is one of the model's outcomes. What may have been carried out
//! is never called refused: a lost answer, and a failure inside the side after
//! it had the request, are "unknown", and somebody looks before writing again.

use crate::error::{SpecError, quote};
use crate::request::{Ask, Parts, below};
use crate::select::{self, Lens};
use crate::spec::{BaseUrl, BodyShape, ExistsWhen, Method, WriteSpec};
use crate::template;
use crate::wire::{Answer, Lost, Verdict, Wire};
use hms_sync_connector::{RawRequest, Target, WriteRequest};
use hms_sync_model::{IdempotencyKey, NativeId, Outcome, Tag, Written};
use http::header::{IF_MATCH, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use minijinja::context;

/// A kind of write, set up.
#[derive(Debug)]
pub(crate) struct Put {
    ask: Ask,
    body: BodyShape,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Create,
    Update,
    Delete,
    /// A handler's own request.
    Raw,
}

/// What writes of a collection have in common.
#[derive(Debug)]
pub(crate) struct Manner {
    /// The header that carries the idempotency key, if the side honours one.
    pub(crate) key: Option<HeaderName>,
    /// Whether `If-Match` can be sent.
    pub(crate) preconditions: bool,
    pub(crate) exists_when: Vec<ExistsWhen>,
}

impl Put {
    pub(crate) fn new(key: &str, doing: Doing, base: &BaseUrl, spec: &WriteSpec) -> Result<Self, SpecError> {
        let parts = Parts {
            path: &spec.path,
            parameters: &spec.request_parameters,
            headers: &spec.request_headers,
            selector: spec.record_selector.as_ref(),
        };
        let known: &[&str] = if doing == Doing::Create { &["identity"] } else { &["id", "identity"] };
        let ask = Ask::new(key, method(spec.method), base, &parts, known)?;
        if doing != Doing::Create && !ask.uses("id") && !ask.uses("identity") {
            return Err(SpecError::new(
                format!("{key}.path"),
                "does not say which record, as `{{ id }}` does",
            ));
        }
        let usual = match doing {
            Doing::Create | Doing::Raw => BodyShape::Whole,
            Doing::Update if spec.method == Method::Put => BodyShape::Whole,
            Doing::Update => BodyShape::Changed,
            Doing::Delete => BodyShape::None,
        };
        Ok(Self { ask, body: spec.body.unwrap_or(usual) })
    }

    pub(crate) async fn write(
        &self,
        wire: &Wire,
        lens: &Lens,
        manner: &Manner,
        request: WriteRequest,
    ) -> Outcome {
        let (doing, id, tag) = match &request.target {
            Target::Create => (Doing::Create, None, None),
            Target::Update(id, tag) => (Doing::Update, Some(id), tag.as_ref()),
            Target::Delete(id, tag) => (Doing::Delete, Some(id), tag.as_ref()),
        };
        let prepared = self.prepare(wire, manner, &request, id, tag);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return Outcome::Rejected { reason: format!("{}: {why}", self.ask.label) },
        };
        let answer = match wire.send(prepared).await {
            Ok(answer) => answer,
            Err(lost) => return unanswered(&self.ask.label, &lost),
        };
        if answer.is_success() {
            return self.applied(lens, id, &answer);
        }
        refused(&self.ask.label, doing, &answer, &manner.exists_when)
    }

    fn prepare(
        &self,
        wire: &Wire,
        manner: &Manner,
        request: &WriteRequest,
        id: Option<&NativeId>,
        tag: Option<&Tag>,
    ) -> Result<reqwest::Request, String> {
        let id = id.map_or("", NativeId::as_str);
        let with = if self.ask.uses("identity") {
            context! { id, identity => template::value(&request.whole) }
        } else if self.ask.uses("id") {
            context! { id }
        } else {
            minijinja::Value::UNDEFINED
        };
        let mut prepared = self.ask.request(wire, &with, &[])?;
        let body = match self.body {
            BodyShape::Changed => Some(&request.changed),
            BodyShape::Whole => Some(&request.whole),
            BodyShape::None => None,
        };
        if let Some(body) = body {
            Wire::put(&mut prepared, body.text().into());
        }
        // A weak tag never matches (RFC 9110, 13.1.1): sent, it would refuse every write.
        if let Some(tag) = tag.filter(|tag| manner.preconditions && !tag.as_str().starts_with("W/")) {
            let tag = header("version tag", tag.as_str())?;
            prepared.headers_mut().insert(IF_MATCH, tag);
        }
        if let Some(name) = &manner.key {
            prepared.headers_mut().insert(name, header("idempotency key", request.key.as_str())?);
        }
        Ok(prepared)
    }

    fn applied(&self, lens: &Lens, id: Option<&NativeId>, answer: &Answer) -> Outcome {
        let record = answer.body.as_ref().ok().and_then(|body| select::parse(body).ok());
        let record = record.and_then(|json| match &self.ask.selector {
            Some(path) => path.take(json),
            None => Some(json),
        });
        let shown = record.as_ref().and_then(|record| lens.id(record).ok());
        let made = || shown.clone().or_else(|| from_location(answer));
        let Some(id) = id.cloned().or_else(made) else {
            let said = answer.words();
            let reason = format!("{}: {said}, without an id in the answer or in `Location`", self.ask.label);
            return Outcome::Unknown { reason };
        };
        // Anything else that comes with a 2xx ("ok", a message) is not the record.
        let stored = record.filter(|_| shown.as_ref() == Some(&id));
        let tag = lens.tag(stored.as_ref(), Some(answer));
        Outcome::Applied(Written { id, tag, stored })
    }
}

/// A request that a handler wrote itself.
pub(crate) async fn send(wire: &Wire, key_header: &HeaderName, request: &RawRequest) -> Outcome {
    let label = format!("{} {}", quote(request.method.as_bytes(), 10), quote(request.path.as_bytes(), 200));
    let prepared = match raw(wire, key_header, request) {
        Ok(prepared) => prepared,
        Err(why) => return Outcome::Rejected { reason: format!("{label}: {why}") },
    };
    let answer = match wire.send(prepared).await {
        Ok(answer) => answer,
        Err(lost) => return unanswered(&label, &lost),
    };
    if !answer.is_success() {
        return refused(&label, Doing::Raw, &answer, &[]);
    }
    let stored = answer.body.as_ref().ok().and_then(|body| select::parse(body).ok());
    let shown = stored.as_ref().and_then(|json| select::scalar_id(json.get("id")?).ok());
    let id = shown.or_else(|| from_location(&answer)).or_else(|| keyed(&request.key));
    match id {
        Some(id) => Outcome::Applied(Written { id, tag: None, stored }),
        None => Outcome::Unknown { reason: format!("{label}: {}", answer.words()) },
    }
}

fn raw(wire: &Wire, key_header: &HeaderName, request: &RawRequest) -> Result<reqwest::Request, String> {
    let method = match request.method.as_str() {
        "POST" => http::Method::POST,
        "PUT" => http::Method::PUT,
        "PATCH" => http::Method::PATCH,
        "DELETE" => http::Method::DELETE,
        _ => return Err("the method must be POST, PUT, PATCH or DELETE".to_owned()),
    };
    if !request.path.starts_with('/') {
        return Err("the path must start with `/`".to_owned());
    }
    let url = below(wire.base().prefix(), &request.path)?;
    let mut prepared = wire.request(method, url, &crate::spec::Headers::default())?;
    prepared.headers_mut().insert(key_header, header("idempotency key", request.key.as_str())?);
    if !request.body.is_empty() {
        Wire::put(&mut prepared, request.body.clone().into_bytes());
    }
    Ok(prepared)
}

/// For a record that has no id of its own, the write that made it stands for it.
fn keyed(key: &IdempotencyKey) -> Option<NativeId> {
    NativeId::try_new(key.as_str()).ok()
}

fn header(what: &str, text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text)
        .map_err(|_| format!("the {what} {text:.60?} has characters that a header cannot carry"))
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

/// The last segment of `Location`: only its text is used, nobody goes there.
fn from_location(answer: &Answer) -> Option<NativeId> {
    let location = answer.header(&LOCATION)?;
    let path = location.split(['?', '#']).next()?.trim_end_matches('/');
    let last = path.rsplit('/').next()?;
    let plus = last.replace('+', "%2B");
    let pair = format!("id={plus}");
    let (_, id) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
    NativeId::try_new(id.into_owned()).ok()
}

fn unanswered(label: &str, lost: &Lost) -> Outcome {
    let reason = format!("{label}: {}", lost.reason());
    match lost {
        Lost::NotSent(_) | Lost::Held(..) => {
            Outcome::RetryLater { reason, after: lost.after(), side_wide: true }
        }
        Lost::Sent(_) => Outcome::Unknown { reason },
    }
}

/// What an answer that is not 2xx means.
fn refused(label: &str, doing: Doing, answer: &Answer, exists_when: &[ExistsWhen]) -> Outcome {
    let status = answer.status;
    let reason = format!("{label}: {}", answer.words());
    let after = answer.judged.after;
    if let Some(outcome) = judged(doing, answer, &reason) {
        return outcome;
    }
    match (status, doing) {
        (StatusCode::NOT_FOUND | StatusCode::GONE, Doing::Update) => Outcome::Gone,
        (StatusCode::NOT_FOUND | StatusCode::GONE, Doing::Delete) => Outcome::Noop,
        (StatusCode::CONFLICT, Doing::Create) => Outcome::Exists { reason },
        (StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED, Doing::Update | Doing::Delete) => {
            Outcome::Conflict { reason }
        }
        (_, Doing::Create) if exists_when.iter().any(|when| says(answer, when)) => Outcome::Exists { reason },
        (StatusCode::TOO_MANY_REQUESTS, _) => Outcome::RetryLater { reason, after, side_wide: true },
        // Whoever is not let in now is not for any record; a person has to act, and then all goes on.
        (StatusCode::UNAUTHORIZED, _) => Outcome::RetryLater { reason, after, side_wide: true },
        (StatusCode::SERVICE_UNAVAILABLE, _) => {
            Outcome::RetryLater { reason, after, side_wide: after.is_some() }
        }
        (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::LOCKED, _) => {
            Outcome::RetryLater { reason, after, side_wide: false }
        }
        (StatusCode::NOT_IMPLEMENTED, _) => Outcome::Rejected { reason },
        _ if status.is_server_error() => Outcome::Unknown { reason },
        _ => Outcome::Rejected { reason },
    }
}

/// What `error_handler` makes of an answer; nothing where it does not speak of it.
fn judged(doing: Doing, answer: &Answer, reason: &str) -> Option<Outcome> {
    let (status, after, reason) = (answer.status, answer.judged.after, reason.to_owned());
    // Only of these is it known that nothing was done.
    let refused = status.is_client_error()
        || matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::NOT_IMPLEMENTED);
    Some(match answer.judged.verdict {
        Verdict::Unsaid | Verdict::Success => return None,
        Verdict::Ignore if doing == Doing::Create => {
            let reason = format!("{reason}; `error_handler` ignores it, and there is no record");
            Outcome::Rejected { reason }
        }
        Verdict::Ignore => Outcome::Noop,
        Verdict::Retry { not_applied } if refused || not_applied => {
            Outcome::RetryLater { reason, after, side_wide: false }
        }
        Verdict::Retry { .. } => Outcome::Unknown { reason },
        Verdict::Fail => Outcome::Rejected { reason },
        Verdict::RateLimited | Verdict::Refresh => Outcome::RetryLater { reason, after, side_wide: true },
    })
}

fn says(answer: &Answer, when: &ExistsWhen) -> bool {
    let text = when.body_contains.as_bytes();
    let body = answer.body.as_deref().unwrap_or_default();
    answer.status.as_u16() == when.status
        && (text.is_empty() || body.windows(text.len()).any(|part| part == text))
}
