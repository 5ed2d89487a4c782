//! The promise of the schema contract: a side that changes the type of a field, drops one or
//! adds one is answered as was agreed; others go on, and when the data or the contract is
//! mended, all is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_doubles::Double;
use hms_sync_tests::{Pair, until};
use serde_json::{Value as Json, json};

const PERMITS: u64 = 12;

/// What the clerk's records have beside the fields that are mapped.
const KNOWN: &str = "known_fields: [location, applicant, fee, inspection_at]";

/// The pair under a contract on the clerk. Nothing is listed in full again for long.
async fn under(contract: &str) -> Pair {
    let contract = contract.to_owned();
    Pair::start(PERMITS).await.reconfigured(move |yaml| with(yaml, &contract)).await
}

fn with(yaml: &str, contract: &str) -> String {
    let yaml = yaml.replace("full_interval: 300ms", "full_interval: 1h");
    yaml.replacen(
        "      clerk:\n        read:",
        &format!("      clerk:\n        schema_contract: {contract}\n        read:"),
        1,
    )
}

fn inspection(marshal: &Double, number: &str) -> Json {
    marshal.find(number).pop().expect("an inspection")
}

async fn arrives(pair: &Pair, number: &str, key: &str, value: &Json) {
    until(&format!("{key} of {number} is {value}"), 20, || async {
        (inspection(&pair.marshal, number)[key] == *value).then_some(())
    })
    .await;
}

/// Whether the clerk has been asked for changes since, and all was taken in.
async fn read_on(pair: &Pair) {
    let before = pair.listing("clerk").await.last_read;
    until("the clerk is read", 20, || async {
        (pair.listing("clerk").await.last_read != before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_33_type_change_loses_nothing_where_records_are_parked() {
    let pair = under(&format!("{{ columns: park, missing: park, data_type: park, {KNOWN} }}")).await;
    pair.clerk.update("5", &json!({ "notes": 7, "inspector": "Ann" })).unwrap();
    pair.clerk.update("6", &json!({ "notes": [], "inspector": "Ben" })).unwrap();
    pair.clerk.update("7", &json!({ "notes": "sound" })).unwrap();
    arrives(&pair, "P-000007", "remarks", &json!("sound")).await;
    let parked = until("both are parked", 20, || async {
        Some(pair.parked().await).filter(|parked| parked.len() == 2)
    })
    .await;
    for item in &parked {
        assert!(item.reason == "unreadable" && item.words.contains("field `notes` at `notes`"), "{item:?}");
    }
    assert_eq!(inspection(&pair.marshal, "P-000005")["inspector"], Json::Null, "it waits as a whole");
    // Mended with something new, and back to what it was.
    pair.clerk.update("5", &json!({ "notes": "mended" })).unwrap();
    pair.clerk.update("6", &json!({ "notes": "", "inspector": null })).unwrap();
    arrives(&pair, "P-000005", "remarks", &json!("mended")).await;
    arrives(&pair, "P-000005", "inspector", &json!("Ann")).await;
    until("nothing is parked", 20, || async { pair.parked().await.is_empty().then_some(()) }).await;
    pair.settle("equal again").await;
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_33_type_change_loses_nothing_where_values_are_discarded() {
    let contract =
        format!("{{ columns: discard_value, missing: discard_value, data_type: discard_value, {KNOWN} }}");
    let pair = under(&contract).await;
    pair.clerk.update("5", &json!({ "notes": "before" })).unwrap();
    arrives(&pair, "P-000005", "remarks", &json!("before")).await;
    assert_eq!(pair.status().await.counts.discarded, 0);
    pair.clerk.update("5", &json!({ "notes": 7, "inspector": "Ann", "colour": "red" })).unwrap();
    arrives(&pair, "P-000005", "inspector", &json!("Ann")).await;
    read_on(&pair).await;
    assert_eq!(inspection(&pair.marshal, "P-000005")["remarks"], "before", "not taken for cleared");
    assert_eq!(pair.clerk.get("5").unwrap()["notes"], 7, "nor written over");
    assert!(pair.status().await.counts.discarded >= 2, "the value and the colour are counted");
    assert_eq!(pair.parked().await, []);
    // The contract is mended: what was dropped is shown again, though nobody edits it.
    let pair = pair
        .reconfigured(move |yaml| {
            let yaml = with(yaml, &contract);
            yaml.replace(
                "type: text,   clerk: notes,",
                "type: string, clerk: { path: notes, format: number },",
            )
        })
        .await;
    arrives(&pair, "P-000005", "remarks", &json!("7")).await;
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_33_type_change_loses_nothing_where_the_schema_is_frozen() {
    let pair = under("{ data_type: freeze }").await;
    pair.clerk.update("5", &json!({ "notes": 7, "inspector": "Ann" })).unwrap();
    pair.clerk.update("6", &json!({ "notes": "sound" })).unwrap();
    let trouble = until("reading stops", 20, || async { pair.listing("clerk").await.trouble }).await;
    for word in ["permit 5 of clerk", "field `notes` at `notes`", "found 7, expected text", "freeze"] {
        assert!(trouble.contains(word), "{trouble:?} does not say {word:?}");
    }
    let id = inspection(&pair.marshal, "P-000003")["id"].as_str().unwrap().to_owned();
    pair.marshal.update(&id, &json!({ "remarks": "from the marshal" })).unwrap();
    until("the other way goes on", 20, || async {
        (pair.clerk.get("3").unwrap()["notes"] == "from the marshal").then_some(())
    })
    .await;
    assert_eq!(inspection(&pair.marshal, "P-000006")["remarks"], "", "nothing of the page was taken in");
    assert_eq!(pair.parked().await, []);
    let pair = pair.reconfigured(|yaml| with(yaml, "{ data_type: discard_value }")).await;
    arrives(&pair, "P-000006", "remarks", &json!("sound")).await;
    arrives(&pair, "P-000005", "inspector", &json!("Ann")).await;
    assert_eq!(pair.listing("clerk").await.trouble, None);
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_mapped_is_told_once_or_stops_the_side_as_agreed() {
    let pair = under(&format!("{{ columns: evolve, {KNOWN} }}")).await;
    pair.clerk.update("5", &json!({ "colour": "red", "notes": "a" })).unwrap();
    pair.clerk.update("6", &json!({ "colour": "blue", "notes": "b" })).unwrap();
    arrives(&pair, "P-000006", "remarks", &json!("b")).await;
    assert_eq!(pair.listing("clerk").await.unknown_fields, ["colour"], "id and cursor are known");
    let stops = format!("{{ columns: freeze, {KNOWN} }}");
    let pair = pair.reconfigured(move |yaml| with(yaml, &stops)).await;
    let trouble = until("reading stops", 20, || async { pair.listing("clerk").await.trouble }).await;
    assert!(trouble.contains("`colour`"), "{trouble}");
    pair.sync.stop().await.unwrap();
}
