//! One way: what comes from a side, and the code that is called for each change.

use crate::builder::Sync;
use crate::context::Context;
use crate::error::SyncError;
use crate::every::Every;
use crate::running::Running;
use hms_sync_engine::{Call, Handler, Retry};
use hms_sync_http::spec::{
    CursorFrom, FieldPath, HttpCollection, IncrementalSync, Paginator, PrimaryKey, ReadSpec, RequestOption,
    Secrets, Span, Template, WebhookSpec,
};
use hms_sync_model::{CollectionName, JobName, SideName};
use serde_json::Value as Json;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Where a job's records come from.
#[derive(Debug, Clone)]
pub struct Source {
    sync: Sync,
    side: String,
    poll: Option<(String, Every)>,
    datetime_format: Option<String>,
    webhook: Option<WebhookSpec>,
    collection: Option<String>,
    key: String,
    retry: Retry,
}

impl Source {
    pub(crate) fn new(sync: Sync, side: String) -> Self {
        Self {
            sync,
            side,
            poll: None,
            datetime_format: None,
            webhook: None,
            collection: None,
            key: "id".to_owned(),
            retry: Retry::default(),
        }
    }

    /// Asks with GET for what changed: `?since=` is when the last run began, less
    /// some overlap; the first run asks for everything. Records are the answer
    /// itself if it is a list, else its only member that is one.
    #[must_use]
    pub fn poll(mut self, path: impl Into<String>, every: Every) -> Self {
        self.poll = Some((path.into(), every));
        self
    }

    /// The form of `?since=`: a `strftime` pattern, `epoch_s` or `epoch_ms`. RFC 3339
    /// in UTC with milliseconds, if nothing is said.
    #[must_use]
    pub fn datetime_format(mut self, format: impl Into<String>) -> Self {
        self.datetime_format = Some(format.into());
        self
    }

    /// Takes webhooks at `path` of the sync's own address, signed with `secret`
    /// as Standard Webhooks has it.
    #[must_use]
    pub fn webhook(mut self, path: impl Into<String>, secret: impl Into<String>) -> Self {
        self.webhook =
            Some(WebhookSpec { path: path.into(), secret: Secrets::one(secret), ..WebhookSpec::default() });
        self
    }

    /// What the records are called in the change log. After the path they come
    /// from, if nothing is said; two sides with the same path need two names.
    #[must_use]
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.collection = Some(name.into());
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
pub(crate) struct Handle(pub(crate) Handler);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a handler")
    }
}

/// One job, checked.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) name: JobName,
    pub(crate) side: SideName,
    pub(crate) collection: CollectionName,
    pub(crate) http: HttpCollection,
    pub(crate) interval: Option<Duration>,
    pub(crate) retry: Retry,
    pub(crate) handler: Handle,
}

impl Prepared {
    /// Starts the job, beside those of the same sync that run already. Answers
    /// when it runs; it goes on until [`Running::stop`].
    pub async fn start(self) -> Result<Running, SyncError> {
        let sync = self.source.sync.clone();
        let job = self.job()?;
        Box::pin(sync.add_job(job)).await
    }

    fn job(self) -> Result<Job, SyncError> {
        let Source { side, poll, datetime_format, webhook, collection, key, retry, sync } = self.source;
        if !sync.has_side(&side) {
            return Err(SyncError::UnknownSide { side });
        }
        let from =
            poll.as_ref().map(|(path, _)| path.as_str()).or(webhook.as_ref().map(|hook| hook.path.as_str()));
        let Some(from) = from else { return Err(SyncError::EmptyJob { side }) };
        let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
        let short = from.split('?').next().unwrap_or_default().trim_matches('/');
        let short = || short.chars().map(plain).collect::<String>();
        let collection = CollectionName::try_new(collection.unwrap_or_else(short))?;
        let name = JobName::try_new(format!("{side}.{collection}"))?;
        let side_name = SideName::try_new(side.as_str())?;
        let wrong = |why: String| SyncError::Side { side: side.clone(), why };
        let read = match &poll {
            Some((path, _)) => Some(read(path, datetime_format).map_err(wrong)?),
            None => None,
        };
        let http = HttpCollection {
            primary_key: PrimaryKey::at(FieldPath::dotted(&key)),
            read,
            webhook,
            ..HttpCollection::default()
        };
        let interval = poll.map(|(_, Every(interval))| interval);
        Ok(Job { name, side: side_name, collection, http, interval, retry, handler: self.handler })
    }
}

/// `GET path?since=…`, in one page.
fn read(path: &str, datetime_format: Option<String>) -> Result<ReadSpec, String> {
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
        start_time_option: Some(RequestOption::parameter("since")),
        datetime_format,
        lookback_window: Some(Span(Duration::from_secs(10))),
        ..IncrementalSync::default()
    });
    Ok(spec)
}
