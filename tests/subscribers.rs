//! The promise of a subscriber: it is told of every record in order per record, once under
//! one id, also after it was away, after a restart and after it had enough for a while; an
//! endpoint under a new name is told of all there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hms_sync::{Running, Sync};
use hms_sync_doubles::Double;
use hms_sync_management::ParkedFilter;
use hms_sync_model::Released;
use hms_sync_tests::until;
use serde_json::{Value as Json, json};
use standardwebhooks::Webhook;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Who subscribes.
#[derive(Debug, Clone, Default)]
struct Tenant(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    /// What was answered with success, in order, each once.
    told: Vec<Json>,
    ids: std::collections::BTreeSet<String>,
    /// Requests, whatever was answered.
    came: usize,
    /// The answer while it takes nothing.
    refuses: Option<u16>,
}

async fn take(State(tenant): State<Tenant>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut taken = tenant.0.lock().unwrap();
    taken.came += 1;
    if Webhook::new(SECRET).unwrap().verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    if let Some(status) = taken.refuses {
        return StatusCode::from_u16(status).unwrap();
    }
    if taken.ids.insert(headers["webhook-id"].to_str().unwrap().to_owned()) {
        taken.told.push(serde_json::from_slice(&body).unwrap());
    }
    StatusCode::NO_CONTENT
}

impl Tenant {
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/in", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// The last that was said of each permit: the kind of message, and the notes.
    fn newest(&self) -> BTreeMap<String, (String, String)> {
        let mut numbers: BTreeMap<String, String> = BTreeMap::new();
        let mut newest = BTreeMap::new();
        for message in &self.0.lock().unwrap().told {
            let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
            let (record, data) = (text(&message["record"]), &message["data"]);
            if let Some(number) = data["number"].as_str() {
                numbers.insert(record.clone(), number.to_owned());
            }
            newest.insert(numbers[&record].clone(), (text(&message["type"]), text(&data["notes"])));
        }
        newest
    }

    fn refuse(&self, status: Option<u16>) {
        self.0.lock().unwrap().refuses = status;
    }

    fn came(&self) -> usize {
        self.0.lock().unwrap().came
    }
}

async fn start(clerk: &Double, tenant_url: &str, data: &Path, name: &str) -> Running {
    let yaml = format!(
        "sync: Told
data_dir: {data}
management: 127.0.0.1:0
sides:
  clerk: {{ connector: http, url: '{clerk}', authenticator: {{ type: bearer, api_token: demo }} }}
  {name}: {{ connector: subscriber, url: '{tenant_url}', secret: {SECRET}, retry: {{ initial: 20ms, max: 100ms }} }}
collections:
  permit:
    identity: [number]
    sides:
      clerk:
        read: {{ path: /permits, record_selector: {{ field_path: [items] }}, poll_interval: 100ms, full_interval: 300ms,
                 paginator: {{ type: offset, page_size: 200 }} }}
        fetch: {{ path: '/permits/{{{{ id }}}}' }}
      {name}: {{}}
    fields:
      number: {{ type: string, clerk: {{ path: permit_no, direction: from_side }}, {name}: number }}
      notes: {{ type: text, clerk: {{ path: notes, direction: from_side }}, {name}: notes }}
",
        data = data.display(),
        clerk = clerk.url(),
    );
    Sync::from_yaml(&yaml, &|_| None).await.expect("the sync starts")
}

/// Waits until what the tenant was told last is what the clerk has.
async fn in_step(what: &str, clerk: &Double, tenant: &Tenant) {
    until(what, 20, || async {
        let told = tenant.newest();
        let there = |(_, (kind, _)): &(&String, &(String, String))| kind != "permit.deleted";
        let told: BTreeMap<_, _> =
            told.iter().filter(there).map(|(number, (_, notes))| (number.clone(), notes.clone())).collect();
        let text = |record: &Json, key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let records = clerk.records();
        let have = records.iter().map(|record| (text(record, "permit_no"), text(record, "notes"))).collect();
        (told == have).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_is_told_of_everything_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (clerk, tenant) = (Double::clerk().await.unwrap(), Tenant::default());
    clerk.seed_records(1, 20);
    let url = tenant.serve().await;
    let sync = start(&clerk, &url, folder.path(), "tenant").await;
    in_step("all are told", &clerk, &tenant).await;
    assert!(tenant.newest().values().all(|(kind, _)| kind == "permit.created"));
    clerk.update("7", &json!({ "notes": "first" })).unwrap();
    clerk.delete("8").unwrap();
    in_step("an edit and a delete are told", &clerk, &tenant).await;
    assert_eq!(tenant.newest()["P-000008"].0, "permit.deleted");

    // Away, and back on another process of ours.
    tenant.refuse(Some(503));
    clerk.update("7", &json!({ "notes": "second" })).unwrap();
    let before = tenant.came();
    until("it is tried", 20, || async { (tenant.came() > before).then_some(()) }).await;
    sync.stop().await.unwrap();
    tenant.refuse(None);
    let sync = start(&clerk, &url, folder.path(), "tenant").await;
    in_step("what it missed is told", &clerk, &tenant).await;
    let told = tenant.0.lock().unwrap().told.len();
    assert_eq!(told, 20 + 3, "each change once");
    sync.stop().await.unwrap();

    // The log is played back to whoever comes under a new name.
    let other = Tenant::default();
    let sync = start(&clerk, &other.serve().await, folder.path(), "newcomer").await;
    in_step("a newcomer is told of all there is", &clerk, &other).await;
    assert_eq!(other.0.lock().unwrap().told.len(), 19);
    assert_eq!(tenant.0.lock().unwrap().told.len(), told);
    sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_had_enough_is_left_alone_until_what_is_parked_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let (clerk, tenant) = (Double::clerk().await.unwrap(), Tenant::default());
    clerk.seed_records(1, 5);
    let sync = start(&clerk, &tenant.serve().await, folder.path(), "tenant").await;
    in_step("all are told", &clerk, &tenant).await;
    let before = tenant.came();
    tenant.refuse(Some(410));
    let parked = async |count| {
        until("they are parked", 20, || async {
            let items = sync.desk().parked(&ParkedFilter::default(), None, 500).await.unwrap().items;
            (items.len() == count).then_some(items)
        })
        .await
    };
    clerk.update("1", &json!({ "notes": "one" })).unwrap();
    let items = parked(1).await;
    assert!(format!("{items:?}").contains("wants no more webhooks"), "{items:?}");
    for id in ["2", "3"] {
        clerk.update(id, &json!({ "notes": "more" })).unwrap();
    }
    parked(3).await;
    assert_eq!(tenant.came(), before + 1, "nothing was sent after the first");
    tenant.refuse(None);
    let filter = ParkedFilter { side: Some("tenant".to_owned()), ..ParkedFilter::default() };
    sync.desk().release(&filter, Released::Replay).await.unwrap();
    in_step("all is told now", &clerk, &tenant).await;
    sync.stop().await.unwrap();
}
