//! A listing, page by page: what changed since a cursor, or everything.

mod ask;
mod carried;
mod export;
mod filter;
mod job;
mod marks;
mod pages;
mod parents;
mod since;
mod take;
mod token;
mod walk;

use crate::error::SpecError;
use crate::next::Follow;
use crate::paging::{Facts, Paging, Progress, Style, hash};
use crate::partition::{Namings, Partition};
use crate::read::good;
use crate::request::{Ask, Parts};
use crate::select::Lens;
use crate::spec::{BaseUrl, FieldPath, HttpCollection, OnEmpty, Paginator, ReadMethod, ReadSpec, Template};
use crate::stamp::Scale;
use crate::wire::{Answer, Verdict, Verdicts, Wire};
use carried::Carried;
use chrono::{DateTime, Utc};
use export::File;
use filter::Filter;
use hms_sync_connector::{Page, PageToken, ReadError, ReadRequest, Scope};
use hms_sync_model::CollectionName;
use http::{Method, StatusCode};
use job::Job;
use pages::Pages;
use serde::Serialize;
use serde::de::DeserializeOwned;
use since::Since;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;
use walk::Router;

/// What the templates of a listing may name.
const KNOWN: &[&str] = &["cursor", "cursor_end", "cursor_id", "page_size", "next_page_token"];

/// So often one pass begins anew because the side lost what it was to go on from.
const RESETS_MAX: u32 = 3;

/// A listing, set up.
#[derive(Debug)]
pub(crate) struct Listing {
    ask: Ask,
    body: Carried,
    pages: Pages,
    paging: Paging,
    follow: Follow,
    since: Option<Since>,
    /// Of records with the same id on one page all are shown, as they come.
    shows_all: bool,
    /// Which records are taken; the others are passed over.
    filter: Option<Filter>,
    on_empty: OnEmpty,
    /// The export that it reads, if the side makes one.
    job: Option<Box<Job>>,
    /// Where there are several listings of this kind.
    router: Option<Router>,
    /// Entries may be ids alone, which then stand here.
    bare: Option<FieldPath>,
    /// A number for all that says what is read, and in which pages.
    settings: u64,
}

/// The listing of a partition, where there are several.
type Of<'p> = Option<(&'p Namings, &'p Partition)>;

/// What a page showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Records, it or a page before it.
    Records,
    /// None so far.
    Empty,
    /// It could not be read, and is passed over.
    Unread,
    /// The same, because we are not let in.
    Refused,
    /// The side fails at it.
    Failing,
}

impl Shown {
    fn is_unread(self) -> bool {
        matches!(self, Self::Unread | Self::Refused | Self::Failing)
    }
}

/// A page that was made of an answer, and where the pass goes on.
struct Turned {
    page: Page,
    shown: Shown,
    next: Option<Progress>,
}

/// The collections of a side, for those that list others first.
pub(crate) type Family = BTreeMap<CollectionName, HttpCollection>;

/// What a listing is set up among.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'s> {
    pub(crate) base: &'s BaseUrl,
    pub(crate) family: &'s Family,
}

impl Listing {
    pub(crate) fn new(key: &str, spec: &ReadSpec, lens: &Lens, setup: Setup<'_>) -> Result<Self, SpecError> {
        Self::below(key, setup.base, spec, lens, setup.family, 0)
    }

    /// The same for parents of parents, so many deep.
    fn below(
        key: &str,
        base: &BaseUrl,
        spec: &ReadSpec,
        lens: &Lens,
        family: &Family,
        depth: usize,
    ) -> Result<Self, SpecError> {
        let is_parted = spec.partition_router.is_some();
        let known = walk::names(&job::names(spec.job.is_some()), is_parted);
        let root = Template::root();
        let by_address = spec.job.is_some() && job::is_address(&spec.path);
        let parts = Parts {
            path: if by_address { &root } else { &spec.path },
            parameters: &spec.request_parameters,
            headers: &spec.request_headers,
            selector: spec.record_selector.as_ref().filter(|selector| !selector.field_path.is_empty()),
        };
        let method = match spec.http_method {
            ReadMethod::Get => Method::GET,
            ReadMethod::Post => Method::POST,
            ReadMethod::Propfind => dav(b"PROPFIND"),
            ReadMethod::Report => dav(b"REPORT"),
        };
        let mut ask = Ask::new(key, method, base, &parts, &known)?;
        ask.decode(&format!("{key}.decoder"), &spec.decoder)?;
        let mut listing = Self {
            body: Carried::new(key, spec, &known)?,
            pages: Pages::default(),
            paging: Paging::new(Style::Whole, 0),
            follow: Follow::new(&format!("{key}.paginator"), &spec.paginator)?,
            since: None,
            shows_all: false,
            filter: None,
            on_empty: spec.on_empty,
            job: None,
            router: None,
            bare: None,
            settings: hash(&format!("{base} {spec:?}")),
            ask,
        };
        listing.ask.own =
            Verdicts::of_request([(format!("{key}.error_handler"), spec.error_handler.as_ref())])?;
        listing.exported(key, base, spec, &walk::names(KNOWN, is_parted))?;
        let since = spec
            .incremental_sync
            .as_ref()
            .map(|sync| Since::new(&format!("{key}.incremental_sync"), sync, &listing))
            .transpose()?;
        if lens.names_end() && !since.as_ref().is_some_and(Since::has_end) {
            let why = "names `cursor_end`, and no request does: a poll reads up to now";
            let of = key.strip_suffix(".read").unwrap_or(key);
            return Err(SpecError::new(format!("{of}.transformations"), why));
        }
        listing.since = since;
        listing.page_by(&format!("{key}.paginator"), &spec.paginator)?;
        listing.check_keyset(key, spec, lens)?;
        let cursor = listing.since.as_ref().map(|since| since.scale.field());
        listing.filter = Filter::new(key, spec, lens, cursor)?;
        if let Some(router) = &spec.partition_router {
            listing.parted(&format!("{key}.partition_router"), base, router, family, depth)?;
        }
        listing.settle_body(key)?;
        Ok(listing)
    }

    fn check_keyset(&mut self, key: &str, spec: &ReadSpec, lens: &Lens) -> Result<(), SpecError> {
        let Paginator::Keyset { key_field, .. } = &spec.paginator else { return Ok(()) };
        if !self.uses("cursor") && !self.uses("cursor_id") {
            let reason = "a keyset needs `{{ cursor }}` or `{{ cursor_id }}` in a parameter";
            return Err(SpecError::new(format!("{key}.request_parameters"), reason));
        }
        if self.since.is_none() {
            // A keyset without polling for changes still has a field to go on from.
            let Some(field) = key_field.as_ref().or(lens.key.alone()).cloned() else {
                let reason = "needs `key_field`: the primary key has several parts";
                return Err(SpecError::new(format!("{key}.paginator"), reason));
            };
            let scale =
                Scale::new(field, None, None).map_err(|e| SpecError::new(format!("{key}.paginator"), e))?;
            self.since = Some(Since::only(scale));
        }
        Ok(())
    }

    /// Takes entries that are ids alone, which they can be where the key has one part, as records with nothing else.
    pub(crate) fn take_bare(&mut self, id: Option<FieldPath>) {
        self.bare = id;
    }

    /// Has its answers judged so.
    pub(crate) fn judge_by(&mut self, own: Option<Verdicts>) {
        self.ask.own = own;
    }

    /// Places in records that are filled with what is known of their partition.
    pub(crate) fn filled(&self) -> Vec<Vec<String>> {
        self.router.as_ref().map(|router| router.namings.marked()).unwrap_or_default()
    }

    pub(crate) fn is_incremental(&self) -> bool {
        self.since.as_ref().is_some_and(|since| since.sent() || self.uses("cursor"))
    }

    /// Whether any template of its requests names `name`.
    fn uses(&self, name: &str) -> bool {
        self.ask.uses(name) || self.body.uses(name) || self.job.as_ref().is_some_and(|job| job.uses(name))
    }

    /// Reads one page.
    pub(crate) async fn page(
        &self,
        wire: &Wire,
        lens: &Lens,
        request: ReadRequest,
    ) -> Result<Page, ReadError> {
        if let Some(router) = &self.router {
            return self.walk(router, wire, lens, &request).await;
        }
        let everything = request.scope == Scope::Everything;
        let (mut page, shown) = self.page_of(wire, lens, None, &request.scope, request.after).await?;
        if everything && shown == Shown::Empty && page.next.is_none() {
            page.partial |= self.on_empty == OnEmpty::Skip;
            page.empty_is_meant = self.on_empty == OnEmpty::Sync;
        }
        Ok(page)
    }

    /// Reads one page of one listing.
    async fn page_of(
        &self,
        wire: &Wire,
        lens: &Lens,
        of: Of<'_>,
        scope: &Scope,
        after: Option<PageToken>,
    ) -> Result<(Page, Shown), ReadError> {
        let progress = match &after {
            Some(token) => self.place(token, |progress: &Progress| progress.settings)?,
            None => self.start(scope, Utc::now()),
        };
        if let Some(job) = &self.job {
            return self.page_of_export((job, wire), lens, of, scope, &progress).await;
        }
        let asked = self.ask_page(wire, &progress, (of, None), self.paging.asked).await?;
        self.handed(self.answered((wire, lens), of, scope, &progress, asked, None)?)
    }

    /// What a page is that was asked for.
    fn answered(
        &self,
        (wire, lens): (&Wire, &Lens),
        of: Of<'_>,
        scope: &Scope,
        progress: &Progress,
        (asked, answer): (Url, Answer),
        file: Option<&File>,
    ) -> Result<Turned, ReadError> {
        if let Some(shown) = Self::unread(of, &answer) {
            return Ok(Turned { page: self.ignored(of, &answer), shown, next: None });
        }
        if answer.judged.verdict == Verdict::Reset {
            let next = Some(self.anew(progress, &answer)?);
            return Ok(Turned { page: Page::default(), shown: Shown::Records, next });
        }
        let (mut facts, page) = self.take(lens, (wire, &asked), (of, progress), &answer)?;
        if self.follow.is_address() {
            let bare = |text: String| Url::parse(&text).map_or(text, |url| wire.bare(url).into());
            facts.next = facts.next.map(bare);
        }
        if let Some(file) = file {
            // What came since is not in it.
            facts.date = file.date();
        }
        self.turned(scope, progress, (facts, page), file)
    }

    /// What a page is by what it shows, and what comes after it.
    fn turned(
        &self,
        scope: &Scope,
        progress: &Progress,
        (mut facts, mut page): (Facts, Page),
        file: Option<&File>,
    ) -> Result<Turned, ReadError> {
        facts.elapsed = elapsed(progress, Utc::now());
        self.stop_where_known(progress, &mut facts).map_err(|why| self.broken(&why))?;
        self.leave_out_known(progress, &mut page);
        page.partial = *scope == Scope::Everything && self.since.as_ref().is_some_and(Since::leaves_out);
        let scale = self.since.as_ref().filter(|since| !since.last_run || self.paging.style == Style::Keyset);
        let turn = self.paging.turn(progress, &facts, scale.map(|since| &since.scale));
        let turn = turn.map_err(|why| self.broken(&why))?;
        page.shown_before = progress.shown_before(&facts).min(page.records.len());
        let nothing = turn.last.as_ref().is_some_and(Progress::showed_nothing);
        let (cursor, next) = match (file.filter(|file| !file.is_last), &turn.last) {
            (Some(file), Some(last)) => (None, Some(file.next(last))),
            (Some(_), None) => (None, turn.next),
            (None, _) => self.beyond_slice(turn),
        };
        page.cursor = self.cursor(progress, cursor, next.is_none());
        Ok(Turned { page, shown: if nothing { Shown::Empty } else { Shown::Records }, next })
    }

    /// A page as it is handed out.
    fn handed(&self, turned: Turned) -> Result<(Page, Shown), ReadError> {
        let Turned { page, shown, next } = turned;
        let next = next.map(|next| self.token(&next)).transpose()?;
        Ok((Page { next, ..page }, shown))
    }

    /// Where a pass goes on, by what it gave out earlier: perhaps before a restart, with other
    /// settings.
    fn place<T: DeserializeOwned>(
        &self,
        token: &PageToken,
        settings: impl Fn(&T) -> u64,
    ) -> Result<T, ReadError> {
        let place = token::read(token).ok_or_else(|| self.broken("a page token that is not ours"))?;
        if settings(&place) != self.settings {
            return Err(self.broken("it was under way when its settings were changed; it begins anew"));
        }
        Ok(place)
    }

    fn token(&self, place: &impl Serialize) -> Result<PageToken, ReadError> {
        token::written(place).map_err(|why| self.broken(&why))
    }

    /// The listing from its beginning, where the side no longer knows what it was to go on
    /// from.
    fn anew(&self, progress: &Progress, answer: &Answer) -> Result<Progress, ReadError> {
        let words = answer.words();
        if !progress.since && progress.is_first() {
            let why = "although everything was asked for from the beginning";
            return Err(
                self.denied(&format!("{words}, which `error_handler` takes for a lost cursor, {why}"))
            );
        }
        if progress.resets >= RESETS_MAX {
            return Err(self.broken(&format!("{words}, and that each time it is begun anew")));
        }
        tracing::warn!(listing = %self.ask.label, %words, "the cursor is no longer taken; everything is read");
        let mut next = self.start(&Scope::Everything, Utc::now());
        next.resets = progress.resets + 1;
        Ok(next)
    }

    /// Asks for one record at most; answers with a line for people.
    pub(crate) async fn check(
        &self,
        wire: &Wire,
        lens: &Lens,
        collection: &CollectionName,
    ) -> Result<String, ReadError> {
        match &self.router {
            Some(router) => self.check_walk(router, wire, lens, collection).await,
            None => self.check_one(wire, lens, None).await,
        }
    }

    async fn check_one(&self, wire: &Wire, lens: &Lens, of: Of<'_>) -> Result<String, ReadError> {
        if let Some(job) = &self.job {
            let label = &job.create.ask.label;
            return Ok(format!("{label} begins an export when records are read, and not for a check"));
        }
        let progress = self.start(&Scope::Everything, Utc::now());
        let (asked, answer) = self.ask_page(wire, &progress, (of, None), 1).await?;
        let answer = good(&self.ask, answer)?;
        let (facts, page) = self.take(lens, (wire, &asked), (of, &progress), &answer)?;
        if let Some(line) = page.unreadable.first() {
            return Err(self.broken(line));
        }
        let many = facts.total.map_or(String::new(), |total| format!(", {total} records in all"));
        let shown = match page.records.first() {
            Some(record) => format!("the first record is {:.60}", record.id.as_str()),
            None => "no records".to_owned(),
        };
        let place = facts.place.map_or(String::new(), |place| format!(", records are taken from `{place}`"));
        Ok(format!("{} answers: {shown}{many}{place}", self.ask.label))
    }

    /// Why nothing is made of an answer, if nothing is: the side's filters say so, or a parent
    /// that was listed has no such list, or not for us, or none that the side can make.
    fn unread(of: Of<'_>, answer: &Answer) -> Option<Shown> {
        if answer.judged.verdict == Verdict::Ignore {
            return Some(Shown::Unread);
        }
        match answer.status {
            _ if of.is_none() || answer.is_judged() => None,
            StatusCode::NOT_FOUND | StatusCode::GONE => Some(Shown::Unread),
            StatusCode::FORBIDDEN => Some(Shown::Refused),
            // That is said of the whole side.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => None,
            status => status.is_server_error().then_some(Shown::Failing),
        }
    }

    /// An answer that is not to be minded ends the pass. It is no complete listing.
    fn ignored(&self, of: Of<'_>, answer: &Answer) -> Page {
        let why = match answer.judged.verdict {
            Verdict::Ignore => "which `error_handler` ignores",
            _ => "so nothing is known of what is below it",
        };
        let of = of.map_or(String::new(), |(namings, of)| format!(" for {}", namings.label(of)));
        let line = format!("{}{of}: {}, {why}", self.ask.label, answer.words());
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

/// A method of `WebDAV`.
fn dav(name: &[u8]) -> Method {
    Method::from_bytes(name).unwrap_or(Method::GET)
}
