//! What ours is compared with: a client that does the same requests as fast as
//! it can and keeps nothing, and the loop that one writes first.

use crate::double::{Double, Kind, authorised};
use anyhow::{Context, bail};
use reqwest::Client;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// As in the example's configuration.
const PAGE: usize = 200;

fn client() -> anyhow::Result<Client> {
    let client = Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(30));
    Ok(client.build()?)
}

/// A permit as the marshal wants it.
fn inspection(permit: &Json) -> Json {
    let field = |name: &str| permit.get(name).cloned().unwrap_or_default();
    let state = match permit.get("status").and_then(Json::as_str) {
        Some("approved") => "OK",
        Some("denied") => "NO",
        Some("revoked") => "REVOKED",
        _ => "PENDING",
    };
    json!({
        "permitId": field("permit_no"), "address": permit.pointer("/location/address"), "fee": field("fee"),
        "state": state, "scheduledFor": field("inspection_at"), "inspector": field("inspector"),
        "remarks": field("notes"),
    })
}

async fn page(client: &Client, clerk: &str, offset: usize) -> anyhow::Result<Vec<Json>> {
    let request = client.get(format!("{clerk}?offset={offset}&limit={PAGE}"));
    let answer = authorised(Kind::Clerk, request).send().await?.error_for_status()?;
    let mut page: Json = answer.json().await?;
    match page.get_mut("items").map(Json::take) {
        Some(Json::Array(items)) => Ok(items),
        _ => bail!("the clerk's page has no items"),
    }
}

/// `key` is the request's idempotency key, if it has one.
async fn post(client: &Client, marshal: &str, permit: &Json, key: Option<u128>) -> anyhow::Result<()> {
    let mut request = authorised(Kind::Marshal, client.post(marshal)).json(&inspection(permit));
    if let Some(key) = key {
        request = request.header("Idempotency-Key", format!("{key:032x}"));
    }
    let made: Json = request.send().await?.error_for_status()?.json().await?;
    made.get("id").context("an inspection without id").map(drop)
}

/// Reads pages and posts their records, `in_flight` at a time, reading ahead. The requests
/// are those of the sync, idempotency keys included.
pub async fn bare(clerk: &Double, marshal: &Double, in_flight: usize) -> anyhow::Result<()> {
    let client = client()?;
    let (give, take) = mpsc::channel(in_flight * 8);
    let take = Arc::new(Mutex::new(take));
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (client, take, marshal) = (client.clone(), Arc::clone(&take), marshal.collection());
        tasks.spawn(async move {
            loop {
                let next = take.lock().await.recv().await;
                let Some(permit) = next else { return anyhow::Ok(()) };
                post(&client, &marshal, &permit, Some(fastrand::u128(..))).await?;
            }
        });
    }
    let clerk = clerk.collection();
    tasks.spawn(async move {
        let mut offset = 0;
        loop {
            let records = page(&client, &clerk, offset).await?;
            offset += records.len();
            let ended = records.len() < PAGE;
            for record in records {
                give.send(record).await?;
            }
            if ended {
                return Ok(());
            }
        }
    });
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Reads a page, posts its records one after the other, reads the next.
pub async fn one_by_one(clerk: &Double, marshal: &Double) -> anyhow::Result<()> {
    let client = client()?;
    let (clerk, marshal) = (clerk.collection(), marshal.collection());
    let mut offset = 0;
    loop {
        let records = page(&client, &clerk, offset).await?;
        for record in &records {
            post(&client, &marshal, record, None).await?;
        }
        offset += records.len();
        if records.len() < PAGE {
            return Ok(());
        }
    }
}
