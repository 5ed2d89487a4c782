//! What must hold in the end, whatever the seed.

use super::World;
use super::plan::{FIELDS, PERSONAL, SECRET, is_grouped};
use hms_sync_changelog::Log;
use hms_sync_engine::{RecordState, Views};
use hms_sync_model::{Body, RecordId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl World {
    /// What was asked for and cut off before it was written down has not happened.
    pub(super) fn settle_erased(&mut self) {
        let machine = self.machine.as_ref().unwrap();
        let is_erased =
            |record: &RecordId| machine.record(record).unwrap().is_some_and(|r| r.erased.is_some());
        for (_, record) in self.told.iter().filter(|(reply, _)| self.done.contains(reply)) {
            assert!(is_erased(record), "seed {}: {record} was said to be erased", self.seed);
        }
        self.erased.retain(|record, _| is_erased(record));
    }

    /// A side's records in canonical words, by number.
    fn content(&self, i: usize) -> BTreeMap<String, BTreeMap<&'static str, String>> {
        let shouts = self.sides.iter().any(|side| side.mood.shouts);
        let mut all = BTreeMap::new();
        for row in self.sides[i].rows.values() {
            let text = |names: (&'static str, &'static str)| {
                let value = row.doc.get(if i == 0 { names.0 } else { names.1 }).cloned().unwrap_or_default();
                let text = value.as_str().unwrap_or_default().to_owned();
                (names.0, if shouts && names.0 == "note" { text.to_uppercase() } else { text })
            };
            let mut fields: BTreeMap<_, _> = FIELDS.map(text).into_iter().collect();
            let number = fields["no"].clone();
            if self.erased.values().any(|erased| *erased == number) {
                fields.retain(|name, _| !PERSONAL.contains(name));
            }
            assert!(
                all.insert(number.clone(), fields).is_none(),
                "seed {}: {number} is there twice on {i}",
                self.seed
            );
        }
        all
    }

    pub(super) fn assert_equal(&self) {
        let (a, b) = (self.content(0), self.content(1));
        assert_eq!(a, b, "seed {}: the sides differ", self.seed);
        for number in &self.alive {
            assert!(a.contains_key(number), "seed {}: {number} was lost", self.seed);
        }
        for side in &self.sides {
            let mut seen = BTreeSet::new();
            for (number, id) in &side.creates {
                let again = !seen.insert(number);
                // A record may be made again after a delete; two at a time is what `content` finds.
                assert!(!again || !number.is_empty(), "seed {}: {number} {id}", self.seed);
            }
        }
        let parked = self.machine.as_ref().unwrap().parked(None, 10).unwrap();
        assert!(parked.is_empty(), "seed {}: parked {parked:?}", self.seed);
    }

    /// Three full cycles more write nothing and find nothing.
    pub(super) fn assert_quiet(&mut self) {
        let writes: Vec<u64> = self.sides.iter().map(|side| side.writes).collect();
        let events = self.machine.as_ref().unwrap().log().head();
        let until = self.now + 100_000_000;
        while self.now < until {
            self.turn();
        }
        let after: Vec<u64> = self.sides.iter().map(|side| side.writes).collect();
        assert_eq!(writes, after, "seed {}: still writing", self.seed);
        let log = self.machine.as_ref().unwrap().log();
        let news = log.events(events + 1, 10_000).unwrap();
        let news: Vec<_> = news.iter().filter(|(_, event)| !event.record.is_own_stream()).collect();
        assert!(news.is_empty(), "seed {}: still finding news: {news:?}", self.seed);
    }

    /// The history verifies, and the views are what it replays to.
    pub(super) fn assert_history(mut self) -> Vec<String> {
        let machine = self.machine.take().unwrap();
        let log = machine.log().clone();
        let report = log.verify(|_| {}).unwrap();
        assert!(report.is_sound(), "seed {}: {report:?}", self.seed);
        let states = |log: &Log| {
            let views = Views::new(log.clone(), Arc::clone(&self.plan));
            let mut views = views.with_vault(self.vault.clone());
            views.catch_up().unwrap();
            let records = log.records(None, 10_000).unwrap();
            records.iter().map(|r| (r.clone(), views.peek(r).unwrap())).collect::<BTreeMap<_, _>>()
        };
        let live = states(&log);
        log.drop_views().unwrap();
        let replayed = states(&log);
        assert_eq!(live, replayed, "seed {}: the views are not what the log replays to", self.seed);
        for (record, state) in replayed.iter().filter(|(record, _)| !record.is_own_stream()) {
            let report = state.as_ref().map(|state| machine.report(record, state));
            assert_eq!(machine.record(record).unwrap(), report, "seed {}: memory differs", self.seed);
        }
        self.assert_sealed(&log, &replayed);
        let events = log.events(1, 100_000).unwrap();
        let in_order = events.is_sorted_by_key(|(_, event)| event.at);
        assert!(in_order, "seed {}: an event is earlier than one before it", self.seed);
        for (_, event) in events.iter().filter(|_| is_grouped(self.seed)) {
            let Body::Edited { edit, .. } = &event.body else { continue };
            let [note, site] = ["note", "site"].map(|name| edit.changes.contains_key(name));
            assert_eq!(note, site, "seed {}: an edit of half a group: {event:?}", self.seed);
        }
        events.into_iter().map(|(id, event)| format!("{id} {:?}", event.body)).collect()
    }

    /// Nothing personal stands open in the log, and what was erased is nowhere.
    fn assert_sealed(&self, log: &Log, states: &BTreeMap<RecordId, Option<RecordState>>) {
        let Some(vault) = &self.vault else { return };
        let holds =
            |bytes: &[u8]| bytes.windows(SECRET.len()).any(|w| w.eq_ignore_ascii_case(SECRET.as_bytes()));
        for (_, event) in log.events(1, 100_000).unwrap() {
            let bytes = rmp_serde::to_vec_named(&event).unwrap();
            assert!(!holds(&bytes), "seed {}: {event:?} is not sealed", self.seed);
        }
        for (record, number) in &self.erased {
            assert!(!vault.has(record), "seed {}: {record} has a key", self.seed);
            let state = states[record].as_ref().unwrap();
            assert!(state.erased.is_some(), "seed {}: {record} is not erased", self.seed);
            let bytes = rmp_serde::to_vec_named(state).unwrap();
            assert!(!holds(&bytes), "seed {}: {record} ({number}) tells: {state:?}", self.seed);
        }
    }
}
