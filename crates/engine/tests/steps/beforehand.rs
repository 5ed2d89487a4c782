//! Records of a first listing are taken apart where the page was received. That makes no
//! difference to what is written down of them; and it is not done where a document is asked for
//! more than its fields.

use crate::stage::{self, field, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Observation, Page};
use hms_sync_engine::{CollectionSide, Contract, Effect, Machine, Now, Plan, Shape, ShownPage, Wake};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{FieldType, Time};
use hms_sync_vault::{MemoryFolder, Random, Vault};
use serde_json::json;
use std::sync::Arc;

fn plan() -> Plan {
    let mapped = |name, ty| FieldMapping::plain(field(name), ty, FieldPath::parse(name).unwrap());
    let fields = vec![mapped("no", FieldType::String), mapped("fee", FieldType::Decimal)];
    let shape = Shape::Fields(SideMap::new(fields).unwrap());
    let part = CollectionSide { shape, ..stage::part(Abilities { read: true, ..Abilities::default() }) };
    let mut collection = stage::collection([(side("a"), part)]);
    collection.identity = vec![field("no")];
    stage::plan(item(), collection)
}

/// Records that are read, that cannot be, that lack something, that are shown in part, and one
/// that has the identity of another.
fn page() -> Page {
    let seen = |n: &str, content| Observation { id: native(n), tag: None, modified: None, content };
    let whole = |n: &str, doc| seen(n, Content::Whole(doc));
    let records = vec![
        whole("1", json!({ "no": "1", "fee": 1.50, "colour": { "b": [null, true], "a": "é\n" } })),
        whole("2", json!({ "no": "2", "fee": "dear" })),
        whole("3", json!({ "no": "3" })),
        seen("4", Content::Partial(json!({ "fee": 4 }))),
        seen("5", Content::Gone),
        whole("6", json!({ "no": "1", "fee": 2 })),
        whole("7", json!([])),
    ];
    Page { records, ..Page::default() }
}

/// All that is written down when the page is shown as `shown` makes it.
fn written(plan: Plan, shown: impl Fn(&Plan, bool, Page) -> ShownPage) -> Vec<Vec<u8>> {
    let mut machine = Machine::open(Arc::new(plan), Log::on(MemoryDisk::new()).unwrap(), 1).unwrap();
    let mut frames = Vec::new();
    let mut asked = None;
    let mut wakes = vec![Wake::Start];
    for mono in 1..9 {
        let now = Now { wall: Time(1_700_000_000_000_000 + mono), mono: Time(mono) };
        for effect in machine.step(wakes.pop().unwrap_or(Wake::Timer), now).unwrap() {
            match effect {
                Effect::Append(events) => {
                    frames.extend(events.iter().map(|event| event.frame().to_vec()));
                    machine.log().append(&events).unwrap();
                }
                Effect::Read { pass, beforehand, .. } => asked = Some((pass, beforehand)),
                Effect::Tell(_) => {}
                other => panic!("{other:?}"),
            }
        }
        if let Some((pass, beforehand)) = asked.take() {
            let page = shown(machine.plan(), beforehand, page());
            wakes.push(Wake::Page { side: side("a"), collection: item(), pass, result: Ok(page) });
        }
    }
    assert!(frames.len() > 5, "{}", frames.len());
    frames
}

#[test]
fn what_is_written_down_is_the_same() {
    let as_it_came = written(plan(), |_, _, page| page.into());
    let read = written(plan(), |plan, beforehand, page| {
        assert!(beforehand, "a first listing");
        ShownPage::read(plan, (&side("a"), &item()), beforehand, page)
    });
    assert_eq!(as_it_came, read);
}

/// Whether the records of a first listing may be read beforehand.
fn may_be_read(plan: Plan, vault: Option<Vault>) -> bool {
    let log = Log::on(MemoryDisk::new()).unwrap();
    let mut machine = Machine::open_with(Arc::new(plan), log, vault, 1).unwrap();
    let now = Now { wall: Time(1_700_000_000_000_000), mono: Time(1) };
    let reads = machine.step(Wake::Start, now).unwrap().into_iter().find_map(|effect| match effect {
        Effect::Read { beforehand, .. } => Some(beforehand),
        _ => None,
    });
    reads.unwrap()
}

#[test]
fn where_a_document_is_asked_for_more_it_comes_as_it_is() {
    let vault = || {
        let random = Random::of(|bytes| {
            bytes.fill(7);
            Ok(())
        });
        Some(Vault::on(MemoryFolder::new(), random).unwrap())
    };
    assert!(may_be_read(plan(), None));
    assert!(!may_be_read(plan(), vault()), "records may have keys of an earlier plan");
    let mut agreed = plan();
    agreed.contracts.insert((side("a"), item()), Contract::default());
    assert!(!may_be_read(agreed, None), "a contract may let the page wait");
    let mut personal = plan();
    personal.collections.get_mut(&item()).unwrap().personal.insert(field("fee"));
    assert!(!may_be_read(personal, vault()), "its hash is made under a key");
}
