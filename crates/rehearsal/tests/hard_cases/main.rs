//! The hard cases of merging, each as a story that is played through the real engine in
//! simulated time. Its expectation is the timeline that a person would draw.
//!
//! To see the timelines instead of comparing them: `HARD_CASES=1 cargo test -p hms-sync-rehearsal --test hard_cases -- --nocapture --test-threads=1`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic, and shows what it got"
)]

mod scene;
mod story;
mod unkept;
mod echoes;
mod causes;
mod answers;
mod reads;
mod shapes;
mod deletes;
mod links;
mod kinds;
mod refusals;
mod groups;
mod fights;
mod brakes;
mod restarts;
mod unanswered;
mod speed;
mod webhooks;
