//! Where the next page starts, and when a listing has ended. Pure: a page's
//! facts in, the next request out.
//!
//! Listings move while they are read: a changed record goes to the end, and all
//! behind it shift. So no page is trusted to follow the one before it: an offset
//! page begins with the last records of the page before it, and if none of them
//! is there, we go back. With numbered pages we look again
//! at the page before, where polls go on from what is listed.
//! This holds for a listing in any order. (To go on from the largest value of a
//! page would be cheaper, but is wrong where a page is in order by chance only.)
//!
//! A cursor is never past what was there when the pass began: what changes
//! behind our back has a later value.
//!
//! Where a side itself says what comes next, it is believed, as long as it leads on:
//! a listing that goes round is told.
//!
//! Sides cut page sizes silently: a short page ends a listing only if a longer
//! one was seen, an empty page always does. What is read twice does no harm.

mod cursor;
mod order;
mod skip;
mod token;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

pub(crate) use order::hash;
pub(crate) use token::shown;

use crate::stamp::{Scale, Stamp};
use hms_sync_model::{NativeId, Time};
use order::{Order, marks};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use skip::back;
use std::cmp::Ordering;
use std::time::Duration;

/// A listing with more pages than this does not end.
const MAX_PAGES: u32 = 100_000;
/// Pages that are equal to the one before them, one after the other, before we
/// stop. A few can be, where a listing moves just as fast as we read.
const MAX_REPEATS: u32 = 4;

/// How a side cuts its listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Whole,
    Offset,
    Numbered,
    Keyset,
    /// The side says where the next page is.
    Token,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging {
    pub(crate) style: Style,
    /// Records asked for.
    pub(crate) asked: usize,
    /// A listing with more pages is an error.
    pub(crate) max_pages: u32,
    /// Whether an empty page ends the listing whatever the side says.
    pub(crate) stop_after_empty: bool,
}

/// What a page showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Records as they came, unreadable ones included.
    pub(crate) len: usize,
    /// Ids in order; nothing for a record that could not be read.
    pub(crate) ids: Vec<Option<NativeId>>,
    /// Cursor values in order.
    pub(crate) stamps: Vec<Option<Stamp>>,
    /// How many the side says there are.
    pub(crate) total: Option<u64>,
    /// The side's own clock.
    pub(crate) date: Option<Time>,
    /// The time since the pass began, by ours.
    pub(crate) elapsed: Duration,
    /// What the next page is asked for by, as the side says.
    pub(crate) next: Option<String>,
    /// Whether the side says it as a number.
    pub(crate) next_is_number: bool,
    /// Whether there is more, if the side says so.
    pub(crate) more: Option<bool>,
    /// The member that the records are taken from, where nothing says which it is.
    pub(crate) place: Option<String>,
}

/// What the request was, seen from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Move {
    #[default]
    First,
    /// On by skipping.
    Step,
    /// Back, because the listing had moved; so many times in a row.
    Return(u32),
    /// The page before the last one, once more; then this page, or the end.
    Again { then: Option<u64> },
}

/// How far a pass has come; travels in the page token.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// Records to skip, or pages.
    pub(crate) at: u64,
    /// The value that requests name, in the side's form.
    pub(crate) from: Option<String>,
    /// For keysets: value and id of the last record.
    pub(crate) key: Option<(String, String)>,
    /// What the side said this page is to be asked for by.
    pub(crate) token: Option<String>,
    /// Whether it said so by a number.
    pub(crate) token_is_number: bool,
    /// A page some way back, to see whether the listing goes round.
    anchor: Option<u64>,
    /// The pass reads only what changed.
    pub(crate) since: bool,
    /// The settings of the listing that the pass is of.
    pub(crate) settings: u64,
    /// When the pass began, in microseconds of our clock.
    pub(crate) began: i64,
    /// The cursor that the pass started from.
    pub(crate) floor: Option<Json>,
    moved: Move,
    /// So often it was begun anew.
    pub(crate) resets: u32,
    pages: u32,
    returns: u32,
    repeats: u32,
    /// The value that requests end at, in the side's form.
    pub(crate) until: Option<String>,
    /// The export that is read, and which of its files.
    pub(crate) export: Option<ExportAt>,
    /// What is left of the range that is read in slices.
    pub(crate) rest: Option<Rest>,
    /// The side's clock when the pass began.
    date: Option<Time>,
    /// How long it has gone on.
    elapsed: Duration,
    /// The largest value so far.
    top: Option<Json>,
    /// The largest value of the first page, or of the last that a key was given for.
    sure: Option<Json>,
    largest: usize,
    print: u64,
    /// The page before that one.
    print_before: Option<u64>,
    /// The last records of the page that the next must follow on.
    tail: Vec<u64>,
    /// How many of them the next page should begin with.
    overlap: usize,
}

/// Where a pass is in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExportAt {
    /// Which export; no other process has one of this number.
    pub(crate) number: u64,
    pub(crate) file: usize,
}

/// What is left of a range that is read in slices, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rest {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Progress {
    /// A pass of a listing with these settings that begins now, in microseconds of our clock.
    pub(crate) fn begin(settings: u64, now: i64) -> Self {
        Self { settings, began: now, ..Self::default() }
    }

    /// Whether no page of it was read.
    pub(crate) fn is_first(&self) -> bool {
        self.pages == 0
    }

    /// Whether no page showed any record.
    pub(crate) fn showed_nothing(&self) -> bool {
        self.largest == 0
    }

    /// How many records of a page that was asked for so the one before it showed.
    pub(crate) fn shown_before(&self, page: &Facts) -> usize {
        match self.moved {
            Move::First => 0,
            Move::Again { .. } => page.len,
            Move::Step | Move::Return(_) => {
                marks(page).iter().flatten().filter(|mark| self.tail.contains(mark)).count()
            }
        }
    }

    /// The beginning of the slice after this one, with what is left of the range after it.
    pub(crate) fn slice(&self, from: String, until: String, rest: Option<Rest>) -> Self {
        Self { from: Some(from), until: Some(until), rest, export: None, ..self.afresh() }
    }

    /// The beginning of a file of an export.
    pub(crate) fn in_export(&self, at: ExportAt) -> Self {
        Self { export: Some(at), ..self.afresh() }
    }

    /// The beginning of another listing of the same pass.
    fn afresh(&self) -> Self {
        Self {
            at: 0,
            key: None,
            token: None,
            anchor: None,
            moved: Move::First,
            repeats: 0,
            print: 0,
            print_before: None,
            tail: Vec::new(),
            overlap: 0,
            ..self.clone()
        }
    }

    /// Where a poll may start once all up to the end of this slice is kept.
    pub(crate) fn slice_end(&self, scale: &Scale) -> Option<Json> {
        let until = scale.of_text(self.until.as_deref()?)?;
        cursor::midway(self, &until, Some(scale))
    }
}

/// What comes after a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    pub(crate) next: Option<Progress>,
    /// From where a poll may start once this page is kept.
    pub(crate) cursor: Option<Json>,
    /// All that was learned, at the end.
    pub(crate) last: Option<Progress>,
}

impl Turn {
    fn on(next: Progress) -> Self {
        Self { next: Some(next), cursor: None, last: None }
    }

    fn end(last: Progress, style: Style, scale: Option<&Scale>) -> Self {
        Self { cursor: cursor::at_end(&last, style, scale), next: None, last: Some(last) }
    }
}
impl Paging {
    pub(crate) fn new(style: Style, asked: usize) -> Self {
        Self { style, asked, max_pages: MAX_PAGES, stop_after_empty: false }
    }

    /// The error is a line for people.
    pub(crate) fn turn(&self, now: &Progress, page: &Facts, scale: Option<&Scale>) -> Result<Turn, String> {
        let order = Order::of(page);
        let marks = marks(page);
        let print = hash(&marks);
        let mut next = now.clone();
        next.pages = next.pages.saturating_add(1);
        if next.pages > self.max_pages {
            return Err(self.endless(&next));
        }
        self.learn(&mut next, now, page, &order, scale);
        if self.style == Style::Token {
            return self.by_token(next, now, page, scale, print);
        }
        if let Move::Again { then } = now.moved {
            return if Some(print) != now.print_before {
                back(next, 0, 0)
            } else if let Some(at) = then {
                next.at = at;
                next.moved = Move::Step;
                Ok(Turn::on(next))
            } else {
                Ok(Turn::end(next, self.style, scale))
            };
        }
        if let Some((at, row)) = self.gap(now, &marks) {
            return back(next, at, row);
        }
        let same = now.pages > 0 && print == now.print && (page.len > 0 || page.more == Some(true));
        let ended = self.ended(now, page, &marks);
        next.repeats = if same { now.repeats.saturating_add(1) } else { 0 };
        if !ended && next.repeats > MAX_REPEATS {
            return Err(format!(
                "page {}: the same page comes again and again; is the paginator the right one?",
                next.pages
            ));
        }
        let before = now.print;
        next.print = print;
        if now.moved == Move::Step && self.looks_again(now, now.since || scale.is_some()) {
            next.print_before = Some(before);
            next.moved = Move::Again { then: (!ended).then(|| now.at.saturating_add(1)) };
            next.at = now.at.saturating_sub(1);
            return Ok(Turn::on(next));
        }
        if ended {
            return Ok(Turn::end(next, self.style, scale));
        }
        if self.style == Style::Keyset {
            return keyset(next, page, &order, scale);
        }
        Ok(self.stepped(next, &marks))
    }

    /// What is learned from any page.
    fn learn(
        &self,
        next: &mut Progress,
        now: &Progress,
        page: &Facts,
        order: &Order<'_>,
        scale: Option<&Scale>,
    ) {
        next.largest = now.largest.max(page.len);
        next.elapsed = now.elapsed.max(page.elapsed);
        if now.pages == 0 {
            next.date = page.date;
        }
        if let Some(top) = order.top {
            let old = now.top.as_ref().and_then(|json| scale?.read(json));
            if old.is_none_or(|old| top.compare(&old) == Some(Ordering::Greater)) {
                next.top = Some(top.to_json());
            }
        }
        // A page asked for by a key begins where the one before it ended. Times are bounded
        // by the side's clock, and so by more than that.
        let timeless = |top: &Stamp| scale.is_none_or(|scale| scale.time(top).is_none());
        let by_key = |top: &Stamp| self.style == Style::Keyset && timeless(top);
        if let Some(top) = order.top.filter(|top| now.pages == 0 || by_key(top)) {
            next.sure = Some(top.to_json());
        }
    }
}

fn keyset(
    mut next: Progress,
    page: &Facts,
    order: &Order<'_>,
    scale: Option<&Scale>,
) -> Result<Turn, String> {
    let last = order.last.zip(page.ids.last().and_then(Option::as_ref));
    let Some((stamp, id)) = last else {
        return Err("the last record of the page has no key to go on from".to_owned());
    };
    let key = Some((stamp.as_str().to_owned(), id.as_str().to_owned()));
    if next.key == key {
        return Err("the page after the last record is that record's again; do the parameters use `cursor`?"
            .to_owned());
    }
    next.key = key;
    next.moved = Move::Step;
    let below = order.below.filter(|_| next.since && order.ascending);
    let cursor = below.and_then(|below| cursor::midway(&next, below, scale));
    Ok(Turn { next: Some(next), cursor, last: None })
}
