//! The promise of a group's formulas: what a side cannot say follows from what it
//! says, and a group that is not what it must be is sent to nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync::{Running, Sync};
use hms_sync_doubles::Double;
use hms_sync_management::{ParkedFilter, ParkedItem};
use hms_sync_tests::until;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

struct World {
    clerk: Double,
    marshal: Double,
    sync: Running,
    _folder: TempDir,
}

/// The pair, with notes at the clerk alone, and one permit at both.
async fn world(standing: &str) -> World {
    let (clerk, marshal) = (Double::clerk().await.unwrap(), Double::marshal().await.unwrap());
    clerk.seed_records(1, 1);
    clerk.update("1", &json!({ "notes": null, "status": "pending" })).unwrap();
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let (clerk_url, marshal_url) = (clerk.url(), marshal.url());
    let env = move |name: &str| match name {
        "DATA_DIR" => Some(data.clone()),
        "CLERK_URL" => Some(clerk_url.clone()),
        "MARSHAL_URL" => Some(marshal_url.clone()),
        _ => None,
    };
    let yaml = include_str!("pair.yaml");
    let notes = yaml.lines().find(|line| line.trim_start().starts_with("notes:")).unwrap();
    let groups =
        format!("    groups:\n      standing: {{ fields: [status, notes], lead: status, {standing} }}\n");
    let yaml = yaml.replace(notes, "      notes: { type: text, clerk: notes }") + &groups;
    let sync = Sync::from_yaml(&yaml, &env).await.unwrap();
    until("the marshal has it", 20, || async { (marshal.len() == 1).then_some(()) }).await;
    World { clerk, marshal, sync, _folder: folder }
}

impl World {
    fn both(&self) -> (Json, Json) {
        let of = |double: &Double| double.records().pop().unwrap_or_default();
        (of(&self.clerk), of(&self.marshal))
    }

    async fn at_clerk(&self, what: &str, is: impl Fn(&Json) -> bool) -> Json {
        until(what, 20, || async { Some(self.both().0).filter(|permit| is(permit)) }).await
    }

    fn at_marshal(&self, patch: &Json) {
        let id = self.both().1["id"].clone();
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        self.marshal.update(&id, patch).unwrap();
    }

    async fn parked(&self) -> Vec<ParkedItem> {
        self.sync.desk().parked(&ParkedFilter::default(), None, 500).await.unwrap().items
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_side_does_not_have_is_derived_from_its_edit() {
    let world = world(
        "derive: { notes: \"edited_by ~ ' revoked it at ' ~ edited_at if status == 'revoked' and notes is none else notes\" }",
    )
    .await;
    world.at_marshal(&json!({ "state": "REVOKED" }));
    let permit = world.at_clerk("it is revoked", |permit| permit["status"] == "revoked").await;
    let notes = permit["notes"].as_str().unwrap();
    assert!(notes.starts_with("marshal revoked it at 20") && notes.ends_with('Z'), "{notes}");
    // What is there already stays, and an edit of something else derives nothing.
    world.at_marshal(&json!({ "state": "OK", "address": "1 High St" }));
    let permit = world.at_clerk("it is approved", |permit| permit["status"] == "approved").await;
    assert_eq!(permit["notes"], notes);
    assert!(world.parked().await.is_empty());
    world.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_is_not_what_it_must_be_is_held_and_the_rest_goes_on() {
    let world = world("require: \"status != 'revoked' or notes is not none\"").await;
    world.at_marshal(&json!({ "state": "REVOKED", "address": "1 High St" }));
    let permit =
        world.at_clerk("the address has come", |permit| permit["location"]["address"] == "1 High St").await;
    assert_eq!(permit["status"], "pending");
    let item = until("it is held", 20, || async { world.parked().await.pop() }).await;
    let told = format!("{item:?}");
    for words in ["group standing is held back", "`status != 'revoked' or notes is not none`", "unmappable"] {
        assert!(told.to_lowercase().contains(words), "{told} does not say {words}");
    }
    // Others of its fields go on, and it stays held.
    world.at_marshal(&json!({ "inspector": "Ada" }));
    let permit = world.at_clerk("the inspector has come", |permit| permit["inspector"] == "Ada").await;
    assert_eq!((&permit["status"], &permit["notes"]), (&json!("pending"), &Json::Null));
    // The clerk had not been shown the revocation: a later edit of both puts it right.
    world.clerk.update("1", &json!({ "status": "revoked", "notes": "by order" })).unwrap();
    until("nothing is parked", 20, || async { world.parked().await.is_empty().then_some(()) }).await;
    let (permit, inspection) = world.both();
    assert_eq!((&permit["status"], &permit["notes"]), (&json!("revoked"), &json!("by order")));
    assert_eq!(inspection["state"], "REVOKED");
    world.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_not_there_yet_waits_as_a_whole() {
    let world = world("require: \"status != 'denied' or notes is not none\"").await;
    let number = json!("P-9");
    let new = json!({ "permit_no": number, "status": "denied", "location": { "address": "2 High St" } });
    let id = world.clerk.create(&new).unwrap();
    let item = until("it is held", 20, || async { world.parked().await.pop() }).await;
    assert!(format!("{item:?}").contains("group standing is held back"), "{item:?}");
    assert!(world.marshal.find("P-9").is_empty());
    world.clerk.update(&id, &json!({ "notes": "no sprinklers" })).unwrap();
    until("it has come", 20, || async { (!world.marshal.find("P-9").is_empty()).then_some(()) }).await;
    assert_eq!(world.marshal.find("P-9")[0]["state"], "NO");
    until("nothing is parked", 20, || async { world.parked().await.is_empty().then_some(()) }).await;
    world.sync.stop().await.unwrap();
}
