//! What the benches share: the two systems and the sync as processes of their
//! own, the clients that ours is compared with, and the table at the end.
//!
//! Nothing of the pipeline reaches into hms-sync: it is measured from outside, by
//! what the systems on both ends write down. The doubles, the binary and the folder
//! of its change log are those of a user. Only the change log is also measured by
//! itself, through its library.

mod bare;
pub mod changelog;
mod changes;
mod double;
mod figures;
pub mod http;
mod proxy;
pub mod resolver;
mod stage;
mod sync;

pub use bare::{bare, one_by_one};
pub use changes::{Latencies, changes};
pub use double::{Creates, Double, Kind};
pub use figures::{Figures, Table, is_quick, median, rate, say};
pub use proxy::Proxy;
pub use stage::{Keys, Stage};
pub use sync::Sync;

/// Microseconds since 1970, the clock that the doubles write down too.
pub fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Seconds between two times in microseconds.
pub fn seconds(from: i64, to: i64) -> f64 {
    std::time::Duration::from_micros(u64::try_from(to - from).unwrap_or(0)).as_secs_f64()
}
