//! Where an answer comes from: the process that runs the sync, or its change
//! log if none does. Both give the same answers.

use crate::client::Client;
use crate::exit::{Exit, Failure, in_one_line};
use crate::library;
use hms_sync_config::Config;
use hms_sync_engine::RecordReport;
use hms_sync_management::{
    Access, Desk, DeskError, Erased, Explanation, History, ParkedFilter, ParkedItem, ParkedPage, Released,
    StatsReport, StatusReport, Verified,
};
use hms_sync_model::Released as Action;
use std::path::Path;
use std::time::Duration;

/// A verification reads the whole log.
const VERIFY_PATIENCE: Duration = Duration::from_hours(24);

/// Who answers.
#[derive(Debug)]
pub(crate) enum Source {
    /// The process that runs the sync.
    Running(Client),
    /// Its change log.
    Stopped(Box<Desk>),
}

impl Source {
    /// Finds out who answers for a configuration.
    pub(crate) async fn open(file: &Path) -> Result<Self, Failure> {
        Self::of(library::load(file)?).await
    }

    /// The same for one that is loaded.
    pub(crate) async fn of(config: Config) -> Result<Self, Failure> {
        let access = access(&config)?;
        if let Some(access) = access.clone()
            && let Some(client) = Client::reach(access).await
        {
            return Ok(Self::Running(client));
        }
        let log = library::open_log(&config, access.as_ref())?;
        let data_dir = config.data_dir.clone();
        let plan = library::plan(config)?;
        let keys = library::open_keys(&data_dir, &plan)?;
        Ok(Self::Stopped(Box::new(Desk::stopped(plan, log, keys).map_err(failure)?)))
    }

    pub(crate) async fn status(&self) -> Result<StatusReport, Failure> {
        match self {
            Self::Running(client) => client.get("/api/status", &[]).await,
            Self::Stopped(desk) => desk.status().await.map_err(failure),
        }
    }

    /// All that is parked and fits.
    pub(crate) async fn parked(&self, filter: &ParkedFilter) -> Result<Vec<ParkedItem>, Failure> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = self.parked_page(filter, after.as_deref()).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }

    async fn parked_page(&self, filter: &ParkedFilter, after: Option<&str>) -> Result<ParkedPage, Failure> {
        match self {
            Self::Running(client) => {
                let pairs = [
                    ("record", filter.record.as_deref()),
                    ("lane", filter.lane.as_deref()),
                    ("side", filter.side.as_deref()),
                    ("reason", filter.reason.as_deref()),
                    ("after", after),
                ];
                let query: Vec<(&str, &str)> =
                    pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                client.get("/api/parked", &query).await
            }
            Self::Stopped(desk) => desk.parked(filter, after, usize::MAX).await.map_err(failure),
        }
    }

    pub(crate) async fn release(&self, filter: &ParkedFilter, action: Action) -> Result<Released, Failure> {
        match self {
            Self::Running(client) => {
                let action = match action {
                    Action::Replay => "replay",
                    Action::Discard => "discard",
                };
                let all = filter.is_open();
                let body = serde_json::json!({ "action": action, "all": all, "filter": filter });
                client.post("/api/parked/release", &body).await
            }
            Self::Stopped(desk) => desk.release(filter, action).await.map_err(failure),
        }
    }

    pub(crate) async fn record(&self, name: &str) -> Result<RecordReport, Failure> {
        match self {
            Self::Running(client) => client.get("/api/record", &[("name", name)]).await,
            Self::Stopped(desk) => desk.record(name).await.map_err(failure),
        }
    }

    /// Some of a record's events; `next` says where to go on.
    pub(crate) async fn history(&self, name: &str, after: u64) -> Result<History, Failure> {
        match self {
            Self::Running(client) => {
                client.get("/api/history", &[("name", name), ("after", &after.to_string())]).await
            }
            Self::Stopped(desk) => desk.history(name, after, usize::MAX).await.map_err(failure),
        }
    }

    pub(crate) async fn explain(&self, name: &str, field: Option<&str>) -> Result<Explanation, Failure> {
        match self {
            Self::Running(client) => {
                let mut query = vec![("name", name)];
                query.extend(field.map(|field| ("field", field)));
                client.get("/api/explain", &query).await
            }
            Self::Stopped(desk) => desk.explain(name, field).await.map_err(failure),
        }
    }

    pub(crate) async fn erase(&self, record: &str, by: &str, reason: &str) -> Result<Erased, Failure> {
        match self {
            Self::Running(client) => {
                let body = serde_json::json!({ "record": record, "by": by, "reason": reason });
                client.post("/api/erase", &body).await
            }
            Self::Stopped(desk) => desk.erase(record, by, reason).await.map_err(failure),
        }
    }

    pub(crate) async fn poll(&self, side: &str, collection: &str, full: bool) -> Result<(), Failure> {
        match self {
            Self::Running(client) => {
                let body = serde_json::json!({ "side": side, "collection": collection, "full": full });
                client.post::<serde_json::Value>("/api/poll", &body).await.map(drop)
            }
            Self::Stopped(desk) => desk.poll(side, collection, full).await.map_err(failure),
        }
    }
}

/// Checks the whole log of a configuration. Needs no views, so that a log can
/// be checked whatever has become of them.
pub(crate) async fn verify(file: &Path) -> Result<Verified, Failure> {
    let config = library::load(file)?;
    let access = access(&config)?;
    if let Some(access) = access.clone()
        && let Some(client) = Client::reach(access).await
    {
        return client.get_within("/api/verify", &[], VERIFY_PATIENCE).await;
    }
    let log = library::open_log(&config, access.as_ref())?;
    let verified = tokio::task::spawn_blocking(move || Verified::of(&log, |_| {})).await;
    let verified =
        verified.map_err(|why| Failure::new(Exit::Failed, format!("the check was cut off: {why}")))?;
    verified.map_err(|why| Failure::new(Exit::Store, in_one_line(&why)))
}

/// How much the change log of a configuration holds. Needs no views either.
pub(crate) async fn log_stats(file: &Path) -> Result<StatsReport, Failure> {
    let config = library::load(file)?;
    let access = access(&config)?;
    if let Some(access) = access.clone()
        && let Some(client) = Client::reach(access).await
    {
        return client.get("/api/log/stats", &[]).await;
    }
    let log = library::open_log(&config, access.as_ref())?;
    let stats = tokio::task::spawn_blocking(move || StatsReport::of(&log));
    stats.await.map_err(|why| Failure::new(Exit::Failed, format!("the count was cut off: {why}")))
}

fn access(config: &Config) -> Result<Option<Access>, Failure> {
    Access::read(&config.data_dir).map_err(|why| {
        let path = config.data_dir.join(hms_sync_management::ACCESS_FILE);
        Failure::new(Exit::Failed, format!("{} cannot be read: {why}", path.display()))
            .hint("ask as the user who runs the sync; if none runs, remove the file")
    })
}

fn failure(why: DeskError) -> Failure {
    let exit = match &why {
        DeskError::Engine(_) | DeskError::Log(_) => Exit::Store,
        _ => Exit::Failed,
    };
    Failure::new(exit, in_one_line(&why)).hint(why.hint())
}
