//! How events become batches: frames gathered in chunks, the number of the last
//! event in every batch. Answers where each event will be.
//!
//! Invariants: no value is larger than [`VALUE_BYTES_MAX`], or sled would put it
//! into a file of its own that it never syncs; no batch holds more than
//! [`BATCH_EVENTS_MAX`] events, or sled's memory would outgrow its cache; all of
//! an event is in one batch.

use crate::error::Damage;
use crate::frame::Sealed;
use crate::keys::{self, Slot};
use crate::storage::Batch;
use hms_sync_model::RecordId;

/// The largest value, in bytes. A leaf of sled holds up to 17 values and must
/// stay below 128 KiB when it is rewritten.
pub(crate) const VALUE_BYTES_MAX: usize = 5 * 1_024;
/// The most events in one chunk.
pub(crate) const CHUNK_EVENTS_MAX: u64 = 16;
/// The most events in one batch.
pub(crate) const BATCH_EVENTS_MAX: usize = 64;
/// Begins a chunk that stands for one event kept in parts.
const LARGE: [u8; 4] = [0xf5, b'h', b'm', b'L'];
/// Begins every part, so that it can be told apart in a raw file.
const PART: [u8; 4] = [0xf5, b'h', b'm', b'X'];
/// Bytes of an event or a view in one part.
pub(crate) const PART_BYTES: usize = VALUE_BYTES_MAX - 32;

/// Where an event is.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) record: RecordId,
    pub(crate) version: u64,
    pub(crate) slot: Slot,
}

/// Packs events, which follow each other, and hands on each batch when it is
/// full. Answers where they are.
pub(crate) fn pack<'a, E>(
    events: impl Iterator<Item = &'a Sealed>,
    mut apply: impl FnMut(Batch) -> Result<(), E>,
) -> Result<Vec<Placed>, E> {
    let mut packing = Packing::default();
    for event in events {
        if event.frame.len() > VALUE_BYTES_MAX {
            packing.end_chunk();
            packing.hand_on(&mut apply)?;
            packing.add_large(event);
            packing.hand_on(&mut apply)?;
            continue;
        }
        if packing.chunk.len() + event.frame.len() > VALUE_BYTES_MAX || packing.count == CHUNK_EVENTS_MAX {
            packing.end_chunk();
        }
        if packing.count == 0 && packing.events + 16 > BATCH_EVENTS_MAX {
            packing.hand_on(&mut apply)?;
        }
        packing.add(event);
    }
    packing.end_chunk();
    packing.hand_on(&mut apply)?;
    Ok(packing.placed)
}

#[derive(Default)]
struct Packing {
    batch: Batch,
    /// Events in the batch.
    events: usize,
    chunk: Vec<u8>,
    first: u64,
    /// Events in the chunk.
    count: u64,
    last: u64,
    placed: Vec<Placed>,
}

impl Packing {
    fn add(&mut self, event: &Sealed) {
        if self.count == 0 {
            self.first = event.seq;
            self.chunk.reserve(VALUE_BYTES_MAX);
        }
        let slot = Slot { first: self.first, slot: u8::try_from(self.count).unwrap_or(u8::MAX) };
        self.place(event, slot);
        self.chunk.extend_from_slice(&event.frame);
        self.count += 1;
        self.events += 1;
        self.last = event.seq;
    }

    fn add_large(&mut self, event: &Sealed) {
        let mut parts = 0u32;
        for bytes in event.frame.chunks(PART_BYTES) {
            let value = [&PART, event.seq.to_be_bytes().as_slice(), &parts.to_be_bytes(), bytes].concat();
            self.batch.push((keys::part(event.seq, parts), Some(value)));
            parts += 1;
        }
        let slot = Slot { first: event.seq, slot: 0 };
        self.place(event, slot);
        self.batch.push((keys::chunk(event.seq), Some([LARGE, parts.to_be_bytes()].concat())));
        self.events += 1;
        self.last = event.seq;
    }

    fn place(&mut self, event: &Sealed, slot: Slot) {
        self.placed.push(Placed { record: event.record.clone(), version: event.version, slot });
    }

    fn end_chunk(&mut self) {
        if self.count > 0 {
            self.batch.push((keys::chunk(self.first), Some(std::mem::take(&mut self.chunk))));
            self.count = 0;
        }
    }

    fn hand_on<E>(&mut self, apply: &mut impl FnMut(Batch) -> Result<(), E>) -> Result<(), E> {
        if self.events == 0 {
            return Ok(());
        }
        self.batch.push((keys::HEAD.to_vec(), Some(self.last.to_be_bytes().to_vec())));
        self.events = 0;
        apply(std::mem::take(&mut self.batch))
    }
}

/// How many parts the one event of this chunk is kept in, if it is.
pub(crate) fn parts_of(chunk: &[u8]) -> Option<u32> {
    let rest = chunk.strip_prefix(&LARGE)?;
    Some(u32::from_be_bytes(rest.try_into().ok()?))
}

/// The bytes of part `part` of event `seq`.
pub(crate) fn part_bytes(value: &[u8], seq: u64, part: u32) -> Result<&[u8], Damage> {
    let rest = value.strip_prefix(&PART).ok_or(Damage::Head)?;
    let (found_seq, rest) = rest.split_first_chunk::<8>().ok_or(Damage::Cut)?;
    let (found_part, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Cut)?;
    if u64::from_be_bytes(*found_seq) != seq {
        return Err(Damage::Place(u64::from_be_bytes(*found_seq)));
    }
    if u32::from_be_bytes(*found_part) == part { Ok(rest) } else { Err(Damage::Parts) }
}
