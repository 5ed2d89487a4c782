//! One of the two systems, in a process of its own, and what it can be asked.

use anyhow::{Context, bail};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// How often it is asked whether all is there: seldom enough to cost nothing.
const GLANCE: Duration = Duration::from_millis(25);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The source: permits.
    Clerk,
    /// The target: inspections.
    Marshal,
}

/// A running system. It ends with this.
#[derive(Debug)]
pub struct Double {
    /// Where it is.
    pub url: String,
    kind: Kind,
    client: Client,
    _child: Child,
    /// It ends when this closes.
    _stdin: Option<ChildStdin>,
}

/// What was made at a system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Creates {
    /// Different permits.
    pub permits: usize,
    /// Creates of a permit that was there already.
    pub doubled: usize,
    /// When the last permit came that was not there yet, in microseconds.
    pub last: i64,
}

#[derive(Deserialize)]
struct Effect {
    operation: String,
    natural: Option<String>,
    at: i64,
}

#[derive(Deserialize)]
struct Summary {
    records: usize,
    doubled: usize,
    effects: usize,
}

impl Double {
    /// Starts one with `records` records, numbered from 1.
    pub async fn start(kind: Kind, records: usize, idempotency: bool) -> anyhow::Result<Self> {
        let name = match kind {
            Kind::Clerk => "clerk",
            Kind::Marshal => "marshal",
        };
        let mut child = Command::new(crate::sync::program("double")?)
            .arg(name)
            .args(["--seed-records", &records.to_string()])
            .args(["--idempotency", if idempotency { "true" } else { "false" }])
            .arg("--until-eof")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the double cannot be started")?;
        let out = child.stdout.take().context("the double cannot be heard")?;
        let first = BufReader::new(out).lines().next_line().await?;
        let url = first.with_context(|| format!("the {name} ended before it said where it is"))?;
        let client = Client::builder().no_proxy().build()?;
        let stdin = child.stdin.take();
        Ok(Self { url, kind, client, _child: child, _stdin: stdin })
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, what: &str) -> anyhow::Result<T> {
        let answer = self.client.get(format!("{}/_double/{what}", self.url)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// How many different permits it has; nothing while it does not answer.
    pub async fn permits(&self) -> Option<usize> {
        let summary: Summary = self.ask("summary").await.ok()?;
        Some(summary.records.saturating_sub(summary.doubled))
    }

    /// All it holds.
    pub async fn records(&self) -> anyhow::Result<Vec<Json>> {
        self.ask("records").await
    }

    /// What its API was made to create.
    pub async fn creates(&self) -> anyhow::Result<Creates> {
        let effects: Vec<Effect> = self.ask("effects").await?;
        let mut seen = HashSet::new();
        let mut all = Creates::default();
        for effect in effects.into_iter().filter(|effect| effect.operation == "create") {
            if seen.insert(effect.natural) {
                all.last = all.last.max(effect.at);
            } else {
                all.doubled += 1;
            }
        }
        all.permits = seen.len();
        Ok(all)
    }

    /// When its API first changed each permit, in microseconds.
    pub async fn updates(&self) -> anyhow::Result<HashMap<String, i64>> {
        let effects: Vec<Effect> = self.ask("effects").await?;
        let mut first = HashMap::new();
        for effect in effects.into_iter().filter(|effect| effect.operation == "update") {
            if let Some(permit) = effect.natural {
                first.entry(permit).or_insert(effect.at);
            }
        }
        Ok(first)
    }

    /// How many writes it carried out, of whatever kind.
    pub async fn effects(&self) -> anyhow::Result<usize> {
        let summary: Summary = self.ask("summary").await?;
        Ok(summary.effects)
    }

    /// Sets what goes wrong.
    pub async fn faults(&self, faults: &Json) -> anyhow::Result<()> {
        self.put("faults", faults).await
    }

    /// Has it send webhooks to `url`.
    pub async fn hook(&self, url: &str, secret: &str) -> anyhow::Result<()> {
        self.put("hook", &json!({ "url": url, "secret": secret })).await
    }

    async fn put(&self, what: &str, body: &Json) -> anyhow::Result<()> {
        let request = self.client.put(format!("{}/_double/{what}", self.url)).json(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// A user of the system changes a record; answers the record.
    pub async fn edit(&self, id: &str, patch: &Json) -> anyhow::Result<Json> {
        let body = json!({ "operation": "update", "id": id, "body": patch });
        let request = self.client.post(format!("{}/_double/edits", self.url)).json(&body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// One record as its API shows it.
    pub async fn get(&self, id: &str) -> anyhow::Result<Json> {
        let request = authorised(self.kind, self.client.get(format!("{}/{id}", self.collection())));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Where its records are.
    pub fn collection(&self) -> String {
        let path = match self.kind {
            Kind::Clerk => "permits",
            Kind::Marshal => "inspections",
        };
        format!("{}/{path}", self.url)
    }

    /// Waits until the marshal's listing shows `count` records; one short request at a time.
    pub async fn until_listed(&self, count: usize, patience: Duration) -> anyhow::Result<()> {
        let by = Instant::now() + patience;
        let url = format!("{}?limit=1&offset={}", self.collection(), count.saturating_sub(1));
        while Instant::now() < by {
            let request = authorised(self.kind, self.client.get(&url));
            let page: Vec<Json> = request.send().await?.error_for_status()?.json().await?;
            if !page.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(GLANCE).await;
        }
        bail!("not all {count} records came within {patience:?}")
    }
}

/// A request with the credentials of the doubles.
pub(crate) fn authorised(kind: Kind, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    match kind {
        Kind::Clerk => request.bearer_auth("demo"),
        Kind::Marshal => request.basic_auth("sync", Some("demo")),
    }
}
