//! What can go wrong for those who embed hms-sync.

use hms_sync_changelog::LogError;
use hms_sync_config::ConfigErrors;
use hms_sync_engine::EngineError;
use hms_sync_model::InvalidName;
use hms_sync_vault::VaultError;

/// Why a sync does not start, or a call on it fails.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The configuration is wrong; each mistake with its place and a hint.
    #[error("the configuration is wrong\n{0}")]
    Config(ConfigErrors),
    /// A side's settings cannot be used.
    #[error("side {side}: {why}")]
    Side {
        /// Which side.
        side: String,
        /// What is wrong with its settings.
        why: String,
    },
    /// A name that was given cannot be one.
    #[error("a name cannot be used: {0}")]
    Name(#[from] InvalidName),
    /// A job names a side that was not given with `api`.
    #[error("there is no side {side:?}: name it with `.api({side:?}, …)` first")]
    UnknownSide {
        /// The name.
        side: String,
    },
    /// A job has neither `poll` nor `webhook`, or no handler.
    #[error("the job on {side} does nothing: give it `.poll(…)` or `.webhook(…)`, and `.on_change(…)`")]
    EmptyJob {
        /// Its source.
        side: String,
    },
    /// Two things of one sync would go by one name.
    #[error("{what} is there twice, {first} and {second}: give one of them another")]
    Twice {
        /// What: a collection, a webhook's path.
        what: String,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// The change log cannot be opened.
    #[error("the change log in {dir} cannot be opened: {source}")]
    Log {
        /// In which folder.
        dir: String,
        /// Why.
        source: LogError,
    },
    /// The keys of personal fields cannot be opened.
    #[error("the keys of personal fields in {dir} cannot be opened: {source}")]
    Keys {
        /// In which folder.
        dir: String,
        /// Why.
        source: VaultError,
    },
    /// The engine stopped.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The management server cannot start.
    #[error("the management server cannot listen on {address}: {why}")]
    Listen {
        /// On which address.
        address: String,
        /// Why.
        why: String,
    },
    /// A request's body cannot be written as JSON.
    #[error("the body for {path} cannot be written as JSON: {why}")]
    Body {
        /// For which path.
        path: String,
        /// Why.
        why: String,
    },
    /// The engine will not take a request.
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
    },
}
