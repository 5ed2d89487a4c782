//! The events that are kept: edits of two fields, about 300 bytes each, of
//! records that take turns in no order. The same count makes the same events.

use hms_sync_changelog::{Sealed, seal};
use hms_sync_model::{
    Actor, Body, Change, Dot, Edit, Event, EventId, FieldName, NativeId, RecordId, SideName, Source, Stamp,
    Tag, Time, Value, VecMap,
};

/// Spreads numbers over all of u64 (Knuth).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Events that become durable together: as values, and as their bytes.
#[derive(Debug, Default)]
pub struct Group {
    /// As values.
    pub events: Vec<Event>,
    /// As bytes.
    pub sealed: Vec<Sealed>,
}

/// Makes events, one after the other.
#[derive(Debug)]
pub struct Maker {
    seq: u64,
    /// Version and id of each record's last event.
    last: Vec<(u64, EventId)>,
    words: fastrand::Rng,
}

impl Maker {
    /// Of so many records, none of which has an event.
    pub fn new(records: usize) -> Self {
        Self {
            seq: 0,
            last: vec![(0, EventId::default()); records.max(1)],
            words: fastrand::Rng::with_seed(1),
        }
    }

    /// The id of the `n`-th record.
    ///
    /// # Errors
    /// Never, for what this makes is an id.
    pub fn record(n: usize) -> anyhow::Result<RecordId> {
        Ok(RecordId::try_new(format!("permit/{:013x}", (n as u64).wrapping_mul(SPREAD)))?)
    }

    /// The next `count` events.
    ///
    /// # Errors
    /// If an event cannot be encoded.
    pub fn group(&mut self, count: usize) -> anyhow::Result<Group> {
        let mut group = Group::default();
        for _ in 0..count {
            let event = self.event()?;
            group.sealed.push(seal(&event)?);
            group.events.push(event);
            self.keep(group.sealed.last());
        }
        Ok(group)
    }

    fn place(&self, seq: u64) -> usize {
        // Mixed (the end of SplitMix64), or a third of the records of a small log would have no events.
        let mixed = (seq ^ (seq >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap_or(0) % self.last.len()
    }

    fn keep(&mut self, sealed: Option<&Sealed>) {
        let Some(sealed) = sealed else { return };
        self.seq = sealed.seq;
        let place = self.place(sealed.seq);
        if let Some(last) = self.last.get_mut(place) {
            *last = (sealed.version, sealed.id);
        }
    }

    fn event(&mut self) -> anyhow::Result<Event> {
        let seq = self.seq + 1;
        let n = self.place(seq);
        let (before, prev) = self.last.get(n).copied().unwrap_or_default();
        let version = before + 1;
        let at = Time(1_700_000_000_000_000 + i64::try_from(seq)? * 750);
        let body = self.body(n, version, at)?;
        Ok(Event { seq, record: Self::record(n)?, version, at, prev, body })
    }

    fn body(&mut self, n: usize, version: u64, at: Time) -> anyhow::Result<Body> {
        let actor = Actor::side(SideName::try_new("clerk")?);
        let mut changes: VecMap<FieldName, Change> = VecMap::new();
        let status =
            *self.words.choice(["approved", "revoked", "issued", "lapsed"]).iter().next().unwrap_or(&"");
        for (name, after) in [("status", status.to_owned()), ("notes", self.sentence())] {
            let change = Change { before: Value::Absent, after: after.as_str().into() };
            changes.insert(FieldName::try_new(name)?, change);
        }
        let edit = Edit {
            generation: 0,
            dot: Dot { actor: actor.clone(), n: version },
            context: [(actor, version.saturating_sub(1))].into_iter().collect(),
            but: VecMap::new(),
            changes,
            deletes: false,
            stamp: Stamp::at(at),
            certain: true,
        };
        let id = NativeId::try_new(n.to_string()).ok();
        let tag = Tag::try_new(format!("W/\"{version}\"")).ok();
        Ok(Body::Edited { edit, id, tag, source: Source::Page, raw: None })
    }

    /// Seventy bytes or so that compress as prose does, and not better because they repeat.
    fn sentence(&mut self) -> String {
        const WORDS: [&str; 24] = [
            "hall",
            "applicant",
            "permit",
            "until",
            "midnight",
            "both",
            "days",
            "asked",
            "open",
            "inspected",
            "fire",
            "exit",
            "blocked",
            "signed",
            "by",
            "the",
            "marshal",
            "clerk",
            "renewed",
            "fee",
            "paid",
            "noise",
            "street",
            "closed",
        ];
        let mut words = Vec::with_capacity(11);
        words.extend((0..11).filter_map(|_| self.words.choice(WORDS)));
        words.join(" ")
    }
}
