//! Asks sides for their webhooks, where they want to be asked, and asks again before they
//! stop sending them. What they answered is kept beside the log, so that a restart asks for
//! nothing twice.

use hms_sync_connector::{ReadError, Registration};
use hms_sync_management::HookRoute;
use hms_sync_model::Time;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// The file's name in the data folder.
const FILE: &str = "webhooks.json";
/// The first wait after a request that came to nothing; it doubles with each.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(15);

/// All registrations, by side and collection.
type Known = BTreeMap<String, Registration>;

/// Begins to ask; it goes on until what is answered is dropped. Our door must be open: some
/// sides ask back before they answer.
pub(crate) fn begin(routes: &[HookRoute], data_dir: &Path) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let path = data_dir.join(FILE);
    let known = Arc::new(Mutex::new(read(&path)));
    for route in routes.iter().filter(|route| route.connector.registers(&route.collection)) {
        tasks.spawn(keep(route.clone(), path.clone(), Arc::clone(&known)));
    }
    tasks
}

/// Keeps one registration.
async fn keep(route: HookRoute, path: PathBuf, all: Arc<Mutex<Known>>) {
    let HookRoute { side, collection, connector, .. } = route;
    let key = format!("{side}/{collection}");
    let mut failures = 0_u32;
    // After a start the side is asked at once only if it is time to.
    let mut known = all.lock().await.get(&key).cloned();
    loop {
        if failures == 0
            && let Some(known) = &known
            && connector.is_registered(&collection, known)
        {
            let Some(due) = known.renew_at else { return };
            tokio::time::sleep(due.since(now())).await;
        }
        match connector.register(collection.clone(), known.clone(), now()).await {
            Ok(registration) => {
                failures = 0;
                known = Some(registration.clone());
                let mut all = all.lock().await;
                all.insert(key.clone(), registration);
                if let Err(why) = write(&path, &all) {
                    tracing::error!(path = %path.display(), %why, "what a side answered cannot be kept");
                }
                tracing::info!(%side, %collection, "the side sends webhooks");
            }
            Err(why) => {
                tracing::warn!(%side, %collection, %why, "the side could not be asked for webhooks");
                tokio::time::sleep(wait(&why, failures)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

fn wait(why: &ReadError, failures: u32) -> Duration {
    let wait = WAIT.saturating_mul(1 << failures.min(16)).min(WAIT_MAX);
    match why {
        ReadError::Later { after: Some(after), .. } => wait.max(*after),
        ReadError::Later { .. } | ReadError::Broken { .. } => wait,
        // A person has to act.
        ReadError::Denied { .. } => WAIT_MAX,
    }
}

/// What is known; nothing if that cannot be told: then sides are asked anew.
fn read(path: &Path) -> Known {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|why| {
            tracing::warn!(path = %path.display(), %why, "sides are asked for webhooks anew");
            Known::new()
        }),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Known::new(),
        Err(why) => {
            tracing::warn!(path = %path.display(), %why, "sides are asked for webhooks anew");
            Known::new()
        }
    }
}

/// Whole or not at all.
fn write(path: &Path, known: &Known) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let file = std::fs::File::create(&fresh)?;
    serde_json::to_writer_pretty(&file, known)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
