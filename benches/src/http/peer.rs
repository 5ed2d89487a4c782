//! dlt, as it reads the same collection: into files, and merged by key into a database.
//!
//! The Python that has it is named by the environment; who runs the bench by `cargo xtask`
//! has it installed. Without it there is no figure, and the bench says how to get it.

use super::feed::Feed;
use anyhow::{Context, bail, ensure};
use serde_json::Value as Json;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// Where the Python with dlt is; `cargo xtask bench http` says so.
const PYTHON: &str = "HMS_SYNC_BENCH_PYTHON";
/// How it comes there.
const HOW: &str = "`cargo xtask bench http` installs it from PyPI: pip install \"dlt[duckdb,parquet]\"";
/// No run takes longer.
const PATIENCE: Duration = Duration::from_mins(5);

/// Records a second.
#[derive(Debug)]
pub struct Peer {
    /// A whole run into a database that keeps one row for each key: extract, normalise, load
    /// and merge.
    pub merged: f64,
    /// The same once more, where nothing has changed.
    pub again: f64,
    /// Merged as well, without the setting that makes it faster.
    pub defaults: f64,
    /// A whole run into files.
    pub files: f64,
    /// Its extract alone, which keeps records as they came in files of its own.
    pub extract: f64,
}

/// Reads `records` records, `page` at a time; the start of Python does not count.
pub(super) async fn dlt(feed: &Feed, records: usize, page: usize, folder: &Path) -> anyhow::Result<Peer> {
    let script = folder.join("with_dlt.py");
    std::fs::write(&script, include_str!("with_dlt.py"))?;
    let run = async |into: &str| {
        let python = std::env::var_os(PYTHON).with_context(|| format!("{PYTHON} names no Python; {HOW}"))?;
        let mut command = Command::new(python);
        command.arg(&script).arg(&feed.url).args([records.to_string(), page.to_string()]);
        command.arg(folder).arg(into).kill_on_drop(true);
        command.env("RUNTIME__LOG_LEVEL", "CRITICAL").env("RUNTIME__DLTHUB_TELEMETRY", "false");
        let ran = tokio::time::timeout(PATIENCE, command.output()).await.context("dlt takes too long")??;
        if !ran.status.success() {
            let why = String::from_utf8_lossy(&ran.stderr);
            bail!("dlt into {into} ended with {}: {why}\n{HOW}", ran.status);
        }
        Told::read(&ran.stdout, records)
    };
    let (files, merged, defaults) = (run("files").await?, run("duckdb").await?, run("defaults").await?);
    for told in [&merged, &defaults] {
        ensure!(told.number("rows")? <= told.records, "dlt keeps a record twice: {told:?}");
    }
    let rate = |told: &Told, name: &str| Ok::<_, anyhow::Error>(told.records / told.number(name)?);
    Ok(Peer {
        merged: rate(&merged, "seconds")?,
        again: rate(&merged, "again")?,
        defaults: rate(&defaults, "seconds")?,
        files: rate(&files, "seconds")?,
        extract: rate(&files, "extract")?,
    })
}

/// What it says of a run.
#[derive(Debug)]
struct Told {
    json: Json,
    records: f64,
}

impl Told {
    fn read(said: &[u8], records: usize) -> anyhow::Result<Self> {
        let json = serde_json::from_slice(said).context("dlt did not say what it did")?;
        #[expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^52")]
        let told = Self { json, records: records as f64 };
        let read = told.number("records")?;
        ensure!((read - told.records).abs() < 0.5, "dlt loaded other records: {}", told.json);
        Ok(told)
    }

    fn number(&self, name: &str) -> anyhow::Result<f64> {
        let number = self.json.get(name).and_then(Json::as_f64);
        number.with_context(|| format!("dlt did not say `{name}`: {}", self.json))
    }
}
