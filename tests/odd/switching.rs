//! Rows 27 and 28: from polls to webhooks and back, to another filter and another mapping,
//! while people go on; and cursors that are set back.

use crate::api::Moods;
use crate::pair::{POLLS, Ways, pair, yaml};
use crate::world::World;
use crate::{SCHEDULES, for_each_seed};
use hms_sync_connector::RawWebhook;
use hms_sync_engine::Command;
use hms_sync_model::{CollectionName, SideName, Time};
use reqwest::header::HeaderMap;
use serde_json::json;
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";

/// The ways that the clerk is listened to, by turns.
fn ways(n: usize) -> Ways {
    const HOOK: &str = "webhook: { path: /hooks/clerk, secret: whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ= }\n        \
         read: { path: /items, record_selector: { field_path: [items] }, \
         paginator: { type: offset, page_size: 5 }, full_interval: 120s }";
    const NARROW: &str = "read: { path: /items, request_parameters: { no: P-1 }, \
         record_selector: { field_path: [items] }, poll_interval: 5s, full_interval: 30s }";
    let plain = Ways::default();
    [plain, Ways { learns: HOOK, ..plain }, Ways { learns: NARROW, ..plain }, Ways { fields: "", ..plain }][n]
}

/// The clerk tells of an item, if it tells at all: senders lose some.
fn tell(world: &mut World, n: usize, id: u64) {
    let Some(item) = world.apis[0].show(id) else { return };
    let body = json!({ "type": "permit.updated", "data": item }).to_string().into_bytes();
    let (message, at) = (format!("msg_{n}"), world.now / 1_000_000);
    let signature = Webhook::new(SECRET).unwrap().sign(&message, at, &body).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("webhook-id", message), ("webhook-timestamp", at.to_string()), ("webhook-signature", signature)]
    {
        headers.insert(name, value.parse().unwrap());
    }
    let raw = RawWebhook::new(headers, body.into(), Time(world.now));
    assert!(world.deliver("/hooks/clerk", &raw).unwrap());
}

pub(crate) async fn switches(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = pair(seed, ways(0), [Moods::default(), Moods::default()]).await;
    let mut hooked = false;
    for n in 0..40 {
        if rng.u8(..6) == 0 {
            let way = rng.usize(..4);
            hooked = way == 1;
            world.restart(seed + n, &yaml(ways(way)));
        }
        let (no, field) = (format!("P-{}", rng.u8(..9)), ["status", "note"][rng.usize(..2)]);
        let id = world.apis[0].state().edit(&no, field, &format!("v{n}"));
        if let Some(id) = id.filter(|_| hooked && rng.u8(..10) < 7) {
            tell(&mut world, usize::try_from(n).unwrap(), id);
        }
        world.work(rng.i64(0..12)).await;
    }
    world.restart(seed, &yaml(ways(0)));
    world.work(300).await;
    assert_eq!(world.apis[0].items(), world.apis[1].items(), "seed {seed}");
    for api in &world.apis {
        let done = api.state().done.clone();
        assert!(done.iter().all(|done| done.method != "DELETE"), "seed {seed}: {done:?}");
    }
    assert_eq!(world.apis[1].len(), world.apis[1].items().len(), "seed {seed}: something is there twice");
}

#[test]
fn row_27_switching_loses_and_deletes_nothing() {
    for_each_seed(SCHEDULES, switches);
}

/// A cursor is shown, and what is read again from the beginning writes nothing where nothing
/// differs; what was missed behind its back is found.
pub(crate) async fn rewound(seed: u64) {
    const ONCE: &str = "read: { path: /items, record_selector: { field_path: [items] }, \
         paginator: { type: offset, page_size: 5 }, incremental_sync: { cursor_field: updated_at, \
         datetime_format: epoch_s, start_time_option: { field_name: since }, lookback_window: 1s }, \
         poll_interval: 5s }";
    assert_ne!(ONCE, POLLS);
    let mut rng = fastrand::Rng::with_seed(seed);
    let ways = Ways { learns: ONCE, ..Ways::default() };
    let mut world = pair(seed, ways, [Moods::default(), Moods::default()]).await;
    let records = rng.usize(4..24);
    for n in 0..records {
        world.apis[0].state().edit(&format!("P-{n}"), "status", "new");
        world.work(rng.i64(0..3)).await;
    }
    world.work(60).await;
    let cursor = |world: &World| world.status().sides[0].collections[0].cursor.clone();
    let (written, before) = (world.writes, cursor(&world).expect("a cursor is shown"));
    assert!(before.contains("17900000"), "seed {seed}: {before}");
    let all = |world: &mut World| {
        let (side, collection) =
            (SideName::try_new("clerk").unwrap(), CollectionName::try_new("permit").unwrap());
        world.ask(Command::Poll { side, collection, full: true });
    };
    let seen = world.status().counts.observations;
    all(&mut world);
    world.work(60).await;
    let shown = world.status().counts.observations - seen;
    assert!(shown >= records as u64, "seed {seed}: all of it was read");
    assert_eq!(world.writes, written, "seed {seed}: nothing differs");
    // Later than polls look back: the cursor has passed them by.
    let missed = rng.usize(1..=records.min(6));
    for n in 0..missed {
        world.apis[0].state().slip(&format!("P-{n}"), "status", "slipped", 130 + rng.i64(0..30));
    }
    world.work(60).await;
    let slipped =
        |world: &World| world.apis[1].items().values().filter(|[status, _]| status == "slipped").count();
    assert_eq!(slipped(&world), 0, "seed {seed}");
    all(&mut world);
    world.work(60).await;
    assert_eq!(slipped(&world), missed, "seed {seed}");
    assert_eq!(world.writes, written + missed, "seed {seed}");
}

#[test]
fn row_28_reading_from_the_beginning_again_writes_nothing() {
    for_each_seed(SCHEDULES, rewound);
}
