//! Reading lines of bounded length.
//!
//! What never happens here: holding more of a line than [`LINE_BYTES_MAX`], or of one that
//! is no entry more than [`OTHER_BYTES_MAX`].

use std::io::{self, BufRead, Read as _};

/// The longest line that is read, in bytes: the largest event a log takes, of 64 MiB, is a
/// third longer in base64; what stands around it has more than 10 MiB.
pub const LINE_BYTES_MAX: usize = 96 << 20;
/// The longest line that is no entry, in bytes.
pub(crate) const OTHER_BYTES_MAX: usize = 1 << 20;
/// What a longer line begins with.
const ENTRY: &[u8] = b"{\"entry\":";
/// What is read at once of a longer line.
const STEP_BYTES: usize = 4 << 20;

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

/// Reads the next line, and puts it after what `text` holds.
pub(crate) fn read_line(input: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<Read> {
    let begin = text.len();
    let mut step = OTHER_BYTES_MAX;
    loop {
        let read = input.by_ref().take(step as u64 + 1).read_until(b'\n', text)?;
        let line = text.get(begin..).unwrap_or_default();
        if line.last() == Some(&b'\n') {
            text.pop();
            return Ok(Read::Line);
        }
        if read <= step {
            return Ok(if line.is_empty() { Read::End } else { Read::Cut });
        }
        if !line.starts_with(ENTRY) || line.len() > LINE_BYTES_MAX {
            return Ok(Read::TooLong);
        }
        step = STEP_BYTES;
        // Not twice as much, as a vector would by itself.
        text.reserve_exact(step + 1);
    }
}
