//! Verification: reads the whole log once, in order, and names the first entry
//! that is not as it was written.
//!
//! For each event: its bytes have the hash they are stored under, its number
//! follows the one before, the index leads to it, its record has the version
//! before, and it names that one's id. Where a recovery has noted lost events, or archived
//! ones were dropped, so many versions may be missing, and no more. And the stored index holds nothing else;
//! what of the index is in memory was made from the events themselves. The tree
//! over all events is made anew: it is the one that is stored, and at the size of
//! each checkpoint it was given it has that checkpoint's root. Bytes with the right
//! hash are what was sealed; of their content only what is compared is read.
//!
//! It goes over the log twice at most. The first pass reads everything in the
//! order in which it lies, which is fast: that index and events say the same is
//! seen from sums of keyed hashes over both. Only if something does not fit, a
//! second pass follows that looks up every event in the index, to name the
//! first that is wrong. Copies of chunks (`copies.rs`) that are not what is stored are thrown
//! away; the log is none the worse for them.
//!
//! Memory is bounded: what was seen last of a record is kept in a table of
//! fixed size (`seen.rs`), and looked up through the index when it has been pushed out.
//! Whether the log as a whole is the one that was there yesterday, no log can
//! say by itself: that takes a signed checkpoint from elsewhere.

mod seen;

use self::seen::{Hasher, Seen};
use crate::archived::{self, Archived, Counted};
use crate::copies::Copies;
use crate::error::{Damage, LogError};
use crate::frame::Frame;
use crate::head::Head;
use crate::hole::{self, Lost};
use crate::index::{self, Index};
use crate::keys::{self, Slot};
use crate::log::{Inner, Log, counted};
use crate::pack;
use crate::read::{LastChunk, load, open_at};
use crate::storage::{Order, Span, Storage};
use crate::tally::Tally;
use crate::tree::{Differs, Tree};
use hms_sync_model::{EventId, RecordId};
use hms_sync_proof::{TreeHash, TreeHead};

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
    /// What was archived and dropped, up to the first bad one.
    pub archived: Vec<Archived>,
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
            LogError::DamagedTree { first, last } => bad(first, None, Damage::Tree { last }),
            why => Self::Failed(why),
        }
    }
}

fn bad(seq: u64, record: Option<&str>, what: Damage) -> Stop {
    Stop::Bad(BadEntry { seq, record: record.and_then(|record| RecordId::try_new(record).ok()), what })
}

/// Some events do not have the tree's hash.
fn differs(found: Option<Differs>) -> Result<(), Stop> {
    found.map_or(Ok(()), |Differs { first, last }| Err(bad(first, None, Damage::Tree { last })))
}

impl Log {
    /// Checks every durable event, in order, the index and the tree. `progress` is told
    /// now and then, and at the end, how many events have been looked at.
    /// Appends may go on meanwhile; what they add is not looked at.
    ///
    /// # Errors
    /// Only if the storage cannot be read: damage is a finding, not an error.
    pub fn verify(&self, progress: impl FnMut(u64)) -> Result<VerifyReport, LogError> {
        self.verify_against(&[], progress)
    }

    /// The same, and that the log is the one of these checkpoints, whose signatures are the
    /// caller's to check.
    ///
    /// # Errors
    /// As [`Log::verify`].
    pub fn verify_against(
        &self,
        checkpoints: &[TreeHead],
        progress: impl FnMut(u64),
    ) -> Result<VerifyReport, LogError> {
        let mut checkpoints = checkpoints.to_vec();
        checkpoints.sort_unstable_by_key(|head| head.size);
        let (tree, head) = {
            let tree = self.inner.tree();
            (tree.clone(), self.head())
        };
        let Inner { index, copies, .. } = &*self.inner;
        let store = self.inner.store.as_ref();
        let mut told = 0;
        let mut progress = progress;
        // A second pass says nothing until it is past the first.
        let mut once = |events| {
            if events > told {
                told = events;
                progress(events);
            }
        };
        let log = Checked { store, index, copies, head, tree: &tree, checkpoints: &checkpoints };
        let mut report = Check::new(log, Pass::Fast, &mut once).run()?;
        if !report.is_sound() {
            report = Check::new(log, Pass::Exact, &mut once).run()?;
        }
        once(report.events);
        Ok(report)
    }
}

/// What is checked: the log as it was when that began.
#[derive(Clone, Copy)]
struct Checked<'a> {
    store: &'a dyn Storage,
    index: &'a Index,
    copies: &'a Copies,
    head: u64,
    tree: &'a Tree,
    /// Smaller first.
    checkpoints: &'a [TreeHead],
}

/// How index and events are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// As a whole.
    Fast,
    /// Event by event.
    Exact,
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
    /// Ranges that were dropped; their events count among the lost ones.
    archived: Vec<Archived>,
    /// Versions that records lack, which are among the lost events.
    lacking: u64,
    /// Parts of large events that have an event.
    parts: u64,
    /// What is counted of the events, and what was stored of that.
    tally: Tally,
    tallied: Option<Tally>,
    /// The sum over the index entries that the events ought to have.
    expected: u128,
    seen: Seen,
    hasher: Hasher,
    chunk: LastChunk<'a>,
    copies: &'a Copies,
    /// The tree of the log, and the one that is made anew.
    tree: &'a Tree,
    made: Tree,
    /// Those still to come.
    checkpoints: &'a [TreeHead],
    /// The size of the last one that fitted.
    fitted: u64,
}

impl<'a, P: FnMut(u64)> Check<'a, P> {
    fn new(log: Checked<'a>, pass: Pass, progress: P) -> Self {
        let Checked { store, index, copies, head, tree, checkpoints } = log;
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
            archived: Vec::new(),
            lacking: 0,
            parts: 0,
            tally: Tally::default(),
            tallied: None,
            expected: 0,
            seen: Seen::for_events(head),
            hasher: Hasher::default(),
            // Those of events before the one that is looked at have been compared.
            chunk: LastChunk::from_copies(copies),
            copies,
            tree,
            made: tree.begun_anew(),
            checkpoints,
            fitted: 0,
        }
    }

    fn run(mut self) -> Result<VerifyReport, LogError> {
        let first_bad = match self.events().and_then(|()| self.whole_tree()).and_then(|()| self.surplus()) {
            Ok(()) => None,
            Err(Stop::Bad(entry)) => Some(entry),
            Err(Stop::Failed(why)) => return Err(why),
        };
        let Self { events, records, lost, archived, .. } = self;
        Ok(VerifyReport { events, records, lost, archived, first_bad })
    }

    /// All chunks in order.
    fn events(&mut self) -> Result<(), Stop> {
        let mut next = 1;
        self.tallied = match self.store.get(keys::TALLY)? {
            Some(stored) => Some(Tally::from_bytes(&stored).ok_or_else(|| bad(0, None, Damage::Table))?),
            None => None,
        };
        self.checkpoints_here()?;
        for entry in self.store.scan(Span::prefix(&[keys::CHUNK]), Order::Ascending) {
            if next > self.head {
                break;
            }
            let (key, value) = entry?;
            let first = keys::read_chunk(&key).ok_or_else(|| bad(next, None, Damage::Key))?;
            if let Some(range) = archived::read(&value) {
                next = self.range(first, range.map_err(|what| bad(first, None, what))?)?;
                continue;
            }
            if first < next && self.archived.last().is_some_and(|range| first <= range.last) {
                // What a drop that was cut off has left; the next start removes it.
                continue;
            }
            if first != next {
                let what = if first > next { Damage::Missing } else { Damage::Place(first) };
                return Err(bad(next, None, what));
            }
            if let Some(lost) = hole::read(&value) {
                next = self.hole(first, lost.map_err(|what| bad(first, None, what))?)?;
                continue;
            }
            self.parts += u64::from(pack::parts_of(&value).unwrap_or(0));
            self.copies.compare(first, &value);
            let chunk = load(self.store, first, value)?;
            next = self.frames(first, &chunk)?;
        }
        if next <= self.head {
            return Err(bad(next, None, Damage::Missing));
        }
        let counted = counted(self.store)?.unwrap_or(0);
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
        for _ in lost.first..=lost.last().min(self.head) {
            self.leaf(hole::LOST_ID)?;
        }
        self.events_lost = self.events_lost.saturating_add(lost.count);
        self.lost.push(lost);
        Ok(lost.last().saturating_add(1))
    }

    /// A range that was dropped; answers the number after its last event.
    fn range(&mut self, first: u64, (range, tally): Counted) -> Result<u64, Stop> {
        if range.first != first {
            return Err(bad(first, None, Damage::Place(range.first)));
        }
        let (store, last) = (self.store, range.last.min(self.head));
        let mut bad_leaf = None;
        archived::each_id(store, &range, first, last, |id| {
            bad_leaf = self.leaf(id).err();
            Ok(bad_leaf.is_none())
        })?;
        if let Some(stop) = bad_leaf {
            return Err(stop);
        }
        if self.made.head().root.0 != range.root {
            return Err(bad(first, None, Damage::Tree { last: range.last }));
        }
        self.events_lost = self.events_lost.saturating_add(range.count());
        // One from before the drop tells nothing any more.
        self.tallied.take_if(|tallied| tallied.upto <= range.last);
        self.tally = tally;
        self.archived.push(range);
        Ok(last.saturating_add(1))
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
            let (id, head) = frame.head(seq).map_err(|what| bad(seq, None, what))?;
            self.event(first, id, &head)?;
            self.leaf(id)?;
            if self.tallied.as_ref().is_some_and(|tallied| tallied.upto >= seq) {
                self.tally.add(seq, head.record, head.version, frame.bytes());
            }
            self.events += 1;
            if self.events.is_multiple_of(PROGRESS_EVERY) {
                (self.progress)(self.events);
            }
            seq = seq.saturating_add(1);
        }
        Ok(seq)
    }

    /// One event: its index entry, its version, its previous event.
    fn event(&mut self, first: u64, id: EventId, event: &Head<'_>) -> Result<(), Stop> {
        let wrong = |what| bad(event.seq, Some(event.record), what);
        let slot = u8::try_from(event.seq.saturating_sub(first)).map_err(|_| wrong(Damage::Index))?;
        let slot = Slot { first, slot };
        let record = self.hasher.record(event.record);
        if event.seq <= self.indexed {
            self.events_indexed += 1;
            match self.pass {
                Pass::Fast => {
                    let entry = self.hasher.entry(record, event.version, slot);
                    self.expected = self.expected.wrapping_add(entry);
                }
                Pass::Exact => self.indexed_at(event, slot)?,
            }
        }
        if event.version == 1 {
            self.records += 1;
            if event.prev != EventId::default() {
                return Err(wrong(Damage::Prev));
            }
        } else {
            let named = self.hasher.event(event.prev);
            let fits = match self.seen.last(record) {
                Some((version, last)) => {
                    (version.checked_add(1) == Some(event.version)).then_some(last == named)
                }
                None => self.previous(event)?.map(|previous| previous == event.prev),
            };
            match fits {
                None => self.gap(event)?,
                Some(false) => return Err(wrong(Damage::Prev)),
                Some(true) => {}
            }
        }
        self.seen.put(record, event.version, self.hasher.event(id));
        Ok(())
    }

    /// Whether the index leads to the event.
    fn indexed_at(&self, event: &Head<'_>, slot: Slot) -> Result<(), Stop> {
        let wrong = || bad(event.seq, Some(event.record), Damage::Index);
        let record = RecordId::try_new(event.record).map_err(|_| wrong())?;
        match self.index.stored_place(self.store, &record, event.version) {
            Ok(place) if place == Some(slot) => Ok(()),
            Ok(_) | Err(LogError::DamagedTable { .. }) => Err(wrong()),
            Err(why) => Err(why.into()),
        }
    }

    /// The event's leaf in the tree, and the checkpoints of that size.
    fn leaf(&mut self, id: EventId) -> Result<(), Stop> {
        differs(self.made.compare(TreeHash::leaf(&id.0), self.store)?)?;
        self.checkpoints_here()
    }

    fn checkpoints_here(&mut self) -> Result<(), Stop> {
        let size = self.made.size();
        while let Some((next, rest)) = self.checkpoints.split_first().filter(|(next, _)| next.size <= size) {
            if next.size == size && *next != self.made.head() {
                let first = self.fitted.saturating_add(1).min(size.max(1));
                return Err(bad(first, None, Damage::Checkpoint { last: size }));
            }
            (self.checkpoints, self.fitted) = (rest, next.size);
        }
        Ok(())
    }

    /// The tree as a whole, and the checkpoints that go past it.
    fn whole_tree(&mut self) -> Result<(), Stop> {
        if self.tree.size() != self.made.size() {
            return Err(bad(0, None, Damage::Tree { last: self.head }));
        }
        differs(self.made.differs(self.tree))?;
        let stored = self.store.get(keys::HEAD)?;
        // What was appended meanwhile moved it on.
        let (store, head) = (self.store, self.head);
        let moved = || counted(store).map(|counted| counted.is_some_and(|counted| counted > head));
        if !moved()? && stored.is_some_and(|stored| *stored != self.made.to_bytes()) {
            return Err(bad(0, None, Damage::Tree { last: self.head }));
        }
        let beyond = self.made.beyond(self.store)?;
        if beyond.is_some() && !moved()? {
            differs(beyond)?;
        }
        match self.checkpoints.first() {
            None => Ok(()),
            Some(next) => Err(bad(self.head.saturating_add(1), None, Damage::RolledBack { last: next.size })),
        }
    }

    /// An event whose version does not follow: sound only if so many events are lost.
    fn gap(&mut self, event: &Head<'_>) -> Result<(), Stop> {
        let wrong = || bad(event.seq, Some(event.record), Damage::VersionGap);
        if self.events_lost == 0 {
            return Err(wrong());
        }
        let record = RecordId::try_new(event.record).map_err(|_| wrong())?;
        let last = match self.index.last(self.store, &record, event.seq.saturating_sub(1)) {
            Ok(last) => last.map_or(0, |(version, _)| version),
            Err(LogError::DamagedIndex { .. } | LogError::DamagedTable { .. }) => {
                return Err(bad(event.seq, Some(event.record), Damage::Index));
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
    fn previous(&mut self, event: &Head<'_>) -> Result<Option<EventId>, Stop> {
        let Some(version) = event.version.checked_sub(1) else { return Ok(None) };
        let Ok(record) = RecordId::try_new(event.record) else { return Ok(None) };
        let slot = match self.index.entries(self.store, &record, version, 1) {
            Ok(found) => found.first().filter(|(found, _)| *found == version).map(|(_, slot)| *slot),
            Err(LogError::DamagedIndex { .. } | LogError::DamagedTable { .. }) => {
                return Err(bad(event.seq, Some(event.record), Damage::Index));
            }
            Err(why) => return Err(why.into()),
        };
        let Some(slot) = slot else { return Ok(None) };
        if slot.seq() >= event.seq {
            return Ok(None);
        }
        match open_at(self.store, &mut self.chunk, &record, version, slot) {
            Ok((id, _)) => Ok(Some(id)),
            Err(LogError::Damaged { .. } | LogError::DamagedIndex { .. }) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// Whether the stored tally is not what the events come to.
    fn is_miscounted(&self) -> Result<bool, LogError> {
        match &self.tallied {
            Some(tallied) if tallied.upto <= self.head => Ok(*tallied != self.tally),
            // Stored since this began, if there are so many events.
            Some(tallied) => Ok(counted(self.store)?.is_none_or(|counted| counted < tallied.upto)),
            None => Ok(false),
        }
    }

    /// What is beside the events: the index as a whole, and parts.
    fn surplus(&mut self) -> Result<(), Stop> {
        if !self.index.table().is_as_stored(self.store)? || self.is_miscounted()? {
            return Err(bad(0, None, Damage::Table));
        }
        let (mut entries, mut found) = (0, 0u128);
        let there = self.index.dropped().saturating_add(1)..=self.indexed;
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
            let hash = self.hasher.record(record);
            for (version, slot) in run.into_iter().filter(|(_, slot)| there.contains(&slot.seq())) {
                entries += 1;
                found = found.wrapping_add(self.hasher.entry(hash, version, slot));
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
        let there = self.index.dropped().saturating_add(1)..=self.indexed;
        let chunk = &mut self.chunk;
        self.index.table().each(self.store, &[], None, None, |key, value| {
            let named = keys::read_index(key);
            let run = named.and_then(|(record, first)| Some((record, index::split_run(first, &value)?)));
            let Some((record, run)) = run else {
                note(0, None);
                return Ok(true);
            };
            for (version, slot) in run.into_iter().filter(|(_, slot)| there.contains(&slot.seq())) {
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
