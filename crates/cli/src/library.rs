//! What this command asks of the library, in one place: loading a
//! configuration, opening its log, assembling and running a sync.

use crate::exit::{Exit, Failure, in_one_line};
use hms_sync_changelog::{Log, LogError};
use hms_sync_config::Config;
use hms_sync_engine::Plan;
use hms_sync_management::Access;
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
        let error = format!("there is no change log in {}: {} has not run yet", dir.display(), config.sync);
        return Err(Failure::new(Exit::Failed, error).hint("start it with `hms-sync run FILE`"));
    }
    Log::open(dir, hms_sync_changelog::Options::default()).map_err(|why| store_failure(&why, access))
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
        _ => failure.hint("keep a copy of the folder before anything else"),
    }
}

/// What the engine would be told to do.
pub(crate) fn plan(config: Config) -> Result<Plan, Failure> {
    Ok(assemble(config)?.0)
}
