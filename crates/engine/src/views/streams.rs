//! The sync's own streams, and which webhook messages came in by them.
//!
//! There are few streams, and they change often: those that have changed stay in memory,
//! and are encoded when views are saved.

use super::{Views, key};
use crate::error::EngineError;
use crate::fold::side_of;
use crate::stream::{Message, StreamState, message_hash, message_told, messages_in};
use hms_sync_changelog::Changes;
use hms_sync_model::{Digest, Event, EventId, RecordId, Time};
use rustc_hash::{FxHashMap, FxHashSet};

/// The streams that have changed or were asked for in this process.
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

    /// Whether a stream has any event.
    pub(crate) fn has_stream(&mut self, stream: &RecordId) -> Result<bool, EngineError> {
        if let Some(state) = self.streams.known.get(stream) {
            return Ok(state.version > 0);
        }
        let state = self.stream(stream)?;
        let there = state.version > 0;
        self.streams.known.insert(stream.clone(), state);
        Ok(there)
    }

    /// Folds one event of a stream of the sync's own.
    pub fn fold_stream(&mut self, id: EventId, event: &Event) -> Result<(), EngineError> {
        let mut state = self.stream(&event.record)?;
        for Message(hash, at) in messages_in(event) {
            let key = message_key(&[event.record.as_str().as_bytes()], &hash);
            self.set(key, Some(at.0.to_be_bytes().into()));
        }
        if event.version > state.version {
            state.fold(id, event);
            self.streams.known.insert(event.record.clone(), state);
            self.streams.unsaved.insert(event.record.clone());
        }
        Ok(())
    }

    /// Takes note of the webhook message that an event of a record tells of, if it does.
    pub(super) fn note_message(&mut self, event: &Event) {
        let Some((message, side)) = message_told(&event.body).zip(side_of(&event.body)) else { return };
        let stream: [&[u8]; 4] =
            [b"@sync/", side.as_str().as_bytes(), b"/", event.record.collection().as_bytes()];
        let key = message_key(&stream, &message_hash(message));
        self.set(key, Some(event.at.0.to_be_bytes().into()));
        self.messages_noted += 1;
    }

    /// How many times an event of a record was found to tell of a webhook message.
    pub(crate) fn messages_noted(&self) -> u64 {
        self.messages_noted
    }

    /// The messages of a stream that are remembered and were taken in from `since` to `until`.
    pub(crate) fn messages(
        &self,
        stream: &RecordId,
        since: Time,
        until: Time,
    ) -> Result<Vec<Message>, EngineError> {
        let prefix = message_prefix(&[stream.as_str().as_bytes()]);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.scan(&prefix, after.as_deref(), PAGE_MESSAGES)?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(last.clone());
            let messages = page.iter().filter_map(|(key, at)| {
                let hash = key.strip_prefix(prefix.as_slice())?.try_into().ok()?;
                Some(Message(Digest(hash), Time(i64::from_be_bytes(at.as_slice().try_into().ok()?))))
            });
            found.extend(messages.filter(|message| message.1 >= since && message.1 <= until));
        }
    }

    /// Whether a webhook message has been taken in, and when.
    pub fn received(&self, stream: &RecordId, message: &str) -> Result<Option<Time>, EngineError> {
        let found = self.get(&message_key(&[stream.as_str().as_bytes()], &message_hash(message)))?;
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

/// Messages read at once.
const PAGE_MESSAGES: usize = 4_096;

/// What the keys of a stream's messages begin with; the stream's name comes in parts.
fn message_prefix(stream: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(stream.iter().map(|part| part.len()).sum::<usize>() + 2 + 32);
    key.push(b'w');
    stream.iter().for_each(|part| key.extend_from_slice(part));
    key.push(0);
    key
}

fn message_key(stream: &[&[u8]], hash: &Digest) -> Vec<u8> {
    let mut key = message_prefix(stream);
    key.extend_from_slice(&hash.0);
    key
}
