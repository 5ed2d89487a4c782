//! What the log holds, block by block: which kinds of events, of which sides and
//! collections. Whoever looks for some passes over the blocks that hold none.
//!
//! A view like the others: made from the events, and made anew where it is missing.
//! A block without a summary is read; nothing is ever passed over without one.

use crate::fold::side_of;
use hms_sync_model::{Event, Kind};
use serde::{Deserialize, Serialize};

/// Events in a block. The first block begins with event 1.
pub const BLOCK_EVENTS: u64 = 1_024;

/// The number of the block that holds an event, from 0.
pub fn block_of(seq: u64) -> u64 {
    seq.saturating_sub(1) / BLOCK_EVENTS
}

/// The first event of a block.
pub fn first_of(block: u64) -> u64 {
    block.saturating_mul(BLOCK_EVENTS).saturating_add(1)
}

/// The side and the collection that an event concerns; no side if it is none in particular.
pub fn place_of(event: &Event) -> (Option<&str>, &str) {
    let stream = event.record.as_str().strip_prefix("@sync/").and_then(|rest| rest.split_once('/'));
    match stream {
        Some((side, collection)) => (Some(side), collection),
        None => (side_of(&event.body).map(hms_sync_model::SideName::as_str), event.record.collection()),
    }
}

/// What some events hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How many they are.
    #[serde(rename = "n")]
    events: u64,
    /// A bit for each kind.
    #[serde(rename = "k")]
    kinds: u32,
    #[serde(rename = "s")]
    sides: Vec<String>,
    #[serde(rename = "c")]
    collections: Vec<String>,
}

impl Summary {
    fn add(&mut self, event: &Event) {
        let (side, collection) = place_of(event);
        self.events += 1;
        self.kinds |= bit(event.body.kind());
        for (all, one) in [(&mut self.sides, side), (&mut self.collections, Some(collection))] {
            if let Some(one) = one.filter(|one| !all.iter().any(|known| known == one)) {
                all.push(one.to_owned());
            }
        }
    }

    /// Whether one of them can be of this side, this collection and one of these kinds;
    /// nothing or none means any.
    pub fn may_hold(&self, side: Option<&str>, collection: Option<&str>, kinds: &[Kind]) -> bool {
        let among = |all: &[String], one: Option<&str>| one.is_none_or(|one| all.iter().any(|a| a == one));
        among(&self.sides, side)
            && among(&self.collections, collection)
            && (kinds.is_empty() || kinds.iter().any(|kind| self.kinds & bit(*kind) != 0))
    }

    /// Whether it tells of a whole block.
    pub(crate) fn is_whole(&self) -> bool {
        self.events == BLOCK_EVENTS
    }
}

fn bit(kind: Kind) -> u32 {
    1_u32.checked_shl(kind as u32).unwrap_or(0)
}

/// The summary of the block that the last events are in.
#[derive(Debug, Default)]
pub(crate) struct Block {
    summary: Summary,
    /// The last event in it.
    last: u64,
}

impl Block {
    /// Takes in the event that comes next, lost ones left out; answers with the summary if
    /// that makes its block whole. One with lost events never is.
    pub(crate) fn add(&mut self, event: &Event) -> Option<(u64, &Summary)> {
        if block_of(event.seq) != block_of(self.last) {
            self.summary = Summary::default();
        }
        self.summary.add(event);
        self.last = event.seq;
        self.summary.is_whole().then_some((block_of(event.seq), &self.summary))
    }

    /// What it holds, if it is whole.
    pub(crate) fn whole(&self) -> Option<&Summary> {
        Some(&self.summary).filter(|summary| summary.is_whole())
    }

    /// The block that is not whole yet, and what it holds so far.
    pub(crate) fn open(&self) -> Option<(u64, &Summary)> {
        let open = !self.summary.is_whole() && self.summary.events > 0;
        open.then_some((block_of(self.last), &self.summary))
    }

    /// Goes on after event `last` with what its block was saved to hold, if it is just that.
    pub(crate) fn resume(&mut self, last: u64, saved: Option<Summary>) -> bool {
        let held = last.saturating_sub(first_of(block_of(last)).saturating_sub(1));
        let fits = saved.filter(|saved| saved.events == held);
        let found = fits.is_some() || last == 0;
        *self = Self { summary: fits.unwrap_or_default(), last };
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use crate::plan::Plan;
    use crate::quiet::Quiet;
    use crate::views::Views;
    use hms_sync_changelog::{Log, MemoryDisk, seal};
    use hms_sync_model::{Body, Clock, EventId, RecordId, SideName, Time};
    use std::sync::Arc;

    #[test]
    fn every_kind_has_a_bit() {
        let all = Kind::ALL.iter().fold(0, |all: u32, kind| all | bit(*kind));
        assert_eq!(all.count_ones() as usize, Kind::ALL.len());
    }

    #[test]
    fn blocks_follow_each_other() {
        assert_eq!([1, BLOCK_EVENTS, BLOCK_EVENTS + 1].map(block_of), [0, 0, 1]);
        assert_eq!([0, 1].map(first_of), [1, BLOCK_EVENTS + 1]);
    }

    /// An event of one of several sides and kinds, alone in its record.
    fn event(seq: u64) -> Event {
        let side = SideName::try_new(["clerk", "marshal", "court"][usize::try_from(seq / 700 % 3).unwrap()])
            .unwrap();
        let body = match seq % 611 {
            0 => Body::Unlinked { side, apart: None },
            _ => Body::Confirmed { side, clock: Clock::new(), tag: None, but: Vec::new() },
        };
        let record = RecordId::try_new(format!("c{}/{seq}", seq / 900)).unwrap();
        Event { seq, record, version: 1, at: Time(1), prev: EventId::default(), body }
    }

    /// Once failed: what was lost over the end of a block made one block of two.
    #[test]
    fn a_block_that_has_lost_events_is_never_whole() {
        for (first, last) in [(1_000, 1_100), (1_024, 1_024), (1_025, 1_025), (1, 1), (900, 3_000)] {
            let mut block = Block::default();
            for seq in (1..=4_096).filter(|seq| !(first..=last).contains(seq)) {
                let of = block_of(seq);
                let intact = last < first_of(of) || first >= first_of(of + 1);
                let ends = seq + 1 == first_of(of + 1);
                let whole = block.add(&event(seq)).map(|(whole, _)| whole);
                assert_eq!(whole, (intact && ends).then_some(of), "{seq} without {first} to {last}");
                let (open, held) =
                    block.open().map_or((of, BLOCK_EVENTS), |(open, held)| (open, held.events));
                let lost = (first_of(of)..=seq).filter(|seq| (first..=last).contains(seq)).count() as u64;
                assert_eq!((open, held), (of, seq + 1 - first_of(of) - lost));
            }
        }
    }

    fn views(log: &Log) -> Views {
        let mut views = Views::new(log.clone(), Arc::new(Plan::new("Test")));
        views.catch_up().unwrap();
        views
    }

    /// What the views know of each block is what the events make of it.
    fn check(log: &Log, views: &Views) {
        for block in 0..=block_of(log.head()) {
            let mut made = Block::default();
            for (_, event) in log.events(first_of(block), 1_024).unwrap() {
                made.add(&event);
            }
            assert_eq!(views.block(block).as_ref(), made.whole(), "block {block} of {}", log.head());
        }
    }

    #[test]
    fn a_summary_tells_of_its_block_across_restarts_and_is_made_anew() {
        let log = Log::on(MemoryDisk::new()).unwrap();
        let mut life = views(&log);
        for (count, save) in
            [(1, false), (500, true), (523, true), (1_024, false), (1_500, true), (700, false)]
        {
            for seq in log.head() + 1..=log.head() + count {
                let event = event(seq);
                log.append(&[seal(&event).unwrap()]).unwrap();
                life.sum_up(&event);
                life.mark_todo(&event.record, true);
            }
            check(&log, &life);
            if save {
                let (changes, upto) = life.begin_save(log.head(), &Quiet::default()).unwrap();
                log.save_views(&changes, upto).unwrap();
            }
            life = views(&log);
            check(&log, &life);
        }
        assert!(life.block(3).is_some() && life.block(4).is_none());
        let gone = log.views(b"b", None, 100).unwrap().into_iter().map(|(key, _)| (key, None)).collect();
        log.save_views(&gone, log.head()).unwrap();
        life = views(&log);
        assert!((0..5).all(|block| life.block(block).is_none()));
        life.sum_up_missing();
        check(&log, &life);
        log.drop_views().unwrap();
        check(&log, &views(&log));
    }

    #[test]
    fn what_is_in_a_block_may_be_held_and_nothing_else() {
        let mut summary = Summary::default();
        summary.add(&event(1));
        assert!(summary.may_hold(None, None, &[]));
        assert!(summary.may_hold(Some("clerk"), Some("c0"), &[Kind::Edited, Kind::Confirmed]));
        assert!(!summary.may_hold(Some("marshal"), None, &[]));
        assert!(!summary.may_hold(None, Some("c1"), &[]));
        assert!(!summary.may_hold(None, None, &[Kind::Edited]));
    }
}
