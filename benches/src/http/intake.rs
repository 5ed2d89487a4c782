//! Webhooks coming in: ours, which checks each signature, reads the record and has it
//! on the disk before it says 200, beside a bare axum handler that keeps nothing.
//!
//! The sync under test has nobody to pass the records on to: intake alone is measured.

use super::client::send;
use super::feed::itself;
use super::folder;
use crate::sync::{Count, Sync};
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
use tempfile::TempDir;
use tokio::process::Child;

/// Senders at once.
const CONNECTIONS: usize = 64;
/// Records that the webhooks tell of.
const RECORDS: usize = 5_000;
/// As in the configuration below.
const SECRET: &str = "whsec_aW50YWtlLWJlbmNoLXNlY3JldC1vZi0zMi1ieXRlcyE=";
const PATH: &str = "/hooks/clerk";

/// The word by which the bench starts itself as the bare handler.
pub const BARE: &str = "bare-server";

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
    let taken = sync.count(&folder.path().join("data"), Count::Webhooks).await?;
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

/// A sync that takes webhooks in and has nobody to tell.
fn start(folder: &TempDir, port: u16) -> anyhow::Result<Sync> {
    let data = folder.path().join("data");
    let data = data.to_str().context("the folder's name is no text")?;
    let hook = format!("webhook: {{ path: {PATH}, secret: {SECRET} }}");
    let config = folder.path().join("intake.yaml");
    std::fs::write(&config, super::alone(data, port, "http://127.0.0.1:9", &hook))?;
    Sync::start(&config, &folder.path().join("log"), format!("http://127.0.0.1:{port}"), &[])
}

/// The bare handler, in a process of its own as ours is.
struct Bare {
    address: String,
    _child: Child,
}

impl Bare {
    async fn start() -> anyhow::Result<Self> {
        let (address, child) = itself(BARE).await?;
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
