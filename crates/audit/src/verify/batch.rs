//! Lines that are read and looked at together.
//!
//! What never happens here: saying that something is wrong. What comes before a line may be
//! wrong too, and is named instead.

use super::entry::Looked;
use crate::form::Line;
use crate::lines::{OTHER_BYTES_MAX, Read, read_line};
use std::io::{self, BufRead};

/// No more lines once there are so many bytes of them.
const BYTES: usize = 128 << 10;
/// The most lines.
const LINES_MAX: usize = 256;

/// Why there is no other line.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nothing is left.
    End,
    /// Something is left that no newline ends.
    Cut,
    /// The next is longer than any line.
    TooLong,
    /// It cannot be read.
    Failed(io::Error),
}

/// A few lines.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: Vec<u8>,
    /// Where each ends in the text, and the next begins.
    ends: Vec<usize>,
    /// Of those that are entries, what was found in them.
    looked: Vec<Option<Looked>>,
    /// What comes after them if that is no line.
    pub(super) ending: Option<Ending>,
    payload: Vec<u8>,
}

/// What a line says.
pub(super) fn parse(line: &[u8]) -> serde_json::Result<Line<'_>> {
    match std::str::from_utf8(line) {
        Ok(text) => serde_json::from_str(text),
        // Says where it is no text.
        Err(_) => serde_json::from_slice(line),
    }
}

impl Batch {
    /// Reads the next lines.
    pub(super) fn fill(&mut self, input: &mut impl BufRead) {
        while self.text.len() < BYTES && self.ends.len() < LINES_MAX {
            match read_line(input, &mut self.text) {
                Ok(Read::Line) => self.ends.push(self.text.len()),
                Ok(Read::End) => return self.ending = Some(Ending::End),
                Ok(Read::Cut) => return self.ending = Some(Ending::Cut),
                Ok(Read::TooLong) => return self.ending = Some(Ending::TooLong),
                Err(why) => return self.ending = Some(Ending::Failed(why)),
            }
        }
    }

    /// Looks at each entry by itself.
    pub(super) fn look(&mut self) {
        for n in 0..self.ends.len() {
            let line = line_of(&self.text, &self.ends, n);
            let looked = match parse(line) {
                Ok(Line::Entry(entry)) => Some(Looked::at(entry, &mut self.payload)),
                // Whoever comes to it reads it once more.
                Ok(_) | Err(_) => None,
            };
            self.looked.push(looked);
        }
    }

    /// Each line, and what was found if it is an entry.
    pub(super) fn lines(&mut self) -> impl Iterator<Item = (&[u8], Option<Looked>)> {
        let (text, ends) = (&self.text, &self.ends);
        self.looked.drain(..).enumerate().map(|(n, looked)| (line_of(text, ends, n), looked))
    }

    /// The memory that it takes for its text.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity()
    }

    /// Empty, for other lines; nothing if it holds too much memory to be kept.
    pub(super) fn emptied(mut self) -> Option<Self> {
        if self.text.capacity().max(self.payload.capacity()) > OTHER_BYTES_MAX {
            return None;
        }
        self.text.clear();
        self.ends.clear();
        self.looked.clear();
        self.ending = None;
        Some(self)
    }
}

/// The `n`-th line of a text.
fn line_of<'t>(text: &'t [u8], ends: &[usize], n: usize) -> &'t [u8] {
    let begin = n.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(n).and_then(|end| text.get(begin..*end)).unwrap_or_default()
}
