//! Webhooks coming in: ours, which checks each signature, reads the record and has it
//! on the disk before it says 200, beside a bare axum handler that keeps nothing.
//!
//! The sync under test has nobody to pass the records on to: intake alone is measured.

use super::client::send;
use crate::sync::Sync;
use crate::{median, rate};
use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::json;
use standardwebhooks::Webhook;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Senders at once.
const CONNECTIONS: usize = 64;
/// Records that the webhooks tell of.
const RECORDS: usize = 5_000;
/// As in the configuration below.
const SECRET: &str = "whsec_aW50YWtlLWJlbmNoLXNlY3JldC1vZi0zMi1ieXRlcyE=";
const PATH: &str = "/hooks/clerk";

/// Webhooks a second, in each round.
#[derive(Debug, Default)]
pub struct Intake {
    /// Of ours.
    pub ours: Vec<f64>,
    /// Of the bare handler.
    pub bare: Vec<f64>,
}

impl Intake {
    /// How fast ours is beside the bare handler.
    pub fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.bare)
    }
}

/// Measures `rounds` rounds of `messages` webhooks each; the two take turns.
pub async fn intake(messages: usize, rounds: usize) -> anyhow::Result<Intake> {
    let bare = Bare::start().await?;
    let folder = folder()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut sync = start(&folder, port)?;
    sync.ready().await?;
    let mut all = Intake::default();
    // The first round warms both up and does not count.
    for round in 0..=rounds {
        let ours = time(&format!("127.0.0.1:{port}"), round * messages, messages).await?;
        let theirs = time(&bare.address, round * messages, messages).await?;
        if round > 0 {
            all.ours.push(ours);
            all.bare.push(theirs);
        }
    }
    kept(&sync, &folder, (rounds + 1) * messages).await?;
    sync.stop().await?;
    Ok(all)
}

async fn time(address: &str, first: usize, messages: usize) -> anyhow::Result<f64> {
    let requests = requests(address, first, messages)?;
    let began = crate::now();
    send(address, requests, CONNECTIONS).await?;
    Ok(rate(messages, began, crate::now()))
}

/// Every webhook must have been taken in once: else the figure is none.
async fn kept(sync: &Sync, folder: &TempDir, messages: usize) -> anyhow::Result<()> {
    let taken = sync.taken_in(&folder.path().join("data")).await?;
    anyhow::ensure!(taken == messages, "{taken} of {messages} webhooks were taken in");
    Ok(())
}

/// Signed webhooks, each a change of one of the records.
fn requests(address: &str, first: usize, messages: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let signer = Webhook::new(SECRET)?;
    let at = chrono::Utc::now().timestamp();
    let one = |n: usize| -> anyhow::Result<Vec<u8>> {
        let record = n % RECORDS;
        let data = json!({
            "id": record, "permit_no": format!("P-{record}"), "location": { "address": "1 Main Street" },
            "applicant": "Jo Park", "status": "approved", "fee": "120.50", "notes": format!("note {n}"),
        });
        let body = json!({ "type": "permit.updated", "timestamp": "2026-11-26T00:00:00Z", "data": data });
        let body = serde_json::to_vec(&body)?;
        let id = format!("msg_{n}");
        let signature = signer.sign(&id, at, &body)?;
        let mut request = Vec::with_capacity(body.len() + 384);
        write!(
            request,
            "POST {PATH} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             webhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )?;
        request.extend_from_slice(&body);
        Ok(request)
    };
    (first..first + messages).map(one).collect()
}

/// A folder on the disk that the build is on: `/tmp` is memory on many machines.
fn folder() -> anyhow::Result<TempDir> {
    let program = std::env::current_exe()?;
    let beside = program.parent().context("the bench is nowhere")?;
    Ok(tempfile::Builder::new().prefix("hms-sync-bench-").tempdir_in(beside)?)
}

/// A sync that takes webhooks in and has nobody to tell.
fn start(folder: &TempDir, port: u16) -> anyhow::Result<Sync> {
    let data = folder.path().join("data");
    let data = data.to_str().context("the folder's name is no text")?;
    let field = |name: &str, of: &str, path: &str| {
        format!("      {name}: {{ type: {of}, clerk: {{ path: {path}, direction: from_side }} }}\n")
    };
    let fields: String = [
        ("address", "text", "location.address"),
        ("applicant", "text", "applicant"),
        ("status", "string", "status"),
        ("fee", "decimal", "fee"),
        ("notes", "text", "notes"),
    ]
    .map(|(name, of, path)| field(name, of, path))
    .concat();
    let lookup = "lookup: { path: /permits, request_parameters: { no: \"{{ identity.no }}\" } }";
    let yaml = format!(
        "sync: Intake\ndata_dir: {data}\nmanagement: 127.0.0.1:{port}\n\
         sides:\n  clerk: {{ connector: http, url: \"http://127.0.0.1:9\" }}\n  \
         none: {{ connector: http, url: \"http://127.0.0.1:9\" }}\n\
         collections:\n  permit:\n    identity: [no]\n    sides:\n      \
         clerk: {{ webhook: {{ path: {PATH}, secret: {SECRET} }}, {lookup} }}\n      none: {{ {lookup} }}\n    \
         fields:\n      no: {{ type: string, clerk: {{ path: permit_no, direction: from_side }}, \
         none: {{ path: no, direction: from_side }} }}\n{fields}"
    );
    let config = folder.path().join("intake.yaml");
    std::fs::write(&config, yaml)?;
    Sync::start(&config, &folder.path().join("log"), format!("http://127.0.0.1:{port}"), &[])
}

/// The bare handler, in a process of its own as ours is.
struct Bare {
    address: String,
    _child: Child,
}

impl Bare {
    async fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bare-server")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().context("the bare server cannot be heard")?;
        let address = BufReader::new(out).lines().next_line().await?.context("the bare server ended")?;
        Ok(Self { address, _child: child })
    }
}

/// What that process is: says where it listens, then answers 200 to whatever comes.
pub async fn bare_server() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say(&listener.local_addr()?.to_string())?;
    let handler = post(|body: Bytes| async move {
        if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    });
    Ok(axum::serve(listener, Router::new().route(PATH, handler)).await?)
}
