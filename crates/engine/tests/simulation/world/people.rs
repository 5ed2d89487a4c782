//! What people do: they make, edit, undo and delete records, set clocks, have personal fields
//! erased, and decide what waits for them.

use super::plan::{FIELDS, SECRET, STATUSES, is_personal, is_undoing};
use super::{CALM, Due, World};
use hms_sync_engine::{Command, ReplyTo, Wake};
use hms_sync_model::{RecordId, Released};
use serde_json::{Map, json};

impl World {
    pub(super) fn create(&mut self, i: usize) {
        self.numbers += 1;
        let number = format!("P{}", self.numbers);
        let mut doc = Map::new();
        for names in FIELDS {
            let name = if i == 0 { names.0 } else { names.1 };
            let value = match names.0 {
                "no" => number.clone(),
                "status" => STATUSES[self.rng.usize(0..4)].into(),
                _ => self.note(),
            };
            doc.insert(name.into(), value.into());
        }
        self.say(|| format!("user of {i} creates {doc:?}"));
        let at = self.clock().wall;
        self.sides[i].insert(doc, at);
        self.alive.insert(number);
    }

    fn note(&mut self) -> String {
        let n = self.rng.u32(0..1000);
        if is_personal(self.seed) { format!("{SECRET}{n}") } else { format!("v{n}") }
    }

    pub(super) fn user(&mut self) {
        let i = self.rng.usize(0..2);
        let ids: Vec<String> = self.sides[i].rows.keys().cloned().collect();
        if ids.is_empty() || self.rng.u32(0..6) == 0 {
            return self.create(i);
        }
        let id = &ids[self.rng.usize(0..ids.len())];
        let at = self.clock().wall;
        if self.rng.u32(0..12) == 0 {
            self.say(|| format!("user of {i} deletes {id}"));
            let row = self.sides[i].rows.remove(id).unwrap();
            let number = row.doc[self.sides[i].key_field].as_str().unwrap_or_default().to_owned();
            self.alive.remove(&number);
            return;
        }
        let names = FIELDS[self.rng.usize(1..4)];
        let name = if i == 0 { names.0 } else { names.1 };
        let value = match names.0 {
            "status" => json!(STATUSES[self.rng.usize(0..4)]),
            _ => json!(self.note()),
        };
        let earlier = self.sides[i].rows[id].earlier.len();
        if is_undoing(self.seed) && earlier > 0 && self.undo.bool() {
            let which = self.undo.usize(0..earlier);
            self.say(|| format!("user of {i} undoes edits of {id} since {which}"));
            return self.sides[i].undo(id, which, at);
        }
        self.say(|| format!("user of {i} sets {id} {name}={value}"));
        if let Some(row) = self.sides[i].rows.get_mut(id) {
            row.earlier.push(row.doc.clone());
        }
        self.sides[i].set(id, &[(name.to_owned(), value)].into_iter().collect(), at);
    }

    /// One of the records there are.
    pub(super) fn erase(&mut self) {
        let Some(machine) = self.machine.as_ref() else { return };
        let records = machine.log().records(None, 1_000).unwrap();
        let records: Vec<_> = records.into_iter().filter(|record| !record.is_own_stream()).collect();
        if records.is_empty() {
            return;
        }
        let record = records[self.dice.usize(0..records.len())].clone();
        let Some(report) = machine.record(&record).unwrap() else { return };
        if let Some(no) = report.fields.iter().find(|field| field.field == "no") {
            self.say(|| format!("ERASE {record}"));
            self.erased.insert(record.clone(), no.value.as_str().unwrap_or_default().to_owned());
            let reply = 1_000 + self.told.len() as u64;
            self.told.push((reply, record.clone()));
            let command = Command::Erase { record, by: "sim".into(), reason: "asked".into() };
            self.step(Wake::Command { command, reply: ReplyTo(reply) });
        }
    }

    /// On a side that shows neither version tags nor what it stored, nobody can tell
    /// a write that was not kept from one that a user undid before we could look:
    /// that waits for a person, who here says that ours is to stand. Of a record whose
    /// personal fields were erased no tags are kept. So waits a side
    /// whose users have deleted all they had: there the deletes are meant.
    pub(super) fn operator(&mut self) {
        for item in self.machine.as_ref().unwrap().parked(None, 100).unwrap() {
            let mood = self.sides[usize::from(item.lane == "marshal")].mood;
            let erased = self.erased.keys().any(|record| record.as_str() == item.record);
            let unsure = item.reason == "not_kept" && (erased || !mood.etags) && !mood.bodies;
            let all = (1..5).any(|n| item.words.contains(&format!(" showed {n} of {n} ")));
            let emptied = item.reason == "mass_delete" && all;
            assert!(unsure || emptied, "seed {}: {item:?}", self.seed);
            let record = RecordId::try_new(item.record).unwrap();
            let command = Command::Release { record, lane: None, action: Released::Replay };
            self.step(Wake::Command { command, reply: ReplyTo(0) });
        }
        let until = self.now + 60_000_000;
        while self.now < until {
            self.turn();
        }
    }

    /// In every fourth world somebody sets the calendar's clock now and then.
    pub(super) fn set_clocks(&mut self) {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        for _ in 0..if self.seed % 4 == 3 { rng.usize(1..6) } else { 0 } {
            let far = [2, 60, 3_600, 86_400][rng.usize(0..4)] * 1_000_000;
            let step = if rng.u8(0..3) > 0 { -far } else { far };
            self.at(rng.i64(0..CALM), Due::Clock(step));
        }
    }
}
