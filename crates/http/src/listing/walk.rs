//! A listing that is read partition by partition: the parents' pages, and for each parent
//! the pages of its children. One request a page, so that a pass can stop anywhere.
//!
//! What is remembered of a pass between its pages may be lost: then the page of parents it
//! was at is asked for once more, and those before it are read from the beginning next time.

use super::marks::{Known, Learned, Marks};
use super::since::Mark;
use super::{Listing, Shown};
use crate::partition::{NAMES, Naming, Namings, Partition, Print};
use crate::select::{Lens, scalar_id};
use crate::spec::{FieldPath, OnEmpty};
use crate::wire::Wire;
use chrono::Utc;
use hms_sync_connector::{Content, Cursor, Page, PageToken, ReadError, ReadRequest, Scope, Unread};
use hms_sync_model::CollectionName;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// After so many partitions that showed something, a poll need not begin before them.
const MARKED_EVERY: usize = 256;
/// How often the side is asked again for one that it fails at, before the others are read.
const TRIES_MAX: u32 = 2;
/// Pages of parents that are read at once, of routers behind the first.
const INNER_PAGES_MAX: usize = 100;
/// Passes of one listing that are remembered at once; there is one, but for tests and checks.
const PASSES_MAX: usize = 4;

/// What makes the partitions of a listing.
#[derive(Debug)]
pub(crate) struct Router {
    pub(super) namings: Namings,
    /// Of each router, the kinds of its parents.
    sources: Vec<Vec<Source>>,
    passes: Mutex<Vec<Pass>>,
}

/// Where partitions come from.
#[derive(Debug)]
pub(super) enum Source {
    Values(Vec<Partition>),
    Parents { listing: Box<Listing>, lens: Box<Lens>, key: FieldPath },
}

/// How far a pass has come; travels in the page token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Step {
    /// The settings of the listing that the pass is of.
    settings: u64,
    /// When it began, in microseconds of our clock; names what is remembered of it.
    began: i64,
    /// The page of parents that it is at.
    parents: Option<String>,
    /// The partition of it that is to be read.
    at: Option<Print>,
    /// The page of that one; nothing for the first.
    child: Option<String>,
    /// Whether any page showed a record.
    shown: bool,
}

/// What is remembered of a pass.
#[derive(Debug, Default)]
struct Pass {
    began: i64,
    known: Known,
    learned: Learned,
    /// The partitions of the page of parents that are still to be read.
    queue: VecDeque<Partition>,
    /// Whether that page was read.
    loaded: bool,
    /// The page of parents after it.
    next: Option<String>,
    /// What was learned since a cursor was given.
    unmarked: usize,
    /// Whether any partition was read.
    any_read: bool,
    /// Why the first one was not that could not be.
    unread: Option<(Shown, String)>,
    /// How often the one that is to be read was tried, and the side failed.
    tries: u32,
}

impl Router {
    pub(super) fn new(namings: Namings, sources: Vec<Vec<Source>>) -> Self {
        Self { namings, sources, passes: Mutex::default() }
    }

    /// What is remembered of a pass, taken out.
    fn take(&self, began: i64) -> Option<Pass> {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let at = passes.iter().position(|pass| pass.began == began)?;
        Some(passes.remove(at))
    }

    fn keep(&self, pass: Pass) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        if passes.len() >= PASSES_MAX {
            passes.remove(0);
        }
        passes.push(pass);
    }

    /// A page of partitions, with what is to be told of it: those of the first router's parents,
    /// each with all of the other routers'.
    async fn partitions(
        &self,
        wire: &Wire,
        collection: &CollectionName,
        at: Option<&String>,
    ) -> Result<(Vec<Partition>, Page), ReadError> {
        let (mut all, mut page) = self.page_of_router(0, wire, collection, at).await?;
        for router in 1..self.sources.len() {
            let (others, more) = self.whole_router(router, wire, collection).await?;
            page.partial |= more.partial;
            page.unreadable.extend(more.unreadable);
            all = all.iter().flat_map(|one| others.iter().map(|other| one.and(other))).collect();
        }
        Ok((all, page))
    }

    /// All partitions of one of the other routers.
    async fn whole_router(
        &self,
        router: usize,
        wire: &Wire,
        collection: &CollectionName,
    ) -> Result<(Vec<Partition>, Page), ReadError> {
        let (mut all, mut whole, mut at) = (Vec::new(), Page::default(), None);
        for _ in 0..INNER_PAGES_MAX {
            let (some, page) = self.page_of_router(router, wire, collection, at.as_ref()).await?;
            all.extend(some);
            whole.partial |= page.partial;
            whole.unreadable.extend(page.unreadable);
            match page.next {
                Some(next) => at = Some(next.0),
                None => return Ok((all, whole)),
            }
        }
        let reason = format!("router {} lists more than {INNER_PAGES_MAX} pages of parents", router + 1);
        Err(ReadError::Denied { reason: format!("{reason}: name it first") })
    }

    /// A page of one router's partitions: one kind of parents after the other.
    async fn page_of_router(
        &self,
        router: usize,
        wire: &Wire,
        collection: &CollectionName,
        at: Option<&String>,
    ) -> Result<(Vec<Partition>, Page), ReadError> {
        let kinds = self.sources.get(router).map_or(&[][..], Vec::as_slice);
        let namings = self.namings.0.get(router).map_or(&[][..], Vec::as_slice);
        let split = at.filter(|_| kinds.len() > 1).and_then(|at| at.split_once(':'));
        let (kind, after) = match split {
            Some((kind, after)) => (kind.parse().ok(), Some(after.to_owned())),
            None => (Some(0), at.cloned()),
        };
        let found = kind.and_then(|kind| Some((kind, kinds.get(kind)?, namings.get(kind)?)));
        // To pass over it would be to know of no child of theirs.
        let Some((kind, source, naming)) = found else {
            let reason = format!("a page token of parents of which there are {} kinds", kinds.len());
            return Err(ReadError::Broken { reason });
        };
        let after = after.filter(|after| !after.is_empty());
        let (all, mut page) = source.page(naming, kind, wire, collection, after).await?;
        page.next = match page.next.take() {
            Some(next) if kinds.len() > 1 => Some(PageToken(format!("{kind}:{}", next.0))),
            None if kind + 1 < kinds.len() => Some(PageToken(format!("{}:", kind + 1))),
            next => next,
        };
        Ok((all, page))
    }
}

impl Source {
    /// A page of one kind of parents.
    async fn page(
        &self,
        naming: &Naming,
        kind: usize,
        wire: &Wire,
        collection: &CollectionName,
        after: Option<String>,
    ) -> Result<(Vec<Partition>, Page), ReadError> {
        let (listing, lens, key) = match self {
            Self::Values(values) => return Ok((values.clone(), Page::default())),
            Self::Parents { listing, lens, key } => (listing, lens, key),
        };
        let after = after.map(PageToken);
        let request = ReadRequest { collection: collection.clone(), scope: Scope::Everything, after };
        let mut page = Box::pin(listing.page(wire, lens, request)).await?;
        // Children of parents that are not taken are not known to be gone.
        page.partial |= !page.passed_over.is_empty();
        let mut all = Vec::with_capacity(page.records.len());
        for record in std::mem::take(&mut page.records) {
            // What says that it is gone has no children any more.
            let Content::Whole(json) = &record.content else { continue };
            let found = key.get(json).ok_or_else(|| "there is nothing".to_owned());
            let found = found.and_then(|found| scalar_id(found).map(|_| found));
            let found = found.map_err(|why| format!("no usable key at `{key}`: {why}"));
            match found.and_then(|found| naming.partition(kind, found, Some(json))) {
                Ok(partition) => all.push(partition),
                Err(why) => {
                    let (label, id) = (&listing.ask.label, record.id.as_str());
                    page.unreadable.push(format!("{label}: the parent {id:.60} has {why}"));
                }
            }
        }
        // Of parents' parents that could not be read nothing is known here.
        page.unreadable.extend(std::mem::take(&mut page.unread).into_iter().map(|unread| unread.reason));
        page.passed_over.clear();
        Ok((all, page))
    }
}

impl Listing {
    /// Reads one page of a listing with partitions.
    pub(super) async fn walk(
        &self,
        router: &Router,
        wire: &Wire,
        lens: &Lens,
        request: &ReadRequest,
    ) -> Result<Page, ReadError> {
        let step = if let Some(token) = &request.after {
            self.place(token, |step: &Step| step.settings)?
        } else {
            let began = Utc::now().timestamp_micros();
            Step { settings: self.settings, began, ..Step::default() }
        };
        let mut pass = router.take(step.began).unwrap_or_else(|| Pass::new(step.began, &request.scope));
        let page = if pass.loaded {
            self.children(router, wire, lens, request, step, &mut pass).await
        } else {
            self.load(router, wire, request, step, &mut pass).await
        };
        if page.as_ref().map_or(true, |page| page.next.is_some()) {
            router.keep(pass);
        }
        page
    }

    /// A page of parents.
    async fn load(
        &self,
        router: &Router,
        wire: &Wire,
        request: &ReadRequest,
        step: Step,
        pass: &mut Pass,
    ) -> Result<Page, ReadError> {
        let (all, page) = router.partitions(wire, &request.collection, step.parents.as_ref()).await?;
        // Where what was remembered is lost, it goes on with the parent it was at.
        let at = all.iter().position(|partition| Some(&partition.print) == step.at.as_ref());
        let all = all.into_iter().skip(at.unwrap_or(0));
        // A parent may be shown again on the next page.
        pass.queue = all.filter(|partition| pass.learned.met.insert(partition.print.clone())).collect();
        pass.next = page.next.as_ref().map(|token| token.0.clone());
        pass.loaded = true;
        let child = step.child.clone().filter(|_| at.is_some());
        self.onward(request, Step { child, ..step }, pass, Page { next: None, cursor: None, ..page })
    }

    /// A page of one parent's children.
    async fn children(
        &self,
        router: &Router,
        wire: &Wire,
        lens: &Lens,
        request: &ReadRequest,
        mut step: Step,
        pass: &mut Pass,
    ) -> Result<Page, ReadError> {
        let Some(partition) = pass.queue.front().cloned() else {
            return self.onward(request, step, pass, Page::default());
        };
        let after = step.child.take().map(PageToken);
        let scope = self.scope_of(&request.scope, &partition, pass);
        let of = Some((&router.namings, &partition));
        let first = after.is_none();
        let (mut page, shown) = match self.page_of(wire, lens, of, &scope, after).await {
            // An answer that will not do, for this one alone or for all.
            Err(ReadError::Broken { reason }) if first => {
                (Page { unreadable: vec![reason], ..Page::default() }, Shown::Refused)
            }
            other => other?,
        };
        if shown == Shown::Failing && pass.tries < TRIES_MAX {
            pass.tries += 1;
            let reason = page.unreadable.pop().unwrap_or_default();
            return Err(ReadError::Later { reason, after: None });
        }
        step.shown |= shown == Shown::Records;
        if shown.is_unread() {
            pass.unread.get_or_insert_with(|| (shown, page.unreadable.join("; ")));
            let places = router.namings.places(&partition);
            if !places.is_empty() {
                let unread = |reason| Unread { places: places.clone(), reason };
                page.unread = std::mem::take(&mut page.unreadable).into_iter().map(unread).collect();
            }
        }
        let cursor = page.cursor.take();
        match page.next.take() {
            Some(next) => step.child = Some(next.0),
            None => pass.done(&partition, shown, cursor.as_ref()),
        }
        self.onward(request, step, pass, page)
    }

    /// From where on a partition is read.
    fn scope_of(&self, scope: &Scope, partition: &Partition, pass: &Pass) -> Scope {
        let (Scope::Since(_), Some(since)) = (scope, &self.since) else { return Scope::Everything };
        let mark = if since.last_run {
            pass.known.run(partition).map(Mark::Run)
        } else {
            pass.known.value(partition).cloned().map(Mark::Value)
        };
        mark.and_then(|mark| mark.cursor()).map_or(Scope::Everything, Scope::Since)
    }

    /// What comes after a page: more of the same, the next page of parents, or the end.
    fn onward(
        &self,
        request: &ReadRequest,
        mut step: Step,
        pass: &mut Pass,
        mut page: Page,
    ) -> Result<Page, ReadError> {
        let everything = request.scope == Scope::Everything;
        if pass.queue.is_empty() {
            let Some(next) = pass.next.take() else {
                self.none_was_read(pass)?;
                if everything && !step.shown {
                    page.partial |= self.on_empty == OnEmpty::Skip;
                    page.empty_is_meant = self.on_empty == OnEmpty::Sync;
                }
                page.cursor = self.at_end(pass);
                return Ok(page);
            };
            step.parents = Some(next);
            pass.loaded = false;
        }
        if !everything
            && pass.unmarked >= MARKED_EVERY
            && self.since.as_ref().is_some_and(|since| !since.last_run)
        {
            pass.unmarked = 0;
            page.cursor = Mark::Partitions(pass.known.midway(&pass.learned)).cursor();
        }
        step.at = pass.queue.front().map(|partition| partition.print.clone());
        page.next = Some(self.token(&step)?);
        Ok(page)
    }

    /// Where every one that was listed is refused, something is wrong with us, or with the side.
    fn none_was_read(&self, pass: &Pass) -> Result<(), ReadError> {
        match &pass.unread {
            Some((Shown::Refused, why)) if !pass.any_read => {
                Err(self.denied(&format!("none can be read: {why}")))
            }
            Some((Shown::Failing, why)) if !pass.any_read => {
                Err(ReadError::Later { reason: format!("none can be read: {why}"), after: None })
            }
            _ => Ok(()),
        }
    }

    fn at_end(&self, pass: &Pass) -> Option<Cursor> {
        let since = self.since.as_ref()?;
        let marks = match since.last_run {
            true if since.spot.is_none() => return None,
            true => Marks::run(&pass.learned, pass.began),
            false => pass.known.at_end(&pass.learned, &since.scale),
        };
        Mark::Partitions(marks).cursor()
    }

    /// Asks for a parent, and for one of its children.
    pub(super) async fn check_walk(
        &self,
        router: &Router,
        wire: &Wire,
        lens: &Lens,
        collection: &CollectionName,
    ) -> Result<String, ReadError> {
        let (all, page) = router.partitions(wire, collection, None).await?;
        if let Some(line) = page.unreadable.first() {
            return Err(self.broken(line));
        }
        match all.first() {
            Some(first) => {
                let line = self.check_one(wire, lens, Some((&router.namings, first))).await?;
                Ok(format!("{line}, of the {}", router.namings.label(first)))
            }
            None => Ok(format!("{}: there is no {} yet to ask for", self.ask.label, router.namings.fields())),
        }
    }
}

impl Pass {
    fn new(began: i64, scope: &Scope) -> Self {
        let marks = match scope {
            Scope::Everything => Marks::default(),
            Scope::Since(cursor) => match serde_json::from_str(&cursor.0) {
                Ok(Mark::Partitions(marks)) => marks,
                // A cursor from before the config was changed: everything is read.
                Ok(Mark::Value(_) | Mark::Run(_)) | Err(_) => Marks::default(),
            },
        };
        Self { began, known: Known::new(marks), ..Self::default() }
    }

    /// A partition has come to its end.
    fn done(&mut self, partition: &Partition, shown: Shown, cursor: Option<&Cursor>) {
        self.queue.pop_front();
        self.tries = 0;
        self.any_read |= !shown.is_unread();
        if shown.is_unread() {
            self.learned.missed.insert(partition.print.clone());
            return;
        }
        let mark = cursor.and_then(|cursor| serde_json::from_str(&cursor.0).ok());
        if let Some(Mark::Value(value)) = mark
            && self.known.value(partition) != Some(&value)
        {
            self.learned.values.insert(partition.print.clone(), value);
            self.unmarked += 1;
        }
    }
}

/// The names that the templates of a listing may use, where it has partitions.
pub(super) fn names<'n>(known: &[&'n str], is_parted: bool) -> Vec<&'n str> {
    let more: &[&'n str] = if is_parted { &NAMES } else { &[] };
    known.iter().chain(more).copied().collect()
}
