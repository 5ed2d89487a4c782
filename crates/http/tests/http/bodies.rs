//! What the requests of writes look like: fields wrapped, as forms, as patches, with what
//! is added to them, and for sides where making and changing are one.

use crate::parrot::{Parrot, request, word};
use crate::sides::{collection, connector, id, key, serve, try_connector};
use axum::{Json as Body, Router, routing::post};
use hms_sync_connector::{Connector, LookupRequest, Target, WriteRequest};
use hms_sync_model::Outcome;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

/// A permit as the side writes it, of which the fee has changed.
fn permit(target: Target) -> WriteRequest {
    WriteRequest {
        collection: collection(),
        target,
        changed: json!({ "location": { "address": "1 O'Hara St" }, "fee": null }).into(),
        whole: json!({ "no": "P/1", "location": { "address": "1 O'Hara St" }, "fee": null }).into(),
        former: None,
        key: key("k-1"),
    }
}

fn change(body: Json) -> impl FnOnce(&mut Json) {
    move |permits| permits["update"]["body"] = body
}

#[tokio::test]
async fn a_body_has_the_form_that_is_asked_for() {
    for (body, content_type, sent) in [
        (
            json!("changed"),
            "application/json",
            json!({ "location": { "address": "1 O'Hara St" }, "fee": null }),
        ),
        (
            json!({ "wrap": "data.attributes", "add": { "data": { "type": "permits", "id": "{{ id }}" } } }),
            "application/json",
            json!({ "data": {
                "attributes": { "location": { "address": "1 O'Hara St" }, "fee": null }, "type": "permits", "id": "7",
            } }),
        ),
        (
            json!({ "fields": "whole", "wrap": "records.0.fields", "content_type": "application/vnd.x+json" }),
            "application/vnd.x+json",
            json!({ "records": [{ "fields": { "no": "P/1", "location": { "address": "1 O'Hara St" }, "fee": null } }] }),
        ),
        (
            json!({ "format": "merge_patch" }),
            "application/merge-patch+json",
            json!({ "location": { "address": "1 O'Hara St" }, "fee": null }),
        ),
        (
            json!({ "format": "json_patch", "wrap": "a/b", "add": [{ "op": "test", "path": "/no", "value": "{{ record.no }}" }] }),
            "application/json-patch+json",
            json!([
                { "op": "test", "path": "/no", "value": "P/1" },
                { "op": "add", "path": "/a~1b/fee", "value": null },
                { "op": "add", "path": "/a~1b/location/address", "value": "1 O'Hara St" },
            ]),
        ),
        (
            json!({ "fields": "none", "add": { "by": "{{ key }}", "n": 1 } }),
            "application/json",
            json!({ "by": "k-1", "n": 1 }),
        ),
    ] {
        let parrot = Parrot::new(change(body)).await;
        let heard = parrot.hear(permit(Target::Update(id("7"), None))).await;
        assert_eq!(heard.headers["content-type"], content_type);
        assert_eq!(serde_json::from_str::<Json>(&heard.body).unwrap(), sent);
    }
    let text = json!({ "format": "text", "content_type": "text/calendar", "fields": "whole",
        "text": "UID:{{ id }}\r\nLOCATION:{{ record.location.address }}\r\n" });
    let parrot = Parrot::new(change(text)).await;
    let heard = parrot.hear(permit(Target::Update(id("7"), None))).await;
    assert_eq!(heard.headers["content-type"], "text/calendar");
    assert_eq!(heard.body, "UID:7\r\nLOCATION:1 O'Hara St\r\n");
    let parrot = Parrot::new(change(json!({ "format": "form", "wrap": "permit" }))).await;
    let heard = parrot.hear(permit(Target::Update(id("7"), None))).await;
    assert_eq!(heard.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(heard.body, "permit%5Bfee%5D=&permit%5Blocation%5D%5Baddress%5D=1+O%27Hara+St");
    for (format, body) in [("form", "tags%5B%5D=a&tags%5B%5D=b"), ("form_repeated", "tags=a&tags=b")] {
        let add = json!({ "format": format, "fields": "none", "add": { "tags": ["a", "b"] } });
        let parrot = Parrot::new(change(add)).await;
        let heard = parrot.hear(permit(Target::Update(id("7"), None))).await;
        assert_eq!(heard.headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(heard.body, body);
    }
}

#[tokio::test]
async fn a_delete_may_be_an_update_of_a_flag() {
    let parrot = Parrot::new(|permits| {
        permits["delete"] = json!({
            "method": "PATCH", "path": "/p/{{ id }}", "body": { "fields": "none", "add": { "archived": true } },
            "request_headers": { "X-Of": "{{ id }}/{{ key }}" },
        });
    })
    .await;
    let heard = parrot.hear(request(Target::Delete(id("7"), None), Json::Null)).await;
    assert_eq!((heard.method.as_str(), heard.body.as_str()), ("PATCH", "{\"archived\":true}"));
    assert_eq!(heard.headers["x-of"], "7/k-1");
}

#[tokio::test]
async fn an_upsert_makes_and_changes() {
    let parrot = Parrot::new(|permits| {
        permits.as_object_mut().unwrap().remove("create");
        permits.as_object_mut().unwrap().remove("update");
        permits["upsert"] = json!({
            "method": "PUT", "path": "/p/{{ identity.no }}", "id_from": { "template": "{{ record.no }}" },
        });
    })
    .await;
    let abilities = parrot.connector.abilities(&collection());
    assert!(abilities.create && abilities.update);
    let made = parrot.hear(permit(Target::Create)).await;
    assert_eq!((made.method.as_str(), made.uri.as_str()), ("PUT", "/api/p/P%2F1"));
    assert_eq!(made.headers["if-none-match"], "*", "nothing unseen is overwritten");
    let Outcome::Applied(written) = parrot.connector.write(permit(Target::Create)).await else { panic!() };
    assert_eq!(written.id, id("P/1"), "the answer is empty: the id is what we made it of");
    let changed =
        parrot.hear(permit(Target::Update(id("P/1"), hms_sync_model::Tag::try_new("\"a\"").ok()))).await;
    assert_eq!((changed.method.as_str(), changed.uri.as_str()), ("PUT", "/api/p/P%2F1"));
    assert_eq!(changed.headers["if-match"], "\"a\"");
    assert!(!changed.headers.contains_key("if-none-match"));
    assert!(changed.body.contains("P/1"), "a PUT sends the whole record");
    let outcome = parrot.write(Target::Create, 412, &[], "").await;
    assert_eq!(word(&outcome), "rejected", "{{ identity.no }} is missing in what is written there");
}

#[tokio::test]
async fn a_put_that_finds_something_there_says_so() {
    let parrot = Parrot::new(|permits| {
        permits["upsert"] = json!({ "method": "PUT", "path": "/p/{{ identity.a }}" });
        permits.as_object_mut().unwrap().remove("create");
    })
    .await;
    assert_eq!(word(&parrot.write(Target::Create, 412, &[], "").await), "exists");
    // Without that header 412 has no such meaning.
    let parrot = Parrot::new(|_| {}).await;
    assert_eq!(word(&parrot.write(Target::Create, 412, &[], "").await), "rejected");
}

#[tokio::test]
async fn what_was_deleted_comes_back_under_its_id() {
    let parrot = Parrot::new(|permits| {
        permits["undelete"] = json!({ "method": "POST", "path": "/trash/{{ id }}/restore" });
    })
    .await;
    let again = WriteRequest { former: Some(id("7")), ..permit(Target::Create) };
    let last = parrot.hear(again.clone()).await;
    let heard = parrot.heard.lock().unwrap().clone();
    assert_eq!(
        heard.iter().map(|h| (h.method.as_str(), h.uri.as_str())).collect::<Vec<_>>(),
        [("POST", "/api/trash/7/restore"), ("PATCH", "/api/p/7"),]
    );
    assert!(last.body.contains("P/1"), "all fields are sent after it: {}", last.body);
    let Outcome::Applied(written) = parrot.connector.write(again).await else { panic!() };
    assert_eq!(written.id, id("7"));
    let new = parrot.hear(permit(Target::Create)).await;
    assert_eq!(new.uri, "/api/p", "what is new is made");
}

#[tokio::test]
async fn what_cannot_come_back_is_made_anew() {
    let calls: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let (trash, list) = (Arc::clone(&calls), Arc::clone(&calls));
    let router = Router::new()
        .route(
            "/trash/7",
            post(async move || {
                trash.lock().unwrap().push("restore");
                axum::http::StatusCode::NOT_FOUND
            }),
        )
        .route(
            "/p",
            post(async move || {
                list.lock().unwrap().push("create");
                Body(json!({ "id": 8 }))
            }),
        );
    let connector = connector(
        &json!({ "url": serve(router).await }),
        &json!({
            "create": { "method": "POST", "path": "/p" },
            "undelete": { "method": "POST", "path": "/trash/{{ id }}", "body": "whole" },
        }),
    );
    let again = WriteRequest { former: Some(id("7")), ..permit(Target::Create) };
    let Outcome::Applied(written) = connector.write(again).await else { panic!() };
    assert_eq!((written.id, calls.lock().unwrap().as_slice()), (id("8"), &["restore", "create"][..]));
}

#[tokio::test]
async fn ids_come_from_where_they_are_said_to_be() {
    for (from, headers, body, found) in [
        (json!({ "field": "meta.key" }), &[][..], "{\"meta\":{\"key\":5}}", Some("5")),
        (json!({ "header": "X-Id" }), &[("x-id", "a b")][..], "", Some("a b")),
        (json!({ "header": "Location" }), &[("location", "/p/x%20y?z")][..], "{\"id\":1}", Some("x y")),
        (json!({ "template": "n-{{ record.a }}" }), &[][..], "", Some("n-1")),
        (json!({ "header": "X-Id" }), &[][..], "{\"id\":3}", Some("3")),
        (json!({ "field": "meta.key" }), &[][..], "{}", None),
    ] {
        let parrot = Parrot::new(|permits| permits["create"]["id_from"] = from).await;
        match parrot.write(Target::Create, 201, headers, body).await {
            Outcome::Applied(written) => assert_eq!(Some(written.id), found.map(id)),
            Outcome::Unknown { .. } => assert_eq!(found, None),
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_lookup_may_be_a_post_and_its_answer_one_record() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&asked);
    let router = Router::new().route(
        "/search",
        post(async move |body: String| {
            heard.lock().unwrap().push(body);
            ([("etag", "abc")], Body(json!({ "hit": { "id": 1, "no": "P/1" } })))
        }),
    );
    let url = json!({ "url": serve(router).await });
    for (body, sent) in [
        (
            json!({ "type": "json", "value": { "where": { "no": "{{ identity.no }}" }, "limit": 2 } }),
            "{\"limit\":2,\"where\":{\"no\":\"P/1\"}}",
        ),
        (
            json!({ "type": "RequestBodyUrlEncodedForm", "value": { "q": "no={{ identity.no }}" } }),
            "q=no%3DP%2F1",
        ),
    ] {
        let connector = connector(
            &url,
            &json!({ "lookup": {
            "method": "POST", "path": "/search", "request_body": body, "record_selector": { "field_path": "hit" },
        } }),
        );
        let request = LookupRequest { collection: collection(), identity: json!({ "no": "P/1" }) };
        let found = connector.lookup(request).await.unwrap();
        assert_eq!(asked.lock().unwrap().pop().as_deref(), Some(sent));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id.as_str(), found[0].tag.as_ref().unwrap().as_str()), ("1", "\"abc\""));
    }
}

#[test]
fn mistakes_name_their_key() {
    let side = json!({ "url": "http://h" });
    let create = |more: Json| {
        let mut create = json!({ "method": "POST", "path": "/p" });
        create.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "create": create })
    };
    for (permits, said) in [
        (create(json!({ "body": "all" })), "unknown variant `all`"),
        (create(json!({ "body": { "wrapp": "a" } })), "unknown field `wrapp`"),
        (create(json!({ "body": { "add": [1] } })), "`permit.create.body.add`: must be a map"),
        (
            create(json!({ "body": { "add": { "a": "{{ id }}" } } })),
            "`permit.create.body.add`: the template names `id`",
        ),
        (create(json!({ "body": { "format": "json_patch", "add": {} } })), "must be a list of operations"),
        (create(json!({ "body": { "format": "text" } })), "is what a body of this format is made of"),
        (create(json!({ "body": { "text": "x" } })), "is for `format: text`"),
        (
            create(json!({ "body": { "format": "text", "text": "x", "wrap": "a" } })),
            "it goes with neither `wrap` nor `add`",
        ),
        (create(json!({ "body": { "content_type": "a\nb" } })), "`permit.create.body.content_type`"),
        (create(json!({ "id_from": { "template": "x" } })), "`permit.create.id_from.template`: is the same"),
        (create(json!({ "request_headers": { "X-A": "{{ no }}" } })), "`permit.create.request_headers.x-a`"),
        (
            json!({ "undelete": { "method": "POST", "path": "/t/{{ id }}" } }),
            "`permit.undelete`: sends no fields",
        ),
        (json!({ "precondition": { "header": "a b" } }), "`permit.precondition.header`"),
        (json!({ "precondition": {} }), "just one of"),
        (json!({ "precondition": "some" }), "unknown variant `some`"),
        (json!({ "version_tag": {} }), "`permit.version_tag`: needs `header` or `field`"),
        (json!({ "idempotency_key": { "valid_for": "0s" } }), "`permit.idempotency_key.valid_for`"),
        (
            json!({ "lookup": { "path": "/{{ identity.a }}", "method": "PUT" } }),
            "`permit.lookup.method`: can only be",
        ),
        (
            json!({ "lookup": { "path": "/", "request_body": { "type": "json", "value": {} } } }),
            "needs `method: POST`",
        ),
        (
            json!({ "lookup": { "path": "/", "method": "POST", "request_body": { "type": "json", "value": {} } } }),
            "names no field",
        ),
        (json!({ "batch": { "path": "/b", "max_items": 0 } }), "`permit.batch.max_items`"),
        (
            json!({ "batch": { "path": "/b", "item": { "id": "{{ id }}" } } }),
            "`permit.batch.item`: has neither",
        ),
    ] {
        let error = try_connector(&side, &permits).unwrap_err();
        assert!(error.contains(said), "{error} does not say {said}");
    }
}
