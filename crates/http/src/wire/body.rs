//! Reading a body to its end or to a bound, whichever comes first. No more is
//! ever held than the bound allows.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};

/// What a file begins with that was packed by gzip; no answer in any form does.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What is in a file that was packed by gzip, of at most `max` bytes; nothing if it is more. The
/// bytes as they are, where they are no such file.
pub(crate) fn gunzip(bytes: Vec<u8>, max: usize) -> io::Result<Option<Vec<u8>>> {
    if bytes.starts_with(&GZIP) { all_of(MultiGzDecoder::new(&*bytes), max) } else { Ok(Some(bytes)) }
}

/// All that comes out, of at most `max` bytes; nothing if it is more.
pub(crate) fn all_of(packed: impl Read, max: usize) -> io::Result<Option<Vec<u8>>> {
    let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut all = Vec::new();
    packed.take(bound).read_to_end(&mut all)?;
    Ok((all.len() <= max).then_some(all))
}

/// The body as it is, or what is in it where it is a file that was packed by gzip, which no header need
/// say: of at most `max` bytes as well.
pub(crate) fn unpacked(body: Bytes, max: usize) -> Result<Bytes, String> {
    if !body.starts_with(&GZIP) {
        return Ok(body);
    }
    let all = all_of(MultiGzDecoder::new(&*body), max);
    let all = all.map_err(|why| format!("the answer is a gzip file that cannot be unpacked: {why}"))?;
    all.map(Bytes::from).ok_or_else(|| too_large_unpacked(max))
}

/// What is said of an answer that is larger than that only once it is unpacked.
pub(crate) fn too_large_unpacked(max: usize) -> String {
    format!("the answer is larger than {max} bytes once unpacked (`max_body_bytes`)")
}

/// The whole body of at most `max` bytes; `words` says why one broke off.
pub(crate) async fn read(
    mut response: reqwest::Response,
    max: usize,
    words: impl Fn(&reqwest::Error) -> String,
) -> Result<Bytes, String> {
    let too_large = || format!("the answer is larger than {max} bytes (`max_body_bytes`)");
    if response.content_length().is_some_and(|length| usize::try_from(length).is_ok_and(|n| n > max)) {
        return Err(too_large());
    }
    let broken = |e: reqwest::Error| format!("the answer broke off: {}", words(&e));
    let Some(first) = response.chunk().await.map_err(broken)? else { return Ok(Bytes::new()) };
    if first.len() > max {
        return Err(too_large());
    }
    let Some(second) = response.chunk().await.map_err(broken)? else { return Ok(first) };
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut all = Vec::with_capacity(announced.unwrap_or(first.len() * 2).min(max));
    all.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        let length = all.len().saturating_add(chunk.len());
        if length > max {
            return Err(too_large());
        }
        if length > all.capacity() {
            // Doubled, but never beyond the bound.
            let capacity = all.capacity().saturating_mul(2).clamp(length, max);
            all.reserve_exact(capacity - all.len());
        }
        all.extend_from_slice(&chunk);
        next = response.chunk().await.map_err(broken)?;
    }
    Ok(all.into())
}
