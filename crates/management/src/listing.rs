//! The events of the whole log that fit what somebody looks for. Blocks that hold none
//! are passed over by their summaries, a record's events are found by the index, and
//! a span of time by halving. No answer reads more than so many events: it says where
//! to go on instead.

use crate::answers::{EventReport, LogPage, LogQuery};
use crate::desk::{Desk, EVENTS_MAX, beside};
use crate::error::DeskError;
use crate::offline::now;
use crate::past::CONTEXT_EVENTS;
use crate::shelf::Shelf;
use crate::told::Teller;
use crate::when::Moment;
use hms_sync_changelog::Log;
use hms_sync_engine::{Summary, block_of, events_at, first_of, place_of, version_upto};
use hms_sync_model::{
    Body, CollectionName, Event, EventId, FieldName, InvalidName, Kind, RecordId, SideName, Time,
};
use std::collections::HashMap;
use std::str::FromStr;

/// Most events read for one answer, give or take a block.
const LOOK_MAX: u64 = 16_384;
/// Blocks whose summaries are asked for at once.
const BLOCKS_AT_ONCE: u64 = 64;
/// Most blocks gone through for one answer.
const BLOCKS_MAX: u64 = 4_096;
/// Events that are read at once.
const STRETCH_EVENTS: u64 = 128;
/// Records whose titles are asked for at once.
const TITLES_AT_ONCE: usize = 32;
/// Tellers kept for one answer.
const TELLERS_MAX: usize = 256;

/// What is wanted of an event.
#[derive(Debug, Clone, Default)]
struct Wanted {
    side: Option<SideName>,
    collection: Option<CollectionName>,
    kinds: Vec<Kind>,
    field: Option<FieldName>,
}

/// Event numbers or versions that are still to be gone through, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    low: u64,
    high: u64,
}

impl Span {
    fn is_empty(self) -> bool {
        self.low > self.high
    }

    fn count(self) -> usize {
        usize::try_from(self.high.saturating_add(1).saturating_sub(self.low)).unwrap_or(usize::MAX)
    }

    /// The stretch that is read next, and what is left after it.
    fn stretch(self, reverse: bool) -> (Self, Self) {
        if reverse {
            let low = self.low.max(self.high.saturating_sub(STRETCH_EVENTS - 1));
            (Self { low, ..self }, Self { high: low.saturating_sub(1), ..self })
        } else {
            let high = self.high.min(self.low.saturating_add(STRETCH_EVENTS - 1));
            (Self { high, ..self }, Self { low: high.saturating_add(1), ..self })
        }
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
struct Found {
    events: Vec<(EventId, Event)>,
    looked_at: u64,
    /// The last event that was looked at, or passed over.
    last: u64,
}

impl Desk {
    /// Events of the whole log that fit, some at a time.
    pub async fn log_list(&self, query: &LogQuery) -> Result<LogPage, DeskError> {
        let wanted = Wanted::parse(query)?;
        let limit = query.limit.unwrap_or(EVENTS_MAX).clamp(1, EVENTS_MAX);
        let record = match &query.record {
            Some(name) => Some(self.find(name).await?),
            None => None,
        };
        let (log, asked) = (self.log()?, query.clone());
        let span = beside(move || span(&log, &asked)).await?;
        let found = match record {
            Some(record) => self.of_record(record, wanted, span, limit, query.reverse).await?,
            None => self.of_all(wanted, span, limit, query.reverse).await?,
        };
        let done = if query.reverse { found.last <= span.low } else { found.last >= span.high };
        let next = (!span.is_empty() && !done).then_some(found.last);
        let looked_at = found.looked_at;
        let archived = crate::archive::of_log(&self.log()?, span.low).filter(|_| !span.is_empty());
        let shelf = self.shelf()?;
        let events = beside(move || tell(&shelf, found.events)).await?;
        Ok(LogPage { events: self.entitle(events).await?, next, archived, looked_at })
    }

    /// Goes through the blocks of the log that can hold what is wanted.
    async fn of_all(
        &self,
        wanted: Wanted,
        span: Span,
        limit: usize,
        reverse: bool,
    ) -> Result<Found, DeskError> {
        let (mut found, mut left) = (Found::default(), span);
        for _ in 0..BLOCKS_MAX / BLOCKS_AT_ONCE {
            if left.is_empty() || found.events.len() >= limit || found.looked_at >= LOOK_MAX {
                break;
            }
            let (low, high) = (block_of(left.low), block_of(left.high));
            let (low, high) = if reverse {
                (low.max(high.saturating_sub(BLOCKS_AT_ONCE - 1)), high)
            } else {
                (low, high.min(low.saturating_add(BLOCKS_AT_ONCE - 1)))
            };
            let blocks = self.look(move |machine| {
                Ok((low..=high).map(|block| (block, machine.block(block))).collect::<Vec<_>>())
            });
            let mut blocks = blocks.await?;
            if reverse {
                blocks.reverse();
            }
            let (log, wanted) = (self.log()?, wanted.clone());
            found = beside(move || scan(&log, &wanted, found, &blocks, left, limit, reverse)).await?;
            left = beyond(left, found.last, reverse);
        }
        Ok(found)
    }

    /// Goes through the events of one record.
    async fn of_record(
        &self,
        record: RecordId,
        wanted: Wanted,
        span: Span,
        limit: usize,
        reverse: bool,
    ) -> Result<Found, DeskError> {
        let log = self.log()?;
        beside(move || scan_record(&log, &record, &wanted, span, limit, reverse)).await
    }

    /// Adds what people call the records.
    async fn entitle(&self, mut events: Vec<EventReport>) -> Result<Vec<EventReport>, DeskError> {
        let mut records: Vec<RecordId> =
            events.iter().filter_map(|event| RecordId::try_new(event.record.as_str()).ok()).collect();
        records.retain(|record| !record.is_own_stream());
        records.sort_unstable();
        records.dedup();
        let mut titles = HashMap::new();
        for some in records.chunks(TITLES_AT_ONCE) {
            let some = some.to_vec();
            let found = self.look(move |machine| {
                some.into_iter().map(|record| Ok((record.to_string(), machine.title_of(&record)?))).collect()
            });
            let found: Vec<(String, String)> = found.await?;
            titles.extend(found);
        }
        for event in &mut events {
            event.title = titles.get(&event.record).cloned();
        }
        Ok(events)
    }
}

impl Wanted {
    fn parse(query: &LogQuery) -> Result<Self, DeskError> {
        fn name<T>(
            text: Option<&String>,
            parse: impl FnOnce(String) -> Result<T, InvalidName>,
        ) -> Result<Option<T>, DeskError> {
            text.cloned().map(parse).transpose().map_err(|why| DeskError::Invalid {
                why: why.to_string(),
                hint: "`hms-sync status FILE` shows the sides and their collections".into(),
            })
        }
        let kinds = query.kind.iter().flat_map(|kinds| kinds.split(',')).map(|kind| {
            Kind::from_str(kind.trim()).map_err(|why| DeskError::Invalid {
                why: format!("{:?}: {why}", crate::line::short(kind)),
                hint: format!("the kinds are {}", kind_names()),
            })
        });
        Ok(Self {
            side: name(query.side.as_ref(), SideName::try_new)?,
            collection: name(query.collection.as_ref(), CollectionName::try_new)?,
            field: name(query.field.as_ref(), FieldName::try_new)?,
            kinds: kinds.collect::<Result<_, _>>()?,
        })
    }

    /// Whether any event that a summary tells of can fit.
    fn may_be_in(&self, summary: &Summary) -> bool {
        let side = self.side.as_ref().map(SideName::as_str);
        summary.may_hold(side, self.collection.as_ref().map(CollectionName::as_str), &self.kinds)
    }

    fn fits(&self, event: &Event) -> bool {
        let (side, collection) = place_of(event);
        self.side.as_ref().is_none_or(|wanted| side == Some(wanted.as_str()))
            && self.collection.as_ref().is_none_or(|wanted| collection == wanted.as_str())
            && (self.kinds.is_empty() || self.kinds.contains(&event.body.kind()))
            && self.field.as_ref().is_none_or(|field| names(&event.body, field))
    }
}

/// Every kind of event by name.
fn kind_names() -> String {
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}

/// Whether an event names a field.
fn names(body: &Body, field: &FieldName) -> bool {
    match body {
        Body::Edited { edit, .. } => edit.changes.contains_key(field),
        Body::Intended { fields, .. } => fields.contains_key(field),
        Body::Applied { results, .. } => results.contains_key(field),
        Body::Parked { parked, .. } => parked.fields.contains(field),
        Body::Erased { fields, .. } => fields.contains(field),
        _ => false,
    }
}

/// The events that a question is about, by number: its time, and where the last page ended.
fn span(log: &Log, query: &LogQuery) -> Result<Span, DeskError> {
    let now = now().wall;
    let moment = |text: &Option<String>| text.as_ref().map(|text| Moment::parse(text, now)).transpose();
    let (from, to) = (moment(&query.from)?, moment(&query.to)?);
    let mut span = Span { low: 1, high: log.head() };
    if let Some(from) = from {
        span.low = events_at(log, Time(from.first.0.saturating_sub(1)))?.saturating_add(1);
    }
    if let Some(to) = to {
        span.high = events_at(log, to.last)?;
    }
    Ok(match query.after {
        Some(after) => beyond(span, after, query.reverse),
        None => span,
    })
}

/// What is left past `last`.
fn beyond(span: Span, last: u64, reverse: bool) -> Span {
    if reverse {
        Span { high: span.high.min(last.saturating_sub(1)), ..span }
    } else {
        Span { low: span.low.max(last.saturating_add(1)), ..span }
    }
}

impl Found {
    /// Takes in events that were read. Answers false once there are enough.
    fn take(
        &mut self,
        wanted: &Wanted,
        mut events: Vec<(EventId, Event)>,
        limit: usize,
        reverse: bool,
    ) -> bool {
        if reverse {
            events.reverse();
        }
        for (id, event) in events {
            self.looked_at += 1;
            self.last = event.seq;
            if wanted.fits(&event) {
                self.events.push((id, event));
                if self.events.len() >= limit {
                    return false;
                }
            }
        }
        true
    }
}

/// Reads those of some blocks that can hold what is wanted.
fn scan(
    log: &Log,
    wanted: &Wanted,
    mut found: Found,
    blocks: &[(u64, Option<Summary>)],
    span: Span,
    limit: usize,
    reverse: bool,
) -> Result<Found, DeskError> {
    for (block, summary) in blocks {
        let low = first_of(*block).max(span.low);
        let high = first_of(block.saturating_add(1)).saturating_sub(1).min(span.high);
        let held = summary.as_ref().is_none_or(|summary| wanted.may_be_in(summary));
        let mut left = Span { low, high };
        while held && !left.is_empty() {
            let (stretch, rest) = left.stretch(reverse);
            left = rest;
            let events = log.events_within(stretch.low, stretch.high, stretch.count())?;
            if !found.take(wanted, events, limit, reverse) {
                return Ok(found);
            }
        }
        found.last = if reverse { low } else { high };
        if found.looked_at >= LOOK_MAX {
            break;
        }
    }
    Ok(found)
}

/// Reads the events of one record that stand in a span of the log.
fn scan_record(
    log: &Log,
    record: &RecordId,
    wanted: &Wanted,
    span: Span,
    limit: usize,
    reverse: bool,
) -> Result<Found, DeskError> {
    let low = version_upto(log, record, span.low.saturating_sub(1))?.saturating_add(1);
    let mut left = Span { low, high: version_upto(log, record, span.high)? };
    let mut found = Found::default();
    while !left.is_empty() && found.looked_at < LOOK_MAX {
        let (stretch, rest) = left.stretch(reverse);
        let mut events = log.history(record, stretch.low, stretch.count())?;
        let next = events.first().map(|(_, event)| (event.version, event.seq));
        events.retain(|(_, event)| event.version <= stretch.high);
        left = match next {
            Some(next) if events.is_empty() => past_gap(log, record, rest, next, reverse)?,
            _ => rest,
        };
        if !found.take(wanted, events, limit, reverse) {
            return Ok(found);
        }
    }
    if left.is_empty() {
        // Nothing of the record is left in the span.
        found.last = if reverse { span.low } else { span.high };
    }
    Ok(found)
}

/// What is left past a gap in a record's versions, which ends before version and event `next`.
fn past_gap(
    log: &Log,
    record: &RecordId,
    left: Span,
    next: (u64, u64),
    reverse: bool,
) -> Result<Span, DeskError> {
    let (version, seq) = next;
    Ok(if reverse {
        Span { high: left.high.min(version_upto(log, record, seq.saturating_sub(1))?), ..left }
    } else {
        Span { low: left.low.max(version), ..left }
    })
}

/// Puts events into words, each with as much of what its record went through before as
/// tells it apart.
fn tell(shelf: &Shelf, events: Vec<(EventId, Event)>) -> Result<Vec<EventReport>, DeskError> {
    let mut tellers: HashMap<RecordId, (Teller, u64)> = HashMap::new();
    let mut told = Vec::with_capacity(events.len());
    for (id, mut event) in events {
        shelf.open(&mut event);
        let before = event.version.saturating_sub(1);
        let start = event.version.saturating_sub(CONTEXT_EVENTS).max(1);
        let known = tellers.remove(&event.record).filter(|(_, next)| (start..=event.version).contains(next));
        let late = start > 1 || event.record.is_own_stream();
        let fresh = || (if late { Teller::late() } else { Teller::new() }, start);
        let (mut teller, next) = known.unwrap_or_else(fresh);
        if !event.record.is_own_stream() && next <= before {
            let count = usize::try_from(before.saturating_add(1).saturating_sub(next)).unwrap_or(usize::MAX);
            for (_, earlier) in shelf.history(&event.record, next, count)? {
                teller.tell(&earlier);
            }
        }
        told.push(EventReport::of(id, &event, &teller.tell(&event)));
        if tellers.len() >= TELLERS_MAX {
            tellers.clear();
        }
        tellers.insert(event.record, (teller, event.version.saturating_add(1)));
    }
    Ok(told)
}
