//! The builder: a sync in a few lines of Rust.
//!
//! Jobs of one [`Sync`] share one engine, one change log and one door. Starting
//! a further job stops the engine in order and starts it with both: nothing is
//! lost, for all that it knows is in the log.

use crate::api::Api;
use crate::assemble::Assembly;
use crate::context::Context;
use crate::error::SyncError;
use crate::every::Every;
use crate::running::{Options, Running, run, start};
use hms_sync_config::parse;
use hms_sync_connector::Connector;
use hms_sync_engine::{
    Call, CollectionPlan, CollectionSide, Guard, Handler, JobPlan, Plan, Retry, Shape, SidePlan, Watcher,
};
use hms_sync_http::HttpConnector;
use hms_sync_http::spec::{
    CursorFrom, HttpCollection, IncrementalSync, Paginator, ReadSpec, Span, StartTimeOption, Template,
    WebhookSpec,
};
use hms_sync_management::HookRoute;
use hms_sync_model::{CollectionName, JobName, SideName, VecMap};
use hms_sync_resolver::Rules;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Calls of one handler at once.
const CALLS_MAX: usize = 32;

/// A sync being put together.
#[derive(Debug, Clone)]
pub struct Sync {
    name: String,
    sides: BTreeMap<String, Api>,
    data_dir: PathBuf,
    listen: Option<SocketAddr>,
    watcher: Watching,
    running: Arc<Mutex<Live>>,
}

/// The jobs that run, and what they run on.
#[derive(Debug, Default)]
struct Live {
    jobs: Vec<Job>,
    running: Option<Running>,
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
    /// (`info` without it), unless the program has set up `tracing` itself;
    /// failed requests are retried, and parked when that is of no use.
    pub fn init(name: impl Into<String>) -> Self {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env();
        let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
        // The program may have set up its own.
        let _own = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        let name = name.into();
        Self {
            data_dir: PathBuf::from(format!("./{name}")),
            name,
            sides: BTreeMap::new(),
            listen: None,
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

    /// Who is told of what happens, once it is durable.
    #[must_use]
    pub fn watch(mut self, watcher: Watcher) -> Self {
        self.watcher = Watching(Some(watcher));
        self
    }

    /// Begins a job: what comes from `side`.
    pub fn source(&self, side: impl Into<String>) -> Source {
        let side = side.into();
        Source {
            sync: self.clone(),
            side,
            poll: None,
            webhook: None,
            key: "id".to_owned(),
            retry: Retry::default(),
        }
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

    async fn add(&self, job: Job) -> Result<Running, SyncError> {
        let mut live = self.running.lock().await;
        let mut jobs: Vec<Job> = live.jobs.iter().filter(|other| other.name != job.name).cloned().collect();
        jobs.push(job);
        let assembly = self.assembly(&jobs)?;
        if let Some(running) = live.running.take() {
            running.stop().await?;
        }
        let handlers = jobs.iter().map(|job| (job.name.clone(), job.handler.0.clone())).collect();
        let options = Options { watcher: self.watcher.0.clone(), handlers };
        let running = start(assembly, &self.data_dir, self.listen, options).await?;
        live.jobs = jobs;
        live.running = Some(running.clone());
        Ok(running)
    }

    fn assembly(&self, jobs: &[Job]) -> Result<Assembly, SyncError> {
        let mut plan = Plan::new(self.name.clone());
        let mut connectors = BTreeMap::new();
        for (name, api) in &self.sides {
            let side = SideName::try_new(name.as_str())?;
            let wrong = |why: String| SyncError::Side { side: name.clone(), why };
            let own = jobs.iter().filter(|job| job.side == side);
            let collections = own.map(|job| (job.collection.clone(), job.http.clone())).collect();
            let connector = HttpConnector::new(&side, api.spec().map_err(wrong)?, collections)
                .map_err(|why| wrong(why.to_string()))?;
            let connector: Arc<dyn Connector> = Arc::new(connector);
            connectors.insert(side.clone(), connector);
            plan.sides.insert(side, SidePlan { in_flight_max: api.in_flight_max(), retry: api.retry });
        }
        let mut hooks = Vec::new();
        for job in jobs {
            let Some(connector) = connectors.get(&job.side) else {
                return Err(SyncError::UnknownSide { side: job.side.to_string() });
            };
            let part = CollectionSide {
                abilities: connector.abilities(&job.collection),
                shape: Shape::Document,
                poll_interval: job.interval,
                full_interval: None,
                settle_window: Duration::ZERO,
            };
            let collection = CollectionPlan {
                identity: Vec::new(),
                rules: Rules::default(),
                sides: [(job.side.clone(), part)].into_iter().collect::<VecMap<_, _>>(),
                guard: Guard::default(),
            };
            plan.collections.insert(job.collection.clone(), collection);
            let (collection, retry) = (job.collection.clone(), job.retry);
            plan.jobs.insert(job.name.clone(), JobPlan { collection, in_flight_max: CALLS_MAX, retry });
            hooks.extend(job.http.webhook.as_ref().map(|hook| HookRoute {
                path: hook.path.clone(),
                side: job.side.clone(),
                collection: job.collection.clone(),
                connector: Arc::clone(connector),
            }));
        }
        Ok(Assembly { plan, connectors, hooks })
    }
}

/// Where a job's records come from.
#[derive(Debug, Clone)]
pub struct Source {
    sync: Sync,
    side: String,
    poll: Option<(String, Every)>,
    webhook: Option<WebhookSpec>,
    key: String,
    retry: Retry,
}

impl Source {
    /// Asks with GET for what changed: `?since=` is when the last run began, less
    /// some overlap; the first run asks for everything. Records are the answer
    /// itself if it is a list, else its only member that is one.
    #[must_use]
    pub fn poll(mut self, path: impl Into<String>, every: Every) -> Self {
        self.poll = Some((path.into(), every));
        self
    }

    /// Takes webhooks at `path` of the sync's own address, signed with `secret`
    /// as Standard Webhooks has it.
    #[must_use]
    pub fn webhook(mut self, path: impl Into<String>, secret: impl Into<String>) -> Self {
        self.webhook = Some(WebhookSpec {
            path: path.into(),
            secret: Some(secret.into().into()),
            unsigned: false,
            payload: hms_sync_http::spec::Payload::default(),
            record_selector: None,
        });
        self
    }

    /// The field that holds a record's id; dots step into objects. `id`, if nothing is said.
    #[must_use]
    pub fn id_field(mut self, path: impl Into<String>) -> Self {
        self.key = path.into();
        self
    }

    /// How often and when a handler that fails is called again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// What to do with each new or changed record: called once per change, also
    /// across restarts. A call that fails is made again with growing waits, and
    /// parked with its error when that is of no use; others go on.
    pub fn on_change<F, Fut, T, E>(self, handler: F) -> Prepared
    where
        F: Fn(Json, Context) -> Fut + Send + std::marker::Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: std::fmt::Display,
    {
        let call: Handler = Arc::new(move |call: Call| {
            let context = Context::new(&call);
            let work = handler(call.document, context);
            Box::pin(async move { work.await.map(|_| ()).map_err(|why| why.to_string()) })
        });
        Prepared { source: self, handler: Handle(call) }
    }
}

/// A job that is ready to start.
#[derive(Debug, Clone)]
pub struct Prepared {
    source: Source,
    handler: Handle,
}

#[derive(Clone)]
struct Handle(Handler);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a handler")
    }
}

/// One job, checked.
#[derive(Debug, Clone)]
struct Job {
    name: JobName,
    side: SideName,
    collection: CollectionName,
    http: HttpCollection,
    interval: Option<Duration>,
    retry: Retry,
    handler: Handle,
}

impl Prepared {
    /// Starts the job, beside those of the same sync that run already. Answers
    /// when it runs; it goes on until [`Running::stop`].
    pub async fn start(self) -> Result<Running, SyncError> {
        let sync = self.source.sync.clone();
        let job = self.job()?;
        sync.add(job).await
    }

    fn job(self) -> Result<Job, SyncError> {
        let Source { side, poll, webhook, key, retry, sync } = self.source;
        if !sync.sides.contains_key(&side) {
            return Err(SyncError::UnknownSide { side });
        }
        let from =
            poll.as_ref().map(|(path, _)| path.as_str()).or(webhook.as_ref().map(|hook| hook.path.as_str()));
        let Some(from) = from else { return Err(SyncError::EmptyJob { side }) };
        let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
        let short = from.split('?').next().unwrap_or_default().trim_matches('/');
        let collection = CollectionName::try_new(short.chars().map(plain).collect::<String>())?;
        let name = JobName::try_new(format!("{side}.{collection}"))?;
        let side_name = SideName::try_new(side.as_str())?;
        let wrong = |why: String| SyncError::Side { side: side.clone(), why };
        let read = match &poll {
            Some((path, _)) => Some(read(path).map_err(wrong)?),
            None => None,
        };
        let http = HttpCollection {
            primary_key: hms_sync_http::spec::FieldPath::dotted(&key),
            read,
            webhook,
            ..HttpCollection::default()
        };
        let interval = poll.map(|(_, Every(interval))| interval);
        Ok(Job { name, side: side_name, collection, http, interval, retry, handler: self.handler })
    }
}

/// `GET path?since=…`, in one page.
fn read(path: &str) -> Result<ReadSpec, String> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let template = |text: &str| Template::try_new(text).map_err(|why| why.to_string());
    let mut spec = ReadSpec::new(template(path)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        spec.request_parameters.insert(name.to_owned(), template(value)?);
    }
    spec.paginator = Paginator::None;
    spec.incremental_sync = Some(IncrementalSync {
        cursor: CursorFrom::LastRun,
        start_time_option: Some(StartTimeOption { field_name: "since".to_owned() }),
        lookback_window: Some(Span(Duration::from_secs(10))),
        ..IncrementalSync::default()
    });
    Ok(spec)
}
