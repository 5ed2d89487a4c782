//! A collection read from its first page to its last: how fast, beside dlt's source for REST
//! APIs, and how much memory a million records leave behind.
//!
//! Ours is the `hms-sync` binary: what it reads is in its change log on the disk before the
//! next page is asked for. It has nobody to pass the records on to. dlt loads into files.

use super::feed::Feed;
use crate::sync::{Count, Sync};
use crate::{rate, seconds};
use anyhow::{Context, bail};
use serde_json::Value as Json;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// Records in a page.
const PAGE: usize = 1_000;
/// Between two looks at how far it has come.
const LOOK: Duration = Duration::from_millis(10);
/// No run takes longer.
const PATIENCE: Duration = Duration::from_mins(3);
/// Where the Python with dlt is; `cargo xtask bench http` says so.
const PYTHON: &str = "HMS_SYNC_BENCH_PYTHON";

/// Records a second, each in one run.
#[derive(Debug)]
pub struct Race {
    /// Ours: from the start of the process to the last record in the log.
    pub ours: f64,
    /// The same, all read again where nothing has changed.
    pub again: f64,
    /// dlt's whole run: extract, normalise and load; without the start of Python.
    pub dlt: f64,
    /// Its extract alone, which keeps records as they came in files of its own.
    pub extract: f64,
}

/// Reads `records` records with both.
pub async fn race(records: usize) -> anyhow::Result<Race> {
    let feed = Feed::start().await?;
    let folder = super::folder()?;
    let (dlt, extract) = with_dlt(&feed, records, folder.path()).await?;
    let reading = Reading::start(&feed, records, folder)?;
    let first = reading.until(records).await?;
    reading.ask_all_again().await?;
    let asked = crate::now();
    let second = reading.until(2 * records).await?;
    let race =
        Race { ours: rate(records, reading.began, first), again: rate(records, asked, second), dlt, extract };
    reading.sync.stop().await?;
    Ok(race)
}

async fn with_dlt(feed: &Feed, records: usize, folder: &Path) -> anyhow::Result<(f64, f64)> {
    let python = std::env::var_os(PYTHON).with_context(|| format!("{PYTHON} names no Python with dlt"))?;
    let script = folder.join("with_dlt.py");
    std::fs::write(&script, include_str!("with_dlt.py"))?;
    let mut command = Command::new(python);
    command.arg(script).arg(&feed.url).args([records.to_string(), PAGE.to_string()]).arg(folder);
    command
        .env("RUNTIME__LOG_LEVEL", "CRITICAL")
        .env("RUNTIME__DLTHUB_TELEMETRY", "false")
        .kill_on_drop(true);
    let ran = tokio::time::timeout(PATIENCE, command.output()).await.context("dlt takes too long")??;
    if !ran.status.success() {
        bail!("dlt ended with {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
    }
    let told: Json = serde_json::from_slice(&ran.stdout).context("dlt did not say what it did")?;
    let number = |name: &str| told.get(name).and_then(Json::as_f64).context("dlt did not say what it did");
    #[expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^52")]
    let all = records as f64;
    anyhow::ensure!((number("records")? - all).abs() < 0.5, "dlt loaded other records: {told}");
    Ok((all / number("seconds")?, all / number("extract")?))
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
    let reading = Reading::start(&feed, records, super::folder()?)?;
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
        let began = crate::now();
        let url = format!("http://127.0.0.1:{port}");
        let sync = Sync::start(&config, &folder.path().join("log"), url, &[])?;
        Ok(Self { sync, folder, began })
    }

    /// When so many records had been looked at, by a look at least 10 ms later.
    async fn until(&self, records: usize) -> anyhow::Result<i64> {
        let data = self.folder.path().join("data");
        let all = async {
            loop {
                if self.sync.count(&data, Count::Observations).await.is_ok_and(|read| read >= records) {
                    return crate::now();
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.with_context(|| {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            format!("the sync did not read {records} records: {log}")
        })
    }

    async fn ask_all_again(&self) -> anyhow::Result<()> {
        self.sync.poll_all(&self.folder.path().join("data"), "clerk", "permit").await
    }
}
