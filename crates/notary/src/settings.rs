//! How a notary is told to work.

use hms_sync_proof::{KeyName, VerifierKey};
use std::time::Duration;

/// A witness, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessSettings {
    /// Its cosigning key; its name is the witness's.
    pub key: VerifierKey,
    /// Where it is: requests go to `URL/add-checkpoint`.
    pub url: String,
}

/// How a notary is told to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The log's name to outsiders; made up from the sync's name at the first start if
    /// nothing is said.
    pub origin: Option<KeyName>,
    /// So many new events make a checkpoint due.
    pub every_events: u64,
    /// So long after the last one a checkpoint is due, if there are new events.
    pub every: Duration,
    /// Who is asked to countersign.
    pub witnesses: Vec<WitnessSettings>,
    /// How long one may take to answer.
    pub witness_patience: Duration,
}

impl Default for Settings {
    /// Every 10,000 events or 10 seconds, no witnesses, 10 seconds for each.
    fn default() -> Self {
        Self {
            origin: None,
            every_events: 10_000,
            every: Duration::from_secs(10),
            witnesses: Vec::new(),
            witness_patience: Duration::from_secs(10),
        }
    }
}
