//! A bare proxy: takes the clerk's webhook and sends the change on to the
//! marshal at once. It checks nothing, keeps nothing and retries nothing.

use crate::double::{Double, Kind, authorised};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use reqwest::Client;
use serde_json::{Value as Json, json};
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running proxy. It ends with this.
#[derive(Debug)]
pub struct Proxy {
    /// Where webhooks go.
    pub url: String,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Target {
    client: Client,
    marshal: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Starts one that knows permit `n` as inspection `INS-n`.
    pub async fn start(marshal: &Double) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().tcp_nodelay(true).build()?;
        let target = Target { client, marshal: marshal.collection() };
        let router = Router::new().route("/", post(forward)).with_state(target);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let server = tokio::spawn(async move {
            // It is ended from outside; a write that does not come is noticed where it is waited for.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url, server })
    }
}

async fn forward(State(target): State<Target>, body: Bytes) -> StatusCode {
    let Ok(message) = serde_json::from_slice::<Json>(&body) else { return StatusCode::BAD_REQUEST };
    let Some(id) = message.pointer("/data/id").and_then(Json::as_u64) else { return StatusCode::BAD_REQUEST };
    let patch = json!({ "remarks": message.pointer("/data/notes") });
    let request = target.client.patch(format!("{}/INS-{id}", target.marshal)).json(&patch);
    match authorised(Kind::Marshal, request).send().await {
        Ok(answer) if answer.status().is_success() => StatusCode::OK,
        Ok(_) | Err(_) => StatusCode::BAD_GATEWAY,
    }
}
