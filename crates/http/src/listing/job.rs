//! An export that the side makes in its own time, set up: the requests that it takes, what its
//! states mean, and which exports are under way. Nothing is sent here.
//!
//! Exports are remembered by this process alone. What another process began is begun anew.

use super::{KNOWN, Listing};
use crate::error::SpecError;
use crate::formula::single;
use crate::paging::hash;
use crate::request::{Ask, Parts};
use crate::select;
use crate::spec::{
    BaseUrl, ErrorHandler, FieldPath, JobMethod, JobRequester, JobSpec, Paginator, ReadMethod, ReadSpec,
    Span, Template,
};
use crate::spot::Carries;
use crate::wire::Verdicts;
use hms_sync_connector::ReadError;
use hms_sync_model::Time;
use http::Method;
use minijinja::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

use super::carried::Carried;

/// The longest between two looks at the state of an export.
pub(super) const INTERVAL_MAX: Duration = Duration::from_mins(5);
/// The longest that an export is waited for.
const TIMEOUT_MAX: Duration = Duration::from_hours(24);
/// Exports of one listing that are remembered at once; there is one, but where passes were given up.
const EXPORTS_MAX: usize = 16;
/// The most files of one export.
const FILES_MAX: usize = 10_000;
/// The most bytes of what names a file.
const FILE_NAME_MAX: usize = 16 << 10;

/// What templates know of an export.
const CREATED: &str = "creation_response";
const POLLED: &str = "polling_response";
const FILE: &str = "download_target";

/// What requests are told of an export.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) creation_response: Value,
    pub(super) polling_response: Value,
    pub(super) download_target: Value,
}

/// How exports are made, set up.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) create: Errand,
    pub(super) poll: Errand,
    /// Asks for the names of the files.
    pub(super) name: Option<Errand>,
    pub(super) abort: Option<Errand>,
    pub(super) delete: Option<Errand>,
    pub(super) status: FieldPath,
    states: BTreeMap<String, State>,
    /// Where the files are named.
    pub(super) files: Option<FieldPath>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) rest: Duration,
    /// What names the files are addresses.
    pub(super) by_address: bool,
    exports: Mutex<Vec<Export>>,
    count: AtomicU64,
    /// Until when no other is begun, and why.
    held: Mutex<Option<(Instant, String)>>,
}

/// One of its requests.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) ask: Ask,
    pub(super) body: Carried,
}

/// What a side says of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Completed,
    Failed,
    Timeout,
    Skipped,
}

/// An export that was begun.
#[derive(Debug, Clone)]
pub(super) struct Export {
    pub(super) number: u64,
    /// The partition that it is of.
    pub(super) of: String,
    pub(super) began: Instant,
    /// The side's clock then.
    pub(super) date: Option<Time>,
    /// How long until it is asked for next.
    pub(super) wait: Duration,
    pub(super) told: Told,
    /// What names its files, once it is done.
    pub(super) files: Option<Arc<[Named]>>,
}

/// What names a file, and where it is if that is an address.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) url: Option<Url>,
}

impl Errand {
    fn new(key: &str, base: &BaseUrl, spec: &JobRequester, known: &[&str]) -> Result<Self, SpecError> {
        let parts = Parts {
            path: &spec.path,
            parameters: &spec.request_parameters,
            headers: &spec.request_headers,
            selector: None,
        };
        let method = match spec.http_method {
            JobMethod::Get => Method::GET,
            JobMethod::Post => Method::POST,
            JobMethod::Put => Method::PUT,
            JobMethod::Patch => Method::PATCH,
            JobMethod::Delete => Method::DELETE,
        };
        let mut ask = Ask::new(key, method, base, &parts, known)?;
        ask.own = Verdicts::of_request([(format!("{key}.error_handler"), spec.error_handler.as_ref())])?;
        Ok(Self { ask, body: Carried::of_job(key, spec, known)? })
    }

    fn uses(&self, name: &str) -> bool {
        self.ask.uses(name) || self.body.uses(name)
    }
}

impl Job {
    /// `key` is where it stands in the config, `known` what templates of the listing may name.
    pub(super) fn new(
        key: &str,
        base: &BaseUrl,
        (spec, of): (&JobSpec, &ReadSpec),
        known: &[&str],
    ) -> Result<Self, SpecError> {
        let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
        let errand = |name: &str, spec: &JobRequester, more: &[&str]| {
            let known: Vec<&str> = known.iter().chain(more).copied().collect();
            Errand::new(&format!("{key}.{name}"), base, spec, &known)
        };
        let later = |name: &str, spec: Option<&JobRequester>, more: &[&str]| {
            spec.map(|spec| errand(name, spec, more)).transpose()
        };
        let span = |name: &str, span: Span, most: Duration| match span.0 {
            span if span.is_zero() => Err(bad(name, "must be longer than nothing")),
            span if span > most => {
                Err(bad(name, &format!("is {} at most", humantime::format_duration(most))))
            }
            span => Ok(span),
        };
        if spec.status_extractor.field_path.is_empty() || spec.status_extractor.field_path.has_wildcard() {
            return Err(bad("status_extractor.field_path", "names no one place"));
        }
        let files = spec.download_target_extractor.as_ref().map(|extractor| extractor.field_path.clone());
        if spec.download_target_requester.is_some() && files.is_none() {
            return Err(bad("download_target_extractor", "is needed beside `download_target_requester`"));
        }
        let name =
            later("download_target_requester", spec.download_target_requester.as_ref(), &[CREATED, POLLED]);
        Ok(Self {
            create: errand("creation_requester", &spec.creation_requester, &[])?,
            poll: errand("polling_requester", &spec.polling_requester, &[CREATED])?,
            name: name?,
            abort: later("abort_requester", spec.abort_requester.as_ref(), &[CREATED])?,
            delete: later("delete_requester", spec.delete_requester.as_ref(), &[CREATED])?,
            status: spec.status_extractor.field_path.clone(),
            states: states(key, spec)?,
            files,
            interval: span("polling_interval", spec.polling_interval, INTERVAL_MAX)?,
            timeout: span("polling_job_timeout", spec.polling_job_timeout, TIMEOUT_MAX)?,
            rest: span("failed_retry_wait", spec.failed_retry_wait, TIMEOUT_MAX)?,
            by_address: is_address(&of.path),
            exports: Mutex::default(),
            count: AtomicU64::new(hash(&(chrono::Utc::now().timestamp_micros(), std::process::id()))),
            held: Mutex::default(),
        })
    }

    fn errands(&self) -> impl Iterator<Item = &Errand> {
        let others = [&self.name, &self.abort, &self.delete].into_iter().flatten();
        [&self.create, &self.poll].into_iter().chain(others)
    }

    /// Whether any template of its requests names `name`.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.errands().any(|errand| errand.uses(name))
    }

    /// The members of `name` that its templates name.
    pub(super) fn members_of(&self, name: &str) -> Vec<String> {
        let members = |errand: &Errand| [errand.ask.members_of(name), errand.body.members_of(name)].concat();
        self.errands().flat_map(members).collect()
    }

    /// The templates of its requests, as they were written.
    pub(super) fn sources(&self) -> impl Iterator<Item = &str> {
        self.errands().flat_map(|errand| errand.ask.sources().chain(errand.body.sources()))
    }

    /// What a state means.
    pub(super) fn state(&self, said: &str) -> Option<State> {
        self.states.get(said).copied()
    }

    fn exports(&self) -> MutexGuard<'_, Vec<Export>> {
        self.exports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other export has.
    pub(super) fn number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn find(&self, number: u64) -> Option<Export> {
        self.exports().iter().find(|export| export.number == number).cloned()
    }

    pub(super) fn keep(&self, export: Export) {
        let mut exports = self.exports();
        exports.retain(|there| there.number != export.number);
        exports.push(export);
    }

    pub(super) fn forget(&self, number: u64) -> Option<Export> {
        let mut exports = self.exports();
        let at = exports.iter().position(|export| export.number == number)?;
        Some(exports.remove(at))
    }

    /// Those that nobody goes on with where another of the same partition is begun.
    pub(super) fn left_behind(&self, of: &str) -> Vec<Export> {
        let mut exports = self.exports();
        let (mut left, mut kept): (Vec<_>, Vec<_>) = exports.drain(..).partition(|export| export.of == of);
        let many = kept.len().saturating_sub(EXPORTS_MAX - 1);
        left.extend(kept.drain(..many));
        *exports = kept;
        left
    }

    /// Begins no other for a while.
    pub(super) fn hold(&self, why: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some((Instant::now() + self.rest, why.to_owned()));
    }

    /// How long no other is begun, and why.
    pub(super) fn held(&self) -> Option<(Duration, String)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (until, why) = held?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some((left, why))
    }

    /// What names the files, in the answer that names them; the error is a line for people.
    pub(super) fn named(&self, json: &Json) -> Result<Vec<String>, String> {
        let Some(path) = &self.files else { return Ok(vec![String::new()]) };
        let found = if path.has_wildcard() {
            select::places(json.clone(), path)?
        } else {
            match path.get(json) {
                Some(Json::Array(list)) => list.clone(),
                Some(Json::Null) | None => {
                    return Err(format!(
                        "the export is done, and there is nothing at `{path}` that names its files"
                    ));
                }
                Some(one) => vec![one.clone()],
            }
        };
        if found.len() > FILES_MAX {
            return Err(format!("the export has {} files; {FILES_MAX} are the most", found.len()));
        }
        found.iter().map(name_of).collect()
    }
}

fn name_of(json: &Json) -> Result<String, String> {
    let name = match json {
        Json::String(text) => text.clone(),
        Json::Number(n) => n.to_string(),
        _ => String::new(),
    };
    match name.len() {
        0 => Err("what should name a file of the export is no text".to_owned()),
        len if len > FILE_NAME_MAX => Err(format!("what names a file of the export has {len} bytes")),
        _ => Ok(name),
    }
}

fn states(key: &str, spec: &JobSpec) -> Result<BTreeMap<String, State>, SpecError> {
    let of = &spec.status_mapping;
    let all = [
        (&of.running, State::Running),
        (&of.completed, State::Completed),
        (&of.failed, State::Failed),
        (&of.timeout, State::Timeout),
        (&of.skipped, State::Skipped),
    ];
    let mut states = BTreeMap::new();
    for (names, state) in all {
        for name in names {
            if states.insert(name.clone(), state).is_some_and(|other| other != state) {
                let why = format!("`{name:.60}` cannot mean two things");
                return Err(SpecError::new(format!("{key}.status_mapping"), why));
            }
        }
    }
    if of.completed.is_empty() {
        return Err(SpecError::new(
            format!("{key}.status_mapping.completed"),
            "names no state: it would never end",
        ));
    }
    Ok(states)
}

/// Whether files are asked for at the address that names them.
pub(super) fn is_address(path: &Template) -> bool {
    single(path.as_str()) == Some(FILE)
}

impl Listing {
    /// Sets up the export that it reads, if it does.
    pub(super) fn exported(
        &mut self,
        key: &str,
        base: &BaseUrl,
        spec: &ReadSpec,
        known: &[&str],
    ) -> Result<(), SpecError> {
        let Some(job) = &spec.job else { return Ok(()) };
        let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
        let job = Job::new(&format!("{key}.job"), base, (job, spec), known)?;
        if job.by_address {
            let plain = spec.http_method == ReadMethod::Get
                && spec.request_parameters.is_empty()
                && spec.paginator == Paginator::None;
            if !plain {
                return Err(bad(
                    "path",
                    "is an address, which is asked for as it is: by GET, without parameters or pages",
                ));
            }
            self.ask.label = format!("GET {}", spec.path.as_str());
        }
        let names = job.by_address || self.ask.uses(FILE) || self.body.uses(FILE);
        match (&job.files, names) {
            (Some(_), false) => {
                return Err(bad("path", "does not say which file, as `{{ download_target }}` does"));
            }
            (None, true) => {
                let why = "is needed: a template of this listing names `download_target`";
                return Err(bad("job.download_target_extractor", why));
            }
            _ => {}
        }
        self.job = Some(Box::new(job));
        Ok(())
    }

    /// What the request carries that says from where on is read, and of what.
    pub(super) fn carries(&self) -> Carries {
        self.job.as_ref().map_or(&self.body, |job| &job.create.body).carries()
    }

    /// Has the answers to the requests of its export judged so; `own` is told the name of each and its
    /// own handler.
    pub(crate) fn judge_job_by(
        &mut self,
        spec: &JobSpec,
        own: impl Fn(&str, Option<&ErrorHandler>) -> Result<Option<Verdicts>, SpecError>,
    ) -> Result<(), SpecError> {
        let Some(job) = &mut self.job else { return Ok(()) };
        let named = spec.download_target_requester.as_ref();
        for (name, errand, spec) in [
            ("creation_requester", Some(&mut job.create), Some(&spec.creation_requester)),
            ("polling_requester", Some(&mut job.poll), Some(&spec.polling_requester)),
            ("download_target_requester", job.name.as_mut(), named),
            ("abort_requester", job.abort.as_mut(), spec.abort_requester.as_ref()),
            ("delete_requester", job.delete.as_mut(), spec.delete_requester.as_ref()),
        ] {
            if let (Some(errand), Some(spec)) = (errand, spec) {
                errand.ask.own = own(name, spec.error_handler.as_ref())?;
            }
        }
        Ok(())
    }
}

/// What the templates of a listing may name that reads an export.
pub(super) fn names(is_exported: bool) -> Vec<&'static str> {
    let more: &[&str] = if is_exported { &[CREATED, POLLED, FILE] } else { &[] };
    KNOWN.iter().chain(more).copied().collect()
}

/// Tells that an export was given up.
pub(super) fn gave_up(why: &ReadError) -> bool {
    !matches!(why, ReadError::Later { .. })
}
