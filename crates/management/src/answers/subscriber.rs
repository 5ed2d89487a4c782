//! Who is only told.

use serde::{Deserialize, Serialize};

/// Asks for a subscriber to be told again what it took. Either `since` or `after`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TellAgain {
    /// Which side.
    pub side: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// After which event: its number, its id or the beginning of that, or a `webhook-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Asks for a subscriber to be told nothing more, or again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Which side.
    pub side: String,
    /// Who asks for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What was begun, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// Which side.
    pub side: String,
    /// What happens now.
    pub words: String,
}
