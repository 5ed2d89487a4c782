//! A running sync: its engine and its door, started and stopped together.

use crate::assemble::{Assembly, assemble};
use crate::error::SyncError;
use crate::keys::open_keys;
use hms_sync_changelog::{Log, Options as LogOptions};
use hms_sync_config::Config;
use hms_sync_engine::{Engine, Handler, Parts, Watcher};
use hms_sync_management::{Desk, Limits, Options as ServerOptions, ServeError, Serving, serve};
use hms_sync_model::JobName;
use hms_sync_notary::{Notary, Settings as AuditSettings, Signing};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// What a sync is run with besides its configuration.
#[derive(Default)]
pub struct Options {
    /// Who is told of what happens, once it is durable.
    pub watcher: Option<Watcher>,
    /// Handlers, by the name of their job.
    pub handlers: BTreeMap<JobName, Handler>,
    /// Its change log was put back from a backup: everything is read, and nothing written.
    pub restored: bool,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("jobs", &self.handlers.keys()).finish_non_exhaustive()
    }
}

/// A running sync. Clones are handles to the same one. It goes on until it is
/// stopped, or until its change log fails.
#[derive(Debug, Clone)]
pub struct Running {
    engine: Engine,
    serving: Arc<Mutex<Option<Serving>>>,
    signing: Arc<Mutex<Option<Signing>>>,
    /// Who sees to it that sides go on sending webhooks.
    registering: Arc<Mutex<JoinSet<()>>>,
    notary: Option<Notary>,
    url: Arc<str>,
}

impl Running {
    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where management listens, as `http://127.0.0.1:7070`.
    pub fn management_url(&self) -> &str {
        &self.url
    }

    /// The questions people ask.
    pub fn desk(&self) -> Desk {
        Desk::live(self.engine.clone()).with_notary(self.notary.clone())
    }

    /// Stops in order: no more webhooks, a last checkpoint, nothing new begun, what is in
    /// flight ends, everything saved.
    pub async fn stop(&self) -> Result<(), SyncError> {
        self.registering.lock().await.abort_all();
        let serving = self.serving.lock().await.take();
        if let Some(serving) = serving {
            serving.stop().await;
        }
        let signing = self.signing.lock().await.take();
        if let Some(signing) = signing {
            signing.stop().await;
        }
        Ok(self.engine.stop().await?)
    }

    /// Waits until it ends, in whatever way.
    pub async fn ended(&self) -> Result<(), SyncError> {
        Ok(self.engine.ended().await?)
    }

    /// Waits for Ctrl-C, then stops in order.
    pub async fn until_ctrl_c(&self) -> Result<(), SyncError> {
        tokio::select! {
            // Without a signal handler there is nothing to wait for but the end.
            _ = tokio::signal::ctrl_c() => self.stop().await,
            ended = self.ended() => ended,
        }
    }
}

/// Runs what a configuration asks for.
pub async fn run(config: Config, options: Options) -> Result<Running, SyncError> {
    let assembly = assemble(&config)?;
    let home = Home { data_dir: &config.data_dir, address: Some(config.management), audit: config.audit };
    Box::pin(start(assembly, home, options)).await
}

/// Where a sync lives, and how its log is signed.
pub(crate) struct Home<'a> {
    pub(crate) data_dir: &'a Path,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) audit: AuditSettings,
}

/// Opens the log and starts engine and door on it.
pub(crate) async fn start(
    assembly: Assembly,
    home: Home<'_>,
    options: Options,
) -> Result<Running, SyncError> {
    let Assembly { mut plan, connectors, hooks } = assembly;
    plan.restored = options.restored;
    let Home { data_dir, address, audit } = home;
    let log = open(data_dir.to_owned()).await?;
    let vault = open_keys(data_dir, &plan)?;
    let notary = notary(data_dir.to_owned(), plan.name.clone(), audit, log.clone()).await;
    let Options { watcher, handlers, restored: _ } = options;
    let parts = Parts { plan, log, connectors, handlers, watcher, vault };
    // Folding the tail of the log may take a moment; the runtime must not wait for it.
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        let _inside = runtime.enter();
        Engine::start(parts)
    };
    let engine =
        tokio::task::spawn_blocking(start).await.map_err(|_| hms_sync_engine::EngineError::Stopped)??;
    let desk = Desk::live(engine.clone()).with_notary(notary.clone());
    let signing = sign(&desk, notary.clone(), engine.log()).await;
    let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let routes = hooks.clone();
    let server = ServerOptions {
        address,
        desk,
        hooks,
        data_dir: Some(data_dir.to_owned()),
        limits: Limits::default(),
    };
    match serve(server).await {
        Ok(serving) => {
            let url = serving.url().into();
            let (serving, signing) = (Arc::new(Mutex::new(Some(serving))), Arc::new(Mutex::new(signing)));
            let registering = Arc::new(Mutex::new(crate::registering::begin(&routes, data_dir)));
            Ok(Running { engine, serving, signing, registering, notary, url })
        }
        Err(why) => {
            if let Some(signing) = signing {
                signing.stop().await;
            }
            engine.stop().await?;
            let why = match &why {
                ServeError::Listen { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            Err(SyncError::Listen { address: address.to_string(), why })
        }
    }
}

/// Who signs for the log; nobody if there is no folder for it. That stops no sync.
async fn notary(dir: PathBuf, sync: String, audit: AuditSettings, log: Log) -> Option<Notary> {
    let opened = tokio::task::spawn_blocking(move || Notary::open(&dir, &sync, audit, &log)).await;
    match opened {
        Ok(Ok(notary)) => Some(notary),
        Ok(Err(why)) => {
            tracing::error!(%why, "no checkpoint is signed");
            None
        }
        Err(_) => None,
    }
}

/// Sees to the log's key, and begins to sign.
async fn sign(desk: &Desk, notary: Option<Notary>, log: Option<Log>) -> Option<Signing> {
    let (notary, log) = (notary?, log?);
    if let Err(why) = desk.settle_keys().await {
        tracing::error!(%why, "the log's key is not ready");
    }
    Some(hms_sync_notary::begin(notary, log))
}

async fn open(dir: PathBuf) -> Result<Log, SyncError> {
    let at = dir.display().to_string();
    let opened = tokio::task::spawn_blocking(move || Log::open(&dir, LogOptions::default())).await;
    let opened = opened.map_err(|_| hms_sync_engine::EngineError::Stopped)?;
    opened.map_err(|source| SyncError::Log { dir: at, source })
}
