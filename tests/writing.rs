//! Writing to real servers: Kinto, with entity tags, merge patches and batches that answer for
//! each; PocketBase, which has none of these and surprises of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use futures_util::future::join_all;
use hms_sync::Sync;
use hms_sync_connector::{Connector, Shaped, Target, WriteRequest};
use hms_sync_doubles::Double;
use hms_sync_http::HttpConnector;
use hms_sync_http::spec::HttpCollection;
use hms_sync_model::{CollectionName, IdempotencyKey, NativeId, Outcome, SideName, Tag, Written};
use hms_sync_tests::{Kinto, PocketBase, until};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

const PERMITS: usize = 60;

/// Kinto, a marshal, and what keeps them in step. Kinto is read once, at the start: of what
/// its people do later, only its answers to writes tell.
struct World {
    kinto: Kinto,
    marshal: Double,
    _sync: hms_sync::Running,
    _folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let kinto = Kinto::start().await;
        let marshal = Double::marshal().await.unwrap();
        marshal.seed_records(1, PERMITS as u64);
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").display().to_string();
        let (kinto_url, marshal_url) = (kinto.url().to_owned(), marshal.url());
        let env = move |name: &str| match name {
            "DATA_DIR" => Some(data.clone()),
            "KINTO_URL" => Some(kinto_url.clone()),
            "MARSHAL_URL" => Some(marshal_url.clone()),
            _ => None,
        };
        let sync = Sync::from_yaml(include_str!("kinto.yaml"), &env).await.expect("the sync starts");
        let world = Self { kinto, marshal, _sync: sync, _folder: folder };
        until("all have arrived", 60, || async {
            (world.kinto.records().await.len() == PERMITS).then_some(())
        })
        .await;
        world
    }

    /// The marshal's people change an inspection.
    fn inspect(&self, number: &str, patch: &Json) {
        let found = self.marshal.find(number);
        self.marshal.update(found[0]["id"].as_str().unwrap(), patch).unwrap();
    }

    async fn there(&self, what: &str, number: &str, wanted: Json) {
        until(what, 30, || async {
            let record = self.kinto.record(number).await?;
            wanted.as_object().unwrap().iter().all(|(name, value)| record[name] == *value).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinto_is_kept_in_step_by_batches_patches_and_tags() {
    let world = World::start().await;
    assert!(world.kinto.told().contains("subrequest"), "no batch was sent:\n{}", world.kinto.told());
    let numbers: Vec<String> =
        world.kinto.records().await.iter().map(|r| r["permit_no"].as_str().unwrap().to_owned()).collect();
    let [edited, patched, deleted, gone] = [0, 1, 2, 3].map(|n| numbers[n].as_str());

    // 412: read again, taken in, merged and written at once.
    world.kinto.update(edited, &json!({ "notes": "seen by nobody" })).await;
    world.inspect(edited, &json!({ "inspector": "Ines" }));
    let both = json!({ "inspector": "Ines", "notes": "seen by nobody" });
    world.there("both edits of one permit are there", edited, both).await;
    until("the unseen edit has arrived at the marshal", 30, || async {
        (world.marshal.find(edited)[0]["remarks"] == "seen by nobody").then_some(())
    })
    .await;

    // A merge patch leaves alone what is not ours, also inside of what is.
    let mut place = world.kinto.record(patched).await.unwrap()["place"].clone();
    place["floor"] = json!(3);
    world.kinto.update(patched, &json!({ "place": place })).await;
    world.inspect(patched, &json!({ "address": "2 New St" }));
    world.there("a patch", patched, json!({ "place": { "address": "2 New St", "floor": 3 } })).await;

    // 404: a delete there that knew nothing of the edit here.
    world.kinto.delete(deleted).await;
    world.inspect(deleted, &json!({ "remarks": "still open" }));
    world.there("it is made again", deleted, json!({ "notes": "still open", "id": deleted })).await;

    let inspection = world.marshal.find(gone)[0]["id"].as_str().unwrap().to_owned();
    world.marshal.delete(&inspection).unwrap();
    until("it is deleted there too", 30, || async { world.kinto.record(gone).await.is_none().then_some(()) })
        .await;
    assert_eq!(world.kinto.records().await.len(), PERMITS - 1);
    assert_eq!(world.marshal.doubled(), 0);
}

fn permit() -> CollectionName {
    CollectionName::try_new("permit").unwrap()
}

/// PocketBase, as it is written to.
fn connector(pocketbase: &PocketBase, more: &Json) -> HttpConnector {
    let records = "/api/collections/permits/records";
    let mut permits = json!({
        "precondition": "none",
        "read": { "path": records },
        "create": { "method": "POST", "path": records },
        "update": { "method": "PATCH", "path": format!("{records}/{{{{ id }}}}") },
        "delete": { "method": "DELETE", "path": format!("{records}/{{{{ id }}}}") },
        "exists_when": [{ "status": 400, "body_contains": "validation_not_unique" }],
    });
    permits.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut permits: HttpCollection = serde_json::from_value(permits).unwrap();
    permits.field_names = vec![(vec!["status".into()], "state".into())];
    let side = json!({
        "url": pocketbase.url(), "authenticator": { "type": "bearer", "api_token": pocketbase.token() },
    });
    let name = SideName::try_new("pocketbase").unwrap();
    HttpConnector::new(&name, serde_json::from_value(side).unwrap(), [(permit(), permits)].into()).unwrap()
}

async fn write(connector: &HttpConnector, target: Target, fields: Json) -> Outcome {
    let fields = Shaped::from(fields);
    let key = IdempotencyKey::try_new(format!("{:032x}", fastrand::u128(..))).unwrap();
    let (collection, changed) = (permit(), fields.clone());
    connector.write(WriteRequest { collection, target, changed, whole: fields, former: None, key }).await
}

fn stored(outcome: Outcome) -> (NativeId, Json) {
    let Outcome::Applied(Written { id, stored: Some(stored), .. }) = outcome else { panic!("{outcome:?}") };
    (id, stored)
}

async fn pocketbase() -> PocketBase {
    let pocketbase = PocketBase::start().await;
    let collection = json!({
        "name": "permits", "type": "base",
        "fields": [
            { "name": "permit_no", "type": "text" }, { "name": "fee", "type": "number" },
            { "name": "status", "type": "select", "maxSelect": 1, "values": ["pending", "approved"] },
            { "name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true },
        ],
        "indexes": ["CREATE UNIQUE INDEX permits_number ON permits (permit_no)"],
    });
    pocketbase.ask(Method::POST, "collections", Some(&collection)).await;
    pocketbase
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_pocketbase_makes_of_a_write_is_told_by_its_answer() {
    let pocketbase = pocketbase().await;
    let to = connector(&pocketbase, &json!({}));
    assert!(!to.abilities(&permit()).precondition);

    // Text into a number: 200, and 0 is stored. A field that there is none of: 200, and dropped.
    let fields = json!({ "permit_no": "P-1", "fee": "much", "colour": "red" });
    let (id, shown) = stored(write(&to, Target::Create, fields).await);
    assert_eq!((&shown["fee"], shown.get("colour")), (&json!(0), None), "the answer shows it: {shown}");

    // A duplicate: 400.
    let outcome = write(&to, Target::Create, json!({ "permit_no": "P-1" })).await;
    assert!(matches!(outcome, Outcome::Exists { .. }), "{outcome:?}");
    // A refusal names the field, which goes by our name.
    let outcome = write(&to, Target::Update(id.clone(), None), json!({ "status": "perhaps" })).await;
    assert!(
        matches!(&outcome, Outcome::Rejected { reason } if reason.contains("; field `state` (there `status`): ")),
        "{outcome:?}"
    );

    // If-Match is taken no notice of: whoever says that there is none reads before writing.
    let blind = connector(&pocketbase, &json!({ "precondition": { "header": "If-Match" } }));
    let tag = Tag::try_new("\"never\"").ok();
    let before = stored(write(&blind, Target::Update(id.clone(), tag), json!({ "fee": 5 })).await).1;
    // Nothing changes, and the stamp moves.
    let after = until("the clock has moved", 10, || async {
        let again = stored(write(&to, Target::Update(id.clone(), None), json!({ "fee": 5 })).await).1;
        (again["updated"] != before["updated"]).then_some(again)
    })
    .await;
    assert_eq!(after["fee"], json!(5));

    let outcome = write(&to, Target::Delete(id.clone(), None), json!({})).await;
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    assert_eq!(write(&to, Target::Delete(id.clone(), None), json!({})).await, Outcome::Noop, "404");
    assert_eq!(write(&to, Target::Update(id, None), json!({ "fee": 1 })).await, Outcome::Gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pocketbase_takes_batches_and_one_bad_one_spoils_only_itself() {
    let pocketbase = pocketbase().await;
    let batch = json!({ "batch": {
        "path": "/api/batch", "max_items": 16, "max_wait": "5s", "items_path": "requests",
        "item": { "method": "{{ method }}", "url": "{{ path }}", "body": "{{ body }}" },
        "status_field": "status", "body_field": "body",
    } });
    let numbers = |from: u32| (from..from + 16).map(|n| json!({ "permit_no": format!("P-{n}") }));
    // Switched off, as it comes: 403.
    let to = connector(&pocketbase, &batch);
    let outcomes = join_all(numbers(0).map(|fields| write(&to, Target::Create, fields))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied(_))), "{outcomes:?}");

    let settings = json!({ "batch": { "enabled": true, "maxRequests": 50, "timeout": 30 } });
    pocketbase.ask(Method::PATCH, "settings", Some(&settings)).await;
    let to = connector(&pocketbase, &batch);
    let outcomes = join_all(numbers(15).map(|fields| write(&to, Target::Create, fields))).await;
    assert!(matches!(outcomes[0], Outcome::Exists { .. }), "{:?}", outcomes[0]);
    assert!(outcomes[1..].iter().all(|outcome| matches!(outcome, Outcome::Applied(_))), "{outcomes:?}");
    let outcomes = join_all(numbers(100).map(|fields| write(&to, Target::Create, fields))).await;
    let ids: Vec<_> = outcomes.into_iter().map(|outcome| stored(outcome).0).collect();
    assert_eq!(pocketbase.records("permits").await.len(), 16 + 15 + 16);
    let deleted = join_all(ids.into_iter().map(|id| write(&to, Target::Delete(id, None), json!({})))).await;
    assert!(deleted.iter().all(|outcome| matches!(outcome, Outcome::Applied(_))), "{deleted:?}");
    assert_eq!(pocketbase.records("permits").await.len(), 16 + 15);
}
