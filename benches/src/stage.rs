//! Both systems, and a folder with the sync's configuration: the example that
//! stands in the documentation, with the addresses of this run.

use crate::double::{Double, Kind};
use crate::sync::Sync;
use anyhow::Context;
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../docs/examples/permit-sync.yaml");
/// The secret that the example signs the clerk's webhooks with.
const HOOK_SECRET: &str = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";

/// Longer than the example looks back before its cursor.
const APART: Duration = Duration::from_millis(2_500);
/// So few records take no time to read again.
const FEW: usize = 2_000;

/// What the target offers against doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// It carries out a repeated `Idempotency-Key` once.
    Honoured,
    /// It knows no keys; it can be asked for a permit by its number.
    LookUpOnly,
}

/// Everything that takes part in one run.
#[derive(Debug)]
pub struct Stage {
    /// The source.
    pub clerk: Double,
    /// The target.
    pub marshal: Double,
    folder: TempDir,
    port: u16,
    keys: Keys,
}

impl Stage {
    /// A clerk with `records` permits and a marshal with none.
    pub async fn set(records: usize, keys: Keys) -> anyhow::Result<Self> {
        let clerk = Double::start(Kind::Clerk, records, false).await?;
        let marshal = Double::start(Kind::Marshal, 0, keys == Keys::Honoured).await?;
        let folder = folder()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let stage = Self { clerk, marshal, folder, port, keys };
        std::fs::write(stage.config(), stage.yaml()?)?;
        if records > FEW {
            stage.age().await?;
        }
        Ok(stage)
    }

    /// Makes the newest change younger than the rest, as it is in a system that
    /// has been in use: else every poll would look back over all records.
    async fn age(&self) -> anyhow::Result<()> {
        tokio::time::sleep(APART).await;
        self.clerk.edit("1", &json!({ "notes": "looked at" })).await.map(drop)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("permit-sync.yaml")
    }

    fn yaml(&self) -> anyhow::Result<String> {
        let data = self.folder.path().join("data");
        let data = data.to_str().context("the folder's name is no text")?;
        let mut yaml = replaced(EXAMPLE, "data_dir: ./permit-sync", &format!("data_dir: {data}"))?;
        yaml =
            replaced(&yaml, "management: 127.0.0.1:7070", &format!("management: 127.0.0.1:{}", self.port))?;
        if self.keys == Keys::LookUpOnly {
            yaml = replaced(&yaml, "        idempotency_key: { header: Idempotency-Key }\n", "")?;
        }
        Ok(yaml)
    }

    /// Starts the sync on the folder, whatever it holds by now.
    pub fn sync(&self) -> anyhow::Result<Sync> {
        let env = [("CLERK_URL", self.clerk.url.as_str()), ("MARSHAL_URL", self.marshal.url.as_str())];
        let management = format!("http://127.0.0.1:{}", self.port);
        Sync::start(&self.config(), &self.folder.path().join("log"), management, &env)
    }

    /// Has the clerk send its webhooks to the sync.
    pub async fn hook(&self, sync: &Sync) -> anyhow::Result<()> {
        self.clerk.hook(&format!("{}/hooks/clerk", sync.url()), HOOK_SECRET).await
    }

    /// The last lines that the sync logged.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn replaced(text: &str, old: &str, new: &str) -> anyhow::Result<String> {
    anyhow::ensure!(text.contains(old), "the example has no line {old:?} any more");
    Ok(text.replacen(old, new, 1))
}

/// A folder on the disk that the build is on: `/tmp` is memory on many machines.
fn folder() -> anyhow::Result<TempDir> {
    let program = std::env::current_exe()?;
    let beside = program.parent().context("the bench is nowhere")?;
    Ok(tempfile::Builder::new().prefix("hms-sync-bench-").tempdir_in(beside)?)
}
