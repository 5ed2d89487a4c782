//! Reading lines of bounded length.
//!
//! What never happens here: holding more of a line than [`LINE_BYTES_MAX`].

use std::io::{self, BufRead};

/// The longest line that is read, in bytes: the largest event a log takes, of 64 MiB, is a
/// third longer in base64; what stands around it has more than 10 MiB.
pub const LINE_BYTES_MAX: usize = 96 << 20;

/// What came of reading a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// One that ends with a newline, which is not part of it.
    Line,
    /// Nothing is left.
    End,
    /// Something is left that no newline ends.
    Cut,
    /// Longer than any line.
    TooLong,
}

/// Reads the next line into `line`.
pub(crate) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Read> {
    line.clear();
    loop {
        let some = match input.fill_buf() {
            Ok(some) => some,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(why),
        };
        if some.is_empty() {
            return Ok(if line.is_empty() { Read::End } else { Read::Cut });
        }
        let end = some.iter().position(|byte| *byte == b'\n');
        let part = some.get(..end.unwrap_or(some.len())).unwrap_or_default();
        if line.len().saturating_add(part.len()) > LINE_BYTES_MAX {
            return Ok(Read::TooLong);
        }
        line.extend_from_slice(part);
        let taken = part.len() + usize::from(end.is_some());
        input.consume(taken);
        if end.is_some() {
            return Ok(Read::Line);
        }
    }
}
