//! What the blocks of the log hold: summaries that are made while events are folded, and
//! made anew where they are missing.

use super::{Views, key};
use crate::blocks::{Block, Summary, block_of, first_of};
use crate::error::EngineError;
use hms_sync_changelog::View;
use hms_sync_model::Event;

impl Views {
    /// Takes an event that comes next into the summary of its block.
    pub(crate) fn sum_up(&mut self, event: &Event) {
        let whole = self.block.add(event);
        if let Some((key, value)) = whole.and_then(|(block, summary)| saved_block(block, summary)) {
            self.set(key, Some(value));
        }
    }

    /// What a block holds; nothing if that is not known, or not all of it has happened.
    pub fn block(&self, block: u64) -> Option<Summary> {
        self.saved_summary(block).filter(Summary::is_whole)
    }

    /// A summary that cannot be read is one that is missing.
    fn saved_summary(&self, block: u64) -> Option<Summary> {
        let bytes = self.get(&block_key(block)).ok()??;
        rmp_serde::from_slice(&bytes).ok()
    }

    /// The block of the last saved event, as far as it goes.
    pub(super) fn resume_block(&mut self) -> Result<(), EngineError> {
        let last = self.log.views_upto();
        let block = block_of(last);
        let saved = self.saved_summary(block);
        if !self.block.resume(last, saved) {
            self.block = self.read_block(block, last)?;
        }
        Ok(())
    }

    /// A block as its events up to `last` make it. Nothing past the block is read.
    fn read_block(&self, block: u64, last: u64) -> Result<Block, EngineError> {
        let mut made = Block::default();
        let last = last.min(first_of(block.saturating_add(1)).saturating_sub(1));
        let events = self.log.events_within(first_of(block), last, usize::MAX)?;
        for (_, event) in &events {
            made.add(event);
        }
        Ok(made)
    }

    /// Makes the summaries that are missing for blocks before the last saved event: those of
    /// a log from before there were any. A block that is damaged stays without one.
    pub(crate) fn sum_up_missing(&mut self) {
        let mut blocks = block_of(self.log.views_upto());
        while let Some(block) = blocks.checked_sub(1).filter(|block| self.block(*block).is_none()) {
            blocks = block;
            match self.read_block(block, u64::MAX) {
                Ok(made) => {
                    let saved = made.whole().and_then(|summary| saved_block(block, summary));
                    saved.into_iter().for_each(|(key, value)| self.set(key, Some(value)));
                }
                Err(why) => tracing::warn!(block, %why, "a block of events cannot be summed up"),
            }
        }
    }
}

fn block_key(block: u64) -> Vec<u8> {
    key(b'b', &block.to_be_bytes())
}

pub(super) fn saved_block(block: u64, summary: &Summary) -> Option<View> {
    Some((block_key(block), rmp_serde::to_vec_named(summary).ok()?))
}
