//! The stage: both systems, the sync's process, and the folder it works in.

use crate::client::Client;
use crate::demo::measure::Edits;
use crate::demo::process::{Lines, Process};
use crate::demo::timeline::Timeline;
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, Tone};
use hms_sync_doubles::{Double, Hook};
use hms_sync_management::{Access, StatusReport};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TEMPLATE: &str = include_str!("permit-sync.yaml");
const SECRET: &str = "whsec_aG1zLXN5bmMtZGVtby1zZWNyZXQtMDEyMzQ1Njc=";
/// How long anything the story waits for may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(2);

/// Everything that takes part.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) clerk: Double,
    pub(crate) marshal: Double,
    pub(crate) told: Timeline,
    pub(crate) edits: Edits,
    sync: Option<Process>,
    last_lines: Lines,
    folder: TempDir,
    port: u16,
}

impl Stage {
    /// Starts both systems and writes the sync's configuration.
    pub(crate) async fn set(screen: Screen) -> Result<Self, Failure> {
        let clerk = Double::clerk().await.map_err(broken)?;
        let marshal = Double::marshal().await.map_err(broken)?;
        let folder = tempfile::Builder::new().prefix("hms-sync-demo-").tempdir().map_err(broken)?;
        let port = free_port().map_err(broken)?;
        let stage = Self {
            clerk,
            marshal,
            told: Timeline::new(screen),
            edits: Edits::default(),
            sync: None,
            last_lines: Lines::default(),
            folder,
            port,
        };
        std::fs::write(stage.config(), stage.yaml()).map_err(broken)?;
        Ok(stage)
    }

    fn yaml(&self) -> String {
        TEMPLATE
            .replace("@DATA@", &self.data_dir().display().to_string())
            .replace("@PORT@", &self.port.to_string())
            .replace("@CLERK@", &self.clerk.url())
            .replace("@MARSHAL@", &self.marshal.url())
            .replace("@SECRET@", SECRET)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("permit-sync.yaml")
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the sync listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the sync's process; answers its process id.
    pub(crate) fn start_sync(&mut self) -> Result<u32, Failure> {
        let process = Process::start(&self.config(), &self.told, &self.last_lines)?;
        let id = process.id();
        self.sync = Some(process);
        Ok(id)
    }

    /// Waits until the sync answers, then has both systems send it webhooks.
    pub(crate) async fn connect(&mut self) -> Result<(), Failure> {
        self.client().await?;
        let hook =
            |name: &str| Hook { url: format!("{}/hooks/{name}", self.url()), secret: SECRET.to_owned() };
        self.clerk.set_hook(Some(&hook("clerk"))).map_err(broken)?;
        self.marshal.set_hook(Some(&hook("marshal"))).map_err(broken)
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill_sync(&mut self) -> Result<(), Failure> {
        match self.sync.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Waits until `done`, as long as that may take. `what` completes "waited for …".
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<(), Failure> {
        let by = Instant::now() + PATIENCE;
        while !done(self) {
            if let Some(sync) = &mut self.sync {
                sync.alive()?;
            }
            self.wait_on(what, by).await?;
        }
        Ok(())
    }

    /// One glance's wait, unless it has been too many.
    async fn wait_on(&self, what: &str, by: Instant) -> Result<(), Failure> {
        if Instant::now() >= by {
            let seconds = PATIENCE.as_secs();
            return Err(Failure::new(Exit::Failed, format!("waited {seconds} s for {what} in vain")));
        }
        tokio::time::sleep(GLANCE).await;
        Ok(())
    }

    /// A way to ask the sync, as soon as it answers.
    pub(crate) async fn client(&mut self) -> Result<Client, Failure> {
        let by = Instant::now() + PATIENCE;
        loop {
            if let Some(sync) = &mut self.sync {
                sync.alive()?;
            }
            let access = Access::read(&self.data_dir()).ok().flatten();
            if let Some(access) = access
                && let Some(client) = Client::reach(access).await
            {
                return Ok(client);
            }
            self.wait_on("the sync to answer", by).await?;
        }
    }

    /// Waits until the sync says that it stands as `done` wants.
    pub(crate) async fn until_status(
        &mut self,
        what: &str,
        mut done: impl FnMut(&StatusReport) -> bool,
    ) -> Result<StatusReport, Failure> {
        let client = self.client().await?;
        let by = Instant::now() + PATIENCE;
        loop {
            let status: StatusReport = client.get("/api/status", &[]).await?;
            if done(&status) {
                return Ok(status);
            }
            self.wait_on(what, by).await?;
        }
    }

    /// Waits until each side has been read `rounds` times more; answers how many
    /// writes that led to.
    pub(crate) async fn read_on(&mut self, rounds: usize) -> Result<usize, Failure> {
        let writes = |stage: &Self| stage.clerk.effects().len() + stage.marshal.effects().len();
        let before = writes(self);
        let mut last = HashMap::new();
        let read_enough = |report: &StatusReport| {
            for side in &report.status.sides {
                let read = side.collections.iter().filter_map(|of| of.last_read.clone()).max();
                let seen: &mut Vec<_> = last.entry(side.side.clone()).or_default();
                if seen.last() != Some(&read) {
                    seen.push(read);
                }
            }
            // The first look counts for nothing.
            last.values().all(|seen| seen.len() > rounds)
        };
        self.until_status("the sides to be read again", read_enough).await?;
        Ok(writes(self) - before)
    }

    /// The clerk's record of a permit.
    pub(crate) fn permit(&self, permit: &str) -> Json {
        self.clerk.find(permit).into_iter().next().unwrap_or_default()
    }

    /// The marshal's record of a permit.
    pub(crate) fn inspection(&self, permit: &str) -> Json {
        self.marshal.find(permit).into_iter().next().unwrap_or_default()
    }

    /// Shows the last log lines of the sync.
    pub(crate) fn explain_failure(&self) {
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.is_empty() {
            self.told.plain(Tone::Faint, "\nthe sync's last log lines:");
        }
        for line in lines.iter() {
            self.told.plain(Tone::Faint, &format!("  {}", hms_sync_management::one_line(line)));
        }
    }

    /// Leaves everything running, with what can be tried, until it is interrupted.
    pub(crate) async fn keep(&self) {
        let (clerk, marshal, config) = (self.clerk.url(), self.marshal.url(), self.config());
        let config = config.display();
        let program = std::env::current_exe().unwrap_or_else(|_| "hms-sync".into());
        let program = program.display();
        let permit = "P-000042";
        let id = |record: Json| record.get("id").map(crate::words::value).unwrap_or_default();
        let (ours, theirs) = (id(self.permit(permit)), id(self.inspection(permit)));
        self.told.plain(Tone::Head, "\nAll of it is still running. Try:");
        self.told.plain(Tone::Plain, &format!("
  # the clerk approves {permit}, the marshal has it at once or with the next poll (1 s)
  curl -s -X PATCH -H 'Authorization: Bearer demo' -d '{{\"status\":\"approved\"}}' {clerk}/permits/{ours}
  curl -s -u sync:demo {marshal}/inspections/{theirs}

  # the marshal sets a date, the clerk has it
  curl -s -X PATCH -u sync:demo -d '{{\"scheduledFor\":\"2026-12-01 09:30:00\"}}' {marshal}/inspections/{theirs}
  curl -s -H 'Authorization: Bearer demo' {clerk}/permits/{ours}

  # what happened to it, and why it is as it is
  {program} history {config} permit/{permit}
  {program} explain {config} permit/{permit} status
  {program} status {config}
"));
        self.told.plain(Tone::Faint, "Ctrl-C ends it and removes its folder.");
        std::future::pending::<()>().await;
    }

    /// Ends everything in order.
    pub(crate) async fn strike(&mut self) -> Result<(), Failure> {
        match self.sync.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }
}

pub(crate) fn broken(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("the demo cannot be set up: {why}"))
}

/// A port that nobody has at the moment. Webhooks need one that stays the same
/// when the sync is started again.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
