//! A collection read from its first page to its last: how fast, beside dlt's source for REST
//! APIs, and how much memory a million records leave behind.
//!
//! Ours is the `hms-sync` binary, and what counts is what is in its change log on the disk. It
//! has nobody to pass the records on to.

use super::feed::Feed;
use super::peer::{self, Peer};
use crate::sync::Sync;
use crate::{rate, seconds};
use anyhow::Context;
use serde_json::Value as Json;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;
use tempfile::TempDir;

/// Records in a page.
const PAGE: usize = 1_000;
/// Between two looks at how far it has come.
const LOOK: Duration = Duration::from_millis(10);
/// No run takes longer.
const PATIENCE: Duration = Duration::from_mins(3);

/// Records a second, each in one run.
#[derive(Debug)]
pub struct Race {
    /// Ours: from the start of the process to the last record in the log.
    pub ours: f64,
    /// The same, all read again where nothing has changed, to the end of the listing.
    pub again: f64,
    /// Our connector alone: the pages read and taken apart to records, and nothing kept.
    pub source: f64,
    /// dlt.
    pub dlt: Peer,
}

/// Reads `records` records with both.
pub async fn race(records: usize) -> anyhow::Result<Race> {
    let feed = Feed::start().await?;
    let folder = super::folder()?;
    let dlt = peer::dlt(&feed, records, PAGE, folder.path()).await?;
    let source = super::page::source(&feed, records, PAGE).await?;
    let mut reading = Reading::start(&feed, records, folder)?;
    let first = reading.until(records).await?;
    let listed = reading.listing_after(None).await?;
    reading.ask_all_again().await?;
    let asked = crate::now();
    reading.listing_after(Some(&listed)).await?;
    let again = rate(records, asked, crate::now());
    let race = Race { ours: rate(records, reading.began, first), again, source, dlt };
    reading.sync.stop().await?;
    Ok(race)
}

/// Memory of the process, in MiB.
#[derive(Debug)]
pub struct Memory {
    /// Once a tenth of the records was read: by then everything that has a bound has grown to it.
    pub at_tenth: f64,
    /// The most it had until all were read.
    pub peak: f64,
    /// How long that took, in seconds.
    pub seconds: f64,
}

/// Reads `records` records and looks at what memory that takes.
pub async fn memory(records: usize) -> anyhow::Result<Memory> {
    let feed = Feed::start().await?;
    let mut reading = Reading::start(&feed, records, super::folder()?)?;
    reading.until(records / 10).await?;
    let at_tenth = reading.sync.peak_rss_mib()?;
    let ended = reading.until(records).await?;
    let peak = reading.sync.peak_rss_mib()?;
    let memory = Memory { at_tenth, peak, seconds: seconds(reading.began, ended) };
    reading.sync.stop().await?;
    Ok(memory)
}

/// A sync that reads and has nobody to tell.
struct Reading {
    sync: Sync,
    folder: TempDir,
    /// When its process was started.
    began: i64,
    client: reqwest::Client,
    /// What lets us in, once it has said so.
    token: Option<String>,
}

impl Reading {
    fn start(feed: &Feed, records: usize, folder: TempDir) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let data = folder.path().join("data");
        let data = data.to_str().context("the folder's name is no text")?;
        let read = format!(
            "read: {{ path: /records/{records}, record_selector: {{ field_path: [items] }}, \
             paginator: {{ type: offset, page_size: {PAGE} }}, poll_interval: 1h, full_interval: 1h }}"
        );
        let yaml = super::alone(data, port, &feed.url, &read);
        let config = folder.path().join("reading.yaml");
        std::fs::write(&config, yaml)?;
        // One for all looks: to make one takes longer than a look.
        let client = reqwest::Client::builder().no_proxy().build()?;
        let began = crate::now();
        let url = format!("http://127.0.0.1:{port}");
        let sync = Sync::start(&config, &folder.path().join("log"), url, &[])?;
        Ok(Self { sync, folder, began, client, token: None })
    }

    /// What it answers, if it does so far.
    async fn look(&mut self, path: &str) -> Option<Json> {
        if self.token.is_none() {
            let access = std::fs::read(self.folder.path().join("data/management.json")).ok()?;
            let access: Json = serde_json::from_slice(&access).ok()?;
            self.token = Some(access.get("token")?.as_str()?.to_owned());
        }
        let asked = self.client.get(format!("{}{path}", self.sync.url()));
        let answer = asked.bearer_auth(self.token.as_ref()?).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// Looks every 10 ms until there is what is waited for.
    async fn wait<T>(&mut self, path: &str, found: impl Fn(&Json) -> Option<T>) -> anyhow::Result<T> {
        let all = async {
            loop {
                if let Some(found) = self.look(path).await.as_ref().and_then(&found) {
                    return found;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, all).await;
        ended.with_context(|| {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            format!("the sync takes too long: {log}")
        })
    }

    /// When so many records were durable, by a look at least 10 ms later.
    async fn until(&mut self, records: usize) -> anyhow::Result<i64> {
        let durable = |stats: &Json| stats.get("records")?.as_u64();
        self.wait("/api/log/stats", |stats| durable(stats).filter(|n| *n >= records as u64)).await?;
        Ok(crate::now())
    }

    /// Waits until a listing has ended that is another than the one given; answers which.
    async fn listing_after(&mut self, last: Option<&str>) -> anyhow::Result<String> {
        let listed = |status: &Json| {
            let of = status.pointer("/sides/0/collections/0")?;
            let began = of.get("last_read")?.as_str()?;
            (of.get("listed")?.as_bool()? && Some(began) != last).then(|| began.to_owned())
        };
        self.wait("/api/status", listed).await
    }

    async fn ask_all_again(&self) -> anyhow::Result<()> {
        self.sync.poll_all(&self.folder.path().join("data"), "clerk", "permit").await
    }
}
