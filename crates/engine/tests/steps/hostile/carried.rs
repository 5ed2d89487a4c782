//! What was carried over of events that were dropped, of which one is not what was written, under
//! hashes that are right: a machine starts on it, carries it over once more, or says in words what
//! it cannot read.

use super::{Running, kept, plan};
use hms_sync_changelog::{Archived, Log, MemoryDisk, Sealed, seal};
use hms_sync_engine::{EngineError, Now, begins_with, state_at, version_at};
use hms_sync_hostile::Reader;
use hms_sync_model::{Blob, Body, Event, RecordId, Time};

/// A log as it is before what is carried over is appended, and that.
struct Before {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    carried: Vec<Event>,
    approval: Sealed,
    range: Archived,
}

fn now() -> Now {
    Now { wall: Time(1_800_000_000_000_000), mono: Time(1_000_000_000) }
}

/// All that must be carried over before the events up to `last` are dropped.
fn carry(running: &mut Running, last: u64) -> Result<Vec<Sealed>, EngineError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (events, next) = running.machine.carry(last, after.as_ref(), 7, now())?;
        running.log.append(&events)?;
        all.extend(events);
        after = next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn before() -> Before {
    let disk = kept();
    let entries = disk.entries();
    let mut running = Running::on(Log::on(disk).unwrap()).unwrap();
    let log = running.log.clone();
    let last = log.last_to_drop(log.head()).unwrap().unwrap();
    let carried = carry(&mut running, last).unwrap();
    let carried = carried.iter().map(|event| log.event(event.seq).unwrap().unwrap().1).collect();
    let (root, file) = (log.prover().head(last).unwrap().root.0, "to-there".to_owned());
    let range = Archived { first: 1, last, at: now().wall, until: now().wall, hash: [7; 32], root, file };
    let approval = running.machine.approve(&range, "me".into(), "asked".into(), now()).unwrap().unwrap();
    Before { entries, carried, approval, range }
}

impl Before {
    /// A log whose first events are dropped, with `forged` in the place of what was carried over
    /// of the same record.
    fn dropped(&self, forged: &Event) -> Log {
        let disk = MemoryDisk::new();
        self.entries.iter().for_each(|(key, value)| disk.tamper(key, Some(value)));
        let log = Log::on(disk).unwrap();
        let event = |event: &Event| seal(if event.seq == forged.seq { forged } else { event }).unwrap();
        log.append(&self.carried.iter().map(event).collect::<Vec<_>>()).unwrap();
        log.drop_archived(&self.range, &self.approval).unwrap();
        // Nothing is kept beside it: all is made from what was carried over.
        log.drop_views().unwrap();
        log
    }
}

/// Which one, how many events it says to stand for, and what it says of them.
fn case(event: &Event, which: usize) -> Vec<u8> {
    let Body::Carried { upto, state, .. } = &event.body else { panic!("{event:?}") };
    [&[u8::try_from(which).unwrap()], upto.to_be_bytes().as_slice(), &state.0].concat()
}

fn forged(case: &[u8], carried: &[Event]) -> Option<Event> {
    let (which, rest) = case.split_first()?;
    let (upto, state) = rest.split_first_chunk()?;
    let mut event = carried.get(usize::from(*which))?.clone();
    let (upto, state) = (u64::from_be_bytes(*upto), Blob(state.to_vec()));
    event.body = Body::Carried { upto, state, sealed: None, fields: Vec::new() };
    Some(event)
}

#[test]
fn hostile_carry_overs() {
    let before = before();
    let carried = &before.carried;
    assert!(carried.iter().any(|event| event.record.is_own_stream()), "streams are carried over");
    assert!(carried.iter().any(|event| !event.record.is_own_stream()), "so are records");
    let letters = "nhmesyjqkzoblxivgupcwdtafr".split("").filter(|letter| !letter.is_empty());
    let letters: Vec<Vec<u8>> = letters.map(|letter| [&[0xa1], letter.as_bytes()].concat()).collect();
    let marks: [&[u8]; 8] = [
        &[0x80],
        &[0x90],
        &[0xc0],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xd3, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    Reader::new("carry-overs")
        .sound(carried.iter().enumerate().map(|(which, event)| case(event, which)))
        .words(marks.into_iter().chain(letters.iter().map(Vec::as_slice)))
        .fewer(3_000)
        .at_most(200_000)
        .bytes(|case| forged(case, carried).is_some_and(|event| gone_on(&before, &event)));
}

/// Whether all of it can be read. It is asked for, and gone on from, whether or not.
fn gone_on(before: &Before, event: &Event) -> bool {
    let log = before.dropped(event);
    let mut sound = true;
    let mut seen = |answer: Result<(), EngineError>| {
        if let Err(why) = answer {
            let words = why.to_string();
            assert!(!words.is_empty() && words.len() < 1_000, "{words}");
            sound = false;
        }
    };
    let record = &event.record;
    seen(begins_with(&log, None, record).map(drop));
    for version in [1, event.version, u64::MAX] {
        // Of what was dropped only the archive tells.
        match state_at(&log, None, &plan(), record, version) {
            Err(EngineError::Archived { .. }) if version == 1 => {}
            state => seen(state.map(drop)),
        }
    }
    match version_at(&log, record, Time(1)) {
        Err(EngineError::Archived { .. }) => {}
        version => seen(version.map(drop)),
    }
    let started = Running::on(log.clone()).map(|mut running| {
        seen(running.all());
        seen(running.machine.parked(None, 9).map(drop));
        running
    });
    match started {
        Ok(mut running) => {
            // What is dropped next is carried over from there.
            let last = log.last_to_drop(log.head()).unwrap().unwrap();
            seen(carry(&mut running, last).map(drop));
        }
        Err(why) => seen(Err(why)),
    }
    let none = RecordId::try_new("item/none").unwrap();
    assert!(log.history(&none, 1, 9).unwrap().is_empty());
    sound
}
