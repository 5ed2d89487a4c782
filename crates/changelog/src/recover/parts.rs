//! Events larger than a chunk, of which a raw file has parts. A part has no hash of its
//! own; the whole event has one. Where copies of a part differ, they are tried in turn,
//! newer ones first.

use super::file::RawFile;
use crate::error::LogError;
use crate::frame::{EVENT_BYTES_MAX, Frame, HEAD_BYTES};
use crate::pack::PART_BYTES;
use std::collections::BTreeMap;

/// Magic, number of the event, number of the part.
const HEAD: usize = 4 + 8 + 4;
/// Copies of a part that are looked at.
const COPIES_MAX: usize = 8;
/// Parts that are kept in mind, copies included: those of 2 GB of large events.
const PARTS_MAX: usize = 1 << 19;
/// Ways of putting an event together that are tried.
const TRIES_MAX: usize = 256;

/// A copy of a part: where it begins, and how new it is.
type Copy = (u64, u64);

#[derive(Debug, Default)]
pub(super) struct Parts {
    copies: BTreeMap<(u64, u32), Vec<Copy>>,
    count: usize,
}

impl Parts {
    /// A part that begins at `at`.
    pub(super) fn note(&mut self, at: u64, age: u64, rest: &[u8]) {
        let head = rest.get(4..HEAD).and_then(|head| head.split_first_chunk::<8>());
        let Some((seq, part)) = head.and_then(|(seq, part)| Some((seq, part.first_chunk::<4>()?))) else {
            return;
        };
        let key = (u64::from_be_bytes(*seq), u32::from_be_bytes(*part));
        if key.1 as usize > EVENT_BYTES_MAX / PART_BYTES || self.count >= PARTS_MAX {
            return;
        }
        let copies = self.copies.entry(key).or_default();
        copies.push((at, age));
        self.count += 1;
        if copies.len() > COPIES_MAX {
            copies.sort_unstable_by_key(|(at, age)| std::cmp::Reverse((*age, *at)));
            copies.truncate(COPIES_MAX);
            self.count -= 1;
        }
    }

    /// Puts events together and shows those that come out whole: where the parts are, how
    /// new they are, the frame.
    pub(super) fn join(
        self,
        file: &RawFile,
        mut take: impl FnMut(Vec<u64>, u64, &[u8]),
    ) -> Result<(), LogError> {
        let seqs: Vec<u64> = self.copies.keys().filter(|(_, part)| *part == 0).map(|(seq, _)| *seq).collect();
        for seq in seqs {
            if let Some((places, age)) = self.whole(file, seq)? {
                let frame = read(file, &places)?;
                take(places, age, &frame);
            }
        }
        Ok(())
    }

    /// The parts that make event `seq` whole.
    fn whole(&self, file: &RawFile, seq: u64) -> Result<Option<(Vec<u64>, u64)>, LogError> {
        let mut choices: Vec<Vec<Copy>> = Vec::new();
        for (_, copies) in self.copies.range((seq, 0)..=(seq, u32::MAX)) {
            choices.push(different(file, copies)?);
        }
        for first in choices.first().cloned().unwrap_or_default() {
            let Some(count) = parts_in(&read(file, &[first.0])?) else { continue };
            let Some(rest) = choices.get(1..count) else { continue };
            let ways =
                rest.iter().fold(1usize, |ways, copies| ways.saturating_mul(copies.len())).min(TRIES_MAX);
            for way in 0..ways {
                let chosen: Vec<Copy> = std::iter::once(first).chain(pick(rest, way)).collect();
                let places: Vec<u64> = chosen.iter().map(|(at, _)| *at).collect();
                let frame = read(file, &places)?;
                if Frame::split(&frame).is_ok_and(|(frame, _)| frame.open_anywhere().is_ok()) {
                    let age = chosen.iter().map(|(_, age)| *age).max().unwrap_or(0);
                    return Ok(Some((places, age)));
                }
            }
        }
        Ok(None)
    }
}

/// Of each part one copy: the `way`-th choice of all there are.
fn pick(choices: &[Vec<Copy>], mut way: usize) -> impl Iterator<Item = Copy> {
    choices.iter().filter_map(move |copies| {
        let copy = copies.get(way % copies.len().max(1)).copied();
        way /= copies.len().max(1);
        copy
    })
}

/// Copies that differ from each other, newer first.
fn different(file: &RawFile, copies: &[Copy]) -> Result<Vec<Copy>, LogError> {
    let (mut copies, mut seen, mut kept) = (copies.to_vec(), Vec::new(), Vec::new());
    copies.sort_unstable_by_key(|(at, age)| std::cmp::Reverse((*age, *at)));
    for copy in copies {
        let hash = blake3::hash(&file.read(copy.0, HEAD + PART_BYTES)?);
        if !seen.contains(&hash) {
            seen.push(hash);
            kept.push(copy);
        }
    }
    Ok(kept)
}

/// How many parts the frame has that begins with these bytes.
fn parts_in(frame: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(frame.get(5..9)?.try_into().ok()?);
    let length = usize::try_from(length).ok().filter(|length| *length <= EVENT_BYTES_MAX)?;
    Some((HEAD_BYTES + length).div_ceil(PART_BYTES))
}

/// The bytes of the parts at these places, one after the other. The last may bring more than its own.
pub(super) fn read(file: &RawFile, places: &[u64]) -> Result<Vec<u8>, LogError> {
    let mut frame = Vec::new();
    for at in places {
        frame.extend_from_slice(&file.read(at.saturating_add(HEAD as u64), PART_BYTES)?);
    }
    Ok(frame)
}
