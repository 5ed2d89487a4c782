//! What is made of records: the same whatever brings them.

use crate::sides::{Answering, collection, connector, first, id, ids, key, plain};
use hms_sync_connector::{Connector, Content, LookupRequest, Page, RawWebhook, Shaped, Target, WriteRequest};
use hms_sync_http::HttpConnector;
use hms_sync_model::{Outcome, Time};
use serde_json::{Value as Json, json};

fn of(url: &str, payload: &str) -> HttpConnector {
    let permits = json!({
        "primary_key": "key",
        "transformations": [
            { "type": "AddFields", "fields": [
                { "path": ["key"], "value": "{{ record.district }}-{{ record.no }}" },
                { "path": ["holder", "name"], "value": "{{ record.first ~ ' ' ~ record.last }}" },
                { "path": ["height"], "value": "{{ record.cm / 100 }}" },
            ] },
            { "type": "RemoveFields", "field_pointers": [["first"], ["last"]] },
        ],
        "read": { "path": "/permits", "record_selector": {
            "record_filter": { "condition": "record.holder.name != 'No One'" }, "transform_before_filtering": true,
        } },
        "fetch": { "path": "/permits/{{ id }}" },
        "lookup": { "path": "/permits", "request_parameters": { "no": "{{ identity.no }}" } },
        "create": { "method": "POST", "path": "/permits", "id_from": { "field": "made" } },
        "webhook": { "path": "/h", "unsigned": true, "payload": payload },
    });
    connector(&json!({ "url": url }), &permits)
}

fn raw(no: u8) -> Json {
    json!({ "district": "N", "no": no, "first": "Ada", "last": "Lo", "cm": 150 })
}

fn made(no: u8) -> Json {
    json!({ "key": format!("N-{no}"), "district": "N", "no": no, "holder": { "name": "Ada Lo" }, "cm": 150,
        "height": 1.5 })
}

#[tokio::test]
async fn a_record_is_made_the_same_whatever_brings_it() {
    let side = Answering::with(|heard| match (heard.method.as_str(), heard.path.as_str()) {
        ("POST", _) => plain(json!({ "made": "N-9", "no": 9 })),
        (_, "/permits") if heard.query.is_empty() => {
            let mut nobody = raw(3);
            (nobody["first"], nobody["last"]) = (json!("No"), json!("One"));
            plain(json!([raw(1), raw(2), nobody, { "district": "N", "no": 4, "cm": "tall" }]))
        }
        (_, "/permits") => plain(json!([raw(2)])),
        _ => plain(raw(2)),
    })
    .await;
    let permits = of(&side.url, "whole");

    let page = first(&permits).await.unwrap();
    assert_eq!(ids(&page.records), ["N-1", "N-2"]);
    assert_eq!(page.records[1].content, Content::Whole(made(2)));
    assert_eq!(page.passed_over, [id("N-3")]);
    // One of which it cannot be made is named, and the others are read.
    let [unreadable] = page.unreadable.as_slice() else { panic!("{:?}", page.unreadable) };
    assert!(unreadable.contains("record 4 of the page has no `height`"), "{unreadable}");

    let fetched = permits.fetch(collection(), id("N-2")).await.unwrap();
    assert_eq!(fetched.content, Content::Whole(made(2)));

    let identity = json!({ "no": 2 });
    let found = permits.lookup(LookupRequest { collection: collection(), identity }).await.unwrap();
    assert_eq!(found.iter().map(|seen| &seen.content).collect::<Vec<_>>(), [&Content::Whole(made(2))]);

    // An answer to a write may show less than there is.
    let whole = Shaped::from(json!({ "no": 9 }));
    let (changed, former) = (whole.clone(), None);
    let target = Target::Create;
    let write = WriteRequest { collection: collection(), target, changed, whole, former, key: key("k") };
    let Outcome::Applied(written) = permits.write(write).await else { panic!("not applied") };
    assert_eq!(written.id, id("N-9"));
    assert!(written.stored.is_none_or(|stored| stored.get("holder").is_none()));
}

/// Read through a filter of `state`, with what is made of records.
async fn filtered(turned: bool, key: &str, fields: Json) -> Page {
    let side = Answering::with(|_| {
        plain(json!([
            { "id": 1, "state": "open", "cm": 150 },
            { "id": 2, "state": "closed", "cm": 160 },
            { "id": 3, "state": "closed", "cm": "tall" },
        ]))
    })
    .await;
    let permits = json!({
        "primary_key": key,
        "transformations": [{ "type": "add_fields", "fields": fields }],
        "read": { "path": "/permits", "record_selector": {
            "record_filter": { "condition": "record.state == 'open'" }, "transform_before_filtering": turned,
        } },
    });
    first(&connector(&json!({ "url": side.url }), &permits)).await.unwrap()
}

#[tokio::test]
async fn a_filter_looks_at_records_as_they_came_unless_it_is_turned_round() {
    let upper =
        json!([{ "path": "state", "value": "{{ 'open' if record.id == 2 else record.state | upper }}" }]);
    let page = filtered(false, "id", upper.clone()).await;
    assert_eq!((ids(&page.records), page.passed_over), (vec!["1".to_owned()], vec![id("2"), id("3")]));
    assert_eq!(page.records[0].content, Content::Whole(json!({ "id": 1, "state": "OPEN", "cm": 150 })));
    let page = filtered(true, "id", upper).await;
    assert_eq!((ids(&page.records), page.passed_over), (vec!["2".to_owned()], vec![id("1"), id("3")]));
}

#[tokio::test]
async fn what_is_left_out_early_is_known_by_the_id_that_it_would_have() {
    // Nothing need be made of it where its id is as it came: the listing stays complete.
    let height = json!({ "path": "m", "value": "{{ record.cm / 100 }}" });
    let page = filtered(false, "id", json!([height])).await;
    assert_eq!((page.passed_over, page.unreadable.len()), (vec![id("2"), id("3")], 0));
    // An id that is made is made of it too; where it cannot be, its record is not taken for gone.
    let key = json!({ "path": "key", "value": "{{ record.cm + 1 }}" });
    let page = filtered(false, "key", json!([key, height])).await;
    assert_eq!((ids(&page.records), page.passed_over), (vec!["151".to_owned()], vec![id("161")]));
    let [unreadable] = page.unreadable.as_slice() else { panic!("{:?}", page.unreadable) };
    assert!(unreadable.contains("record 3 of the page has no `key`"), "{unreadable}");
}

#[tokio::test]
async fn webhooks_with_whole_records_too() {
    let hooked = |payload: &str, body: Json| {
        let raw = RawWebhook::new(http::HeaderMap::new(), body.to_string().into(), Time(0));
        of("http://127.0.0.1:1", payload).webhook(&collection(), &raw).unwrap()
    };
    let whole = hooked("whole", raw(5));
    assert_eq!((&whole.records[0].id, &whole.records[0].content), (&id("N-5"), &Content::Whole(made(5))));
    // Of fields that changed nothing is made: what it is made of may be missing.
    let partial = hooked("partial", json!({ "key": "N-5", "first": "Eve", "cm": 151 }));
    assert_eq!(partial.records[0].content, Content::Partial(json!({ "key": "N-5", "cm": 151 })));
    assert_eq!(hooked("hint", json!({ "key": "N-5" })).hints, [id("N-5")]);
}
