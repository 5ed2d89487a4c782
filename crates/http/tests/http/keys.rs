//! Keys of several parts: one id to all others, taken apart again in addresses.

use crate::parrot::{Parrot, request};
use crate::sides::{Answering, collection, connector, first, id, ids, plain, try_connector};
use bytes::Bytes;
use hms_sync_connector::{Connector, RawWebhook, Target};
use hms_sync_model::{Outcome, Time};
use serde_json::{Value as Json, json};

fn keyed(permits: &mut Json) {
    let one = "/boards/{{ id.board.id }}/lines/{{ id.no }}";
    *permits = json!({
        "primary_key": [["board", "id"], "no"],
        "fetch": { "path": one },
        "create": { "method": "POST", "path": "/lines" },
        "update": { "method": "PATCH", "path": one, "body": { "add": { "no": "{{ id.no }}", "to": "{{ record.a }}" } } },
        "delete": { "method": "DELETE", "path": one },
    });
}

fn line(board: &str, no: u64) -> Json {
    json!({ "board": { "id": board }, "no": no, "a": 1 })
}

fn written(outcome: &Outcome) -> &str {
    let Outcome::Applied(written) = outcome else { panic!("{outcome:?}") };
    written.id.as_str()
}

#[tokio::test]
async fn addresses_and_bodies_are_made_of_the_parts() {
    let parrot = Parrot::new(keyed).await;
    let of = id(r#"["b/1","7"]"#);
    let heard = parrot.hear(request(Target::Update(of.clone(), None), json!({ "a": 2 }))).await;
    assert_eq!((heard.method.as_str(), heard.uri.as_str()), ("PATCH", "/api/boards/b%2F1/lines/7"));
    assert_eq!(serde_json::from_str::<Json>(&heard.body).unwrap(), json!({ "a": 2, "no": "7", "to": 2 }));
    let heard = parrot.hear(request(Target::Delete(of, None), json!({}))).await;
    assert_eq!((heard.method.as_str(), heard.uri.as_str()), ("DELETE", "/api/boards/b%2F1/lines/7"));
}

#[tokio::test]
async fn who_is_made_is_known_by_what_is_shown_or_was_sent() {
    let parrot = Parrot::new(keyed).await;
    let shown = parrot.write(Target::Create, 201, &[], &line("b", 7).to_string()).await;
    assert_eq!(written(&shown), r#"["b","7"]"#);
    // `Location` ends with a part of it, and is not looked at.
    let silent = parrot.write(Target::Create, 201, &[("location", "/boards/b/lines/7")], "").await;
    assert!(matches!(silent, Outcome::Unknown { .. }), "{silent:?}");
    let sent = parrot.connector.write(request(Target::Create, line("c", 8))).await;
    assert_eq!(written(&sent), r#"["c","8"]"#);
}

#[tokio::test]
async fn listings_and_single_records_come_by_the_same_id() {
    let side = Answering::with(|heard| {
        plain(if heard.path.ends_with("/lines/2") {
            line("b", 2)
        } else {
            json!([line("b", 1), line("b", 2), { "no": 3 }])
        })
    })
    .await;
    let mut permits = json!({});
    keyed(&mut permits);
    permits["read"] = json!({ "path": "/lines" });
    let connector = connector(&json!({ "url": side.url }), &permits);
    let page = first(&connector).await.unwrap();
    assert_eq!(ids(&page.records), [r#"["b","1"]"#, r#"["b","2"]"#]);
    assert!(page.unreadable[0].contains("has no id at `board.id`"), "{:?}", page.unreadable);
    let one = connector.fetch(collection(), id(r#"["b","2"]"#)).await.unwrap();
    assert_eq!(one.id.as_str(), r#"["b","2"]"#);
    let other = connector.fetch(collection(), id(r#"["c","2"]"#)).await.unwrap_err().to_string();
    assert!(other.contains("another record"), "{other}");
}

#[test]
fn webhooks_name_records_by_all_parts() {
    let mut permits = json!({});
    keyed(&mut permits);
    permits["webhook"] = json!({ "path": "/hooks/a", "unsigned": true, "payload": "hint" });
    let hook = connector(&json!({ "url": "http://127.0.0.1:1" }), &permits);
    let come = |body: Json| {
        let raw = RawWebhook::new(http::HeaderMap::new(), Bytes::from(body.to_string()), Time(0));
        hook.webhook(&collection(), &raw)
    };
    assert_eq!(come(json!({ "data": line("b", 1) })).unwrap().hints, [id(r#"["b","1"]"#)]);
    come(json!(7)).unwrap_err();
}

#[test]
fn a_request_that_does_not_name_all_parts_is_told_at_once() {
    for (part, path, said) in [
        ("fetch", "/lines/{{ id }}", "name each, as `{{ id.board.id }}`"),
        ("fetch", "/lines/{{ id.board.id }}", "name each, as `{{ id.no }}`"),
        ("update", "/lines/{{ id.no }}", "name each, as `{{ id.board.id }}`"),
    ] {
        let mut permits = json!({});
        keyed(&mut permits);
        permits[part]["path"] = path.into();
        let why = try_connector(&json!({ "url": "http://127.0.0.1:1" }), &permits).unwrap_err();
        assert!(why.contains(&format!("`permit.{part}.path`")) && why.contains(said), "{why}");
    }
    let mut permits = json!({});
    keyed(&mut permits);
    permits["create"]["id_from"] = json!({ "field": "no" });
    let why = try_connector(&json!({ "url": "http://127.0.0.1:1" }), &permits).unwrap_err();
    assert!(why.contains("id_from"), "{why}");
    permits["primary_key"] = json!(["no", "no"]);
    let why = try_connector(&json!({ "url": "http://127.0.0.1:1" }), &permits).unwrap_err();
    assert!(why.contains("`permit.primary_key`") && why.contains("twice"), "{why}");
}
