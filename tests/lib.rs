//! Whole-system scenarios against real servers, with faults.
//!
//! What the scenarios share is here: children that end with their handle,
//! conditions with a deadline, a pair of doubles with a sync between them.
//! Nothing here waits for a length of time, and nothing outlives its test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

#[path = "harness/wait.rs"]
mod wait;
#[path = "harness/program.rs"]
mod program;
#[path = "harness/pocketbase.rs"]
mod pocketbase;
#[path = "harness/kinto.rs"]
mod kinto;
#[path = "harness/radicale.rs"]
mod radicale;
#[path = "harness/pair.rs"]
mod pair;
#[path = "harness/needles.rs"]
mod needles;

pub use kinto::Kinto;
pub use needles::Needles;
pub use pair::Pair;
pub use pocketbase::PocketBase;
pub use program::{Program, root};
pub use radicale::{Radicale, event};
pub use wait::until;
