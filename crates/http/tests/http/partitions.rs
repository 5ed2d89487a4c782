//! Listings that there is one of for each parent, or for each of some values.

use crate::sides::{collection, ids, serve, try_connector};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use hms_sync_connector::{
    Connector, Content, Cursor, Observation, Page, PageToken, ReadRequest, Scope, Unread,
};
use hms_sync_http::HttpConnector;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

/// Projects and their tasks: `/projects`, `/projects/<id>/tasks?since=`.
#[derive(Default)]
struct Shop {
    projects: BTreeMap<u32, Vec<Json>>,
    /// Projects whose tasks are answered so.
    refused: HashMap<u32, u16>,
    heard: Vec<String>,
}

#[derive(Clone, Default)]
struct Side(Arc<Mutex<Shop>>);

impl Side {
    async fn new() -> (Self, String) {
        let side = Self::default();
        let handler = side.clone();
        let answer = move |request: Request| {
            let (status, body) =
                handler.answer(request.uri().path(), request.uri().query().unwrap_or_default());
            async move { (status, body) }
        };
        (side, serve(Router::new().fallback(answer)).await)
    }

    fn shop(&self) -> MutexGuard<'_, Shop> {
        self.0.lock().unwrap()
    }

    fn put(&self, project: u32, task: u32, at: u32) {
        let task = json!({ "id": task, "at": stamp(at) });
        self.shop().projects.entry(project).or_default().push(task);
    }

    /// What was asked for since the last call.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.shop().heard)
    }

    fn answer(&self, path: &str, query: &str) -> (StatusCode, String) {
        let mut shop = self.shop();
        shop.heard.push(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") });
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let all: Vec<Json> = match parts.as_slice() {
            ["orgs"] => vec![json!({ "name": "o1" }), json!({ "name": "o2" })],
            ["orgs", org, "projects"] => {
                let half = usize::from(*org == "o2");
                let all = shop.projects.keys().skip(half).step_by(2);
                all.map(|id| json!({ "id": id, "owner": { "org": org } })).collect()
            }
            ["projects"] => {
                shop.projects.keys().map(|id| json!({ "id": id, "archived": *id == 66 })).collect()
            }
            [.., "projects", id, "tasks"] => {
                let id = id.parse().unwrap();
                if let Some(status) = shop.refused.get(&id) {
                    return (StatusCode::from_u16(*status).unwrap(), json!({ "error": "no" }).to_string());
                }
                let since = query.get("since").cloned().unwrap_or_default();
                let tasks = shop.projects.get(&id).cloned().unwrap_or_default();
                tasks.into_iter().filter(|task| task["at"].as_str().unwrap() >= since.as_str()).collect()
            }
            ["tasks"] => vec![json!({ "id": format!("in {}", query["region"]), "at": stamp(1) })],
            _ => return (StatusCode::NOT_FOUND, String::new()),
        };
        let skip = query.get("offset").map_or(0, |text| text.parse().unwrap());
        let take = query.get("limit").map_or(10_000, |text| text.parse().unwrap());
        let page: Vec<Json> = all.into_iter().skip(skip).take(take).collect();
        (StatusCode::OK, Json::Array(page).to_string())
    }
}

/// A minute of the day.
fn stamp(minute: u32) -> String {
    format!("2026-11-23T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

fn tasks() -> Json {
    json!({
        "path": "/projects/{{ stream_partition.project }}/tasks",
        "partition_router": {
            "type": "SubstreamPartitionRouter",
            "parent_stream": { "path": "/projects", "paginator": { "type": "offset", "page_size": 3 } },
            "partition_field": "project", "record_field": "project_id",
        },
        "incremental_sync": { "cursor_field": "at", "start_time_option": { "field_name": "since" } },
    })
}

fn connector(url: &str, read: &Json) -> HttpConnector {
    try_connector(&json!({ "url": url }), &json!({ "read": read })).unwrap()
}

async fn page(connector: &HttpConnector, scope: &Scope, after: Option<PageToken>) -> Page {
    connector.read(ReadRequest { collection: collection(), scope: scope.clone(), after }).await.unwrap()
}

/// What a pass showed.
#[derive(Default)]
struct Whole {
    seen: Vec<Observation>,
    cursor: Option<Cursor>,
    unreadable: Vec<String>,
    unread: Vec<Unread>,
    partial: bool,
    empty_is_meant: bool,
    cursors: usize,
}

impl Whole {
    fn since(&self) -> Scope {
        Scope::Since(self.cursor.clone().unwrap())
    }

    fn ids(&self) -> Vec<String> {
        ids(&self.seen)
    }
}

async fn go_on(connector: &HttpConnector, scope: &Scope, mut after: Option<PageToken>) -> Whole {
    let mut whole = Whole::default();
    loop {
        let page = page(connector, scope, after).await;
        whole.seen.extend(page.records);
        whole.cursors += usize::from(page.cursor.is_some());
        whole.cursor = page.cursor.or(whole.cursor);
        whole.unreadable.extend(page.unreadable);
        whole.unread.extend(page.unread);
        whole.partial |= page.partial;
        whole.empty_is_meant |= page.empty_is_meant;
        after = page.next;
        if after.is_none() {
            return whole;
        }
    }
}

async fn pass(connector: &HttpConnector, scope: &Scope) -> Whole {
    go_on(connector, scope, None).await
}

#[tokio::test]
async fn each_parent_has_a_cursor_and_a_new_one_is_read_from_the_beginning() {
    let (side, url) = Side::new().await;
    for (project, task, at) in [(1, 10, 100), (2, 20, 500), (3, 30, 50), (4, 40, 60), (4, 41, 61)] {
        side.put(project, task, at);
    }
    let connector = connector(&url, &tasks());
    assert!(connector.abilities(&collection()).incremental);
    let whole = pass(&connector, &Scope::Everything).await;
    assert_eq!(whole.ids(), ["10", "20", "30", "40", "41"]);
    assert!(!whole.partial && whole.unreadable.is_empty());
    let Content::Whole(first) = &whole.seen[0].content else { panic!() };
    assert_eq!(first, &json!({ "id": 10, "at": stamp(100), "project_id": 1 }));
    // Late in one project, early in another: each has its own cursor. And a project that
    // appears with old tasks is read whole.
    side.put(3, 31, 51);
    side.put(9, 90, 1);
    side.heard();
    let changed = pass(&connector, &whole.since()).await;
    let new: Vec<String> = changed.ids().into_iter().filter(|id| !whole.ids().contains(id)).collect();
    assert_eq!(new, ["31", "90"]);
    let heard = side.heard();
    assert!(heard.contains(&"/projects/1/tasks?since=2026-11-23T01%3A39%3A58Z".to_owned()), "{heard:?}");
    assert!(heard.contains(&"/projects/3/tasks?since=2026-11-23T00%3A49%3A58Z".to_owned()), "{heard:?}");
    assert!(heard.contains(&"/projects/9/tasks".to_owned()), "{heard:?}");
    // Another process knows as much.
    side.put(9, 91, 2);
    let again = pass(&self::connector(&url, &tasks()), &changed.since()).await;
    assert!(again.ids().contains(&"91".to_owned()));
    assert!(!side.heard().contains(&"/projects/9/tasks".to_owned()));
}

#[tokio::test]
async fn a_parent_that_went_away_is_forgotten() {
    let (side, url) = Side::new().await;
    (1..=4).for_each(|project| side.put(project, project * 10, 100));
    let connector = connector(&url, &tasks());
    let whole = pass(&connector, &Scope::Everything).await;
    let gone = side.shop().projects.remove(&2).unwrap();
    // Its children are not shown by a complete listing: that they are gone is concluded there.
    let full = pass(&connector, &Scope::Everything).await;
    assert_eq!((full.ids(), full.partial), (vec!["10".into(), "30".into(), "40".into()], false));
    let without = pass(&connector, &whole.since()).await;
    side.shop().projects.insert(2, gone);
    side.heard();
    let back = pass(&connector, &without.since()).await;
    assert!(back.ids().contains(&"20".to_owned()));
    assert!(side.heard().contains(&"/projects/2/tasks".to_owned()));
}

#[tokio::test]
async fn a_parent_that_cannot_be_read_stops_no_other_and_proves_nothing() {
    let (side, url) = Side::new().await;
    (1..=4).for_each(|project| side.put(project, project * 10, 100));
    let connector = connector(&url, &tasks());
    let whole = pass(&connector, &Scope::Everything).await;
    side.shop().refused.insert(2, 404);
    side.heard();
    let part = pass(&connector, &whole.since()).await;
    assert_eq!(part.ids(), ["10", "30", "40"]);
    let [unread] = part.unread.as_slice() else { panic!("{:?}", part.unread) };
    assert!(unread.reason.contains("for project 2: ") && unread.reason.contains("404"), "{unread:?}");
    assert_eq!(unread.places, [(vec!["project_id".to_owned()], json!(2))], "by which its records are known");
    assert!(!part.partial && part.unreadable.is_empty());
    // What was missed meanwhile is not lost.
    side.put(2, 21, 3);
    side.shop().refused.clear();
    let then = pass(&connector, &part.since()).await;
    assert_eq!(then.ids(), ["10", "20", "21", "30", "40"]);
    // Where records do not say of which parent they are, nothing is known of any.
    side.shop().refused.insert(3, 403);
    let mut unnamed = tasks();
    unnamed["partition_router"].as_object_mut().unwrap().remove("record_field");
    let part = pass(
        &try_connector(&json!({ "url": url }), &json!({ "read": unnamed })).unwrap(),
        &Scope::Everything,
    )
    .await;
    assert_eq!((part.ids().len(), part.unreadable.len(), part.unread.len()), (4, 1, 0));
    // Where all are refused, it is a person's business, unless filters say otherwise.
    side.shop().refused.extend((1..=4).map(|project| (project, 403)));
    let scope = Scope::Everything;
    let mut after = None;
    let refused = loop {
        let request = ReadRequest { collection: collection(), scope: scope.clone(), after };
        match connector.read(request).await {
            Ok(page) => after = page.next,
            Err(why) => break why.to_string(),
        }
        assert!(after.is_some());
    };
    assert!(refused.contains("none can be read") && refused.contains("403"), "{refused}");
    side.shop().refused.retain(|project, _| *project == 3);
    let handler = json!({ "response_filters": [{ "http_codes": [403], "action": "ignore" }] });
    let ignoring = json!({ "url": url, "error_handler": handler });
    let ignoring = try_connector(&ignoring, &json!({ "read": tasks() })).unwrap();
    let part = pass(&ignoring, &Scope::Everything).await;
    assert_eq!((part.ids().len(), part.unread.len()), (4, 1));
}

#[tokio::test]
async fn a_pass_that_was_cut_short_goes_on_with_the_parent_it_was_at() {
    let (side, url) = Side::new().await;
    for project in 1..=7 {
        (0..5).for_each(|n| side.put(project, project * 10 + n, 100 + n));
    }
    let mut read = tasks();
    read["paginator"] = json!({ "type": "offset", "page_size": 3 });
    let (mut after, mut seen) = (None, Vec::new());
    let first = connector(&url, &read);
    while seen.len() < 23 {
        let page = page(&first, &Scope::Everything, after).await;
        seen.extend(ids(&page.records));
        after = page.next;
    }
    let token = after.unwrap();
    assert!(token.0.len() < 2_000, "{}", token.0);
    side.heard();
    // Another process, with nothing in memory.
    let rest = go_on(&connector(&url, &read), &Scope::Everything, Some(token)).await;
    seen.extend(rest.ids());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 35);
    let heard = side.heard();
    assert!(heard.iter().all(|path| !path.starts_with("/projects/1/") && !path.starts_with("/projects/3/")));
    // What was read before is read once more by the next poll.
    let next = pass(&connector(&url, &read), &rest.since()).await;
    assert!(next.ids().contains(&"10".to_owned()) && !next.ids().contains(&"70".to_owned()));
    let last = pass(&connector(&url, &read), &next.since()).await;
    assert!(!last.ids().contains(&"10".to_owned()));
    // Other settings, another pass.
    let mut other = read.clone();
    other["partition_router"]["parent_stream"]["path"] = json!("/orgs/o1/projects");
    let token = page(&first, &Scope::Everything, None).await.next;
    let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: token };
    let refused = connector(&url, &other).read(request).await.unwrap_err().to_string();
    assert!(refused.contains("begins anew"), "{refused}");
}

#[tokio::test]
async fn many_parents_share_a_cursor_and_marks_are_set_on_the_way() {
    let (side, url) = Side::new().await;
    for project in 1..=1_500 {
        side.put(project, project, project % 60);
    }
    let mut read = tasks();
    read["partition_router"]["parent_stream"]["paginator"]["page_size"] = json!(500);
    let connector = connector(&url, &read);
    let whole = pass(&connector, &Scope::Everything).await;
    assert_eq!(whole.seen.len(), 1_500);
    let size = |whole: &Whole| whole.cursor.as_ref().unwrap().0.len();
    for project in 1..=600 {
        side.put(project, 2_000 + project, 100);
    }
    let changed = pass(&connector, &whole.since()).await;
    assert_eq!(changed.ids().iter().filter(|id| id.parse::<u32>().unwrap() > 2_000).count(), 600);
    assert_eq!(changed.cursors, 3, "two on the way, one at the end");
    let quiet = pass(&connector, &changed.since()).await;
    assert!(size(&whole) > 50_000 && size(&quiet) < 30_000, "{} {}", size(&whole), size(&quiet));
    // Nothing is lost by sharing.
    side.put(1_400, 9_000, 101);
    side.put(1_501, 9_001, 1);
    let last = pass(&connector, &quiet.since()).await;
    let new: Vec<String> = last.ids().into_iter().filter(|id| id.starts_with("900")).collect();
    assert_eq!(new, ["9000", "9001"]);
}

#[tokio::test]
async fn values_of_a_list_and_parents_of_parents() {
    let (side, url) = Side::new().await;
    let regions = json!({
        "path": "/tasks",
        "partition_router": {
            "type": "ListPartitionRouter", "values": ["north", "south"], "cursor_field": "region",
            "request_option": { "field_name": "region" }, "record_field": "region",
        },
    });
    let both = pass(&connector(&url, &regions), &Scope::Everything).await;
    assert_eq!(both.ids(), ["in north", "in south"]);
    assert_eq!(side.heard(), ["/tasks?region=north", "/tasks?region=south"]);
    (1..=4).for_each(|project| side.put(project, project * 10, 100));
    let nested = json!({
        "path": "/orgs/{{ stream_slice.extra_fields['owner.org'] }}/projects/{{ stream_slice.project }}/tasks",
        "partition_router": {
            "type": "substream", "partition_field": "project", "extra_fields": ["owner.org"],
            "parent_stream": {
                "path": "/orgs/{{ stream_partition.org }}/projects",
                "partition_router": {
                    "type": "substream", "partition_field": "org", "parent_key": "name",
                    "parent_stream": { "path": "/orgs" },
                },
            },
        },
    });
    let whole = pass(&connector(&url, &nested), &Scope::Everything).await;
    assert_eq!(whole.ids(), ["10", "30", "20", "40"]);
    assert!(side.heard().contains(&"/orgs/o2/projects/4/tasks".to_owned()));
    // A key that the parents themselves are listed by, as their records are given it: what Airbyte
    // calls `parent_slice`.
    let mut given = nested;
    given["path"] =
        json!("/orgs/{{ stream_slice.extra_fields['above'] }}/projects/{{ stream_slice.project }}/tasks");
    given["partition_router"]["extra_fields"] = json!(["above"]);
    given["partition_router"]["parent_stream"]["partition_router"]["record_field"] = json!("above");
    let (asked, whole) = (side.heard().len(), pass(&connector(&url, &given), &Scope::Everything).await);
    assert_eq!(whole.ids(), ["10", "30", "20", "40"]);
    assert!(side.heard().iter().skip(asked).any(|path| path == "/orgs/o2/projects/4/tasks"));
}

fn of_side(json: Json) -> hms_sync_http::spec::HttpSpec {
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn parents_are_a_collection_and_one_budget_holds_for_all() {
    let (side, url) = Side::new().await;
    (1..=4).for_each(|project| side.put(project, project * 10, 100));
    side.put(66, 660, 100);
    let name = |text: &str| hms_sync_model::CollectionName::try_new(text).unwrap();
    let mut read = tasks();
    read["partition_router"]["parent_stream"] = json!("project");
    let set_up = |read: &Json, projects: Json| {
        let spec = json!({ "url": url, "api_budget": { "policies": [
            { "type": "moving_window", "rates": [{ "limit": 7, "interval": "1h" }] } ] } });
        let of = |json: Json| serde_json::from_value(json).unwrap();
        let all = [(collection(), of(json!({ "read": read }))), (name("project"), of(projects))];
        let side = hms_sync_model::SideName::try_new("side").unwrap();
        HttpConnector::new(&side, of_side(spec), all.into()).map_err(|e| e.to_string())
    };
    let projects = json!({ "read": { "path": "/projects" },
        "deleted_when": { "field": "archived" } });
    let connector = set_up(&read, projects.clone()).unwrap();
    // One page of parents and four of children; what says that it is gone has none.
    let whole = pass(&connector, &Scope::Everything).await;
    assert_eq!((whole.ids().len(), side.heard().len()), (4, 5));
    let mut asked = 0;
    let (mut after, scope) = (None, Scope::Everything);
    let held = loop {
        let request = ReadRequest { collection: collection(), scope: scope.clone(), after };
        match connector.read(request).await {
            Ok(page) => after = page.next,
            Err(why) => break why.to_string(),
        }
        asked += 1;
    };
    assert!(asked == 2 && held.contains("takes no more requests"), "{asked} {held}");
    // Parents that are passed over may have children.
    let mut some = projects;
    some["read"]["record_selector"] = json!({ "record_filter": { "condition": "record.id != 2" } });
    let part = pass(&set_up(&read, some).unwrap(), &Scope::Everything).await;
    assert_eq!((part.ids().len(), part.partial), (3, true));
    read["partition_router"]["parent_stream"] = json!("projcet");
    let error = set_up(&read, json!({ "read": { "path": "/projects" } })).unwrap_err();
    assert!(error.contains("`permit.read.partition_router.parent_stream`"), "{error}");
    assert!(error.contains("no collection of this side; it has permit, project"), "{error}");
    read["partition_router"]["parent_stream"] = json!("permit");
    let error = set_up(&read, json!({})).unwrap_err();
    assert!(error.contains("deep at most"), "{error}");
}

#[tokio::test]
async fn an_empty_side_is_doubted_as_a_whole() {
    let (side, url) = Side::new().await;
    side.shop().projects.insert(1, Vec::new());
    let mut read = tasks();
    for (on_empty, expected) in [("hold", (false, false)), ("skip", (true, false)), ("sync", (false, true))] {
        read["on_empty"] = json!(on_empty);
        let whole = pass(&connector(&url, &read), &Scope::Everything).await;
        assert_eq!((whole.partial, whole.empty_is_meant), expected, "{on_empty}");
    }
    side.put(2, 20, 1);
    let whole = pass(&connector(&url, &read), &Scope::Everything).await;
    assert_eq!((whole.ids(), whole.empty_is_meant), (vec!["20".to_owned()], false));
}

#[tokio::test]
async fn it_is_checked_before_anything_is_asked() {
    let refused = |change: &dyn Fn(&mut Json)| {
        let mut read = tasks();
        change(&mut read);
        try_connector(&json!({ "url": "http://127.0.0.1:1" }), &json!({ "read": read })).unwrap_err()
    };
    for (change, said) in [
        (
            &(|read: &mut Json| read["path"] = json!("/tasks")) as &dyn Fn(&mut Json),
            "no request says of which",
        ),
        (
            &|read: &mut Json| read["partition_router"]["partition_field"] = json!("board"),
            "names `stream_partition.project`",
        ),
        (
            &|read: &mut Json| read["partition_router"]["parent_stream"] = json!(7),
            "a collection of the same side",
        ),
        (
            &|read: &mut Json| read["partition_router"]["parent_steam"] = json!("a"),
            "unknown field `parent_steam`",
        ),
        (&|read: &mut Json| read["partition_router"]["record_field"] = json!(""), "names no field"),
        (
            &|read: &mut Json| drop(read.as_object_mut().unwrap().remove("partition_router")),
            "names `stream_partition`",
        ),
        (
            &|read: &mut Json| {
                read["partition_router"] =
                    json!({ "type": "list", "partition_field": "project", "values": [] });
            },
            "has 0 values",
        ),
    ] {
        let error = refused(change);
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

#[tokio::test]
async fn a_check_asks_for_a_parent_and_one_of_its_children() {
    let (side, url) = Side::new().await;
    let connector = connector(&url, &tasks());
    let line = connector.check(&collection()).await.unwrap();
    assert!(line.contains("there is no project yet"), "{line}");
    side.put(7, 70, 1);
    let line = connector.check(&collection()).await.unwrap();
    assert!(line.contains("the first record is 70") && line.contains("of the project 7"), "{line}");
}

/// A side that answers every listing with one record that says which listing it is.
async fn echo() -> crate::sides::Answering {
    crate::sides::Answering::with(|heard| {
        let query = heard.query.get("kind").cloned().unwrap_or_default();
        crate::sides::plain(match heard.path.as_str() {
            "/api/teams" => json!([{ "id": "t1" }, { "id": "t2" }]),
            "/api/users" => json!([{ "id": "u1" }]),
            path => json!([{ "id": format!("{path}?{query}") }]),
        })
    })
    .await
}

async fn listed(read: &Json) -> Vec<String> {
    let side = echo().await;
    let connector = side.read(read);
    let (seen, _) = crate::sides::pass(&connector, Scope::Everything, || {}).await.unwrap();
    crate::sides::ids(&seen)
}

#[tokio::test]
async fn there_is_a_listing_for_each_combination_of_several_routers() {
    let read = json!({ "path": "/of/{{ stream_partition.team }}/{{ stream_partition.year }}",
        "request_parameters": { "kind": "{{ stream_slice.kind }}" },
        "partition_router": [
            { "type": "SubstreamPartitionRouter", "parent_stream": { "path": "/teams" }, "partition_field": "team" },
            { "type": "ListPartitionRouter", "values": [2025, 2026], "cursor_field": "year" },
            { "type": "list", "values": ["a", "b"], "partition_field": "kind", "record_field": "kind" },
        ] });
    assert_eq!(
        listed(&read).await,
        [
            "/api/of/t1/2025?a",
            "/api/of/t1/2025?b",
            "/api/of/t1/2026?a",
            "/api/of/t1/2026?b",
            "/api/of/t2/2025?a",
            "/api/of/t2/2025?b",
            "/api/of/t2/2026?a",
            "/api/of/t2/2026?b",
        ]
    );
}

#[tokio::test]
async fn parents_of_several_kinds_are_listed_one_kind_after_the_other() {
    let read = json!({ "path": "/of/{{ stream_partition.owner }}",
        "partition_router": { "type": "SubstreamPartitionRouter", "parent_stream_configs": [
            { "parent_stream": { "path": "/teams" }, "partition_field": "owner" },
            { "stream": { "path": "/users" }, "parent_key": "id", "partition_field": "owner" },
        ] } });
    assert_eq!(listed(&read).await, ["/api/of/t1?", "/api/of/t2?", "/api/of/u1?"]);
}

#[tokio::test]
async fn what_routers_lack_is_told_before_anything_is_asked() {
    let team =
        json!({ "type": "substream", "parent_stream": { "path": "/teams" }, "partition_field": "team" });
    let year = json!({ "type": "list", "values": [1], "partition_field": "year" });
    for (router, said) in [
        (json!([]), "has 0 routers"),
        (json!([team, year]), "`{{ stream_partition.year }}`"),
        (json!({ "type": "substream", "partition_field": "team" }), "needs `parent_stream`"),
        (
            json!({ "type": "substream", "partition_field": "team", "parent_stream": { "path": "/teams" },
            "parent_stream_configs": [{ "parent_stream": { "path": "/users" }, "partition_field": "team" }] }),
            "one is enough",
        ),
        (json!([[team]]), "invalid type"),
    ] {
        let permits =
            json!({ "read": { "path": "/of/{{ stream_partition.team }}", "partition_router": router } });
        let why = crate::sides::try_connector(&json!({ "url": "http://127.0.0.1:1" }), &permits).unwrap_err();
        assert!(why.contains(said), "{why} does not say {said}");
    }
}
