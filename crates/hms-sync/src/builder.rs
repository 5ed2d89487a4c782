//! The builder: a sync in a few lines of Rust.
//!
//! Jobs and collections of one [`Sync`] share one engine, one change log and one
//! door. Starting a further one stops the engine in order and starts it with all:
//! nothing is lost, for all that it knows is in the log.

use crate::api::Api;
use crate::assemble::{Assembly, assemble_with};
use crate::collection::Collection;
use crate::error::SyncError;
use crate::running::{Home, Options, Running, run, start};
use crate::source::{Job, Source};
use hms_sync_config::{Config, Draft, MANAGEMENT, check, check_sides, parse};
use hms_sync_engine::Watcher;
use hms_sync_model::VecMap;
use hms_sync_notary::Settings as AuditSettings;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A sync being put together.
#[derive(Debug, Clone)]
pub struct Sync {
    name: String,
    sides: BTreeMap<String, Api>,
    data_dir: PathBuf,
    listen: Option<SocketAddr>,
    audit: AuditSettings,
    watcher: Watching,
    running: Arc<Mutex<Live>>,
}

/// What runs, and what it runs on.
#[derive(Debug, Default)]
struct Live {
    work: Work,
    running: Option<Running>,
}

/// Jobs, and collections by name.
#[derive(Debug, Clone, Default)]
struct Work {
    jobs: Vec<Job>,
    collections: Vec<(String, Draft)>,
}

#[derive(Clone, Default)]
struct Watching(Option<Watcher>);

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "a watcher" } else { "no watcher" })
    }
}

impl Sync {
    /// Begins a sync. Logs go to standard error at the level of `RUST_LOG`
    /// (`info` without it, but for lines of single records, whose target is
    /// `hms_sync_engine::record`), unless the program has set up `tracing` itself;
    /// failed requests are retried, and parked when that is of no use.
    pub fn init(name: impl Into<String>) -> Self {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env();
        let filter = filter
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,hms_sync_engine::record=warn"));
        // The program may have set up its own.
        let _own = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        let name = name.into();
        Self {
            data_dir: PathBuf::from(format!("./{name}")),
            name,
            sides: BTreeMap::new(),
            listen: None,
            audit: AuditSettings::default(),
            watcher: Watching::default(),
            running: Arc::default(),
        }
    }

    /// Names an external system.
    #[must_use]
    pub fn api(mut self, name: impl Into<String>, api: Api) -> Self {
        self.sides.insert(name.into(), api);
        self
    }

    /// Where the change log is; made if it is missing. `./<name of the sync>`, if nothing is said.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = dir.into();
        self
    }

    /// Where webhooks come in and management listens. A free loopback port, if
    /// nothing is said.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// How the log's checkpoints are signed: its name to auditors, how often, who countersigns.
    #[must_use]
    pub fn audit(mut self, audit: AuditSettings) -> Self {
        self.audit = audit;
        self
    }

    /// Who is told of what happens, once it is durable.
    #[must_use]
    pub fn watch(mut self, watcher: Watcher) -> Self {
        self.watcher = Watching(Some(watcher));
        self
    }

    /// Begins a job: what comes from `side`.
    pub fn source(&self, side: impl Into<String>) -> Source {
        Source::new(self.clone(), side.into())
    }

    /// Begins a collection: a kind of record kept in step between two sides or more.
    pub fn collection(&self, name: impl Into<String>) -> Collection {
        Collection::new(self.clone(), name.into())
    }

    /// Runs the two-way form from its YAML text; `env` answers for `${NAME}`.
    pub async fn from_yaml(yaml: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Running, SyncError> {
        let config = parse("the given YAML", yaml, env).map_err(SyncError::Config)?;
        run(config, Options::default()).await
    }

    /// The running engine, once a job has been started.
    pub async fn running(&self) -> Option<Running> {
        self.running.lock().await.running.clone()
    }

    pub(crate) fn has_side(&self, side: &str) -> bool {
        self.sides.contains_key(side)
    }

    /// Starts a job, instead of one of the same name.
    pub(crate) async fn add_job(&self, job: Job) -> Result<Running, SyncError> {
        self.begin(|work| {
            work.jobs.retain(|other| other.name != job.name);
            work.jobs.push(job);
        })
        .await
    }

    /// Starts a collection, instead of one of the same name.
    pub(crate) async fn add_collection(&self, name: String, draft: Draft) -> Result<Running, SyncError> {
        self.begin(|work| {
            work.collections.retain(|(other, _)| *other != name);
            work.collections.push((name, draft));
        })
        .await
    }

    /// Stops what runs, if anything does, and starts with more. What is wrong with
    /// that is said before anything stops.
    async fn begin(&self, more: impl FnOnce(&mut Work)) -> Result<Running, SyncError> {
        let mut live = self.running.lock().await;
        let mut work = live.work.clone();
        more(&mut work);
        let assembly = self.assembly(&work)?;
        if let Some(running) = live.running.take() {
            running.stop().await?;
        }
        let handlers = work.jobs.iter().map(|job| (job.name.clone(), job.handler.0.clone())).collect();
        let options = Options { watcher: self.watcher.0.clone(), handlers, restored: false };
        let home = Home { data_dir: &self.data_dir, address: self.listen, audit: self.audit.clone() };
        let running = Box::pin(start(assembly, home, options)).await?;
        live.work = work;
        live.running = Some(running.clone());
        Ok(running)
    }

    fn assembly(&self, work: &Work) -> Result<Assembly, SyncError> {
        assemble_with(&self.config(&work.collections)?, &work.jobs)
    }

    /// The sync as a file would have described it, checked as a file is.
    pub(crate) fn config(&self, collections: &[(String, Draft)]) -> Result<Config, SyncError> {
        let mut sides = Draft::new();
        for (name, api) in &self.sides {
            sides.add(name, api.draft());
        }
        let mut config = if collections.is_empty() {
            // Jobs alone: there is nothing to check but where they come from.
            Config {
                sync: self.name.clone(),
                data_dir: PathBuf::new(),
                management: MANAGEMENT,
                audit: AuditSettings::default(),
                sides: check_sides(&self.name, sides).map_err(SyncError::Config)?,
                collections: VecMap::new(),
            }
        } else {
            let mut draft = Draft::of("sync", self.name.as_str());
            draft.add("sides", sides);
            let mut all = Draft::new();
            for (name, collection) in collections {
                all.add(name, collection.clone());
            }
            draft.add("collections", all);
            check(&self.name, draft).map_err(SyncError::Config)?
        };
        config.data_dir.clone_from(&self.data_dir);
        config.audit.clone_from(&self.audit);
        config.management = self.listen.unwrap_or(SocketAddr::new(MANAGEMENT.ip(), 0));
        Ok(config)
    }
}
