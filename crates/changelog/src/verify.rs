//! Verification: reads the whole log once, in order, and names the first entry
//! that is not as it was written.
//!
//! For each event: its bytes have the hash they are stored under, its number
//! follows the one before, the index leads to it, its record has the version
//! before, and it names that one's id. And the index holds nothing else.
//!
//! Memory is bounded: what was seen last of a record is kept in a table of
//! fixed size, and looked up through the index when it has been pushed out.
//! Whether the log as a whole is the one that was there yesterday, no log can
//! say by itself: that takes a signed checkpoint from elsewhere.

use crate::error::{Damage, LogError};
use crate::frame::Frame;
use crate::keys::{self, Slot};
use crate::log::{Log, read_number};
use crate::pack;
use crate::read::{LastChunk, load, open_at};
use crate::storage::{Order, Span, Storage};
use hms_sync_model::{Event, EventId, RecordId};
use std::hash::{BuildHasher, RandomState};

/// Records whose last event is remembered.
const SEEN_MAX: usize = 1 << 15;
/// Events between two reports of progress.
const PROGRESS_EVERY: u64 = 4_096;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events found to be whole, up to the first bad one.
    pub events: u64,
    /// Records they belong to.
    pub records: u64,
    /// The first entry that is not as it was written.
    pub first_bad: Option<BadEntry>,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.first_bad.is_none()
    }
}

/// An entry that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Its place in the log.
    pub seq: u64,
    /// The record it belongs to, if that can still be said.
    pub record: Option<RecordId>,
    /// What is wrong with it.
    pub what: Damage,
}

impl std::fmt::Display for BadEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        let mut check = Check::new(self.inner.store.as_ref(), self.head(), progress);
        let stopped = check.events().and_then(|()| check.surplus());
        let first_bad = match stopped {
            Ok(()) => None,
            Err(Stop::Bad(entry)) => Some(entry),
            Err(Stop::Failed(why)) => return Err(why),
        };
        (check.progress)(check.events);
        Ok(VerifyReport { events: check.events, records: check.records, first_bad })
    }
}

/// The last event seen of a record.
struct Seen {
    record: RecordId,
    version: u64,
    id: EventId,
}

struct Check<'a, P> {
    store: &'a dyn Storage,
    head: u64,
    progress: P,
    events: u64,
    records: u64,
    /// Parts of large events that have an event.
    parts: u64,
    /// By hash of the record, the newest pushes out the one before.
    seen: Vec<Option<Seen>>,
    hasher: RandomState,
    chunk: LastChunk,
}

impl<'a, P: FnMut(u64)> Check<'a, P> {
    fn new(store: &'a dyn Storage, head: u64, progress: P) -> Self {
        let seen = std::iter::repeat_with(|| None).take(SEEN_MAX).collect();
        Self {
            store,
            head,
            progress,
            events: 0,
            records: 0,
            parts: 0,
            seen,
            hasher: RandomState::new(),
            chunk: LastChunk::default(),
        }
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
            self.event(first, id, event)?;
            self.events += 1;
            if self.events.is_multiple_of(PROGRESS_EVERY) {
                (self.progress)(self.events);
            }
            seq = seq.saturating_add(1);
        }
        Ok(seq)
    }

    /// One event: its index entry, its version, its previous event.
    fn event(&mut self, first: u64, id: EventId, event: Event) -> Result<(), Stop> {
        let wrong = |what| bad(event.seq, Some(&event.record), what);
        let slot = u8::try_from(event.seq.saturating_sub(first)).map_err(|_| wrong(Damage::Index))?;
        let entry = self.store.get(&keys::index(&event.record, event.version))?;
        if entry.and_then(|entry| Slot::read(&entry)) != Some(Slot { first, slot }) {
            return Err(wrong(Damage::Index));
        }
        let place = usize::try_from(self.hasher.hash_one(&event.record)).unwrap_or(usize::MAX) % SEEN_MAX;
        if event.version == 1 {
            self.records += 1;
            if event.prev != EventId::default() {
                return Err(wrong(Damage::Prev));
            }
        } else {
            let known = self.seen.get(place).and_then(Option::as_ref);
            let previous = match known.filter(|seen| seen.record == event.record) {
                Some(seen) => (seen.version + 1 == event.version).then_some(seen.id),
                None => self.previous(&event)?,
            };
            match previous {
                None => return Err(wrong(Damage::VersionGap)),
                Some(previous) if previous != event.prev => return Err(wrong(Damage::Prev)),
                Some(_) => {}
            }
        }
        if let Some(place) = self.seen.get_mut(place) {
            *place = Some(Seen { record: event.record, version: event.version, id });
        }
        Ok(())
    }

    /// The id of the version before, through the index. All events before this
    /// one have been checked, so a look at an earlier one that fails is a gap.
    fn previous(&mut self, event: &Event) -> Result<Option<EventId>, Stop> {
        let Some(version) = event.version.checked_sub(1) else { return Ok(None) };
        let entry = self.store.get(&keys::index(&event.record, version))?;
        let Some(slot) = entry.and_then(|entry| Slot::read(&entry)) else { return Ok(None) };
        if slot.seq() >= event.seq {
            return Ok(None);
        }
        match open_at(self.store, &mut self.chunk, &event.record, version, slot) {
            Ok((id, _)) => Ok(Some(id)),
            Err(LogError::Damaged { .. } | LogError::DamagedIndex { .. }) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// Every event has its index entry; any more lead nowhere, or to events
    /// that are gone. The same for parts.
    fn surplus(&mut self) -> Result<(), Stop> {
        let mut entries = 0;
        for entry in self.store.scan(Span::prefix(&[keys::INDEX]), Order::Ascending) {
            // What is being appended meanwhile does not count.
            entries += u64::from(Slot::read(&entry?.1).is_none_or(|slot| slot.seq() <= self.head));
        }
        if entries != self.events {
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
        for entry in self.store.scan(Span::prefix(&[keys::INDEX]), Order::Ascending) {
            let (key, value) = entry?;
            let slot = Slot::read(&value).unwrap_or(Slot { first: 0, slot: 0 });
            let named = keys::read_index(&key);
            let right = match &named {
                Some((record, version)) if slot.seq() <= self.head => {
                    open_at(self.store, &mut self.chunk, record, *version, slot).is_ok()
                }
                Some(_) => true,
                None => false,
            };
            if !right && first.as_ref().is_none_or(|first| slot.seq() < first.seq) {
                let record = named.map(|(record, _)| record);
                first = Some(BadEntry { seq: slot.seq(), record, what: Damage::IndexExtra });
            }
        }
        first.map_or(Ok(()), |entry| Err(Stop::Bad(entry)))
    }
}
