//! Waiting for a condition: looked at again and again until it holds or the
//! time is over, which fails the test with the condition's name.

use std::time::{Duration, Instant};

/// How long between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `look` finds something; `seconds` is the deadline.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    seconds: u64,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
