//! The promise of the two-way builder: it comes to what the same YAML comes to,
//! says the same about mistakes, and keeps two systems in step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync::{
    Api, Collection, Deletes, Direction, Endpoint, Field, Group, Guard, Of, Paginator, Place, Request,
    Resolve, Retry, Running, Sync, SyncError, TimeUnits, Webhook, every,
};
use hms_sync_doubles::Double;
use hms_sync_tests::until;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const SECRET: &str = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";

/// The marshal's words.
const STATES: [(&str, &str); 4] =
    [("pending", "PENDING"), ("approved", "OK"), ("denied", "NO"), ("revoked", "REVOKED")];

/// `docs/examples/permit-sync.yaml`, line by line.
fn permit_sync() -> Collection {
    unfinished().identity(["permit_no"]).field(notes())
}

/// The same without identity and last field.
fn unfinished() -> Collection {
    let patience = Retry { max_attempts: 10, initial: 50.milliseconds(), max: 60.seconds() };
    let clerk = Api::http("http://127.0.0.1:8081").bearer("demo").timeout(30.seconds()).max_concurrency(32);
    Sync::init("PermitSync")
        .data_dir("./permit-sync")
        .listen("127.0.0.1:7070".parse().unwrap())
        .api("clerk", clerk)
        .api("marshal", Api::http("http://127.0.0.1:8082").basic("sync", "demo").retry(patience))
        .collection("permit")
        .deletes(Deletes::EditWins)
        .resolve(Resolve::last_writer_wins())
        .guard(Guard { max_deletes: 20, max_deletes_percent: 10, ..Guard::default() })
        .side(
            "clerk",
            clerk_endpoint()
                .primary_key("id")
                .paginator(Paginator::offset(200).offset_param("offset").limit_param("limit"))
                .lookback_window(2.seconds())
                .poll_interval(5.seconds())
                .full_interval(1.hours())
                .update(Request::patch("/permits/{{ id }}").body(hms_sync::BodyShape::Changed))
                .webhook(Webhook::signed("/hooks/clerk", SECRET)),
        )
        .side(
            "marshal",
            marshal_endpoint()
                .primary_key("id")
                .idempotency_key("Idempotency-Key")
                .paginator(Paginator::offset(200))
                .poll_interval(1.seconds())
                .full_interval(1.hours()),
        )
        .field(Field::string("permit_no").at("clerk", "permit_no").at("marshal", "permitId"))
        .field(Field::text("address").at("clerk", "location.address").at("marshal", "address"))
        .field(Field::text("applicant").at("clerk", "applicant"))
        .field(
            Field::decimal("fee")
                .at("clerk", "fee")
                .at("marshal", Place::path("fee").direction(Direction::ToSide)),
        )
        .field(
            status().resolve(
                Resolve::precedence(["revoked", "denied", "approved", "pending"])
                    .then(Resolve::last_writer_wins()),
            ),
        )
        .field(scheduled())
        .field(
            Field::string("inspector")
                .at("clerk", "inspector")
                .at("marshal", "inspector")
                .resolve(Resolve::prefer(["marshal", "clerk"])),
        )
}

fn notes() -> Field {
    Field::text("notes").at("clerk", "notes").at("marshal", "remarks")
}

fn clerk_endpoint() -> Endpoint {
    Endpoint::rest("/permits")
        .record_selector(["items"])
        .cursor_field("updated_at")
        .start_time_option("since")
        .lookup(Request::get("/permits").request_parameter("permit_no", "{{ identity.permit_no }}"))
}

fn marshal_endpoint() -> Endpoint {
    Endpoint::rest("/inspections")
        .cursor_field("updatedAt")
        .start_time_option("since")
        .lookup(Request::get("/inspections").request_parameter("permitId", "{{ identity.permitId }}"))
}

fn status() -> Field {
    Field::enum_of("status", ["pending", "approved", "denied", "revoked"])
        .at("clerk", "status")
        .at("marshal", Place::path("state").values(STATES))
}

fn scheduled() -> Field {
    Field::datetime("scheduled")
        .at("clerk", "inspection_at")
        .at("marshal", Place::path("scheduledFor").format("%Y-%m-%d %H:%M:%S"))
        .resolve(Resolve::prefer(["marshal", "clerk"]))
}

/// The example without its tests, which come last in it: a program has its own.
fn example() -> &'static str {
    let yaml = include_str!("../docs/examples/permit-sync.yaml");
    yaml.split_once("\n    tests:").map_or(yaml, |(before, _)| before)
}

#[test]
fn the_builder_comes_to_what_the_same_yaml_comes_to() {
    let yaml = example();
    let from_yaml = hms_sync_config::parse("permit-sync.yaml", yaml, &|_| None).unwrap();
    let built = permit_sync().check().unwrap();
    assert_eq!(format!("{built:#?}"), format!("{from_yaml:#?}"));
}

/// A collection with a little of everything that the example has not.
fn further() -> Collection {
    let remote = Api::http("http://127.0.0.1:9")
        .idempotency_key("X-Key")
        .request_header("X-Team", "north")
        .max_body_bytes(1 << 20);
    Sync::init("Further")
        .listen("127.0.0.1:7070".parse().unwrap())
        .api("a", remote)
        .api("b", Api::http("http://127.0.0.1:8"))
        .collection("thing")
        .identity(["key"])
        .deletes(Deletes::DeleteWins)
        .revives()
        .resolve(Resolve::first_writer_wins())
        .side(
            "a",
            Endpoint::rest("/things")
                .version_tag_field("rev")
                .modified("changed")
                .paginator(Paginator::page(50).page_param("p").page_size_param("n").start_from(0))
                .cursor_last_run()
                .start_time_option("since")
                .datetime_format("epoch_ms")
                .exists_when(400, "unique")
                .settle_window(5.seconds())
                .on_altered(hms_sync::OnAltered::Park)
                .accept_lost_updates()
                .webhook(Webhook::unsigned("/hooks/a").payload(hms_sync::Payload::Hint)),
        )
        .side(
            "b",
            Endpoint::new()
                .lookup(Request::get("/t").request_parameter("k", "{{ identity.key }}"))
                .create(Request::post("/t").request_header("X-Kind", "new").record_selector(["data"]))
                .update(Request::put("/t/{{ id }}")),
        )
        .field(Field::string("key").at("a", "key").at("b", "key"))
        .field(
            Field::set("tags", Of::Enum(vec!["red".into(), "blue".into()]))
                .at("a", "tags")
                .resolve(Resolve::union_remove_wins()),
        )
        .field(
            Field::text("contact")
                .normalize(["trim", "lower"])
                .at("a", "contact")
                .at("b", Place::path("contact").fills_blank()),
        )
        .field(Field::integer("count").at("a", "count").resolve(Resolve::counter()))
        .field(
            Field::integer("score")
                .at("a", "score")
                .resolve(Resolve::expression("siblings[0].value").then(Resolve::max())),
        )
        .field(Field::text("body").at("a", "body").at("b", "body").resolve(Resolve::merge_text()))
        .field(Field::decimal("price").at("a", Place::path("price").format("text")).owner("a"))
        .field(Field::string("phone").at("a", "tel").at("b", "tel").owner_unless_blank("a").personal())
        .field(
            Field::enum_of("state", ["on", "off"])
                .at(
                    "a",
                    Place::path("on").values([("on", json!(1)), ("off", json!(0))]).otherwise_from("off"),
                )
                .at("b", Place::path("state").null_as("")),
        )
        .field(Field::datetime("since").at("a", "since").at("b", "since"))
        .group("standing", standing())
}

fn standing() -> Group {
    Group::new("state", ["state", "since"])
        .locks(["off"])
        .derive([("since", "edited_at if since is none else since")])
        .require("state != 'on' or since is not none")
}

#[test]
fn all_words_of_the_builder_are_those_of_yaml() {
    let yaml = r#"
sync: Further
sides:
  a: { connector: http, url: "http://127.0.0.1:9", idempotency_key: { header: X-Key }, request_headers: { X-Team: north }, max_body_bytes: 1MiB }
  b: { connector: http, url: "http://127.0.0.1:8" }
collections:
  thing:
    identity: [key]
    deletes: delete_wins
    recreate: revive
    resolve: first_writer_wins
    sides:
      a:
        version_tag: { field: rev }
        modified: changed
        read:
          path: /things
          paginator: { type: page, page_size: 50, page_param: p, page_size_param: n, start_from: 0 }
          incremental_sync: { cursor: last_run, start_time_option: { field_name: since }, datetime_format: epoch_ms }
        fetch: { path: "/things/{{ id }}" }
        create: { method: POST, path: /things }
        update: { method: PATCH, path: "/things/{{ id }}" }
        delete: { method: DELETE, path: "/things/{{ id }}" }
        exists_when: [ { status: 400, body_contains: unique } ]
        settle_window: 5s
        on_altered: park
        accept_lost_updates: true
        webhook: { path: /hooks/a, unsigned: true, payload: hint }
      b:
        lookup: { path: /t, request_parameters: { k: "{{ identity.key }}" } }
        create: { method: POST, path: /t, request_headers: { X-Kind: new }, record_selector: { field_path: [data] } }
        update: { method: PUT, path: "/t/{{ id }}" }
    fields:
      key: { type: string, a: key, b: key }
      tags: { type: set, of: enum, values: [red, blue], a: tags, resolve: { union: remove_wins } }
      contact: { type: text, normalize: [trim, lower], a: contact, b: { path: contact, fills_blank: true } }
      count: { type: integer, a: count, resolve: counter }
      score: { type: integer, a: score, resolve: [ { expression: "siblings[0].value" }, max ] }
      body: { type: text, a: body, b: body, resolve: merge_text }
      price: { type: decimal, a: { path: price, format: text }, owner: a }
      phone: { type: string, personal: true, a: tel, b: tel, owner: { side: a, unless_blank: true } }
      state: { type: enum, values: ["on", "off"], a: { path: "on", values: { "on": 1, "off": 0 }, otherwise: { from: "off" } }, b: { path: state, null_as: "" } }
      since: { type: datetime, a: since, b: since }
    groups:
      standing: { fields: [state, since], lead: state, locks: ["off"], derive: { since: "edited_at if since is none else since" }, require: "state != 'on' or since is not none" }
"#;
    let mut from_yaml = hms_sync_config::parse("further.yaml", yaml, &|_| None).unwrap();
    from_yaml.data_dir = "./Further".into();
    let built = further().check().unwrap();
    assert_eq!(format!("{built:#?}"), format!("{from_yaml:#?}"));
}

/// What is wrong and what would be right, without the places.
fn mistakes(why: &SyncError) -> Vec<(String, Option<String>)> {
    let SyncError::Config(errors) = why else { return vec![(why.to_string(), None)] };
    let mut all: Vec<_> = errors.problems.iter().map(|p| (p.message.clone(), p.hint.clone())).collect();
    all.sort();
    all
}

/// The example as YAML with a part of it replaced, and as the builder has it.
#[track_caller]
fn check_mistake(part: &str, by: &str, built: Collection, expected: &[&str]) {
    let yaml = example();
    assert!(yaml.contains(part), "{part:?} is not in the example");
    let of_yaml = hms_sync_config::parse("permit-sync.yaml", &yaml.replace(part, by), &|_| None);
    let of_yaml = mistakes(&SyncError::Config(of_yaml.unwrap_err()));
    let why = built.check().unwrap_err();
    assert_eq!(mistakes(&why), of_yaml);
    for said in expected {
        assert!(why.to_string().contains(said), "{why} does not say {said:?}");
    }
}

#[test]
fn a_mistake_is_told_as_yaml_would_tell_it() {
    check_mistake(
        "marshal: remarks }",
        "marshall: remarks }",
        unfinished()
            .identity(["permit_no"])
            .field(Field::text("notes").at("clerk", "notes").at("marshall", "remarks")),
        &[
            "PermitSync: `marshall` in field `notes` is neither a key nor a side of this collection",
            "  in collections.permit.fields.notes.marshall\n  hint: did you mean `marshal`?",
        ],
    );
    check_mistake(
        "    identity: [permit_no] ",
        "    ",
        unfinished().field(notes()),
        &["PermitSync: collection `permit` needs `identity`\n  in collections.permit\n"],
    );
    check_mistake(
        "marshal: remarks }",
        "marshal: { path: remarks, values: { a: x, b: x } }, resolve: { max: , sticky: [a] } }",
        unfinished().identity(["permit_no"]).field(
            Field::text("notes")
                .at("clerk", "notes")
                .at("marshal", Place::path("remarks").values([("a", "x"), ("b", "x")]))
                .resolve(Resolve::max().sticky(["a"])),
        ),
        &["`sticky` goes with `precedence` only"],
    );
}

#[test]
fn what_is_said_twice_is_a_mistake() {
    let why = permit_sync().field(notes()).check().unwrap_err().to_string();
    assert!(why.contains("`notes` is here twice\n  in collections.permit.fields.notes\n"), "{why}");
}

/// Clerk, marshal, a folder.
struct Pair {
    clerk: Double,
    marshal: Double,
    folder: TempDir,
}

impl Pair {
    async fn new() -> Self {
        let (clerk, marshal) = (Double::clerk().await.unwrap(), Double::marshal().await.unwrap());
        Self { clerk, marshal, folder: TempDir::new().unwrap() }
    }

    fn sync(&self) -> Sync {
        sync_of(&self.clerk, &self.marshal, self.folder.path())
    }

    /// The one permit as the clerk has it, and as the marshal does.
    fn both(&self) -> (Json, Json) {
        let of = |double: &Double| double.find("P-1").into_iter().next().unwrap_or_default();
        (of(&self.clerk), of(&self.marshal))
    }

    /// Waits until a field is so at the clerk, and another so at the marshal.
    async fn settled(&self, at_clerk: (&str, &str), at_marshal: (&str, &str)) {
        let what = format!("{at_clerk:?} and {at_marshal:?}");
        until(&what, 20, || async {
            let (permit, inspection) = self.both();
            (permit[at_clerk.0] == at_clerk.1 && inspection[at_marshal.0] == at_marshal.1).then_some(())
        })
        .await;
    }
}

fn sync_of(clerk: &Double, marshal: &Double, data_dir: &Path) -> Sync {
    Sync::init("PermitSync")
        .api("clerk", Api::http(clerk.url()).bearer("demo"))
        .api("marshal", Api::http(marshal.url()).basic("sync", "demo").idempotency_key("Idempotency-Key"))
        .data_dir(data_dir)
}

/// Permits in step, polled often.
fn permits(sync: &Sync) -> Collection {
    sync.collection("permit")
        .identity(["permit_no"])
        .side("clerk", clerk_endpoint().poll_interval(50.milliseconds()))
        .side("marshal", marshal_endpoint().poll_interval(50.milliseconds()))
        .field(Field::string("permit_no").at("clerk", "permit_no").at("marshal", "permitId"))
        .field(Field::text("address").at("clerk", "location.address").at("marshal", "address"))
        .field(scheduled())
        .field(status().resolve(Resolve::precedence(["revoked", "denied", "approved", "pending"])))
        .field(notes())
}

async fn quiet(running: &Running) {
    until("nothing pending", 20, || async {
        (running.desk().status().await.unwrap().status.pending == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_systems_are_kept_in_step() {
    let pair = Pair::new().await;
    let running = permits(&pair.sync()).start().await.unwrap();
    // A permit becomes an inspection.
    let permit =
        json!({ "permit_no": "P-1", "location": { "address": "1 Main Street" }, "status": "pending" });
    let permit = pair.clerk.create(&permit).unwrap();
    pair.settled(("status", "pending"), ("address", "1 Main Street")).await;
    let inspection = pair.both().1["id"].as_str().unwrap().to_owned();
    // A date that the marshal sets reaches the clerk.
    pair.marshal.update(&inspection, &json!({ "scheduledFor": "2026-12-01 09:30:00" })).unwrap();
    pair.settled(("inspection_at", "2026-12-01T09:30:00Z"), ("state", "PENDING")).await;
    quiet(&running).await;
    running.stop().await.unwrap();
    // Each decides without having seen the other.
    pair.clerk.update(&permit, &json!({ "status": "revoked" })).unwrap();
    pair.marshal.update(&inspection, &json!({ "state": "OK", "remarks": "seen" })).unwrap();
    let running = permits(&pair.sync()).start().await.unwrap();
    pair.settled(("status", "revoked"), ("state", "REVOKED")).await;
    pair.settled(("notes", "seen"), ("remarks", "seen")).await;
    quiet(&running).await;
    assert_eq!((pair.clerk.len(), pair.marshal.len(), pair.marshal.doubled()), (1, 1, 0));
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_beside_a_collection() {
    let pair = Pair::new().await;
    pair.clerk.seed_records(1, 10);
    let sync = pair.sync();
    permits(&sync).start().await.unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let ear = Arc::clone(&heard);
    let running = sync
        .source("clerk")
        .poll("/permits?limit=1000", every(50.milliseconds()))
        .on_change(move |_, _| {
            ear.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<(), String>(()))
        })
        .start()
        .await
        .unwrap();
    until("both have all", 20, || async {
        (heard.load(Ordering::SeqCst) >= 10 && pair.marshal.len() >= 10).then_some(())
    })
    .await;
    quiet(&running).await;
    assert_eq!((pair.marshal.len(), pair.marshal.doubled()), (10, 0));
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_with_a_mistake_and_what_runs_goes_on() {
    let pair = Pair::new().await;
    let sync = pair.sync();
    let wrong = permits(&sync).side("nobody", Endpoint::rest("/x"));
    let why = wrong.start().await.unwrap_err().to_string();
    assert!(why.contains("no side is called `nobody`\n  in collections.permit.sides.nobody\n"), "{why}");
    assert!(sync.running().await.is_none());
    let running = permits(&sync).start().await.unwrap();
    permits(&sync).field(notes()).start().await.unwrap_err();
    pair.clerk.seed_records(1, 3);
    until("the first goes on", 20, || async { (pair.marshal.len() == 3).then_some(()) }).await;
    running.stop().await.unwrap();
}
