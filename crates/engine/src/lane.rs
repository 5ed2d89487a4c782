//! Lanes: what is under way, or waits for its time, for one record on one
//! side. In memory only; a restart makes them anew from the records.
//!
//! Invariant: at most one request in flight per (record, side). Tested by
//! `engine/tests/simulation.rs`.

use hms_sync_model::{JobName, RecordId, SideName, Time, VecMap};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};

/// One record's way to one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Track {
    /// Bringing the merged record to a side.
    Deliver(SideName),
    /// Sending a handler's requests to a side.
    Send(SideName),
    /// Calling a handler.
    Handle(JobName),
}

/// What is under way in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Busy {
    /// A write, by the version of its `Intended` event.
    Writing(u64),
    /// A read by id.
    Reading,
    /// A look-up by identity.
    Looking,
    /// A handler's request, by the version of its `Queued` event.
    Sending(u64),
    /// A handler.
    Handling,
}

/// One lane.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// What is under way.
    pub busy: Option<Busy>,
    /// Not before this.
    pub due: Option<Time>,
    /// Whether it stands in a queue.
    pub queued: bool,
    /// The side said that a create met something: look before anything else.
    pub look: Option<String>,
    /// When the side's record was last read by its id: a write may follow at once.
    pub read_at: Option<Time>,
    /// The last write, by the version of its event, and when it was first sent: what its
    /// answer shows may be as old.
    pub sent: Option<(u64, Time)>,
    /// A look-up found nothing where a create may still be on its way.
    pub looked_once: bool,
    /// A handler was handed the record before its personal fields were erased.
    pub stale: bool,
    /// Reads in a row that failed.
    pub failed_reads: u32,
    /// The write, by the version of its event, that the side is known not to have
    /// carried out so far: it said so to this process. After a restart nobody knows.
    pub refused: Option<u64>,
    /// The write, by the version of its event, of which one try may have been carried out:
    /// that a later try was refused says nothing of it.
    pub unsure: Option<u64>,
    /// When it was heard that nobody knows: a read begun before that may have come before the
    /// write did.
    pub unsure_since: Option<Time>,
}

/// All lanes with work, the queues before each place, and the alarm clock.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: FxHashMap<RecordId, VecMap<Track, Lane>>,
    ready: FxHashMap<Track, VecDeque<RecordId>>,
    alarms: BTreeMap<(Time, u64), (RecordId, Track)>,
    alarm_count: u64,
    ready_count: usize,
}

impl Lanes {
    /// The lane of a record, if it has work.
    pub(crate) fn get(&self, record: &RecordId, track: &Track) -> Option<&Lane> {
        self.lanes.get(record)?.get(track)
    }

    fn get_mut(&mut self, record: &RecordId, track: &Track) -> Option<&mut Lane> {
        self.lanes.get_mut(record)?.get_mut(track)
    }

    /// The lane of a record, made if it is new.
    pub(crate) fn open(&mut self, record: &RecordId, track: &Track) -> &mut Lane {
        let of_record = self.lanes.entry(record.clone()).or_default();
        of_record.entry_or(track.clone(), Lane::default)
    }

    /// Forgets a lane that has nothing under way.
    pub(crate) fn close(&mut self, record: &RecordId, track: &Track) {
        let Some(of_record) = self.lanes.get_mut(record) else { return };
        if of_record.get(track).is_some_and(|lane| lane.busy.is_none() && !lane.queued) {
            of_record.remove(track);
        }
        if of_record.is_empty() {
            self.lanes.remove(record);
        }
    }

    /// Whether nothing is to be done for a record anywhere.
    pub(crate) fn rests(&self, record: &RecordId) -> bool {
        !self.lanes.contains_key(record)
    }

    /// Puts a lane into its queue, now or when its time has come.
    pub(crate) fn schedule(&mut self, record: &RecordId, track: &Track, now: Time) {
        let lane = self.open(record, track);
        if lane.busy.is_some() || lane.queued {
            return;
        }
        match lane.due {
            Some(due) if due > now => {
                self.alarm_count += 1;
                self.alarms.insert((due, self.alarm_count), (record.clone(), track.clone()));
            }
            _ => {
                lane.queued = true;
                self.ready_count += 1;
                self.ready.entry(track.clone()).or_default().push_back(record.clone());
            }
        }
    }

    /// Forgets what sides said of a record, and notes which handlers know what is erased.
    pub(crate) fn forget_words(&mut self, record: &RecordId) {
        for (_, lane) in self.lanes.get_mut(record).into_iter().flat_map(VecMap::iter_mut) {
            lane.look = lane.look.take().map(|words| crate::personal::mask_words(&words));
            lane.stale = lane.busy == Some(Busy::Handling);
        }
    }

    /// Moves lanes whose time has come into their queues.
    pub(crate) fn ring(&mut self, now: Time) {
        while let Some(entry) = self.alarms.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let (record, track) = entry.remove();
            if self.get(&record, &track).is_some() {
                self.schedule(&record, &track, now);
            }
        }
    }

    /// The next record in the queue before a place.
    pub(crate) fn next(&mut self, track: &Track) -> Option<RecordId> {
        if self.ready_count == 0 {
            return None;
        }
        let record = self.ready.get_mut(track)?.pop_front()?;
        self.ready_count = self.ready_count.saturating_sub(1);
        if let Some(lane) = self.get_mut(&record, track) {
            lane.queued = false;
        }
        Some(record)
    }

    /// How many stand in queues.
    pub(crate) fn ready(&self) -> usize {
        self.ready_count
    }

    /// How many stand in the queue before one place.
    pub(crate) fn ready_for(&self, track: &Track) -> usize {
        self.ready.get(track).map_or(0, VecDeque::len)
    }

    /// Whether anything is in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.lanes.values().any(|of_record| of_record.values().any(|lane| lane.busy.is_some()))
    }

    /// The next alarm.
    pub(crate) fn next_alarm(&self) -> Option<Time> {
        self.alarms.keys().next().map(|(at, _)| *at)
    }
}
