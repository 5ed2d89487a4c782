//! The promise of the builder: a sync in a few lines of Rust brings every
//! change across once, whatever happens to the target or to the process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync::{Api, Retry, Running, Sync, TimeUnits, every};
use hms_sync_doubles::{Double, Down, Hook, Operation};
use hms_sync_management::ParkedFilter;
use hms_sync_tests::until;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const SECRET: &str = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";

fn sync_of(clerk: &Double, marshal: &Double, data_dir: &Path) -> Sync {
    let patience = Retry { max_attempts: 100, initial: 5.milliseconds(), max: 50.milliseconds() };
    Sync::init("PermitSync")
        .api("CountyClerkAPI", Api::http(clerk.url()).bearer("demo"))
        .api("FireMarshalAPI", Api::http(marshal.url()).basic("sync", "demo").retry(patience))
        .data_dir(data_dir)
}

/// The job of the example, polled often.
async fn start(clerk: &Double, marshal: &Double, data_dir: &Path) -> Running {
    let sync = sync_of(clerk, marshal, data_dir);
    sync.source("CountyClerkAPI")
        .poll("/permits?limit=1000", every(50.milliseconds()))
        .on_change(|permit, sync| async move {
            sync.target("FireMarshalAPI")
                .post("/inspections", json!({
                    "permitId": permit["permit_no"], "address": permit["location"]["address"], "state": "PENDING",
                }))
                .await
        })
        .start()
        .await
        .unwrap()
}

async fn pair() -> (Double, Double, TempDir) {
    (Double::clerk().await.unwrap(), Double::marshal().await.unwrap(), TempDir::new().unwrap())
}

async fn inspections(marshal: &Double, wanted: usize) {
    until(&format!("{wanted} inspections"), 20, || async { (marshal.len() >= wanted).then_some(()) }).await;
}

/// Waits until the clerk has been polled twice more, and nothing is under way.
async fn quiet(running: &Running, clerk: &Double) {
    let before = clerk.counts().requests;
    until("two more polls", 20, || async { (clerk.counts().requests >= before + 2).then_some(()) }).await;
    until("nothing pending", 20, || async {
        (running.desk().status().await.unwrap().status.pending == 0).then_some(())
    })
    .await;
}

/// The change log's folder is free once the last handle is gone.
async fn stop(running: Running) {
    running.stop().await.unwrap();
}

fn creates(marshal: &Double) -> usize {
    marshal.effects().iter().filter(|effect| effect.operation == Operation::Create).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_word_for_word() {
    let (clerk, marshal, folder) = pair().await;
    clerk.seed_records(1, 40);
    let sync = sync_of(&clerk, &marshal, folder.path());
    let running =
        sync.source("CountyClerkAPI")
            .poll("/permits", every(300.seconds()))
            .on_change(|permit, sync| async move {
                sync.target("FireMarshalAPI").post("/inspections", json!({
                "permitId": permit["id"], "address": permit["location"], "status": permit["status"],
            })).await
            })
            .start()
            .await
            .unwrap();
    inspections(&marshal, 40).await;
    let permits: BTreeSet<String> =
        marshal.records().iter().map(|record| record["permitId"].to_string()).collect();
    assert_eq!(permits.len(), 40);
    assert_eq!(creates(&marshal), 40);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_fires_nothing_twice() {
    let (clerk, marshal, folder) = pair().await;
    clerk.seed_records(1, 60);
    let running = start(&clerk, &marshal, folder.path()).await;
    inspections(&marshal, 10).await;
    stop(running).await;
    clerk.seed_records(61, 1);
    let running = start(&clerk, &marshal, folder.path()).await;
    inspections(&marshal, 61).await;
    quiet(&running, &clerk).await;
    stop(running).await;
    let running = start(&clerk, &marshal, folder.path()).await;
    quiet(&running, &clerk).await;
    assert_eq!((creates(&marshal), marshal.doubled()), (61, 0));
    // A change does fire.
    clerk.update("7", &json!({ "notes": "changed" })).unwrap();
    inspections(&marshal, 62).await;
    quiet(&running, &clerk).await;
    assert_eq!(creates(&marshal), 62);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_down_gets_everything_once_when_it_is_back() {
    let (clerk, marshal, folder) = pair().await;
    marshal.faults(|faults| faults.down = Some(Down::Refused));
    clerk.seed_records(1, 30);
    let running = start(&clerk, &marshal, folder.path()).await;
    until("all are accepted", 20, || async {
        (running.desk().status().await.unwrap().status.counts.handled >= 30).then_some(())
    })
    .await;
    assert!(marshal.is_empty());
    stop(running).await;
    // What was accepted survives the process.
    let running = start(&clerk, &marshal, folder.path()).await;
    marshal.faults(|faults| faults.down = None);
    inspections(&marshal, 30).await;
    quiet(&running, &clerk).await;
    assert_eq!((creates(&marshal), marshal.doubled()), (30, 0));
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_double_nothing() {
    let (clerk, marshal, folder) = pair().await;
    marshal.faults(|faults| {
        faults.lost = 0.3;
        faults.unavailable = 0.2;
    });
    clerk.seed_records(1, 100);
    let running = start(&clerk, &marshal, folder.path()).await;
    inspections(&marshal, 100).await;
    quiet(&running, &clerk).await;
    assert!(marshal.counts().lost > 0, "no answer was lost: this shows nothing");
    assert_eq!((creates(&marshal), marshal.doubled()), (100, 0));
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_handler_is_retried_then_parked_while_others_go_on() {
    let (clerk, marshal, folder) = pair().await;
    clerk.seed_records(1, 20);
    let sync = sync_of(&clerk, &marshal, folder.path());
    let (tried, mended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, works) = (Arc::clone(&tried), Arc::clone(&mended));
    let running = sync
        .source("CountyClerkAPI")
        .poll("/permits", every(50.milliseconds()))
        .retry(Retry { max_attempts: 4, initial: 5.milliseconds(), max: 20.milliseconds() })
        .on_change(move |permit, sync| {
            let (count, works) = (Arc::clone(&count), Arc::clone(&works));
            async move {
                if permit["permit_no"] == "P-000003" && works.load(Ordering::SeqCst) == 0 {
                    count.fetch_add(1, Ordering::SeqCst);
                    return Err("nobody knows the street".to_owned());
                }
                let body = json!({ "permitId": permit["permit_no"] });
                sync.target("FireMarshalAPI").post("/inspections", body).await.map_err(|why| why.to_string())
            }
        })
        .start()
        .await
        .unwrap();
    inspections(&marshal, 19).await;
    let desk = running.desk();
    let open = ParkedFilter::default();
    let parked =
        until("it is parked", 20, || async { desk.parked(&open, None, 10).await.unwrap().items.pop() }).await;
    assert!(parked.words.contains("nobody knows the street"), "{parked:?}");
    assert_eq!(tried.load(Ordering::SeqCst), 4);
    quiet(&running, &clerk).await;
    assert_eq!(tried.load(Ordering::SeqCst), 4, "parked things rest");
    mended.store(1, Ordering::SeqCst);
    desk.release(&open, hms_sync_model::Released::Replay).await.unwrap();
    inspections(&marshal, 20).await;
    assert_eq!(marshal.find("P-000003").len(), 1);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jobs_in_one_process() {
    let (clerk, marshal, folder) = pair().await;
    let sync = sync_of(&clerk, &marshal, folder.path());
    let heard = Arc::new(AtomicUsize::new(0));
    let ear = Arc::clone(&heard);
    let permits = sync.source("CountyClerkAPI").poll("/permits", every(50.milliseconds())).on_change(
        |permit, sync| async move {
            sync.target("FireMarshalAPI")
                .post("/inspections", json!({ "permitId": permit["permit_no"] }))
                .await
        },
    );
    permits.start().await.unwrap();
    let running = sync
        .source("FireMarshalAPI")
        .webhook("/hooks/marshal", SECRET)
        .on_change(move |_, _| {
            ear.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<(), String>(()))
        })
        .start()
        .await
        .unwrap();
    let url = format!("{}/hooks/marshal", running.management_url());
    marshal.set_hook(Some(&Hook { url, secret: SECRET.to_owned() })).unwrap();
    marshal.seed_records(101, 10);
    clerk.seed_records(1, 10);
    inspections(&marshal, 20).await;
    until("the second job hears all", 20, || async { (heard.load(Ordering::SeqCst) >= 10).then_some(()) })
        .await;
    quiet(&running, &clerk).await;
    assert_eq!((heard.load(Ordering::SeqCst), creates(&marshal)), (10, 10));
    stop(running).await;
}

/// The marshal takes `since` as milliseconds and answers anything else with 400.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_polled_jobs_each_ask_in_the_form_of_their_side() {
    let (clerk, marshal, folder) = pair().await;
    let sync = sync_of(&clerk, &marshal, folder.path());
    let (permits, inspections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = |heard: &Arc<AtomicUsize>| {
        let heard = Arc::clone(heard);
        move |_, _| {
            heard.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<(), String>(()))
        }
    };
    let of_clerk = sync.source("CountyClerkAPI").poll("/permits?limit=1000", every(50.milliseconds()));
    of_clerk.on_change(count(&permits)).start().await.unwrap();
    let of_marshal = sync
        .source("FireMarshalAPI")
        .poll("/inspections?limit=1000", every(50.milliseconds()))
        .datetime_format("epoch_ms");
    let running = of_marshal.on_change(count(&inspections)).start().await.unwrap();
    clerk.seed_records(1, 5);
    marshal.seed_records(11, 7);
    let all =
        |n, m| (permits.load(Ordering::SeqCst) >= n && inspections.load(Ordering::SeqCst) >= m).then_some(());
    until("both jobs hear all", 20, || async { all(5, 7) }).await;
    // Later polls ask with `since`.
    quiet(&running, &clerk).await;
    quiet(&running, &marshal).await;
    clerk.update("1", &json!({ "notes": "changed" })).unwrap();
    marshal.update("INS-1", &json!({ "remarks": "changed" })).unwrap();
    until("both jobs hear the changes", 20, || async { all(6, 8) }).await;
    let status = running.desk().status().await.unwrap().status;
    let mut listings = status.sides.iter().flat_map(|side| &side.collections);
    assert!(listings.all(|of| of.trouble.is_none()), "{status:?}");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sides_with_the_same_path_need_two_names() {
    let (clerk, marshal, folder) = pair().await;
    let sync = sync_of(&clerk, &marshal, folder.path());
    let nothing = |_, _| std::future::ready(Ok::<(), String>(()));
    let source = |side: &str| sync.source(side).webhook(format!("/{side}/records"), SECRET);
    source("CountyClerkAPI").collection("records").on_change(nothing).start().await.unwrap();
    let second = source("FireMarshalAPI").collection("records").on_change(nothing).start().await;
    let why = second.unwrap_err().to_string();
    assert!(why.contains("the collection name records is there twice"), "{why}");
    let second = sync.source("FireMarshalAPI").webhook("/CountyClerkAPI/records", SECRET);
    let why = second.collection("others").on_change(nothing).start().await.unwrap_err().to_string();
    assert!(why.contains("the webhook path /CountyClerkAPI/records is there twice"), "{why}");
    stop(source("FireMarshalAPI").collection("others").on_change(nothing).start().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_none_is_refused_before_anything_starts() {
    let (clerk, marshal, folder) = pair().await;
    let sync = sync_of(&clerk, &marshal, folder.path());
    let source = sync.source("FireMarshalAPI").poll("/inspections", every(1.seconds())).datetime_format("%Q");
    let started = source.on_change(|_, _| std::future::ready(Ok::<(), String>(()))).start().await;
    let why = started.unwrap_err().to_string();
    assert!(why.contains("`%Q` is no strftime pattern"), "{why}");
    assert!(sync.running().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_job_hears_of_changes_at_once() {
    let (clerk, marshal, folder) = pair().await;
    let sync = sync_of(&clerk, &marshal, folder.path());
    let running = sync
        .source("CountyClerkAPI")
        .webhook("/hooks/clerk", SECRET)
        .on_change(|permit, sync| async move {
            sync.target("FireMarshalAPI")
                .post("/inspections", json!({ "permitId": permit["permit_no"] }))
                .await
        })
        .start()
        .await
        .unwrap();
    let url = format!("{}/hooks/clerk", running.management_url());
    clerk.set_hook(Some(&Hook { url, secret: SECRET.to_owned() })).unwrap();
    clerk.seed_records(1, 25);
    inspections(&marshal, 25).await;
    until("all hooks are answered", 20, || async { (clerk.counts().hooks_delivered == 25).then_some(()) })
        .await;
    assert_eq!((creates(&marshal), marshal.doubled(), clerk.counts().hooks_given_up), (25, 0, 0));
    tokio::time::timeout(Duration::from_secs(20), running.stop()).await.unwrap().unwrap();
}

/// A further job may be started while a handle to the first is still kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_handle_does_not_keep_the_folder() {
    let (clerk, marshal, dir) = pair().await;
    let kept = start(&clerk, &marshal, dir.path()).await;
    kept.stop().await.unwrap();
    let again = start(&clerk, &marshal, dir.path()).await;
    assert!(kept.ended().await.is_ok());
    stop(again).await;
}
