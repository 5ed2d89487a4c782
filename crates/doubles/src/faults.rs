//! How a double misbehaves. All can be set while it runs; none is on by default.

use serde::{Deserialize, Serialize};

/// What goes wrong. Shares are between 0 and 1 and drawn from the double's seed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The share of writes answered 503 and not carried out.
    pub unavailable: f64,
    /// The share of writes that are carried out and whose answer is lost: the
    /// connection breaks.
    pub lost: f64,
    /// The system is away.
    pub down: Option<Down>,
    /// It comes back by itself after so many milliseconds. Without, it is away
    /// until told otherwise, which cannot be done over HTTP.
    pub back_after_ms: Option<u64>,
    /// Requests per second that are served; those above get 429.
    pub rate_limit: Option<u32>,
    /// Leaves `Retry-After` out of 429 and 503.
    pub no_retry_after: bool,
    /// Every answer comes so many milliseconds late.
    pub latency_ms: u64,
    /// Requests are taken and never answered.
    pub hang: bool,
    /// What reads are answered with.
    pub answer: Option<BadAnswer>,
    /// What becomes of a change.
    pub store: Option<BadStore>,
    /// The clock stands still: all changes get the same time.
    pub frozen_clock: bool,
}

/// A system that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Down {
    /// Nobody listens: connections are refused.
    Refused,
    /// Connections are taken and closed at once.
    Dropped,
}

/// What reads are answered with instead of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadAnswer {
    /// A web page that says it is JSON.
    Html,
    /// JSON that ends in the middle.
    Truncated,
    /// A body of so many bytes.
    Huge(u64),
    /// Lists in lists, so many levels.
    Deep(usize),
    /// The first record of a page comes without its id.
    WithoutId,
    /// The first record of a page comes twice.
    DuplicateIds,
    /// The first page again and again.
    Endless,
    /// A redirect to this URL, for writes as well.
    Redirect(String),
    /// This status, for reads only.
    Status(u16),
}

/// What becomes of a change, although it is answered 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadStore {
    /// Nothing: the old record stays.
    KeepOld,
    /// Free text is stored in capitals.
    Uppercase,
    /// Free text is stored without blanks at its ends.
    Trim,
    /// Free text is cut after so many characters.
    Cut(usize),
}
