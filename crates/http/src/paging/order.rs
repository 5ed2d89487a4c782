//! What a page shows of its records: their order, and what each is recognised by.

use super::Facts;
use crate::stamp::Stamp;
use hms_sync_model::NativeId;
use std::cmp::Ordering;

/// The cursor values of a page.
pub(super) struct Order<'p> {
    pub(super) ascending: bool,
    pub(super) last: Option<&'p Stamp>,
    pub(super) top: Option<&'p Stamp>,
    /// The largest below the top.
    pub(super) below: Option<&'p Stamp>,
}

impl<'p> Order<'p> {
    pub(super) fn of(page: &'p Facts) -> Self {
        let mut pairs = page.stamps.iter().zip(page.stamps.iter().skip(1));
        let ascending = page.stamps.len() == page.len
            && page.stamps.iter().all(Option::is_some)
            && pairs.all(|(a, b)| {
                a.as_ref().zip(b.as_ref()).and_then(|(a, b)| a.compare(b)).is_some_and(Ordering::is_le)
            });
        let (top, below) = if ascending { ends(&page.stamps) } else { largest(&page.stamps) };
        Self { ascending, last: page.stamps.last().and_then(Option::as_ref), top, below }
    }
}

/// The largest stamp, and the largest below it.
fn largest<'p>(stamps: &'p [Option<Stamp>]) -> (Option<&'p Stamp>, Option<&'p Stamp>) {
    let all = || stamps.iter().flatten();
    let larger = |a: &'p Stamp, b: &'p Stamp| if b.compare(a) == Some(Ordering::Greater) { b } else { a };
    let top = all().reduce(larger);
    let below = top.and_then(|top| all().filter(|s| s.compare(top) == Some(Ordering::Less)).reduce(larger));
    (top, below)
}

/// The same of stamps that ascend: nothing but what stands at their end is looked at.
fn ends(stamps: &[Option<Stamp>]) -> (Option<&Stamp>, Option<&Stamp>) {
    let mut back = stamps.iter().rev().flatten().peekable();
    let mut run = || {
        let mut first = back.next()?;
        while let Some(same) = back.next_if(|s| s.compare(first) == Some(Ordering::Equal)) {
            first = same;
        }
        Some(first)
    };
    (run(), run())
}

/// What a record is recognised by as long as it does not change.
pub(super) fn marks(page: &Facts) -> Vec<Option<u64>> {
    let stamp = |index: usize| page.stamps.get(index).and_then(Option::as_ref).map(Stamp::as_str);
    let mark = |(index, id): (usize, &Option<NativeId>)| Some(hash(&(id.as_ref()?.as_str(), stamp(index))));
    page.ids.iter().enumerate().map(mark).collect()
}

/// The same for the same thing in another process too.
pub(crate) fn hash(what: &impl std::hash::Hash) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use hms_sync_model::Decimal;
    use proptest::prelude::*;

    /// Equal numbers are written in two ways, so that it shows which of them was taken.
    fn stamp((n, digits): (u8, bool)) -> Stamp {
        let text = if digits { format!("{n}.0") } else { n.to_string() };
        Stamp::Number(Decimal::parse(&text).unwrap())
    }

    proptest! {
        #[test]
        fn the_end_of_an_ascending_page_has_its_largest_stamps(
            mut all in prop::collection::vec((0u8..6, any::<bool>()), 0..12)
        ) {
            all.sort_by_key(|(n, _)| *n);
            let stamps: Vec<_> = all.into_iter().map(|one| Some(stamp(one))).collect();
            let place = |found: Option<&Stamp>| stamps.iter().flatten().position(|s| found.is_some_and(|f| std::ptr::eq(s, f)));
            let (top, below) = ends(&stamps);
            let (largest, second) = largest(&stamps);
            prop_assert_eq!((place(top), place(below)), (place(largest), place(second)));
        }
    }
}
