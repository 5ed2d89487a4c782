//! A Kinto of our own: a REST server with entity tags, patches and batches, that keeps all
//! in memory. A child on a free loopback port, gone with the handle.

use crate::program::{free_port, server};
use crate::wait::until;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value as Json, json};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Where the records of the collection are.
const RECORDS: &str = "buckets/town/collections/permits/records";

/// A running Kinto with an empty collection `permits` in the bucket `town`.
#[derive(Debug)]
pub struct Kinto {
    url: String,
    http: Client,
    _server: Child,
    folder: TempDir,
}

fn settings(port: u16) -> String {
    format!(
        "[app:main]\nuse = egg:kinto\n\
         kinto.storage_backend = kinto.core.storage.memory\n\
         kinto.permission_backend = kinto.core.permission.memory\n\
         kinto.cache_backend = kinto.core.cache.memory\n\
         kinto.userid_hmac_secret = {:032x}\n\
         multiauth.policies = basicauth\n\
         kinto.bucket_create_principals = system.Authenticated\n\
         kinto.batch_max_requests = 25\n\
         [server:main]\nuse = egg:waitress#main\nhost = 127.0.0.1\nport = {port}\n",
        fastrand::u128(..)
    )
}

impl Kinto {
    /// Starts one.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let file = folder.path().join("kinto.ini");
        std::fs::write(&file, settings(port)).expect("a file for its settings");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log file");
        let server = Command::new(server("kinto"))
            .args(["start", "--ini"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("Kinto can be started");
        let http = Client::builder().no_proxy().build().expect("a client");
        let kinto = Self { url: format!("http://127.0.0.1:{port}/v1"), http, _server: server, folder };
        until("Kinto answers", 60, || async {
            kinto.http.get(format!("{}/", kinto.url)).send().await.ok().map(|_| ())
        })
        .await;
        kinto.ask(Method::PUT, "buckets/town", Some(&json!({}))).await;
        kinto.ask(Method::PUT, "buckets/town/collections/permits", Some(&json!({}))).await;
        kinto
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has written to standard error.
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// One request, and what came of it.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> (StatusCode, HeaderMap, Json) {
        let mut request = self.http.request(method, format!("{}/{path}", self.url));
        request = request.basic_auth("sync", Some("demo"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("Kinto answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, answer.json().await.unwrap_or_default())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> Json {
        let (status, _, answer) = self.try_ask(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// A user changes a record.
    pub async fn update(&self, id: &str, patch: &Json) {
        self.ask(Method::PATCH, &format!("{RECORDS}/{id}"), Some(&json!({ "data": patch }))).await;
    }

    /// A user deletes a record.
    pub async fn delete(&self, id: &str) {
        self.ask(Method::DELETE, &format!("{RECORDS}/{id}"), None).await;
    }

    /// All records there are.
    pub async fn records(&self) -> Vec<Json> {
        let answer = self.ask(Method::GET, RECORDS, None).await;
        answer.get("data").and_then(Json::as_array).cloned().unwrap_or_default()
    }

    /// One of them.
    pub async fn record(&self, id: &str) -> Option<Json> {
        let (status, _, answer) = self.try_ask(Method::GET, &format!("{RECORDS}/{id}"), None).await;
        status.is_success().then(|| answer.get("data").cloned().unwrap_or_default())
    }
}
