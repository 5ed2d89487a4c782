//! A listing, page by page: what changed since a cursor, or everything.

mod ask;
mod since;
mod take;

use crate::error::SpecError;
use crate::formula::Formula;
use crate::next::Follow;
use crate::paging::{Paging, Progress, Style, hash};
use crate::request::{Ask, Parts};
use crate::select::Lens;
use crate::shape::Shape;
use crate::spec::{BaseUrl, OnEmpty, Paginator, ReadMethod, ReadSpec, RequestOption};
use crate::spot::Spot;
use crate::stamp::Scale;
use crate::wire::{Answer, Verdict, Wire};
use chrono::{DateTime, Utc};
use hms_sync_connector::{Page, PageToken, ReadError, ReadRequest, Scope};
use http::Method;
use since::Since;
use std::time::Duration;
use url::Url;

/// What the templates of a listing may name.
const KNOWN: &[&str] = &["cursor", "cursor_end", "cursor_id", "page_size", "next_page_token"];

/// A listing, set up.
#[derive(Debug)]
pub(crate) struct Listing {
    ask: Ask,
    body: Option<Shape>,
    pages: Pages,
    paging: Paging,
    follow: Follow,
    since: Option<Since>,
    /// Which records are taken; the others are passed over.
    filter: Option<Formula>,
    on_empty: OnEmpty,
    /// A number for all that says what is read, and in which pages.
    settings: u64,
}

/// Where in a request a paginator's values go.
#[derive(Debug, Default)]
struct Pages {
    size: Option<String>,
    at: Option<String>,
    token: Option<Spot>,
    first: u64,
}

impl Listing {
    pub(crate) fn new(key: &str, base: &BaseUrl, spec: &ReadSpec, lens: &Lens) -> Result<Self, SpecError> {
        let parts = Parts {
            path: &spec.path,
            parameters: &spec.request_parameters,
            headers: &spec.request_headers,
            selector: spec.record_selector.as_ref().filter(|selector| !selector.field_path.is_empty()),
        };
        let method = match spec.http_method {
            ReadMethod::Get => Method::GET,
            ReadMethod::Post => Method::POST,
        };
        let mut ask = Ask::new(key, method, base, &parts, KNOWN)?;
        ask.decode(&format!("{key}.decoder"), &spec.decoder)?;
        let mut listing = Self {
            body: body(key, spec)?,
            pages: Pages::default(),
            paging: Paging::new(Style::Whole, 0),
            follow: Follow::new(&format!("{key}.paginator"), &spec.paginator)?,
            since: None,
            filter: filter(key, spec)?,
            on_empty: spec.on_empty,
            settings: hash(&format!("{base} {spec:?}")),
            ask,
        };
        let since = spec
            .incremental_sync
            .as_ref()
            .map(|sync| Since::new(&format!("{key}.incremental_sync"), sync, &listing))
            .transpose()?;
        listing.since = since;
        listing.page_by(&format!("{key}.paginator"), &spec.paginator)?;
        listing.check_keyset(key, spec, lens)?;
        Ok(listing)
    }

    /// Sets up how it is cut into pages.
    fn page_by(&mut self, key: &str, spec: &Paginator) -> Result<(), SpecError> {
        let size = |n: &u32| usize::try_from(*n).unwrap_or(usize::MAX);
        let optional = |n: &Option<u32>| n.as_ref().map_or(0, size);
        let named = |n: &Option<u32>, name: &String| n.is_some().then(|| name.clone());
        let (style, asked, most, pages) = match spec {
            Paginator::None => (Style::Whole, 0, None, Pages::default()),
            Paginator::Offset { page_size, offset_param, limit_param, max_pages, .. } => {
                let at = Some(offset_param.clone());
                let pages = Pages { size: Some(limit_param.clone()), at, ..Pages::default() };
                (Style::Offset, size(page_size), *max_pages, pages)
            }
            Paginator::Page { page_size, page_param, page_size_param, start_from, max_pages, .. } => {
                let at = Some(page_param.clone());
                let pages =
                    Pages { size: Some(page_size_param.clone()), at, first: *start_from, ..Pages::default() };
                (Style::Numbered, size(page_size), *max_pages, pages)
            }
            Paginator::Keyset { page_size, limit_param, max_pages, .. } => {
                let pages = Pages { size: limit_param.clone(), ..Pages::default() };
                (Style::Keyset, size(page_size), *max_pages, pages)
            }
            Paginator::LinkHeader { page_size, limit_param, max_pages, .. }
            | Paginator::NextUrl { page_size, limit_param, max_pages, .. } => {
                let pages = Pages { size: named(page_size, limit_param), ..Pages::default() };
                (Style::Token, optional(page_size), *max_pages, pages)
            }
            Paginator::Cursor(spec) => {
                let token =
                    self.token_spot(key, spec.cursor_param.as_ref(), spec.page_token_option.as_ref())?;
                let pages =
                    Pages { size: named(&spec.page_size, &spec.limit_param), token, ..Pages::default() };
                self.paging.stop_after_empty = spec.stop_after_empty_page;
                (Style::Token, optional(&spec.page_size), spec.max_pages, pages)
            }
        };
        let bad = |name: &str| SpecError::new(format!("{key}.{name}"), "must be 1 at least");
        let counted = matches!(style, Style::Offset | Style::Numbered | Style::Keyset);
        if asked == 0 && (counted || pages.size.is_some()) {
            return Err(bad("page_size"));
        }
        self.paging.style = style;
        self.paging.asked = asked;
        self.paging.max_pages = match most {
            Some(0) => return Err(bad("max_pages")),
            Some(most) => most,
            None => self.paging.max_pages,
        };
        self.pages = pages;
        Ok(())
    }

    /// Where the token of the next page goes, unless templates put it somewhere.
    fn token_spot(
        &self,
        key: &str,
        parameter: Option<&String>,
        option: Option<&RequestOption>,
    ) -> Result<Option<Spot>, SpecError> {
        match (parameter, option) {
            (Some(_), Some(_)) => {
                Err(SpecError::new(key, "has both `cursor_param` and `page_token_option`; one is enough"))
            }
            (Some(name), None) => Ok(Some(Spot::Parameter(name.clone()))),
            (None, Some(option)) => {
                Spot::new(&format!("{key}.page_token_option"), option, self.is_post()).map(Some)
            }
            (None, None) if self.uses("next_page_token") => Ok(None),
            (None, None) => Ok(Some(Spot::Parameter("cursor".to_owned()))),
        }
    }

    fn check_keyset(&mut self, key: &str, spec: &ReadSpec, lens: &Lens) -> Result<(), SpecError> {
        let Paginator::Keyset { key_field, .. } = &spec.paginator else { return Ok(()) };
        if !self.uses("cursor") && !self.uses("cursor_id") {
            let reason = "a keyset needs `{{ cursor }}` or `{{ cursor_id }}` in a parameter";
            return Err(SpecError::new(format!("{key}.request_parameters"), reason));
        }
        if self.since.is_none() {
            // A keyset without polling for changes still has a field to go on from.
            let field = key_field.clone().unwrap_or_else(|| lens.primary_key.clone());
            let scale =
                Scale::new(field, None, None).map_err(|e| SpecError::new(format!("{key}.paginator"), e))?;
            self.since = Some(Since::only(scale));
        }
        Ok(())
    }

    pub(crate) fn is_incremental(&self) -> bool {
        self.since.as_ref().is_some_and(|since| since.sent() || self.uses("cursor"))
    }

    fn is_post(&self) -> bool {
        self.ask.method == Method::POST
    }

    /// Whether any template of its requests names `name`.
    fn uses(&self, name: &str) -> bool {
        self.ask.uses(name) || self.body.as_ref().is_some_and(|body| body.uses(name))
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
            None => self.start(&request.scope, Utc::now()),
        };
        let everything = request.scope == Scope::Everything;
        let (asked, answer) = self.ask_page(wire, &progress, self.paging.asked).await?;
        if answer.judged.verdict == Verdict::Ignore {
            return Ok(self.ignored(&answer));
        }
        let (mut facts, mut page) = self.take(lens, wire.base(), &asked, &answer)?;
        if self.follow.is_address() {
            let bare = |text: String| Url::parse(&text).map_or(text, |url| wire.bare(url).into());
            facts.next = facts.next.map(bare);
        }
        facts.elapsed = elapsed(&progress, Utc::now());
        self.stop_where_known(&progress, &mut facts).map_err(|why| self.broken(&why))?;
        self.leave_out_known(&progress, &mut page);
        page.partial = everything && self.since.as_ref().is_some_and(Since::leaves_out);
        let scale = self.since.as_ref().filter(|since| !since.last_run || self.paging.style == Style::Keyset);
        let turn = self.paging.turn(&progress, &facts, scale.map(|since| &since.scale));
        let turn = turn.map_err(|why| self.broken(&why))?;
        let nothing = turn.last.as_ref().is_some_and(Progress::showed_nothing);
        let (cursor, next) = self.beyond_slice(turn);
        if everything && nothing && next.is_none() {
            page.partial |= self.on_empty == OnEmpty::Skip;
            page.empty_is_meant = self.on_empty == OnEmpty::Sync;
        }
        page.cursor = self.cursor(&progress, cursor, next.is_none());
        page.next = match next {
            Some(next) => {
                Some(PageToken(serde_json::to_string(&next).map_err(|e| self.broken(&e.to_string()))?))
            }
            None => None,
        };
        Ok(page)
    }

    /// Asks for one record at most; answers with a line for people.
    pub(crate) async fn check(&self, wire: &Wire, lens: &Lens) -> Result<String, ReadError> {
        let (asked, answer) = self.ask_page(wire, &self.start(&Scope::Everything, Utc::now()), 1).await?;
        let (facts, page) = self.take(lens, wire.base(), &asked, &answer)?;
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

    /// An answer that is not to be minded ends the pass. It is no complete listing.
    fn ignored(&self, answer: &Answer) -> Page {
        let line = format!("{}: {}, which `error_handler` ignores", self.ask.label, answer.words());
        Page { unreadable: vec![line], ..Page::default() }
    }

    fn broken(&self, why: &str) -> ReadError {
        ReadError::Broken { reason: format!("{}: {why}", self.ask.label) }
    }

    fn denied(&self, why: &str) -> ReadError {
        ReadError::Denied { reason: format!("{}: {why}", self.ask.label) }
    }
}

fn elapsed(progress: &Progress, now: DateTime<Utc>) -> Duration {
    let micros = now.timestamp_micros().saturating_sub(progress.began);
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

fn body(key: &str, spec: &ReadSpec) -> Result<Option<Shape>, SpecError> {
    let bad = |why: String| SpecError::new(format!("{key}.request_body_json"), why);
    match (&spec.request_body_json, spec.http_method) {
        (Some(_), ReadMethod::Get) => Err(bad("needs `http_method: POST`".to_owned())),
        (Some(json), ReadMethod::Post) => Shape::new(json, KNOWN).map(Some).map_err(bad),
        (None, _) => Ok(None),
    }
}

fn filter(key: &str, spec: &ReadSpec) -> Result<Option<Formula>, SpecError> {
    let filter = spec.record_selector.as_ref().and_then(|selector| selector.record_filter.as_ref());
    let new = |filter: &crate::spec::RecordFilter| {
        Formula::new(filter.condition.as_str(), &["record"])
            .map_err(|e| SpecError::new(format!("{key}.record_selector.record_filter.condition"), e))
    };
    filter.map(new).transpose()
}
