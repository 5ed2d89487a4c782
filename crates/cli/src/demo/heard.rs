//! What the sync's process tells, one JSON object a line (`run --events`).

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// One thing that happened.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Heard {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// To which record, by its id in hms-sync.
    pub(crate) record: Option<String>,
    #[serde(flatten)]
    pub(crate) kind: Kind,
}

/// What happened, as far as the story needs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Kind {
    Appeared {
        side: String,
        fields: Map<String, Json>,
    },
    Edited {
        side: String,
        fields: Map<String, Json>,
    },
    Deleted {
        side: String,
    },
    Decided {
        field: String,
        value: Json,
        losers: Vec<Loser>,
        reason: String,
    },
    Delivered {
        side: String,
        operation: String,
        fields: Map<String, Json>,
        after_us: u64,
    },
    Delayed,
    Parked {
        reason: String,
    },
    SideAway {
        side: String,
        reason: String,
    },
    SideBack {
        side: String,
    },
    Listed {
        side: String,
    },
    #[serde(other)]
    Other,
}

/// A value that did not stand.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Loser {
    pub(crate) by: String,
    pub(crate) value: Json,
}

impl Kind {
    /// The fields it speaks of.
    pub(crate) fn fields(&self) -> Option<&Map<String, Json>> {
        match self {
            Self::Appeared { fields, .. } | Self::Edited { fields, .. } | Self::Delivered { fields, .. } => {
                Some(fields)
            }
            Self::Deleted { .. }
            | Self::Decided { .. }
            | Self::Delayed
            | Self::Parked { .. }
            | Self::SideAway { .. }
            | Self::SideBack { .. }
            | Self::Listed { .. }
            | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]
    use super::*;

    #[test]
    fn lines_of_a_run_are_understood_also_those_of_later_versions() {
        let line = r#"{"at":"2026-01-01T00:00:00Z","record":"permit/1","kind":"delivered","words":"…",
            "side":"marshal","operation":"create","fields":{"permit_no":"P-1"},"after_us":1200}"#;
        let heard: Heard = serde_json::from_str(line).unwrap();
        let Kind::Delivered { side, after_us, .. } = heard.kind else { panic!("{heard:?}") };
        assert_eq!((side.as_str(), after_us), ("marshal", 1_200));
        let later: Heard =
            serde_json::from_str(r#"{"at":"2026-01-01T00:00:00Z","record":null,"kind":"dreamt","of":7}"#)
                .unwrap();
        assert!(matches!(later.kind, Kind::Other));
    }
}
