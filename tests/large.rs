//! The promise about large fields: 16 MB pass both ways and stay in the history; what is
//! larger is refused in words, and only that record waits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_doubles::Double;
use hms_sync_tests::{Pair, until};
use serde_json::{Value as Json, json};

/// 16 MB, not MiB: a record of a side may be 16 MiB.
const LARGE: usize = 16_000_000;

fn remarks(marshal: &Double, number: &str) -> Option<Json> {
    Some(marshal.find(number).pop()?["remarks"].clone())
}

/// The marshal comes to have these notes of a permit.
async fn arrives(pair: &Pair, number: &str, notes: &Json) {
    until("the notes arrive", 60, || async {
        remarks(&pair.marshal, number).is_some_and(|remarks| remarks == *notes).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_of_sixteen_megabytes_passes_and_one_byte_more_than_may_be_waits_alone() {
    let pair = Pair::start(3).await;
    let notes = |letter: &str, bytes: usize| json!({ "notes": letter.repeat(bytes) });
    let large = notes("a", LARGE);
    pair.clerk.update("1", &large).unwrap();
    arrives(&pair, "P-000001", &large["notes"]).await;
    // Before and after in one event.
    let other = notes("b", LARGE);
    pair.clerk.update("1", &other).unwrap();
    arrives(&pair, "P-000001", &other["notes"]).await;
    // Two such records do not fit into one answer (`max_body_bytes`).
    pair.clerk.update("1", &json!({ "notes": "short" })).unwrap();
    arrives(&pair, "P-000001", &json!("short")).await;
    pair.clerk.update("2", &notes("c", 17 << 20)).unwrap();
    pair.clerk.update("3", &json!({ "notes": "small" })).unwrap();
    arrives(&pair, "P-000003", &json!("small")).await;
    until("it is said", 60, || async { (pair.status().await.counts.unreadable > 0).then_some(()) }).await;
    assert_ne!(remarks(&pair.marshal, "P-000002"), Some(notes("c", 17 << 20)["notes"].clone()));
    assert_eq!(pair.marshal.len(), 3, "a record that cannot be read is not taken for deleted");
    pair.clerk.update("2", &json!({ "notes": "small again" })).unwrap();
    arrives(&pair, "P-000002", &json!("small again")).await;
    let history = pair.sync.desk().history("permit/P-000001", 0, 100).await.unwrap();
    let told = serde_json::to_string(&history).unwrap();
    assert!(told.len() > 3 * LARGE, "both values are kept: {} bytes", told.len());
    assert!(pair.sync.desk().verify().await.unwrap().sound);
    let blobs = std::fs::read_dir(pair.data_dir().join("blobs")).unwrap().count();
    assert_eq!(blobs, 0, "values too large for the store");
    pair.sync.stop().await.unwrap();
}
