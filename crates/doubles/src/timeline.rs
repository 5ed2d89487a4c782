//! Records in the order of their last change, to be listed from any time and
//! any offset without walking over all that was before.
//!
//! A list that only grows: a changed record leaves a hole and goes to the end.
//! Stamps never fall. Blocks count what is alive in them, so that an offset
//! skips a block at a time.

const BLOCK: usize = 512;

#[derive(Debug, Clone, Copy)]
struct Slot {
    stamp: i64,
    id: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Timeline {
    slots: Vec<Slot>,
    alive: Vec<usize>,
    holes: usize,
}

impl Timeline {
    /// Puts a record at the end; answers where it stands.
    pub(crate) fn push(&mut self, stamp: i64, id: u64) -> usize {
        let slot = self.slots.len();
        self.slots.push(Slot { stamp, id: Some(id) });
        match self.alive.get_mut(slot / BLOCK) {
            Some(count) => *count += 1,
            None => self.alive.push(1),
        }
        slot
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        if self.slots.get_mut(slot).and_then(|slot| slot.id.take()).is_some() {
            self.holes += 1;
            if let Some(count) = self.alive.get_mut(slot / BLOCK) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Closes the holes once there are more of them than records. Answers the
    /// new places, for those who remember the old ones.
    pub(crate) fn compact(&mut self) -> Vec<(u64, usize)> {
        if self.holes < 2 * BLOCK || self.holes * 2 < self.slots.len() {
            return Vec::new();
        }
        let old = std::mem::take(self);
        let live = old.slots.iter().filter_map(|slot| Some((slot.stamp, slot.id?)));
        live.map(|(stamp, id)| (id, self.push(stamp, id))).collect()
    }

    /// The first place at or after `since`.
    pub(crate) fn start(&self, since: Option<i64>) -> usize {
        since.map_or(0, |since| self.slots.partition_point(|slot| slot.stamp < since))
    }

    /// How many records stand at `start` or after it.
    pub(crate) fn count_from(&self, start: usize) -> usize {
        let (head, blocks) = self.split(start);
        head.count() + self.alive.get(blocks..).unwrap_or_default().iter().sum::<usize>()
    }

    /// The records after `offset` of them from `start` on.
    pub(crate) fn page(&self, start: usize, offset: usize) -> impl Iterator<Item = u64> {
        let (head, mut block) = self.split(start);
        let (mut at, mut left) = (start, offset);
        let in_head = head.count();
        if left >= in_head {
            left -= in_head;
            while let Some(count) = self.alive.get(block).filter(|count| left >= **count) {
                left -= count;
                block += 1;
            }
            at = block * BLOCK;
        }
        self.slots.get(at..).unwrap_or_default().iter().filter_map(|slot| slot.id).skip(left)
    }

    /// The rest of `start`'s block, and the first whole block after it.
    fn split(&self, start: usize) -> (impl Iterator<Item = u64>, usize) {
        let block = start.div_ceil(BLOCK);
        let end = (block * BLOCK).min(self.slots.len());
        let head = self.slots.get(start..end).unwrap_or_default();
        (head.iter().filter_map(|slot| slot.id), block)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Timeline;
    use proptest::prelude::*;

    proptest! {
        /// Pages and counts are those of a plain sorted list, whatever was changed.
        #[test]
        fn agrees_with_a_plain_list(
            changes in prop::collection::vec((0u64..300, 0i64..3, prop::bool::weighted(0.1)), 0..4_000),
            since in 0i64..4_000, offset in 0usize..600, limit in 1usize..50,
        ) {
            let (mut timeline, mut slots) = (Timeline::default(), std::collections::HashMap::new());
            let (mut plain, mut now): (Vec<(i64, u64)>, _) = (Vec::new(), 0);
            for (id, step, delete) in changes {
                now += step;
                if let Some(slot) = slots.remove(&id) {
                    timeline.remove(slot);
                    plain.retain(|(_, other)| *other != id);
                }
                if !delete {
                    slots.insert(id, timeline.push(now, id));
                    plain.push((now, id));
                }
                slots.extend(timeline.compact());
            }
            let wanted: Vec<u64> = plain.iter().filter(|(stamp, _)| *stamp >= since).map(|(_, id)| *id).collect();
            let start = timeline.start(Some(since));
            prop_assert_eq!(timeline.count_from(start), wanted.len());
            let page: Vec<u64> = timeline.page(start, offset).take(limit).collect();
            let expected: Vec<u64> = wanted.into_iter().skip(offset).take(limit).collect();
            prop_assert_eq!(page, expected);
        }
    }
}
