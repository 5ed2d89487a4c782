//! The promise of a change of mind: what is polled today may tell by webhook tomorrow, be
//! read through a narrower filter or mapped otherwise, while people go on; nothing is lost
//! and nothing is deleted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync::{Running, Sync};
use hms_sync_doubles::{Double, Hook, Operation};
use hms_sync_tests::until;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SECRET: &str = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";
const PERMITS: u64 = 40;

/// How the clerk is listened to, and what is mapped.
struct Mind {
    polled: bool,
    hooked: bool,
    /// Only one permit is listed.
    narrow: bool,
    /// Further fields.
    fields: &'static str,
}

const PLAIN: Mind = Mind { polled: true, hooked: false, narrow: false, fields: NOTES };
const NOTES: &str = "notes: { type: text, clerk: notes, marshal: remarks }";
const NO_NOTES: &str = "inspector: { type: string, clerk: inspector, marshal: inspector }";

async fn start(clerk: &Double, marshal: &Double, data: &Path, mind: &Mind) -> Running {
    let every = if mind.polled { "poll_interval: 100ms, full_interval: 200ms" } else { "full_interval: 1h" };
    let filter = if mind.narrow { "request_parameters: { permit_no: P-000003 }," } else { "" };
    let hook = if mind.hooked {
        format!("webhook: {{ path: /hooks/clerk, secret: {SECRET} }}")
    } else {
        String::new()
    };
    let yaml = format!(
        "sync: Switching
data_dir: {data}
management: 127.0.0.1:0
sides:
  clerk: {{ connector: http, url: '{clerk}', authenticator: {{ type: bearer, api_token: demo }} }}
  marshal: {{ connector: http, url: '{marshal}', authenticator: {{ type: basic, username: sync, password: demo }} }}
collections:
  permit:
    identity: [permit_no]
    guard: {{ max_deletes: 1000, max_deletes_percent: 100 }}
    sides:
      clerk:
        read: {{ path: /permits, record_selector: {{ field_path: [items] }}, {filter} {every},
                 paginator: {{ type: offset, page_size: 20 }} }}
        fetch: {{ path: '/permits/{{{{ id }}}}' }}
        create: {{ method: POST, path: /permits }}
        update: {{ method: PATCH, path: '/permits/{{{{ id }}}}' }}
        delete: {{ method: DELETE, path: '/permits/{{{{ id }}}}' }}
        {hook}
      marshal:
        idempotency_key: {{ header: Idempotency-Key }}
        read: {{ path: /inspections, paginator: {{ type: offset, page_size: 20 }}, poll_interval: 200ms }}
        fetch: {{ path: '/inspections/{{{{ id }}}}' }}
        create: {{ method: POST, path: /inspections }}
        update: {{ method: PATCH, path: '/inspections/{{{{ id }}}}' }}
        delete: {{ method: DELETE, path: '/inspections/{{{{ id }}}}' }}
    fields:
      permit_no: {{ type: string, clerk: permit_no, marshal: permitId }}
      {fields}
",
        data = data.display(),
        clerk = clerk.url(),
        marshal = marshal.url(),
        fields = mind.fields,
    );
    let sync = Sync::from_yaml(&yaml, &|_| None).await.expect("the sync starts");
    let url = format!("{}/hooks/clerk", sync.management_url());
    let hook = Hook { url, secret: SECRET.to_owned() };
    clerk.set_hook(mind.hooked.then_some(&hook)).unwrap();
    sync
}

/// Number and notes of each record, in order.
fn essence(records: &[Json], number: &str, notes: &str) -> Vec<(String, String)> {
    let text = |record: &Json, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = records.iter().map(|record| (text(record, number), text(record, notes))).collect();
    all.sort();
    all
}

/// People at the clerk change permits and make some, until they are told to stop.
async fn people(clerk: Arc<Double>, stop: Arc<AtomicBool>) -> u64 {
    let (mut rng, mut n) = (fastrand::Rng::with_seed(5), 0);
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let id = rng.u64(1..=PERMITS).to_string();
        clerk.update(&id, &json!({ "notes": format!("note {n}") })).unwrap();
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    n
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_ones_mind_while_people_go_on_loses_and_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (clerk, marshal) = (Arc::new(Double::clerk().await.unwrap()), Double::marshal().await.unwrap());
    clerk.seed_records(1, PERMITS);
    let stop = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn(people(Arc::clone(&clerk), Arc::clone(&stop)));
    let minds = [
        PLAIN,
        Mind { polled: false, hooked: true, ..PLAIN },
        Mind { polled: true, hooked: true, narrow: true, ..PLAIN },
        Mind { fields: NO_NOTES, ..PLAIN },
        Mind { polled: false, hooked: true, narrow: true, ..PLAIN },
        PLAIN,
        Mind { polled: true, hooked: true, fields: NO_NOTES, narrow: true },
    ];
    for (n, mind) in minds.iter().enumerate() {
        let sync = start(&clerk, &marshal, folder.path(), mind).await;
        let before = clerk.counts().hooks_delivered;
        let seen = || async { sync.desk().status().await.unwrap().status.counts };
        until("something is learnt in this way", 20, || async {
            let told = !mind.hooked || clerk.counts().hooks_delivered > before + 20;
            (told && seen().await.observations > 30).then_some(n)
        })
        .await;
        sync.stop().await.unwrap();
        clerk.set_hook(None).unwrap();
    }
    let sync = start(&clerk, &marshal, folder.path(), &PLAIN).await;
    stop.store(true, Ordering::Relaxed);
    assert!(working.await.unwrap() > 100);
    until("both have the same", 30, || async {
        let idle = sync.desk().status().await.unwrap().status.pending == 0;
        let theirs = essence(&clerk.records(), "permit_no", "notes");
        (idle && theirs == essence(&marshal.records(), "permitId", "remarks")).then_some(())
    })
    .await;
    let done = |double: &Double, what| double.effects().iter().filter(|of| of.operation == what).count();
    assert_eq!((done(&clerk, Operation::Delete), done(&marshal, Operation::Delete)), (0, 0));
    assert_eq!(done(&marshal, Operation::Create) as u64, PERMITS, "each was made once");
    assert_eq!((clerk.len() as u64, marshal.len() as u64), (PERMITS, PERMITS));
    sync.stop().await.unwrap();
}

/// The region of a permit is what is asked for, not a member of it. A webhook that has the permit
/// fetched, and the answer to a write, are without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_listing_knows_of_a_record_is_not_cleared_by_a_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let (clerk, marshal) = (Double::clerk().await.unwrap(), Double::marshal().await.unwrap());
    clerk.seed_records(1, 3);
    let yaml = format!(
        "sync: Regions
data_dir: {data}
management: 127.0.0.1:0
sides:
  clerk: {{ connector: http, url: '{clerk}', authenticator: {{ type: bearer, api_token: demo }} }}
  marshal: {{ connector: http, url: '{marshal}', authenticator: {{ type: basic, username: sync, password: demo }} }}
collections:
  permit:
    identity: [permit_no]
    sides:
      clerk:
        read:
          path: /permits
          record_selector: {{ field_path: [items] }}
          full_interval: 1h
          partition_router: {{ type: list, values: [north], partition_field: region, record_field: region,
                               request_option: {{ inject_into: header, field_name: X-Region }} }}
        fetch: {{ path: '/permits/{{{{ id }}}}' }}
        create: {{ method: POST, path: /permits }}
        update: {{ method: PATCH, path: '/permits/{{{{ id }}}}' }}
        webhook: {{ path: /hooks/clerk, secret: {SECRET} }}
      marshal:
        read: {{ path: /inspections, poll_interval: 50ms, full_interval: 1h }}
        create: {{ method: POST, path: /inspections }}
        update: {{ method: PATCH, path: '/inspections/{{{{ id }}}}' }}
    fields:
      permit_no: {{ type: string, clerk: permit_no, marshal: permitId }}
      notes: {{ type: text, clerk: notes, marshal: remarks }}
      region: {{ type: string, clerk: {{ path: region, direction: from_side }}, marshal: region }}
",
        data = folder.path().join("data").display(),
        clerk = clerk.url(),
        marshal = marshal.url(),
    );
    let sync = Sync::from_yaml(&yaml, &|_| None).await.expect("the sync starts");
    let url = format!("{}/hooks/clerk", sync.management_url());
    let hook = Hook { url, secret: SECRET.to_owned() };
    clerk.set_hook(Some(&hook)).unwrap();
    let all = |remarks: &str| {
        let marshal = marshal.records();
        let good = |of: &Json| of["remarks"] == remarks && of["region"] == "north";
        (marshal.len() == 3 && marshal.iter().all(good)).then_some(())
    };
    until("the listing", 20, || async { (marshal.len() == 3).then_some(()) }).await;
    for id in ["1", "2", "3"] {
        clerk.update(id, &json!({ "notes": "by webhook" })).unwrap();
    }
    until("the webhooks", 20, || async { all("by webhook") }).await;
    for record in marshal.records() {
        marshal.update(record["id"].as_str().unwrap(), &json!({ "remarks": "by write" })).unwrap();
    }
    let written = |record: &Json| record["notes"] == "by write";
    until("the writes", 20, || async { clerk.records().iter().all(written).then_some(()) }).await;
    until("all is settled", 20, || async {
        (sync.desk().status().await.unwrap().status.pending == 0).then_some(())
    })
    .await;
    assert_eq!(all("by write"), Some(()));
    let updates = marshal.effects().iter().filter(|of| of.operation == Operation::Update).count();
    assert_eq!(updates, 3, "the notes, and no region");
    sync.stop().await.unwrap();
}
