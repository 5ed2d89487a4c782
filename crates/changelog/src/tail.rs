//! Events that a power cut has left behind the mark of the last one, in a log of format 1. There
//! a batch of events was laid key by key, its chunks first and the mark last, so the first few chunks of the last batch
//! may be there without it. They were never acknowledged, but they follow the events before
//! them and are whole: they are taken up, as of batches that come whole the first few may be
//! there too.
//!
//! What never happens here: taking up anything that is not whole, that does not follow the
//! last event, that is more than a batch, or that is never laid (the first events of a log,
//! events in parts, holes, what was dropped). The mark stays then, and whoever opens the log
//! finds that its end is damaged.

use crate::archived;
use crate::error::LogError;
use crate::frame::Frame;
use crate::hole;
use crate::keys;
use crate::pack;
use crate::read::load;
use crate::storage::{Batch, Order, Span, Storage, Value};
use crate::tree::Tree;
use hms_sync_proof::TreeHash;

/// Moves the mark behind the whole events that follow it.
pub(crate) fn take_up(store: &dyn Storage, kept_level: u8) -> Result<(), LogError> {
    let Some(mut tree) = Tree::marked(store, kept_level)? else { return Ok(()) };
    let (marked, mut nodes, mut bytes) = (tree.size(), Batch::new(), 0);
    let behind = Span { from: keys::chunk(marked.saturating_add(1)), to: Span::prefix(&[keys::CHUNK]).to };
    for entry in store.scan(behind, Order::Ascending) {
        let (key, value) = entry?;
        let next = tree.size().saturating_add(1);
        bytes += value.len();
        if bytes > pack::BATCH_BYTES_MAX {
            return Ok(());
        }
        let Some(leaves) = leaves(store, next, &key, value) else { return Ok(()) };
        leaves.into_iter().for_each(|leaf| tree.grow(leaf, &mut nodes));
    }
    if tree.size() == marked {
        return Ok(());
    }
    nodes.push((keys::HEAD.to_vec(), Some(tree.to_bytes())));
    store.apply(nodes)?;
    store.sync()?;
    tracing::info!(
        from = marked,
        to = tree.size(),
        "events were taken up that a power cut left behind the mark"
    );
    Ok(())
}

/// The leaves of the events in a chunk, if it was laid and holds events from `next` on, all whole.
fn leaves(store: &dyn Storage, next: u64, key: &[u8], value: Value) -> Option<Vec<TreeHash>> {
    let laid =
        pack::parts_of(&value).is_none() && hole::read(&value).is_none() && archived::read(&value).is_none();
    if !laid || keys::read_chunk(key) != Some(next) {
        return None;
    }
    let chunk = load(store, next, value).ok()?;
    let (mut rest, mut leaves) = (&*chunk, Vec::new());
    for seq in next.. {
        if rest.is_empty() {
            break;
        }
        let (frame, after) = Frame::split(rest).ok()?;
        let (id, _) = frame.head(seq).ok()?;
        leaves.push(TreeHash::leaf(&id.0));
        rest = after;
    }
    (!leaves.is_empty()).then_some(leaves)
}
