//! Requests of any kind by somebody who has the token: queries, names, places to go on from and
//! bodies. Each is answered, in words if it is refused, and none ends in an error of ours.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use crate::desk::Desk;
use crate::hooks::{Hooks, Intake};
use crate::serve::{Limits, Room};
use crate::token::Access;
use axum::Router;
use axum::body::Body;
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Delivery, Observation};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Effect, Machine, Now, Plan, ReplyTo, Shape, SidePlan, Wake,
};
use hms_sync_hostile::Reader;
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{CollectionName, FieldName, FieldType, NativeId, SideName, Time, VecMap};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use std::cell::RefCell;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Larger answers are none that a question about so small a log has.
const ANSWER_BYTES_MAX: usize = 200_000;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn collection() -> CollectionName {
    CollectionName::try_new("permit").unwrap()
}

fn plan() -> Plan {
    let mut plan = Plan::new("Test");
    let mut sides = VecMap::new();
    let field = |name: &str| FieldName::try_new(name).unwrap();
    for side in ["clerk", "marshal"].map(|name| SideName::try_new(name).unwrap()) {
        plan.sides.insert(side.clone(), SidePlan::default());
        let map = |name| FieldMapping::plain(field(name), FieldType::String, FieldPath::parse(name).unwrap());
        let abilities = Abilities { update: true, create: true, ..Abilities::default() };
        let shape = Shape::Fields(SideMap::new(["no", "status"].map(map).to_vec()).unwrap());
        sides.insert(side, CollectionSide::new(abilities, shape));
    }
    let of = CollectionPlan { identity: vec![field("no")], ..CollectionPlan::new(sides) };
    plan.collections.insert(collection(), of);
    plan
}

/// A log with a few records, of which two sides show something else.
fn kept() -> Entries {
    let disk = MemoryDisk::new();
    let log = Log::on(disk.clone()).unwrap();
    let mut machine = Machine::open(Arc::new(plan()), log.clone(), 1).unwrap();
    let mut at = 1_700_000_000_000_000;
    for (n, side) in (0..12).zip(["clerk", "marshal", "clerk"].into_iter().cycle()) {
        let content = json!({ "no": (n / 3).to_string(), "status": format!("s{}", n % 5) });
        let id = NativeId::try_new(format!("{side}-{}", n / 3)).unwrap();
        let record = Observation { id, tag: None, modified: None, content: Content::Whole(content) };
        let delivery = Delivery { message: Some(format!("m{n}")), records: vec![record], hints: Vec::new() };
        let (side, collection) = (SideName::try_new(side).unwrap(), collection());
        let wake = Wake::Webhook { side, collection, delivery, reply: ReplyTo(n) };
        at += 1_000_000;
        for effect in machine.step(wake, Now { wall: Time(at), mono: Time(at) }).unwrap() {
            if let Effect::Append(events) = effect {
                log.append(&events).unwrap();
            }
        }
    }
    assert!(log.head() > 12, "{}", log.head());
    drop((machine, log));
    disk.entries()
}

/// Who answers in one thread. What one case changes the next does not see.
struct Answering {
    runtime: Runtime,
    router: Option<(Router, String)>,
}

thread_local! {
    static ANSWERING: RefCell<Answering> = RefCell::new(Answering {
        runtime: Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap(),
        router: None,
    });
}

fn router(kept: &Entries) -> (Router, String) {
    let disk = MemoryDisk::new();
    kept.iter().for_each(|(key, value)| disk.tamper(key, Some(value)));
    let desk = Desk::stopped(plan(), Log::on(disk).unwrap(), None).unwrap();
    let (limits, access) = (Limits::default(), Access::new("http://127.0.0.1:1".to_owned()).unwrap());
    let token = format!("Bearer {}", access.token);
    let (intake, address) = (Intake::new(&limits), ([127, 0, 0, 1], 1).into());
    let (verifying, exporting) = Default::default();
    let room = Room { desk, hooks: Hooks::new(), intake, access, address, limits, verifying, exporting };
    (super::router(Arc::new(room)), token)
}

/// A case: a route, what stands behind its path, and the body. None that is no request at all.
fn request(case: &str, token: &str) -> Option<Request<Body>> {
    let (line, body) = case.split_once('\n')?;
    let (route, rest) = line.split_once(' ')?;
    let routes = super::routes();
    let (method, path, _) = routes.get(route.parse::<usize>().ok()?)?;
    let request = Request::builder().method(method).uri(format!("{path}{rest}"));
    let request = request.header(header::HOST, "127.0.0.1:1").header(header::AUTHORIZATION, token);
    request.body(Body::from(body.to_owned())).ok()
}

/// The case of a request.
fn case(method: &Method, target: &str, body: &str) -> String {
    let path = format!("/api/{}", target.split('?').next().unwrap());
    let route = super::routes().iter().position(|(of, known, _)| of == method && *known == path).unwrap();
    format!("{route} {}\n{body}", target.strip_prefix(path.trim_start_matches("/api/")).unwrap())
}

async fn answer(router: Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let answer: Result<Response<Body>, _> = TowerToHyperService::new(router).call(request).await;
    let (parts, body) = answer.unwrap().into_parts();
    (parts.status, body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default())
}

/// Whether it was understood, even where a sync at rest does not do it.
fn answered(kept: &Entries, case: &str) -> bool {
    ANSWERING.with_borrow_mut(|Answering { runtime, router: answering }| {
        let (router, token) = answering.take().unwrap_or_else(|| router(kept));
        let Some(request) = request(case, &token) else {
            *answering = Some((router, token));
            return false;
        };
        let asks = request.method() == Method::GET;
        let (status, body) = runtime.block_on(answer(router.clone(), request));
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{}", body.escape_ascii());
        assert!(body.len() <= ANSWER_BYTES_MAX + 8 * case.len(), "an answer of {} bytes", body.len());
        if !status.is_success() {
            let words: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(words["error"].is_string() && words["hint"].is_string(), "{words}");
        }
        let not = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        let taken = !not.contains(&status);
        if asks || !taken {
            *answering = Some((router, token));
        }
        taken
    })
}

const WHO: &str = r#""by": "Ann", "reason": "a call""#;

fn questions() -> Vec<String> {
    let asked = [
        "status",
        "parked?limit=3&after=permit/1",
        "conflicts?all=true&limit=2&after=permit/1",
        "conflicts/record?name=clerk:clerk-1&field=status",
        "links/preview?name=clerk:clerk-1&side=clerk",
        "record?name=clerk:clerk-1",
        "record?name=clerk%3Aclerk%2D1",
        "history?name=clerk:clerk-1&after=1&limit=2",
        "explain?name=clerk:clerk-1&field=status&at=2023-11-14T22:13:25Z",
        "as-of?name=clerk:clerk-1&at=2023-11-14+22:13:25",
        "diff?name=clerk:clerk-1&from=2023-11-14&to=2+h+ago",
        "log?side=clerk&collection=permit&kind=edited,linked&field=status&after=2&limit=3&reverse=true",
        "log?record=clerk:clerk-1&from=2023-11-14&to=2+h+ago",
        "verify",
        "log/stats",
    ];
    asked.into_iter().map(|target| case(&Method::GET, target, "")).collect()
}

/// What changes something, as far as a sync at rest takes it.
fn actions() -> Vec<String> {
    let all = [
        ("conflicts/resolve", format!(r#"{{"record": "clerk:clerk-1", "field": "status", "pick": {{"value": "s9"}}, "version": 9, {WHO}}}"#)),
        ("conflicts/restore", format!(r#"{{"record": "clerk:clerk-1", "field": "status", "loser": 1, "version": 9, {WHO}}}"#)),
        ("links/unlink", format!(r#"{{"record": "clerk:clerk-1", "side": "clerk", {WHO}}}"#)),
        ("links/relink", format!(r#"{{"record": "clerk:clerk-1", "side": "clerk", "id": "clerk-2", {WHO}}}"#)),
        ("links/join", format!(r#"{{"record": "clerk:clerk-1", "into": "clerk:clerk-2", {WHO}}}"#)),
        ("subscribers/replay", r#"{"side": "clerk", "since": "2 h ago"}"#.to_owned()),
        ("subscribers/replay", r#"{"side": "clerk", "after": "12"}"#.to_owned()),
        ("subscribers/subscribe", format!(r#"{{"side": "clerk", {WHO}}}"#)),
        ("parked/release", r#"{"action": "replay", "filter": {"record": "clerk:clerk-1", "lane": "clerk", "reason": "doubt"}}"#.to_owned()),
        ("parked/release", r#"{"action": "discard", "all": true}"#.to_owned()),
        ("poll", r#"{"side": "clerk", "collection": "permit", "full": true}"#.to_owned()),
        ("audit/rotate-key", r#"{"reason": "a call"}"#.to_owned()),
        ("audit/new-origin", r#"{"reason": "a call", "origin": "log.example"}"#.to_owned()),
        ("erase", format!(r#"{{"record": "clerk:clerk-1", {WHO}}}"#)),
        ("take-up", format!(r#"{{"record": "clerk:clerk-1", {WHO}}}"#)),
    ];
    all.into_iter().map(|(path, body)| case(&Method::POST, path, &body)).collect()
}

#[test]
fn hostile_requests() {
    let kept = kept();
    // Nothing is parked: of those that need it each is refused, and a word.
    let (taken, refused): (Vec<_>, Vec<_>) = actions().into_iter().partition(|case| answered(&kept, case));
    assert!(taken.len() >= 10, "{refused:#?}");
    Reader::new("requests")
        .sound(questions())
        .sound(taken)
        .words(refused)
        .words([
            "name=",
            "&",
            "=",
            "%",
            "%00",
            "%ff",
            "+",
            "?",
            "/",
            "..",
            "after=",
            "limit=",
            "at=",
            "from=",
            "to=",
            "@sync/clerk/permit",
            "permit/1",
            "clerk:",
            "reverse=true",
            "all=true",
            "open=true",
            "kind=",
            "?from=2023-11-14&side=clerk&record=",
            "?heads=9:AAAA",
            "\"version\": ",
            "\"record\": ",
            "null",
            "{",
            "}",
            "[",
            "\\u0000",
            "18446744073709551615",
            "\n",
        ])
        .fewer(40_000)
        .texts(|case| answered(&kept, case));
}
