//! Where the next page starts, and when a listing has ended. Pure: a page's
//! facts in, the next request out.
//!
//! Listings move while they are read: a changed record goes to the end, and all
//! behind it shift. So no page is trusted to follow the one before it:
//!
//! - sorted by the cursor, each page starts from a value that the page before it
//!   held ("re-anchored"), below its largest, so that it makes no difference
//!   whether the side's filter includes its bound;
//! - where only skipping is left (many equal values, or a listing of everything),
//!   an offset page begins with the last record of the page before it; if that
//!   has moved, we go back. Numbered pages look again at the page before.
//!
//! Sides cut page sizes silently: a short page ends a listing only if a longer
//! one was seen, an empty page always does. What is read twice does no harm.

use crate::stamp::{Scale, Stamp};
use hms_sync_model::NativeId;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::cmp::Ordering;

/// A listing with more pages than this does not end.
const MAX_PAGES: u32 = 100_000;
/// A listing may move away under us so often in one pass.
const MAX_RETURNS: u32 = 200;

/// How a side cuts its listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Whole,
    Offset,
    Numbered,
    Keyset,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging {
    pub(crate) style: Style,
    /// Records asked for.
    pub(crate) asked: usize,
    /// Whether a request can name the value to start from.
    pub(crate) anchors: bool,
}

/// Pages that are equal to the one before them, one after the other, before we
/// stop. A few can be, where a listing moves just as fast as we read.
const MAX_REPEATS: u32 = 4;

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
}

/// What the request was, seen from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Move {
    #[default]
    First,
    /// On by skipping.
    Step,
    /// On from a value.
    Anchor,
    /// Back, because the listing had moved.
    Return,
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
    /// The pass reads only what changed.
    pub(crate) since: bool,
    /// When the pass began, in microseconds of our clock.
    pub(crate) began: i64,
    /// The cursor that the pass started from.
    pub(crate) floor: Option<Json>,
    moved: Move,
    pages: u32,
    returns: u32,
    repeats: u32,
    /// The value of `from`, if a page gave it.
    anchor: Option<Json>,
    /// The largest value so far, and that of the first page.
    top: Option<Json>,
    first_top: Option<Json>,
    /// A page that was not in ascending order was seen.
    unsorted: bool,
    tail: Option<Json>,
    largest: usize,
    print: u64,
    /// The page before that one.
    print_before: Option<u64>,
    /// The record that the next page must show again.
    last_id: Option<String>,
}

impl Progress {
    /// A pass that begins now, in microseconds of our clock.
    pub(crate) fn begin(now: i64) -> Self {
        Self { began: now, ..Self::default() }
    }
}

/// What comes after a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    pub(crate) next: Option<Progress>,
    /// From where a poll may start once this page is kept.
    pub(crate) cursor: Option<Json>,
}

impl Paging {
    /// The error is a line for people.
    pub(crate) fn turn(&self, now: &Progress, page: &Facts, scale: Option<&Scale>) -> Result<Turn, String> {
        let order = Order::of(page);
        let print = fingerprint(&page.ids);
        let mut next = now.clone();
        next.pages = next.pages.saturating_add(1);
        if next.pages > MAX_PAGES {
            return Err(format!("the listing goes on after {MAX_PAGES} pages; it never ends"));
        }
        Self::learn(&mut next, now, page, &order, scale);
        let end = |next: &Progress| Ok(Turn { next: None, cursor: final_cursor(next, scale) });
        if let Move::Again { then } = now.moved {
            return if Some(print) != now.print_before {
                Self::back(next, now, 0)
            } else if let Some(at) = then {
                next.at = at;
                next.moved = Move::Step;
                next.print_before = Some(now.print);
                Ok(Turn { next: Some(next), cursor: None })
            } else {
                end(&next)
            };
        }
        if let Some(id) = &now.last_id
            && now.moved == Move::Step
            && !page.ids.iter().flatten().any(|other| other.as_str() == id)
        {
            let half = u64::try_from(self.asked / 2).unwrap_or(1).max(1);
            return Self::back(next, now, now.at.saturating_sub(half));
        }
        let same = now.pages > 0 && print == now.print && page.len > 0;
        next.repeats = if same { now.repeats.saturating_add(1) } else { 0 };
        if next.repeats > MAX_REPEATS {
            return Err("the same page comes again and again; is the paginator the right one?".to_owned());
        }
        next.print_before = (self.watches(now, &order) && now.moved == Move::Step).then_some(now.print);
        next.print = print;
        next.last_id = None;
        let ended = self.ended(now, page);
        if next.print_before.is_some() && self.style == Style::Numbered {
            next.moved = Move::Again { then: (!ended).then(|| now.at.saturating_add(1)) };
            next.at = now.at.saturating_sub(1);
            return Ok(Turn { next: Some(next), cursor: None });
        }
        if ended {
            return end(&next);
        }
        self.on(next, now, page, &order, same, scale)
    }

    /// What is learned from any page.
    fn learn(next: &mut Progress, now: &Progress, page: &Facts, order: &Order<'_>, scale: Option<&Scale>) {
        next.largest = now.largest.max(page.len);
        let read = |json: &Option<Json>| json.as_ref().and_then(|json| scale?.read(json));
        let follows = || match (now.moved, read(&now.tail), order.first) {
            (Move::Step, Some(tail), Some(first)) => first.compare(&tail) != Some(Ordering::Less),
            _ => true,
        };
        if page.len > 0 {
            next.unsorted |= !order.ascending || !follows();
            next.tail = order.last.map(Stamp::to_json);
        }
        if let Some(top) = order.top {
            if read(&now.top).is_none_or(|old| top.compare(&old) == Some(Ordering::Greater)) {
                next.top = Some(top.to_json());
            }
            if now.pages == 0 {
                next.first_top.clone_from(&next.top);
            }
        }
    }

    fn back(mut next: Progress, now: &Progress, at: u64) -> Result<Turn, String> {
        next.returns = next.returns.saturating_add(1);
        if next.returns > MAX_RETURNS {
            return Err(format!(
                "the listing moved {MAX_RETURNS} times while it was read; it is read again later"
            ));
        }
        next.at = at;
        next.moved = Move::Return;
        next.last_id = None;
        next.print_before = None;
        next.print = now.print;
        Ok(Turn { next: Some(next), cursor: None })
    }

    /// Whether numbered pages are looked at twice: where a sorted listing of
    /// changes can only be skipped through.
    fn watches(&self, now: &Progress, order: &Order<'_>) -> bool {
        self.style == Style::Numbered && now.since && self.anchors && order.ascending
    }

    fn ended(&self, now: &Progress, page: &Facts) -> bool {
        if self.style == Style::Whole || page.len == 0 {
            return true;
        }
        let len = u64::try_from(page.len).unwrap_or(u64::MAX);
        let asked = u64::try_from(self.asked).unwrap_or(u64::MAX);
        let seen = match self.style {
            Style::Offset => Some(now.at.saturating_add(len)),
            Style::Numbered if now.at == 0 || now.largest == self.asked => {
                Some(now.at.saturating_mul(asked).saturating_add(len))
            }
            Style::Numbered | Style::Keyset | Style::Whole => None,
        };
        let counted = seen.is_some() && page.total == seen;
        counted || page.len < self.asked && page.len < now.largest
    }

    /// The request after a page that was not the last.
    fn on(
        &self,
        mut next: Progress,
        now: &Progress,
        page: &Facts,
        order: &Order<'_>,
        same: bool,
        scale: Option<&Scale>,
    ) -> Result<Turn, String> {
        if self.style == Style::Keyset {
            return keyset(next, page, order);
        }
        let full = page.len >= self.asked || page.len == now.largest;
        let below = order.below.filter(|_| now.since && self.anchors && order.ascending && full && !same);
        let before = now.anchor.as_ref().and_then(|json| scale?.read(json));
        if let Some(below) = below.filter(|below| {
            before.as_ref().is_none_or(|before| below.compare(before) == Some(Ordering::Greater))
        }) {
            next.from = Some(below.as_str().to_owned());
            next.anchor = Some(below.to_json());
            next.at = 0;
            next.moved = Move::Anchor;
            let cursor = highest([next.anchor.clone(), next.floor.clone()], scale);
            return Ok(Turn { next: Some(next), cursor });
        }
        let len = u64::try_from(page.len).unwrap_or(u64::MAX);
        next.moved = Move::Step;
        if self.style == Style::Numbered {
            next.at = now.at.saturating_add(1);
        } else {
            let last = page.ids.last().and_then(Option::as_ref).filter(|_| page.len > 1);
            next.last_id = last.map(|id| id.as_str().to_owned());
            next.at = now.at.saturating_add(len - u64::from(next.last_id.is_some()));
        }
        Ok(Turn { next: Some(next), cursor: None })
    }
}

fn keyset(mut next: Progress, page: &Facts, order: &Order<'_>) -> Result<Turn, String> {
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
    next.last_id = None;
    let cursor = order.below.filter(|_| next.since && !next.unsorted).map(Stamp::to_json);
    Ok(Turn { next: Some(next), cursor })
}

/// Where the next poll starts: from the largest value if the listing was in
/// order; else from what was known when the pass began.
fn final_cursor(next: &Progress, scale: Option<&Scale>) -> Option<Json> {
    let top = if next.unsorted { next.first_top.clone() } else { next.top.clone() };
    highest([top, next.floor.clone()], scale)
}

fn highest(values: [Option<Json>; 2], scale: Option<&Scale>) -> Option<Json> {
    let scale = scale?;
    let [a, b] = values.map(|json| json.and_then(|json| Some((scale.read(&json)?, json))));
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0.compare(&a.0) == Some(Ordering::Greater) { b.1 } else { a.1 }),
        (a, b) => a.or(b).map(|(_, json)| json),
    }
}

/// The cursor values of a page.
struct Order<'p> {
    ascending: bool,
    first: Option<&'p Stamp>,
    last: Option<&'p Stamp>,
    top: Option<&'p Stamp>,
    /// The largest below the top.
    below: Option<&'p Stamp>,
}

impl<'p> Order<'p> {
    fn of(page: &'p Facts) -> Self {
        let stamps = || page.stamps.iter().flatten();
        let pairs = page.stamps.iter().zip(page.stamps.iter().skip(1));
        let ascending = page.stamps.len() == page.len
            && page.stamps.iter().all(Option::is_some)
            && pairs.into_iter().all(|(a, b)| {
                a.as_ref().zip(b.as_ref()).and_then(|(a, b)| a.compare(b)).is_some_and(Ordering::is_le)
            });
        let larger = |a: &'p Stamp, b: &'p Stamp| if b.compare(a) == Some(Ordering::Greater) { b } else { a };
        let top = stamps().reduce(larger);
        let below =
            top.and_then(|top| stamps().filter(|s| s.compare(top) == Some(Ordering::Less)).reduce(larger));
        Self {
            ascending,
            first: page.stamps.first().and_then(Option::as_ref),
            last: page.stamps.last().and_then(Option::as_ref),
            top,
            below,
        }
    }
}

fn fingerprint(ids: &[Option<NativeId>]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    ids.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::too_many_lines,
        reason = "tests may panic"
    )]
    use super::{Facts, Paging, Progress, Style};
    use crate::spec::FieldPath;
    use crate::stamp::Scale;
    use hms_sync_model::NativeId;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};
    use std::time::Duration;

    /// A side that lists its records by time of change.
    struct Side {
        records: Vec<(u32, u64, u32)>,
        clock: u64,
        inclusive: bool,
        cap: usize,
        counts: bool,
        sorted: bool,
    }

    impl Side {
        fn edit(&mut self, id: u32, tick: u64) {
            self.clock += tick;
            let version = self.records.iter().find(|r| r.0 == id).map_or(1, |r| r.2 + 1);
            self.records.retain(|r| r.0 != id);
            self.records.push((id, self.clock, version));
        }

        fn page(&self, paging: &Paging, request: &Progress, since: Option<u64>) -> (Vec<(u32, u32)>, Facts) {
            let size = paging.asked.min(self.cap);
            let from = request.from.as_ref().map(|from| from.parse::<u64>().unwrap()).or(since);
            let passes = |stamp: u64| from.is_none_or(|from| stamp > from || self.inclusive && stamp == from);
            let mut all: Vec<_> = self.records.iter().filter(|r| passes(r.1)).collect();
            if !self.sorted {
                all.sort_by_key(|r| r.0);
            }
            let total = u64::try_from(all.len()).unwrap();
            let at = usize::try_from(request.at).unwrap();
            let skip = if paging.style == Style::Numbered { at * size } else { at };
            let page: Vec<_> = all.into_iter().skip(skip).take(size).collect();
            let scale = scale();
            let facts = Facts {
                len: page.len(),
                ids: page.iter().map(|r| id(&r.0.to_string())).collect(),
                stamps: page.iter().map(|r| scale.read(&json!(r.1))).collect(),
                total: self.counts.then_some(total),
            };
            (page.iter().map(|r| (r.0, r.2)).collect(), facts)
        }
    }

    fn id(text: &str) -> Option<NativeId> {
        NativeId::try_new(text).ok()
    }

    fn scale() -> Scale {
        Scale::new(FieldPath::default(), None, Some(Duration::from_secs(1))).unwrap()
    }

    /// One pass; `meanwhile` is called between requests. Answers what was seen and the cursor.
    fn pass(
        side: &mut Side,
        paging: &Paging,
        cursor: Option<Json>,
        seen: &mut std::collections::BTreeMap<u32, u32>,
        mut meanwhile: impl FnMut(&mut Side),
    ) -> Result<(Option<Json>, usize), String> {
        let scale = scale();
        let from = cursor.as_ref().map(|json| scale.before(&scale.read(json).unwrap()));
        let mut cursor = cursor;
        let mut progress =
            Progress { from, since: cursor.is_some(), floor: cursor.clone(), ..Progress::default() };
        for requests in 1..5_000 {
            let (records, facts) = side.page(paging, &progress, None);
            for (id, version) in records {
                let known = seen.entry(id).or_default();
                *known = version.max(*known);
            }
            let turn = paging.turn(&progress, &facts, Some(&scale))?;
            if let Some(now) = turn.cursor {
                // A crash may come here: a poll that starts at the cursor must miss nothing.
                cursor = Some(now);
            }
            match turn.next {
                Some(next) => {
                    let token = serde_json::to_string(&next).unwrap();
                    progress = serde_json::from_str(&token).unwrap();
                }
                None => return Ok((cursor, requests)),
            }
            meanwhile(side);
        }
        Err("never ended".to_owned())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Whatever is edited while pages are read, and however many records
        /// share a time: the pass after the last edit has seen the newest of all.
        #[test]
        fn nothing_is_missed_while_records_move(
            size in 2usize..12, cap in 2usize..16, inclusive: bool, counts: bool, numbered: bool, sorted: bool,
            loads in prop::collection::vec((0u64..3, 1u32..40), 1..12),
            edits in prop::collection::vec((0u32..120, prop::bool::weighted(0.3), 0u8..4), 0..60),
        ) {
            let mut side = Side { records: Vec::new(), clock: 10, inclusive, cap, counts, sorted };
            let mut next = 0;
            for (tick, many) in loads {
                side.clock += tick;
                for _ in 0..many {
                    side.edit(next, 0);
                    next += 1;
                }
            }
            // Pages that are numbered must have the size that was asked for to have one meaning.
            let asked = if numbered { size.min(cap) } else { size };
            let style = if numbered { Style::Numbered } else { Style::Offset };
            let paging = Paging { style, asked, anchors: true };
            let mut seen = std::collections::BTreeMap::new();
            let (cursor, _) = pass(&mut side, &paging, None, &mut seen, |_| {}).unwrap();
            prop_assert_eq!(seen.len(), side.records.len());
            let mut edits = edits.into_iter();
            let mut cursor = cursor;
            while edits.len() > 0 {
                let result = pass(&mut side, &paging, cursor.clone(), &mut seen, |side| {
                    if let Some((id, same, pause)) = edits.next() && pause > 0 {
                        side.edit(id % next, u64::from(!same));
                    }
                });
                // A listing in no order may be given up; the poll is repeated.
                prop_assert!(!sorted || result.is_ok());
                cursor = result.map_or(cursor, |(now, _)| now);
                if let Some((id, same, _)) = edits.next() {
                    side.edit(id % next, u64::from(!same));
                }
            }
            let floor = cursor.clone();
            pass(&mut side, &paging, cursor, &mut seen, |_| {}).unwrap();
            for (id, _, version) in &side.records {
                // A listing in no order that moves may skip; sweeps are for that.
                prop_assert!(!sorted || seen[id] == *version, "{} at {:?}", id, floor);
            }
        }

        /// A listing of everything by offset misses nothing either.
        #[test]
        fn everything_is_everything(
            size in 2usize..12, cap in 2usize..16, records in 0u32..120, counts: bool,
            edits in prop::collection::vec((0u32..120, prop::bool::weighted(0.5)), 0..8),
        ) {
            let mut side = Side { records: Vec::new(), clock: 10, inclusive: true, cap, counts, sorted: true };
            for id in 0..records {
                side.edit(id, 0);
            }
            let paging = Paging { style: Style::Offset, asked: size, anchors: true };
            let mut seen = std::collections::BTreeMap::new();
            let mut edits = edits.into_iter();
            let (_, requests) = pass(&mut side, &paging, None, &mut seen, |side| {
                if let Some((id, tick)) = edits.next() && records > 0 {
                    side.edit(id % records, u64::from(tick));
                }
            }).unwrap();
            prop_assert_eq!(seen.len(), side.records.len());
            prop_assert!(requests < 600);
        }
    }

    fn ask(paging: &Paging, progress: &Progress, ids: std::ops::Range<u32>) -> Result<super::Turn, String> {
        let ids: Vec<_> = ids.map(|id| self::id(&id.to_string())).collect();
        paging.turn(progress, &Facts { len: ids.len(), ids, ..Facts::default() }, None)
    }

    #[test]
    fn a_page_that_repeats_itself_is_told() {
        let paging = Paging { style: Style::Offset, asked: 5, anchors: false };
        let second = ask(&paging, &Progress::default(), 0..5).unwrap().next.unwrap();
        assert_eq!(second.at, 4);
        let mut turn = Ok(second);
        for _ in 0..5 {
            turn = turn.and_then(|now| ask(&paging, &now, 0..5).map(|turn| turn.next.unwrap()));
        }
        assert!(turn.unwrap_err().contains("the same page"));
    }

    #[test]
    fn a_cut_page_size_does_not_end_a_listing() {
        let paging = Paging { style: Style::Offset, asked: 5_000, anchors: false };
        let second = ask(&paging, &Progress::default(), 0..1_000).unwrap().next.unwrap();
        let third = ask(&paging, &second, 999..1_999).unwrap().next.unwrap();
        assert!(ask(&paging, &third, 1_998..2_050).unwrap().next.is_none());
    }

    #[test]
    fn the_sides_own_count_saves_a_request() {
        let paging = Paging { style: Style::Offset, asked: 200, anchors: false };
        let page = |total| Facts { len: 2, ids: vec![id("a"), id("b")], total, ..Facts::default() };
        assert!(paging.turn(&Progress::default(), &page(Some(2)), None).unwrap().next.is_none());
        assert!(paging.turn(&Progress::default(), &page(Some(3)), None).unwrap().next.is_some());
        assert!(paging.turn(&Progress::default(), &page(None), None).unwrap().next.is_some());
    }

    #[test]
    fn keysets_go_on_from_the_last_record() {
        let paging = Paging { style: Style::Keyset, asked: 2, anchors: true };
        let scale = scale();
        let stamps = |values: [u64; 2]| values.map(|v| scale.read(&json!(v))).to_vec();
        let page = Facts { len: 2, ids: vec![id("a"), id("b")], stamps: stamps([7, 8]), total: None };
        let started = Progress { since: true, ..Progress::default() };
        let turn = paging.turn(&started, &page, Some(&scale)).unwrap();
        assert_eq!(turn.cursor, Some(json!(7)));
        let next = turn.next.unwrap();
        assert_eq!(next.key, Some(("8".to_owned(), "b".to_owned())));
        assert!(paging.turn(&next, &page, Some(&scale)).unwrap_err().contains("that record's again"));
        assert_eq!(paging.turn(&next, &Facts::default(), Some(&scale)).unwrap().cursor, Some(json!(8)));
    }
}
