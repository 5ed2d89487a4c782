//! The chunks of events that were read last, unpacked.
//!
//! Events that became durable together lie together, and records that are asked for
//! one after the other mostly came together: without this each of them would unpack
//! the same chunks again. A chunk is never rewritten, so what is kept here cannot be
//! out of date. What never happens here: trusting it. Whoever reads an event from it
//! checks its hash, as of one from the disk.

use crate::pack::CHUNK_BYTES_MAX;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Chunks kept: 3 MB at most, mostly half of that.
const CHUNKS_MAX: usize = 256;

/// Unpacked chunks by the number of their first event.
#[derive(Debug, Default)]
pub(crate) struct Chunks(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    chunks: FxHashMap<u64, Arc<[u8]>>,
    /// In the order in which they came.
    order: VecDeque<u64>,
}

impl Chunks {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Losing one is no loss, and a change is whole before the next begins.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chunk that begins with event `first`, if it is kept.
    pub(crate) fn get(&self, first: u64) -> Option<Arc<[u8]>> {
        self.kept().chunks.get(&first).cloned()
    }

    /// Keeps a chunk; the one that came first goes if there are too many.
    pub(crate) fn keep(&self, first: u64, frames: &Arc<[u8]>) {
        // A larger one is an event of its own.
        if frames.len() > CHUNK_BYTES_MAX {
            return;
        }
        let mut kept = self.kept();
        if kept.chunks.insert(first, Arc::clone(frames)).is_some() {
            return;
        }
        kept.order.push_back(first);
        if kept.order.len() > CHUNKS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.chunks.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_no_more_than_that() {
        let chunks = Chunks::default();
        let large: Arc<[u8]> = vec![0; CHUNK_BYTES_MAX + 1].into();
        chunks.keep(0, &large);
        assert!(chunks.get(0).is_none());
        for first in 1..=300_u64 {
            let frames: Arc<[u8]> = first.to_be_bytes().as_slice().into();
            chunks.keep(first, &frames);
            chunks.keep(first, &frames);
        }
        let there: Vec<u64> = (0..=300).filter(|first| chunks.get(*first).is_some()).collect();
        assert_eq!(there, (45..=300).collect::<Vec<_>>());
        assert_eq!(chunks.get(300).as_deref(), Some(300_u64.to_be_bytes().as_slice()));
    }
}
