//! An LZ4 block of which neither the length nor the soundness is known: it is unpacked
//! as far as it makes sense. Where it ends follows from how much is to come out of it.

/// What comes out of the block at the start of `input`, `length` bytes at most, and how
/// many bytes of `input` were used for that. Never reads or writes past either.
pub(super) fn unpack(input: &[u8], length: usize) -> (Vec<u8>, usize) {
    let mut block = Block { input, at: 0, out: Vec::with_capacity(length), length };
    while block.out.len() < length && block.sequence().is_some() {}
    (block.out, block.at)
}

struct Block<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    length: usize,
}

impl Block<'_> {
    fn byte(&mut self) -> Option<usize> {
        let byte = *self.input.get(self.at)?;
        self.at += 1;
        Some(usize::from(byte))
    }

    /// A length whose first four bits are `nibble`.
    fn long(&mut self, nibble: usize) -> Option<usize> {
        let mut length = nibble;
        if nibble == 15 {
            loop {
                let more = self.byte()?;
                length += more;
                if more < 255 || length > self.length {
                    break;
                }
            }
        }
        Some(length)
    }

    /// Literals, and unless that was the end, a copy of what came before.
    fn sequence(&mut self) -> Option<()> {
        let token = self.byte()?;
        let literals = self.long(token >> 4)?;
        let room = self.length - self.out.len();
        let taken = self.input.get(self.at..self.at.checked_add(literals)?)?;
        self.out.extend_from_slice(taken.get(..literals.min(room))?);
        self.at += literals;
        if self.out.len() >= self.length {
            return None;
        }
        let offset = self.byte()? | (self.byte()? << 8);
        let copied = self.long(token & 15)? + 4;
        let from = self.out.len().checked_sub(offset).filter(|_| offset > 0)?;
        let until = self.length.min(self.out.len() + copied);
        let mut next = from;
        while self.out.len() < until {
            self.out.push(*self.out.get(next)?);
            next += 1;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;
    use hms_sync_hostile::Reader;
    use proptest::prelude::*;

    #[test]
    fn hostile_blocks() {
        let plain: [&[u8]; 3] = [&b"permit/7 status approved ".repeat(40), &[0; 5_000], b"short"];
        Reader::new("blocks")
            .sound(plain.map(lz4_flex::block::compress))
            .words([&b"\xff\xff\xff"[..], b"\x0f\x01\x00\xff", b"\xf0", b"\x00\x00\x00", b"\x10a\x01\x00"])
            .bytes(|block| {
                let (out, used) = unpack(block, 8_192);
                assert!(out.len() <= 8_192 && used <= block.len());
                // What is sound to the storage's own reader comes out the same.
                let whole = lz4_flex::block::decompress(block, out.len());
                whole.is_ok_and(|whole| {
                    assert!(out.starts_with(&whole));
                    true
                })
            });
    }

    proptest! {
        #[test]
        fn a_block_comes_out_whole_and_its_end_is_found(
            words in prop::collection::vec(prop::sample::select(vec!["permit/", "7", "status", "\u{0}", "approved by"]), 0..400),
            after in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let bytes = words.concat().into_bytes();
            let packed = lz4_flex::block::compress(&bytes);
            let input = [packed.as_slice(), &after].concat();
            let (out, used) = unpack(&input, bytes.len());
            prop_assert_eq!(&out, &bytes);
            prop_assert!(bytes.is_empty() || used == packed.len());
        }

        #[test]
        fn any_bytes_end_within_bounds(input in prop::collection::vec(any::<u8>(), 0..300), length in 0usize..20_000) {
            let (out, used) = unpack(&input, length);
            prop_assert!(out.len() <= length && used <= input.len());
        }

        #[test]
        fn what_comes_before_the_damage_comes_out(at in any::<prop::sample::Index>()) {
            let bytes: Vec<u8> = (0..4_000u32).flat_map(|n| (n / 3).to_be_bytes()).take(8_000).collect();
            let mut packed = lz4_flex::block::compress(&bytes);
            let at = at.index(packed.len());
            packed[at] ^= 0x41;
            let (out, _) = unpack(&packed, bytes.len());
            let same = out.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
            prop_assert!(same > 0 || at < 20);
        }
    }
}
