//! What is made of what only a listing knows of a record: the parent that it is listed for, and
//! the range that was asked for.

use crate::sides::{Answering, collection, pass, plain, try_connector};
use hms_sync_connector::{Connector, Content, Cursor, Observation, ReadRequest, Scope};
use hms_sync_http::HttpConnector;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

/// Orders, and the lines of each: `/orders`, `/orders/<id>/lines?since=`.
async fn shop(orders: Json) -> (Answering, Arc<Mutex<Json>>) {
    let orders = Arc::new(Mutex::new(orders));
    let shown = Arc::clone(&orders);
    let side = Answering::with(move |heard| {
        plain(match heard.path.split('/').collect::<Vec<_>>().as_slice() {
            [.., "orders"] => shown.lock().unwrap().clone(),
            [.., "orders", id, "lines"] => json!([{ "id": format!("l{id}"), "at": "2026-11-23T12:00:00Z" }]),
            _ => json!([]),
        })
    })
    .await;
    (side, orders)
}

fn lines(fields: &Json) -> Json {
    json!({
        "transformations": [{ "type": "AddFields", "fields": fields }],
        "read": {
            "path": "/orders/{{ stream_partition.order }}/lines",
            "partition_router": {
                "type": "SubstreamPartitionRouter", "parent_stream": { "path": "/orders" }, "partition_field": "order",
                "extra_fields": [["updated"], ["by", "name"], ["size"]],
            },
            "incremental_sync": { "cursor_field": "at", "start_time_option": { "field_name": "since" } },
        },
    })
}

fn of(side: &Answering, fields: &Json) -> HttpConnector {
    try_connector(&json!({ "url": side.url }), &lines(fields)).unwrap()
}

async fn read(connector: &HttpConnector, cursor: Option<Cursor>) -> (Vec<Json>, Option<Cursor>) {
    let scope = cursor.map_or(Scope::Everything, Scope::Since);
    let (seen, cursor) = pass(connector, scope, || {}).await.unwrap();
    let whole = |one: Observation| match one.content {
        Content::Whole(record) => record,
        other => panic!("{other:?}"),
    };
    (seen.into_iter().map(whole).collect(), cursor)
}

#[tokio::test]
async fn a_record_is_made_of_its_parent_too() {
    let (side, _) = shop(json!([
        { "id": 1, "updated": 1_795_000_000, "by": { "name": "Ada" }, "size": 1.5 }, { "id": 2, "updated": null },
    ]))
    .await;
    let connector = of(
        &side,
        &json!([
            { "path": ["updated"], "value": "{{ stream_slice.extra_fields['updated'] | int }}" },
            { "path": ["by"], "value": "{{ stream_slice['extra_fields']['by.name'] }}" },
            { "path": ["order", "no"], "value": "{{ stream_partition['order'] }}" },
            { "path": ["label"], "value": "{{ record.id }} of {{ stream_partition.extra_fields.get('by.name') }}" },
            { "path": ["double"], "value": "{{ (stream_partition.extra_fields.size or 0) * 2 }}" },
        ]),
    );
    let (records, _) = read(&connector, None).await;
    let expected = json!([
        { "id": "l1", "at": "2026-11-23T12:00:00Z", "updated": 1_795_000_000, "by": "Ada", "order": { "no": 1 },
            "label": "l1 of Ada", "double": 3.0 },
        // A parent without it.
        { "id": "l2", "at": "2026-11-23T12:00:00Z", "updated": 0, "by": null, "order": { "no": 2 },
            "label": "l2 of ", "double": 0 },
    ]);
    assert_eq!(Json::from(records), expected);
}

#[tokio::test]
async fn a_parent_that_is_shown_with_other_fields_is_the_same_one() {
    let (side, orders) = shop(json!([{ "id": 1, "updated": 5 }, { "id": 2, "updated": 6 }])).await;
    let fields = json!([{ "path": "updated", "value": "{{ stream_slice.extra_fields['updated'] }}" }]);
    let (_, cursor) = read(&of(&side, &fields), None).await;
    *orders.lock().unwrap() = json!([{ "id": 1, "updated": 7 }, { "id": 2 }]);
    let before = side.heard().len();
    // Another process, that knows the cursors alone.
    let (records, _) = read(&of(&side, &fields), cursor).await;
    assert_eq!([&records[0]["updated"], &records[1]["updated"]], [&json!(7), &json!(null)]);
    let asked: Vec<_> =
        side.heard().into_iter().skip(before).filter(|heard| heard.path.ends_with("lines")).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|heard| heard.query.contains_key("since")), "read from where it was: {asked:?}");

    // A pass that is cut short goes on with the parent that it was at.
    let (first, request) = (of(&side, &fields), |after| ReadRequest {
        collection: collection(),
        scope: Scope::Everything,
        after,
    });
    let parents = first.read(request(None)).await.unwrap();
    let one = first.read(request(parents.next)).await.unwrap();
    assert_eq!(one.records.len(), 1);
    *orders.lock().unwrap() = json!([{ "id": 1, "updated": 8 }, { "id": 2, "updated": 9 }]);
    let again = of(&side, &fields);
    let parents = again.read(request(one.next)).await.unwrap();
    let two = again.read(request(parents.next)).await.unwrap();
    let Content::Whole(record) = &two.records[0].content else { panic!() };
    assert_eq!((record["id"].as_str(), &record["updated"], two.next), (Some("l2"), &json!(9), None));
}

#[tokio::test]
async fn of_two_parents_that_are_asked_for_alike_the_first_counts() {
    let twice = json!([{ "id": 1, "updated": 5 }, { "id": 1, "updated": 6 }]);
    let (side, _) = shop(twice).await;
    let fields = json!([{ "path": "updated", "value": "{{ stream_slice.extra_fields['updated'] }}" }]);
    let (records, _) = read(&of(&side, &fields), None).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["updated"], json!(5));
    // Where a request names what tells them apart, they are two.
    let mut both = lines(&fields);
    both["read"]["request_parameters"] = json!({ "at": "{{ stream_slice.extra_fields['updated'] }}" });
    let (records, _) = read(&try_connector(&json!({ "url": side.url }), &both).unwrap(), None).await;
    assert_eq!(records.len(), 2);
}

#[tokio::test]
async fn a_parent_with_too_much_is_named_and_stops_no_other() {
    let long = "x".repeat(70_000);
    let (side, _) = shop(json!([{ "id": 1, "updated": long }, { "id": 2, "updated": 6 }])).await;
    let fields = json!([{ "path": "updated", "value": "{{ stream_slice.extra_fields['updated'] }}" }]);
    let connector = of(&side, &fields);
    let request = |after| ReadRequest { collection: collection(), scope: Scope::Everything, after };
    let parents = connector.read(request(None)).await.unwrap();
    let [line] = parents.unreadable.as_slice() else { panic!("{:?}", parents.unreadable) };
    assert!(line.contains("the parent 1 has `extra_fields` with more than 65536 bytes"), "{line}");
    let page = connector.read(request(parents.next)).await.unwrap();
    assert_eq!((page.records.len(), page.next), (1, None));
}

#[tokio::test]
async fn a_record_is_made_of_the_range_that_was_asked_for() {
    let side =
        Answering::with(|heard| plain(json!([{ "id": heard.query["to"], "at": heard.query["from"] }]))).await;
    let read_days = json!({
        "path": "/days",
        "incremental_sync": {
            "cursor_field": "at", "datetime_format": "%Y-%m-%d", "start_datetime": "2026-11-01",
            "end_datetime": "2026-11-03", "step": "1d", "cursor_granularity": "1d", "lookback_window": "0s",
            "start_time_option": { "field_name": "from" }, "end_time_option": { "field_name": "to" },
        },
    });
    let days = |fields: &Json| json!({ "read": read_days, "transformations": [{ "type": "add_fields", "fields": fields }] });
    let both = days(&json!([
        { "path": "day", "value": "{{ cursor_end }}" }, { "path": "span", "value": "{{ cursor }}/{{ cursor_end }}" },
    ]));
    let (records, _) = read(&try_connector(&json!({ "url": side.url }), &both).unwrap(), None).await;
    let day = |day: &str| json!({ "id": day, "at": day, "day": day, "span": format!("{day}/{day}") });
    assert_eq!(records, ["2026-11-01", "2026-11-02", "2026-11-03"].map(day));
}

#[test]
fn what_no_listing_of_it_knows_is_told_before_anything_is_asked() {
    let value = |value: &str| json!([{ "path": "it", "value": value }]);
    let refused = |spec: &Json| try_connector(&json!({ "url": "http://127.0.0.1:9" }), spec).unwrap_err();
    let with = |fields: &Json, change: &dyn Fn(&mut Json)| {
        let mut spec = lines(fields);
        change(&mut spec);
        refused(&spec)
    };
    let named = value("{{ stream_slice.extra_fields['updated'] }}");
    for (why, said) in [
        (
            with(&value("{{ stream_slice.ordr }}"), &|_| ()),
            "names `stream_slice.ordr`; known of the partition: order, extra_fields",
        ),
        (
            with(&named, &|spec| spec["read"]["partition_router"]["extra_fields"] = json!([])),
            "names `stream_slice.extra_fields`; known",
        ),
        (
            with(&named, &|spec| drop(spec["read"].as_object_mut().unwrap().remove("partition_router"))),
            "names `stream_slice`, and `read` has no `partition_router`",
        ),
        (
            with(&value("{{ cursor }}"), &|spec| {
                drop(spec["read"].as_object_mut().unwrap().remove("incremental_sync"));
            }),
            "names `cursor`, and `read` has no `incremental_sync`",
        ),
        (
            with(&value("{{ cursor_end }}"), &|_| ()),
            "`permit.transformations`: names `cursor_end`, and no request does",
        ),
        // They would show a record as if what is made of the parent were cleared.
        (
            with(&named, &|spec| spec["fetch"] = json!({ "path": "/lines/{{ id }}" })),
            "which only a listing knows: `fetch` would show",
        ),
        (
            with(&named, &|spec| spec["webhook"] = json!({ "path": "/h", "unsigned": true })),
            "which only a listing knows: a webhook",
        ),
        (
            refused(&json!({ "transformations": [{ "type": "add_fields", "fields": named }] })),
            "names `stream_slice`, and `read` has no",
        ),
    ] {
        assert!(why.contains(said), "{why}");
    }
}

#[tokio::test]
async fn what_comes_by_itself_is_not_made_of_a_parent() {
    let side = Answering::with(|_| plain(json!([{ "id": "l1", "no": 7 }]))).await;
    let mut spec = lines(&json!([
        { "path": "updated", "value": "{{ stream_slice.extra_fields['updated'] }}" }, { "path": "more", "value": "{{ record.no + 1 }}" },
    ]));
    spec["lookup"] = json!({ "path": "/lines", "request_parameters": { "no": "{{ identity.no }}" } });
    let connector = try_connector(&json!({ "url": side.url }), &spec).unwrap();
    let request =
        hms_sync_connector::LookupRequest { collection: collection(), identity: json!({ "no": 7 }) };
    let found = connector.lookup(request).await.unwrap();
    assert_eq!(found[0].content, Content::Whole(json!({ "id": "l1", "no": 7, "more": 8 })));
}
