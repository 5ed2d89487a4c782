//! Reading: pages of a listing, one record, records by their identity.

use crate::error::{SpecError, quote};
use crate::paging::{Facts, Paging, Progress, Style, hash};
use crate::request::{Ask, Parts};
use crate::select::{self, Lens, RECORD_MAX};
use crate::spec::{BaseUrl, CursorFrom, HttpCollection, IncrementalSync, LookupSpec, Paginator, ReadSpec};
use crate::stamp::Scale;
use crate::template;
use crate::wire::{Answer, Lost, Urgency, Verdict, Wire};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hms_sync_connector::{Content, Cursor, Observation, Page, PageToken, ReadError, ReadRequest, Scope};
use hms_sync_model::{NativeId, Time};
use http::header::DATE;
use http::{Method, StatusCode};
use minijinja::context;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;

/// Lines about unreadable records of one page; more are only counted.
const UNREADABLE_LINES: usize = 20;

/// A listing, set up.
#[derive(Debug)]
pub(crate) struct Listing {
    ask: Ask,
    pages: Pages,
    paging: Paging,
    since: Option<Since>,
    /// A number for all that says what is read, and in which pages.
    settings: u64,
}

/// The names of a paginator's parameters.
#[derive(Debug, Default)]
struct Pages {
    size: Option<(String, usize)>,
    at: Option<String>,
    first: u64,
}

#[derive(Debug)]
struct Since {
    scale: Scale,
    parameter: Option<String>,
    last_run: bool,
}

/// A cursor, as it stands in the change log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    /// The largest value seen.
    Value(Json),
    /// When the last pass began, in microseconds.
    Run(i64),
}

impl Listing {
    pub(crate) fn new(key: &str, base: &BaseUrl, spec: &ReadSpec, lens: &Lens) -> Result<Self, SpecError> {
        let parts = Parts {
            path: &spec.path,
            parameters: &spec.request_parameters,
            headers: &spec.request_headers,
            selector: spec.record_selector.as_ref(),
        };
        let ask = Ask::new(key, Method::GET, base, &parts, &["cursor", "cursor_id", "page_size"])?;
        let since = spec.incremental_sync.as_ref().map(|sync| since(key, sync, &ask)).transpose()?;
        let (style, asked, pages) = pages(&spec.paginator);
        if style != Style::Whole && asked == 0 {
            return Err(SpecError::new(format!("{key}.paginator.page_size"), "must be 1 at least"));
        }
        if style == Style::Keyset && !ask.uses("cursor") && !ask.uses("cursor_id") {
            let reason = "a keyset needs `{{ cursor }}` or `{{ cursor_id }}` in a parameter";
            return Err(SpecError::new(format!("{key}.request_parameters"), reason));
        }
        let paging = Paging { style, asked };
        let mut since = since;
        if let (Style::Keyset, None, Paginator::Keyset { key_field, .. }) = (style, &since, &spec.paginator) {
            // A keyset without polling for changes still has a field to go on from.
            let field = key_field.clone().unwrap_or_else(|| lens.primary_key.clone());
            let scale =
                Scale::new(field, None, None).map_err(|e| SpecError::new(format!("{key}.paginator"), e))?;
            since = Some(Since { scale, parameter: None, last_run: true });
        }
        let settings = hash(&format!("{base} {spec:?}"));
        Ok(Self { ask, pages, paging, since, settings })
    }

    pub(crate) fn is_incremental(&self) -> bool {
        self.since.as_ref().is_some_and(|since| since.parameter.is_some() || self.ask.uses("cursor"))
    }

    /// Reads one page.
    pub(crate) async fn page(
        &self,
        wire: &Wire,
        lens: &Lens,
        request: ReadRequest,
    ) -> Result<Page, ReadError> {
        let progress = match &request.after {
            Some(token) => {
                let progress: Progress = serde_json::from_str(&token.0)
                    .map_err(|_| self.broken("a page token that is not ours"))?;
                if progress.settings != self.settings {
                    let why = "it was under way when its settings were changed; it begins anew";
                    return Err(self.broken(why));
                }
                progress
            }
            None => self.start(&request.scope),
        };
        let answer = self.ask_page(wire, &progress, self.paging.asked).await?;
        if answer.judged.verdict == Verdict::Ignore {
            return Ok(self.ignored(&answer));
        }
        let (facts, mut page) = self.take(lens, &answer)?;
        let scale = self.since.as_ref().filter(|since| !since.last_run || self.paging.style == Style::Keyset);
        let turn = self.paging.turn(&progress, &facts, scale.map(|since| &since.scale));
        let turn = turn.map_err(|why| self.broken(&why))?;
        page.cursor = self.cursor(&progress, turn.cursor, turn.next.is_none());
        page.next = match turn.next {
            Some(next) => {
                Some(PageToken(serde_json::to_string(&next).map_err(|e| self.broken(&e.to_string()))?))
            }
            None => None,
        };
        Ok(page)
    }

    /// Asks for one record at most; answers with a line for people.
    pub(crate) async fn check(&self, wire: &Wire, lens: &Lens) -> Result<String, ReadError> {
        let answer = self.ask_page(wire, &self.start(&Scope::Everything), 1).await?;
        let (facts, page) = self.take(lens, &answer)?;
        if let Some(line) = page.unreadable.first() {
            return Err(self.broken(line));
        }
        let many = facts.total.map_or(String::new(), |total| format!(", {total} records in all"));
        let shown = match page.records.first() {
            Some(record) => format!("the first record is {:.60}", record.id.as_str()),
            None => "no records".to_owned(),
        };
        Ok(format!("{} answers: {shown}{many}", self.ask.label))
    }

    fn start(&self, scope: &Scope) -> Progress {
        let mut progress = Progress::begin(self.settings, Utc::now().timestamp_micros());
        let (Scope::Since(cursor), Some(since)) = (scope, &self.since) else { return progress };
        match (serde_json::from_str(&cursor.0), since.last_run) {
            (Ok(Mark::Value(json)), false) => {
                progress.from = since.scale.read(&json).map(|stamp| since.scale.before(&stamp));
                progress.floor = Some(json);
            }
            (Ok(Mark::Run(micros)), true) => {
                progress.from = DateTime::from_timestamp_micros(micros).map(|at| since.scale.own(at));
            }
            // A cursor from before the config was changed: everything is read.
            (Ok(_) | Err(_), _) => {
                tracing::warn!(listing = %self.ask.label, "the cursor cannot be used any more; everything is read");
            }
        }
        progress.since = progress.from.is_some();
        progress
    }

    async fn ask_page(&self, wire: &Wire, progress: &Progress, size: usize) -> Result<Answer, ReadError> {
        let with = if self.ask.uses("cursor") || self.ask.uses("cursor_id") || self.ask.uses("page_size") {
            let (cursor, id) = match &progress.key {
                Some((value, id)) => (value.as_str(), id.as_str()),
                None => (progress.from.as_deref().unwrap_or_default(), ""),
            };
            context! { cursor, cursor_id => id, page_size => size }
        } else {
            minijinja::Value::UNDEFINED
        };
        let at = match self.paging.style {
            Style::Numbered => self.pages.first.saturating_add(progress.at),
            Style::Whole | Style::Offset | Style::Keyset => progress.at,
        };
        let (at, size) = (at.to_string(), size.to_string());
        let mut more: Vec<(&str, &str)> = Vec::with_capacity(3);
        more.extend(
            self.since.as_ref().and_then(|s| Some((s.parameter.as_deref()?, progress.from.as_deref()?))),
        );
        more.extend(self.pages.at.as_deref().map(|name| (name, at.as_str())));
        more.extend(self.pages.size.as_ref().map(|(name, _)| (name.as_str(), size.as_str())));
        let request = self.ask.request(wire, &with, &more).map_err(|why| self.denied(&why))?;
        let urgency = if progress.since { Urgency::Read } else { Urgency::Backfill };
        let answer = wire.send_as(urgency, request).await.map_err(|lost| later(&self.ask, &lost))?;
        if answer.judged.verdict == Verdict::Ignore {
            return Ok(answer);
        }
        good(&self.ask, answer)
    }

    /// An answer that is not to be minded ends the pass. It is no complete listing.
    fn ignored(&self, answer: &Answer) -> Page {
        let line = format!("{}: {}, which `error_handler` ignores", self.ask.label, answer.words());
        Page { records: Vec::new(), unreadable: vec![line], next: None, cursor: None }
    }

    /// The records of an answer. Each is moved, none copied.
    fn take(&self, lens: &Lens, answer: &Answer) -> Result<(Facts, Page), ReadError> {
        let body = body(&self.ask, answer)?;
        let json = select::parse(body).map_err(|why| self.broken(&why))?;
        let (records, total) =
            select::records(json, self.ask.selector.as_ref()).map_err(|why| self.broken(&why))?;
        let large = body.len() > RECORD_MAX;
        let len = records.len();
        let mut facts =
            Facts { len, total: total.or_else(|| counted(answer)), date: date(answer), ..Facts::default() };
        let mut unreadable = Unreadable::default();
        let mut taken: Vec<Option<Observation>> = Vec::with_capacity(len);
        let mut places: HashMap<NativeId, usize> = HashMap::with_capacity(len);
        facts.ids.reserve(len);
        let since = self.since.as_ref();
        for (index, record) in records.into_iter().enumerate() {
            if let Some(why) = since.and_then(|since| since.scale.misfit(&record)) {
                return Err(self.broken(&why));
            }
            let stamp = since.and_then(|since| since.scale.of(&record));
            let id = lens.id(&record).and_then(|id| if large { small(&record).map(|()| id) } else { Ok(id) });
            match id {
                Ok(id) => {
                    facts.ids.push(Some(id.clone()));
                    let known = match (since, &stamp, &lens.modified) {
                        (Some(since), Some(stamp), Some(modified)) if modified.same_field(&since.scale) => {
                            Some((&since.scale, stamp))
                        }
                        _ => None,
                    };
                    let seen = lens.observe_at(id.clone(), record, known);
                    if let Some(before) = places.insert(id, taken.len())
                        && let Some(place) = taken.get_mut(before)
                    {
                        *place = None;
                    }
                    taken.push(Some(seen));
                }
                Err(why) => {
                    facts.ids.push(None);
                    unreadable.add(format!("{}: record {} of the page {why}", self.ask.label, index + 1));
                }
            }
            if since.is_some() {
                facts.stamps.push(stamp);
            }
        }
        let records = taken.into_iter().flatten().collect();
        Ok((facts, Page { records, unreadable: unreadable.lines(), next: None, cursor: None }))
    }

    fn cursor(&self, progress: &Progress, value: Option<Json>, last: bool) -> Option<Cursor> {
        let mark = match &self.since {
            Some(since) if since.last_run => {
                (last && since.parameter.is_some()).then_some(Mark::Run(progress.began))?
            }
            Some(_) => Mark::Value(value?),
            None => return None,
        };
        serde_json::to_string(&mark).ok().map(Cursor)
    }

    fn broken(&self, why: &str) -> ReadError {
        ReadError::Broken { reason: format!("{}: {why}", self.ask.label) }
    }

    fn denied(&self, why: &str) -> ReadError {
        ReadError::Denied { reason: format!("{}: {why}", self.ask.label) }
    }
}

fn since(key: &str, sync: &IncrementalSync, ask: &Ask) -> Result<Since, SpecError> {
    let bad = |name: &str, why: &str| SpecError::new(format!("{key}.incremental_sync.{name}"), why);
    let parameter = sync.start_time_option.as_ref().map(|option| option.field_name.clone());
    let last_run = sync.cursor == CursorFrom::LastRun;
    if !last_run && sync.cursor_field.is_none() {
        return Err(bad("cursor_field", "is needed, unless `cursor: last_run`"));
    }
    if parameter.is_none() && (last_run || !ask.uses("cursor")) {
        return Err(bad("start_time_option", "is needed, unless a parameter has `{{ cursor }}`"));
    }
    let lookback = sync.lookback_window.map(|span| span.0);
    let scale =
        Scale::new(sync.cursor_field.clone().unwrap_or_default(), sync.datetime_format.as_deref(), lookback);
    Ok(Since { scale: scale.map_err(|e| bad("datetime_format", &e))?, parameter, last_run })
}

fn pages(spec: &Paginator) -> (Style, usize, Pages) {
    let size = |n: &u32| usize::try_from(*n).unwrap_or(usize::MAX);
    match spec {
        Paginator::None => (Style::Whole, 0, Pages::default()),
        Paginator::Offset { page_size, offset_param, limit_param } => {
            let asked = size(page_size);
            let pages =
                Pages { size: Some((limit_param.clone(), asked)), at: Some(offset_param.clone()), first: 0 };
            (Style::Offset, asked, pages)
        }
        Paginator::Page { page_size, page_param, page_size_param, start_from } => {
            let asked = size(page_size);
            let size = Some((page_size_param.clone(), asked));
            (Style::Numbered, asked, Pages { size, at: Some(page_param.clone()), first: *start_from })
        }
        Paginator::Keyset { page_size, limit_param, .. } => {
            let asked = size(page_size);
            let size = limit_param.clone().map(|name| (name, asked));
            (Style::Keyset, asked, Pages { size, at: None, first: 0 })
        }
    }
}

fn counted(answer: &Answer) -> Option<u64> {
    answer.headers.get("x-total-count")?.to_str().ok()?.parse().ok()
}

fn date(answer: &Answer) -> Option<Time> {
    let date = httpdate::parse_http_date(answer.header(&DATE)?).ok()?;
    Some(Time::from_chrono(date.into()))
}

fn small(record: &Json) -> Result<(), String> {
    let size = serde_json::to_vec(record).map_or(usize::MAX, |bytes| bytes.len());
    if size > RECORD_MAX { Err(format!("is larger than {RECORD_MAX} bytes")) } else { Ok(()) }
}

#[derive(Default)]
struct Unreadable {
    lines: Vec<String>,
    more: usize,
}

impl Unreadable {
    fn add(&mut self, line: String) {
        if self.lines.len() < UNREADABLE_LINES { self.lines.push(line) } else { self.more += 1 }
    }

    fn lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("and {} more records of the same page", self.more));
        }
        self.lines
    }
}

/// One record by its id.
pub(crate) async fn fetch(
    ask: &Ask,
    wire: &Wire,
    lens: &Lens,
    id: NativeId,
) -> Result<Observation, ReadError> {
    let request = ask.request(wire, &context! { id => id.as_str() }, &[]);
    let request = request.map_err(|why| ReadError::Denied { reason: format!("{}: {why}", ask.label) })?;
    let answer = wire.send(request).await.map_err(|lost| later(ask, &lost))?;
    if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) && !answer.is_judged() {
        return Ok(Observation { id, tag: None, modified: None, content: Content::Gone });
    }
    let answer = good(ask, answer)?;
    let broken =
        |why: String| ReadError::Broken { reason: format!("{} for {:.60}: {why}", ask.label, id.as_str()) };
    let json = select::parse(body(ask, &answer)?).map_err(broken)?;
    let record = match &ask.selector {
        Some(path) => {
            path.take(json).ok_or_else(|| broken(format!("there is nothing at `{path}` in the answer")))?
        }
        None => json,
    };
    let found = lens.id(&record).map_err(|why| broken(format!("the record {why}")))?;
    if found != id {
        return Err(broken(format!("the answer is another record, {:.60}", found.as_str())));
    }
    Ok(lens.observe(id, record, Some(&answer)))
}

/// A lookup's request: as configured, with the names it may use.
pub(crate) fn lookup_ask(key: &str, base: &BaseUrl, spec: &LookupSpec) -> Result<Ask, SpecError> {
    let parts = Parts {
        path: &spec.path,
        parameters: &spec.request_parameters,
        headers: &spec.request_headers,
        selector: spec.record_selector.as_ref(),
    };
    let ask = Ask::new(key, Method::GET, base, &parts, &["identity"])?;
    if !ask.uses("identity") {
        let reason =
            "names no field of the identity, as `{{ identity.permit_no }}`: it would find any record";
        return Err(SpecError::new(key, reason));
    }
    Ok(ask)
}

/// Records by their identity. What comes back must carry it: a side that
/// ignores the filter shows any record, and taking that for ours would join two
/// things, or hide the one we look for.
pub(crate) async fn lookup(
    ask: &Ask,
    wire: &Wire,
    lens: &Lens,
    identity: &Json,
) -> Result<Vec<Observation>, ReadError> {
    let request = ask.request(wire, &context! { identity => template::value(identity) }, &[]);
    let request = request.map_err(|why| ReadError::Denied { reason: format!("{}: {why}", ask.label) })?;
    let answer = wire.send(request).await.map_err(|lost| later(ask, &lost))?;
    if answer.status == StatusCode::NOT_FOUND && !answer.is_judged() {
        return Ok(Vec::new());
    }
    let answer = good(ask, answer)?;
    let broken = |why: String| ReadError::Broken { reason: format!("{}: {why}", ask.label) };
    let json = select::parse(body(ask, &answer)?).map_err(broken)?;
    let (records, _) = select::records(json, ask.selector.as_ref()).map_err(broken)?;
    let (all, mut found) = (records.len(), Vec::new());
    for record in records {
        if carries(&record, identity) {
            let id = lens.id(&record).map_err(|why| broken(format!("a record found {why}")))?;
            found.push(lens.observe(id, record, None));
        }
    }
    if found.is_empty() && all > 0 {
        let identity = quote(identity.to_string().as_bytes(), 120);
        return Err(broken(format!(
            "none of the {all} records found carries {identity}; is the filter right?"
        )));
    }
    Ok(found)
}

/// Whether a record shows this identity, as far as it shows it at all. Upper and
/// lower case and digits as text are the side's affair.
fn carries(record: &Json, identity: &Json) -> bool {
    match (record, identity) {
        (Json::Object(record), Json::Object(identity)) => {
            identity.iter().all(|(name, wanted)| record.get(name).is_none_or(|there| carries(there, wanted)))
        }
        (there, wanted) => there == wanted || text(there).is_some() && text(there) == text(wanted),
    }
}

fn text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.trim().to_lowercase()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn later(ask: &Ask, lost: &Lost) -> ReadError {
    ReadError::Later { reason: format!("{}: {}", ask.label, lost.reason()), after: lost.after() }
}

fn body<'a>(ask: &Ask, answer: &'a Answer) -> Result<&'a Bytes, ReadError> {
    answer.body.as_ref().map_err(|why| ReadError::Broken { reason: format!("{}: {why}", ask.label) })
}

/// Lets answers with records through; makes errors of the others.
fn good(ask: &Ask, answer: Answer) -> Result<Answer, ReadError> {
    let status = answer.status;
    if answer.is_success() {
        return Ok(answer);
    }
    let (reason, after) = (format!("{}: {}", ask.label, answer.words()), answer.judged.after);
    Err(match answer.judged.verdict {
        Verdict::Retry { .. } | Verdict::RateLimited => ReadError::Later { reason, after },
        Verdict::Fail | Verdict::Refresh => ReadError::Denied { reason },
        // Of one record it tells nothing, which is not that there is none.
        Verdict::Ignore => ReadError::Broken { reason },
        Verdict::Success | Verdict::Unsaid => match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ReadError::Denied { reason },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
                ReadError::Later { reason, after }
            }
            _ if status.is_server_error() => ReadError::Later { reason, after },
            _ if status.is_client_error() => ReadError::Denied { reason },
            _ => ReadError::Broken { reason },
        },
    })
}

/// What a listing is polled by, for the times of records.
pub(crate) fn modified(spec: &HttpCollection) -> Option<Result<Scale, String>> {
    let sync = spec.read.as_ref().and_then(|read| read.incremental_sync.as_ref());
    let field = spec.modified.clone().or_else(|| sync?.cursor_field.clone())?;
    Some(Scale::new(field, sync.and_then(|sync| sync.datetime_format.as_deref()), None))
}
