//! Verification: reads the whole log once, in order, and names the first entry
//! that is not as it was written.
//!
//! For each event: its bytes have the hash they are stored under, its number
//! follows the one before, the index leads to it, its record has the version
//! before, and it names that one's id. Where a recovery has noted lost events, so many
//! versions may be missing, and no more. And the stored index holds nothing else;
//! what of the index is in memory was made from the events themselves.
//!
//! It goes over the log twice at most. The first pass reads everything in the
//! order in which it lies, which is fast: that index and events say the same is
//! seen from sums of keyed hashes over both. Only if something does not fit, a
//! second pass follows that looks up every event in the index, to name the
//! first that is wrong.
//!
//! Memory is bounded: what was seen last of a record is kept in a table of
//! fixed size, and looked up through the index when it has been pushed out.
//! Whether the log as a whole is the one that was there yesterday, no log can
//! say by itself: that takes a signed checkpoint from elsewhere.

use crate::error::{Damage, LogError};
use crate::frame::Frame;
use crate::hole::{self, Lost};
use crate::index::{self, Index};
use crate::keys::{self, Slot};
use crate::log::{Log, read_number};
use crate::pack;
use crate::read::{LastChunk, load, open_at};
use crate::storage::{Order, Span, Storage};
use hms_sync_model::{Event, EventId, RecordId};
use std::hash::{BuildHasher, Hash, RandomState};

/// Records whose last event is remembered; about 14 MB.
const SEEN_MAX: u64 = 1 << 18;
/// Events between two reports of progress.
const PROGRESS_EVERY: u64 = 4_096;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events found to be whole, up to the first bad one.
    pub events: u64,
    /// Records they belong to.
    pub records: u64,
    /// Events that are known to be lost, from earlier recoveries, up to the first bad one.
    pub lost: Vec<Lost>,
    /// The first entry that is not as it was written.
    pub first_bad: Option<BadEntry>,
}

impl VerifyReport {
    /// Whether everything is as it was written, but for what is known to be lost.
    pub fn is_sound(&self) -> bool {
        self.first_bad.is_none()
    }

    /// How many events are known to be lost.
    pub fn events_lost(&self) -> u64 {
        self.lost.iter().map(|lost| lost.count).sum()
    }
}

/// An entry that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Its place in the log; 0 if it is beside the events.
    pub seq: u64,
    /// The record it belongs to, if that can still be said.
    pub record: Option<RecordId>,
    /// What is wrong with it.
    pub what: Damage,
}

impl std::fmt::Display for BadEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.seq == 0 {
            return write!(f, "beside the events: {}", self.what);
        }
        write!(f, "event {}", self.seq)?;
        if let Some(record) = &self.record {
            write!(f, " of {record}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Why a verification stops.
enum Stop {
    Bad(BadEntry),
    Failed(LogError),
}

impl From<LogError> for Stop {
    fn from(why: LogError) -> Self {
        match why {
            LogError::Damaged { seq, damage } => bad(seq, None, damage),
            LogError::DamagedTable { .. } => bad(0, None, Damage::Table),
            why => Self::Failed(why),
        }
    }
}

fn bad(seq: u64, record: Option<&RecordId>, what: Damage) -> Stop {
    Stop::Bad(BadEntry { seq, record: record.cloned(), what })
}

impl Log {
    /// Checks every durable event, in order, and the index. `progress` is told
    /// now and then, and at the end, how many events have been looked at.
    /// Appends may go on meanwhile; what they add is not looked at.
    ///
    /// # Errors
    /// Only if the storage cannot be read: damage is a finding, not an error.
    pub fn verify(&self, progress: impl FnMut(u64)) -> Result<VerifyReport, LogError> {
        let (store, head) = (self.inner.store.as_ref(), self.head());
        let index = &self.inner.index;
        let mut told = 0;
        let mut progress = progress;
        // A second pass says nothing until it is past the first.
        let mut once = |events| {
            if events > told {
                told = events;
                progress(events);
            }
        };
        let mut report = Check::new(store, index, head, Pass::Fast, &mut once).run()?;
        if !report.is_sound() {
            report = Check::new(store, index, head, Pass::Exact, &mut once).run()?;
        }
        once(report.events);
        Ok(report)
    }
}

/// How index and events are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// As a whole.
    Fast,
    /// Event by event.
    Exact,
}

/// The last event seen of a record, which is known by its hash.
#[derive(Clone, Copy, Default)]
struct Seen {
    record: u128,
    version: u64,
    id: EventId,
}

/// Hashes under a key that only this run knows, so that nobody can make two
/// different things look the same.
#[derive(Default)]
struct Hasher([RandomState; 2]);

impl Hasher {
    fn hash(&self, what: impl Hash) -> u128 {
        let [a, b] = &self.0;
        (u128::from(a.hash_one(&what)) << 64) | u128::from(b.hash_one(&what))
    }

    /// Of an index entry.
    fn entry(&self, record: &str, version: u64, slot: Slot) -> u128 {
        self.hash((record, version, slot.first, slot.slot))
    }
}

struct Check<'a, P> {
    store: &'a dyn Storage,
    head: u64,
    index: &'a Index,
    /// The last event in the stored index.
    indexed: u64,
    pass: Pass,
    progress: P,
    events: u64,
    /// Those that the stored index ought to have.
    events_indexed: u64,
    records: u64,
    /// Holes so far, and how many events they stand for.
    lost: Vec<Lost>,
    events_lost: u64,
    /// Versions that records lack, which are among the lost events.
    lacking: u64,
    /// Parts of large events that have an event.
    parts: u64,
    /// The sum over the index entries that the events ought to have.
    expected: u128,
    /// By hash of the record; the newest pushes out the one before.
    seen: Vec<Seen>,
    hasher: Hasher,
    chunk: LastChunk,
}

impl<'a, P: FnMut(u64)> Check<'a, P> {
    fn new(store: &'a dyn Storage, index: &'a Index, head: u64, pass: Pass, progress: P) -> Self {
        let places = usize::try_from(head.clamp(1, SEEN_MAX)).unwrap_or(1);
        Self {
            store,
            head,
            index,
            indexed: index.stored().min(head),
            pass,
            progress,
            events: 0,
            events_indexed: 0,
            records: 0,
            lost: Vec::new(),
            events_lost: 0,
            lacking: 0,
            parts: 0,
            expected: 0,
            seen: vec![Seen::default(); places],
            hasher: Hasher::default(),
            chunk: LastChunk::default(),
        }
    }

    fn run(mut self) -> Result<VerifyReport, LogError> {
        let first_bad = match self.events().and_then(|()| self.surplus()) {
            Ok(()) => None,
            Err(Stop::Bad(entry)) => Some(entry),
            Err(Stop::Failed(why)) => return Err(why),
        };
        Ok(VerifyReport { events: self.events, records: self.records, lost: self.lost, first_bad })
    }

    /// All chunks in order.
    fn events(&mut self) -> Result<(), Stop> {
        let mut next = 1;
        for entry in self.store.scan(Span::prefix(&[keys::CHUNK]), Order::Ascending) {
            if next > self.head {
                break;
            }
            let (key, value) = entry?;
            let first = keys::read_chunk(&key).ok_or_else(|| bad(next, None, Damage::Key))?;
            if first != next {
                let what = if first > next { Damage::Missing } else { Damage::Place(first) };
                return Err(bad(next, None, what));
            }
            if let Some(lost) = hole::read(&value) {
                next = self.hole(first, lost.map_err(|what| bad(first, None, what))?)?;
                continue;
            }
            self.parts += u64::from(pack::parts_of(&value).unwrap_or(0));
            let chunk = load(self.store, first, value)?;
            next = self.frames(first, &chunk)?;
        }
        if next <= self.head {
            return Err(bad(next, None, Damage::Missing));
        }
        let counted = read_number(self.store, keys::HEAD)?.unwrap_or(0);
        if counted < self.head {
            return Err(bad(counted.saturating_add(1), None, Damage::Uncounted));
        }
        Ok(())
    }

    /// One hole; answers the number after its last event.
    fn hole(&mut self, first: u64, lost: Lost) -> Result<u64, Stop> {
        if lost.first != first {
            return Err(bad(first, None, Damage::Place(lost.first)));
        }
        self.events_lost = self.events_lost.saturating_add(lost.count);
        self.lost.push(lost);
        Ok(lost.last().saturating_add(1))
    }

    /// One chunk; answers the number after its last event.
    fn frames(&mut self, first: u64, chunk: &[u8]) -> Result<u64, Stop> {
        let (mut rest, mut seq) = (chunk, first);
        if rest.is_empty() {
            return Err(bad(seq, None, Damage::Cut));
        }
        while !rest.is_empty() && seq <= self.head {
            let (frame, after) = Frame::split(rest).map_err(|what| bad(seq, None, what))?;
            rest = after;
            let (id, event) = frame.open(seq).map_err(|what| bad(seq, None, what))?;
            self.event(first, id, &event)?;
            self.events += 1;
            if self.events.is_multiple_of(PROGRESS_EVERY) {
                (self.progress)(self.events);
            }
            seq = seq.saturating_add(1);
        }
        Ok(seq)
    }

    /// One event: its index entry, its version, its previous event.
    fn event(&mut self, first: u64, id: EventId, event: &Event) -> Result<(), Stop> {
        let wrong = |what| bad(event.seq, Some(&event.record), what);
        let slot = u8::try_from(event.seq.saturating_sub(first)).map_err(|_| wrong(Damage::Index))?;
        let slot = Slot { first, slot };
        self.events_indexed += u64::from(event.seq <= self.indexed);
        match self.pass {
            _ if event.seq > self.indexed => {}
            Pass::Fast => {
                let entry = self.hasher.entry(event.record.as_str(), event.version, slot);
                self.expected = self.expected.wrapping_add(entry);
            }
            Pass::Exact => match self.index.stored_place(self.store, &event.record, event.version) {
                Ok(place) if place == Some(slot) => {}
                Ok(_) | Err(LogError::DamagedTable { .. }) => return Err(wrong(Damage::Index)),
                Err(why) => return Err(why.into()),
            },
        }
        let record = self.hasher.hash(event.record.as_str());
        let place = usize::try_from(record % self.seen.len().max(1) as u128).unwrap_or(0);
        if event.version == 1 {
            self.records += 1;
            if event.prev != EventId::default() {
                return Err(wrong(Damage::Prev));
            }
        } else {
            let previous = match self.seen.get(place).filter(|seen| seen.record == record) {
                Some(seen) => (seen.version.checked_add(1) == Some(event.version)).then_some(seen.id),
                None => self.previous(event)?,
            };
            match previous {
                None => self.gap(event)?,
                Some(previous) if previous != event.prev => return Err(wrong(Damage::Prev)),
                Some(_) => {}
            }
        }
        if let Some(place) = self.seen.get_mut(place) {
            *place = Seen { record, version: event.version, id };
        }
        Ok(())
    }

    /// An event whose version does not follow: sound only if so many events are lost.
    fn gap(&mut self, event: &Event) -> Result<(), Stop> {
        let wrong = || bad(event.seq, Some(&event.record), Damage::VersionGap);
        if self.events_lost == 0 {
            return Err(wrong());
        }
        let last = match self.index.last(self.store, &event.record, event.seq.saturating_sub(1)) {
            Ok(last) => last.map_or(0, |(version, _)| version),
            Err(LogError::DamagedIndex { .. } | LogError::DamagedTable { .. }) => {
                return Err(bad(event.seq, Some(&event.record), Damage::Index));
            }
            Err(why) => return Err(why.into()),
        };
        let lacking = event.version.checked_sub(last.saturating_add(1)).filter(|lacking| *lacking > 0);
        self.lacking = self.lacking.saturating_add(lacking.ok_or_else(wrong)?);
        if self.lacking > self.events_lost {
            return Err(wrong());
        }
        self.records += u64::from(last == 0);
        Ok(())
    }

    /// The id of the version before, through the index. All events before this
    /// one have been checked, so a look at an earlier one that fails is a gap.
    fn previous(&mut self, event: &Event) -> Result<Option<EventId>, Stop> {
        let Some(version) = event.version.checked_sub(1) else { return Ok(None) };
        let slot = match self.index.entries(self.store, &event.record, version, 1) {
            Ok(found) => found.first().filter(|(found, _)| *found == version).map(|(_, slot)| *slot),
            Err(LogError::DamagedIndex { .. } | LogError::DamagedTable { .. }) => {
                return Err(bad(event.seq, Some(&event.record), Damage::Index));
            }
            Err(why) => return Err(why.into()),
        };
        let Some(slot) = slot else { return Ok(None) };
        if slot.seq() >= event.seq {
            return Ok(None);
        }
        match open_at(self.store, &mut self.chunk, &event.record, version, slot) {
            Ok((id, _)) => Ok(Some(id)),
            Err(LogError::Damaged { .. } | LogError::DamagedIndex { .. }) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// What is beside the events: the index as a whole, and parts.
    fn surplus(&mut self) -> Result<(), Stop> {
        if !self.index.table().is_as_stored(self.store)? {
            return Err(bad(0, None, Damage::Table));
        }
        let (mut entries, mut found) = (0, 0u128);
        self.index.table().each(self.store, &[], None, None, |key, value| {
            let run = keys::split_index(key).and_then(|(record, first)| {
                let run = index::split_run(first, &value)?;
                Some((record, run))
            });
            let Some((record, run)) = run else {
                // Neither key nor value of an index entry.
                entries += 1;
                return Ok(true);
            };
            // What is on its way to the store meanwhile does not count.
            for (version, slot) in run.into_iter().filter(|(_, slot)| slot.seq() <= self.indexed) {
                entries += 1;
                found = found.wrapping_add(self.hasher.entry(record, version, slot));
            }
            Ok(true)
        })?;
        if entries != self.events_indexed || (self.pass == Pass::Fast && found != self.expected) {
            return self.first_surplus();
        }
        let mut parts = 0;
        let mut last = 0;
        for entry in self.store.scan(Span::prefix(&[keys::PART]), Order::Ascending) {
            let (seq, _) = keys::read_part(&entry?.0).ok_or_else(|| bad(last, None, Damage::Key))?;
            if seq <= self.head {
                parts += 1;
                last = seq;
            }
        }
        if parts == self.parts { Ok(()) } else { Err(bad(last, None, Damage::Parts)) }
    }

    /// The surplus entry of the index with the lowest number.
    fn first_surplus(&mut self) -> Result<(), Stop> {
        let mut first: Option<BadEntry> = None;
        let mut note = |seq: u64, record: Option<RecordId>| {
            if first.as_ref().is_none_or(|first| seq < first.seq) {
                first = Some(BadEntry { seq, record, what: Damage::IndexExtra });
            }
        };
        let chunk = &mut self.chunk;
        self.index.table().each(self.store, &[], None, None, |key, value| {
            let named = keys::read_index(key);
            let run = named.and_then(|(record, first)| Some((record, index::split_run(first, &value)?)));
            let Some((record, run)) = run else {
                note(0, None);
                return Ok(true);
            };
            for (version, slot) in run.into_iter().filter(|(_, slot)| slot.seq() <= self.indexed) {
                if open_at(self.store, chunk, &record, version, slot).is_err() {
                    note(slot.seq(), Some(record.clone()));
                }
            }
            Ok(true)
        })?;
        let unnamed = || BadEntry { seq: 0, record: None, what: Damage::Index };
        Err(Stop::Bad(first.unwrap_or_else(unnamed)))
    }
}
