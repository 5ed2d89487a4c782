//! A sync beside an API that misbehaves on demand, in a time of its own: what goals 1, 9, 12,
//! 19, 21, 22, 27 and 28 promise, each with many schedules drawn from seeds. And slips that a
//! natural first draft makes there, each of which has to be noticed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

mod server;
mod api;
mod slips;
mod world;
mod cursors;
mod pair;
mod answers;
mod limits;
mod switching;
mod teeth;

/// Schedules that each row is played with.
const SCHEDULES: u64 = 1_000;

/// Plays the schedules of so many seeds, half of them beside the other half.
fn for_each_seed<F: Future<Output = ()>>(seeds: u64, play: impl Fn(u64) -> F + Sync) {
    let half = |first: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        (first..seeds).step_by(2).for_each(|seed| runtime.block_on(play(seed)));
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(0);
        if let Err(panic) = other.join() {
            std::panic::resume_unwind(panic);
        }
    });
}
