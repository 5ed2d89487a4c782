//! The sync's own streams, and which webhook messages came in by them.
//!
//! There are few streams, and each webhook changes one: those that have changed stay in
//! memory, and are encoded when views are saved.

use super::{Views, key};
use crate::error::EngineError;
use crate::stream::{Message, StreamState, message_hash, messages_in};
use hms_sync_changelog::Changes;
use hms_sync_model::{Digest, Event, EventId, RecordId, Time};
use rustc_hash::{FxHashMap, FxHashSet};

/// The streams that have changed in this process.
#[derive(Debug, Default)]
pub(super) struct Streams {
    known: FxHashMap<RecordId, StreamState>,
    /// Those of them that are not saved as they are.
    unsaved: FxHashSet<RecordId>,
}

impl Streams {
    /// How many wait to be saved.
    pub(super) fn unsaved(&self) -> usize {
        self.unsaved.len()
    }

    /// Hands over what is to be saved.
    pub(super) fn save(&mut self, fresh: &mut Changes) {
        for stream in self.unsaved.drain() {
            let Some(state) = self.known.get(&stream) else { continue };
            match rmp_serde::to_vec_named(state) {
                Ok(bytes) => {
                    fresh.insert(key(b's', stream.as_str().as_bytes()), Some(bytes));
                }
                // Cannot happen for a state of ours; the log still has it all.
                Err(why) => tracing::error!(%stream, %why, "a stream's view cannot be encoded"),
            }
        }
    }
}

impl Views {
    /// A stream of the sync's own.
    pub fn stream(&self, stream: &RecordId) -> Result<StreamState, EngineError> {
        if let Some(state) = self.streams.known.get(stream) {
            return Ok(state.clone());
        }
        match self.get(&key(b's', stream.as_str().as_bytes()))? {
            Some(bytes) => rmp_serde::from_slice(&bytes)
                .map_err(|why| EngineError::View { what: stream.to_string(), why: why.to_string() }),
            None => Ok(StreamState::default()),
        }
    }

    /// Folds one event of a stream of the sync's own.
    pub fn fold_stream(&mut self, id: EventId, event: &Event) -> Result<(), EngineError> {
        let mut state = self.stream(&event.record)?;
        for Message(hash, at) in messages_in(event) {
            self.set(message_key(&event.record, &hash), Some(at.0.to_be_bytes().into()));
        }
        if event.version > state.version {
            state.fold(id, event);
            self.streams.known.insert(event.record.clone(), state);
            self.streams.unsaved.insert(event.record.clone());
        }
        Ok(())
    }

    /// Whether a webhook message has been taken in, and when.
    pub fn received(&self, stream: &RecordId, message: &str) -> Result<Option<Time>, EngineError> {
        let found = self.get(&message_key(stream, &message_hash(message)))?;
        Ok(found.and_then(|bytes| bytes.try_into().ok()).map(|at| Time(i64::from_be_bytes(at))))
    }

    /// Looks at the next `count` webhook messages that are known, in turn, and forgets those
    /// that were taken in before `before`. Nothing is looked at while all are known to be younger.
    pub(crate) fn forget_messages(
        &mut self,
        before: Time,
        now: Time,
        count: usize,
    ) -> Result<(), EngineError> {
        if before <= self.oldest {
            return Ok(());
        }
        let found = self.scan(b"w", self.looked_at.as_deref(), count)?;
        // What comes while they are looked at is younger than this.
        let mut oldest = self.oldest_so_far.unwrap_or(now);
        // After the last one the first comes again.
        self.looked_at = found.last().map(|(key, _)| key.clone());
        for (key, at) in found {
            let Some(at) = at.try_into().ok().map(|at| Time(i64::from_be_bytes(at))) else { continue };
            if at < before {
                self.set(key, None);
            } else {
                oldest = oldest.min(at);
            }
        }
        if self.looked_at.is_some() {
            self.oldest_so_far = Some(oldest);
        } else {
            (self.oldest, self.oldest_so_far) = (oldest, None);
        }
        Ok(())
    }
}

fn message_key(stream: &RecordId, hash: &Digest) -> Vec<u8> {
    [b"w", stream.as_str().as_bytes(), b"\0", hash.0.as_slice()].concat()
}
