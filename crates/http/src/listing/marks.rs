//! How far each partition of a listing has been read: a cursor of many parts.
//!
//! Each partition has its own, up to [`EXACT_MAX`] of them. Beyond that, those that
//! showed nothing new share one: the latest value that was known when a pass began in which
//! all of them were read. A partition that nothing is remembered of is read from the
//! beginning.

use crate::partition::{PRINT_TEXT, Partition, Print};
use crate::stamp::{Scale, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

/// So many partitions have a cursor each, whatever they show.
pub(super) const EXACT_MAX: usize = 1_000;

/// The cursors of all partitions, as they stand in the change log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// Those that have one of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    own: BTreeMap<Print, Json>,
    /// The others, their names one behind the other.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    rest: String,
    /// How far those have been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<Json>,
    /// When the last pass began, for all that are in `rest`, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<i64>,
}

/// What a pass has learned of partitions.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// All that it came to.
    pub(super) met: HashSet<Print>,
    /// Those that it could not read.
    pub(super) missed: HashSet<Print>,
    /// How far others were read.
    pub(super) values: BTreeMap<Print, Json>,
}

/// The cursors of a pass's start, ready to be asked.
#[derive(Debug, Default)]
pub(super) struct Known {
    marks: Marks,
    rest: HashSet<Print>,
}

impl Known {
    pub(super) fn new(marks: Marks) -> Self {
        let bytes = marks.rest.as_bytes().chunks_exact(PRINT_TEXT);
        let rest = bytes.map(|print| String::from_utf8_lossy(print).into_owned()).collect();
        Self { marks, rest }
    }

    /// How far a partition has been read, by a value.
    pub(super) fn value(&self, partition: &Partition) -> Option<&Json> {
        let shared = || self.marks.shared.as_ref().filter(|_| self.rest.contains(&partition.print));
        self.marks.own.get(&partition.print).or_else(shared)
    }

    /// When it was last read, by our clock.
    pub(super) fn run(&self, partition: &Partition) -> Option<i64> {
        self.marks.run.filter(|_| self.rest.contains(&partition.print))
    }

    /// From where on a pass may begin that is cut short now.
    pub(super) fn midway(&self, learned: &Learned) -> Marks {
        let mut own = self.marks.own.clone();
        own.extend(learned.values.iter().map(|(print, value)| (print.clone(), value.clone())));
        let rest = joined(self.rest.iter().filter(|print| !own.contains_key(*print)));
        Marks { own, rest, ..self.marks.clone() }
    }

    /// The same where the pass has come to its end. What it did not meet is forgotten, and
    /// so is what could not be read.
    pub(super) fn at_end(&self, learned: &Learned, scale: &Scale) -> Marks {
        let of = |print: &&Print| learned.met.contains(*print) && !learned.missed.contains(*print);
        let mut own: BTreeMap<Print, Json> = self
            .marks
            .own
            .iter()
            .filter(|(print, _)| of(print))
            .map(|(p, v)| (p.clone(), v.clone()))
            .collect();
        own.extend(learned.values.iter().filter(|(print, _)| of(print)).map(|(p, v)| (p.clone(), v.clone())));
        let mut rest: Vec<&Print> =
            self.rest.iter().filter(of).filter(|print| !own.contains_key(*print)).collect();
        let latest = self.latest(scale).filter(|_| own.len() > EXACT_MAX);
        let Some(latest) = latest else {
            let shared = self.marks.shared.clone().filter(|_| !rest.is_empty());
            return Marks { rest: joined(rest.into_iter()), shared, own, run: None };
        };
        let past = |value: &Json| {
            let order = scale.read(value).and_then(|stamp| stamp.compare(&latest));
            !matches!(order, Some(Ordering::Less | Ordering::Equal))
        };
        let (own, all): (BTreeMap<_, _>, BTreeMap<_, _>) =
            own.into_iter().partition(|(_, value)| past(value));
        rest.extend(all.keys());
        Marks { rest: joined(rest.into_iter()), shared: Some(latest.to_json()), own, run: None }
    }

    /// The latest time that was known when the pass began. Numbers may be counted anew in
    /// each partition, so they say nothing of the others.
    fn latest(&self, scale: &Scale) -> Option<Stamp> {
        let values = self.marks.own.values().chain(&self.marks.shared);
        let stamps =
            values.filter_map(|value| scale.read(value)).filter(|stamp| matches!(stamp, Stamp::Time { .. }));
        stamps.reduce(|a, b| if b.compare(&a) == Some(Ordering::Greater) { b } else { a })
    }
}

impl Marks {
    /// All that were read by a pass which began then.
    pub(super) fn run(learned: &Learned, began: i64) -> Self {
        let read = learned.met.iter().filter(|print| !learned.missed.contains(*print));
        Self { rest: joined(read), run: Some(began), ..Self::default() }
    }
}

fn joined<'p>(prints: impl Iterator<Item = &'p Print>) -> String {
    let mut prints: Vec<&str> = prints.map(String::as_str).collect();
    prints.sort_unstable();
    prints.concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::{Known, Learned, Marks};
    use crate::partition::{Naming, Partition};
    use crate::spec::FieldPath;
    use crate::spot::Carries;
    use crate::stamp::Scale;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    fn partition(n: u32) -> Partition {
        Naming::new("k", "p", &[], None, None, Carries::Nothing)
            .unwrap()
            .partition(0, &json!(n), None)
            .unwrap()
    }

    fn stamp(n: u32) -> Json {
        json!(format!("2026-11-{:02}T{:02}:{:02}:00Z", 1 + n / 1440, n / 60 % 24, n % 60))
    }

    fn at(n: u32) -> usize {
        usize::try_from(n).unwrap()
    }

    fn scale() -> Scale {
        Scale::new(FieldPath::dotted("at"), None, None).unwrap()
    }

    /// A pass that met all of `met` and found these values.
    fn pass(known: &Known, met: std::ops::Range<u32>, values: &[(u32, Json)]) -> Known {
        let values = values.iter().map(|(n, value)| (partition(*n).print, value.clone())).collect();
        let met = met.map(|n| partition(n).print).collect();
        let marks = known.at_end(&Learned { met, values, ..Learned::default() }, &scale());
        Known::new(serde_json::from_value::<Marks>(serde_json::to_value(&marks).unwrap()).unwrap())
    }

    #[test]
    fn ten_thousand_parents_take_little_more_than_their_names() {
        let values: Vec<(u32, Json)> = (0..10_000).map(|n| (n, stamp(n))).collect();
        let first = pass(&Known::default(), 0..10_000, &values);
        let then = pass(&first, 0..10_000, &[(3, stamp(20_000))]);
        assert!(serde_json::to_string(&then.marks).unwrap().len() < 81_000);
        assert_eq!(then.value(&partition(3)), Some(&stamp(20_000)));
        assert_eq!(then.value(&partition(7)), Some(&stamp(9_999)));
        assert_eq!(then.value(&partition(10_000)), None, "it is new");
        // Numbers may be counted anew in each.
        let numbers: Vec<(u32, Json)> = (0..2_000).map(|n| (n, json!(n))).collect();
        let first = pass(&Known::default(), 0..2_000, &numbers);
        let then = pass(&first, 0..2_000, &[]);
        assert_eq!(then.value(&partition(7)), Some(&json!(7)));
    }

    proptest! {
        /// No cursor is ever past what its partition, or all of them before the pass, had shown.
        #[test]
        fn no_cursor_is_past_what_was_known(rounds in prop::collection::vec(prop::collection::vec((0u32..1_200, 0u32..5_000), 0..40), 1..5)) {
            let mut known = pass(&Known::default(), 0..1_200, &(0..1_200).map(|n| (n, stamp(n))).collect::<Vec<_>>());
            let (mut own, mut top): (Vec<u32>, u32) = ((0..1_200).collect(), 1_199);
            for round in rounds {
                let before = top;
                let mut values = Vec::new();
                for (n, minute) in round {
                    if minute > own[at(n)] {
                        own[at(n)] = minute;
                        top = top.max(minute);
                        values.push((n, stamp(minute)));
                    }
                }
                known = pass(&known, 0..1_200, &values);
                for n in 0..1_200 {
                    let most = own[at(n)].max(before);
                    let value = known.value(&partition(n)).unwrap();
                    prop_assert!(value.as_str() <= stamp(most).as_str());
                    prop_assert!(value.as_str() >= stamp(own[at(n)]).as_str());
                }
            }
        }
    }
}
