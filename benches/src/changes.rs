//! Single changes, one at a time: from the edit at the clerk until the write
//! reaches the marshal. Both ends write down their times, so that the waiting in
//! between measures nothing.

use crate::double::Double;
use anyhow::{Context, bail};
use chrono::DateTime;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between a change that has arrived and the next.
const PAUSE: Duration = Duration::from_millis(7);
/// Between two looks whether a change has arrived.
const GLANCE: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_secs(30);

/// How long changes took, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// Adds those of another round.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The time that `percent` of a hundred changes took at most.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// Changes permits 1 to `count` at the clerk, each after the one before has arrived.
pub async fn changes(clerk: &Double, marshal: &Double, count: usize) -> anyhow::Result<Latencies> {
    let inspections = ids(&marshal.records().await?, "permitId")?;
    let permits = ids(&clerk.records().await?, "permit_no")?;
    let mut edited = Vec::with_capacity(count);
    for n in 1..=count {
        let (permit, notes) = (format!("P-{n:06}"), format!("change {n}"));
        let id = permits.get(&permit).with_context(|| format!("the clerk has no {permit}"))?;
        let there = inspections.get(&permit).with_context(|| format!("the marshal has no {permit}"))?;
        let record = clerk.edit(id, &json!({ "notes": notes })).await?;
        let at = record.get("updated_at").and_then(Json::as_str).context("a permit without time")?;
        edited.push((permit, DateTime::parse_from_rfc3339(at)?.timestamp_micros()));
        arrived(marshal, there, &notes).await?;
        tokio::time::sleep(PAUSE).await;
    }
    let written = marshal.updates().await?;
    let mut all = Latencies::default();
    for (permit, at) in edited {
        let arrived = written.get(&permit).with_context(|| format!("{permit} was never written"))?;
        all.0.push(crate::seconds(at, *arrived) * 1_000.0);
    }
    Ok(all)
}

async fn arrived(marshal: &Double, id: &str, notes: &str) -> anyhow::Result<()> {
    let by = Instant::now() + PATIENCE;
    while Instant::now() < by {
        tokio::time::sleep(GLANCE).await;
        if marshal.get(id).await?.get("remarks").and_then(Json::as_str) == Some(notes) {
            return Ok(());
        }
    }
    bail!("the change of {id} did not arrive within {PATIENCE:?}")
}

/// The ids of records by their permit number, as text.
fn ids(records: &[Json], natural: &str) -> anyhow::Result<HashMap<String, String>> {
    let one = |record: &Json| {
        let id = record.get("id")?;
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        Some((record.get(natural)?.as_str()?.to_owned(), id))
    };
    records.iter().map(|record| one(record).context("a record without id or permit number")).collect()
}
