//! When a checkpoint is signed without anybody asking: after so many events, after so long, and
//! at the end; and else not.

use crate::common::{Office, settings};
use hms_sync_notary::{Settings, Signing, begin};
use std::time::{Duration, Instant};

const NEVER: Duration = Duration::from_hours(1);

fn office(every_events: u64, every: Duration) -> (Office, Signing) {
    let office = Office::with(Settings { every_events, every, ..settings() });
    let signing = begin(office.notary.clone(), office.log.clone());
    (office, signing)
}

/// Waits until the last checkpoint is of `size` events.
async fn signed(office: &Office, size: u64) {
    let wait = async {
        while office.notary.status().size != Some(size) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

/// Until another task, which looks as often and signs whatever is new, has signed three times:
/// all others have looked meanwhile.
async fn all_have_looked() {
    let (other, signing) = office(1, NEVER);
    for size in 1..=3 {
        signed(&other, size).await;
        other.grow(1, "words");
    }
    signing.stop().await;
}

fn sizes(office: &Office) -> Vec<u64> {
    office.notary.checkpoints().unwrap().iter().map(|head| head.size).collect()
}

#[tokio::test]
async fn so_many_events_make_one_due() {
    let (office, signing) = office(5, NEVER);
    signed(&office, 1).await;
    office.grow(4, "words");
    all_have_looked().await;
    assert_eq!(sizes(&office), [1], "one event more is to come");
    office.grow(1, "words");
    signed(&office, 6).await;
    // At the end all there is.
    office.grow(2, "words");
    signing.stop().await;
    assert_eq!(sizes(&office), [1, 6, 8]);
}

#[tokio::test]
async fn so_long_after_the_last_one_is_due_if_there_is_something_new() {
    const EVERY: Duration = Duration::from_millis(700);
    let begun = Instant::now();
    let (office, signing) = office(u64::MAX, EVERY);
    signed(&office, 1).await;
    office.grow(2, "words");
    signed(&office, 3).await;
    assert!(begun.elapsed() >= EVERY, "{:?}", begun.elapsed());
    let begun = Instant::now();
    while begun.elapsed() < EVERY {
        all_have_looked().await;
    }
    assert_eq!(sizes(&office), [1, 3], "nothing new, no new checkpoint");
    signing.stop().await;
}
