//! The sync under test: the `hms-sync` binary as a child process, with a
//! configuration file and a folder on the real disk.

use anyhow::{Context, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, ChildStdin, Command};

/// How long a clean end, or the first answer after a start, may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running sync. It ends with this.
#[derive(Debug)]
pub struct Sync {
    child: Child,
    stdin: Option<ChildStdin>,
    management: String,
}

/// A binary of this workspace, built beside the bench.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: run `cargo xtask bench`, which builds it", path.display());
    }
    Ok(path)
}

/// What a sync counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    /// Webhooks taken in.
    Webhooks,
}

/// How to ask a sync whose change log is in `data`.
fn asker(data: &Path) -> anyhow::Result<(reqwest::Client, String)> {
    let access = std::fs::read(data.join("management.json"))?;
    let access: serde_json::Value = serde_json::from_slice(&access)?;
    let token = access.get("token").and_then(serde_json::Value::as_str).context("no token")?;
    Ok((reqwest::Client::builder().no_proxy().build()?, token.to_owned()))
}

impl Sync {
    /// Starts it. What it logs is added to `log`.
    pub(crate) fn start(
        config: &Path,
        log: &Path,
        management: String,
        env: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(program("hms-sync")?)
            .args(["run", "--stop-with-stdin", "-q"])
            .arg(config)
            .envs(env.iter().copied())
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("hms-sync cannot be started")?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, management })
    }

    /// Waits until it answers.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let by = Instant::now() + PATIENCE;
        while Instant::now() < by {
            if let Some(status) = self.child.try_wait()? {
                bail!("the sync ended by itself: {status}");
            }
            if client.get(format!("{}/healthz", self.management)).send().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("the sync did not answer within {PATIENCE:?}")
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.management
    }

    /// How many of something it has counted; `data` is the folder of its change log.
    pub(crate) async fn count(&self, data: &Path, what: Count) -> anyhow::Result<usize> {
        let (client, token) = asker(data)?;
        let asked = client.get(format!("{}/api/status", self.management)).bearer_auth(token).send().await?;
        let status: serde_json::Value = asked.error_for_status()?.json().await?;
        let name = match what {
            Count::Webhooks => "/counts/webhooks",
        };
        let count = status.pointer(name).and_then(serde_json::Value::as_u64);
        Ok(usize::try_from(count.with_context(|| format!("the status has no {name}"))?)?)
    }

    /// Has it read everything of a side's collection now.
    pub(crate) async fn poll_all(&self, data: &Path, side: &str, collection: &str) -> anyhow::Result<()> {
        let (client, token) = asker(data)?;
        let body = serde_json::json!({ "side": side, "collection": collection, "full": true });
        let asked = client.post(format!("{}/api/poll", self.management)).bearer_auth(token).json(&body);
        asked.send().await?.error_for_status()?;
        Ok(())
    }

    /// The most memory it has had in use so far, in MiB.
    pub fn peak_rss_mib(&self) -> anyhow::Result<f64> {
        let id = self.child.id().context("the sync has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Ends it at once, as `kill -9` does.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Has it end in order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.context("the sync did not end when it was asked to")??;
        if status.success() { Ok(()) } else { bail!("the sync did not end well: {status}") }
    }
}
