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
use hms_sync_management::{ParkedFilter, Subscribe, TellAgain};
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
    /// The same with its id, also what came before.
    all: Vec<(String, Json)>,
    /// Requests, whatever was answered.
    came: usize,
    /// The answer while it takes nothing.
    refuses: Option<u16>,
    /// Whether it takes what comes, and is long in saying so.
    dawdles: bool,
}

async fn take(State(tenant): State<Tenant>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = tenant.note(&headers, &body);
    until("it may answer", 20, || async { (!tenant.0.lock().unwrap().dawdles).then_some(()) }).await;
    status
}

impl Tenant {
    /// Takes a message, or not; the answer to it.
    fn note(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let mut taken = self.0.lock().unwrap();
        taken.came += 1;
        if Webhook::new(SECRET).unwrap().verify(body, headers).is_err() {
            return StatusCode::UNAUTHORIZED;
        }
        if let Some(status) = taken.refuses {
            return StatusCode::from_u16(status).unwrap();
        }
        let (id, message): (_, Json) =
            (headers["webhook-id"].to_str().unwrap(), serde_json::from_slice(body).unwrap());
        taken.all.push((id.to_owned(), message.clone()));
        if taken.ids.insert(id.to_owned()) {
            taken.told.push(message);
        }
        StatusCode::NO_CONTENT
    }

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

    fn all(&self) -> Vec<(String, Json)> {
        self.0.lock().unwrap().all.clone()
    }

    /// It loses all that it has.
    fn forget(&self) {
        *self.0.lock().unwrap() = Taken::default();
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
  {name}: {{ connector: subscriber, url: '{tenant_url}', secret: {SECRET}, max_concurrency: 1,
    retry: {{ initial: 20ms, max: 100ms }} }}
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

/// What is asked for, since a time or after an event.
fn again(since: Option<&str>, after: Option<&str>) -> TellAgain {
    let text = |text: Option<&str>| text.map(str::to_owned);
    TellAgain { side: "tenant".to_owned(), since: text(since), after: text(after) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_subscriber_took_is_told_again_in_order_under_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let (clerk, tenant) = (Double::clerk().await.unwrap(), Tenant::default());
    clerk.seed_records(1, 12);
    let sync = start(&clerk, &tenant.serve().await, folder.path(), "tenant").await;
    in_step("all are told", &clerk, &tenant).await;
    for notes in ["first", "second"] {
        clerk.update("3", &json!({ "notes": notes })).unwrap();
        in_step("an edit is told", &clerk, &tenant).await;
    }
    clerk.delete("4").unwrap();
    in_step("a delete is told", &clerk, &tenant).await;
    let before = tenant.all();
    assert_eq!(before.len(), 15);

    // It has lost all, is away for a moment in the middle, and something new comes meanwhile.
    tenant.forget();
    tenant.refuse(Some(503));
    sync.desk().tell_again(&again(Some("1 h ago"), None)).await.unwrap();
    until("it is tried", 20, || async { (tenant.came() > 0).then_some(()) }).await;
    let twice = sync.desk().tell_again(&again(Some("1 h ago"), None)).await.unwrap_err().to_string();
    assert!(twice.contains("already"), "{twice}");
    clerk.update("5", &json!({ "notes": "new" })).unwrap();
    until("the new one is known", 20, || async {
        (sync.desk().status().await.unwrap().status.pending > 0).then_some(())
    })
    .await;
    tenant.refuse(None);
    in_step("all is told again, and what is new", &clerk, &tenant).await;
    let after = tenant.all();
    assert_eq!(after[..15], before, "the same messages in the same order");
    assert_eq!(
        (after.len(), after[15].1["data"]["notes"].as_str()),
        (16, Some("new")),
        "and then the new one"
    );
    let status = sync.desk().status().await.unwrap().status;
    let side = status.sides.iter().find(|of| of.side == "tenant").unwrap();
    let replay = side.replay.as_ref().unwrap();
    assert_eq!((replay.told, replay.left_out, replay.ended.as_deref()), (15, 0, Some("all is told")));

    // From a message on that it still has: by the id that the message had.
    let known = &before[12].0;
    sync.desk().tell_again(&again(None, Some(known))).await.unwrap();
    until("the rest is told again", 20, || async { (tenant.all().len() >= 16 + 4).then_some(()) }).await;
    assert_eq!(tenant.all()[16..], after[12..], "that one and all after it");
    for (asked, said) in [
        (again(None, None), "either a time"),
        (again(None, Some("ffffffffffff")), "no event of the log"),
        (TellAgain { side: "clerk".to_owned(), ..again(Some("1 h ago"), None) }, "no subscriber"),
    ] {
        let why = sync.desk().tell_again(&asked).await.unwrap_err().to_string();
        assert!(why.contains(said), "{why}");
    }
    sync.stop().await.unwrap();
}

/// What it took, and lost before it said so, is no less told again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_when_it_was_asked_for_is_told_again_too() {
    let folder = tempfile::tempdir().unwrap();
    let (clerk, tenant) = (Double::clerk().await.unwrap(), Tenant::default());
    clerk.seed_records(1, 3);
    let sync = start(&clerk, &tenant.serve().await, folder.path(), "tenant").await;
    in_step("all are told", &clerk, &tenant).await;
    tenant.0.lock().unwrap().dawdles = true;
    clerk.delete("2").unwrap();
    in_step("a delete is told", &clerk, &tenant).await;
    let before = tenant.all();
    sync.desk().tell_again(&again(Some("1 h ago"), None)).await.unwrap();
    tenant.forget();
    until("all is told again", 20, || async { (tenant.all().len() >= 4).then_some(()) }).await;
    assert_eq!(tenant.all(), before, "the delete too");
    sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_unsubscribed_is_told_nothing_until_it_is_subscribed_again() {
    let folder = tempfile::tempdir().unwrap();
    let (clerk, tenant) = (Double::clerk().await.unwrap(), Tenant::default());
    clerk.seed_records(1, 5);
    let url = tenant.serve().await;
    let sync = start(&clerk, &url, folder.path(), "tenant").await;
    in_step("all are told", &clerk, &tenant).await;
    let ask = || Subscribe { side: "tenant".to_owned(), by: "Kim".to_owned(), reason: "file 12".to_owned() };
    sync.desk().subscribe(&ask(), false).await.unwrap();
    assert!(sync.desk().tell_again(&again(Some("1 h ago"), None)).await.is_err());
    let before = tenant.came();
    for notes in ["one", "two"] {
        clerk.update("1", &json!({ "notes": notes })).unwrap();
        until("it is taken in", 20, || async {
            let record = sync.desk().record("permit/P-000001").await.unwrap();
            record.fields.iter().any(|field| field.value == notes).then_some(())
        })
        .await;
    }
    sync.stop().await.unwrap();
    let sync = start(&clerk, &url, folder.path(), "tenant").await;
    clerk.update("2", &json!({ "notes": "three" })).unwrap();
    until("it is taken in after a restart", 20, || async {
        let record = sync.desk().record("permit/P-000002").await.unwrap();
        record.fields.iter().any(|field| field.value == "three").then_some(())
    })
    .await;
    let status = sync.desk().status().await.unwrap().status;
    let side = status.sides.iter().find(|of| of.side == "tenant").unwrap();
    assert_eq!(side.unsubscribed.as_deref(), Some("Kim unsubscribed it: file 12"));
    assert_eq!(tenant.came(), before, "nothing was sent");
    sync.desk().subscribe(&ask(), true).await.unwrap();
    in_step("it is told how everything stands", &clerk, &tenant).await;
    assert_eq!(tenant.came(), before + 2, "the newest of each, once");
    sync.stop().await.unwrap();
}
