//! How often: `every(300.seconds())`.

use std::time::Duration;

/// How long between two polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every(pub(crate) Duration);

/// Once in `interval`, counted from the start of one poll to that of the next;
/// a poll that takes longer is followed by the next at once. Never less than
/// a millisecond.
pub fn every(interval: Duration) -> Every {
    Every(interval.max(Duration::from_millis(1)))
}

/// Numbers as lengths of time.
pub trait TimeUnits {
    /// So many milliseconds.
    fn milliseconds(self) -> Duration;
    /// So many seconds.
    fn seconds(self) -> Duration;
    /// So many minutes.
    fn minutes(self) -> Duration;
    /// So many hours.
    fn hours(self) -> Duration;
}

impl TimeUnits for u32 {
    fn milliseconds(self) -> Duration {
        Duration::from_millis(self.into())
    }
    fn seconds(self) -> Duration {
        Duration::from_secs(self.into())
    }
    fn minutes(self) -> Duration {
        Duration::from_secs(u64::from(self) * 60)
    }
    fn hours(self) -> Duration {
        Duration::from_secs(u64::from(self) * 3_600)
    }
}
