//! The records of an answer. Each is moved, none copied.

use super::{Listing, Of};
use crate::decode::Documents;
use crate::formula;
use crate::paging::{Facts, Progress};
use crate::read::body;
use crate::select::{self, Lens, RECORD_MAX};
use crate::shape;
use crate::stamp::Stamp;
use crate::transform::Around;
use crate::wire::{Answer, Wire};
use bytes::Bytes;
use chrono::Utc;
use hms_sync_connector::{Observation, Page, ReadError};
use hms_sync_model::{NativeId, Time};
use http::header::DATE;
use serde_json::Value as Json;
use std::collections::HashMap;
use url::Url;

/// Lines about unreadable records of one page; more are only counted.
const UNREADABLE_LINES: usize = 20;

impl Listing {
    /// What a page shows: its facts, and its records.
    pub(super) fn take(
        &self,
        lens: &Lens,
        at: (&Wire, &Url),
        (of, progress): (Of<'_>, &Progress),
        answer: &Answer,
    ) -> Result<(Facts, Page), ReadError> {
        let body = body(&self.ask, answer)?;
        self.records(lens, at, (of, progress), answer, body).map_err(|why| self.broken(&why))
    }

    fn records(
        &self,
        lens: &Lens,
        (wire, asked): (&Wire, &Url),
        (of, progress): (Of<'_>, &Progress),
        answer: &Answer,
        body: &Bytes,
    ) -> Result<(Facts, Page), String> {
        let Documents { all, bytes } = self.ask.decoder.documents(body, wire.body_max())?;
        let place = all.first().filter(|_| self.ask.selector.is_none()).and_then(select::found_at);
        let told = self.follow.told(wire.base(), asked, answer, all.first().unwrap_or(&Json::Null))?;
        let (records, total) = self.selected(all)?;
        let last = records.last().filter(|_| self.follow.looks_at_records()).map(formula::value);
        let mut taken = Taken::new(self, lens, records.len(), bytes > RECORD_MAX);
        taken.around = lens
            .looks_around()
            .then(|| Around::new(of.map(|(_, of)| of), progress.from.as_deref(), progress.until.as_deref()));
        for (index, mut record) in records.into_iter().enumerate() {
            if let Some(path) = self.bare.as_ref().filter(|_| record.is_string() || record.is_number()) {
                let id = record.take();
                shape::put(&mut record, path.parts(), id);
            }
            if let Some((namings, partition)) = of {
                namings.mark(partition, &mut record);
            }
            taken.add(index, record)?;
        }
        let (mut facts, page) = taken.end();
        facts.total = total.or_else(|| counted(answer));
        facts.place = place;
        facts.date = self.date(answer);
        self.follow.complete(told, answer, last, &mut facts)?;
        Ok((facts, page))
    }
}

impl Listing {
    /// The records of all that is in an answer, and how many there are in all if it says so.
    fn selected(&self, all: Vec<Json>) -> Result<(Vec<Json>, Option<u64>), String> {
        let (selector, is_xml) = (self.ask.selector.as_ref(), self.ask.decoder.is_xml());
        let is_one = all.len() == 1;
        let mut records = Vec::new();
        for json in all {
            let (mut more, total) = select::records(json, selector, is_xml)?;
            if is_one {
                return Ok((more, total));
            }
            records.append(&mut more);
        }
        Ok((records, None))
    }

    /// The side's clock; where it shows none and is not to be read up to now, ours.
    fn date(&self, answer: &Answer) -> Option<Time> {
        let lags = self.since.as_ref().is_some_and(|since| since.scale.lag().is_some());
        date(answer).or_else(|| lags.then(|| Time::from_chrono(Utc::now())))
    }
}

/// Records as they are taken out.
struct Taken<'l> {
    listing: &'l Listing,
    lens: &'l Lens,
    /// What the listing knows of all of them, if anything is made of that.
    around: Option<Around>,
    large: bool,
    facts: Facts,
    records: Vec<Option<Observation>>,
    places: HashMap<NativeId, usize>,
    passed_over: Vec<NativeId>,
    unreadable: Unreadable,
}

impl<'l> Taken<'l> {
    fn new(listing: &'l Listing, lens: &'l Lens, len: usize, large: bool) -> Self {
        Self {
            listing,
            lens,
            around: None,
            large,
            facts: Facts { len, ids: Vec::with_capacity(len), ..Facts::default() },
            records: Vec::with_capacity(len),
            places: HashMap::with_capacity(len),
            passed_over: Vec::new(),
            unreadable: Unreadable::default(),
        }
    }

    /// The error makes the whole page worthless.
    fn add(&mut self, index: usize, record: Json) -> Result<(), String> {
        let since = self.listing.since.as_ref();
        let filter = self.listing.filter.as_ref();
        let early = filter.and_then(|filter| filter.early(&record));
        let spared = filter.is_some_and(|filter| filter.spares(early.as_ref()));
        let record = match if spared { Ok(record) } else { self.lens.made_of(record, self.around.as_ref()) } {
            Ok(record) => record,
            Err(why) => {
                self.facts.ids.push(None);
                self.facts.stamps.extend(since.map(|_| None));
                self.unreadable(index, &why);
                return Ok(());
            }
        };
        if let Some(why) = since.and_then(|since| since.scale.misfit(&record)) {
            return Err(why);
        }
        let stamp = since.and_then(|since| since.scale.of(&record));
        let id = self.id(&record);
        self.facts.ids.push(id.as_ref().ok().cloned());
        let passes = early.or_else(|| Some(filter?.takes(&record))).unwrap_or(Ok(true));
        match (passes, id) {
            (Ok(true), Ok(id)) => {
                if let Err(why) = self.keep(id, record, stamp.as_ref()) {
                    self.unreadable(index, &why);
                }
            }
            (Ok(false), id) => self.passed_over.extend(id),
            (Err(why), _) | (Ok(true), Err(why)) => self.unreadable(index, &why),
        }
        if since.is_some() {
            self.facts.stamps.push(stamp);
        }
        Ok(())
    }

    fn id(&self, record: &Json) -> Result<NativeId, String> {
        let id = self.lens.id(record)?;
        if self.large {
            small(record)?;
        }
        Ok(id)
    }

    fn keep(&mut self, id: NativeId, record: Json, stamp: Option<&Stamp>) -> Result<(), String> {
        let known = match (&self.listing.since, stamp, &self.lens.modified) {
            (Some(since), Some(stamp), Some(modified)) if modified.same_field(&since.scale) => {
                Some((&since.scale, stamp))
            }
            _ => None,
        };
        let seen = self.lens.observe_at(id.clone(), record, known)?;
        if !self.listing.shows_all
            && let Some(before) = self.places.insert(id, self.records.len())
            && let Some(place) = self.records.get_mut(before)
        {
            *place = None;
        }
        self.records.push(Some(seen));
        Ok(())
    }

    fn unreadable(&mut self, index: usize, why: &str) {
        let label = &self.listing.ask.label;
        self.unreadable.add(format!("{label}: record {} of the page {why}", index + 1));
    }

    fn end(self) -> (Facts, Page) {
        let records = self.records.into_iter().flatten().collect();
        let (unreadable, passed_over) = (self.unreadable.lines(), self.passed_over);
        (self.facts, Page { records, unreadable, passed_over, ..Page::default() })
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
