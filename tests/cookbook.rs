//! The promise of the cookbook: each recipe loads, carries a change, and leaves
//! both sides equal.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{get, post};
use hms_sync::{Running, Sync};
use hms_sync_doubles::{Double, Hook};
use hms_sync_tests::{root, until};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const SECRET: &str = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";

/// A recipe under way between a clerk and a marshal.
struct Kitchen {
    clerk: Double,
    marshal: Double,
    sync: Running,
    _folder: TempDir,
}

impl Kitchen {
    /// Starts a recipe with so many permits at the clerk; `set` are variables of its own.
    async fn of(recipe: &str, permits: u64, set: &[(&str, &str)], before: impl FnOnce(&Double)) -> Self {
        let path = root().join("docs/examples/cookbook").join(format!("{recipe}.yaml"));
        let yaml = std::fs::read_to_string(path).unwrap();
        let (clerk, marshal) = (Double::clerk().await.unwrap(), Double::marshal().await.unwrap());
        clerk.seed_records(1, permits);
        before(&marshal);
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").display().to_string();
        let (clerk_url, marshal_url) = (clerk.url(), marshal.url());
        let env = move |name: &str| match name {
            "DATA_DIR" => Some(data.clone()),
            "MANAGEMENT" => Some("127.0.0.1:0".to_owned()),
            "CLERK_URL" => Some(clerk_url.clone()),
            "MARSHAL_URL" => Some(marshal_url.clone()),
            "POLL" => Some("50ms".to_owned()),
            "FULL" => Some("1s".to_owned()),
            other => set.iter().find(|(known, _)| *known == other).map(|(_, value)| (*value).to_owned()),
        };
        let sync = Sync::from_yaml(&yaml, &env).await.unwrap();
        Self { clerk, marshal, sync, _folder: folder }
    }

    /// Waits until both hold the same, so many.
    async fn equal(&self, what: &str, many: usize) {
        until(what, 30, || async {
            let (clerk, marshal) = (self.at_clerk(), self.at_marshal());
            (clerk.len() == many && clerk == marshal).then_some(())
        })
        .await;
    }

    fn at_clerk(&self) -> BTreeSet<(String, String, String)> {
        let of = |record: &Json| {
            (text(&record["permit_no"]), text(&record["location"]["address"]), text(&record["notes"]))
        };
        self.clerk.records().iter().map(of).collect()
    }

    fn at_marshal(&self) -> BTreeSet<(String, String, String)> {
        let of =
            |record: &Json| (text(&record["permitId"]), text(&record["address"]), text(&record["remarks"]));
        self.marshal.records().iter().map(of).collect()
    }

    /// The clerk's id of a permit.
    fn id(&self, number: &str) -> String {
        self.clerk.find(number)[0]["id"].to_string()
    }

    /// The marshal's id of a permit.
    fn marshal_id(&self, number: &str) -> String {
        text(&self.marshal.find(number)[0]["id"])
    }

    async fn end(self) {
        assert_eq!((self.clerk.doubled(), self.marshal.doubled()), (0, 0));
        self.sync.stop().await.unwrap();
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_offset() {
    let kitchen = Kitchen::of("bearer-offset", 230, &[], |_| {}).await;
    kitchen.equal("the first load", 230).await;
    kitchen.clerk.update(&kitchen.id("P-000007"), &json!({ "notes": "seen" })).unwrap();
    kitchen.clerk.delete(&kitchen.id("P-000008")).unwrap();
    kitchen.equal("a change and a delete", 229).await;
    let id = kitchen.marshal_id("P-000009");
    kitchen.marshal.update(&id, &json!({ "remarks": "mine" })).unwrap();
    kitchen.equal("what the marshal did is put back", 229).await;
    kitchen.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_sweep() {
    let kitchen = Kitchen::of("webhook-sweep", 20, &[("SWEEP", "1s")], |_| {}).await;
    kitchen.equal("the first load", 20).await;
    let url = format!("{}/hooks/clerk", kitchen.sync.management_url());
    kitchen.clerk.set_hook(Some(&Hook { url, secret: SECRET.to_owned() })).unwrap();
    kitchen.clerk.update(&kitchen.id("P-000007"), &json!({ "notes": "told" })).unwrap();
    kitchen.equal("what a webhook told", 20).await;
    // Nobody tells of this one.
    kitchen.clerk.set_hook(None).unwrap();
    kitchen.clerk.update(&kitchen.id("P-000008"), &json!({ "notes": "not told" })).unwrap();
    kitchen.equal("what the sweep found", 20).await;
    kitchen.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_way_if_match() {
    let kitchen = Kitchen::of("two-way-if-match", 40, &[], |_| {}).await;
    kitchen.equal("the first load", 40).await;
    kitchen.clerk.update(&kitchen.id("P-000007"), &json!({ "notes": "of the clerk" })).unwrap();
    let id = kitchen.marshal_id("P-000007");
    kitchen.marshal.update(&id, &json!({ "address": "of the marshal" })).unwrap();
    until("both edits are on both sides", 30, || async {
        let want = ("P-000007".to_owned(), "of the marshal".to_owned(), "of the clerk".to_owned());
        (kitchen.at_clerk().contains(&want) && kitchen.at_marshal().contains(&want)).then_some(())
    })
    .await;
    kitchen.equal("both hold the same", 40).await;
    kitchen.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limited() {
    let limit = |marshal: &Double| marshal.faults(|faults| faults.rate_limit = Some(100));
    let kitchen = Kitchen::of("rate-limited", 150, &[], limit).await;
    kitchen.equal("the first load, at the marshal's pace", 150).await;
    kitchen.clerk.update(&kitchen.id("P-000007"), &json!({ "notes": "seen" })).unwrap();
    kitchen.equal("a change", 150).await;
    kitchen.end().await;
}

/// How often an export was asked for, and its files.
type Made = (u64, [String; 2]);

/// A register with another face than the doubles have: pages by `Link` header, by
/// cursor, the same by `POST` or for those with a token, and the whole as CSV.
#[derive(Clone, Default)]
struct Register {
    entries: Arc<Mutex<BTreeMap<u64, (String, i64)>>>,
    /// The number of the token that is taken; each that is given is the next.
    token: Arc<AtomicU64>,
    /// Exports, as they were when they were begun, and how often each was asked for.
    exports: Arc<Mutex<BTreeMap<u64, Made>>>,
    /// How many were removed.
    removed: Arc<AtomicU64>,
    url: Arc<Mutex<String>>,
}

impl Register {
    fn put(&self, id: u64, title: &str) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_millis()).unwrap();
        self.entries.lock().unwrap().insert(id, (title.to_owned(), now));
    }

    fn remove(&self, id: u64) {
        self.entries.lock().unwrap().remove(&id);
    }

    fn held(&self) -> BTreeSet<(String, String)> {
        let entries = self.entries.lock().unwrap();
        entries.iter().map(|(id, (title, _))| (format!("N-{id}"), title.clone())).collect()
    }

    /// Starts it; the answer is its URL.
    async fn serve(&self) -> String {
        let app = Router::new()
            .route("/entries", get(linked))
            .route("/pages", get(by_cursor))
            .route("/search", post(sought))
            .route("/offices", get(async || axum::Json(json!([{ "id": 0 }, { "id": 1 }, { "id": 2 }]))))
            .route("/offices/{office}/entries", get(of_office))
            .route("/guarded", get(guarded))
            .route("/token", post(token))
            .route("/entries.csv", get(table))
            .route("/exports", post(begun))
            .route("/exports/{id}", get(state).delete(removed))
            .route("/exports/{id}/{part}", get(part))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        self.url.lock().unwrap().clone_from(&url);
        url
    }
}

type Asked = Query<BTreeMap<String, String>>;

fn entry(id: u64, (title, changed): &(String, i64)) -> Json {
    json!({ "id": id, "number": format!("N-{id}"), "title": title, "changed": changed })
}

async fn linked(State(register): State<Register>, Query(asked): Asked) -> impl IntoResponse {
    let number = |name: &str, default: i64| asked.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (page, size, since) = (number("page", 1), number("per_page", 30), number("since", 0));
    let entries = register.entries.lock().unwrap();
    let fresh: Vec<Json> =
        entries.iter().filter(|(_, (_, changed))| *changed >= since).map(|(id, of)| entry(*id, of)).collect();
    let skip = usize::try_from((page - 1) * size).unwrap();
    let some: Vec<Json> = fresh.iter().skip(skip).take(usize::try_from(size).unwrap()).cloned().collect();
    let next = format!("</entries?page={}&per_page={size}&since={since}>; rel=\"next\"", page + 1);
    let more = fresh.len() > skip + some.len();
    let headers = if more { vec![("link", next)] } else { Vec::new() };
    (AppendHeaders(headers), axum::Json(some))
}

async fn by_cursor(State(register): State<Register>, Query(asked): Asked) -> impl IntoResponse {
    let after: u64 = asked.get("after").and_then(|id| id.parse().ok()).unwrap_or(0);
    let size: usize = asked.get("limit").and_then(|n| n.parse().ok()).unwrap_or(10);
    let entries = register.entries.lock().unwrap();
    let some: Vec<(u64, Json)> =
        entries.range(after + 1..).take(size).map(|(id, of)| (*id, entry(*id, of))).collect();
    let last = some.last().map(|(id, _)| *id).filter(|id| entries.range(id + 1..).next().is_some());
    let data: Vec<Json> = some.into_iter().map(|(_, entry)| entry).collect();
    axum::Json(json!({ "data": data, "meta": { "next": last.map(|id| id.to_string()) } }))
}

/// The same by `POST`: the body says what is sought, after which entry, and how many.
async fn sought(
    State(register): State<Register>,
    axum::Json(asked): axum::Json<Json>,
) -> axum::response::Response {
    let number = |path: &str| asked.pointer(path).map(Json::as_u64);
    let (after, size) = (number("/page/after").unwrap_or(Some(0)), number("/page/size").unwrap_or(Some(10)));
    let (Some(after), Some(size), true) = (after, size, asked["kinds"] == json!(["deed"])) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    let entries = register.entries.lock().unwrap();
    let some: Vec<_> = entries.range(after + 1..).take(usize::try_from(size).unwrap()).collect();
    let next = some.last().map(|(id, _)| **id).filter(|id| entries.range(id + 1..).next().is_some());
    let hit = |(id, (title, _)): &(&u64, &(String, i64))| json!({ "id": id, "series": "N", "serial": id, "title": title });
    axum::Json(json!({ "hits": some.iter().map(hit).collect::<Vec<_>>(), "next": next })).into_response()
}

/// The entries of one of three offices.
async fn of_office(
    State(register): State<Register>,
    Path(office): Path<u64>,
    Query(asked): Asked,
) -> impl IntoResponse {
    let since: i64 = asked.get("since").and_then(|n| n.parse().ok()).unwrap_or(0);
    let entries = register.entries.lock().unwrap();
    let here = entries.iter().filter(|(id, (_, changed))| **id % 3 == office && *changed >= since);
    axum::Json(here.map(|(id, of)| entry(*id, of)).collect::<Vec<_>>())
}

/// The same for those whose token is the newest.
async fn guarded(
    State(register): State<Register>,
    headers: HeaderMap,
    asked: Asked,
) -> axum::response::Response {
    let taken = format!("Bearer t-{}", register.token.load(Ordering::SeqCst));
    if headers.get("authorization").is_none_or(|shown| shown.as_bytes() != taken.as_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    by_cursor(State(register), asked).await.into_response()
}

async fn token(State(register): State<Register>, form: String) -> axum::response::Response {
    let parts: BTreeSet<&str> = form.split('&').collect();
    if !["grant_type=client_credentials", "client_id=sync", "client_secret=demo", "scope=read"]
        .iter()
        .all(|part| parts.contains(part))
    {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let number = register.token.fetch_add(1, Ordering::SeqCst) + 1;
    axum::Json(json!({ "access_token": format!("t-{number}"), "expires_in": 3600 })).into_response()
}

async fn table(State(register): State<Register>) -> impl IntoResponse {
    let entries = register.entries.lock().unwrap();
    let rows: Vec<String> = entries
        .iter()
        .map(|(id, (title, _))| format!("N-{id};\"{}\"\n", title.replace('"', "\"\"")))
        .collect();
    ([("content-type", "text/csv")], format!("number;title\n{}", rows.concat()))
}

/// Begins an export of what there is now, in two files. The third of all fails.
async fn begun(State(register): State<Register>, axum::Json(asked): axum::Json<Json>) -> impl IntoResponse {
    assert_eq!(asked, json!({ "of": "entries", "format": "csv" }));
    let entries = register.entries.lock().unwrap();
    let row =
        |(id, (title, _)): (&u64, &(String, i64))| format!("N-{id};\"{}\"\n", title.replace('"', "\"\""));
    let rows: Vec<String> = entries.iter().map(row).collect();
    let files = [0, 1].map(|half| {
        let rows: String = rows.iter().skip(half).step_by(2).cloned().collect();
        format!("number;title\n{rows}")
    });
    let mut exports = register.exports.lock().unwrap();
    let id = exports.keys().last().map_or(1, |last| last + 1);
    exports.insert(id, (0, files));
    axum::Json(json!({ "id": id }))
}

/// The state of an export: done once it was asked for twice.
async fn state(State(register): State<Register>, Path(id): Path<u64>) -> impl IntoResponse {
    let mut exports = register.exports.lock().unwrap();
    let Some((asked, _)) = exports.get_mut(&id) else { return StatusCode::NOT_FOUND.into_response() };
    *asked += 1;
    let state = match *asked {
        _ if id == 3 => "failed",
        1 => "queued",
        2 => "running",
        _ => "done",
    };
    let url = register.url.lock().unwrap().clone();
    let file = |n: u64| json!({ "url": format!("{url}/exports/{id}/{n}.csv") });
    axum::Json(json!({ "status": state, "files": [file(0), file(1)] })).into_response()
}

async fn removed(State(register): State<Register>, Path(id): Path<u64>) -> StatusCode {
    register.exports.lock().unwrap().entry(id).and_modify(|(_, files)| *files = Default::default());
    register.removed.fetch_add(1, Ordering::SeqCst);
    StatusCode::NO_CONTENT
}

async fn part(State(register): State<Register>, Path((id, part)): Path<(u64, String)>) -> impl IntoResponse {
    let exports = register.exports.lock().unwrap();
    let half = usize::from(part.starts_with('1'));
    let file = exports.get(&id).and_then(|(_, files)| files.get(half)).filter(|file| !file.is_empty());
    file.cloned().ok_or(StatusCode::NOT_FOUND)
}

/// Loads from a register, then changes, adds and removes an entry there, and takes
/// its token back. The answer is how many tokens it gave.
async fn from_register(recipe: &str) -> u64 {
    taken_from(&Register::default(), recipe, &[]).await
}

/// The same from this one; `set` are variables of the recipe.
async fn taken_from(register: &Register, recipe: &str, set: &[(&'static str, &'static str)]) -> u64 {
    (1..=120).for_each(|id| register.put(id, &format!("Deed {id}")));
    let url: &'static str = register.serve().await.leak();
    let set = [&[("REGISTER_URL", url)], set].concat().leak();
    let kitchen = Kitchen::of(recipe, 0, set, |_| {}).await;
    let equal = async |what: &str| {
        until(what, 30, || async {
            let of = |record: &Json| (text(&record["permitId"]), text(&record["remarks"]));
            let there: BTreeSet<_> = kitchen.marshal.records().iter().map(of).collect();
            (there == register.held()).then_some(())
        })
        .await;
    };
    equal("the first load").await;
    register.token.fetch_add(1000, Ordering::SeqCst);
    register.put(7, "Deed; \"changed\"");
    register.put(500, "a new one");
    equal("a change and a new one").await;
    register.remove(8);
    equal("a delete").await;
    kitchen.end().await;
    register.token.load(Ordering::SeqCst) - 1000
}

#[tokio::test(flavor = "multi_thread")]
async fn link_header() {
    from_register("link-header").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor() {
    from_register("cursor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search() {
    from_register("search").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_cursor() {
    assert_eq!(from_register("oauth-cursor").await, 2, "one token, and one for that taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn children() {
    from_register("children").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn export() {
    let register = Register::default();
    taken_from(&register, "export", &[("LOOK", "10ms"), ("AGAIN", "50ms")]).await;
    let (begun, removed) = (register.exports.lock().unwrap().len(), register.removed.load(Ordering::SeqCst));
    assert!(begun >= 4 && removed >= 3, "{begun} exports, {removed} removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn csv() {
    from_register("csv").await;
}

#[test]
fn every_recipe_is_on_the_page_and_has_its_test() {
    let folder = std::fs::read_dir(root().join("docs/examples/cookbook")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/cookbook.md")).unwrap();
    let mut recipes = 0;
    for file in folder {
        let name = file.unwrap().file_name().into_string().unwrap();
        let test = format!("async fn {}()", name.trim_end_matches(".yaml").replace('-', "_"));
        assert!(include_str!("cookbook.rs").contains(&test), "{name} has no test");
        assert!(page.contains(&format!("examples/cookbook/{name}")), "{name} is not on the page");
        recipes += 1;
    }
    assert!(recipes >= 8, "{recipes}");
}
