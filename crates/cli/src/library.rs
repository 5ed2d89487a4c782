//! What this command asks of the library, in one place: loading a
//! configuration, opening its log, assembling and running a sync.

use crate::exit::{Exit, Failure, in_one_line};
use hms_sync::{Assembly, Connectors, Options, Running, SyncError};
use hms_sync_changelog::{Log, LogError};
use hms_sync_config::Config;
use hms_sync_engine::{EngineError, Plan, Watcher};
use hms_sync_http::spec::FieldPath;
use hms_sync_management::{Access, HookRoute};
use hms_sync_model::{CollectionName, SideName};
use hms_sync_vault::Vault;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads and checks a configuration.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    hms_sync_config::load(file, &|name| std::env::var(name).ok())
        .map_err(|why| Failure::new(Exit::Config, why.to_string()))
}

/// The JSON Schema of the configuration.
pub(crate) fn schema() -> serde_json::Value {
    hms_sync_config::schema()
}

/// Opens the log of a sync that nobody runs. Makes nothing that is not there.
pub(crate) fn open_log(config: &Config, access: Option<&Access>) -> Result<Log, Failure> {
    let dir = &config.data_dir;
    if !dir.is_dir() {
        let place = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        let error =
            format!("there is no change log in {}: {} has not run there", place.display(), config.sync);
        return Err(Failure::new(Exit::Failed, error).hint("start it with `hms-sync run FILE`"));
    }
    Log::open(dir, hms_sync_changelog::Options::default()).map_err(|why| store_failure(&why, access))
}

/// Opens the keys of personal fields. The log must be open: who has it has them.
pub(crate) fn open_keys(data_dir: &Path, plan: &Plan) -> Result<Option<Vault>, Failure> {
    hms_sync::open_keys(data_dir, plan).map_err(|why| start_failure(&why))
}

/// Why the log cannot be had, and who has it.
pub(crate) fn store_failure(why: &LogError, access: Option<&Access>) -> Failure {
    let failure = Failure::new(Exit::Store, in_one_line(why));
    match (why, access) {
        (LogError::InUse { .. }, Some(access)) => failure.hint(format!(
            "process {} should have it and does not answer at {}: wait until it has started or ended",
            access.pid, access.url
        )),
        (LogError::InUse { .. }, None) => failure.hint("it may be starting or ending just now: try again"),
        (LogError::InTheWay { .. }, _) => failure.hint("remove it, or name another folder with --into"),
        _ => failure.hint("keep a copy of the folder before anything else"),
    }
}

/// What the engine would be told to do.
pub(crate) fn plan(config: Config) -> Result<Plan, Failure> {
    Ok(assembly(&config)?.plan)
}

fn assembly(config: &Config) -> Result<Assembly, Failure> {
    hms_sync::assemble(config).map_err(|why| Failure::new(Exit::Config, in_one_line(&why)))
}

/// What the engine would be told to do, its sides, and where webhooks come in.
pub(crate) fn assemble(config: Config) -> Result<(Plan, Connectors, Vec<HookRoute>), Failure> {
    let Assembly { plan, connectors, hooks } = assembly(&config)?;
    Ok((plan, connectors, hooks))
}

/// Runs a sync.
pub(crate) async fn start(config: Config, watcher: Option<Watcher>) -> Result<Running, Failure> {
    let options = Options { watcher, ..Options::default() };
    hms_sync::run(config, options).await.map_err(|why| start_failure(&why))
}

/// The same on a log that was put back from a backup: it reads, and writes nothing.
pub(crate) async fn start_restored(config: Config) -> Result<Running, Failure> {
    let options = Options { restored: true, ..Options::default() };
    hms_sync::run(config, options).await.map_err(|why| start_failure(&why))
}

/// Why an engine does not answer.
pub(crate) fn engine_failure(why: &EngineError) -> Failure {
    Failure::new(Exit::Store, in_one_line(why))
}

/// Why a sync does not start, or does not stop in order.
pub(crate) fn start_failure(why: &SyncError) -> Failure {
    match why {
        SyncError::Log { source, .. } => store_failure(source, None),
        SyncError::Config(_) | SyncError::Side { .. } => Failure::new(Exit::Config, in_one_line(why)),
        SyncError::Engine(_) => Failure::new(Exit::Store, in_one_line(why)),
        SyncError::Keys { .. } => Failure::new(Exit::Store, in_one_line(why))
            .hint("the folder `keys` belongs to the change log beside it: put back the one that does"),
        SyncError::Listen { .. } => Failure::new(Exit::Failed, in_one_line(why))
            .hint("another sync may listen there: give this one an address of its own, as `management: \"127.0.0.1:7071\"`"),
        _ => Failure::new(Exit::Failed, in_one_line(why)),
    }
}

/// The places that tell of changes by themselves.
pub(crate) fn hooked(config: &Config) -> BTreeSet<(SideName, CollectionName)> {
    let all = config.collections.iter().flat_map(|(name, of)| {
        let told = of.sides.iter().filter(|(_, part)| part.http.webhook.is_some());
        told.map(move |(side, _)| (side.clone(), name.clone()))
    });
    all.collect()
}

/// The field by which each place's changes are asked for.
pub(crate) fn cursor_fields(config: &Config) -> BTreeMap<(SideName, CollectionName), FieldPath> {
    let all = config.collections.iter().flat_map(|(name, of)| {
        let field = |part: &hms_sync_config::CollectionSide| {
            part.http.read.as_ref()?.incremental_sync.as_ref()?.cursor_field.clone()
        };
        of.sides.iter().filter_map(move |(side, part)| Some(((side.clone(), name.clone()), field(part)?)))
    });
    all.collect()
}

/// Where webhooks come in, below the management address.
pub(crate) fn hook_paths(config: &Config) -> Vec<String> {
    let parts = config.collections.values().flat_map(|of| of.sides.values());
    parts.filter_map(|part| Some(part.http.webhook.as_ref()?.path.clone())).collect()
}
