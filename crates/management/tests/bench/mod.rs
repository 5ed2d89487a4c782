//! A server on a real engine, an in-memory log and a connector that answers
//! webhooks and nothing else; and a client that writes requests byte by byte.

use futures_util::future::BoxFuture;
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{
    Abilities, Connector, Content, Delivery, LookupRequest, Observation, Page, RawRequest, RawWebhook,
    ReadError, ReadRequest, WebhookError, WriteRequest,
};
use hms_sync_engine::{CollectionPlan, CollectionSide, Engine, Parts, Plan, Shape, SidePlan};
use hms_sync_management::{Desk, HookRoute, Limits, Options, ServeError, Serving, serve};
use hms_sync_model::{CollectionName, NativeId, Outcome, SideName};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const TOKENLESS: &str = "";

/// Takes webhooks signed `right` and nothing else.
#[derive(Debug)]
struct Fake;

fn away<T: Send + 'static>() -> BoxFuture<'static, Result<T, ReadError>> {
    Box::pin(async { Err(ReadError::Denied { reason: "not here".into() }) })
}

fn never() -> BoxFuture<'static, Outcome> {
    Box::pin(async { Outcome::Rejected { reason: "not here".into() } })
}

impl Connector for Fake {
    fn abilities(&self, _: &CollectionName) -> Abilities {
        Abilities::default()
    }
    fn check(&self, _: &CollectionName) -> BoxFuture<'_, Result<String, ReadError>> {
        away()
    }
    fn read(&self, _: ReadRequest) -> BoxFuture<'_, Result<Page, ReadError>> {
        away()
    }
    fn fetch(&self, _: CollectionName, _: NativeId) -> BoxFuture<'_, Result<Observation, ReadError>> {
        away()
    }
    fn lookup(&self, _: LookupRequest) -> BoxFuture<'_, Result<Vec<Observation>, ReadError>> {
        away()
    }
    fn write(&self, _: WriteRequest) -> BoxFuture<'_, Outcome> {
        never()
    }
    fn send(&self, _: RawRequest) -> BoxFuture<'_, Outcome> {
        never()
    }
    fn handshake(&self, _: &CollectionName, raw: &RawWebhook) -> Option<Result<String, WebhookError>> {
        let text = raw.query.as_deref()?.strip_prefix("asked=")?;
        let times = if text == "much" { 8_000_000 } else { 1 };
        Some(Ok(format!("{text} from {:?};", raw.peer).repeat(times)))
    }
    fn webhook(&self, _: &CollectionName, raw: &RawWebhook) -> Result<Delivery, WebhookError> {
        if raw.headers.get("x-signature").is_none_or(|signature| signature != "right") {
            return Err(WebhookError::Unauthorised);
        }
        let body: Json = serde_json::from_slice(&raw.body)
            .map_err(|why| WebhookError::Malformed { reason: format!("the body is not JSON: {why}") })?;
        let id = NativeId::try_new(body["id"].as_str().unwrap_or("?")).unwrap();
        let record = Observation { id, tag: None, modified: None, content: Content::Whole(body) };
        Ok(Delivery { message: None, records: vec![record], hints: Vec::new() })
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        connections_max: 64,
        connections_per_address_max: 64,
        spares_loopback: true,
        hooks_max: 64,
        hook_bytes_max: 1_000_000,
        body_bytes_max: 4_096,
        head_patience: Duration::from_millis(300),
        body_patience: Duration::from_millis(300),
        write_patience: Duration::from_millis(300),
        answer_patience: Duration::from_secs(10),
        stop_patience: Duration::from_secs(1),
    }
}

pub(crate) struct Bench {
    pub(crate) disk: MemoryDisk,
    pub(crate) engine: Engine,
    pub(crate) serving: Serving,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) struct Answer {
    /// 0 if the connection was closed without an answer.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn plan() -> Plan {
    let (side, collection) =
        (SideName::try_new("clerk").unwrap(), CollectionName::try_new("permit").unwrap());
    let mut plan = Plan::new("Test");
    plan.sides.insert(side.clone(), SidePlan::default());
    let settle_window = Duration::from_secs(1);
    let plain = CollectionSide::new(Abilities::default(), Shape::Document);
    let part = CollectionSide { settle_window, ..plain };
    plan.collections.insert(collection, CollectionPlan::new([(side, part)]));
    plan
}

fn routes(paths: &[&str]) -> Vec<HookRoute> {
    let route = |path: &&str| HookRoute {
        path: (*path).to_owned(),
        side: SideName::try_new("clerk").unwrap(),
        collection: CollectionName::try_new("permit").unwrap(),
        connector: Arc::new(Fake),
    };
    paths.iter().map(route).collect()
}

fn engine(disk: &MemoryDisk) -> Engine {
    let connector: Arc<dyn Connector> = Arc::new(Fake);
    Engine::start(Parts {
        plan: plan(),
        log: Log::on(disk.clone()).unwrap(),
        connectors: [(SideName::try_new("clerk").unwrap(), connector)].into(),
        handlers: std::collections::BTreeMap::default(),
        watcher: None,
        vault: None,
    })
    .unwrap()
}

fn options(engine: &Engine, paths: &[&str], limits: Limits) -> Options {
    Options {
        address: ([127, 0, 0, 1], 0).into(),
        desk: Desk::live(engine.clone()),
        hooks: routes(paths),
        data_dir: None,
        limits,
    }
}

impl Bench {
    pub(crate) async fn start(limits: Limits) -> Self {
        let disk = MemoryDisk::new();
        let engine = engine(&disk);
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&engine, &["/hooks/clerk"], limits);
        options.data_dir = Some(dir.path().to_owned());
        let serving = serve(options).await.unwrap();
        Self { disk, engine, serving, dir }
    }

    pub(crate) async fn with_hooks(paths: &[&str]) -> Result<Serving, ServeError> {
        let engine = engine(&MemoryDisk::new());
        serve(options(&engine, paths, limits())).await
    }

    pub(crate) fn auth(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.serving.access().token)
    }

    pub(crate) async fn hook(&self, body: &str) -> Answer {
        self.ask("POST", "/hooks/clerk", "X-Signature: right\r\n", body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Json {
        let answer = self.ask("GET", path, &self.auth(), "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let host = self.serving.addr();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        self.raw(request.as_bytes()).await
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = tokio::net::TcpStream::connect(self.serving.addr()).await.unwrap();
        // The server may have answered and closed before it has read all.
        let _early = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}
