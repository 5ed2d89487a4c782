//! A new log of the events that were found, in their order and with their bytes; what is
//! missing between them becomes holes. An event that contradicts those before it in its
//! record is of a history that was given up, and left out.

use super::file::RawFile;
use super::report::BrokenRecord;
use super::scan::{Finds, Found};
use crate::archived::{Archived, Counted};
use crate::error::LogError;
use crate::frame::Sealed;
use crate::hole::{self, Lost};
use crate::log::{Log, Options};
use crate::tally::Tally;
use hms_sync_model::{Body, Event, EventId, RecordId, Time};
use hms_sync_proof::TreeHash;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Events that are appended at once.
const GROUP: usize = 512;

/// What was rebuilt.
#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    pub(super) events: u64,
    pub(super) records: u64,
    pub(super) last: u64,
    pub(super) lost: Vec<Lost>,
    pub(super) broken: Vec<BrokenRecord>,
    /// Numbers of events that were left out.
    pub(super) left_out: Vec<u64>,
    /// Ranges that had been dropped.
    pub(super) archived: Vec<Archived>,
    /// How many ids of their events were not found.
    pub(super) ids_missing: u64,
}

/// Makes a log in `fresh` that ends with event `head` or later.
pub(super) fn rebuild(
    fresh: &Path,
    file: &RawFile,
    finds: &Finds,
    mut chosen: BTreeMap<u64, Found>,
    head: u64,
    now: Time,
) -> Result<Rebuilt, LogError> {
    let log = Log::open(fresh, Options::default())?;
    let mut making = Making {
        log: &log,
        finds,
        now,
        group: Vec::new(),
        next: 1,
        last: HashMap::new(),
        carried: HashMap::new(),
        made: Rebuilt::default(),
    };
    finds.dropped().iter().try_for_each(|range| making.dropped(range))?;
    chosen = chosen.split_off(&making.next);
    let mut chunk = None;
    for (seq, found) in &chosen {
        if let Some((frame, event)) = finds.read(file, found, &mut chunk)? {
            making.take(*seq, found.id, frame, &event)?;
        }
    }
    let last_hole = finds.lost.iter().map(Lost::last).max().unwrap_or(0);
    making.lose(head.max(last_hole).saturating_add(1))?;
    making.hand_on()?;
    making.mend();
    let mut made = making.made;
    (made.last, made.records) = (making.next - 1, making.last.len() as u64);
    log.close()?;
    Ok(made)
}

struct Making<'a> {
    log: &'a Log,
    finds: &'a Finds,
    now: Time,
    group: Vec<Sealed>,
    /// The number that comes next.
    next: u64,
    /// The last event of each record.
    last: HashMap<RecordId, (u64, EventId)>,
    /// How many events are in what was carried over of a record.
    carried: HashMap<RecordId, u64>,
    made: Rebuilt,
}

impl Finds {
    /// The ranges that were dropped, as they follow each other from event 1 on. Where nothing
    /// stands for one any more, the event of its approval tells of it, and not what there was.
    fn dropped(&self) -> Vec<Counted> {
        let (mut found, mut next) = (Vec::new(), 1);
        loop {
            let stands = self.ranges.get(&next).map(|(_, counted)| counted.clone());
            let told = || self.told.get(&next).map(|told| (told.clone(), Tally::upto(told.last)));
            let Some(counted) = stands.or_else(told) else { return found };
            next = counted.0.last.saturating_add(1);
            found.push(counted);
        }
    }

    /// Ids of a range, with zeros for those that are not there, and how many these are.
    fn ids_of(&self, range: &Archived) -> (Vec<EventId>, u64) {
        let (mut ids, mut missing) = (Vec::new(), 0);
        for seq in range.first..=range.last {
            let first = range.group_of(seq);
            let group = self.ids.get(&first);
            let at = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX);
            let id = group.and_then(|group| group.get(at));
            missing += u64::from(id.is_none());
            ids.push(id.copied().unwrap_or(hole::LOST_ID));
        }
        (ids, missing)
    }
}

impl Making<'_> {
    /// Notes a range that was dropped.
    fn dropped(&mut self, (range, tally): &Counted) -> Result<(), LogError> {
        let (ids, missing) = self.finds.ids_of(range);
        self.log.put_dropped(range.clone(), tally, &ids)?;
        self.made.ids_missing += missing;
        self.made.archived.push(range.clone());
        self.next = range.last.saturating_add(1);
        Ok(())
    }

    /// A record whose first events were dropped lacks nothing if what came of them is there.
    fn mend(&mut self) {
        let carried = &self.carried;
        let is_whole = |of: &BrokenRecord| {
            of.after == 0 && carried.get(&of.record).is_some_and(|upto| *upto + 1 >= of.before)
        };
        self.made.broken.retain(|broken| !is_whole(broken));
    }

    /// Appends an event, if it fits what came before.
    fn take(&mut self, seq: u64, id: EventId, frame: Vec<u8>, event: &Event) -> Result<(), LogError> {
        let (version, prev) = self.last.get(&event.record).copied().unwrap_or_default();
        let follows = event.version == version.saturating_add(1);
        // What lies so far off is no event of this log, whatever its hash says.
        let astray = seq.saturating_sub(self.next) > hole::EVENTS_MAX;
        if astray || event.version <= version || follows && event.prev != prev {
            self.made.left_out.push(seq);
            return Ok(());
        }
        self.lose(seq)?;
        if !follows {
            let record = event.record.clone();
            self.made.broken.push(BrokenRecord { record, after: version, before: event.version });
        }
        if let Body::Carried { upto, .. } = &event.body {
            self.carried.insert(event.record.clone(), *upto);
        }
        self.last.insert(event.record.clone(), (event.version, id));
        let leaf = TreeHash::leaf(&id.0);
        self.group.push(Sealed {
            seq,
            record: event.record.clone(),
            version: event.version,
            id,
            frame,
            leaf,
        });
        self.next = seq.saturating_add(1);
        self.made.events += 1;
        if self.group.len() >= GROUP { self.hand_on() } else { Ok(()) }
    }

    /// Notes what is missing before event `until`.
    fn lose(&mut self, until: u64) -> Result<(), LogError> {
        // A count that is so far off is damaged itself.
        let until = if until.saturating_sub(self.next) > hole::EVENTS_MAX { self.next } else { until };
        while self.next < until {
            self.hand_on()?;
            let lost = self.hole(until);
            self.log.lose(lost)?;
            self.made.lost.push(lost);
            self.next = lost.last().saturating_add(1);
        }
        Ok(())
    }

    /// The next hole before `until`: one of an earlier recovery, or one found now.
    fn hole(&self, until: u64) -> Lost {
        let earlier = self.finds.lost.iter();
        let known = earlier
            .clone()
            .filter(|lost| (lost.first..=lost.last()).contains(&self.next))
            .max_by_key(|lost| lost.last());
        if let Some(known) = known {
            let end = known.last().saturating_add(1).min(until);
            return Lost { first: self.next, count: end - self.next, at: known.at };
        }
        let end = earlier
            .map(|lost| lost.first)
            .filter(|first| *first > self.next)
            .min()
            .unwrap_or(until)
            .min(until);
        Lost { first: self.next, count: end - self.next, at: self.now }
    }

    fn hand_on(&mut self) -> Result<(), LogError> {
        let group = std::mem::take(&mut self.group);
        if group.is_empty() { Ok(()) } else { self.log.append(&group) }
    }
}
