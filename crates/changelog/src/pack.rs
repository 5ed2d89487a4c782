//! How events become batches: frames gathered in chunks, each chunk compressed,
//! the number of the last event and the edge of the tree in every batch. Answers where
//! each event will be.
//!
//! Invariants: no value is larger than [`VALUE_BYTES_MAX`], or sled would put it
//! into a file of its own that it never syncs; no batch takes more when it
//! holds [`FULL_BATCH_BYTES`], by which what is left of one is known (`tail.rs`); all of an event
//! is in one batch; a chunk that has to be compressed to fit, fits.
//!
//! Why compressed: sled writes a value some seven times over while its leaf grows
//! (decision 0007).

use crate::error::Damage;
use crate::frame::Sealed;
use crate::keys::{self, Slot};
use crate::storage::Batch;
use crate::tree::Tree;
use hms_sync_model::RecordId;
use std::cell::RefCell;

/// The largest value, in bytes. A leaf of sled holds up to 17 values and must
/// stay below 128 KiB when it is rewritten.
const VALUE_BYTES_MAX: usize = 5 * 1_024;
/// The most events in one chunk that anybody has written.
pub(crate) const CHUNK_EVENTS_MAX: usize = 32;
/// The most bytes of frames in one chunk, before compression.
pub(crate) const CHUNK_BYTES_MAX: usize = 12 * 1_024;
/// A chunk is full with so many events: all of them are decompressed to read one, and
/// sled reads nine chunks of a leaf for each.
const FULL_EVENTS: usize = 12;
/// A chunk is full with so many bytes, which mostly compress to what fits into one value.
const FULL_BYTES: usize = 8 * 1_024;
/// A batch is full with so many bytes of chunks. In a log of format 1 it went to sled at once, whose
/// log must not grow by a segment for it.
const FULL_BATCH_BYTES: usize = 38 << 10;
/// The most bytes of chunks in a batch that has no event in parts: what is gathered for one
/// chunk is added to one that is not full yet, in several if it does not compress.
pub(crate) const BATCH_BYTES_MAX: usize = FULL_BATCH_BYTES + CHUNK_BYTES_MAX;
/// Begins a chunk that stands for one event kept in parts.
const LARGE: [u8; 4] = [0xf5, b'h', b'm', b'L'];
/// Begins a compressed chunk.
pub(crate) const PACKED: [u8; 4] = [0xf5, b'h', b'm', b'Z'];
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
    /// Of the event as it is encoded.
    pub(crate) bytes: usize,
}

/// Packs events, which follow each other, and hands on each batch when it is
/// full, the tree grown by them with it, and where its events are.
/// Answers where all are.
pub(crate) fn pack<'a, E>(
    events: impl Iterator<Item = &'a Sealed>,
    tree: &mut Tree,
    mut apply: impl FnMut(Batch, &[Placed]) -> Result<(), E>,
) -> Result<Vec<Placed>, E> {
    let mut packing = Packing {
        tree,
        batch: Batch::new(),
        nodes: Batch::new(),
        batch_bytes: 0,
        chunk: Vec::new(),
        bytes: 0,
        placed: Vec::new(),
        handed_on: 0,
    };
    for event in events {
        if event.frame.len() > CHUNK_BYTES_MAX {
            packing.end_chunk();
            packing.hand_on(&mut apply)?;
            packing.add_large(event);
            packing.hand_on(&mut apply)?;
            continue;
        }
        if packing.bytes + event.frame.len() > FULL_BYTES || packing.chunk.len() == FULL_EVENTS {
            packing.end_chunk();
            if packing.batch_bytes >= FULL_BATCH_BYTES {
                packing.hand_on(&mut apply)?;
            }
        }
        packing.bytes += event.frame.len();
        packing.chunk.push(event);
    }
    packing.end_chunk();
    packing.hand_on(&mut apply)?;
    Ok(packing.placed)
}

struct Packing<'a> {
    /// With all events that are in chunks.
    tree: &'a mut Tree,
    batch: Batch,
    /// Bytes of the chunks in it.
    batch_bytes: usize,
    /// Hashes of the tree that go with the batch.
    nodes: Batch,
    /// The events of the chunk that is being gathered.
    chunk: Vec<&'a Sealed>,
    /// Their frames, in bytes.
    bytes: usize,
    placed: Vec<Placed>,
    /// How many of them.
    handed_on: usize,
}

impl Packing<'_> {
    fn add_large(&mut self, event: &Sealed) {
        let mut parts = 0u32;
        for bytes in event.frame.chunks(PART_BYTES) {
            let value = [&PART, event.seq.to_be_bytes().as_slice(), &parts.to_be_bytes(), bytes].concat();
            self.batch_bytes += value.len();
            self.batch.push((keys::part(event.seq, parts), Some(value)));
            parts += 1;
        }
        self.put(&[event], [LARGE, parts.to_be_bytes()].concat());
    }

    fn end_chunk(&mut self) {
        let events = std::mem::take(&mut self.chunk);
        self.bytes = 0;
        self.add_chunk(&events);
    }

    /// One chunk of these events; more, if they do not fit into one value.
    fn add_chunk(&mut self, events: &[&Sealed]) {
        let frames = events.iter().map(|event| event.frame.as_slice()).collect::<Vec<_>>().concat();
        let packed = compress(PACKED, &[], &frames).filter(|packed| packed.len() < frames.len());
        match packed.unwrap_or(frames) {
            value if value.is_empty() => {}
            value if value.len() <= VALUE_BYTES_MAX => self.put(events, value),
            _ => match events {
                [event] => self.add_large(event),
                events => {
                    let (some, others) = events.split_at(events.len() / 2);
                    self.add_chunk(some);
                    self.add_chunk(others);
                }
            },
        }
    }

    fn put(&mut self, events: &[&Sealed], value: Vec<u8>) {
        let Some(first) = events.first().map(|event| event.seq) else { return };
        for (event, slot) in events.iter().zip(0u8..) {
            let (record, slot) = (event.record.clone(), Slot { first, slot });
            let bytes = event.payload().len();
            self.placed.push(Placed { record, version: event.version, slot, bytes });
            self.tree.grow(event.leaf, &mut self.nodes);
        }
        self.batch_bytes += value.len();
        self.batch.push((keys::chunk(first), Some(value)));
    }

    fn hand_on<E>(&mut self, apply: &mut impl FnMut(Batch, &[Placed]) -> Result<(), E>) -> Result<(), E> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_bytes = 0;
        self.batch.append(&mut self.nodes);
        self.batch.push((keys::HEAD.to_vec(), Some(self.tree.to_bytes())));
        let placed = self.placed.get(self.handed_on..).unwrap_or_default();
        self.handed_on = self.placed.len();
        apply(std::mem::take(&mut self.batch), placed)
    }
}

/// Bytes in compressed form: magic, the BLAKE3 hash of the place they belong to and of
/// all that follows, their length, an LZ4 block. Without the hash, some changes of the
/// block would not change what comes out of it, and a block could lie elsewhere unseen.
pub(crate) fn compress(magic: [u8; 4], place: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    ROOM.with_borrow_mut(|room| {
        let most = PACKED_HEAD + lz4_flex::block::get_maximum_output_size(bytes.len());
        if room.len() < most {
            room.resize(most, 0);
        }
        let written = lz4_flex::block::compress_into(bytes, room.get_mut(PACKED_HEAD..)?).ok()?;
        let packed = room.get_mut(..PACKED_HEAD + written)?;
        let length = u32::try_from(bytes.len()).ok()?.to_be_bytes();
        packed.get_mut(HASHED..PACKED_HEAD)?.copy_from_slice(&length);
        let (head, hashed) = packed.split_at_mut_checked(HASHED)?;
        let hash = packed_hash(place, hashed);
        let parts: [&[u8]; 2] = [&magic, &hash];
        head.iter_mut().zip(parts.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
        Some(packed.to_vec())
    })
}

thread_local! {
    /// Room to compress in, for more than most turn out to need.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes before what is hashed, the length and the block.
const HASHED: usize = 4 + 32;
/// Bytes before the block.
const PACKED_HEAD: usize = HASHED + 4;

fn packed_hash(place: &[u8], hashed: &[u8]) -> [u8; 32] {
    if place.is_empty() {
        // In one call, which is faster.
        return *blake3::hash(hashed).as_bytes();
    }
    *blake3::Hasher::new().update(place).update(hashed).finalize().as_bytes()
}

/// What was compressed under `magic` for `place`; nothing if `value` does not begin with it.
pub(crate) fn unpack(magic: [u8; 4], place: &[u8], value: &[u8]) -> Option<Result<Vec<u8>, Damage>> {
    let rest = value.strip_prefix(&magic)?;
    Some(unpack_rest(place, rest))
}

fn unpack_rest(place: &[u8], rest: &[u8]) -> Result<Vec<u8>, Damage> {
    let (hash, hashed) = rest.split_first_chunk::<32>().ok_or(Damage::Cut)?;
    let (length, block) = hashed.split_first_chunk::<4>().ok_or(Damage::Cut)?;
    if packed_hash(place, hashed) != *hash {
        return Err(Damage::Hash);
    }
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > CHUNK_BYTES_MAX {
        return Err(Damage::Packed);
    }
    lz4_flex::block::decompress(block, length).map_err(|_| Damage::Packed)
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
