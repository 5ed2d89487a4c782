//! Ids as sides have them: of any letters, and as long as 64 KB. Each is a record of its own, now
//! and after a restart.

use crate::stage::{self, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Delivery, Observation};
use hms_sync_engine::{Effect, Machine, Now, Reply, ReplyTo, Wake};
use hms_sync_model::{NativeId, RecordId, Time};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

fn found(machine: &Machine, ids: &[String]) -> Vec<RecordId> {
    ids.iter().map(|id| machine.find(&format!("a:{id}")).unwrap().unwrap()).collect()
}

#[test]
fn an_id_of_any_letters_and_of_64_kilobytes_is_a_record_of_its_own() {
    let longest = "x".repeat(NativeId::MAX_LEN - 1);
    let ids: Vec<String> = ["é", "e\u{301}", "水/🚒", "a b", "a/b", "a%2Fb", "a:b", "@sync/a", "#1", "../.."]
        .map(str::to_owned)
        .into_iter()
        .chain(["y", "z"].map(|last| format!("{longest}{last}")))
        .collect();
    let plan =
        Arc::new(stage::plan(item(), stage::collection([(side("a"), stage::part(Abilities::default()))])));
    let disk = MemoryDisk::new();
    let log = Log::on(disk.clone()).unwrap();
    let mut machine = Machine::open(Arc::clone(&plan), log.clone(), 1).unwrap();
    for (n, id) in (1..).zip(&ids) {
        let content = Content::Whole(json!({ "id": id, "n": n }));
        let record = Observation { id: native(id), tag: None, modified: None, content };
        let delivery = Delivery { message: None, records: vec![record], hints: Vec::new() };
        let wake = Wake::Webhook { side: side("a"), collection: item(), delivery, reply: ReplyTo(n) };
        let now = Now { wall: Time(1_790_000_000_000_000), mono: Time(i64::try_from(n).unwrap()) };
        for effect in machine.step(wake, now).unwrap() {
            match effect {
                Effect::Append(events) => log.append(&events).unwrap(),
                Effect::Reply { reply, .. } => assert_eq!(reply, Reply::Done),
                Effect::Tell(_) | Effect::Save(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let records = found(&machine, &ids);
    assert_eq!(records.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for (record, id) in records.iter().zip(&ids) {
        let state = machine.state(record).unwrap().unwrap();
        assert_eq!(state.sides.get(&side("a")).unwrap().id, Some(native(id)));
    }
    assert!(log.verify(|_| {}).unwrap().is_sound());
    drop((machine, log));
    let machine = Machine::open(plan, Log::on(disk).unwrap(), 2).unwrap();
    assert_eq!(found(&machine, &ids), records);
}
