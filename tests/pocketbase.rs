//! The promise on real input: PocketBase and an inspection service, kept in
//! step from a YAML file alone, through kills, edits on both sides, a conflict
//! and deletes, end equal, with nothing done twice, and then quiet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use hms_sync_doubles::Double;
use hms_sync_tests::{PocketBase, Program, until};
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const PERMITS: usize = 1_000;
const EDITS: usize = 150;
/// How long a change may take to arrive, in a loaded machine.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);
const FILE: &str = "docs/examples/pocketbase.yaml";

/// What both sides hold of a permit, in the same words: number to facts.
type Facts = BTreeMap<String, [String; 5]>;

fn text(record: &Json, field: &str) -> String {
    match &record[field] {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn permits(records: &[Json]) -> Facts {
    let facts = |record: &Json| {
        let scheduled = text(record, "inspection_at").trim_end_matches(".000Z").to_owned();
        let [address, status, inspector, notes] =
            ["address", "status", "inspector", "notes"].map(|field| text(record, field));
        (text(record, "permit_no"), [address, status, scheduled, inspector, notes])
    };
    records.iter().map(facts).collect()
}

fn inspections(records: &[Json]) -> Facts {
    let facts = |record: &Json| {
        let status = match text(record, "state").as_str() {
            "OK" => "approved".to_owned(),
            "NO" => "denied".to_owned(),
            other => other.to_lowercase(),
        };
        let [address, scheduled, inspector, notes] =
            ["address", "scheduledFor", "inspector", "remarks"].map(|field| text(record, field));
        (text(record, "permitId"), [address, status, scheduled, inspector, notes])
    };
    records.iter().map(facts).collect()
}

fn permit(n: usize) -> Json {
    json!({
        "permit_no": format!("P-{n:06}"), "address": format!("{n} O'Hara Street"), "applicant": format!("Applicant {n}"),
        "fee": 120.5, "status": "pending",
    })
}

async fn make_collection(pocketbase: &PocketBase) {
    let text = |name: &str| json!({ "name": name, "type": "text" });
    let collection = json!({
        "name": "permits", "type": "base",
        "fields": [
            text("permit_no"), text("address"), text("applicant"), text("inspector"), text("notes"),
            { "name": "fee", "type": "number" },
            { "name": "status", "type": "select", "maxSelect": 1, "values": ["pending", "approved", "denied", "revoked"] },
            { "name": "inspection_at", "type": "date" },
            { "name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true },
        ],
        "indexes": ["CREATE UNIQUE INDEX permits_number ON permits (permit_no)"],
    });
    pocketbase.ask(Method::POST, "collections", Some(&collection)).await;
}

/// The world of the story.
struct World {
    pocketbase: PocketBase,
    marshal: Double,
    sync: Program,
}

impl World {
    async fn start() -> Self {
        let pocketbase = PocketBase::start().await;
        make_collection(&pocketbase).await;
        let all: Vec<Json> = (1..=PERMITS).map(permit).collect();
        pocketbase.load("permits", &all).await;
        let marshal = Double::marshal().await.unwrap();
        let marshal_url = marshal.url();
        let sync = Program::new(
            FILE,
            &[
                ("POCKETBASE_URL", pocketbase.url()),
                ("POCKETBASE_TOKEN", pocketbase.token()),
                ("MARSHAL_URL", &marshal_url),
                ("POLL_INTERVAL", "200ms"),
                ("FULL_INTERVAL", "1s"),
            ],
        );
        Self { pocketbase, marshal, sync }
    }

    /// PocketBase's ids by permit number; every number is there once.
    async fn ids(&self) -> BTreeMap<String, String> {
        let records = self.pocketbase.records("permits").await;
        let ids: BTreeMap<_, _> =
            records.iter().map(|record| (text(record, "permit_no"), text(record, "id"))).collect();
        assert_eq!(ids.len(), records.len(), "a permit is in PocketBase twice");
        ids
    }

    fn inspection(&self, number: &str) -> String {
        let found = self.marshal.find(number);
        assert_eq!(found.len(), 1, "{number} is at the marshal {} times", found.len());
        text(&found[0], "id")
    }

    /// Waits until both sides hold the same permits, so many.
    async fn equal(&self, what: &str, records: usize) {
        let last = std::cell::RefCell::new(String::new());
        let look = async || {
            let here = permits(&self.pocketbase.records("permits").await);
            let there = inspections(&self.marshal.records());
            let same = |(number, facts): &(&String, &[String; 5])| there.get(*number) == Some(*facts);
            let first =
                here.iter().find(|pair| !same(pair)).map(|(number, facts)| (facts, there.get(number)));
            let counted = (here.len(), there.len(), self.marshal.len());
            *last.borrow_mut() = format!("{counted:?}, first difference: {first:?}");
            (counted == (records, records, records) && first.is_none()).then_some(())
        };
        if tokio::time::timeout(DEADLINE, until(what, 600, look)).await.is_err() {
            let parked = self.sync.ask_text(&["parked", "FILE", "list"]).await;
            let status = self.sync.ask_text(&["status", "FILE"]).await;
            panic!("{what}: {}\n{parked}\n{status}\n{}", last.borrow(), self.sync.told());
        }
    }

    /// When each side was last read, and how much is left to do.
    async fn reads(&self) -> (Vec<String>, u64) {
        let status = self.sync.ask(&["status", "FILE", "--json"]).await;
        let sides = status["sides"].as_array().unwrap();
        let read = sides.iter().map(|side| side["collections"][0]["last_read"].to_string());
        (read.collect(), status["pending"].as_u64().unwrap())
    }

    /// Everything that a write would change.
    async fn traces(&self) -> (usize, BTreeMap<String, String>) {
        let records = self.pocketbase.records("permits").await;
        let updated = records.iter().map(|record| (text(record, "id"), text(record, "updated"))).collect();
        (self.marshal.effects().len(), updated)
    }
}

async fn killed_during_the_first_load(world: &mut World) {
    world.marshal.faults(|faults| faults.latency_ms = 20);
    world.sync.start();
    until("a fifth has arrived", 30, || async { (world.marshal.len() >= PERMITS / 5).then_some(()) }).await;
    world.sync.kill().await;
    let arrived = world.marshal.len();
    assert!(arrived < PERMITS, "the kill came too late to show anything");
    world.sync.start();
    world.equal("all permits are inspections", PERMITS).await;
}

/// Edits on both sides, of different permits, and of different fields of the same.
async fn killed_during_edits(world: &mut World) {
    let ids = world.ids().await;
    for n in 1..=EDITS {
        let number = format!("P-{n:06}");
        let patch = json!({ "notes": format!("seen by the clerk {n}") });
        world.pocketbase.update("permits", &ids[&number], &patch).await;
        let number = format!("P-{:06}", n + EDITS / 2);
        let patch = json!({ "scheduledFor": "2026-12-01 09:30:00", "inspector": format!("Inspector {n}") });
        world.marshal.update(&world.inspection(&number), &patch).unwrap();
        if n == EDITS / 2 {
            until("some edits have arrived", 30, || async {
                let arrived =
                    world.marshal.records().iter().filter(|r| !text(r, "remarks").is_empty()).count();
                (arrived > 0).then_some(())
            })
            .await;
            world.sync.kill().await;
        }
    }
}

/// While nobody looks, both sides decide about the same permits, and both make
/// the same new one.
async fn conflict_while_it_is_away(world: &World) {
    let ids = world.ids().await;
    let decide = async |number: &str, here: &str, there: &str| {
        world.marshal.update(&world.inspection(number), &json!({ "state": there })).unwrap();
        world.pocketbase.update("permits", &ids[number], &json!({ "status": here })).await;
    };
    decide("P-000900", "approved", "REVOKED").await;
    decide("P-000901", "revoked", "OK").await;
    world.pocketbase.create("permits", &permit(5_000)).await;
    let twin =
        json!({ "permitId": "P-005000", "address": "5000 O'Hara Street", "state": "PENDING", "remarks": "" });
    world.marshal.create(&twin).unwrap();
}

async fn three_quiet_cycles(world: &World) {
    until("nothing is pending", 30, || async { (world.reads().await.1 == 0).then_some(()) }).await;
    let before = world.traces().await;
    for _ in 0..4 {
        let (seen, _) = world.reads().await;
        for side in ["pocketbase", "marshal"] {
            world.sync.ask_text(&["poll", "FILE", side, "permit", "--full"]).await;
        }
        until("a cycle", 30, || async {
            let (now, _) = world.reads().await;
            now.iter().zip(&seen).all(|(now, seen)| now != seen).then_some(())
        })
        .await;
    }
    assert_eq!(world.traces().await, before, "a quiet cycle wrote something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pocketbase_and_a_marshal_stay_in_step() {
    let mut world = World::start().await;
    let (_, stamps) = world.traces().await;
    let distinct: std::collections::BTreeSet<&String> = stamps.values().collect();
    assert!(distinct.len() < PERMITS, "no two records share a time: this shows less than it should");
    killed_during_the_first_load(&mut world).await;

    killed_during_edits(&mut world).await;
    conflict_while_it_is_away(&world).await;
    world.sync.start();
    world.equal("all edits have arrived", PERMITS + 1).await;
    let here = permits(&world.pocketbase.records("permits").await);
    assert_eq!((here["P-000900"][1].as_str(), here["P-000901"][1].as_str()), ("revoked", "revoked"));
    assert_eq!(
        here["P-000100"][3..],
        ["Inspector 25", "seen by the clerk 100"],
        "both edits of one permit survive"
    );
    assert_eq!(here["P-000100"][2], "2026-12-01 09:30:00");

    world.pocketbase.delete("permits", &world.ids().await["P-000500"]).await;
    world.marshal.delete(&world.inspection("P-000501")).unwrap();
    let new = json!({ "permitId": "P-006000", "address": "1 New O'Hara Street", "state": "PENDING", "remarks": "" });
    world.marshal.create(&new).unwrap();
    world.equal("deletes and a new one have arrived", PERMITS).await;
    let ids = world.ids().await;
    assert!(!ids.contains_key("P-000500") && !ids.contains_key("P-000501") && ids.contains_key("P-006000"));

    three_quiet_cycles(&world).await;
    assert_eq!(world.marshal.doubled(), 0);
    world.sync.stop().await;
    let verified = world.sync.ask(&["audit", "FILE", "verify", "--json"]).await;
    assert_eq!(verified["sound"], true, "{verified}");
    assert!(verified["records"].as_u64().unwrap() > 1_000, "{verified}");
}
