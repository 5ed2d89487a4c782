//! Where an answer comes from: the process that runs the sync, or its change
//! log if none does. Both give the same answers.

use crate::client::Client;
use crate::exit::{Exit, Failure, in_one_line};
use crate::library;
use hms_sync_changelog::Log;
use hms_sync_config::Config;
use hms_sync_engine::RecordReport;
use hms_sync_management::{
    Access, AsOf, CheckpointReport, Chosen, ConflictPage, ConflictQuery, Decide, Desk, DeskError, Diff,
    Erased, Explanation, History, Join, LogPage, LogQuery, ParkedFilter, ParkedItem, ParkedPage,
    RecordConflicts, Released, Relink, RelinkPreview, Restore, StatsReport, StatusReport, Subscribe,
    Subscribed, TakenUp, TellAgain, Unlink, Verified,
};
use hms_sync_model::Released as Action;
use hms_sync_notary::{Notary, NotaryStatus};
use hms_sync_proof::TreeHead;
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
        // Who only asks makes no folder.
        let signs = config.data_dir.join("audit").is_dir();
        let notary = signs.then(|| notary(&config, &log)).transpose()?;
        let data_dir = config.data_dir.clone();
        let plan = library::plan(config)?;
        let keys = library::open_keys(&data_dir, &plan)?;
        let desk = Desk::stopped(plan, log, keys).map_err(failure)?;
        Ok(Self::Stopped(Box::new(desk.with_notary(notary))))
    }

    /// The same, where somebody is to sign: what is missing for that is made.
    pub(crate) async fn with_notary(file: &Path) -> Result<Self, Failure> {
        let config = library::load(file)?;
        if let Some(access) = access(&config)?
            && let Some(client) = Client::reach(access).await
        {
            return Ok(Self::Running(client));
        }
        let log = library::open_log(&config, access(&config)?.as_ref())?;
        let notary = notary(&config, &log)?;
        let data_dir = config.data_dir.clone();
        let plan = library::plan(config)?;
        let keys = library::open_keys(&data_dir, &plan)?;
        let desk = Desk::stopped(plan, log, keys).map_err(failure)?.with_notary(Some(notary));
        desk.settle_keys().await.map_err(failure)?;
        Ok(Self::Stopped(Box::new(desk)))
    }

    pub(crate) async fn checkpoint(&self) -> Result<CheckpointReport, Failure> {
        match self {
            Self::Running(client) => client.post("/api/audit/checkpoint", &()).await,
            Self::Stopped(desk) => desk.checkpoint().await.map_err(failure),
        }
    }

    pub(crate) async fn rotate_key(&self, reason: &str) -> Result<NotaryStatus, Failure> {
        match self {
            Self::Running(client) => {
                client.post("/api/audit/rotate-key", &serde_json::json!({ "reason": reason })).await
            }
            Self::Stopped(desk) => desk.rotate_key(reason).await.map_err(failure),
        }
    }

    pub(crate) async fn new_origin(
        &self,
        origin: Option<&str>,
        reason: &str,
    ) -> Result<NotaryStatus, Failure> {
        match self {
            Self::Running(client) => {
                let body = serde_json::json!({ "reason": reason, "origin": origin });
                client.post("/api/audit/new-origin", &body).await
            }
            Self::Stopped(desk) => desk.new_origin(origin, reason).await.map_err(failure),
        }
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
                    Action::PushOurs => "push_ours",
                    Action::TakeTheirs => "take_theirs",
                };
                let all = filter.is_open();
                let body = serde_json::json!({ "action": action, "all": all, "filter": filter });
                client.post("/api/parked/release", &body).await
            }
            Self::Stopped(desk) => desk.release(filter, action).await.map_err(failure),
        }
    }

    /// Conflicts that fit; `next` says where to go on.
    pub(crate) async fn conflicts(&self, query: &ConflictQuery) -> Result<ConflictPage, Failure> {
        let client = match self {
            Self::Running(client) => client,
            Self::Stopped(desk) => return desk.conflicts(query).await.map_err(failure),
        };
        let limit = query.limit.map(|n| n.to_string());
        let pairs = [
            ("side", query.side.as_deref()),
            ("collection", query.collection.as_deref()),
            ("field", query.field.as_deref()),
            ("kind", query.kind.as_deref()),
            ("open", query.open.then_some("true")),
            ("all", query.all.then_some("true")),
            ("after", query.after.as_deref()),
            ("limit", limit.as_deref()),
        ];
        let query: Vec<(&str, &str)> =
            pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        client.get("/api/conflicts", &query).await
    }

    pub(crate) async fn conflicts_of(
        &self,
        name: &str,
        field: Option<&str>,
    ) -> Result<RecordConflicts, Failure> {
        match self {
            Self::Running(client) => {
                let mut query = vec![("name", name)];
                query.extend(field.map(|field| ("field", field)));
                client.get("/api/conflicts/record", &query).await
            }
            Self::Stopped(desk) => desk.conflicts_of(name, field).await.map_err(failure),
        }
    }

    pub(crate) async fn decide(&self, asked: &Decide) -> Result<Chosen, Failure> {
        match self {
            Self::Running(client) => client.post("/api/conflicts/resolve", asked).await,
            Self::Stopped(desk) => desk.decide(asked).await.map_err(failure),
        }
    }

    pub(crate) async fn restore(&self, asked: &Restore) -> Result<Chosen, Failure> {
        match self {
            Self::Running(client) => client.post("/api/conflicts/restore", asked).await,
            Self::Stopped(desk) => desk.restore(asked).await.map_err(failure),
        }
    }

    pub(crate) async fn unlink(&self, asked: &Unlink) -> Result<Chosen, Failure> {
        match self {
            Self::Running(client) => client.post("/api/links/unlink", asked).await,
            Self::Stopped(desk) => desk.unlink(asked).await.map_err(failure),
        }
    }

    pub(crate) async fn tell_again(&self, asked: &TellAgain) -> Result<Subscribed, Failure> {
        match self {
            Self::Running(client) => client.post("/api/subscribers/replay", asked).await,
            Self::Stopped(desk) => desk.tell_again(asked).await.map_err(failure),
        }
    }

    pub(crate) async fn subscribe(&self, asked: &Subscribe, wanted: bool) -> Result<Subscribed, Failure> {
        let path = if wanted { "/api/subscribers/subscribe" } else { "/api/subscribers/unsubscribe" };
        match self {
            Self::Running(client) => client.post(path, asked).await,
            Self::Stopped(desk) => desk.subscribe(asked, wanted).await.map_err(failure),
        }
    }

    pub(crate) async fn relink(&self, asked: &Relink) -> Result<Chosen, Failure> {
        match self {
            Self::Running(client) => client.post("/api/links/relink", asked).await,
            Self::Stopped(desk) => desk.relink(asked).await.map_err(failure),
        }
    }

    pub(crate) async fn join(&self, asked: &Join) -> Result<Chosen, Failure> {
        match self {
            Self::Running(client) => client.post("/api/links/join", asked).await,
            Self::Stopped(desk) => desk.join(asked).await.map_err(failure),
        }
    }

    /// What a relink would bring together.
    pub(crate) async fn relink_preview(
        &self,
        name: &str,
        side: &str,
        id: Option<&str>,
    ) -> Result<RelinkPreview, Failure> {
        match self {
            Self::Running(client) => {
                let mut query = vec![("name", name), ("side", side)];
                query.extend(id.map(|id| ("id", id)));
                client.get("/api/links/preview", &query).await
            }
            Self::Stopped(desk) => desk.relink_preview(name, side, id).await.map_err(failure),
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

    pub(crate) async fn explain(
        &self,
        name: &str,
        field: Option<&str>,
        at: Option<&str>,
    ) -> Result<Explanation, Failure> {
        match self {
            Self::Running(client) => {
                let mut query = vec![("name", name)];
                query.extend(field.map(|field| ("field", field)));
                query.extend(at.map(|at| ("at", at)));
                client.get("/api/explain", &query).await
            }
            Self::Stopped(desk) => desk.explain(name, field, at).await.map_err(failure),
        }
    }

    /// A record as it stood.
    pub(crate) async fn as_of(&self, name: &str, at: &str) -> Result<AsOf, Failure> {
        match self {
            Self::Running(client) => client.get("/api/as-of", &[("name", name), ("at", at)]).await,
            Self::Stopped(desk) => desk.as_of(name, at).await.map_err(failure),
        }
    }

    /// What differs in a record between two points.
    pub(crate) async fn diff(&self, name: &str, from: &str, to: &str) -> Result<Diff, Failure> {
        match self {
            Self::Running(client) => {
                client.get("/api/diff", &[("name", name), ("from", from), ("to", to)]).await
            }
            Self::Stopped(desk) => desk.diff(name, from, to).await.map_err(failure),
        }
    }

    /// Some of the log's events; `next` says where to go on.
    pub(crate) async fn log_list(&self, wanted: &LogQuery) -> Result<LogPage, Failure> {
        let client = match self {
            Self::Running(client) => client,
            Self::Stopped(desk) => return desk.log_list(wanted).await.map_err(failure),
        };
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        let (limit, after) = (number(wanted.limit.map(|n| n as u64)), number(wanted.after));
        let pairs = [
            ("side", wanted.side.as_deref()),
            ("record", wanted.record.as_deref()),
            ("collection", wanted.collection.as_deref()),
            ("kind", wanted.kind.as_deref()),
            ("from", wanted.from.as_deref()),
            ("to", wanted.to.as_deref()),
            ("field", wanted.field.as_deref()),
            ("limit", limit.as_deref()),
            ("after", after.as_deref()),
            ("reverse", wanted.reverse.then_some("true")),
        ];
        let query: Vec<(&str, &str)> =
            pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        client.get("/api/log", &query).await
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

    pub(crate) async fn take_up(&self, record: &str, by: &str, reason: &str) -> Result<TakenUp, Failure> {
        match self {
            Self::Running(client) => {
                let body = serde_json::json!({ "record": record, "by": by, "reason": reason });
                client.post("/api/take-up", &body).await
            }
            Self::Stopped(desk) => desk.take_up(record, by, reason).await.map_err(failure),
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

/// Who signs for a log that nobody runs.
pub(crate) fn notary(config: &Config, log: &Log) -> Result<Notary, Failure> {
    Notary::open(&config.data_dir, &config.sync, config.audit.clone(), log)
        .map_err(|why| Failure::new(Exit::Failed, in_one_line(&why)))
}

/// Checks the whole log of a configuration. Needs no views, so that a log can
/// be checked whatever has become of them.
pub(crate) async fn verify(file: &Path, heads: Vec<TreeHead>) -> Result<Verified, Failure> {
    let config = library::load(file)?;
    let access = access(&config)?;
    if let Some(access) = access.clone()
        && let Some(client) = Client::reach(access).await
    {
        let named: Vec<String> = heads.iter().map(|head| format!("{}:{}", head.size, head.root)).collect();
        let named = named.join(",");
        let query = [("heads", named.as_str())];
        let query = if heads.is_empty() { &[][..] } else { &query };
        return client.get_within("/api/verify", query, VERIFY_PATIENCE).await;
    }
    let log = library::open_log(&config, access.as_ref())?;
    let notary = config.data_dir.join("audit").is_dir().then(|| notary(&config, &log)).transpose()?;
    let verified = tokio::task::spawn_blocking(move || Verified::of(&log, notary.as_ref(), heads)).await;
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

pub(crate) fn failure(why: DeskError) -> Failure {
    let exit = match &why {
        DeskError::Engine(_) | DeskError::Log(_) => Exit::Store,
        _ => Exit::Failed,
    };
    Failure::new(exit, in_one_line(&why)).hint(why.hint())
}
