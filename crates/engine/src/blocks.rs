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
    /// Takes in the event that comes next; answers with the summary if it is the last of its block.
    pub(crate) fn add(&mut self, event: &Event) -> Option<(u64, &Summary)> {
        if first_of(block_of(event.seq)) == event.seq {
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
    use super::*;

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
}
