//! A side in time that runs fast: whatever happens while it is read, in whichever way
//! it is cut into pages, the poll after the last change has seen everything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use super::{Facts, Paging, Progress, Style};
use crate::spec::FieldPath;
use crate::stamp::Scale;
use hms_sync_model::{NativeId, Time};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How late a change may become visible, in seconds: as far as polls look back.
const LATE_MAX: u64 = 3;

/// A version of a record: when it was written, and its number.
type Version = (u64, u32);

/// A side whose records are sorted by time of change, then by id.
struct Side {
    now: u64,
    shown: BTreeMap<u32, Version>,
    /// Written, and not visible before this time.
    late: Vec<(u64, u32, Version)>,
    last: BTreeMap<u32, Version>,
    inclusive: bool,
    dated: bool,
    flagged: bool,
}

/// What happens between two requests.
#[derive(Debug, Clone)]
struct Happening {
    passes: u64,
    edits: Vec<(u32, u64)>,
}

impl Side {
    fn happen(&mut self, happening: &Happening) {
        for (id, delay) in &happening.edits {
            // A record's own versions become visible in their order.
            if self.late.iter().any(|(_, other, _)| other == id) {
                continue;
            }
            let version = self.last.get(id).map_or(1, |last| last.1 + 1);
            let own = self.last.get(id).map_or(0, |last| last.0 + 1);
            self.now = self.now.max(own);
            self.last.insert(*id, (self.now, version));
            self.late.push((self.now + delay, *id, (self.now, version)));
        }
        self.now += happening.passes;
        self.appear();
    }

    fn appear(&mut self) {
        let (due, late) = self.late.drain(..).partition(|(at, ..)| *at <= self.now);
        self.late = late;
        let due: Vec<(u64, u32, Version)> = due;
        self.shown.extend(due.into_iter().map(|(_, id, version)| (id, version)));
    }

    fn page(&self, paging: &Paging, request: &Progress, began: u64) -> (Vec<(u32, u32)>, Facts) {
        let from = request.from.as_ref().map(|from| from.parse::<u64>().unwrap());
        let passes = |stamp: u64| from.is_none_or(|from| stamp > from || self.inclusive && stamp == from);
        let mut all: Vec<_> =
            self.shown.iter().filter(|(_, v)| passes(v.0)).map(|(id, v)| (v.0, *id, v.1)).collect();
        all.sort_unstable();
        let size = paging.asked;
        let at = usize::try_from(request.at).unwrap();
        let key = match paging.style {
            Style::Keyset => request.key.as_ref().map(|(stamp, id)| (stamp.clone(), id.clone())),
            _ => request
                .token
                .as_ref()
                .map(|t| t.split_once(':').unwrap())
                .map(|(s, i)| (s.to_owned(), i.to_owned())),
        };
        let key = key.map(|(stamp, id)| (stamp.parse::<u64>().unwrap(), id.parse::<u32>().unwrap()));
        let rest: Vec<_> = match paging.style {
            Style::Whole => all,
            Style::Offset => all.into_iter().skip(at).collect(),
            Style::Numbered => all.into_iter().skip(at * size).collect(),
            Style::Keyset | Style::Token => {
                all.into_iter().filter(|(stamp, id, _)| key.is_none_or(|key| (*stamp, *id) > key)).collect()
            }
        };
        let more = paging.style != Style::Whole && rest.len() > size;
        let page: Vec<_> = rest.into_iter().take(if size == 0 { usize::MAX } else { size }).collect();
        let scale = scale();
        let next = page.last().filter(|_| more && paging.style == Style::Token);
        let facts = Facts {
            len: page.len(),
            ids: page.iter().map(|r| NativeId::try_new(r.1.to_string()).ok()).collect(),
            stamps: page.iter().map(|r| scale.read(&json!(r.0))).collect(),
            date: self.dated.then(|| Time(i64::try_from(self.now).unwrap() * 1_000_000)),
            next: next.map(|(stamp, id, _)| format!("{stamp}:{id}")),
            elapsed: Duration::from_secs(self.now - began),
            more: (self.flagged && paging.style != Style::Whole).then_some(more),
            ..Facts::default()
        };
        (page.iter().map(|r| (r.1, r.2)).collect(), facts)
    }
}

fn scale() -> Scale {
    Scale::new(FieldPath::default(), Some("epoch_s"), Some(Duration::from_secs(LATE_MAX))).unwrap()
}

/// A pass; the side goes on between requests. Answers the cursor.
fn pass<'h>(
    side: &mut Side,
    paging: &Paging,
    mut cursor: Option<Json>,
    seen: &mut BTreeMap<u32, u32>,
    happenings: &mut impl Iterator<Item = &'h Happening>,
) -> Result<Option<Json>, String> {
    let scale = scale();
    let from = cursor.as_ref().map(|json| scale.before(&scale.read(json).unwrap()));
    let began = side.now;
    let mut now = Progress { since: from.is_some(), from, floor: cursor.clone(), ..Progress::default() };
    loop {
        let (records, facts) = side.page(paging, &now, began);
        for (id, version) in records {
            let known = seen.entry(id).or_default();
            *known = version.max(*known);
        }
        let turn = paging.turn(&now, &facts, Some(&scale))?;
        cursor = turn.cursor.or(cursor);
        let Some(next) = turn.next else { return Ok(cursor) };
        // It travels in a token.
        now = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        if let Some(happening) = happenings.next() {
            side.happen(happening);
        }
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let edits = prop::collection::vec((0u32..90, prop_oneof![3 => Just(0), 1 => 1..=LATE_MAX]), 0..6);
    let passes = prop_oneof![2 => Just(0u64), 2 => Just(1), 1 => 2u64..9];
    prop::collection::vec((passes, edits).prop_map(|(passes, edits)| Happening { passes, edits }), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    /// Equal times, changes that become visible late, new records and changed ones while
    /// pages are read: in the end the same set, for every way of paging.
    #[test]
    fn final_sets_are_equal(
        style in prop_oneof![
            Just(Style::Whole), Just(Style::Offset), Just(Style::Numbered), Just(Style::Keyset), Just(Style::Token)
        ],
        size in 2usize..9, inclusive: bool, dated: bool, flagged: bool, happenings in happenings(),
    ) {
        let side = Side {
            now: 1_000, shown: BTreeMap::new(), late: Vec::new(), last: BTreeMap::new(), inclusive, dated, flagged,
        };
        let paging = Paging::new(style, if style == Style::Whole { 0 } else { size });
        let (seen, there, cursor) = polled(side, &paging, &happenings);
        prop_assert_eq!(seen, there, "polled from {:?}", cursor);
    }
}

/// A record that changes goes to the end, and those behind it come one page earlier: also
/// while the first listing is read, from where polls go on.
#[test]
fn a_record_that_moves_during_the_first_listing_takes_none_along() {
    let new = Happening { passes: 3, edits: [46, 0, 1, 47].map(|id| (id, 0)).to_vec() };
    let moved = Happening { passes: 0, edits: vec![(46, 0)] };
    let side = Side {
        now: 1_000,
        shown: BTreeMap::new(),
        late: Vec::new(),
        last: BTreeMap::new(),
        inclusive: false,
        dated: true,
        flagged: false,
    };
    let (seen, there, cursor) = polled(side, &Paging::new(Style::Numbered, 3), &[new, moved]);
    assert_eq!(seen, there, "polled from {cursor:?}");
}

/// Polls a side to the end of what happens there. Answers what was seen, what is there, and
/// the last cursor.
fn polled(
    mut side: Side,
    paging: &Paging,
    happenings: &[Happening],
) -> (BTreeMap<u32, u32>, BTreeMap<u32, u32>, Option<Json>) {
    let (mut happenings, mut seen, mut cursor) = (happenings.iter().peekable(), BTreeMap::new(), None);
    while happenings.peek().is_some() {
        cursor = pass(&mut side, paging, cursor, &mut seen, &mut happenings).unwrap();
        if let Some(happening) = happenings.next() {
            side.happen(happening);
        }
    }
    side.happen(&Happening { passes: LATE_MAX, edits: Vec::new() });
    pass(&mut side, paging, cursor.clone(), &mut seen, &mut std::iter::empty()).unwrap();
    let there = side.last.iter().map(|(id, version)| (*id, version.1)).collect();
    (seen, there, cursor)
}
