//! How hostile cases come to be: sound inputs with bits turned, parts cut off, repeated, moved,
//! and put in from others; numbers brought to their extremes; the words of the format in any
//! order; and, rarely, some of that very often.

use crate::extremes::{BYTES, CHARACTERS, NUMBERS};
use fastrand::Rng;

/// The longest that a case becomes by changes.
const BYTES_MAX: usize = 4 << 10;
/// The longest of those that repeat something very often.
const LONG_MAX: usize = 64 << 10;
/// One in so many is such a long one.
const LONG_EVERY: u32 = 2_048;

/// What cases are made from.
#[derive(Debug, Clone, Default)]
pub struct Cases {
    sound: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    binary: bool,
}

impl Cases {
    pub(crate) fn add_sound(&mut self, input: &[u8]) {
        self.sound.push(input.to_vec());
    }

    pub(crate) fn add_word(&mut self, word: &[u8]) {
        self.words.push(word.to_vec());
    }

    pub(crate) fn sound(&self) -> &[Vec<u8>] {
        &self.sound
    }

    /// Also bytes that are no text.
    pub(crate) fn binary(&mut self) {
        self.binary = true;
    }

    /// The case of that number, into `out`.
    pub fn write(&self, seed: u64, number: u64, out: &mut Vec<u8>) {
        out.clear();
        let mut rng = Rng::with_seed(mixed(seed, number));
        if rng.u32(..LONG_EVERY) == 0 {
            return self.long(&mut rng, out);
        }
        if rng.u8(..16) == 0 {
            (0..rng.u8(1..=24)).for_each(|_| out.extend_from_slice(self.word(&mut rng)));
        } else {
            out.extend_from_slice(self.one(&mut rng));
        }
        // Mostly one or two changes: what is changed more is refused at its beginning.
        let changes = [1, 1, 1, 2, 2, 3, 5, 12].get(rng.usize(..8)).copied().unwrap_or(1);
        (0..changes).for_each(|_| self.change(&mut rng, out));
        out.truncate(BYTES_MAX.max(self.sound.iter().map(Vec::len).max().unwrap_or_default() * 2));
    }

    /// Something short, many thousand times, in the middle of a sound input.
    fn long(&self, rng: &mut Rng, out: &mut Vec<u8>) {
        let one = self.one(rng);
        let (head, tail) = one.split_at_checked(rng.usize(..=one.len())).unwrap_or_default();
        let mut part = Vec::new();
        if rng.bool() && !one.is_empty() {
            let (from, to) = range(rng, one, 32);
            part.extend_from_slice(one.get(from..to).unwrap_or_default());
        }
        (0..rng.u8(1..=3)).for_each(|_| part.extend_from_slice(self.word(rng)));
        out.extend_from_slice(head);
        let times = rng.usize(..LONG_MAX) / part.len().max(1);
        (0..times).for_each(|_| out.extend_from_slice(&part));
        out.extend_from_slice(tail);
    }

    fn one(&self, rng: &mut Rng) -> &[u8] {
        chosen(rng, &self.sound)
    }

    /// A word of the format, a number, a character or, where that is a danger, a byte.
    fn word(&self, rng: &mut Rng) -> &[u8] {
        match rng.u8(..16) {
            0..=8 if !self.words.is_empty() => chosen(rng, &self.words),
            0..=10 => NUMBERS.get(rng.usize(..NUMBERS.len())).map_or(b"", |text| text.as_bytes()),
            11..=13 if self.binary => {
                let at = rng.usize(..BYTES.len());
                BYTES.get(at..=at).unwrap_or_default()
            }
            _ => CHARACTERS.get(rng.usize(..CHARACTERS.len())).map_or(b"", |text| text.as_bytes()),
        }
    }

    fn change(&self, rng: &mut Rng, out: &mut Vec<u8>) {
        match rng.u8(..16) {
            0 | 1 => flip(rng, out, self.binary),
            2 => {
                let (from, to) = range(rng, out, 32);
                out.drain(from..to);
            }
            3 => out.truncate(rng.usize(..=out.len())),
            4 => repeat(rng, out),
            5 => self.splice(rng, out),
            6 => {
                let other = self.one(rng);
                let (from, to) = range(rng, other, 64);
                put(out, rng, 0, other.get(from..to).unwrap_or_default());
            }
            7..=9 => {
                let word = self.word(rng);
                put(out, rng, 0, word);
            }
            10 | 11 => {
                let word = self.word(rng);
                put(out, rng, word.len(), word);
            }
            12 | 13 => number(rng, out),
            14 if self.binary => lengths(rng, out),
            14 => number(rng, out),
            _ => swap(rng, out),
        }
    }

    /// The beginning of what there is, with the end of another.
    fn splice(&self, rng: &mut Rng, out: &mut Vec<u8>) {
        let other = self.one(rng);
        out.truncate(rng.usize(..=out.len()));
        out.extend_from_slice(other.get(rng.usize(..=other.len())..).unwrap_or_default());
    }
}

/// So that neighbours have nothing in common.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn chosen<'a>(rng: &mut Rng, all: &'a [Vec<u8>]) -> &'a [u8] {
    if all.is_empty() {
        return &[];
    }
    all.get(rng.usize(..all.len())).map_or(&[], Vec::as_slice)
}

/// A part of `all` of at most `most` bytes.
fn range(rng: &mut Rng, all: &[u8], most: usize) -> (usize, usize) {
    let from = rng.usize(..=all.len());
    (from, from + rng.usize(..=most.min(all.len() - from)))
}

/// `new` in the place of as many bytes as `over` at most.
fn put(out: &mut Vec<u8>, rng: &mut Rng, over: usize, new: &[u8]) {
    let at = rng.usize(..=out.len());
    out.splice(at..at + over.min(out.len() - at), new.iter().copied());
}

fn flip(rng: &mut Rng, out: &mut [u8], binary: bool) {
    if out.is_empty() {
        return;
    }
    let at = rng.usize(..out.len());
    let bit = rng.u8(..if binary { 8 } else { 7 });
    if let Some(byte) = out.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

fn repeat(rng: &mut Rng, out: &mut Vec<u8>) {
    let (from, to) = range(rng, out, 64);
    let part = out.get(from..to).unwrap_or_default().to_vec();
    let times = rng.usize(1..=12);
    out.splice(to..to, part.iter().copied().cycle().take(part.len() * times));
}

fn swap(rng: &mut Rng, out: &mut Vec<u8>) {
    let (from, to) = range(rng, out, 64);
    let part: Vec<u8> = out.drain(from..to).collect();
    put(out, rng, 0, &part);
}

/// The first number after a random place becomes an extreme one.
fn number(rng: &mut Rng, out: &mut Vec<u8>) {
    let at = rng.usize(..=out.len());
    let after = out.get(at..).unwrap_or_default();
    let Some(from) = after.iter().position(u8::is_ascii_digit).map(|first| at + first) else { return };
    let digits = out.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let extreme = NUMBERS.get(rng.usize(..NUMBERS.len())).map_or(&b""[..], |text| text.as_bytes());
    out.splice(from..from + digits, extreme.iter().copied());
}

/// One, two, four or eight bytes become what a length should not be.
fn lengths(rng: &mut Rng, out: &mut [u8]) {
    let at = rng.usize(..=out.len());
    let width = 1_usize << rng.u8(..4);
    let (first, others) = [(0xff, 0xff), (0x7f, 0xff), (0x80, 0x00), (0x00, 0x00), (0x00, 0xff)]
        .get(rng.usize(..5))
        .copied()
        .unwrap_or_default();
    for (place, byte) in out.iter_mut().skip(at).take(width).enumerate() {
        *byte = if place == 0 { first } else { others };
    }
}
