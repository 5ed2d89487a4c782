//! A PocketBase of our own: a child on a free loopback port, its data in a
//! temporary folder, both gone with the handle.

use crate::program::{free_port, server};
use crate::wait::until;
use reqwest::{Client, Method};
use serde_json::{Value as Json, json};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

const USER: &str = "sync@example.org";

/// A running PocketBase, with its superuser's token.
#[derive(Debug)]
pub struct PocketBase {
    url: String,
    token: String,
    http: Client,
    _server: Child,
    _folder: TempDir,
}

impl PocketBase {
    /// Starts one that is empty.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // PocketBase also writes beside its data (`pb_migrations`), and reads that at its start.
        let data = folder.path().join("data");
        // Its own, so that no other instance can be taken for this one.
        let password = format!("{:032x}", fastrand::u128(..));
        let made = Command::new(server("pocketbase"))
            .args(["superuser", "upsert", USER, &password, "--dir"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .await
            .expect("PocketBase can be started");
        assert!(made.success(), "the superuser cannot be made");
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let server = Command::new(server("pocketbase"))
            .args(["serve", "--http", &address, "--dir"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("PocketBase can be started");
        let http = Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://{address}");
        let login = format!("{url}/api/collections/_superusers/auth-with-password");
        let token = until("PocketBase lets the superuser in", 30, || async {
            let who = json!({ "identity": USER, "password": password });
            let answer: Json = http.post(&login).json(&who).send().await.ok()?.json().await.ok()?;
            answer.get("token")?.as_str().map(str::to_owned)
        })
        .await;
        Self { url, token, http, _server: server, _folder: folder }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it lets in.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// One request that must go well.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> Json {
        let mut request =
            self.http.request(method, format!("{}/api/{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("PocketBase answers");
        let (status, text) = (answer.status(), answer.text().await.expect("an answer"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Makes many records in few transactions, so that many have the same time.
    pub async fn load(&self, collection: &str, records: &[Json]) {
        let settings = json!({ "batch": { "enabled": true, "maxRequests": 500, "timeout": 30 } });
        self.ask(Method::PATCH, "settings", Some(&settings)).await;
        let url = format!("/api/collections/{collection}/records");
        for part in records.chunks(500) {
            let requests: Vec<Json> =
                part.iter().map(|body| json!({ "method": "POST", "url": url, "body": body })).collect();
            self.ask(Method::POST, "batch", Some(&json!({ "requests": requests }))).await;
        }
    }

    /// A user makes a record; answers its id.
    pub async fn create(&self, collection: &str, record: &Json) -> String {
        let made = self.ask(Method::POST, &format!("collections/{collection}/records"), Some(record)).await;
        made.get("id").and_then(Json::as_str).expect("an id").to_owned()
    }

    /// A user changes a record.
    pub async fn update(&self, collection: &str, id: &str, patch: &Json) {
        self.ask(Method::PATCH, &format!("collections/{collection}/records/{id}"), Some(patch)).await;
    }

    /// A user deletes a record.
    pub async fn delete(&self, collection: &str, id: &str) {
        self.ask(Method::DELETE, &format!("collections/{collection}/records/{id}"), None).await;
    }

    /// All records there are.
    pub async fn records(&self, collection: &str) -> Vec<Json> {
        let mut all = Vec::new();
        for page in 1.. {
            let path = format!("collections/{collection}/records?perPage=1000&sort=id&page={page}");
            let answer = self.ask(Method::GET, &path, None).await;
            let items = answer.get("items").and_then(Json::as_array).cloned().unwrap_or_default();
            if items.is_empty() {
                break;
            }
            all.extend(items);
        }
        all
    }
}
