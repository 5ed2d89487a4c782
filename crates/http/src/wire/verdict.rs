//! What an answer means: the same for reads and for writes, by the side's `error_handler`.
//! Where that says nothing, the status does; `read` and `write` know how.

use super::answer::Answer;
use super::wait;
use crate::decode;
use crate::error::SpecError;
use crate::spec::{Action, BackoffStrategy, ErrorHandler, ResponseFilter};
use crate::template::{self, Compiled};
use http::HeaderName;
use minijinja::{Value, context};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How deep handlers may hold others.
const DEPTH_MAX: usize = 4;
/// Answers larger than this are not looked into by filters of bodies.
const BODY_MAX: usize = 1 << 20;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What its status says.
    Unsaid,
    /// It is what was asked for.
    Success,
    /// It says nothing, and there is nothing to do.
    Ignore,
    /// Try again; `not_applied`: the side is known to have done nothing.
    Retry { not_applied: bool },
    /// A person has to act.
    Fail,
    /// Nothing is sent to the side for a while.
    RateLimited,
    /// Our token is no longer taken.
    Refresh,
    /// What we asked to go on from is no longer known there.
    Reset,
}

/// A verdict, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// How long to stay away.
    pub(crate) after: Option<Duration>,
    /// What to tell people before the side's own words.
    pub(crate) said: Option<String>,
}

/// A side's handlers, set up, in the order in which they are asked.
#[derive(Debug)]
pub(crate) struct Verdicts {
    handlers: Vec<Handler>,
}

#[derive(Debug)]
struct Handler {
    filters: Vec<Filter>,
    waits: Vec<BackoffStrategy>,
    row: Mutex<Row>,
}

/// Failures in a row, each after the wait that the last one asked for.
#[derive(Debug, Default)]
struct Row {
    length: u32,
    until: Option<Instant>,
}

#[derive(Debug)]
struct Filter {
    spec: ResponseFilter,
    predicate: Option<Compiled>,
}

impl Verdicts {
    pub(crate) fn new(spec: Option<&ErrorHandler>) -> Result<Self, SpecError> {
        let all = Self::of_request([("error_handler".to_owned(), spec)])?;
        Ok(all.unwrap_or(Self { handlers: Vec::new() }))
    }

    /// Those of one kind of request, which are asked before the side's: by their keys in the
    /// config, in this order. Nothing if there are none.
    pub(crate) fn of_request<'s>(
        specs: impl IntoIterator<Item = (String, Option<&'s ErrorHandler>)>,
    ) -> Result<Option<Self>, SpecError> {
        let mut handlers = Vec::new();
        for (key, spec) in specs {
            if let Some(spec) = spec {
                set_up(&key, spec, &mut handlers, 0)?;
            }
        }
        Ok((!handlers.is_empty()).then_some(Self { handlers }))
    }

    /// What `answer` means.
    pub(crate) fn of(&self, answer: &Answer) -> Judged {
        let unsaid = Judged { verdict: Verdict::Unsaid, after: answer.retry_after(), said: None };
        self.speaks(answer).unwrap_or(unsaid)
    }

    /// The same; nothing where no filter speaks of it and no wait is asked for.
    pub(crate) fn speaks(&self, answer: &Answer) -> Option<Judged> {
        let body = Body { answer, json: None };
        let found = self.handlers.iter().find_map(|handler| {
            let filter = handler.filters.iter().find(|filter| filter.fits(&body))?;
            Some((handler, &filter.spec))
        });
        let Some((handler, filter)) = found else { return self.unsaid(answer) };
        Some(self.filtered(handler, filter, answer))
    }

    fn filtered(&self, handler: &Handler, filter: &ResponseFilter, answer: &Answer) -> Judged {
        let verdict = match filter.action {
            Action::Success => Verdict::Success,
            Action::Ignore => Verdict::Ignore,
            Action::Retry => Verdict::Retry { not_applied: filter.not_applied },
            Action::Fail => Verdict::Fail,
            Action::RateLimited => Verdict::RateLimited,
            Action::RefreshTokenThenRetry => Verdict::Refresh,
            Action::ResetCursor => Verdict::Reset,
        };
        let said = filter.error_message.clone();
        match verdict {
            Verdict::Retry { .. } | Verdict::RateLimited => handler.after(verdict, said, answer),
            Verdict::Success => {
                self.well();
                Judged { verdict, after: None, said }
            }
            _ => Judged { verdict, after: None, said },
        }
    }

    /// Answers of which no filter speaks still wait as the strategies say.
    fn unsaid(&self, answer: &Answer) -> Option<Judged> {
        if answer.status.is_success() {
            self.well();
        } else if answer.status.is_server_error() || answer.status.as_u16() == 429 {
            let waits = self.handlers.iter().find(|handler| !handler.waits.is_empty());
            if let Some(handler) = waits {
                return Some(handler.after(Verdict::Unsaid, None, answer));
            }
        }
        None
    }

    fn well(&self) {
        for handler in &self.handlers {
            *handler.row() = Row::default();
        }
    }
}

fn set_up(
    key: &str,
    spec: &ErrorHandler,
    handlers: &mut Vec<Handler>,
    depth: usize,
) -> Result<(), SpecError> {
    if depth > DEPTH_MAX {
        return Err(SpecError::new(key, format!("handlers hold others {DEPTH_MAX} deep at most")));
    }
    for (index, inner) in spec.error_handlers.iter().enumerate() {
        set_up(&format!("{key}.error_handlers.{}", index + 1), inner, handlers, depth + 1)?;
    }
    let filters = spec.response_filters.iter().enumerate();
    let filters = filters.map(|(index, spec)| {
        let key = format!("{key}.response_filters.{}", index + 1);
        let compiled = |text: &crate::spec::Template| {
            Compiled::text(text.as_str(), &["response", "headers", "status"])
                .map_err(|why| SpecError::new(format!("{key}.predicate"), why))
        };
        if let Some(code) = spec.http_codes.iter().find(|code| !(100..=599).contains(*code)) {
            return Err(SpecError::new(format!("{key}.http_codes"), format!("{code} is no status")));
        }
        let predicate = spec.predicate.as_ref().map(compiled).transpose()?;
        Ok(Filter { spec: spec.clone(), predicate })
    });
    let filters = filters.collect::<Result<_, _>>()?;
    for (index, wait) in spec.backoff_strategies.iter().enumerate() {
        sound(wait).map_err(|why| SpecError::new(format!("{key}.backoff_strategies.{}", index + 1), why))?;
    }
    let waits = spec.backoff_strategies.clone();
    handlers.push(Handler { filters, waits, row: Mutex::default() });
    Ok(())
}

fn sound(wait: &BackoffStrategy) -> Result<(), String> {
    let seconds = |n: f64| wait::length(n).map(|_| ()).ok_or_else(|| format!("{n} is no length in seconds"));
    let header = |name: &str| {
        HeaderName::try_from(name).map(|_| ()).map_err(|_| format!("`{name:.60}` is no name of a header"))
    };
    match wait {
        BackoffStrategy::Constant { backoff_time_in_seconds: n }
        | BackoffStrategy::Exponential { factor: n } => seconds(*n),
        BackoffStrategy::WaitTimeFromHeader { header: name, max_waiting_time_in_seconds: n }
        | BackoffStrategy::WaitUntilTimeFromHeader { header: name, min_wait: n } => {
            header(name).and_then(|()| n.map_or(Ok(()), seconds))
        }
    }
}

impl Handler {
    /// A wait longer than a person wanted to wait is theirs to look at.
    fn after(&self, verdict: Verdict, said: Option<String>, answer: &Answer) -> Judged {
        let mut found = None;
        for strategy in &self.waits {
            match strategy {
                BackoffStrategy::Constant { backoff_time_in_seconds } => {
                    found = wait::length(*backoff_time_in_seconds);
                }
                BackoffStrategy::Exponential { factor } => found = Some(self.next_in_row(*factor)),
                BackoffStrategy::WaitTimeFromHeader { header, max_waiting_time_in_seconds } => {
                    found =
                        answer.text(header).and_then(|text| wait::time(text, wait::clock(&answer.headers)));
                    let most = max_waiting_time_in_seconds.and_then(wait::length);
                    if let (Some(wait), Some(most)) = (found, most)
                        && wait > most
                    {
                        let wait = humantime::format_duration(wait);
                        let said = Some(format!("`{header}` asks for {wait}, longer than is waited for"));
                        return Judged { verdict: Verdict::Fail, after: None, said };
                    }
                }
                BackoffStrategy::WaitUntilTimeFromHeader { header, min_wait } => {
                    let least = min_wait.and_then(wait::length);
                    let told =
                        answer.text(header).and_then(|text| wait::until(text, wait::clock(&answer.headers)));
                    found = told.max(least.filter(|_| told.is_some()));
                }
            }
            if found.is_some() {
                break;
            }
        }
        let after = found.map(wait::clamped).or_else(|| answer.retry_after());
        let cut = found.filter(|wait| *wait > wait::WAIT_MAX).map(|wait| {
            format!("a wait of {} was asked for, an hour is kept", humantime::format_duration(wait))
        });
        Judged { verdict, after, said: said.or(cut) }
    }

    /// A failure while the last wait goes on tells nothing new.
    fn next_in_row(&self, factor: f64) -> Duration {
        let mut row = self.row();
        let now = Instant::now();
        if row.until.is_none_or(|until| until <= now) {
            row.length = row.length.saturating_add(1);
        }
        let doubled = factor * f64::from(1_u32 << row.length.saturating_sub(1).min(20));
        let wait = wait::clamped(wait::length(doubled).unwrap_or(wait::WAIT_MAX));
        if row.until.is_none_or(|until| until <= now) {
            row.until = Some(now + wait);
        }
        wait
    }

    /// Nothing that can panic is done with it.
    fn row(&self) -> std::sync::MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's body as filters see it.
struct Body<'a> {
    answer: &'a Answer,
    json: Option<Json>,
}

impl Body<'_> {
    fn bytes(&self) -> &[u8] {
        self.answer.body.as_deref().unwrap_or_default()
    }

    fn context(&self) -> Value {
        let json = self.json.clone().or_else(|| decode::read(self.bytes()).ok());
        let headers: BTreeMap<String, String> = (self.answer.headers.iter())
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        context! {
            response => json.as_ref().map_or(Value::UNDEFINED, template::value),
            headers => headers,
            status => self.answer.status.as_u16(),
        }
    }
}

impl Filter {
    fn fits(&self, body: &Body<'_>) -> bool {
        let spec = &self.spec;
        let bare =
            spec.http_codes.is_empty() && spec.error_message_contains.is_none() && self.predicate.is_none();
        if bare {
            return !body.answer.status.is_success();
        }
        if !spec.http_codes.is_empty() && !spec.http_codes.contains(&body.answer.status.as_u16()) {
            return false;
        }
        if body.bytes().len() > BODY_MAX
            && (spec.error_message_contains.is_some() || self.predicate.is_some())
        {
            return false;
        }
        if let Some(text) = &spec.error_message_contains
            && !contains(body.bytes(), text.as_bytes())
        {
            return false;
        }
        // An expression that cannot be worked out on this answer does not speak of it.
        self.predicate.as_ref().is_none_or(|text| text.fill(&body.context()).is_ok_and(|said| is_true(&said)))
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|part| part == text)
}

fn is_true(said: &str) -> bool {
    !matches!(said.trim(), "" | "0" | "[]" | "{}" | "false" | "False" | "none" | "None" | "null")
}
