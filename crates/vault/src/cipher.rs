//! XChaCha20-Poly1305, and keys that wipe themselves.
//!
//! Every sealing takes a fresh random nonce of 24 bytes. What is sealed is padded to
//! a multiple of 32 bytes, so that its length does not tell a short value from another.

use crate::error::VaultError;
use crate::random::Random;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use zeroize::Zeroizing;

/// A key, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

pub(crate) const NONCE: usize = 24;
/// What a seal adds: nonce and authentication tag.
pub(crate) const SEAL: usize = NONCE + 16;
const PAD: usize = 32;

/// A new key.
pub(crate) fn secret(random: &mut Random) -> Result<Secret, VaultError> {
    let mut key = Secret::default();
    random.fill(key.as_mut_slice())?;
    Ok(key)
}

/// Nonce and what is sealed; only `key` opens it, and only with the same `place`.
pub(crate) fn seal(
    key: &Secret,
    random: &mut Random,
    place: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let nonce: [u8; NONCE] = random.array()?;
    let sealed = XChaCha20Poly1305::new((&**key).into())
        .encrypt((&nonce).into(), Payload { msg: plain, aad: place })
        .map_err(|_| VaultError::Encode("it is too large to be sealed".to_owned()))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// What was sealed; nothing if the key, the place or a byte is another.
pub(crate) fn open(key: &Secret, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let cipher = XChaCha20Poly1305::new((&**key).into());
    cipher.decrypt(nonce.into(), Payload { msg: rest, aad: place }).ok().map(Zeroizing::new)
}

/// Fills up with one bit and zeros (ISO/IEC 7816-4).
pub(crate) fn pad(plain: &mut Vec<u8>) {
    plain.push(0x80);
    plain.resize(plain.len().next_multiple_of(PAD), 0);
}

/// Takes the filling off; nothing if there is none.
pub(crate) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let end = padded.iter().rposition(|byte| *byte != 0)?;
    padded.get(..end).filter(|_| padded.get(end) == Some(&0x80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_comes_off_again_and_hides_the_length() {
        for len in 0..100 {
            let plain: Vec<u8> = (0..len).collect();
            let mut padded = plain.clone();
            pad(&mut padded);
            assert_eq!(padded.len() % PAD, 0);
            assert_eq!(unpad(&padded), Some(plain.as_slice()));
        }
        assert_eq!(unpad(&[0; 32]), None);
        assert_eq!(unpad(&[1; 32]), None);
        assert_eq!(unpad(&[]), None);
    }
}
