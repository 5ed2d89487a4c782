//! Listings that move while they are read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::too_many_lines, reason = "tests may panic")]
use super::{Facts, Paging, Progress, Style};
use crate::spec::FieldPath;
use crate::stamp::Scale;
use hms_sync_model::{NativeId, Time};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// A side that lists its records by time of change, or by their ids.
#[expect(clippy::struct_excessive_bools, reason = "each a habit of its own")]
struct Side {
    records: Vec<(u32, u64, u32)>,
    clock: u64,
    inclusive: bool,
    cap: usize,
    counts: bool,
    sorted: bool,
    dated: bool,
}

impl Side {
    fn edit(&mut self, id: u32, tick: u64) {
        // A record's own time changes with it; that of others may be the same.
        let again = self.records.iter().any(|r| r.0 == id && r.1 == self.clock + tick);
        self.clock += tick + u64::from(again);
        let version = self.records.iter().find(|r| r.0 == id).map_or(1, |r| r.2 + 1);
        self.records.retain(|r| r.0 != id);
        self.records.push((id, self.clock, version));
    }

    fn burst(&mut self, edits: Vec<(u32, u64)>) {
        let many = u32::try_from(self.records.len()).unwrap();
        for (id, tick) in edits {
            self.edit(id % many, tick);
        }
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
            date: self.dated.then(|| Time(i64::try_from(self.clock).unwrap() * 1_000_000)),
            ..Facts::default()
        };
        (page.iter().map(|r| (r.0, r.2)).collect(), facts)
    }
}

fn id(text: &str) -> Option<NativeId> {
    NativeId::try_new(text).ok()
}

fn scale() -> Scale {
    Scale::new(FieldPath::default(), Some("epoch_s"), Some(Duration::from_secs(1))).unwrap()
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
        size in 2usize..12, cap in 2usize..16, inclusive: bool, counts: bool, numbered: bool, sorted: bool, dated: bool,
        loads in prop::collection::vec((0u64..3, 1u32..60), 1..6),
        edits in prop::collection::vec(bursts(), 0..40),
    ) {
        let mut side = Side { records: Vec::new(), clock: 10, inclusive, cap, counts, sorted, dated };
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
        let paging = Paging::new(style, asked);
        let mut seen = std::collections::BTreeMap::new();
        let (cursor, _) = pass(&mut side, &paging, None, &mut seen, |_| {}).unwrap();
        prop_assert_eq!(seen.len(), side.records.len());
        let mut edits = edits.into_iter();
        let mut cursor = cursor;
        while edits.len() > 0 {
            let result = pass(&mut side, &paging, cursor.clone(), &mut seen, |side| {
                side.burst(edits.next().unwrap_or_default());
            });
            // A listing in no order may be given up; the poll is repeated.
            prop_assert!(!sorted || result.is_ok());
            cursor = result.map_or(cursor, |(now, _)| now);
            side.burst(edits.next().unwrap_or_default());
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
        size in 4usize..12, cap in 4usize..16, records in 1u32..120, counts: bool,
        edits in prop::collection::vec(bursts(), 0..8),
    ) {
        let mut side = Side { records: Vec::new(), clock: 10, inclusive: true, cap, counts, sorted: true, dated: true };
        (0..records).for_each(|id| side.edit(id, 0));
        let paging = Paging::new(Style::Offset, size);
        let mut seen = std::collections::BTreeMap::new();
        let mut edits = edits.into_iter();
        let meanwhile = |side: &mut Side| side.burst(edits.next().unwrap_or_default());
        let (_, requests) = pass(&mut side, &paging, None, &mut seen, meanwhile).unwrap();
        prop_assert_eq!(seen.len(), side.records.len());
        prop_assert!(requests < 600);
    }

    /// Where records stand in another order, what was edited behind our back
    /// while everything was read is found by the poll after it.
    #[test]
    fn a_listing_in_no_order_is_polled_from_before_it_began(
        size in 2usize..12, records in 1u32..80, numbered: bool, inclusive: bool, dated: bool,
        edits in prop::collection::vec(bursts(), 0..40),
    ) {
        let mut side = Side { records: Vec::new(), clock: 10, inclusive, cap: 100, counts: false, sorted: false, dated };
        (0..records).for_each(|id| side.edit(id, 1));
        let style = if numbered { Style::Numbered } else { Style::Offset };
        let paging = Paging::new(style, size);
        let mut seen = std::collections::BTreeMap::new();
        let mut edits = edits.into_iter();
        let meanwhile = |side: &mut Side| side.burst(edits.next().unwrap_or_default());
        let (cursor, _) = pass(&mut side, &paging, None, &mut seen, meanwhile).unwrap();
        pass(&mut side, &paging, cursor, &mut seen, |_| {}).unwrap();
        for (id, _, version) in &side.records {
            prop_assert_eq!(seen[id], *version);
        }
    }
}

/// Edits that come together: which record, and how long after the one before.
fn bursts() -> impl Strategy<Value = Vec<(u32, u64)>> {
    prop::collection::vec((0u32..300, prop_oneof![Just(0), 1u64..4]), 0..5)
}

/// More than a page of records goes to the end before the third page is
/// read: what was behind them is now before the second, and in no page.
#[test]
fn numbered_pages_are_looked_at_again() {
    let (inclusive, counts, sorted, dated) = (true, false, true, true);
    let mut side = Side { records: Vec::new(), clock: 10, inclusive, cap: 9, counts, sorted, dated };
    (0..12).for_each(|id| side.edit(id, 2));
    let paging = Paging::new(Style::Numbered, 3);
    let mut seen = std::collections::BTreeMap::new();
    let mut requests = 0;
    let meanwhile = |side: &mut Side| {
        requests += 1;
        if requests == 3 {
            (0..4).for_each(|id| side.edit(id, 2));
        }
    };
    let (cursor, _) = pass(&mut side, &paging, Some(json!(5)), &mut seen, meanwhile).unwrap();
    assert_eq!((seen.len(), cursor), (12, Some(json!(34))), "and the cursor is when the pass began");
}

fn ask(paging: &Paging, progress: &Progress, ids: std::ops::Range<u32>) -> Result<super::Turn, String> {
    let ids: Vec<_> = ids.map(|id| self::id(&id.to_string())).collect();
    paging.turn(progress, &Facts { len: ids.len(), ids, ..Facts::default() }, None)
}

/// A listing of a hundred records in pages of 20 shows, page by page, so many and so many of them
/// once more.
#[test]
fn what_a_page_shows_once_more_is_counted_as_that() {
    for (style, expected) in
        [(Style::Offset, [(20, 0), (20, 1), (20, 1)]), (Style::Numbered, [(20, 0), (20, 0), (20, 20)])]
    {
        let paging = Paging::new(style, 20);
        let mut now = Progress { since: true, ..Progress::default() };
        for expected in expected {
            let at = u32::try_from(now.at).unwrap() * if style == Style::Numbered { 20 } else { 1 };
            let ids: Vec<_> = (at..at + 20).map(|id| self::id(&id.to_string())).collect();
            let facts = Facts { len: ids.len(), ids, ..Facts::default() };
            assert_eq!((facts.len, now.shown_before(&facts)), expected, "{style:?} {}", now.at);
            now = paging.turn(&now, &facts, None).unwrap().next.unwrap();
        }
    }
}

#[test]
fn a_page_that_repeats_itself_is_told() {
    let paging = Paging::new(Style::Offset, 5);
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
    let paging = Paging::new(Style::Offset, 5_000);
    let second = ask(&paging, &Progress::default(), 0..1_000).unwrap().next.unwrap();
    let third = ask(&paging, &second, 999..1_999).unwrap().next.unwrap();
    assert!(ask(&paging, &third, 1_998..2_050).unwrap().next.is_none());
}

#[test]
fn the_sides_own_count_saves_a_request() {
    let paging = Paging::new(Style::Offset, 200);
    let page = |total| Facts { len: 2, ids: vec![id("a"), id("b")], total, ..Facts::default() };
    assert!(paging.turn(&Progress::default(), &page(Some(2)), None).unwrap().next.is_none());
    assert!(paging.turn(&Progress::default(), &page(Some(3)), None).unwrap().next.is_some());
    assert!(paging.turn(&Progress::default(), &page(None), None).unwrap().next.is_some());
}

#[test]
fn keysets_go_on_from_the_last_record() {
    let paging = Paging::new(Style::Keyset, 2);
    let scale = scale();
    let stamps = |values: [u64; 2]| values.map(|v| scale.read(&json!(v))).to_vec();
    let page = Facts { len: 2, ids: vec![id("a"), id("b")], stamps: stamps([7, 8]), ..Facts::default() };
    let started = Progress { since: true, ..Progress::default() };
    let turn = paging.turn(&started, &page, Some(&scale)).unwrap();
    assert_eq!(turn.cursor, Some(json!(7)));
    let next = turn.next.unwrap();
    assert_eq!(next.key, Some(("8".to_owned(), "b".to_owned())));
    assert!(paging.turn(&next, &page, Some(&scale)).unwrap_err().contains("that record's again"));
    assert_eq!(paging.turn(&next, &Facts::default(), Some(&scale)).unwrap().cursor, Some(json!(8)));
}

fn told(paging: &Paging, now: &Progress, len: u32, token: Option<&str>) -> Result<super::Turn, String> {
    let ids = (0..len).map(|n| id(&n.to_string())).collect();
    let next = token.map(str::to_owned);
    let len = usize::try_from(len).unwrap();
    paging.turn(now, &Facts { len, ids, next, ..Facts::default() }, None)
}

#[test]
fn a_listing_that_goes_round_is_told_with_page_and_token() {
    let paging = Paging::new(Style::Token, 0);
    // The token is ignored: the first page comes again.
    let second = told(&paging, &Progress::default(), 3, Some("t1")).unwrap().next.unwrap();
    let said = told(&paging, &second, 3, Some("t1")).unwrap_err();
    assert!(said.starts_with("page 2 shows the same records") && said.contains("`t1`"), "{said}");
    // It comes round after some pages.
    for (before, round) in [(0, 2), (3, 5), (7, 1), (1, 9)] {
        let (mut now, mut error) = (Progress::default(), None);
        for page in 0..200 {
            let step: u32 = if page < before { page } else { before + (page - before) % round };
            match told(&paging, &now, 1 + step, Some(&format!("t{step}"))) {
                Ok(turn) => now = turn.next.unwrap(),
                Err(said) => {
                    error = Some((page, said));
                    break;
                }
            }
        }
        let (page, said) = error.unwrap();
        assert!(page <= 4 * (before + round) + 2 && said.contains("goes round"), "{page}: {said}");
    }
}

#[test]
fn a_token_may_stay_while_the_records_go_on() {
    let paging = Paging::new(Style::Token, 0);
    let mut now = Progress::default();
    for page in 0..100 {
        let facts = Facts {
            len: 1,
            ids: vec![id(&format!("r{page}"))],
            next: Some("scroll".to_owned()),
            ..Facts::default()
        };
        now = paging.turn(&now, &facts, None).unwrap().next.unwrap();
    }
    assert!(told(&paging, &now, 0, Some("scroll")).unwrap().next.is_none(), "an empty page then ends it");
    assert!(told(&paging, &now, 0, Some("other")).unwrap().next.is_some(), "but not where it leads on");
    let stop = Paging { stop_after_empty: true, ..paging };
    assert!(told(&stop, &now, 0, Some("other")).unwrap().next.is_none());
}

#[test]
fn a_listing_beyond_its_bound_is_told_with_its_place() {
    let paging = Paging { max_pages: 2, ..Paging::new(Style::Token, 0) };
    let second = told(&paging, &Progress::default(), 1, Some("a")).unwrap().next.unwrap();
    let third = told(&paging, &second, 2, Some("b")).unwrap().next.unwrap();
    let said = told(&paging, &third, 3, Some("c")).unwrap_err();
    assert!(said.contains("goes on after 2 pages, now at `b`") && said.contains("`max_pages`"), "{said}");
    let long = "x".repeat(super::token::TOKEN_MAX + 1);
    let said = told(&paging, &second, 3, Some(&long)).unwrap_err();
    assert!(said.contains("a token of 16385 bytes") && said.len() < 300, "{said}");
}

#[test]
fn the_sides_word_on_whether_there_is_more_is_taken() {
    let page = |len: u32, more, next: Option<&str>| Facts {
        len: usize::try_from(len).unwrap(),
        ids: (0..len).map(|n| id(&n.to_string())).collect(),
        more,
        next: next.map(str::to_owned),
        ..Facts::default()
    };
    let turn = |style, facts: &Facts| Paging::new(style, 5).turn(&Progress::default(), facts, None);
    for style in [Style::Offset, Style::Numbered] {
        assert!(
            turn(style, &page(5, Some(false), None)).unwrap().next.is_none(),
            "a full page may be the last"
        );
        assert!(turn(style, &page(2, Some(true), None)).unwrap().next.is_some(), "a short page need not be");
        let next = turn(style, &page(0, Some(true), None)).unwrap().next.unwrap();
        assert_eq!(next.at, if style == Style::Offset { 5 } else { 1 }, "nor an empty one");
    }
    assert!(turn(Style::Token, &page(2, Some(false), Some("t"))).unwrap().next.is_none());
    assert!(turn(Style::Token, &page(2, Some(true), None)).unwrap_err().contains("but not where"));
    let cut = Facts { total: Some(9), ..page(2, None, None) };
    assert!(turn(Style::Token, &cut).unwrap_err().contains("shows 2 of 9 records and does not say"));
    assert!(turn(Style::Token, &Facts { total: Some(2), ..cut }).unwrap().next.is_none());
}

#[test]
fn addresses_are_shown_without_secrets() {
    let shown =
        super::shown("https://h/p?page_token=abc&api_key=s3cret&access_token=s3cret&key=s3cret&sig=s3cret");
    assert_eq!(shown, "`/p?page_token=abc&api_key=…&access_token=…&key=…&sig=…`");
}
