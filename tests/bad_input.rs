//! The promise about bad input: whatever a side answers, the error names the
//! side and what is wrong, what is sound goes on, nothing is lost or deleted,
//! and memory stays bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_doubles::{BadAnswer, Double, Hook};
use hms_sync_model::Released;
use hms_sync_tests::{Pair, Program, until};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PERMITS: u64 = 45;

fn inspection(marshal: &Double, number: &str) -> Json {
    marshal.find(number).pop().expect("an inspection")
}

/// The clerk answers every read badly: the trouble is shown with these words,
/// no record is touched, and once it is mended all that was done arrives.
async fn whole_answer_is_bad(answer: BadAnswer, words: &[&str]) {
    let pair = Pair::start(PERMITS).await;
    let effects = pair.marshal.effects().len();
    pair.clerk.faults(|faults| faults.answer = Some(answer));
    let trouble = until("the trouble is shown", 20, || async { pair.listing("clerk").await.trouble }).await;
    for word in words.iter().chain(&["/permits"]) {
        assert!(trouble.contains(word), "{trouble:?} does not say {word:?}");
    }
    assert_eq!(pair.listing("marshal").await.trouble, None, "the other side has no trouble");
    // Both sides are edited meanwhile; the marshal is still read.
    pair.clerk.update("5", &json!({ "notes": "from the clerk" })).unwrap();
    let id = inspection(&pair.marshal, "P-000006")["id"].as_str().unwrap().to_owned();
    pair.marshal.update(&id, &json!({ "remarks": "from the marshal" })).unwrap();
    until("the marshal's edit is taken in", 20, || async {
        let report = pair.sync.desk().record("permit/P-000006").await.unwrap();
        report
            .fields
            .iter()
            .any(|field| field.field == "notes" && field.value == "from the marshal")
            .then_some(())
    })
    .await;
    assert_eq!(pair.marshal.effects().len(), effects, "nothing was written to the marshal");
    assert_eq!(pair.marshal.len() as u64, PERMITS);
    let redirected = words.contains(&"redirect");
    if redirected {
        // A redirected write is refused for good: it waits for a person.
        let parked = until("the write is parked", 20, || async { pair.parked().await.pop() }).await;
        assert!(parked.words.contains("redirect") && parked.title == "P-000006", "{parked:?}");
    }
    pair.clerk.faults(|faults| faults.answer = None);
    if redirected {
        assert_eq!(pair.release("permit/P-000006", Released::Replay).await, 1);
    }
    until("both edits arrive", 20, || async {
        (inspection(&pair.marshal, "P-000005")["remarks"] == "from the clerk"
            && pair.clerk.get("6").unwrap()["notes"] == "from the marshal")
            .then_some(())
    })
    .await;
    pair.settle("equal again").await;
    assert_eq!(pair.listing("clerk").await.trouble, None);
    assert!(pair.sync.desk().verify().await.unwrap().sound);
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn html_instead_of_json() {
    whole_answer_is_bad(BadAnswer::Html, &["JSON"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncated_json() {
    whole_answer_is_bad(BadAnswer::Truncated, &["JSON"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nesting_without_end() {
    whole_answer_is_bad(BadAnswer::Deep(10_000), &["deep"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_never_ends() {
    whole_answer_is_bad(BadAnswer::Endless, &["again"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_to_elsewhere_is_not_followed() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/permits", elsewhere.local_addr().unwrap());
    let visits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&visits);
    let listening = tokio::spawn(async move {
        while elsewhere.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    whole_answer_is_bad(BadAnswer::Redirect(url), &["redirect"]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 0, "a request went elsewhere");
    listening.abort();
}

/// Some of a page is bad: what is sound goes on while it is.
async fn part_of_a_page_is_bad(answer: BadAnswer) -> (Pair, u64) {
    let pair = Pair::start(PERMITS).await;
    pair.clerk.faults(|faults| faults.answer = Some(answer));
    for id in ["21", "22", "23"] {
        pair.clerk.update(id, &json!({ "notes": "changed" })).unwrap();
    }
    until("a sound record arrives", 20, || async {
        (inspection(&pair.marshal, "P-000023")["remarks"] == "changed").then_some(())
    })
    .await;
    pair.full_round().await;
    let unreadable = pair.status().await.counts.unreadable;
    assert_eq!(pair.marshal.len() as u64, PERMITS, "no record is taken for deleted, none for new");
    pair.clerk.faults(|faults| faults.answer = None);
    pair.settle("equal again").await;
    assert_eq!(pair.marshal.doubled(), 0);
    (pair, unreadable)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_id() {
    let (pair, unreadable) = part_of_a_page_is_bad(BadAnswer::WithoutId).await;
    assert!(unreadable > 0, "the record that cannot be read is counted");
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_twice_in_a_page() {
    let (pair, _) = part_of_a_page_is_bad(BadAnswer::DuplicateIds).await;
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_megabytes_are_not_taken_in() {
    const MB: u64 = 1 << 20;
    let (clerk, marshal) = (Double::clerk().await.unwrap(), Double::marshal().await.unwrap());
    clerk.seed_records(1, PERMITS);
    let (clerk_url, marshal_url) = (clerk.url(), marshal.url());
    let mut program =
        Program::new("tests/pair.yaml", &[("CLERK_URL", &clerk_url), ("MARSHAL_URL", &marshal_url)]);
    program.start();
    until("the first load", 20, || async { (marshal.len() as u64 == PERMITS).then_some(()) }).await;
    clerk.faults(|faults| faults.answer = Some(BadAnswer::Huge(200 * MB)));
    let before = clerk.counts().requests;
    until("it is asked some times", 20, || async { (clerk.counts().requests >= before + 3).then_some(()) })
        .await;
    let trouble = until("the trouble is shown", 20, || async {
        let status = program.ask(&["status", "FILE", "--json"]).await;
        let clerk = status["sides"].as_array()?.iter().find(|side| side["side"] == "clerk")?;
        clerk["collections"][0]["trouble"].as_str().map(str::to_owned)
    })
    .await;
    assert!(trouble.contains("/permits") && trouble.contains("bytes"), "{trouble}");
    let peak = program.memory_peak() / MB;
    assert!(peak < 150, "{peak} MB");
    clerk.faults(|faults| faults.answer = None);
    clerk.update("3", &json!({ "notes": "changed" })).unwrap();
    until("it goes on", 20, || async {
        (inspection(&marshal, "P-000003")["remarks"] == "changed").then_some(())
    })
    .await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_with_a_wrong_signature() {
    let pair = Pair::start(3).await;
    let url = format!("{}/hooks/clerk", pair.sync.management_url());
    let forged =
        json!({ "type": "permit.updated", "data": { "id": 1, "permit_no": "P-000001", "notes": "forged" } });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(&url)
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", now)
        .header("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")
        .json(&forged)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    assert_eq!(pair.status().await.counts.webhooks, 0);
    let history = pair.sync.desk().history("permit/P-000001", 0, 100).await.unwrap();
    assert!(!serde_json::to_string(&history).unwrap().contains("forged"));
    // The right one is let in.
    let secret = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=".to_owned();
    pair.clerk.set_hook(Some(&Hook { url, secret })).unwrap();
    pair.clerk.update("1", &json!({ "notes": "true" })).unwrap();
    until("the true one counts", 20, || async { (pair.status().await.counts.webhooks == 1).then_some(()) })
        .await;
    pair.settle("equal").await;
    pair.sync.stop().await.unwrap();
}
