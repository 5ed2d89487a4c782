//! The promise of secrets: whatever kind a secret is of and wherever it comes from, it is
//! in nothing that a run writes, says or answers, as it is or encoded, although the sides
//! quote it back at us. One file is for them: the tokens that replaced configured ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use axum::Router;
use axum::extract::{Path as Segment, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hms_sync_tests::{Needles, Program, until};
use serde_json::{Value as Json, json};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const BEARER: &str = "canary-bearer-1f09c2";
const PASSWORD: &str = "canary password/4b77e1";
const KEY: &str = "canary+key&a93d02";
const HEADER: &str = "canary-header-66d1f0";
const CLIENT: &str = "canary-client-0be7a4";
const REFRESH: &str = "canary-refresh-93ac5d";
const LOGIN: &str = "canary-login-7ce2b8";
const SIGNER: &str = "canary-signer-c10f3e";
const HOOK: &str = "Y2FuYXJ5LWhvb2stOTFiM2Y2LWRlZXA=";

/// Sides by how they are shown who we are.
const SIDES: [&str; 7] = ["bearer", "basic", "keyed", "headed", "granted", "session", "signed"];

/// What the servers hold and heard.
#[derive(Default)]
struct Memory {
    records: std::collections::BTreeMap<String, Vec<Json>>,
    /// All that came with requests, in words.
    heard: String,
    tokens: Vec<String>,
}

type Shared = Arc<Mutex<Memory>>;

/// Keeps what it is given, but says no to one record, and quotes all that it heard.
async fn records(State(memory): State<Shared>, Segment(side): Segment<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let mut memory = memory.lock().unwrap();
    let mut quoted = parts.uri.to_string();
    for (name, value) in &parts.headers {
        write!(quoted, " {name}: {}", value.to_str().unwrap()).unwrap();
    }
    memory.heard.push_str(&quoted);
    let there = memory.records.entry(side).or_default();
    if parts.method == "GET" {
        return axum::Json(json!({ "items": there })).into_response();
    }
    let mut record: Json = serde_json::from_slice(&body).unwrap();
    if record["no"] == "P-13" {
        return (StatusCode::UNPROCESSABLE_ENTITY, quoted).into_response();
    }
    record["id"] = json!(there.len() + 1);
    there.push(record.clone());
    (StatusCode::CREATED, axum::Json(record)).into_response()
}

async fn token(State(memory): State<Shared>, body: String) -> axum::Json<Json> {
    let mut memory = memory.lock().unwrap();
    memory.heard.push_str(&body);
    let n = memory.tokens.len();
    let (access, refresh) = (format!("canary-access-{n}-d4e5f6"), format!("canary-next-{n}-a1b2c3"));
    memory.tokens.extend([access.clone(), refresh.clone()]);
    axum::Json(json!({ "access_token": access, "refresh_token": refresh, "expires_in": 1 }))
}

async fn login(State(memory): State<Shared>, body: String) -> axum::Json<Json> {
    let mut memory = memory.lock().unwrap();
    memory.heard.push_str(&body);
    let session = format!("canary-session-{}-b7c8d9", memory.tokens.len());
    memory.tokens.push(session.clone());
    axum::Json(json!({ "token": session }))
}

fn authenticator(side: &str, url: &str, folder: &Path) -> String {
    let file = folder.join("client-secret");
    match side {
        "bearer" => "{ type: bearer, api_token: \"${BEARER}\" }".into(),
        "basic" => "{ type: basic, username: sync, password: \"${PASSWORD}\" }".into(),
        "keyed" => "{ type: api_key, api_key: \"${KEY}\", name: key, location: query }".into(),
        "granted" => format!(
            "{{ type: oauth, token_refresh_endpoint: \"{url}/token\", client_id: us, \
             client_secret: {{ file: \"{}\" }}, refresh_token: {{ command: [printenv, REFRESH] }} }}",
            file.display()
        ),
        "session" => format!(
            "{{ type: session_token, login_requester: {{ url: \"{url}/login\", request_body: \
             {{ password: \"${{LOGIN}}\" }} }}, session_token_path: token, \
             request_authentication: {{ type: api_key, inject_into: {{ inject_into: cookie, field_name: sid }} }} }}"
        ),
        "signed" => "{ type: jwt, algorithm: HS256, secret_key: \"${SIGNER}\" }".into(),
        _ => "{ type: none }".into(),
    }
}

/// A sync of all sides, each with a secret of another kind.
fn config(url: &str, folder: &Path) -> String {
    let mut yaml = "sync: Canary\ndata_dir: ${DATA_DIR}\nmanagement: ${MANAGEMENT}\nsides:\n".to_owned();
    for side in SIDES {
        let headers = if side == "headed" { ", request_headers: { X-Api-Key: \"${HEADER}\" }" } else { "" };
        let authenticator = authenticator(side, url, folder);
        writeln!(
            yaml,
            "  {side}: {{ connector: http, url: \"{url}/{side}\", authenticator: {authenticator}{headers} }}"
        )
        .unwrap();
    }
    yaml.push_str("collections:\n  permit:\n    identity: [no]\n    sides:\n");
    for side in SIDES {
        let hook =
            if side == "bearer" { ", webhook: { path: /hooks/x, secret: \"whsec_${HOOK}\" }" } else { "" };
        writeln!(
            yaml,
            "      {side}: {{ accept_lost_updates: true, read: {{ path: /p, poll_interval: 200ms }}, create: \
             {{ method: POST, path: /p }}, update: {{ method: PUT, path: \"/p/{{{{ id }}}}\" }}{hook} }}"
        )
        .unwrap();
    }
    yaml.push_str("    fields:\n");
    for field in ["no", "notes"] {
        let places: String =
            SIDES.iter().fold(String::new(), |all, side| all + &format!(", {side}: {field}"));
        writeln!(yaml, "      {field}: {{ type: string{places} }}").unwrap();
    }
    yaml
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

/// Sides that take each kind of secret, and what they were shown.
async fn sides() -> (Shared, String) {
    let memory = Shared::default();
    for n in 1..=20 {
        let record = json!({ "id": n, "no": format!("P-{n}"), "notes": "x" });
        memory.lock().unwrap().records.entry("bearer".into()).or_default().push(record);
    }
    let router = Router::new()
        .route("/token", post(token))
        .route("/login", post(login))
        .route("/{side}/p", get(records).post(records))
        .with_state(Arc::clone(&memory));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (memory, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_anything_that_a_run_writes_or_says() {
    let (memory, url) = sides().await;
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("client-secret"), format!("{CLIENT}\n")).unwrap();
    let file = folder.path().join("sync.yaml");
    std::fs::write(&file, config(&url, folder.path())).unwrap();
    let env = [
        ("BEARER", BEARER),
        ("PASSWORD", PASSWORD),
        ("KEY", KEY),
        ("HEADER", HEADER),
        ("LOGIN", LOGIN),
        ("SIGNER", SIGNER),
        ("HOOK", HOOK),
        ("REFRESH", REFRESH),
        ("HMS_SYNC_SECRET_COMMANDS", "allow"),
    ];
    let mut program = Program::new(file.to_str().unwrap(), &env);
    let mut said = program.ask_text(&["check", "FILE"]).await;
    program.start_telling(&["--events", "--verbose"]);
    until("all sides have what they take", 60, || async {
        let memory = memory.lock().unwrap();
        SIDES
            .iter()
            .all(|side| memory.records.get(*side).is_some_and(|there| there.len() >= 19))
            .then_some(())
    })
    .await;
    let parked = until("what is refused is parked", 60, || async {
        let parked = program.ask_text(&["parked", "FILE", "list", "--json"]).await;
        SIDES.iter().skip(1).all(|side| parked.contains(&format!("\"{side}\""))).then_some(parked)
    })
    .await;
    assert!(parked.contains("(secret)"), "they were quoted, and masked: {parked}");
    said.push_str(&parked);
    for words in
        [&["status", "FILE", "--json"][..], &["explain", "FILE", "permit/P-13"], &["audit", "FILE", "verify"]]
    {
        said.push_str(&program.ask_text(words).await);
    }
    let export = folder.path().join("export.jsonl");
    program.ask_text(&["audit", "FILE", "export", "--out", export.to_str().unwrap()]).await;
    program.stop().await;
    said.push_str(&program.told());
    let memory = memory.lock().unwrap();
    // They were all used: what is looked for was there to be found.
    for shown in [BEARER, HEADER, CLIENT, REFRESH, LOGIN, "key=canary%2Bkey%26a93d02"] {
        assert!(memory.heard.contains(shown), "{shown} was not used");
    }
    assert!(memory.tokens.len() >= 4, "{:?}", memory.tokens);
    let mut needles = Needles::new();
    let fixed = [BEARER, PASSWORD, KEY, HEADER, CLIENT, REFRESH, LOGIN, SIGNER, HOOK];
    fixed
        .iter()
        .copied()
        .chain(memory.tokens.iter().map(String::as_str))
        .for_each(|text| needles.add_text(text));
    needles.add(b"canary-hook-91b3f6", "the key of the webhook");
    let mut all = vec![export, program.events()];
    files(&program.data(), &mut all);
    let (kept, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|path| path.parent().unwrap().ends_with("tokens"));
    for path in others {
        let found = needles.found_in(&std::fs::read(&path).unwrap());
        assert!(found.is_empty(), "{} holds {found:?}", path.display());
    }
    assert_eq!(needles.found_in(said.as_bytes()), Vec::<String>::new(), "{said}");
    // The one place for them is for nobody else.
    assert!(kept.iter().any(|path| !needles.found_in(&std::fs::read(path).unwrap()).is_empty()), "{kept:?}");
    for path in kept {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}
