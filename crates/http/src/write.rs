//! Writing, and finding out from the answer what became of it.
//!
//! Every answer is one of the model's outcomes. What may have been carried out
//! is never called refused: a lost answer, and a failure inside the side after
//! it had the request, are "unknown", and somebody looks before writing again.

use crate::batch::{Batch, Item};
use crate::body::Body;
use crate::complaint;
use crate::decode;
use crate::error::{SpecError, quote};
use crate::fill::Names;
use crate::guard::{self, Guard};
use crate::key::RecordKey;
use crate::request::{Ask, Parts, below};
use crate::select::{self, Lens};
use crate::spec::{AnswerWhen, BaseUrl, BodyShape, IdFrom, Method, WriteSpec};
use crate::template::Compiled;
use crate::wire::{Answer, Lost, Verdict, Wire};
use hms_sync_connector::{RawRequest, Target, WriteRequest};
use hms_sync_model::{IdempotencyKey, NativeId, Outcome, Tag, Written};
use http::header::{CONTENT_TYPE, IF_NONE_MATCH, LOCATION};
use http::{HeaderName, StatusCode};
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// A kind of write, set up.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) ask: Ask,
    /// Headers with something to be filled in.
    headers: Vec<(HeaderName, Compiled)>,
    body: Body,
    id_from: Option<IdPlace>,
    /// What its templates name.
    named: Vec<&'static str>,
}

/// Where the id of a new record is, apart from the record.
#[derive(Debug)]
enum IdPlace {
    Field(crate::spec::FieldPath),
    Header(HeaderName),
    Template(Compiled),
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Create,
    Update,
    Delete,
    /// A deleted record comes back.
    Undelete,
    /// A handler's own request.
    Raw,
}

/// What writes of a collection have in common.
#[derive(Debug)]
pub(crate) struct Manner {
    /// The header that carries the idempotency key, if the side honours one.
    pub(crate) key: Option<HeaderName>,
    /// How long the side remembers one.
    pub(crate) key_valid_for: Option<Duration>,
    pub(crate) in_progress_when: Vec<AnswerWhen>,
    pub(crate) guard: Guard,
    pub(crate) exists_when: Vec<AnswerWhen>,
    pub(crate) gone_when: Vec<AnswerWhen>,
    pub(crate) conflict_when: Vec<AnswerWhen>,
    /// Our names of the fields at the side's paths.
    pub(crate) field_names: Vec<(Vec<String>, String)>,
    pub(crate) batch: Option<Batch>,
}

/// What a write needs to be sent, and its answer to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means<'c> {
    pub(crate) wire: &'c Wire,
    pub(crate) lens: &'c Lens,
    pub(crate) manner: &'c Manner,
}

/// What templates of a write may name.
const KNOWN: [&str; 4] = ["identity", "record", "key", "id"];

impl Put {
    pub(crate) fn new(
        key: &str,
        doing: Doing,
        base: &BaseUrl,
        spec: &WriteSpec,
        record_key: &RecordKey,
    ) -> Result<Self, SpecError> {
        let known = if doing == Doing::Create { KNOWN.get(..3).unwrap_or(&KNOWN) } else { &KNOWN };
        let (still, live) = headers(key, spec, known)?;
        let parts = Parts {
            path: &spec.path,
            parameters: &spec.request_parameters,
            headers: &still,
            selector: spec.record_selector.as_ref(),
        };
        let ask = Ask::new(key, method(spec.method), base, &parts, known)?;
        let usual = match doing {
            Doing::Create | Doing::Raw => BodyShape::Whole,
            Doing::Update if spec.method == Method::Put => BodyShape::Whole,
            Doing::Update => BodyShape::Changed,
            Doing::Delete | Doing::Undelete => BodyShape::None,
        };
        let body = Body::new(key, spec.body.as_ref(), usual, known)?;
        let names_record = ["id", "identity", "record"].iter().any(|name| ask.uses(name) || body.uses(name));
        if doing != Doing::Create && !names_record {
            return Err(SpecError::new(
                format!("{key}.path"),
                "does not say which record, as `{{ id }}` does",
            ));
        }
        let lacks = record_key.lacking(&ask.members_of("id")).filter(|_| ask.uses("id"));
        if let Some(why) = lacks {
            return Err(SpecError::new(format!("{key}.path"), why));
        }
        if spec.id_from.is_some() && record_key.alone().is_none() {
            let why = "gives one value, and the primary key has several parts";
            return Err(SpecError::new(format!("{key}.id_from"), why));
        }
        let id_from = spec.id_from.as_ref().map(|from| id_place(key, from)).transpose()?;
        let makes_id = |name: &str| matches!(&id_from, Some(IdPlace::Template(text)) if text.uses(name));
        let named = |name: &&str| {
            ask.uses(name)
                || body.uses(name)
                || makes_id(name)
                || live.iter().any(|(_, text)| text.uses(name))
        };
        let named = KNOWN.into_iter().filter(named).collect();
        Ok(Self { ask, headers: live, body, id_from, named })
    }

    /// Whether the fields of the record go with it.
    pub(crate) fn has_fields(&self) -> bool {
        self.body.has_fields()
    }

    pub(crate) async fn write(&self, means: Means<'_>, doing: Doing, request: &WriteRequest) -> Outcome {
        let (id, tag) = match &request.target {
            Target::Create => (request.former.as_ref().filter(|_| doing != Doing::Create), None),
            Target::Update(id, tag) | Target::Delete(id, tag) => (Some(id), tag.as_ref()),
        };
        let names = self.names(means.lens, request, id);
        let prepared = match self.prepare(means, doing, request, &names, tag) {
            Ok(prepared) => prepared,
            Err(why) => return Outcome::Rejected { reason: format!("{}: {why}", self.ask.label) },
        };
        let fresh = prepared.headers().contains_key(IF_NONE_MATCH);
        let answer = match means.manner.batch.as_ref().filter(|batch| batch.takes(doing, &prepared)) {
            Some(batch) => {
                batch
                    .send(means.wire, Item::new(prepared, request, id.map(|id| means.lens.key.shown(id))))
                    .await
            }
            None => self.ask.send(means.wire, prepared).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(lost) => return unanswered(&self.label(id), &lost),
        };
        if answer.is_success() {
            return self.applied(means.lens, id, (request, &names), &answer);
        }
        if let Some(told) = self.told(means.manner, doing, &answer, fresh) {
            return told;
        }
        match refused(&self.label(id), doing, &answer, &means.manner.exists_when) {
            Outcome::Rejected { reason } => {
                let around: Vec<&str> = self.body.wrap().parts().collect();
                let body = answer.body.as_deref().unwrap_or_default();
                let named = complaint::named(body, &around, &means.manner.field_names);
                Outcome::Rejected { reason: format!("{reason}{named}") }
            }
            other => other,
        }
    }

    /// What was asked, with the id that it was asked for. Nothing else is filled in: this stands in
    /// the log for good, where a record's values may have to be erased.
    fn label(&self, id: Option<&NativeId>) -> String {
        let Some(id) = id else { return self.ask.label.clone() };
        let id = quote(id.as_str().as_bytes(), 60);
        self.ask.label.replace("{{ id }}", &id).replace("{{id}}", &id)
    }

    fn names(&self, lens: &Lens, request: &WriteRequest, id: Option<&NativeId>) -> Names {
        let mut names = Map::new();
        for name in &self.named {
            let json = match *name {
                "identity" | "record" => (*request.whole).clone(),
                "key" => request.key.as_str().into(),
                _ => id.map_or_else(|| "".into(), |id| lens.key.shown(id)),
            };
            names.insert((*name).to_owned(), json);
        }
        Names(names)
    }

    fn prepare(
        &self,
        means: Means<'_>,
        doing: Doing,
        request: &WriteRequest,
        names: &Names,
        tag: Option<&Tag>,
    ) -> Result<reqwest::Request, String> {
        let Means { wire, manner, .. } = means;
        let with = names.value();
        let tag = tag.filter(|tag| manner.guard.takes(tag));
        let query = tag.and_then(|tag| manner.guard.query(tag));
        let mut prepared = self.ask.request(wire, &with, query.as_slice())?;
        let leaf = |path: &[String]| manner.field_names.iter().any(|(place, _)| place == path);
        let version = tag.and_then(|tag| manner.guard.body(tag));
        if let Some((bytes, content_type)) = self.body.write(request, names, &with, version, leaf)? {
            Wire::put(&mut prepared, bytes);
            prepared.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        let creates_at_once = doing == Doing::Create && prepared.method() == http::Method::PUT;
        let headers = prepared.headers_mut();
        if creates_at_once {
            manner.guard.none_there(headers);
        }
        if let Some(tag) = tag {
            manner.guard.head(tag, headers)?;
        }
        if let Some(name) = &manner.key {
            headers.insert(name, guard::value("idempotency key", request.key.as_str())?);
        }
        for (name, text) in &self.headers {
            let text = text.fill(&with).map_err(|e| format!("header `{name}`: {e}"))?;
            headers.insert(name, guard::value(name.as_str(), &text)?);
        }
        Ok(prepared)
    }

    fn applied(
        &self,
        lens: &Lens,
        id: Option<&NativeId>,
        (request, names): (&WriteRequest, &Names),
        answer: &Answer,
    ) -> Outcome {
        let json = answer.body.as_ref().ok().and_then(|body| decode::parse(body).ok());
        let made = match &self.id_from {
            Some(place) if id.is_none() => place.find(json.as_ref(), names, answer),
            Some(_) | None => None,
        };
        let record = json.and_then(|json| match &self.ask.selector {
            Some(path) => path.take(json),
            None => Some(json),
        });
        // It may show less than there is: nothing is made of what may be missing.
        let record = record.and_then(|record| lens.partly(record).ok());
        let shown = record.as_ref().and_then(|record| lens.id(record).ok());
        let elsewhere = || match lens.key.alone() {
            Some(_) => from_location(answer),
            // Who makes a record with such a key gives it.
            None => lens.id(&request.whole).ok(),
        };
        let found = || made.or_else(|| shown.clone()).or_else(elsewhere);
        let Some(id) = id.cloned().or_else(found) else {
            let said = answer.words();
            let reason = format!("{}: {said}, without an id in the answer or in `Location`", self.ask.label);
            return Outcome::Unknown { reason };
        };
        // Anything else that comes with a 2xx ("ok", a message) is not the record.
        let stored = record.filter(|_| shown.as_ref() == Some(&id));
        let tag = lens.tag(stored.as_ref(), Some(answer));
        Outcome::Applied(Written { id, tag, stored })
    }

    /// What an answer means by the words of this side alone, or because of what was asked.
    fn told(&self, manner: &Manner, doing: Doing, answer: &Answer, fresh: bool) -> Option<Outcome> {
        let reason = || format!("{}: {}", self.ask.label, answer.words());
        let is = |when: &[AnswerWhen]| when.iter().any(|when| says(answer, when));
        if manner.key.is_some() && is(&manner.in_progress_when) {
            return Some(Outcome::RetryLater {
                reason: reason(),
                after: answer.judged.after,
                side_wide: false,
            });
        }
        match doing {
            Doing::Create if fresh && answer.status == StatusCode::PRECONDITION_FAILED => {
                Some(Outcome::Exists { reason: reason() })
            }
            Doing::Undelete if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) => {
                Some(Outcome::Gone)
            }
            Doing::Update if is(&manner.gone_when) => Some(Outcome::Gone),
            Doing::Delete if is(&manner.gone_when) => Some(Outcome::Noop),
            Doing::Update | Doing::Delete if is(&manner.conflict_when) => {
                Some(Outcome::Conflict { reason: reason() })
            }
            Doing::Create | Doing::Update | Doing::Delete | Doing::Undelete | Doing::Raw => None,
        }
    }
}

impl IdPlace {
    fn find(&self, body: Option<&Json>, names: &Names, answer: &Answer) -> Option<NativeId> {
        match self {
            Self::Field(path) => select::scalar_id(path.get(body?)?).ok(),
            Self::Header(name) if *name == LOCATION => from_location(answer),
            Self::Header(name) => NativeId::try_new(answer.header(name)?).ok(),
            Self::Template(text) => NativeId::try_new(text.fill(&names.value()).ok()?.into_owned()).ok(),
        }
    }
}

fn id_place(key: &str, from: &IdFrom) -> Result<IdPlace, SpecError> {
    let bad = |name: &str, why: &dyn std::fmt::Display| SpecError::new(format!("{key}.id_from.{name}"), why);
    Ok(match from {
        IdFrom::Field(path) => IdPlace::Field(path.clone()),
        IdFrom::Header(name) => IdPlace::Header(
            HeaderName::try_from(name)
                .map_err(|_| bad("header", &format!("`{name}` is no name of a header")))?,
        ),
        IdFrom::Template(template) => {
            let text = Compiled::text(template.as_str(), &["identity", "record", "key"]);
            let text = text.map_err(|e| bad("template", &e))?;
            if text.is_plain() {
                return Err(bad("template", &"is the same for every record"));
            }
            IdPlace::Template(text)
        }
    })
}

/// Headers as they are, and those to be filled in.
type Split = (crate::spec::Headers, Vec<(HeaderName, Compiled)>);

fn headers(key: &str, spec: &WriteSpec, known: &[&str]) -> Result<Split, SpecError> {
    let (mut still, mut live) = (crate::spec::Headers::default(), Vec::new());
    for (name, value) in spec.request_headers.iter() {
        let bad = |why: &dyn std::fmt::Display| SpecError::new(format!("{key}.request_headers.{name}"), why);
        let text = value.to_str().unwrap_or_default();
        if text.contains("{{") || text.contains("{%") {
            live.push((name.clone(), Compiled::text(text, known).map_err(|e| bad(&e))?));
        } else {
            still.put(name.clone(), value.clone());
        }
    }
    Ok((still, live))
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
    let stored = answer.body.as_ref().ok().and_then(|body| decode::parse(body).ok());
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
    prepared.headers_mut().insert(key_header, guard::value("idempotency key", request.key.as_str())?);
    if !request.body.is_empty() {
        Wire::put(&mut prepared, request.body.clone().into_bytes());
    }
    Ok(prepared)
}

/// For a record that has no id of its own, the write that made it stands for it.
fn keyed(key: &IdempotencyKey) -> Option<NativeId> {
    NativeId::try_new(key.as_str()).ok()
}

pub(crate) fn method(method: Method) -> http::Method {
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

/// What it means that no answer came.
pub(crate) fn unanswered(label: &str, lost: &Lost) -> Outcome {
    let reason = format!("{label}: {}", lost.reason());
    match lost {
        Lost::NotSent(_) | Lost::Held(..) => {
            Outcome::RetryLater { reason, after: lost.after(), side_wide: true }
        }
        Lost::Sent(_) => Outcome::Unknown { reason },
    }
}

/// What an answer that is not 2xx means.
fn refused(label: &str, doing: Doing, answer: &Answer, exists_when: &[AnswerWhen]) -> Outcome {
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
        Verdict::Fail | Verdict::Reset => Outcome::Rejected { reason },
        Verdict::RateLimited | Verdict::Refresh => Outcome::RetryLater { reason, after, side_wide: true },
    })
}

fn says(answer: &Answer, when: &AnswerWhen) -> bool {
    let text = when.body_contains.as_bytes();
    let body = answer.body.as_deref().unwrap_or_default();
    answer.status.as_u16() == when.status
        && (text.is_empty() || body.windows(text.len()).any(|part| part == text))
}
