//! Reading a file and hashing it in one go, so that the hash is of just what was checked.

use std::io::{self, Read};

/// A reader that hashes what it gives.
#[derive(Debug)]
pub struct Hashed<R> {
    input: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Hashed<R> {
    /// Of what `input` gives from here on.
    pub fn new(input: R) -> Self {
        Self { input, hasher: blake3::Hasher::new() }
    }

    /// The BLAKE3 hash of everything that was read.
    pub fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(room)?;
        self.hasher.update(room.get(..count).unwrap_or_default());
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    #[test]
    fn the_hash_is_of_all_that_was_read() {
        let bytes = vec![7; 100_000];
        let mut hashed = Hashed::new(bytes.as_slice());
        io::copy(&mut hashed, &mut io::sink()).unwrap();
        assert_eq!(hashed.hash(), *blake3::hash(&bytes).as_bytes());
    }
}
