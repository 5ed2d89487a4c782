//! Records, events, and a vault on a folder in memory.

use hms_sync_model::{
    Actor, Body, Change, Dot, Edit, Event, EventId, FieldName, RecordId, SideName, Source, Stamp, Time,
    Value, VecMap,
};
use hms_sync_vault::{MemoryFolder, Random, Vault};
use std::collections::BTreeSet;

pub fn record(n: usize) -> RecordId {
    RecordId::try_new(format!("permit/{n}")).unwrap()
}

pub fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

pub fn personal() -> BTreeSet<FieldName> {
    [field("phone"), field("born")].into()
}

pub fn side() -> SideName {
    SideName::try_new("clerk").unwrap()
}

pub fn event(record: &RecordId, version: u64, body: Body) -> Event {
    Event { seq: version, record: record.clone(), version, at: Time(1), prev: EventId::default(), body }
}

/// Somebody sets these fields.
pub fn edited(fields: &[(&str, Value)]) -> Body {
    let change = |(name, after): &(&str, Value)| {
        (field(name), Change { before: Value::text("what was before"), after: after.clone() })
    };
    let edit = Edit {
        generation: 0,
        dot: Dot { actor: Actor::side(side()), n: 1 },
        context: [].into_iter().collect(),
        but: VecMap::new(),
        changes: fields.iter().map(change).collect(),
        deletes: false,
        stamp: Stamp::default(),
        certain: true,
    };
    Body::Edited { edit, id: None, tag: None, source: Source::Page, raw: None }
}

/// The event of record `n` that gives it its phone number.
pub fn with_phone(n: usize) -> Event {
    event(&record(n), 1, edited(&[("phone", Value::text(format!("555-{n}")))]))
}

pub fn seeded(seed: u64) -> Random {
    let mut rng = fastrand::Rng::with_seed(seed);
    Random::of(move |bytes| {
        rng.fill(bytes);
        Ok(())
    })
}

pub fn open(folder: &MemoryFolder, seed: u64) -> Vault {
    Vault::on(folder.clone(), seeded(seed)).expect("the vault opens")
}

/// A vault with the keys of so many records, durable, and their sealed events.
pub fn filled(folder: &MemoryFolder, records: usize) -> (Vault, Vec<Event>) {
    let vault = open(folder, 7);
    let sealed = (0..records).map(|n| {
        let mut event = with_phone(n);
        vault.seal(&mut event, &personal()).unwrap();
        event
    });
    let sealed = sealed.collect();
    vault.flush().unwrap();
    (vault, sealed)
}

/// Whether the vault still opens the event of record `n`.
pub fn opens(vault: &Vault, sealed: &[Event], n: usize) -> bool {
    let mut event = sealed[n].clone();
    vault.open_event(&mut event);
    event == with_phone(n)
}
