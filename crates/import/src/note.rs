//! What is said about the way from one configuration to the other.

use hms_sync_config::At;
use std::collections::BTreeSet;
use std::fmt;

/// Something that was not taken over as it stands, or had to be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line that it is about, from 1; 0 if it is about no line.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// Whether something is lost by it; else something was chosen or is to be filled in.
    pub lost: bool,
    /// Where it is: a key, and the stream that it is of.
    pub place: String,
    /// What was done instead.
    pub instead: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.instead)
    }
}

/// Notes as they are made.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    all: Vec<Note>,
}

impl Notes {
    /// Something is not taken over.
    pub(crate) fn lost(&mut self, at: At, place: impl Into<String>, instead: impl Into<String>) {
        self.push(at, true, place.into(), instead.into());
    }

    /// Something was chosen.
    pub(crate) fn chose(&mut self, at: At, place: impl Into<String>, instead: impl Into<String>) {
        self.push(at, false, place.into(), instead.into());
    }

    fn push(&mut self, at: At, lost: bool, place: String, instead: String) {
        let clean =
            |text: String| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        let (place, instead) = (clean(place), clean(instead));
        let note = Note { line: at.line, column: at.column, lost, place, instead };
        if !self.all.contains(&note) {
            self.all.push(note);
        }
    }

    /// All of them, by line. What is the same for many streams, as what they all refer to
    /// is, is said once.
    pub(crate) fn sorted(mut self) -> Vec<Note> {
        self.all.sort_by_key(|note| (note.line, note.column));
        let mut told: Vec<(Note, String, BTreeSet<String>)> = Vec::new();
        for note in self.all {
            let (way, stream) = nameless(&note.place);
            let same = |there: &Note, of: &str| {
                (there.line, there.column, there.lost) == (note.line, note.column, note.lost)
                    && there.instead == note.instead
                    && of == way
            };
            match told.iter_mut().rev().find(|(there, of, _)| same(there, of)) {
                Some((_, _, streams)) => drop(streams.insert(stream)),
                None => told.push((note, way, BTreeSet::from([stream]))),
            }
        }
        let counted = |(mut note, _, streams): (Note, String, BTreeSet<String>)| {
            let more = streams.len().saturating_sub(1);
            if more > 0 {
                let streams = if more == 1 { "stream" } else { "streams" };
                note.place = format!("{} (and {more} more {streams})", note.place);
            }
            note
        };
        told.into_iter().map(counted).collect()
    }
}

/// A place without the name of its stream, and that name. What is said of the parents that a
/// stream is listed by is said of the stream.
fn nameless(place: &str) -> (String, String) {
    let Some((before, after)) = place.rsplit_once("stream `") else {
        return (place.to_owned(), String::new());
    };
    let (name, after) = after.split_once('`').unwrap_or((after, ""));
    (format!("{}stream{after}", before.replace("the parent of ", "")), name.to_owned())
}
