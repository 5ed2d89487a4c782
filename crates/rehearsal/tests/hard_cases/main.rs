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
mod elements;
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
mod backups;
mod restarts;
mod unanswered;
mod speed;
mod webhooks;

/// Every scenario that the page on the hard cases names is one.
#[test]
fn the_page_names_scenarios_that_there_are() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hard_cases");
    let files = std::fs::read_dir(root).unwrap().map(|file| file.unwrap().path());
    let sources: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hard-cases.md")).unwrap();
    let last = |line: &str| line.trim_end_matches('|').rsplit('|').next().unwrap().to_owned();
    let cells: String = page.lines().filter(|line| line.starts_with("| ")).map(last).collect();
    let named: Vec<&str> = cells.split('`').skip(1).step_by(2).collect();
    assert!(named.len() > 60, "{} scenarios", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !sources.contains(&format!("fn {name}()"))).collect();
    assert!(missing.is_empty(), "there is no scenario {missing:?}");
}
